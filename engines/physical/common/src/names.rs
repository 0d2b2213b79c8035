//! Which table a file belongs to, by its path.
//!
//! Servers write names of schemas and tables into file names in a character set of their own, `filename`: letters of ASCII, digits
//! and `_` as they are, all else as `@` and four hexadecimal digits, or as `@` and two characters for letters of many scripts.
//! Which letters these are only the server knows. MariaDB is asked; MySQL does not let SQL use that character set, so that such a name
//! stays there as it is in the file.

use backstay_engine_api::EngineError;
use backstay_mysql::{Session, quote_text};

/// Extensions of files that belong to the table of their name: InnoDB's, MyISAM's, Aria's, CSV's, ARCHIVE's, MERGE's, and those
/// of the definition. `new` is what `mariadb-backup` calls a table's file that was created during the backup.
const OF_TABLES: [&str; 17] = [
    "ibd", "new", "isl", "frm", "par", "TRG", "MYD", "MYI", "MAD", "MAI", "CSV", "CSM", "ARZ", "ARM", "MRG", "cfg",
    "cfp",
];

/// A table, or a partition of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The partition, as the server's file name has it: `p0`, `p0#SP#s1`.
    pub partition: Option<String>,
}

/// Finds tables.
#[derive(Debug)]
pub struct Names {
    session: Option<Session>,
    /// The last schema's directory, and its name: files of a schema come one after the other.
    last: Option<(String, String)>,
}

impl Names {
    /// A server of the family that made the files answers what is not plain.
    pub fn new(session: Session) -> Self {
        Self {
            session: Some(session),
            last: None,
        }
    }

    /// Without a server: names that are not plain stay as they are in the files.
    pub fn offline() -> Self {
        Self {
            session: None,
            last: None,
        }
    }

    /// The table that a file belongs to, if it is one's.
    ///
    /// # Errors
    /// The session was lost.
    pub fn table(&mut self, path: &str) -> Result<Option<Table>, EngineError> {
        let Some(parts) = split(path) else {
            return Ok(None);
        };
        let schema = match &self.last {
            Some((directory, name)) if directory == parts.schema => name.clone(),
            _ => self.decode(parts.schema)?,
        };
        self.last = Some((parts.schema.to_owned(), schema.clone()));
        Ok(Some(Table {
            schema,
            table: self.decode(parts.table)?,
            partition: parts.partition.map(|name| self.decode(name)).transpose()?,
        }))
    }

    fn decode(&mut self, name: &str) -> Result<String, EngineError> {
        if let Some(plain) = decode(name) {
            return Ok(plain);
        }
        let Some(session) = self.session.as_mut().filter(|session| session.flavour().is_mariadb()) else {
            return Ok(name.to_owned());
        };
        let sql = format!("SELECT CONVERT(_filename{} USING utf8mb4)", quote_text(name));
        Ok(session.query_first::<String>(sql)?.unwrap_or_else(|| name.to_owned()))
    }
}

/// A path's parts, as they are in it.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'a> {
    schema: &'a str,
    table: &'a str,
    partition: Option<&'a str>,
}

fn split(path: &str) -> Option<Parts<'_>> {
    let (schema, file) = path.split_once('/').filter(|(_, file)| !file.contains('/'))?;
    // What an incremental backup has of a file.
    let file = file
        .strip_suffix(".delta")
        .or_else(|| file.strip_suffix(".meta"))
        .unwrap_or(file);
    let (stem, extension) = file.rsplit_once('.')?;
    // `FTS_…` and `#sql…` are InnoDB's own, of a table or of none.
    if !OF_TABLES.contains(&extension) || stem.starts_with("FTS_") || stem.starts_with('#') || stem.contains('.') {
        return None;
    }
    // `t#P#p0`, `t#P#p0#SP#s0` (MySQL writes these in lower case).
    let at = stem.find("#P#").or_else(|| stem.find("#p#"));
    Some(match at {
        Some(at) => Parts {
            schema,
            table: &stem[..at],
            partition: Some(&stem[at + 3..]),
        },
        None => Parts {
            schema,
            table: stem,
            partition: None,
        },
    })
}

/// A name as the server writes it into file names, if it can be told without the server: of ASCII.
pub fn encode(name: &str) -> Option<String> {
    let mut encoded = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => encoded.push(c),
            c if c.is_ascii() => encoded.push_str(&format!("@{:04x}", u32::from(c))),
            _ => return None,
        }
    }
    Some(encoded)
}

/// A name, if it can be told without the server.
fn decode(name: &str) -> Option<String> {
    let mut decoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('@') {
        decoded.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 5)?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !code.bytes().all(hex) {
            return None;
        }
        decoded.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = &rest[at + 5..];
    }
    decoded.push_str(rest);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_tables() {
        for (path, expected) in [
            ("shop/orders.ibd", Some(("shop", "orders", None))),
            ("shop/orders.ibd.delta", Some(("shop", "orders", None))),
            ("shop/orders.new", Some(("shop", "orders", None))),
            ("shop/o#P#p0.ibd", Some(("shop", "o", Some("p0")))),
            ("shop/o#p#p0#sp#s1.ibd", Some(("shop", "o", Some("p0#sp#s1")))),
            ("shop/m.MYD", Some(("shop", "m", None))),
            ("shop/db.opt", None),
            ("shop/5.ren", None),
            ("shop/FTS_0000000000000012_CONFIG.ibd", None),
            ("shop/#sql-ib12.ibd", None),
            ("ibdata1", None),
            ("#innodb_redo/x/y.ibd", None),
        ] {
            let found = split(path).map(|parts| (parts.schema, parts.table, parts.partition));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn plain_names_need_no_server() {
        assert_eq!(decode("a_1"), Some("a_1".into()));
        assert_eq!(decode("a@002db@0020"), Some("a-b ".into()));
        assert_eq!(encode("a-b ").as_deref(), Some("a@002db@0020"));
        assert_eq!(encode("ö"), None);
        assert_eq!(decode("@1i"), None);
        assert_eq!(decode("a@00"), None);
    }
}
