//! Recovering to a point: a backup is restored by the engine that made it, and then logs are replayed by an engine for logs.

mod again;
mod load;
mod note;

use backstay_engine_api::wire::{Call, Target};
use backstay_engine_api::{BackupKind, Notice, Operation, Position, Recovered, Restored};
use jiff::Timestamp;
use serde_json::Value;

use super::clean::Killed;
use super::restore::{Follower, Source, Terms};
use super::{Host, Observer, chosen, job_spec, options, plugin_file};
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;
use crate::recovery::{self, Holdings, LogSource, Plan, Unusable, Wanted};
use crate::repository::new_backup_id;
use crate::worker::protocol::{Assignment, SourceSpec};
use again::{brought_up_to_date, sound};
use note::{Note, target_name};

/// The engine for logs that is taken if there are several.
const PREFERRED: &str = "binlog";

/// A recovery that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The cluster.
    pub cluster: String,
    /// How far.
    pub wanted: Wanted,
    /// Only from backups by this engine.
    pub engine: Option<String>,
    /// Where to, and how the backup is restored.
    pub terms: Terms,
    /// Options of the engine for logs.
    pub log_options: Value,
}

/// How a recovery began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Began {
    /// With nothing there.
    Anew,
    /// A former one had restored the backup: only logs were replayed.
    Resumed {
        /// When that one began.
        since: String,
    },
    /// A former one was interrupted while the backup was restored: that was done again.
    Again {
        /// When that one began.
        since: String,
    },
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// How it was done.
    pub plan: Plan,
    /// How it began.
    pub began: Began,
    /// Where the target stands now.
    pub positions: Vec<Position>,
    /// How many transactions were replayed.
    pub transactions: u64,
    /// What the operator must know.
    pub notices: Vec<Notice>,
}

impl Host {
    /// How a recovery would be made. Nothing is verified, and nothing changed.
    ///
    /// # Errors
    /// There is no way to the point, or no engine for it.
    pub fn plan_recovery(&self, request: &Request) -> Result<Plan> {
        let plan = recovery::plan(&self.usable(request)?, &request.wanted)?;
        if !plan.logs.is_empty() {
            self.log_engine(&request.terms.target)?;
        }
        Ok(plan)
    }

    fn usable(&self, request: &Request) -> Result<Holdings> {
        let mut holdings = self.holdings(&request.cluster)?;
        self.rule_out(&mut holdings, request.engine.as_deref(), &request.terms);
        Ok(holdings)
    }

