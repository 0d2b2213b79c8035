//! Backups of encrypted tables by the engine `snapshot`: MariaDB's plug-in `file_key_management`, MySQL's `component_keyring_file`. The
//! keys are no part of a backup; with them it restores, and without them it does not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use backstay_bed::{Flavour, installed, on_both, until};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_mysql::{PrivateServer, Program};
use backstay_tests::compare::rows;
use backstay_tests::on_volume::{OnVolume, conn};
use backstay_tests::volumes::FileSystem;

/// A server that encrypts, the file with its keys, and what a server must be told that reads its files.
struct Encrypting {
    bed: OnVolume,
    keys: PathBuf,
    arguments: Vec<String>,
}

fn encrypting(flavour: Flavour) -> Encrypting {
    let volume = OnVolume::volume(FileSystem::Xfs);
    let keys = volume.dir().join("keys");
    if flavour.is_mariadb() {
        fs::write(&keys, format!("1;{}\n", "0123456789abcdef".repeat(4))).unwrap();
        let mut arguments = vec![
            "--plugin-load-add=file_key_management".to_owned(),
            format!("--file-key-management-filename={}", keys.display()),
            "--innodb-encrypt-log=ON".to_owned(),
        ];
        let plugins = installed(flavour).plugins;
        arguments.extend(plugins.map(|folder| format!("--plugin-dir={}", folder.display())));
        let bed = OnVolume::of(flavour, volume, |volume| volume.point(), &arguments);
        return Encrypting { bed, keys, arguments };
    }
    let program = with_keyring(&volume.dir().join("prefix"), &keys);
    let mut bed = OnVolume::of::<&str>(flavour, volume, |volume| volume.point(), &[]);
    let (process, data) = (bed.source.server.pid(), bed.source.server.data_dir().to_owned());
    bed.source.session().run("SHUTDOWN").unwrap();
    until("the server has ended", || {
        !Path::new(&format!("/proc/{process}")).exists()
    });
    bed.source.server = PrivateServer::builder(program, data)
        .keep_identity()
        .args(["--log-bin=binlog", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"])
        .args(["--innodb-redo-log-encrypt=ON", "--innodb-undo-log-encrypt=ON"])
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let section = bed.source.section("main");
    bed.backstay.configure(&bed.backstay.repository(), &[], &section);
    Encrypting {
        bed,
        keys,
        arguments: Vec::new(),
    }
}

/// MySQL reads which components it has from a file beside its program, and their configuration beside their library: so this is an
/// installation of our own, which shares the files of the other.
fn with_keyring(prefix: &Path, keys: &Path) -> Program {
    let real = installed(Flavour::MySql).mysqld;
    let base = real.parent().and_then(Path::parent).unwrap();
    let own = prefix.join("usr");
    let (sbin, plugins) = (own.join("sbin"), own.join("lib/mysql/plugin"));
    fs::create_dir_all(&sbin).unwrap();
    fs::create_dir_all(&plugins).unwrap();
    symlink(base.join("share"), own.join("share")).unwrap();
    symlink(base.join("bin"), own.join("bin")).unwrap();
    fs::copy(&real, sbin.join("mysqld")).unwrap();
    let library = "component_keyring_file.so";
    let found = ["lib/mysql/plugin", "lib/plugin", "lib64/mysql/plugin"]
        .map(|folder| base.join(folder).join(library))
        .into_iter()
        .find(|path| path.exists());
    symlink(found.expect("the component for keys in a file"), plugins.join(library)).unwrap();
    fs::write(
        sbin.join("mysqld.my"),
        r#"{"components": "file://component_keyring_file"}"#,
    )
    .unwrap();
    fs::write(
        plugins.join("component_keyring_file.cnf"),
        serde_json::json!({"path": keys, "read_only": false}).to_string(),
    )
    .unwrap();
    Program::inspect(&sbin.join("mysqld")).unwrap()
}

fn encrypted_tables(flavour: Flavour) {
    let Encrypting { bed, keys, arguments } = encrypting(flavour);
    let mut own = bed.source.conn();
    let mut run = |sql: &str| own.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let encrypted = if flavour.is_mariadb() {
        "ENCRYPTED=YES"
    } else {
        "ENCRYPTION='Y'"
    };
    let numbers =
        "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 900) SELECT n FROM s) AS x";
    run("CREATE DATABASE d");
    run(&format!(
        "CREATE TABLE d.secret (id INT PRIMARY KEY, v VARCHAR(500)) {encrypted}"
    ));
    run("CREATE TABLE d.plain (id INT PRIMARY KEY, v VARCHAR(500))");
    for table in ["secret", "plain"] {
        run(&format!("INSERT INTO d.{table} SELECT n, REPEAT(n, 30) FROM {numbers}"));
    }
    bed.backup(&[]);
    run("UPDATE d.secret SET v = 'changed' WHERE id % 50 = 0");
    run("UPDATE d.plain SET v = 'changed' WHERE id % 50 = 0");
    let incremental = bed.backup(&["--incremental"]);
    assert_eq!(incremental["state"]["pages"]["pages"]["damaged"], 0);
    // Whose checksum lies within what is encrypted.
    let notices = incremental["notices"].to_string();
    let not_verified = notices.contains("pages-not-verified") && notices.contains("encrypted");
    assert_eq!(not_verified, !flavour.is_mariadb(), "{notices}");
    let before = ["secret", "plain"].map(|table| rows(&mut own, "d", table));

    let id = incremental["id"].as_str().unwrap();
    let data = bed.restored(id);
    let server = bed.server_on(&data, &arguments);
    for (table, before) in ["secret", "plain"].iter().zip(&before) {
        assert!(rows(&mut conn(&server), "d", table) == *before, "{table}");
    }
    server.stop().unwrap();
    let text = data.to_string_lossy().into_owned();
    let check = ["check", id, "--datadir", &text, "--json"];
    let report = bed.backstay.run(&check).ok().json();
    assert_eq!(report["sound"], true, "{report}");

    // Alone, too.
    own.query_drop("DROP TABLE d.secret").unwrap();
    let url = bed.source.url();
    let restore = ["restore", "--to-server", &url, "--tables", "d.secret"];
    bed.backstay.run(&restore).ok();
    assert!(rows(&mut own, "d", "secret") == before[0]);

    // Who has the backup and not the keys has nothing.
    fs::rename(&keys, keys.with_extension("away")).unwrap();
    let report = bed.backstay.run(&check).fails_with(1).json();
    assert_eq!(report["sound"], false, "{report}");
}

on_both!(encrypted_tables);
