//! Events that are not from a server: crafted ones, damage and noise. What servers write is read in `tests/servers`.

use std::io::Write as _;

use backstay_engine_api::position::mysql::GtidSet;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::make::{self, Head};
use super::*;

/// A format description as MySQL 9.7 writes it, but for the server's name.
fn format(checksum: Checksum) -> (Format, Vec<u8>) {
    let mut body = 4_u16.to_le_bytes().to_vec();
    let mut version = b"9.7.0".to_vec();
    version.resize(50, 0);
    body.extend(version);
    body.extend(7_u32.to_le_bytes());
    body.push(HEADER as u8);
    let mut lengths = [0_u8; 42];
    for (kind, length) in [
        (EventType::QUERY, 13),
        (EventType::TABLE_MAP, 8),
        (EventType::WRITE_ROWS, 10),
        (EventType::UPDATE_ROWS, 10),
        (EventType::PARTIAL_UPDATE_ROWS, 10),
        (EventType::DELETE_ROWS_V1, 8),
    ] {
        lengths[usize::from(kind.0) - 1] = length;
    }
    body.extend(lengths);
    body.push(match checksum {
        Checksum::None => 0,
        Checksum::Crc32 => 1,
    });
    if checksum == Checksum::None {
        body.extend([0; 4]);
    }
    let bytes = make::event(EventType::FORMAT_DESCRIPTION, Head::default(), &body, checksum);
    (Format::parse(&bytes).unwrap(), bytes)
}

fn parse<'a>(bytes: &'a [u8], format: &Format) -> Event<'a> {
    RawEvent::check(bytes, format).unwrap().parse(format).unwrap()
}

