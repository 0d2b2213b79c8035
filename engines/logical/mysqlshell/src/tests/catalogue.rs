//! What the catalogue says of what is hard.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::ErrorKind;
use backstay_mysql::Flavour;

use super::hard;
use crate::catalogue::{Catalogue, Encoding, Filter, Table};
use crate::options::Options;

on_both!(
    keys_and_columns,
    patterns_that_match_nothing,
    whether_rows_lie_in_the_keys_order
);

fn table<'a>(catalogue: &'a Catalogue, name: &str) -> &'a Table {
    let found = catalogue.tables.iter().find(|table| table.name == name);
    found.unwrap_or_else(|| panic!("{name} is not there"))
}

fn columns(table: &Table) -> Vec<(&str, Encoding)> {
    let columns = table.columns.iter();
    columns.map(|column| (column.name.as_str(), column.encoding)).collect()
}

fn key(table: &Table) -> (Option<&str>, Vec<(&str, bool)>) {
    let columns = table.key.iter().map(|column| (column.name.as_str(), column.descending));
    (table.key_name.as_deref(), columns.collect())
}

fn codes(catalogue: &Catalogue) -> Vec<(&str, &str)> {
    let of_special = catalogue.notices.iter().filter_map(|notice| {
        let subject = notice.subject.as_deref()?.strip_prefix("special.")?;
        Some((notice.code.as_str(), subject))
    });
    let mut codes: Vec<_> = of_special.collect();
    codes.sort_unstable();
    codes
}

fn keys_and_columns(flavour: Flavour) {
    use Encoding::{Base64, Float, Plain, Text};
    let bed = hard(flavour);
    let options = Options {
        include_schemas: vec!["spec?al".to_owned()],
        ..Options::default()
    };
    let catalogue = Catalogue::read(&mut bed.session(), &Filter::of(&options).unwrap()).unwrap();
    assert_eq!(catalogue.schemas.len(), 1);
    let partitions = |name: &str| -> Vec<&str> {
        let partitions = table(&catalogue, name).partitions.iter();
        partitions.map(|partition| partition.base.as_str()).collect()
    };
    if flavour.is_mariadb() {
        let generated = [
            ("id", Plain),
            ("a", Plain),
            ("d", Plain),
            ("p", Base64),
            ("f", Float),
            ("e", Base64),
        ];
        for (name, want) in [
            ("generated", &generated[..]),
            ("numbered", &[("id", Plain), ("u", Text), ("i4", Text), ("i6", Text)]),
            (
                "period_hidden",
                &[("id", Plain), ("v", Plain), ("row_start", Plain), ("row_end", Plain)],
            ),
            (
                "period_shown",
                &[("id", Plain), ("v", Plain), ("from", Plain), ("to", Plain)],
            ),
            (
                "rotated",
                &[("id", Plain), ("v", Plain), ("row_start", Plain), ("row_end", Plain)],
            ),
            ("by_transaction", &[("id", Plain)]),
        ] {
            assert_eq!(columns(table(&catalogue, name)), want, "{name}");
            assert_eq!(
                key(table(&catalogue, name)),
                (Some("PRIMARY"), vec![("id", false)]),
                "{name}"
            );
            let history = ["period_hidden", "period_shown", "rotated"].contains(&name);
            assert_eq!(table(&catalogue, name).system_versioned, history, "{name}");
        }
        assert_eq!(partitions("rotated"), Vec::<&str>::new());
        assert_eq!(partitions("hashed"), ["special@hashed@p0", "special@hashed@p1"]);
        assert!(!table(&catalogue, "merged").has_rows());
        assert_eq!(
            catalogue.schemas[0].sequences,
            ["back", "back_down", "down", "run\nout"]
        );
        assert_eq!(catalogue.schemas[0].packages, ["bodiless", "pack"]);
        assert_eq!(catalogue.schemas[0].package_bodies, ["pack"]);
        let want = [
            ("history-left-out", "by_transaction"),
            ("rows-elsewhere", "merged"),
            ("rows-left-out", "only_generated"),
            ("view-broken", "broken"),
        ];
        assert_eq!(codes(&catalogue), want);
    } else {
        let kinds = table(&catalogue, "keys_of_all_kinds");
        assert_eq!(columns(kinds), [("a", Plain), ("b", Text), ("c", Plain), ("n", Plain)]);
        assert_eq!(key(kinds), (Some("texts"), vec![("b", false), ("a", false)]));
        assert_eq!(
            key(table(&catalogue, "without_key")),
            (Some("PRIMARY"), vec![("my_row_id", false)])
        );
        assert_eq!(
            columns(table(&catalogue, "without_key")),
            [("my_row_id", Plain), ("v", Plain)]
        );
        assert_eq!(columns(table(&catalogue, "text_search")), [("v", Text)]);
        assert_eq!(key(table(&catalogue, "text_search")), (None, vec![]));
        let bases = ["asp0", "asp1", "bsp0", "bsp1"].map(|name| format!("special@stamps@{name}"));
        assert_eq!(partitions("stamps"), bases);
        assert_eq!(
            key(table(&catalogue, "best_of_two")),
            (Some("number"), vec![("c", false)])
        );
        assert_eq!(catalogue.schemas[0].libraries, ["code"]);
        assert_eq!(codes(&catalogue), [("view-broken", "broken")]);
    }
}

fn patterns_that_match_nothing(flavour: Flavour) {
    let bed = hard(flavour);
    let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let options = Options {
        include_schemas: texts(&["special", "mysql"]),
        exclude_tables: texts(&["special.none*"]),
        r#where: [("other.*".to_owned(), "1".to_owned())].into(),
        ..Options::default()
    };
    let error = Catalogue::read(&mut bed.session(), &Filter::of(&options).unwrap()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    let want = "nothing on the server that is to be dumped matches `mysql` in include_schemas, `special.none*` in \
                exclude_tables, `other.*` in where";
    assert_eq!(error.message, want);
}

fn whether_rows_lie_in_the_keys_order(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.plain (a INT PRIMARY KEY)",
            "CREATE TABLE d.myisam (a INT PRIMARY KEY) ENGINE = MyISAM",
            "CREATE TABLE d.prefix (a VARCHAR(50) NOT NULL, PRIMARY KEY (a(20)), UNIQUE KEY u (a))",
            "CREATE TABLE d.first (a INT NOT NULL, b INT NOT NULL, UNIQUE KEY ab (a, b), UNIQUE KEY b (b))",
            "CREATE TABLE d.nullable (a INT, b INT NOT NULL, UNIQUE KEY a (a), UNIQUE KEY b (b))",
            // Rows lie by the first, which is not said.
            "CREATE TABLE d.twins (a INT NOT NULL, b INT NOT NULL, UNIQUE KEY z (a, b), UNIQUE KEY y (b, a))",
        ],
    );
    let options = Options {
        include_schemas: vec!["d".to_owned()],
        ..Options::default()
    };
    let catalogue = Catalogue::read(&mut session, &Filter::of(&options).unwrap()).unwrap();
    for (name, key, clustered) in [
        ("plain", "PRIMARY", true),
        ("myisam", "PRIMARY", false),
        ("prefix", "u", false),
        ("first", "ab", true),
        ("nullable", "b", true),
        ("twins", "y", false),
    ] {
        let table = table(&catalogue, name);
        assert_eq!(
            (table.key_name.as_deref(), table.clustered),
            (Some(key), clustered),
            "{name}"
        );
    }
}
