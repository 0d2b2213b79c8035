//! The story of `cargo xtask demo`: a private server, a small shop, a backup, a mistake, and the way back; then an incremental backup,
//! another mistake, and a recovery to just before it; and the same with an engine that takes the server's files, and the log archived.
//!
//! Everything is below one directory; the server is started by a script in it, so that it is there afterwards too.

mod physical;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use backstay_bed::{Flavour, Installed, TestServer, installed, target_dir};
use backstay_tests::compare::rows;
use backstay_tests::{build_dir, shop};
use mysql::Conn;
use mysql::prelude::Queryable;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let flavour = if std::env::args().any(|argument| argument == "--mariadb") {
        Flavour::MariaDb
    } else {
        Flavour::MySql
    };
    match Demo::new(flavour).and_then(|demo| demo.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    flavour: Flavour,
    dir: PathBuf,
    installed: Installed,
}

impl Demo {
    fn new(flavour: Flavour) -> Result<Self> {
        let demo = Self {
            flavour,
            dir: target_dir().join("demo"),
            installed: installed(flavour),
        };
        if demo.script().exists() {
            // From an earlier demo; its directory goes, and so the server must. Mostly it is gone, and there is nothing to say about it.
            let _ = Command::new(demo.script()).arg("stop").output();
        }
        if demo.dir.exists() {
            fs::remove_dir_all(&demo.dir)?;
        }
        fs::create_dir_all(&demo.dir)?;
        Ok(demo)
    }

    fn run(&self) -> Result<()> {
        say(&format!(
            "a private {} {} below {}",
            self.flavour,
            self.installed.version,
            self.dir.display()
        ));
        self.start_server()?;
        let mut conn = self.connect()?;
        shop::create(&mut conn);
        self.more_orders(&mut conn)?;
        let before = rows(&mut conn, "shop", "orders");
        println!("   a small shop; shop.orders has {before}");

        say("a backup");
        fs::write(self.config(), self.configuration())?;
        self.backstay(&["init"])?;
        self.backstay(&["backup", "--cluster", "shop", "--engine", "mysqldump"])?;
        self.backstay(&["verify"])?;

        say("a mistake");
        for statement in ["SET FOREIGN_KEY_CHECKS = 0", "DROP TABLE shop.orders"] {
            conn.query_drop(statement)?;
        }
        println!("   DROP TABLE shop.orders");
        let left: Option<u32> = conn.query_first(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop' AND table_name = 'orders'",
        )?;
        if left != Some(0) {
            return Err("the table is still there".into());
        }

        say("the table comes back, alone");
        let url = self.url();
        self.backstay(&["restore", "latest", "--tables", "shop.orders", "--to-server", &url])?;
        let after = rows(&mut conn, "shop", "orders");
        println!("   shop.orders has {after}");
        if before != after {
            return Err("the table that came back is another one".into());
        }
        println!("   the same as before, row for row (SHA-256)");
        self.recover(&mut conn)?;
        self.physical(conn)?;
        self.repair()?;
        self.goodbye();
        Ok(())
    }

    /// The mistakes were undone elsewhere. Whoever goes on by hand does so with a shop that is whole.
    fn repair(&self) -> Result<()> {
        say("the server's own tables come back, from the first backup");
        let backups = fs::read_dir(self.dir.join("repository/clusters/shop/backups"))?;
        let names = backups
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let first = names.filter(|name| name.contains("-full-mysqldump-")).min();
        let first = first.ok_or("the first backup is not there")?;
        let tables = "shop.orders,shop.customers";
        self.backstay(&["restore", &first, "--tables", tables, "--to-server", &self.url()])?;
        self.backstay(&["backup", "--workflow", "nightly"])
    }

