//! A note on the server of the settings that were changed, for whoever has to put them back.
//!
//! Settings that were changed live as long as the server's process, and so must the note: it is kept in the variable
//! `init_replica` (MariaDB: `init_slave`), as a statement that applier threads run when they start and that has no effect. A
//! server that was killed has neither the changed settings nor the note.

use serde::{Deserialize, Serialize};

use crate::session::quote_text;

/// What a note begins with.
const BEGINS: &str = "SET @backstay_replay = ";

/// What was there before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The job that made the note.
    pub(super) job: String,
    /// Names and values, in the order in which they were changed.
    pub(super) settings: Vec<(String, String)>,
    /// What the variable itself held.
    pub(super) statement: String,
}

impl Note {
    /// As a statement.
    pub(super) fn to_statement(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{BEGINS}{}", quote_text(&json))
    }

    /// From what the variable holds; `None` if that is no note.
    pub(super) fn parse(statement: &str) -> Option<Self> {
        let quoted = statement.strip_prefix(BEGINS)?;
        let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut json = String::new();
        let mut rest = inner.chars();
        while let Some(c) = rest.next() {
            // Each of the two was doubled.
            if c == '\\' || c == '\'' {
                rest.next();
            }
            json.push(c);
        }
        serde_json::from_str(&json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back() {
        let note = Note {
            job: "20261122T101530Z-recover-7f3a".to_owned(),
            settings: vec![
                ("server_id".to_owned(), "1".to_owned()),
                ("event_scheduler".to_owned(), "ON".to_owned()),
            ],
            statement: r#"SET @a = 'it''s "\\" here'"#.to_owned(),
        };
        assert_eq!(Note::parse(&note.to_statement()), Some(note));
        assert_eq!(Note::parse("SET @a = 1"), None);
        assert_eq!(Note::parse(""), None);
    }
}
