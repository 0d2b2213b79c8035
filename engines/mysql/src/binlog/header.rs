//! What every event begins with: 19 bytes.

use std::fmt;

use super::bytes::{Bytes, Malformed};

/// The length of an event's header, in bytes.
pub const HEADER: usize = 19;

/// The header of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// When the statement began that logged it: seconds since 1970 by the clock of the server that executed it first.
    pub timestamp: u32,
    /// What it is.
    pub kind: EventType,
    /// The server that executed it first.
    pub server_id: u32,
    /// Its length with header and checksum, in bytes.
    pub size: u32,
    /// Where it ends in its file, modulo 2^32; 0 in events that are in no file.
    pub end: u32,
    /// Its flags.
    pub flags: EventFlags,
}

impl Header {
    /// Reads the header at the start of an event.
    ///
    /// # Errors
    /// There are fewer than 19 bytes, or it says that the event is shorter than that.
    pub fn parse(event: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("event header", event);
        let header = Self {
            timestamp: bytes.u32()?,
            kind: EventType(bytes.u8()?),
            server_id: bytes.u32()?,
            size: bytes.u32()?,
            end: bytes.u32()?,
            flags: EventFlags(bytes.u16()?),
        };
        if (header.size as usize) < HEADER {
            return Err(bytes.malformed(format!(
                "expected an event of at least {HEADER} bytes, found one of {}",
                header.size
            )));
        }
        Ok(header)
    }

    /// The bytes of it.
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[4] = self.kind.0;
        bytes[5..9].copy_from_slice(&self.server_id.to_le_bytes());
        bytes[9..13].copy_from_slice(&self.size.to_le_bytes());
        bytes[13..17].copy_from_slice(&self.end.to_le_bytes());
        bytes[17..].copy_from_slice(&self.flags.0.to_le_bytes());
        bytes
    }
}

/// The flags of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventFlags(pub u16);

impl EventFlags {
    /// In a format description: the file was not closed (yet).
    pub const IN_USE: u16 = 0x1;
    /// Made up for a replica; it is in no file.
    pub const ARTIFICIAL: u16 = 0x20;
    /// Who does not know it may pass it over.
    pub const IGNORABLE: u16 = 0x80;
    /// MariaDB: logged by a session that asked replicas not to apply it (`@@skip_replication`).
    pub const SKIP_REPLICATION: u16 = 0x8000;

    /// Whether it has a flag.
    pub fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }
}

macro_rules! event_types {
    ($($name:ident = $code:literal, $text:literal;)+) => {
        impl EventType {
            $(#[doc = concat!("`", $text, "`")] pub const $name: Self = Self($code);)+

            /// Its name in the servers' sources, in short; `None` for a type that is not known here.
            pub fn name(self) -> Option<&'static str> {
                Some(match self.0 {
                    $($code => $text,)+
                    _ => return None,
                })
            }
        }
    };
}

/// What an event is: a number of the servers'. Up to 159 they are MySQL's, from 160 on MariaDB's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType(pub u8);

event_types! {
    QUERY = 2, "Query";
    STOP = 3, "Stop";
    ROTATE = 4, "Rotate";
    INTVAR = 5, "Intvar";
    APPEND_BLOCK = 9, "Append_block";
    DELETE_FILE = 11, "Delete_file";
    RAND = 13, "RAND";
    USER_VAR = 14, "User_var";
    FORMAT_DESCRIPTION = 15, "Format_desc";
    XID = 16, "Xid";
    BEGIN_LOAD_QUERY = 17, "Begin_load_query";
    EXECUTE_LOAD_QUERY = 18, "Execute_load_query";
    TABLE_MAP = 19, "Table_map";
    WRITE_ROWS_V1 = 23, "Write_rows_v1";
    UPDATE_ROWS_V1 = 24, "Update_rows_v1";
    DELETE_ROWS_V1 = 25, "Delete_rows_v1";
    INCIDENT = 26, "Incident";
    HEARTBEAT = 27, "Heartbeat";
    IGNORABLE = 28, "Ignorable";
    ROWS_QUERY = 29, "Rows_query";
    WRITE_ROWS = 30, "Write_rows";
    UPDATE_ROWS = 31, "Update_rows";
    DELETE_ROWS = 32, "Delete_rows";
    GTID = 33, "Gtid";
    ANONYMOUS_GTID = 34, "Anonymous_Gtid";
    PREVIOUS_GTIDS = 35, "Previous_gtids";
    TRANSACTION_CONTEXT = 36, "Transaction_context";
    VIEW_CHANGE = 37, "View_change";
    XA_PREPARE = 38, "XA_prepare";
    PARTIAL_UPDATE_ROWS = 39, "Update_rows_partial";
    TRANSACTION_PAYLOAD = 40, "Transaction_payload";
    HEARTBEAT_V2 = 41, "Heartbeat_v2";
    GTID_TAGGED = 42, "Gtid_tagged";
    ANNOTATE_ROWS = 160, "Annotate_rows";
    BINLOG_CHECKPOINT = 161, "Binlog_checkpoint";
    MARIADB_GTID = 162, "Gtid (MariaDB)";
    GTID_LIST = 163, "Gtid_list";
    START_ENCRYPTION = 164, "Start_encryption";
    QUERY_COMPRESSED = 165, "Query_compressed";
    WRITE_ROWS_COMPRESSED_V1 = 166, "Write_rows_compressed_v1";
    UPDATE_ROWS_COMPRESSED_V1 = 167, "Update_rows_compressed_v1";
    DELETE_ROWS_COMPRESSED_V1 = 168, "Delete_rows_compressed_v1";
    WRITE_ROWS_COMPRESSED = 169, "Write_rows_compressed";
    UPDATE_ROWS_COMPRESSED = 170, "Update_rows_compressed";
    DELETE_ROWS_COMPRESSED = 171, "Delete_rows_compressed";
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}
