//! Whether two servers hold the same: every row of every table, and every definition.

use std::collections::BTreeMap;

use mysql::prelude::Queryable;
use mysql::{Conn, Row, Value};
use sha2::{Digest, Sha256};

/// Schemas that belong to the server.
const SYSTEM: &str = "('mysql','information_schema','performance_schema','sys')";

/// What a server holds: `schema.name` and what it is, to a digest or a definition.
pub type Contents = BTreeMap<String, String>;

/// Everything that a server holds in some schemas; in all that are not the server's own, if none is named.
///
/// # Panics
/// A query fails.
pub fn contents(conn: &mut Conn, schemas: &[&str]) -> Contents {
    conn.query_drop("SET NAMES utf8mb4").expect("SET NAMES");
    let found: Vec<String> = conn
        .query(format!(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN {SYSTEM} ORDER BY 1"
        ))
        .expect("schemas");
    let mut contents = Contents::new();
    for schema in found
        .iter()
        .filter(|schema| schemas.is_empty() || schemas.contains(&schema.as_str()))
    {
        contents.insert(
            format!("{schema} schema"),
            definition(conn, &format!("SHOW CREATE DATABASE {}", quote(schema)), 1),
        );
        tables(conn, schema, &mut contents);
        routines(conn, schema, &mut contents);
    }
    contents
}

/// The rows of one table, as a digest that does not depend on their order. They are read by a prepared statement, whose answer
/// has each bit of a FLOAT, where text has six digits.
///
/// # Panics
/// A query fails.
pub fn rows(conn: &mut Conn, schema: &str, table: &str) -> String {
    let mut rows: Vec<Vec<u8>> = Vec::new();
    let result = conn
        .exec_iter(format!("SELECT * FROM {}.{}", quote(schema), quote(table)), ())
        .expect("rows");
    for row in result {
        rows.push(bytes(&row.expect("a row")));
    }
    rows.sort();
    let mut digest = Sha256::new();
    for row in &rows {
        digest.update((row.len() as u64).to_le_bytes());
        digest.update(row);
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} rows {digest}", rows.len())
}

/// `CHECKSUM TABLE` of each table of a schema. What it says of a table with a multi-valued index is another number each time.
///
/// # Panics
/// A query fails.
pub fn checksums(conn: &mut Conn, schema: &str) -> Contents {
    let tables: Vec<String> = conn
        .exec(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
            (schema,),
        )
        .expect("tables");
    let checksum = |table: String| {
        let name = format!("{}.{}", quote(schema), quote(&table));
        let row: Option<(String, Option<u64>)> = conn
            .query_first(format!("CHECKSUM TABLE {name} EXTENDED"))
            .expect("a checksum");
        (name, format!("{:?}", row.and_then(|(_, checksum)| checksum)))
    };
    tables.into_iter().map(checksum).collect()
}

/// What differs between two servers, a line each; empty if nothing does.
pub fn differences(left: &Contents, right: &Contents) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in left {
        match right.get(name) {
            None => all.push(format!("{name}: missing on the right")),
            Some(other) if other != value => all.push(format!("{name}:\n  left  {value}\n  right {other}")),
            Some(_) => {}
        }
    }
    all.extend(
        right
            .keys()
            .filter(|name| !left.contains_key(*name))
            .map(|name| format!("{name}: missing on the left")),
    );
    all
}

/// An identifier in backticks.
pub fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn tables(conn: &mut Conn, schema: &str, contents: &mut Contents) {
    let tables: Vec<(String, String)> = conn
        .exec(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = ? ORDER BY 1",
            (schema,),
        )
        .expect("tables");
    for (table, kind) in tables {
        let name = format!("{}.{}", quote(schema), quote(&table));
        let ddl = definition(conn, &format!("SHOW CREATE TABLE {name}"), 1);
        contents.insert(format!("{name} {}", kind.to_lowercase()), without_counter(&ddl));
        if kind == "BASE TABLE" || kind == "SYSTEM VERSIONED" {
            contents.insert(format!("{name} rows"), rows(conn, schema, &table));
        }
    }
    let triggers: Vec<Row> = conn
        .query(format!("SHOW TRIGGERS FROM {}", quote(schema)))
        .expect("triggers");
    for trigger in triggers {
        let name: String = trigger.get(0).expect("a trigger's name");
        let name = format!("{}.{}", quote(schema), quote(&name));
        // Columns: Trigger, sql_mode, SQL Original Statement, ….
        contents.insert(
            format!("{name} trigger"),
            definition(conn, &format!("SHOW CREATE TRIGGER {name}"), 2),
        );
    }
}

fn routines(conn: &mut Conn, schema: &str, contents: &mut Contents) {
    let routines: Vec<(String, String)> = conn
        .exec(
            "SELECT routine_name, routine_type FROM information_schema.routines \
             WHERE routine_schema = ? AND routine_type IN ('PROCEDURE', 'FUNCTION') ORDER BY 1",
            (schema,),
        )
        .expect("routines");
    for (routine, kind) in routines {
        let name = format!("{}.{}", quote(schema), quote(&routine));
        // Columns: name, sql_mode, Create …, ….
        let mode = definition(conn, &format!("SHOW CREATE {kind} {name}"), 1);
        let body = definition(conn, &format!("SHOW CREATE {kind} {name}"), 2);
        contents.insert(format!("{name} {}", kind.to_lowercase()), format!("[{mode}] {body}"));
    }
    let events: Vec<String> = conn
        .exec(
            "SELECT event_name FROM information_schema.events WHERE event_schema = ? ORDER BY 1",
            (schema,),
        )
        .expect("events");
    for event in events {
        let name = format!("{}.{}", quote(schema), quote(&event));
        // Columns: Event, sql_mode, time_zone, Create Event, ….
        contents.insert(
            format!("{name} event"),
            definition(conn, &format!("SHOW CREATE EVENT {name}"), 3),
        );
    }
}

fn definition(conn: &mut Conn, query: &str, column: usize) -> String {
    let row: Row = conn.query_first(query).expect(query).expect("one row");
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{query}: column {column} is {other:?}"),
    }
}

/// A table's definition without the counter for its next key, which a restore may set lower.
fn without_counter(ddl: &str) -> String {
    let Some(at) = ddl.find(" AUTO_INCREMENT=") else {
        return ddl.to_owned();
    };
    let rest = ddl[at + 1..].find(' ').map_or("", |space| &ddl[at + 1 + space..]);
    format!("{}{rest}", &ddl[..at])
}

fn bytes(row: &Row) -> Vec<u8> {
    let mut all = Vec::new();
    for column in 0..row.len() {
        match row.as_ref(column) {
            Some(Value::Bytes(bytes)) => {
                all.push(1);
                all.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                all.extend_from_slice(bytes);
            }
            Some(Value::NULL) | None => all.push(0),
            Some(other) => all.extend_from_slice(other.as_sql(true).as_bytes()),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_left_out() {
        assert_eq!(
            without_counter("a) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT"),
            "a) ENGINE=InnoDB DEFAULT"
        );
        assert_eq!(without_counter("a) ENGINE=InnoDB AUTO_INCREMENT=7"), "a) ENGINE=InnoDB");
    }

    #[test]
    fn differences_are_named() {
        let left = Contents::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
        let right = Contents::from([("b".into(), "3".into()), ("c".into(), "4".into())]);
        assert_eq!(
            differences(&left, &right),
            [
                "a: missing on the right",
                "b:\n  left  2\n  right 3",
                "c: missing on the left"
            ]
        );
    }
}
