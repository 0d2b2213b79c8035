//! LOAD DATA LOCAL from a reader.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::raw::Loaded;
use backstay_mysql::{Flavour, Session};

use super::like;

on_both!(loads, a_source_that_fails, refused, killed_amid_data);

const LOAD: &str = "LOAD DATA LOCAL INFILE 'any' INTO TABLE d.t CHARACTER SET utf8mb4";

fn bed_with_table(flavour: Flavour) -> (TestServer, Session) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(400)) CHARACTER SET utf8mb4",
        ],
    );
    (bed, session)
}

fn count(session: &mut Session) -> u64 {
    session.query_first("SELECT COUNT(*) FROM d.t").unwrap().unwrap()
}

fn lines(ids: std::ops::Range<u32>) -> Vec<u8> {
    let mut text = String::new();
    for id in ids {
        writeln!(text, "{id}\t{}ä😀", "value ".repeat((id % 60) as usize)).unwrap();
    }
    text.into_bytes()
}

fn loads(flavour: Flavour) {
    let (_bed, mut session) = bed_with_table(flavour);
    let mut raw = like(&session);
    let data = lines(0..20_000);
    assert!(data.len() > 3 << 20);
    let all = Loaded {
        rows: 20_000,
        warnings: 0,
    };
    assert_eq!(raw.load(LOAD, &mut &data[..]).unwrap(), all);
    let sums: (u64, u64) = session
        .query_first("SELECT COUNT(*), CAST(SUM(CHAR_LENGTH(v)) AS UNSIGNED) FROM d.t")
        .unwrap()
        .unwrap();
    let length: u64 = (0..20_000_u64).map(|id| id % 60 * 6 + 2).sum();
    assert_eq!(sums, (20_000, length));

    // Nothing, a line without its end, lengths around that of a packet, a source that gives little at a time.
    let nothing = Loaded { rows: 0, warnings: 0 };
    assert_eq!(raw.load(LOAD, &mut io::empty()).unwrap(), nothing);
    assert_eq!(raw.load(LOAD, &mut &b"20000\tx"[..]).unwrap().rows, 1);
    for (id, length) in [262_139_usize, 262_140, 262_141, 524_280, 16_777_215, 16_777_216]
        .iter()
        .enumerate()
    {
        raw.run("TRUNCATE d.t").unwrap();
        let mut line = format!("{id}\t").into_bytes();
        line.resize(*length, b'x');
        let loaded = raw.load(LOAD, &mut &line[..]).unwrap();
        // The value is cut to its column.
        assert_eq!((loaded.rows, loaded.warnings), (1, 1));
    }
    raw.run("TRUNCATE d.t").unwrap();
    struct Little<'a>(&'a [u8]);
    impl Read for Little<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1000);
            self.0.read(&mut buffer[..most])
        }
    }
    assert_eq!(raw.load(LOAD, &mut Little(&data)).unwrap(), all);

    // Warnings are counted and can be read.
    let loaded = raw.load(LOAD, &mut &b"20001\tx\tmore\n20002\n"[..]).unwrap();
    assert_eq!((loaded.rows, loaded.warnings), (2, 2));
    let warnings = raw.warnings().unwrap();
    assert!(
        warnings[0].starts_with("Warning 1262: Row 1 was truncated"),
        "{warnings:?}"
    );
    // Any number of loads in a transaction.
    raw.run("BEGIN").unwrap();
    for id in 30_000..30_010 {
        raw.load(LOAD, &mut format!("{id}\tx\n").as_bytes()).unwrap();
    }
    raw.run("ROLLBACK").unwrap();
    assert_eq!(count(&mut session), 20_002);
}

