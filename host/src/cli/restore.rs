//! `backstay restore`

use std::path::PathBuf;
use std::time::Duration;

use backstay_engine_api::wire::Target;
use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::selection::Tables;
use super::{backup, engine_options, list, output, show};
use crate::config::{Cluster, parse_server_url};
use crate::error::{Error, ExitCode, Result};
use crate::jobs::restore::{Done, Request};

/// Restores a backup, and what it stands on. Everything is verified before any of it reaches the target.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup: an id, the beginning of one, or `latest`
    #[arg(value_name = "ID", default_value = "latest")]
    backup: String,
    /// The cluster whose backup it is; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
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
struct TargetArgs {
    /// To this running server, such as mysql://root@127.0.0.1:3307; its password from $BACKSTAY_PASSWORD or ?password_file=FILE
    #[arg(long, value_name = "URL")]
    to_server: Option<String>,
    /// Into this data directory
    #[arg(long, value_name = "DIR")]
    to_datadir: Option<PathBuf>,
}

impl TargetArgs {
    fn target(&self) -> Result<Target> {
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
fn use_programs_of(cluster: &Cluster, target: &mut Target) {
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
        let mut target = self.target.target()?;
        let selection = self.tables.selection()?;
        let host = context.host(Stoppable::ByJob)?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        if let Some(cluster) = host.config.clusters.get(&cluster) {
            use_programs_of(cluster, &mut target);
        }
        let request = Request {
            cluster,
            backup: self.backup.clone(),
            target,
            overwrite: self.overwrite,
            selection,
            options: engine_options(&self.options, serde_json::Map::new())?,
            deadline: self.deadline,
            threads: self.threads,
        };
        let mut display = context.display();
        let done = host.restore(&request, &mut display);
        drop(display);
        let Done { chain, restored } = done?;
        let ids: Vec<&str> = chain.iter().map(|link| link.record.id.as_str()).collect();
        if context.json() {
            output::print_json(
                &json!({ "restored": ids, "positions": restored.positions, "notices": restored.notices }),
            )?;
        } else {
            let mut text = format!("restored {}\n", ids.join(", "));
            text.push_str(&show::positions(&restored.positions));
            text.push_str(&show::notices(&restored.notices));
            output::print(&text)?;
        }
        Ok(ExitCode::Done)
    }
}
