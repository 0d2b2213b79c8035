//! A replica's connection: login, questions, and at last the log.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::commands::Command;
use super::packets::Packets;
use super::queries::{self, Reply, Said};
use super::stream::{self, Wanted};
use super::{Shared, login};

/// How long somebody who has connected may take to say who they are.
const LOGIN: Duration = Duration::from_secs(10);
const UNKNOWN_COMMAND: u16 = 1047;
const UNKNOWN_VARIABLE: u16 = 1193;
const SYNTAX: u16 = 1064;
/// `ER_MASTER_FATAL_ERROR_READING_BINLOG`: a replica gives up on it, with the text in its status.
const FATAL: u16 = 1236;
/// A replica that wants the statements that rows come from (MariaDB: `BINLOG_SEND_ANNOTATE_ROWS_EVENT`).
const ANNOTATED: u16 = 2;

/// A stream of both directions with a buffer on each.
struct Buffered {
    from: BufReader<TcpStream>,
    to: BufWriter<TcpStream>,
}

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer)
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Serves until the peer goes or the source stops. What fails on the wire is the replica's to say: it is in its status.
pub(super) fn serve(stream: TcpStream, shared: &Shared) {
    let _ = talk(stream, shared);
}

fn talk(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOGIN))?;
    let (from, to) = (
        BufReader::new(stream.try_clone()?),
        BufWriter::with_capacity(256 * 1024, stream.try_clone()?),
    );
    let mut packets = Packets::new(Buffered { from, to });
    let identity = &shared.identity;
    if !login::log_in(&mut packets, &shared.account, &identity.version, identity.mariadb)? {
        return Ok(());
    }
    stream.set_read_timeout(None)?;
    let mut said = Said::default();
    loop {
        packets.begin();
        let wanted = match Command::parse(&packets.read()?) {
            Command::Quit => return Ok(()),
            Command::Ping | Command::Register => {
                packets.ok()?;
                continue;
            }
            Command::Query(text) => {
                reply(&mut packets, queries::answer(identity, &mut said, &text))?;
                continue;
            }
            Command::Dump { flags, .. } if identity.mariadb && said.stands_at.is_some() => Wanted {
                from: stream::From::Position(said.stands_at.take().unwrap_or_default()),
                annotated: flags & ANNOTATED != 0,
            },
            Command::Dump { place, file, flags } => Wanted {
                from: stream::From::Place(file, place),
                annotated: flags & ANNOTATED != 0,
            },
            Command::DumpGtid { has } => Wanted {
                from: stream::From::Set(has),
                annotated: true,
            },
            Command::Unknown(code) => {
                packets.error(UNKNOWN_COMMAND, &format!("this source has no command {code}"))?;
                continue;
            }
            Command::Bad(what) => {
                packets.error(SYNTAX, &format!("this source was sent {what}"))?;
                continue;
            }
        };
        return match stream::send(&mut packets, shared, &wanted, said.heartbeat) {
            Err(stream::Failure::Peer(error)) => Err(error),
            Err(stream::Failure::Ours(error)) => {
                let _ = packets.error(FATAL, &error.message);
                shared.fail(error);
                Ok(())
            }
            Ok(()) => Ok(()),
        };
    }
}

fn reply<S: Read + Write>(packets: &mut Packets<S>, reply: Reply) -> io::Result<()> {
    match reply {
        Reply::Ok => packets.ok(),
        Reply::Value { column, value } => packets.row(&[(&column, value.as_deref())]),
        Reply::Variable { name, value } => packets.row(&[("Variable_name", Some(&name)), ("Value", Some(&value))]),
        Reply::Unknown(name) => packets.error(UNKNOWN_VARIABLE, &format!("Unknown system variable '{name}'")),
        Reply::Bad(text) => packets.error(SYNTAX, &format!("this source does not understand: {text}")),
    }
}
