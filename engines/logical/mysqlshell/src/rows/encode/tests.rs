//! The encoder against a plain model, and read back.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Default)]
struct Memory {
    files: Vec<Vec<u8>>,
    totals: Vec<Totals>,
    current: Vec<u8>,
}

impl Files for Memory {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.current.extend_from_slice(bytes);
        Ok(())
    }

    fn next(&mut self, totals: Totals) -> Result<(), EngineError> {
        self.files.push(std::mem::take(&mut self.current));
        self.totals.push(totals);
        Ok(())
    }
}

fn column(encoding: Encoding) -> Column {
    Column {
        name: "c".into(),
        data_type: "t".into(),
        encoding,
        inexact: None,
        empty_member: None,
    }
}

const ENCODINGS: [Encoding; 4] = [Encoding::Plain, Encoding::Text, Encoding::Base64, Encoding::Float];

type Row = Vec<Option<Vec<u8>>>;

/// The format's rules, byte by byte.
fn model(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        for (at, value) in row.iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            match (value, ENCODINGS[at]) {
                (None, _) => out.extend(b"\\N"),
                (Some(bytes), Encoding::Base64) => out.extend(STANDARD.encode(bytes).bytes()),
                (Some(bytes), Encoding::Text) => {
                    for byte in bytes {
                        match byte {
                            0 => out.extend(b"\\0"),
                            8 => out.extend(b"\\b"),
                            9 => out.extend(b"\\t"),
                            10 => out.extend(b"\\n"),
                            13 => out.extend(b"\\r"),
                            26 => out.extend(b"\\Z"),
                            b'\\' => out.extend(b"\\\\"),
                            other => out.push(*other),
                        }
                    }
                }
                (Some(bytes), _) => out.extend(bytes),
            }
        }
        out.push(b'\n');
    }
    out
}

/// What a loader makes of it.
fn decode(text: &[u8]) -> Vec<Row> {
    let (mut rows, mut row, mut field, mut null) = (Vec::new(), Vec::new(), Vec::new(), false);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next().unwrap() {
                b'N' => null = true,
                b'0' => field.push(0),
                b'b' => field.push(8),
                b't' => field.push(9),
                b'n' => field.push(10),
                b'r' => field.push(13),
                b'Z' => field.push(26),
                other => field.push(*other),
            },
            b'\t' | b'\n' => {
                let bytes = std::mem::take(&mut field);
                let value = if ENCODINGS[row.len()] == Encoding::Base64 {
                    STANDARD.decode(bytes).unwrap()
                } else {
                    bytes
                };
                row.push((!std::mem::take(&mut null)).then_some(value));
                if *byte == b'\n' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            other => field.push(*other),
        }
    }
    rows
}

/// Feeds rows, each value cut where `cuts` says; without cuts, as a whole.
fn encode(rows: &[Row], cuts: &[usize], limit: Option<u64>) -> Memory {
    let columns = ENCODINGS.map(column);
    let mut buffer = Vec::new();
    let mut encoder = Encoder::new(&columns, Memory::default(), limit, &mut buffer);
    let mut cuts = cuts.iter().copied().cycle();
    for row in rows {
        for (at, value) in row.iter().enumerate() {
            let Some(bytes) = value else {
                encoder.null(at);
                continue;
            };
            let first = cuts.next().unwrap_or(0);
            if first == 0 && bytes.len() <= 20 {
                // What lies behind it is none of it.
                let mut room = [b'\t'; ROOM];
                room[..bytes.len()].copy_from_slice(bytes);
                encoder.short(at, &room, bytes.len());
                continue;
            }
            if first == 0 {
                encoder.value(at, bytes);
                continue;
            }
            let middle = first.min(bytes.len());
            let last = (middle + cuts.next().unwrap_or(0)).min(bytes.len());
            encoder.part(at, &bytes[..middle], Part::First).unwrap();
            encoder.part(at, &bytes[middle..last], Part::Middle).unwrap();
            encoder.part(at, &bytes[last..], Part::Last).unwrap();
        }
        encoder.end_row().unwrap();
    }
    let (mut memory, totals) = encoder.finish().unwrap();
    memory.next(totals).unwrap();
    memory
}

