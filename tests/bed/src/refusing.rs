//! [`refusing()`]: a way to a server on which some statements are refused, as managed services refuse them.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use backstay_engine_api::Server;

use crate::TestServer;

/// COM_QUERY of the protocol.
const QUERY: u8 = 3;

static STARTED: AtomicUsize = AtomicUsize::new(0);

/// A way to a server that passes on what clients send, but for statements that begin so: these it answers itself, with error 1045 (28000),
/// "Access denied". It is there as long as the process.
///
/// So Amazon RDS and Aurora refuse FLUSH TABLES WITH READ LOCK to accounts that have the privilege for it.
///
/// # Panics
/// It can not listen.
pub fn refusing(bed: &TestServer, statements: &'static [&'static str]) -> Server {
    let real = bed.address();
    let to = real.socket.clone().expect("a server with a socket");
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let socket = bed.dir().join(format!("refusing-{number}.sock"));
    let listener = UnixListener::bind(&socket).expect("a socket in the test's directory");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // A connection that breaks is the client's to notice.
            let _ = serve(&client, &to, statements);
        }
    });
    Server {
        socket: Some(socket),
        ..real
    }
}

fn serve(client: &UnixStream, to: &Path, statements: &'static [&'static str]) -> io::Result<()> {
    let server = UnixStream::connect(to)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let (mut from_client, mut to_client, mut to_server) = (client.try_clone()?, client.try_clone()?, server);
    thread::spawn(move || {
        let _ = pass(&mut from_client, &mut to_client, &mut to_server, statements);
        let _ = to_server.shutdown(std::net::Shutdown::Both);
    });
    Ok(())
}

/// Packet by packet: three bytes of length, one that counts.
fn pass(
    client: &mut impl Read,
    answer: &mut impl Write,
    server: &mut impl Write,
    statements: &[&str],
) -> io::Result<()> {
    loop {
        let mut packet = vec![0; 4];
        client.read_exact(&mut packet)?;
        let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]) as usize;
        packet.resize(4 + length, 0);
        client.read_exact(&mut packet[4..])?;
        let refused = |statement: &&str| packet[5..].starts_with(statement.as_bytes());
        if packet[3] == 0 && packet.get(4) == Some(&QUERY) && statements.iter().any(refused) {
            let text = b"Access denied for user 'root'@'localhost' (using password: NO)";
            let mut error = vec![0xff];
            error.extend(1045_u16.to_le_bytes());
            error.extend(b"#28000");
            error.extend(text);
            let length = u8::try_from(error.len()).expect("a short text");
            answer.write_all(&[&[length, 0, 0, 1], &error[..]].concat())?;
        } else {
            server.write_all(&packet)?;
        }
    }
}