    /// Recovers to a point. Logs are verified before the target is touched, and what is found damaged is left out and planned
    /// around.
    ///
    /// # Errors
    /// There is no way to the point, or the target is refused: then nothing was changed. Or an engine failed; the same request made again
    /// goes on where it can.
    pub fn recover(&self, request: &Request, observer: &mut dyn Observer) -> Result<Done> {
        let target = &request.terms.target;
        let private = request.terms.private.is_some();
        let under_way = match request.terms.overwrite || private {
            true => None,
            false => self.recovery_under_way(&request.cluster, target)?,
        };
        let mut under_way = under_way.filter(|note| note.plan.point == request.wanted.point);
        if let Some(note) = &under_way
            && let Some(from) = &note.restored
        {
            let server = self.recovered_server(request);
            if note.server.is_none() || server.is_none() || note.server == server {
                return self.resume(request, note, from.clone(), observer);
            }
            tracing::warn!(
                "the recovery that began at {} was to another server at this address: it is made anew",
                note.began
            );
            under_way = None;
        }
        let mut holdings = self.usable(request)?;
        loop {
            let plan = match &under_way {
                // The same backup again, so that an engine can go on where it was.
                Some(note) if sound(&holdings, &note.plan) => brought_up_to_date(note, &holdings, &request.wanted),
                _ => recovery::plan(&holdings, &request.wanted)?,
            };
            let replicates = self.would_replicate(request, &plan);
            let logs = match plan.logs.is_empty() {
                true => self.forgetting_engine(&plan, target).filter(|_| replicates.is_some()),
                false => Some(self.log_engine(target)?),
            };
            if let Some(logs) = logs {
                options::check(logs, &request.log_options)?;
            }
            let damaged = self.verify_logs(&request.cluster, &plan, request.terms.threads, observer)?;
            if !damaged.is_empty() {
                for (name, why) in damaged {
                    leave_out(&mut holdings, name, why);
                }
                continue;
            }
            let mut note = Note::new(target, &plan);
            if !private {
                self.note_recovery(&request.cluster, target, &note);
            }
            let restored = match self.restore_chain(request, &plan, observer) {
                Ok(restored) => restored,
                Err(error) => {
                    let refused = matches!(error.kind, ErrorKind::Damaged | ErrorKind::Refused | ErrorKind::Usage);
                    if refused && under_way.is_none() {
                        // Nothing was done to the target.
                        self.forget_recovery(&request.cluster, target);
                    }
                    if error.kind == ErrorKind::Damaged
                        && let Some((name, why)) = self.damaged_link(&request.cluster, &plan, request.terms.threads)?
                    {
                        leave_out(&mut holdings, name, why);
                        continue;
                    }
                    return Err(match &under_way {
                        Some(note) if error.kind == ErrorKind::Refused => error.detail(format!(
                            "a recovery that began at {} was interrupted while it restored to {}: with `--overwrite`, what it has \
                             left is replaced",
                            note.began, note.target
                        )),
                        _ => error,
                    });
                }
            };
            let from = if restored.positions.is_empty() {
                plan.from.clone()
            } else {
                restored.positions.clone()
            };
            note.restored = Some(from.clone());
            note.notices.clone_from(&restored.notices);
            let began = match under_way {
                None => Began::Anew,
                Some(note) => Began::Again { since: note.began },
            };
            let mut done = Done {
                positions: from.clone(),
                transactions: 0,
                notices: plan.notes.iter().cloned().chain(restored.notices).collect(),
                plan,
                began,
            };
            if let (None, Some(source)) = (logs, replicates) {
                done.notices.push(source_kept(&source));
            }
            if let Some(logs) = logs {
                if !private {
                    note.server = self.recovered_server(request);
                    self.note_recovery(&request.cluster, target, &note);
                }
                self.replay_into(request, logs, from, &mut done, observer)?;
            }
            if !private {
                self.forget_recovery(&request.cluster, target);
            }
            return Ok(done);
        }
    }

    /// Which server it is that is recovered to. None for a data directory, and where the engine for logs can not tell.
    fn recovered_server(&self, request: &Request) -> Option<String> {
        let Target::Server(server) = &request.terms.target else {
            return None;
        };
        let logs = self.log_engine(&request.terms.target).ok()?;
        if !logs.manifest.has(Operation::Probe) {
            return None;
        }
        let facts = self.probe(&request.cluster, logs, server.clone(), &request.log_options);
        let identity = facts.ok()?.identity;
        // Other parts of an identity, such as a number among replicas, a replay changes for its time.
        let own = ["server_uuid", "server_uid"];
        own.iter()
            .find_map(|name| identity.get(*name)?.as_str().map(str::to_owned))
    }

    /// The source, for people, from which a server that is started on the restored data directory would go on beyond the point.
    fn would_replicate(&self, request: &Request, plan: &Plan) -> Option<String> {
        let Target::DataDir { .. } = &request.terms.target else {
            return None;
        };
        if request.terms.private.is_some() {
            // Its server does not replicate, and goes with its directory.
            return None;
        }
        let restored = self.repository.backup(&request.cluster, plan.chain.last()?).ok()?;
        let replication = restored.record.server.replication;
        if replication.is_empty() {
            return None;
        }
        let channel = replication.get("channels").and_then(|channels| channels.get(0));
        let host = channel.and_then(|channel| channel.get("source_host"));
        Some(host.and_then(Value::as_str).unwrap_or("its source").to_owned())
    }

