//! What Debian and Ubuntu have as packages that need no care beyond being installed.

use super::{Piece, apt};
use crate::error::Result;
use crate::process::find;

/// Programs that a few packages bring. They are looked for by name, not in the package database: however they came
/// here, they will do.
pub(crate) struct DebianPackages {
    name: &'static str,
    why: &'static str,
    packages: &'static [&'static str],
    programs: &'static [&'static str],
}

/// The server package proper, `mariadb-server`, is left out on purpose: it only adds a system service, its data
/// directory and plug-ins; the programs are in the core package.
pub(crate) const MARIADB: DebianPackages = DebianPackages {
    name: "MariaDB",
    why: "is one of the two servers that are backed up; no service is set up, tests start private ones",
    packages: &["mariadb-server-core", "mariadb-client", "mariadb-backup"],
    programs: &[
        "mariadbd",
        "mariadb-install-db",
        "mariadb",
        "mariadb-dump",
        "mariadb-binlog",
        "mariadb-backup",
        "mbstream",
    ],
};

pub(crate) const PATCHELF: DebianPackages = DebianPackages {
    name: "patchelf",
    why: "makes a MySQL of another release of the distribution run from a folder of its own",
    packages: &["patchelf"],
    programs: &["patchelf"],
};

pub(crate) const ZSTD: DebianPackages = DebianPackages {
    name: "zstd",
    why: "reads what Backstay stores, and is measured against",
    packages: &["zstd"],
    programs: &["zstd"],
};

pub(crate) const FILE_SYSTEMS: DebianPackages = DebianPackages {
    name: "Btrfs and XFS",
    why: "are what snapshots and reflinks are tested on, in files that are mounted as disks",
    packages: &["btrfs-progs", "xfsprogs"],
    programs: &["btrfs", "mkfs.btrfs", "mkfs.xfs"],
};

/// Kernels of small virtual machines have no device mapper: user-mode Linux is a second kernel, and an ordinary process.
pub(crate) const LVM: DebianPackages = DebianPackages {
    name: "LVM and user-mode Linux",
    why: "are what snapshots of logical volumes are tested with",
    packages: &["lvm2", "user-mode-linux", "kmod"],
    programs: &["lvcreate", "linux.uml", "insmod"],
};

pub(crate) const SYSBENCH: DebianPackages = DebianPackages {
    name: "sysbench",
    why: "makes the data and the load of the benchmarks",
    packages: &["sysbench"],
    programs: &["sysbench"],
};

pub(crate) const MYDUMPER: DebianPackages = DebianPackages {
    name: "mydumper",
    why: "is what dumps and loads are measured against, on MariaDB: Debian's can not read MySQL 9's position",
    packages: &["mydumper"],
    programs: &["mydumper", "myloader"],
};

impl Piece for DebianPackages {
    fn name(&self) -> &str {
        self.name
    }

    fn why(&self) -> &str {
        self.why
    }

    fn is_present(&self) -> bool {
        self.programs.iter().all(|program| find(program).is_some())
    }

    fn install(&self) -> Result<()> {
        apt::install(self.packages)
    }
}
