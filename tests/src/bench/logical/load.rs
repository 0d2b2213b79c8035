//! Loads into an empty server that writes no binary log and is as durable for each side.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use backstay_bed::Flavour;
use mysql::prelude::Queryable;

use super::super::usage::Usage;
use super::super::{RUNS, median, table, verdict};
use super::data::{self, DataSet};
use super::dump::{memory, percent, show};
use super::peers::{PLAIN, Peers, backstay};
use super::say;

const THREADS: usize = 4;
const TO_MYLOADER: f64 = 0.85;
const TO_MYSQL: f64 = 0.5;
const CLIENT_SHARE: f64 = 0.10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Backstay,
    Myloader,
    Mysql,
}

/// All sides, each with a dump of its own, and their table.
pub(super) fn run(set: &DataSet) -> Result<String, Box<dyn Error>> {
    let flavour = set.server.flavour;
    say(&format!("{}: dumps to be loaded", flavour.as_str()));
    let source = Peers { server: &set.server };
    let backstay = backstay(&set.server, &set.server.dir().join("backstay-load"));
    source.backup(&backstay, PLAIN, THREADS)?;
    let directory = set.server.dir().join("loads");
    fs::create_dir_all(&directory)?;
    let (sql, mydumper) = (directory.join("dump.sql"), directory.join("mydumper"));
    source.mysqldump(&[set.schema], &sql)?;
    let mut sides = vec![Side::Backstay, Side::Mysql];
    if flavour == Flavour::MariaDb {
        source.mydumper(set.schema, THREADS, false, &mydumper)?;
        sides.insert(1, Side::Myloader);
    }

    let target = data::server(flavour, fs::metadata(&sql)?.len() as f64, &["--skip-log-bin"])?;
    let peers = Peers { server: &target };
    let mut runs: BTreeMap<Side, Vec<Usage>> = BTreeMap::new();
    for round in 0..=RUNS {
        say(&format!(
            "{}: load of {}, round {round} of {RUNS}",
            flavour.as_str(),
            set.about
        ));
        for side in &sides {
            target
                .conn()
                .query_drop(format!("DROP DATABASE IF EXISTS {}", set.schema))?;
            let usage = match side {
                Side::Backstay => peers.restore(&backstay, THREADS)?,
                Side::Myloader => peers.myloader(set.schema, THREADS, &mydumper)?,
                Side::Mysql => peers.mysql(&sql)?,
            };
            check(set, &target)?;
            if round > 0 {
                runs.entry(*side).or_default().push(usage);
            }
        }
    }
    fs::remove_dir_all(&directory)?;
    Ok(report(&runs))
}

/// A load that left something out would be a fast one.
fn check(set: &DataSet, target: &backstay_bed::TestServer) -> Result<(), Box<dyn Error>> {
    for table in &set.tables {
        let query = format!("SELECT COUNT(*) FROM {}.{table}", set.schema);
        let rows: Option<u64> = target.conn().query_first(query)?;
        if rows != Some(set.rows) {
            return Err(format!("{table} has {rows:?} rows after a load, expected {}", set.rows).into());
        }
    }
    Ok(())
}

fn report(runs: &BTreeMap<Side, Vec<Usage>>) -> String {
    let middle = |side: Side, of: fn(&Usage) -> f64| {
        let values: Vec<f64> = runs.get(&side)?.iter().map(of).collect();
        median(&values)
    };
    let seconds = |side: Side| middle(side, |usage| usage.seconds);
    let mut rows = Vec::new();
    for (side, what, threads) in [
        (Side::Mysql, "mysql < dump.sql", 1),
        (Side::Myloader, "myloader", THREADS),
        (Side::Backstay, "backstay restore", THREADS),
    ] {
        let Some(taken) = seconds(side) else { continue };
        let mut row = vec![what.to_owned(), threads.to_string(), show(Some(taken))];
        let share = middle(side, |usage| usage.share());
        if side == Side::Backstay {
            for (peer, bar) in [(Side::Myloader, TO_MYLOADER), (Side::Mysql, TO_MYSQL)] {
                row.push(seconds(peer).map_or_else(String::new, |peer| verdict(taken / peer, bar)));
            }
            row.push(share.map_or_else(String::new, |share| verdict(share, CLIENT_SHARE)));
            row.push(middle(side, |usage| usage.peak).map_or_else(String::new, memory));
        } else {
            row.extend([String::new(), String::new(), percent(share), String::new()]);
        }
        rows.push(row);
    }
    table(
        &[
            "what",
            "threads",
            "median",
            "to myloader (bar)",
            "to mysql (bar)",
            "client's CPU, of its and the server's (bar)",
            "worker's peak memory (bar)",
        ],
        &rows,
    )
}
