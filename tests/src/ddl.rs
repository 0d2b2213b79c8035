//! DDL now and then, beside a load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Opts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The schema in which it happens.
pub const SCHEMA: &str = "ddl";

/// Tables that come, change, are renamed and go, until it is stopped.
#[derive(Debug)]
pub struct Ddl {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Ddl {
    /// Starts it.
    ///
    /// # Panics
    /// There is no connection.
    pub fn start(opts: &Opts, seed: u64) -> Self {
        let mut conn = Conn::new(opts.clone()).expect("a connection for the DDL");
        conn.query_drop(format!("CREATE DATABASE IF NOT EXISTS {SCHEMA}"))
            .expect("a schema");
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&done));
        let mut random = StdRng::seed_from_u64(seed);
        let thread = thread::spawn(move || {
            let mut number = seed * 1_000_000;
            while !stopped.load(Ordering::Relaxed) {
                number += 1;
                let statements = [
                    format!(
                        "CREATE TABLE {SCHEMA}.t{number} (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100)) ENGINE=InnoDB"
                    ),
                    format!("INSERT INTO {SCHEMA}.t{number} (v) VALUES ('a'), ('b'), (REPEAT('c', 90))"),
                    format!("ALTER TABLE {SCHEMA}.t{number} ADD COLUMN w INT NOT NULL DEFAULT 7"),
                    format!("RENAME TABLE {SCHEMA}.t{number} TO {SCHEMA}.r{number}"),
                    format!("TRUNCATE TABLE {SCHEMA}.r{number}"),
                    format!("INSERT INTO {SCHEMA}.r{number} VALUES (1, 'after', 2)"),
                    format!("DROP TABLE {SCHEMA}.r{number}"),
                ];
                // Some stay as they are half-way.
                let last = random.random_range(2..=statements.len());
                for statement in &statements[..last] {
                    // While a backup holds its lock it waits; when the server ends, so does this.
                    if conn.query_drop(statement).is_err() && stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(random.random_range(0..60)));
                }
            }
        });
        Self {
            stop,
            done,
            thread: Some(thread),
        }
    }

    /// Stops it and says how many statements there were.
    ///
    /// # Panics
    /// The thread has panicked.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread of the DDL");
        }
        self.done.load(Ordering::Relaxed)
    }
}

impl Drop for Ddl {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
