//! Tables at a point, beside those that live: the whole recovery happens in a private copy, and then the rows of the chosen tables come
//! into a schema of the target's.
//!
//! The copy is a data directory of the job's own ([`work`]): the plan's chain is restored and its log replayed there, as into any data
//! directory; for engines that know servers alone, an engine runs one on it meanwhile ([`serving`]). Then a server runs on the copy
//! once more, and the tables go from there to the target as a backup and its restore ([`copy`]). What differs between the rescued
//! tables and the living ones is asked of the target at the end. The living tables are only read.

mod copy;
mod missing;
mod serving;
mod work;

use std::path::{Path, PathBuf};

use backstay_engine_api::wire::{Call, Target};
use backstay_engine_api::{
    BackupKind, BackupRecord, EngineKind, Notice, Operation, Selection, Server, TableComparison, TablePair, TableRef,
    TargetKind,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::restore::{Follower, Private, Terms};
use super::{Host, Observer, chosen, job_spec, plugin_file, recover};
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;
use crate::recovery::Plan;
use crate::repository::new_backup_id;
use crate::worker::protocol::Assignment;
pub(super) use serving::Data;
use work::Work;

/// The engine that copies tables and runs servers, if there are several.
const PREFERRED: &str = "mysqlshell";
/// What a new server has before anything is loaded into it, in bytes.
const NEW_SERVER: u64 = 256 << 20;

/// Tables that are asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// How far, and from what. Its terms say which server the tables come to, which tables, and under which schema.
    pub recovery: recover::Request,
    /// Directories of the server's programs, for the private copy.
    pub programs: Vec<PathBuf>,
    /// Where the private copy is made; `None` for the system's directory for temporary files.
    pub work_dir: Option<PathBuf>,
}

/// How it would be done.
#[derive(Debug, Clone)]
pub struct Planned {
    /// How the private copy gets to the point.
    pub plan: Plan,
    /// Below which directory it is made.
    pub work_dir: PathBuf,
    /// How much room it needs there at least, in bytes.
    pub needed_bytes: u64,
    /// The engine that copies the tables.
    pub copied_by: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// How the private copy got to the point, and what the operator must know.
    pub recovery: recover::Done,
    /// Each table: the left one is the rescued one, the right one lives. A table that came under its own name is compared with
    /// none.
    pub tables: Vec<TableComparison>,
    /// What of the tables is not as it was.
    pub notices: Vec<Notice>,
}

impl Host {
    /// How tables would be rescued. Nothing is verified, and nothing changed.
    ///
    /// # Errors
    /// There is no way to the point, no engine for it, no room for the private copy, or something is in the way on the target.
    pub fn plan_rescue(&self, request: &Request) -> Result<Planned> {
        let (server, plugin) = self.rescue_to(request)?;
        self.refuse_in_the_way(plugin, server, request)?;
        self.planned(plugin, request)
    }

    /// Rescues tables.
    ///
    /// # Errors
    /// As [`plan_rescue`](Self::plan_rescue), and [`recover`](Self::recover). Until the tables are copied, the target was only read.
    pub fn rescue(&self, request: &Request, observer: &mut dyn Observer) -> Result<Done> {
        let (server, plugin) = self.rescue_to(request)?;
        self.refuse_in_the_way(plugin, server, request)?;
        let planned = self.planned(plugin, request)?;
        let work = Work::make(&planned.work_dir)?;
        let inside = self.inside(plugin, work.path(), request);
        let mut recovered = self.recover(&inside, observer)?;
        // Those of the private server are nobody's.
        recovered.notices.retain(|notice| !notice.code.starts_with("account"));

        let outer = &request.recovery;
        let cluster = &outer.cluster;
        let terms = Terms {
            private: inside.terms.private.clone(),
            ..outer.terms.clone()
        };
        let private = terms.private.as_ref().ok_or_else(|| Error::other("no private copy"))?;
        observer.stage("starting a private server");
        let source = self.last_of(cluster, &recovered.plan)?;
        let data = work.data();
        let serving = self.workers.serve(
            private,
            Data {
                cluster,
                path: &data,
                programs: &request.programs,
                source: &source.server,
            },
        )?;
        let copied = self.copy_out(plugin, &work, serving.server().clone(), cluster, &terms, observer);
        // Its data is not needed any more, in whatever state it stops.
        drop(serving);
        let copied = copied.map_err(|error| match error.kind {
            ErrorKind::Usage => self.with_history(cluster, &outer.terms.selection, error),
            _ => error,
        })?;
        let _ = std::fs::remove_dir_all(&data);

        let notices = self.copy_in(plugin, &copied, &terms, observer)?;
        observer.stage("comparing");
        let pairs = copied
            .tables
            .iter()
            .map(|table| pair(&terms.selection, table))
            .collect();
        let tables = self.compare(plugin, server, cluster, &terms, pairs, true, observer)?;
        Ok(Done {
            recovery: recovered,
            tables,
            notices,
        })
    }

