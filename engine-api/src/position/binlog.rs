//! Positions in binary log files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::scan::Scanner;
use super::{Order, PositionError};

const WHAT: &str = "binary log position";
const ADVICE: &str = "write file:offset as the server lists its binary logs, such as binlog.000042:157";

/// A place in a server's binary log: a file by its name without a directory, and a byte offset into it, the end of an event.
///
/// The name is what `log_bin` says, a dot and a number that counts up; that number orders the files (MySQL 8.4 and
/// 9.7 Reference Manuals, "The Binary Log"). As text `file:offset`, in JSON `{"file": …, "offset": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct BinlogFile {
    file: String,
    offset: u64,
    #[serde(skip)]
    number: u64,
}

/// What is checked before it is a [`BinlogFile`].
#[derive(Deserialize)]
struct Fields {
    file: String,
    offset: u64,
}

impl BinlogFile {
    /// The place `offset` bytes into `file`.
    ///
    /// # Errors
    /// [`PositionError::Malformed`] or [`PositionError::OutOfRange`] where the name is not a name without a directory that
    /// ends in a dot and a number.
    pub fn new(file: impl Into<String>, offset: u64) -> Result<Self, PositionError> {
        let file = file.into();
        let number = number(&file)?;
        Ok(Self { file, offset, number })
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Bytes from the start of the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The name without its number: what all files of one log have in common.
    pub fn base(&self) -> &str {
        self.file.rsplit_once('.').map_or(&*self.file, |(base, _)| base)
    }

    /// The file's number in its log.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How this place stands to the other: by number, then by offset; diverged where the base names differ, since those
    /// are two logs.
    ///
    /// The same base name does not make it the same log: after RESET MASTER (RESET BINARY LOGS AND GTIDS) the numbers start
    /// again, and every server has its own.
    pub fn compare(&self, other: &Self) -> Order {
        if self.base() != other.base() || (self.number == other.number && self.file != other.file) {
            return Order::Diverged;
        }
        (self.number, self.offset).cmp(&(other.number, other.offset)).into()
    }
}

impl TryFrom<Fields> for BinlogFile {
    type Error = PositionError;

    fn try_from(fields: Fields) -> Result<Self, PositionError> {
        Self::new(fields.file, fields.offset)
    }
}

impl fmt::Display for BinlogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

impl FromStr for BinlogFile {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        // A name may have a colon in it, an offset has none.
        let mut scan = Scanner::new(text, WHAT, ADVICE);
        let Some((file, _)) = text.rsplit_once(':') else {
            return Err(scan.malformed_at(text.len(), "':' and an offset"));
        };
        let number = number(file)?;
        scan.skip(file.len() + 1);
        let offset = scan.number("an offset", 0, u64::MAX)?;
        if !scan.at_end() {
            return Err(scan.malformed("nothing more"));
        }
        Ok(Self {
            file: file.to_owned(),
            offset,
            number,
        })
    }
}

/// The number at the end of a binary log's name. Names reach file systems and command lines, so they are checked whole.
fn number(file: &str) -> Result<u64, PositionError> {
    let mut scan = Scanner::new(file, WHAT, ADVICE);
    if let Some(at) = file.find(|c: char| c == '/' || c == '\\' || c.is_control()) {
        return Err(scan.malformed_at(at, "a file name without a directory or a control character"));
    }
    let dot = match file.rfind('.') {
        Some(dot) if dot > 0 => dot,
        _ => return Err(scan.malformed_at(file.len(), "a name that ends in a dot and a number")),
    };
    scan.skip(dot + 1);
    let number = scan.number("a file number", 0, u64::MAX)?;
    if scan.at_end() {
        Ok(number)
    } else {
        Err(scan.malformed("nothing after the file number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> BinlogFile {
        text.parse().unwrap()
    }

    #[test]
    fn order_is_by_number_then_offset() {
        assert_eq!(at("binlog.000009:900").compare(&at("binlog.000010:4")), Order::Before);
        // Past 999999 the name grows a digit, and text order would be wrong.
        assert_eq!(at("binlog.1000000:4").compare(&at("binlog.999999:900")), Order::After);
        assert_eq!(at("binlog.000009:4").compare(&at("binlog.000009:157")), Order::Before);
        assert_eq!(at("binlog.000009:4").compare(&at("binlog.000009:4")), Order::Equal);
    }

    #[test]
    fn different_names_are_different_logs() {
        assert_eq!(at("binlog.000001:4").compare(&at("db1-bin.000001:4")), Order::Diverged);
        assert_eq!(at("binlog.000001:4").compare(&at("binlog.0000001:4")), Order::Diverged);
    }

    #[test]
    fn parts_and_text() {
        let place = at("db.eu:1-bin.000042:157");
        assert_eq!((place.base(), place.number(), place.offset()), ("db.eu:1-bin", 42, 157));
        assert_eq!(place.to_string(), "db.eu:1-bin.000042:157");
        let json = serde_json::to_string(&at("binlog.000042:157")).unwrap();
        assert_eq!(json, r#"{"file":"binlog.000042","offset":157}"#);
        assert_eq!(
            serde_json::from_str::<BinlogFile>(&json).unwrap(),
            at("binlog.000042:157")
        );
        assert!(serde_json::from_str::<BinlogFile>(r#"{"file":"../binlog.000042","offset":157}"#).is_err());
    }

    #[test]
    fn what_is_refused_is_named() {
        let refused = |text: &str| text.parse::<BinlogFile>().unwrap_err().to_string();
        let advice = "write file:offset as the server lists its binary logs, such as binlog.000042:157";
        assert_eq!(
            refused("binlog.000042"),
            format!("binary log position: expected ':' and an offset at byte 13, found the end of the text; {advice}")
        );
        assert_eq!(
            refused("/var/binlog.000042:4"),
            format!(
                "binary log position: expected a file name without a directory or a control character at byte 0, found \
                 \"/var/binlog.000042\"; {advice}"
            )
        );
        for text in [
            "",
            ":",
            ":4",
            "binlog:4",
            ".000001:4",
            "binlog.:4",
            "binlog.00x:4",
            "binlog.000001:",
            "binlog.1:4 ",
        ] {
            assert!(text.parse::<BinlogFile>().is_err(), "{text:?}");
        }
    }
}
