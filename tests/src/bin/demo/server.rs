//! The demo's server, and the script that starts and stops it, now and afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use backstay_mysql::private_server::initialise;
use mysql::{Conn, OptsBuilder};

use crate::{Demo, Result};

impl Demo {
    pub(crate) fn script(&self) -> PathBuf {
        self.dir.join("server")
    }

    fn socket(&self) -> PathBuf {
        // A socket's path must be short, and the directory's may be long.
        std::env::temp_dir().join(format!("backstay-demo-{}.sock", rustix::process::geteuid().as_raw()))
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "{}://root@localhost/?socket={}",
            self.flavour.as_str(),
            self.socket().display()
        )
    }

    /// Makes the data directory and the script that starts, stops and asks the server.
    pub(crate) fn start_server(&self) -> Result<()> {
        let data = self.dir.join("data");
        initialise(&self.installed.program(), &data, &self.installed.arguments)?;
        let client = self.flavour.as_str();
        let admin = format!("{client}admin").replace("mariadbadmin", "mariadb-admin");
        let own = if self.flavour.is_mariadb() {
            ""
        } else {
            "--gtid-mode=ON --enforce-gtid-consistency=ON --mysqlx=OFF --secure-file-priv="
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
        self.server("start")
    }

    /// Starts or stops it.
    pub(crate) fn server(&self, verb: &str) -> Result<()> {
        if Command::new(self.script()).arg(verb).status()?.success() {
            return Ok(());
        }
        Err(format!("the server did not {verb}; see {}/server.log", self.dir.display()).into())
    }

    pub(crate) fn connect(&self) -> Result<Conn> {
        let socket = self.socket();
        Ok(Conn::new(
            OptsBuilder::new()
                .socket(Some(socket.to_string_lossy()))
                .user(Some("root"))
                .prefer_socket(true),
        )?)
    }
}
