//! [`Session`]: one connection to a server, set up so that a long job can rely on it.

pub(crate) mod connect;
pub(crate) mod errors;
pub(crate) mod refused;
mod settings;
pub(crate) mod tls;

use std::sync::Arc;

use backstay_engine_api::{EngineError, Server};
use mysql::prelude::{FromRow, Queryable};
use mysql::{Conn, Params, Row, Value, from_row_opt};

use crate::version::{Flavour, Version};
pub use errors::is_deadlock;
pub(crate) use settings::{Address, Settings};

/// How long a session waits for a metadata lock, in seconds, unless it says otherwise. Servers wait for a day (MariaDB) or
/// a year (MySQL), and block whoever comes after them meanwhile.
pub const LOCK_WAIT_SECONDS: u32 = 60;

/// A connection, and what was learned of the server and the account while it was made.
#[derive(Debug)]
pub struct Session {
    conn: Conn,
    settings: Arc<Settings>,
    account: String,
    flavour: Flavour,
    version: Version,
    encrypted: bool,
    server_started: i64,
}

/// A row of a statement such as SHOW REPLICA STATUS, whose columns differ by version: name and text, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRow(pub Vec<(String, Option<String>)>);

impl NamedRow {
    /// The text of the first of these columns that there is and that is not NULL.
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let (_, value) = self.0.iter().find(|(column, _)| column.eq_ignore_ascii_case(name))?;
            value.as_deref()
        })
    }
}

impl Session {
    /// Connects and logs in: over the socket or TCP, with TLS as configured; what `server` does not say comes from its
    /// option file (groups `[client]` and `[backstay]`), the environment (`MYSQL_HOST`, `MYSQL_TCP_PORT`,
    /// `MYSQL_UNIX_PORT`, and `MYSQL_PWD` as the last resort), and the usual socket paths.
    ///
    /// The session speaks utf8mb4, has a neutral `sql_mode`, commits by itself, keeps the server's time zone, waits for
    /// [`LOCK_WAIT_SECONDS`] for metadata locks, and is not ended for being idle or slow.
    ///
    /// # Errors
    /// [`Connection`](backstay_engine_api::ErrorKind::Connection) with advice;
    /// [`Usage`](backstay_engine_api::ErrorKind::Usage) for settings that are wrong.
    pub fn connect(server: &Server) -> Result<Self, EngineError> {
        let settings = Settings::resolve(server, &|name| std::env::var(name).ok())?;
        connect::open(Arc::new(settings))
    }

