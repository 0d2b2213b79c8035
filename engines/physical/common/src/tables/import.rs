//! [`Import`]: one table's tablespace into the target.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use super::find::Found;
use crate::{encode, problems};
use backstay_engine_api::{EngineError, ErrorKind, Notice, RestoreJob};
use backstay_mysql::{Session, quote_identifier, quote_text};

/// A table that takes in a partition, which then becomes one of the table proper.
const PARTITION_TABLE: &str = "backstay_partition";

/// The private server on the prepared copy.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) session: Session,
    pub(super) data_dir: PathBuf,
}

/// Takes tables in.
#[derive(Debug)]
pub(super) struct Import<'a> {
    job: &'a RestoreJob,
    target: &'a mut Session,
    data_dir: PathBuf,
    source: Source,
    owner: (u32, u32),
}

impl<'a> Import<'a> {
    /// Of a private server into a target.
    ///
    /// # Errors
    /// The account may not do it.
    pub(super) fn new(
        job: &'a RestoreJob,
        target: &'a mut Session,
        data_dir: PathBuf,
        source: Source,
    ) -> Result<Self, EngineError> {
        let meta = fs::metadata(&data_dir)?;
        // A replica that got these statements would look for files that it does not have.
        target.run("SET SESSION sql_log_bin = 0")?;
        target.run("SET SESSION foreign_key_checks = 0")?;
        // Where the source had a table outside its data directory, nobody knows of here.
        target.run("SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'NO_DIR_IN_CREATE')")?;
        Ok(Self {
            job,
            target,
            data_dir,
            source,
            owner: (meta.uid(), meta.gid()),
        })
    }

    /// Restores one table. Where it fails, there is no table of that name.
    ///
    /// # Errors
    /// The target does not take it.
    pub(super) fn table(&mut self, table: &Found) -> Result<Vec<Notice>, EngineError> {
        let schema = self.job.selection().target_schema(&table.schema).to_owned();
        self.job.doing(format!("restoring {}.{}", table.schema, table.table));
        let notices = self.look(table)?;
        let sql = format!("SHOW CREATE TABLE {}", name(&table.schema, &table.table));
        let definition: Option<(String, String)> = self.source.session.query_first(sql)?;
        let (_, definition) = definition.ok_or_else(|| {
            EngineError::new(
                ErrorKind::Damaged,
                format!("the prepared backup has no table {}.{}", table.schema, table.table),
            )
        })?;
        self.make_schema(&table.schema, &schema)?;
        if self.job.overwrite() {
            self.target
                .run(format!("DROP TABLE IF EXISTS {}", name(&schema, &table.table)))?;
        }
        self.target.run(format!("USE {}", quote_identifier(&schema)))?;
        self.target.run(&definition)?;
        let done = self.fill(table, &schema);
        // The source's table was locked while its file was copied.
        self.source.session.run("UNLOCK TABLES")?;
        if done.is_err() {
            for half in [table.table.as_str(), PARTITION_TABLE] {
                // The first error is what is reported.
                let _ = self.target.run(format!("DROP TABLE IF EXISTS {}", name(&schema, half)));
            }
        }
        done.map(|()| notices)
            .map_err(|error| error.detail(format!("while it restored {}.{}", table.schema, table.table)))
    }

    /// What can not be restored this way, and what does not come along.
    fn look(&mut self, table: &Found) -> Result<Vec<Notice>, EngineError> {
        let of = format!(
            "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            quote_text(&table.schema),
            quote_text(&table.table)
        );
        let fulltext: Option<String> = self.source.session.query_first(format!(
            "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE {of} AND INDEX_TYPE = 'FULLTEXT' LIMIT 1"
        ))?;
        if let Some(index) = fulltext {
            let message = format!(
                "{}.{} has the full-text index {index}, whose tables IMPORT TABLESPACE does not take",
                table.schema, table.table
            );
            return Err(EngineError::refused(message).advise(
                "restore all of the backup to another data directory, start a server on it, and take the table from there",
            ));
        }
        let triggers: Vec<String> = self.source.session.query(format!(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = {} AND EVENT_OBJECT_TABLE = {}",
            quote_text(&table.schema),
            quote_text(&table.table)
        ))?;
        let notice = |trigger: String| {
            Notice::new(
                "trigger-left-out",
                "triggers do not come with a table that is restored alone",
            )
            .about(format!("{}.{trigger}", table.schema))
        };
        Ok(triggers.into_iter().map(notice).collect())
    }

    fn make_schema(&mut self, from: &str, to: &str) -> Result<(), EngineError> {
        let sql = format!(
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            quote_text(from)
        );
        let defaults: Option<(String, String)> = self.source.session.query_first(sql)?;
        let (charset, collation) = defaults.unwrap_or_else(|| ("utf8mb4".to_owned(), "utf8mb4_general_ci".to_owned()));
        self.target.run(format!(
            "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET {charset} COLLATE {collation}",
            quote_identifier(to)
        ))
    }

