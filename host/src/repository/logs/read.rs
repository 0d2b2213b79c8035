//! Reading the logs that there are.

use backstay_engine_api::job::Segment;
use futures_util::{StreamExt, stream};
use object_store::path::Path;

use super::super::index::Index;
use super::super::manifest::hex;
use super::super::{Repository, layout};
use super::record::{Sealed, damaged, digest_file};
use super::{SEGMENT, STREAM, SegmentRecord, Stream, StreamRecord, segment_number};
use crate::{Error, Result};

/// How many records are read at once.
const READS: usize = 16;

impl Repository {
    /// The archived logs of a cluster, the oldest first.
    ///
    /// # Errors
    /// The repository can not be read. What is damaged is no error here: it is in [`Stream::damaged`].
    pub fn logs(&self, cluster: &str) -> Result<Vec<Stream>> {
        let ids = self.stream_ids(cluster)?;
        ids.into_iter().map(|id| self.log(cluster, &id)).collect()
    }

    /// The ids of a cluster's logs, the oldest first.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn stream_ids(&self, cluster: &str) -> Result<Vec<String>> {
        self.wait(self.store.directory_names(&layout::logs(cluster)?))
    }

    /// An archived log.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn log(&self, cluster: &str, id: &str) -> Result<Stream> {
        let mut damaged = Vec::new();
        let record = match self.stream_record(cluster, id) {
            Ok(Some(record)) => record,
            Ok(None) => StreamRecord::unknown(cluster, id),
            Err(error) => {
                damaged.push((STREAM.to_owned(), error));
                StreamRecord::unknown(cluster, id)
            }
        };
        let mut segments = Vec::new();
        for (name, record) in self.segment_records(cluster, id)? {
            match record {
                Ok(record) => segments.push(record.into_segment()),
                Err(error) => damaged.push((name, error)),
            }
        }
        Ok(Stream {
            id: id.to_owned(),
            record,
            segments,
            damaged,
        })
    }

    /// The record of a stream; `None` where there is none.
    ///
    /// # Errors
    /// It is damaged, of a newer format, or can not be read.
    pub fn stream_record(&self, cluster: &str, id: &str) -> Result<Option<StreamRecord>> {
        self.wait(self.unseal(&layout::stream(cluster, id)?))
    }

    /// The record of a segment; `None` where there is no such segment, or none that is whole.
    ///
    /// # Errors
    /// It is damaged, of a newer format, or can not be read.
    pub fn segment_record(&self, cluster: &str, stream: &str, name: &str) -> Result<Option<SegmentRecord>> {
        let directory = layout::segment(cluster, stream, name)?;
        let record: Option<SegmentRecord> = self.wait(self.unseal(&directory))?;
        match record {
            Some(record) if (record.stream.as_str(), record.segment.name.as_str()) != (stream, name) => {
                Err(damaged(format!(
                    "{directory}/{SEGMENT} is the record of another segment: {} of {}",
                    record.segment.name, record.stream
                )))
            }
            record => Ok(record),
        }
    }

    /// The names of a stream's segments in order, those included of which no record is there.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn segment_names(&self, cluster: &str, stream: &str) -> Result<Vec<String>> {
        let names = self.wait(self.store.directory_names(&layout::stream(cluster, stream)?))?;
        Ok(names
            .into_iter()
            .filter(|name| segment_number(name).is_some())
            .collect())
    }

    /// Each segment of a stream that is whole, by name, and its record, or what is wrong with that.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn segment_records(&self, cluster: &str, id: &str) -> Result<Vec<(String, Result<SegmentRecord>)>> {
        let directory = layout::stream(cluster, id)?;
        let names = self.segment_names(cluster, id)?;
        let read = stream::iter(names).map(|name| async {
            let record: Result<Option<SegmentRecord>> = self.unseal(&directory.clone().join(name.as_str())).await;
            (name, record)
        });
        let read: Vec<_> = self.wait(read.buffered(READS).collect());
        let whole = read.into_iter().filter_map(|(name, record)| match record {
            Ok(Some(record)) if record.segment.name != name => {
                let message = format!("{directory}/{name}/{SEGMENT} is the record of another segment");
                Some((name, Err(damaged(message))))
            }
            Ok(Some(record)) => Some((name, Ok(record))),
            Ok(None) => None,
            Err(error) => Some((name, Err(error))),
        });
        Ok(whole.collect())
    }

    /// The index of a segment's objects.
    ///
    /// # Errors
    /// It is missing or damaged, or can not be read.
    pub fn segment_index(&self, record: &SegmentRecord) -> Result<Index> {
        let directory = layout::segment(&record.cluster, &record.stream, &record.segment.name)?;
        let path = directory.join(layout::INDEX);
        let Some(bytes) = self.wait(self.store.read(&path))? else {
            return Err(damaged(format!("{path} is missing")));
        };
        if hex(&bytes) != record.index.sha256 {
            return Err(damaged(format!(
                "{path} is damaged: SHA-256 {}, expected {}",
                hex(&bytes),
                record.index.sha256
            )));
        }
        Index::read(bytes.as_slice())
    }

    /// The index of the objects of a segment that must be there.
    ///
    /// # Errors
    /// It is not there, damaged, or can not be read.
    pub fn read_segment_index(&self, cluster: &str, stream: &str, name: &str) -> Result<Index> {
        let record = self.segment_record(cluster, stream, name)?;
        let record = record.ok_or_else(|| damaged(format!("segment {name} of log {stream} is missing")))?;
        self.segment_index(&record)
    }

    pub(super) async fn unseal<T: Sealed>(&self, directory: &Path) -> Result<Option<T>> {
        let path = directory.clone().join(T::FILE);
        let Some(text) = self.store.read(&path).await? else {
            return Ok(None);
        };
        let digest = self.store.read(&directory.clone().join(digest_file::<T>())).await?;
        match digest {
            Some(digest) => T::unseal(path.as_ref(), &text, &digest).map(Some),
            None => Err(damaged(format!(
                "{}.sha256 is missing, so the record beside it can not be trusted",
                path
            ))),
        }
    }
}

impl StreamRecord {
    /// Of a stream whose record is lost: its segments speak for themselves.
    fn unknown(cluster: &str, id: &str) -> Self {
        Self {
            format: Self::FORMAT,
            id: id.to_owned(),
            cluster: cluster.to_owned(),
            ..Self::default()
        }
    }
}

impl SegmentRecord {
    /// What planners and engines need of it.
    pub fn into_segment(self) -> Segment {
        self.segment
    }
}

/// The error of a stream that is not there.
pub(super) fn no_stream(cluster: &str, id: &str) -> Error {
    Error::new(
        crate::ErrorKind::Usage,
        format!("there is no archived log {id} of cluster {cluster}"),
    )
    .advise("`backstay archive --status` shows those that there are")
}
