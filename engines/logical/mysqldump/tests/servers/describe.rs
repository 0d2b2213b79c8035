//! What is on a server, as a map that two servers can be compared by.

use std::collections::BTreeMap;

use backstay_mysql::{Session, quote_identifier, quote_text};

/// Definitions, checksums of rows, accounts and grants.
pub(crate) fn describe(session: &mut Session, schemas: &[&str]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for schema in schemas {
        tables(session, schema, &mut all);
        programs(session, schema, &mut all);
    }
    accounts(session, &mut all);
    all
}

fn tables(session: &mut Session, schema: &str, all: &mut BTreeMap<String, String>) {
    let of_schema = quote_text(schema);
    show(session, "CREATE DATABASE", &quote_identifier(schema), all);
    let tables: Vec<(String, String)> = session
        .query(format!(
            "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {of_schema}"
        ))
        .unwrap();
    for (table, kind) in tables {
        let name = format!("{}.{}", quote_identifier(schema), quote_identifier(&table));
        show(session, "CREATE TABLE", &name, all);
        if kind == "SEQUENCE" {
            let next: Vec<i64> = session
                .query(format!("SELECT next_not_cached_value FROM {name}"))
                .unwrap();
            all.insert(format!("next of {name}"), format!("{next:?}"));
        } else if kind != "VIEW" {
            // Dates and decimals inside JSON are what the tool loses, as the notice `json-scalars` says.
            if table == "opaque" {
                continue;
            }
            rows(session, schema, &table, &name, all);
            // MySQL 9.7 gives another sum each time for a table with a multi-valued index.
            if table == "invisible" {
                continue;
            }
            let sums: Vec<(String, Option<u64>)> = session.query(format!("CHECKSUM TABLE {name} EXTENDED")).unwrap();
            all.insert(format!("checksum of {name}"), format!("{sums:?}"));
        }
    }
    let triggers: Vec<String> = session
        .query(format!(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {of_schema}"
        ))
        .unwrap();
    for trigger in triggers {
        let name = format!("{}.{}", quote_identifier(schema), quote_identifier(&trigger));
        show(session, "CREATE TRIGGER", &name, all);
    }
    let order: Vec<(String, u64)> = session
        .query(format!(
            "SELECT TRIGGER_NAME, ACTION_ORDER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {of_schema} ORDER BY 1"
        ))
        .unwrap();
    all.insert(format!("order of triggers of {schema}"), format!("{order:?}"));
}

/// The rows, invisible columns too.
fn rows(session: &mut Session, schema: &str, table: &str, name: &str, all: &mut BTreeMap<String, String>) {
    let columns: Vec<String> = session
        .query(format!(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
            quote_text(schema),
            quote_text(table)
        ))
        .unwrap();
    let hex: Vec<String> = columns
        .iter()
        .map(|column| format!("HEX({})", quote_identifier(column)))
        .collect();
    let rows = session
        .query_named(format!("SELECT {} FROM {name} ORDER BY 1", hex.join(", ")))
        .unwrap();
    all.insert(format!("rows of {name}"), format!("{rows:#?}"));
}

fn programs(session: &mut Session, schema: &str, all: &mut BTreeMap<String, String>) {
    let routines: Vec<(String, String)> = session
        .query(format!(
            "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {}",
            quote_text(schema)
        ))
        .unwrap();
    for (kind, name) in routines {
        show(
            session,
            &format!("CREATE {kind}"),
            &format!("{}.{}", quote_identifier(schema), quote_identifier(&name)),
            all,
        );
    }
    let events: Vec<String> = session
        .query(format!(
            "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {}",
            quote_text(schema)
        ))
        .unwrap();
    for event in events {
        show(
            session,
            "CREATE EVENT",
            &format!("{}.{}", quote_identifier(schema), quote_identifier(&event)),
            all,
        );
    }
}

fn accounts(session: &mut Session, all: &mut BTreeMap<String, String>) {
    let mariadb = session.flavour().is_mariadb();
    if !mariadb {
        session.run("SET SESSION print_identified_with_as_hex = ON").unwrap();
    }
    let role = if mariadb { "is_role" } else { "'N'" };
    let users: Vec<(String, String, String)> = session
        .query(format!("SELECT User, Host, {role} FROM mysql.user"))
        .unwrap();
    for (user, host, role) in users {
        let name = match (user.as_str(), role.as_str()) {
            ("PUBLIC", "Y") => "PUBLIC".to_owned(),
            (_, "Y") => quote_text(&user),
            _ => format!("{}@{}", quote_text(&user), quote_text(&host)),
        };
        if role != "Y" {
            show(session, "CREATE USER", &name, all);
        }
        // A role's administrators are known by their own grants; root's memberships are not restored.
        if user != "root" {
            let mut grants: Vec<String> = session.query(format!("SHOW GRANTS FOR {name}")).unwrap();
            grants.sort();
            all.insert(format!("grants of {name}"), grants.join("\n"));
        }
    }
    let servers: Vec<(String, String, String, String)> = session
        .query("SELECT Server_name, Host, Username, Password FROM mysql.servers")
        .unwrap();
    all.insert("servers".to_owned(), format!("{servers:?}"));
}

fn show(session: &mut Session, what: &str, name: &str, all: &mut BTreeMap<String, String>) {
    let rows = session
        .query_named(format!("SHOW {what} {name}"))
        .unwrap_or_else(|error| panic!("{what} {name}: {error}"));
    // When it was made is not what it is.
    let columns: Vec<_> = rows[0].0.iter().filter(|(column, _)| column != "Created").collect();
    // MySQL shows a column's character set if its definition named the collation, which SHOW CREATE TABLE always does.
    let text = format!("{columns:#?}").replace(" CHARACTER SET utf8mb4 COLLATE", " COLLATE");
    all.insert(format!("{what} {name}"), text);
}
