//! Where an archive goes on: after what is in the repository and in the spool.

use backstay_engine_api::{Position, ServerFacts};
use serde_json::Value;

use super::spool::Spool;
use crate::error::Result;
use crate::repository::logs::{follows, segment_number};
use crate::repository::{Repository, SegmentRecord, StreamRecord};

/// The end of what is archived.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    /// The log that it is the end of; `None` if there is none yet.
    pub(super) stream: Option<StreamRecord>,
    /// The number of its last segment; 0 if it has none.
    pub(super) number: u64,
    /// Where it ends. Without a stream: where the newest backup ends, for a log is of use from there.
    pub(super) to: Vec<Position>,
    /// The server that it was read from.
    pub(super) source: ServerFacts,
    /// The engine's own, of the last segment.
    pub(super) state: Value,
    /// Without a stream: that backup.
    pub(super) backup: Option<String>,
}

impl End {
    /// Of a stream without segments.
    pub(super) fn of_stream(record: StreamRecord, from: Vec<Position>) -> Self {
        Self {
            source: record.server.clone(),
            stream: Some(record),
            to: from,
            ..Self::default()
        }
    }

    pub(super) fn after(&mut self, record: &SegmentRecord) {
        self.number = segment_number(&record.segment.name).unwrap_or_default();
        self.to = record.segment.to.clone();
        self.source = record.source.clone();
        self.state = record.segment.state.clone();
    }

    /// What comes before it, for the record of a gap.
    pub(super) fn before(&self) -> String {
        match (&self.stream, &self.backup) {
            (Some(stream), _) => stream.id.clone(),
            (None, Some(backup)) => backup.clone(),
            (None, None) => String::new(),
        }
    }
}

/// Finds the end, and takes out of the spool what does not lead there: another archive of the cluster has gone on since.
pub(super) fn end(repository: &Repository, cluster: &str, spool: &mut Spool) -> Result<End> {
    let mut end = in_repository(repository, cluster)?;
    let mut there = 0;
    for stream in spool.streams() {
        // Its directory alone may be there: an attempt to make it was cut short, and is made again.
        if repository.stream_record(cluster, &stream.id)?.as_ref() != Some(stream) {
            break;
        }
        there += 1;
    }
    for _ in 0..there {
        spool.stream_done();
    }
    // A segment may have got there just before the process was killed.
    while let Some(first) = spool.first() {
        let record = &first.record;
        let published = repository.segment_record(cluster, &record.stream, &record.segment.name)?;
        if published.as_ref() != Some(record) {
            break;
        }
        spool.segment_done();
    }
    let newest = end.stream.as_ref().map(|newest| &newest.id);
    if spool
        .streams()
        .any(|stream| newest.is_some_and(|newest| *newest > stream.id))
    {
        tracing::warn!(
            "{} segments in {} are removed: another archive of the cluster has begun a newer log meanwhile",
            spool.len(),
            spool.directory().display()
        );
        spool.truncate(0, 0)?;
        return Ok(end);
    }
    let mut streams: Vec<StreamRecord> = spool.streams().cloned().collect();
    let (mut kept, mut kept_streams) = (0, 0);
    let mut apart = None;
    for waiting in spool.waiting() {
        let record = &waiting.record;
        if end.stream.as_ref().is_none_or(|stream| stream.id != record.stream) {
            // The streams up to its own, of which those before may have no segment.
            let Some(at) = streams.iter().position(|stream| stream.id == record.stream) else {
                apart = Some(format!("log {} is not known", record.stream));
                break;
            };
            let stream = streams.drain(..=at).next_back();
            kept_streams += at + 1;
            if let Some(stream) = stream {
                let from = stream.from.clone();
                end = End::of_stream(stream, from);
            }
        }
        let number = segment_number(&record.segment.name).unwrap_or_default();
        if number != end.number + 1 {
            apart = Some(format!(
                "expected segment {} of log {}, found {number}",
                end.number + 1,
                record.stream
            ));
            break;
        }
        if let Err(error) = follows(&end.to, &record.segment.from) {
            apart = Some(error.to_string());
            break;
        }
        end.after(record);
        kept += 1;
    }
    if let Some(why) = apart {
        tracing::warn!(
            "{} segments in {} do not follow on what is archived, and are removed: {why}",
            spool.len() - kept,
            spool.directory().display()
        );
    } else {
        kept_streams += streams.len();
        if let Some(stream) = streams.pop() {
            let from = stream.from.clone();
            end = End::of_stream(stream, from);
        }
    }
    spool.truncate(kept, kept_streams)?;
    Ok(end)
}

/// The end of what is in the repository.
fn in_repository(repository: &Repository, cluster: &str) -> Result<End> {
    for id in repository.stream_ids(cluster)?.into_iter().rev() {
        // A killed archive may have made its directory and no more.
        if let Some(end) = end_of(repository, cluster, &id)? {
            return Ok(end);
        }
    }
    newest_backup(repository, cluster)
}

fn end_of(repository: &Repository, cluster: &str, id: &str) -> Result<Option<End>> {
    let record = repository.stream_record(cluster, id)?;
    // What was not finished is at the end.
    for name in repository.segment_names(cluster, id)?.iter().rev() {
        let advice = format!(
            "move the directory of segment {name} of log {id} out of the repository: the archive goes on before it, if \
             the server still has what it held"
        );
        let segment = repository.segment_record(cluster, id, name);
        if let Some(segment) = segment.map_err(|error| error.advise(advice))? {
            let stream = StreamRecord {
                id: id.to_owned(),
                ..record.unwrap_or_default()
            };
            let mut end = End::of_stream(stream, Vec::new());
            end.after(&segment);
            return Ok(Some(end));
        }
    }
    Ok(record.map(|record| {
        let from = record.from.clone();
        End::of_stream(record, from)
    }))
}

/// Where the newest backup ends that has a place in the log, and from which a recovery can begin.
fn newest_backup(repository: &Repository, cluster: &str) -> Result<End> {
    let backups = repository.list(cluster)?.backups;
    let newest = backups
        .into_iter()
        .rev()
        .find(|backup| !backup.record.positions.is_empty() && !backup.record.partial);
    Ok(newest.map_or_else(End::default, |backup| End {
        to: backup.record.positions,
        source: backup.record.server,
        backup: Some(backup.record.id),
        ..End::default()
    }))
}

#[cfg(test)]
mod tests;
