use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::done::DoneFile;
use super::instance::InstanceFile;
use super::names::{self, BaseNames};
use super::schema::SchemaFile;
use super::table::TableFile;
use super::*;

#[test]
fn names_are_encoded() {
    for (name, encoded) in [
        ("we ird-@sch%é", "we%20ird-%40sch%25é"),
        ("UPPER.Case/slash\\back", "UPPER.Case%2Fslash%5Cback"),
        ("日本", "日本"),
        ("a_b~c.d-1", "a_b~c.d-1"),
        ("\n`", "%0A%60"),
    ] {
        assert_eq!(names::encode(name), encoded);
    }
}

#[test]
fn long_names_are_cut_and_kept_apart() {
    let mut bases = BaseNames::default();
    let long = "@".repeat(64);
    let first = bases.table(&long, &long);
    assert_eq!(first.len(), 226);
    assert!(first.ends_with("@%40%40%40%40%40%40%40%40%40%40%40"), "{first}");
    let second = bases.table(&long, &format!("{}x", &long[1..]));
    assert_eq!(second, format!("{}1", &first[..225]));
    let partition = bases.partition("s", &"日".repeat(64), &"本".repeat(64));
    assert_eq!(partition.len(), 1 + 1 + 192 + 1 + 30 + 1, "{partition}");
    assert!(partition.ends_with("本0"), "{partition}");
    let fits = bases.table(&"s".repeat(100), &"t".repeat(124));
    assert_eq!(fits.len(), 225);
}

/// Characters of several bytes are cut before, and not within.
#[test]
fn what_is_cut_is_called_as_nothing_else() {
    let mut bases = BaseNames::default();
    let schema = "日".repeat(64);
    let short = format!("{}0", "日".repeat(10));
    // With an ordinal behind what fits of them, all would be called as `short` is, or as another of them.
    let mut tables: Vec<String> = (0..12).map(|at| format!("{}{at}", "日".repeat(12))).collect();
    tables.extend((0..12).map(|at| format!("{}1{}{at}", "日".repeat(10), "日".repeat(2))));
    tables.insert(1, short.clone());
    let names: Vec<String> = tables.iter().map(|table| bases.table(&schema, table)).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), tables.len(), "{names:#?}");
    assert_eq!(names[1], format!("{schema}@{short}"));
    let longest = names.iter().map(String::len).max();
    assert_eq!(longest, Some(227));
}

#[test]
fn names_that_end_as_other_files_do_are_encoded_further() {
    let mut bases = BaseNames::default();
    for (name, base) in [
        ("t", "s@t"),
        ("t.triggers", "s@t%2Etriggers"),
        ("v.pre", "s@v%2Epre"),
        ("a.pre.triggers", "s@a.pre%2Etriggers"),
        (".pre", "s@%2Epre"),
        ("é.pre", "s@é%2Epre"),
        ("t%2Epre", "s@t%252Epre"),
        ("t.triggers2", "s@t.triggers2"),
        ("pre", "s@pre"),
    ] {
        assert_eq!(bases.table("s", name), base);
    }
}

/// Whatever tables, views and partitions are called.
#[test]
fn no_two_files_have_one_name() {
    let mut bases = BaseNames::default();
    let mut all = Vec::new();
    for schema in ["s", "s.triggers", "s.pre", "s@t", "s.json"] {
        let base = bases.schema(schema);
        all.extend([names::json(&base), names::sql(&base)]);
    }
    let tables = [
        "t",
        "t.triggers",
        "t.pre",
        "t.pre.pre",
        "t.triggers.pre",
        "t.pre.triggers",
        "t%2Epre",
        "t%2Etriggers",
        "t.sql",
        "t.pre.sql",
        "t.json",
        "t.tsv",
        "t.idx",
        "t@0",
        "t@@0",
        "t@0.tsv",
        "t@@0.tsv.idx",
    ];
    let data_of = |base: &str| -> Vec<String> {
        let files = [(0, false), (0, true), (1, false)].map(|(at, last)| names::chunk(base, at, last, "tsv"));
        let indexes: Vec<String> = files.iter().map(|file| names::index(file)).collect();
        files.into_iter().chain(indexes).collect()
    };
    // Each as if it were table and view, with all of their files.
    for table in tables {
        let base = bases.table("s", table);
        all.extend([names::json(&base), names::sql(&base)]);
        all.extend([names::triggers_sql(&base), names::placeholder_sql(&base)]);
        all.extend(data_of(&base));
        for partition in ["0", "@0", "0.tsv", "@0.tsv", "p.pre", "p.triggers"] {
            all.extend(data_of(&bases.partition("s", table, partition)));
        }
    }
    let mut seen = BTreeSet::new();
    for name in &all {
        assert!(seen.insert(name), "{name}");
    }
}