/// What it gave before are whole lines, so that nothing but the closed connection says that they are not all.
fn a_source_that_fails(flavour: Flavour) {
    let (_bed, mut session) = bed_with_table(flavour);
    for size in [0, 10, 5_000] {
        let mut raw = like(&session);
        let id = raw.connection_id();
        let data = lines(0..size);
        struct Fails<'a>(&'a [u8]);
        impl Read for Fails<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match self.0.read(buffer)? {
                    0 => Err(EngineError::new(ErrorKind::Damaged, "the object is damaged").into()),
                    count => Ok(count),
                }
            }
        }
        let error = raw.load(LOAD, &mut Fails(&data)).unwrap_err();
        assert_eq!(error, EngineError::new(ErrorKind::Damaged, "the object is damaged"));
        let error = raw.run("SELECT 1").unwrap_err();
        assert!(error.message.contains("is closed"), "{error}");
        let gone = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
        while session.query_first::<u64>(&gone).unwrap() != Some(0) {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(count(&mut session), 0, "{size} lines were sent");
    }
}

fn refused(flavour: Flavour) {
    let (_bed, mut session) = bed_with_table(flavour);
    let mut raw = like(&session);
    let data = lines(0..10);
    // Errors of the server's while it reads: a key twice (LOCAL has them ignored), a table that is not there.
    assert_eq!(raw.load(LOAD, &mut &data[..]).unwrap().rows, 10);
    let again = raw.load(LOAD, &mut &data[..]).unwrap();
    assert_eq!((again.rows, again.warnings), (0, 10));
    let error = raw
        .load("LOAD DATA LOCAL INFILE 'any' INTO TABLE d.none", &mut &data[..])
        .unwrap_err();
    assert!(error.to_string().contains("1146"), "{error}");

    run(&mut session, &["SET GLOBAL local_infile = OFF"]);
    let error = raw.load(LOAD, &mut &data[..]).unwrap_err();
    assert_eq!(
        error.advice.as_deref(),
        Some("run: SET GLOBAL local_infile = 1"),
        "{error}"
    );
    let mut early = like(&session);
    run(&mut session, &["SET GLOBAL local_infile = ON"]);
    // A session from when it was off can load now.
    assert_eq!(early.load(LOAD, &mut &lines(10..20)[..]).unwrap().rows, 10);

    let error = raw.load("SELECT 1", &mut &data[..]).unwrap_err();
    assert!(error.message.contains("expected LOAD DATA LOCAL INFILE"), "{error}");
    // A file that nobody offered is not sent.
    let mut raw = like(&session);
    let error = raw
        .run("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE d.t")
        .unwrap_err();
    assert!(error.to_string().contains("asked for a file"), "{error}");
    assert!(raw.run("SELECT 1").unwrap_err().message.contains("is closed"));
    assert_eq!(count(&mut session), 20);
}

/// The server's word is heard even though it comes while we send.
fn killed_amid_data(flavour: Flavour) {
    let (bed, mut session) = bed_with_table(flavour);
    for how in ["QUERY", "CONNECTION"] {
        let mut raw = like(&session);
        let id = raw.connection_id();
        struct Kills<'a> {
            session: &'a mut Session,
            sql: String,
            next: u32,
        }
        impl Read for Kills<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.next == 2_000 {
                    run(self.session, &[&self.sql]);
                }
                // Far more than the server reads before it notices.
                let line = format!("{}\t{}\n", self.next, "x".repeat(390));
                self.next += 1;
                if self.next >= 200_000 {
                    return Ok(0);
                }
                buffer[..line.len()].copy_from_slice(line.as_bytes());
                Ok(line.len())
            }
        }
        let mut source = Kills {
            session: &mut session,
            sql: format!("KILL {how} {id}"),
            next: 0,
        };
        let error = raw
            .load(LOAD, &mut io::BufReader::with_capacity(1 << 20, &mut source))
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Connection, "{how}: {error}");
        drop(raw);
        let gone = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
        while session.query_first::<u64>(&gone).unwrap() != Some(0) {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(count(&mut session), 0, "{how}");
    }
    drop(bed);
}
