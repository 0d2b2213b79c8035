//! Where the binary log of a stopped server ends, and which transactions the server has had, as its files say.
//!
//! That is known of a server that was stopped in an orderly way, which marks its last log as closed: after a crash the log may have
//! transactions that are only prepared in InnoDB. Which of them become committed is decided by a server that recovers with the log at
//! hand, and the log is no part of the backup. MariaDB besides writes its GTIDs beside the log when it is stopped, and passes over what is
//! there if it finds the log not closed: so do we.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use backstay_engine_api::position::mariadb::{GtidPosition, MariadbGtid};
use backstay_engine_api::position::{BinlogFile, PositionError};
use backstay_engine_api::{EngineError, Notice, Position};
use backstay_mysql::binlog::{Event, EventFlags, Gtids, Header, PieceReader};

/// The flag of a relay log's first event (`LOG_EVENT_RELAY_LOG_F`).
const RELAY_LOG: u16 = 0x40;

/// The binary logs that are in a data directory.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// Beginnings of names: the binary log's, and those of relay logs.
    pub(super) bases: Vec<String>,
    /// The last file of each log that is no relay log.
    last: Vec<PathBuf>,
}

impl Logs {
    /// An index is a text file that lists logs, a line each.
    ///
    /// # Errors
    /// The directory can not be read, or an index names a log that is not there.
    pub(super) fn find(data_dir: &Path) -> Result<Self, EngineError> {
        let mut logs = Self::default();
        for entry in fs::read_dir(data_dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(base) = name.strip_suffix(".index") else {
                continue;
            };
            logs.bases.push(base.to_owned());
            if base.contains("relay") {
                continue;
            }
            let text = fs::read_to_string(data_dir.join(&name))?;
            let Some(last) = text.lines().rfind(|line| !line.is_empty()) else {
                continue;
            };
            let path = data_dir.join(Path::new(last).file_name().unwrap_or_default());
            fs::metadata(&path).map_err(|error| {
                let message = format!("{name} names the binary log {last}, which is not there");
                EngineError::refused(message).because(&error)
            })?;
            if !is_relay_log(&path) {
                logs.last.push(path);
            }
        }
        logs.last.sort();
        Ok(logs)
    }

    /// Where the binary log ends; no position and the reason for people where that can not be told.
    pub(super) fn positions(&self, flavour: &str) -> (Vec<Position>, Option<Notice>) {
        let ends = match &self.last[..] {
            [] => Err("there is no binary log in the data directory".to_owned()),
            [path] => end(path, flavour),
            several => Err(format!(
                "there are several binary logs, and which of them the server writes can not be told: {}; move those that it no longer \
                 writes elsewhere, with their indexes",
                several.iter().map(|path| name(path)).collect::<Vec<_>>().join(", ")
            )),
        };
        match ends {
            Ok(positions) => (positions, None),
            Err(why) => {
                let text = format!(
                    "the backup has no position in the binary log: it restores, and no log can be replayed onto it; {why}"
                );
                (Vec::new(), Some(Notice::new("no-position", text)))
            }
        }
    }
}

/// Whether a log says of itself that it is a relay log, whatever it is called.
fn is_relay_log(path: &Path) -> bool {
    open(path).is_ok_and(|(_, flags)| flags.has(RELAY_LOG))
}

/// Where a log ends: by GTID, if it has such, and the size of its last file.
fn end(path: &Path, flavour: &str) -> Result<Vec<Position>, String> {
    let name = name(path);
    let unread = |error: &dyn std::fmt::Display| format!("the binary log {name} can not be read here: {error}");
    let (reader, flags) = open(path).map_err(|error| unread(&error))?;
    if flags.has(EventFlags::IN_USE) {
        return Err(format!(
            "the server was not stopped in an orderly way ({name} was not closed), so that the log may have transactions which the data \
             does not have; start the server, stop it, and take the backup again"
        ));
    }
    let gtids = match flavour {
        "mariadb" => match fs::read_to_string(path.with_extension("state")) {
            Ok(text) => Gtids::Mariadb(state(&text).map_err(|error| unread(&error))?),
            // As the server does, then.
            Err(_) => logged(reader, Gtids::Mariadb(GtidPosition::new())).map_err(|error| unread(&error))?,
        },
        _ => logged(reader, Gtids::None).map_err(|error| unread(&error))?,
    };
    let size = fs::metadata(path).map_err(|error| unread(&error))?.len();
    let place = BinlogFile::new(&*name, size).map_err(|error| unread(&error))?;
    // Of MySQL an empty set mostly is that of a server without GTIDs.
    let named = gtids
        .position()
        .filter(|position| flavour == "mariadb" || !position.value.is_empty());
    Ok(named.into_iter().chain([Position::binlog_file(&place)]).collect())
}

/// A log's events after the first, and the first one's flags.
fn open(path: &Path) -> Result<(PieceReader<File>, EventFlags), EngineError> {
    let reader = PieceReader::open(File::open(path)?, path.display().to_string())?;
    let flags = Header::parse(reader.format_event())?.flags;
    Ok((reader, flags))
}

/// The transactions that a log names: those before it, and its own.
fn logged(mut reader: PieceReader<File>, mut gtids: Gtids) -> Result<Gtids, EngineError> {
    while let Some(event) = reader.next()? {
        match event.event {
            Event::PreviousGtids(set) => gtids = Gtids::Mysql(set),
            Event::GtidList(position) => gtids = Gtids::Mariadb(position),
            event => gtids.add(&event),
        }
    }
    Ok(gtids)
}

