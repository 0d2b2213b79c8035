//! The source's side of a login: a greeting, and whether the answer proves the password.
//!
//! MySQL's replica is greeted with `caching_sha2_password`. Whether its fast path will do is the source's to say; as this source
//! knows the password itself, it always does, and no key is exchanged. MariaDB's is greeted with `mysql_native_password`. The
//! formats are those of protocol version 10, as MySQL 9.7 and MariaDB 10.11 speak it.

use std::io::{self, Read, Write};

use mysql_common::scramble::{scramble_native, scramble_sha256};
use rand::Rng;

use super::packets::Packets;

/// What a source of either flavour can: long passwords, databases named at login, protocol 4.1, transactions, secure login,
/// plug-ins and answers of any length. No TLS, for nobody else reads on loopback, and no compression.
const CAPABILITIES: u32 = 1 | 8 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 19 | 1 << 21;
const CONNECT_WITH_DB: u32 = 8;
const PLUGIN_AUTH: u32 = 1 << 19;
/// `ER_ACCESS_DENIED_ERROR`.
const DENIED: u16 = 1045;

/// The only account that there is.
#[derive(Clone)]
pub(in crate::replay) struct Account {
    /// Its name.
    pub(in crate::replay) user: String,
    /// Made for one replay.
    pub(in crate::replay) password: String,
}

impl Account {
    /// An account of a name with a new password.
    pub(in crate::replay) fn once(user: String) -> Self {
        const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let mut random = rand::rng();
        // A replica takes 32 characters at most.
        let letter = |_| LETTERS[random.random_range(0..LETTERS.len())] as char;
        Self {
            user,
            password: (0..32).map(letter).collect(),
        }
    }
}

/// Greets whoever connected, and finds out whether it is our replica. `Ok(false)` if it is not; it has been told.
pub(super) fn log_in<S: Read + Write>(
    packets: &mut Packets<S>,
    account: &Account,
    version: &str,
    mariadb: bool,
) -> io::Result<bool> {
    let mut random = rand::rng();
    let nonce: [u8; 20] = std::array::from_fn(|_| random.random_range(b'0'..=b'z'));
    packets.write(&greeting(&nonce, version, mariadb))?;
    packets.flush()?;
    let answer = packets.read()?;
    let Some(answer) = Answer::parse(&answer) else {
        packets.error(DENIED, "this source only talks to a replica of protocol 4.1")?;
        return Ok(false);
    };
    let wanted = scrambled(&nonce, &account.password, mariadb);
    let mut proof = answer.proof.to_vec();
    if answer
        .plugin
        .is_some_and(|plugin| plugin != plugin_name(mariadb).as_bytes())
    {
        proof = switched(packets, &nonce, mariadb)?;
    }
    if answer.user != account.user.as_bytes() || proof != wanted {
        packets.error(
            DENIED,
            "access denied: this source serves one replay only, and this is not its replica",
        )?;
        return Ok(false);
    }
    if !mariadb {
        // caching_sha2_password: the fast path has succeeded.
        packets.write(&[1, 3])?;
    }
    packets.ok()?;
    Ok(true)
}

fn plugin_name(mariadb: bool) -> &'static str {
    if mariadb {
        "mysql_native_password"
    } else {
        "caching_sha2_password"
    }
}

fn scrambled(nonce: &[u8], password: &str, mariadb: bool) -> Vec<u8> {
    if mariadb {
        scramble_native(nonce, password.as_bytes()).map_or_else(Vec::new, Vec::from)
    } else {
        scramble_sha256(nonce, password.as_bytes()).map_or_else(Vec::new, Vec::from)
    }
}

/// Has a client that answered by another plug-in answer by ours.
fn switched<S: Read + Write>(packets: &mut Packets<S>, nonce: &[u8], mariadb: bool) -> io::Result<Vec<u8>> {
    let mut body = vec![0xfe];
    body.extend(plugin_name(mariadb).as_bytes());
    body.push(0);
    body.extend(nonce);
    body.push(0);
    packets.write(&body)?;
    packets.flush()?;
    packets.read()
}

fn greeting(nonce: &[u8; 20], version: &str, mariadb: bool) -> Vec<u8> {
    let mut body = vec![10];
    if mariadb {
        // What MariaDB's own source says in front, for replicas that know no version 10.
        body.extend(b"5.5.5-");
    }
    body.extend(version.as_bytes());
    body.push(0);
    // The connection's id; nobody will kill it.
    body.extend(1_u32.to_le_bytes());
    body.extend(&nonce[..8]);
    body.push(0);
    body.extend(&CAPABILITIES.to_le_bytes()[..2]);
    // utf8mb4_general_ci; autocommit.
    body.extend([45, 2, 0]);
    body.extend(&CAPABILITIES.to_le_bytes()[2..]);
    body.push(21);
    body.extend([0; 10]);
    body.extend(&nonce[8..]);
    body.push(0);
    body.extend(plugin_name(mariadb).as_bytes());
    body.push(0);
    body
}

/// HandshakeResponse41.
struct Answer<'a> {
    user: &'a [u8],
    proof: &'a [u8],
    plugin: Option<&'a [u8]>,
}

impl<'a> Answer<'a> {
    fn parse(packet: &'a [u8]) -> Option<Self> {
        let capabilities = u32::from_le_bytes(packet.get(..4)?.try_into().ok()?);
        let mut rest = packet.get(32..)?;
        let user = until_zero(&mut rest)?;
        // Its length takes one byte in either of the ways to say it: a proof is short.
        let (length, after) = rest.split_first()?;
        let proof = after.get(..usize::from(*length))?;
        rest = &after[proof.len()..];
        if capabilities & CONNECT_WITH_DB != 0 {
            until_zero(&mut rest)?;
        }
        let plugin = (capabilities & PLUGIN_AUTH != 0)
            .then(|| until_zero(&mut rest))
            .flatten();
        Some(Self { user, proof, plugin })
    }
}

fn until_zero<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let at = rest.iter().position(|byte| *byte == 0)?;
    let (text, after) = rest.split_at(at);
    *rest = &after[1..];
    Some(text)
}
