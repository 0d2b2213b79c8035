//! What is known of a server, and its sessions.

use std::collections::BTreeSet;

use backstay_engine_api::job::{JobContext, Level};
use backstay_engine_api::{EngineError, ErrorKind, ServerFacts};
use serde::Deserialize;

use crate::connection::Connection;
use crate::psql;

/// The facts in the shape of [`ServerFacts`]. The identifier is text, since it has more digits than a JSON number keeps.
/// A standby that has applied all that it received is not behind, however long nothing was written.
const FACTS: &str = "
SELECT json_build_object(
  'flavour', 'postgresql',
  'version', current_setting('server_version'),
  'identity', json_build_object('system_identifier', (SELECT system_identifier::text FROM pg_control_system())),
  'role', CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'primary' END,
  'lag', CASE
    WHEN NOT pg_is_in_recovery() THEN NULL
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END,
  'facts', json_build_object(
    'server_version_num', current_setting('server_version_num')::int,
    'block_size', current_setting('block_size')::int,
    'data_checksums', current_setting('data_checksums'),
    'wal_level', current_setting('wal_level'),
    'timezone', current_setting('TimeZone')))";

/// PostgreSQL counts 15.4 as 150004; older than 10.0 have another way.
const OLDEST: u64 = 100_000;

/// A database to be in where the maintenance database is not there.
pub(crate) const OTHER: &str = "template1";

/// Looks at a server.
pub(crate) fn facts(connection: &Connection, database: &str) -> Result<ServerFacts, EngineError> {
    let facts: ServerFacts = psql::ask(connection, database, FACTS)?;
    if version(&facts) < OLDEST {
        return Err(EngineError::refused(format!(
            "{} is PostgreSQL {}; expected 10 or later",
            connection.name(),
            facts.version
        )));
    }
    Ok(facts)
}

/// `server_version_num`, or 0 if it is not known.
pub(crate) fn version(facts: &ServerFacts) -> u64 {
    facts
        .facts
        .get("server_version_num")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(0)
}

/// How long sessions are given to end, in milliseconds.
const END_MILLISECONDS: u64 = 10_000;

/// Ends the sessions that call themselves so, and sees them gone.
pub(crate) fn end_sessions(connection: &Connection, database: &str, names: &[String]) -> Result<(), EngineError> {
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = names.iter().map(|name| psql::literal(name)).collect();
    // The argument is the time to wait for the end; PostgreSQL before 14 has none.
    let end = match version(&facts(connection, database)?) {
        140_000.. => format!("pg_terminate_backend(pid, {END_MILLISECONDS})"),
        _ => "pg_terminate_backend(pid)".to_owned(),
    };
    let ours = format!(
        "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name IN ({})",
        names.join(", ")
    );
    psql::ask::<u64>(connection, database, &format!("SELECT to_json(count({end})) {ours}"))?;
    let left: Vec<i64> = psql::ask(
        connection,
        database,
        &format!("SELECT coalesce(json_agg(pid), '[]') {ours}"),
    )?;
    if left.is_empty() {
        return Ok(());
    }
    Err(EngineError::new(
        ErrorKind::Busy,
        format!("sessions {left:?} on {} do not end", connection.name()),
    )
    .advise("end these processes on the server's machine"))
}

/// Ends the sessions of a job that has failed. Its programs are gone, but a server does not notice that while a session
/// waits for a lock. What goes wrong is for the log: the job has an error already.
pub(crate) fn leave(job: &JobContext, connection: &Connection, database: &str) {
    let names = [connection.application().to_owned()];
    let connection = connection.to_the_end();
    let ended = end_sessions(&connection, database, &names);
    // The maintenance database may be the one whose restore has failed.
    if let Err(error) = ended.or_else(|_| end_sessions(&connection, OTHER, &names)) {
        job.log(Level::Warn, format!("sessions may be left on the server: {error}"));
    }
}

/// A database of a server.
#[derive(Debug, Deserialize)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) template: bool,
    pub(crate) connectable: bool,
    /// Its size on disk, in bytes.
    #[serde(default)]
    pub(crate) bytes: u64,
}

/// A server's databases, by name. Sizes are of those only that can be connected to: others may not be looked into.
pub(crate) fn databases(connection: &Connection, database: &str) -> Result<Vec<Database>, EngineError> {
    psql::ask(
        connection,
        database,
        "SELECT json_agg(json_build_object('name', datname, 'template', datistemplate, 'connectable', datallowconn,
           'bytes', CASE WHEN datallowconn AND has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END)
           ORDER BY datname) FROM pg_database",
    )
}

/// The tablespaces besides the server's own two.
pub(crate) fn tablespaces(connection: &Connection, database: &str) -> Result<Vec<String>, EngineError> {
    psql::ask(
        connection,
        database,
        "SELECT coalesce(json_agg(spcname ORDER BY spcname), '[]') FROM pg_tablespace \
         WHERE spcname NOT IN ('pg_default', 'pg_global')",
    )
}

/// Whether a database holds nothing but what `initdb` put into it: oids from 16384 on (FirstNormalObjectId) are for what
/// came later.
pub(crate) fn is_empty(connection: &Connection, database: &str) -> Result<bool, EngineError> {
    let catalogues = [
        "pg_class",
        "pg_proc",
        "pg_type",
        "pg_namespace",
        "pg_extension",
        "pg_largeobject_metadata",
    ];
    let any: Vec<String> = catalogues
        .iter()
        .map(|catalogue| format!("EXISTS (SELECT FROM pg_catalog.{catalogue} WHERE oid >= 16384)"))
        .collect();
    psql::ask(
        connection,
        database,
        &format!("SELECT to_json(NOT ({}))", any.join(" OR ")),
    )
}

/// The roles of a server, as identifiers.
pub(crate) fn roles(connection: &Connection, database: &str) -> Result<BTreeSet<String>, EngineError> {
    psql::ask(
        connection,
        database,
        "SELECT json_agg(quote_ident(rolname)) FROM pg_roles",
    )
}
