//! `backstay archive`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::output::{self, size};
use super::{engine_options, list};
use crate::config::{Config, Workflow, parse_duration, parse_size};
use crate::error::{ExitCode, Result};
use crate::jobs::archive::{Archived, LogStatus, Request, Running, State, Status};
use crate::pipeline::SinkOptions;

/// The engine that archives if none is named.
const ENGINE: &str = "binlog";

/// Archives a cluster's log without end, so that any point of it can be recovered. Ends with Ctrl-C or SIGTERM, when what was
/// read is published; exits 1 if it found a gap in the log.
#[derive(Debug, Args)]
pub(super) struct Archive {
    /// The cluster; may be left out with a workflow, or if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// A workflow, which says cluster, engine and options
    #[arg(long, value_name = "NAME", conflicts_with = "engine")]
    workflow: Option<String>,
    /// The engine [default: binlog]
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// Read from this member, and not from the one that suits best
    #[arg(long, value_name = "NAME")]
    member: Option<String>,
    /// An option of the engine's; may be given again
    #[arg(long = "option", short = 'o', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Close a segment at this size, such as 16MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    segment_size: Option<u64>,
    /// Close a segment at this age, such as 10s: what can be lost is what was written since
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    segment_age: Option<Duration>,
    /// Stop once the archive has what the server's log has
    #[arg(long)]
    once: bool,
    /// Show how the archive stands, and do nothing; exits 1 if a full backup has to mend a gap
    #[arg(long, conflicts_with_all = ["once", "engine", "member", "options", "segment_size", "segment_age"])]
    status: bool,
}

impl Archive {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        if self.status {
            return self.show_status(context);
        }
        let host = context.host(Stoppable::ByJob)?;
        let request = self.request(&host.config)?;
        let mut display = context.display();
        let archived = host.archive(&request, &mut display);
        drop(display);
        let archived = archived?;
        if context.json() {
            output::print_json(&archived_json(&archived))?;
        } else {
            output::print(&archived_text(&archived))?;
        }
        Ok(if archived.gaps.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Failed
        })
    }

    fn show_status(&self, context: &Context) -> Result<ExitCode> {
        let host = context.host(Stoppable::AtOnce)?;
        let workflow = self.workflow(&host.config)?;
        let cluster = self.cluster(&host.config, workflow)?;
        let status = host.archive_status(&cluster, &spool(&host.config)?)?;
        if context.json() {
            output::print_json(&status)?;
        } else {
            output::print(&status_text(&status))?;
        }
        Ok(if status.unmended_gap {
            ExitCode::Failed
        } else {
            ExitCode::Done
        })
    }

    fn workflow<'a>(&self, config: &'a Config) -> Result<Option<&'a Workflow>> {
        Ok(self.workflow.as_deref().map(|name| config.workflow(name)).transpose()?)
    }

    fn cluster(&self, config: &Config, workflow: Option<&Workflow>) -> Result<String> {
        match workflow {
            Some(workflow) => super::backup::cluster_of(self.cluster.as_deref(), workflow),
            None => list::cluster_or_only(self.cluster.as_deref(), config),
        }
    }

    fn request(&self, config: &Config) -> Result<Request> {
        let workflow = self.workflow(config)?;
        let base = workflow.map(|workflow| workflow.options.clone()).unwrap_or_default();
        let engine = self.engine.as_deref().or(workflow.map(|w| w.engine.as_str()));
        let archive = &config.archive;
        Ok(Request {
            cluster: self.cluster(config, workflow)?,
            workflow: self.workflow.clone(),
            engine: engine.unwrap_or(ENGINE).to_owned(),
            options: engine_options(&self.options, base)?,
            member: self.member.clone(),
            segment_bytes: self
                .segment_size
                .or(workflow.and_then(|w| w.segment_size))
                .unwrap_or(archive.segment_size),
            segment_age: self
                .segment_age
                .or(workflow.and_then(|w| w.segment_age))
                .unwrap_or(archive.segment_age),
            once: self.once,
            spool: spool(config)?,
            spool_bytes: archive.spool_size,
            threads: workflow.and_then(|w| w.threads),
            sink: SinkOptions {
                compression: workflow
                    .and_then(|w| w.compression)
                    .unwrap_or(config.repository.compression),
                level: workflow.and_then(|w| w.level).unwrap_or(archive.level),
                ..SinkOptions::default()
            },
        })
    }
}

