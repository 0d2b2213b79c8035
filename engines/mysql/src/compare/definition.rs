//! [`Definition`]: a table's columns and keys.

use std::collections::BTreeMap;

use backstay_engine_api::{EngineError, TableKind, TableRef};

use super::sql::Shared;
use crate::session::{Session, quote_text};

/// A column, as `information_schema.COLUMNS` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// `DATA_TYPE`, in lower case.
    pub(super) data_type: String,
    /// `COLUMN_TYPE`: `int unsigned`, `varchar(20)`.
    column_type: String,
    pub(super) charset: Option<String>,
    collation: Option<String>,
    nullable: bool,
    default: Option<String>,
    extra: String,
    generation: Option<String>,
}

/// A key, as `information_schema.STATISTICS` has it: of each part the column (none for an expression) and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Key {
    unique: bool,
    kind: String,
    parts: Vec<(Option<String>, Option<u64>)>,
}

/// A table's columns and keys. Foreign keys and triggers, which a table has towards others, are not among them.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    table: TableRef,
    pub(super) columns: Vec<Column>,
    keys: BTreeMap<String, Key>,
}

/// What goes by a table's name.
pub(super) fn kind(session: &mut Session, table: &TableRef) -> Result<Option<TableKind>, EngineError> {
    let kind: Option<String> = session.query_first(format!(
        "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE {}",
        is(table)
    ))?;
    Ok(kind.map(|kind| match kind.as_str() {
        "BASE TABLE" | "SYSTEM VERSIONED" => TableKind::Table,
        _ => TableKind::Other,
    }))
}

fn is(table: &TableRef) -> String {
    format!(
        "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quote_text(&table.schema),
        quote_text(&table.table)
    )
}

impl Definition {
    pub(super) fn read(session: &mut Session, table: &TableRef) -> Result<Self, EngineError> {
        let texts = session.query_named(format!(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, \
             GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE {} ORDER BY ORDINAL_POSITION",
            is(table)
        ))?;
        let columns = texts.iter().map(|row| {
            let text = |name: &str| row.get(&[name]).map(str::to_owned);
            Column {
                name: text("COLUMN_NAME").unwrap_or_default(),
                data_type: text("DATA_TYPE").unwrap_or_default().to_ascii_lowercase(),
                column_type: text("COLUMN_TYPE").unwrap_or_default(),
                charset: text("CHARACTER_SET_NAME"),
                collation: text("COLLATION_NAME"),
                nullable: row.get(&["IS_NULLABLE"]) == Some("YES"),
                default: text("COLUMN_DEFAULT"),
                extra: text("EXTRA").unwrap_or_default(),
                generation: text("GENERATION_EXPRESSION").filter(|text| !text.is_empty()),
            }
        });
        let mut definition = Self {
            table: table.clone(),
            columns: columns.collect(),
            keys: BTreeMap::new(),
        };
        let parts = session.query_named(format!(
            "SELECT INDEX_NAME, NON_UNIQUE, INDEX_TYPE, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS WHERE {} \
             ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            is(table)
        ))?;
        for part in &parts {
            let name = part.get(&["INDEX_NAME"]).unwrap_or_default().to_owned();
            let key = definition.keys.entry(name).or_default();
            key.unique = part.get(&["NON_UNIQUE"]) == Some("0");
            key.kind = part.get(&["INDEX_TYPE"]).unwrap_or_default().to_owned();
            key.parts.push((
                part.get(&["COLUMN_NAME"]).map(str::to_owned),
                part.get(&["SUB_PART"]).and_then(|bytes| bytes.parse().ok()),
            ));
        }
        Ok(definition)
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns that both have by name, in our order.
    pub(super) fn shared<'a>(&'a self, other: &'a Self) -> Vec<Shared<'a>> {
        let both = |left: &'a Column| {
            let right = other.column(&left.name)?;
            Some(Shared { left, right })
        };
        self.columns.iter().filter_map(both).collect()
    }