fn read(kind: EventType, body: &[u8], check: impl FnOnce(Event<'_>)) {
    let (format, _) = format(Checksum::Crc32);
    let bytes = make::event(kind, Head::default(), body, Checksum::Crc32);
    check(parse(&bytes, &format));
}

#[test]
fn a_format_description() {
    for checksum in [Checksum::None, Checksum::Crc32] {
        let (format, mut bytes) = format(checksum);
        assert_eq!((format.server_version.as_str(), format.checksum), ("9.7.0", checksum));
        assert_eq!(format.post_header(EventType::QUERY), Some(13));
        assert_eq!(format.post_header(EventType::MARIADB_GTID), None);
        // A file that is still being written has this flag, which its checksum does not count.
        bytes[17] |= 1;
        assert_eq!(Format::parse(&bytes).unwrap(), format);
        bytes[20] ^= 1;
        assert!(Format::parse(&bytes).is_err());
    }
}

#[test]
fn damage_is_named() {
    let (format, _) = format(Checksum::Crc32);
    let head = Head {
        end: 777,
        ..Head::default()
    };
    let mut bytes = make::rotate(head, "binlog.000002", 4, Checksum::Crc32);
    assert!(RawEvent::check(&bytes, &format).is_ok());
    bytes[25] ^= 1;
    let error = RawEvent::check(&bytes, &format).unwrap_err().to_string();
    assert!(
        error.starts_with("event: Rotate that ends at 777 is damaged: its CRC-32 is "),
        "{error}"
    );
    let error = RawEvent::check(&bytes[..30], &format).unwrap_err().to_string();
    assert_eq!(error, "event: a Rotate event says that it has 44 bytes, found 30");
}

/// A body that Percona Server 8.4 wrote.
#[test]
fn a_tagged_gtid() {
    const BODY: [u8; 62] = [
        0x02, 0x7c, 0x00, 0x00, 0x02, 0x02, 0xee, 0x45, 0x03, 0x41, 0x02, 0x58, 0x02, 0x69, 0x03, 0x22, 0xc5, 0x03,
        0x69, 0x02, 0x82, 0x41, 0x02, 0x35, 0x02, 0xdc, 0xbe, 0xdc, 0x35, 0x02, 0x04, 0x04, 0x06, 0x10, 0x74, 0x65,
        0x73, 0x74, 0x5f, 0x74, 0x61, 0x67, 0x08, 0x00, 0x0a, 0x04, 0x0c, 0x7f, 0x00, 0x3e, 0x89, 0x00, 0xfa, 0x5b,
        0x06, 0x10, 0x45, 0x05, 0x12, 0xdb, 0xd0, 0x09,
    ];
    read(EventType::GTID_TAGGED, &BODY, |event| {
        let Event::Gtid(event) = event else { panic!("{event:?}") };
        let gtid = event.gtid.unwrap().to_string();
        assert_eq!(gtid, "77d1902c-01da-11f1-9a41-908d6e5f6e8d:test_tag:1");
        assert_eq!((event.last_committed, event.sequence_number), (0, 1));
        assert_eq!(event.immediate_commit_time, Some(0x0006_5bfa_0089_3e00));
        assert_eq!(event.original_commit_time, event.immediate_commit_time);
        assert_eq!(event.transaction_length, Some(337));
    });
    // A later version's field may be passed over, if it does not say otherwise.
    let mut later = BODY.to_vec();
    later.extend([0x20, 0x02]);
    later[1] += 4;
    read(EventType::GTID_TAGGED, &later, |event| {
        assert!(matches!(event, Event::Gtid(_)))
    });
    later[2] = 0x20;
    let error = GtidEvent::parse_tagged(&later).unwrap_err().to_string();
    assert!(error.contains("field 16, which must be known"), "{error}");
}

#[test]
fn gtid_sets_there_and_back() {
    const U: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const V: &str = "4f22aa47-71ca-11e1-9e33-c80aa9429562";
    for text in [
        String::new(),
        format!("{U}:1-20:25,{V}:7"),
        format!("{U}:1-20:audit:1:3-5,{V}:backup:7"),
    ] {
        let set: GtidSet = text.parse().unwrap();
        assert_eq!(decode_gtid_set(&encode_gtid_set(&set)).unwrap(), set, "{text}");
        read(EventType::PREVIOUS_GTIDS, &encode_gtid_set(&set), |event| {
            assert_eq!(event, Event::PreviousGtids(set.clone()));
        });
    }
    // What servers before 8.3 write too.
    let plain = encode_gtid_set(&format!("{U}:1-2").parse().unwrap());
    assert_eq!(plain.len(), 8 + 16 + 8 + 16);
    assert_eq!((plain[0], plain[7], plain[24], plain[32], plain[40]), (1, 0, 1, 1, 3));
}

#[test]
fn mariadbs_positions_there_and_back() {
    let (format, _) = format(Checksum::Crc32);
    for text in ["", "0-1-270", "0-1-270,7-3-15"] {
        let position = text.parse().unwrap();
        let bytes = make::gtid_list(Head::default(), &position, Checksum::Crc32);
        assert_eq!(parse(&bytes, &format), Event::GtidList(position));
    }
}

/// A column of each way in which a value tells its length.
fn table(kinds: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body = vec![9, 0, 0, 0, 0, 0, 1, 0];
    for name in ["shop", "orders"] {
        body.push(name.len() as u8);
        body.extend(name.as_bytes());
        body.push(0);
    }
    body.push(kinds.len() as u8);
    body.extend(kinds.iter().map(|(kind, _)| kind));
    let metadata: Vec<u8> = kinds.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    body.push(metadata.len() as u8);
    body.extend(metadata);
    body.extend(vec![0xff; kinds.len().div_ceil(8)]);
    body
}

#[test]
fn rows_are_counted() {
    let columns: [(u8, &[u8]); 8] = [
        (3, &[]),
        (15, &[0x2c, 0x01]),
        (252, &[2]),
        (246, &[10, 2]),
        (18, &[6]),
        (254, &[254, 60]),
        // CHAR(255) with four bytes each: 1,020 bytes need ten bits.
        (254, &[0xce, 0xfc]),
        (16, &[1, 1]),
    ];
    let map = table(&columns);
    let one_row = || {
        let mut row = vec![0];
        row.extend(5_u32.to_le_bytes());
        row.extend([3, 0, b'a', b'b', b'c']);
        row.extend([2, 0, 1, 2]);
        row.extend([0x80, 0, 0, 1, 0]);
        row.extend([0; 8]);
        row.extend([1, b'x']);
        row.extend([2, 0, b'y', b'z']);
        row.extend([0, 1]);
        row
    };
    let nulls = vec![0xff];
    let mut body = vec![9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0xff];
    let data = [one_row(), nulls.clone(), one_row()].concat();
    body.extend(&data);
    let count = |event: Event<'_>, map: &[u8]| {
        let (format, _) = format(Checksum::None);
        let map = make::event(EventType::TABLE_MAP, Head::default(), map, Checksum::None);
        let (Event::Rows(rows), Event::TableMap(map)) = (event, parse(&map, &format)) else {
            panic!("no rows and table");
        };
        assert_eq!((map.schema.as_str(), map.table.as_str()), ("shop", "orders"));
        assert!(rows.ends_statement);
        rows.count(&map).map(|count| (rows.change, count))
    };
    read(EventType::WRITE_ROWS, &body, |event| {
        assert_eq!(count(event, &map), Ok((RowChange::Insert, 3)));
    });
    let shorter = &body[..body.len() - 1];
    read(EventType::WRITE_ROWS, shorter, |event| {
        assert!(count(event, &map).is_err())
    });

    // MariaDB's, compressed: one byte of length.
    let mut zlib = ZlibEncoder::new(vec![0x81, data.len() as u8], Compression::default());
    zlib.write_all(&data).unwrap();
    let mut compressed = vec![9, 0, 0, 0, 0, 0, 1, 0, 8, 0xff];
    compressed.extend(zlib.finish().unwrap());
    read(EventType::DELETE_ROWS_COMPRESSED_V1, &compressed, |event| {
        assert_eq!(count(event, &map), Ok((RowChange::Delete, 3)));
    });
    // A part of a JSON document: the length of its difference comes where the document's does.
    let json = table(&[(3, &[]), (245, &[4])]);
    let mut partial = vec![9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b01, 0b11];
    partial.extend([0, 7, 0, 0, 0]);
    partial.extend([1, 1, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0xaa, 0xbb]);
    read(EventType::PARTIAL_UPDATE_ROWS, &partial, |event| {
        assert_eq!(count(event, &json), Ok((RowChange::Update, 1)));
    });
}

