//! The engine at work: between real servers of its own, through the binary contract, with a host that keeps objects in
//! memory.

mod cluster;
mod host;

use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::wire::{Call, JobSpec, Target};
use backstay_engine_api::{
    CheckReport, EngineError, ErrorKind, Outcome, Restored, Role, Secret, Selection, Server, ServerFacts,
};
use serde_json::{Value, json};

use cluster::Cluster;
use host::Backup;

/// Databases' names that a careless engine trips over.
const ODD: &str = "../o'd=d \"db\\";

/// What is put into a source server. The rows are more than a pipe holds.
const SHOP: &str = r#"
CREATE ROLE app LOGIN PASSWORD 's3cret;''x';
CREATE ROLE "odd ""role" IN ROLE app;
COMMENT ON ROLE app IS E'two\nlines; \\ CREATE ROLE nobody;';
ALTER ROLE app SET work_mem = '8MB';
CREATE DATABASE shop OWNER app;
ALTER DATABASE shop SET search_path = shop, public;
CREATE DATABASE "../o'd=d ""db\";
\connect shop
CREATE SCHEMA shop AUTHORIZATION app;
CREATE TABLE shop.customers (id serial PRIMARY KEY, name text NOT NULL, raw bytea, at timestamptz DEFAULT now());
INSERT INTO shop.customers (name, raw)
  SELECT 'Käufer ' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 50000) n;
CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer int REFERENCES shop.customers, price double precision, doc jsonb);
INSERT INTO shop.orders SELECT n, n, 1 / n::float8, jsonb_build_object('n', n) FROM generate_series(1, 1000) n;
CREATE INDEX ON shop.orders (price);
CREATE VIEW shop.cheap AS SELECT * FROM shop.orders WHERE price < 0.01;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.at = now(); RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE UPDATE ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.touch();
GRANT SELECT ON shop.orders TO "odd ""role";
SELECT lo_from_bytea(0, 'large object');
"#;

/// How many sessions of ours a server has.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'backstay %'";

fn job(options: Value) -> JobSpec {
    JobSpec {
        id: "20261122T101530Z-full-pgdump-7f3a".to_owned(),
        cluster: "orders".to_owned(),
        options,
        scratch: host::scratch(),
        threads: 2,
    }
}

fn full_backup(server: Server, options: Value) -> Call {
    let job = job(options);
    Call::FullBackup { job, server }
}

fn restore(backup: &Backup, target: Server, overwrite: bool) -> Result<Restored, EngineError> {
    let call = Call::Restore {
        job: job(Value::Null),
        target: Target::Server(target),
        overwrite,
        selection: Selection::default(),
        chain: vec![backup.record()],
    };
    backup.call(&call)
}

fn taken(outcome: Outcome) -> backstay_engine_api::Usable {
    match outcome {
        Outcome::Usable(usable) => usable,
        Outcome::Empty { .. } => panic!("a full backup is never empty"),
    }
}

fn codes(notices: &[backstay_engine_api::Notice]) -> Vec<(&str, &str)> {
    notices
        .iter()
        .map(|notice| (notice.code.as_str(), notice.subject.as_deref().unwrap_or("")))
        .collect()
}

