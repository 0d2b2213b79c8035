//! What must not become a backup, or not be restored; and what is left afterwards: nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use backstay_bed::{TestServer, data_dir, run, until_waits};
use backstay_engine_api::job::Target;
use backstay_engine_api::{ErrorKind, Secret, Selection, Server};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::{TestHost, furnished, server_on};

/// A program that says that it is a tool of that version, and does nothing.
fn pretender(directory: &Path, version: &str) {
    let script = directory.join("mariadb-backup");
    let text =
        format!("#!/bin/sh\necho 'mariadb-backup based on MariaDB server {version}-MariaDB Linux (x86_64)' >&2\n");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_tool_that_lies_makes_no_backup() {
    let (bed, host, programs) = (furnished(), TestHost::new(), tempfile::tempdir().unwrap());
    let series = bed.session().version().number;
    pretender(programs.path(), &format!("{}.{}.0", series.0, series.1));
    let mut server = bed.address();
    server.programs = vec![programs.path().to_owned()];
    let error = host.backup(server, json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Program, "{error}");
    assert!(error.message.contains("completed OK!"), "{error}");
    bed.assert_free(&[]);
}

#[test]
fn a_lock_that_is_not_to_be_had() {
    let (bed, host) = (furnished(), TestHost::new());
    // What writes for long keeps the tool from starting: its own limit.
    let mut holder = bed.session();
    let id = holder.connection_id();
    let slow = std::thread::spawn(move || {
        // It is ended below.
        let _ = holder.run("UPDATE shop.old SET v = SLEEP(300)");
    });
    let error = host.backup(bed.address(), json!({"lock_wait": 2})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    assert!(
        error.to_string().contains("UPDATE shop.old SET v = SLEEP(300)"),
        "{error}"
    );
    bed.session().run(format!("KILL {id}")).unwrap();
    slow.join().unwrap();
    bed.assert_free(&[]);

    // Another backup holds the lock, from a session that runs nothing.
    let mut holder = bed.session();
    run(&mut holder, &["BACKUP STAGE START"]);
    let error = host.backup(bed.address(), json!({"lock_wait": 2})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    assert!(!host.guarded().is_empty(), "who waited was guarded");
    drop(holder);
    bed.assert_free(&[]);
    host.backup(bed.address(), json!({})).unwrap();
}

#[test]
fn a_cancelled_backup_leaves_nothing() {
    let (bed, host) = (furnished(), TestHost::new());
    host.cancel_after_objects(40);
    let error = host.backup(bed.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    bed.assert_free(&[]);

    // Also while the tool waits for a lock.
    let mut holder = bed.session();
    run(&mut holder, &["LOCK TABLES shop.old WRITE"]);
    let other = host.clone();
    let mut watcher = bed.session();
    let canceller = std::thread::spawn(move || {
        until_waits(&mut watcher, "BACKUP STAGE");
        other.cancel();
    });
    let error = host.backup(bed.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    canceller.join().unwrap();
    drop(holder);
    bed.assert_free(&[]);
}

#[test]
fn an_account_that_may_not() {
    let (bed, host) = (furnished(), TestHost::new());
    run(
        &mut bed.session(),
        &[
            "CREATE USER little@localhost IDENTIFIED BY 'little secret'",
            "GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO little@localhost",
        ],
    );
    let server = Server {
        user: Some("little".to_owned()),
        password: Some(Secret::new("little secret")),
        ..bed.address()
    };
    let error = host.backup(server.clone(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
    assert!(error.to_string().contains("GRANT RELOAD ON *.*"), "{error}");
    assert!(!error.to_string().contains("little secret"), "{error}");
    run(
        &mut bed.session(),
        &["GRANT RELOAD, LOCK TABLES ON *.* TO little@localhost"],
    );
    host.backup(server, json!({})).unwrap();
    let backups = host.backups();
    let secret = backups[0]
        .objects
        .iter()
        .find(|(_, object)| object.bytes.windows(13).any(|bytes| bytes == b"little secret"));
    assert_eq!(
        secret.map(|(name, _)| name),
        None,
        "the password is in no file of the tool's"
    );
}

#[test]
fn a_parent_that_does_not_fit() {
    let (bed, other, host) = (furnished(), furnished(), TestHost::new());
    host.backup(bed.address(), json!({})).unwrap();
    // The bed's servers have the same server_id: it is their history that differs.
    run(&mut other.session(), &["CREATE DATABASE more", "RESET MASTER"]);
    let error = host.backup(other.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    let third = TestServer::start_with(Flavour::MariaDb, &["--server-id=99"]);
    let error = host.backup(third.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(
        error.message.contains("server_id 1") && error.message.contains("server_id 99"),
        "{error}"
    );
    host.backups()[0].record.engine.name = "snapshot".to_owned();
    let error = host.backup(bed.address(), json!({})).unwrap_err();
    assert!(error.message.contains("was made by the engine `snapshot`"), "{error}");
}

#[test]
fn targets_that_are_none() {
    let (bed, host) = (furnished(), TestHost::new());
    host.backup(bed.address(), json!({})).unwrap();
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    let names = || {
        let mut names: Vec<String> = fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };

    let error = host
        .restore(data_dir(bed.server.data_dir()), true, Selection::default(), json!({}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("is in use"), "{error}");

    // The tool is of another series, or is not there.
    let programs = vec![root.path().join("programs")];
    fs::create_dir(&programs[0]).unwrap();
    let elsewhere = Target::DataDir {
        path: target.clone(),
        programs,
    };
    let right = host.backups()[0].record.server.clone();
    host.backups()[0].record.server.version = "11.4.2-MariaDB".to_owned();
    let error = host.restore_all(elsewhere, json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(
        error.message.contains("11.4.2-MariaDB") && error.message.contains("10.11."),
        "{error}"
    );
    host.backups()[0].record.server.flavour = "percona".to_owned();
    let error = host.restore_all(data_dir(&target), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Program, "{error}");
    assert!(error.to_string().contains("percona-xtrabackup"), "{error}");
    host.backups()[0].record.server = right;

    // What was there stays until all is done; and is gone then.
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), "x").unwrap();
    let error = host.restore_all(data_dir(&target), json!({})).unwrap_err();
    assert!(error.message.contains("is not empty"), "{error}");
    let log = host.backups()[0].objects.get("ib_logfile0").cloned().unwrap();
    host.backups()[0]
        .objects
        .get_mut("ib_logfile0")
        .unwrap()
        .bytes
        .truncate(2000);
    let error = host
        .restore(data_dir(&target), true, Selection::default(), json!({}))
        .unwrap_err();
    assert!(error.message.contains("failed to prepare"), "{error}");
    assert_eq!(names(), ["data", "programs"]);
    assert!(target.join("precious").exists());
    host.backups()[0].objects.insert("ib_logfile0".to_owned(), log);
    host.cancel();
    let error = host
        .restore(data_dir(&target), true, Selection::default(), json!({}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert_eq!(names(), ["data", "programs"]);
    host.restore(data_dir(&target), true, Selection::default(), json!({}))
        .unwrap();
    assert!(!target.join("precious").exists());
    assert_eq!(names(), ["data", "programs"]);
    server_on(&target, &[]).stop().unwrap();

    // A path that leads out of the directory.
    {
        let mut backups = host.backups();
        let object = backups[0].objects.get_mut("shop/old.frm").unwrap();
        object.attributes.other.insert("path".to_owned(), json!("../escaped"));
    }
    let error = host
        .restore_all(data_dir(root.path().join("second")), json!({}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    assert_eq!(names(), ["data", "programs"]);
}