#[test]
fn statements() {
    let mut body = 17_u32.to_le_bytes().to_vec();
    body.extend([0, 0, 0, 0, 4, 0, 0, 2, 0, 0xee, 0xee]);
    body.extend(b"shop\0");
    let head = body.clone();
    body.extend(b"DROP TABLE orders");
    let is_it = |event: Event<'_>| {
        let Event::Query(query) = event else {
            panic!("{event:?}")
        };
        assert_eq!((query.thread_id, query.error, query.schema), (17, 0, &b"shop"[..]));
        assert_eq!(query.text(), "DROP TABLE orders");
    };
    read(EventType::QUERY, &body, is_it);
    let mut zlib = ZlibEncoder::new([&head[..], &[0x81, 17]].concat(), Compression::default());
    zlib.write_all(b"DROP TABLE orders").unwrap();
    read(EventType::QUERY_COMPRESSED, &zlib.finish().unwrap(), is_it);
}

#[test]
fn a_compressed_transaction() {
    let (format, _) = format(Checksum::Crc32);
    let inner = [
        make::event(
            EventType::TABLE_MAP,
            Head::default(),
            &table(&[(3, &[])]),
            Checksum::None,
        ),
        make::event(EventType::XID, Head::default(), &77_u64.to_le_bytes(), Checksum::None),
    ]
    .concat();
    let packed = zstd::bulk::compress(&inner, 3).unwrap();
    let body = |payload: &[u8], method: u8, length: usize| {
        let mut body = vec![2, 1, method, 3, 1, length as u8, 1, 1, payload.len() as u8, 0];
        if method == 255 {
            body.splice(1..3, [3, 0xfc, 255, 0]);
        }
        body.extend(payload);
        body
    };
    for body in [body(&packed, 0, inner.len()), body(&inner, 255, inner.len())] {
        let bytes = make::event(EventType::TRANSACTION_PAYLOAD, Head::default(), &body, Checksum::Crc32);
        let Event::TransactionPayload(payload) = parse(&bytes, &format) else {
            panic!("no payload");
        };
        let mut events = payload.events(&format).unwrap();
        assert!(matches!(events.next(), Ok(Some(Event::TableMap(_)))));
        assert_eq!(events.next(), Ok(Some(Event::Xid(77))));
        assert_eq!(events.next(), Ok(None));
    }
    let longer = body(&packed, 0, inner.len() + 19);
    let bytes = make::event(
        EventType::TRANSACTION_PAYLOAD,
        Head::default(),
        &longer,
        Checksum::Crc32,
    );
    let Event::TransactionPayload(payload) = parse(&bytes, &format) else {
        panic!("no payload");
    };
    let mut events = payload.events(&format).unwrap();
    assert!((0..2).all(|_| events.next().is_ok()));
    assert!(events.next().is_err());
}

