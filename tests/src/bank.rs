//! A write load with a sum that never changes: transfers between accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Opts, TxOpts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many accounts there are.
pub const ACCOUNTS: u32 = 200;
/// What each starts with.
pub const BALANCE: i64 = 1000;

/// Makes the schema `bank`.
///
/// # Panics
/// A statement fails.
pub fn create(conn: &mut Conn) {
    for statement in [
        "CREATE DATABASE bank",
        "CREATE TABLE bank.account (id INT PRIMARY KEY, balance BIGINT NOT NULL)",
        "CREATE TABLE bank.transfer (id BIGINT AUTO_INCREMENT PRIMARY KEY, source INT NOT NULL, target INT NOT NULL, \
         amount BIGINT NOT NULL, note VARCHAR(200), KEY (source), KEY (target))",
    ] {
        conn.query_drop(statement).expect(statement);
    }
    let rows = (1..=ACCOUNTS).map(|id| (id, BALANCE));
    conn.exec_batch("INSERT INTO bank.account VALUES (?, ?)", rows)
        .expect("accounts");
}

/// The sum of all balances, and that of an undisturbed bank.
///
/// # Panics
/// The query fails.
pub fn sums(conn: &mut Conn, schema: &str) -> (i64, i64) {
    let sum: Option<Option<i64>> = conn
        .query_first(format!("SELECT CAST(SUM(balance) AS SIGNED) FROM {schema}.account"))
        .expect("the sum");
    (sum.flatten().unwrap_or(0), i64::from(ACCOUNTS) * BALANCE)
}

/// Transfers that go on until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts threads that transfer, each with its own connection and its own part of the seed.
    ///
    /// # Panics
    /// A connection can not be made.
    pub fn start(opts: &Opts, threads: u64, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let threads = (0..threads)
            .map(|thread| {
                let mut conn = Conn::new(opts.clone()).expect("a connection for the load");
                let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
                let mut random = StdRng::seed_from_u64(seed * 1000 + thread);
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        // A deadlock, a lock that a backup holds, a server that is gone: the next one counts.
                        if transfer(&mut conn, &mut random).is_ok() {
                            done.fetch_add(1, Ordering::Relaxed);
                        } else {
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                })
            })
            .collect();
        Self { stop, done, threads }
    }

    /// How many transfers were committed so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until so many more are committed.
    ///
    /// # Panics
    /// They are not after a minute.
    pub fn wait_for(&self, more: u64) {
        let until = self.done() + more;
        for _ in 0..6000 {
            if self.done() >= until {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the load has stopped at {} transfers", self.done());
    }

    /// Stops the load, and says how many transfers were committed.
    ///
    /// # Panics
    /// A thread has panicked.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a thread of the load");
        }
        self.done()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn transfer(conn: &mut Conn, random: &mut StdRng) -> mysql::Result<()> {
    let (source, target) = (random.random_range(1..=ACCOUNTS), random.random_range(1..=ACCOUNTS));
    let amount = random.random_range(1..=50_i64);
    let mut transaction = conn.start_transaction(TxOpts::default())?;
    transaction.exec_drop(
        "UPDATE bank.account SET balance = balance - ? WHERE id = ?",
        (amount, source),
    )?;
    transaction.exec_drop(
        "UPDATE bank.account SET balance = balance + ? WHERE id = ?",
        (amount, target),
    )?;
    transaction.exec_drop(
        "INSERT INTO bank.transfer (source, target, amount, note) VALUES (?, ?, ?, ?)",
        (source, target, amount, format!("{source} pays {target} {amount}")),
    )?;
    transaction.commit()
}
