//! [`Catalogue`]: what there is to dump, as the server's own catalogue says it while nothing can be created or dropped.

mod columns;
mod files;
mod filter;
mod key;
mod losses;
mod read;
mod rows;

use backstay_engine_api::Notice;

use crate::format::table::Histogram;
pub(crate) use columns::is_exact;
pub(crate) use filter::Filter;
pub(crate) use losses::named_columns;

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Numbers and times: nothing in them needs an escape.
    Plain,
    /// FLOAT, read as a value, or as `column - 0e0`, so that each bit comes back.
    Float,
    /// Text with escapes.
    Text,
    /// Text of `ascii`, with escapes. Such a column can have bytes that are none, which a server would turn into `?`: it is read as bytes.
    Ascii,
    /// Bytes in base64.
    Base64,
    /// Text that has no exact form in Unicode: its bytes, in its own character set, in base64.
    TextBase64,
}

impl Encoding {
    /// Whether it is written in base64.
    pub(crate) fn is_base64(self) -> bool {
        matches!(self, Self::Base64 | Self::TextBase64)
    }
}

/// A column that is dumped: not a generated one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `DATA_TYPE`, in lower case.
    pub(crate) data_type: String,
    pub(crate) encoding: Encoding,
    /// Its character set, if it is text in one of which a server may have no exact form in Unicode.
    pub(crate) inexact: Option<String>,
    /// Of an ENUM or SET that has `''` as a member, which is also the text of its value 0 (an ENUM's error, a SET without members): how many
    /// members are before it.
    pub(crate) empty_member: Option<usize>,
}

/// A column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    pub(crate) name: String,
    /// `DATA_TYPE`, in lower case.
    pub(crate) data_type: String,
    /// `COLUMN_TYPE`, in lower case: `int unsigned`, `decimal(10,2)`, `varchar(20)`.
    pub(crate) column_type: String,
    /// Its collation, if it is text.
    pub(crate) collation: Option<String>,
    /// Whether the key has it in descending order.
    pub(crate) descending: bool,
}

/// A partition, or a subpartition where there are such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) name: String,
    /// `schema@table@partition`, encoded.
    pub(crate) base: String,
    /// Estimated rows, and bytes of them.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// A table with rows; MariaDB's sequences are among the schema's other objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `schema@table`, encoded.
    pub(crate) base: String,
    /// `InnoDB`, `MyISAM`, ….
    pub(crate) engine: String,
    /// In the table's order.
    pub(crate) columns: Vec<Column>,
    /// The primary key, or the best unique key without NULL; empty if there is none. Rows are dumped in its order, but for
    /// those of a table that is read by one query and not `clustered`.
    pub(crate) key_name: Option<String>,
    pub(crate) key: Vec<KeyColumn>,
    /// Whether the rows lie in the key's order: InnoDB's primary key, or the unique key that it takes in place of one.
    pub(crate) clustered: bool,
    pub(crate) partitions: Vec<Partition>,
    /// Estimated rows, and bytes of them.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// In the order in which they are to be made, which keeps the order in which they run.
    pub(crate) triggers: Vec<String>,
    /// By column.
    pub(crate) histograms: Vec<Histogram>,
    /// Whether the history of its rows is dumped (MariaDB): it is read `FOR SYSTEM_TIME ALL`, its period columns (often
    /// `row_start` and `row_end`) are the last of `columns`, and it has no `partitions`. Several rows then have the same key.
    /// A load needs `SET SESSION system_versioning_insert_history = ON`.
    pub(crate) system_versioned: bool,
    /// The workflow's condition for its rows.
    pub(crate) condition: Option<String>,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `schema@view`, encoded.
    pub(crate) base: String,
    pub(crate) columns: Vec<String>,
}

/// A schema, and what is in it besides tables and views. All names are sorted by their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) name: String,
    /// Its name, encoded.
    pub(crate) base: String,
    pub(crate) events: Vec<String>,
    pub(crate) functions: Vec<String>,
    pub(crate) procedures: Vec<String>,
    /// MySQL's libraries (9.2 and later).
    pub(crate) libraries: Vec<String>,
    /// MariaDB's sequences.
    pub(crate) sequences: Vec<String>,
    /// MariaDB's packages, and those of them that have a body.
    pub(crate) packages: Vec<String>,
    pub(crate) package_bodies: Vec<String>,
}

/// What there is to dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Catalogue {
    /// By name.
    pub(crate) schemas: Vec<Schema>,
    /// By schema and name.
    pub(crate) tables: Vec<Table>,
    /// By schema and name.
    pub(crate) views: Vec<View>,
    /// What is not dumped as it is.
    pub(crate) notices: Vec<Notice>,
}
