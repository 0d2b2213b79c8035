//! Following a log: events come when they are logged, nothing blocks for long, nobody else's connection ends.

use std::time::{Duration, Instant};

use backstay_bed::{Flavour, TestServer, on_both, run, until};
use backstay_mysql::Session;
use backstay_mysql::binlog::{Event, LogStream, Mode, Place, Received, Resume, Start};

use super::{after, end};

on_both!(events_come_as_they_are_logged, two_follow_at_once, the_server_restarts);

fn follow(session: &mut Session) -> LogStream {
    let now = end(session);
    // One transaction, for at the log's end there is nothing to resume.
    run(session, &["CREATE DATABASE IF NOT EXISTS first", "DROP DATABASE first"]);
    let Resume::From { start, .. } = after(session, &now).unwrap() else {
        panic!("nothing new")
    };
    LogStream::open(session, &start, Mode::Follow).unwrap_or_else(|error| panic!("{error}"))
}

/// The GTIDs of whole transactions, up to that many.
fn transactions(stream: &mut LogStream, count: usize) -> Vec<String> {
    let mut gtids = Vec::new();
    let mut whole = 0;
    let deadline = Instant::now() + Duration::from_secs(30);
    while whole < count {
        assert!(Instant::now() < deadline, "{whole} of {count} transactions came");
        let asked = Instant::now();
        match stream
            .next(Duration::from_millis(100))
            .unwrap_or_else(|error| panic!("{error}"))
        {
            Received::Event(event) => {
                match &event.event {
                    Event::Gtid(event) => gtids.extend(event.gtid.as_ref().map(ToString::to_string)),
                    Event::MariadbGtid(event) => gtids.push(event.gtid.to_string()),
                    _ => {}
                }
                whole += usize::from(event.place == Place::Ends);
            }
            Received::End => panic!("the stream ended"),
            Received::Heartbeat { .. } | Received::Nothing => {
                assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
            }
        }
    }
    gtids
}

fn until_heartbeat(stream: &mut LogStream) -> (String, u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < deadline, "no heartbeat");
        if let Received::Heartbeat { file, offset } = stream.next(Duration::from_millis(100)).unwrap() {
            return (file.to_owned(), offset);
        }
    }
}

fn events_come_as_they_are_logged(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    let mut stream = follow(&mut session);
    assert_eq!(transactions(&mut stream, 2).len(), 2);
    // A heartbeat says where the log ends.
    let (file, offset) = until_heartbeat(&mut stream);
    let now = end(&mut session);
    assert!(
        now.iter().any(|position| position.value == format!("{file}:{offset}")),
        "{file}:{offset} {now:?}"
    );
    run(&mut session, &["CREATE DATABASE d", "CREATE TABLE d.t (a INT)"]);
    assert_eq!(transactions(&mut stream, 2).len(), 2);
    // Into the next file.
    run(&mut session, &["FLUSH BINARY LOGS", "INSERT INTO d.t VALUES (1)"]);
    assert_eq!(transactions(&mut stream, 1).len(), 1);
    let (file, offset) = until_heartbeat(&mut stream);
    let now = end(&mut session);
    assert!(
        now.iter().any(|position| position.value == format!("{file}:{offset}")),
        "{file}:{offset} {now:?}"
    );

    // It is a replica that the server shows, until it goes.
    let replicas = if flavour.is_mariadb() {
        "SHOW REPLICA HOSTS"
    } else {
        "SHOW REPLICAS"
    };
    let shown = session.query_named(replicas).unwrap();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(shown[0].get(&["Host"]), None.or(shown[0].get(&["Host"])));
    let id: u32 = shown[0].get(&["Server_Id"]).unwrap().parse().unwrap();
    assert!(id >= 1 << 31, "{id}");
    drop(stream);
    until("the connection is gone", || {
        session.query_named(replicas).unwrap().is_empty()
    });
    server.assert_free(&[session.connection_id()]);
}

fn two_follow_at_once(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    let mut one = follow(&mut session);
    let mut other = follow(&mut session);
    let beginning = if flavour.is_mariadb() {
        Start::Mariadb("".parse().unwrap())
    } else {
        Start::Gtid("".parse().unwrap())
    };
    // And one that reads once, which is no replica at all.
    let mut once = LogStream::open(&mut session, &beginning, Mode::Once).unwrap();
    while !matches!(once.next(Duration::from_secs(10)).unwrap(), Received::End) {}
    run(&mut session, &["CREATE DATABASE d"]);
    let all = transactions(&mut one, 5);
    assert_eq!(transactions(&mut other, 3), all[2..]);
}

/// A server that goes away is an error, not the log's end.
fn the_server_restarts(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    let mut stream = follow(&mut session);
    transactions(&mut stream, 2);
    let _ = session.run("SHUTDOWN");
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = loop {
        assert!(Instant::now() < deadline, "nothing is said");
        match stream.next(Duration::from_millis(100)) {
            // MySQL and MariaDB write Stop before they go; and MySQL ends the stream then.
            Ok(Received::End) => break None,
            Ok(_) => {}
            Err(error) => break Some(error),
        }
    };
    if let Some(error) = error {
        eprintln!("{error}");
        assert!(!stream.inside_transaction());
    }
}
