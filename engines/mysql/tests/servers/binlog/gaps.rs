//! What is missing is said, and that a full backup mends it.

use std::fs;

use backstay_bed::{Flavour, TestServer, on_both, run, until};
use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{EngineError, ErrorKind, Position};
use backstay_mysql::binlog::{LogStream, Mode, Received, Resume, log_end, resume};
use backstay_mysql::{Session, facts};

use super::{WAIT, after, end, since};

on_both!(
    purged_logs,
    a_reset_server,
    another_servers_history,
    logs_that_are_not_whole,
    damage_on_the_servers_disk,
    a_missing_privilege
);

/// Three files, with the end of the first.
fn three_files(server: &TestServer) -> (Session, Vec<Position>) {
    let mut session = server.session();
    run(&mut session, &["CREATE DATABASE d", "CREATE TABLE d.t (a INT)"]);
    let first = end(&mut session);
    for _ in 0..2 {
        run(&mut session, &["INSERT INTO d.t VALUES (1)", "FLUSH BINARY LOGS"]);
    }
    (session, first)
}

fn purge(session: &mut Session) {
    // A file that is still being sent is kept.
    until("all but the last file are gone", || {
        let logs = session.query_named("SHOW BINARY LOGS").unwrap();
        let last = logs.last().and_then(|row| row.get(&["Log_name"])).unwrap().to_owned();
        run(session, &[&format!("PURGE BINARY LOGS TO '{last}'")]);
        logs.len() == 1
    });
}

/// Where the stream says why it can not go on.
fn stream_error(session: &mut Session, positions: &[Position]) -> EngineError {
    let (start, _) = match after(session, positions) {
        Err(error) => return error,
        Ok(Resume::From { start, from }) => (start, from),
        Ok(Resume::Nothing) => panic!("nothing is new"),
    };
    let mut stream = LogStream::open(session, &start, Mode::Once).unwrap();
    loop {
        match stream.next(WAIT) {
            Err(error) => return error,
            Ok(Received::End) => panic!("it was read"),
            Ok(_) => {}
        }
    }
}

#[track_caller]
fn is_refused(error: &EngineError, found: &str) {
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    let text = format!("{error} {:?}", error.causes);
    assert!(text.contains(found), "{found}: {text}");
    assert!(
        error
            .advice
            .as_deref()
            .is_some_and(|advice| advice.contains("full backup")),
        "{error}"
    );
}

fn purged_logs(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let (mut session, first) = three_files(&server);
    assert_eq!(since(&server, &first).segment.transactions, 2);
    let now = end(&mut session);
    purge(&mut session);
    let error = stream_error(&mut session, &first);
    // MySQL names the transactions, MariaDB says that it is so.
    is_refused(
        &error,
        if flavour.is_mariadb() {
            "have been purged"
        } else {
            "missing is "
        },
    );
    // What is left goes on from where nothing is missing.
    run(&mut session, &["INSERT INTO d.t VALUES (2)"]);
    assert_eq!(since(&server, &now).segment.transactions, 1);
}

fn a_reset_server(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let (mut session, first) = three_files(&server);
    let reset = if flavour.is_mariadb() {
        "RESET MASTER"
    } else {
        "RESET BINARY LOGS AND GTIDS"
    };
    // The clock of a file's beginning has seconds.
    let read_at = first[0].point_in_time().unwrap().unwrap().unix_microseconds();
    until("the next second", || {
        let now = backstay_engine_api::position::PointInTime::now().unix_microseconds();
        now / 1_000_000 > read_at / 1_000_000
    });
    run(&mut session, &[reset, "INSERT INTO d.t VALUES (3)"]);
    // It has fewer transactions than before.
    is_refused(&stream_error(&mut session, &first), "it lacks ");
    // It has more, under the same names.
    for _ in 0..5 {
        run(&mut session, &["INSERT INTO d.t VALUES (4)"]);
    }
    let error = stream_error(&mut session, &first);
    is_refused(&error, "the server's binary log was reset since");
}

