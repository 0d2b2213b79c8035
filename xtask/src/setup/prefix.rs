//! Unpacks packages of another release, with everything below them down to the C library, into a folder from which
//! they run. Nothing is installed, no maintainer script runs, and no root is needed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::process::capture;

/// What packages depend on and no program of theirs needs to run: interpreters for their helper scripts, and what
/// their installation would call. A name stands for all that begin with it.
const LEFT_OUT: [&str; 8] = [
    "perl",
    "libperl",
    "debconf",
    "cdebconf",
    "systemd",
    "init-system-helpers",
    "adduser",
    "passwd",
];

/// Makes `prefix` a folder with `packages` from the first of `sources` (lines of an apt sources list) that has them.
/// What was there is replaced once the new one is complete and `runs`.
///
/// # Errors
/// No source has the packages, or what was unpacked does not run; `prefix` is then as it was.
pub(crate) fn build(prefix: &Path, packages: &[&str], sources: &[String], runs: impl Fn(&Path) -> bool) -> Result<()> {
    let parent = prefix.parent().unwrap_or(Path::new("/"));
    // In the same folder, so that renaming is atomic; gone again whatever happens.
    let work = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(parent)
        .context(|| format!("cannot create a folder in {}", parent.display()))?;
    let debs = download(work.path(), packages, sources)?;
    let unpacked = work.path().join("prefix");
    for deb in debs {
        capture(Command::new("dpkg").arg("-x").arg(&deb).arg(&unpacked))?;
        // 60 packages and what is in them need not be on the disk at once.
        fs::remove_file(&deb).context(|| format!("cannot remove {}", deb.display()))?;
    }
    relocate(&unpacked, prefix)?;
    replace(prefix, &unpacked, &work.path().join("before"), runs)
}

/// NOTE: an ELF interpreter is an absolute path, so what was unpacked only runs in its final place: it is moved there,
/// tried, and moved away again if it does not run.
fn replace(prefix: &Path, unpacked: &Path, before: &Path, runs: impl Fn(&Path) -> bool) -> Result<()> {
    let doing = || format!("cannot replace {}", prefix.display());
    let replaced = prefix.exists();
    if replaced {
        fs::rename(prefix, before).context(doing)?;
    }
    fs::rename(unpacked, prefix).context(doing)?;
    if runs(prefix) {
        return Ok(());
    }
    fs::rename(prefix, unpacked).context(doing)?;
    if replaced {
        fs::rename(before, prefix).context(doing)?;
    }
    Err(Error::new(format!(
        "what was unpacked for {} does not run on this machine",
        prefix.display()
    ))
    .remedy("the development release may be broken for a day: try again later, or install the server by other means"))
}

fn download(work: &Path, packages: &[&str], sources: &[String]) -> Result<Vec<PathBuf>> {
    let mut failures = String::new();
    for (number, source) in sources.iter().enumerate() {
        let work = work.join(format!("apt{number}"));
        match download_from(&work, packages, source) {
            Ok(()) => return debs_in(&work),
            Err(error) => failures.push_str(&format!("\n  {source}: {error}")),
        }
    }
    Err(Error::new(format!(
        "{} cannot be downloaded from any mirror that this machine uses:{failures}",
        packages.join(", ")
    ))
    .remedy("check the network and the machine's apt sources, then run `cargo xtask setup` again"))
}

fn download_from(work: &Path, packages: &[&str], source: &str) -> Result<()> {
    let lists = ["lists/partial", "cache/archives/partial", "debs"];
    for folder in lists {
        fs::create_dir_all(work.join(folder)).context(|| format!("cannot create {}", work.display()))?;
    }
    let configuration = work.join("apt.conf");
    for (name, text) in [
        ("sources.list", format!("{source}\n")),
        ("status", String::new()),
        ("apt.conf", apt_conf(work)),
    ] {
        fs::write(work.join(name), text).context(|| format!("cannot write to {}", work.display()))?;
    }
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&configuration)
            .env("LC_ALL", "C")
            .current_dir(work.join("debs"));
        command
    };
    capture(apt("apt-get").arg("update"))?;
    let kinds = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"];
    let below = capture(
        apt("apt-cache")
            .args(["depends", "--recurse"])
            .args(kinds.map(|kind| format!("--no-{kind}")))
            .args(packages),
    )?;
    capture(apt("apt-get").arg("download").args(package_names(&below))).map(drop)
}

