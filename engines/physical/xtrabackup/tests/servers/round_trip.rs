//! Whole backups into data directories, on which servers start that have what the source had.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use backstay_bed::{TestServer, data_dir, installed, run};
use backstay_engine_api::{ErrorKind, PositionKind};
use backstay_mysql::{Flavour, PrivateServer};
use serde_json::json;

use crate::{TestHost, contents, furnish, furnished, server_on};

#[test]
fn a_full_backup_comes_back() {
    let (bed, host) = (furnished(), TestHost::new());
    let usable = host.backup(bed.address(), json!({})).unwrap();
    let kinds: Vec<PositionKind> = usable.positions.iter().map(|position| position.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            PositionKind::MARIADB_GTID,
            PositionKind::BINLOG_FILE,
            PositionKind::INNODB_LSN
        ]
    );
    let gtid: Option<String> = bed.session().query_first("SELECT @@GLOBAL.gtid_binlog_pos").unwrap();
    assert_eq!(Some(usable.positions[0].value.clone()), gtid);
    {
        let backups = host.backups();
        let orders = &backups[0].objects["shop/orders.frm"].attributes;
        assert_eq!(
            (orders.schema.as_deref(), orders.table.as_deref()),
            (Some("shop"), Some("orders"))
        );
        let odd = backups[0]
            .objects
            .values()
            .filter(|object| object.attributes.table.as_deref() == Some("tä/b le"));
        assert!(odd.count() >= 2);
        let partition = backups[0]
            .objects
            .values()
            .find(|object| object.attributes.partition.as_deref() == Some("pé"));
        assert!(partition.is_some());
    }

    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    let restored = host.restore_all(data_dir(&target), json!({})).unwrap();
    assert_eq!(restored.positions, usable.positions);
    let names: Vec<String> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["data"]);
    assert!(!target.join("xtrabackup_info").exists() && !target.join("backup-my.cnf").exists());
    let mode = |path: &str| fs::metadata(target.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("shop"), mode("ibdata1")), (0o700, 0o700, 0o660));

    // Sound, before and after a server has been on it; and what the check has made is the owner's.
    let report = host.check(data_dir(&target)).unwrap();
    assert!(report.sound && report.checked > 10, "{report:?}");
    let server = server_on(&target, &[]);
    assert_eq!(contents(&mut server.session().unwrap()), contents(&mut bed.session()));
    let user: Option<String> = server
        .session()
        .unwrap()
        .query_first("SELECT User FROM mysql.user WHERE User = 'clerk'")
        .unwrap();
    assert_eq!(user.as_deref(), Some("clerk"));
    server.stop().unwrap();

    // A table that is damaged is found, and named.
    let orders = target.join("shop/orders.ibd");
    let mut bytes = fs::read(&orders).unwrap();
    for page in 4..bytes.len() / 16384 {
        bytes[page * 16384 + 8000] ^= 0xFF;
    }
    fs::write(&orders, bytes).unwrap();
    let report = host.check(data_dir(&target)).unwrap();
    assert!(!report.sound, "{report:?}");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.subject.as_deref() == Some("shop.orders") || finding.text.contains("orders")),
        "{report:?}"
    );
}

