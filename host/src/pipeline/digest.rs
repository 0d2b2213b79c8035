//! [`Digest`]: the SHA-256 of an object's stored bytes, two objects' at a time where two are written at once.
//!
//! A processor's SHA-256 instructions wait for their own results most of the time: two digests, a block of each in turn,
//! take two thirds of the time that they take one after the other, where a processor looks so far ahead; elsewhere as long. The
//! blocks of one object do not help each other, those of two do. So a thread with bytes to digest leaves them on the [`Desk`] and
//! goes on; the next thread with bytes of another object digests both. What nobody has taken its own thread digests: when too much waits, and when the object ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use bytes::{Buf, Bytes};
use sha2::block_api::compress256;

use super::budget::lock;
use crate::repository::index::hex;

/// Fewer bytes than this are not left for another: it would take longer than to digest them.
const WORTH_LEAVING: usize = 64 << 10;

/// The most bytes of an object that wait for another thread, unless it is one piece that is larger.
const MOST_WAITING: usize = 1 << 20;

const BLOCK: usize = 64;

/// Names the object whose bytes wait to be digested, one at a time; the bytes stay with it.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Weak<Mutex<Running>>>);

impl Desk {
    /// What another than `mine` has left.
    fn take(&self, mine: &Arc<Mutex<Running>>) -> Option<Arc<Mutex<Running>>> {
        let mut left = lock(&self.0);
        let other = left.upgrade().filter(|other| !Arc::ptr_eq(other, mine))?;
        *left = Weak::new();
        Some(other)
    }

    /// Whether it is there now, for there is room.
    fn leave(&self, mine: &Arc<Mutex<Running>>) -> bool {
        let mut left = lock(&self.0);
        let free = left.upgrade().is_none_or(|other| Arc::ptr_eq(&other, mine));
        if free {
            *left = Arc::downgrade(mine);
        }
        free
    }
}

/// A SHA-256 that is being computed.
#[derive(Debug, Default)]
pub(super) struct Digest(Arc<Mutex<Running>>);

impl Digest {
    /// The next bytes. They are digested now, or wait on the desk, unless the object is the only one there is.
    pub(super) fn update(&self, bytes: Bytes, desk: &Desk, alone: bool) {
        let mut mine = lock(&self.0);
        mine.waiting_bytes += bytes.len();
        mine.waiting.push_back(bytes);
        if alone || mine.waiting_bytes < WORTH_LEAVING {
            mine.catch_up(0);
            return;
        }
        if let Some(other) = desk.take(&self.0) {
            match other.try_lock() {
                Ok(mut theirs) => {
                    both(&mut mine, &mut theirs);
                    if theirs.waiting_bytes > 0 && !desk.leave(&other) {
                        theirs.catch_up(0);
                    }
                }
                // Its own thread is at it. What is left on the desk for nothing does no harm.
                Err(_) => drop(desk.leave(&other)),
            }
        }
        mine.catch_up(MOST_WAITING);
        if mine.waiting_bytes > 0 && !desk.leave(&self.0) {
            mine.catch_up(0);
        }
    }

    /// The digest of all bytes, in hexadecimal, and a new start.
    pub(super) fn finish(&self) -> String {
        let mut mine = lock(&self.0);
        mine.catch_up(0);
        hex(&std::mem::take(&mut *mine).hash.finish())
    }
}

#[derive(Debug, Default)]
struct Running {
    hash: Hash,
    /// In their order, after what is digested.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
}

impl Running {
    /// Digests until no more than so many bytes wait, or one piece.
    fn catch_up(&mut self, most: usize) {
        while self.waiting_bytes > most && (most == 0 || self.waiting.len() > 1) {
            let Some(bytes) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= bytes.len();
            self.hash.update(&bytes);
        }
    }

    /// The whole blocks at the front of what waits; a block that is begun is filled up before.
    fn blocks(&mut self) -> Bytes {
        while let Some(front) = self.waiting.front_mut() {
            let filled = self.hash.fill(front);
            front.advance(filled);
            self.waiting_bytes -= filled;
            if front.len() >= BLOCK {
                return front.slice(..front.len() / BLOCK * BLOCK);
            }
            // Less than a block, and none is begun.
            self.hash.update(front);
            self.waiting_bytes -= front.len();
            self.waiting.pop_front();
        }
        Bytes::new()
    }

    /// So many bytes of [`blocks`](Self::blocks) are digested.
    fn done(&mut self, bytes: usize) {
        if let Some(front) = self.waiting.front_mut() {
            front.advance(bytes);
            self.waiting_bytes -= bytes;
            self.hash.length += bytes as u64;
        }
    }
}

/// Digests what waits of two objects, until nothing waits of one of them.
fn both(one: &mut Running, other: &mut Running) {
    loop {
        let (ours, theirs) = (one.blocks(), other.blocks());
        if ours.is_empty() || theirs.is_empty() {
            return;
        }
        let (ours, theirs) = (ours.as_chunks::<BLOCK>().0, theirs.as_chunks::<BLOCK>().0);
        let mut done = 0;
        for (first, second) in ours.iter().zip(theirs) {
            compress256(&mut one.hash.state, std::slice::from_ref(first));
            compress256(&mut other.hash.state, std::slice::from_ref(second));
            done += BLOCK;
        }
        one.done(done);
        other.done(done);
    }
}