/// apt with everything of its own below `work`: none of the machine's sources, pins, installed packages and hooks.
/// Its proxies and certificates stay.
fn apt_conf(work: &Path) -> String {
    let work = work.display();
    format!(
        r#"Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{work}/lists";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
APT::Default-Release "";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"#
    )
}

/// The packages in what `apt-cache depends --recurse` prints: the lines that are not indented. Names in angle brackets
/// are virtual, names with a colon are of another architecture.
fn package_names(depends: &str) -> Vec<&str> {
    let mut names: Vec<&str> = depends
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()) && !line.contains(':'))
        .filter(|name| !LEFT_OUT.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Makes the programs in `unpacked` run from `prefix`, with the C library and loader that came with them.
fn relocate(unpacked: &Path, prefix: &Path) -> Result<()> {
    let libraries = library_folder(&unpacked.join("usr/lib"))?;
    let rpath = prefix.join("usr/lib").join(libraries);
    for folder in ["usr/sbin", "usr/bin"] {
        for program in files_in(&unpacked.join(folder))? {
            if !is_elf(&program) {
                continue;
            }
            let interpreter = capture(Command::new("patchelf").arg("--print-interpreter").arg(&program))?;
            // The distribution's /lib64 and /lib are links into /usr.
            let interpreter = prefix
                .join("usr")
                .join(interpreter.trim().trim_start_matches('/').trim_start_matches("usr/"));
            // --force-rpath: unlike a RUNPATH it also holds for the libraries of libraries, and for plug-ins.
            capture(
                Command::new("patchelf")
                    .arg("--set-interpreter")
                    .arg(interpreter)
                    .arg("--force-rpath")
                    .arg("--set-rpath")
                    .arg(&rpath)
                    .arg(&program),
            )?;
        }
    }
    Ok(())
}

/// The one folder of an architecture, such as `x86_64-linux-gnu`.
fn library_folder(lib: &Path) -> Result<std::ffi::OsString> {
    let of_architecture = |path: &PathBuf| path.to_string_lossy().contains("-linux-gnu") && path.is_dir();
    let found = files_in(lib)?.into_iter().find(of_architecture);
    found
        .and_then(|path| path.file_name().map(OsStr::to_owned))
        .ok_or_else(|| {
            Error::new(format!(
                "{} was expected to hold a folder <architecture>-linux-gnu",
                lib.display()
            ))
        })
}

fn debs_in(work: &Path) -> Result<Vec<PathBuf>> {
    let mut debs = files_in(&work.join("debs"))?;
    debs.retain(|path| path.extension() == Some(OsStr::new("deb")));
    Ok(debs)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("cannot list {}", folder.display());
    fs::read_dir(folder)
        .context(doing)?
        .map(|entry| Ok(entry.context(doing)?.path()))
        .collect()
}

fn is_elf(file: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(file)
        .and_then(|mut file| file.read_exact(&mut magic))
        .is_ok()
        && magic == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_the_lines_that_are_not_indented() {
        let depends = "mysql-server-core\n  Depends: libc6\n |Depends: <virtual>\n  Depends: perl\nlibc6\n<virtual>\nperl\n\
                       libc6:i386\nlibc6\n";
        assert_eq!(package_names(depends), ["libc6", "mysql-server-core"]);
    }

    #[test]
    fn what_does_not_run_does_not_replace_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let [prefix, unpacked, before] = ["prefix", "unpacked", "before"].map(|name| folder.path().join(name));
        for (path, text) in [(&prefix, "old"), (&unpacked, "new")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), text).unwrap();
        }
        replace(&prefix, &unpacked, &before, |_| false).unwrap_err();
        assert_eq!(fs::read_to_string(prefix.join("file")).unwrap(), "old");
        replace(&prefix, &unpacked, &before, |_| true).unwrap();
        assert_eq!(fs::read_to_string(prefix.join("file")).unwrap(), "new");
    }
}