/// The directory of all spools: the configured one, or where the system keeps what programs keep between two runs.
pub(super) fn spool(config: &Config) -> Result<PathBuf> {
    if let Some(spool) = &config.archive.spool {
        return Ok(spool.clone());
    }
    let from = |variable: &str| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // systemd's StateDirectory=, the base directories of the desktop's specification, and the system's own.
    Ok(from("STATE_DIRECTORY")
        .or_else(|| from("XDG_STATE_HOME").map(|state| state.join("backstay")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/backstay-archive"))
        .join("spool"))
}

fn archived_json(archived: &Archived) -> serde_json::Value {
    json!({
        "archived": {
            "log": archived.stream,
            "segments": archived.segments,
            "transactions": archived.transactions,
            "bytes": archived.bytes,
            "to": archived.to,
            "waiting_segments": archived.waiting,
            "gaps": archived.gaps,
        }
    })
}

fn archived_text(archived: &Archived) -> String {
    let mut text = format!(
        "archived {} transactions, {}, in {} segments\n",
        archived.transactions,
        size(archived.bytes),
        archived.segments
    );
    if let Some(stream) = &archived.stream {
        let to: Vec<String> = archived.to.iter().map(ToString::to_string).collect();
        text.push_str(&format!("log {stream} ends at {}\n", to.join(", ")));
    }
    for gap in &archived.gaps {
        text.push_str(&format!(
            "GAP after {}: {}; take a full backup\n",
            gap.before, gap.missing
        ));
    }
    text
}

fn status_text(status: &Status) -> String {
    let mut text = String::new();
    match (&status.holder, &status.process) {
        (Some(holder), process) => {
            text.push_str(&format!("the log of {} is archived by {holder}\n", status.cluster));
            match process {
                Some(process) => text.push_str(&process_text(process)),
                None => text.push_str("  how it stands is known on its machine\n"),
            }
        }
        (None, Some(process)) if process.state != State::Stopped => text.push_str(&format!(
            "the log of {} is NOT archived: the last archive died, and was alive at {}\n",
            status.cluster, process.updated
        )),
        (None, _) => text.push_str(&format!("the log of {} is not archived now\n", status.cluster)),
    }
    if status.logs.is_empty() {
        text.push_str("there is no archived log\n");
    }
    for log in &status.logs {
        text.push_str(&log_text(log));
    }
    if status.unmended_gap {
        text.push_str("a full backup has to be taken: nothing older can be recovered beyond the gap\n");
    }
    text
}

fn process_text(process: &Running) -> String {
    let doing = match process.state {
        State::Starting => "is starting",
        State::Following => "follows the log",
        State::Retrying => "can not go on, and tries again",
        State::SpoolFull => "does NOT read: the repository is away and the spool is full",
        State::Stopped => "has ended",
    };
    let lag = match process.lag {
        Some(lag) => format!(", {lag:.1} s behind"),
        None => String::new(),
    };
    let mut text = format!("  {doing} of {}{lag} (at {})\n", process.member, process.updated);
    if let Some(trouble) = &process.trouble {
        text.push_str(&format!("  {trouble}\n"));
    }
    if let (Some(since), Some(why)) = (&process.away_since, &process.away_because) {
        text.push_str(&format!(
            "  the repository can not be written since {since}; {} segments, {}, wait: {why}\n",
            process.waiting_segments,
            size(process.waiting_bytes)
        ));
    }
    text
}

fn log_text(log: &LogStatus) -> String {
    let mut text = String::new();
    if let Some(gap) = &log.gap {
        text.push_str(&format!("GAP after {}: {}\n", gap.before, gap.missing));
    }
    text.push_str(&format!(
        "log {}: {} transactions, {}, in {} segments\n",
        log.id,
        log.transactions,
        size(log.bytes),
        log.segments
    ));
    let positions = |positions: &[backstay_engine_api::Position]| {
        let shown: Vec<String> = positions.iter().map(ToString::to_string).collect();
        shown.join(", ")
    };
    let time = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".to_owned());
    text.push_str(&format!("  from {}  {}\n", time(&log.first_time), positions(&log.from)));
    text.push_str(&format!("  to   {}  {}\n", time(&log.last_time), positions(&log.to)));
    match &log.recoverable_from {
        Some(backup) => text.push_str(&format!("  recoverable from backup {backup} up to its end\n")),
        None => text.push_str("  not recoverable: no full backup leads into it\n"),
    }
    for damaged in &log.damaged {
        text.push_str(&format!("  DAMAGED {damaged}\n"));
    }
    text
}
