//! The steps of a restore, in their order.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use backstay_engine_api::{EngineError, Notice};
use backstay_mysql::accounts::Restorer;
use backstay_mysql::quote_identifier;

use super::board::{Board, Task, Work};
use super::control::{Control, Progress};
use super::ddl::TableDdl;
use super::dump::{Dump, Schema, Table, View, bytes_of, text_of};
use super::load::{self, Layout, Load, Stop};
use super::pool::{Worker, with_each, worse};
use super::referred::Referred;
use super::scripts::{Section, at, in_sections, run_file};
use super::{Restore, collation, histograms, settings, tables, views};
use crate::format::names;
use crate::options::{Content, DeferIndexes};

/// What the steps share.
struct Phases<'r, 'a> {
    restore: &'r Restore<'a>,
    control: &'r Control,
    /// A session for each thread.
    workers: Vec<Worker>,
    /// The schemas' files; without definitions, empty.
    scripts: Vec<Vec<u8>>,
}

/// For a schema that is there, such as the empty `test` of some installations: it gets the character set and all else that CREATE
/// DATABASE says.
fn alter_database(create: &str) -> Option<String> {
    let name = create.find('`')?;
    create
        .contains("CHARACTER SET")
        .then(|| format!("ALTER DATABASE {}", &create[name..]))
}

/// Restores everything but the GTID state.
///
/// # Errors
/// The server's; the dump's; the job is cancelled.
pub(super) fn run(restore: &mut Restore<'_>, control: &Control) -> Result<Vec<Notice>, EngineError> {
    let job = restore.job;
    let settings = settings::settings(
        &mut restore.session,
        &restore.options,
        &restore.dump.instance,
        job.threads(),
    )?;
    let mut restorer = Restorer::default();
    if restore.takes_accounts() {
        job.doing("restoring accounts");
        let accounts = crate::accounts::parse(&text_of(restore.link, names::USERS_SQL)?)?;
        restorer = Restorer::create_but(&mut restore.session, &accounts, &control.accounts)?;
    }
    let bytes = restore.dump.tables().map(|table| table.bytes).sum();
    let objects = restore.dump.tables().map(|table| table.chunks.len() as u64 + 2).sum();
    job.expect(Some(bytes), Some(objects));
    let workers = (0..job.threads())
        .map(|_| Worker::open(job, &restore.session, &settings))
        .collect::<Result<Vec<_>, _>>()?;
    let mut phases = Phases {
        restore,
        control,
        workers,
        scripts: Vec::new(),
    };
    let ddl = phases.definitions()?;
    let of_rows = match control.has_all_rows() {
        true => phases.unsynced()?,
        false => phases.rows(&ddl)?,
    };
    let left_out = match phases.restore.options.beside {
        true => phases.without_foreign_keys(&ddl),
        false => {
            phases.foreign_keys(&ddl)?;
            Vec::new()
        }
    };
    phases.sections(|section| section == Section::Routine)?;
    let Phases { workers, scripts, .. } = phases;
    // What views and triggers are made of must be granted to their definers.
    restorer.grant_more(&mut restore.session)?;
    let mut phases = Phases {
        restore,
        control,
        workers,
        scripts,
    };
    // Before there are triggers, which would fire for each row that were loaded again.
    control.note_all_rows(&mut phases.workers[0].session)?;
    let broken = phases.views_and_triggers()?;
    phases.sections(|section| section == Section::Event)?;
    let mut notices = phases.notices();
    notices.extend(of_rows);
    notices.extend(left_out);
    notices.extend(broken);
    notices.extend(phases.of_old_sequences(&ddl));
    drop(phases);
    restorer.grant_more(&mut restore.session)?;
    notices.extend(restorer.finish());
    Ok(notices)
}

impl Phases<'_, '_> {
    fn dump(&self) -> &Dump {
        &self.restore.dump
    }

