//! [`TableDdl`]: a table's CREATE TABLE taken apart, so that indexes and foreign keys can be made after the rows.
//!
//! What is put off is made such that SHOW CREATE TABLE then says what it said on the source. Servers sort a table's keys:
//! the primary key, unique ones, others, those on virtual columns, fulltext ones; and within each sort by the order in which they
//! were made. So of each sort a first part may be made with the table and the rest afterwards, in order.

mod elements;
mod tokens;

use backstay_engine_api::{EngineError, ErrorKind};

use super::statements::starts_with_word;
use crate::options::DeferIndexes;
use elements::{Element, Role};

/// A CREATE TABLE taken apart. Each part is as the server printed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableDdl {
    /// The statement without what is put off.
    pub(super) create: String,
    /// Keys that one ALTER TABLE makes together.
    pub(super) indexes: Vec<Part>,
    /// Fulltext keys, each of which needs an ALTER TABLE of its own.
    pub(super) fulltext: Vec<Part>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    /// Names of its CHECK constraints.
    pub(super) checks: Vec<String>,
    /// The table's next AUTO_INCREMENT.
    pub(super) auto_increment: Option<u64>,
}

/// What `ALTER TABLE … ADD` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) definition: String,
}

/// A foreign key, and what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignKey {
    pub(super) part: Part,
    /// `None`: the child's own.
    pub(super) schema: Option<String>,
    pub(super) table: String,
    /// Where in the definition the parent's schema stands, in bytes.
    schema_at: Option<(usize, usize)>,
}

impl ForeignKey {
    /// The definition with another schema for the parent.
    pub(super) fn referring_to(&self, schema: &str) -> String {
        match self.schema_at {
            Some((from, to)) => {
                let text = &self.part.definition;
                format!(
                    "{}{}{}",
                    &text[..from],
                    backstay_mysql::quote_identifier(schema),
                    &text[to..]
                )
            }
            None => self.part.definition.clone(),
        }
    }
}

/// Whether a statement creates a table.
pub(super) fn is_create_table(sql: &str) -> bool {
    starts_with_word(sql.as_bytes(), "CREATE")
        && starts_with_word(sql.as_bytes()["CREATE".len()..].trim_ascii_start(), "TABLE")
}

/// The columns of type TIMESTAMP that are NOT NULL and have no default, if a statement creates a table.
pub(super) fn bare_timestamps(sql: &str) -> Vec<String> {
    let parts = Some(sql).filter(|sql| is_create_table(sql)).and_then(elements::read);
    let all = parts.map(|parts| parts.elements).unwrap_or_default();
    let bare = all.into_iter().filter(|element| element.bare_timestamp);
    bare.map(|element| element.name).collect()
}

impl TableDdl {
    /// Of a table whose definition is not in the dump: nothing is put off.
    pub(super) fn none() -> Self {
        Self {
            create: String::new(),
            indexes: Vec::new(),
            fulltext: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            auto_increment: None,
        }
    }

