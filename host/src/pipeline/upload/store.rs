//! [`StoreUpload`]: a file on its way to any store. A task for each takes what there is and writes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use backstay_engine_api::{EngineError, ErrorKind};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::super::budget::Reservation;
use super::super::fault::store_error;
use super::super::shared::{Pending, Shared, Work};
use crate::repository::names;

/// How much is gathered for one write, at most. What is there is written at once: a task that sat on bytes would sit on their share of
/// the memory.
const PART_BYTES: usize = 4 << 20;

#[derive(Debug)]
enum Message {
    Bytes(Bytes, Reservation),
    End,
}

/// Dropped before its end, it takes back what is there.
#[derive(Debug)]
pub(in crate::pipeline) struct StoreUpload {
    messages: UnboundedSender<Message>,
}

impl StoreUpload {
    /// Starts a file of the backup. An error of its own makes the sink fail.
    pub(in crate::pipeline) fn start(shared: &Arc<Shared>, file: &str) -> Result<Self, EngineError> {
        let (messages, receiver) = unbounded_channel();
        spawn(shared, file, receiver)?;
        Ok(Self { messages })
    }

    /// A small file as a whole: the task finds its end with its bytes, so that the store gets it in one request.
    pub(in crate::pipeline) fn whole(
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
        spawn(shared, file, receiver)
    }

    /// The next bytes. They are counted by their reservation until they are stored.
    pub(in crate::pipeline) fn put(&self, bytes: Bytes, reservation: Reservation) {
        // A task that is gone has made the sink fail, which says why.
        let _ = self.messages.send(Message::Bytes(bytes, reservation));
    }

    /// The file is whole.
    pub(in crate::pipeline) fn end(self) {
        let _ = self.messages.send(Message::End);
    }
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
