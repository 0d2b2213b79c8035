//! A restore to a server.
//!
//! Everything that can be refused is refused before the first change: a dump that is not whole, another family's server, schemas
//! or tables that are in the way. Then come accounts, schemas, tables without most of their keys, rows and indexes, foreign keys,
//! routines, views, triggers, grants on all these, and at last events, which begin to run as soon as they are there.
//!
//! - `dump`: what the dump has, and of it what is restored; `checks`, `lost`, `names_taken`, `timestamps`: whether the target takes it.
//! - `control`: how far a restore has come, kept on the target: one that is interrupted goes on when it is run again.
//! - `statements`, `scripts`, `collation`: SQL files; `ddl`: CREATE TABLE taken apart; `tables`, `referred`, `load`, `histograms`: a table and its rows.
//! - `phases`: the steps in their order; `board`, `pool`: threads.

mod board;
mod checks;
mod collation;
mod control;
mod ddl;
mod dump;
mod histograms;
mod load;
mod lost;
mod names_taken;
mod phases;
mod pool;
mod redo_log;
mod referred;
mod scripts;
mod settings;
mod statements;
mod tables;
mod timestamps;
mod views;

use backstay_engine_api::job::{ChainLink, Level, Target};
use backstay_engine_api::{BackupKind, BackupRecord, EngineError, ErrorKind, Notice, RestoreJob, Restored};
use backstay_mysql::{Session, gtid_state, quote_identifier, target};

use crate::format::names;
use crate::options::{Content, Gtid, Options};
use control::Control;
pub(crate) use control::SCHEMA as CONTROL_SCHEMA;
use dump::{Dump, bytes_of, text_of};
use lost::Replaced;
use redo_log::RedoLog;
pub(crate) use redo_log::on_after_a_kill as redo_log_on_after_a_kill;
use scripts::{InSection, Section, in_sections};
use statements::starts_with_word;

/// What the steps of a restore share.
struct Restore<'a> {
    job: &'a RestoreJob,
    link: &'a ChainLink,
    options: Options,
    dump: Dump,
    record: BackupRecord,
    session: Session,
    /// There are no definitions to be restored, or they are not wanted.
    rows_only: bool,
    everything: bool,
}

