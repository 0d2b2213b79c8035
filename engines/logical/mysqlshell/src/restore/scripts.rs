//! SQL files of a dump on the target.

use backstay_engine_api::EngineError;
use backstay_engine_api::job::ChainLink;

use super::dump::text_of;
use super::pool::Worker;
use super::statements::{Piece, Statements, starts_with_word};

/// What a section of a schema's file makes. Sections stand between comments: `-- begin event …` and `-- end event …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section<'a> {
    /// Settings around the sections.
    None,
    Database,
    /// A sequence of MariaDB's, and its name as the comment has it.
    Sequence(&'a str),
    /// A routine, a package, a library.
    Routine,
    Event,
}

/// A statement of a schema's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InSection<'a> {
    pub(super) section: Section<'a>,
    pub(super) sql: &'a str,
    pub(super) line: usize,
}

/// The statements of a file in their sections, without USE.
pub(super) fn in_sections(text: &str) -> Vec<InSection<'_>> {
    let mut section = Section::None;
    let mut all = Vec::new();
    for piece in Statements::new(text) {
        match piece {
            Piece::Comment(comment) => {
                if let Some(what) = comment.strip_prefix("begin ") {
                    section = match what.split_once(' ') {
                        Some(("database", _)) => Section::Database,
                        Some(("sequence", name)) => Section::Sequence(name),
                        Some(("event", _)) => Section::Event,
                        _ => Section::Routine,
                    };
                } else if comment.starts_with("end ") {
                    section = Section::None;
                }
            }
            Piece::Statement { sql, .. } if starts_with_word(sql, "USE") => {}
            Piece::Statement { sql, line } => all.push(InSection { section, sql, line }),
        }
    }
    all
}

/// Runs a file's statements in a schema, but for its own USE. `change` is given each statement, and says what is to be run
/// instead.
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
    let text = text_of(link, file)?;
    worker.in_schema(schema)?;
    for statement in in_sections(&text) {
        let sql = change(statement.sql).map_err(|error| at(error, file, statement.line))?;
        let result = worker.session.run(sql.as_deref().unwrap_or(statement.sql));
        result.map_err(|error| at(error, file, statement.line))?;
    }
    Ok(())
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
        let found: Vec<(Section<'_>, &str)> = in_sections(text).iter().map(|one| (one.section, one.sql)).collect();
        assert_eq!(
            found,
            [
                (Section::Database, "CREATE DATABASE a"),
                (Section::None, "SET x"),
                (Section::Event, "CREATE EVENT e"),
                (Section::Routine, "CREATE FUNCTION f"),
            ]
        );
    }
}
