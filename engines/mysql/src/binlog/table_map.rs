//! `Table_map`: which table rows are of, and of which types its columns are.

use super::bytes::{Bytes, Malformed, text};

const WHAT: &str = "Table_map event";

/// A table, under the number by which rows of the same statement name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap {
    /// The number.
    pub table_id: u64,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    pub(super) columns: Vec<Column>,
}

/// A column, as far as it tells how long its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) kind: u8,
    pub(super) metadata: u16,
}

/// The types whose values' length is not told by their type alone, and JSON.
pub(super) mod kinds {
    pub(in super::super) const FLOAT: u8 = 4;
    pub(in super::super) const DOUBLE: u8 = 5;
    pub(in super::super) const VARCHAR: u8 = 15;
    pub(in super::super) const BIT: u8 = 16;
    pub(in super::super) const TIMESTAMP2: u8 = 17;
    pub(in super::super) const DATETIME2: u8 = 18;
    pub(in super::super) const TIME2: u8 = 19;
    /// MariaDB.
    pub(in super::super) const BLOB_COMPRESSED: u8 = 140;
    /// MariaDB.
    pub(in super::super) const VARCHAR_COMPRESSED: u8 = 141;
    /// MySQL 9.0 and later.
    pub(in super::super) const VECTOR: u8 = 242;
    pub(in super::super) const JSON: u8 = 245;
    pub(in super::super) const NEWDECIMAL: u8 = 246;
    pub(in super::super) const ENUM: u8 = 247;
    pub(in super::super) const SET: u8 = 248;
    pub(in super::super) const TINY_BLOB: u8 = 249;
    pub(in super::super) const MEDIUM_BLOB: u8 = 250;
    pub(in super::super) const LONG_BLOB: u8 = 251;
    pub(in super::super) const BLOB: u8 = 252;
    pub(in super::super) const VAR_STRING: u8 = 253;
    pub(in super::super) const STRING: u8 = 254;
    pub(in super::super) const GEOMETRY: u8 = 255;
}

impl TableMap {
    pub(super) fn parse(body: &[u8], post_header: u8) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(WHAT, body);
        let table_id = table_id(&mut bytes, post_header)?;
        bytes.u16()?;
        let schema = name(&mut bytes)?;
        let table = name(&mut bytes)?;
        let count = bytes.packed()?;
        let kinds = bytes.take_counted(count)?;
        let mut metadata = Bytes::new(WHAT, bytes.packed_bytes()?);
        // Collecting results would grow it step by step, and there is a map before every change of a row.
        let mut columns = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let metadata = match metadata_width(*kind) {
                0 => 0,
                1 => u16::from(metadata.u8()?),
                _ => metadata.u16()?,
            };
            columns.push(Column { kind: *kind, metadata });
        }
        Ok(Self {
            table_id,
            schema,
            table,
            columns,
        })
    }
}

/// The number of a table: six bytes, or four where the post-header is that of MySQL 5.0.
pub(super) fn table_id(bytes: &mut Bytes<'_>, post_header: u8) -> Result<u64, Malformed> {
    bytes.number(if post_header == 6 { 4 } else { 6 })
}

/// A name with its length before it and a zero behind it; the servers keep names in UTF-8.
fn name(bytes: &mut Bytes<'_>) -> Result<String, Malformed> {
    let name = bytes.packed_bytes()?;
    match bytes.u8()? {
        0 => Ok(text(name)),
        odd => Err(bytes.malformed(format!("expected a zero after a name, found {odd:#04x}"))),
    }
}

/// How many bytes of metadata a type has.
fn metadata_width(kind: u8) -> usize {
    match kind {
        kinds::FLOAT
        | kinds::DOUBLE
        | kinds::TIMESTAMP2
        | kinds::DATETIME2
        | kinds::TIME2
        | kinds::BLOB_COMPRESSED
        | kinds::VECTOR
        | kinds::JSON
        | kinds::TINY_BLOB
        | kinds::MEDIUM_BLOB
        | kinds::LONG_BLOB
        | kinds::BLOB
        | kinds::GEOMETRY => 1,
        kinds::VARCHAR
        | kinds::VARCHAR_COMPRESSED
        | kinds::BIT
        | kinds::NEWDECIMAL
        | kinds::ENUM
        | kinds::SET
        | kinds::VAR_STRING
        | kinds::STRING => 2,
        _ => 0,
    }
}
