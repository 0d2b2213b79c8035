//! What `mariadb-backup` misses of DDL on tables of Aria and MyISAM while it runs.
//!
//! It copies such tables while DDL goes on, and sets right afterwards what the server wrote into `ddl.log` meanwhile. Two things go
//! wrong there (measured with 10.11.19): the server does not write TRUNCATE of these tables into that log, so that
//! a table's former rows stay in the backup; and of a table that is renamed, the tool passes over all else that happened to it, so
//! that its files are missing or old. Neither gives an error. Therefore we look ourselves, before and after: a table's index file
//! says when it was made, and TRUNCATE makes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::Session;
use backstay_physical::Names;

use super::listed;

/// The log that the server writes while BACKUP STAGE is on, in the data directory. It stays until the next BACKUP STAGE START.
const LOG: &str = "ddl.log";
/// The engines whose index files are looked at, as the log calls them.
const ENGINES: [&str; 2] = ["Aria", "MyISAM"];

/// When the index files of each table of Aria and MyISAM were made, in seconds since 1970, with their partitions.
type Made = BTreeMap<Name, BTreeSet<(Option<String>, u64)>>;

/// The tables as they were before the tool began.
#[derive(Debug)]
pub(super) struct Before {
    data_dir: PathBuf,
    made: Made,
}

impl Before {
    /// Looks at the tables. Takes up to a second if one was made just now: the files count in seconds.
    ///
    /// # Errors
    /// The data directory can not be read, or the session was lost.
    pub(super) fn look(data_dir: &Path, names: &mut Names) -> Result<Self, EngineError> {
        let made = made(data_dir, names)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if made.values().flatten().any(|(_, second)| *second >= now.as_secs()) {
            thread::sleep(Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into()));
        }
        Ok(Self {
            data_dir: data_dir.to_owned(),
            made,
        })
    }

    /// The tool has failed: because of what it does not follow, if there was any. Mostly it is not aware of it; when it meets files
    /// that are just being made anew, it fails with an error about these.
    pub(super) fn explain(self, failure: EngineError, session: &Session) -> EngineError {
        // Its own error is the one that counts if we can not look.
        let Ok(another) = session.another() else { return failure };
        match self.check(&mut Names::new(another)) {
            Err(missed) if missed.kind == ErrorKind::Busy => missed.because(&failure),
            _ => failure,
        }
    }

    /// The tool has ended: whether it has missed something.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if so; or as [`Before::look`].
    pub(super) fn check(self, names: &mut Names) -> Result<(), EngineError> {
        let log = match fs::read(self.data_dir.join(LOG)) {
            Ok(bytes) => entries(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == IoErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let missed = missed(&log, &self.made, &made(&self.data_dir, names)?);
        if missed.is_empty() {
            return Ok(());
        }
        let message = format!(
            "tables without transactions were truncated or renamed while they were copied, which mariadb-backup does not follow: {}",
            listed(&missed)
        );
        Err(EngineError::new(ErrorKind::Busy, message).advise(
            "take the backup again; if this comes every time, choose an hour in which these tables are not truncated or renamed, \
             or convert them to InnoDB",
        ))
    }
}

/// A table: its schema, and its name in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name(String, String);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A line of the server's log: what was done to which table, and what it was afterwards.
#[derive(Debug)]
struct Entry {
    action: String,
    engine: String,
    table: Name,
    new: Option<Name>,
}

impl Entry {
    /// What a table of these engines is called after a RENAME.
    fn renamed(&self) -> Option<&Name> {
        let renamed = self.action == "RENAME" && ENGINES.contains(&self.engine.as_str());
        self.new.as_ref().filter(|_| renamed)
    }

    fn is_about(&self, name: &Name) -> bool {
        self.table == *name || self.new.as_ref() == Some(name)
    }
}

/// Reads the log: lines of time, action, engine, whether partitioned, schema, table and id, and the last five again for what the
/// table is afterwards, parted by tabulators (MariaDB 10.11).
fn entries(log: &str) -> Vec<Entry> {
    log.lines()
        .filter_map(|line| {
            let mut parts = line.split('\t').skip(1);
            let mut next = || parts.next().unwrap_or_default().to_owned();
            let (action, engine) = (next(), next());
            next();
            let table = Name(next(), next());
            next();
            next();
            next();
            let new = Name(next(), next());
            // Of a schema there is no table's name; its tables have lines of their own.
            (!table.1.is_empty()).then(|| Entry {
                action,
                engine,
                table,
                new: (!new.1.is_empty()).then_some(new),
            })
        })
        .collect()
}

/// The tables whose copies are wrong: those that were made anew without a line in the log, and those that were renamed and more.
fn missed(log: &[Entry], before: &Made, after: &Made) -> BTreeSet<Name> {
    let mut missed = BTreeSet::new();
    for (at, entry) in log.iter().enumerate() {
        let Some(new) = entry.renamed() else { continue };
        let again = |(other, more): (usize, &Entry)| other != at && (more.is_about(&entry.table) || more.is_about(new));
        // Its files must be the ones that had the former name.
        let same = after.get(new).is_none_or(|made| before.get(&entry.table) == Some(made));
        if !same || log.iter().enumerate().any(again) {
            missed.insert(new.clone());
        }
    }
    // A file that can not be read is one that is being made anew just now.
    for name in before.keys().chain(after.keys()) {
        if before.get(name) != after.get(name) && !log.iter().any(|entry| entry.is_about(name)) {
            missed.insert(name.clone());
        }
    }
    missed
}

fn made(data_dir: &Path, names: &mut Names) -> Result<Made, EngineError> {
    let mut made = Made::new();
    for schema in fs::read_dir(data_dir)?.flatten() {
        if !schema.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // A schema may be dropped meanwhile.
        for file in fs::read_dir(schema.path()).into_iter().flatten().flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            let second = match name.rsplit_once('.') {
                Some((_, "MAI")) => second(&file.path(), aria),
                Some((_, "MYI")) => second(&file.path(), myisam),
                _ => None,
            };
            let path = format!("{}/{name}", schema.file_name().to_string_lossy());
            if let Some(second) = second
                && let Some(table) = names.table(&path)?
            {
                made.entry(Name(table.schema, table.table))
                    .or_default()
                    .insert((table.partition, second));
            }
        }
    }
    Ok(made)
}

