//! Rows that were inserted, updated or deleted, and counting them.

use std::borrow::Cow;

use super::bytes::{Bytes, Malformed};
use super::format::Format;
use super::header::EventType;
use super::query::inflate;
use super::table_map::{Column, TableMap, kinds, table_id};

const WHAT: &str = "rows event";

/// What was done to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowChange {
    /// They were inserted.
    Insert,
    /// They were updated.
    Update,
    /// They were deleted.
    Delete,
}

impl RowChange {
    /// Its name in an index of transactions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Changed rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<'a> {
    /// What was done.
    pub change: RowChange,
    /// The table, as the [`TableMap`] before it numbers it.
    pub table_id: u64,
    /// Whether the statement is over with these, and the tables' numbers with it.
    pub ends_statement: bool,
    partial: bool,
    columns: usize,
    /// Which columns are in the rows; of an update, in what they were before.
    present: &'a [u8],
    /// Of an update, which columns are in what the rows became.
    present_after: Option<&'a [u8]>,
    data: Cow<'a, [u8]>,
}

/// Which change, and how it is written.
fn layout(kind: EventType) -> Option<(RowChange, u8, bool, bool)> {
    use RowChange::{Delete, Insert, Update};
    // Version, compressed (MariaDB), partial JSON (MySQL).
    Some(match kind {
        EventType::WRITE_ROWS_V1 => (Insert, 1, false, false),
        EventType::UPDATE_ROWS_V1 => (Update, 1, false, false),
        EventType::DELETE_ROWS_V1 => (Delete, 1, false, false),
        EventType::WRITE_ROWS => (Insert, 2, false, false),
        EventType::UPDATE_ROWS => (Update, 2, false, false),
        EventType::DELETE_ROWS => (Delete, 2, false, false),
        EventType::PARTIAL_UPDATE_ROWS => (Update, 2, false, true),
        EventType::WRITE_ROWS_COMPRESSED_V1 => (Insert, 1, true, false),
        EventType::UPDATE_ROWS_COMPRESSED_V1 => (Update, 1, true, false),
        EventType::DELETE_ROWS_COMPRESSED_V1 => (Delete, 1, true, false),
        EventType::WRITE_ROWS_COMPRESSED => (Insert, 2, true, false),
        EventType::UPDATE_ROWS_COMPRESSED => (Update, 2, true, false),
        EventType::DELETE_ROWS_COMPRESSED => (Delete, 2, true, false),
        _ => return None,
    })
}

impl<'a> Rows<'a> {
    /// `None` if the type is none of rows.
    pub(super) fn parse(kind: EventType, body: &'a [u8], format: &Format) -> Result<Option<Self>, Malformed> {
        const ENDS_STATEMENT: u16 = 1;
        let Some((change, version, compressed, partial)) = layout(kind) else {
            return Ok(None);
        };
        let mut bytes = Bytes::new(WHAT, body);
        let table_id = table_id(&mut bytes, format.post_header(kind).unwrap_or(8))?;
        let flags = bytes.u16()?;
        if version == 2 {
            // Extra data; the length counts its own two bytes.
            let length = bytes.u16()?;
            bytes.take(usize::from(length).saturating_sub(2))?;
        }
        let columns = usize::try_from(bytes.packed()?).unwrap_or(usize::MAX);
        let bitmap = columns.div_ceil(8);
        let present = bytes.take(bitmap)?;
        let present_after = (change == RowChange::Update).then(|| bytes.take(bitmap)).transpose()?;
        let data = match compressed {
            true => Cow::Owned(inflate(WHAT, bytes.rest())?),
            false => Cow::Borrowed(bytes.rest()),
        };
        Ok(Some(Self {
            change,
            table_id,
            ends_statement: flags & ENDS_STATEMENT != 0,
            partial,
            columns,
            present,
            present_after,
            data,
        }))
    }

    /// How many rows they are, by walking over their values.
    ///
    /// # Errors
    /// The values are not those of the table, or of a type whose length is not known (MariaDB's temporal types of before 10.1 with
    /// fractions of seconds).
    pub fn count(&self, table: &TableMap) -> Result<u64, Malformed> {
        let mut bytes = Bytes::new(WHAT, &self.data);
        if table.table_id != self.table_id || table.columns.len() != self.columns {
            return Err(bytes.malformed(format!(
                "its {} columns of table {} are not the {} of table {}",
                self.columns,
                self.table_id,
                table.columns.len(),
                table.table_id
            )));
        }
        let before = Image::new(&table.columns, self.present);
        let after = self.present_after.map(|present| Image::new(&table.columns, present));
        let mut count = 0;
        while !bytes.is_empty() {
            let start = bytes.len();
            before.skip(&mut bytes)?;
            if let Some(after) = &after {
                if self.partial {
                    skip_partial(&mut bytes, &table.columns)?;
                }
                after.skip(&mut bytes)?;
            }
            if bytes.len() == start {
                return Err(bytes.malformed("a row has no bytes"));
            }
            count += 1;
        }
        Ok(count)
    }
}

