//! Asks a server by `psql`.

use std::io;
use std::process::Command;

use backstay_engine_api::{EngineError, ErrorKind};
use serde::de::DeserializeOwned;

use crate::child;
use crate::connection::Connection;

/// Runs a statement that answers one JSON value.
pub(crate) fn ask<T: DeserializeOwned>(connection: &Connection, database: &str, sql: &str) -> Result<T, EngineError> {
    let mut answer = Vec::new();
    let mut command = psql(connection, database)?;
    command.arg("--command").arg(sql);
    child::read_from(connection, &mut command, &mut answer)?;
    serde_json::from_slice(&answer).map_err(|error| {
        EngineError::new(
            ErrorKind::Program,
            format!("psql on {} answered something unexpected", connection.name()),
        )
        .because(&error)
    })
}

/// Runs a statement that may not be part of a transaction, such as DROP DATABASE.
pub(crate) fn execute(connection: &Connection, database: &str, sql: &str) -> Result<(), EngineError> {
    let mut command = psql(connection, database)?;
    command.arg("--command").arg(sql);
    child::read_from(connection, &mut command, &mut io::sink()).map(drop)
}

/// Runs a script: all of it, or nothing.
pub(crate) fn run(connection: &Connection, database: &str, script: &[u8]) -> Result<(), EngineError> {
    let mut command = psql(connection, database)?;
    command.args(["--single-transaction", "--file=-"]);
    child::write_to(connection, &mut command, &mut &*script).map(drop)
}

/// `text` as a string literal, whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// `name` as an identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn psql(connection: &Connection, database: &str) -> Result<Command, EngineError> {
    let mut command = connection.command("psql", database)?;
    // What is asked is in UTF-8, and so must be the answer. Not so for dumps, which are in their database's encoding.
    command.env("PGCLIENTENCODING", "UTF8");
    command.args([
        "--no-psqlrc",
        "--no-align",
        "--tuples-only",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
    ]);
    Ok(command)
}
