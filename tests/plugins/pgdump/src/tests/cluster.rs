//! A private PostgreSQL server, gone afterwards. It refuses to run as root, so that it runs as Debian's `postgres` then.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use backstay_engine_api::{Secret, Server};

use crate::programs;

/// With the two characters that a password file has to escape.
const PASSWORD: &str = r"pass:wo\rd";

pub(super) struct Cluster {
    name: &'static str,
    dir: PathBuf,
    port: u16,
}

impl Cluster {
    /// Sets up a server and starts it: passwords over TCP, anyone over its socket.
    pub(super) fn start(name: &'static str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("pgdump-{}-{number}", process::id()));
        fs::create_dir(&dir).unwrap();
        if let Some((user, group)) = other_account() {
            chown(&dir, Some(user), Some(group)).unwrap();
        }
        let passwords = dir.join("password");
        fs::write(&passwords, format!("{PASSWORD}\n")).unwrap();
        let cluster = Self {
            name,
            dir,
            port: free_port(),
        };
        let data = cluster.data();
        let mut initdb = cluster.command("initdb");
        initdb.args([
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username=postgres",
        ]);
        initdb.args(["--auth-host=scram-sha-256", "--auth-local=trust"]);
        initdb.arg(format!("--pwfile={}", passwords.display())).arg(&data);
        succeed(&mut initdb);
        let settings = format!(
            "port = {}\nunix_socket_directories = '{}'\nlisten_addresses = '127.0.0.1'\nfsync = off\n",
            cluster.port,
            cluster.dir.display()
        );
        let mut file = File::options().append(true).open(data.join("postgresql.conf")).unwrap();
        file.write_all(settings.as_bytes()).unwrap();
        cluster.control("start", &["--log", &cluster.dir.join("log").display().to_string()]);
        cluster
    }

    /// The server over TCP, with its password.
    pub(super) fn tcp(&self) -> Server {
        Server {
            name: format!("postgresql://postgres@{}", self.name),
            scheme: "postgresql".to_owned(),
            host: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            user: Some("postgres".to_owned()),
            password: Some(Secret::new(PASSWORD)),
            ..Server::default()
        }
    }

    /// The server over its socket, given as a file.
    pub(super) fn socket(&self) -> Server {
        Server {
            socket: Some(self.dir.join(format!(".s.PGSQL.{}", self.port))),
            host: None,
            port: None,
            password: None,
            ..self.tcp()
        }
    }

    /// Runs SQL, and gives back what it prints.
    pub(super) fn sql(&self, database: &str, sql: &str) -> String {
        let mut command = self.client("psql", database);
        command.args(["-XAtq", "--set=ON_ERROR_STOP=1", "--file=-"]);
        feed(&mut command, sql)
    }

    /// Starts a session that runs SQL in a transaction, and stays in it.
    pub(super) fn hold(&self, application: &str, sql: &str) -> Child {
        let mut command = self.client("psql", "postgres");
        let sql = format!("BEGIN; {sql}; \\echo held\n");
        let mut child = command
            .env("PGAPPNAME", application)
            .args(["-XAtq"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its input stays open, and with it the session.
        child.stdin.as_mut().unwrap().write_all(sql.as_bytes()).unwrap();
        let mut held = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut held).unwrap();
        assert_eq!(&held, b"held\n");
        child
    }

    /// A database as text: what it is, and all that is in it.
    pub(super) fn dump(&self, database: &str) -> String {
        let text = succeed(self.client("pg_dump", database).args(["--create", "--format=plain"]));
        assert!(text.contains("CREATE DATABASE"));
        without_key(&text)
    }

    pub(super) fn roles(&self) -> String {
        let mut command = self.client("pg_dumpall", "postgres");
        without_key(&succeed(command.arg("--globals-only")))
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn client(&self, program: &str, database: &str) -> Command {
        let mut command = self.command(program);
        let database = database.replace('\\', r"\\").replace('\'', r"\'");
        command.arg(format!(
            "--dbname=host='{}' port={} user=postgres dbname='{database}'",
            self.dir.display(),
            self.port
        ));
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs::find(program, &[]).unwrap());
        command.current_dir(&self.dir).stdin(Stdio::null());
        if let Some((user, group)) = other_account() {
            command.uid(user).gid(group);
        }
        command
    }

    fn control(&self, what: &str, more: &[&str]) {
        let mut command = self.command("pg_ctl");
        command
            .args([what, "--silent", "--wait", "--pgdata"])
            .arg(self.data())
            .args(more);
        // The server would keep a pipe open.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "pg_ctl {what}: see {}/log", self.dir.display());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = self.command("pg_ctl");
        command
            .args(["stop", "--silent", "--wait", "--mode=immediate", "--pgdata"])
            .arg(self.data());
        // If the server has not started, there is nothing to stop.
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Whom to run the server as, if we are root.
fn other_account() -> Option<(u32, u32)> {
    let id = |args: &[&str]| -> u32 { succeed(Command::new("id").args(args)).trim().parse().unwrap() };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `\restrict` has a random key.
fn without_key(text: &str) -> String {
    let kept = text
        .lines()
        .filter(|line| !line.starts_with(r"\restrict") && !line.starts_with(r"\unrestrict"));
    kept.collect::<Vec<_>>().join("\n")
}

fn feed(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    text_of(child.wait_with_output().unwrap(), command)
}

fn succeed(command: &mut Command) -> String {
    text_of(command.output().unwrap(), command)
}

fn text_of(output: process::Output, command: &Command) -> String {
    assert!(
        output.status.success(),
        "{}: {}",
        Path::new(command.get_program()).display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