/// Reads an event in every way that there is.
fn exhaust(bytes: &[u8], format: &Format) {
    let _ = Format::parse(bytes);
    let Ok(raw) = RawEvent::check(bytes, format) else {
        return;
    };
    match raw.parse(format) {
        Ok(Event::Rows(rows)) => {
            for columns in [&[(3, &[][..])][..], &[(15, &[9, 1][..]), (252, &[4])]] {
                let map = make::event(EventType::TABLE_MAP, Head::default(), &table(columns), Checksum::None);
                let (plain, _) = self::format(Checksum::None);
                if let Event::TableMap(mut map) = parse(&map, &plain) {
                    map.table_id = rows.table_id;
                    let _ = rows.count(&map);
                }
            }
        }
        Ok(Event::TransactionPayload(payload)) => {
            if let Ok(mut events) = payload.events(format) {
                while let Ok(Some(_)) = events.next() {}
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever follows a header of any type is an event or an error.
    #[test]
    fn noise_never_panics(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..200), crc in any::<bool>()) {
        let checksum = if crc { Checksum::Crc32 } else { Checksum::None };
        let bytes = make::event(EventType(kind), Head::default(), &body, checksum);
        exhaust(&bytes, &format(checksum).0);
        exhaust(&body, &format(checksum).0);
    }

    /// Small numbers, of which lengths and counts are mostly made, reach further into an event.
    #[test]
    fn small_noise_never_panics(kind in 1_u8..=172, body in proptest::collection::vec(0_u8..12, 0..120)) {
        let bytes = make::event(EventType(kind), Head::default(), &body, Checksum::None);
        exhaust(&bytes, &format(Checksum::None).0);
    }

    #[test]
    fn numbers_of_the_serialisation_library(number in any::<u64>(), shift in 0_u32..64) {
        let number = number >> shift;
        let mut bytes = Vec::new();
        let bits = (64 - number.leading_zeros()).max(1) as usize;
        let more = if bits > 56 { 8 } else { (bits - 1) / 7 };
        let ones = ((1_u16 << more) - 1) as u8;
        if more >= 7 {
            bytes.push(ones);
            bytes.extend(&number.to_le_bytes()[..more]);
        } else {
            let all = number << (more + 1) | u64::from(ones);
            bytes.extend(&all.to_le_bytes()[..=more]);
        }
        prop_assert_eq!(super::bytes::Bytes::new("number", &bytes).varlen(), Ok(number));
    }
}
