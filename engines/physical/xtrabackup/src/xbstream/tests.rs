//! The reader against streams of its own making, against MariaDB's `mbstream`, and against noise.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::files::{Files, Layout, Store};

/// Objects in memory.
#[derive(Debug, Default)]
struct Memory(BTreeMap<String, (String, Vec<u8>)>);

#[derive(Debug)]
struct Object {
    name: String,
    path: String,
    bytes: Vec<u8>,
}

impl std::io::Write for Object {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Store for &mut Memory {
    type Object = Object;

    fn create(&mut self, name: &str, path: &str) -> Result<Object, EngineError> {
        if self.0.contains_key(name) {
            return Err(EngineError::other(format!("{name} twice")));
        }
        Ok(Object {
            name: name.to_owned(),
            path: path.to_owned(),
            bytes: Vec::new(),
        })
    }

    fn finish(&mut self, object: Object) -> Result<(), EngineError> {
        self.0.insert(object.name, (object.path, object.bytes));
        Ok(())
    }

    fn pause(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

fn read(stream: &[u8], dialect: Dialect) -> Result<(Memory, Layout), EngineError> {
    let mut memory = Memory::default();
    let mut files = Files::new(&mut memory, |_| false);
    Reader::new(stream, dialect).read_all(&mut files)?;
    let layout = files.finish()?.0.layout;
    Ok((memory, layout))
}

/// The files as a restore makes them.
fn restored(memory: &Memory, layout: &Layout) -> BTreeMap<String, Vec<u8>> {
    let path = |name: &str| layout.renamed.get(name).unwrap_or(&memory.0[name].0).clone();
    let mut files: BTreeMap<String, Vec<u8>> = memory
        .0
        .iter()
        .filter(|(name, _)| !layout.removed.contains(*name) && !layout.pieces.iter().any(|(piece, _)| piece == *name))
        .map(|(name, (_, bytes))| (path(name), bytes.clone()))
        .collect();
    for (name, offset) in &layout.pieces {
        let (file, piece, offset) = (files.get_mut(&path(name)).unwrap(), &memory.0[name].1, *offset as usize);
        file.resize(file.len().max(offset + piece.len()), 0);
        file[offset..offset + piece.len()].copy_from_slice(piece);
    }
    files
}

fn head(flags: u8, kind: u8, path: &str) -> Vec<u8> {
    let mut chunk = MAGIC.to_vec();
    chunk.extend([flags, kind]);
    chunk.extend((path.len() as u32).to_le_bytes());
    chunk.extend(path.as_bytes());
    chunk
}

fn payload(flags: u8, path: &str, offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut chunk = head(flags, b'P', path);
    chunk.extend((bytes.len() as u64).to_le_bytes());
    chunk.extend(offset.to_le_bytes());
    chunk.extend(crc32fast::hash(bytes).to_le_bytes());
    chunk.extend(bytes);
    chunk
}

fn sparse(path: &str, offset: u64, map: &[(u32, u32)], bytes: &[u8]) -> Vec<u8> {
    let mut chunk = head(0, b'S', path);
    chunk.extend((map.len() as u32).to_le_bytes());
    chunk.extend((bytes.len() as u64).to_le_bytes());
    chunk.extend(offset.to_le_bytes());
    let map: Vec<u8> = map
        .iter()
        .flat_map(|(skip, length)| [skip.to_le_bytes(), length.to_le_bytes()].concat())
        .collect();
    chunk.extend(crc32fast::hash(&[map.as_slice(), bytes].concat()).to_le_bytes());
    chunk.extend(map);
    chunk.extend(bytes);
    chunk
}

fn seek(path: &str, offset: u64) -> Vec<u8> {
    [head(0, b'S', path), offset.to_le_bytes().to_vec()].concat()
}

fn rename(from: &str, to: &str) -> Vec<u8> {
    [
        head(0, b'R', from),
        (to.len() as u32).to_le_bytes().to_vec(),
        to.as_bytes().to_vec(),
    ]
    .concat()
}

fn end(path: &str) -> Vec<u8> {
    head(0, b'E', path)
}

#[test]
fn files_that_interleave() {
    let stream = [
        payload(0, "./a/t.ibd", 0, b"one"),
        payload(0, "ib_logfile0", 0, b"log"),
        payload(0, "./a/t.ibd", 3, b"two"),
        end("./a/t.ibd"),
        end("empty"),
        payload(0, "ib_logfile0", 3, b"more"),
        end("ib_logfile0"),
    ];
    let (memory, layout) = read(&stream.concat(), Dialect::Percona).unwrap();
    assert_eq!(layout, Layout::default());
    let files = restored(&memory, &layout);
    let want = [("a/t.ibd", "onetwo"), ("empty", ""), ("ib_logfile0", "logmore")];
    assert_eq!(
        files,
        want.map(|(path, bytes)| (path.to_owned(), bytes.as_bytes().to_vec()))
            .into()
    );
}

#[test]
fn holes_of_percona() {
    let stream = [
        sparse("a/t.ibd", 0, &[(0, 2), (5, 3), (4, 0)], b"abcde"),
        payload(0, "a/t.ibd", 14, b"end"),
        end("a/t.ibd"),
    ];
    let (memory, layout) = read(&stream.concat(), Dialect::Percona).unwrap();
    assert_eq!(memory.0["a/t.ibd"].1, b"ab\0\0\0\0\0cde\0\0\0\0end");
    assert!(layout.sparse.contains("a/t.ibd"));
}

#[test]
fn streams_that_are_wrong() {
    let good = payload(0, "a", 0, b"bytes");
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut huge = head(0, b'P', "a");
    huge.extend(u64::MAX.to_le_bytes());
    huge.extend([0; 12]);
    let mut wide = head(0, b'S', "a");
    wide.extend(u32::MAX.to_le_bytes());
    wide.extend([0; 20]);
    let mut long = MAGIC.to_vec();
    long.extend([0, b'P', 255, 255, 255, 255]);
    for (stream, dialect, text) in [
        (flipped, Dialect::MariaDb, "has the CRC-32"),
        (
            good[..good.len() - 1].to_vec(),
            Dialect::MariaDb,
            "ends in the middle of a chunk",
        ),
        (good.clone(), Dialect::MariaDb, "ends before its file a does"),
        (b"XBSTCK02aaaaaaaaaaaaaa".to_vec(), Dialect::MariaDb, "no chunk starts"),
        (head(1, b'Q', "a"), Dialect::MariaDb, "the unknown type 'Q'"),
        (head(0, b'D', "a"), Dialect::Percona, "the unknown type 'D'"),
        (rename("a", "b"), Dialect::Percona, "the unknown type 'R'"),
        (payload(0, "a", 7, b"x"), Dialect::MariaDb, "which stands at 0"),
        (huge, Dialect::MariaDb, "which no file has"),
        (wide, Dialect::Percona, "has 4294967295 entries"),
        (long, Dialect::MariaDb, "a path has 4294967295 bytes"),
        (
            payload(0, "../a", 0, b"x"),
            Dialect::MariaDb,
            "is no path of a file below",
        ),
        (
            payload(0, "/etc/a", 0, b"x"),
            Dialect::MariaDb,
            "is no path of a file below",
        ),
        (
            payload(0, "a/./b", 0, b"x"),
            Dialect::MariaDb,
            "is no path of a file below",
        ),
        (
            sparse("a", 0, &[(0, 3)], b"four"),
            Dialect::Percona,
            "for 3 bytes, and there are 4",
        ),
        (
            [good.clone(), payload(2, "a", 0, b"x")].concat(),
            Dialect::MariaDb,
            "anew before it has ended",
        ),
        (
            [good.clone(), head(0, b'D', "a")].concat(),
            Dialect::MariaDb,
            "removes a before it has ended",
        ),
        (
            [good.clone(), rename("a", "b")].concat(),
            Dialect::MariaDb,
            "renames a before it has ended",
        ),
    ] {
        let error = read(&stream, dialect).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
        assert!(error.message.contains(text), "{error}");
    }
}

#[test]
fn not_too_many_files_at_once() {
    let stream: Vec<u8> = (0..70)
        .flat_map(|file| payload(0, &format!("f{file}"), 0, b"x"))
        .collect();
    let error = read(&stream, Dialect::MariaDb).unwrap_err();
    assert!(error.to_string().contains("lower the option parallel"), "{error}");
}

/// What MariaDB's own program makes of a stream.
fn mbstream(stream: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new("mbstream")
        .arg("-x")
        .arg("-C")
        .arg(directory.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mbstream, of the package mariadb-backup");
    child.stdin.take().unwrap().write_all(stream).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let mut files = BTreeMap::new();
    collect(directory.path(), directory.path(), &mut files);
    files
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// Something that a stream does with a file that is not open.
#[derive(Debug, Clone)]
enum Deed {
    Write {
        path: usize,
        parts: Vec<(Option<u16>, Vec<u8>)>,
    },
    Remove(usize),
    Rename(usize, usize),
}

const PATHS: [&str; 4] = ["a", "b", "s/a", "s/b"];

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let part = (
        proptest::option::of(0_u16..40),
        proptest::collection::vec(any::<u8>(), 1..20),
    );
    let deed = prop_oneof![
        3 => (0..PATHS.len(), proptest::collection::vec(part, 1..4)).prop_map(|(path, parts)| Deed::Write { path, parts }),
        1 => (0..PATHS.len()).prop_map(Deed::Remove),
        1 => (0..PATHS.len(), 0..PATHS.len()).prop_map(|(from, to)| Deed::Rename(from, to)),
    ];
    proptest::collection::vec(deed, 1..12)
}

/// A stream as MariaDB writes it: a path that exists is written only anew.
fn stream_of(deeds: &[Deed]) -> Vec<u8> {
    let mut there = [false; PATHS.len()];
    // `mbstream` itself fails where a stream does not begin with a payload.
    let mut stream = [payload(0, "first", 0, b"bytes"), end("first")].concat();
    for deed in deeds {
        match deed {
            Deed::Write { path, parts } => {
                let (index, path) = (*path, PATHS[*path]);
                // What is written anew starts with a payload.
                if there[index] && parts.first().is_none_or(|(to, _)| to.is_some()) {
                    continue;
                }
                let flags = if there[index] { REWRITE } else { 0 };
                let mut offset = 0;
                for (to, bytes) in parts {
                    if let Some(to) = to {
                        offset = u64::from(*to);
                        stream.extend(seek(path, offset));
                    }
                    stream.extend(payload(flags, path, offset, bytes));
                    offset += bytes.len() as u64;
                }
                stream.extend(end(path));
                there[index] = true;
            }
            Deed::Remove(path) => {
                stream.extend(head(0, b'D', PATHS[*path]));
                there[*path] = false;
            }
            // Also of what is not there, as the tool does. Into another directory nothing is renamed.
            Deed::Rename(from, to) if from != to && PATHS[*from].contains('/') == PATHS[*to].contains('/') => {
                stream.extend(rename(PATHS[*from], PATHS[*to]));
                there[*to] |= there[*from];
                there[*from] = false;
            }
            Deed::Rename(..) => {}
        }
    }
    stream
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn we_read_what_mbstream_reads(deeds in deeds()) {
        let stream = stream_of(&deeds);
        let (memory, layout) = read(&stream, Dialect::MariaDb).unwrap();
        prop_assert_eq!(restored(&memory, &layout), mbstream(&stream));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_stream_that_is_cut_off_is_an_error(deeds in deeds(), at in any::<proptest::sample::Index>()) {
        let mut stream = stream_of(&deeds);
        // Whole chunks may be missing at the end; then a file has not ended, or the tool has not said that it is done.
        stream.extend(payload(0, "last", 0, b"bytes"));
        stream.extend(end("last"));
        let whole = stream.len();
        let cut = whole - 1 - at.index(payload(0, "last", 0, b"bytes").len() + end("last").len() - 1);
        prop_assert!(read(&stream[..cut], Dialect::MariaDb).is_err());
    }

    #[test]
    fn noise_never_panics(deeds in deeds(), flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6), percona in any::<bool>()) {
        let mut stream = stream_of(&deeds);
        for (at, value) in flips {
            if !stream.is_empty() {
                let at = at.index(stream.len());
                stream[at] = value;
            }
        }
        let dialect = if percona { Dialect::Percona } else { Dialect::MariaDb };
        // Holes are written out as zeros: what a test can hold is bounded by what it lets through.
        let _ = Reader::new(stream.as_slice(), dialect).read_all(&mut Nothing);
    }

    #[test]
    fn pure_noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        for dialect in [Dialect::Percona, Dialect::MariaDb] {
            let stream = [MAGIC.as_slice(), &noise].concat();
            let _ = Reader::new(stream.as_slice(), dialect).read_all(&mut Nothing);
        }
    }
}

/// A sink that takes everything.
struct Nothing;

impl Sink for Nothing {
    fn bytes(&mut self, _: &str, _: u64, _: &[u8]) -> Result<(), EngineError> {
        Ok(())
    }

    fn hole(&mut self, _: &str, _: u64, _: u64) -> Result<(), EngineError> {
        Ok(())
    }

    fn seek(&mut self, _: &str, _: u64) -> Result<(), EngineError> {
        Ok(())
    }

    fn rewrite(&mut self, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    fn end(&mut self, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    fn remove(&mut self, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    fn rename(&mut self, _: &str, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    fn pause(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
