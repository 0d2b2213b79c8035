//! Data directories: initialised once, kept as a template below the target directory, and copied for each server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use backstay_mysql::Flavour;
use backstay_mysql::private_server::initialise;

use crate::installed::installed;
use crate::target_dir;

/// Copies the template to a place that does not exist yet.
pub(crate) fn copy_to(flavour: Flavour, made_with: &[&str], to: &Path) {
    // cp keeps holes and owners, and shares blocks where the file system can.
    let status = Command::new("cp")
        .args(["-a", "--reflink=auto", "--sparse=always"])
        .arg(template(flavour, made_with))
        .arg(to)
        .status()
        .expect("cp can be started");
    assert!(status.success(), "copying the template to {} failed", to.display());
}

/// The directory of an initialised, empty server; made by whichever test asks for it first.
///
/// The sizes of the log and of pages are fixed when the server is made; the rest is said at each start.
fn template(flavour: Flavour, made_with: &[&str]) -> PathBuf {
    let (name, installed) = (flavour.as_str(), installed(flavour));
    let folder = target_dir().join("templates");
    fs::create_dir_all(&folder).expect("a folder for templates");
    // What is not the test bed's own makes another template.
    let special: String = made_with
        .iter()
        .skip(1)
        .map(|argument| argument.replace(['-', '='], "_"))
        .collect();
    let data = folder.join(format!("{name}-{}{special}", installed.version));
    let lock = File::create(folder.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    if !data.exists() {
        let making = tempfile::Builder::new()
            .prefix("making-")
            .tempdir_in(&folder)
            .expect("a folder for the template");
        let new = making.path().join("data");
        initialise(
            &installed.program(),
            &new,
            &made_with
                .iter()
                .map(|&argument| argument.to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap_or_else(|error| panic!("{error}"));
        fs::rename(new, &data).expect("the template's place");
    }
    data
}
