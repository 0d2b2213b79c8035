//! Making a data directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use backstay_engine_api::{EngineError, ErrorKind};

use super::process;
use crate::programs::{self, Program, find_by_name};

/// Makes a new data directory with `root` at localhost without a password, and no other account.
///
/// `args` go to the server that does it, for what is fixed at this moment: `--lower-case-table-names=1`,
/// `--innodb-page-size=8192`.
///
/// # Errors
/// [`ErrorKind::Refused`] if the directory is not empty; [`ErrorKind::Program`] with the program's last lines.
pub fn initialise(program: &Program, data_dir: &Path, args: &[String]) -> Result<(), EngineError> {
    let io = |what: &str, error: std::io::Error| {
        EngineError::new(ErrorKind::Io, format!("{} {what}", data_dir.display())).because(&error)
    };
    fs::create_dir_all(data_dir).map_err(|error| io("can not be made", error))?;
    let mut entries = fs::read_dir(data_dir).map_err(|error| io("can not be read", error))?;
    if entries.next().is_some() {
        let message = format!("the data directory {} is not empty", data_dir.display());
        return Err(EngineError::refused(message).advise("give a directory that is new or empty"));
    }
    let mut command = if program.flavour.is_mariadb() {
        mariadb(program)?
    } else {
        mysql(program)
    };
    command
        .arg(format!("--datadir={}", data_dir.display()))
        .args(user_arg(None))
        .args(args);
    let scratch = tempfile::tempdir().map_err(|error| io("can not be initialised", error))?;
    // Not the directory that everybody uses: a server that starts deletes what others have there (`#sql…`).
    command.env("TMPDIR", scratch.path());
    let log = scratch.path().join("error.log");
    process::log_to(&mut command, &log).map_err(|error| io("can not be initialised", error))?;
    let status = command.status().map_err(|error| {
        EngineError::new(ErrorKind::Program, format!("{} can not be run", program.path.display())).because(&error)
    })?;
    if status.success() {
        Ok(())
    } else {
        let what = format!("could not initialise {}: {status}", data_dir.display());
        Err(process::failure(program, &what, &log))
    }
}

fn mysql(program: &Program) -> Command {
    let mut command = programs::command(&program.path);
    command
        .args(["--no-defaults", "--initialize-insecure", "--secure-file-priv=NULL"])
        .args(layout_args(program));
    command
}

fn mariadb(program: &Program) -> Result<Command, EngineError> {
    let beside = super::program_directories(program);
    let script = find_by_name(&["mariadb-install-db", "mysql_install_db"], &beside).ok_or_else(|| {
        EngineError::new(
            ErrorKind::Program,
            format!("mariadb-install-db was not found beside {}", program.path.display()),
        )
        .advise("install the package mariadb-server")
    })?;
    let mut command = programs::command(&script);
    // Without the test schema and its accounts for everybody, so that a new server is empty.
    command.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]);
    if let Some(base) = base_of(program).filter(|base| base != Path::new("/usr")) {
        command.arg(format!("--basedir={}", base.display()));
    }
    Ok(command)
}

/// `--user`, without which neither server starts as root.
pub(super) fn user_arg(user: Option<&str>) -> Option<String> {
    rustix::process::geteuid()
        .is_root()
        .then(|| format!("--user={}", user.unwrap_or("root")))
}

/// Where the program was installed: the directory above its `bin` or `sbin`.
fn base_of(program: &Program) -> Option<PathBuf> {
    Some(program.path.parent()?.parent()?.to_owned())
}

/// Where a server finds its messages and plug-ins. It was built for one place; a server that was unpacked elsewhere does
/// not find them by itself.
pub(super) fn layout_args(program: &Program) -> Vec<String> {
    let Some(base) = base_of(program) else {
        return Vec::new();
    };
    let mut args = vec![format!("--basedir={}", base.display())];
    let share = ["share/mysql", "share/mariadb", "share"].map(|name| base.join(name));
    if let Some(messages) = share.into_iter().find(|path| path.join("english/errmsg.sys").exists()) {
        args.push(format!("--lc-messages-dir={}", messages.display()));
    }
    let plugins = ["lib/mysql/plugin", "lib/plugin", "lib64/mysql/plugin"].map(|name| base.join(name));
    if let Some(plugins) = plugins.into_iter().find(|path| path.is_dir()) {
        args.push(format!("--plugin-dir={}", plugins.display()));
    }
    args
}
