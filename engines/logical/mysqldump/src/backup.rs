//! A full backup.
//!
//! 1. Under the global read lock the dump tool is started, and it is waited for until its snapshot is open (see
//!    [`dump`]). Then the position is read, and DDL is blocked instead: writers go on.
//! 2. A session of our own reads what the tool does not tell: what there is (to check the dump against), what the tool
//!    loses, accounts.
//! 3. The dump is split into objects while it flows.
//! 4. It counts only if the tool ended well, said nothing unknown, wrote its closing line, and left nothing out; and if DDL
//!    was blocked to the end.

mod dump;
mod objects;

use backstay_engine_api::{Attributes, BackupJob, EngineError, ErrorKind, Notice, Outcome, Storage, Usable};
use backstay_mysql::facts::left_out;
use backstay_mysql::programs::{self, Tool};
use backstay_mysql::{ConsistentPoint, LockOptions, Session, accounts, facts, privileges};
use serde_json::json;
use std::io::Write as _;

use crate::expected::Expected;
use crate::inventory::{self, Inventory};
use crate::options::Options;
use dump::Dump;
use objects::Objects;

/// The `kind` of the object with accounts and grants.
pub(crate) const ACCOUNTS: &str = "accounts";
/// The `kind` of the object with foreign servers and loadable functions.
pub(crate) const SERVER_OBJECTS: &str = "server-objects";

/// Takes a full backup.
///
/// # Errors
/// Whatever keeps it from being whole.
pub(crate) fn full(job: &BackupJob) -> Result<Outcome, EngineError> {
    let options: Options = job.options()?;
    let filter = options.schemas()?;
    let mut session = Session::connect(job.server())?;
    let program = programs::find(Tool::Dump, session.flavour(), &job.server().programs)?;
    let server = facts(&mut session)?;
    let visible = inventory::schemas(&mut session)?
        .into_iter()
        .filter(|schema| filter.takes(schema))
        .collect::<Vec<_>>();
    privileges::check(&mut session, &visible, options.accounts)?;

    job.doing("waiting for the global read lock");
    let locks = LockOptions {
        lock_wait: options.lock_wait(),
        tables: None,
    };
    let (mut point, (schemas, dump, at_point)) = ConsistentPoint::take(job, job.server(), locks, |locking| {
        let mut schemas = inventory::schemas(locking)?;
        if let Some(pattern) = filter.unmatched(&schemas) {
            let message = format!("include_schemas: no schema of the server fits {pattern}");
            return Err(EngineError::new(ErrorKind::Usage, message).advise(format!("it has {}", schemas.join(", "))));
        }
        schemas.retain(|schema| filter.takes(schema));
        let dump = match schemas.is_empty() {
            true => None,
            false => Some(Dump::start(job, &options, &program, locking, &schemas)?),
        };
        let accounts = match options.accounts {
            true => Some(accounts::existing(locking)?),
            false => None,
        };
        Ok((schemas, dump, accounts))
    })?;
    let script = match at_point {
        Some(at_point) => Some(accounts::read_as_of(&mut session, &at_point)?.to_script()?),
        None => None,
    };

    job.doing("reading the catalogue");
    let inventory = Inventory::read(&mut session, &schemas)?;
    job.expect(Some(inventory.bytes), Some(inventory.objects()));
    let mut notices = point.notices().to_vec();
    notices.extend(inventory::losses(&mut session, &schemas)?);
    notices.extend(left_out(&mut session)?);
    if let Some(script) = script {
        whole_object(job, "accounts.sql", ACCOUNTS, &script)?;
        let (script, lost) = accounts::read_server_objects(&mut session)?;
        whole_object(job, "server-objects.sql", SERVER_OBJECTS, &script)?;
        notices.extend(lost);
    }
    if schemas.is_empty() {
        notices.push(Notice::new("no-schemas", "the server has no schemas to dump"));
    }
    if let Some(dump) = dump {
        let mut objects = Objects::new(job, Expected::new(&inventory));
        dump.split_into(job, &mut session, &mut objects)?;
        objects.finish()?;
    }
    point.check_alive()?;
    let positions = point.positions().to_vec();
    let lock_held = point.lock_held();
    point.release()?;
    let state = json!({
        "tool": program.path.file_name().unwrap_or_default().to_string_lossy(),
        "tool_version": program.version.raw,
        "lock_seconds": lock_held.as_secs_f64(),
        "schemas": schemas,
        "accounts": options.accounts,
    });
    Ok(Outcome::Usable(Usable {
        server,
        positions,
        from: Vec::new(),
        partial: options.is_partial(),
        notices,
        log: None,
        state,
    }))
}

fn whole_object(job: &BackupJob, name: &str, kind: &str, text: &str) -> Result<(), EngineError> {
    let mut object = job.create(name, Attributes::kind(kind), Storage::Compress)?;
    object.write_all(text.as_bytes())?;
    object.finish()?;
    Ok(())
}
