//! [`RestoreJob`], and the chain of backups that it restores.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use super::{JobContext, Target};
use crate::error::EngineError;
use crate::host::Host;
use crate::objects::{ObjectInfo, ObjectReader};
use crate::record::BackupRecord;
use crate::selection::Selection;
use crate::wire::{ObjectPage, Request};

/// A restore to be made.
#[derive(Debug, Clone)]
pub struct RestoreJob {
    context: JobContext,
    target: Target,
    overwrite: bool,
    selection: Selection,
    chain: Vec<ChainLink>,
}

impl RestoreJob {
    pub(super) fn new(
        context: JobContext,
        target: Target,
        overwrite: bool,
        selection: Selection,
        chain: Vec<BackupRecord>,
    ) -> Self {
        let chain = ChainLink::all(&context, chain);
        Self {
            context,
            target,
            overwrite,
            selection,
            chain,
        }
    }

    /// Where to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether what the target holds may be replaced. Without it, a target that is not empty is
    /// [`Refused`](crate::ErrorKind::Refused) before anything is changed.
    pub fn overwrite(&self) -> bool {
        self.overwrite
    }

    /// Which tables, and under which schema.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The full backup, and then its incrementals in order.
    pub fn chain(&self) -> &[ChainLink] {
        &self.chain
    }
}

impl Deref for RestoreJob {
    type Target = JobContext;

    fn deref(&self) -> &JobContext {
        &self.context
    }
}

/// A backup of a chain, with its objects.
#[derive(Debug, Clone)]
pub struct ChainLink {
    host: Arc<Host>,
    source: usize,
    record: BackupRecord,
}

impl ChainLink {
    pub(super) fn all(context: &JobContext, chain: Vec<BackupRecord>) -> Vec<Self> {
        let link = |(source, record)| Self {
            host: Arc::clone(&context.host),
            source,
            record,
        };
        chain.into_iter().enumerate().map(link).collect()
    }

    /// What is known of the backup.
    pub fn record(&self) -> &BackupRecord {
        &self.record
    }

    /// Its objects, in the order of their names' bytes. They are fetched as they are needed: a backup may have millions.
    pub fn objects(&self) -> Objects {
        Objects::new(&self.host, self.source)
    }

    /// Opens an object to read. Any number may be open, from any thread.
    ///
    /// # Errors
    /// There is none of that name, or the repository failed.
    pub fn open(&self, name: &str) -> Result<ObjectReader, EngineError> {
        ObjectReader::open(&self.host, self.source, name)
    }
}

/// The objects of a backup, one after the other.
#[derive(Debug)]
pub struct Objects {
    host: Arc<Host>,
    source: usize,
    page: VecDeque<ObjectInfo>,
    last: Option<String>,
    more: bool,
}

impl Objects {
    /// How many are fetched at once: some 100 KB of JSON.
    const PAGE: usize = 1000;

    pub(super) fn new(host: &Arc<Host>, source: usize) -> Self {
        Self {
            host: Arc::clone(host),
            source,
            page: VecDeque::new(),
            last: None,
            more: true,
        }
    }
}

impl Iterator for Objects {
    type Item = Result<ObjectInfo, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && self.more {
            let request = Request::Objects {
                source: self.source,
                after: self.last.take(),
                limit: Self::PAGE,
            };
            match self.host.ask::<ObjectPage>(&request) {
                Ok(page) => {
                    self.more = page.more && !page.objects.is_empty();
                    self.last = page.objects.last().map(|object| object.name.clone());
                    self.page = page.objects.into();
                }
                Err(error) => {
                    self.more = false;
                    return Some(Err(error));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}
