//! [`RawSession`]: a session for bulk data: rows as the bytes that the server sent, and data into LOAD DATA LOCAL.
//!
//! It speaks the client protocol itself, so that a row is walked through where the socket's bytes were read to: no allocation and no
//! copy for each row or value, and no more memory than its buffer for values of any size. A [`Session`] is for all the rest.

mod answer;
mod auth;
mod dump;
mod failure;
mod large;
mod load;
mod login;
mod prepared;
mod print;
mod rows;
mod stream;
mod texts;
mod tls;
mod values;
mod wire;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::sync::Arc;

use backstay_engine_api::{EngineError, ErrorKind};

use crate::session::connect::set_up_statement;
use crate::session::{Session, Settings, errors};
use answer::Answer;
pub(crate) use dump::{Dump, Packet};
use failure::Failure;
use login::LoggedIn;
pub use prepared::Prepared;
pub use print::ROOM;
use stream::Stream;
use texts::Texts;
use wire::Wire;

/// `COM_QUIT`.
const QUIT: u8 = 1;
/// `COM_QUERY`.
const QUERY: u8 = 3;

/// A column of a result, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawColumn {
    /// Its name, or the expression.
    pub name: String,
    /// `enum_field_types` of the protocol.
    pub column_type: u8,
    /// The id of its collation; 63 for bytes and numbers.
    pub collation: u16,
    /// The longest text of a value, in bytes.
    pub length: u32,
    /// `UNSIGNED_FLAG` (32), `ZEROFILL_FLAG` (64) and others of the protocol.
    pub flags: u16,
    /// Digits after the point, of a second too; 31 where a number has all of its own.
    pub decimals: u8,
}

/// Which part of a value that is too large to be handed over whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first.
    First,
    /// Neither the first nor the last.
    Middle,
    /// The last; it may be empty.
    Last,
}

/// Takes rows, column by column. The bytes are the text protocol's, in the session's character set; they are only lent.
pub trait RowSink {
    /// What the rows are going to have; once, before the first row and also if there is none.
    fn columns(&mut self, _columns: &[RawColumn]) {}
    /// A NULL.
    fn null(&mut self, column: usize);
    /// A whole value.
    fn value(&mut self, column: usize, bytes: &[u8]);
    /// A whole value: the first `length` of these bytes. Numbers and times may come so, for a copy of a size that is known
    /// beforehand takes the least.
    #[inline]
    fn short(&mut self, column: usize, bytes: &[u8; ROOM], length: usize) {
        self.value(column, &bytes[..length]);
    }
    /// A part of a large value: one [`First`](Part::First), any number of [`Middle`](Part::Middle), one [`Last`](Part::Last). Only
    /// values longer than 64 KiB come in parts, and of those only the ones in a row that does not fit the buffer.
    ///
    /// # Errors
    /// What came so far could not be passed on.
    fn part(&mut self, column: usize, bytes: &[u8], part: Part) -> Result<(), EngineError>;
    /// The row is complete.
    ///
    /// # Errors
    /// What came so far could not be passed on, or the job is cancelled: the query is given up, and with it the session.
    fn end_row(&mut self) -> Result<(), EngineError>;
}

/// In pieces of what size a server is to send rows ([`RawSession::widen`]), in bytes: what a socket holds, and the processor's cache too.
pub const PIECE: usize = 64 << 10;

/// What LOAD DATA said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Rows affected.
    pub rows: u64,
    /// Warnings.
    pub warnings: u16,
}

/// A connection set up like a [`Session`], for bulk data.
///
/// An error of the server's leaves it usable. After any other, such as a sink's or a source's, the connection is closed, so that the
/// server rolls back, and every further use is an error. It is closed as well when it is dropped, without waiting for the server.
#[derive(Debug)]
pub struct RawSession {
    wire: Option<Wire<Stream>>,
    settings: Arc<Settings>,
    account: String,
    connection_id: u64,
    encrypted: bool,
}