    /// Another session like this one: same server, account and encryption.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn another(&self) -> Result<Self, EngineError> {
        connect::open(Arc::clone(&self.settings))
    }

    /// Its id on the server, as in the process list; what KILL and a job's guard take.
    pub fn connection_id(&self) -> u64 {
        u64::from(self.conn.connection_id())
    }

    /// What a guard calls a session of this server: its id, and when the server started, for ids start anew with it. What
    /// [`end_sessions`](crate::clean::end_sessions) takes.
    pub fn guard_name(&self, connection_id: u64) -> String {
        format!("{connection_id}@{}", self.server_started)
    }

    /// When the server started, by its own clock: seconds since 1970, give or take one.
    pub(crate) fn server_started(&self) -> i64 {
        self.server_started
    }

    /// Whose server it is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The server's version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The account that the server took us for: `CURRENT_USER()`, such as `backup@localhost`.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether the connection is encrypted. A socket is not, and needs not be.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Where the server is, for messages: `127.0.0.1:3306` or a socket's path.
    pub fn address(&self) -> String {
        self.settings.address.to_string()
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Runs a statement without a result.
    ///
    /// # Errors
    /// The server's error; a missing privilege comes with the GRANT that mends it.
    pub fn run(&mut self, sql: impl AsRef<str>) -> Result<(), EngineError> {
        let sql = sql.as_ref();
        self.conn.query_drop(sql).map_err(|error| self.error(&error, sql))
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// As [`run`](Self::run), and if a row does not have the type `T`.
    pub fn query<T: FromRow>(&mut self, sql: impl AsRef<str>) -> Result<Vec<T>, EngineError> {
        let sql = sql.as_ref();
        let rows: Vec<Row> = self.conn.query(sql).map_err(|error| self.error(&error, sql))?;
        rows.into_iter().map(|row| typed(row, sql)).collect()
    }

    /// The first row of a query, if there is one.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn query_first<T: FromRow>(&mut self, sql: impl AsRef<str>) -> Result<Option<T>, EngineError> {
        let sql = sql.as_ref();
        let row: Option<Row> = self.conn.query_first(sql).map_err(|error| self.error(&error, sql))?;
        row.map(|row| typed(row, sql)).transpose()
    }

    /// All rows of a query with parameters (`?` or `:name`), as a prepared statement.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn exec<T: FromRow>(&mut self, sql: &str, params: impl Into<Params>) -> Result<Vec<T>, EngineError> {
        let rows: Vec<Row> = self.conn.exec(sql, params).map_err(|error| self.error(&error, sql))?;
        rows.into_iter().map(|row| typed(row, sql)).collect()
    }

    /// All rows, by column name.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn query_named(&mut self, sql: impl AsRef<str>) -> Result<Vec<NamedRow>, EngineError> {
        let sql = sql.as_ref();
        let rows: Vec<Row> = self.conn.query(sql).map_err(|error| self.error(&error, sql))?;
        Ok(rows.into_iter().map(named).collect())
    }

    /// A global system variable; `None` if this server does not have it.
    ///
    /// # Errors
    /// The session was lost.
    pub fn variable(&mut self, name: &str) -> Result<Option<String>, EngineError> {
        let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name = {}", quote_text(name));
        Ok(self.query_first::<(String, String)>(sql)?.map(|(_, value)| value))
    }

    /// Ends another session; one that is gone already is fine.
    ///
    /// # Errors
    /// The account may not end it, or the session was lost.
    pub fn kill(&mut self, connection_id: u64) -> Result<(), EngineError> {
        match self.conn.query_drop(format!("KILL {connection_id}")) {
            // 1094: unknown thread id.
            Err(mysql::Error::MySqlError(error)) if error.code == 1094 => Ok(()),
            Err(error) => Err(self.error(&error, "KILL")),
            Ok(()) => Ok(()),
        }
    }

    /// The driver's connection, for what is not here. Its errors become ours by [`error`](Self::error).
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Gives the driver's connection away.
    pub fn into_conn(self) -> Conn {
        self.conn
    }

    /// A driver's error on this session in the operator's words; `sql` is the statement, shown in part.
    pub fn error(&self, error: &mysql::Error, sql: &str) -> EngineError {
        errors::query_error(error, sql, &self.account)
    }

    /// The GRANT that gives this session's account a privilege: `GRANT RELOAD ON *.* TO 'backup'@'localhost'`.
    pub fn grant(&self, privilege: &str) -> String {
        format!("GRANT {privilege} ON *.* TO {}", account_name(&self.account))
    }
}

fn typed<T: FromRow>(row: Row, sql: &str) -> Result<T, EngineError> {
    from_row_opt(row).map_err(|error| {
        EngineError::other(format!(
            "the server's answer to `{}` is not of the expected type",
            errors::cut(sql)
        ))
        .detail(format!(
            "{:?}",
            error
                .0
                .columns_ref()
                .iter()
                .map(mysql::Column::name_str)
                .collect::<Vec<_>>()
        ))
    })
}

fn named(row: Row) -> NamedRow {
    let columns = row.columns();
    let texts = row.unwrap().into_iter().map(|value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        // The text protocol, which `query` uses, has only the two above.
        other => Some(other.as_sql(true)),
    });
    NamedRow(
        columns
            .iter()
            .map(|column| column.name_str().into_owned())
            .zip(texts)
            .collect(),
    )
}

/// `'user'@'host'` from `CURRENT_USER()`'s `user@host`, quoted for SQL; the host is what follows the last `@`.
pub fn account_name(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("{}@{}", quote_text(user), quote_text(host))
}

/// Text as an SQL string. It holds for the `sql_mode` of a [`Session`], which has backslash escapes.
pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name in backticks.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(account_name("o'hara@app@10.0.0.%"), "'o''hara@app'@'10.0.0.%'");
        assert_eq!(quote_text(r"a\'b"), r"'a\\''b'");
        assert_eq!(quote_identifier("a`b"), "`a``b`");
    }
}