    /// The engine for logs, if there is one for the database that the plan's backup is of.
    fn forgetting_engine(&self, plan: &Plan, target: &Target) -> Option<&Inspected> {
        let databases = &self
            .workers
            .engine(&plan.engine, Operation::Restore)
            .ok()?
            .manifest
            .databases;
        let logs = self.log_engine(target).ok()?;
        let of_all = databases.is_empty() || logs.manifest.databases.is_empty();
        let shared = databases
            .iter()
            .any(|database| logs.manifest.databases.contains(database));
        (of_all || shared).then_some(logs)
    }

    /// Goes on with a recovery whose backup is restored.
    fn resume(&self, request: &Request, note: &Note, from: Vec<Position>, observer: &mut dyn Observer) -> Result<Done> {
        let target = &request.terms.target;
        observer.stage(&format!(
            "going on with the recovery that began at {}: {} is restored there already",
            note.began,
            note.plan.chain.join(", ")
        ));
        let logs = self.log_engine(target)?;
        options::check(logs, &request.log_options)?;
        let plan = brought_up_to_date(note, &self.usable(request)?, &request.wanted);
        let damaged = self.verify_logs(&request.cluster, &plan, request.terms.threads, observer)?;
        if let Some((name, why)) = damaged.into_iter().next() {
            return Err(Error::new(ErrorKind::Damaged, format!("{name} is damaged: {why}"))
                .advise("recover anew with `--overwrite`: another way is planned then"));
        }
        if plan != note.plan {
            let plan = plan.clone();
            self.note_recovery(&request.cluster, target, &Note { plan, ..note.clone() });
        }
        let mut done = Done {
            began: Began::Resumed {
                since: note.began.clone(),
            },
            positions: from.clone(),
            transactions: 0,
            notices: plan.notes.iter().chain(&note.notices).cloned().collect(),
            plan,
        };
        self.replay_into(request, logs, from, &mut done, observer)?;
        self.forget_recovery(&request.cluster, target);
        Ok(done)
    }

    fn restore_chain(&self, request: &Request, plan: &Plan, observer: &mut dyn Observer) -> Result<Restored> {
        let mut terms = request.terms.clone();
        let plugin = self.workers.engine(&plan.engine, Operation::Restore)?;
        if !plan.logs.is_empty() {
            set_gtids(plugin, &mut terms.options);
        }
        let spec = |id: &String| SourceSpec::Backup {
            cluster: request.cluster.clone(),
            id: id.clone(),
        };
        let records = plan.chain.iter().map(|id| self.repository.backup(&request.cluster, id));
        let source = Source {
            name: plan.chain.join(", "),
            cluster: request.cluster.clone(),
            repository: Some(self.repository.url().to_owned()),
            chain: records
                .map(|manifest| manifest.map(|manifest| manifest.record))
                .collect::<Result<_>>()?,
            specs: plan.chain.iter().map(spec).collect(),
        };
        self.workers.run_restore(plugin, source, &terms, observer)
    }

