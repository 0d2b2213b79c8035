//! Page-level incrementals of the engine `snapshot` end to end: chains taken under a write load with DDL are what a second server has
//! that executed exactly the log up to their position, with pages of every size and kind; damaged pages are found and named.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use backstay_bed::{Flavour, TestServer, on_both, until};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::Backstay;
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{contents, differences};
use backstay_tests::ddl::Ddl;
use backstay_tests::on_volume::{OnVolume, conn, rounds};
use backstay_tests::reference::{binlog_position, server_at};
use backstay_tests::shop;
use backstay_tests::volumes::FileSystem;
use serde_json::Value;

/// The sizes of pages, in bytes.
const PAGES: [u32; 3] = [16384, 4096, 65536];

/// A server on a volume with reflinks.
fn on_xfs(flavour: Flavour, arguments: &[String]) -> OnVolume {
    OnVolume::new(flavour, FileSystem::Xfs, arguments)
}

/// Tables of every kind of page that there is with that size, a thousand rows each.
fn kinds(source: &TestServer, page_size: u32) -> Vec<&'static str> {
    let mut conn = source.conn();
    conn.query_drop("CREATE DATABASE kinds").unwrap();
    let mut tables = vec![
        ("plain", String::new()),
        ("swapped", String::new()),
        ("emptied", String::new()),
    ];
    tables.extend([("renewed", String::new()), ("rebuilt", String::new())]);
    if page_size <= 16384 {
        tables.push((
            "zip",
            format!("ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE={}", page_size / 2048),
        ));
    }
    if source.flavour.is_mariadb() {
        tables.push(("packed", "PAGE_COMPRESSED=1".to_owned()));
    } else if page_size > 4096 {
        tables.push(("packed", "COMPRESSION='zlib'".to_owned()));
    }
    for (table, kind) in &tables {
        let columns = "id INT PRIMARY KEY, n INT NOT NULL, v VARCHAR(500), KEY (v(30))";
        conn.query_drop(format!("CREATE TABLE kinds.{table} ({columns}) {kind}"))
            .unwrap();
        let rows = (1..=1000_u32).map(|id| (id, id % 7, format!("{id} ").repeat(id as usize % 60)));
        conn.exec_batch(format!("INSERT INTO kinds.{table} VALUES (?, ?, ?)"), rows)
            .unwrap();
    }
    tables.into_iter().map(|(table, _)| table).collect()
}