#[test]
fn incrementals_stand_on_each_other() {
    let (bed, host) = (furnished(), TestHost::new());
    host.backup(bed.address(), json!({"parallel": 4})).unwrap();
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "UPDATE shop.orders SET what = CONCAT(what, ' changed') WHERE id % 7 = 0",
            "DROP TABLE shop.old",
            "RENAME TABLE shop.lines TO shop.`lines of`",
            "CREATE TABLE shop.fresh (id INT PRIMARY KEY)",
            "INSERT INTO shop.fresh VALUES (1), (2)",
        ],
    );
    let second = host.backup(bed.address(), json!({})).unwrap();
    assert_eq!(second.from, host.backups()[0].record.positions);
    run(
        &mut session,
        &[
            "TRUNCATE TABLE shop.fresh",
            "ALTER TABLE shop.orders ADD COLUMN extra INT NOT NULL DEFAULT 7, ALGORITHM=INPLACE",
            "INSERT INTO shop.notes VALUES (2, 'more aria')",
            "CREATE DATABASE later",
            "CREATE TABLE later.t (id INT PRIMARY KEY) ENGINE=MyISAM",
            "DROP TABLE `od-d ö`.`tä/b le`",
            "DROP DATABASE `od-d ö`",
        ],
    );
    host.backup(bed.address(), json!({})).unwrap();
    // Nothing has changed: it restores all the same.
    host.backup(bed.address(), json!({})).unwrap();

    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    fs::create_dir(&target).unwrap();
    let restored = host.restore_all(data_dir(&target), json!({})).unwrap();
    assert_eq!(restored.positions, host.backups()[3].record.positions);
    let server = server_on(&target, &[]);
    assert_eq!(contents(&mut server.session().unwrap()), contents(&mut session));
    server.stop().unwrap();
    let report = host.check(data_dir(&target)).unwrap();
    assert!(report.sound, "{report:?}");

    // A chain with a link missing is none.
    host.backups().remove(2);
    let error = host
        .restore_all(data_dir(root.path().join("other")), json!({}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    assert!(!root.path().join("other").exists());
}

#[test]
fn small_pages_a_table_elsewhere_and_an_owner() {
    let outside = tempfile::tempdir().unwrap();
    let program = installed(Flavour::MariaDb).program();
    let root = tempfile::tempdir().unwrap();
    let settings = [
        "--innodb-page-size=8192",
        "--innodb-data-file-path=ibdata1:10M;ibdata2:10M:autoextend",
    ];
    backstay_mysql::private_server::initialise(&program, &root.path().join("source"), &settings.map(str::to_owned))
        .unwrap();
    let server = PrivateServer::builder(program, root.path().join("source"))
        .args(settings)
        .arg("--log-bin=binlog")
        .start()
        .unwrap();
    let mut session = server.session().unwrap();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            &format!(
                "CREATE TABLE shop.elsewhere (id INT PRIMARY KEY) DATA DIRECTORY = '{}'",
                outside.path().display()
            ),
            "INSERT INTO shop.elsewhere VALUES (1), (2), (3)",
        ],
    );
    let host = TestHost::new();
    host.backup(server.server(), json!({})).unwrap();
    let before = contents(&mut session);
    drop(server);
    drop(outside);

    let target = root.path().join("data");
    let restored = host
        .restore_all(data_dir(&target), json!({"owner": "4711:4712"}))
        .unwrap();
    let codes: Vec<(&str, Option<&str>)> = restored
        .notices
        .iter()
        .map(|notice| (notice.code.as_str(), notice.subject.as_deref()))
        .collect();
    assert_eq!(
        codes,
        [
            ("moved-into-data-directory", Some("shop/elsewhere.ibd")),
            (
                "needs-settings",
                Some("innodb_page_size=8192 innodb_data_file_path=ibdata1:10M;ibdata2:10M:autoextend")
            )
        ]
    );
    let owner = |path: &str| {
        let meta = fs::metadata(target.join(path)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!((owner(""), owner("shop/elsewhere.ibd")), ((4711, 4712), (4711, 4712)));
    let report = host.check(data_dir(&target)).unwrap();
    assert!(report.sound, "{report:?}");
    assert_eq!(owner("ib_logfile0"), (4711, 4712), "what the check made is the owner's");
    let server = server_on(&target, &settings);
    let after = contents(&mut server.session().unwrap());
    let without = |text: &String| text.split(" DATA DIRECTORY").next().unwrap_or_default().to_owned();
    assert_eq!(
        after.iter().map(without).collect::<Vec<_>>(),
        before.iter().map(without).collect::<Vec<_>>()
    );
}

/// The source has no binary log: there is a backup, and its only position is InnoDB's.
#[test]
fn without_a_binary_log() {
    let bed = TestServer::start_with(Flavour::MariaDb, &["--skip-log-bin"]);
    furnish(&bed);
    let host = TestHost::new();
    let usable = host.backup(bed.address(), json!({})).unwrap();
    assert_eq!(usable.positions.len(), 1, "{:?}", usable.positions);
    assert_eq!(usable.positions[0].kind, PositionKind::INNODB_LSN);
    run(
        &mut bed.session(),
        &["INSERT INTO shop.orders (what) VALUES ('one more')"],
    );
    host.backup(bed.address(), json!({})).unwrap();
    let root = tempfile::tempdir().unwrap();
    host.restore_all(data_dir(root.path().join("data")), json!({})).unwrap();
    let server = server_on(&root.path().join("data"), &[]);
    assert_eq!(contents(&mut server.session().unwrap()), contents(&mut bed.session()));
}
