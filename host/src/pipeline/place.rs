//! Where objects are stored: in a file of their own, or in a bundle with others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use backstay_engine_api::EngineError;
use bytes::Bytes;

use super::options::Bundling;
use super::shared::Shared;
use super::upload::StoreUpload;
use crate::repository::index::Encoding;
use crate::repository::names::Files;

/// An object of up to this many stored bytes is small.
pub(super) const SMALL_BYTES: usize = 1 << 20;

/// A backup of up to this many small files is a directory that other programs load; beyond, small objects are bundled. Each
/// file costs a sync before the backup is listed: so many together, some seconds on a slow disk.
const LOADABLE_FILES: u64 = 1_000;

/// A bundle is closed when it is this large.
const BUNDLE_BYTES: u64 = 64 << 20;

/// How much of a bundle is gathered before it is written.
const GATHERED_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Placement {
    bundling: Bundling,
    many: bool,
    claims: Files,
    files: u64,
    small_files: u64,
    bundles: u64,
    bundle: Option<Bundle>,
}

#[derive(Debug)]
struct Bundle {
    file: String,
    length: u64,
    gathered: Vec<u8>,
    upload: StoreUpload,
}

impl Bundle {
    fn flush(&mut self, shared: &Shared) {
        let gathered = Bytes::from(std::mem::take(&mut self.gathered));
        let reservation = shared.in_flight.reserve_now(gathered.len());
        self.upload.put(gathered, reservation);
    }
}

impl Placement {
    pub(super) fn new(bundling: Bundling) -> Self {
        Self {
            bundling,
            many: false,
            claims: Files::new(),
            files: 0,
            small_files: 0,
            bundles: 0,
            bundle: None,
        }
    }

    /// So many objects will come.
    pub(super) fn expect(&mut self, objects: u64) {
        self.many |= objects > LOADABLE_FILES;
    }

    /// Whether the next small object goes into a bundle.
    pub(super) fn bundles(&self) -> bool {
        match self.bundling {
            Bundling::Never => false,
            Bundling::Always => true,
            Bundling::Auto => self.many || self.small_files >= LOADABLE_FILES,
        }
    }

    /// A file for an object of its own, or for a further part of it.
    pub(super) fn file(&mut self, name: &str, encoding: Encoding, part: u32, small: bool) -> String {
        self.files += 1;
        self.small_files += u64::from(small);
        self.claims.claim(name, encoding, part)
    }

    /// A file that will not be written after all.
    pub(super) fn release(&mut self, file: &str) {
        self.files -= 1;
        self.claims.release(file);
    }

    /// Adds a small object to the open bundle: the file, and where in it.
    pub(super) fn bundle(&mut self, shared: &Arc<Shared>, content: &[Bytes]) -> Result<(String, u64), EngineError> {
        let bundle = match &mut self.bundle {
            Some(bundle) => bundle,
            none => {
                let file = Files::bundle(self.bundles);
                let upload = StoreUpload::start(shared, &file)?;
                self.bundles += 1;
                self.files += 1;
                none.insert(Bundle {
                    file,
                    length: 0,
                    gathered: Vec::with_capacity(2 * GATHERED_BYTES),
                    upload,
                })
            }
        };
        let place = (bundle.file.clone(), bundle.length);
        for bytes in content {
            bundle.gathered.extend_from_slice(bytes);
            bundle.length += bytes.len() as u64;
        }
        if bundle.gathered.len() >= GATHERED_BYTES {
            bundle.flush(shared);
        }
        if bundle.length >= BUNDLE_BYTES {
            self.end_bundle(shared);
        }
        Ok(place)
    }

    /// Closes the open bundle, if there is one.
    pub(super) fn end_bundle(&mut self, shared: &Shared) {
        if let Some(mut bundle) = self.bundle.take() {
            bundle.flush(shared);
            bundle.upload.end();
        }
    }

    /// Takes back the open bundle.
    pub(super) fn abandon(&mut self) {
        self.bundle = None;
    }

    /// How many files there are.
    pub(super) fn files(&self) -> u64 {
        self.files
    }
}

/// Whether an object that holds this many bytes should not wait any longer to be small: so many objects are open that all
/// of them together would take too much memory.
pub(super) fn is_crowded(shared: &Shared, held: usize) -> bool {
    let limit = shared.options.undecided_bytes();
    shared.undecided.load(Ordering::Relaxed) > limit && held > limit / shared.open.load(Ordering::Relaxed).max(1)
}
