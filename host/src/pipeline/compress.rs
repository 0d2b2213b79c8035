//! zstd frames, and how large a hash table they are made with.
//!
//! A compressor remembers in a hash table where it has seen what. At level 1 that is 64 KiB, more than a processor's first
//! cache holds. Natural text and pages repeat over long distances and need all of it. Rows that differ in their numbers do
//! not: with a fourth of it, sysbench's are compressed a fifth faster to the same size. Which of the two an object is, a
//! piece of it tells; and what is true of a piece of a table is taken to be true of the pieces that come next. To look costs as
//! much as to compress a megabyte, and so only what has more than one large frame is looked at.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

use backstay_engine_api::Attributes;
use bytes::Bytes;
use zstd::bulk;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::budget::lock;

/// The only level at which it is worth it.
const LEVEL: i32 = 1;

/// How much of an object is compressed with either hash table. The difference shows only where there is more than the small
/// one remembers.
const SAMPLE: usize = 512 << 10;

/// How much larger the sample may get, in thousandths.
const TOLERANCE: usize = 3;

/// How many bytes a choice is good for: a table's later rows may be unlike its first.
const GOOD_FOR: usize = 256 << 20;

/// The size of the hash table that an object's bytes need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashTable {
    /// What zstd takes by itself.
    Usual,
    /// 2^12 entries.
    Small,
}

impl HashTable {
    /// zstd's parameter; 0 is what belongs to the level.
    const fn hash_log(self) -> u32 {
        match self {
            Self::Usual => 0,
            Self::Small => 12,
        }
    }
}

/// What is known of objects that are alike: of a table's, by its schema and name; else of one object, by its name.
#[derive(Debug, Default)]
pub(super) struct Choices(Mutex<HashMap<(Option<String>, String), Choice>>);

#[derive(Debug)]
struct Choice {
    hash_table: HashTable,
    /// Bytes.
    good_for: usize,
}

impl Choices {
    /// For a frame; `None` if it is to be looked at.
    fn take(&self, name: &str, attributes: &Attributes, frame: usize) -> Option<HashTable> {
        let mut choices = lock(&self.0);
        match choices.entry(key(name, attributes)) {
            Entry::Occupied(mut choice) => {
                let choice = choice.get_mut();
                choice.good_for = choice.good_for.checked_sub(frame)?;
                Some(choice.hash_table)
            }
            // There may be no more than this one.
            Entry::Vacant(choice) => {
                choice.insert(Choice {
                    hash_table: HashTable::Usual,
                    good_for: 0,
                });
                Some(HashTable::Usual)
            }
        }
    }

    fn set(&self, name: &str, attributes: &Attributes, hash_table: HashTable) {
        let choice = Choice {
            hash_table,
            good_for: GOOD_FOR,
        };
        lock(&self.0).insert(key(name, attributes), choice);
    }
}

fn key(name: &str, attributes: &Attributes) -> (Option<String>, String) {
    match &attributes.table {
        Some(table) => (attributes.schema.clone(), table.clone()),
        None => (None, name.to_owned()),
    }
}

/// Makes frames; each thread has its own.
pub(super) struct Compressor {
    zstd: bulk::Compressor<'static>,
    level: i32,
    hash_table: HashTable,
    /// Frames are compressed into it and copied out at their size, a fourth of it: buffers of the worst size would take the
    /// memory of the whole frame for as long as the store needs.
    scratch: Vec<u8>,
}

