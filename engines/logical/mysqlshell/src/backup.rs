//! A full backup.
//!
//! 1. Each worker connects. Under the global read lock they open their snapshots, the position is read, and DDL is blocked
//!    instead: writers go on.
//! 2. Accounts are read, at once, for few servers keep them from being changed; then the catalogue: what there is, which does not
//!    change any more.
//! 3. Definitions and the JSON files are written, by sessions of their own; then the rows, by the workers, from their
//!    snapshots.
//! 4. `@.done.json` is written, after everything else has reached the repository, if DDL was blocked to the end.

mod instance;
mod metadata;

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write as _;

use backstay_engine_api::{Attributes, BackupJob, EngineError, Notice, Outcome, Storage, Usable};
use backstay_mysql::accounts::Account;
use backstay_mysql::facts::{SYSTEM_SCHEMAS, left_out};
use backstay_mysql::{ConsistentPoint, LockOptions, Session, TableName, accounts, facts, privileges, target};
use serde_json::json;

use crate::catalogue::{Catalogue, Filter};
use crate::definitions::Definitions;
use crate::format::done::DoneFile;
use crate::format::{names, to_json};
use crate::options::{Content, Options};
use crate::restore::CONTROL_SCHEMA;
use crate::rows::{self, Dumped, Worker};

/// The `kind` of the files about the whole dump.
pub(crate) const INSTANCE: &str = "instance";
/// The `kind` of the object with accounts and grants.
pub(crate) const ACCOUNTS: &str = "accounts";

/// Each thread has an object open, of which there may be 64.
const MOST_THREADS: usize = 64;

