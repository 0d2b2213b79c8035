//! `backstay restore`

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine_api::Restored;
use backstay_engine_api::wire::Target;
use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::selection::Tables;
use super::{backup, engine_options, list, output, show};
use crate::config::{Cluster, Config, parse_server_url};
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::jobs::from_dump;
use crate::jobs::restore::{Done, Request, Terms};

/// Restores a backup, and what it stands on. Everything is verified before any of it reaches the target. Or restores a
/// directory that no Backstay made.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup: an id, the beginning of one, or `latest`
    #[arg(value_name = "ID", default_value = "latest")]
    backup: String,
    /// The cluster whose backup it is; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Restore this directory, which no Backstay made, and no backup: a dump by MySQL Shell. It needs no configuration
    #[arg(long, value_name = "DIR", conflicts_with = "backup")]
    from_dump: Option<PathBuf>,
    /// The engine that restores the directory; may be left out if only one can
    #[arg(long, value_name = "NAME", requires = "from_dump")]
    engine: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    tables: Tables,
    /// Replace what the target has of the same name
    #[arg(long)]
    overwrite: bool,
    /// An option of the engine's; may be given again
    #[arg(long = "option", short = 'o', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Stop after this time, such as 90s, 15m or 6h
    #[arg(long, value_name = "TIME", value_parser = backup::deadline)]
    deadline: Option<Duration>,
    /// How many threads to keep busy [default: as many as processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct TargetArgs {
    /// To this running server, such as mysql://root@127.0.0.1:3307; its password from $BACKSTAY_PASSWORD or ?password_file=FILE
    #[arg(long, value_name = "URL")]
    to_server: Option<String>,
    /// Into this data directory
    #[arg(long, value_name = "DIR")]
    to_datadir: Option<PathBuf>,
}

impl TargetArgs {
    pub(super) fn target(&self) -> Result<Target> {
        match (&self.to_server, &self.to_datadir) {
            (Some(url), _) => Ok(Target::Server(parse_server_url(url)?)),
            (None, Some(path)) => {
                let path = std::path::absolute(path).map_err(Error::from)?;
                Ok(Target::DataDir {
                    path,
                    programs: Vec::new(),
                })
            }
            (None, None) => Err(Error::other("no target")),
        }
    }
}

/// The target is of the cluster's kind: its programs are where those of the cluster are.
pub(super) fn use_programs_of(cluster: &Cluster, target: &mut Target) {
    let programs = match target {
        Target::Server(server) => &mut server.programs,
        Target::DataDir { programs, .. } => programs,
    };
    for directory in cluster.members.iter().flat_map(|member| &member.server.server.programs) {
        if !programs.contains(directory) {
            programs.push(directory.clone());
        }
    }
}

impl Restore {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        match &self.from_dump {
            None => self.backup(context),
            Some(directory) => self.dump(context, directory),
        }
    }

    fn backup(&self, context: &Context) -> Result<ExitCode> {
        let mut terms = self.terms()?;
        let host = context.host(Stoppable::ByJob)?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        if let Some(cluster) = host.config.clusters.get(&cluster) {
            use_programs_of(cluster, &mut terms.target);
        }
        let request = Request {
            cluster,
            backup: self.backup.clone(),
            terms,
        };
        let mut display = context.display();
        let done = host.restore(&request, &mut display);
        drop(display);
        let Done {
            used,
            restored,
            transactions,
        } = done?;
        let ids: Vec<&str> = used.iter().map(String::as_str).collect();
        let what = match transactions {
            0 => ids.join(", "),
            _ => format!("{}, with {transactions} transactions replayed", ids.join(", ")),
        };
        print(context, &ids, &what, &restored)
    }

    fn dump(&self, context: &Context, directory: &Path) -> Result<ExitCode> {
        let mut terms = self.terms()?;
        let config = context.config_if_any()?;
        if let Some(cluster) = self.cluster_of_programs(config.as_ref())? {
            use_programs_of(cluster, &mut terms.target);
        }
        let request = from_dump::Request {
            directory: directory.to_owned(),
            engine: self.engine.clone(),
            terms,
        };
        let workers = context.workers(config.as_ref())?;
        let mut display = context.display();
        let done = workers.restore_directory(&request, &mut display);
        drop(display);
        let from_dump::Done { record, restored } = done?;
        let what = format!("{} ({})", directory.display(), record.id);
        print(context, &[&record.id], &what, &restored)
    }

    /// The cluster whose programs are used: the one that was named, or the only one of a configuration.
    fn cluster_of_programs<'a>(&self, config: Option<&'a Config>) -> Result<Option<&'a Cluster>> {
        match (&self.cluster, config) {
            (Some(name), Some(config)) => Ok(Some(config.cluster(name)?)),
            (Some(name), None) => Err(Error::new(
                ErrorKind::Usage,
                format!("there is no configuration that says what cluster `{name}` is"),
            )
            .advise("leave `--cluster` out, or name a configuration with `--config`")),
            (None, Some(config)) if config.clusters.len() == 1 => Ok(config.clusters.values().next()),
            (None, _) => Ok(None),
        }
    }

    fn terms(&self) -> Result<Terms> {
        Ok(Terms {
            overwrite: self.overwrite,
            selection: self.tables.selection()?,
            options: engine_options(&self.options, serde_json::Map::new())?,
            deadline: self.deadline,
            threads: self.threads,
            ..Terms::new(self.target.target()?)
        })
    }
}

fn print(context: &Context, ids: &[&str], what: &str, restored: &Restored) -> Result<ExitCode> {
    if context.json() {
        output::print_json(&json!({ "restored": ids, "positions": restored.positions, "notices": restored.notices }))?;
    } else {
        let mut text = format!("restored {what}\n");
        text.push_str(&show::positions(&restored.positions));
        text.push_str(&show::notices(&restored.notices));
        output::print(&text)?;
    }
    Ok(ExitCode::Done)
}
