//! Events on a target whose GTID state becomes the backup's: none may run.

use std::thread;
use std::time::Duration;

use backstay_bed::{TestServer, on_both, run, until};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::TestHost;

on_both!(no_event_runs, an_interrupted_restore_says_so_too);

fn no_event_runs(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT)",
        ],
    );
    let scheduler = |session: &mut Session| session.variable("event_scheduler").unwrap();
    let restored = || {
        let host = TestHost::new();
        host.backup(source.address(), json!({"compression": "none", "accounts": false}))
            .unwrap();
        let target = TestServer::start(flavour);
        let mut session = target.session();
        run(&mut session, &["SET GLOBAL event_scheduler = ON"]);
        let restored = host
            .restore_all(target.address(), json!({"accounts": false, "gtid": "set"}))
            .unwrap();
        let codes: Vec<String> = restored.notices.into_iter().map(|notice| notice.code).collect();
        (target, session, codes)
    };
    // Without an event there is nothing to be held.
    let (_target, mut found, codes) = restored();
    assert!(!codes.contains(&"event-scheduler-off".to_owned()), "{codes:?}");
    assert_eq!(scheduler(&mut found).as_deref(), Some("ON"));
    run(
        &mut session,
        &[
            "SET GLOBAL event_scheduler = OFF",
            "CREATE EVENT d.e ON SCHEDULE EVERY 1 SECOND DO INSERT INTO d.t VALUES ()",
        ],
    );
    let (_target, mut found, codes) = restored();
    assert!(codes.contains(&"event-scheduler-off".to_owned()), "{codes:?}");
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(scheduler(&mut found).as_deref(), Some("OFF"));
    assert_eq!(found.query_first::<u64>("SELECT COUNT(*) FROM d.t").unwrap(), Some(0));
    // It would have.
    run(&mut found, &["SET GLOBAL event_scheduler = ON"]);
    until("the event runs", || {
        found.query_first::<u64>("SELECT COUNT(*) FROM d.t").unwrap() != Some(0)
    });
}

fn an_interrupted_restore_says_so_too(flavour: Flavour) {
    let source = TestServer::start(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT)",
            "INSERT INTO d.t VALUES (1), (2), (3)",
            "CREATE EVENT d.e ON SCHEDULE EVERY 1 DAY DO INSERT INTO d.t VALUES ()",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let target = TestServer::start(flavour);
    run(&mut target.session(), &["SET GLOBAL event_scheduler = ON"]);
    let options = json!({"accounts": false, "gtid": "set"});
    let mut held = 0;
    let restored = (1..)
        .find_map(|reads| {
            host.cancel_after_reads(reads);
            match host.restore_all(target.address(), options.clone()) {
                Ok(restored) => Some(restored),
                Err(error) => {
                    let said = error.to_string().contains("event_scheduler is OFF");
                    let off = target.session().variable("event_scheduler").unwrap().as_deref() == Some("OFF");
                    assert_eq!(said, off, "{error}");
                    held += usize::from(said);
                    None
                }
            }
        })
        .unwrap();
    assert!(held > 0);
    let codes: Vec<&str> = restored.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert!(codes.contains(&"event-scheduler-off"), "{codes:?}");
}
