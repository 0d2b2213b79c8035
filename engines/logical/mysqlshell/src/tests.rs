//! What is not seen from outside, against real servers: catalogue and definitions.

mod catalogue;
mod golden;
mod round_trip;

use backstay_bed::TestServer;
use backstay_mysql::Flavour;

/// A server with what is hard.
fn hard(flavour: Flavour) -> TestServer {
    let bed = TestServer::start(flavour);
    bed.script(include_str!("../tests/sql/nasty.sql"));
    bed.script(if flavour.is_mariadb() {
        include_str!("../tests/sql/mariadb.sql")
    } else {
        include_str!("../tests/sql/mysql.sql")
    });
    bed
}
