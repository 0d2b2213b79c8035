//! Columns: which are dumped, and how their values are written.

use backstay_mysql::quote_identifier;

use super::{Column, Encoding};

/// A row of `information_schema.COLUMNS`.
#[derive(Debug, Clone)]
pub(super) struct ColumnRow {
    pub(super) position: u64,
    pub(super) name: String,
    /// In lower case.
    pub(super) data_type: String,
    pub(super) column_type: String,
    pub(super) collation: Option<String>,
    pub(super) nullable: bool,
    /// `ROW START` and `ROW END` are a period's (MariaDB).
    pub(super) generated: String,
    /// `PRI` if it is of the primary key, or of what stands in for it.
    pub(super) primary: bool,
    /// Whether its values are kept, in rows or in an index, should it be generated.
    pub(super) kept: bool,
}

/// Types that are numbers and times. What is not here, and not bytes, is text.
const PLAIN: [&str; 15] = [
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "bigint",
    "decimal",
    "double",
    "year",
    "date",
    "time",
    "datetime",
    "timestamp",
    "integer",
    "numeric",
    "real",
];

const GEOMETRIES: [&str; 9] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
    "geometrycollection",
];

impl ColumnRow {
    /// Whether its values are those of a period of system time.
    pub(super) fn is_period(&self) -> bool {
        ["ROW START", "ROW END"].contains(&self.generated.as_str())
    }

    /// Whether it is dumped.
    pub(super) fn is_stored(&self) -> bool {
        self.generated.is_empty()
    }

    pub(super) fn column(&self) -> Column {
        Column {
            name: self.name.clone(),
            data_type: self.data_type.clone(),
            encoding: encoding(&self.data_type, self.collation.as_deref()),
            inexact: self
                .collation
                .as_deref()
                .and_then(|collation| inexact(&self.data_type, collation)),
            empty_member: match self.data_type.as_str() {
                // Where `'0'` is one too, no text is left for the error value.
                "enum" => member(&self.column_type, "").filter(|_| member(&self.column_type, "0").is_none()),
                "set" => member(&self.column_type, ""),
                _ => None,
            },
        }
    }
}

/// Generated columns whose values are kept and depend on the time zone of the session that wrote the row (MySQL; MariaDB forbids them).
pub(super) fn zoned(columns: &[ColumnRow]) -> Vec<&str> {
    const FUNCTIONS: [&str; 2] = ["from_unixtime(", "unix_timestamp("];
    let timestamps: Vec<String> = columns
        .iter()
        .filter(|column| column.data_type == "timestamp")
        .map(|column| quote_identifier(&column.name).to_lowercase())
        .collect();
    let is_zoned = |column: &&ColumnRow| {
        let expression = column.generated.to_lowercase();
        let of_timestamp = timestamps.iter().any(|name| expression.contains(name));
        column.kept && !column.is_period() && (of_timestamp || FUNCTIONS.iter().any(|name| expression.contains(name)))
    };
    let zoned = columns.iter().filter(is_zoned);
    zoned.map(|column| column.name.as_str()).collect()
}

fn encoding(data_type: &str, collation: Option<&str>) -> Encoding {
    let bytes = data_type.ends_with("binary")
        || data_type.ends_with("blob")
        || ["bit", "vector"].contains(&data_type)
        || GEOMETRIES.contains(&data_type)
        // An ENUM or SET of bytes.
        || collation == Some("binary");
    if bytes {
        Encoding::Base64
    } else if data_type == "float" {
        Encoding::Float
    } else if collation.map(character_set) == Some("ascii") && !has_members(data_type) {
        Encoding::Ascii
    } else if PLAIN.contains(&data_type) {
        Encoding::Plain
    } else {
        Encoding::Text
    }
}

/// Character sets whose every text comes back from UTF-8 as it was: those of Unicode (but `ucs2`, in which MySQL takes half surrogates), and
/// `latin1`, of which each byte has a character of its own (cp1252, with the five codes that this leaves out).
const EXACT: [&str; 8] = [
    "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "latin1", "binary",
];

