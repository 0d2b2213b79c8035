//! Files on their way to the store: one task for each, which takes what there is and writes it.

use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backstay_engine_api::{EngineError, ErrorKind};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::budget::{Reservation, lock};
use super::fault::store_error;
use super::shared::{Pending, Shared, Work};
use crate::repository::names;

/// How much is gathered for one write, at most. What is there is written at once: `file://` has no least size of a part,
/// and a task that sat on bytes would sit on their share of the memory.
const PART_BYTES: usize = 4 << 20;

#[derive(Debug)]
enum Message {
    Bytes(Bytes, Reservation),
    End,
}

/// A file that is being written. Dropped without [`end`](Self::end), it is never there.
#[derive(Debug)]
pub(super) struct Upload {
    messages: UnboundedSender<Message>,
}

impl Upload {
    /// Starts a file of the backup. An error of its own makes the sink fail.
    pub(super) fn start(shared: &Arc<Shared>, file: &str) -> Result<Self, EngineError> {
        let (messages, receiver) = unbounded_channel();
        Self::spawn(shared, file, receiver)?;
        Ok(Self { messages })
    }

    /// Writes a small file as a whole.
    pub(super) fn whole(
        shared: &Arc<Shared>,
        file: &str,
        content: Vec<(Bytes, Reservation)>,
    ) -> Result<(), EngineError> {
        let (messages, receiver) = unbounded_channel();
        let upload = Self { messages };
        for (bytes, reservation) in content {
            upload.put(bytes, reservation);
        }
        upload.end();
        Self::spawn(shared, file, receiver)
    }

    fn spawn(shared: &Arc<Shared>, file: &str, messages: UnboundedReceiver<Message>) -> Result<(), EngineError> {
        let task = Task {
            location: names::locate(&shared.base, file)?,
            shared: Arc::clone(shared),
            messages,
            upload: None,
            over: false,
            _pending: shared.pending(Work::Uploads),
        };
        shared.runtime.spawn(task.run());
        Ok(())
    }

    /// The next bytes. They are counted by their reservation until they are stored.
    pub(super) fn put(&self, bytes: Bytes, reservation: Reservation) {
        // A task that is gone has made the sink fail, which says why.
        let _ = self.messages.send(Message::Bytes(bytes, reservation));
    }

    /// The file is whole.
    pub(super) fn end(self) {
        let _ = self.messages.send(Message::End);
    }
}

struct Task {
    shared: Arc<Shared>,
    location: Path,
    messages: UnboundedReceiver<Message>,
    upload: Option<Box<dyn MultipartUpload>>,
    /// It is known how it ended.
    over: bool,
    _pending: Pending,
}

impl Drop for Task {
    fn drop(&mut self) {
        // A task that panics, or whose runtime ends, must not look like one that is done.
        if !self.over {
            self.shared.fail(EngineError::new(
                ErrorKind::Io,
                format!("{} was not written to its end: the writer was stopped", self.location),
            ));
        }
    }
}

impl Task {
    async fn run(mut self) {
        let result = self.write().await;
        let whole = match result {
            Ok(whole) => whole,
            Err(error) => {
                self.shared.fail(store_error("written", &self.location, &error));
                false
            }
        };
        if let (false, Some(mut upload)) = (whole, self.upload.take()) {
            // Whoever reads the repository does not see what is left, and the cause of all this is reported already.
            let _ = upload.abort().await;
        }
        self.over = true;
    }

    /// Whether the file is there in the end.
    async fn write(&mut self) -> object_store::Result<bool> {
        let mut parts = Vec::new();
        let mut reservations = Vec::new();
        loop {
            let (mut bytes, mut ended) = (0, false);
            let mut next = self.messages.recv().await;
            loop {
                match next {
                    None => return Ok(false),
                    Some(Message::End) => ended = true,
                    Some(Message::Bytes(part, reservation)) => {
                        bytes += part.len();
                        parts.push(part);
                        reservations.push(reservation);
                    }
                }
                if ended || bytes >= PART_BYTES {
                    break;
                }
                match self.messages.try_recv() {
                    Ok(message) => next = Some(message),
                    Err(_) => break,
                }
            }
            if let Some(throttle) = &self.shared.throttle
                && !self.shared.failed()
            {
                throttle.wait(bytes).await;
            }
            if self.shared.failed() {
                return Ok(false);
            }
            let payload: PutPayload = parts.drain(..).collect();
            if ended && self.upload.is_none() {
                self.shared.store.put(&self.location, payload).await?;
            } else {
                let upload = match &mut self.upload {
                    Some(upload) => upload,
                    none => none.insert(self.shared.store.put_multipart(&self.location).await?),
                };
                if bytes > 0 {
                    upload.put_part(payload).await?;
                }
                if ended {
                    upload.complete().await?;
                }
            }
            self.shared.stored_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            reservations.clear();
            if ended {
                return Ok(true);
            }
        }
    }
}

/// Stored bytes per second, at most, over all files.
#[derive(Debug)]
pub(super) struct Throttle {
    bytes_per_second: NonZeroU64,
    /// When the next bytes may be written.
    next: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            next: Mutex::new(None),
        }
    }

    async fn wait(&self, bytes: usize) {
        // A quarter of a second may be caught up: enough not to lose rate to the timer's coarseness.
        const BURST: Duration = Duration::from_millis(250);
        let now = Instant::now();
        let start = {
            let mut next = lock(&self.next);
            let start = next.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
            *next = Some(start + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.get() as f64));
            start
        };
        if start > now {
            tokio::time::sleep_until(start.into()).await;
        }
    }
}