    /// Schemas, sequences, tables without what is put off, and placeholders of views.
    fn definitions(&mut self) -> Result<Vec<TableDdl>, EngineError> {
        let restore = self.restore;
        if restore.rows_only {
            return Ok(Vec::new());
        }
        restore.job.doing("making schemas and tables");
        for schema in &restore.dump.schemas {
            self.scripts.push(match schema.file.includes_ddl {
                true => bytes_of(restore.link, &names::sql(&schema.base))?,
                false => Vec::new(),
            });
        }
        self.schemas()?;
        self.sequences()?;
        let all: Vec<&Table> = restore.dump.tables().collect();
        let defer = match restore.options.content {
            Content::Definitions => DeferIndexes::None,
            _ => restore.options.defer_indexes,
        };
        let referred = Referred::read(&mut self.workers[0], &restore.dump)?;
        let ddl = with_each(&mut self.workers, &all, |worker, table| {
            restore.job.check_cancelled()?;
            match table.file.includes_ddl {
                true => tables::create(worker, restore.link, table, defer, referred.columns_of(table)),
                false => Ok(TableDdl::none()),
            }
        })?;
        let views = views_of(&restore.dump);
        views::placeholders(&mut self.workers[0], restore.link, &views)?;
        Ok(ddl)
    }

    fn schemas(&mut self) -> Result<(), EngineError> {
        let restore = self.restore;
        for (schema, text) in restore.dump.schemas.iter().zip(&self.scripts) {
            let there = self.workers[0].session.texts(format!(
                "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
                backstay_mysql::quote_text(&schema.target)
            ))?;
            // One of a restore of single tables is somebody's, and stays as it is.
            if !there.is_empty() && (!restore.everything || restore.of_tables()) {
                continue;
            }
            let file = names::sql(&schema.base);
            for statement in in_sections(text)
                .iter()
                .filter(|statement| statement.section == Section::Database)
            {
                let (from, to) = (quote_identifier(&schema.name), quote_identifier(&schema.target));
                let mut sql = String::from_utf8_lossy(statement.sql).replacen(&from, &to, 1);
                if !there.is_empty() {
                    let Some(alter) = alter_database(&sql) else { continue };
                    sql = alter;
                }
                self.workers[0]
                    .session
                    .run(sql)
                    .map_err(|error| at(error, &file, statement.line))?;
            }
        }
        Ok(())
    }

    fn sequences(&mut self) -> Result<(), EngineError> {
        let restore = self.restore;
        for (schema, text) in restore.dump.schemas.iter().zip(&self.scripts) {
            let wanted: HashSet<Vec<u8>> = schema
                .file
                .sequences
                .iter()
                .map(|name| format!("{}.{}", quote_identifier(&schema.name), quote_identifier(name)).into_bytes())
                .collect();
            let worker = &mut self.workers[0];
            sections_of(
                worker,
                schema,
                text,
                |section| matches!(section, Section::Sequence(name) if restore.everything || wanted.contains(name)),
            )?;
        }
        Ok(())
    }

