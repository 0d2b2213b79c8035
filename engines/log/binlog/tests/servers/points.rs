//! Random points in a run of concurrent writes of every sort. `BACKSTAY_ROUNDS` says how many.

use backstay_bed::{TestServer, on_both};
use backstay_engine_api::position::{BinlogFile, PointInTime, RecoveryPoint};
use backstay_mysql::Flavour;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::logs::{self, Logs, TestHost};
use crate::reference::Reference;
use crate::{Recovery, contents, load, nowhere, recover, rounds};

on_both!(random_points);

fn random_points(flavour: Flavour) {
    const SEED: u64 = 20261128;
    println!("seed {SEED}");
    let source = TestServer::start(flavour);
    load::write(&source, SEED, 60);
    let logs = logs::read(&source);
    let all = logs.transactions.len();
    println!("{all} transactions");
    assert!(all > 100, "a load with {all} transactions");
    let mut random = StdRng::seed_from_u64(SEED);
    let mut counts: Vec<usize> = (1..rounds(4)).map(|_| random.random_range(1..all)).collect();
    counts.push(all);
    counts.sort_unstable();
    let mut reference = Reference::start(&source, &logs);
    for count in counts {
        let point = point(&logs, count, &mut random);
        println!("{count}: {point}");
        let host = TestHost::new();
        let target = TestServer::start(flavour);
        let per_segment = random.random_range(10..200);
        let recovered = recover(
            &host,
            Recovery {
                target: target.address().into(),
                from: nowhere(flavour),
                point: point.clone(),
                logs: logs.put_into(&host, per_segment),
                options: json!({}),
            },
        )
        .unwrap_or_else(|error| panic!("{point}: {error}\n{}", target.server.error_log()));
        assert_eq!(recovered.transactions, count as u64, "{point}");
        assert_eq!(recovered.positions[0], logs.transactions[count - 1].after, "{point}");
        reference.advance(count);
        assert_eq!(contents(&target), contents(&reference.server), "{point}");
    }
}

/// A point after so many transactions, in one of the ways to say it.
fn point(logs: &Logs, count: usize, random: &mut StdRng) -> RecoveryPoint {
    let time = |index: usize| {
        let time: PointInTime = logs.transactions[index].line.time.parse().unwrap();
        time.unix_microseconds()
    };
    let last = &logs.transactions[count - 1];
    let Some(next) = logs.transactions.get(count) else {
        return RecoveryPoint::Latest;
    };
    // Between two commits, and no transaction before them may be later.
    let later = (0..count).map(time).max().unwrap_or_default();
    match random.random_range(0..4) {
        0 if later < time(count) => {
            let between = PointInTime::from_unix_microseconds(random.random_range(later..time(count))).unwrap();
            RecoveryPoint::Time { time: between }
        }
        // Seconds are too coarse for most transactions of MariaDB's.
        0 | 1 => RecoveryPoint::BinlogFile(BinlogFile::new(&last.file, last.end).unwrap()),
        2 => RecoveryPoint::before_gtid(next.line.gtid.as_deref().unwrap()).unwrap(),
        _ => RecoveryPoint::gtid(&last.after.value).unwrap(),
    }
}
