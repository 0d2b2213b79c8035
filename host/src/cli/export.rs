//! `backstay export`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::list;
use super::output::{self, size};
use crate::error::{ExitCode, Result};

/// Writes each object of a backup to a file of its own, decompressed and verified.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The backup: an id, the beginning of one, or `latest`
    #[arg(value_name = "ID")]
    backup: String,
    /// The directory to write to: empty, or made anew
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// The cluster; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

impl Export {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let host = context.host(Stoppable::AtOnce)?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        let mut display = context.display();
        let exported = host.export(&cluster, &self.backup, &self.to, &mut display);
        drop(display);
        let exported = exported?;
        if context.json() {
            output::print_json(&json!({ "files": exported.files, "bytes": exported.bytes, "directory": self.to }))?;
        } else {
            output::print(&format!(
                "wrote {} files, {}, to {}\n",
                exported.files,
                size(exported.bytes),
                self.to.display()
            ))?;
        }
        Ok(ExitCode::Done)
    }
}