/// Whether all texts of a character set come back from UTF-8.
pub(crate) fn is_exact(character_set: &str) -> bool {
    EXACT.contains(&character_set)
}

/// The character set of a column, if not all of its texts come back. Those of `ascii` are read as they are.
fn inexact(data_type: &str, collation: &str) -> Option<String> {
    let character_set = character_set(collation);
    let comes_back = is_exact(character_set) || character_set == "ascii" || has_members(data_type);
    (!comes_back).then(|| character_set.to_owned())
}

/// ENUM and SET: their values are those of their definition, which is in Unicode.
fn has_members(data_type: &str) -> bool {
    ["enum", "set"].contains(&data_type)
}

fn character_set(collation: &str) -> &str {
    collation
        .split_once('_')
        .map_or(collation, |(character_set, _)| character_set)
}

/// Which of the members of an ENUM or SET (`enum('a','it''s')`) it is, from 0 on. `member` has no quotes.
fn member(column_type: &str, member: &str) -> Option<usize> {
    let mut rest = column_type;
    let mut before = 0;
    while let Some((_, quoted)) = rest.split_once('\'') {
        // A quote in a member is doubled.
        let mut end = 0;
        while let Some(at) = quoted[end..].find('\'') {
            end += at;
            if !quoted[end + 1..].starts_with('\'') {
                break;
            }
            end += 2;
        }
        if &quoted[..end] == member {
            return Some(before);
        }
        rest = quoted.get(end + 1..).unwrap_or_default();
        before += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_enum() {
        for (column_type, empty, zero) in [
            ("enum('')", Some(0), None),
            ("enum('a','')", Some(1), None),
            ("enum('','0')", Some(0), Some(1)),
            ("enum('a','b')", None, None),
            ("enum('it''s','''')", None, None),
            ("enum('''','')", Some(1), None),
            ("enum(',','0')", None, Some(1)),
            ("enum('','it''s,')", Some(0), None),
            ("set('a','b','')", Some(2), None),
            ("set('a','0')", None, Some(1)),
        ] {
            assert_eq!(member(column_type, ""), empty, "{column_type}");
            assert_eq!(member(column_type, "0"), zero, "{column_type}");
        }
    }

    #[test]
    fn what_depends_on_a_time_zone() {
        let column = |name: &str, data_type: &str, generated: &str, kept| ColumnRow {
            position: 0,
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            column_type: data_type.to_owned(),
            collation: None,
            nullable: false,
            generated: generated.to_owned(),
            primary: false,
            kept,
        };
        let columns = [
            column("At", "timestamp", "", false),
            column("on", "datetime", "", false),
            column("day", "date", "cast(`At` as date)", true),
            column("shown", "date", "cast(`At` as date)", false),
            column("other", "date", "cast(`on` as date)", true),
            column("text", "varchar", "date_format(FROM_UNIXTIME(`n`),_utf8mb4'%Y')", true),
            column("row_end", "timestamp", "ROW END", true),
        ];
        assert_eq!(zoned(&columns), ["day", "text"]);
    }

    #[test]
    fn encodings() {
        for (data_type, collation, want) in [
            ("int", None, Encoding::Plain),
            ("decimal", None, Encoding::Plain),
            ("double", None, Encoding::Plain),
            ("float", None, Encoding::Float),
            ("timestamp", None, Encoding::Plain),
            ("varchar", Some("utf8mb4_bin"), Encoding::Text),
            ("char", Some("ascii_general_ci"), Encoding::Ascii),
            ("enum", Some("ascii_bin"), Encoding::Text),
            ("json", None, Encoding::Text),
            ("enum", Some("latin1_swedish_ci"), Encoding::Text),
            ("set", Some("binary"), Encoding::Base64),
            ("inet6", None, Encoding::Text),
            ("uuid", None, Encoding::Text),
            ("varbinary", None, Encoding::Base64),
            ("mediumblob", None, Encoding::Base64),
            ("bit", None, Encoding::Base64),
            ("geomcollection", None, Encoding::Base64),
            ("vector", None, Encoding::Base64),
        ] {
            assert_eq!(encoding(data_type, collation), want, "{data_type}");
        }
    }
}
