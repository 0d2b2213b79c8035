//! What SHOW CREATE says.
//!
//! A definition is kept in the character set of the client that gave it, and has to be given in it again: bytes behind an
//! introducer (`_latin1'…'`) are taken as they come. The SQL files are UTF-8, so that
//!
//! - what a client gave in UTF-8 or in plain ASCII, which is nearly everything, is written as it is;
//! - so are bytes given in another character set that are UTF-8 nevertheless, by a client that said the wrong one;
//! - other text is written in UTF-8, and from then on is text that a client gave in utf8mb4. What its literals are is
//!   said by `collation_connection`, which stays;
//! - text of which that would make another is refused.

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::mysql::prelude::Queryable as _;
use backstay_mysql::mysql::{Row, Value};
use backstay_mysql::{Session, quote_identifier};

use super::literals::with_hexadecimals;

/// A row of SHOW CREATE, by name of column.
#[derive(Debug)]
pub(super) struct Shown {
    columns: Vec<(String, Option<String>)>,
    /// For messages: ``event `s`.`e` ``.
    what: String,
    /// The character set in which the statement is to be given again.
    client: String,
}

type Bytes = Vec<(String, Option<Vec<u8>>)>;

impl Shown {
    /// Asks for an object of `kind`: `TABLE`, `PACKAGE BODY`, ….
    ///
    /// # Errors
    /// It is not there; it may not be seen; it can not be written as UTF-8.
    pub(super) fn get(session: &mut Session, kind: &str, schema: &str, name: &str) -> Result<Self, EngineError> {
        let full = format!("{}.{}", quote_identifier(schema), quote_identifier(name));
        Self::of(session, kind, &full, name)
    }

    /// The same, by the `quoted` name.
    pub(super) fn of(session: &mut Session, kind: &str, quoted: &str, name: &str) -> Result<Self, EngineError> {
        let sql = format!("SHOW CREATE {kind} {quoted}");
        let what = format!("{} {quoted}", kind.to_lowercase());
        let mut bytes = fetch(session, &sql, &what)?;
        if kind == "TABLE" {
            for (_, value) in &mut bytes {
                *value = value.take().map(with_hexadecimals);
            }
        }
        let mut shown = Self::from_bytes(bytes, what.clone()).ok_or_else(|| not_utf8(&what))?;
        let utf8 = ["", "utf8mb4", "utf8mb3", "utf8"].contains(&shown.client.as_str());
        if utf8
            || shown
                .columns
                .iter()
                .flat_map(|(_, value)| value)
                .all(|value| value.is_ascii())
        {
            return Ok(shown);
        }
        session.run("SET SESSION character_set_results = NULL")?;
        let bytes = fetch(session, &sql, &what);
        session.run("SET SESSION character_set_results = utf8mb4")?;
        if let Some(exact) = Self::from_bytes(bytes?, what.clone()).filter(|exact| exact.names(name)) {
            return Ok(exact);
        }
        let statement = shown.statement()?;
        if !shown.names(name) || has_introducer(statement) {
            return Err(not_utf8(&what));
        }
        shown.client = "utf8mb4".to_owned();
        Ok(shown)
    }

    /// `None` if it is not UTF-8.
    fn from_bytes(bytes: Bytes, what: String) -> Option<Self> {
        let text =
            |(name, value): (String, Option<Vec<u8>>)| Some((name, value.map(String::from_utf8).transpose().ok()?));
        let mut shown = Self {
            columns: bytes.into_iter().map(text).collect::<Option<_>>()?,
            what,
            client: String::new(),
        };
        shown.client = shown.column("character_set_client").to_owned();
        Some(shown)
    }

    /// Whether the statement has the object's name. MySQL shows one that is not ASCII wrongly, if the client's character
    /// set is not UTF-8.
    fn names(&self, name: &str) -> bool {
        self.statement().is_ok_and(|statement| {
            statement.contains(&quote_identifier(name))
                || statement.contains(&format!("\"{}\"", name.replace('"', "\"\"")))
        })
    }

    /// The statement: the column `Create …`, or a trigger's.
    ///
    /// # Errors
    /// It may not be seen.
    pub(super) fn statement(&self) -> Result<&str, EngineError> {
        let (_, value) = self
            .columns
            .iter()
            .find(|(name, _)| name.starts_with("Create ") || name == "SQL Original Statement")
            .ok_or_else(|| EngineError::other(format!("the server shows no definition of {}", self.what)))?;
        value.as_deref().ok_or_else(|| {
            EngineError::new(
                ErrorKind::Privilege,
                format!("the account may not see the definition of {}", self.what),
            )
            .advise("give it the right to: GRANT SHOW_ROUTINE ON *.* on MySQL, GRANT SELECT ON mysql.* on MariaDB")
        })
    }

    /// Another column; empty if this server has none of that name.
    pub(super) fn column(&self, name: &str) -> &str {
        self.columns
            .iter()
            .find(|(column, _)| column == name)
            .and_then(|(_, value)| value.as_deref())
            .unwrap_or_default()
    }

    /// The character set in which the statement is to be given again.
    pub(super) fn client(&self) -> &str {
        &self.client
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }
}

fn fetch(session: &mut Session, sql: &str, what: &str) -> Result<Bytes, EngineError> {
    let row: Option<Row> = session
        .conn()
        .query_first(sql)
        .map_err(|error| session.error(&error, sql))?;
    let row = row.ok_or_else(|| EngineError::other(format!("the server shows no definition of {what}")))?;
    let names: Vec<String> = row
        .columns_ref()
        .iter()
        .map(|column| column.name_str().into_owned())
        .collect();
    let values = row.unwrap().into_iter().map(|value| match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    });
    Ok(names.into_iter().zip(values).collect())
}

/// Whether a literal has its character set before it: `_binary'…'`.
fn has_introducer(statement: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    statement.match_indices(['\'', '"']).any(|(at, _)| {
        let before = statement[..at].trim_end();
        let start = before.trim_end_matches(word).len();
        before[start..].starts_with('_')
    })
}

fn not_utf8(what: &str) -> EngineError {
    EngineError::refused(format!(
        "the definition of {what} was given in a character set that its text can not be taken out of"
    ))
    .advise(
        "make it anew over a connection with SET NAMES utf8mb4, with hexadecimal literals (x'…') for bytes that are no \
         text, or leave its schema out (exclude_schemas)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn introducers() {
        for (statement, want) in [
            ("SELECT 'a', \"b\"", false),
            ("SELECT _latin1'é'", true),
            ("SELECT _utf8mb4  \"é\"", true),
            ("SELECT a_b 'é'", false),
            ("SELECT x'00'", false),
        ] {
            assert_eq!(has_introducer(statement), want, "{statement}");
        }
    }
}
