//! Definitions and JSON files of what a real MySQL Shell dumped, compared with its dump byte by byte.
//!
//! Rightly different, and taken out of both sides: the comment at the top of each SQL file (program, host, version), the
//! salts of passwords, and the order of tables and views in `S.json`, which is by hash there and by name here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use backstay_bed::TestServer;
use backstay_mysql::{Flavour, Session};
use serde_json::Value;

use crate::catalogue::{Catalogue, Filter};
use crate::definitions::Definitions;
use crate::format::{names, to_json};
use crate::options::{Compression, Content, Options};
use crate::{accounts, format};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A file of the shell's dump that is compared.
struct Shell {
    dump: PathBuf,
    compared: BTreeSet<String>,
}

impl Shell {
    fn text(&mut self, name: &str) -> String {
        self.compared.insert(name.to_owned());
        fs::read_to_string(self.dump.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn same_sql(&mut self, name: &str, ours: &str) {
        same_lines(name, &without_top(ours), &without_top(&self.text(name)));
    }

    fn same_bytes(&mut self, name: &str, ours: &[u8]) {
        same_lines(name, &String::from_utf8_lossy(ours), &self.text(name));
    }
}

/// The first line that differs says more than two files.
fn same_lines(name: &str, ours: &str, theirs: &str) {
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "{name}, line {}", number + 1);
    }
    assert!(ours == theirs, "{name} ends otherwise");
}

/// Without the five lines of the comment at the top.
fn without_top(text: &str) -> String {
    assert!(text.starts_with("-- MySQLShell dump 2.0.1  Distrib "), "{text}");
    text.split_inclusive('\n').skip(5).collect()
}

/// Tables and views sorted.
fn sorted(bytes: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(bytes).unwrap();
    for key in ["tables", "views"] {
        value[key].as_array_mut().unwrap().sort_by_key(ToString::to_string);
    }
    value
}

/// What follows `AS` in a CREATE USER.
fn without_salts(text: &str) -> String {
    let cut = |line: &str| match (line.find(" AS "), line.find(" REQUIRE ")) {
        (Some(from), Some(to)) if line.starts_with("CREATE USER") => format!("{} AS ?{}\n", &line[..from], &line[to..]),
        _ => format!("{line}\n"),
    };
    text.lines().map(cut).collect()
}

#[test]
fn as_the_shell_has_it() {
    let bed = TestServer::start(Flavour::MySql);
    bed.script(&fs::read_to_string(fixtures().join("golden.sql")).unwrap());
    let mut session: Session = bed.session();
    let definitions = Definitions::of(&mut session).unwrap();
    definitions.prepare(&mut session).unwrap();
    let options = Options {
        exclude_tables: vec!["golden.t_big".to_owned(), "golden.t_big_cpk".to_owned()],
        ..Options::default()
    };
    let catalogue = Catalogue::read(&mut session, &Filter::of(&options).unwrap()).unwrap();
    let mut shell = Shell {
        dump: fixtures().join("instance-none"),
        compared: BTreeSet::new(),
    };

    for name in [names::PRE_SQL, names::POST_SQL] {
        shell.same_sql(name, &definitions.instance());
    }
    let found = backstay_mysql::accounts::read(&mut session).unwrap();
    let users = shell.text(names::USERS_SQL);
    let ours = without_top(&accounts::write(&found, &definitions));
    same_lines(
        names::USERS_SQL,
        &without_salts(&ours),
        &without_salts(&without_top(&users)),
    );
    let instance: format::instance::InstanceFile =
        format::from_json(names::INSTANCE, shell.text(names::INSTANCE).as_bytes()).unwrap();
    assert_eq!(instance.users, Some(accounts::names(&found)));
    for schema in &catalogue.schemas {
        assert_eq!(instance.basenames.get(&schema.name), Some(&schema.base));
        shell.same_sql(
            &names::sql(&schema.base),
            &definitions.schema(&mut session, schema).unwrap(),
        );
        let ours = to_json(&catalogue.schema_file(schema, Content::All)).unwrap();
        let theirs = shell.text(&names::json(&schema.base));
        assert_eq!(sorted(&ours), sorted(theirs.as_bytes()));
        let keys = |text: &str| -> Vec<String> {
            let top = text.lines().filter(|line| line.starts_with("    \""));
            top.map(|line| line.split(':').next().unwrap_or(line).to_owned())
                .collect()
        };
        assert_eq!(keys(&String::from_utf8_lossy(&ours)), keys(&theirs));
    }
    for table in &catalogue.tables {
        let file = to_json(&table.file(Content::All, Compression::None)).unwrap();
        shell.same_bytes(&names::json(&table.base), &file);
        shell.same_sql(
            &names::sql(&table.base),
            &definitions.table(&mut session, table).unwrap(),
        );
        if !table.triggers.is_empty() {
            let triggers = definitions.triggers(&mut session, table).unwrap();
            shell.same_sql(&names::triggers_sql(&table.base), &triggers);
        }
    }
    for view in &catalogue.views {
        shell.same_sql(&names::placeholder_sql(&view.base), &definitions.placeholder(view));
        shell.same_sql(&names::sql(&view.base), &definitions.view(&mut session, view).unwrap());
    }

    let there: BTreeSet<String> = fs::read_dir(&shell.dump)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".tsv") && !name.ends_with(".idx") && name != names::DONE)
        .collect();
    assert_eq!(shell.compared, there, "a file of the shell's was not looked for");
    let rows: u64 = catalogue.tables.iter().map(|table| table.rows).sum();
    assert!(rows > 50, "{rows}");
}