/// What MariaDB has written beside its log: a line for each domain and server that wrote in it. The one that wrote last is a domain's last
/// line, whatever its number.
fn state(text: &str) -> Result<GtidPosition, PositionError> {
    let mut position = GtidPosition::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        position.set(line.parse::<MariadbGtid>()?);
    }
    Ok(position)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use backstay_engine_api::position::mysql::GtidSet;
    use backstay_mysql::binlog::make::{self, Head};
    use backstay_mysql::binlog::{Checksum, EventType, HEADER, MAGIC};

    use super::*;

    /// A log that begins as servers begin theirs, with that flag in its first event, and then has these events.
    fn log(flag: u16, events: &[Vec<u8>]) -> Vec<u8> {
        let mut body = 4_u16.to_le_bytes().to_vec();
        body.extend([0; 50 + 4]);
        body.extend([HEADER as u8]);
        body.extend([0; 42]);
        body.extend([1]);
        let head = Head {
            flags: EventFlags(flag),
            ..Head::default()
        };
        let format = make::event(EventType::FORMAT_DESCRIPTION, head, &body, Checksum::Crc32);
        [&MAGIC[..], &format, &events.concat()].concat()
    }

    /// A directory with these files; what its positions are, and what is said of them.
    fn found(flavour: &str, files: &[(&str, &[u8])]) -> (Vec<String>, String) {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        let (positions, notice) = Logs::find(directory.path()).unwrap().positions(flavour);
        let shown = positions.iter().map(ToString::to_string).collect();
        (shown, notice.map(|notice| notice.text).unwrap_or_default())
    }

    #[test]
    fn the_last_line_of_a_domain_is_where_mariadb_is() {
        let shown = |text: &str| state(text).map(|position| position.to_string());
        assert_eq!(shown("").unwrap(), "");
        assert_eq!(shown("0-1-7\n").unwrap(), "0-1-7");
        assert_eq!(shown("0-1-7\n5-1-3\n").unwrap(), "0-1-7,5-1-3");
        // After a failover; and after one to a server that had fewer.
        assert_eq!(shown("0-1-7\n0-2-9\n").unwrap(), "0-2-9");
        assert_eq!(shown("0-1-9\n0-2-7\n3-2-1\n").unwrap(), "0-2-7,3-2-1");
        assert!(shown("0-1-7\nnonsense\n").is_err());
    }

    #[test]
    fn a_log_that_was_closed() {
        let set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
        let before = make::previous_gtids(Head::default(), &set.parse::<GtidSet>().unwrap(), Checksum::Crc32);
        let closed = log(0, &[before]);
        let place = format!("binlog-file binlog.000002:{}", closed.len());
        let files: [(&str, &[u8]); 4] = [
            ("binlog.index", b"./binlog.000001\n./binlog.000002\n"),
            ("binlog.000002", &closed),
            ("vm-relay-bin.index", b"./vm-relay-bin.000007\n"),
            ("renamed.index", b"./renamed.000007\n"),
        ];
        let relay = log(RELAY_LOG, &[]);
        let files = [&files[..], &[("renamed.000007", &relay)]].concat();
        assert_eq!(
            found("mysql", &files),
            (vec![format!("mysql-gtid {set}"), place], String::new())
        );

        let list = make::gtid_list(Head::default(), &"0-1-7".parse().unwrap(), Checksum::Crc32);
        let closed = log(0, &[list]);
        let place = format!("binlog-file binlog.000002:{}", closed.len());
        let files: [(&str, &[u8]); 2] = [
            ("binlog.index", b"/old/place/binlog.000002\n"),
            ("binlog.000002", &closed),
        ];
        assert_eq!(
            found("mariadb", &files),
            (vec!["mariadb-gtid 0-1-7".to_owned(), place.clone()], String::new())
        );
        let files = [&files[..], &[("binlog.state", b"0-1-8\n0-2-9\n1-1-1\n")]].concat();
        assert_eq!(
            found("mariadb", &files),
            (vec!["mariadb-gtid 0-2-9,1-1-1".to_owned(), place], String::new())
        );
    }

    #[test]
    fn what_is_not_known_is_said() {
        let (open, closed) = (log(EventFlags::IN_USE, &[]), log(0, &[]));
        let index: (&str, &[u8]) = ("binlog.index", b"binlog.000002\n");
        for flavour in ["mysql", "mariadb"] {
            let none = |files: &[(&str, &[u8])], why: &str| {
                let (positions, said) = found(flavour, files);
                assert_eq!(positions, [""; 0], "{flavour}: {said}");
                assert!(said.contains(why), "{flavour}: {said}");
            };
            none(&[], "there is no binary log in the data directory");
            // What was written at an earlier stop.
            let state: (&str, &[u8]) = ("binlog.state", b"0-1-7\n");
            none(
                &[index, ("binlog.000002", &open), state],
                "binlog.000002 was not closed",
            );
            none(&[index, ("binlog.000002", b"")], "binlog.000002 can not be read here");
            none(
                &[index, ("binlog.000002", b"\xfdbin and more"), state],
                "is no binary log",
            );
            none(
                &[
                    index,
                    ("binlog.000002", &closed),
                    ("former.index", b"former.000009\n"),
                    ("former.000009", &closed),
                ],
                "which of them the server writes can not be told: binlog.000002, former.000009",
            );
        }
        let half = [&closed[..], &[7; 30]].concat();
        let (positions, said) = found("mysql", &[index, ("binlog.000002", &half)]);
        assert!(positions.is_empty() && said.contains("can not be read here"), "{said}");
        let state: (&str, &[u8]) = ("binlog.state", b"what\n");
        let (positions, said) = found("mariadb", &[index, ("binlog.000002", &closed), state]);
        assert!(positions.is_empty() && said.contains("what"), "{said}");
    }
}