/// What happens to files between two backups: they swap names, are made anew under the same name, emptied, rebuilt, and grow.
fn between_backups(source: &TestServer, tables: &[&str], round: usize) {
    let mut conn = source.conn();
    let columns = "id INT PRIMARY KEY, n INT NOT NULL, v VARCHAR(500), KEY (v(30))";
    let mut statements = vec![
        "RENAME TABLE kinds.plain TO kinds.third, kinds.swapped TO kinds.plain, kinds.third TO kinds.swapped"
            .to_owned(),
        "DROP TABLE kinds.renewed".to_owned(),
        format!("CREATE TABLE kinds.renewed ({columns})"),
        format!("INSERT INTO kinds.renewed SELECT id + {round}, n, v FROM kinds.plain WHERE id < 400"),
        "TRUNCATE TABLE kinds.emptied".to_owned(),
        format!("INSERT INTO kinds.emptied VALUES ({round}, 1, 'after')"),
        "OPTIMIZE TABLE kinds.rebuilt".to_owned(),
        format!("CREATE DATABASE other{round}"),
        format!("RENAME TABLE kinds.rebuilt TO other{round}.rebuilt"),
        format!("RENAME TABLE other{round}.rebuilt TO kinds.rebuilt"),
    ];
    for table in tables {
        let at = round * 131 % 900;
        statements.push(format!(
            "UPDATE kinds.{table} SET n = n + 1 WHERE id BETWEEN {at} AND {at} + 20"
        ));
        statements.push(format!(
            "DELETE FROM kinds.{table} WHERE id BETWEEN {at} + 300 AND {at} + 340"
        ));
    }
    for statement in statements {
        conn.query_drop(&statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// All that was changed is in its place on disk, and the server's checkpoint says so: an incremental has what was written since the
/// checkpoint of its parent. And nothing is left to be purged: about a second after its last transaction a server takes the history out of
/// all rollback segments at once, which changes the first page of each of these 128, and those of their undo logs.
fn all_is_written(source: &TestServer) {
    let mut conn = source.conn();
    conn.query_drop("SET GLOBAL innodb_purge_rseg_truncate_frequency = 1")
        .unwrap();
    let history = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'";
    until("the history is purged", || {
        conn.query_first::<u64, _>(history).unwrap() == Some(0)
    });
    for setting in ["innodb_max_dirty_pages_pct_lwm", "innodb_max_dirty_pages_pct"] {
        conn.query_drop(format!("SET GLOBAL {setting} = 0")).unwrap();
    }
    let (end, checkpoint) = if source.flavour.is_mariadb() {
        ("Innodb_lsn_current", "Innodb_lsn_last_checkpoint")
    } else {
        ("Innodb_redo_log_current_lsn", "Innodb_redo_log_checkpoint_lsn")
    };
    until("the checkpoint is at the end of the log", || {
        let mut lsn = |name: &str| {
            let found = conn.query_first(format!("SHOW GLOBAL STATUS LIKE '{name}'"));
            let (_, lsn): (String, u64) = found.unwrap().expect("an LSN");
            lsn
        };
        // The server itself writes a little now and then.
        lsn(end).saturating_sub(lsn(checkpoint)) < 4096
    });
}

/// A full backup and three incrementals under load; the last and one before are restored and compared.
fn chains_under_load_equal_a_reference(flavour: Flavour) {
    for round in 0..rounds(1) {
        let (seed, flush) = (20_261_128 + round, round % 3);
        let page_size = PAGES[usize::try_from(round / 3 + round).unwrap() % PAGES.len()];
        eprintln!("seed {seed}, innodb_flush_log_at_trx_commit={flush}, pages of {page_size} bytes");
        let size = [format!("--innodb-page-size={page_size}")];
        let size = if page_size == PAGES[0] { &[][..] } else { &size[..] };
        let flush = [format!("--innodb-flush-log-at-trx-commit={flush}")];
        let bed = on_xfs(flavour, &[size, &flush].concat());
        let (source, backstay) = (&bed.source, &bed.backstay);
        shop::create(&mut source.conn());
        bank::create(&mut source.conn());
        let tables = kinds(source, page_size);
        let load = Load::start(&source.opts(), 2, seed);
        let ddl = Ddl::start(&source.opts(), seed);
        load.wait_for(100);
        let mut taken = vec![bed.backup(&[])];
        for number in 0..3 {
            between_backups(source, &tables, number);
            load.wait_for(50);
            taken.push(bed.backup(&["--incremental"]));
        }
        load.wait_for(50);
        ddl.stop();
        load.stop();
        for backup in &taken {
            let pages = &backup["state"]["pages"];
            eprintln!(
                "{} from {} to {}, {}",
                backup["id"], pages["checkpoint"], pages["end"], pages["pages"]
            );
            assert_eq!(pages["pages"]["damaged"], 0, "{pages}");
            assert!(pages["checkpoint"].as_u64() < pages["end"].as_u64(), "{pages}");
        }
        let stored = |backup: &Value| backup["stored_bytes"].as_u64().unwrap();
        let all: Vec<u64> = taken.iter().map(stored).collect();
        eprintln!("stored: {all:?} bytes");
        // Under load it is the load that says how much that is. What one row costs is told without.
        all_is_written(source);
        bed.backup(&["--incremental"]);
        let least = "SELECT id FROM (SELECT MIN(id) id FROM kinds.plain) least";
        let changed = format!("UPDATE kinds.plain SET n = n + 1 WHERE id = ({least})");
        source.conn().query_drop(changed).unwrap();
        let small = bed.backup(&["--incremental"]);
        let pages = |kind: &str| small["state"]["pages"]["pages"][kind].as_u64().unwrap();
        let (changed, read) = (pages("changed"), pages("read"));
        eprintln!("one row: {changed} of {read} pages, {} bytes", stored(&small));
        assert!(changed * 20 < read, "{changed} of {read} pages for one row");
        // A few pages of 64 KiB are much of a backup as small as this.
        if page_size <= 16384 {
            assert!(
                stored(&small) * 4 < all[0],
                "{} bytes for one row, {} for all",
                stored(&small),
                all[0]
            );
        }
        backstay.run(&["verify"]).ok();
        for backup in [&taken[1 + usize::try_from(round).unwrap() % 2], &taken[3]] {
            let id = backup["id"].as_str().unwrap();
            let (file, offset) = binlog_position(&backup["positions"]);
            let reference = server_at(source, &file, offset);
            let server = bed.server_on(&bed.restored(id), size);
            let schemas = ["bank", "shop", "shop_archive", "ddl", "kinds"];
            let (left, right) = (
                contents(&mut conn(&server), &schemas),
                contents(&mut reference.conn(), &schemas),
            );
            let differ = differences(&left, &right);
            assert!(differ.is_empty(), "{id} at {file}:{offset}: {differ:#?}");
            assert!(left.contains_key("`kinds`.`swapped` rows"), "{:?}", left.keys());
            let (sum, expected) = bank::sums(&mut conn(&server), "bank");
            assert_eq!(sum, expected);
            // Every table is sound to the server itself.
            for table in &tables {
                let checked: Vec<(String, String, String, String)> = conn(&server)
                    .query(format!("CHECK TABLE kinds.{table} EXTENDED"))
                    .unwrap();
                assert_eq!(checked.last().unwrap().3, "OK", "{checked:?}");
            }
            server.stop().unwrap();
        }
    }
}

/// Writes over a part of a page of a table that nobody uses.
fn damage(file: &Path, page: u64, page_size: u64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[0x5a; 100], page * page_size + 3000).unwrap();
}

/// A damaged page fails the backup by its name, unless it is allowed; what follows then takes the file whole.
fn damaged_pages_are_named(flavour: Flavour) {
    let bed = on_xfs(flavour, &[]);
    let tables = kinds(&bed.source, 16384);
    let mut session = bed.source.session();
    // Recovery from an older checkpoint would make the damaged pages whole, of their copies in the doublewrite area: not damaged, then.
    all_is_written(&bed.source);
    let full = bed.backup(&[]);
    let data = bed.source.server.data_dir();
    let good = fs::read(data.join("kinds/plain.ibd")).unwrap();
    damage(&data.join("kinds/plain.ibd"), 3, 16384);
    damage(&data.join("kinds/zip.ibd"), 5, 8192);
    for incremental in [false, true] {
        let arguments: &[&str] = if incremental { &["--incremental"] } else { &[] };
        let backup = ["backup", "--engine", "snapshot"];
        let failed = bed.backstay.run(&[&backup, arguments].concat()).fails_with(1);
        for what in [
            "2 pages are damaged",
            "kinds/plain.ibd, page 3: its checksum does not fit",
            "kinds/zip.ibd, page 5: its checksum does not fit",
        ] {
            assert!(failed.stderr.contains(what), "{}", failed.stderr);
        }
    }
    assert_eq!(bed.backstay.ids("main").len(), 1);
    let allowed = bed.backup(&["--incremental", "--option", "allow_damaged_pages=true"]);
    let notices = allowed["notices"].to_string();
    assert!(
        notices.contains("damaged-pages") && notices.contains("kinds/zip.ibd"),
        "{notices}"
    );
    assert_eq!(allowed["state"]["pages"]["pages"]["damaged"], 2);
    // What is mended carries no newer LSN: taken all the same.
    fs::write(data.join("kinds/plain.ibd"), &good).unwrap();
    let zip = OpenOptions::new().write(true).open(data.join("kinds/zip.ibd")).unwrap();
    zip.set_len(0).unwrap();
    session.run("DROP TABLE kinds.zip").unwrap();
    let mended = bed.backup(&["--incremental"]);
    let id = mended["id"].as_str().unwrap();
    let server = bed.server_on(&bed.restored(id), &[]);
    for table in tables.into_iter().filter(|table| *table != "zip") {
        let rows: Option<u64> = conn(&server)
            .query_first(format!("SELECT COUNT(*) FROM kinds.{table}"))
            .unwrap();
        assert_eq!(rows, Some(1000), "{table}");
    }
    server.stop().unwrap();
    assert_ne!(full["id"], mended["id"]);
}

/// A file whose first page says nothing is taken whole, each time: nothing says what of it has changed, nor what it was.
fn files_of_no_tablespace_are_taken_whole(flavour: Flavour) {
    let bed = on_xfs(flavour, &[]);
    kinds(&bed.source, 16384);
    // As above.
    all_is_written(&bed.source);
    bed.backup(&[]);
    let file = bed.source.server.data_dir().join("kinds/plain.ibd");
    let good = fs::read(&file).unwrap();
    damage(&file, 0, 16384);
    let as_in_source = |backup: &Value| {
        let restored = bed.restored(backup["id"].as_str().unwrap());
        assert!(fs::read(restored.join("kinds/plain.ibd")).unwrap() == fs::read(&file).unwrap());
        fs::remove_dir_all(restored).unwrap();
    };
    for _ in 0..2 {
        let taken = bed.backup(&["--incremental", "--option", "allow_damaged_pages=true"]);
        let notices = taken["notices"].to_string();
        assert!(
            notices.contains("kinds/plain.ibd, page 0: it is of no tablespace"),
            "{notices}"
        );
        as_in_source(&taken);
    }
    fs::write(&file, &good).unwrap();
    as_in_source(&bed.backup(&["--incremental"]));
}

/// A table that is imported has the tablespace's id that it had before, and on MariaDB its pages have no LSN: they are taken all the same.
fn imported_tables_are_taken(flavour: Flavour) {
    let bed = on_xfs(flavour, &[]);
    let mut source = bed.source.conn();
    let mut run = |statements: &[&str]| {
        for statement in statements {
            source
                .query_drop(statement)
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    };
    run(&["CREATE DATABASE imports"]);
    for table in ["one", "two"] {
        run(&[&format!(
            "CREATE TABLE imports.{table} (id INT PRIMARY KEY, v VARCHAR(200))"
        )]);
        let rows = (1..=2000_u32).map(|id| format!("({id}, 'row {id} of {table}')"));
        let rows: Vec<String> = rows.collect();
        run(&[&format!("INSERT INTO imports.{table} VALUES {}", rows.join(", "))]);
    }
    // A file of which nothing is written yet is of no tablespace, and would be taken whole.
    run(&["FLUSH TABLES imports.one, imports.two FOR EXPORT", "UNLOCK TABLES"]);
    bed.backup(&[]);
    let file = |table: &str, extension: &str| {
        let name = format!("imports/{table}.{extension}");
        bed.source.server.data_dir().join(name)
    };
    let exported = |extension: &str| bed.volume.dir().join(format!("exported.{extension}"));
    run(&["FLUSH TABLES imports.one FOR EXPORT"]);
    for extension in ["ibd", "cfg"] {
        fs::copy(file("one", extension), exported(extension)).unwrap();
    }
    let checkpoint = || -> Option<(String, u64)> {
        let sql = "SHOW GLOBAL STATUS LIKE 'Innodb_lsn_last_checkpoint'";
        bed.source.conn().query_first(sql).unwrap()
    };
    let before = checkpoint();
    run(&["UNLOCK TABLES", "ALTER TABLE imports.two DISCARD TABLESPACE"]);
    for extension in ["ibd", "cfg"] {
        fs::copy(exported(extension), file("two", extension)).unwrap();
    }
    run(&["ALTER TABLE imports.two IMPORT TABLESPACE"]);
    fs::remove_file(file("two", "cfg")).unwrap();
    if flavour.is_mariadb() {
        // Until there is a checkpoint, the server itself would lose what is changed in the table.
        let tried = bed.backstay.run(&["backup", "--engine", "snapshot", "--incremental"]);
        if checkpoint() == before {
            let refused = tried.fails_with(3);
            assert!(
                refused
                    .stderr
                    .contains("would lose what was changed in them: imports/two.ibd"),
                "{}",
                refused.stderr
            );
        }
        run(&["SET GLOBAL innodb_log_checkpoint_now = ON"]);
    }
    bed.backup(&["--incremental"]);
    run(&["UPDATE imports.two SET v = 'changed' WHERE id = 1000"]);
    let last = bed.backup(&["--incremental"]);
    let server = bed.server_on(&bed.restored(last["id"].as_str().unwrap()), &[]);
    let differ = differences(
        &contents(&mut conn(&server), &["imports"]),
        &contents(&mut bed.source.conn(), &["imports"]),
    );
    assert!(differ.is_empty(), "{differ:#?}");
    let checked: Vec<(String, String, String, String)> =
        conn(&server).query("CHECK TABLE imports.two EXTENDED").unwrap();
    assert_eq!(checked.last().unwrap().3, "OK", "{checked:?}");
    server.stop().unwrap();
}

/// A directory that is not the one of the parent any more has a history of its own, whatever its LSNs say.
fn another_directory_is_no_child(flavour: Flavour) {
    let bed = on_xfs(flavour, &[]);
    shop::create(&mut bed.source.conn());
    let full = bed.backup(&[]);
    let server = bed.server_on(&bed.restored(full["id"].as_str().unwrap()), &[]);
    let section = format!(
        "[cluster.main]\nserver = \"{}://root@localhost/?socket={}\"\ndata_dir = \"{}\"\n",
        flavour.as_str(),
        server.socket().display(),
        server.data_dir().display()
    );
    let other = Backstay::new(&bed.volume.dir().join("other"), &[], &section);
    other.configure(&bed.backstay.repository(), &[], &section);
    let arguments = ["backup", "--engine", "snapshot", "--incremental"];
    let refused = other.run(&arguments).fails_with(3);
    assert!(refused.stderr.contains("is of other files"), "{}", refused.stderr);
    server.stop().unwrap();
    bed.backstay.run(&arguments).ok();
}

on_both!(
    chains_under_load_equal_a_reference,
    damaged_pages_are_named,
    files_of_no_tablespace_are_taken_whole,
    imported_tables_are_taken,
    another_directory_is_no_child
);
