//! How a program of PostgreSQL's is told which server to work on: by libpq's environment variables, and the password by a
//! file that only we may read. Nothing is on a command line but the name of a database.

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind, Secret, Server, TlsMode};

use crate::programs;

/// PostgreSQL cuts an application's name after this many bytes (NAMEDATALEN - 1).
const APPLICATION_NAME_BYTES: usize = 63;

/// A server, and how its programs reach it. Made once for a job.
#[derive(Clone)]
pub(crate) struct Connection {
    job: JobContext,
    server: Server,
    variables: Vec<(&'static str, OsString)>,
    application: String,
    to_the_end: bool,
}

impl Connection {
    /// Prepares to reach a server for a job.
    ///
    /// # Errors
    /// A setting that PostgreSQL has no equal to, or the password file could not be written.
    pub(crate) fn new(job: &JobContext, server: &Server) -> Result<Self, EngineError> {
        if let Some(file) = &server.option_file {
            return Err(EngineError::new(
                ErrorKind::Usage,
                format!("an option file ({}) is no way to reach PostgreSQL", file.display()),
            )
            .advise("give host, user, password file and TLS settings themselves"));
        }
        // What is left is ASCII or of one byte a character: ids are.
        let mut application = format!("backstay {}", job.id());
        while application.len() > APPLICATION_NAME_BYTES {
            application.pop();
        }
        let mut variables = vec![("PGAPPNAME", OsString::from(&application))];
        let mut set = |name, value: Option<OsString>| variables.extend(value.map(|value| (name, value)));
        let (socket, socket_port) = server.socket.as_deref().map(socket).unzip();
        set(
            "PGHOST",
            socket.map(Into::into).or_else(|| server.host.clone().map(Into::into)),
        );
        let port = server.port.or(socket_port.flatten());
        set("PGPORT", port.map(|port| port.to_string().into()));
        set("PGUSER", server.user.clone().map(Into::into));
        if let Some(tls) = &server.tls {
            set("PGSSLMODE", Some(ssl_mode(tls.mode).into()));
            set("PGSSLROOTCERT", tls.ca.clone().map(Into::into));
            set("PGSSLCERT", tls.cert.clone().map(Into::into));
            set("PGSSLKEY", tls.key.clone().map(Into::into));
        }
        if let Some(password) = &server.password {
            set("PGPASSFILE", Some(write_password(job.scratch(), password)?.into()));
        }
        Ok(Self {
            job: job.clone(),
            server: server.clone(),
            variables,
            application,
            to_the_end: false,
        })
    }

    /// The same, for programs that a cancelled job still needs to tidy up.
    pub(crate) fn to_the_end(&self) -> Self {
        Self {
            to_the_end: true,
            ..self.clone()
        }
    }

    /// Whether programs have to stop.
    pub(crate) fn cancelled(&self) -> bool {
        !self.to_the_end && self.job.cancelled()
    }

    /// The server, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.server.name
    }

    /// What our sessions are called on the server, in `pg_stat_activity.application_name`.
    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    /// The role that we log in as, for messages.
    pub(crate) fn user(&self) -> &str {
        self.server.user.as_deref().unwrap_or("the account")
    }

    /// A program, ready to work on one of the server's databases.
    ///
    /// # Errors
    /// There is no such program.
    pub(crate) fn command(&self, program: &str, database: &str) -> Result<Command, EngineError> {
        let mut command = Command::new(programs::find(program, &self.server.programs)?);
        // What the operator's shell happens to have set would change which server is reached, and how.
        for (name, _) in env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("PG") || name_text == "LANGUAGE" || name_text == "LC_ALL" {
                command.env_remove(&name);
            }
        }
        command.env("LC_MESSAGES", "C");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.arg("--no-password");
        command.arg(format!("--dbname={}", connection_string(database)));
        Ok(command)
    }
}

/// The database's name as a connection string: as it is, a name with `=` in it would be read as one.
fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

/// libpq wants the directory that the socket is in, and the port that is in the socket's name.
fn socket(path: &Path) -> (PathBuf, Option<u16>) {
    let port = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix(".s.PGSQL."))
        .and_then(|port| port.parse().ok());
    match (port, path.parent()) {
        (Some(port), Some(dir)) => (dir.to_owned(), Some(port)),
        _ => (path.to_owned(), None),
    }
}

fn ssl_mode(mode: TlsMode) -> &'static str {
    match mode {
        TlsMode::Disabled => "disable",
        TlsMode::Preferred => "prefer",
        TlsMode::Required => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyIdentity => "verify-full",
    }
}

/// Writes libpq's password file: for any server, since one job knows one password.
fn write_password(scratch: &Path, password: &Secret) -> Result<PathBuf, EngineError> {
    if password.reveal().contains(['\n', '\r', '\0']) {
        return Err(EngineError::new(
            ErrorKind::Usage,
            "the password has a line break or a NUL in it, which PostgreSQL's password file can not hold",
        ));
    }
    let path = scratch.join("pgpass");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    let escaped = password.reveal().replace('\\', r"\\").replace(':', r"\:");
    writeln!(file, "*:*:*:*:{escaped}")?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets() {
        for (given, dir, port) in [
            ("/run/postgresql", "/run/postgresql", None),
            ("/run/postgresql/.s.PGSQL.5433", "/run/postgresql", Some(5433)),
        ] {
            assert_eq!(socket(Path::new(given)), (PathBuf::from(dir), port));
        }
    }

    #[test]
    fn a_name_is_never_a_connection_string() {
        assert_eq!(connection_string("host=evil"), "dbname='host=evil'");
        assert_eq!(connection_string(r"o'b\c"), r"dbname='o\'b\\c'");
    }
}
