//! The engine `snapshot` end to end, on Btrfs and XFS: backups taken under a write load with DDL are what a second server has that
//! executed exactly the log up to their position; `kill -9`, also while the server is stopped, leaves nothing.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use backstay_bed::{Flavour, TestServer, on_both, until};
use backstay_mysql::PrivateServer;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{contents, differences};
use backstay_tests::ddl::Ddl;
use backstay_tests::on_volume::{OnVolume, conn, rounds};
use backstay_tests::processes::{children, kill};
use backstay_tests::reference::{binlog_position, server_at};
use backstay_tests::sessions::{none_stays, sessions};
use backstay_tests::shop;
use backstay_tests::volumes::FileSystem;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// No arguments for a server.
const NOTHING: &[&str] = &[];
/// The most times that the worker or its supervisor is killed on each file system.
const KILLS: u64 = 20;

fn nothing_is_left(bed: &OnVolume) {
    assert_eq!(bed.volume.left(), [""; 0].map(std::path::PathBuf::from));
    assert_eq!(programs(bed.source.server.pid(), bed.volume.dir()), [""; 0]);
    assert!(!is_stopped(bed.source.server.pid()));
}

fn state(bed: &OnVolume) -> serde_json::Value {
    bed.latest()["state"].clone()
}

/// Watchdogs over a server and programs that make a snapshot on a volume: all have the id of a job on their command line.
fn programs(server: u32, volume: &Path) -> Vec<String> {
    let (server, volume) = (server.to_string(), volume.to_string_lossy());
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains("-full-snapshot-"))
        .filter(|line| {
            line.split('\0')
                .any(|argument| argument == server || argument.contains(&*volume))
        })
        .collect()
}