fn values() -> impl Strategy<Value = Row> {
    let bytes = prop::collection::vec(
        prop_oneof![any::<u8>(), Just(b'\\'), Just(b'N'), Just(0), Just(9)],
        0..60,
    );
    let digits = "[0-9.e-]{0,20}".prop_map(String::into_bytes);
    (
        prop::option::of(digits.clone()),
        prop::option::of(bytes.clone()),
        prop::option::of(bytes),
        prop::option::of(digits),
    )
        .prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

proptest! {
    #[test]
    fn as_the_model_and_back(
        rows in prop::collection::vec(values(), 0..30),
        cuts in prop::collection::vec(0..9_usize, 0..7),
    ) {
        let memory = encode(&rows, &cuts, None);
        prop_assert_eq!(&memory.files[0], &model(&rows));
        prop_assert_eq!(decode(&memory.files[0]), rows.clone());
        prop_assert_eq!(memory.totals[0].rows, rows.len() as u64);
    }

    #[test]
    fn files_are_cut_between_rows(rows in prop::collection::vec(values(), 1..60), limit in 1..500_u64) {
        let memory = encode(&rows, &[], Some(limit));
        let whole: Vec<u8> = memory.files.concat();
        prop_assert_eq!(whole, model(&rows));
        for (file, totals) in memory.files.iter().zip(&memory.totals) {
            prop_assert_eq!(totals.bytes, file.len() as u64);
            prop_assert_eq!(totals.rows, decode(file).len() as u64);
        }
        let (_, full) = memory.files.split_last().unwrap();
        prop_assert!(full.iter().all(|file| file.len() as u64 >= limit));
    }
}

fn offsets(totals: &Totals) -> Vec<u64> {
    let (words, rest) = totals.index.as_chunks::<8>();
    assert!(rest.is_empty());
    words.iter().map(|word| u64::from_be_bytes(*word)).collect()
}

#[test]
fn the_index_has_an_offset_a_mebibyte() {
    let memory = encode(&[], &[], None);
    assert_eq!(offsets(&memory.totals[0]), [0]);
    // A row of this kind is 1,000 bytes of text.
    let row = vec![Some(vec![b'7'; 987]), Some(b"12345".to_vec()), None, None];
    let memory = encode(&vec![row; 3000], &[], None);
    assert_eq!(memory.totals[0].bytes, 3_000_000);
    assert_eq!(offsets(&memory.totals[0]), [1_049_000, 2_098_000, 3_000_000]);
}

#[test]
fn large_values_do_not_need_large_buffers() {
    let large: Vec<u8> = (0..9_000_000_u32).map(|at| (at % 251) as u8).collect();
    let rows = vec![vec![
        Some(b"1".to_vec()),
        Some(large.clone()),
        Some(large),
        Some(b"0.5".to_vec()),
    ]];
    for cuts in [&[][..], &[4_000_001, 3][..]] {
        let memory = encode(&rows, cuts, None);
        assert_eq!(decode(&memory.files[0]), rows);
    }
    let columns = ENCODINGS.map(column);
    let mut buffer = Vec::new();
    let mut encoder = Encoder::new(&columns, Memory::default(), None, &mut buffer);
    encoder.value(1, rows[0][1].as_ref().unwrap());
    encoder.end_row().unwrap();
    encoder.finish().unwrap();
    assert!(buffer.capacity() <= 4 * BUFFER, "{}", buffer.capacity());
}

/// Fails when it is written to.
struct Broken;

impl Files for Broken {
    fn write(&mut self, _: &[u8]) -> Result<(), EngineError> {
        Err(EngineError::other("no space"))
    }

    fn next(&mut self, _: Totals) -> Result<(), EngineError> {
        Ok(())
    }
}

#[test]
fn a_failure_ends_the_query_at_the_rows_end() {
    let columns = [column(Encoding::Text)];
    let mut buffer = Vec::new();
    let mut encoder = Encoder::new(&columns, Broken, None, &mut buffer);
    encoder.value(0, &vec![b'x'; 2 * BUFFER]);
    assert_eq!(encoder.end_row().unwrap_err().message, "no space");
}

#[test]
fn a_failure_after_an_index_entry_is_said_too() {
    let columns = [column(Encoding::Text), column(Encoding::Text)];
    let mut buffer = Vec::new();
    let mut encoder = Encoder::new(&columns, Broken, None, &mut buffer);
    encoder.indexed = 100_000;
    encoder.value(0, &vec![b'x'; 2 * BUFFER]);
    encoder.value(1, b"y");
    assert_eq!(encoder.end_row().unwrap_err().message, "no space");
}