/// Restores what the job selects.
///
/// # Errors
/// Before anything is changed where that is possible.
pub(crate) fn restore(job: &RestoreJob) -> Result<Restored, EngineError> {
    let options: Options = job.options()?;
    let link = only_link(job.chain())?;
    let Target::Server(server) = job.target() else {
        return Err(
            EngineError::refused("a dump is loaded into a server, and the target is a data directory")
                .advise("start a server on an empty data directory and restore to it"),
        );
    };
    let dump = Dump::read(job, link, options.content)?;
    let session = Session::connect(server)?;
    let has_ddl = dump.schemas.iter().any(|schema| schema.file.includes_ddl)
        || dump.tables().any(|table| table.file.includes_ddl);
    let restore = Restore {
        record: checks::record_of(link.record(), &dump.instance),
        rows_only: options.content == Content::Data || !has_ddl,
        everything: job.selection().is_everything(),
        job,
        link,
        options,
        dump,
        session,
    };
    restore.run()
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
    fn run(mut self) -> Result<Restored, EngineError> {
        let identity = control::identity(self.job, &self.options);
        if self.options.skip_binary_log {
            self.session.run("SET SESSION sql_log_bin = 0")?;
        }
        if !self.options.beside {
            control::alone(&mut self.session)?;
        }
        // Before anything can keep this restore from going on, or forget that it is off.
        if let Some(redo_log) = RedoLog::left_off(&mut self.session)? {
            redo_log.on_again(Ok(()))?;
        }
        let overwrite = self.job.overwrite();
        // Beside what is in use, no notes are made; where nothing stays, none are needed.
        let unnoted = self.options.beside || self.job.target().is_private();
        let found = if overwrite || unnoted {
            None
        } else {
            Control::find(&mut self.session, &identity)?
        };
        self.check(found.is_some())?;
        let guard = self.job.guard(self.session.guard_name(self.session.connection_id()))?;
        let control = match found {
            Some(control) => {
                self.job
                    .log(Level::Info, "this restore was interrupted: it goes on where it was");
                self.load_again_what_is_gone(&control)?;
                control
            }
            None => {
                let restored = self.takes_accounts();
                // Before the notes of an unfinished restore go, which say whose the accounts are.
                let accounts = control::own_accounts(&mut self.session, &identity, restored)?;
                self.clear()?;
                if unnoted {
                    Control::in_memory(accounts)
                } else {
                    Control::begin(&mut self.session, &identity, accounts)?
                }
            }
        };
        let restored = match self.holds_events() && self.hold_events(&control)? {
            true => self.with_events_held(&control),
            false => self.all_of(&control),
        };
        drop((self.session, guard));
        restored
    }

    /// What it restores, while no event runs.
    fn with_events_held(&mut self, control: &Control) -> Result<Restored, EngineError> {
        let mut restored = self.all_of(control).map_err(gtid_state::while_events_are_held)?;
        restored.notices.extend(gtid_state::held_events(&mut self.session)?);
        Ok(restored)
    }

    /// Restores what is wanted, and ends the control; an error says how it goes on.
    fn all_of(&mut self, control: &Control) -> Result<Restored, EngineError> {
        let overwrite = self.job.overwrite();
        self.steps(control).map_err(|error| control.goes_on(error, overwrite))
    }

    fn steps(&mut self, control: &Control) -> Result<Restored, EngineError> {
        let redo_log = match self.options.disable_redo_log {
            true => {
                control.note_redo_log_off(&mut self.session)?;
                Some(RedoLog::disable(&self.session)?)
            }
            false => None,
        };
        let restored = phases::run(self, control);
        let mut notices = match redo_log {
            Some(redo_log) => redo_log.on_again(restored)?,
            None => restored?,
        };
        notices.extend(self.of_the_dump());
        let positions = if !self.everything || self.rows_only {
            Vec::new()
        } else if self.options.gtid == Gtid::Set {
            let positions = gtid_state::set(&mut self.session, &self.record)?;
            // The state is the backup's now, to which nothing may be added.
            self.session.run("SET SESSION sql_log_bin = 0")?;
            positions
        } else {
            notices.extend(gtid_state::unset_notice(&self.record));
            gtid_state::replayable(&self.record)
        };
        control.end(&mut self.session)?;
        Ok(Restored { positions, notices })
    }

    /// What is to be known of the dump, and of what was taken of it.
    fn of_the_dump(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.dump.instance.is_inconsistent() {
            let text = "the dump says of itself that it is not of one point: of what was changed while it was made, some may be in it";
            notices.push(Notice::new("dump-inconsistent", text));
        }
        let has_programs = self.dump.schemas.iter().any(|schema| {
            let file = &schema.file;
            !(file.functions.is_empty() && file.procedures.is_empty() && file.events.is_empty())
        });
        let but_for = !self.everything && self.job.selection().include.is_empty();
        if but_for && !self.rows_only && (has_programs || self.dump.has_users) {
            let text = "routines, events and accounts were left out: they are not part of a selection, which one of --exclude-tables is too";
            notices.push(Notice::new("selection-of-tables", text));
        }
        notices
    }

    /// An interrupted restore counts on the rows that it has loaded. Tables that were dropped or emptied since are loaded from their
    /// beginning. Once all rows were there, triggers may be too, which would fire: then an empty table stays as whoever emptied it left
    /// it, and one that is gone can not be made up for.
    fn load_again_what_is_gone(&mut self, control: &Control) -> Result<(), EngineError> {
        for table in self.dump.tables() {
            let items: Vec<String> = table.chunks.iter().map(|chunk| load::item(&chunk.file)).collect();
            let lost = if control.has_all_rows() {
                let there: Option<u8> = self.session.query_first(format!(
                    "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
                    backstay_mysql::quote_text(&table.target),
                    backstay_mysql::quote_text(&table.name)
                ))?;
                there.is_none()
            } else {
                items.iter().any(|item| control.progress(item).rows > 0) && !checks::has_rows(&mut self.session, table)?
            };
            if !lost {
                continue;
            }
            if self.rows_only || control.has_all_rows() {
                let message = format!(
                    "the restore was interrupted, and what it had loaded into {} is not there any more",
                    table.shown()
                );
                return Err(EngineError::refused(message).advise("restore anew with --overwrite"));
            }
            self.job.log(
                Level::Warn,
                format!(
                    "{} is gone or empty, and is loaded again from its beginning",
                    table.shown()
                ),
            );
            control.forget(&mut self.session, &items)?;
        }
        Ok(())
    }

    /// Whether the dump is one of single tables: its schemas may have others.
    fn of_tables(&self) -> bool {
        self.dump.instance.of_tables()
    }

    /// Whether accounts are restored.
    fn takes_accounts(&self) -> bool {
        self.everything && !self.rows_only && self.options.accounts && self.dump.has_users
    }

    /// Whether the target's GTID state becomes the backup's.
    fn sets_gtid(&self) -> bool {
        self.everything && !self.rows_only && self.options.gtid == Gtid::Set
    }

    /// Whether events that the dump has must not run before logs are replayed.
    fn holds_events(&self) -> bool {
        self.sets_gtid() && self.dump.schemas.iter().any(|schema| !schema.file.events.is_empty())
    }

    /// Whether the target's event scheduler was turned off, by this restore now or before an interruption.
    fn hold_events(&mut self, control: &Control) -> Result<bool, EngineError> {
        if gtid_state::events_run(&mut self.session)? {
            control.note_events_held(&mut self.session)?;
            gtid_state::hold_events(self.job, &mut self.session)?;
        }
        Ok(control.events_held())
    }

    /// Refuses what can not be restored to this target.
    fn check(&mut self, resumed: bool) -> Result<(), EngineError> {
        let overwrite = self.job.overwrite();
        if self.options.beside && (self.everything || self.rows_only) {
            return Err(EngineError::new(
                ErrorKind::Usage,
                "beside = true: it is for tables and their definitions that a selection names, and this restore is of another kind",
            )
            .advise("name the tables, or leave the option out"));
        }
        if self.options.disable_redo_log {
            RedoLog::check(&self.session)?;
            if self.options.beside {
                return Err(EngineError::new(
                    ErrorKind::Usage,
                    "disable_redo_log and beside exclude each other: what is to be beside leaves no note that would turn it on again",
                )
                .advise("leave one of them out"));
            }
        }
        target::check_family(&self.session, &self.record, self.everything)?;
        if self.everything {
            target::check_names(&mut self.session, &self.record)?;
        }
        checks::stay_apart(&mut self.session, &self.dump)?;
        if self.dump.tables().any(|table| !table.chunks.is_empty()) {
            checks::local_infile(&mut self.session)?;
        }
        if !self.rows_only {
            self.check_timestamps()?;
        }
        if self.sets_gtid() {
            if self.of_tables() {
                let message = "gtid = \"set\": the dump is of single tables, and its GTIDs are those of a whole server";
                return Err(EngineError::new(ErrorKind::Usage, message).advise("restore with gtid = \"ignore\""));
            }
            let mut schemas: Vec<&str> = self.dump.schemas.iter().map(|schema| schema.name.as_str()).collect();
            schemas.push(control::SCHEMA);
            gtid_state::check(&mut self.session, &self.record, &schemas)?;
        }
        if self.holds_events() {
            gtid_state::may_hold_events(&mut self.session)?;
        }
        if resumed {
            return Ok(());
        }
        if self.options.disable_redo_log {
            checks::occupied(&mut self.session, false)
                .map_err(|error| error.advise("restore to an empty server, or without disable_redo_log"))?;
        }
        if self.rows_only {
            for table in self.dump.tables().filter(|table| !table.chunks.is_empty()) {
                checks::takes_rows(&mut self.session, table, overwrite)?;
            }
            match overwrite {
                true => lost::check(&mut self.session, &self.dump, Replaced::Rows),
                false => Ok(()),
            }
        } else {
            self.check_scripts()?;
            let whole = self.everything && !self.of_tables();
            if overwrite {
                let replaced = if whole { Replaced::Schemas } else { Replaced::Tables };
                lost::check(&mut self.session, &self.dump, replaced)?;
            }
            match whole {
                true => checks::occupied(&mut self.session, overwrite),
                false => {
                    checks::in_the_way(&mut self.session, self.job, &self.dump)?;
                    self.check_names()
                }
            }
        }
    }

    /// Refuses a dump that could not make its schemas or accounts once something is replaced.
    fn check_scripts(&self) -> Result<(), EngineError> {
        for schema in self.dump.schemas.iter().filter(|schema| schema.file.includes_ddl) {
            let file = names::sql(&schema.base);
            let text = bytes_of(self.link, &file)?;
            let creates =
                |one: &InSection<'_>| one.section == Section::Database && starts_with_word(one.sql, "CREATE DATABASE");
            if !in_sections(&text).iter().any(creates) {
                let message = format!("`{file}` of the dump has no CREATE DATABASE");
                return Err(EngineError::new(ErrorKind::Damaged, message).advise("restore another dump"));
            }
        }
        if self.takes_accounts() {
            crate::accounts::parse(&text_of(self.link, names::USERS_SQL)?)?;
        }
        Ok(())
    }

    /// Removes what is to be replaced.
    fn clear(&mut self) -> Result<(), EngineError> {
        if !self.job.overwrite() {
            return Ok(());
        }
        if !self.options.beside {
            // What it says of the tables that go now does not hold any more.
            self.session
                .run(format!("DROP DATABASE IF EXISTS {}", control::SCHEMA))?;
        }
        self.session.run("SET SESSION foreign_key_checks = 0")?;
        if self.rows_only {
            for table in self.dump.tables().filter(|table| !table.chunks.is_empty()) {
                let versioned = checks::is_versioned(&mut self.session, table)?;
                for sql in tables::emptying(table, versioned) {
                    self.session.run(sql)?;
                }
            }
        } else if self.everything && !self.of_tables() {
            let schemas: Vec<&str> = self.dump.schemas.iter().map(|schema| schema.name.as_str()).collect();
            target::drop_schemas(self.job, &mut self.session, &schemas)?;
        } else {
            for table in self.dump.tables() {
                self.session.run(format!("DROP TABLE IF EXISTS {}", table.quoted()))?;
            }
            for schema in &self.dump.schemas {
                for sequence in &schema.file.sequences {
                    let (schema, sequence) = (quote_identifier(&schema.target), quote_identifier(sequence));
                    self.session
                        .run(format!("DROP SEQUENCE IF EXISTS {schema}.{sequence}"))?;
                }
            }
        }
        self.session.run("SET SESSION foreign_key_checks = 1")
    }
}
