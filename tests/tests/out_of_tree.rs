//! Plug-ins that were built elsewhere, with a lock file and an opt-level of their own: beside ours in one process, and at work
//! on a database that the contract was not made for.

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RSlice, RSliceMut, RVec};
use backstay::plugin::{SearchPath, load};
use backstay_engine_api::abi::v1::{HostApi, HostApi_TO};
use backstay_engine_api::wire::{Answer, Call, JobSpec};
use backstay_engine_api::{ErrorKind, Server};
use backstay_tests::backstay::Backstay;
use backstay_tests::postgresql::PostgreSql;
use backstay_tests::{build_dir, plugins};

/// A host that has nothing.
struct Nothing;

impl HostApi for Nothing {
    fn request(&self, _: RSlice<'_, u8>) -> RVec<u8> {
        serde_json::to_vec(&Answer::Ok(serde_json::Value::Null)).unwrap().into()
    }

    fn write(&self, _: u64, _: RSlice<'_, u8>) -> u32 {
        1
    }

    fn read(&self, _: u64, _: RSliceMut<'_, u8>) -> i64 {
        -1
    }

    fn cancelled(&self) -> bool {
        false
    }
}

#[test]
fn three_engines_answer_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let folder = plugins::only(dir.path(), &["libpgdump.so", "libcold_files.so"]);
    let ours = "libbackstay_mysqldump.so";
    std::fs::copy(build_dir().join(ours), folder.join(ours)).expect("run `cargo build --workspace`");
    let found = SearchPath::only(&[folder]).discover().unwrap();
    let names: Vec<&str> = found.engines().map(|engine| engine.manifest.name.as_str()).collect();
    assert_eq!(names, ["mysqldump", "cold-files", "pgdump"]);
    let loaded: Vec<_> = found
        .engines()
        .map(|engine| load(&engine.path, &engine.manifest.name, Some(engine.sha256().unwrap())).unwrap())
        .collect();
    // Each answers for itself, with an error of its own: there is nothing to back up.
    let scratch = dir.path().to_owned();
    for engine in &loaded {
        let job = JobSpec {
            id: "test".into(),
            scratch: scratch.clone(),
            threads: 1,
            ..JobSpec::default()
        };
        let server = Server {
            name: "nowhere".into(),
            host: Some("127.0.0.1".into()),
            port: Some(1),
            ..Server::default()
        };
        let answer = engine.call(
            &Call::FullBackup { job, server },
            HostApi_TO::from_value(Nothing, TD_Opaque),
        );
        let Answer::Error(error) = answer else {
            panic!("{} made a backup of nothing", engine.inspected.manifest.name)
        };
        let expected = match engine.inspected.manifest.name.as_str() {
            "cold-files" => ErrorKind::Usage,
            _ => ErrorKind::Connection,
        };
        assert_eq!(error.kind, expected, "{}: {error}", engine.inspected.manifest.name);
    }
}

#[test]
fn postgresql_is_backed_up_and_restored() {
    let source = PostgreSql::start();
    source.sql("postgres", "CREATE DATABASE shop");
    source.sql("postgres", "CREATE ROLE clerk LOGIN");
    source.sql(
        "shop",
        "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 5000) n; \
         CREATE VIEW late AS SELECT * FROM orders WHERE id > 4000; GRANT SELECT ON orders TO clerk",
    );
    let folder = plugins::only(source.dir(), &["libpgdump.so"]);
    let section = format!("[cluster.pg]\nserver = \"{}\"\n", source.url());
    let backstay = Backstay::new(&source.dir().join("backstay"), &[folder], &section);
    backstay.run(&["backup", "--engine", "pgdump"]).ok();
    backstay.run(&["verify"]).ok();
    let shown = backstay.run(&["show", "--json"]).ok().json();
    assert_eq!(shown["backup"]["server"]["flavour"], "postgresql");

    let target = PostgreSql::start();
    backstay.run(&["restore", "--to-server", &target.url()]).ok();
    for query in [
        "SELECT count(*), sum(id), md5(string_agg(note, ',' ORDER BY id)) FROM orders",
        "SELECT count(*) FROM late",
        "SELECT has_table_privilege('clerk', 'orders', 'select')",
    ] {
        assert_eq!(target.sql("shop", query), source.sql("shop", query), "{query}");
    }
    // Again: the database is in the way.
    backstay.run(&["restore", "--to-server", &target.url()]).fails_with(3);
    // What the engine does not do is said before anything is done.
    let url = target.url();
    let renamed = backstay
        .run(&["restore", "--tables", "shop.orders", "--to-server", &url])
        .fails_with(2);
    assert!(renamed.stderr.contains("not single tables"), "{}", renamed.stderr);
    let mysql = backstay
        .run(&["restore", "--to-server", "mysql://root@127.0.0.1:1"])
        .fails_with(2);
    assert!(mysql.stderr.contains("is for postgresql"), "{}", mysql.stderr);
}