impl RawSession {
    /// Another connection like `session`: same server, account, encryption and settings.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn like(session: &Session) -> Result<Self, EngineError> {
        let settings = Arc::clone(session.settings());
        let LoggedIn {
            wire,
            connection_id,
            encrypted,
        } = login::log_in(&settings)?;
        let mut raw = Self {
            wire: Some(wire),
            settings,
            account: session.account().to_owned(),
            connection_id: u64::from(connection_id),
            encrypted,
        };
        raw.run(set_up_statement(session.flavour()))?;
        // From here on a statement takes as long as it takes.
        if let Some(wire) = &raw.wire {
            wire.stream.set_timeout(None)?;
        }
        Ok(raw)
    }

    /// Its id on the server; see [`Session::guard_name`].
    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// Whether the connection is encrypted. A socket is not, and needs not be.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Runs a statement; what rows it returns are thrown away. The bytes are the statement's in the session's `character_set_client`,
    /// which is UTF-8 unless the session was told another.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run(&mut self, sql: impl AsRef<[u8]>) -> Result<(), EngineError> {
        self.execute(sql).map(drop)
    }

    /// Runs a statement; returns how many rows it affected.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn execute(&mut self, sql: impl AsRef<[u8]>) -> Result<u64, EngineError> {
        let sql = sql.as_ref();
        self.exchange(&String::from_utf8_lossy(sql), |wire| match ask(wire, sql)? {
            Answer::Done(done) => Ok(done.rows),
            Answer::Columns(columns) => rows::rows(wire, &rows::Texts(columns.len()), &mut Nowhere).map(|_| 0),
            Answer::WantsFile => Err(unasked()),
        })
    }

    /// All rows of a small result, as text: `None` for NULL.
    ///
    /// # Errors
    /// As [`Session::run`]; a value is not UTF-8, as text that can not be kept exactly is no text to keep; the result has more than
    /// 256 MiB.
    pub fn texts(&mut self, sql: impl AsRef<str>) -> Result<Vec<Vec<Option<String>>>, EngineError> {
        let mut texts = Texts::default();
        self.rows(sql.as_ref(), &mut texts)?;
        texts.finish()
    }

    /// Streams the rows of a query into `sink`; returns how many there were.
    ///
    /// # Errors
    /// As [`Session::run`]; the sink's.
    pub fn rows(&mut self, sql: &str, sink: &mut impl RowSink) -> Result<u64, EngineError> {
        self.exchange(sql, |wire| match ask(wire, sql.as_bytes())? {
            Answer::Columns(columns) => {
                sink.columns(&columns);
                rows::rows(wire, &rows::Texts(columns.len()), sink)
            }
            Answer::Done(_) => Ok(0),
            Answer::WantsFile => Err(unasked()),
        })
    }

    /// Prepares a query for [`rows_of`](Self::rows_of); `None` if its rows can be had as text only: the server takes no more prepared
    /// statements, a column's text says more than its value (`ZEROFILL`, `DOUBLE(7,2)`), or there are parameters.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn prepare(&mut self, sql: &str) -> Result<Option<Prepared>, EngineError> {
        self.exchange(sql, |wire| prepared::prepare(wire, sql))
    }

    /// Streams the rows of a prepared query into `sink`, as [`rows`](Self::rows) does: the same bytes, but that a FLOAT has the digits of
    /// the DOUBLE that it is, and so all of its bits. Numbers and times come over the wire as they are and are printed here: a server takes as
    /// long for the text of a DOUBLE as for all the rest of its row. `None` if the server could not: then the query is to be asked for as text.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn rows_of(&mut self, prepared: Prepared, sink: &mut impl RowSink) -> Result<Option<u64>, EngineError> {
        self.exchange(&prepared.sql, |wire| prepared::read(wire, &prepared, sink))
    }

    /// Runs `LOAD DATA LOCAL INFILE …` with `source` as the file, whatever its name is in the statement.
    ///
    /// # Errors
    /// As [`Session::run`]; reading from `source` failed, in which case the connection is closed and no row of it stays in a
    /// transactional table; the statement is no LOAD DATA LOCAL.
    pub fn load(&mut self, sql: &str, source: &mut (impl Read + Send)) -> Result<Loaded, EngineError> {
        self.exchange(sql, |wire| match ask(wire, sql.as_bytes())? {
            Answer::WantsFile => load::send_file(wire, source),
            Answer::Done(_) | Answer::Columns(_) => Err(EngineError::other(format!(
                "`{}` did not ask for the data: expected LOAD DATA LOCAL INFILE",
                errors::shown(sql)
            ))
            .into()),
        })
    }

    /// Makes the server send rows in pieces of about that many bytes, instead of the 16 KiB of `net_buffer_length`: fewer writes for it,
    /// and fewer switches between it and us. A connection's buffer on the server grows with the longest packet that arrives, and never
    /// shrinks (MySQL 9.7, MariaDB 10.11); spaces at a statement's end are read and thrown away, and are in no log.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn widen(&mut self, bytes: usize) -> Result<(), EngineError> {
        let most = self.texts("SELECT @@max_allowed_packet")?;
        let most = most
            .iter()
            .flatten()
            .flatten()
            .find_map(|most| most.parse().ok())
            .unwrap_or(0);
        self.run(format!("DO 0{}", " ".repeat(bytes.min(most / 2))))
    }

    /// What SHOW WARNINGS says of the last statement: `Warning 1366: Incorrect integer value …`.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn warnings(&mut self) -> Result<Vec<String>, EngineError> {
        let rows = self.texts("SHOW WARNINGS")?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut row = row.into_iter().map(Option::unwrap_or_default);
                let mut next = || row.next().unwrap_or_default();
                format!("{} {}: {}", next(), next(), next())
            })
            .collect())
    }

    /// One command and its answer. Only after success and an error of the server's is it known where the next answer begins.
    fn exchange<T>(
        &mut self,
        sql: &str,
        work: impl FnOnce(&mut Wire<Stream>) -> Result<T, Failure>,
    ) -> Result<T, EngineError> {
        let mut wire = self.wire.take().ok_or_else(|| {
            EngineError::new(
                ErrorKind::Connection,
                format!(
                    "the session with {} is closed, for an earlier statement on it was given up",
                    self.settings.address
                ),
            )
        })?;
        let done = work(&mut wire);
        if matches!(done, Ok(_) | Err(Failure::Server(_))) {
            self.wire = Some(wire);
        }
        done.map_err(|failure| {
            let session = || format!("the session with {}", self.settings.address);
            match failure {
                Failure::Server(said) => {
                    errors::server_error(said.code, &said.state, &said.message, sql, &self.account)
                }
                Failure::Io(error) => errors::lost(&session(), sql, error.to_string()),
                Failure::Protocol(text) => errors::lost(&session(), sql, text),
                Failure::Ours(error) => error,
            }
        })
    }
}

impl Drop for RawSession {
    fn drop(&mut self) {
        if let Some(wire) = &mut self.wire {
            // Else the server's log would name each session as aborted. It need not arrive.
            let _ = wire.command(QUIT, &[]);
        }
    }
}

fn ask(wire: &mut Wire<Stream>, sql: &[u8]) -> Result<Answer, Failure> {
    wire.command(QUERY, sql)?;
    Answer::read(wire)
}

/// Never answered: a server could ask for any file of ours.
fn unasked() -> Failure {
    Failure::protocol("the server asked for a file that is not for it")
}

/// Throws rows away.
struct Nowhere;

impl RowSink for Nowhere {
    fn null(&mut self, _: usize) {}
    fn value(&mut self, _: usize, _: &[u8]) {}
    fn part(&mut self, _: usize, _: &[u8], _: Part) -> Result<(), EngineError> {
        Ok(())
    }
    fn end_row(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
