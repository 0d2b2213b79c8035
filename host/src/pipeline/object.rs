//! An object that is being written: frames in on one side, stored bytes in their order out on the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use backstay_engine_api::{Attributes, EngineError};
use bytes::Bytes;

use super::budget::{Reservation, lock};
use super::pool::{self, Frame, Pool};
use super::shared::{Pending, Shared, Work};
use super::stored::Stored;
use crate::repository::index::Encoding;

/// Where the memory for frames to fill is short, a frame of at least this size is handed on as it is.
const SHORT_FRAME: usize = 64 << 10;

/// The most bytes of a frame that is stored as it is.
const PLAIN_FRAME: usize = 512 << 10;

/// What a frame takes besides its bytes, so that a great many empty ones are not free.
const FRAME_COST: usize = 8 << 10;

#[derive(Debug)]
pub(super) struct Object {
    name: String,
    attributes: Attributes,
    encoding: Encoding,
    discarded: AtomicBool,
    filling: Mutex<Filling>,
    ordered: Mutex<Ordered>,
}

/// The engine's side.
#[derive(Debug, Default)]
struct Filling {
    frame: Vec<u8>,
    frames: u64,
    size: u64,
    /// Finished or discarded.
    over: bool,
}

/// The store's side.
#[derive(Debug)]
struct Ordered {
    next: u64,
    ready: BTreeMap<u64, (Bytes, Reservation)>,
    end: Option<End>,
    /// Taken out by the thread that moves frames on; there is one at a time.
    stored: Option<Stored>,
}

#[derive(Debug)]
struct End {
    frames: u64,
    size: u64,
    _pending: Pending,
}