    /// An incremental backup, another mistake, and a recovery to just before it.
    fn recover(&self, conn: &mut Conn) -> Result<()> {
        say("what is logged since, and another mistake in it");
        conn.query_drop("UPDATE shop.orders SET note = CONCAT(note, ', paid') WHERE id % 2 = 0")?;
        let before = rows(conn, "shop", "orders");
        println!("   an UPDATE; shop.orders has {before}");
        for statement in [
            "SET FOREIGN_KEY_CHECKS = 0",
            "DROP TABLE shop.orders",
            "UPDATE shop.customers SET city = 'gone on'",
        ] {
            conn.query_drop(statement)?;
        }
        println!("   DROP TABLE shop.orders, and the shop goes on");
        self.backstay(&["backup", "--cluster", "shop", "--engine", "mysqldump", "--incremental"])?;

        say("the mistake is found in the log");
        let gtid = self.dropped("shop.orders")?;

        say("recovery to just before it, on another server");
        let target = TestServer::start_with(self.flavour, &["--server-id=2", "--event-scheduler=OFF"]);
        self.backstay(&["recover", "--before-gtid", &gtid, "--to-server", &target.url()])?;
        let after = rows(&mut target.conn(), "shop", "orders");
        println!("   shop.orders has {after} there");
        if before != after {
            return Err("the table that was recovered is another one".into());
        }
        println!("   the same as just before the mistake, row for row (SHA-256)");
        Ok(())
    }

    /// Finds the last DROP of a table in the log, for the eye and for what comes next.
    fn dropped(&self, table: &str) -> Result<String> {
        let search = ["log", "search", "--table", table, "--kind", "ddl"];
        self.backstay(&search)?;
        let output = self.command(&[&search[..], &["--json"]].concat()).output()?;
        let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let dropped = found["transactions"].as_array().and_then(|found| {
            let dropped = found.iter().rev().map(|found| &found["transaction"]);
            dropped
                .filter(|transaction| {
                    transaction["statement"]
                        .as_str()
                        .is_some_and(|sql| sql.starts_with("DROP"))
                })
                .find_map(|transaction| transaction["gtid"].as_str())
        });
        Ok(dropped.ok_or("the DROP TABLE is not in the log")?.to_owned())
    }

    fn config(&self) -> PathBuf {
        self.dir.join("backstay.toml")
    }

    fn configuration(&self) -> String {
        format!(
            "[repository]\nurl = \"file://{dir}/repository\"\n\n[plugins]\npath = [\"{engines}\"]\n\n[cluster.shop]\n\
             server = \"{url}\"\ndata_dir = \"{dir}/data\"\nprograms = [\"{programs}\", \"{mysqld}\"]\n\n[workflow.nightly]\ncluster = \"shop\"\nengine = \"mysqldump\"\n",
            dir = self.dir.display(),
            engines = build_dir().display(),
            url = self.url(),
            programs = self.installed.programs.display(),
            mysqld = self.installed.mysqld.parent().unwrap_or(Path::new("/")).display(),
        )
    }

    fn more_orders(&self, conn: &mut Conn) -> Result<()> {
        let orders = (0..1000).map(|n| {
            (
                n % 3 + 1,
                format!("2026-11-{:02}", n % 28 + 1),
                format!("order number {n}"),
            )
        });
        conn.exec_batch(
            "INSERT INTO shop.orders (customer, ordered, note) VALUES (?, ?, ?)",
            orders,
        )?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(build_dir().join("backstay"));
        command.arg("--config").arg(self.config()).args(arguments);
        command.current_dir(&self.dir);
        command
    }

    /// Runs backstay, as a user would.
    fn backstay(&self, arguments: &[&str]) -> Result<()> {
        println!("   $ backstay {}", arguments.join(" "));
        let output = self.command(arguments).output()?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            println!("   {line}");
        }
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(())
    }

    fn goodbye(&self) {
        let here = |path: &Path| {
            let current = std::env::current_dir().unwrap_or_default();
            path.strip_prefix(current).unwrap_or(path).display().to_string()
        };
        say("go on by hand");
        println!(
            "   the server is still running, and everything is below {}:",
            here(&self.dir)
        );
        println!(
            "   {} client                   # look around, break something",
            here(&self.script())
        );
        let program = here(&build_dir().join("backstay"));
        let config = here(&self.config());
        for verb in ["list", "show", "backup --workflow nightly", "engines inspect mysqldump"] {
            println!("   {program} --config {config} {verb}");
        }
        println!(
            "   {program} --config {config} restore latest --tables 'shop.*' --as-schema rescue --to-server '{}'",
            self.url()
        );
        println!(
            "   {} stop                     # when you have seen enough",
            here(&self.script())
        );
    }
}

fn say(what: &str) {
    println!("\n== {what}");
}