/// SHA-256 (FIPS 180-4) over sha2's function for blocks: its own hasher keeps the state to itself.
#[derive(Debug)]
struct Hash {
    state: [u32; 8],
    /// Bytes digested, those in `begun` too.
    length: u64,
    /// A block that is not whole: `length % BLOCK` bytes of it.
    begun: [u8; BLOCK],
}

impl Default for Hash {
    fn default() -> Self {
        Self {
            // Section 5.3.3.
            state: [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ],
            length: 0,
            begun: [0; BLOCK],
        }
    }
}

impl Hash {
    fn update(&mut self, bytes: &[u8]) {
        let bytes = &bytes[self.fill(bytes)..];
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        compress256(&mut self.state, blocks);
        self.begun[..rest.len()].copy_from_slice(rest);
        self.length += bytes.len() as u64;
    }

    /// Fills up a block that is begun: how many bytes that took.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let begun = (self.length % BLOCK as u64) as usize;
        if begun == 0 {
            return 0;
        }
        let taken = bytes.len().min(BLOCK - begun);
        self.begun[begun..begun + taken].copy_from_slice(&bytes[..taken]);
        self.length += taken as u64;
        if begun + taken == BLOCK {
            compress256(&mut self.state, &[self.begun]);
        }
        taken
    }

    /// Section 5.1.1: a bit that is set, zeros, and the length in bits in the last eight bytes of a block.
    fn finish(mut self) -> [u8; 32] {
        let bits = self.length.wrapping_mul(8);
        let begun = (self.length % BLOCK as u64) as usize;
        let zeros = (2 * BLOCK - 8 - 1 - begun) % BLOCK;
        let mut padding = [0; 2 * BLOCK];
        padding[0] = 0x80;
        padding[1 + zeros..1 + zeros + 8].copy_from_slice(&bits.to_be_bytes());
        self.update(&padding[..1 + zeros + 8]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn expected(bytes: &[u8]) -> String {
        hex(&Sha256::digest(bytes))
    }

    fn random(random: &mut StdRng, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes[..]);
        bytes.into()
    }

    #[test]
    fn every_length_around_a_block_in_every_two_parts() {
        let bytes = random(&mut StdRng::seed_from_u64(1), 200);
        for length in 0..=bytes.len() {
            for cut in 0..=length {
                let (desk, digest) = (Desk::default(), Digest::default());
                digest.update(bytes.slice(..cut), &desk, true);
                digest.update(bytes.slice(cut..length), &desk, true);
                assert_eq!(digest.finish(), expected(&bytes[..length]), "{length} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_left_is_digested_by_the_next() {
        let mut random_bytes = StdRng::seed_from_u64(2);
        let (desk, one, other) = (Desk::default(), Digest::default(), Digest::default());
        let (first, second) = (
            random(&mut random_bytes, WORTH_LEAVING + 1),
            random(&mut random_bytes, 2 * WORTH_LEAVING + 70),
        );
        one.update(first.clone(), &desk, false);
        assert_eq!(lock(&one.0).waiting_bytes, first.len());
        other.update(second.clone(), &desk, false);
        assert_eq!(lock(&one.0).waiting_bytes, 0);
        assert_eq!(lock(&other.0).waiting_bytes, second.len() - WORTH_LEAVING);
        assert_eq!(one.finish(), expected(&first));
        // It starts anew, and nothing of before is on the desk.
        assert_eq!(one.finish(), expected(b""));
        assert_eq!(other.finish(), expected(&second));
    }

    #[test]
    fn not_much_waits() {
        let mut random_bytes = StdRng::seed_from_u64(3);
        let (desk, digest) = (Desk::default(), Digest::default());
        let mut all = Vec::new();
        for _ in 0..20 {
            let bytes = random(&mut random_bytes, 300_000);
            all.extend_from_slice(&bytes);
            digest.update(bytes, &desk, false);
            assert!(lock(&digest.0).waiting_bytes <= MOST_WAITING);
        }
        // One that is left by an object that is gone is as good as none.
        assert_eq!(digest.finish(), expected(&all));
        drop(digest);
        let next = Digest::default();
        let bytes = random(&mut random_bytes, WORTH_LEAVING);
        next.update(bytes.clone(), &desk, false);
        assert_eq!(lock(&next.0).waiting_bytes, bytes.len());
        assert_eq!(next.finish(), expected(&bytes));
    }

    #[test]
    fn many_threads_and_pieces_of_every_size() {
        let desk = Desk::default();
        thread::scope(|scope| {
            for seed in 10..16 {
                let desk = &desk;
                scope.spawn(move || {
                    let mut random_bytes = StdRng::seed_from_u64(seed);
                    for _ in 0..20 {
                        let digest = Digest::default();
                        let mut all = Vec::new();
                        for _ in 0..random_bytes.random_range(0..20) {
                            let most = [100, WORTH_LEAVING, 4 * WORTH_LEAVING, 3 * MOST_WAITING]
                                [random_bytes.random_range(0..4)];
                            let length = random_bytes.random_range(0..=most);
                            let bytes = random(&mut random_bytes, length);
                            all.extend_from_slice(&bytes);
                            digest.update(bytes, desk, random_bytes.random_ratio(1, 10));
                        }
                        assert_eq!(digest.finish(), expected(&all), "seed {seed}");
                    }
                });
            }
        });
    }
}
