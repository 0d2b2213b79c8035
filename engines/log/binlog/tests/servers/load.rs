//! Writers that do everything at once, from a seed.

use std::thread;

use backstay_bed::TestServer;
use backstay_mysql::Session;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many write at the same time.
const WRITERS: u64 = 3;
const TABLES: u64 = 4;
/// More than a packet of the protocol holds.
const LARGE: usize = 17 << 20;

/// Writes for so many rounds each.
pub(crate) fn write(server: &TestServer, seed: u64, rounds: usize) {
    let mut session = server.session();
    session.run("CREATE DATABASE shop").expect("a schema");
    for table in 0..TABLES {
        session
            .run(format!(
                "CREATE TABLE shop.t{table} (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, what VARCHAR(200), big LONGBLOB)"
            ))
            .expect("a table");
    }
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let session = server.session();
            scope.spawn(move || Writer::new(session, seed, writer).run(rounds));
        }
    });
}

struct Writer {
    session: Session,
    random: StdRng,
    id: u64,
    large: bool,
}

impl Writer {
    fn new(session: Session, seed: u64, id: u64) -> Self {
        let random = StdRng::seed_from_u64(seed ^ id << 32);
        let large = id == 0;
        Self {
            session,
            random,
            id,
            large,
        }
    }

    /// What a statement has against it (a deadlock, a table that another has just dropped) is not of interest: what counts is what
    /// the server has logged.
    fn try_run(&mut self, sql: impl AsRef<str>) {
        let _ = self.session.run(sql);
    }

    fn run(mut self, rounds: usize) {
        self.try_run("SET SESSION innodb_lock_wait_timeout = 1, lock_wait_timeout = 2");
        for round in 0..rounds {
            match self.random.random_range(0..20) {
                0 => self.definitions(round),
                1 => self.xa(round),
                2 => self.by_statement(),
                3 => self.savepoint(),
                4 if self.large => self.large_row(),
                5 => self.compressed(),
                6 => self.try_run("FLUSH BINARY LOGS"),
                _ => self.several(),
            }
        }
    }

    fn table(&mut self) -> String {
        format!("shop.t{}", self.random.random_range(0..TABLES))
    }

    fn change(&mut self) {
        let (table, n) = (self.table(), self.random.random_range(0..1000));
        let id = self.id;
        let sql = match self.random.random_range(0..4) {
            0 | 1 => {
                format!("INSERT INTO {table} (n, what) VALUES ({n}, 'writer {id}'), ({n} + 1, REPEAT('x', {n} % 150))")
            }
            2 => format!("UPDATE {table} SET n = n + 1, what = 'changed' WHERE n % 13 = {n} % 13"),
            _ => format!("DELETE FROM {table} WHERE n % 29 = {n} % 29"),
        };
        self.try_run(sql);
    }

    /// A transaction of several tables.
    fn several(&mut self) {
        self.try_run("BEGIN");
        for _ in 0..self.random.random_range(1..4) {
            self.change();
        }
        let end = if self.random.random_bool(0.9) {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        self.try_run(end);
    }

    fn savepoint(&mut self) {
        self.try_run("BEGIN");
        self.change();
        self.try_run("SAVEPOINT here");
        self.change();
        self.try_run("ROLLBACK TO here");
        self.change();
        self.try_run("COMMIT");
    }

    fn by_statement(&mut self) {
        self.try_run("SET SESSION binlog_format = 'STATEMENT'");
        let (table, n) = (self.table(), self.random.random_range(0..1000));
        self.try_run(format!("INSERT INTO {table} (n, what) VALUES ({n}, 'by statement')"));
        self.try_run("BEGIN");
        self.try_run(format!("UPDATE {table} SET what = CONCAT('n is ', n) WHERE n = {n}"));
        self.try_run("SET @given = 4711");
        self.try_run(format!(
            "INSERT INTO {table} (n, what) VALUES (@given, @@session.sql_mode)"
        ));
        self.try_run("COMMIT");
        self.try_run("SET SESSION binlog_format = 'ROW'");
    }

    fn compressed(&mut self) {
        let (on, off) = if self.session.flavour().is_mariadb() {
            ("SET GLOBAL log_bin_compress = ON", "SET GLOBAL log_bin_compress = OFF")
        } else {
            (
                "SET SESSION binlog_transaction_compression = ON",
                "SET SESSION binlog_transaction_compression = OFF",
            )
        };
        self.try_run(on);
        self.several();
        self.try_run(off);
    }

    fn xa(&mut self, round: usize) {
        let name = format!("'x{}-{round}'", self.id);
        self.try_run(format!("XA START {name}"));
        self.change();
        self.change();
        self.try_run(format!("XA END {name}"));
        self.try_run(format!("XA PREPARE {name}"));
        let end = if self.random.random_bool(0.7) {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        self.try_run(format!("XA {end} {name}"));
    }

    fn large_row(&mut self) {
        self.large = false;
        let table = self.table();
        self.try_run(format!(
            "INSERT INTO {table} (n, what, big) VALUES (7, 'large', REPEAT('0123456789abcdef', {}))",
            LARGE / 16
        ));
    }

    fn definitions(&mut self, round: usize) {
        let own = format!("shop.own_{}_{round}", self.id);
        let table = self.table();
        match self.random.random_range(0..6) {
            0 => self.try_run(format!(
                "ALTER TABLE {table} ADD COLUMN c{}_{round} INT NOT NULL DEFAULT 5",
                self.id
            )),
            1 => self.try_run(format!("TRUNCATE TABLE {table}")),
            2 => {
                self.try_run(format!(
                    "CREATE TABLE {own} AS SELECT id, n FROM {table} WHERE n % 3 = 0"
                ));
                self.try_run(format!("ALTER TABLE {own} ADD PRIMARY KEY (id)"));
            }
            3 => {
                self.try_run(format!("CREATE TABLE {own} LIKE {table}"));
                self.try_run(format!("RENAME TABLE {own} TO {own}_renamed"));
                self.try_run(format!("INSERT INTO {own}_renamed (n) VALUES (1), (2)"));
            }
            4 => {
                self.try_run(format!("CREATE USER 'u{}_{round}'@localhost", self.id));
                self.try_run(format!(
                    "CREATE OR REPLACE VIEW shop.v{} AS SELECT n FROM {table}",
                    self.id
                ));
            }
            _ => {
                self.try_run(format!("CREATE INDEX i{}_{round} ON {table} (n)", self.id));
                self.try_run(format!("DROP INDEX i{}_{round} ON {table}", self.id));
            }
        }
    }
}
