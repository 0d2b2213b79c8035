//! Credentials for a program that we start: the text of an option file.

use std::path::Path;

use backstay_engine_api::{Tls, TlsMode};

use crate::option_file::write_option;
use crate::session::{Address, Session};
use crate::version::Flavour;

/// The text of an option file with which a client program of `family` logs in exactly as `session` did.
///
/// Give it to the program by `--defaults-file=/dev/fd/N` and an inherited descriptor, never as a file that stays. The
/// options stand in `[client]`, which every client program reads.
///
/// The families do not share the options for TLS. MariaDB's clients know no mode: `ssl` demands TLS, a `ssl-ca` has the
/// chain verified, and `ssl-verify-server-cert` the name too. `preferred` there becomes what this session got.
pub fn client_option_file(session: &Session, family: Flavour) -> String {
    let settings = session.settings();
    let mut text = String::from("[client]\n");
    let mut option = |key: &str, value: &str| write_option(&mut text, key, value);
    option("user", &settings.user);
    if let Some(password) = &settings.password {
        option("password", password.reveal());
    }
    let tcp = match &settings.address {
        Address::Tcp { host, port } => {
            option("host", host);
            option("port", &port.to_string());
            // Or `localhost` would mean the socket.
            option("protocol", "tcp");
            true
        }
        Address::Socket(path) => {
            option("socket", &path.to_string_lossy());
            option("protocol", "socket");
            false
        }
    };
    if !tcp {
        // As the session: nobody listens in on a socket. MariaDB's clients from 11.4 on would demand TLS there.
        if family.is_mariadb() {
            text.push_str("skip-ssl\n");
        } else {
            option("ssl-mode", "PREFERRED");
        }
    } else if family.is_mariadb() {
        mariadb_tls(&mut text, &settings.tls, session.encrypted());
    } else {
        mysql_tls(&mut text, &settings.tls);
    }
    text
}

fn mysql_tls(text: &mut String, tls: &Tls) {
    let mode = match tls.mode {
        TlsMode::Disabled => "DISABLED",
        TlsMode::Preferred => "PREFERRED",
        TlsMode::Required => "REQUIRED",
        TlsMode::VerifyCa => "VERIFY_CA",
        TlsMode::VerifyIdentity => "VERIFY_IDENTITY",
    };
    write_option(text, "ssl-mode", mode);
    // A ca beside a mode that does not verify would have the client verify after all.
    let verify = matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
    write_files(text, tls, verify);
    // Without TLS, caching_sha2_password needs the server's key, which a session asks the server for too.
    if matches!(tls.mode, TlsMode::Disabled | TlsMode::Preferred) {
        text.push_str("loose-get-server-public-key\n");
    }
}

fn mariadb_tls(text: &mut String, tls: &Tls, encrypted: bool) {
    if !encrypted {
        text.push_str("skip-ssl\n");
        return;
    }
    text.push_str("ssl\n");
    let verify = matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
    write_files(text, tls, verify);
    let name = if tls.mode == TlsMode::VerifyIdentity { "1" } else { "0" };
    write_option(text, "ssl-verify-server-cert", name);
}

fn write_files(text: &mut String, tls: &Tls, verify: bool) {
    let ca = tls.ca.as_deref().filter(|_| verify);
    for (key, path) in [
        ("ssl-ca", ca),
        ("ssl-cert", tls.cert.as_deref()),
        ("ssl-key", tls.key.as_deref()),
    ] {
        if let Some(path) = path.map(Path::to_string_lossy) {
            write_option(text, key, &path);
        }
    }
}
