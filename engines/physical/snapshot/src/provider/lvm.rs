//! A snapshot of the logical volume that the data directory is on, mounted read-only below `/run`.
//!
//! The kernel freezes the file system while the snapshot is made, so that it is whole. What changes on the volume meanwhile needs space
//! of its own in the volume group; when that is used up, the snapshot is void.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};

use super::{Provider, Snapshot, mounts, needs_root};
use crate::command::Program;
use crate::options::ProviderName;
use crate::source::Source;

const fn lvm(name: &'static str) -> Program {
    Program { name, package: "lvm2" }
}
const LVS: Program = lvm("lvs");
const LVCREATE: Program = lvm("lvcreate");
const LVREMOVE: Program = lvm("lvremove");
const MOUNT: Program = Program {
    name: "mount",
    package: "mount",
};
const UMOUNT: Program = Program {
    name: "umount",
    package: "mount",
};

/// How often something is tried that fails while somebody looks at the volume, and how long apart.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// The provider.
#[derive(Debug)]
pub(super) struct Lvm {
    size: String,
}

impl Lvm {
    /// `size` is what lvcreate takes for the space of the snapshot.
    pub(super) fn new(size: &str) -> Self {
        Self { size: size.to_owned() }
    }
}

impl Provider for Lvm {
    fn name(&self) -> ProviderName {
        ProviderName::Lvm
    }

    fn allows(&self, source: &Source) -> Result<(), EngineError> {
        needs_root("make logical volumes")?;
        let volume = Volume::of(&source.data_dir)?;
        for program in [LVCREATE, LVREMOVE, MOUNT, UMOUNT] {
            program.find()?;
        }
        if volume.mount.kind == "btrfs" {
            return Err(EngineError::refused(
                "a Btrfs on a logical volume can not be mounted a second time from a snapshot of the volume",
            )
            .advise("use the provider `btrfs`"));
        }
        volume.check_space(&self.size)
    }

    fn prepare(&self, source: &Source, job: &JobContext) -> Result<Box<dyn Snapshot>, EngineError> {
        let volume = Volume::of(&source.data_dir)?;
        let inside = source
            .data_dir
            .strip_prefix(&volume.mount.point)
            .unwrap_or(Path::new(""));
        let root = volume.mount.root.strip_prefix("/").unwrap_or(&volume.mount.root);
        let point = mount_point(job.id());
        Ok(Box::new(Made {
            data: point.join(root).join(inside),
            name: volume_name(job.id()),
            size: self.size.clone(),
            point,
            volume,
        }))
    }

    fn clean(&self, _data_dir: &Path, job: &str) -> Result<(), EngineError> {
        unmount(&mount_point(job))?;
        for group in groups_with(LVS, &volume_name(job), None)? {
            remove(&group, &volume_name(job))?;
        }
        Ok(())
    }
}

fn volume_name(job: &str) -> String {
    format!("backstay-{job}")
}

fn mount_point(job: &str) -> PathBuf {
    Path::new("/run").join(volume_name(job))
}

/// A logical volume, and the file system on it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Volume {
    group: String,
    name: String,
    /// Whether it is one of a thin pool, whose snapshots need no space of their own.
    thin: bool,
    /// Its size, its group's, and what is free there, in bytes.
    size: u64,
    group_size: u64,
    free: u64,
    mount: mounts::Mount,
}

impl Volume {
    fn of(data_dir: &Path) -> Result<Self, EngineError> {
        let none = || {
            let kind = mounts::of(data_dir).map_or_else(|| "nothing".to_owned(), |mount| mount.device);
            EngineError::refused(format!(
                "the provider `lvm` needs a data directory on a logical volume, and {} is on {kind}",
                data_dir.display()
            ))
            .advise("use the provider `auto`, which says what the directory allows")
        };
        let mount = mounts::of(data_dir).ok_or_else(none)?;
        if !mount.device.starts_with("/dev/") {
            return Err(none());
        }
        let options = "vg_name,lv_name,segtype,lv_size,vg_size,vg_free";
        let arguments = [
            "--noheadings",
            "--separator",
            "|",
            "--units",
            "b",
            "--nosuffix",
            "--options",
            options,
        ];
        LVS.find()?;
        let said = LVS
            .run(&[&arguments[..], &[&mount.device]].concat())
            .map_err(|_| none())?;
        Self::parse(&said, mount).ok_or_else(none)
    }