/// Whether a process is stopped by a signal.
fn is_stopped(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the server runs");
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// A full backup under load, restored and compared.
fn equals_a_reference(flavour: Flavour, kind: FileSystem, provider: &str) {
    for round in 0..rounds(1) {
        let seed = 20_261_128 + round;
        let flush = round % 3;
        eprintln!("seed {seed}, innodb_flush_log_at_trx_commit={flush}");
        let flush = format!("--innodb-flush-log-at-trx-commit={flush}");
        let bed = OnVolume::new(flavour, kind, &[&flush]);
        let (source, backstay) = (&bed.source, &bed.backstay);
        shop::create(&mut source.conn());
        bank::create(&mut source.conn());
        let load = Load::start(&source.opts(), 2, seed);
        let ddl = Ddl::start(&source.opts(), seed);
        load.wait_for(200);
        backstay.run(&["backup", "--engine", "snapshot"]).ok();
        load.wait_for(100);
        ddl.stop();
        load.stop();
        nothing_is_left(&bed);
        let state = state(&bed);
        eprintln!("{state}");
        assert_eq!(state["provider"], provider);
        assert_eq!(state["pause_milliseconds"].is_u64(), provider == "reflink");

        let id = backstay.ids("main").remove(0);
        let data = source.dir().join("restored");
        let target = data.to_string_lossy().into_owned();
        let restored = backstay.run(&["restore", &id, "--to-datadir", &target, "--json"]).ok();
        let shown = backstay.run(&["show", &id, "--json"]).ok().json();
        let (file, offset) = binlog_position(&shown["backup"]["positions"]);
        assert!(
            restored.stdout.contains(&format!("{file}:{offset}")),
            "{}",
            restored.stdout
        );
        let reference = server_at(source, &file, offset);
        let server = bed.server_on(&data, &[]);
        let schemas = ["bank", "shop", "shop_archive", "ddl"];
        let (left, right) = (
            contents(&mut conn(&server), &schemas),
            contents(&mut reference.conn(), &schemas),
        );
        let differ = differences(&left, &right);
        assert!(differ.is_empty(), "{id} at {file}:{offset}: {differ:#?}");
        assert!(left.contains_key("`bank`.`transfer` rows"), "{:?}", left.keys());
        if flavour == Flavour::MySql {
            // So that replay can go on from there: InnoDB itself keeps what was executed.
            let executed: Option<String> = conn(&server).query_first("SELECT @@GLOBAL.gtid_executed").unwrap();
            let position = shown["backup"]["positions"][0]["value"].as_str();
            assert_eq!(executed.map(|set| set.replace('\n', "")).as_deref(), position);
        }
        let (sum, expected) = bank::sums(&mut conn(&server), "bank");
        assert_eq!(sum, expected);
        server.stop().unwrap();
        let checked = backstay
            .run(&["check", &id, "--datadir", &target, "--json"])
            .ok()
            .json();
        assert_eq!(checked["sound"], true, "{checked}");
    }
}

fn btrfs_under_load_equals_a_reference(flavour: Flavour) {
    equals_a_reference(flavour, FileSystem::Btrfs, "btrfs");
}

fn xfs_under_load_equals_a_reference(flavour: Flavour) {
    equals_a_reference(flavour, FileSystem::Xfs, "reflink");
}

/// One that stops may be started again: the same data is in all three.
fn a_subvolume_reflinks_and_a_copy(flavour: Flavour) {
    let volume = OnVolume::volume(FileSystem::Btrfs);
    volume.subvolume("server");
    let bed = OnVolume::of(flavour, volume, |volume| volume.point().join("server"), NOTHING);
    shop::create(&mut bed.source.conn());
    let expected = contents(&mut bed.source.conn(), &["shop"]);
    let backup = ["backup", "--engine", "snapshot", "--option"];
    for provider in ["btrfs", "reflink"] {
        let option = format!("provider={provider}");
        bed.backstay.run(&[&backup[..], &[&option]].concat()).ok();
        assert_eq!(state(&bed)["provider"], provider);
        nothing_is_left(&bed);
    }
    let refused = bed
        .backstay
        .run(&[&backup[..], &["provider=copy"]].concat())
        .fails_with(3);
    assert!(
        refused.stderr.contains("on which no server runs, and process"),
        "{}",
        refused.stderr
    );

    let OnVolume {
        volume,
        source,
        backstay,
    } = bed;
    let (program, data) = (source.server.running().clone(), source.server.data_dir().to_owned());
    let (variable, system) = match flavour.is_mariadb() {
        true => ("gtid_binlog_pos", "mariadb-gtid"),
        false => ("gtid_executed", "mysql-gtid"),
    };
    let gtids: Option<String> = source
        .conn()
        .query_first(format!("SELECT @@GLOBAL.{variable}"))
        .unwrap();
    source.server.stop().unwrap();
    // `auto` finds that it is stopped.
    backstay.run(&["backup", "--engine", "snapshot"]).ok();
    let ids = backstay.ids("main");
    assert_eq!(ids.len(), 3);
    for id in &ids {
        let target = volume.point().join(format!("restored-{id}"));
        let text = target.to_string_lossy().into_owned();
        backstay.run(&["restore", id, "--to-datadir", &text]).ok();
        let server = PrivateServer::builder(program.clone(), &target).start().unwrap();
        let differ = differences(&contents(&mut conn(&server), &["shop"]), &expected);
        assert!(differ.is_empty(), "{id}: {differ:#?}");
        server.stop().unwrap();
        fs::remove_dir_all(target).unwrap();
    }
    let shown = backstay.run(&["show", &ids[2], "--json"]).ok().json();
    assert_eq!(shown["backup"]["state"]["provider"], "copy");
    let (file, offset) = binlog_position(&shown["backup"]["positions"]);
    assert_eq!(fs::metadata(data.join(file)).unwrap().len(), offset);
    let positions = shown["backup"]["positions"].as_array().unwrap();
    let named = positions.iter().find(|position| position["kind"] == system);
    let named = named.unwrap_or_else(|| panic!("no {system} in {positions:?}"));
    assert_eq!(named["value"].as_str(), gtids.as_deref());
}

/// Kills worker or supervisor of a backup at a random moment, every second time while the server is stopped if it ever is.
fn killed(flavour: Flavour, kind: FileSystem, seed: u64) {
    let bed = OnVolume::new(flavour, kind, NOTHING);
    let (source, backstay) = (&bed.source, &bed.backstay);
    let mut own = source.conn();
    bank::create(&mut own);
    own.query_drop("CREATE DATABASE many").unwrap();
    // Each is a clone more, and the pause longer.
    for table in 0..200 {
        own.query_drop(format!("CREATE TABLE many.t{table} (id INT PRIMARY KEY)"))
            .unwrap();
    }
    let backup = ["backup", "--engine", "snapshot"];
    let started = Instant::now();
    backstay.run(&backup).ok();
    let whole = started.elapsed();
    eprintln!("seed {seed}, {whole:?}, {}", state(&bed));
    let load = Load::start(&source.opts(), 2, seed);
    let before = sessions(&mut own);
    let mut random = StdRng::seed_from_u64(seed);
    let mut while_stopped = 0;
    for round in 0..(4 * rounds(1)).min(KILLS) {
        let stopped = kind == FileSystem::Xfs && round % 2 == 0;
        let moment = whole.mul_f64(random.random_range(0.0..1.1));
        let both = random.random_bool(0.5);
        eprintln!(
            "round {round}: after {moment:?}, while the server is stopped: {stopped}, the supervisor too: {both}"
        );
        let mut supervisor = backstay.start(&backup);
        let mut workers = Vec::new();
        if stopped {
            // Looking for children takes longer than the pause.
            while workers.is_empty() && supervisor.try_wait().unwrap().is_none() {
                workers = children(supervisor.id());
            }
            while !is_stopped(source.server.pid()) && supervisor.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
        } else {
            thread::sleep(moment);
            workers = children(supervisor.id());
        }
        while_stopped += u32::from(is_stopped(source.server.pid()));
        if both {
            kill(supervisor.id());
        }
        workers.into_iter().for_each(kill);
        supervisor.wait().unwrap();
        // Whoever is left sees to that at once.
        until("the server goes on", || !is_stopped(source.server.pid()));
        load.wait_for(20);
        if both {
            backstay.run(&backup).ok();
        }
        none_stays(&mut own, &before);
        nothing_is_left(&bed);
    }
    eprintln!("the server was stopped at {while_stopped} of the kills");
    backstay.run(&backup).ok();
    load.stop();
    nothing_is_left(&bed);
    backstay.run(&["verify", "--clear-leftovers"]).ok();
}

#[test]
fn killed_on_btrfs() {
    killed(Flavour::MySql, FileSystem::Btrfs, 31);
}

#[test]
fn killed_on_xfs() {
    killed(Flavour::MariaDb, FileSystem::Xfs, 32);
}

#[test]
fn where_a_file_system_has_nothing() {
    let bed = OnVolume::new(Flavour::MariaDb, FileSystem::Ext4, NOTHING);
    let refused = bed.backstay.run(&["backup", "--engine", "snapshot"]).fails_with(3);
    for reason in [
        "there is no way of having all files of",
        "btrfs: the provider `btrfs` needs a data directory on Btrfs",
        "lvm: the provider `lvm` needs a data directory on a logical volume",
        "reflink: the provider `reflink` needs files that share their blocks",
        "use the engine xtrabackup",
    ] {
        assert!(refused.stderr.contains(reason), "{reason}: {}", refused.stderr);
    }
    nothing_is_left(&bed);
}

/// One clear error each, and nothing is done.
#[test]
fn refusals() {
    let bed = OnVolume::new(Flavour::MySql, FileSystem::Xfs, NOTHING);
    let (source, backstay) = (&bed.source, &bed.backstay);
    let mut own = source.conn();
    bank::create(&mut own);
    let backup = |options: &[&str], code: i32, text: &str| {
        let mut arguments = vec!["backup", "--engine", "snapshot"];
        arguments.extend(options.iter().flat_map(|option| ["--option", option]));
        let failed = backstay.run(&arguments).fails_with(code);
        assert!(failed.stderr.contains(text), "{text}: {}", failed.stderr);
        nothing_is_left(&bed);
    };
    backup(&["provider=btrfs"], 3, "needs a data directory on Btrfs");
    backup(&["provider=lvm"], 3, "needs a data directory on a logical volume");
    backup(&["provider=zfs"], 2, "provider");

    own.query_drop("XA START 'x'").unwrap();
    own.query_drop("UPDATE bank.account SET balance = balance WHERE id = 1")
        .unwrap();
    own.query_drop("XA END 'x'").unwrap();
    own.query_drop("XA PREPARE 'x'").unwrap();
    backup(&["lock_wait=1"], 1, "prepared XA transactions did not end");
    own.query_drop("XA ROLLBACK 'x'").unwrap();

    own.query_drop("ALTER INSTANCE DISABLE INNODB REDO_LOG").unwrap();
    backup(&[], 3, "the server's redo log is disabled");
    own.query_drop("ALTER INSTANCE ENABLE INNODB REDO_LOG").unwrap();

    let elsewhere = bed.volume.point().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = source.server.data_dir().join("linked");
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    backup(&[], 3, "linked is a symbolic link to");
    fs::remove_file(&link).unwrap();

    fs::create_dir(&link).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs"])
        .arg(&link)
        .status()
        .unwrap();
    assert!(mounted.success());
    backup(&[], 3, "is spread over several volumes");
    assert!(
        std::process::Command::new("umount")
            .arg(&link)
            .status()
            .unwrap()
            .success()
    );
    fs::remove_dir(&link).unwrap();

    let section = source.section("main");
    let own_dir = source.server.data_dir().to_string_lossy();
    fs::write(elsewhere.join("ibdata1"), "x").unwrap();
    backstay.configure(
        &backstay.repository(),
        &[],
        &section.replace(&*own_dir, &elsewhere.to_string_lossy()),
    );
    backup(&[], 3, "no server runs on the data directory");
    fs::remove_file(elsewhere.join("ibdata1")).unwrap();
    backstay.configure(&backstay.repository(), &[], &section);

    backstay.run(&["backup", "--engine", "snapshot"]).ok();
    let restore = |target: &Path, more: &[&str], text: &str| {
        let target = target.to_string_lossy();
        let arguments = [&["restore", "--to-datadir", &*target], more].concat();
        let failed = backstay.run(&arguments).fails_with(3);
        assert!(failed.stderr.contains(text), "{text}: {}", failed.stderr);
    };
    fs::write(elsewhere.join("precious"), "x").unwrap();
    restore(&elsewhere, &[], "is not empty: it has precious");
    restore(
        source.server.data_dir(),
        &["--overwrite"],
        "is in use: a server runs on it (process",
    );
    assert_eq!(bank::sums(&mut own, "bank").0, bank::sums(&mut own, "bank").1);
}

/// The server goes on after `max_pause` in any case, and the backup says so.
#[test]
fn a_pause_that_would_be_too_long() {
    let bed = OnVolume::new(Flavour::MariaDb, FileSystem::Xfs, NOTHING);
    bank::create(&mut bed.source.conn());
    // Each is a clone more.
    let many = bed.source.server.data_dir().join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..6000 {
        fs::write(many.join(number.to_string()), "x").unwrap();
    }
    let backup = ["backup", "--engine", "snapshot", "--option", "max_pause=50"];
    let failed = bed.backstay.run(&backup).fails_with(3);
    assert!(
        failed.stderr.contains("within 50 ms") && failed.stderr.contains("raise the option max_pause"),
        "{}",
        failed.stderr
    );
    nothing_is_left(&bed);
    assert!(bed.backstay.ids("main").is_empty());
    assert_eq!(
        bank::sums(&mut bed.source.conn(), "bank").0,
        bank::sums(&mut bed.source.conn(), "bank").1
    );
    fs::remove_dir_all(&many).unwrap();
    bed.backstay.run(&["backup", "--engine", "snapshot"]).ok();
}

#[test]
fn several_subvolumes() {
    let bed = OnVolume::new(Flavour::MariaDb, FileSystem::Btrfs, NOTHING);
    let inside = bed.source.server.data_dir().join("other");
    let made = std::process::Command::new("btrfs")
        .args(["subvolume", "create"])
        .arg(&inside)
        .output()
        .unwrap();
    assert!(made.status.success());
    for provider in ["auto", "btrfs", "reflink"] {
        let option = format!("provider={provider}");
        let refused = bed
            .backstay
            .run(&["backup", "--engine", "snapshot", "--option", &option])
            .fails_with(3);
        assert!(refused.stderr.contains("other is of another one"), "{}", refused.stderr);
    }
    nothing_is_left(&bed);
}

fn a_directory_in_use_is_not_checked(flavour: Flavour) {
    let bed = OnVolume::new(flavour, FileSystem::Xfs, NOTHING);
    shop::create(&mut bed.source.conn());
    bed.backup(&[]);
    let data = bed.source.server.data_dir();
    let identity = || fs::read(data.join("auto.cnf")).ok();
    let before = identity();
    let refused = bed
        .backstay
        .run(&["check", "--datadir", &data.to_string_lossy()])
        .fails_with(3);
    let process = bed.source.server.pid();
    let expected = format!("is in use: a server runs on it (process {process} holds a lock on ibdata1)");
    assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    assert_eq!(identity(), before);
    assert_eq!(before.is_some(), flavour == Flavour::MySql);
    bed.source.conn().query_drop("CREATE DATABASE still_there").unwrap();
}

/// Two servers on a machine, and the configuration names the other one's directory.
fn the_directory_of_another_server(flavour: Flavour) {
    let bed = OnVolume::new(flavour, FileSystem::Xfs, NOTHING);
    let (source, backstay) = (&bed.source, &bed.backstay);
    bank::create(&mut source.conn());
    let other = TestServer::start_in(flavour, &bed.volume.point(), NOTHING);
    let (own, others) = (source.server.data_dir(), other.server.data_dir());
    if flavour == Flavour::MySql {
        // As where one was made of the other's files.
        fs::copy(own.join("auto.cnf"), others.join("auto.cnf")).unwrap();
    }
    let name = |data: &Path| {
        let section = source
            .section("main")
            .replace(&*own.to_string_lossy(), &data.to_string_lossy());
        backstay.configure(&backstay.repository(), &[], &section);
    };
    name(others);
    let refused = backstay.run(&["backup", "--engine", "snapshot"]).fails_with(3);
    let expected = format!(
        "is the data directory of another server: process {} runs on it, and the server that was asked has its data in {}",
        other.server.pid(),
        own.display()
    );
    assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    nothing_is_left(&bed);

    // Its own is its own by whatever path.
    let again = bed.volume.dir().join("again");
    fs::create_dir(&again).unwrap();
    let program = |program: &str, arguments: &[&Path]| {
        let done = std::process::Command::new(program).args(arguments).status().unwrap();
        assert!(done.success(), "{program}");
    };
    program("mount", &[Path::new("--bind"), own, &again]);
    name(&again);
    let taken = backstay.run(&["backup", "--engine", "snapshot"]);
    program("umount", &[&again]);
    taken.ok();
    nothing_is_left(&bed);
}

/// What is wrong with a restored directory is found.
#[test]
fn a_damaged_directory_is_not_sound() {
    let bed = OnVolume::new(Flavour::MariaDb, FileSystem::Xfs, NOTHING);
    shop::create(&mut bed.source.conn());
    bed.backstay.run(&["backup", "--engine", "snapshot"]).ok();
    let target = bed.volume.point().join("restored");
    let text = target.to_string_lossy().into_owned();
    bed.backstay.run(&["restore", "--to-datadir", &text]).ok();
    let check = ["check", "--datadir", text.as_str(), "--json"];
    assert_eq!(bed.backstay.run(&check).ok().json()["sound"], true);
    fs::remove_file(target.join("shop/orders.ibd")).unwrap();
    let report = bed.backstay.run(&check).fails_with(1).json();
    assert_eq!(report["sound"], false);
    assert!(report["findings"].to_string().contains("shop.orders"), "{report}");
}

on_both!(
    btrfs_under_load_equals_a_reference,
    xfs_under_load_equals_a_reference,
    a_subvolume_reflinks_and_a_copy,
    a_directory_in_use_is_not_checked,
    the_directory_of_another_server,
);
