//! The story of `cargo xtask demo`: a private server, a small shop, a backup, a mistake, and the way back.
//!
//! Everything is below one directory; the server is started by a script in it, so that it is there afterwards too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use backstay_mysql::Program;
use backstay_mysql::private_server::initialise;
use backstay_tests::compare::rows;
use backstay_tests::servers::{Installed, Kind, installed};
use backstay_tests::{build_dir, shop, target_dir};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let kind = if std::env::args().any(|argument| argument == "--mariadb") {
        Kind::MariaDb
    } else {
        Kind::MySql
    };
    match Demo::new(kind).and_then(|demo| demo.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    kind: Kind,
    dir: PathBuf,
    installed: Installed,
}

impl Demo {
    fn new(kind: Kind) -> Result<Self> {
        let demo = Self {
            kind,
            dir: target_dir().join("demo"),
            installed: installed(kind),
        };
        if demo.script().exists() {
            // From an earlier demo; its directory goes, and so the server must.
            let _ = Command::new(demo.script()).arg("stop").status();
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
            self.name(),
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
        self.goodbye();
        Ok(())
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::MySql => "MySQL",
            Kind::MariaDb => "MariaDB",
        }
    }

    fn config(&self) -> PathBuf {
        self.dir.join("backstay.toml")
    }

    fn script(&self) -> PathBuf {
        self.dir.join("server")
    }

    fn socket(&self) -> PathBuf {
        // A socket's path must be short, and the directory's may be long.
        std::env::temp_dir().join(format!("backstay-demo-{}.sock", rustix::process::geteuid().as_raw()))
    }

    fn url(&self) -> String {
        format!(
            "{}://root@localhost/?socket={}",
            self.kind.name(),
            self.socket().display()
        )
    }

    fn configuration(&self) -> String {
        format!(
            "[repository]\nurl = \"file://{dir}/repository\"\n\n[plugins]\npath = [\"{engines}\"]\n\n[cluster.shop]\n\
             server = \"{url}\"\nprograms = [\"{programs}\"]\n\n[workflow.nightly]\ncluster = \"shop\"\nengine = \"mysqldump\"\n",
            dir = self.dir.display(),
            engines = build_dir().display(),
            url = self.url(),
            programs = self.installed.programs.display(),
        )
    }

    /// Makes the data directory and the script that starts, stops and asks the server.
    fn start_server(&self) -> Result<()> {
        let data = self.dir.join("data");
        let program = Program::inspect(&self.installed.mysqld)?;
        initialise(&program, &data, &self.installed.arguments)?;
        let client = match self.kind {
            Kind::MySql => "mysql",
            Kind::MariaDb => "mariadb",
        };
        let admin = format!("{client}admin").replace("mariadbadmin", "mariadb-admin");
        let own = match self.kind {
            Kind::MySql => "--gtid-mode=ON --enforce-gtid-consistency=ON --mysqlx=OFF",
            Kind::MariaDb => "",
        };
        let script = format!(
            r#"#!/bin/sh
# The demo's server: server start | stop | client
dir='{dir}'
socket='{socket}'
case "$1" in
start)
    setsid '{mysqld}' --no-defaults {arguments} --datadir="$dir/data" --socket="$socket" --skip-networking \
        --log-bin=binlog --server-id=1 {own} {user} >"$dir/server.log" 2>&1 </dev/null &
    for _ in $(seq 300); do
        '{programs}/{admin}' --no-defaults --socket="$socket" --user=root ping >/dev/null 2>&1 && exit 0
        sleep 0.1
    done
    echo "the server does not answer; see $dir/server.log" >&2
    exit 1 ;;
stop) exec '{programs}/{admin}' --no-defaults --socket="$socket" --user=root shutdown ;;
client) shift; exec '{programs}/{client}' --no-defaults --socket="$socket" --user=root "$@" ;;
*) echo "usage: $0 start | stop | client" >&2; exit 2 ;;
esac
"#,
            dir = self.dir.display(),
            socket = self.socket().display(),
            mysqld = self.installed.mysqld.display(),
            arguments = self.installed.arguments.join(" "),
            user = if rustix::process::geteuid().is_root() {
                "--user=root"
            } else {
                ""
            },
            programs = self.installed.programs.display(),
        );
        fs::write(self.script(), script)?;
        fs::set_permissions(self.script(), fs::Permissions::from_mode(0o755))?;
        let status = Command::new(self.script()).arg("start").status()?;
        if !status.success() {
            return Err(format!("the server did not start; see {}/server.log", self.dir.display()).into());
        }
        Ok(())
    }

    fn connect(&self) -> Result<Conn> {
        let socket = self.socket();
        Ok(Conn::new(
            OptsBuilder::new()
                .socket(Some(socket.to_string_lossy()))
                .user(Some("root"))
                .prefer_socket(true),
        )?)
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

    /// Runs backstay, as a user would.
    fn backstay(&self, arguments: &[&str]) -> Result<()> {
        println!("   $ backstay {}", arguments.join(" "));
        let output = Command::new(build_dir().join("backstay"))
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .current_dir(&self.dir)
            .output()?;
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