    fn parse(said: &str, mount: mounts::Mount) -> Option<Self> {
        let mut fields = said.lines().next()?.trim().split('|');
        let mut next = || fields.next();
        Some(Self {
            group: next()?.to_owned(),
            name: next()?.to_owned(),
            thin: next()? == "thin",
            size: next()?.parse().ok()?,
            group_size: next()?.parse().ok()?,
            free: next()?.parse().ok()?,
            mount,
        })
    }

    /// Whether there is room for a snapshot.
    fn check_space(&self, size: &str) -> Result<(), EngineError> {
        if self.thin {
            return Ok(());
        }
        let needed = self.bytes(size).unwrap_or(0);
        if needed <= self.free && self.free > 0 {
            return Ok(());
        }
        let message = format!(
            "no space in the volume group {}: the snapshot needs {} MiB (lvm_size = {size}), and {} MiB are free",
            self.group,
            needed.div_ceil(1 << 20),
            self.free >> 20
        );
        Err(EngineError::new(ErrorKind::Io, message).advise(format!(
            "add a disk: vgextend {}, or ask for less with the option lvm_size",
            self.group
        )))
    }

    /// What lvcreate's size comes to.
    fn bytes(&self, size: &str) -> Option<u64> {
        let digits = size.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = size.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let part = |of: u64| Some(u64::try_from(u128::from(of) * u128::from(number) / 100).unwrap_or(u64::MAX));
        let shift = match unit.to_ascii_lowercase().as_str() {
            "%origin" => return part(self.size),
            "%vg" => return part(self.group_size),
            "%free" => return part(self.free),
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return None,
        };
        number.checked_mul(1 << shift)
    }
}

/// The snapshot.
#[derive(Debug)]
struct Made {
    volume: Volume,
    name: String,
    size: String,
    point: PathBuf,
    /// The data directory in the snapshot.
    data: PathBuf,
}

impl Snapshot for Made {
    fn take(&mut self) -> Result<Option<Duration>, EngineError> {
        let origin = format!("{}/{}", self.volume.group, self.volume.name);
        let size = if self.size.contains('%') { "--extents" } else { "--size" };
        let mut arguments = vec!["--snapshot", "--name", &self.name];
        if self.volume.thin {
            arguments.extend(["--setactivationskip", "n"]);
        } else {
            arguments.extend([size, &self.size]);
        }
        arguments.push(&origin);
        LVCREATE.run(&arguments)?;
        Ok(None)
    }

    fn open(&mut self) -> Result<PathBuf, EngineError> {
        let kind = self.volume.mount.kind.as_str();
        // XFS takes a second file system of the same id for a mistake.
        let options = if kind == "xfs" { "ro,nouuid" } else { "ro" };
        let device = format!("/dev/{}/{}", self.volume.group, self.name);
        fs::create_dir(&self.point).map_err(|error| {
            EngineError::new(ErrorKind::Io, format!("{} can not be made", self.point.display())).because(&error)
        })?;
        match MOUNT.run(&["-t", kind, "-o", options, &device, &self.point.to_string_lossy()]) {
            Ok(_) => Ok(self.data.clone()),
            // That a snapshot is void shows here first, where much is written.
            Err(error) => Err(self.check().err().unwrap_or(error)),
        }
    }

    fn check(&mut self) -> Result<(), EngineError> {
        if self.volume.thin {
            return Ok(());
        }
        let snapshot = format!("{}/{}", self.volume.group, self.name);
        let said = LVS.run(&[
            "--noheadings",
            "--separator",
            "|",
            "--options",
            "lv_attr,data_percent",
            &snapshot,
        ])?;
        if is_void(&said) {
            let message = format!(
                "the snapshot {snapshot} is void: more has changed on the volume than it has space for ({})",
                self.size
            );
            return Err(EngineError::new(ErrorKind::Io, message)
                .advise("give it more with the option lvm_size, or take the backup when less is written"));
        }
        Ok(())
    }

    fn remove(&mut self) -> Result<(), EngineError> {
        unmount(&self.point)?;
        for group in groups_with(LVS, &self.name, Some(&self.volume.group))? {
            remove(&group, &self.name)?;
        }
        Ok(())
    }
}

