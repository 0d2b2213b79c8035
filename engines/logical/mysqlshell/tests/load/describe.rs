//! What a server has, as text, to compare a source with what was restored.

use std::collections::BTreeMap;

use backstay_mysql::{Session, quote_identifier, quote_text};

/// Tables whose sums differ after any dump as text (see the dumps' README), or on every call.
pub(crate) const UNEVEN: [&str; 3] = ["t_float_long", "t_json_typed", "t_json_mvi"];

/// Definitions and sums of everything in some schemas.
pub(crate) fn describe(session: &mut Session, schemas: &[&str]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for schema in schemas {
        let quoted = quote_identifier(schema);
        all.insert(
            format!("schema {schema}"),
            show(session, &format!("SHOW CREATE DATABASE {quoted}"), 1),
        );
        session.run(format!("USE {quoted}")).unwrap();
        let tables: Vec<(String, String)> = session
            .query(format!(
                "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
                quote_text(schema)
            ))
            .unwrap();
        for (name, kind) in tables {
            let table = format!("{quoted}.{}", quote_identifier(&name));
            all.insert(
                format!("{kind} {schema}.{name}"),
                show(session, &format!("SHOW CREATE TABLE {table}"), 1),
            );
            if kind != "VIEW" && !UNEVEN.contains(&name.as_str()) {
                all.insert(format!("sum {schema}.{name}"), checksum(session, &table));
            }
        }
        for (kind, sql, column) in [
            (
                "TRIGGER",
                "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA",
                2,
            ),
            (
                "FUNCTION",
                "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_SCHEMA",
                2,
            ),
            (
                "PROCEDURE",
                "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = 'PROCEDURE' AND ROUTINE_SCHEMA",
                2,
            ),
            (
                "EVENT",
                "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA",
                3,
            ),
        ] {
            let names: Vec<String> = session.query(format!("{sql} = {}", quote_text(schema))).unwrap();
            for name in names {
                let text = show(
                    session,
                    &format!("SHOW CREATE {kind} {quoted}.{}", quote_identifier(&name)),
                    column,
                );
                all.insert(format!("{kind} {schema}.{name}"), text);
            }
        }
        let order: Vec<(String, i64)> = session
            .query(format!(
                "SELECT TRIGGER_NAME, ACTION_ORDER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {}",
                quote_text(schema)
            ))
            .unwrap();
        all.insert(
            format!("order {schema}"),
            format!("{:?}", order.into_iter().collect::<BTreeMap<_, _>>()),
        );
    }
    all
}

/// CHECKSUM TABLE.
pub(crate) fn checksum(session: &mut Session, table: &str) -> String {
    show(session, &format!("CHECKSUM TABLE {table} EXTENDED"), 1)
}

fn show(session: &mut Session, sql: &str, column: usize) -> String {
    let rows = session.query_named(sql).unwrap_or_else(|error| panic!("{error}"));
    rows[0].0[column].1.clone().unwrap_or_else(|| "NULL".to_owned())
}

/// Compares entry by entry, so that a difference is short.
pub(crate) fn assert_same(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>) {
    for key in left.keys().chain(right.keys()) {
        assert_eq!(left.get(key), right.get(key), "{key}");
    }
}
