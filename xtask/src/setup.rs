//! `cargo xtask setup`: installs what is missing, and says what and why.
//!
//! What is needed is a list of [`Piece`]s. A piece knows whether it is there and how to install it; nothing that is
//! there is touched, upgraded or configured. A server of the system's own is never started, stopped or changed, and no
//! package is ever removed to make room for another.

mod apt;
mod cargo_tools;
mod debian_packages;
mod mariadb_plugins;
mod mirror;
mod mysql;
mod postgresql;
mod prefix;
mod servers;

use std::fs::{self, File};
use std::time::Instant;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Context, Error, Result};
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Say only what is being installed, not what is there.
    #[arg(long)]
    quiet: bool,
}

/// Something that has to be on the machine.
pub(crate) trait Piece {
    /// What it is called, as a person would say it.
    fn name(&self) -> &str;

    /// What it is needed for: completes "installing …, which".
    fn why(&self) -> &str;

    /// Is it there, and does it work? Takes milliseconds.
    fn is_present(&self) -> bool;

    /// Makes it be there, completely or not at all.
    ///
    /// # Errors
    /// The sentence for the person who has to put it right.
    fn install(&self) -> Result<()>;
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure(&everything(), arguments.quiet)
}

/// MySQL and MariaDB.
pub(crate) fn database_servers() -> Vec<Box<dyn Piece>> {
    vec![
        Box::new(debian_packages::MARIADB),
        Box::new(debian_packages::PATCHELF),
        Box::new(mysql::MySql),
    ]
}

/// The database servers, and all else that tests and benchmarks use.
pub(crate) fn everything() -> Vec<Box<dyn Piece>> {
    let mut pieces = database_servers();
    pieces.push(Box::new(mariadb_plugins::MariaDbPlugins));
    pieces.push(Box::new(debian_packages::ZSTD));
    pieces.push(Box::new(debian_packages::FILE_SYSTEMS));
    pieces.push(Box::new(debian_packages::LVM));
    pieces.push(Box::new(debian_packages::SYSBENCH));
    pieces.push(Box::new(debian_packages::MYDUMPER));
    pieces.push(Box::new(postgresql::PostgreSql));
    pieces.push(Box::new(cargo_tools::NEXTEST));
    pieces.push(Box::new(cargo_tools::DENY));
    pieces
}

/// Installs those of `pieces` that are missing, in their order, and writes down which servers there are.
///
/// # Errors
/// A piece cannot be installed, or is not found after it was. What was installed before it stays.
pub(crate) fn ensure(pieces: &[Box<dyn Piece>], quiet: bool) -> Result<()> {
    let folder = workspace::servers_dir();
    fs::create_dir_all(&folder).context(|| format!("cannot create {}", folder.display()))?;
    let _lock = lock()?;
    let installed = install_missing(pieces, quiet);
    // Also after a failure: what was installed before it can be used.
    let recorded = servers::record(quiet);
    installed.and(recorded)
}

fn install_missing(pieces: &[Box<dyn Piece>], quiet: bool) -> Result<()> {
    for piece in pieces {
        if piece.is_present() {
            if !quiet {
                println!("present     {}", piece.name());
            }
            continue;
        }
        println!("installing  {}, which {}", piece.name(), piece.why());
        let start = Instant::now();
        piece.install()?;
        if !piece.is_present() {
            return Err(Error::new(format!(
                "{} was installed, and yet it is not found or does not run",
                piece.name()
            ))
            .remedy("look at what `cargo xtask setup` printed above; is the folder it was put into on PATH?"));
        }
        println!("installed   {} in {:.1} s", piece.name(), start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Two runs at once would install the same things over each other: the second waits.
fn lock() -> Result<File> {
    let path = workspace::servers_dir().join("setup.lock");
    let file = File::create(&path).context(|| format!("cannot create {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        println!("waiting     for another `cargo xtask`, which holds {}", path.display());
        flock(&file, FlockOperation::LockExclusive).context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}
