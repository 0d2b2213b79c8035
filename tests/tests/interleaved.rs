//! Backups of two members of a cluster in turn, full and incremental, by several engines: each of them can be restored, whichever
//! member and engine those before it are of, and what is past one member's failure too.

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::Backstay;
use backstay_tests::compare::{Contents, contents, differences};
use backstay_tests::replicas::{caught_up, promote, replicate};
use backstay_tests::shop;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

on_both!(two_members_in_turn);

/// Where a backup is taken, by which engine, and its parent: none is a full backup, a number an earlier step.
type Step = (usize, &'static str, Option<Parent>);

#[derive(Clone, Copy)]
enum Parent {
    Auto,
    Of(usize),
}

/// Full backups of both members, and incrementals on a parent of the same member and of the other one.
const STEPS: [Step; 8] = [
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
            let mut conn = server.conn();
            for statement in [
                format!("CREATE TABLE shop.step_{number} (id INT PRIMARY KEY, v VARCHAR(20))"),
                format!("INSERT INTO shop.step_{number} VALUES (1, 'a'), (2, 'b')"),
                format!("UPDATE shop.customers SET city = 'step {number}'"),
            ] {
                conn.query_drop(&statement)
                    .unwrap_or_else(|error| panic!("{statement}: {error}"));
            }
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
    for (member, engine, parent) in STEPS {
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
    for step in order.into_iter().take(3) {
        let (id, expected) = &taken[step];
        restored(&["restore", id], expected, &format!("step {step}, {id}"));
    }
    let (_, last) = &taken[taken.len() - 1];
    restored(&["recover", "--latest"], last, "the latest point");
}