fn another_servers_history(flavour: Flavour) {
    let (server, other) = (
        TestServer::start(flavour),
        TestServer::start_with(flavour, &["--server-id=2"]),
    );
    let (_, first) = three_files(&server);
    let (mut session, _) = three_files(&other);
    run(&mut session, &["INSERT INTO d.t VALUES (5)"]);
    let taken = facts(&mut server.session()).unwrap();
    let here = facts(&mut session).unwrap();
    let now = log_end(&mut session, &here).unwrap();
    let found = resume(&mut session, &here, &now, &taken, &first, "backup b1");
    match (flavour.is_mariadb(), found) {
        (false, Err(error)) => is_refused(&error, "it lacks "),
        // The numbers of the one are those of the other: the server itself says that it never logged that transaction.
        (true, Ok(Resume::From { start, .. })) => {
            let mut stream = LogStream::open(&mut session, &start, Mode::Once).unwrap();
            let error = loop {
                if let Err(error) = stream.next(WAIT) {
                    break error;
                }
            };
            is_refused(&error, "0-1-2");
        }
        (_, found) => panic!("{found:?}"),
    }
    // Without GTIDs, places of two servers are never compared.
    let places: Vec<Position> = first
        .into_iter()
        .filter(|position| position.kind.as_str() == "binlog-file")
        .collect();
    let error = resume(&mut session, &here, &now, &taken, &places, "backup b1").unwrap_err();
    is_refused(&error, "of another server");
}

fn logs_that_are_not_whole(flavour: Flavour) {
    let server = TestServer::start_with(flavour, &["--binlog-ignore-db=scratch"]);
    let mut session = server.session();
    let here = facts(&mut session).unwrap();
    let error = log_end(&mut session, &here).unwrap_err();
    assert!(
        error.message.ends_with("is not whole: Binlog_Ignore_DB is scratch"),
        "{error}"
    );
    let server = TestServer::start_with(flavour, &["--skip-log-bin"]);
    let mut session = server.session();
    let here = facts(&mut session).unwrap();
    let error = log_end(&mut session, &here).unwrap_err();
    assert!(error.message.ends_with("has no binary log (log_bin is OFF)"), "{error}");
}

/// A server sends what is on its disk as it is.
fn damage_on_the_servers_disk(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let (mut session, first) = three_files(&server);
    let piece = since(&server, &first);
    let end: BinlogFile = piece.index()[0].end.parse().unwrap();
    // In the number of the Xid event, before its checksum.
    let path = server.server.data_dir().join(end.file());
    let mut bytes = fs::read(&path).unwrap();
    bytes[end.offset() as usize - 6] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = stream_error(&mut session, &first);
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    let found = format!("Xid that ends at {} is damaged: its CRC-32 is ", end.offset());
    assert!(error.message.contains(&found), "{error}");
}

fn a_missing_privilege(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let (mut root, first) = three_files(&server);
    let client = if flavour.is_mariadb() {
        "BINLOG MONITOR, SLAVE MONITOR"
    } else {
        "REPLICATION CLIENT"
    };
    run(
        &mut root,
        &[
            "CREATE USER u@localhost",
            &format!("GRANT {client} ON *.* TO u@localhost"),
        ],
    );
    let address = backstay_engine_api::Server {
        user: Some("u".to_owned()),
        ..server.address()
    };
    let mut session = Session::connect(&address).unwrap();
    let error = stream_error(&mut session, &first);
    assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
    assert!(
        error.advice.as_deref().is_some_and(|advice| advice
            .contains("GRANT REPLICATION SLAVE ON *.* TO 'u'@'localhost'")
            || advice.contains("GRANT REPLICATION REPLICA ON *.* TO 'u'@'localhost'")),
        "{error}"
    );
}

/// MySQL without GTIDs: by file and offset, on the same server.
#[test]
fn mysql_without_gtids() {
    let server = TestServer::start_with(Flavour::MySql, &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]);
    let (mut session, first) = three_files(&server);
    assert_eq!(first.len(), 1, "{first:?}");
    let piece = since(&server, &first);
    assert_eq!((piece.segment.transactions, piece.objects.len()), (2, 3));
    assert!(piece.index().iter().all(|line| line.gtid.is_none()));
    // On from there.
    run(&mut session, &["INSERT INTO d.t VALUES (2)"]);
    let piece = since(&server, &piece.segment.to);
    assert_eq!(piece.segment.transactions, 1);
    assert_eq!(since(&server, &piece.segment.to).segment.transactions, 0);
    purge(&mut session);
    is_refused(&stream_error(&mut session, &first), "missing is binlog.");
    run(
        &mut session,
        &["RESET BINARY LOGS AND GTIDS", "INSERT INTO d.t VALUES (2)"],
    );
    is_refused(&stream_error(&mut session, &piece.segment.to), "was reset since");
}
