//! A process that is killed while it waits for the lock.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use backstay_bed::{TestServer, on_both, run, until, until_runs};
use backstay_engine_api::Server;
use backstay_mysql::{ConsistentPoint, Flavour, LockOptions, end_sessions};

use crate::TestHost;

on_both!(its_sessions_are_ended);

const CHILD: &str = "BACKSTAY_TEST_LOCK_CHILD";

/// The supervisor's part is played by this test: it has noted the guarded sessions, and has the engine end them.
fn its_sessions_are_ended(flavour: Flavour) {
    if let Some(socket) = std::env::var_os(CHILD) {
        return wait_for_the_lock(PathBuf::from(socket));
    }
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY)",
            "INSERT INTO shop.t VALUES (1)",
        ],
    );
    let mut busy = bed.session();
    let busy_id = busy.connection_id();
    let update = thread::spawn(move || {
        let _ = busy.run("UPDATE shop.t SET id = id + SLEEP(60)");
    });
    until_runs(&mut session, "UPDATE shop.t");

    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            &format!("killed::{}::its_sessions_are_ended", flavour.as_str()),
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, bed.server.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let guarded = lines
        .find_map(|line| line.split_once("guarded ").map(|(_, id)| id.to_owned()))
        .expect("a guarded session");
    let waits = |session: &mut backstay_mysql::Session| {
        let rows = session.query_named("SHOW FULL PROCESSLIST").unwrap();
        rows.iter().any(|row| {
            row.get(&["Id"]) == guarded.split('@').next()
                && row.get(&["Info"]).is_some_and(|info| info.starts_with("FLUSH"))
        })
    };
    until("the child waits for the lock", || waits(&mut session));
    child.kill().unwrap();
    child.wait().unwrap();

    // Somebody else's id, and one that is gone, do no harm.
    end_sessions(&bed.address(), &[guarded.clone(), "999999".to_owned()]).unwrap();
    until("the killed process's session is gone", || !waits(&mut session));
    run(
        &mut session,
        &["SET SESSION lock_wait_timeout = 1", "CREATE TABLE shop.new (id INT)"],
    );
    session.kill(busy_id).unwrap();
    update.join().unwrap();
}

fn wait_for_the_lock(socket: PathBuf) {
    let server = Server {
        socket: Some(socket),
        user: Some("root".to_owned()),
        ..Server::default()
    };
    let host = TestHost::new();
    let seen = host.clone();
    thread::spawn(move || {
        until("a session is guarded", || !seen.guarded().is_empty());
        println!("guarded {}", seen.guarded()[0]);
    });
    let options = LockOptions {
        lock_wait: Duration::from_secs(100),
        tables: None,
    };
    let _ = host.job(move |job| ConsistentPoint::take(job, &server, options, |_| Ok(())).map(|_| ()));
}
