//! `backstay verify`

use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::list;
use super::output::{self, size};
use crate::error::{ExitCode, Result};
use crate::jobs::verify::Report;

/// Reads backups to the last byte and compares every digest. Exits 1 if anything is wrong.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The backup: an id, the beginning of one, or `latest`; or an archived log's id [default: all of them]
    #[arg(value_name = "ID")]
    backup: Option<String>,
    /// The cluster; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Delete what killed jobs have left
    #[arg(long, conflicts_with = "backup")]
    clear_leftovers: bool,
}

impl Verify {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let host = context.host(Stoppable::AtOnce)?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        let mut display = context.display();
        let report = host.verify(&cluster, self.backup.as_deref(), &mut display);
        drop(display);
        let report = report?;
        let cleared = if self.clear_leftovers {
            host.clear_leftovers(&cluster)?
        } else {
            Vec::new()
        };
        if context.json() {
            output::print_json(&as_json(&report, &cleared))?;
        } else {
            output::print(&as_text(&report, &cleared))?;
        }
        Ok(if report.is_sound() {
            ExitCode::Done
        } else {
            ExitCode::Failed
        })
    }
}

fn as_json(report: &Report, cleared: &[String]) -> serde_json::Value {
    json!({
        "sound": report.is_sound(),
        "backups": report.backups.iter().map(|verdict| json!({
            "id": verdict.id,
            "sound": verdict.problems.is_empty(),
            "objects": verdict.objects,
            "stored_bytes": verdict.bytes,
            "problems": verdict.problems,
            "leftovers": verdict.leftovers,
        })).collect::<Vec<_>>(),
        "logs": report.logs.iter().map(|verdict| json!({
            "id": verdict.id,
            "sound": verdict.problems.is_empty(),
            "segments": verdict.segments,
            "stored_bytes": verdict.bytes,
            "problems": verdict.problems,
        })).collect::<Vec<_>>(),
        "unfinished": report.unfinished.iter().map(|unfinished| json!({
            "id": unfinished.id,
            "running": unfinished.running,
            "files": unfinished.files,
            "bytes": unfinished.bytes,
        })).collect::<Vec<_>>(),
        "cleared": cleared,
    })
}

fn as_text(report: &Report, cleared: &[String]) -> String {
    let mut text = String::new();
    for verdict in &report.backups {
        if verdict.problems.is_empty() {
            text.push_str(&format!(
                "sound    {}: {} objects, {}\n",
                verdict.id,
                verdict.objects,
                size(verdict.bytes)
            ));
        } else {
            text.push_str(&format!("DAMAGED  {}\n", verdict.id));
        }
        for problem in &verdict.problems {
            text.push_str(&format!("         {problem}\n"));
        }
        for leftover in &verdict.leftovers {
            text.push_str(&format!("         leftover: {leftover} belongs to no object\n"));
        }
    }
    for verdict in &report.logs {
        if verdict.problems.is_empty() {
            text.push_str(&format!(
                "sound    {}: {} segments, {}\n",
                verdict.id,
                verdict.segments,
                size(verdict.bytes)
            ));
        } else {
            text.push_str(&format!("DAMAGED  {}\n", verdict.id));
        }
        for problem in &verdict.problems {
            text.push_str(&format!("         {problem}\n"));
        }
    }
    for unfinished in &report.unfinished {
        let gone = cleared.contains(&unfinished.id);
        let what = match (unfinished.running, gone) {
            (true, _) => "running ",
            (false, true) => "cleared ",
            (false, false) => "leftover",
        };
        text.push_str(&format!(
            "{what} {}: {} files, {}\n",
            unfinished.id,
            unfinished.files,
            size(unfinished.bytes)
        ));
    }
    if report
        .unfinished
        .iter()
        .any(|unfinished| !unfinished.running && !cleared.contains(&unfinished.id))
    {
        text.push_str("leftovers of killed jobs are no backups; `backstay verify --clear-leftovers` deletes them\n");
    }
    if text.is_empty() {
        text.push_str("no backups\n");
    }
    text
}
