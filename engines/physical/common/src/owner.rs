//! Whose the restored files are.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::Flavour;

/// The user that the servers' packages make.
const USUAL: &str = "mysql";

/// A user and a group; `None` for whoever we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(Option<(u32, u32)>);

impl Owner {
    /// As the option says; otherwise, for root, the owner of the target or of the directory above it, or the usual one.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if there is no such user; [`ErrorKind::Refused`] if it is another and we are not root.
    pub fn choose(option: Option<&str>, target: &Path) -> Result<Self, EngineError> {
        let us = rustix::process::geteuid();
        if let Some(text) = option {
            let (uid, gid) = named(text)?;
            if !us.is_root() && uid != us.as_raw() {
                let message = format!("owner: only root can give files to {text}");
                return Err(EngineError::refused(message).advise("run the restore as root, or leave the option out"));
            }
            return Ok(Self(Some((uid, gid))));
        }
        if !us.is_root() {
            return Ok(Self(None));
        }
        let of = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.uid(), meta.gid()));
        let found = of(target).or_else(|| of(target.parent()?)).filter(|(uid, _)| *uid != 0);
        Ok(Self(found.or_else(|| named(USUAL).ok())))
    }

    /// Gives a directory and all below it to the owner, with the modes that the server of that family gives.
    ///
    /// # Errors
    /// The system refuses.
    pub fn apply(self, directory: &Path, flavour: Flavour) -> Result<(), EngineError> {
        let (directories, files) = if flavour.is_mariadb() {
            (0o700, 0o660)
        } else {
            (0o750, 0o640)
        };
        self.below(directory, directories, files).map_err(|error| {
            let message = format!("owner and mode of {} can not be set", directory.display());
            EngineError::new(ErrorKind::Io, message).because(&error)
        })
    }

    fn below(self, path: &Path, directories: u32, files: u32) -> io::Result<()> {
        let kind = fs::symlink_metadata(path)?.file_type();
        if kind.is_dir() {
            for entry in fs::read_dir(path)? {
                self.below(&entry?.path(), directories, files)?;
            }
        }
        if !kind.is_symlink() {
            let mode = if kind.is_dir() { directories } else { files };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        match self.0 {
            Some((uid, gid)) => lchown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

/// `user` or `user:group`, names of this machine's own files or numbers.
fn named(text: &str) -> Result<(u32, u32), EngineError> {
    let unknown = |what: &str, name: &str| {
        EngineError::new(
            ErrorKind::Usage,
            format!("owner: there is no {what} `{name}` on this machine"),
        )
        .advise("numbers are taken too, such as 999:999")
    };
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let entry = lookup("/etc/passwd", user);
    let uid = match (&entry, user.parse()) {
        (Some(entry), _) => entry.0,
        (None, Ok(number)) => number,
        (None, Err(_)) => return Err(unknown("user", user)),
    };
    let gid = match group {
        Some(group) => match (lookup("/etc/group", group), group.parse()) {
            (Some(entry), _) => entry.0,
            (None, Ok(number)) => number,
            (None, Err(_)) => return Err(unknown("group", group)),
        },
        // The user's own group; a bare number has the group of the same number.
        None => entry.map_or(uid, |entry| entry.1),
    };
    Ok((uid, gid))
}

/// The third and the fourth field of the line of that name.
fn lookup(file: &str, name: &str) -> Option<(u32, u32)> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let id = fields.nth(1)?.parse().ok()?;
        Some((id, fields.next().and_then(|field| field.parse().ok()).unwrap_or(id)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(named("root").unwrap(), (0, 0));
        assert_eq!(named("root:0").unwrap(), (0, 0));
        assert_eq!(named("4711:4712").unwrap(), (4711, 4712));
        assert_eq!(named("4711").unwrap(), (4711, 4711));
        let error = named("no-such-user-here").unwrap_err();
        assert!(
            error.message.contains("there is no user `no-such-user-here`"),
            "{error}"
        );
        assert!(named("root:no-such-group").is_err());
    }
}
