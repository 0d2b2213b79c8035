//! From a [`Call`] to an engine's method, and back to an [`Answer`].

use std::sync::Arc;

use super::{
    ArchiveJob, BackupJob, ChainLink, CheckJob, CleanJob, CompareJob, JobContext, ProbeJob, RecoverJob, RemoveJob,
    RestoreJob, ServeJob,
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
            source,
        } => Answer::from_result(engine.recover(&RecoverJob::new(context(job), target, from, point, logs, source))),
        Call::ArchiveLog { job, server, archive } => {
            Answer::from_result(engine.archive_log(&ArchiveJob::new(context(job), server, archive)))
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
        Call::Serve {
            job,
            data_dir,
            programs,
            source,
        } => Answer::from_result(engine.serve(&ServeJob {
            context: context(job),
            data_dir,
            programs,
            source,
        })),
        Call::Compare {
            job,
            server,
            tables,
            rows,
        } => Answer::from_result(engine.compare(&CompareJob {
            context: context(job),
            server,
            tables,
            rows,
        })),
    }
}