    /// The server that tables come to, and the engine that copies them.
    fn rescue_to<'a>(&'a self, request: &'a Request) -> Result<(&'a Server, &'a Inspected)> {
        let Target::Server(server) = &request.recovery.terms.target else {
            return Err(Error::new(
                ErrorKind::Usage,
                "single tables are recovered to a running server, and the target is a directory",
            )
            .advise("use `--to-server URL`, or recover everything into the directory"));
        };
        let fits = |plugin: &&Inspected| {
            let manifest = &plugin.manifest;
            let needed = [
                Operation::FullBackup,
                Operation::Restore,
                Operation::Serve,
                Operation::Compare,
            ];
            needed.into_iter().all(|operation| manifest.has(operation))
                && manifest.kind == EngineKind::Logical
                && manifest.selects_tables
                && manifest.renames_schema
                && manifest.restores_to.contains(&TargetKind::Server)
                && plugin.options_schema.pointer("/properties/include_tables").is_some()
                && (manifest.databases.is_empty() || manifest.databases.contains(&server.scheme))
        };
        let mut fitting: Vec<&Inspected> = self.workers.plugins.engines().filter(fits).collect();
        fitting.sort_by_key(|plugin| (plugin.manifest.name != PREFERRED, plugin.manifest.name.clone()));
        let plugin = fitting.first().copied().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("there is no engine here that copies tables to {}", server.name),
            )
            .advise(format!(
                "install the engine `{PREFERRED}`; `backstay engines list` shows those that there are"
            ))
        })?;
        Ok((server, chosen(plugin)?))
    }

    /// The recovery of the private copy.
    fn inside(&self, plugin: &Inspected, work: &Path, request: &Request) -> recover::Request {
        let outer = &request.recovery;
        recover::Request {
            terms: Terms {
                target: Target::DataDir {
                    path: work.join("data"),
                    programs: request.programs.clone(),
                },
                overwrite: false,
                selection: Selection::default(),
                private: Some(Private {
                    directory: work.to_owned(),
                    serves: plugin.manifest.name.clone(),
                }),
                ..outer.terms.clone()
            },
            ..outer.clone()
        }
    }

    fn planned(&self, plugin: &Inspected, request: &Request) -> Result<Planned> {
        let given = request.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let work_dir = std::fs::canonicalize(&given).map_err(|error| {
            Error::new(
                ErrorKind::Usage,
                format!("the directory {} can not be used", given.display()),
            )
            .because(&error)
            .advise("name one that is there: --work-dir DIR")
        })?;
        let plan = self.plan_recovery(&self.inside(plugin, &work_dir, request))?;
        let mut needed = plan.log_bytes;
        for id in &plan.chain {
            let record = self.repository.backup(&request.recovery.cluster, id)?.record;
            needed = needed.saturating_add(record.bytes);
        }
        if self.workers.plugins.find(&plan.engine)?.manifest.kind == EngineKind::Logical {
            needed = needed.saturating_add(NEW_SERVER);
        }
        work::check_room(&work_dir, needed)?;
        Ok(Planned {
            plan,
            work_dir,
            needed_bytes: needed,
            copied_by: plugin.manifest.name.clone(),
        })
    }

    fn last_of(&self, cluster: &str, plan: &Plan) -> Result<BackupRecord> {
        let last = plan
            .chain
            .last()
            .ok_or_else(|| Error::other("the plan restores nothing"))?;
        Ok(self.repository.backup(cluster, last)?.record)
    }

    /// Before the long way begins: is the place free where the tables go? Names with wildcards are known only at the end.
    fn refuse_in_the_way(&self, plugin: &Inspected, server: &Server, request: &Request) -> Result<()> {
        let terms = &request.recovery.terms;
        let named = terms.selection.include.iter().filter_map(|pattern| pattern.exact());
        let pairs: Vec<TablePair> = named
            .map(|(schema, table)| pair(&terms.selection, &TableRef::new(schema, table)))
            .collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let there = self.compare(
            plugin,
            server,
            &request.recovery.cluster,
            terms,
            pairs,
            false,
            &mut super::NoObserver,
        )?;
        for table in there.iter().filter(|table| table.left_kind.is_some()) {
            if table.left.schema.eq_ignore_ascii_case(&table.right.schema) {
                return Err(
                    Error::refused(format!("{} lives on {}", table.right, server.name)).advise(
                        "put the rescued table beside it with `--as-schema SCHEMA`; the living one is never replaced",
                    ),
                );
            }
            if !terms.overwrite {
                return Err(Error::refused(format!("{} has {} already", server.name, table.left))
                    .advise("choose another schema with `--as-schema`, or replace what is there with `--overwrite`"));
            }
        }
        Ok(())
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "each is another thing, and there are two callers"
    )]
    fn compare(
        &self,
        plugin: &Inspected,
        server: &Server,
        cluster: &str,
        terms: &Terms,
        tables: Vec<TablePair>,
        rows: bool,
        observer: &mut dyn Observer,
    ) -> Result<Vec<TableComparison>> {
        let engine = &plugin.manifest.name;
        let id = new_backup_id(Timestamp::now(), BackupKind::Full, engine).replace("-full-", "-compare-");
        let scratch = terms.scratch(&id)?;
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::Compare {
                job: job_spec(&id, cluster, Value::Object(Map::new()), scratch.path(), 1),
                server: server.clone(),
                tables,
                rows,
            },
            repository: None,
            sink: None,
            pieces: None,
            sources: Vec::new(),
            threads: 1,
        };
        let ended = self
            .workers
            .run_worker(assignment, terms.deadline, &mut Follower { observer })?;
        if ended.died || !ended.sessions.is_empty() {
            self.tidy_up(plugin, &id, cluster, server, &ended.sessions);
        }
        serde_json::from_value(ended.result?)
            .map_err(|error| Error::other("the engine's comparison has an unexpected shape").because(&error))
    }
}

/// Where a table comes to, and where it lives.
fn pair(selection: &Selection, table: &TableRef) -> TablePair {
    TablePair {
        left: TableRef::new(selection.target_schema(&table.schema), &table.table),
        right: table.clone(),
    }
}
