//! From the private server to the target: a backup of the chosen tables into a repository of the job's own, and its restore.

use std::collections::BTreeSet;

use backstay_engine_api::wire::Call;
use backstay_engine_api::{BackupKind, BackupRecord, Notice, Outcome, Selection, Server, TablePattern, TableRef};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

use super::super::backup::{Made, manifest_of};
use super::super::clean::Killed;
use super::super::restore::{Follower, Source, Terms};
use super::super::{Host, Observer, job_spec, plugin_file};
use super::work::Work;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::SinkOptions;
use crate::plugin::Inspected;
use crate::repository::{JobRef, Purpose, Repository, new_backup_id};
use crate::worker::protocol::{Assignment, SinkSpec, SourceSpec};

/// The copy is read once, and soon.
const LEVEL: i32 = 1;

/// Tables on their way.
pub(super) struct Copied {
    repository: Repository,
    record: BackupRecord,
    /// Which.
    pub(super) tables: Vec<TableRef>,
}

impl Host {
    /// Takes the chosen tables off the private server.
    ///
    /// # Errors
    /// One of them is not there ([`ErrorKind::Usage`]), or anything that keeps the copy from being whole.
    pub(super) fn copy_out(
        &self,
        plugin: &Inspected,
        work: &Work,
        server: Server,
        cluster: &str,
        terms: &Terms,
        observer: &mut dyn Observer,
    ) -> Result<Copied> {
        let url = Url::from_directory_path(work.copy()).map_err(|()| {
            Error::new(
                ErrorKind::Usage,
                format!("{} is no absolute path", work.path().display()),
            )
        })?;
        let repository = Repository::init(url.as_str().trim_end_matches('/'), self.workers.runtime.handle())?;
        let engine = &plugin.manifest.name;
        let started = Timestamp::now();
        let id = new_backup_id(started, BackupKind::Full, engine);
        let job = JobRef {
            id: id.clone(),
            engine: engine.clone(),
            workflow: None,
        };
        let (lock, _) = repository.lock(cluster, Purpose::Backup, job)?;
        let scratch = terms.scratch(&id)?;
        let threads = self.workers.threads(terms.threads);
        let texts = |patterns: &[TablePattern]| json!(patterns.iter().map(ToString::to_string).collect::<Vec<_>>());
        let options = known(
            plugin,
            [
                ("include_tables", texts(&terms.selection.include)),
                ("exclude_tables", texts(&terms.selection.exclude)),
                ("accounts", json!(false)),
            ],
        );
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::FullBackup {
                job: job_spec(&id, cluster, options.clone(), scratch.path(), threads),
                server: server.clone(),
            },
            repository: Some(repository.url().to_owned()),
            sink: Some(SinkSpec {
                cluster: cluster.to_owned(),
                id: id.clone(),
                options: SinkOptions {
                    threads,
                    level: LEVEL,
                    ..SinkOptions::default()
                },
            }),
            pieces: None,
            sources: Vec::new(),
            threads,
        };
        observer.stage("reading the tables");
        let ended = self
            .workers
            .run_worker(assignment, terms.deadline, &mut Follower { observer })?;
        let outcome: Outcome = serde_json::from_value(ended.result?)
            .map_err(|error| Error::other("the engine's outcome has an unexpected shape").because(&error))?;
        let (Outcome::Usable(usable), Some(index)) = (outcome, ended.index) else {
            return Err(Error::other(format!("engine `{engine}` has copied nothing"))
                .advise("this is a fault of the engine's; report it to its vendor"));
        };
        let manifest = manifest_of(
            plugin,
            Made {
                id,
                cluster: cluster.to_owned(),
                workflow: None,
                kind: BackupKind::Full,
                parent: None,
                started,
                usable,
                index,
            },
        )?;
        repository.commit(&manifest, &lock)?;
        lock.release()?;
        let tables: BTreeSet<TableRef> = repository
            .read_index(&manifest)?
            .entries()
            .filter_map(|entry| Some(TableRef::new(entry.attributes.schema?, entry.attributes.table?)))
            .collect();
        Ok(Copied {
            repository,
            record: manifest.record,
            tables: tables.into_iter().collect(),
        })
    }

    /// Puts them on the target.
    ///
    /// # Errors
    /// They are in the way of what is there, or the target refuses.
    pub(super) fn copy_in(
        &self,
        plugin: &Inspected,
        copied: &Copied,
        terms: &Terms,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Notice>> {
        let cluster = &copied.record.cluster;
        let into = terms.selection.into_schema.clone();
        // A table of the same name is a living one then.
        let living = |table: &TableRef| {
            into.as_ref()
                .is_none_or(|into| into.eq_ignore_ascii_case(&table.schema))
        };
        let terms = Terms {
            overwrite: terms.overwrite && !copied.tables.iter().any(living),
            selection: Selection {
                include: copied.tables.iter().map(pattern).collect::<Result<_>>()?,
                exclude: Vec::new(),
                into_schema: into.clone(),
            },
            options: known(plugin, [("beside", json!(true))]),
            ..terms.clone()
        };
        let source = Source {
            name: format!("{} tables", copied.tables.len()),
            cluster: cluster.clone(),
            repository: Some(copied.repository.url().to_owned()),
            chain: vec![copied.record.clone()],
            specs: vec![SourceSpec::Backup {
                cluster: cluster.clone(),
                id: copied.record.id.clone(),
            }],
        };
        let restored = self.workers.run_restore(plugin, source, &terms, observer)?;
        Ok(restored.notices)
    }

    /// Ends what a worker has left on a server that others use.
    pub(super) fn tidy_up(
        &self,
        plugin: &Inspected,
        id: &str,
        cluster: &str,
        server: &Server,
        sessions: &BTreeSet<String>,
    ) {
        let killed = Killed {
            id,
            cluster,
            server: Some(server),
            sessions: sessions.iter().cloned().collect(),
            options: Value::Object(Map::new()),
        };
        self.workers.clean_up(plugin, killed);
    }
}

/// Options of these that an engine has.
fn known<const N: usize>(plugin: &Inspected, wanted: [(&str, Value); N]) -> Value {
    let has = |name: &str| plugin.options_schema.pointer(&format!("/properties/{name}")).is_some();
    let options = wanted.into_iter().filter(|(name, _)| has(name));
    Value::Object(options.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The pattern that fits just this table.
fn pattern(table: &TableRef) -> Result<TablePattern> {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    format!("{}.{}", quoted(&table.schema), quoted(&table.table))
        .parse()
        .map_err(|error: backstay_engine_api::BadPattern| Error::other(error.to_string()))
}