    /// How the other differs.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut all = Vec::new();
        let (left, right) = (&self.table, &other.table);
        for column in &self.columns {
            match other.column(&column.name) {
                None => all.push(format!("{right} has no column {}", column.name)),
                Some(another) if another != column => all.push(format!(
                    "column {} is {} in {left} and {} in {right}",
                    column.name,
                    column.shown(),
                    another.shown()
                )),
                Some(_) => {}
            }
        }
        let new = other
            .columns
            .iter()
            .filter(|column| self.column(&column.name).is_none());
        all.extend(new.map(|column| format!("{left} has no column {}", column.name)));
        let order = |one: &Self, another: &Self| -> Vec<String> {
            let shared = one
                .columns
                .iter()
                .filter(|column| another.column(&column.name).is_some());
            shared.map(|column| column.name.clone()).collect()
        };
        if order(self, other) != order(other, self) {
            all.push("their columns have another order".to_owned());
        }
        for (name, key) in &self.keys {
            match other.keys.get(name) {
                None => all.push(format!("{right} has no key {name}")),
                Some(another) if another != key => all.push(format!(
                    "key {name} is {} in {left} and {} in {right}",
                    key.shown(),
                    another.shown()
                )),
                Some(_) => {}
            }
        }
        let new = other.keys.keys().filter(|name| !self.keys.contains_key(*name));
        all.extend(new.map(|name| format!("{left} has no key {name}")));
        all
    }

    /// The columns of a key by which a row of one is at most one row of the other: the primary key if it will do, else
    /// another.
    pub(super) fn common_key(&self, other: &Self) -> Option<Vec<String>> {
        let columns = |key: &Key| -> Option<Vec<String>> {
            let whole = |(name, length): &(Option<String>, Option<u64>)| name.clone().filter(|_| length.is_none());
            key.parts.iter().map(whole).collect()
        };
        let comparable = |name: &String| match (self.column(name), other.column(name)) {
            (Some(left), Some(right)) => {
                let likewise = (&left.column_type, &left.collation) == (&right.column_type, &right.collation);
                likewise && !left.nullable && !right.nullable
            }
            _ => false,
        };
        let fits = |names: &Vec<String>| {
            let there = other
                .keys
                .values()
                .any(|key| key.unique && columns(key).as_ref() == Some(names));
            there && names.iter().all(comparable)
        };
        let of = |(_, key): (&String, &Key)| Some(key).filter(|key| key.unique).and_then(columns).filter(fits);
        let mut keys: Vec<(&String, &Key)> = self.keys.iter().collect();
        keys.sort_by_key(|(name, key)| (*name != "PRIMARY", key.parts.len()));
        keys.into_iter().find_map(of)
    }
}

impl Column {
    fn shown(&self) -> String {
        let mut text = self.column_type.clone();
        if let Some(collation) = &self.collation {
            text.push_str(&format!(" ({collation})"));
        }
        if !self.nullable {
            text.push_str(" NOT NULL");
        }
        if let Some(default) = &self.default {
            text.push_str(&format!(" DEFAULT {default}"));
        }
        if let Some(generation) = &self.generation {
            text.push_str(&format!(" AS ({generation})"));
        }
        if !self.extra.is_empty() {
            text.push_str(&format!(" {}", self.extra));
        }
        text
    }
}

impl Key {
    fn shown(&self) -> String {
        let part = |(name, length): &(Option<String>, Option<u64>)| {
            let name = name.as_deref().unwrap_or("an expression");
            length.map_or_else(|| name.to_owned(), |length| format!("{name}({length})"))
        };
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        let unique = if self.unique { "UNIQUE " } else { "" };
        format!("{unique}{} ({})", self.kind, parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, column_type: &str) -> Column {
        Column {
            name: name.to_owned(),
            data_type: column_type.split('(').next().unwrap_or_default().to_owned(),
            column_type: column_type.to_owned(),
            charset: None,
            collation: None,
            nullable: false,
            default: None,
            extra: String::new(),
            generation: None,
        }
    }

    fn key(unique: bool, columns: &[&str]) -> Key {
        Key {
            unique,
            kind: "BTREE".to_owned(),
            parts: columns.iter().map(|name| (Some((*name).to_owned()), None)).collect(),
        }
    }

    fn definition(schema: &str, columns: Vec<Column>, keys: Vec<(&str, Key)>) -> Definition {
        Definition {
            table: TableRef::new(schema, "t"),
            columns,
            keys: keys.into_iter().map(|(name, key)| (name.to_owned(), key)).collect(),
        }
    }

    #[test]
    fn differences_are_named() {
        let left = definition(
            "rescue",
            vec![column("id", "int"), column("a", "int"), column("b", "int")],
            vec![("PRIMARY", key(true, &["id"])), ("a", key(false, &["a"]))],
        );
        let right = definition(
            "shop",
            vec![column("id", "int"), column("b", "bigint"), column("c", "int")],
            vec![("PRIMARY", key(true, &["id"])), ("a", key(true, &["b"]))],
        );
        assert_eq!(
            left.differences(&right),
            [
                "shop.t has no column a",
                "column b is int NOT NULL in rescue.t and bigint NOT NULL in shop.t",
                "rescue.t has no column c",
                "key a is BTREE (a) in rescue.t and UNIQUE BTREE (b) in shop.t",
            ]
        );
        assert_eq!(left.differences(&left), [""; 0]);
    }

    #[test]
    fn a_key_must_be_the_same_in_both() {
        let columns = || vec![column("id", "int"), column("name", "varchar(10)")];
        let left = definition(
            "a",
            columns(),
            vec![("PRIMARY", key(true, &["id"])), ("name", key(true, &["name"]))],
        );
        assert_eq!(left.common_key(&left), Some(vec!["id".to_owned()]));
        let renamed = definition("b", columns(), vec![("n", key(true, &["name"]))]);
        assert_eq!(left.common_key(&renamed), Some(vec!["name".to_owned()]));
        let plain = definition("b", columns(), vec![("name", key(false, &["name"]))]);
        assert_eq!(left.common_key(&plain), None);
        let mut other = left.clone();
        other.columns[0] = column("id", "bigint");
        other.columns[1].nullable = true;
        assert_eq!(left.common_key(&other), None);
        let mut prefix = left.clone();
        prefix.keys = BTreeMap::from([(
            "PRIMARY".to_owned(),
            Key {
                parts: vec![(Some("name".to_owned()), Some(4))],
                ..key(true, &[])
            },
        )]);
        assert_eq!(prefix.common_key(&prefix), None);
    }
}
