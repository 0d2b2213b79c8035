//! A restore to a server.
//!
//! Everything that can be refused is refused before the first change: another family's server, user schemas or tables that
//! are in the way, patterns that fit nothing. Then comes what only adds (accounts), then the client's login, and only when
//! all that has gone well is anything dropped. Sections are fed to the client in the dump's order (see [`feed`]).

mod feed;
mod in_the_way;
mod plan;
mod triggers;

use std::io::Read as _;

use backstay_engine_api::job::{ChainLink, Target};
use backstay_engine_api::{BackupKind, EngineError, ErrorKind, Notice, ObjectInfo, RestoreJob, Restored};
use backstay_mysql::accounts::{Accounts, Restorer, restore_server_objects};
use backstay_mysql::programs::{self, Tool};
use backstay_mysql::{Program, Session, gtid_state, quote_identifier, target};

use crate::backup::{ACCOUNTS, SERVER_OBJECTS};
use crate::options::{Gtid, Options};
use crate::section::{Kind, Section};
use feed::Feed;
use plan::Plan;

/// The largest accounts object that is read into memory, in bytes.
const MAX_ACCOUNTS: u64 = 256 << 20;

/// Nothing that a session does is written to the target's binary log.
const NO_BINARY_LOG: &str = "SET SESSION sql_log_bin = 0";

/// What the steps of a restore share.
struct Restore<'a> {
    job: &'a RestoreJob,
    link: &'a ChainLink,
    options: Options,
    session: Session,
    program: Program,
}

/// Restores what the job selects.
///
/// # Errors
/// [`ErrorKind::Refused`] before anything is changed; otherwise the client's error with the object in which it arose.
pub(crate) fn restore(job: &RestoreJob) -> Result<Restored, EngineError> {
    let options: Options = job.options()?;
    let link = only_link(job.chain())?;
    let Target::Server(server) = job.target() else {
        return Err(
            EngineError::refused("a dump is loaded into a server, and the target is a data directory")
                .advise("start a server on an empty data directory and restore to it"),
        );
    };
    let mut session = Session::connect(server)?;
    let plan = Plan::read(link)?;
    target::check_family(&session, link.record(), job.selection().is_everything())?;
    let program = programs::find(Tool::Client, session.flavour(), &server.programs)?;
    if options.skip_binary_log {
        session.run(NO_BINARY_LOG)?;
    }
    let mut restore = Restore {
        job,
        link,
        options,
        session,
        program,
    };
    if job.selection().is_everything() {
        restore.everything(&plan)
    } else {
        restore.selected(&plan)
    }
}