impl Compressor {
    /// A checksum lets `zstd -t` find damage without our index; zstd adds the size of the content by itself.
    pub(super) fn new(level: i32) -> std::io::Result<Self> {
        let mut zstd = bulk::Compressor::new(level)?;
        zstd.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self {
            zstd,
            level,
            hash_table: HashTable::Usual,
            scratch: Vec::new(),
        })
    }

    /// A frame of an object.
    pub(super) fn make(
        &mut self,
        plain: &[u8],
        name: &str,
        attributes: &Attributes,
        choices: &Choices,
    ) -> std::io::Result<Bytes> {
        // So little is compressed in no time with either.
        let hash_table = if self.level != LEVEL || plain.len() < SAMPLE {
            HashTable::Usual
        } else if let Some(known) = choices.take(name, attributes, plain.len()) {
            known
        } else {
            let chosen = self.choose(&plain[..SAMPLE])?;
            choices.set(name, attributes, chosen);
            chosen
        };
        self.compress(plain, hash_table)?;
        Ok(Bytes::copy_from_slice(&self.scratch))
    }

    fn choose(&mut self, sample: &[u8]) -> std::io::Result<HashTable> {
        let usual = self.compress(sample, HashTable::Usual)?;
        let small = self.compress(sample, HashTable::Small)?;
        let is_enough = small <= usual + usual * TOLERANCE / 1000;
        Ok(if is_enough { HashTable::Small } else { HashTable::Usual })
    }

    /// Into `scratch`: its length.
    fn compress(&mut self, plain: &[u8], hash_table: HashTable) -> std::io::Result<usize> {
        if self.hash_table != hash_table {
            self.zstd.set_parameter(CParameter::HashLog(hash_table.hash_log()))?;
            self.hash_table = hash_table;
        }
        self.scratch.clear();
        self.scratch.reserve(compress_bound(plain.len()));
        self.zstd.compress_to_buffer(plain, &mut self.scratch)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn table(name: &str) -> Attributes {
        Attributes::kind("table-data").schema("shop").table(name)
    }

    /// What is chosen for a table of so many frames like this one.
    fn chosen(level: i32, plain: &[u8], frames: usize) -> Option<HashTable> {
        let choices = Choices::default();
        let mut compressor = Compressor::new(level).unwrap();
        for _ in 0..frames {
            let frame = compressor.make(plain, "a", &table("orders"), &choices).unwrap();
            assert_eq!(zstd::stream::decode_all(&frame[..]).unwrap(), plain);
        }
        choices.take("another", &table("orders"), 1)
    }

    /// Rows with numbers that are their own.
    fn rows(bytes: usize) -> Vec<u8> {
        let mut random = StdRng::seed_from_u64(1);
        let mut rows = Vec::new();
        while rows.len() < bytes {
            let digits: u64 = random.random();
            rows.extend_from_slice(format!("{}\t{digits}\tname {}\n", rows.len(), digits % 97).as_bytes());
        }
        rows
    }

    /// Phrases that each come again after some hundred kilobytes.
    fn text(bytes: usize) -> Vec<u8> {
        let mut random = StdRng::seed_from_u64(2);
        let phrases: Vec<[u8; 40]> = (0..5000).map(|_| random.random()).collect();
        let mut text = Vec::new();
        while text.len() < bytes {
            text.extend_from_slice(&phrases[random.random_range(0..phrases.len())]);
        }
        text
    }

    #[test]
    fn rows_get_a_small_table_and_text_the_usual_one() {
        assert_eq!(chosen(1, &rows(SAMPLE), 2), Some(HashTable::Small));
        assert_eq!(chosen(1, &text(SAMPLE), 2), Some(HashTable::Usual));
    }

    #[test]
    fn one_frame_small_frames_and_other_levels_are_not_looked_at() {
        assert_eq!(chosen(1, &rows(SAMPLE), 1), None);
        for (level, bytes) in [(1, SAMPLE / 2), (3, SAMPLE)] {
            // As of a table that nobody has seen.
            assert_eq!(chosen(level, &rows(bytes), 3), Some(HashTable::Usual));
        }
    }

    #[test]
    fn what_is_known_of_a_table_is_kept_to() {
        let rows = rows(2 * SAMPLE);
        let choices = Choices::default();
        choices.set("a", &table("usual"), HashTable::Usual);
        choices.set("a", &table("small"), HashTable::Small);
        let mut compressor = Compressor::new(1).unwrap();
        let mut frame = |of: &str| compressor.make(&rows, "b", &table(of), &choices).unwrap();
        let (usual, small) = (frame("usual"), frame("small"));
        assert_ne!(usual, small);
        // Nothing is kept from one frame to the next.
        assert_eq!(frame("usual"), usual);
        assert_eq!(frame("small"), small);
    }

    #[test]
    fn a_choice_is_good_for_so_many_bytes() {
        let choices = Choices::default();
        choices.set("a", &table("orders"), HashTable::Small);
        let take = |bytes: usize| choices.take("b", &table("orders"), bytes);
        assert_eq!(take(GOOD_FOR / 2), Some(HashTable::Small));
        assert_eq!(take(GOOD_FOR / 2), Some(HashTable::Small));
        assert_eq!(take(1), None);
    }

    #[test]
    fn without_a_table_each_object_is_for_itself() {
        let choices = Choices::default();
        choices.set("a", &Attributes::kind("file"), HashTable::Small);
        let take = |name: &str| choices.take(name, &Attributes::kind("file"), 1);
        assert_eq!(take("a"), Some(HashTable::Small));
        // The first frame of another.
        assert_eq!(take("b"), Some(HashTable::Usual));
    }
}
