//! What was found in the pages, for the operator.

use std::collections::{BTreeMap, BTreeSet};

use backstay_engine_api::{EngineError, ErrorKind, Notice};
use backstay_innodb::{Inspector, Unverified};
use serde::{Deserialize, Serialize};

use super::{Known, Noted, Pages};
use crate::source::Source;

/// How many damaged pages are named.
const NAMED: usize = 20;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    counts: Counts,
    /// A line for each damaged page.
    damaged: Vec<String>,
    /// The files that they are in.
    files: BTreeSet<String>,
    unverified: BTreeMap<Unverified, u64>,
}

/// How many pages were what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Looked at.
    pub(crate) read: u64,
    /// Of an incremental: taken, with their bytes.
    pub(crate) changed: u64,
    /// Of an incremental: zeros.
    pub(crate) zeros: u64,
    /// Being written at the instant; a copy makes them whole.
    pub(crate) torn: u64,
    /// Damaged.
    pub(crate) damaged: u64,
    /// Without a checksum that can be compared.
    pub(crate) unverified: u64,
}

impl Report {
    pub(super) fn taken(&mut self, pages: u64, zeros: u64) {
        self.counts.changed += pages;
        self.counts.zeros += zeros;
    }

    pub(super) fn inspected(&mut self, path: &str, inspector: &Inspector<'_>) {
        self.counts.read += inspector.pages;
        self.counts.torn += inspector.torn.len() as u64;
        for (why, count) in &inspector.unverified {
            *self.unverified.entry(*why).or_default() += count;
            self.counts.unverified += count;
        }
        for finding in &inspector.damaged {
            self.damage(path, &format!("page {}: {}", finding.number, finding.damage));
        }
    }

    pub(super) fn unreadable(&mut self, path: &str) {
        self.damage(path, "page 0: it is of no tablespace");
    }

    fn damage(&mut self, path: &str, what: &str) {
        self.counts.damaged += 1;
        self.files.insert(path.to_owned());
        if self.damaged.len() < NAMED {
            self.damaged.push(format!("{path}, {what}"));
        }
    }
}

impl Pages {
    /// What is to be noted for an incremental, and what the operator must know.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if pages are, unless they are allowed to be.
    pub(crate) fn finish(self, source: &Source, allowed: bool) -> Result<(Option<Noted>, Vec<Notice>), EngineError> {
        let report = self.report().take();
        let mut notices = Vec::new();
        if !report.damaged.is_empty() {
            let count = report.counts.damaged;
            let mut lines = report.damaged.clone();
            let more = count - lines.len() as u64;
            if more > 0 {
                lines.push(format!("and {more} more"));
            }
            let message = format!(
                "{count} pages are damaged in the server's own files: {}",
                lines.join("; ")
            );
            if !allowed {
                return Err(EngineError::new(ErrorKind::Damaged, message).advise(
                    "restore the tables from an earlier backup, or dump and load them; to back the files up as they are, set \
                     allow_damaged_pages",
                ));
            }
            notices.push(Notice::new("damaged-pages", message).about(joined(&report.files)));
        }
        if report.counts.unverified > 0 {
            let whys: Vec<String> = report
                .unverified
                .iter()
                .map(|(why, count)| format!("{count} {why}"))
                .collect();
            let text = format!(
                "{} of {} pages could not be verified: {}",
                report.counts.unverified,
                report.counts.read,
                whys.join(", ")
            );
            notices.push(Notice::new("pages-not-verified", text));
        }
        let unknown = self.unknown_redo.iter();
        notices.extend(unknown.map(|why| {
            Notice::new(
                "no-incrementals",
                format!("no incremental can stand on this backup: {why}"),
            )
        }));
        let Some(redo) = &self.redo else {
            return Ok((None, notices));
        };
        // A file with damage is taken whole the next time: what its pages say of themselves is not to be believed.
        let spaces = self.known.iter().filter_map(|(path, known)| match known {
            Known::Space { space, unique: true } if !report.files.contains(path) => Some((space.id, space.first)),
            _ => None,
        });
        let noted = Noted::new(redo, spaces, report.counts, self.plain.digests(), &source.data_dir)?;
        Ok((Some(noted), notices))
    }
}

impl Report {
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

fn joined(files: &BTreeSet<String>) -> String {
    let mut names: Vec<&str> = files.iter().take(NAMED).map(String::as_str).collect();
    if files.len() > NAMED {
        names.push("…");
    }
    names.join(" ")
}
