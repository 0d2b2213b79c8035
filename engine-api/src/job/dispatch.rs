//! From a [`Call`] to an engine's method, and back to an [`Answer`].

use std::sync::Arc;

use super::{
    ArchiveJob, BackupJob, ChainLink, CheckJob, CleanJob, JobContext, ProbeJob, RecoverJob, RemoveJob, RestoreJob,
};
use crate::engine::Engine;
use crate::host::Host;
use crate::wire::{Answer, Call, JobSpec};

pub(crate) fn dispatch<E: Engine>(engine: &E, call: Call, host: &Arc<Host>) -> Answer {
    let context = |spec: JobSpec| JobContext::new(spec, host);
    match call {
        Call::Probe { job, server } => Answer::from_result(engine.probe(&ProbeJob {
            context: context(job),
            server,
        })),
        Call::FullBackup { job, server } => {
            Answer::from_result(engine.full_backup(&BackupJob::new(context(job), server)))
        }
        Call::IncrementalBackup { job, server, parent } => {
            Answer::from_result(engine.incremental_backup(&BackupJob::new(context(job), server), &parent))
        }
        Call::Restore {
            job,
            target,
            overwrite,
            selection,
            chain,
        } => {
            let job = RestoreJob::new(context(job), target, overwrite, selection, chain);
            Answer::from_result(engine.restore(&job))
        }
        Call::Recover {
            job,
            target,
            from,
            point,
            logs,
        } => Answer::from_result(engine.recover(&RecoverJob::new(context(job), target, from, point, logs))),
        Call::ArchiveLog {
            job,
            server,
            after,
            segment_bytes,
            segment_seconds,
        } => {
            let job = ArchiveJob::new(context(job), server, after, segment_bytes, segment_seconds);
            Answer::from_result(engine.archive_log(&job))
        }
        Call::Check { job, target, chain } => {
            let context = context(job);
            let chain = ChainLink::all(&context, chain);
            Answer::from_result(engine.check(&CheckJob { context, target, chain }))
        }
        Call::Clean {
            job,
            server,
            killed,
            sessions,
        } => Answer::from_result(engine.clean(&CleanJob {
            context: context(job),
            server,
            killed,
            sessions,
        })),
        Call::Remove { job, record } => Answer::from_result(engine.remove(&RemoveJob {
            context: context(job),
            record: *record,
        })),
    }
}
