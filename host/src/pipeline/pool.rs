//! The threads that compress.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use backstay_engine_api::{EngineError, ErrorKind};
use bytes::Bytes;

use super::budget::{Reservation, lock};
use super::compress::Compressor;
use super::object::Object;
use super::shared::Shared;

/// A frame to be compressed, or to be stored as it is.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) object: Arc<Object>,
    pub(super) number: u64,
    pub(super) plain: Vec<u8>,
    pub(super) reservation: Reservation,
}

/// They end when it is dropped, after the frames that they have.
#[derive(Debug)]
pub(super) struct Pool {
    frames: Option<Sender<Frame>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, EngineError> {
        let (frames, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut pool = Self {
            frames: Some(frames),
            threads: Vec::new(),
        };
        for number in 0..shared.options.threads {
            let (shared, receiver) = (Arc::clone(shared), Arc::clone(&receiver));
            let mut compressor = Compressor::new(shared.options.level)
                .map_err(|error| EngineError::new(ErrorKind::Io, "zstd could not be set up").because(&error))?;
            let thread = thread::Builder::new()
                .name(format!("compress-{number}"))
                .spawn(move || work(&shared, &receiver, &mut compressor))
                .map_err(|error| {
                    EngineError::new(ErrorKind::Io, "a thread to compress with could not be started").because(&error)
                })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Waits for the frames that it has, and ends the threads.
    pub(super) fn stop(&mut self) {
        self.frames = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    pub(super) fn submit(&self, frame: Frame) {
        if let Some(frames) = &self.frames {
            // The threads outlive the sender.
            let _ = frames.send(frame);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(shared: &Arc<Shared>, frames: &Mutex<Receiver<Frame>>, compressor: &mut Compressor) {
    loop {
        let Ok(frame) = lock(frames).recv() else { return };
        let Frame {
            object,
            number,
            plain,
            mut reservation,
        } = frame;
        let stored = if shared.failed() || object.is_discarded() {
            shared.recycle(plain);
            Bytes::new()
        } else if object.encoding().is_compressed() {
            match compressor.make(&plain, object.name(), object.attributes(), &shared.choices) {
                Ok(stored) => {
                    shared.recycle(plain);
                    stored
                }
                Err(error) => {
                    shared.fail(
                        EngineError::new(
                            ErrorKind::Io,
                            format!("object {:?} could not be compressed", object.name()),
                        )
                        .because(&error),
                    );
                    return;
                }
            }
        } else {
            lent(shared, plain)
        };
        reservation.shrink(stored.len());
        object.advance(shared, number, stored, reservation);
    }
}

/// A frame that is stored as it is.
pub(super) fn lent(shared: &Arc<Shared>, buffer: Vec<u8>) -> Bytes {
    Bytes::from_owner(Lent {
        buffer,
        shared: Arc::clone(shared),
    })
}

/// A frame's buffer on its way to the store as it is; another frame gets it afterwards.
struct Lent {
    buffer: Vec<u8>,
    shared: Arc<Shared>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shared.recycle(std::mem::take(&mut self.buffer));
    }
}