#[test]
fn chunks() {
    for (number, last, name) in [(0, false, "s@t@0.tsv.zst"), (12, true, "s@t@@12.tsv.zst")] {
        assert_eq!(names::chunk("s@t", number, last, "tsv.zst"), name);
    }
    assert_eq!(names::index(&names::whole("s@t", "tsv")), "s@t.tsv.idx");
}

#[test]
fn what_older_shells_leave_out_has_a_default() {
    let table: TableFile = from_json(
        "t.json",
        br#"{"options": {"schema": "s", "table": "t", "columns": ["a"]}, "extension": "tsv.gz"}"#,
    )
    .unwrap();
    assert_eq!(table.options.fields_terminated_by, "\t");
    assert!(table.includes_data && table.includes_ddl && !table.chunking && table.histograms.is_empty());
    let schema: SchemaFile = from_json("s.json", br#"{"schema": "s", "tables": [], "new key": 1}"#).unwrap();
    assert!(schema.includes_ddl && schema.libraries.is_empty());
    let instance = |value: Value| -> InstanceFile { serde_json::from_value(value).unwrap() };
    let old = instance(json!({"serverVersion": "8.0.36", "gtidExecuted": "a:1-3"}));
    assert_eq!((old.version_of_server(), old.gtids()), ("8.0.36", "a:1-3"));
    let new = instance(json!({"source": {"version": "9.7.4", "binlog": {"gtidExecuted": "b:1"}}}));
    assert_eq!((new.version_of_server(), new.gtids()), ("9.7.4", "b:1"));
}

/// The shells' dumps that are here have none.
#[test]
fn histograms_stand_after_the_triggers() {
    let bytes = br#"{"triggers": [], "histograms": [{"column": "a", "buckets": 100}], "includesData": true}"#;
    let table: TableFile = from_json("s@t.json", bytes).unwrap();
    assert_eq!(
        (table.histograms[0].column.as_str(), table.histograms[0].buckets),
        ("a", 100)
    );
    let text = String::from_utf8(to_json(&table).unwrap()).unwrap();
    let text: String = text.split_whitespace().collect();
    let want = r#""triggers":[],"histograms":[{"column":"a","buckets":100}],"includesData":true"#;
    assert!(text.contains(want), "{text}");
}

#[test]
fn what_is_no_file_of_the_format_is_damaged() {
    let error = from_json::<TableFile>("s@t.json", b"{\"triggers\": 3}").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged);
    assert!(error.message.contains("`s@t.json`"), "{error}");
}

/// Every file of the shells' dumps is read; what is written of it again is the same, but for keys that are passed over and
/// maps that have no order.
#[test]
fn files_of_a_shell_are_read_and_written_again() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut count = 0;
    for dump in fs::read_dir(fixtures).unwrap() {
        let Ok(files) = fs::read_dir(dump.unwrap().path()) else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.ends_with(".json") {
                continue;
            }
            count += 1;
            let bytes = fs::read(&path).unwrap();
            let theirs: Value = serde_json::from_slice(&bytes).unwrap();
            let ours = if name == names::INSTANCE {
                let file: InstanceFile = from_json(name, &bytes).unwrap();
                assert_eq!(file.version_of_server(), "9.7.4-2", "{name}");
                assert!(file.source.is_some() && file.gtids().contains(':'));
                to_json(&file).unwrap()
            } else if name == names::DONE {
                to_json(&from_json::<DoneFile>(name, &bytes).unwrap()).unwrap()
            } else if name.contains('@') {
                let again = to_json(&from_json::<TableFile>(name, &bytes).unwrap()).unwrap();
                assert_eq!(
                    String::from_utf8_lossy(&again),
                    String::from_utf8_lossy(&bytes),
                    "{name}"
                );
                again
            } else {
                to_json(&from_json::<SchemaFile>(name, &bytes).unwrap()).unwrap()
            };
            let keys = |bytes: &[u8]| -> Vec<String> {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let lines = text.lines().filter_map(|line| line.strip_prefix("    \""));
                let keys = lines.map(|line| line.split('"').next().unwrap_or(line).to_owned());
                keys.filter(|key| theirs.get(key).is_some() && key != "source")
                    .collect()
            };
            assert_eq!(keys(&ours), keys(&bytes), "{}", path.display());
            let ours: Value = serde_json::from_slice(&ours).unwrap();
            for (key, value) in theirs.as_object().unwrap() {
                if key != "source" {
                    assert_eq!(ours.get(key), Some(value), "{key} of {}", path.display());
                }
            }
        }
    }
    assert!(count > 40, "{count}");
}
