//! [`Stored`]: an object's stored bytes in their order, digested, and where they go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use backstay_engine_api::EngineError;
use bytes::Bytes;

use super::budget::{Reservation, lock};
use super::digest::Digest;
use super::object::Object;
use super::place::{SMALL_BYTES, is_crowded};
use super::shared::{Shared, Work};
use super::upload::{StoreUpload, Upload};
use crate::repository::index::{Extent, IndexEntry};

/// While it may be small, its bytes are held. Then it is bundled or written, or gets a file of its own to go on in.
#[derive(Debug, Default)]
pub(super) struct Stored {
    held: Vec<Bytes>,
    held_bytes: usize,
    digest: Digest,
    /// Of the extent that is being written.
    length: u64,
    current: Option<(String, Upload)>,
    extents: Vec<Extent>,
}

impl Stored {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The next stored bytes.
    pub(super) fn put(
        &mut self,
        shared: &Arc<Shared>,
        object: &Object,
        bytes: Bytes,
        reservation: Reservation,
    ) -> Result<(), EngineError> {
        let length = bytes.len() as u64;
        let most = shared.options.max_file_bytes.map_or(u64::MAX, u64::from);
        if self.length > 0 && self.length + length > most {
            self.own_file(shared, object)?;
            self.end_file();
        }
        let alone = shared.open.load(Ordering::Relaxed) < 2;
        self.digest.update(bytes.clone(), &shared.desk, alone);
        self.length += length;
        if self.current.is_none() && self.extents.is_empty() {
            drop(reservation);
            self.held_bytes += bytes.len();
            shared.undecided.fetch_add(bytes.len(), Ordering::Relaxed);
            self.held.push(bytes);
            if self.held_bytes <= SMALL_BYTES && !is_crowded(shared, self.held_bytes) {
                return Ok(());
            }
            self.own_file(shared, object)
        } else {
            self.own_file(shared, object)?;
            if let Some((_, upload)) = &mut self.current {
                upload.put(bytes, reservation);
            }
            Ok(())
        }
    }

    /// Starts a file, unless one is being written, and puts into it what is held.
    fn own_file(&mut self, shared: &Arc<Shared>, object: &Object) -> Result<(), EngineError> {
        if self.current.is_some() {
            return Ok(());
        }
        let part = self.extents.len() as u32 + 1;
        // Files are counted when nothing is pending.
        let _pending = shared.pending(Work::Uploads);
        let file = lock(&shared.placement).file(object.name(), object.encoding(), part, false);
        let mut upload = Upload::start(shared, &file)?;
        for (bytes, reservation) in self.take_held(shared) {
            upload.put(bytes, reservation);
        }
        self.current = Some((file, upload));
        Ok(())
    }

    /// What was held, counted as on its way from now on.
    fn take_held(&mut self, shared: &Shared) -> Vec<(Bytes, Reservation)> {
        shared
            .undecided
            .fetch_sub(std::mem::take(&mut self.held_bytes), Ordering::Relaxed);
        let reserved = |bytes: Bytes| {
            let reservation = shared.in_flight.reserve_now(bytes.len());
            (bytes, reservation)
        };
        self.held.drain(..).map(reserved).collect()
    }

    fn end_file(&mut self) {
        if let Some((file, upload)) = self.current.take() {
            upload.end();
            self.end_extent(file, 0);
        }
    }

    fn end_extent(&mut self, file: String, offset: u64) {
        self.extents.push(Extent {
            file,
            offset,
            length: std::mem::take(&mut self.length),
            sha256: self.digest.finish(),
        });
    }

    /// There are no more bytes: places what is held, and adds the object to the index.
    pub(super) fn end(mut self, shared: &Arc<Shared>, object: &Object, size: u64) -> Result<(), EngineError> {
        if self.current.is_some() {
            self.end_file();
        } else if self.extents.is_empty() {
            self.place_small(shared, object)?;
        }
        let entry = IndexEntry {
            name: object.name().to_owned(),
            attributes: object.attributes().clone(),
            size,
            transforms: object.encoding().transforms(),
            extents: self.extents,
        };
        lock(&shared.index).push(&entry)?;
        shared.objects.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn place_small(&mut self, shared: &Arc<Shared>, object: &Object) -> Result<(), EngineError> {
        let mut placement = lock(&shared.placement);
        if placement.bundles() {
            let (file, offset) = placement.bundle(shared, &self.held)?;
            drop(placement);
            drop(self.take_held(shared));
            self.end_extent(file, offset);
        } else {
            let file = placement.file(object.name(), object.encoding(), 1, true);
            drop(placement);
            StoreUpload::whole(shared, &file, self.take_held(shared))?;
            self.end_extent(file, 0);
        }
        Ok(())
    }

    /// The object was thrown away. What is on its way is taken back; files that were closed before stay behind, in no
    /// index.
    pub(super) fn abandon(mut self, shared: &Arc<Shared>) {
        drop(self.take_held(shared));
        // Until the file is not counted any more.
        let _pending = shared.pending(Work::Uploads);
        if let Some((file, upload)) = self.current.take() {
            drop(upload);
            lock(&shared.placement).release(&file);
        }
    }
}
