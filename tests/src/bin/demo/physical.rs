//! The same story with an engine that takes the server's files: full, incremental, the log archived, a mistake, and a data directory as it
//! was just before.

use backstay_mysql::PrivateServer;
use backstay_tests::compare::rows;
use backstay_tests::on_volume;
use mysql::Conn;
use mysql::prelude::Queryable;

use crate::{Demo, Result, say};

impl Demo {
    /// From a full backup to the proof.
    pub(crate) fn physical(&self, conn: Conn) -> Result<()> {
        say("a physical engine beside it: the server's own files");
        let mut conn = self.of_the_files(conn, &[])?;
        conn.query_drop("UPDATE shop.customers SET city = CONCAT(city, ', moved')")?;
        let mut conn = self.of_the_files(conn, &["--incremental"])?;

        say("the log is archived, and a third mistake is in it");
        conn.query_drop("UPDATE shop.customers SET city = CONCAT(city, ' again')")?;
        let before = rows(&mut conn, "shop", "customers");
        println!("   an UPDATE; shop.customers has {before}");
        for statement in ["SET FOREIGN_KEY_CHECKS = 0", "DROP TABLE shop.customers"] {
            conn.query_drop(statement)?;
        }
        println!("   DROP TABLE shop.customers");
        self.backstay(&["archive", "--cluster", "shop", "--once"])?;
        let gtid = self.dropped("shop.customers")?;

        say("recovery to just before it, into a data directory");
        let recovered = self.dir.join("recovered");
        let target = recovered.to_string_lossy();
        let engine = self.engine_of_files();
        self.backstay(&[
            "recover",
            "--before-gtid",
            &gtid,
            "--engine",
            engine,
            "--to-datadir",
            &target,
        ])?;
        let server = PrivateServer::builder(self.installed.program(), &recovered).start()?;
        let after = rows(&mut on_volume::conn(&server), "shop", "customers");
        server.stop()?;
        println!("   shop.customers has {after} there");
        if before != after {
            return Err("the table that was recovered is another one".into());
        }
        println!("   the same as just before the mistake, row for row (SHA-256)");
        Ok(())
    }

    fn engine_of_files(&self) -> &'static str {
        if self.flavour.is_mariadb() {
            "xtrabackup"
        } else {
            "snapshot"
        }
    }

    /// A backup of the server's files. MariaDB brings a tool for that; of MySQL they are copied while it is stopped, for snapshots need a
    /// file system that can.
    fn of_the_files(&self, conn: Conn, more: &[&str]) -> Result<Conn> {
        let engine = self.engine_of_files();
        let backup = ["backup", "--cluster", "shop", "--engine", engine];
        if self.flavour.is_mariadb() {
            self.backstay(&[&backup, more].concat())?;
            return Ok(conn);
        }
        drop(conn);
        println!("   $ server stop");
        self.server("stop")?;
        let taken = self.backstay(&[&backup[..], &["--option", "provider=copy"], more].concat());
        println!("   $ server start");
        self.server("start")?;
        taken?;
        self.connect()
    }
}
