//! The statements that count.

use backstay_engine_api::{TablePair, TableRef};

use super::definition::Column;
use crate::session::quote_identifier;

/// A column that both tables have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) left: &'a Column,
    pub(super) right: &'a Column,
}

/// Which of the two tables, in a statement.
const LEFT: &str = "l";
const RIGHT: &str = "r";

fn quoted(table: &TableRef) -> String {
    format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&table.table))
}

/// How many rows a table has.
pub(super) fn count(table: &TableRef) -> String {
    format!("SELECT COUNT(*) FROM {}", quoted(table))
}

/// How many rows the left table has, how many of these the right one has by the key, and how many of these have other values.
pub(super) fn joined(pair: &TablePair, columns: &[Shared<'_>], key: &[String]) -> String {
    let on: Vec<String> = key
        .iter()
        .map(|name| quote_identifier(name))
        .map(|name| format!("{LEFT}.{name} = {RIGHT}.{name}"))
        .collect();
    let same: Vec<String> = columns.iter().map(Shared::same).collect();
    let found = format!("{RIGHT}.{}", quote_identifier(&key[0]));
    format!(
        "SELECT COUNT(*), COUNT({found}), COUNT(CASE WHEN {found} IS NOT NULL AND NOT ({}) THEN 1 END) FROM {} {LEFT} LEFT JOIN {} \
         {RIGHT} ON {}",
        same.join(" AND "),
        quoted(&pair.left),
        quoted(&pair.right),
        on.join(" AND ")
    )
}

/// How many rows both have, only the left one, only the right one; a row that is there twice counts twice.
pub(super) fn grouped(pair: &TablePair, columns: &[Shared<'_>]) -> String {
    let digest = |side: &str| {
        let parts: Vec<String> = columns
            .iter()
            .map(|column| format!("COALESCE(SHA2({}, 256), '-')", column.text(side)))
            .collect();
        format!("UNHEX(SHA2(CONCAT({}), 256))", parts.join(", "))
    };
    let number = |sum: &str| format!("CAST(COALESCE(SUM({sum}), 0) AS UNSIGNED)");
    format!(
        "SELECT {}, {}, {} FROM (SELECT digest, COUNT(CASE WHEN side = 1 THEN 1 END) AS a, COUNT(CASE WHEN side = 2 THEN 1 END) AS b \
         FROM (SELECT 1 AS side, {} AS digest FROM {} {LEFT} UNION ALL SELECT 2, {} FROM {} {RIGHT}) AS rows_of_both GROUP BY digest) \
         AS counted",
        number("LEAST(a, b)"),
        number("GREATEST(a - b, 0)"),
        number("GREATEST(b - a, 0)"),
        digest(LEFT),
        quoted(&pair.left),
        digest(RIGHT),
        quoted(&pair.right),
    )
}

impl Shared<'_> {
    /// Whether the values are the same, bit for bit where they are text.
    fn same(&self) -> String {
        let name = quote_identifier(&self.left.name);
        if self.is_plain() {
            return format!("{LEFT}.{name} <=> {RIGHT}.{name}");
        }
        let (left, right) = (self.text(LEFT), self.text(RIGHT));
        // A cast of a value that is larger than a packet is NULL; a digest is not.
        match self.may_be_large() {
            true => format!("SHA2({left}, 256) <=> SHA2({right}, 256)"),
            false => format!("CAST({left} AS BINARY) <=> CAST({right} AS BINARY)"),
        }
    }

    /// What SHA2 and CAST take of a value.
    fn text(&self, side: &str) -> String {
        let column = format!("{side}.{}", quote_identifier(&self.left.name));
        if self.left.data_type != self.right.data_type {
            return format!("CAST({column} AS CHAR)");
        }
        match self.left.data_type.as_str() {
            // As text, a FLOAT has six digits.
            "float" => format!("({column} - 0e0)"),
            kind if is_geometry(kind) => format!("ST_AsWKB({column})"),
            _ if self.left.charset != self.right.charset => format!("CONVERT({column} USING utf8mb4)"),
            _ => column,
        }
    }

    /// Whether the server's own comparison tells all values apart.
    fn is_plain(&self) -> bool {
        let kind = self.left.data_type.as_str();
        kind == self.right.data_type
            && self.left.charset.is_none()
            && self.right.charset.is_none()
            && !is_geometry(kind)
            && !matches!(kind, "json" | "vector")
    }

    fn may_be_large(&self) -> bool {
        let large = |column: &Column| {
            let kind = column.data_type.as_str();
            kind.contains("text") || kind.contains("blob") || is_geometry(kind) || matches!(kind, "json" | "vector")
        };
        large(self.left) || large(self.right)
    }
}

/// `DATA_TYPE` of spatial columns, as both servers name them.
fn is_geometry(kind: &str) -> bool {
    matches!(
        kind,
        "geometry"
            | "point"
            | "linestring"
            | "polygon"
            | "multipoint"
            | "multilinestring"
            | "multipolygon"
            | "geometrycollection"
            | "geomcollection"
    )
}
