//! What is not dumped as it is, by table.

use backstay_engine_api::Notice;
use backstay_mysql::Flavour;

use super::{Catalogue, Table};

/// Columns that a notice names; a table can have thousands.
const NAMED_COLUMNS: usize = 20;

/// Engines whose tables show what other tables have.
const WITHOUT_ROWS: [&str; 5] = ["MRG_MyISAM", "FEDERATED", "SPIDER", "BLACKHOLE", "SEQUENCE"];

impl Table {
    /// Whether rows of it are dumped. Those that it shows of other tables would come twice, and those that have generated
    /// columns only can not be written.
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
