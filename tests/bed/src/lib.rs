//! The test bed: MySQL and MariaDB servers of a test's own, and a host in memory.
//!
//! Everything that is tested against a server takes it from here: the engines' own tests, and the end-to-end suites of
//! `backstay-tests`. Nothing is a mock, and nothing is skipped: a server that is missing is a failure that names the command
//! that installs it.
//!
//! NOTE: `backstay-mysql` has this crate among its dev-dependencies, though this crate stands on it. Only its tests below
//! `tests/` can use it: in a unit test inside the library, the library's types and those of this crate would be two.

mod installed;
mod refusing;
mod server;
mod template;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

pub use backstay_engine_api::testing::{MemoryHost, data_dir};
use backstay_mysql::Session;
pub use backstay_mysql::{Flavour, mysql};
pub use installed::{Installed, installed};
pub use refusing::refusing;
pub use server::TestServer;

/// Both servers that everything is tested on.
pub const BOTH: [Flavour; 2] = [Flavour::MySql, Flavour::MariaDb];

/// Makes a test for each server of a function that takes the server's [`Flavour`].
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod mysql {
            $(#[test] fn $name() { super::$name($crate::Flavour::MySql) })+
        }
        mod mariadb {
            $(#[test] fn $name() { super::$name($crate::Flavour::MariaDb) })+
        }
    };
}

/// The workspace's root.
pub fn workspace() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.ancestors().nth(2).unwrap_or(crate_dir).to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}

/// Runs statements.
///
/// # Panics
/// One fails; the message says which.
#[track_caller]
pub fn run(session: &mut Session, statements: &[&str]) {
    for sql in statements {
        session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Waits until some session executes a statement that starts so.
///
/// # Panics
/// None does after half a minute.
#[track_caller]
pub fn until_runs(session: &mut Session, statement: &str) {
    until(statement, || states(session, statement).next().is_some());
}

/// Waits until some session waits for a lock with a statement that starts so.
///
/// # Panics
/// None does after half a minute.
#[track_caller]
pub fn until_waits(session: &mut Session, statement: &str) {
    until(statement, || {
        states(session, statement).any(|state| state.starts_with("Waiting"))
    });
}

/// What the server says of the sessions that execute such a statement.
fn states(session: &mut Session, statement: &str) -> impl Iterator<Item = String> {
    let rows = session.query_named("SHOW FULL PROCESSLIST").expect("the sessions");
    rows.into_iter()
        .filter(move |row| row.get(&["Info"]).is_some_and(|info| info.starts_with(statement)))
        .map(|row| row.get(&["State"]).unwrap_or_default().to_owned())
}

/// Waits until something is so.
///
/// # Panics
/// It is not so after half a minute; the message says what was waited for.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
