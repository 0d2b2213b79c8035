//! The floor: every row read and thrown away, on so many connections. No dump over the protocol can be faster.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use backstay_engine_api::EngineError;
use backstay_mysql::RawSession;
use backstay_mysql::raw::{PIECE, Part, RowSink};

use super::data::DataSet;

/// How many ranges of a table are read one after the other where tables do not make equal shares: enough that no connection is done
/// long before another. Whole tables take MySQL less.
const RANGES: u64 = 8;

struct Nowhere;

impl RowSink for Nowhere {
    fn null(&mut self, _: usize) {}

    fn value(&mut self, _: usize, bytes: &[u8]) {
        std::hint::black_box(bytes);
    }

    fn part(&mut self, _: usize, bytes: &[u8], _: Part) -> Result<(), EngineError> {
        std::hint::black_box(bytes);
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// As values, which take the server less than their text; how many rows there were.
fn read_all(session: &mut RawSession, select: &str) -> Result<u64, EngineError> {
    if let Some(prepared) = session.prepare(select)?
        && let Some(rows) = session.rows_of(prepared, &mut Nowhere)?
    {
        return Ok(rows);
    }
    session.rows(select, &mut Nowhere)
}

/// Seconds.
pub(super) fn run(set: &DataSet, connections: usize) -> Result<f64, Box<dyn Error>> {
    let session = set.server.server.session()?;
    let mut sessions = (0..connections)
        .map(|_| RawSession::like(&session))
        .collect::<Result<Vec<_>, _>>()?;
    for session in &mut sessions {
        session.widen(PIECE)?;
    }
    let queries: Vec<String> = if set.tables.len().is_multiple_of(connections) {
        let select = |table: &String| format!("SELECT * FROM {}.{table}", set.schema);
        set.tables.iter().map(select).collect()
    } else {
        let step = set.rows.div_ceil(RANGES);
        let of_range = |range: u64| {
            let (from, to) = (range * step + 1, (range + 1) * step);
            let select =
                move |table: &String| format!("SELECT * FROM {}.{table} WHERE id BETWEEN {from} AND {to}", set.schema);
            set.tables.iter().map(select)
        };
        (0..RANGES).flat_map(of_range).collect()
    };
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let read = thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .iter_mut()
            .map(|session| {
                let (next, queries) = (&next, &queries);
                scope.spawn(move || -> Result<u64, EngineError> {
                    let mut rows = 0;
                    while let Some(select) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
                        rows += read_all(session, select)?;
                    }
                    Ok(rows)
                })
            })
            .collect();
        threads
            .into_iter()
            .try_fold(0, |sum, thread| -> Result<u64, Box<dyn Error>> {
                Ok(sum + thread.join().map_err(|_| "a thread panicked")??)
            })
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let expected = set.rows * set.tables.len() as u64;
    if read != expected {
        return Err(format!("the floor read {read} rows, expected {expected}").into());
    }
    Ok(seconds)
}