/// Whether lvs says that a snapshot is invalid, or full (lvs(8), `lv_attr`: the fifth letter).
fn is_void(said: &str) -> bool {
    let (attributes, percent) = said.trim().split_once('|').unwrap_or((said.trim(), ""));
    let invalid = matches!(attributes.chars().nth(4), Some('I' | 'S'));
    invalid || percent.trim().parse::<f64>().is_ok_and(|percent| percent >= 100.0)
}

/// Unmounts and removes a mount point, if it is there.
fn unmount(point: &Path) -> Result<(), EngineError> {
    let text = point.to_string_lossy();
    let mounted = || mounts::of(point).is_some_and(|mount| mount.point == point);
    tried(|| {
        if mounted() {
            UMOUNT.run(&[&text]).map(drop)
        } else {
            Ok(())
        }
    })
    .map_err(|error| error.advise(format!("unmount it: umount {text}")))?;
    match fs::remove_dir(point) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The volume groups, of all or of one, that have a volume of that name. It is selected and not named: a volume that there is not would
/// be an error, as whatever else keeps `lvs` from answering is.
fn groups_with(lvs: Program, name: &str, within: Option<&str>) -> Result<Vec<String>, EngineError> {
    let selection = format!("lv_name={name}");
    let mut arguments = vec!["--noheadings", "--options", "vg_name", "--select", &selection];
    arguments.extend(within);
    let said = lvs.run(&arguments)?;
    Ok(said.split_whitespace().map(str::to_owned).collect())
}

fn remove(group: &str, name: &str) -> Result<(), EngineError> {
    let volume = format!("{group}/{name}");
    tried(|| LVREMOVE.run(&["--yes", "--force", &volume]).map(drop))
        .map_err(|error| error.advise(format!("remove it: lvremove {volume}")))
}

/// Tries something again: programs that look at each new device keep it busy for a moment.
fn tried(mut what: impl FnMut() -> Result<(), EngineError>) -> Result<(), EngineError> {
    for _ in 1..TRIES {
        if what().is_ok() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    what()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(said: &str) -> Option<Volume> {
        let mount = mounts::Mount {
            point: "/srv".into(),
            root: "/".into(),
            kind: "ext4".into(),
            device: "/dev/mapper/vg-data".into(),
        };
        Volume::parse(said, mount)
    }

    #[test]
    fn what_lvs_says() {
        let found = volume("  vg|data|linear|1073741824|2147483648|104857600\n").unwrap();
        assert_eq!(
            (found.group.as_str(), found.name.as_str(), found.thin),
            ("vg", "data", false)
        );
        assert_eq!(found.bytes("20%ORIGIN"), Some(214_748_364));
        assert_eq!(found.bytes("100%FREE"), Some(104_857_600));
        assert_eq!(found.bytes("50m"), Some(50 << 20));
        assert!(found.check_space("50M").is_ok());
        let error = found.check_space("1G").unwrap_err().to_string();
        assert!(
            error.contains("needs 1024 MiB (lvm_size = 1G), and 100 MiB are free"),
            "{error}"
        );
        assert!(volume("  vg|data|thin|1|2|0\n").unwrap().check_space("1G").is_ok());
        assert_eq!(volume(""), None);
    }

    /// An `lvs` that does this.
    fn lvs(dir: &Path, script: &str) -> Program {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.join("lvs");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Program {
            name: path.to_string_lossy().into_owned().leak(),
            package: "lvm2",
        }
    }

    #[test]
    fn that_lvs_fails_does_not_mean_that_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let name = "backstay-job";
        let asked = lvs(
            dir.path(),
            "[ \"$5\" = lv_name=backstay-job ] && printf '  vg\\n  other\\n'",
        );
        assert_eq!(groups_with(asked, name, None).unwrap(), ["vg", "other"]);
        let asked = lvs(dir.path(), "[ \"$6\" = vg ]");
        assert_eq!(groups_with(asked, name, Some("vg")).unwrap(), [""; 0]);
        let asked = lvs(dir.path(), "echo 'Failed to get lock' >&2; exit 5");
        let error = groups_with(asked, name, Some("vg")).unwrap_err();
        assert!(error.to_string().contains("Failed to get lock"), "{error}");
    }

    #[test]
    fn a_full_snapshot_is_void() {
        assert!(!is_void("  swi-aos---|12.34\n"));
        assert!(is_void("  swi-aos---|100.00\n"));
        assert!(is_void("  swi-I-s---|100.00\n"));
    }
}
