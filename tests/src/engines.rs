//! A server that one engine backs up, and what its backups are restored to: the same story for every engine that there is.

use std::fs;
use std::path::{Path, PathBuf};

use backstay_bed::{Flavour, TestServer};
use backstay_mysql::PrivateServer;
use backstay_mysql::mysql::Conn;
use backstay_mysql::mysql::prelude::Queryable;

use crate::backstay::{Backstay, Output};
use crate::compare::{Contents, contents, differences};
use crate::on_volume::conn;
use crate::volumes::{FileSystem, Volume};

/// An engine that takes full backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The vendor's own dump, into a running server.
    Mysqldump,
    /// MySQL Shell's format, into a running server.
    Mysqlshell,
    /// The vendor's own copy of the files, into a data directory.
    Xtrabackup,
    /// Copies of the files that share their blocks, into a data directory.
    Snapshot,
}

impl Engine {
    /// As `--engine` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysqldump => "mysqldump",
            Self::Mysqlshell => "mysqlshell",
            Self::Xtrabackup => "xtrabackup",
            Self::Snapshot => "snapshot",
        }
    }

    /// Whether it backs up the server's files. Its incrementals are pages then, and those of the others pieces of the binary log.
    pub fn is_physical(self) -> bool {
        matches!(self, Self::Xtrabackup | Self::Snapshot)
    }
}

/// The server, the program with a configuration for it, and the place for both.
#[derive(Debug)]
pub struct BackedUp {
    /// What it is backed up by.
    pub engine: Engine,
    /// The program; its repository is on the server's own file system.
    pub backstay: Backstay,
    /// The server.
    pub source: TestServer,
    dir: PathBuf,
    // Last, so that the server is gone when it is unmounted.
    _volume: Option<Volume>,
}

/// What a backup is restored to.
#[derive(Debug)]
pub enum Target {
    /// A running server.
    Server(Box<TestServer>),
    /// A data directory.
    Directory(PathBuf),
}

impl Target {
    /// The option that names it, and its value.
    pub fn arguments(&self) -> (&'static str, String) {
        match self {
            Self::Server(server) => ("--to-server", server.url()),
            Self::Directory(path) => ("--to-datadir", path.to_string_lossy().into_owned()),
        }
    }

    /// Takes it away, and frees its space.
    ///
    /// # Panics
    /// The directory can not be removed.
    pub fn discard(self) {
        if let Self::Directory(path) = self {
            fs::remove_dir_all(path).expect("the target can be removed");
        }
    }
}

impl BackedUp {
    /// With `[…]` sections of the configuration beside the cluster's.
    ///
    /// # Panics
    /// The volume or the server can not be made.
    #[track_caller]
    pub fn new(flavour: Flavour, engine: Engine, sections: &str) -> Self {
        let volume = (engine == Engine::Snapshot).then(|| Volume::new(FileSystem::Xfs, 1500));
        let source = match &volume {
            Some(volume) => TestServer::start_in(flavour, &volume.point(), &[""; 0]),
            None => TestServer::start(flavour),
        };
        let dir = match &volume {
            Some(volume) => volume.point(),
            None => source.dir().to_owned(),
        };
        let sections = format!("{sections}\n{}", source.section("main"));
        Self {
            engine,
            backstay: Backstay::new(&dir.join("backstay"), &[], &sections),
            source,
            dir,
            _volume: volume,
        }
    }

    /// A place that is empty: a server without transactions of its own, or a directory of that name that is not there yet.
    ///
    /// # Panics
    /// The server does not start.
    #[track_caller]
    pub fn target(&self, name: &str) -> Target {
        if self.engine.is_physical() {
            return Target::Directory(self.dir.join(name));
        }
        let own = ["--server-id=77", "--event-scheduler=OFF"];
        Target::Server(Box::new(TestServer::start_with(self.source.flavour, &own)))
    }

    /// Runs the program with a target at the end.
    pub fn onto(&self, target: &Target, arguments: &[&str]) -> Output {
        let (option, name) = target.arguments();
        self.backstay.run(&[arguments, &[option, &name]].concat())
    }

    /// What schemas have on a target, or all of them.
    ///
    /// # Panics
    /// No server starts on it.
    #[track_caller]
    pub fn contents(&self, target: &Target, schemas: &[&str]) -> Contents {
        match target {
            Target::Server(server) => contents(&mut server.conn(), schemas),
            Target::Directory(path) => {
                let server = server_on(&self.source, path);
                let found = contents(&mut conn(&server), schemas);
                server.stop().expect("the server on the target stops");
                found
            }
        }
    }

    /// That schemas have the same on a target.
    ///
    /// # Panics
    /// They have not.
    #[track_caller]
    pub fn assert_same(&self, target: &Target, schemas: &[&str], expected: &Contents, what: &str) {
        let differ = differences(&self.contents(target, schemas), expected);
        assert!(differ.is_empty(), "{what}: {differ:#?}");
    }
}

/// A server on a directory that was restored to.
///
/// # Panics
/// It does not start.
#[track_caller]
pub fn server_on(source: &TestServer, data: &Path) -> PrivateServer {
    let gtids: &[&str] = match source.flavour {
        Flavour::MySql => &["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
        _ => &[],
    };
    PrivateServer::builder(source.server.running().clone(), data)
        .args(gtids.iter().copied())
        .start()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Executes statements.
///
/// # Panics
/// One fails.
#[track_caller]
pub fn run(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(*statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}