fn only_link(chain: &[ChainLink]) -> Result<&ChainLink, EngineError> {
    match chain {
        [link] if link.record().kind == BackupKind::Full && link.record().engine.name == crate::NAME => Ok(link),
        _ => Err(EngineError::refused(format!(
            "expected one full backup of the engine {}, found {}",
            crate::NAME,
            chain
                .iter()
                .map(|link| format!("{} (of {})", link.record().id, link.record().engine.name))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

impl Restore<'_> {
    fn everything(&mut self, plan: &Plan) -> Result<Restored, EngineError> {
        let schemas: Vec<&str> = plan
            .of_kind(Kind::Schema)
            .map(|part| part.section.schema.as_str())
            .collect();
        target::refuse_occupied(&mut self.session, self.job.overwrite())?;
        target::check_names(&mut self.session, self.link.record())?;
        let set_gtid = self.options.gtid == Gtid::Set;
        if set_gtid {
            gtid_state::check(&mut self.session, self.link.record(), &schemas)?;
        }
        let events_held = set_gtid && gtid_state::events_run(&mut self.session)?;
        if events_held {
            gtid_state::hold_events(self.job, &mut self.session)?;
        }
        let restored = self.all_of(plan, &schemas, set_gtid);
        if !events_held {
            return restored;
        }
        let mut restored = restored.map_err(gtid_state::while_events_are_held)?;
        restored.notices.extend(gtid_state::held_events(&mut self.session)?);
        Ok(restored)
    }

    fn all_of(&mut self, plan: &Plan, schemas: &[&str], set_gtid: bool) -> Result<Restored, EngineError> {
        self.job.expect(Some(plan.bytes()), Some(plan.parts.len() as u64));

        let mut restorer = Restorer::default();
        if self.options.accounts {
            self.job.doing("restoring accounts");
            if let Some(text) = self.text_of(plan.other(ACCOUNTS))? {
                restorer = Restorer::create(&mut self.session, &Accounts::from_script(&text)?)?;
            }
            if let Some(text) = self.text_of(plan.other(SERVER_OBJECTS))? {
                restorer
                    .notices
                    .extend(restore_server_objects(&mut self.session, &text)?);
            }
        }
        let mut dropper = self.session.another()?;
        let guard = self.job.guard(dropper.guard_name(dropper.connection_id()))?;
        if self.options.skip_binary_log {
            dropper.run(NO_BINARY_LOG)?;
        }
        // Views last, and by a client of their own: what they are made of must be granted to their definers first.
        let is_view = |kind| matches!(kind, Kind::Views | Kind::View);
        for views in [false, true] {
            let parts = || plan.body().filter(move |part| is_view(part.section.kind) == views);
            if parts().next().is_some() {
                let mut feed = Feed::start(self)?;
                feed.parts(plan.of_kind(Kind::Header))?;
                if !views {
                    target::drop_schemas(self.job, &mut dropper, schemas)?;
                }
                feed.parts(parts())?;
                feed.parts(plan.of_kind(Kind::Footer))?;
                feed.finish()?;
            }
            restorer.grant_more(&mut self.session)?;
        }
        drop((dropper, guard));
        let mut notices = restorer.finish();
        let positions = if set_gtid {
            gtid_state::set(&mut self.session, self.link.record())?
        } else {
            notices.extend(gtid_state::unset_notice(self.link.record()));
            gtid_state::replayable(self.link.record())
        };
        Ok(Restored { positions, notices })
    }

    fn selected(&mut self, plan: &Plan) -> Result<Restored, EngineError> {
        let selection = self.job.selection();
        let chosen = plan.select(selection)?;
        in_the_way::refuse_in_the_way(&mut self.session, &chosen, selection, self.job.overwrite())?;
        let parts: Vec<&plan::Part> = chosen.iter().map(|(_, part)| *part).collect();
        self.job
            .expect(Some(parts.iter().map(|part| part.size).sum()), Some(parts.len() as u64));
        for (schema, from) in plan::target_schemas(&chosen) {
            if !target::has_schema(&mut self.session, schema)? {
                let create = self.create_schema(plan, schema, from)?;
                self.session.run(create)?;
            }
        }
        let mut feed = Feed::start(self)?;
        feed.parts(plan.of_kind(Kind::Header))?;
        let mut notices = Vec::new();
        let mut schema = "";
        for (target, part) in &chosen {
            if schema != *target {
                feed.text(&format!("USE {};\n", quote_identifier(target)))?;
                schema = target;
            }
            let Section { kind, schema, name } = &part.section;
            if *kind != Kind::Table || schema == target {
                feed.part(part)?;
            } else if feed.without_triggers(part)? {
                let text = format!("its triggers were left out: they are those of {schema}.{name}");
                notices.push(Notice::new("triggers-left-out", text).about(format!("{target}.{name}")));
            }
        }
        feed.parts(plan.of_kind(Kind::Footer))?;
        feed.finish()?;
        for (target, part) in &chosen {
            let Section { kind, schema, name } = &part.section;
            if *kind == Kind::View && schema != target {
                let text =
                    format!("the view may go on reading from {schema}: names of schemas in its text are as they were");
                notices.push(Notice::new("view-refers", text).about(format!("{target}.{name}")));
            }
        }
        Ok(Restored {
            positions: Vec::new(),
            notices,
        })
    }

    /// `CREATE DATABASE` as the backup has it for `from`, under the name `schema`: same character set and collation.
    fn create_schema(&self, plan: &Plan, schema: &str, from: &str) -> Result<String, EngineError> {
        let part = plan.of_kind(Kind::Schema).find(|part| part.section.schema == from);
        let text = self.text_of(part.map(|part| part.object.as_str()))?.unwrap_or_default();
        let name = format!(" {} ", quote_identifier(from));
        text.split_once("\nCREATE DATABASE ")
            .and_then(|(_, statement)| statement.split_once(";\n"))
            .and_then(|(statement, _)| statement.split_once(&name))
            .map(|(before, after)| format!("CREATE DATABASE {before} {} {after}", quote_identifier(schema)))
            .ok_or_else(|| {
                EngineError::new(
                    ErrorKind::Damaged,
                    format!("the backup has no CREATE DATABASE for {from}"),
                )
                .advise(format!("create the schema {schema} on the target, then restore again"))
            })
    }

    /// A small object as text.
    fn text_of(&self, object: Option<&str>) -> Result<Option<String>, EngineError> {
        let Some(name) = object else {
            return Ok(None);
        };
        let mut text = String::new();
        self.link.open(name)?.take(MAX_ACCOUNTS).read_to_string(&mut text)?;
        Ok(Some(text))
    }
}

/// Whether an object is one that this engine does not know: from a later version of it.
fn unknown(object: &ObjectInfo) -> EngineError {
    let kind = object.attributes.kind.as_deref().unwrap_or("none");
    EngineError::refused(format!(
        "the backup's object {} is of a kind that this version does not know ({kind})",
        object.name
    ))
    .advise("restore with the version of the engine that made the backup, or a later one")
}
