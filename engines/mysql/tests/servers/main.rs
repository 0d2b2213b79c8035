//! Everything of this crate against real servers: MySQL and MariaDB, started for each test on a copy of a template.

mod bed;
mod certificates;
mod connect;
mod consistent;
mod contention;
mod facts;
mod host;
mod killed;
mod private_server;
mod programs;

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
