//! A server whose data is on a volume that snapshots can be taken of, and a configuration for it.

use std::path::{Path, PathBuf};

use backstay_bed::{Flavour, TestServer};
use backstay_mysql::PrivateServer;
use mysql::{Conn, OptsBuilder};
use serde_json::Value;

use crate::backstay::Backstay;
use crate::volumes::{FileSystem, Volume};

/// What a server on a volume needs, in megabytes.
const SIZE: u64 = 1500;

/// The server, the program, the volume.
#[derive(Debug)]
pub struct OnVolume {
    /// The program with a configuration for the server.
    pub backstay: Backstay,
    /// The server.
    pub source: TestServer,
    /// Last, so that the server is gone when it is unmounted.
    pub volume: Volume,
}

impl OnVolume {
    /// With its data at the top of a volume of that kind.
    ///
    /// # Panics
    /// The volume or the server can not be made.
    #[track_caller]
    pub fn new<S: AsRef<str>>(flavour: Flavour, kind: FileSystem, arguments: &[S]) -> Self {
        Self::of(flavour, Volume::new(kind, SIZE), Volume::point, arguments)
    }

    /// With its data in a folder of a volume.
    ///
    /// # Panics
    /// The server can not be made.
    #[track_caller]
    pub fn of<S: AsRef<str>>(
        flavour: Flavour,
        volume: Volume,
        folder: impl Fn(&Volume) -> PathBuf,
        arguments: &[S],
    ) -> Self {
        let source = TestServer::start_in(flavour, &folder(&volume), arguments);
        let backstay = Backstay::new(&volume.dir().join("backstay"), &[], &source.section("main"));
        Self {
            backstay,
            source,
            volume,
        }
    }

    /// A volume of the usual size.
    ///
    /// # Panics
    /// It can not be made.
    pub fn volume(kind: FileSystem) -> Volume {
        Volume::new(kind, SIZE)
    }

    /// Takes a backup by the engine `snapshot`, and says what is known of it.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn backup(&self, arguments: &[&str]) -> Value {
        let backup = ["backup", "--engine", "snapshot"];
        self.backstay.run(&[&backup, arguments].concat()).ok();
        self.latest()
    }

    /// What is known of the last backup.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn latest(&self) -> Value {
        self.backstay.run(&["show", "latest", "--json"]).ok().json()["backup"].clone()
    }

    /// Restores a backup into a directory on the volume.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn restored(&self, id: &str) -> PathBuf {
        let target = self.volume.point().join(format!("restored-{id}"));
        let text = target.to_string_lossy().into_owned();
        self.backstay.run(&["restore", id, "--to-datadir", &text]).ok();
        target
    }

    /// A server on restored files.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    pub fn server_on(&self, data: &Path, arguments: &[String]) -> PrivateServer {
        let gtids: &[&str] = match self.source.flavour {
            Flavour::MySql => &["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
            _ => &[],
        };
        PrivateServer::builder(self.source.server.running().clone(), data)
            .args(gtids.iter().copied())
            .args(arguments)
            .start()
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A connection to a restored server.
///
/// # Panics
/// There is none.
#[track_caller]
pub fn conn(server: &PrivateServer) -> Conn {
    let opts = OptsBuilder::new()
        .socket(Some(server.socket().to_string_lossy()))
        .user(Some("root"))
        .prefer_socket(true);
    Conn::new(opts).expect("a connection to the restored server")
}

/// How many rounds a test makes that has as many as one likes: `BACKSTAY_ROUNDS`, or so many.
///
/// # Panics
/// `BACKSTAY_ROUNDS` is no number.
pub fn rounds(usual: u64) -> u64 {
    std::env::var("BACKSTAY_ROUNDS")
        .ok()
        .map_or(usual, |text| text.parse().expect("BACKSTAY_ROUNDS is a number"))
}
