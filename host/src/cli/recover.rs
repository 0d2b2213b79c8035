//! `backstay recover`

use std::path::PathBuf;
use std::time::Duration;

use backstay_engine_api::Position;
use backstay_engine_api::position::RecoveryPoint;
use clap::Args;
use serde_json::{Value, json};

use super::context::{Context, Stoppable};
use super::output::{self, size};
use super::restore::{TargetArgs, use_programs_of};
use super::selection::Tables;
use super::{backup, engine_options, list, show};
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::jobs::recover::{Began, Done, Request};
use crate::jobs::rescue;
use crate::jobs::restore::Terms;
use crate::recovery::{Plan, Wanted};

/// How much of a position a table shows, in characters.
const SHOWN: usize = 60;

/// Recovers a cluster to a point: the backup from which it is fastest is restored, and then the log is replayed up to the point.
/// Interrupted or killed, the same command goes on where it was. With --tables, all that happens in a private copy, and only the tables'
/// rows come to the server, beside those that live; how the two differ is printed.
#[derive(Debug, Args)]
pub(super) struct Recover {
    /// The cluster; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    point: PointArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    tables: Tables,
    /// For --tables: the directory below which the private copy is made [default: that of temporary files]
    #[arg(long, value_name = "DIR", requires = "tables")]
    work_dir: Option<PathBuf>,
    /// Only print how it would be done
    #[arg(long)]
    dry_run: bool,
    /// Only from backups that were made with this engine
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// Replace what the target has of the same name; a recovery that was interrupted there is begun anew
    #[arg(long)]
    overwrite: bool,
    /// An option of the engine that restores the backup; may be given again
    #[arg(long = "option", short = 'o', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// An option of the engine that replays the log; may be given again
    #[arg(long = "log-option", value_name = "KEY=VALUE")]
    log_options: Vec<String>,
    /// Stop each of the steps after this time, such as 90s, 15m or 6h
    #[arg(long, value_name = "TIME", value_parser = backup::deadline)]
    deadline: Option<Duration>,
    /// How many threads to keep busy [default: as many as processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// How far.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct PointArgs {
    /// To this time, RFC 3339 with an offset: all up to the first transaction that was committed later
    #[arg(long, value_name = "TIME")]
    to_time: Option<String>,
    /// Up to these transactions, included: uuid:1-20 (MySQL), 0-1-270 (MariaDB)
    #[arg(long, value_name = "GTID")]
    to_gtid: Option<String>,
    /// To just before this transaction
    #[arg(long, value_name = "GTID")]
    before_gtid: Option<String>,
    /// Up to this place in a server's binary log: binlog.000042:157
    #[arg(long, value_name = "FILE:OFFSET")]
    to_position: Option<String>,
    /// To the end of what was logged
    #[arg(long)]
    latest: bool,
}

impl PointArgs {
    fn point(&self) -> Result<RecoveryPoint> {
        let given = [&self.to_time, &self.to_gtid, &self.before_gtid, &self.to_position];
        let point = match given.map(Option::as_deref) {
            [Some(time), ..] => RecoveryPoint::time(time),
            [_, Some(gtid), ..] => RecoveryPoint::gtid(gtid),
            [_, _, Some(gtid), _] => RecoveryPoint::before_gtid(gtid),
            [.., Some(place)] => RecoveryPoint::binlog_file(place),
            _ => return Ok(RecoveryPoint::Latest),
        };
        point.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))
    }
}

