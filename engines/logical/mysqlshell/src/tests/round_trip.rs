//! Definitions fed to the server's own client make the same on another server.

use std::collections::BTreeMap;

use backstay_bed::{TestServer, on_both};
use backstay_engine_api::ErrorKind;
use backstay_mysql::accounts::Restorer;
use backstay_mysql::{Flavour, Session, quote_identifier};

use super::hard;
use crate::accounts;
use crate::catalogue::{Catalogue, Filter};
use crate::definitions::Definitions;
use crate::options::Options;

on_both!(definitions_come_back, text_in_other_character_sets);

fn read(session: &mut Session) -> Catalogue {
    Catalogue::read(session, &Filter::of(&Options::default()).unwrap()).unwrap()
}

/// SHOW CREATE of everything in the catalogue, without when it was made.
fn shown(session: &mut Session, catalogue: &Catalogue) -> BTreeMap<String, String> {
    let mut names = Vec::new();
    for schema in &catalogue.schemas {
        let kinds = [
            ("EVENT", &schema.events),
            ("FUNCTION", &schema.functions),
            ("PROCEDURE", &schema.procedures),
            ("LIBRARY", &schema.libraries),
            ("SEQUENCE", &schema.sequences),
            ("PACKAGE", &schema.packages),
            ("PACKAGE BODY", &schema.package_bodies),
        ];
        for (kind, all) in kinds {
            names.extend(all.iter().map(|name| (kind, schema.name.as_str(), name.as_str())));
        }
    }
    for table in &catalogue.tables {
        names.push(("TABLE", &table.schema, &table.name));
        let triggers = table.triggers.iter();
        names.extend(triggers.map(|name| ("TRIGGER", table.schema.as_str(), name.as_str())));
    }
    names.extend(
        catalogue
            .views
            .iter()
            .map(|view| ("VIEW", view.schema.as_str(), view.name.as_str())),
    );
    let mut all = BTreeMap::new();
    // Views are shown by the schema in use.
    session.run("USE information_schema").unwrap();
    for schema in &catalogue.schemas {
        let name = quote_identifier(&schema.name);
        all.insert(
            name.clone(),
            text(session, &format!("SHOW CREATE DATABASE {name}"), &[]),
        );
    }
    for (kind, schema, name) in names {
        let full = format!("{}.{}", quote_identifier(schema), quote_identifier(name));
        let sql = format!("SHOW CREATE {kind} {full}");
        // Its text is in UTF-8 in the dump.
        let other = if name == "latin1_client" {
            "character_set_client"
        } else {
            ""
        };
        let mut shown = text(session, &sql, &["Created", other]);
        if kind == "SEQUENCE" {
            shown += &text(session, &format!("SELECT * FROM {full}"), &[]);
        }
        all.insert(sql, shown);
    }
    all
}