/// Takes a full backup.
///
/// # Errors
/// Whatever keeps it from being whole.
pub(crate) fn full(job: &BackupJob) -> Result<Outcome, EngineError> {
    let options: Options = job.options()?;
    let filter = Filter::of(&options)?;
    let begin = instance::now();
    let mut session = Session::connect(job.server())?;
    let server = facts(&mut session)?;

    let (mut point, (mut workers, at_point)) = take(job, &options, &filter, &mut session)?;
    // A filter of its own, for it is asked to the end, and of schemas that are made meanwhile too.
    let of_backup = Filter::of(&options)?;
    point.compare_only(move |schema| schema != CONTROL_SCHEMA && of_backup.schema(schema));
    let accounts = match at_point {
        Some(at_point) => Some(accounts::read_as_of(&mut session, &at_point)?),
        None => None,
    };

    job.doing("reading the catalogue");
    let mut catalogue = Catalogue::read(&mut session, &filter)?;
    let schemas: Vec<&str> = catalogue.schemas.iter().map(|schema| schema.name.as_str()).collect();
    if options.content == Content::Definitions || catalogue.tables.is_empty() {
        workers.clear();
    }
    let bytes = catalogue.tables.iter().map(|table| table.bytes).sum();
    let objects =
        metadata::objects(&catalogue, &options) + rows::objects(&options, threads(job), &catalogue.tables) + 5;
    job.expect(Some(bytes), Some(objects));

    let as_bytes = rows::as_bytes(job, &mut catalogue.tables, &mut workers)?;
    let mut notices = point.notices().to_vec();
    notices.extend(as_bytes);
    notices.extend(left_out(&mut session)?);
    notices.extend(catalogue.notices.iter().cloned());
    let definitions = Definitions::of(&mut session)?;
    let mut users = None;
    if let Some(accounts) = accounts {
        let text = crate::accounts::write(&accounts, &definitions);
        object(job, names::USERS_SQL, Attributes::kind(ACCOUNTS), text.as_bytes())?;
        users = Some(crate::accounts::names(&accounts));
        notices.extend(server_objects(&mut session));
    }
    notices.extend(tablespaces(&mut session));
    if schemas.is_empty() {
        notices.push(Notice::new("no-schemas", "the server has no schemas to dump"));
    }
    let head = instance::file(&mut session, &options, &catalogue, &point, users, begin)?;
    object(job, names::INSTANCE, Attributes::kind(INSTANCE), &to_json(&head)?)?;
    for name in [names::PRE_SQL, names::POST_SQL] {
        object(job, name, Attributes::kind(INSTANCE), definitions.instance().as_bytes())?;
    }
    metadata::write(job, &options, &session, &definitions, &catalogue)?;

    let dumped = if options.content == Content::Definitions {
        Dumped::default()
    } else {
        rows::dump(job, &options, &catalogue.tables, workers)?
    };
    point.check_alive()?;
    let positions = point.positions().to_vec();
    let lock_held = point.lock_held();
    point.release()?;
    let state = json!({
        "lock_milliseconds": u64::try_from(lock_held.as_millis()).unwrap_or(u64::MAX),
        "threads": threads(job),
        "schemas": schemas,
        "tables": catalogue.tables.len(),
        "views": catalogue.views.len(),
        "rows": dumped.tables.values().map(|size| size.rows).sum::<u64>(),
        "bytes": dumped.files.values().sum::<u64>(),
        "accounts": options.accounts,
    });
    object(job, names::DONE, Attributes::kind(INSTANCE), &to_json(&done(dumped))?)?;
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

/// What the format has no place for: foreign servers and loadable functions, as far as the account may see them.
fn server_objects(session: &mut Session) -> Option<Notice> {
    let (script, _) = accounts::read_server_objects(session).ok()?;
    let text = "foreign servers and loadable functions are not in the dump: make them on a target before tables and views that use them are \
                restored";
    script
        .contains("CREATE ")
        .then(|| Notice::new("server-objects-left-out", text))
}

/// General tablespaces, which only MySQL has, as far as the account may see them.
fn tablespaces(session: &mut Session) -> Option<Notice> {
    if session.flavour().is_mariadb() {
        return None;
    }
    let names: Vec<String> = session
        .query(
            "SELECT NAME FROM information_schema.INNODB_TABLESPACES WHERE SPACE_TYPE = 'General' AND NAME <> 'mysql' ORDER BY 1",
        )
        .ok()?;
    let text = format!(
        "general tablespaces are not in the dump: make them (CREATE TABLESPACE) on a target before tables that lie in them are restored: {}",
        target::named(&names)
    );
    (!names.is_empty()).then(|| Notice::new("tablespaces-left-out", text))
}

/// Workers with their snapshots, none if no rows are wanted; and the accounts that there were, if they are wanted.
type Taken = (Vec<Worker>, Option<HashSet<Account>>);

/// The consistent point, and what was taken at it.
fn take(
    job: &BackupJob,
    options: &Options,
    filter: &Filter,
    session: &mut Session,
) -> Result<(ConsistentPoint, Taken), EngineError> {
    let visible: Vec<String> = session.query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")?;
    let own = |schema: &String| SYSTEM_SCHEMAS.iter().any(|own| schema.eq_ignore_ascii_case(own));
    let wanted: Vec<String> = visible
        .into_iter()
        .filter(|schema| !own(schema) && filter.schema(schema))
        .collect();
    privileges::check(session, &wanted, options.accounts)?;

    job.doing("waiting for the global read lock");
    let mut workers = Vec::new();
    if options.content != Content::Definitions {
        for _ in 0..threads(job) {
            workers.push(Worker::open(job, session)?);
        }
    }
    // Filled in if tables have to be kept from being altered one by one.
    let held: RefCell<Vec<TableName>> = RefCell::default();
    let list = |session: &mut Session| {
        let catalogue = Catalogue::read(session, filter)?;
        let tables = catalogue.tables.into_iter().map(|table| TableName {
            schema: table.schema,
            name: table.name,
        });
        *held.borrow_mut() = tables.collect();
        Ok(held.borrow().clone())
    };
    let locks = LockOptions {
        lock_wait: options.lock_wait(),
        tables: Some(&list),
    };
    ConsistentPoint::take(job, job.server(), locks, |_| {
        Worker::open_snapshots(&mut workers, &held.borrow())?;
        let accounts = match options.accounts {
            true => Some(accounts::existing(session)?),
            false => None,
        };
        Ok((workers, accounts))
    })
}

/// How many threads write objects at once.
fn threads(job: &BackupJob) -> usize {
    job.threads().min(MOST_THREADS)
}

fn done(dumped: Dumped) -> DoneFile {
    let mut done = DoneFile {
        end: instance::now(),
        data_bytes: dumped.files.values().sum(),
        chunk_file_bytes: dumped.files,
        ..DoneFile::default()
    };
    for ((schema, table), size) in dumped.tables {
        let bytes = done.table_data_bytes.entry(schema.clone()).or_default();
        bytes.insert(table.clone(), size.bytes);
        done.table_rows.entry(schema).or_default().insert(table, size.rows);
    }
    done
}

/// Writes a whole object; nothing that people read is compressed.
fn object(job: &BackupJob, name: &str, attributes: Attributes, bytes: &[u8]) -> Result<(), EngineError> {
    let mut object = job.create(name, attributes, Storage::Store)?;
    object.write_all(bytes)?;
    object.finish()?;
    Ok(())
}
