//! The engine against real servers, started for each test on a copy of a template, with a host in memory.

mod names_apart;
mod rows_cut;
mod rows_limited;
mod rows_values;

/// A host in memory with the engine.
pub(crate) type TestHost = backstay_bed::MemoryHost<backstay_mysqlshell::MysqlShell>;
