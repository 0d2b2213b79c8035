//! Volumes of a test's own: a file as a disk, with a file system on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A file system that snapshots are taken of, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// With subvolumes and reflinks.
    Btrfs,
    /// With reflinks.
    Xfs,
    /// With neither.
    Ext4,
}

impl FileSystem {
    /// As mount(8) calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
            Self::Ext4 => "ext4",
        }
    }
}

/// A mounted volume. It is unmounted and gone when dropped.
#[derive(Debug)]
pub struct Volume {
    dir: TempDir,
    /// What it is.
    pub kind: FileSystem,
}

impl Volume {
    /// Makes one of so many megabytes.
    ///
    /// # Panics
    /// It can not be made: that takes root, loop devices, and what `cargo xtask setup` installs.
    pub fn new(kind: FileSystem, megabytes: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let dir = tempfile::Builder::new()
            .prefix("backstay-volume-")
            .tempdir_in(place)
            .expect("a directory for the volume");
        let volume = Self { dir, kind };
        let disk = volume.dir.path().join("disk");
        std::fs::File::create(&disk)
            .and_then(|file| file.set_len(megabytes << 20))
            .expect("a file as a disk");
        std::fs::create_dir(volume.point()).expect("a mount point");
        let disk = disk.to_string_lossy().into_owned();
        match kind {
            FileSystem::Btrfs => run("mkfs.btrfs", &["--quiet", &disk]),
            FileSystem::Xfs => run("mkfs.xfs", &["-q", "-m", "reflink=1", &disk]),
            FileSystem::Ext4 => run("mkfs.ext4", &["-q", "-F", &disk]),
        }
        run("mount", &["-o", "loop", &disk, &volume.point().to_string_lossy()]);
        volume
    }

    /// Where it is mounted.
    pub fn point(&self) -> PathBuf {
        self.dir.path().join("volume")
    }

    /// A directory beside it, for the test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new subvolume of a Btrfs.
    ///
    /// # Panics
    /// It can not be made.
    pub fn subvolume(&self, name: &str) -> PathBuf {
        let path = self.point().join(name);
        run("btrfs", &["subvolume", "create", &path.to_string_lossy()]);
        path
    }

    /// What engines have left on it: paths that have `.backstay-` in their names, two levels deep.
    ///
    /// # Panics
    /// It can not be read.
    pub fn left(&self) -> Vec<PathBuf> {
        let mut left = Vec::new();
        let mut directories = vec![(self.point(), 0)];
        while let Some((directory, depth)) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("the volume can be read").flatten() {
                if entry.file_name().to_string_lossy().starts_with(".backstay-") {
                    left.push(entry.path());
                } else if depth < 2 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push((entry.path(), depth + 1));
                }
            }
        }
        left
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // A server that was killed takes a moment to be gone.
        for _ in 0..100 {
            let point = self.point();
            if Command::new("umount")
                .arg(&point)
                .output()
                .is_ok_and(|output| output.status.success())
            {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        eprintln!("{} stays mounted", self.point().display());
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program}: {error}; install what tests need with: cargo xtask setup");
    });
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed (tests of volumes need root): {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
