//! Histograms of columns, which MySQL has: made again once a table's rows and indexes are there.

use std::collections::BTreeMap;

use backstay_engine_api::{EngineError, ErrorKind, Notice};
use backstay_mysql::quote_identifier;

use super::Restore;
use super::dump::Table;
use super::pool::Worker;
use crate::options::Content;

/// How they are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Histograms {
    /// Whether the server can keep them up to date.
    auto_update: bool,
}

/// Whether a restore makes them: of rows that come with their definitions, on a server that has histograms.
pub(super) fn wanted(restore: &Restore<'_>) -> Option<Histograms> {
    let session = &restore.session;
    let both = restore.options.content == Content::All && !restore.rows_only;
    let wanted = both && !session.flavour().is_mariadb() && session.version().at_least(8, 0, 0);
    wanted.then(|| Histograms {
        auto_update: session.version().at_least(8, 4, 0),
    })
}

/// Makes a table's histograms; one that is there already is made anew. What the server makes none of becomes a notice: without it,
/// queries give the same rows.
///
/// # Errors
/// The session was lost.
pub(super) fn make(how: Histograms, worker: &mut Worker, table: &Table) -> Result<Vec<Notice>, EngineError> {
    let mut notices = Vec::new();
    if table.chunks.is_empty() {
        return Ok(notices);
    }
    let mut columns: BTreeMap<(u64, bool), Vec<String>> = BTreeMap::new();
    for histogram in &table.file.histograms {
        let how = (histogram.buckets, histogram.auto_update && how.auto_update);
        columns
            .entry(how)
            .or_default()
            .push(quote_identifier(&histogram.column));
    }
    for ((buckets, auto_update), columns) in columns {
        let sql = format!(
            "ANALYZE TABLE {} UPDATE HISTOGRAM ON {} WITH {buckets} BUCKETS{}",
            table.quoted(),
            columns.join(", "),
            if auto_update { " AUTO UPDATE" } else { "" }
        );
        let left_out = match worker.session.texts(&sql) {
            Ok(rows) => errors(&rows),
            Err(error) if error.kind == ErrorKind::Connection => return Err(error),
            Err(error) => vec![error.to_string()],
        };
        if !left_out.is_empty() {
            let said = left_out.join("; ");
            let text =
                format!("the server did not make a histogram that the backup names: {said}; to try again, run: {sql}");
            notices.push(Notice::new("histogram-left-out", text).about(table.shown()));
        }
    }
    Ok(notices)
}

/// What went wrong: rows of Table, Op, Msg_type and Msg_text, of which ANALYZE makes no error.
fn errors(rows: &[Vec<Option<String>>]) -> Vec<String> {
    rows.iter()
        .filter_map(|row| match row.as_slice() {
            [_, _, Some(kind), text] if kind.eq_ignore_ascii_case("error") => Some(text.clone().unwrap_or_default()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::errors;

    #[test]
    fn rows_that_are_errors() {
        let row = |kind: &str, text: &str| {
            ["d.t", "histogram", kind, text]
                .map(|text| Some(text.to_owned()))
                .to_vec()
        };
        let rows = [
            row("status", "Histogram statistics created for column 'n'."),
            row("Error", "The column 'x' does not exist."),
        ];
        assert_eq!(errors(&rows), ["The column 'x' does not exist."]);
    }
}
