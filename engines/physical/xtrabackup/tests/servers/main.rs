//! The engine with MariaDB's `mariadb-backup` against real servers, started for each test on a copy of a template, with a host in
//! memory.

mod parents;
mod refusals;
mod round_trip;
mod tables;

use std::path::Path;

use backstay_bed::{TestServer, installed};
use backstay_mysql::{Flavour, PrivateServer, Session};
use backstay_xtrabackup::XtraBackup;

/// A host in memory with the engine.
pub(crate) type TestHost = backstay_bed::MemoryHost<XtraBackup>;

/// A server with some of everything that lies in files. Its tables are written to them, as those of a server are that has run for
/// more than a moment: a file whose first page was never written has no tablespace's number yet, and the tool can not follow a
/// renaming of it.
pub(crate) fn furnished() -> TestServer {
    let bed = TestServer::start(Flavour::MariaDb);
    furnish(&bed);
    bed
}

pub(crate) fn furnish(bed: &TestServer) {
    bed.script(
        "CREATE DATABASE shop;\n\
         CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(200) NOT NULL, KEY (what));\n\
         INSERT INTO shop.orders (what) SELECT CONCAT('order ', seq, REPEAT(' x', seq % 90)) FROM mysql.seq_1_to_5000;\n\
         CREATE TABLE shop.lines (id INT, order_id INT, FOREIGN KEY (order_id) REFERENCES shop.orders (id), PRIMARY KEY (id));\n\
         INSERT INTO shop.lines SELECT seq, seq FROM mysql.seq_1_to_1000;\n\
         CREATE TABLE shop.parts (id INT PRIMARY KEY, v VARCHAR(50)) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (500), \
         PARTITION `pé` VALUES LESS THAN MAXVALUE);\n\
         INSERT INTO shop.parts SELECT seq, CONCAT('part ', seq) FROM mysql.seq_1_to_1000;\n\
         CREATE TABLE shop.packed (id INT PRIMARY KEY, v LONGTEXT) PAGE_COMPRESSED=1;\n\
         INSERT INTO shop.packed SELECT seq, REPEAT('packed ', 500) FROM mysql.seq_1_to_1000;\n\
         CREATE TABLE shop.notes (id INT PRIMARY KEY, v TEXT) ENGINE=Aria;\n\
         INSERT INTO shop.notes VALUES (1, 'aria');\n\
         CREATE TABLE shop.old (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM;\n\
         INSERT INTO shop.old VALUES (1, 'myisam');\n\
         CREATE VIEW shop.big AS SELECT * FROM shop.orders WHERE id > 4000;\n\
         CREATE SEQUENCE shop.numbers START WITH 17;\n\
         CREATE TRIGGER shop.orders_ai AFTER INSERT ON shop.orders FOR EACH ROW SET @x = 1;\n\
         CREATE DATABASE `od-d ö`;\n\
         CREATE TABLE `od-d ö`.`tä/b le` (id INT PRIMARY KEY, v BLOB);\n\
         INSERT INTO `od-d ö`.`tä/b le` VALUES (1, 0xFF00), (2, '\\\\');\n\
         CREATE USER clerk@localhost IDENTIFIED BY 'secret of clerk';\n\
         FLUSH TABLES shop.orders, shop.lines, shop.parts, shop.packed, `od-d ö`.`tä/b le` FOR EXPORT;\n\
         UNLOCK TABLES;\n",
    );
}

/// What is in the tables of these schemas: names, definitions, checksums.
pub(crate) fn contents(session: &mut Session) -> Vec<String> {
    let tables: Vec<(String, String)> = session
        .query(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', \
             'information_schema', 'performance_schema') ORDER BY 1, 2",
        )
        .unwrap();
    assert!(!tables.is_empty());
    tables
        .into_iter()
        .map(|(schema, table)| {
            let name = format!("`{schema}`.`{table}`");
            let sum: Option<(String, Option<u64>)> =
                session.query_first(format!("CHECKSUM TABLE {name} EXTENDED")).unwrap();
            let definition = session.query_named(format!("SHOW CREATE TABLE {name}")).unwrap();
            let definition = definition[0].get(&["Create Table", "Create View"]).unwrap_or_default();
            // A server that recovers counts on from another number.
            let counter = definition.find(" AUTO_INCREMENT=").map(|at| {
                let digits = definition[at + 16..].find(' ').unwrap_or(0);
                format!("{}{}", &definition[..at], &definition[at + 16 + digits..])
            });
            let definition = counter.unwrap_or_else(|| definition.to_owned());
            format!("{name} {:?} {definition}", sum.and_then(|(_, sum)| sum))
        })
        .collect()
}

/// A private server on a restored directory.
pub(crate) fn server_on(path: &Path, args: &[&str]) -> PrivateServer {
    PrivateServer::builder(installed(Flavour::MariaDb).program(), path)
        .args(args.iter().copied())
        .start()
        .unwrap_or_else(|error| panic!("{error}"))
}
