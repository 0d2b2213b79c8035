//! Everything of this crate against real servers: MySQL and MariaDB, started for each test on a copy of a template.

mod accounts_at_a_point;
mod accounts_interrupted;
mod binlog;
mod certificates;
mod connect;
mod consistent;
mod contention;
mod facts;
mod killed;
mod limited;
mod private_server;
mod programs;
mod raw;

/// A host for what runs in a job.
pub(crate) type TestHost = backstay_bed::MemoryHost<()>;
