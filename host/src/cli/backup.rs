//! `backstay backup`

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::{engine_options, output, show};
use crate::config::{Config, Workflow, parse_duration};
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::jobs::backup::{Request, Taken};
use crate::pipeline::SinkOptions;

/// Takes a backup by a workflow, or of a cluster with an engine.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The cluster; may be left out with a workflow, or if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The workflow, which says cluster, engine and options
    #[arg(long, value_name = "NAME", conflicts_with = "engine")]
    workflow: Option<String>,
    /// The engine
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// Only what has changed since a parent
    #[arg(long)]
    incremental: bool,
    /// The parent: an id, the beginning of one, `latest`, or `auto` for the newest that the engine can build on; or a position of the
    /// server's log (a GTID set, MariaDB's GTIDs, or FILE:OFFSET)
    #[arg(long, value_name = "ID|POSITION", requires = "incremental", default_value = "auto")]
    parent: String,
    /// Back up from this member, and not from the one that suits best
    #[arg(long, value_name = "NAME")]
    member: Option<String>,
    /// An option of the engine's; may be given again
    #[arg(long = "option", short = 'o', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Stop after this time, such as 90s, 15m or 6h
    #[arg(long, value_name = "TIME", value_parser = deadline)]
    deadline: Option<Duration>,
    /// How many threads to keep busy [default: as many as processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Backup {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let host = context.host(Stoppable::ByJob)?;
        let request = self.request(&host.config)?;
        let mut display = context.display();
        let taken = host.backup(&request, &mut display);
        drop(display);
        match taken? {
            Taken::Backup(manifest) if context.json() => output::print_json(&json!({ "backup": manifest }))?,
            Taken::Backup(manifest) => output::print(&show::summary(&manifest))?,
            Taken::Empty { parent, positions } if context.json() => {
                output::print_json(&json!({ "empty": { "parent": parent, "positions": positions } }))?;
            }
            Taken::Empty { parent, .. } => {
                output::print(&format!(
                    "nothing is new since {parent}: no backup was made, none is needed\n"
                ))?;
            }
        }
        Ok(ExitCode::Done)
    }

    fn request(&self, config: &Config) -> Result<Request> {
        let workflow = self.workflow.as_deref().map(|name| config.workflow(name)).transpose()?;
        let cluster = self.cluster(config, workflow)?;
        let engine = match (&self.engine, workflow) {
            (Some(engine), _) => engine.clone(),
            (None, Some(workflow)) => workflow.engine.clone(),
            (None, None) => return Err(self.no_engine(config, &cluster)),
        };
        let base = workflow.map(|workflow| workflow.options.clone()).unwrap_or_default();
        let defaults = SinkOptions::default();
        let sink = SinkOptions {
            compression: workflow
                .and_then(|w| w.compression)
                .unwrap_or(config.repository.compression),
            level: workflow.and_then(|w| w.level).unwrap_or(config.repository.level),
            bundling: workflow.and_then(|w| w.bundle).unwrap_or(config.repository.bundle),
            ..defaults
        };
        Ok(Request {
            cluster,
            workflow: self.workflow.clone(),
            engine,
            options: engine_options(&self.options, base)?,
            parent: self.incremental.then(|| self.parent.clone()),
            member: self.member.clone(),
            deadline: self.deadline.or(workflow.and_then(|w| w.deadline)),
            threads: self.threads.or(workflow.and_then(|w| w.threads)),
            sink,
        })
    }

    fn cluster(&self, config: &Config, workflow: Option<&Workflow>) -> Result<String> {
        match (&self.cluster, workflow) {
            (given, Some(workflow)) => cluster_of(given.as_deref(), workflow),
            (given, None) => super::list::cluster_or_only(given.as_deref(), config),
        }
    }

    fn no_engine(&self, config: &Config, cluster: &str) -> Error {
        let workflows: Vec<&str> = config
            .workflows
            .values()
            .filter(|w| w.cluster == cluster)
            .map(|w| w.name.as_str())
            .collect();
        let error = Error::new(ErrorKind::Usage, "it is not said what to back up with");
        if workflows.is_empty() {
            return error.advise("add `--engine NAME`; `backstay engines list` shows those that there are");
        }
        error.advise(format!(
            "add `--workflow NAME` ({}) or `--engine NAME`",
            workflows.join(", ")
        ))
    }
}

/// The cluster of a workflow, which must be the one that was named.
pub(super) fn cluster_of(named: Option<&str>, workflow: &Workflow) -> Result<String> {
    match named {
        Some(named) if *named != workflow.cluster => Err(Error::new(
            ErrorKind::Usage,
            format!(
                "workflow `{}` is for cluster `{}`, not for `{named}`",
                workflow.name, workflow.cluster
            ),
        )),
        _ => Ok(workflow.cluster.clone()),
    }
}

pub(super) fn deadline(text: &str) -> std::result::Result<Duration, String> {
    parse_duration(text)
}