fn text(session: &mut Session, sql: &str, without: &[&str]) -> String {
    let rows = session
        .query_named(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = rows.iter().flat_map(|row| &row.0);
    let columns: Vec<_> = columns.filter(|(name, _)| !without.contains(&name.as_str())).collect();
    named_once(&format!("{columns:#?}"))
}

/// MySQL shows a column's character set if its definition named the collation, which SHOW CREATE TABLE always does.
fn named_once(text: &str) -> String {
    text.replace(" CHARACTER SET utf8mb4 COLLATE", " COLLATE")
}

/// All SQL files, in the order in which they are loaded.
fn script(session: &mut Session, catalogue: &Catalogue) -> String {
    let definitions = Definitions::of(session).unwrap();
    definitions.prepare(session).unwrap();
    let mut all = "SET foreign_key_checks = 0;\nSET time_zone = '+00:00';\n".to_owned();
    for schema in &catalogue.schemas {
        all += &definitions.schema(session, schema).unwrap();
    }
    for table in &catalogue.tables {
        all += &definitions.table(session, table).unwrap();
    }
    // Two servers say the same of a view that does not work, and refuse it.
    let working = |view: &&crate::catalogue::View| view.name != "broken";
    for view in catalogue.views.iter().filter(working) {
        all += &definitions.placeholder(view);
    }
    for view in catalogue.views.iter().filter(working) {
        all += &definitions.view(session, view).unwrap();
    }
    for table in catalogue.tables.iter().filter(|table| !table.triggers.is_empty()) {
        all += &definitions.triggers(session, table).unwrap();
    }
    all
}

fn definitions_come_back(flavour: Flavour) {
    let revokes: &[&str] = if flavour.is_mariadb() {
        &[]
    } else {
        &["--partial-revokes=ON"]
    };
    let (source, target) = (hard(flavour), TestServer::start_with(flavour, revokes));
    source.script(include_str!("../../../mysqldump/tests/sql/common.sql"));
    source.script(if flavour.is_mariadb() {
        include_str!("../../../mysqldump/tests/sql/mariadb.sql")
    } else {
        include_str!("../../../mysqldump/tests/sql/mysql.sql")
    });
    let (mut from, mut to) = (source.session(), target.session());
    let catalogue = read(&mut from);
    let files = script(&mut from, &catalogue);

    let users = backstay_mysql::accounts::read(&mut from).unwrap();
    let parsed = accounts::parse(&accounts::write(&users, &Definitions::of(&mut from).unwrap())).unwrap();
    assert_eq!(parsed, users);
    Restorer::create(&mut to, &parsed).unwrap();
    target.script(&files);

    let mut again = read(&mut to);
    let mut want = catalogue;
    want.views.retain(|view| view.name != "broken");
    for table in want.tables.iter_mut().chain(&mut again.tables) {
        (table.rows, table.bytes) = (0, 0);
        for partition in &mut table.partitions {
            (partition.rows, partition.bytes) = (0, 0);
        }
    }
    assert_eq!(want.schemas, again.schemas);
    assert_eq!(want.tables, again.tables);
    assert_eq!(want.views, again.views);
    let (left, right) = (shown(&mut from, &want), shown(&mut to, &want));
    assert!(left.len() > 40, "{left:#?}");
    for (what, definition) in &left {
        assert_eq!(Some(definition), right.get(what), "{what}");
    }
    // Made from what was made, the files are the same.
    let [first, second] = [&mut from, &mut to].map(|session| named_once(&script(session, &want)));
    for (first, second) in first.lines().zip(second.lines()) {
        assert_eq!(first, second);
    }
}

/// What a client gave in latin1 comes in UTF-8, and means the same; what would not is refused.
fn text_in_other_character_sets(flavour: Flavour) {
    let (source, target) = (TestServer::start(flavour), TestServer::start(flavour));
    let mut latin1 = source.session();
    let run = |session: &mut Session, statements: &[&[u8]]| {
        for statement in statements {
            // The driver takes statements in UTF-8 only, and the server turns this one into its client's character set.
            let sql: String = statement.iter().map(|byte| format!("{byte:02x}")).collect();
            session
                .run(format!("SET @sql = CONVERT(x'{sql}' USING latin1)"))
                .unwrap();
            session.run("PREPARE p FROM @sql").unwrap();
            session.run("EXECUTE p").unwrap();
        }
    };
    latin1.run("CREATE DATABASE texts CHARACTER SET utf8mb4").unwrap();
    latin1.run("USE texts").unwrap();
    latin1
        .run("SET SESSION character_set_client = latin1, collation_connection = latin1_german1_ci")
        .unwrap();
    run(&mut latin1, &[b"CREATE VIEW plain AS SELECT '\xfc' AS u, '\xdf' AS s"]);
    let mut from = source.session();
    let hex = "SELECT HEX(u), HEX(s), COLLATION(u) FROM texts.plain";
    let want = text(&mut from, hex, &[]);
    assert!(want.contains("\"FC\"") && want.contains("latin1_german1_ci"), "{want}");
    let catalogue = read(&mut from);
    target.script(&script(&mut from, &catalogue));
    assert_eq!(text(&mut target.session(), hex, &[]), want);

    run(
        &mut latin1,
        &[b"CREATE VIEW refused AS SELECT '\xfc' AS u, _binary'\xdf' AS s"],
    );
    let catalogue = read(&mut from);
    let view = catalogue.views.iter().find(|view| view.name == "refused").unwrap();
    let error = Definitions::of(&mut from).unwrap().view(&mut from, view).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    let charset = "SELECT @@character_set_results";
    assert_eq!(from.query_first::<String>(charset).unwrap().unwrap(), "utf8mb4");
}
