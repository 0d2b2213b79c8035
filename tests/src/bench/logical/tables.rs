//! Many tables without rows: what a table costs.
//!
//! They are spread over ten schemas: on MySQL, mysqldump takes time that grows with the square of a schema's tables, and to
//! be fast beside that would say little.

use std::error::Error;
use std::path::Path;
use std::thread;

use backstay_bed::{Flavour, TestServer};
use mysql::prelude::Queryable;

use super::super::usage::Usage;
use super::super::{RUNS, median, table, verdict};
use super::data;
use super::dump::show;
use super::peers::{PLAIN, Peers, backstay};
use super::{Plan, say};

const SCHEMAS: usize = 10;
const TABLES: f64 = 1_000.0;
const THREADS: usize = 4;
const TO_MYSQLDUMP: f64 = 0.3;

/// A dump of them beside mysqldump's.
pub(super) fn run(plan: &Plan, flavour: Flavour) -> Result<String, Box<dyn Error>> {
    let each = ((TABLES * plan.scale) as usize).max(1);
    let all = each * SCHEMAS;
    say(&format!("{}: making {all} tables", flavour.as_str()));
    let server = data::server(
        flavour,
        1e9,
        &["--table-definition-cache=16384", "--table-open-cache=8192"],
    )?;
    let schemas: Vec<String> = (0..SCHEMAS).map(|number| format!("many{number}")).collect();
    make(&server, &schemas, each)?;
    let names: Vec<&str> = schemas.iter().map(String::as_str).collect();
    let backstay = backstay(&server, &server.dir().join("backstay"));
    let peers = Peers { server: &server };
    let (mut theirs, mut ours): (Vec<Usage>, Vec<Usage>) = Default::default();
    for round in 0..=RUNS {
        say(&format!(
            "{}: dump of {all} tables, round {round} of {RUNS}",
            flavour.as_str()
        ));
        let mysqldump = peers.mysqldump(&names, Path::new("/dev/null"))?;
        let (usage, _) = peers.backup(&backstay, PLAIN, THREADS)?;
        if round > 0 {
            theirs.push(mysqldump);
            ours.push(usage);
        }
    }
    let seconds = |usages: &[Usage]| median(&usages.iter().map(|usage| usage.seconds).collect::<Vec<_>>());
    let (theirs, ours) = (seconds(&theirs), seconds(&ours));
    let ratio = ours.zip(theirs).map_or(f64::NAN, |(ours, theirs)| ours / theirs);
    Ok(table(
        &["what", "mysqldump > /dev/null", "backstay", "ratio (bar)"],
        &[vec![
            format!("{all} empty tables in {SCHEMAS} schemas, {THREADS} threads"),
            show(theirs),
            show(ours),
            verdict(ratio, TO_MYSQLDUMP),
        ]],
    ))
}

fn make(server: &TestServer, schemas: &[String], each: usize) -> Result<(), Box<dyn Error>> {
    thread::scope(|scope| {
        let fill = |schema: &String| -> Result<(), mysql::Error> {
            let mut conn = server.conn();
            conn.query_drop(format!("CREATE DATABASE {schema}"))?;
            for table in 0..each {
                conn.query_drop(format!(
                    "CREATE TABLE {schema}.t{table} (id INT PRIMARY KEY, name VARCHAR(50))"
                ))?;
            }
            Ok(())
        };
        let threads: Vec<_> = schemas.iter().map(|schema| scope.spawn(move || fill(schema))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| "a thread panicked")?
                .map_err(Box::<dyn Error>::from)
        })
    })
}