impl Object {
    pub(super) fn new(name: String, attributes: Attributes, encoding: Encoding) -> Arc<Self> {
        Arc::new(Self {
            name,
            attributes,
            encoding,
            discarded: AtomicBool::new(false),
            filling: Mutex::default(),
            ordered: Mutex::new(Ordered {
                next: 0,
                ready: BTreeMap::new(),
                end: None,
                stored: Some(Stored::new()),
            }),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.discarded.load(Ordering::Acquire)
    }

    /// Takes bytes; waits while there is no memory for them.
    pub(super) fn write(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        pool: &Pool,
        mut bytes: &[u8],
    ) -> Result<(), EngineError> {
        let mut filling = lock(&self.filling);
        if filling.over {
            return Err(EngineError::other(format!(
                "object {:?} is not open any more",
                self.name
            )));
        }
        filling.size += bytes.len() as u64;
        shared.plain_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        while !bytes.is_empty() {
            let limit = self.frame_bytes(shared);
            if filling.frame.capacity() == 0 && bytes.len() >= SHORT_FRAME {
                filling.frame = shared.buffer();
            }
            let taken = bytes.len().min(limit.saturating_sub(filling.frame.len()));
            make_room(&mut filling.frame, taken, limit);
            filling.frame.extend_from_slice(&bytes[..taken]);
            let all = shared.filling.fetch_add(taken, Ordering::Relaxed) + taken;
            bytes = &bytes[taken..];
            let full = filling.frame.len() >= limit;
            let short = all > shared.options.filling_bytes() && filling.frame.len() >= SHORT_FRAME;
            if full || short {
                self.submit(shared, pool, &mut filling)?;
            }
        }
        Ok(())
    }

    /// How large a frame may be now. What is not compressed gains nothing from large ones, and is digested and written while
    /// it is still in the processor's cache.
    fn frame_bytes(&self, shared: &Shared) -> usize {
        let most = if self.encoding.is_compressed() {
            usize::MAX
        } else {
            PLAIN_FRAME
        };
        shared.frame_bytes().min(most)
    }

    /// Hands the frame on.
    fn submit(self: &Arc<Self>, shared: &Arc<Shared>, pool: &Pool, filling: &mut Filling) -> Result<(), EngineError> {
        let Some(reservation) = shared.in_flight.reserve(filling.frame.len() + FRAME_COST) else {
            return shared.check();
        };
        let plain = std::mem::take(&mut filling.frame);
        shared.filling.fetch_sub(plain.len(), Ordering::Relaxed);
        let number = filling.frames;
        filling.frames += 1;
        // Nothing is to be compressed, and the engine has a thread for each processor: what another thread would do is done
        // here at once, while the frame is still in this processor's cache.
        if !self.encoding.is_compressed() && shared.open.load(Ordering::Relaxed) >= shared.options.threads {
            let stored = pool::lent(shared, plain);
            self.advance(shared, number, stored, reservation);
            return Ok(());
        }
        pool.submit(Frame {
            object: Arc::clone(self),
            number,
            plain,
            reservation,
        });
        Ok(())
    }

    /// No more bytes come: its size. It is stored when all its frames are.
    pub(super) fn finish(self: &Arc<Self>, shared: &Arc<Shared>, pool: &Pool) -> Result<u64, EngineError> {
        let mut filling = lock(&self.filling);
        filling.over = true;
        // An empty object has a frame too, for `zstd -d` takes no empty file.
        if !filling.frame.is_empty() || filling.frames == 0 {
            self.submit(shared, pool, &mut filling)?;
        }
        let end = End {
            frames: filling.frames,
            size: filling.size,
            _pending: shared.pending(Work::Objects),
        };
        lock(&self.ordered).end = Some(end);
        self.move_on(shared);
        Ok(filling.size)
    }

    /// Throws away what was written.
    pub(super) fn discard(&self, shared: &Arc<Shared>) {
        self.discarded.store(true, Ordering::Release);
        {
            let mut filling = lock(&self.filling);
            filling.over = true;
            let frame = std::mem::take(&mut filling.frame);
            shared.filling.fetch_sub(frame.len(), Ordering::Relaxed);
        }
        let mut ordered = lock(&self.ordered);
        ordered.ready.clear();
        let stored = ordered.stored.take();
        drop(ordered);
        // Else the thread that has it sees the flag.
        if let Some(stored) = stored {
            stored.abandon(shared);
        }
    }

    /// A frame is ready to be stored.
    pub(super) fn advance(&self, shared: &Arc<Shared>, number: u64, stored: Bytes, reservation: Reservation) {
        if shared.failed() || self.is_discarded() {
            return;
        }
        lock(&self.ordered).ready.insert(number, (stored, reservation));
        self.move_on(shared);
    }

    /// Stores the frames whose turn it is, unless another thread is at it: then that one does.
    fn move_on(&self, shared: &Arc<Shared>) {
        let Some(mut stored) = lock(&self.ordered).stored.take() else {
            return;
        };
        loop {
            let mut ordered = lock(&self.ordered);
            if self.is_discarded() {
                drop(ordered);
                stored.abandon(shared);
                return;
            }
            let number = ordered.next;
            let result = if let Some((bytes, reservation)) = ordered.ready.remove(&number) {
                ordered.next += 1;
                drop(ordered);
                stored.put(shared, self, bytes, reservation)
            } else if ordered.end.as_ref().is_some_and(|end| end.frames == number) {
                let end = ordered.end.take();
                drop(ordered);
                if let Some(end) = end
                    && let Err(error) = stored.end(shared, self, end.size)
                {
                    shared.fail(error);
                }
                return;
            } else {
                ordered.stored = Some(stored);
                return;
            };
            if let Err(error) = result {
                shared.fail(error);
                return;
            }
        }
    }
}

/// Once a frame is not a small one any more it gets its full size at once: doubling would end up beyond it.
fn make_room(frame: &mut Vec<u8>, more: usize, limit: usize) {
    let length = frame.len() + more;
    if length > frame.capacity() && length > 2 * SHORT_FRAME {
        frame.reserve_exact(limit.max(length) - frame.len());
    }
}
