//! `backstay show`, and how backups are shown elsewhere.

use std::collections::BTreeMap;

use backstay_engine_api::{BackupKind, BackupRecord, Notice, Position};
use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::list;
use super::output::{self, size};
use super::timeline;
use crate::error::{ExitCode, Result};
use crate::recovery;
use crate::repository::Manifest;
use crate::repository::index::Index;

/// How many notices are all printed.
const NOTICES: usize = 20;
/// How many of one code are printed where there are more.
const ALIKE: usize = 5;

/// Shows a backup: where it is from, which point it shows, what is in it; and what of its cluster can be recovered.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The backup: an id, the beginning of one, or `latest`
    #[arg(value_name = "ID", default_value = "latest")]
    backup: String,
    /// The cluster; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// List every object
    #[arg(long)]
    objects: bool,
}

impl Show {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let host = context.host(Stoppable::AtOnce)?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        let manifest = host.repository.find(&cluster, &self.backup)?;
        let index = host.repository.read_index(&manifest)?;
        let coverage = recovery::coverage(&host.holdings(&cluster)?);
        if context.json() {
            let mut shown = json!({ "backup": manifest, "coverage": coverage });
            if self.objects {
                shown["objects"] = json!(index.entries().collect::<Vec<_>>());
            }
            output::print_json(&shown)?;
        } else {
            let mut text = summary(&manifest);
            text.push_str(&contents(&index));
            if self.objects {
                text.push_str(&objects(&index));
            }
            text.push_str(&timeline::draw(&cluster, &coverage));
            output::print(&text)?;
        }
        Ok(ExitCode::Done)
    }
}

/// Where an incremental begins that stands on no backup.
pub(super) fn begins(record: &BackupRecord) -> &str {
    record.from.first().map_or("?", |from| &from.value)
}

/// What an operator wants to see of a backup at once.
pub(super) fn summary(manifest: &Manifest) -> String {
    let record = &manifest.record;
    let mut rows: Vec<(&str, String)> = vec![("backup", record.id.clone()), ("cluster", record.cluster.clone())];
    if let Some(workflow) = &record.workflow {
        rows.push(("workflow", workflow.clone()));
    }
    let kind = match (record.kind, &record.parent) {
        (BackupKind::Full, _) if record.partial => "full, of a part of the server".to_owned(),
        (BackupKind::Full, _) => "full".to_owned(),
        (BackupKind::Incremental, Some(parent)) => format!("incremental on {parent}"),
        (BackupKind::Incremental, None) => format!("incremental from {}", begins(record)),
    };
    rows.push(("kind", kind));
    rows.push(("engine", format!("{} {}", record.engine.name, record.engine.version)));
    rows.push(("server", format!("{} {}", record.server.flavour, record.server.version)));
    rows.push(("taken", format!("{} to {}", record.started, record.finished)));
    rows.push(("objects", record.objects.to_string()));
    rows.push((
        "size",
        format!("{}, stored as {}", size(record.bytes), size(record.stored_bytes)),
    ));
    let mut text = String::new();
    for (name, value) in rows {
        text.push_str(&format!("{name:<9} {value}\n"));
    }
    text.push_str(&positions(&record.positions));
    text.push_str(&notices(&record.notices));
    text
}

/// Positions, a line each.
pub(super) fn positions(positions: &[Position]) -> String {
    positions
        .iter()
        .map(|position| format!("{:<9} {} {}\n", "position", position.kind, position.value))
        .collect()
}

/// Notices, a line each, by their codes. Of many, the first of each code: one that stands alone must not be lost among those of a code
/// that has one for each table.
pub(super) fn notices(notices: &[Notice]) -> String {
    let most = if notices.len() > NOTICES { ALIKE } else { NOTICES };
    let mut codes: Vec<&str> = Vec::new();
    for notice in notices {
        if !codes.contains(&notice.code.as_str()) {
            codes.push(&notice.code);
        }
    }
    let mut text = String::new();
    for code in codes {
        let alike: Vec<&Notice> = notices.iter().filter(|notice| notice.code == code).collect();
        for notice in alike.iter().take(most) {
            let subject = notice
                .subject
                .as_ref()
                .map(|subject| format!("{subject}: "))
                .unwrap_or_default();
            text.push_str(&format!("notice    {subject}{}\n", notice.text));
        }
        if alike.len() > most {
            let more = alike.len() - most;
            text.push_str(&format!("notice    {more} more of {code}, which `--json` shows\n"));
        }
    }
    text
}

/// How many objects of which kind there are in each schema.
fn contents(index: &Index) -> String {
    let mut groups: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for entry in index.entries() {
        let key = (
            entry.attributes.schema.unwrap_or_default(),
            entry.attributes.kind.unwrap_or_default(),
        );
        let group = groups.entry(key).or_default();
        group.0 += 1;
        group.1 += entry.size;
    }
    let mut rows = vec![["SCHEMA", "KIND", "OBJECTS", "SIZE"].map(str::to_owned).to_vec()];
    for ((schema, kind), (count, bytes)) in groups {
        rows.push(vec![schema, kind, count.to_string(), size(bytes)]);
    }
    format!("\n{}", output::table(&rows))
}

fn objects(index: &Index) -> String {
    let mut rows = vec![["OBJECT", "SIZE", "STORED", "FILE"].map(str::to_owned).to_vec()];
    for entry in index.entries() {
        let stored = entry.stored();
        let files: Vec<&str> = entry.extents.iter().map(|extent| extent.file.as_str()).collect();
        let row = vec![entry.name.clone(), size(entry.size), size(stored), files.join(" ")];
        rows.push(row);
    }
    format!("\n{}", output::table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_shown_however_many_notices_there_are() {
        let kept = |number: usize| Notice::new("account-kept", "it was kept").about(format!("u{number}"));
        let mut all: Vec<Notice> = (0..30).map(kept).collect();
        all.push(Notice::new("event-scheduler-off", "it is OFF now"));
        all.push(kept(30));
        let text = notices(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 7, "{text}");
        assert_eq!(lines[0], "notice    u0: it was kept");
        assert_eq!(lines[4], "notice    u4: it was kept");
        assert_eq!(lines[5], "notice    26 more of account-kept, which `--json` shows");
        assert_eq!(lines[6], "notice    it is OFF now");

        let few = notices(&all[..NOTICES]);
        assert_eq!(few.lines().count(), NOTICES, "{few}");
    }
}
