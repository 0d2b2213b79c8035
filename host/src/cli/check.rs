//! `backstay check`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::{backup, list, output, show};
use crate::error::{Error, ExitCode, Result};
use crate::jobs::check::{Checked, Request};

/// Looks whether a data directory that a backup was restored to is sound: a private server, which does nothing by itself and which
/// nobody else reaches, starts on it and checks every table. Exits 1 if anything is wrong.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The backup that was restored: an id, the beginning of one, or `latest`
    #[arg(value_name = "ID", default_value = "latest")]
    backup: String,
    /// The directory that it was restored to; no server may run on it
    #[arg(long, value_name = "DIR")]
    datadir: PathBuf,
    /// The cluster whose backup it is; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Stop after this time, such as 90s, 15m or 6h
    #[arg(long, value_name = "TIME", value_parser = backup::deadline)]
    deadline: Option<Duration>,
}

impl Check {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let host = context.host(Stoppable::ByJob)?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        let programs = host.config.programs_of(&cluster);
        let request = Request {
            cluster,
            backup: self.backup.clone(),
            data_dir: std::path::absolute(&self.datadir).map_err(Error::from)?,
            programs,
            deadline: self.deadline,
        };
        let mut display = context.display();
        let checked = host.check(&request, &mut display);
        drop(display);
        let Checked { backup, report } = checked?;
        if context.json() {
            output::print_json(&json!({
                "backup": backup.record.id,
                "sound": report.sound,
                "checked": report.checked,
                "findings": report.findings,
            }))?;
        } else {
            let verdict = if report.sound { "sound   " } else { "DAMAGED " };
            let mut text = format!(
                "{verdict} {}, restored from {}: {} tables looked at\n",
                request.data_dir.display(),
                backup.record.id,
                report.checked
            );
            text.push_str(&show::notices(&report.findings));
            output::print(&text)?;
        }
        Ok(if report.sound { ExitCode::Done } else { ExitCode::Failed })
    }
}
