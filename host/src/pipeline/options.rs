//! [`SinkOptions`], [`Destination`].

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use backstay_engine_api::{EngineError, ErrorKind};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

/// Where a backup goes to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The backup's directory in it.
    pub base: Path,
    /// The store's own directory, where its files are this machine's: they are written without it then.
    pub root: Option<PathBuf>,
}

/// How objects are compressed that an engine does not want stored as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Frames of zstd.
    #[default]
    Zstd,
    /// Not at all.
    None,
}

/// Whether small objects share files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bundling {
    /// From the start when many objects are announced, else when there are many small files.
    #[default]
    Auto,
    /// Each object has a file of its own.
    Never,
    /// All small objects.
    Always,
}

/// How a backup is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkOptions {
    /// How it is compressed.
    pub compression: Compression,
    /// zstd's level, 1 to 19. The highest need some 80 MiB for each thread beyond the budget.
    pub level: i32,
    /// How many threads compress; at least 1.
    pub threads: usize,
    /// How much memory the bytes on their way may take.
    pub memory_bytes: usize,
    /// How many plain bytes are compressed at once, at most. Fewer where many objects are open.
    pub frame_bytes: usize,
    /// Whether small objects share files.
    pub bundling: Bundling,
    /// An object goes on in another file beyond this size. `None` for stores whose files may be as large as they like.
    pub max_file_bytes: Option<NonZeroU64>,
    /// Stored bytes per second, at most.
    pub throttle: Option<NonZeroU64>,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            compression: Compression::Zstd,
            level: 3,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: 96 << 20,
            frame_bytes: 4 << 20,
            bundling: Bundling::Auto,
            max_file_bytes: None,
            throttle: None,
        }
    }
}

/// Least memory that still holds two frames of a useful size and what is undecided.
const MIN_MEMORY: usize = 8 << 20;

impl SinkOptions {
    /// How much of the budget frames may take that are being filled.
    pub(super) fn filling_bytes(&self) -> usize {
        self.memory_bytes / 4
    }

    /// How much of the budget may be between a writer and the store.
    pub(super) fn in_flight_bytes(&self) -> usize {
        self.memory_bytes / 2
    }

    /// How much of the budget small objects may take of which it is not known yet whether they stay small.
    pub(super) fn undecided_bytes(&self) -> usize {
        self.memory_bytes / 4
    }

    pub(super) fn check(&self) -> Result<(), EngineError> {
        let usage = |what: String| Err(EngineError::new(ErrorKind::Usage, what));
        if !(1..=19).contains(&self.level) {
            return usage(format!("compression level: expected 1 to 19, found {}", self.level));
        }
        if self.threads == 0 {
            return usage("compression threads: expected at least 1, found 0".to_owned());
        }
        if self.memory_bytes < MIN_MEMORY {
            return usage(format!(
                "memory budget: expected at least {MIN_MEMORY} bytes, found {}",
                self.memory_bytes
            ));
        }
        if !(1 << 10..=1 << 27).contains(&self.frame_bytes) {
            return usage(format!(
                "frame size: expected 1 KiB to 128 MiB, found {} bytes",
                self.frame_bytes
            ));
        }
        Ok(())
    }
}
