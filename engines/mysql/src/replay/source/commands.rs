//! The commands of a replica, and the set of GTIDs in one of them.

use backstay_engine_api::position::mysql::GtidSet;

use crate::binlog::decode_gtid_set;

/// What a replica commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Ping,
    Query(String),
    Register,
    /// COM_BINLOG_DUMP: from a place in a log, or for MariaDB from where it has said that it stands.
    Dump {
        place: u64,
        file: String,
        flags: u16,
    },
    /// COM_BINLOG_DUMP_GTID: all but these.
    DumpGtid {
        has: GtidSet,
    },
    Unknown(u8),
    /// One that can not be understood.
    Bad(&'static str),
}

impl Command {
    pub(super) fn parse(packet: &[u8]) -> Self {
        let Some((code, body)) = packet.split_first() else {
            return Self::Bad("an empty command");
        };
        match code {
            1 => Self::Quit,
            3 => match std::str::from_utf8(body) {
                Ok(text) => Self::Query(text.to_owned()),
                Err(_) => Self::Bad("a statement that is not UTF-8"),
            },
            14 => Self::Ping,
            0x12 => dump(body).unwrap_or(Self::Bad("a COM_BINLOG_DUMP that is cut short")),
            0x15 => Self::Register,
            0x1e => dump_gtid(body).unwrap_or(Self::Bad("a COM_BINLOG_DUMP_GTID that can not be read")),
            code => Self::Unknown(*code),
        }
    }
}

fn dump(body: &[u8]) -> Option<Command> {
    let mut at = Reader(body);
    let place = u64::from(at.u32()?);
    let flags = at.u16()?;
    let _server = at.u32()?;
    let file = String::from_utf8_lossy(at.0).trim_end_matches('\0').to_owned();
    Some(Command::Dump { place, file, flags })
}

fn dump_gtid(body: &[u8]) -> Option<Command> {
    let mut at = Reader(body);
    let _flags = at.u16()?;
    let _server = at.u32()?;
    let name = at.u32()?;
    at.take(usize::try_from(name).ok()?)?;
    let _place = at.u64()?;
    let length = usize::try_from(at.u32()?).ok()?;
    let has = decode_gtid_set(at.take(length)?).ok()?;
    Some(Command::DumpGtid { has })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.0.get(..count)?;
        self.0 = &self.0[count..];
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 16] = *b"\x3e\x11\xfa\x47\x71\xca\x11\xe1\x9e\x33\xc8\x0a\xa9\x42\x95\x62";
    const TEXT: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn dump_of(set: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x1e, 4, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        packet.extend(4_u64.to_le_bytes());
        packet.extend((set.len() as u32).to_le_bytes());
        packet.extend(set);
        packet
    }

    #[test]
    fn a_set_with_and_without_tags() {
        let mut plain = 1_u64.to_le_bytes().to_vec();
        plain.extend(UUID);
        plain.extend([1_u64, 1, 21].iter().flat_map(|n| n.to_le_bytes()));
        let has = format!("{TEXT}:1-20").parse().unwrap();
        assert_eq!(Command::parse(&dump_of(&plain)), Command::DumpGtid { has });

        let mut tagged = (1 << 56 | 2_u64 << 8 | 1).to_le_bytes().to_vec();
        tagged.extend(UUID);
        tagged.push(0);
        tagged.extend([1_u64, 1, 21].iter().flat_map(|n| n.to_le_bytes()));
        tagged.extend(UUID);
        tagged.extend(b"\x0aaudit");
        tagged.extend([2_u64, 1, 2, 5, 9].iter().flat_map(|n| n.to_le_bytes()));
        let has = format!("{TEXT}:1-20:audit:1:5-8").parse().unwrap();
        assert_eq!(Command::parse(&dump_of(&tagged)), Command::DumpGtid { has });

        let none = GtidSet::new();
        assert_eq!(Command::parse(&dump_of(&[0; 8])), Command::DumpGtid { has: none });
        assert!(matches!(Command::parse(&dump_of(&plain[..30])), Command::Bad(_)));
    }

    #[test]
    fn a_place_in_a_log() {
        let mut packet = vec![0x12, 157, 0, 0, 0, 2, 0, 9, 0, 0, 0];
        packet.extend(b"binlog.000042");
        let (place, file, flags) = (157, "binlog.000042".to_owned(), 2);
        assert_eq!(Command::parse(&packet), Command::Dump { place, file, flags });
        assert!(matches!(Command::parse(&packet[..9]), Command::Bad(_)));
        assert_eq!(Command::parse(&[0x21]), Command::Unknown(0x21));
    }
}
