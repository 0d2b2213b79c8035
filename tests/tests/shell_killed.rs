//! The engine `mysqlshell`: a restore that is killed again and again while it loads goes on where it was, and each row is there
//! once.

use std::process::Child;
use std::thread;
use std::time::Instant;

use backstay_bed::{Flavour, TestServer, on_both, until};
use backstay_mysql::mysql::Conn;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::Backstay;
use backstay_tests::compare::{Contents, contents, differences};
use backstay_tests::processes::{children, kill, terminate};
use backstay_tests::random_tables;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How often a load is killed that has begun to load and has not ended.
const KILLS: u32 = 20;
/// How many loads may come to their end in between: one that goes on has less to do each time.
const LOADS: u32 = 20;

const SCHEMAS: [&str; 2] = ["first", "second"];

on_both!(killed_again_and_again);

fn killed_again_and_again(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    // Each table is loaded in several pieces; some have no key, and some no transactions.
    for (schema, seed) in SCHEMAS.into_iter().zip(71..) {
        random_tables::create(&mut conn, flavour, schema, seed, 12);
    }
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));
    let backup = ["backup", "--engine", "mysqlshell", "-o", "bytes_per_chunk=131072"];
    backstay.run(&backup).ok();
    let want = contents(&mut conn, &SCHEMAS);

    let target = TestServer::start(flavour);
    let mut conn = target.conn();
    let url = target.url();
    let restore = ["restore", "--to-server", url.as_str()];
    // How long it takes from the first rows on.
    let mut supervisor = backstay.start(&restore);
    assert!(loads_something(&mut conn, &mut supervisor), "the load was not seen");
    let started = Instant::now();
    assert!(supervisor.wait().unwrap().success());
    let loading = started.elapsed();
    empty(&mut conn, &want);

    // One that is asked to stop says how it goes on.
    let mut supervisor = backstay.start(&restore);
    assert!(loads_something(&mut conn, &mut supervisor), "the load was not seen");
    terminate(supervisor.id());
    let stopped = supervisor.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(130), "{said}");
    for what in ["what is restored so far stays", "run the same command again"] {
        assert!(said.contains(what), "{said}");
    }

    let mut random = StdRng::seed_from_u64(20);
    let (mut kills, mut loads) = (0, 0);
    while kills < KILLS {
        let mut supervisor = backstay.start(&restore);
        if loads_something(&mut conn, &mut supervisor) {
            thread::sleep(loading.mul_f64(random.random_range(0.0..0.4)));
        }
        // The worker alone, or all of it.
        let workers = children(supervisor.id());
        if random.random_bool(0.5) {
            kill(supervisor.id());
        }
        workers.into_iter().for_each(kill);
        let status = supervisor.wait().unwrap();
        let progress = progress(&mut conn);
        eprintln!("kill {kills}: {status}, {progress:?}");
        if progress.is_some() {
            kills += 1;
            continue;
        }
        // It was over before; the next one has all to do.
        empty(&mut conn, &want);
        loads += 1;
        assert!(loads < LOADS, "only {kills} kills hit a load");
    }
    backstay.run(&restore).ok();
    empty(&mut conn, &want);
}

/// Waits until a restore has loaded something; whether it did so before it ended.
fn loads_something(conn: &mut Conn, restore: &mut Child) -> bool {
    let before = progress(conn);
    let mut runs = true;
    until("the restore loads something", || {
        runs = restore.try_wait().unwrap().is_none();
        let now = progress(conn);
        !runs || (now.is_some() && now != before)
    });
    runs
}

/// How far an unfinished restore is, as it notes it on the target: how many files and steps, and how many bytes of them.
fn progress(conn: &mut Conn) -> Option<(u64, u64)> {
    // Without an unfinished restore there is no such table.
    conn.query_first(
        "SELECT COUNT(*), CAST(SUM(bytes + done) AS UNSIGNED) FROM backstay_restore.progress HAVING COUNT(*) > 0",
    )
    .unwrap_or_default()
}

/// Takes away what was restored, which must be all of it and nothing else.
fn empty(conn: &mut Conn, want: &Contents) {
    let differing = differences(&contents(conn, &SCHEMAS), want);
    assert!(
        differing.is_empty(),
        "restored against source:\n{}",
        differing.join("\n")
    );
    let all = contents(conn, &[]).into_keys();
    let schemas: Vec<String> = all.filter(|name| name.ends_with(" schema")).collect();
    assert_eq!(
        schemas,
        ["first schema", "second schema"],
        "the load's own schema is gone"
    );
    for schema in SCHEMAS {
        conn.query_drop(format!("DROP DATABASE {schema}")).unwrap();
    }
}
