//! InnoDB's files as real servers write them: looked at while a load runs, followed from one instant to the next, damaged on
//! purpose, and given back to a server with nothing of the redo log but what is said to be needed.

mod damaged;
mod instants;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use backstay_bed::mysql::prelude::Queryable;
use backstay_bed::{Flavour, TestServer, until};
use backstay_innodb::{Doublewrite, FileKind, HEAD, Identity, Redo, Space, file_kind};
use rustix::process::{Pid, Signal, kill_process};

/// Numbers from 1 to a thousand, on both flavours.
const NUMBERS: &str =
    "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000) SELECT n FROM s) AS x";

/// Tables of every kind of page that the server has for its page size.
fn furnish(source: &TestServer, page_size: usize) {
    let mut conn = source.conn();
    let mut run = |sql: String| conn.query_drop(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("CREATE DATABASE d".into());
    run("CREATE TABLE d.plain (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, v VARCHAR(600), KEY (n))".into());
    run("CREATE TABLE d.blobs (id INT PRIMARY KEY, v LONGTEXT)".into());
    run("CREATE TABLE d.places (id INT PRIMARY KEY, p POINT NOT NULL, SPATIAL KEY (p))".into());
    run("CREATE TABLE d.words (id INT PRIMARY KEY, v TEXT, FULLTEXT KEY (v))".into());
    run("CREATE TABLE d.parts (id INT PRIMARY KEY, v TEXT) PARTITION BY HASH (id) PARTITIONS 3".into());
    let mut plain = vec!["plain", "parts"];
    if page_size <= 16384 {
        let block = page_size / 2048;
        run(format!(
            "CREATE TABLE d.zip (id INT PRIMARY KEY, n INT, v TEXT) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE={block}"
        ));
        plain.push("zip");
    }
    if source.flavour.is_mariadb() {
        run("CREATE TABLE d.packed (id INT PRIMARY KEY, n INT, v TEXT) PAGE_COMPRESSED=1".into());
        plain.push("packed");
        run("SET GLOBAL innodb_checksum_algorithm = crc32".into());
        run("CREATE TABLE d.former (id INT PRIMARY KEY, n INT, v TEXT)".into());
        run("SET GLOBAL innodb_checksum_algorithm = full_crc32".into());
        plain.push("former");
    } else {
        // A page must be larger than a block of the file system, for its rest to be a hole.
        if page_size > 4096 {
            for algorithm in ["zlib", "lz4"] {
                run(format!(
                    "CREATE TABLE d.packed_{algorithm} (id INT PRIMARY KEY, n INT, v TEXT) COMPRESSION='{algorithm}'"
                ));
            }
            plain.extend(["packed_zlib", "packed_lz4"]);
        }
        run("CREATE TABLESPACE several ADD DATAFILE 'several.ibd'".into());
        run("CREATE TABLE d.shared (id INT PRIMARY KEY, n INT, v TEXT) TABLESPACE several".into());
        plain.push("shared");
    }
    for table in plain {
        run(format!(
            "INSERT INTO d.{table} (id, v) SELECT n, REPEAT(CONCAT('row ', n, ' '), 1 + n % 60) FROM {NUMBERS}"
        )
        .replace("d.plain (id, v) SELECT n,", "d.plain (n, v) SELECT n,"));
    }
    run(format!(
        "INSERT INTO d.blobs SELECT n, REPEAT('blob', 1 + n * 97 % 30000) FROM {NUMBERS} WHERE n < 200"
    ));
    run(format!(
        "INSERT INTO d.places SELECT n, ST_GeomFromText(CONCAT('POINT(', n, ' ', n % 37, ')')) FROM {NUMBERS}"
    ));
    run(format!(
        "INSERT INTO d.words SELECT n, CONCAT('word', n, ' and more of ', n % 50) FROM {NUMBERS}"
    ));
}

/// Changes here and there, and tables that come and go, until it is stopped.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(source: &TestServer) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let changes: fn(u64) -> Vec<String> = |round| {
            let at = round * 7919 % 1000;
            vec![
                format!("UPDATE d.plain SET v = REPEAT('u', {at} % 600) WHERE id BETWEEN {at} AND {at} + 3"),
                format!("INSERT INTO d.plain (n, v) VALUES ({round}, REPEAT('i', {at} % 500))"),
                format!("DELETE FROM d.parts WHERE id = {at}"),
                format!("REPLACE INTO d.blobs VALUES ({}, REPEAT('blob', {at} * 40))", at % 200),
                format!("UPDATE d.words SET v = CONCAT('other', {round}) WHERE id = {at}"),
            ]
        };
        let tables: fn(u64) -> Vec<String> = |round| {
            vec![
                format!("CREATE TABLE d.t{round} (id INT PRIMARY KEY, v TEXT)"),
                format!("INSERT INTO d.t{round} SELECT n, REPEAT('t', n % 300) FROM {NUMBERS}"),
                format!("RENAME TABLE d.t{round} TO d.r{round}"),
                format!("ALTER TABLE d.r{round} ADD KEY (v(20))"),
                format!("TRUNCATE TABLE d.r{round}"),
                format!("INSERT INTO d.r{round} VALUES (1, 'after')"),
                format!("DROP TABLE IF EXISTS d.r{}", round.saturating_sub(3)),
            ]
        };
        let threads = [changes, tables]
            .into_iter()
            .map(|statements| {
                let mut conn = source.conn();
                let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
                thread::spawn(move || {
                    for round in 1.. {
                        for sql in statements(round) {
                            if stop.load(Ordering::Relaxed) {
                                return;
                            }
                            conn.query_drop(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        Self { stop, done, threads }
    }

    fn wait_for(&self, more: u64) {
        let done = self.done.load(Ordering::Relaxed) + more;
        until("the load goes on", || self.done.load(Ordering::Relaxed) >= done);
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a thread of the load");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The server's files as they are at one instant: it is stopped for it.
fn instant(source: &TestServer, name: &str) -> PathBuf {
    let pid = Pid::from_raw(i32::try_from(source.server.pid()).unwrap()).unwrap();
    let to = source.dir().join(name);
    kill_process(pid, Signal::STOP).unwrap();
    let stopped = || {
        fs::read_dir(format!("/proc/{}/task", source.server.pid()))
            .unwrap()
            .all(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
            })
    };
    until("all threads are stopped", stopped);
    let copied = Command::new("cp")
        .args(["-a", "--sparse=always"])
        .arg(source.server.data_dir())
        .arg(&to)
        .status();
    kill_process(pid, Signal::CONT).unwrap();
    assert!(copied.unwrap().success());
    to
}

/// The files of a data directory that are of that kind, as paths from there.
fn files(directory: &Path, kind: FileKind) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(directory.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if file_kind(&path, &[]) == kind {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A file's first bytes.
fn head(file: &File) -> Vec<u8> {
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    loop {
        match file.read_at(&mut head[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
    head.truncate(filled);
    head
}

/// A directory's tablespaces, redo log and copies of pages.
struct Instance {
    directory: PathBuf,
    redo: Redo,
    doublewrite: Doublewrite,
    spaces: Vec<(PathBuf, Space)>,
}

impl Instance {
    fn open(directory: &Path, page_size: usize) -> Self {
        let redo = Redo::read(directory).unwrap_or_else(|error| panic!("{error}"));
        let mut doublewrite = Doublewrite::new(redo.checkpoint);
        for path in files(directory, FileKind::Doublewrite) {
            doublewrite
                .add_file(File::open(directory.join(path)).unwrap(), page_size)
                .unwrap();
        }
        doublewrite
            .add_system(File::open(directory.join("ibdata1")).unwrap(), page_size)
            .unwrap();
        let mut spaces = Vec::new();
        for path in files(directory, FileKind::Tablespace) {
            let file = File::open(directory.join(&path)).unwrap();
            match Space::identify(&head(&file)) {
                Identity::Space(space) => spaces.push((path, space)),
                // It was being made.
                Identity::Blank => {}
                Identity::Damaged(said) if redo.remade.file(&path.to_string_lossy(), said.map(|space| space.id)) => {}
                Identity::Damaged(what) => panic!("{}: {what:?}", path.display()),
            }
        }
        Self {
            directory: directory.to_owned(),
            redo,
            doublewrite,
            spaces,
        }
    }

    fn file(&self, path: &Path) -> (File, u64) {
        let file = File::open(self.directory.join(path)).unwrap();
        let size = file.metadata().unwrap().len();
        (file, size)
    }

    /// The file of a tablespace.
    fn path(&self, id: u32) -> Option<&Path> {
        self.spaces
            .iter()
            .find(|(_, space)| space.id == id)
            .map(|(path, _)| &**path)
    }
}

/// The second opinion: whether the server's own tool finds no fault with a file.
fn innochecksum(source: &TestServer, file: &Path) -> bool {
    let output = Command::new(source.program("innochecksum", "innochecksum"))
        .arg(file)
        .output()
        .unwrap();
    if !output.status.success() {
        eprintln!("{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// A server with pages of a size.
fn start(flavour: Flavour, page_size: usize) -> TestServer {
    match page_size {
        16384 => TestServer::start(flavour),
        _ => TestServer::start_with(flavour, &[format!("--innodb-page-size={page_size}")]),
    }
}