/// What comes before the second image of a partial update: options, and which JSON columns are differences.
fn skip_partial(bytes: &mut Bytes<'_>, columns: &[Column]) -> Result<(), Malformed> {
    const PARTIAL_JSON: u64 = 1;
    if bytes.packed()? & PARTIAL_JSON != 0 {
        let json = columns.iter().filter(|column| column.kind == kinds::JSON).count();
        bytes.take(json.div_ceil(8))?;
    }
    Ok(())
}

/// The columns of one image of a row.
struct Image {
    columns: Vec<Width>,
    nulls: usize,
}

impl Image {
    fn new(all: &[Column], present: &[u8]) -> Self {
        let columns: Vec<Width> = all
            .iter()
            .enumerate()
            .filter(|(at, _)| bit(present, *at))
            .map(|(_, column)| Width::of(*column))
            .collect();
        let nulls = columns.len().div_ceil(8);
        Self { columns, nulls }
    }

    fn skip(&self, bytes: &mut Bytes<'_>) -> Result<(), Malformed> {
        let nulls = bytes.take(self.nulls)?;
        for (at, width) in self.columns.iter().enumerate() {
            if !bit(nulls, at) {
                width.skip(bytes)?;
            }
        }
        Ok(())
    }
}

fn bit(bitmap: &[u8], at: usize) -> bool {
    bitmap.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 != 0)
}

/// How long a column's values are, in bytes.
#[derive(Debug, Clone, Copy)]
enum Width {
    Fixed(usize),
    /// A length of so many bytes before each.
    Prefixed(usize),
    Unknown(u8),
}

impl Width {
    fn of(column: Column) -> Self {
        let metadata = usize::from(column.metadata);
        let fraction = metadata.div_ceil(2);
        let [low, high] = column.metadata.to_le_bytes();
        match column.kind {
            // TINYINT, YEAR
            1 | 13 => Self::Fixed(1),
            // SMALLINT
            2 => Self::Fixed(2),
            // MEDIUMINT, DATE and TIME
            9..=11 | 14 => Self::Fixed(3),
            // INT, TIMESTAMP without fractions as before MySQL 5.6
            3 | 7 => Self::Fixed(4),
            // BIGINT, DATETIME as before MySQL 5.6
            8 | 12 => Self::Fixed(8),
            6 => Self::Fixed(0),
            kinds::FLOAT => Self::Fixed(4),
            kinds::DOUBLE => Self::Fixed(8),
            kinds::TIMESTAMP2 => Self::Fixed(4 + fraction),
            kinds::DATETIME2 => Self::Fixed(5 + fraction),
            kinds::TIME2 => Self::Fixed(3 + fraction),
            kinds::NEWDECIMAL => Self::Fixed(decimal(usize::from(low), usize::from(high))),
            kinds::BIT => Self::Fixed(usize::from(high) + usize::from(low > 0)),
            kinds::VARCHAR | kinds::VAR_STRING | kinds::VARCHAR_COMPRESSED => Self::text(metadata),
            kinds::STRING => Self::string(low, high),
            kinds::ENUM | kinds::SET => Self::Fixed(usize::from(high)),
            kinds::TINY_BLOB
            | kinds::MEDIUM_BLOB
            | kinds::LONG_BLOB
            | kinds::BLOB
            | kinds::BLOB_COMPRESSED
            | kinds::GEOMETRY
            | kinds::JSON
            | kinds::VECTOR
                if (1..=4).contains(&metadata) =>
            {
                Self::Prefixed(metadata)
            }
            other => Self::Unknown(other),
        }
    }

    fn text(longest: usize) -> Self {
        Self::Prefixed(if longest > 255 { 2 } else { 1 })
    }

    /// CHAR, and ENUM and SET that go by its number: the first byte of the metadata is the type, with two bits of the length turned
    /// over where the length needs ten.
    fn string(kind: u8, length: u8) -> Self {
        const MASK: u8 = 0x30;
        if kind & MASK != MASK {
            return Self::text(usize::from(length) | usize::from((kind & MASK) ^ MASK) << 4);
        }
        match kind {
            kinds::ENUM | kinds::SET => Self::Fixed(usize::from(length)),
            _ => Self::text(usize::from(length)),
        }
    }

    #[inline]
    fn skip(self, bytes: &mut Bytes<'_>) -> Result<(), Malformed> {
        match self {
            Self::Fixed(width) => bytes.take(width)?,
            Self::Prefixed(width) => {
                let length = bytes.number(width)?;
                bytes.take_counted(length)?
            }
            Self::Unknown(kind) => {
                return Err(bytes.malformed(format!("the length of a value of type {kind} is not known")));
            }
        };
        Ok(())
    }
}

/// DECIMAL: nine digits in four bytes, and for fewer digits as many bytes as they need.
fn decimal(precision: usize, scale: usize) -> usize {
    const BYTES: [usize; 9] = [0, 1, 1, 2, 2, 3, 3, 4, 4];
    let part = |digits: usize| digits / 9 * 4 + BYTES[digits % 9];
    part(precision.saturating_sub(scale)) + part(scale)
}