/// Where `create_time` is in an index file, from its first bytes: the header has 24, the state's fixed fields follow, then one
/// root of eight bytes for each index, and after 20 bytes more it is there.
fn myisam(head: &[u8]) -> usize {
    // A chain of free blocks for each size of blocks stands there too.
    144 + 8 * (usize::from(head[18]) + usize::from(head[21]))
}

/// As [`myisam`], where the state's fixed fields are other ones.
fn aria(head: &[u8]) -> usize {
    183 + 8 * usize::from(head[18])
}

/// When an index file was made; none if it is gone, or is not whole yet.
fn second(path: &Path, place: fn(&[u8]) -> usize) -> Option<u64> {
    // 255 indexes and 255 sizes of blocks at the most.
    let mut head = Vec::with_capacity(8 << 10);
    File::open(path).ok()?.take(8 << 10).read_to_end(&mut head).ok()?;
    if head.len() < 24 {
        return None;
    }
    let at = place(&head);
    let bytes = head.get(at..at + 8)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(table: &str) -> Name {
        Name("d".to_owned(), table.to_owned())
    }

    /// Tables of one file each, and when it was made.
    type Tables = &'static [(&'static str, u64)];

    fn tables(made: Tables) -> Made {
        made.iter()
            .map(|(table, second)| (name(table), BTreeSet::from([(None, *second)])))
            .collect()
    }

    /// Lines as MariaDB 10.11.19 writes them.
    #[test]
    fn what_the_log_does_not_cover() {
        let line = |action: &str, engine: &str, table: &str, new: &str| {
            let new = if new.is_empty() {
                "\t0\t\t\t".to_owned()
            } else {
                format!("{engine}\t0\td\t{new}\tid")
            };
            format!("2026-11-22 18:45:54\t{action}\t{engine}\t0\td\t{table}\tid\t{new}\n")
        };
        let rename = |engine: &str| line("RENAME", engine, "a", "b");
        let alter = |table: &str| line("ALTER", "Aria", table, table);
        let create = |table: &str| line("CREATE", "MyISAM", table, "");
        let cases: [(&str, String, Tables, Tables, &[&str]); 13] = [
            ("nothing", String::new(), &[("a", 1)], &[("a", 1)], &[]),
            ("truncated", String::new(), &[("a", 1)], &[("a", 2)], &["a"]),
            ("altered", alter("a"), &[("a", 1)], &[("a", 2)], &[]),
            ("created", create("a"), &[], &[("a", 2)], &[]),
            ("dropped", line("DROP", "Aria", "a", ""), &[("a", 1)], &[], &[]),
            ("being truncated", String::new(), &[("a", 1)], &[], &["a"]),
            ("renamed", rename("Aria"), &[("a", 1)], &[("b", 1)], &[]),
            ("renamed, truncated", rename("MyISAM"), &[("a", 1)], &[("b", 2)], &["b"]),
            (
                "created, renamed",
                create("a") + &rename("MyISAM"),
                &[],
                &[("b", 2)],
                &["b"],
            ),
            (
                "renamed, altered",
                rename("Aria") + &alter("b"),
                &[("a", 1)],
                &[("b", 1)],
                &["b"],
            ),
            (
                "altered, renamed",
                alter("a") + &rename("Aria"),
                &[("a", 1)],
                &[("b", 1)],
                &["b"],
            ),
            ("InnoDB renamed", rename("InnoDB") + &rename("InnoDB"), &[], &[], &[]),
            (
                "another truncated",
                rename("Aria"),
                &[("a", 1), ("c", 1)],
                &[("b", 1), ("c", 2)],
                &["c"],
            ),
        ];
        for (case, log, before, after, expected) in cases {
            let missed = missed(&entries(&log), &tables(before), &tables(after));
            let expected: BTreeSet<Name> = expected.iter().map(|table| name(table)).collect();
            assert_eq!(missed, expected, "{case}: {log}");
        }
    }
}
