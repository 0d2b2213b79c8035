//! `--tables` as a selection.

use backstay_engine_api::{Selection, TablePattern};
use clap::Args;

use crate::error::{Error, ErrorKind, Result};

/// Which tables.
#[derive(Debug, Args)]
pub(super) struct Tables {
    /// Only these: SCHEMA.TABLE,… where * and ? stand for characters, and `a.b` in backticks is a name as it is
    #[arg(long, value_name = "TABLES")]
    tables: Vec<String>,
    /// Not these
    #[arg(long, value_name = "TABLES")]
    exclude_tables: Vec<String>,
    /// Put the tables into this schema, and not into their own; it is made if it does not exist
    #[arg(long, value_name = "SCHEMA", requires = "tables")]
    as_schema: Option<String>,
}

impl Tables {
    pub(super) fn selection(&self) -> Result<Selection> {
        Ok(Selection {
            include: patterns(&self.tables)?,
            exclude: patterns(&self.exclude_tables)?,
            into_schema: self.as_schema.clone(),
        })
    }
}

/// Table patterns, from lists of them.
pub(super) fn patterns(lists: &[String]) -> Result<Vec<TablePattern>> {
    lists
        .iter()
        .flat_map(|list| split(list))
        .map(|text| {
            text.parse().map_err(|error: backstay_engine_api::BadPattern| {
                Error::new(ErrorKind::Usage, error.to_string()).advise("write `--tables SCHEMA.TABLE,SCHEMA.TABLE`")
            })
        })
        .collect()
}

/// Splits at the commas that are not in backticks.
fn split(list: &str) -> Vec<&str> {
    let mut quoted = false;
    list.split(move |c| {
        quoted ^= c == '`';
        c == ',' && !quoted
    })
    .map(str::trim)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_backticks_are_part_of_the_name() {
        assert_eq!(split("a.b, `c,d`.e,f.g"), ["a.b", "`c,d`.e", "f.g"]);
    }

    #[test]
    fn an_empty_name_is_an_error() {
        let error = patterns(&["a.b,".to_owned()]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert_eq!(error.message, "`` is no table: a name is empty");
    }
}