    fn fill(&mut self, table: &Found, schema: &str) -> Result<(), EngineError> {
        let directory = self.directory_of(schema)?;
        let partitioned = table.stems.iter().any(|(_, partition)| partition.is_some());
        if !partitioned {
            let stem = file_of(&table.stems)?;
            let to = directory.join(stem);
            // Proof that it is the target's own directory that files are put into.
            if !with_extension(&to, "ibd").exists() {
                let message = format!(
                    "the target has made {}.{} elsewhere than in {}",
                    schema,
                    table.table,
                    directory.display()
                );
                return Err(EngineError::refused(message).advise(
                    "name the target's data directory as it is seen here (`data_dir`), and restore on its machine",
                ));
            }
            self.take_in(table, &name(schema, &table.table), file_path(&table.stems)?, &to)?;
        } else {
            self.partitions(table, schema, &directory)?;
        }
        match problems(self.target, schema, &table.table)?.as_slice() {
            [] => Ok(()),
            problems => {
                let mut error = EngineError::new(ErrorKind::Damaged, "the table was taken in and is damaged");
                error.causes = problems.to_vec();
                Err(error)
            }
        }
    }

    /// Each partition as a table of its own, which is exchanged for the empty one. MySQL could import partitions; MariaDB
    /// before 11 can not, and both can do this.
    fn partitions(&mut self, table: &Found, schema: &str, directory: &Path) -> Result<(), EngineError> {
        let whole = name(schema, &table.table);
        let part = name(schema, PARTITION_TABLE);
        for (stem, partition) in &table.stems {
            let Some(partition) = partition else { continue };
            // Of a subpartition, the name that comes last.
            let partition = partition.rsplit('#').next().unwrap_or(partition);
            self.target.run(format!("DROP TABLE IF EXISTS {part}"))?;
            self.target.run(format!("CREATE TABLE {part} LIKE {whole}"))?;
            self.target.run(format!("ALTER TABLE {part} REMOVE PARTITIONING"))?;
            self.take_in(table, &part, Path::new(stem), &directory.join(PARTITION_TABLE))?;
            self.target.run(format!(
                "ALTER TABLE {whole} EXCHANGE PARTITION {} WITH TABLE {part}",
                quote_identifier(partition)
            ))?;
            self.target.run(format!("DROP TABLE {part}"))?;
        }
        Ok(())
    }

    /// DISCARD, copy, IMPORT: from a file of the source (without its extension) to one of the target.
    fn take_in(&mut self, table: &Found, target: &str, from: &Path, to: &Path) -> Result<(), EngineError> {
        self.target.run(format!("ALTER TABLE {target} DISCARD TABLESPACE"))?;
        self.source
            .session
            .run(format!("FLUSH TABLES {} FOR EXPORT", name(&table.schema, &table.table)))?;
        let from = self.source.data_dir.join(from);
        let mut copied = Vec::new();
        // `cfp` is the key of an encrypted tablespace of MySQL's.
        for extension in ["cfg", "cfp", "ibd"] {
            let source = with_extension(&from, extension);
            if source.exists() {
                let file = with_extension(to, extension);
                fs::copy(&source, &file).map_err(|error| {
                    EngineError::new(ErrorKind::Io, format!("{} can not be written", file.display())).because(&error)
                })?;
                lchown(&file, Some(self.owner.0), Some(self.owner.1))?;
                copied.push(file);
            }
        }
        self.source.session.run("UNLOCK TABLES")?;
        let taken = self.target.run(format!("ALTER TABLE {target} IMPORT TABLESPACE"));
        for file in copied {
            let is_data = file.extension().is_some_and(|extension| extension == "ibd");
            if !is_data || taken.is_err() {
                // A server may have removed it itself.
                let _ = fs::remove_file(file);
            }
        }
        taken
    }

    /// The directory of a schema: its name as the server writes it into file names.
    fn directory_of(&mut self, schema: &str) -> Result<PathBuf, EngineError> {
        if let Some(plain) = encode(schema) {
            return Ok(self.data_dir.join(plain));
        }
        if !self.target.flavour().is_mariadb() {
            let message =
                format!("schemas beyond ASCII on MySQL, which does not say what the directory of {schema} is called");
            return Err(EngineError::unsupported(message).advise("use --as-schema with a name of ASCII letters"));
        }
        let sql = format!("SELECT HEX(CONVERT({} USING filename))", quote_text(schema));
        let hex: Option<String> = self.target.query_first(sql)?;
        let hex = hex.unwrap_or_default();
        let bytes: Option<Vec<u8>> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
            .collect();
        let directory = bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .filter(|text| !text.is_empty());
        let directory =
            directory.ok_or_else(|| EngineError::other(format!("the directory of {schema} is not known")))?;
        Ok(self.data_dir.join(directory))
    }
}

fn name(schema: &str, table: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(table))
}

/// `Path::with_extension` would take what comes after a dot in a name for one.
fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(".");
    text.push(extension);
    PathBuf::from(text)
}

/// The one file that a table without partitions has.
fn file_path(stems: &std::collections::BTreeSet<(String, Option<String>)>) -> Result<&Path, EngineError> {
    stems
        .first()
        .map(|(stem, _)| Path::new(stem))
        .ok_or_else(|| EngineError::other("the table has no file"))
}

fn file_of(stems: &std::collections::BTreeSet<(String, Option<String>)>) -> Result<&std::ffi::OsStr, EngineError> {
    file_path(stems)?
        .file_name()
        .ok_or_else(|| EngineError::other("the table's file has no name"))
}
