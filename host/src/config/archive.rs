//! `[archive]`: how logs are archived.

use std::path::PathBuf;
use std::time::Duration;

use super::repository::read_level;
use super::section::Section;

/// How logs are archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// `segment_size`, unless a workflow has its own: a segment is closed at this size, in bytes.
    pub segment_size: u64,
    /// `segment_age`, unless a workflow has its own: a segment is closed at this age.
    pub segment_age: Duration,
    /// `level`, unless a workflow has its own: zstd's, 1 to 19. 1 if it is not set, for a log is compressed while its server writes it.
    pub level: i32,
    /// `spool`: where segments wait while the repository is away. `None` for where the system keeps such things.
    pub spool: Option<PathBuf>,
    /// `spool_size`: how much may wait there, in bytes.
    pub spool_size: u64,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            segment_size: 16 << 20,
            segment_age: Duration::from_secs(10),
            level: 1,
            spool: None,
            spool_size: 4 << 30,
        }
    }
}

pub(super) fn read(root: &mut Section<'_>) -> ArchiveConfig {
    let defaults = ArchiveConfig::default();
    let Some(mut section) = root.section("archive") else {
        return defaults;
    };
    let config = ArchiveConfig {
        segment_size: section.size("segment_size").unwrap_or(defaults.segment_size),
        segment_age: section.duration("segment_age").unwrap_or(defaults.segment_age),
        level: read_level(&mut section).unwrap_or(defaults.level),
        spool: section.path("spool"),
        spool_size: section.size("spool_size").unwrap_or(defaults.spool_size),
    };
    section.finish();
    config
}
