//! Backups of two members of a cluster in turn, full and incremental, by several engines: each of them can be restored, whichever
//! member and engine those before it are of, and what is past one member's failure too.

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::Backstay;
use backstay_tests::compare::{Contents, contents, differences};
use backstay_tests::engines::{run, server_on};
use backstay_tests::on_volume::{conn, rounds};
use backstay_tests::replicas::{caught_up, promote, replicate};
use backstay_tests::shop;
use backstay_tests::volumes::{FileSystem, Volume};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

on_both!(two_members_in_turn, two_members_files_in_turn);

/// Where a backup is taken, by which engine, and its parent: none is a full backup, a number an earlier step.
type Step = (usize, &'static str, Option<Parent>);

#[derive(Clone, Copy)]
enum Parent {
    Auto,
    Of(usize),
}

/// Full backups of both members, and incrementals on a parent of the same member and of the other one.
const LOGICAL: [Step; 8] = [
    (0, "mysqldump", None),
    (1, "mysqlshell", None),
    (0, "mysqldump", Some(Parent::Of(1))),
    (1, "mysqlshell", Some(Parent::Of(0))),
    (1, "mysqldump", Some(Parent::Auto)),
    (0, "mysqlshell", None),
    (1, "mysqldump", Some(Parent::Auto)),
    (0, "mysqldump", Some(Parent::Of(3))),
];

fn two_members_in_turn(flavour: Flavour) {
    let own: &[&str] = if flavour.is_mariadb() {
        &["--log-slave-updates=1"]
    } else {
        &[]
    };
    let source = TestServer::start_with(flavour, own);
    let replica = TestServer::start_with(flavour, &[own, &["--server-id=2"]].concat());
    replicate(&replica, &source);
    let mut conn = source.conn();
    shop::create(&mut conn);
    // On a replica it is another one: DISABLE ON REPLICA.
    conn.query_drop("DROP EVENT shop.tidy").unwrap();
    let backstay = Backstay::new(&replica.dir().join("backstay"), &[], &source.section("main"));
    let mut write = {
        let mut number = 0;
        move |server: &TestServer| {
            number += 1;
            run(
                &mut server.conn(),
                &[
                    &format!("CREATE TABLE shop.step_{number} (id INT PRIMARY KEY, v VARCHAR(20))"),
                    &format!("INSERT INTO shop.step_{number} VALUES (1, 'a'), (2, 'b')"),
                    &format!("UPDATE shop.customers SET city = 'step {number}'"),
                ],
            );
        }
    };
    let mut taken: Vec<(String, Contents)> = Vec::new();
    let mut take = |server: &TestServer, engine: &str, parent: Option<Parent>| {
        backstay.configure(&backstay.repository(), &[], &server.section("main"));
        let parent = parent.map(|parent| match parent {
            Parent::Auto => "auto".to_owned(),
            Parent::Of(step) => taken[step].0.clone(),
        });
        let mut arguments = vec!["backup", "--engine", engine, "--json"];
        if let Some(parent) = &parent {
            arguments.extend(["--incremental", "--parent", parent]);
        }
        let record = backstay.run(&arguments).ok().json()["backup"].clone();
        let kind = if parent.is_some() { "incremental" } else { "full" };
        assert_eq!(record["kind"], kind, "{record}");
        let id = record["id"].as_str().expect("an id").to_owned();
        taken.push((id, contents(&mut server.conn(), &[])));
    };
    for (member, engine, parent) in LOGICAL {
        write(&source);
        caught_up(&replica, &source);
        take([&source, &replica][member], engine, parent);
    }
    // One member is gone, the other goes on from what was taken of the first.
    drop(conn);
    drop(source);
    promote(&replica);
    write(&replica);
    take(&replica, "mysqlshell", Some(Parent::Of(7)));

    backstay.run(&["verify"]).ok();
    let restored = |arguments: &[&str], expected: &Contents, what: &str| {
        let target = TestServer::start_with(flavour, &["--server-id=77", "--event-scheduler=OFF"]);
        let output = backstay.run(&[arguments, &["--to-server", &target.url(), "--json"]].concat());
        output.ok();
        let differ = differences(&contents(&mut target.conn(), &[]), expected);
        assert!(differ.is_empty(), "{what}: {differ:#?}");
    };
    let mut order: Vec<usize> = (2..taken.len() - 1).collect();
    order.shuffle(&mut StdRng::seed_from_u64(20_261_129));
    for step in order.into_iter().take(rounds(3) as usize) {
        let (id, expected) = &taken[step];
        restored(&["restore", id], expected, &format!("step {step}, {id}"));
    }
    let (_, last) = &taken[taken.len() - 1];
    restored(&["recover", "--latest"], last, "the latest point");
}

/// The same of engines whose incrementals are pages: of files of the same member, while the log is one of both.
const PHYSICAL: [(usize, Option<Parent>); 6] = [
    (0, None),
    (1, None),
    (0, Some(Parent::Auto)),
    (1, Some(Parent::Of(1))),
    (0, Some(Parent::Of(0))),
    (1, Some(Parent::Auto)),
];

fn two_members_files_in_turn(flavour: Flavour) {
    files_in_turn(flavour, "snapshot");
    if flavour.is_mariadb() {
        files_in_turn(flavour, "xtrabackup");
    }
}

fn files_in_turn(flavour: Flavour, engine: &str) {
    // Last to go, so that the servers are gone when it is unmounted.
    let volume = Volume::new(FileSystem::Xfs, 2500);
    let own: &[&str] = if flavour.is_mariadb() {
        &["--log-slave-updates=1"]
    } else {
        &[]
    };
    let source = TestServer::start_in(flavour, &volume.point(), own);
    let replica = TestServer::start_in(flavour, &volume.point(), &[own, &["--server-id=2"]].concat());
    replicate(&replica, &source);
    shop::create(&mut source.conn());
    caught_up(&replica, &source);
    let backstay = Backstay::new(&volume.dir().join("backstay"), &[], "");
    let use_member = |server: &TestServer| {
        let sections = format!("[archive]\nspool = \"spool\"\n\n{}", server.section("main"));
        backstay.configure(&backstay.repository(), &[], &sections);
    };
    let archive = || {
        backstay.run(&["archive", "--once"]).ok();
    };
    // Of the events a replica says otherwise: DISABLE ON REPLICA.
    let schemas = ["shop_archive", "turns"];
    run(&mut source.conn(), &["CREATE DATABASE turns"]);
    let write = |server: &TestServer, number: usize| {
        run(
            &mut server.conn(),
            &[
                &format!("CREATE TABLE turns.step_{number} (id INT PRIMARY KEY, v VARCHAR(20))"),
                &format!("INSERT INTO turns.step_{number} VALUES (1, 'a'), (2, 'b')"),
            ],
        );
    };
    let mut taken: Vec<(String, Contents)> = Vec::new();
    for (step, (member, parent)) in PHYSICAL.into_iter().enumerate() {
        write(&source, step);
        caught_up(&replica, &source);
        let server = [&source, &replica][member];
        use_member(server);
        let parent = parent.map(|parent| match parent {
            Parent::Auto => "auto".to_owned(),
            Parent::Of(step) => taken[step].0.clone(),
        });
        let mut arguments = vec!["backup", "--engine", engine, "--json"];
        if let Some(parent) = &parent {
            arguments.extend(["--incremental", "--parent", parent]);
        }
        let record = backstay.run(&arguments).ok().json()["backup"].clone();
        let id = record["id"].as_str().expect("an id").to_owned();
        if parent.as_deref() == Some("auto") {
            // The newest backup is the other member's.
            assert_eq!(record["parent"], taken[step - 2].0.as_str(), "{record}");
        }
        taken.push((id, contents(&mut server.conn(), &schemas)));
        archive();
    }
    // The other member's files are no parent.
    let arguments = ["backup", "--engine", engine, "--incremental", "--parent", &taken[4].0];
    let refused = backstay.run(&arguments).fails_with(3);
    let why = match engine {
        "snapshot" => "is of other files",
        _ => "an incremental must be of the same server",
    };
    assert!(refused.stderr.contains(why), "{}", refused.stderr);

    // One member is gone, the other goes on; its log has a gap nowhere.
    drop(source);
    promote(&replica);
    write(&replica, PHYSICAL.len());
    archive();
    backstay.run(&["verify"]).ok();
    let restored = |arguments: &[&str], expected: &Contents, name: &str| {
        let data = volume.point().join(name);
        let text = data.to_string_lossy().into_owned();
        backstay.run(&[arguments, &["--to-datadir", &text]].concat()).ok();
        let server = server_on(&replica, &data);
        let differ = differences(&contents(&mut conn(&server), &schemas), expected);
        assert!(differ.is_empty(), "{name}: {differ:#?}");
        server.stop().unwrap();
    };
    for step in [5, 2, 4] {
        let (id, expected) = &taken[step];
        restored(&["restore", id], expected, &format!("step-{step}"));
    }
    let latest = contents(&mut replica.conn(), &schemas);
    restored(&["recover", "--latest"], &latest, "latest");
    // From the lost member's files over the log of both.
    for step in [1, 3, 5] {
        std::fs::remove_dir_all(backstay.backups("main").join(&taken[step].0)).unwrap();
    }
    restored(&["recover", "--latest"], &latest, "latest-of-the-lost-member");
}