    /// Runs some sections of the schemas' files: of a full restore, for a selection is one of tables and views.
    fn sections(&mut self, wanted: impl Fn(Section<'_>) -> bool) -> Result<(), EngineError> {
        let restore = self.restore;
        if restore.everything {
            for (schema, text) in restore.dump.schemas.iter().zip(&self.scripts) {
                restore.job.check_cancelled()?;
                sections_of(&mut self.workers[0], schema, text, &wanted)?;
            }
        }
        Ok(())
    }

    /// All rows, and indexes and histograms of each table once its rows are there. Says which histograms were left out.
    fn rows(&mut self, ddl: &[TableDdl]) -> Result<Vec<Notice>, EngineError> {
        let restore = self.restore;
        let control = self.control;
        let all: Vec<&Table> = restore.dump.tables().collect();
        if control.resumed {
            self.start_over(&all)?;
        }
        let work = all
            .iter()
            .map(|table| Work::new(table.chunks.iter().map(|chunk| chunk.weight).collect()));
        let board = Board::new(work.collect());
        let layouts: Vec<OnceLock<Layout>> = all.iter().map(|_| OnceLock::new()).collect();
        let stop = Stop::of(restore.job);
        let with_histograms = histograms::wanted(restore);
        let left_out: Mutex<Vec<Notice>> = Mutex::default();
        let failed = Mutex::new(None);
        let perform = |worker: &mut Worker, task| match task {
            Task::Load { table, chunk } => {
                stop.check()?;
                let (at, layout, table) = (table, &layouts[table], all[table]);
                let layout = match layout.get() {
                    Some(layout) => layout,
                    None => {
                        restore.job.doing(format!("loading {}", table.shown()));
                        let read = Layout::of(worker, table)?;
                        let innodb = read.innodb();
                        let layout = layout.get_or_init(|| match restore.rows_only {
                            true => read.of_another_definition(),
                            false => read,
                        });
                        if innodb {
                            board.share(at);
                        }
                        layout
                    }
                };
                Load {
                    link: restore.link,
                    control,
                    table,
                    layout,
                    chunk: &table.chunks[chunk],
                    stop: &stop,
                }
                .run(worker)
            }
            Task::Indexes { table } => {
                let (Some(ddl), table) = (ddl.get(table), all[table]) else {
                    return Ok(());
                };
                stop.check()?;
                tables::add_indexes(worker, table, ddl, control.resumed)?;
                if let Some(how) = with_histograms {
                    stop.check()?;
                    let notices = histograms::make(how, worker, table)?;
                    let mut left_out = left_out.lock().unwrap_or_else(PoisonError::into_inner);
                    left_out.extend(notices);
                }
                Ok(())
            }
        };
        thread::scope(|scope| {
            for worker in &mut self.workers {
                scope.spawn(|| {
                    let mut last = None;
                    while let Some(task) = board.take(last) {
                        last = Some(task);
                        if let Err(error) = perform(worker, task) {
                            board.stop();
                            stop.stop();
                            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                            *failed = worse(failed.take(), error);
                        }
                    }
                });
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(left_out.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// After an interruption: rows of an engine without transactions may be there in part. If the server was started again since, it may
    /// have crashed, and they may be lost although they were noted: these engines do not sync them. They are loaded again.
    fn start_over(&mut self, all: &[&Table]) -> Result<(), EngineError> {
        let control = self.control;
        with_each(&mut self.workers, all, |worker, table| {
            let open = |chunk: &&super::dump::Chunk| !control.progress(&load::item(&chunk.file)).done;
            let in_doubt = table.chunks.iter().any(|chunk| control.restarted || open(&chunk));
            if !in_doubt || Layout::of(worker, table)?.transactional() {
                return Ok(());
            }
            for sql in tables::emptying(table, table.file.history) {
                worker.session.run(sql).map_err(|mut error| {
                    // Some engines empty no table.
                    let advice = "drop the table and run the restore again, or restore anew with --overwrite";
                    error.advice.get_or_insert_with(|| advice.to_owned());
                    error
                })?;
            }
            for chunk in &table.chunks {
                control.note(&mut worker.session, &load::item(&chunk.file), Progress::default())?;
            }
            Ok(())
        })?;
        if control.restarted {
            control.note_start(&mut self.workers[0].session)?;
        }
        Ok(())
    }

    /// Once all rows are there they are not loaded again, also if the server was started again since: which tables may have lost some.
    fn unsynced(&mut self) -> Result<Vec<Notice>, EngineError> {
        let control = self.control;
        if !control.restarted {
            return Ok(Vec::new());
        }
        let all: Vec<&Table> = self.restore.dump.tables().collect();
        let found = with_each(&mut self.workers, &all, |worker, table| {
            let mut chunks = table.chunks.iter();
            let loaded = chunks.any(|chunk| control.progress(&load::item(&chunk.file)).rows > 0);
            // One that is not as the dump has it was changed since.
            if !loaded || Layout::of(worker, table).is_ok_and(|layout| layout.transactional()) {
                return Ok(None);
            }
            let text = "the server was started again before the restore was finished: if it had crashed, rows of this table may be lost, \
                        for its engine does not sync them; compare it with the source, or restore anew with --overwrite";
            Ok(Some(Notice::new("rows-not-synced", text).about(table.shown())))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    fn foreign_keys(&mut self, ddl: &[TableDdl]) -> Result<(), EngineError> {
        let restore = self.restore;
        let moved: HashSet<(&str, &str)> = match restore.job.selection().into_schema {
            Some(_) => restore
                .dump
                .tables()
                .map(|table| (table.schema.as_str(), table.name.as_str()))
                .collect(),
            None => HashSet::new(),
        };
        // One after the other: each locks the tables that it refers to.
        for (table, ddl) in restore.dump.tables().zip(ddl) {
            restore.job.check_cancelled()?;
            tables::add_foreign_keys(&mut self.workers[0], table, ddl, self.control.resumed, &moved)?;
        }
        Ok(())
    }

    /// Which tables had foreign keys.
    fn without_foreign_keys(&self, ddl: &[TableDdl]) -> Vec<Notice> {
        let had = self
            .dump()
            .tables()
            .zip(ddl)
            .filter(|(_, ddl)| !ddl.foreign_keys.is_empty());
        had.map(|(table, _)| {
            let text = "its foreign keys were left out: they would keep rows of other tables from being deleted";
            Notice::new("foreign-keys-left-out", text).about(table.shown())
        })
        .collect()
    }

    /// Tables of another schema now that go on drawing numbers from sequences of the old one.
    fn of_old_sequences(&self, ddl: &[TableDdl]) -> Vec<Notice> {
        let moved = self.dump().tables().zip(ddl).filter(|(table, ddl)| {
            let sequence = format!("val({}.", quote_identifier(&table.schema));
            table.schema != table.target && ddl.create.contains(&sequence)
        });
        moved
            .map(|(table, _)| {
                let text = format!(
                    "a default of it goes on drawing numbers from a sequence of {}: ALTER TABLE sets another",
                    table.schema
                );
                Notice::new("sequence-refers", text).about(table.shown())
            })
            .collect()
    }

    /// Says which views were left out, for they are broken.
    fn views_and_triggers(&mut self) -> Result<Vec<Notice>, EngineError> {
        let restore = self.restore;
        if restore.rows_only {
            return Ok(Vec::new());
        }
        restore.job.doing("making views and triggers");
        let broken = views::make(
            restore.job,
            &mut self.workers[0],
            restore.link,
            &views_of(&restore.dump),
            restore.everything,
        )?;
        for table in restore.dump.tables() {
            if !table.file.triggers.is_empty() && table.schema == table.target {
                restore.job.check_cancelled()?;
                let file = names::triggers_sql(&table.base);
                run_file(&mut self.workers[0], restore.link, &file, &table.target, |_| Ok(None))?;
            }
        }
        Ok(broken)
    }

    /// What is not as it was in the dump.
    fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.restore.rows_only {
            return notices;
        }
        for table in self.dump().tables() {
            if !table.file.triggers.is_empty() && table.schema != table.target {
                let text = format!(
                    "its triggers were left out: they are those of {}.{}",
                    table.schema, table.name
                );
                notices.push(Notice::new("triggers-left-out", text).about(table.shown()));
            }
        }
        for view in self.dump().views().filter(|view| view.schema != view.target) {
            let text = format!(
                "the view may go on reading from {}: names of schemas in its text are as they were",
                view.schema
            );
            notices.push(Notice::new("view-refers", text).about(view.shown()));
        }
        notices
    }
}

/// The views whose definitions are in the dump.
fn views_of(dump: &Dump) -> Vec<&View> {
    let with_ddl = dump.schemas.iter().filter(|schema| schema.file.includes_views_ddl);
    with_ddl.flat_map(|schema| &schema.views).collect()
}

/// Runs some sections of a schema's file, and the settings around them.
fn sections_of(
    worker: &mut Worker,
    schema: &Schema,
    text: &[u8],
    wanted: impl Fn(Section<'_>) -> bool,
) -> Result<(), EngineError> {
    let mut all = in_sections(text);
    if !all.iter().any(|statement| wanted(statement.section)) {
        return Ok(());
    }
    all.retain(|statement| statement.section == Section::None || wanted(statement.section));
    let file = names::sql(&schema.base);
    worker.in_schema(&schema.target)?;
    collation::kept(worker, &schema.target, &all, |worker| {
        for statement in &all {
            worker
                .session
                .run(statement.sql)
                .map_err(|error| at(error, &file, statement.line))?;
        }
        Ok(())
    })
}
