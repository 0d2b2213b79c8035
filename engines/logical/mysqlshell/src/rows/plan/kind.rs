//! [`Kind`]: the types of key columns by whose values a table can be cut, and their literals.

use backstay_mysql::quote_identifier;

use crate::catalogue::{KeyColumn, is_exact};

/// What a key column's values are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole numbers and decimals: literals are the numbers themselves, which are exact.
    Number,
    /// YEAR.
    Year,
    /// DATE, DATETIME, TIMESTAMP.
    Date,
    /// TIME: a duration with a sign.
    Time,
    /// BINARY, VARBINARY.
    Bytes,
    /// CHAR, VARCHAR.
    Text { character_set: String, collation: String },
}

impl Kind {
    /// Of a column; `None` for types whose order is not that of their values' texts (ENUM, SET), that are not exact as text
    /// (FLOAT), or that are keys by a prefix only (TEXT, BLOB).
    pub(crate) fn of(column: &KeyColumn) -> Option<Self> {
        Some(match column.data_type.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" => Self::Number,
            "year" => Self::Year,
            "date" | "datetime" | "timestamp" => Self::Date,
            "time" => Self::Time,
            "binary" | "varbinary" => Self::Bytes,
            "char" | "varchar" => {
                let collation = column.collation.clone()?;
                let (character_set, _) = collation.split_once('_').unwrap_or((&collation, ""));
                Self::Text {
                    character_set: character_set.to_owned(),
                    collation,
                }
            }
            _ => return None,
        })
    }

    /// Whether its order is a collation's.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }

    /// Whether each value has a literal of its own. Else two may have the same one, which lies elsewhere in the key's order.
    pub(crate) fn is_exact(&self) -> bool {
        match self {
            Self::Text { character_set, .. } => is_exact(character_set),
            _ => true,
        }
    }

    /// How a value is asked for, as text.
    pub(crate) fn select(&self, name: &str) -> String {
        match self {
            Self::Bytes => format!("HEX({})", quote_identifier(name)),
            _ => quote_identifier(name),
        }
    }

    /// A value's text, as the server gave it, as an SQL literal of just this value.
    ///
    /// Text has the column's own collation said with it: by it alone is compared, and by it alone the index can be used.
    pub(crate) fn literal(&self, text: &str) -> String {
        match self {
            Self::Number => text.to_owned(),
            Self::Year | Self::Date | Self::Time => format!("'{text}'"),
            Self::Bytes => format!("X'{text}'"),
            Self::Text {
                character_set,
                collation,
            } => {
                let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
                format!("CONVERT(_utf8mb4 X'{hex}' USING {character_set}) COLLATE {collation}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        let text = Kind::Text {
            character_set: "latin1".into(),
            collation: "latin1_swedish_ci".into(),
        };
        for (kind, value, literal) in [
            (Kind::Number, "-12.50", "-12.50"),
            (Kind::Date, "0000-00-00", "'0000-00-00'"),
            (Kind::Bytes, "00FF", "X'00FF'"),
            (
                text,
                "a'é",
                "CONVERT(_utf8mb4 X'6127C3A9' USING latin1) COLLATE latin1_swedish_ci",
            ),
        ] {
            assert_eq!(kind.literal(value), literal);
        }
    }
}
