//! Every way in that the servers have, over the socket, plain TCP and TLS; and what is refused.

use std::fs;

use backstay_bed::{TestServer, installed, on_both, run};
use backstay_engine_api::{EngineError, ErrorKind, Secret, Server, Tls, TlsMode};
use backstay_mysql::{Flavour, RawSession, Session};

use super::{Kept, like};
use crate::certificates::Certificates;

on_both!(
    every_plugin,
    the_system_user,
    changed_password,
    certificates_are_checked,
    without_tls,
    bulk_over_tcp_and_tls
);

const PASSWORD: &str = "s3cr#t\"' ä";

fn over_socket(bed: &TestServer, user: &str, password: &str) -> Server {
    Server {
        user: Some(user.to_owned()),
        password: Some(Secret::new(password)),
        ..bed.address()
    }
}

fn over_tcp(bed: &TestServer, user: &str, password: &str, tls: Tls) -> Server {
    Server {
        socket: None,
        host: Some("127.0.0.1".to_owned()),
        port: bed.server.port(),
        tls: Some(tls),
        ..over_socket(bed, user, password)
    }
}

fn mode(mode: TlsMode) -> Tls {
    Tls { mode, ..Tls::default() }
}

fn connect(server: &Server) -> Session {
    Session::connect(server).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(session: &Session) -> EngineError {
    match RawSession::like(session) {
        Ok(_) => panic!("{} was let in again", session.account()),
        Err(error) => error,
    }
}

fn whoami(raw: &mut RawSession) -> String {
    raw.texts("SELECT CURRENT_USER()").unwrap()[0][0].clone().unwrap()
}

fn every_plugin(flavour: Flavour) {
    let certificates = Certificates::new();
    let mut arguments = certificates.server_args("server");
    if flavour.is_mariadb() {
        let folder = installed(flavour).plugins;
        let folder = folder.expect("MariaDB's plug-ins; install them with: cargo xtask setup");
        arguments.push(format!("--plugin-dir={}", folder.display()));
    }
    let bed = TestServer::start_with(flavour, &arguments);
    let mut root = bed.session();
    let plugins: &[&str] = if flavour.is_mariadb() {
        run(&mut root, &["INSTALL SONAME 'auth_ed25519'"]);
        &["mysql_native_password", "ed25519"]
    } else {
        &["caching_sha2_password", "sha256_password"]
    };
    for (at, plugin) in plugins.iter().enumerate() {
        for (password, user) in [(PASSWORD, format!("p{at}")), ("", format!("e{at}"))] {
            if (*plugin, password) == ("ed25519", "") {
                // Has no form for an empty password: nobody gets in.
                continue;
            }
            let quoted = backstay_mysql::quote_text(password);
            run(&mut root, &[&format!("CREATE USER {user}@'%' IDENTIFIED BY {quoted}")]);
            let sessions = [
                connect(&over_socket(&bed, &user, password)),
                connect(&over_tcp(&bed, &user, password, mode(TlsMode::Disabled))),
                connect(&over_tcp(&bed, &user, password, mode(TlsMode::Preferred))),
                connect(&over_tcp(&bed, &user, password, mode(TlsMode::Required))),
            ];
            // Only now, for the driver does not know all of them.
            let identified = match flavour.is_mariadb() {
                true => format!("VIA {plugin} USING PASSWORD({quoted})"),
                false => format!("WITH {plugin} BY {quoted}"),
            };
            run(&mut root, &[&format!("ALTER USER {user}@'%' IDENTIFIED {identified}")]);
            for session in &sessions {
                // The whole exchange where the server caches, and then the short one.
                run(&mut root, &["FLUSH PRIVILEGES"]);
                for _ in 0..2 {
                    let mut raw = RawSession::like(session)
                        .unwrap_or_else(|error| panic!("{plugin} at {}: {error}", session.address()));
                    assert_eq!(whoami(&mut raw), format!("{user}@%"));
                    assert_eq!(raw.encrypted(), session.encrypted());
                    let cipher = raw.texts("SHOW STATUS LIKE 'Ssl_cipher'").unwrap();
                    assert_eq!(raw.encrypted(), cipher[0][1].as_deref() != Some(""));
                }
            }
        }
    }
}

fn the_system_user(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut root = bed.session();
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    if flavour.is_mariadb() {
        run(
            &mut root,
            &[&format!(
                "CREATE OR REPLACE USER '{user}'@localhost IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket"
            )],
        );
        let session = connect(&Server {
            user: Some(user.clone()),
            password: None,
            ..bed.address()
        });
        assert_eq!(whoami(&mut like(&session)), format!("{user}@localhost"));
    } else {
        run(
            &mut root,
            &[
                "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'",
                &format!("CREATE USER sock@localhost IDENTIFIED WITH auth_socket AS '{user}'"),
            ],
        );
        let mut raw = like(&connect(&over_socket(&bed, "sock", "")));
        assert_eq!(whoami(&mut raw), "sock@localhost");
        let sql = format!(
            "SELECT attr_value FROM performance_schema.session_connect_attrs WHERE attr_name = 'program_name' AND \
             processlist_id = {}",
            raw.connection_id()
        );
        run(&mut root, &["GRANT SELECT ON performance_schema.* TO sock@localhost"]);
        assert_eq!(raw.texts(sql).unwrap(), [[Some("backstay".to_owned())]]);
    }
}

/// What was right for the session is wrong for the next connection.
fn changed_password(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut root = bed.session();
    run(&mut root, &["CREATE USER u@'%' IDENTIFIED BY 'wrong-secret'"]);
    let sessions = [
        connect(&over_socket(&bed, "u", "wrong-secret")),
        connect(&over_tcp(&bed, "u", "wrong-secret", mode(TlsMode::Disabled))),
        connect(&over_tcp(&bed, "u", "wrong-secret", mode(TlsMode::Preferred))),
    ];
    run(&mut root, &["ALTER USER u@'%' IDENTIFIED BY 'another'"]);
    for session in &sessions {
        let error = refused(session);
        assert_eq!(error.kind, ErrorKind::Connection);
        assert_eq!(
            error.message,
            format!("{} refused the account `u`, with a password", session.address())
        );
        assert!(error.causes[0].starts_with("1045 (28000)"), "{error}");
        assert!(!error.to_string().contains("wrong-secret"));
    }
    // Nobody knows a plug-in of this name.
    if !flavour.is_mariadb() {
        run(
            &mut root,
            &[
                "INSTALL PLUGIN mysql_no_login SONAME 'mysql_no_login.so'",
                "ALTER USER u@'%' IDENTIFIED WITH mysql_no_login",
            ],
        );
        assert_eq!(refused(&sessions[0]).kind, ErrorKind::Connection);
    }
    run(&mut root, &["SET GLOBAL max_connections = 10"]);
    let mut many = Vec::new();
    let error = loop {
        match RawSession::like(&root) {
            Ok(raw) => many.push(raw),
            Err(error) => break error,
        }
    };
    assert!(error.message.ends_with("has no connection left"), "{error}");
    // Dropped sessions end.
    drop(many);
    while RawSession::like(&root).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let addresses = [bed.server.socket().display().to_string(), sessions[1].address()];
    drop(bed);
    for (session, address) in [(&root, &addresses[0]), (&sessions[1], &addresses[1])] {
        let error = refused(session);
        assert_eq!(error.kind, ErrorKind::Connection);
        assert!(
            error.message.contains(address.as_str()) && error.advice.is_some(),
            "{error}"
        );
    }
}

/// The files are read for each connection, so that they can be changed beneath a session.
fn certificates_are_checked(flavour: Flavour) {
    let certificates = Certificates::new();
    let bed = TestServer::start_with(flavour, &certificates.server_args("server"));
    let mut root = bed.session();
    run(
        &mut root,
        &["CREATE USER t@'%' IDENTIFIED BY 'p'", "CREATE USER c@'%' REQUIRE X509"],
    );
    let with = |mode| Tls {
        mode,
        ca: Some(certificates.path("ca.pem")),
        ..Tls::default()
    };
    let required = connect(&over_tcp(&bed, "t", "p", with(TlsMode::Required)));
    let verify_ca = connect(&over_tcp(&bed, "t", "p", with(TlsMode::VerifyCa)));
    let verify_identity = connect(&over_tcp(&bed, "t", "p", with(TlsMode::VerifyIdentity)));
    let client = connect(&over_tcp(
        &bed,
        "c",
        "",
        Tls {
            cert: Some(certificates.path("client-cert.pem")),
            key: Some(certificates.path("client-key.pem")),
            ..with(TlsMode::VerifyIdentity)
        },
    ));
    for session in [&required, &verify_ca, &verify_identity, &client] {
        assert!(like(session).encrypted());
    }

    // Another host's certificate from the same authority.
    for file in ["cert", "key"] {
        fs::copy(
            certificates.path(&format!("elsewhere-{file}.pem")),
            certificates.path(&format!("server-{file}.pem")),
        )
        .unwrap();
    }
    let reload = if flavour.is_mariadb() {
        "FLUSH SSL"
    } else {
        "ALTER INSTANCE RELOAD TLS"
    };
    run(&mut root, &[reload]);
    like(&required);
    like(&verify_ca);
    let error = refused(&verify_identity);
    assert_eq!(error.kind, ErrorKind::Connection);
    assert!(error.to_string().contains("not valid for name"), "{error}");

    // An authority that did not sign the server's certificate, beside nothing else that is trusted.
    fs::copy(certificates.path("other-ca.pem"), certificates.path("ca.pem")).unwrap();
    like(&required);
    for session in [&verify_ca, &verify_identity] {
        let error = refused(session);
        assert!(error.message.starts_with("TLS with 127.0.0.1:"), "{error}");
        assert!(
            error
                .advice
                .as_ref()
                .unwrap()
                .contains("set tls.ca to the certificate of the authority"),
            "{error}"
        );
    }
    fs::write(certificates.path("ca.pem"), "nothing").unwrap();
    let error = refused(&verify_ca);
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(
        error.message.contains("expected a PEM file with a CERTIFICATE"),
        "{error}"
    );
}

fn without_tls(flavour: Flavour) {
    let bed = TestServer::start_with(
        flavour,
        &[if flavour.is_mariadb() {
            "--skip-ssl"
        } else {
            "--tls-version="
        }],
    );
    run(&mut bed.session(), &["CREATE USER t@'%' IDENTIFIED BY 'p'"]);
    let session = connect(&over_tcp(&bed, "t", "p", mode(TlsMode::Preferred)));
    assert!(!session.encrypted());
    let mut raw = like(&session);
    assert!(!raw.encrypted());
    assert_eq!(whoami(&mut raw), "t@%");
}

/// As much as does not fit any buffer, both ways.
fn bulk_over_tcp_and_tls(flavour: Flavour) {
    let certificates = Certificates::new();
    let bed = TestServer::start_with(flavour, &certificates.server_args("server"));
    run(
        &mut bed.session(),
        &[
            "CREATE USER t@'%' IDENTIFIED BY 'p'",
            "GRANT ALL ON *.* TO t@'%'",
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, v TEXT)",
        ],
    );
    let data: String = (0..3_000)
        .map(|id| format!("{id}\t{}\n", "value ".repeat(200)))
        .collect();
    for tls in [TlsMode::Disabled, TlsMode::Required] {
        let mut raw = like(&connect(&over_tcp(&bed, "t", "p", mode(tls))));
        assert_eq!(raw.encrypted(), tls == TlsMode::Required);
        raw.run("TRUNCATE d.t").unwrap();
        let loaded = raw.load("LOAD DATA LOCAL INFILE 'any' INTO TABLE d.t", &mut data.as_bytes());
        assert_eq!(loaded.unwrap().rows, 3_000);
        let mut kept = Kept::default();
        let sql = "SELECT id, v, REPEAT(v, IF(id = 7, 3000, 1)) FROM d.t ORDER BY id";
        assert_eq!(raw.rows(sql, &mut kept).unwrap(), 3_000);
        let value = "value ".repeat(200).into_bytes();
        for (id, row) in kept.rows.iter().enumerate() {
            let many = if id == 7 { 3_000 } else { 1 };
            assert_eq!(row[0].as_deref(), Some(id.to_string().as_bytes()));
            assert!(
                row[1].as_ref() == Some(&value) && row[2].as_ref() == Some(&value.repeat(many)),
                "row {id}"
            );
        }
        assert!(kept.parts > 10);
    }
}
