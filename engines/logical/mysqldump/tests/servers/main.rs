//! The engine against real servers, started for each test on a copy of a template, with a host in memory.

mod bed;
mod describe;
mod host;
mod load;
mod refusals;
mod round_trip;
mod selection;

/// Makes a test for each family of a function that takes the family.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod mysql {
            $(#[test] fn $name() { super::$name(backstay_mysql::Flavour::MySql) })+
        }
        mod mariadb {
            $(#[test] fn $name() { super::$name(backstay_mysql::Flavour::MariaDb) })+
        }
    };
}
pub(crate) use on_both;

use backstay_mysql::Flavour;
use bed::Bed;

/// A server with everything that a schema can hold.
pub(crate) fn everything(flavour: Flavour) -> Bed {
    let bed = Bed::with(flavour, |builder| {
        builder.args(if flavour.is_mariadb() {
            None
        } else {
            Some("--partial-revokes=ON")
        })
    });
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
pub(crate) fn target(flavour: Flavour) -> Bed {
    Bed::with(flavour, |builder| {
        builder.args(if flavour.is_mariadb() {
            None
        } else {
            Some("--partial-revokes=ON")
        })
    })
}
