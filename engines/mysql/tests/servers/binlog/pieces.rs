//! Pieces of a log: the server's bytes, which the server's own program reads as it reads the server's file.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use backstay_bed::{Flavour, TestServer, on_both, run};
use backstay_engine_api::position::{BinlogFile, PointInTime};
use backstay_engine_api::{ErrorKind, LOG_INDEX, Order};
use backstay_mysql::binlog::{Event, PieceReader, Place};

use super::{Piece, end, since, workload};

on_both!(the_servers_bytes_and_an_index, damage_is_found, nothing_new_is_nothing);

fn the_servers_bytes_and_an_index(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(&mut session, &["FLUSH BINARY LOGS"]);
    let before = end(&mut session);
    let begun = PointInTime::now();
    let count = workload::run(&server);
    run(
        &mut session,
        &[
            "FLUSH BINARY LOGS",
            "INSERT INTO shop.orders (v) VALUES ('in another file')",
        ],
    );
    let piece = since(&server, &before);
    let lines = piece.index();
    assert_eq!((lines.len() as u64, piece.segment.transactions), (count + 1, count + 1));

    // Each transaction is where its line says, the same bytes as in the server's file.
    let mut files = HashMap::new();
    for line in &lines {
        let end: BinlogFile = line.end.parse().unwrap();
        let file = files
            .entry(end.file().to_owned())
            .or_insert_with(|| fs::read(server.server.data_dir().join(end.file())).unwrap());
        let (start, length) = (line.offset as usize, line.length as usize);
        let ours = &piece.objects[&line.file][start..start + length];
        let theirs = &file[end.offset() as usize - length..end.offset() as usize];
        assert!(ours == theirs, "{line:?}");
        let time: PointInTime = line.time.parse().unwrap();
        // MariaDB's second began before the test did.
        assert!(
            time.unix_microseconds() + 1_000_000 > begun.unix_microseconds() && time <= PointInTime::now(),
            "{line:?}"
        );
    }
    // The pieces' names, and where the piece ends.
    let now = end(&mut session);
    assert_eq!(piece.segment.to[0].value, now[0].value);
    // MariaDB notes a checkpoint of its own behind the last transaction.
    let order = piece.segment.to[1].compare(&now[1]).unwrap();
    assert!(
        matches!(order, Order::Equal | Order::Before),
        "{:?} {now:?}",
        piece.segment.to
    );
    assert_eq!(piece.segment.from[0].value, before[0].value);
    let mut names: Vec<_> = piece.objects.keys().cloned().collect();
    names.sort_by_key(|name| name == LOG_INDEX);
    assert_eq!(piece.segment.objects, names);

    assert_read_alike(&server, &piece);

    // What is searched for.
    let has =
        |what: &dyn Fn(&backstay_engine_api::LoggedTransaction) -> bool| lines.iter().filter(|line| what(line)).count();
    let kind = |kind: &str| has(&|line| line.kinds.iter().any(|found| found == kind));
    for name in [
        "insert",
        "update",
        "delete",
        "ddl",
        "xa-prepare",
        "xa-commit",
        "xa-rollback",
    ] {
        assert!(kind(name) >= 3, "{name}");
    }
    assert_eq!(kind("other"), 0);
    let dropped = lines.iter().find(|line| {
        line.statement
            .as_deref()
            .is_some_and(|text| text.starts_with("DROP TABLE"))
    });
    assert_eq!(
        dropped.map(|line| (line.tables.join(" "), line.kinds.join(" "))),
        Some(("shop.kept".into(), "ddl".into()))
    );
    let both = lines
        .iter()
        .find(|line| line.rows.len() == 2)
        .expect("rows inserted and deleted");
    assert_eq!((both.rows["insert"], both.rows["delete"]), (2, 1), "{both:?}");
    assert_eq!(both.tables, ["shop.orders", "shop.parts"]);
    // Each row event's rows could be counted.
    let counted = has(&|line| !line.rows.is_empty());
    assert!(counted > 20, "{counted}");
    if flavour == Flavour::MySql {
        assert_eq!(
            has(&|line| line.gtid.as_deref().is_some_and(|gtid| gtid.contains(":backstay:"))),
            2
        );
        let times: Vec<PointInTime> = lines.iter().map(|line| line.time.parse().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(lines.iter().any(|line| line.time.contains('.')));
    } else {
        assert_eq!(
            has(&|line| line.gtid.as_deref().is_some_and(|gtid| gtid.starts_with("7-1-"))),
            1
        );
    }

    // Read again, transaction by transaction: every third, then all.
    for step in [3, 1] {
        for name in piece.segment.objects.iter().filter(|name| *name != LOG_INDEX) {
            let mut reader = PieceReader::open(piece.objects[name].as_slice(), name.as_str()).unwrap();
            for line in lines.iter().filter(|line| line.file == *name).step_by(step) {
                let mut places = Vec::new();
                let mut bytes = 0;
                let mut gtid = None;
                reader
                    .transaction(line, |event| {
                        places.push(event.place);
                        bytes += event.raw.bytes.len() as u64;
                        match event.event {
                            Event::Gtid(event) => gtid = event.gtid.map(|gtid| gtid.to_string()),
                            Event::MariadbGtid(event) => gtid = Some(event.gtid.to_string()),
                            _ => {}
                        }
                        Ok(())
                    })
                    .unwrap();
                assert_eq!((places[0], places[places.len() - 1]), (Place::Begins, Place::Ends));
                assert_eq!((bytes, &gtid), (line.length, &line.gtid));
            }
        }
    }
}

/// The first of a piece's files, and the server's of the same name, which begin with the same transaction.
fn assert_read_alike(server: &TestServer, piece: &Piece) {
    let name = &piece.segment.objects[0];
    let ours = server.dir().join("ours");
    fs::write(&ours, &piece.objects[name]).unwrap();
    let theirs = server.server.data_dir().join(name);
    let (ours, theirs) = (shown(server, &ours), shown(server, &theirs));
    assert!(ours.len() > 200 && ours.iter().any(|line| line.contains("### INSERT INTO `shop`.`orders`")));
    let differing = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
    assert_eq!((differing, ours.len()), (None, theirs.len()));
}

/// What `mysqlbinlog` shows of a file, without what belongs to no transaction.
fn shown(server: &TestServer, file: &Path) -> Vec<String> {
    let output = Command::new(server.program("mysqlbinlog", "mariadb-binlog"))
        .args([
            "--no-defaults",
            "--verify-binlog-checksum",
            "--base64-output=decode-rows",
            "-v",
        ])
        .arg(file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.contains("ERROR") && !errors.contains("WARNING: The"),
        "{errors}"
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let of_the_file = [
        "Start: binlog",
        "Rotate to",
        "\tStop",
        "Previous-GTIDs",
        "Gtid list",
        "Binlog checkpoint",
        "Warning: this binlog",
    ];
    text.lines()
        .filter(|line| !line.starts_with("# ") && !of_the_file.iter().any(|what| line.contains(what)))
        .map(str::to_owned)
        .collect()
}

fn damage_is_found(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    let before = end(&mut session);
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (a INT)",
            "INSERT INTO d.t VALUES (1), (2)",
        ],
    );
    let piece = since(&server, &before);
    let name = &piece.segment.objects[0];
    let bytes = &piece.objects[name];
    let all = |bytes: &[u8]| {
        let mut reader = PieceReader::open(bytes, "the piece")?;
        while reader.next()?.is_some() {}
        Ok::<_, backstay_engine_api::EngineError>(())
    };
    all(bytes).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let error = all(&damaged).expect_err("damage is found");
        assert_eq!(error.kind, ErrorKind::Damaged, "byte {at}: {error}");
    }
    let ends: Vec<usize> = piece
        .index()
        .iter()
        .map(|line| (line.offset + line.length) as usize)
        .collect();
    assert_eq!(ends.last(), Some(&bytes.len()));
    for at in (0..bytes.len())
        .filter(|at| *at < piece.index()[0].offset as usize)
        .take(100)
    {
        assert!(all(&bytes[..at]).is_err() || at > 100, "cut at {at}");
    }
    let error = all(&bytes[..bytes.len() - 1]).unwrap_err();
    assert!(
        error
            .message
            .starts_with("the piece ends in the middle of the event that begins at "),
        "{error}"
    );
    // An index that is not that of the file.
    let mut line = piece.index()[1].clone();
    line.offset += 1;
    let mut reader = PieceReader::open(bytes.as_slice(), "the piece").unwrap();
    assert!(reader.transaction(&line, |_| Ok(())).is_err());
    line = piece.index()[1].clone();
    line.length -= 1;
    let mut reader = PieceReader::open(bytes.as_slice(), "the piece").unwrap();
    let error = reader.transaction(&line, |_| Ok(())).unwrap_err();
    assert!(error.message.contains("does not fit that"), "{error}");
}

fn nothing_new_is_nothing(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(&mut session, &["CREATE DATABASE d"]);
    let before = end(&mut session);
    assert_eq!(since(&server, &before).segment.transactions, 0);
    // Files come and go, and nothing happens in them.
    run(&mut session, &["FLUSH BINARY LOGS", "FLUSH BINARY LOGS"]);
    let piece = since(&server, &before);
    assert_eq!((piece.segment.transactions, piece.objects.len()), (0, 0));
    assert_eq!(piece.segment.from, piece.segment.to);
}
