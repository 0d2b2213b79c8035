//! SQL files of a dump on the target.

use backstay_engine_api::EngineError;
use backstay_engine_api::job::ChainLink;

use super::collation;
use super::dump::bytes_of;
use super::pool::Worker;
use super::statements::{Piece, Statements, starts_with_word};

/// What a section of a schema's file makes. Sections stand between comments: `-- begin event …` and `-- end event …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section<'a> {
    /// Settings around the sections.
    None,
    Database,
    /// A sequence of MariaDB's, and its name as the comment has it.
    Sequence(&'a [u8]),
    /// A routine, a package, a library.
    Routine,
    Event,
}

/// A statement of a schema's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InSection<'a> {
    pub(super) section: Section<'a>,
    pub(super) sql: &'a [u8],
    pub(super) line: usize,
}

/// The statements of a file in their sections, without USE.
pub(super) fn in_sections(text: &[u8]) -> Vec<InSection<'_>> {
    let mut section = Section::None;
    let mut all = Vec::new();
    for piece in Statements::new(text) {
        match piece {
            Piece::Comment(comment) => {
                if let Some(what) = comment.strip_prefix(b"begin ") {
                    section = begun(what);
                } else if comment.starts_with(b"end ") {
                    section = Section::None;
                }
            }
            Piece::Statement { sql, .. } if starts_with_word(sql, "USE") => {}
            // Older shells put no comments around it.
            Piece::Statement { sql, line } if section == Section::None && starts_with_word(sql, "CREATE DATABASE") => {
                all.push(InSection {
                    section: Section::Database,
                    sql,
                    line,
                });
            }
            Piece::Statement { sql, line } => all.push(InSection { section, sql, line }),
        }
    }
    all
}

fn begun(what: &[u8]) -> Section<'_> {
    let blank = memchr::memchr(b' ', what).unwrap_or(what.len());
    match (&what[..blank], what.get(blank + 1..)) {
        (b"database", Some(_)) => Section::Database,
        (b"sequence", Some(name)) => Section::Sequence(name),
        (b"event", Some(_)) => Section::Event,
        _ => Section::Routine,
    }
}

/// Runs a file's statements in a schema, but for its own USE. `change` is given each statement that is UTF-8, and says what is to be
/// run instead.
///
/// # Errors
/// The server's, with the file and the line of the statement.
pub(super) fn run_file(
    worker: &mut Worker,
    link: &ChainLink,
    file: &str,
    schema: &str,
    mut change: impl FnMut(&str) -> Result<Option<String>, EngineError>,
) -> Result<(), EngineError> {
    let text = bytes_of(link, file)?;
    worker.in_schema(schema)?;
    let all = in_sections(&text);
    collation::kept(worker, schema, &all, |worker| {
        for statement in &all {
            let changed = str::from_utf8(statement.sql).map_or(Ok(None), &mut change);
            let changed = changed.map_err(|error| at(error, file, statement.line))?;
            let result = worker
                .session
                .run(changed.as_deref().map_or(statement.sql, str::as_bytes));
            result.map_err(|error| at(error, file, statement.line))?;
        }
        Ok(())
    })
}

/// An error with where in the dump its statement stands.
pub(super) fn at(mut error: EngineError, file: &str, line: usize) -> EngineError {
    error.message = format!("`{file}` of the dump, line {line}: {}", error.message);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_a_schema() {
        let text = "-- begin database `a`\nCREATE DATABASE a;\n-- end database `a`\nUSE `a`;\nSET x;\n\
                    -- begin event `a`.`e`\nCREATE EVENT e;\n-- end event `a`.`e`\n\
                    -- begin function `a`.`f`\nCREATE FUNCTION f;\n-- end function `a`.`f`\n";
        let found = |text: &'static str| -> Vec<(Section<'_>, &str)> {
            let all = in_sections(text.as_bytes());
            all.iter()
                .map(|one| (one.section, str::from_utf8(one.sql).unwrap()))
                .collect()
        };
        assert_eq!(
            found(text),
            [
                (Section::Database, "CREATE DATABASE a"),
                (Section::None, "SET x"),
                (Section::Event, "CREATE EVENT e"),
                (Section::Routine, "CREATE FUNCTION f"),
            ]
        );
        // As older shells write it.
        let text = "-- Current Database: a\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `a`;\nUSE `a`;\nSET x;\n\
                    -- begin sequence `a`.`s`\nCREATE SEQUENCE s;\n-- end sequence\n";
        assert_eq!(
            found(text),
            [
                (Section::Database, "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a`"),
                (Section::None, "SET x"),
                (Section::Sequence(b"`a`.`s`"), "CREATE SEQUENCE s"),
            ]
        );
    }
}
