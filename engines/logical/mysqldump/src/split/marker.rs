//! The comments that begin sections, as mysqldump 8.0 to 9.7 and mariadb-dump 10.6 to 12 write them.

/// What a comment announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marker {
    /// A schema, or (the second time) its views.
    Database(String),
    /// A table's structure.
    Table(String),
    /// The same table's rows.
    Data(String),
    /// A sequence.
    Sequence(String),
    /// A view's stand-in.
    ViewStub(String),
    /// A view.
    View(String),
    /// The present schema's events.
    Events,
    /// The present schema's routines.
    Routines,
}

/// What a comment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A section's.
    Marker(Marker),
    /// The beginning of one: the name in it has a line break.
    Partial,
    /// Another.
    Other,
}

type Named = fn(String) -> Marker;

const NAMED: [(&str, Named); 7] = [
    ("-- Current Database: ", Marker::Database),
    ("-- Table structure for table ", Marker::Table),
    ("-- Dumping data for table ", Marker::Data),
    ("-- Sequence structure for ", Marker::Sequence),
    // MySQL's word and MariaDB's.
    ("-- Temporary view structure for view ", Marker::ViewStub),
    ("-- Temporary table structure for view ", Marker::ViewStub),
    ("-- Final view structure for view ", Marker::View),
];

const OF_SCHEMA: [(&str, Marker); 2] = [
    ("-- Dumping events for database ", Marker::Events),
    ("-- Dumping routines for database ", Marker::Routines),
];

/// Parses whole lines of a comment, each with its line break. The tools write a line break in a name as a line break and
/// `-- `, lest the rest of the name be taken for a statement.
pub(super) fn parse(comment: &[u8], schema: &str) -> Parsed {
    let Ok(comment) = std::str::from_utf8(comment) else {
        return Parsed::Other;
    };
    for (prefix, marker) in NAMED {
        if let Some(rest) = comment.strip_prefix(prefix) {
            return quoted(rest).map_or(Parsed::Other, |name| {
                name.map_or(Parsed::Partial, |name| Parsed::Marker(marker(name)))
            });
        }
    }
    for (prefix, marker) in OF_SCHEMA {
        if let Some(rest) = comment.strip_prefix(prefix) {
            // The name is not escaped here, so that it is compared as a whole.
            let expected = format!("'{}'\n", schema.replace('\n', "\n-- "));
            return if rest == expected {
                Parsed::Marker(marker)
            } else if expected.starts_with(rest) {
                Parsed::Partial
            } else {
                Parsed::Other
            };
        }
    }
    Parsed::Other
}

/// A name in backticks that fills the text up to its last line break: `None` if it is none, `Some(None)` if it goes on.
fn quoted(text: &str) -> Option<Option<String>> {
    let inside = text.strip_prefix('`')?;
    let mut name = String::new();
    let mut rest = inside;
    loop {
        let Some((part, after)) = rest.split_once('`') else {
            return Some(None);
        };
        name.push_str(part);
        match after.strip_prefix('`') {
            Some(after) => {
                name.push('`');
                rest = after;
            }
            None if after == "\n" => return Some(Some(name.replace("\n-- ", "\n"))),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments() {
        let table = |name: &str| Parsed::Marker(Marker::Table(name.into()));
        for (comment, parsed) in [
            ("-- Table structure for table `a`\n", table("a")),
            ("-- Table structure for table `a``b c.ü'`\n", table("a`b c.ü'")),
            ("-- Table structure for table `a\n", Parsed::Partial),
            ("-- Table structure for table `a\n-- b`\n", table("a\nb")),
            ("-- Table structure for table `a\n-- -- b\n-- `\n", table("a\n-- b\n")),
            ("-- Table structure for table `a` b\n", Parsed::Other),
            ("-- Table structure for table a\n", Parsed::Other),
            (
                "-- Dumping events for database 'o'd`d'\n",
                Parsed::Marker(Marker::Events),
            ),
            ("-- Dumping events for database 'other'\n", Parsed::Other),
            (
                "-- Temporary table structure for view `v`\n",
                Parsed::Marker(Marker::ViewStub("v".into())),
            ),
            ("-- Host: localhost\n", Parsed::Other),
        ] {
            assert_eq!(parse(comment.as_bytes(), "o'd`d"), parsed, "{comment}");
        }
        assert_eq!(parse(b"-- Dumping routines for database 'a\n", "a\nb"), Parsed::Partial);
        assert_eq!(
            parse(b"-- Dumping routines for database 'a\n-- b'\n", "a\nb"),
            Parsed::Marker(Marker::Routines)
        );
    }
}
