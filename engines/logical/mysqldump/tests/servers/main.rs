//! The engine against real servers, started for each test on a copy of a template, with a host in memory.

mod describe;
mod events;
mod load;
mod refusals;
mod round_trip;
mod selection;

use backstay_bed::TestServer;
use backstay_mysql::Flavour;
use backstay_mysqldump::MysqlDump;

/// A host in memory with the engine.
pub(crate) type TestHost = backstay_bed::MemoryHost<MysqlDump>;

/// A server with everything that a schema can hold.
pub(crate) fn everything(flavour: Flavour) -> TestServer {
    let bed = target(flavour);
    let own = if flavour.is_mariadb() {
        include_str!("../sql/mariadb.sql")
    } else {
        include_str!("../sql/mysql.sql")
    };
    bed.script(include_str!("../sql/common.sql"));
    bed.script(own);
    bed
}

/// A server to restore to.
pub(crate) fn target(flavour: Flavour) -> TestServer {
    let own: &[&str] = if flavour.is_mariadb() {
        &[]
    } else {
        &["--partial-revokes=ON"]
    };
    TestServer::start_with(flavour, own)
}
