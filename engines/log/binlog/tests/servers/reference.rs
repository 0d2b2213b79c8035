//! A server that executes a source's logs by the vendor's own programs, from point to point.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use backstay_bed::TestServer;

use crate::logs::Logs;

/// It has executed exactly the first so many transactions of the logs.
pub(crate) struct Reference<'a> {
    pub(crate) server: TestServer,
    source: &'a TestServer,
    logs: &'a Logs,
    executed: usize,
}

impl<'a> Reference<'a> {
    pub(crate) fn start(source: &'a TestServer, logs: &'a Logs) -> Self {
        let mut arguments = vec!["--server-id=3", "--event-scheduler=OFF"];
        if source.flavour.is_mariadb() {
            // What `mariadb-binlog` writes for some statements has the number of a transaction twice.
            arguments.push("--gtid-strict-mode=OFF");
        }
        Self {
            server: TestServer::start_with(source.flavour, &arguments),
            source,
            logs,
            executed: 0,
        }
    }

    /// Executes what is lacking up to a count of transactions.
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(self.executed <= count, "a reference does not go back");
        if self.executed == count {
            return;
        }
        let last = &self.logs.transactions[count - 1];
        let first = self.executed.checked_sub(1).map(|last| &self.logs.transactions[last]);
        let mut files: Vec<&str> = self.logs.transactions[self.executed..count]
            .iter()
            .map(|logged| logged.file.as_str())
            .collect();
        if let Some(first) = first {
            files.insert(0, &first.file);
        }
        files.dedup();
        let paths: Vec<PathBuf> = files
            .iter()
            .map(|name| self.source.server.data_dir().join(name))
            .collect();
        let mut read = Command::new(self.source.program("mysqlbinlog", "mariadb-binlog"));
        read.arg("--no-defaults")
            .arg(format!("--start-position={}", first.map_or(4, |first| first.end)))
            // It counts in the last log that is named.
            .arg(format!("--stop-position={}", last.end))
            .args(paths);
        let mut read = read.stdout(Stdio::piped()).spawn().expect("mysqlbinlog can be started");
        let events = read.stdout.take().expect("its output");
        let replay = Command::new(self.source.program("mysql", "mariadb"))
            .args([
                "--no-defaults",
                "--binary-mode",
                "--comments",
                "--user=root",
                "--max-allowed-packet=1G",
            ])
            .arg(format!("--socket={}", self.server.server.socket().display()))
            .stdin(events)
            .output()
            .expect("mysql can be started");
        assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
        assert!(read.wait().expect("mysqlbinlog's end").success());
        self.executed = count;
    }
}
