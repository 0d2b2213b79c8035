//! The walk through packets, over a stream in memory that hands its bytes out in pieces of any size.

use std::io::{self, Read};

use backstay_engine_api::EngineError;
use proptest::prelude::*;

use super::answer::Answer;
use super::failure::Failure;
use super::rows::{Texts, rows};
use super::values::{Kind, Values};
use super::wire::Wire;
use super::{Part, RawColumn, RowSink};

type Row = Vec<Option<Vec<u8>>>;

/// Hands out pieces of these sizes, over and over.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    sizes: Vec<usize>,
    piece: usize,
}

impl Pieces {
    fn new(bytes: Vec<u8>, sizes: &[usize]) -> Self {
        Self {
            bytes,
            at: 0,
            sizes: sizes.to_vec(),
            piece: 0,
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.piece % self.sizes.len()];
        self.piece += 1;
        let count = size.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Keeps the rows, and checks that parts come in order.
#[derive(Default)]
struct Kept {
    rows: Vec<Row>,
    row: Row,
    open: Option<Vec<u8>>,
    longest: usize,
    shortest_in_parts: Option<usize>,
    give_up_after: Option<usize>,
}

impl RowSink for Kept {
    fn null(&mut self, column: usize) {
        assert_eq!((column, &self.open), (self.row.len(), &None));
        self.row.push(None);
    }

    fn value(&mut self, column: usize, bytes: &[u8]) {
        assert_eq!((column, &self.open), (self.row.len(), &None));
        self.longest = self.longest.max(bytes.len());
        self.row.push(Some(bytes.to_vec()));
    }

    fn part(&mut self, column: usize, bytes: &[u8], part: Part) -> Result<(), EngineError> {
        assert_eq!(column, self.row.len());
        self.longest = self.longest.max(bytes.len());
        let mut value = match part {
            Part::First => {
                assert_eq!(self.open, None);
                Vec::new()
            }
            Part::Middle | Part::Last => self.open.take().unwrap(),
        };
        value.extend_from_slice(bytes);
        if part == Part::Last {
            let shortest = self
                .shortest_in_parts
                .map_or(value.len(), |other| other.min(value.len()));
            self.shortest_in_parts = Some(shortest);
            self.row.push(Some(value));
        } else {
            self.open = Some(value);
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), EngineError> {
        assert_eq!(self.open, None);
        self.rows.push(std::mem::take(&mut self.row));
        if self.give_up_after == Some(self.rows.len()) {
            return Err(EngineError::cancelled());
        }
        Ok(())
    }
}

/// A server's side: packets, numbered, those of `full` bytes continued in the next.
struct Packets {
    bytes: Vec<u8>,
    number: u8,
    full: usize,
}

impl Packets {
    fn new(full: usize) -> Self {
        Self {
            bytes: Vec::new(),
            number: 0,
            full,
        }
    }

    fn packet(mut self, mut body: &[u8]) -> Self {
        loop {
            let (now, rest) = body.split_at(body.len().min(self.full));
            self.bytes.extend(&(now.len() as u32).to_le_bytes()[..3]);
            self.bytes.push(self.number);
            self.bytes.extend(now);
            self.number = self.number.wrapping_add(1);
            body = rest;
            if now.len() < self.full {
                return self;
            }
        }
    }

    fn rows(self, rows: &[Row], wide: bool) -> Self {
        rows.iter()
            .fold(self, |packets, row| packets.packet(&encoded(row, wide)))
    }

    fn end(self) -> Self {
        self.packet(&[0xfe, 0, 0, 2, 0])
    }
}

/// A row of the text protocol; `wide` has every length but the first in the longest form.
fn encoded(row: &Row, wide: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (column, value) in row.iter().enumerate() {
        let Some(value) = value else {
            bytes.push(0xfb);
            continue;
        };
        match value.len() {
            length if wide && column > 0 => {
                bytes.push(0xfe);
                bytes.extend((length as u64).to_le_bytes());
            }
            length @ 0..=0xfa => bytes.push(length as u8),
            length @ 0xfb..=0xffff => {
                bytes.push(0xfc);
                bytes.extend((length as u16).to_le_bytes());
            }
            length @ 0x1_0000..=0xff_ffff => {
                bytes.push(0xfd);
                bytes.extend(&(length as u32).to_le_bytes()[..3]);
            }
            length => {
                bytes.push(0xfe);
                bytes.extend((length as u64).to_le_bytes());
            }
        }
        bytes.extend(value);
    }
    bytes
}

const REAL_FULL: usize = 0xff_ffff;

fn values() -> impl Strategy<Value = Option<Vec<u8>>> {
    let length = prop_oneof![4 => 0..20_usize, 2 => 20..300_usize, 1 => 300..2_000_usize];
    let bytes = (length, any::<u8>()).prop_map(|(length, first)| {
        (0..length)
            .map(|at| first.wrapping_add(at as u8).wrapping_mul(31))
            .collect()
    });
    prop_oneof![1 => Just(None), 6 => bytes.prop_map(Some)]
}

fn tables() -> impl Strategy<Value = Vec<Row>> {
    (1..6_usize).prop_flat_map(|columns| proptest::collection::vec(proptest::collection::vec(values(), columns), 0..12))
}

const KINDS: [Kind; 9] = [
    Kind::Bytes,
    Kind::Signed(4),
    Kind::Unsigned(8),
    Kind::Double,
    Kind::Year,
    Kind::Date,
    Kind::DateTime(6),
    Kind::Time(3),
    Kind::Bytes,
];

/// A row of the binary protocol, and what it means.
#[derive(Debug, Clone)]
struct ValueRow {
    wire: Vec<u8>,
    texts: Row,
}

fn value_rows() -> impl Strategy<Value = Vec<ValueRow>> {
    let row = (values(), any::<(i32, u64)>(), 0..60_u8, any::<[bool; 9]>(), values());
    let row = row.prop_map(|(first, (signed, unsigned), small, null, last)| {
        let date = [0xea, 7, 11, 1 + small % 28];
        let time = [small % 24, small, 59, 0x40, 0xe2, 1, 0];
        let days = [1, 2, 0, 0, 0, small % 24, small, 1];
        let cells = [
            first,
            Some(signed.to_string().into_bytes()),
            Some(unsigned.to_string().into_bytes()),
            Some(format!("{}.5", small).into_bytes()),
            Some(b"2026".to_vec()),
            Some(format!("2026-11-{:02}", 1 + small % 28).into_bytes()),
            Some(format!("2026-11-{:02} {:02}:{small:02}:59.123456", 1 + small % 28, small % 24).into_bytes()),
            Some(format!("-{}:{small:02}:01.000", 48 + small % 24).into_bytes()),
            last,
        ];
        let texts: Row = cells
            .into_iter()
            .zip(null)
            .map(|(cell, null)| cell.filter(|_| !null))
            .collect();
        let mut wire = vec![0, 0, 0];
        for (column, text) in texts.iter().enumerate() {
            let Some(text) = text else {
                wire[1 + (column + 2) / 8] |= 1 << ((column + 2) % 8);
                continue;
            };
            match column {
                1 => wire.extend(signed.to_le_bytes()),
                2 => wire.extend(unsigned.to_le_bytes()),
                3 => wire.extend((f64::from(small) + 0.5).to_le_bytes()),
                4 => wire.extend(2026_u16.to_le_bytes()),
                5 => wire.extend([&[4][..], &date].concat()),
                6 => wire.extend([&[11][..], &date, &time].concat()),
                7 => wire.extend([&[8][..], &days].concat()),
                _ => wire.extend(encoded(&vec![Some(text.clone())], false)),
            }
        }
        ValueRow { wire, texts }
    });
    proptest::collection::vec(row, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What is sent arrives, whatever the pieces, the buffer, and where packets are split.
    #[test]
    fn rows_arrive_however_they_are_cut(
        table in tables(),
        wide in any::<bool>(),
        sizes in proptest::collection::vec(1..400_usize, 1..6),
        buffer in 64..700_usize,
        full in prop_oneof![Just(REAL_FULL), 16..200_usize],
    ) {
        let columns = table.first().map_or(1, Vec::len);
        let bytes = Packets::new(full).rows(&table, wide).end().bytes;
        let mut wire = Wire::sized(Pieces::new(bytes, &sizes), buffer, full);
        let mut kept = Kept::default();
        prop_assert_eq!(rows(&mut wire, &Texts(columns), &mut kept).unwrap(), table.len() as u64);
        prop_assert_eq!(kept.rows, table);
        prop_assert_eq!(wire.buffered(), 0);
        // Nothing is lent that is larger than the buffer, and short values come whole.
        prop_assert!(kept.longest <= buffer);
        prop_assert!(kept.shortest_in_parts.is_none_or(|length| length > buffer / 4));
    }

    /// A stream that ends too early, or has a byte wrong, is an error or other rows, and no panic.
    #[test]
    fn damage_is_survived(
        table in tables(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
        full in prop_oneof![Just(REAL_FULL), 16..200_usize],
    ) {
        let columns = table.first().map_or(1, Vec::len);
        let mut bytes = Packets::new(full).rows(&table, false).end().bytes;
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= byte;
        }
        let mut wire = Wire::sized(Pieces::new(bytes, &[100]), 256, full);
        let mut kept = Kept::default();
        let read = rows(&mut wire, &Texts(columns), &mut SomeOrder(&mut kept));
        prop_assert!(!cut || matches!(read, Err(Failure::Io(_))), "{:?}", read);
    }

    /// Rows of values arrive however they are cut; with a byte wrong they are an error or other rows, and no panic.
    #[test]
    fn values_arrive_however_they_are_cut(
        table in value_rows(),
        sizes in proptest::collection::vec(1..400_usize, 1..6),
        buffer in 64..700_usize,
        full in prop_oneof![Just(REAL_FULL), 16..200_usize],
        damage in any::<(prop::sample::Index, u8)>(),
    ) {
        let packets = table.iter().fold(Packets::new(full), |packets, row| packets.packet(&row.wire));
        let mut bytes = packets.end().bytes;
        let mut wire = Wire::sized(Pieces::new(bytes.clone(), &sizes), buffer, full);
        let mut kept = Kept::default();
        prop_assert_eq!(rows(&mut wire, &Values(&KINDS), &mut kept).unwrap(), table.len() as u64);
        let texts: Vec<Row> = table.into_iter().map(|row| row.texts).collect();
        prop_assert_eq!(kept.rows, texts);
        let at = damage.0.index(bytes.len());
        bytes[at] ^= damage.1;
        let mut wire = Wire::sized(Pieces::new(bytes, &sizes), buffer, full);
        let mut kept = Kept::default();
        let _ = rows(&mut wire, &Values(&KINDS), &mut SomeOrder(&mut kept));
    }

    /// A hostile server's answer.
    #[test]
    fn anything_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let packets = Packets::new(REAL_FULL).packet(&bytes).packet(&bytes).packet(&bytes).bytes;
        let mut wire = Wire::sized(Pieces::new(packets, &[64]), 4096, REAL_FULL);
        if let Ok(Answer::Columns(columns)) = Answer::read(&mut wire) {
            prop_assert!(columns.len() < 4);
        }
    }
}

/// Passes on what may come in any state, as damaged rows do.
struct SomeOrder<'a>(&'a mut Kept);

impl RowSink for SomeOrder<'_> {
    fn null(&mut self, _: usize) {}
    fn value(&mut self, _: usize, bytes: &[u8]) {
        self.0.longest = self.0.longest.max(bytes.len());
    }
    fn part(&mut self, _: usize, bytes: &[u8], _: Part) -> Result<(), EngineError> {
        self.value(0, bytes);
        Ok(())
    }
    fn end_row(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

fn read(packets: Packets, columns: usize) -> (Result<u64, Failure>, Kept) {
    let mut wire = Wire::sized(Pieces::new(packets.bytes, &[1000]), 4096, REAL_FULL);
    let mut kept = Kept::default();
    (rows(&mut wire, &Texts(columns), &mut kept), kept)
}

fn one(text: &str) -> Row {
    vec![Some(text.into())]
}

#[test]
fn values_of_several_full_packets() {
    for length in [
        REAL_FULL - 9,
        REAL_FULL - 5,
        REAL_FULL - 4,
        REAL_FULL + 1,
        3 * REAL_FULL,
    ] {
        let value: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let row = vec![Some(b"before".to_vec()), Some(value), None, Some(b"after".to_vec())];
        let bytes = Packets::new(REAL_FULL)
            .rows(std::slice::from_ref(&row), false)
            .rows(std::slice::from_ref(&row), false)
            .end()
            .bytes;
        let mut wire = Wire::new(Pieces::new(bytes, &[200_000, 7, 65_536]));
        let mut kept = Kept::default();
        assert_eq!(rows(&mut wire, &Texts(4), &mut kept).unwrap(), 2);
        assert!(kept.rows == [row.clone(), row], "a value of {length} bytes");
        assert!(kept.longest <= 256 * 1024);
    }
}

#[test]
fn errors_amid_rows() {
    let killed = Packets::new(REAL_FULL)
        .rows(&[one("a")], false)
        .packet(b"\xff\x25\x05#70100Query execution was interrupted");
    let (result, kept) = read(killed, 1);
    let Err(Failure::Server(said)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(
        (said.code, said.state.as_str(), said.message.as_str()),
        (1317, "70100", "Query execution was interrupted")
    );
    assert_eq!(kept.rows, [one("a")]);

    let mut skipped = Packets::new(REAL_FULL).rows(&[one("a")], false);
    skipped.number += 1;
    let (result, _) = read(skipped.rows(&[one("b")], false).end(), 1);
    assert!(
        matches!(&result, Err(Failure::Protocol(text)) if text == "expected packet 1, found 2"),
        "{result:?}"
    );

    for (packet, columns) in [
        (&b"\x01a\x01b"[..], 1),
        (b"\x01a", 2),
        (b"\x05a", 1),
        (b"\xfc\x01", 1),
        (b"\xff", 1),
        (b"", 1),
        // An end that says that more results follow, and one that is too short.
        (b"\xfe\0\0\x08\0", 1),
        (b"\xfe\0", 1),
    ] {
        let (result, _) = read(Packets::new(REAL_FULL).packet(packet).end(), columns);
        assert!(matches!(result, Err(Failure::Protocol(_))), "{packet:?}: {result:?}");
    }
}

#[test]
fn a_sink_that_gives_up_ends_the_walk() {
    let table = [one("a"), one("b"), one("c")];
    let bytes = Packets::new(REAL_FULL).rows(&table, false).end().bytes;
    let mut kept = Kept {
        give_up_after: Some(2),
        ..Kept::default()
    };
    let result = rows(&mut Wire::new(Pieces::new(bytes, &[1000])), &Texts(1), &mut kept);
    assert!(
        matches!(&result, Err(Failure::Ours(error)) if *error == EngineError::cancelled()),
        "{result:?}"
    );
    assert_eq!(kept.rows.len(), 2);
}

#[test]
fn an_error_out_of_turn_is_the_servers() {
    let mut packets = Packets::new(REAL_FULL);
    packets.number = 9;
    let idle = packets.packet(b"\xff\xbf\x0f#HY000The client was disconnected by the server because of inactivity.");
    let (result, _) = read(idle, 1);
    assert!(
        matches!(&result, Err(Failure::Server(said)) if said.code == 4031),
        "{result:?}"
    );
    // Before the capabilities are known there is no state.
    let (result, _) = read(
        Packets::new(REAL_FULL).packet(b"\xff\x6a\x04Host 'h' is not allowed to connect"),
        1,
    );
    assert!(
        matches!(&result, Err(Failure::Server(said)) if said.code == 1130 && said.message.starts_with("Host 'h'")),
        "{result:?}"
    );
}

#[test]
fn columns_are_described() {
    let mut column = Vec::new();
    for text in ["def", "db", "t", "t", "ünique", "u"] {
        column.push(text.len() as u8);
        column.extend(text.as_bytes());
    }
    // VECTOR is newer than the crate's list of types.
    column.extend([0x0c, 63, 0, 0, 1, 0, 0, 242, 0, 0, 0, 0, 0]);
    let packets = Packets::new(REAL_FULL).packet(&[1]).packet(&column).end();
    let mut wire = Wire::new(Pieces::new(packets.bytes, &[10]));
    let Ok(Answer::Columns(columns)) = Answer::read(&mut wire) else {
        panic!("no columns");
    };
    assert_eq!(
        columns,
        [RawColumn {
            name: "ünique".to_owned(),
            column_type: 242,
            collation: 63,
            length: 256,
            flags: 0,
            decimals: 0,
        }]
    );
}
