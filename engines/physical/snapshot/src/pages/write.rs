//! A file of InnoDB's into an object.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::PoisonError;

use backstay_engine_api::{Attributes, BackupJob, EngineError, ObjectWriter, Storage};
use backstay_innodb::{Inspector, PIECE, Space, delta};
use serde_json::json;

use super::{FIRST, KEPT, Known, LOG, PAGES, Pages, REDO, SPACE, unread};
use crate::stream::{Item, holes, with_holes, write_with_holes};

impl Pages {
    /// Writes a file into an object of its path's name.
    ///
    /// # Errors
    /// It can not be read, the repository failed, or the job is cancelled. Damaged pages are noted, and no error yet.
    pub(crate) fn write(
        &self,
        job: &BackupJob,
        root: &Path,
        item: &Item,
        attributes: Attributes,
        buffer: &mut [u8],
    ) -> Result<(), EngineError> {
        let Some(known) = self.known.get(&item.path) else {
            return self.plain(job, root, item, attributes, buffer);
        };
        let mut unseen = |_: &[u8]| {};
        match known {
            Known::Space { space, unique } => self.space(job, root, item, attributes, *space, *unique, buffer),
            // Whole: what it was in the parent is nowhere noted, and nothing says which of its pages have changed.
            Known::Unreadable => {
                self.report().unreadable(&item.path);
                let holes = File::open(root.join(&item.path))
                    .and_then(|file| holes(&file, item.size))
                    .map_err(|error| unread(root, &item.path, &error))?;
                write_with_holes(job, root, item, attributes, holes, buffer, &mut unseen)
            }
            Known::Redo { start, needed, kept } => {
                let holes = between(&without(needed, kept), item.size);
                let mut attributes = attributes;
                if let Some(start) = start {
                    attributes = attributes.with(LOG, json!([start, item.size]));
                }
                if !kept.is_empty() {
                    attributes.kind = Some(REDO.to_owned());
                    let kept: Vec<(u64, u64)> = kept
                        .iter()
                        .map(|range| (range.start, range.end - range.start))
                        .collect();
                    attributes = attributes.with(KEPT, json!(kept));
                }
                write_with_holes(job, root, item, attributes, holes, buffer, &mut unseen)
            }
            Known::Copies(spent) => {
                let holes = spent
                    .iter()
                    .map(|range| (range.start, range.end - range.start))
                    .collect();
                write_with_holes(job, root, item, attributes, holes, buffer, &mut unseen)
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what a file is and where it goes")]
    fn space(
        &self,
        job: &BackupJob,
        root: &Path,
        item: &Item,
        mut attributes: Attributes,
        space: Space,
        unique: bool,
        buffer: &mut [u8],
    ) -> Result<(), EngineError> {
        job.check_cancelled()?;
        job.doing(format!("reading {}", item.path));
        let failed = |error: io::Error| match error.downcast::<EngineError>() {
            Ok(error) => error,
            Err(error) => unread(root, &item.path, &error),
        };
        let file = File::open(root.join(&item.path)).map_err(failed)?;
        let mut inspector = Inspector::new(space, &self.doublewrite, self.redo.as_ref());
        if unique {
            attributes = attributes.with(SPACE, space.id);
            if space.first != 0 {
                attributes = attributes.with(FIRST, space.first);
            }
        }
        let parent = self.parent.as_ref().filter(|parent| unique && parent.has(&space));
        if let Some(parent) = parent {
            attributes.kind = Some(PAGES.to_owned());
            let mut object = job.create(&item.path, attributes, Storage::Compress)?;
            let mut into = Into {
                job,
                object: &mut object,
            };
            let taken = delta::write(&file, item.size, parent.checkpoint, &mut inspector, &mut into).map_err(failed)?;
            object.finish()?;
            self.report().taken(taken.pages, taken.zeros);
        } else {
            let attributes = with_holes(attributes, &holes(&file, item.size).map_err(failed)?);
            let mut object = job.create(&item.path, attributes, Storage::Compress)?;
            let buffer = &mut buffer[..PIECE];
            let mut at = 0;
            while at < item.size {
                job.check_cancelled()?;
                let wanted = usize::try_from(item.size - at).unwrap_or(PIECE).min(PIECE);
                let piece = &mut buffer[..wanted];
                file.read_exact_at(piece, at).map_err(failed)?;
                inspector.blank(at / space.layout.page_size as u64, piece);
                inspector
                    .piece(at / space.layout.page_size as u64, piece)
                    .map_err(failed)?;
                object.write_all(piece)?;
                at += wanted as u64;
            }
            object.finish()?;
        }
        self.report().inspected(&item.path, &inspector);
        Ok(())
    }

    pub(super) fn report(&self) -> std::sync::MutexGuard<'_, super::Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of ranges is in none of others; both in order.
fn without(ranges: &[Range<u64>], others: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    for range in ranges {
        let mut from = range.start;
        for other in others
            .iter()
            .filter(|other| other.end > range.start && other.start < range.end)
        {
            if other.start > from {
                left.push(from..other.start);
            }
            from = from.max(other.end);
        }
        if from < range.end {
            left.push(from..range.end);
        }
    }
    left
}

/// What lies between ranges of a file, as offsets and lengths.
fn between(ranges: &[Range<u64>], size: u64) -> Vec<(u64, u64)> {
    let starts = ranges.iter().map(|range| range.start).chain([size]);
    let ends = [0].into_iter().chain(ranges.iter().map(|range| range.end));
    ends.zip(starts)
        .filter(|(end, start)| start > end)
        .map(|(end, start)| (end, start - end))
        .collect()
}

/// An object, written until the job is cancelled.
struct Into<'a> {
    job: &'a BackupJob,
    object: &'a mut ObjectWriter,
}

impl io::Write for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.job.check_cancelled()?;
        self.object.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_a_hole() {
        assert_eq!(between(&[], 100), [(0, 100)]);
        assert_eq!(between(&[0..10, 30..40], 100), [(10, 20), (40, 60)]);
        assert_eq!(between(&[], 0), []);
    }

    #[test]
    fn what_the_parent_has_is_left_out() {
        let needed = [0..10, 20..40];
        assert_eq!(without(&needed, &[]), needed);
        assert_eq!(without(&needed, &[20..30, 35..36]), [0..10, 30..35, 36..40]);
        assert_eq!(without(&needed, &[22..24, 30..40]), [0..10, 20..22, 24..30]);
        assert_eq!(without(&needed, &needed), []);
    }
}
