//! What is not dumped as it is, by table.

use backstay_engine_api::Notice;
use backstay_mysql::Flavour;

use super::{Catalogue, Table};

/// Columns that a notice names; a table can have thousands.
const NAMED_COLUMNS: usize = 20;

/// Engines whose tables show what is elsewhere: in other tables, on other servers. `mariadb-dump` leaves out those of CONNECT too, of which some
/// have a file that is the server's own.
const WITHOUT_ROWS: [&str; 7] = [
    "MRG_MyISAM",
    "FEDERATED",
    "SPIDER",
    "OQGRAPH",
    "VP",
    "BLACKHOLE",
    "SEQUENCE",
];

impl Table {
    /// Whether rows of it are dumped. Those that it shows of elsewhere would come twice, or be written to where they are, and those that
    /// have generated columns only can not be written.
    pub(crate) fn has_rows(&self) -> bool {
        !self.shows_others() && !self.columns.is_empty()
    }

    fn shows_others(&self) -> bool {
        WITHOUT_ROWS
            .iter()
            .any(|engine| engine.eq_ignore_ascii_case(&self.engine))
    }

    fn notice(&self, code: &str, text: impl Into<String>) -> Notice {
        Notice::new(code, text).about(format!("{}.{}", self.schema, self.name))
    }
}

/// Columns for a notice.
pub(crate) fn named_columns(names: &[&str]) -> String {
    let more = if names.len() > NAMED_COLUMNS { " and more" } else { "" };
    format!("{}{more}", names[..names.len().min(NAMED_COLUMNS)].join(", "))
}

/// Of a table that keeps a history which is not dumped.
pub(super) fn without_history(table: &Table) -> Notice {
    table.notice(
        "history-left-out",
        "only the rows of now are dumped: a history by transaction, or of a server before MariaDB 10.11, can not be put back",
    )
}

/// Of a table with generated columns that depend on the time zone of whoever wrote the row.
pub(super) fn computed_in_utc(table: &Table, columns: &[&str]) -> Notice {
    let text = format!(
        "a restore computes generated columns in UTC, and these depend on the session's time zone, so that they may get other values: {}",
        named_columns(columns)
    );
    table.notice("generated-by-time-zone", text)
}

/// Adds what the tables say.
pub(super) fn add(catalogue: &mut Catalogue, flavour: Flavour) {
    let mut notices = Vec::new();
    for table in &catalogue.tables {
        if table.columns.is_empty() {
            notices.push(table.notice(
                "rows-left-out",
                "all its columns are generated: how many rows it has is not dumped",
            ));
        }
        if table.shows_others() {
            let text = format!("its rows are elsewhere (engine {}), and are not dumped", table.engine);
            notices.push(table.notice("rows-elsewhere", text));
        }
        if table.engine.eq_ignore_ascii_case("CONNECT") {
            let text = "a restore writes its rows to where the table has them (engine CONNECT): leave it out (exclude_tables) if that is \
                        elsewhere, and not a file that the server has made for it";
            notices.push(table.notice("rows-elsewhere", text));
        }
        if let Some(condition) = &table.condition {
            notices.push(table.notice("rows-selected", format!("only the rows with {condition} are dumped")));
        }
        // MariaDB's JSON is text, and kept as it is.
        let json: Vec<&str> = table
            .columns
            .iter()
            .filter(|column| !flavour.is_mariadb() && column.data_type == "json")
            .map(|column| column.name.as_str())
            .collect();
        if !json.is_empty() {
            let text = format!(
                "dates, times, decimals and binary strings inside JSON documents come back as strings or numbers: {}",
                named_columns(&json)
            );
            notices.push(table.notice("json-scalars", text));
        }
    }
    catalogue.notices.extend(notices);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Column, Encoding};

    #[test]
    fn rows_that_are_elsewhere() {
        let column = Column {
            name: "a".to_owned(),
            data_type: "int".to_owned(),
            encoding: Encoding::Plain,
            inexact: None,
            empty_member: None,
        };
        for (engine, has_rows) in [
            ("InnoDB", true),
            ("Aria", true),
            ("CONNECT", true),
            ("OQGRAPH", false),
            ("VP", false),
            ("Spider", false),
            ("MRG_MYISAM", false),
        ] {
            let table = Table {
                schema: "s".to_owned(),
                name: "t".to_owned(),
                engine: engine.to_owned(),
                columns: vec![column.clone()],
                ..Table::default()
            };
            assert_eq!(table.has_rows(), has_rows, "{engine}");
            let mut catalogue = Catalogue {
                tables: vec![table],
                ..Catalogue::default()
            };
            add(&mut catalogue, Flavour::MariaDb);
            let codes: Vec<&str> = catalogue.notices.iter().map(|notice| notice.code.as_str()).collect();
            let elsewhere = !has_rows || engine == "CONNECT";
            let want: &[&str] = if elsewhere { &["rows-elsewhere"] } else { &[] };
            assert_eq!(codes, want, "{engine}");
        }
    }
}
