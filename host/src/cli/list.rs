//! `backstay list`

use backstay_engine_api::BackupKind;
use clap::Args;
use serde_json::json;

use super::context::{Context, Stoppable};
use super::output::{self, size};
use super::{show, timeline};
use crate::config::Config;
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::recovery::{self, Coverage};
use crate::repository::Listing;

/// Lists backups, oldest first, and draws what of each cluster can be recovered.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only of this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

impl List {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let host = context.host(Stoppable::AtOnce)?;
        let clusters = match &self.cluster {
            Some(cluster) => vec![host.config.cluster(cluster)?.name.clone()],
            None => all_clusters(&host.config, host.repository.clusters()?),
        };
        let mut listings = Vec::new();
        for cluster in clusters {
            let listing = host.repository.list(&cluster)?;
            let coverage = recovery::coverage(&host.holdings_of(&cluster, &listing)?);
            listings.push((cluster, listing, coverage));
        }
        if context.json() {
            let clusters: serde_json::Map<_, _> = listings
                .iter()
                .map(|(cluster, listing, coverage)| (cluster.clone(), as_json(listing, coverage)))
                .collect();
            output::print_json(&json!({ "clusters": clusters }))?;
        } else {
            output::print(&as_text(&listings))?;
        }
        Ok(ExitCode::Done)
    }
}

/// Those of the configuration, and those that only the repository knows any more.
fn all_clusters(config: &Config, stored: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = config.clusters.keys().cloned().chain(stored).collect();
    all.sort();
    all.dedup();
    all
}

fn as_json(listing: &Listing, coverage: &Coverage) -> serde_json::Value {
    json!({
        "backups": listing.backups,
        "damaged": listing.damaged.iter().map(|(id, error)| json!({ "id": id, "error": error })).collect::<Vec<_>>(),
        "unfinished": listing.unfinished.iter().map(|unfinished| json!({
            "id": unfinished.id,
            "running": unfinished.running,
            "files": unfinished.files,
            "bytes": unfinished.bytes,
        })).collect::<Vec<_>>(),
        "coverage": coverage,
    })
}

fn as_text(listings: &[(String, Listing, Coverage)]) -> String {
    let mut rows = vec![
        ["ID", "CLUSTER", "ENGINE", "SERVER", "SIZE", "STORED", "FINISHED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut below = String::new();
    for (cluster, listing, coverage) in listings {
        for manifest in &listing.backups {
            let record = &manifest.record;
            let on = match (record.kind, &record.parent) {
                (BackupKind::Incremental, Some(parent)) => format!("{} on {parent}", record.engine.name),
                (BackupKind::Incremental, None) => format!("{} from {}", record.engine.name, show::begins(record)),
                _ if record.partial => format!("{}, a part", record.engine.name),
                _ => record.engine.name.clone(),
            };
            rows.push(vec![
                record.id.clone(),
                cluster.clone(),
                on,
                format!("{} {}", record.server.flavour, record.server.version),
                size(record.bytes),
                size(record.stored_bytes),
                record.finished.clone(),
            ]);
        }
        for (id, error) in &listing.damaged {
            below.push_str(&format!("damaged: {cluster} {id}: {error}\n"));
        }
        for unfinished in &listing.unfinished {
            let what = if unfinished.running {
                "running"
            } else {
                "left by a killed job"
            };
            below.push_str(&format!(
                "{what}: {cluster} {}, {} so far\n",
                unfinished.id,
                size(unfinished.bytes)
            ));
        }
        below.push_str(&timeline::draw(cluster, coverage));
    }
    if rows.len() == 1 {
        return format!("no backups\n{below}");
    }
    output::table(&rows) + &below
}

/// The cluster that is named, or the only one.
pub(super) fn cluster_or_only(named: Option<&str>, config: &Config) -> Result<String> {
    match named {
        Some(name) => Ok(config.cluster(name)?.name.clone()),
        None => only_cluster(config),
    }
}

/// The only cluster of a configuration.
pub(super) fn only_cluster(config: &Config) -> Result<String> {
    let names: Vec<&str> = config.clusters.keys().map(String::as_str).collect();
    match names[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(
            Error::new(ErrorKind::Usage, format!("{} has no cluster", config.path.display()))
                .advise("add a `[cluster.NAME]`"),
        ),
        _ => Err(Error::new(
            ErrorKind::Usage,
            format!("there is more than one cluster: {}", names.join(", ")),
        )
        .advise("name one with `--cluster`")),
    }
}