impl Recover {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let point = self.point.point()?;
        let selection = self.tables.selection()?;
        if selection.include.is_empty() && !selection.is_everything() {
            return Err(Error::new(
                ErrorKind::Usage,
                "`--exclude-tables` takes tables out of those of `--tables`",
            )
            .advise("name these too"));
        }
        let mut terms = Terms {
            overwrite: self.overwrite,
            selection,
            options: engine_options(&self.options, serde_json::Map::new())?,
            deadline: self.deadline,
            threads: self.threads,
            ..Terms::new(self.target.target()?)
        };
        let log_options = engine_options(&self.log_options, serde_json::Map::new())?;
        let host = context.host(if self.dry_run {
            Stoppable::AtOnce
        } else {
            Stoppable::ByJob
        })?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        if let Some(cluster) = host.config.clusters.get(&cluster) {
            use_programs_of(cluster, &mut terms.target);
        }
        let programs = host.config.programs_of(&cluster);
        if let Some((waiting, place)) = host.segments_waiting(&cluster, &super::archive::spool(&host.config)?) {
            tracing::warn!(
                "{waiting} segments of the archived log wait in {} and are not in the repository: what they hold is not recovered; \
                 `backstay archive --cluster {cluster} --once` publishes them",
                place.display()
            );
        }
        let request = Request {
            cluster,
            wanted: Wanted::from(point),
            engine: self.engine.clone(),
            terms,
            log_options,
        };
        if !request.terms.selection.is_everything() {
            let request = rescue::Request {
                recovery: request,
                programs,
                work_dir: self.work_dir.clone(),
            };
            return super::rescue::run(context, &host, &request, self.dry_run);
        }
        if self.dry_run {
            let plan = host.plan_recovery(&request)?;
            match context.json() {
                true => output::print_json(&json!({ "plan": plan }))?,
                false => output::print(&table(&plan))?,
            }
            return Ok(ExitCode::Done);
        }
        let mut display = context.display();
        let done = host.recover(&request, &mut display);
        drop(display);
        let done = done?;
        match context.json() {
            true => output::print_json(&as_json(&done))?,
            false => output::print(&as_text(&done))?,
        }
        Ok(ExitCode::Done)
    }
}

fn began(began: &Began) -> (&'static str, Option<&str>) {
    match began {
        Began::Anew => ("anew", None),
        Began::Resumed { since } => ("resumed", Some(since)),
        Began::Again { since } => ("again", Some(since)),
    }
}

fn as_json(done: &Done) -> Value {
    let (how, since) = began(&done.began);
    json!({
        "recovered": {
            "plan": done.plan,
            "began": how,
            "interrupted": since,
            "positions": done.positions,
            "transactions": done.transactions,
            "notices": done.notices,
        }
    })
}

fn as_text(done: &Done) -> String {
    let mut text = table(&Plan {
        notes: Vec::new(),
        ..done.plan.clone()
    });
    match &done.began {
        Began::Anew => {}
        Began::Resumed { since } => {
            text.push_str(&format!(
                "went on with the recovery of {since}, which had restored the backup\n"
            ));
        }
        Began::Again { since } => {
            text.push_str(&format!(
                "began again after the recovery of {since}, which was interrupted in the restore\n"
            ));
        }
    }
    text.push_str(&format!(
        "recovered to {}: {} transactions replayed\n",
        done.plan.point, done.transactions
    ));
    text.push_str(&show::positions(&done.positions));
    text.push_str(&show::notices(&done.notices));
    text
}

/// A plan for people.
pub(super) fn table(plan: &Plan) -> String {
    let mut rows = vec![["STEP", "WHAT", "SIZE", "FROM", "TO"].map(str::to_owned).to_vec()];
    rows.push(vec![
        "restore".to_owned(),
        format!("{} with {}", plan.chain.join(" + "), plan.engine),
        size(plan.restore_bytes),
        String::new(),
        place(&plan.from),
    ]);
    for step in &plan.logs {
        rows.push(vec![
            "replay".to_owned(),
            step.source.name(),
            size(step.bytes),
            place(&step.segment.from),
            place(&step.segment.to),
        ]);
    }
    let mut text = output::table(&rows);
    text.push_str(&format!("to {}\n", plan.point));
    text.push_str(&show::notices(&plan.notes));
    text
}

fn place(positions: &[Position]) -> String {
    let Some(position) = positions.first() else {
        return String::new();
    };
    match position.value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &position.value[..end]),
        None if position.value.is_empty() => "the beginning".to_owned(),
        None => position.value.clone(),
    }
}