    /// Replays a plan's logs, and notes in `done` what came of it.
    fn replay_into(
        &self,
        request: &Request,
        plugin: &Inspected,
        from: Vec<Position>,
        done: &mut Done,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let workers = &self.workers;
        let (cluster, terms) = (&request.cluster, &request.terms);
        let engine = &plugin.manifest.name;
        let id = new_backup_id(Timestamp::now(), BackupKind::Full, engine).replace("-full-", "-recover-");
        let scratch = terms.scratch(&id)?;
        let threads = workers.threads(terms.threads);
        let spec = |source: &LogSource| match source {
            LogSource::Backup { id } => SourceSpec::Backup {
                cluster: cluster.clone(),
                id: id.clone(),
            },
            LogSource::Archive { stream, segment } => SourceSpec::Segment {
                cluster: cluster.clone(),
                stream: stream.clone(),
                name: segment.clone(),
            },
        };
        let steps = &done.plan.logs;
        // A backup that was deleted since it was restored says nothing any more.
        let restored_from = done
            .plan
            .chain
            .last()
            .and_then(|last| self.repository.backup(cluster, last).ok())
            .map(|manifest| manifest.record.server)
            .unwrap_or_default();
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::Recover {
                job: job_spec(&id, cluster, request.log_options.clone(), scratch.path(), threads),
                target: terms.target.clone(),
                from,
                point: done.plan.point.clone(),
                logs: steps.iter().map(|step| step.segment.clone()).collect(),
                source: restored_from,
            },
            repository: Some(self.repository.url().to_owned()),
            sink: None,
            pieces: None,
            sources: steps.iter().map(|step| spec(&step.source)).collect(),
            threads,
        };
        observer.stage(&match steps.is_empty() {
            true => format!(
                "seeing to it that {} replicates from nowhere",
                target_name(&terms.target)
            ),
            false => format!("replaying the log to {}", done.plan.point),
        });
        let ended = workers.run_worker(assignment, terms.deadline, &mut Follower { observer })?;
        if ended.died || !ended.sessions.is_empty() {
            let server = match &terms.target {
                Target::Server(server) => Some(server),
                Target::DataDir { .. } => None,
            };
            let killed = Killed {
                id: &id,
                cluster,
                server,
                sessions: ended.sessions.iter().cloned().collect(),
                options: request.log_options.clone(),
            };
            workers.clean_up(plugin, killed);
        }
        let recovered: Recovered = ended
            .result
            .and_then(|value| {
                serde_json::from_value(value)
                    .map_err(|error| Error::other("the engine's answer has an unexpected shape").because(&error))
            })
            .map_err(|error| {
                if terms.private.is_some() {
                    return error;
                }
                error.detail(format!(
                    "{} is restored to {}, and the replay is not over: the same command goes on with it",
                    done.plan.chain.join(", "),
                    target_name(&terms.target)
                ))
            })?;
        if !recovered.positions.is_empty() {
            done.positions = recovered.positions;
        }
        done.transactions = recovered.transactions;
        done.notices.extend(recovered.notices);
        Ok(())
    }

    /// The engine that replays logs onto such a target.
    fn log_engine(&self, target: &Target) -> Result<&Inspected> {
        let (kind, scheme) = match target {
            Target::Server(server) => (backstay_engine_api::TargetKind::Server, Some(&server.scheme)),
            Target::DataDir { .. } => (backstay_engine_api::TargetKind::DataDir, None),
        };
        let mut fitting: Vec<&Inspected> = self
            .workers
            .plugins
            .engines()
            .filter(|plugin| {
                let manifest = &plugin.manifest;
                manifest.has(Operation::Recover)
                    && manifest.restores_to.contains(&kind)
                    && scheme.is_none_or(|scheme| manifest.databases.is_empty() || manifest.databases.contains(scheme))
            })
            .collect();
        fitting.sort_by_key(|plugin| (plugin.manifest.name != PREFERRED, plugin.manifest.name.clone()));
        let first = fitting.first().copied().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "logs have to be replayed, and there is no engine here that does that on such a target",
            )
            .advise(format!(
                "install the engine `{PREFERRED}`; `backstay engines list` shows those that there are"
            ))
        })?;
        chosen(first)
    }
}

/// What to do about a source that nobody here could take away.
fn source_kept(source: &str) -> Notice {
    let text = format!(
        "the backup is of a replica of {source}, from where a server that is started on it goes on beyond the point: start it so that it \
         does not replicate at once, and remove its configuration as a replica; with an engine for logs, such as `{PREFERRED}`, a \
         recovery does that"
    );
    Notice::new("replica-configuration-kept", text).about(source)
}

fn leave_out(holdings: &mut Holdings, name: String, why: String) {
    tracing::warn!("{name} is damaged and left out; looking for another way: {why}");
    holdings.unusable.insert(name, Unusable::Damaged(why));
}

/// An engine that can leave the server's GTID state alone is told to set it, for replay goes on from there: by convention its
/// option is `gtid = "set"`.
fn set_gtids(plugin: &Inspected, options: &mut Value) {
    let choices = plugin
        .options_schema
        .pointer("/properties/gtid/enum")
        .and_then(Value::as_array);
    if choices.is_some_and(|choices| choices.iter().any(|choice| choice == "set")) {
        if options.is_null() {
            *options = Value::Object(serde_json::Map::new());
        }
        if let Some(options) = options.as_object_mut() {
            options.entry("gtid").or_insert_with(|| Value::from("set"));
        }
    }
}