#[test]
fn what_is_restored_is_what_was_there() {
    let (source, target) = (Cluster::start("source"), Cluster::start("target"));
    source.sql("postgres", SHOP);
    target.sql("postgres", "CREATE ROLE app NOLOGIN CONNECTION LIMIT 7;");
    let backup = Backup::new();
    let usable = taken(backup.call(&full_backup(source.tcp(), Value::Null)).unwrap());
    assert_eq!(codes(&usable.notices), [("separate-snapshots", "")]);
    assert_eq!(usable.positions, []);
    assert_eq!(usable.server.facts["databases"], json!([ODD, "postgres", "shop"]));
    assert_eq!(
        backup.names(),
        ["%2E.%2Fo'd=d \"db\\.dump", "globals.sql", "postgres.dump", "shop.dump"]
    );
    assert_eq!(backup.guarded(), ["+backstay 20261122T101530Z-full-pgdump-7f3a", "-"]);
    backup.set_server(usable.server);

    let restored = restore(&backup, target.tcp(), false).unwrap();
    assert_eq!(
        codes(&restored.notices),
        [("role-kept", "app"), ("role-kept", "postgres"), ("no-statistics", "")]
    );
    for database in ["shop", ODD, "postgres"] {
        assert_eq!(target.dump(database), source.dump(database), "{database}");
    }
    let limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'";
    assert_eq!(
        target.sql("postgres", limit),
        "7\n",
        "a role that was there has been changed"
    );

    target.sql("shop", "DELETE FROM shop.orders");
    let error = restore(&backup, target.tcp(), false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert_eq!(
        error.message,
        "postgresql://postgres@target has 1 of the backup's databases already, and not empty: shop"
    );
    assert_eq!(
        target.sql("shop", "SELECT count(*) FROM shop.orders"),
        "0\n",
        "refused, and yet changed"
    );

    let restored = restore(&backup, target.tcp(), true).unwrap();
    assert!(codes(&restored.notices).contains(&("role-replaced", "app")));
    assert_eq!(target.dump("shop"), source.dump("shop"));
    assert_eq!(target.roles().replace(" VALID UNTIL 'infinity'", ""), source.roles());
}

#[test]
fn one_database_by_the_url() {
    let (source, target) = (Cluster::start("source"), Cluster::start("target"));
    source.sql("postgres", "CREATE DATABASE a; CREATE DATABASE b;");
    source.sql("a", "CREATE TABLE t AS SELECT 1 AS n");
    let named = |cluster: &Cluster, name: &str| Server {
        database: Some(name.to_owned()),
        ..cluster.socket()
    };
    let backup = Backup::new();
    let options = json!({ "globals": false });
    taken(backup.call(&full_backup(named(&source, "a"), options)).unwrap());
    assert_eq!(backup.names(), ["a.dump"]);
    let error = restore(&backup, named(&target, "b"), false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(
        error.message.ends_with("names database b; backup test has a"),
        "{error}"
    );
    restore(&backup, named(&target, "a"), false).unwrap();
    assert_eq!(target.dump("a"), source.dump("a"));
    let error = Backup::new()
        .call::<Outcome>(&full_backup(named(&source, "none"), Value::Null))
        .unwrap_err();
    assert_eq!(
        error.message,
        "there is no database none on postgresql://postgres@source"
    );
}

#[test]
fn probing_says_who_it_is() {
    let source = Cluster::start("source");
    let call = Call::Probe {
        job: job(Value::Null),
        server: source.tcp(),
    };
    let facts: ServerFacts = Backup::new().call(&call).unwrap();
    assert_eq!(
        (facts.flavour.as_str(), facts.role, facts.lag),
        ("postgresql", Some(Role::Primary), None)
    );
    let identifier = source.sql("postgres", "SELECT system_identifier FROM pg_control_system()");
    assert_eq!(facts.identity["system_identifier"], identifier.trim_end());
    assert_eq!(facts.version, source.sql("postgres", "SHOW server_version").trim_end());
}

#[test]
fn errors_say_what_to_do_and_no_secret() {
    let source = Cluster::start("source");
    source.sql(
        "postgres",
        "CREATE ROLE weak LOGIN PASSWORD 'hunter2'; CREATE TABLE t ();",
    );
    let weak = Server {
        user: Some("weak".to_owned()),
        password: Some(Secret::new("hunter2")),
        ..source.tcp()
    };
    let wrong = Server {
        password: Some(Secret::new("not-hunter2")),
        ..weak.clone()
    };
    let gone = Server {
        port: Some(1),
        ..weak.clone()
    };
    let none = Server {
        database: Some("template0".to_owned()),
        ..source.tcp()
    };
    for (server, options, kind, text) in [
        (
            wrong,
            json!({}),
            ErrorKind::Connection,
            "password authentication failed",
        ),
        (gone, json!({}), ErrorKind::Connection, "Connection refused"),
        (
            weak.clone(),
            json!({}),
            ErrorKind::Privilege,
            "permission denied for table pg_authid",
        ),
        (
            weak,
            json!({ "role_passwords": false }),
            ErrorKind::Privilege,
            "permission denied for table t",
        ),
        (none, json!({}), ErrorKind::Refused, "takes no connections"),
    ] {
        let backup = Backup::new();
        let error = backup.call::<Outcome>(&full_backup(server, options)).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.advice.is_some(), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn what_it_can_not_do_it_says_first() {
    let target = Cluster::start("target");
    let backup = Backup::new();
    let call = Call::Restore {
        job: job(Value::Null),
        target: Target::Server(target.tcp()),
        overwrite: false,
        selection: Selection {
            include: vec!["shop.orders".parse().unwrap()],
            ..Selection::default()
        },
        chain: vec![backup.record()],
    };
    assert_eq!(backup.call::<Restored>(&call).unwrap_err().kind, ErrorKind::Unsupported);
    let call = Call::Check {
        job: job(Value::Null),
        target: Target::Server(target.tcp()),
        chain: Vec::new(),
    };
    assert_eq!(
        backup.call::<CheckReport>(&call).unwrap_err().kind,
        ErrorKind::Unsupported
    );
}

#[test]
fn a_dump_that_waits_is_cancelled_and_leaves_no_session() {
    let source = Cluster::start("source");
    source.sql("postgres", "CREATE TABLE t ()");
    let mut holder = source.hold("psql", "LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    let backup = Backup::new();
    let server = source.tcp();
    let waiting = {
        let (backup, server) = (backup.clone(), server.clone());
        thread::spawn(move || backup.call::<Outcome>(&full_backup(server, json!({ "globals": false }))))
    };
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let patience = Instant::now() + Duration::from_secs(20);
    while source.sql("template1", waits) != "1\n" {
        assert!(Instant::now() < patience, "pg_dump never came to wait");
        thread::sleep(Duration::from_millis(50));
    }
    backup.cancel();
    let begun = Instant::now();
    assert_eq!(waiting.join().unwrap().unwrap_err().kind, ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(5));

    // The server would have gone on waiting for the lock.
    assert_eq!(source.sql("template1", SESSIONS), "0\n");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn sessions_of_a_killed_job_are_ended() {
    let source = Cluster::start("source");
    let mut left = source.hold("backstay killed", "SET LOCAL work_mem = '1MB'");
    let mut other = source.hold("backstay other", "SET LOCAL work_mem = '1MB'");
    let call = Call::Clean {
        job: job(Value::Null),
        server: Some(source.tcp()),
        killed: "killed".to_owned(),
        sessions: vec!["backstay killed".to_owned()],
    };
    Backup::new().call::<()>(&call).unwrap();
    assert_eq!(source.sql("template1", SESSIONS), "1\n");
    for session in [&mut left, &mut other] {
        session.kill().unwrap();
        session.wait().unwrap();
    }
}
