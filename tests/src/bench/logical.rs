//! Logical dumps and loads: the engine `mysqlshell`, through the real host, beside its peers and beside what no dump can do
//! without.
//!
//! Each side runs in turn, in the same run, on the same server and disk; the first round does not count. The *floor* is
//! reading every row and throwing it away, on as many connections. The bar for a dump that is not compressed is made of it: 1.15
//! times the floor and the hashing and writing of the same bytes on all processors.
//!
//! All of it takes some 40 minutes. `BACKSTAY_BENCH_ONLY` says what of it to run, such as `mariadb,sysbench,dump`; the words are
//! servers (`mysql`, `mariadb`), data sets (`sysbench`, `wide`) and parts (`dump`, `load`, `tables`). `BACKSTAY_BENCH_WIDE_GB` is
//! the size of the second data set (2 by default; never more than a fifth of the free disk). `BACKSTAY_BENCH_SCALE`, such as
//! 0.01, shrinks everything, to try the benchmark itself.

mod data;
mod dump;
mod floor;
mod load;
mod peers;
mod tables;

use std::error::Error;

use super::only::Only;
use backstay_bed::{BOTH, Flavour};
use data::DataSet;

/// What of it to run, and how large.
#[derive(Debug, Clone)]
struct Plan {
    only: Only,
    scale: f64,
    wide_bytes: f64,
}

const SERVERS: [&str; 2] = ["mysql", "mariadb"];
const SETS: [&str; 2] = ["sysbench", "wide"];
const PARTS: [&str; 3] = ["dump", "load", "tables"];

impl Plan {
    fn new(only: &str, scale: Option<&str>, gigabytes: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let scale = scale.map_or(Ok(1.0), str::parse)?;
        Ok(Self {
            only: Only::parse(only, &[&SERVERS, &SETS, &PARTS])?,
            scale,
            wide_bytes: gigabytes.map_or(Ok(2.0), str::parse)? * 1e9 * scale,
        })
    }

    /// As [`Only::has`].
    fn has(&self, sort: &[&str], name: &str) -> bool {
        self.only.has(sort, name)
    }

    fn part(&self, name: &str) -> bool {
        self.has(&PARTS, name)
    }
}

/// All of it, or what the environment says.
///
/// # Errors
/// A server, a peer or `backstay` fails.
pub fn run() -> Result<String, Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).ok();
    let plan = Plan::new(
        &variable("BACKSTAY_BENCH_ONLY").unwrap_or_default(),
        variable("BACKSTAY_BENCH_SCALE").as_deref(),
        variable("BACKSTAY_BENCH_WIDE_GB").as_deref(),
    )?;
    let mut text = String::new();
    for flavour in BOTH {
        if plan.has(&SERVERS, flavour.as_str()) {
            on_server(&plan, flavour, &mut text)?;
        }
    }
    Ok(text)
}

fn on_server(plan: &Plan, flavour: Flavour, text: &mut String) -> Result<(), Box<dyn Error>> {
    for name in SETS {
        let load = plan.part("load") && name == "sysbench";
        if !plan.has(&SETS, name) || !(plan.part("dump") || load) {
            continue;
        }
        let set = DataSet::make(plan, flavour, name)?;
        if plan.part("dump") {
            text.push_str(&format!(
                "### {}: dump of {}\n\n{}\n",
                flavour.as_str(),
                set.about,
                dump::run(&set)?
            ));
        }
        if load {
            text.push_str(&format!(
                "### {}: load of {}\n\n{}\n",
                flavour.as_str(),
                set.about,
                load::run(&set)?
            ));
        }
    }
    if plan.part("tables") {
        text.push_str(&format!(
            "### {}: many tables\n\n{}\n",
            flavour.as_str(),
            tables::run(plan, flavour)?
        ));
    }
    Ok(())
}

/// Says on standard error how far it is: a benchmark that says nothing for half an hour looks hung.
fn say(what: &str) {
    eprintln!("  {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_run() {
        let all = Plan::new("", None, None).unwrap();
        assert!(all.has(&SERVERS, "mysql") && all.part("load"));
        let some = Plan::new("mariadb, dump", Some("0.5"), Some("8")).unwrap();
        assert!(some.has(&SERVERS, "mariadb") && !some.has(&SERVERS, "mysql"));
        assert!(some.part("dump") && !some.part("tables"));
        assert!(some.has(&SETS, "wide"));
        assert_eq!(some.wide_bytes, 4e9);
        let error = Plan::new("mysql,nope", None, None).unwrap_err().to_string();
        assert!(
            error.contains("there is no `nope`; there are mysql, mariadb, sysbench"),
            "{error}"
        );
    }
}
