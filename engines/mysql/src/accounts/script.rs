//! [`Script`]: statements with markers, written and read back.

use std::fmt::Write as _;

use backstay_engine_api::{EngineError, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Statements under markers, as text.
#[derive(Debug, Default)]
pub(super) struct Script {
    text: String,
}

/// A statement and the marker that it stands under.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The marker's first word.
    pub(super) what: &'a str,
    /// Its JSON.
    about: &'a str,
    /// Without its semicolon; empty for a marker without statements.
    pub(super) statement: &'a str,
}

impl Entry<'_> {
    /// What the marker says.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if that is not of type `T`.
    pub(super) fn about<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        serde_json::from_str(self.about).map_err(|error| damaged(&format!("`{}`", self.about)).because(&error))
    }
}

impl Script {
    /// Adds statements about something. An account without grants has a marker too.
    pub(super) fn add(&mut self, what: &str, about: &impl Serialize, statements: &[String]) -> Result<(), EngineError> {
        let about = serde_json::to_string(about)
            .map_err(|error| EngineError::other("a marker can not be written as JSON").because(&error))?;
        let _ = writeln!(self.text, "-- {what} {about}");
        for statement in statements {
            let _ = writeln!(self.text, "{statement};");
        }
        Ok(())
    }

    /// As text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Reads a text back.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if it is not what [`add`](Self::add) wrote.
    pub(super) fn parse(text: &str) -> Result<Vec<Entry<'_>>, EngineError> {
        let mut entries = Vec::new();
        let (mut what, mut about) = ("", "");
        let mut rest = text;
        // Statements hold hashes and passwords: an error says where it is, and not what stands there.
        let broken = |rest: &str| damaged(&format!("byte {}", text.len() - rest.len()));
        while !rest.is_empty() {
            if let Some(marker) = rest.strip_prefix("-- ") {
                let (line, after) = marker.split_once('\n').ok_or_else(|| broken(rest))?;
                (what, about) = line.split_once(' ').ok_or_else(|| broken(rest))?;
                rest = after;
                if rest.is_empty() || rest.starts_with("-- ") {
                    entries.push(Entry {
                        what,
                        about,
                        statement: "",
                    });
                }
            } else {
                let end = statement_end(rest).ok_or_else(|| broken(rest))?;
                entries.push(Entry {
                    what,
                    about,
                    statement: &rest[..end],
                });
                rest = rest[end..].strip_prefix(";\n").ok_or_else(|| broken(&rest[end..]))?;
            }
        }
        Ok(entries)
    }
}

/// Where the first statement's semicolon is: the first one outside quotes.
fn statement_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match quote {
            None if byte == b';' => return Some(at),
            None if matches!(byte, b'\'' | b'"' | b'`') => quote = Some(byte),
            // A doubled quote ends the text and begins it again.
            Some(open) if byte == open && !escaped => quote = None,
            _ => {}
        }
        escaped = matches!(quote, Some(b'\'' | b'"')) && byte == b'\\' && !escaped;
    }
    None
}

fn damaged(at: &str) -> EngineError {
    EngineError::new(
        ErrorKind::Damaged,
        format!("the backup's accounts can not be read at {at}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let statements = [
            r"CREATE USER 'a;b'@'%' IDENTIFIED BY 'x''y\'z;\\'".to_owned(),
            "GRANT SELECT ON `we;ird``\n-- create x`.* TO \"u;\"".to_owned(),
            r#"ALTER USER a ATTRIBUTE '{"k": "it\\"s;"}'"#.to_owned(),
        ];
        let mut script = Script::default();
        script.add("create", &"first", &statements).unwrap();
        script.add("grant", &"none", &[]).unwrap();
        script.add("grant", &"last", &statements[..1]).unwrap();
        let text = script.into_text();
        let read = Script::parse(&text).unwrap();
        let shown: Vec<(&str, String, &str)> = read
            .iter()
            .map(|entry| (entry.what, entry.about().unwrap(), entry.statement))
            .collect();
        assert_eq!(
            shown,
            [
                ("create", "first".to_owned(), statements[0].as_str()),
                ("create", "first".to_owned(), statements[1].as_str()),
                ("create", "first".to_owned(), statements[2].as_str()),
                ("grant", "none".to_owned(), ""),
                ("grant", "last".to_owned(), statements[0].as_str()),
            ]
        );
        let cut = &text[..text.len() - 3];
        let error = Script::parse(cut).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged);
        assert!(!error.to_string().contains("IDENTIFIED"), "{error}");
    }
}