    /// Takes a CREATE TABLE apart. Foreign keys refer to the columns `referred`.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if it is none.
    pub(super) fn parse(sql: &str, defer: DeferIndexes, referred: &[Vec<String>]) -> Result<Self, EngineError> {
        let parts = elements::read(sql).ok_or_else(|| {
            let start: String = sql.chars().take(60).collect();
            EngineError::new(
                ErrorKind::Damaged,
                format!("expected a CREATE TABLE as a server prints it, found `{start}…`"),
            )
        })?;
        let option = |name: &str| {
            let mut pairs = parts.options_words.windows(2);
            pairs.find_map(|pair| pair[0].eq_ignore_ascii_case(name).then_some(pair[1].as_str()))
        };
        let innodb = option("ENGINE").is_some_and(|engine| engine.eq_ignore_ascii_case("InnoDB"));
        // Other engines copy the whole table for a new index, and build those of an empty table in bulk by themselves.
        let defer = if innodb { defer } else { DeferIndexes::None };
        let put_off = which(&parts.elements, defer, referred);
        let mut ddl = Self {
            create: String::new(),
            indexes: Vec::new(),
            fulltext: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            auto_increment: option("AUTO_INCREMENT").and_then(|next| next.parse().ok()),
        };
        let mut kept = Vec::new();
        for (element, put_off) in parts.elements.iter().zip(put_off) {
            let part = || Part {
                name: element.name.clone(),
                definition: element.text.to_owned(),
            };
            match (&element.role, put_off) {
                (
                    Role::ForeignKey {
                        schema,
                        table,
                        schema_at,
                    },
                    _,
                ) => ddl.foreign_keys.push(ForeignKey {
                    part: part(),
                    schema: schema.clone(),
                    table: table.clone(),
                    schema_at: *schema_at,
                }),
                (role, false) => {
                    kept.push(element.text);
                    if *role == Role::Check {
                        ddl.checks.push(element.name.clone());
                    }
                }
                (Role::Fulltext, true) => ddl.fulltext.push(part()),
                (_, true) => ddl.indexes.push(part()),
            }
        }
        ddl.create = if kept.len() == parts.elements.len() {
            sql.to_owned()
        } else {
            format!("{}\n  {}\n{}", parts.head, kept.join(",\n  "), parts.tail)
        };
        Ok(ddl)
    }
}

/// Which elements are put off, foreign keys aside.
fn which(elements: &[Element<'_>], defer: DeferIndexes, referred: &[Vec<String>]) -> Vec<bool> {
    let mut put_off = vec![false; elements.len()];
    if defer == DeferIndexes::None {
        return put_off;
    }
    let counter = elements
        .iter()
        .find(|element| element.auto_increment)
        .map(|element| element.name.as_str());
    let has_primary = elements.iter().any(|element| element.role == Role::Primary);
    let virtual_columns: Vec<&str> = elements
        .iter()
        .filter(|element| element.role == Role::Column && element.virtual_column)
        .map(|element| element.name.as_str())
        .collect();
    let on_virtual = |element: &Element<'_>| {
        element.functional
            || element
                .columns
                .iter()
                .any(|name| virtual_columns.contains(&name.as_str()))
    };
    // A functional key brings a column, which no server adds together with other keys without copying the table.
    let functional = elements.iter().any(|element| element.functional);
    for (element, put_off) in elements.iter().zip(&mut put_off) {
        *put_off = match element.role {
            Role::Fulltext => true,
            Role::Unique | Role::Index => defer == DeferIndexes::All && !(functional && on_virtual(element)),
            _ => false,
        };
    }
    // The rows are stored by the first unique key where there is no primary one: to add it later would store them again.
    if !has_primary && let Some(first) = elements.iter().position(|element| element.role == Role::Unique) {
        put_off[first] = false;
    }
    // AUTO_INCREMENT needs a key that begins with its column, and a foreign key one that begins with those that it refers to; those before it
    // are kept for the sake of the order.
    let counter = counter.map(|name| vec![name.to_owned()]);
    for begins in counter.iter().chain(referred) {
        let leads = |element: &Element<'_>| {
            let mut pairs = element.columns.iter().zip(begins);
            element.columns.len() >= begins.len() && pairs.all(|(has, wanted)| has.eq_ignore_ascii_case(wanted))
        };
        let keys = [Role::Primary, Role::Unique, Role::Index];
        let mut leading = (0..elements.len()).filter(|at| keys.contains(&elements[*at].role) && leads(&elements[*at]));
        // One of the first characters of a column is none for a foreign key, which the last one is not either if there is but that.
        let needed = if counter.as_ref() == Some(begins) {
            leading.next()
        } else {
            leading.next_back()
        };
        if let Some(needed) = needed.filter(|needed| put_off[*needed]) {
            for (element, put_off) in elements.iter().zip(&mut put_off).take(needed + 1) {
                if element.role != Role::Fulltext {
                    *put_off = false;
                }
            }
        }
    }
    put_off
}

#[cfg(test)]
mod tests;
