//! A second server that has executed exactly the transactions up to a position, by the vendor's own program.

use backstay_bed::TestServer;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Starts a server and replays a source's binary logs on it, from the first event up to a position (a log file's name and an
/// offset in bytes).
///
/// # Panics
/// The replay fails.
pub fn server_at(source: &TestServer, file: &str, offset: u64) -> TestServer {
    let reference = TestServer::start_with(source.flavour, &["--server-id=2", "--event-scheduler=OFF"]);
    let logs = logs_up_to(source, file);
    let read = Command::new(source.program("mysqlbinlog", "mariadb-binlog"))
        .arg("--no-defaults")
        // The offset counts in the last log that is named.
        .arg(format!("--stop-position={offset}"))
        .args(&logs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut read = read.expect("mysqlbinlog can be started");
    let events = read.stdout.take().expect("its output");
    let replay = Command::new(source.program("mysql", "mariadb"))
        .arg("--no-defaults")
        .arg("--binary-mode")
        // Otherwise a routine's comments do not reach the server.
        .arg("--comments")
        .arg("--user=root")
        .arg(format!("--socket={}", reference.server.socket().display()))
        .stdin(events)
        .output()
        .expect("mysql can be started");
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let read = read.wait_with_output().expect("mysqlbinlog's end");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    reference
}

/// A source's binary logs, up to one of them.
fn logs_up_to(source: &TestServer, last: &str) -> Vec<PathBuf> {
    let data = source.server.data_dir();
    let mut logs: Vec<PathBuf> = fs::read_dir(data)
        .expect("the source's data directory")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let number = name.strip_prefix("binlog.").unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && name.as_str() <= last
        })
        .collect();
    logs.sort();
    assert!(
        logs.last().is_some_and(|log| log.ends_with(last)),
        "no {last} in {logs:?}"
    );
    logs
}

/// The binary log's name and the offset in a list of positions, as JSON shows them.
///
/// # Panics
/// There is none.
pub fn binlog_position(positions: &serde_json::Value) -> (String, u64) {
    let found = positions
        .as_array()
        .into_iter()
        .flatten()
        .find(|position| position["kind"] == "binlog-file");
    let value = found
        .and_then(|position| position["value"].as_str())
        .unwrap_or_else(|| panic!("{positions}"));
    let (file, offset) = value.rsplit_once(':').expect("file:offset");
    (file.to_owned(), offset.parse().expect("an offset"))
}
