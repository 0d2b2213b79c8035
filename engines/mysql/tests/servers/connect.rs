//! Every way to log in, and what an operator reads when it does not work.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{EngineError, ErrorKind, Secret, Server, Tls, TlsMode};
use backstay_mysql::{Flavour, RawSession, Session};

use crate::certificates::Certificates;

on_both!(
    passwords,
    tls,
    session_settings,
    option_file,
    the_system_users_account,
    nobody_there,
    privileges
);

fn tcp(bed: &TestServer, user: &str, password: Option<&str>, mode: TlsMode) -> Server {
    Server {
        socket: None,
        host: Some("127.0.0.1".to_owned()),
        port: bed.server.port(),
        user: Some(user.to_owned()),
        password: password.map(Secret::new),
        tls: Some(Tls { mode, ..Tls::default() }),
        ..bed.address()
    }
}

fn over_socket(bed: &TestServer, user: &str, password: Option<&str>) -> Server {
    Server {
        user: Some(user.to_owned()),
        password: password.map(Secret::new),
        ..bed.address()
    }
}

fn refused(server: &Server) -> EngineError {
    match Session::connect(server) {
        Ok(session) => panic!("{} was let in as {}", server.name, session.account()),
        Err(error) => error,
    }
}

/// caching_sha2_password or mysql_native_password, over the socket, TLS, and plain TCP.
fn passwords(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut root = bed.session();
    run(&mut root, &["CREATE USER plain@'%' IDENTIFIED BY 's3cr#t\"\\''"]);
    let password = Some("s3cr#t\"'");
    let modes: &[TlsMode] = if flavour.is_mariadb() {
        &[TlsMode::Disabled, TlsMode::Preferred]
    } else {
        &[TlsMode::Disabled, TlsMode::Required]
    };
    for mode in modes {
        // Empties the cache of caching_sha2_password, so that the whole exchange is needed: by RSA where there is no TLS.
        run(&mut root, &["FLUSH PRIVILEGES"]);
        for again in 0..2 {
            let session =
                Session::connect(&tcp(&bed, "plain", password, *mode)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((session.account(), again < 2), ("plain@%", true));
            assert_eq!(session.encrypted(), *mode == TlsMode::Required);
        }
    }
    run(&mut root, &["FLUSH PRIVILEGES"]);
    Session::connect(&over_socket(&bed, "plain", password)).unwrap();

    run(&mut root, &["CREATE USER locked@'%' ACCOUNT LOCK"]);
    let error = refused(&over_socket(&bed, "locked", None));
    assert!(
        error.message.starts_with("the account `locked`") && error.message.ends_with("is locked"),
        "{error}"
    );
    let address = bed.server.socket().display().to_string();
    for (password, said, advice) in [
        (Some("wrong-secret"), "with a password", "check the account's password"),
        (None, "without a password", "set its password in the configuration"),
    ] {
        let error = refused(&over_socket(&bed, "plain", password));
        assert_eq!(error.kind, ErrorKind::Connection);
        assert_eq!(error.message, format!("{address} refused the account `plain`, {said}"));
        assert!(error.advice.as_ref().unwrap().contains(advice), "{error}");
        assert!(error.causes[0].starts_with("1045"), "{error}");
        assert!(!error.to_string().contains("wrong-secret"));
    }
}

fn tls(flavour: Flavour) {
    let certificates = Certificates::new();
    let bed = TestServer::start_with(flavour, &certificates.server_args("server"));
    let elsewhere = TestServer::start_with(flavour, &certificates.server_args("elsewhere"));
    for bed in [&bed, &elsewhere] {
        run(
            &mut bed.session(),
            &[
                "CREATE USER t@'%' IDENTIFIED BY 'p' REQUIRE SSL",
                "CREATE USER c@'%' REQUIRE X509",
            ],
        );
    }
    let with = |bed: &TestServer, mode, ca: &str| {
        let mut server = tcp(bed, "t", Some("p"), mode);
        server.tls = Some(Tls {
            mode,
            ca: Some(certificates.path(ca)),
            ..Tls::default()
        });
        server
    };
    for (server, said) in [
        (tcp(&bed, "t", Some("p"), TlsMode::Preferred), ""),
        (tcp(&bed, "t", Some("p"), TlsMode::Required), ""),
        (with(&bed, TlsMode::VerifyCa, "ca.pem"), ""),
        (with(&bed, TlsMode::VerifyIdentity, "ca.pem"), ""),
        (with(&elsewhere, TlsMode::VerifyCa, "ca.pem"), ""),
        (
            with(&elsewhere, TlsMode::VerifyIdentity, "ca.pem"),
            "not valid for name",
        ),
        (
            with(&bed, TlsMode::VerifyCa, "other-ca.pem"),
            "set tls.ca to the certificate of the authority",
        ),
        (
            with(&bed, TlsMode::VerifyCa, "missing.pem"),
            "missing.pem: can not be read",
        ),
        (
            with(&bed, TlsMode::VerifyCa, "client-key.pem"),
            "expected a PEM file with a CERTIFICATE",
        ),
        (
            tcp(&bed, "t", Some("p"), TlsMode::VerifyCa),
            "needs the certificate of the authority",
        ),
        (
            tcp(&bed, "t", Some("p"), TlsMode::Disabled),
            "refused the account `t`, with a password",
        ),
    ] {
        match Session::connect(&server) {
            Ok(session) => assert!(said.is_empty() && session.encrypted(), "{server:?} was let in"),
            Err(error) => assert!(
                !said.is_empty() && error.to_string().contains(said),
                "{server:?}: {error}"
            ),
        }
    }
    // A client's certificate.
    let mut client = tcp(&bed, "c", None, TlsMode::Required);
    client.tls = Some(Tls {
        mode: TlsMode::VerifyIdentity,
        ca: Some(certificates.path("ca.pem")),
        cert: Some(certificates.path("client-cert.pem")),
        key: Some(certificates.path("client-key.pem")),
    });
    assert!(
        Session::connect(&client)
            .unwrap_or_else(|error| panic!("{error}"))
            .encrypted()
    );

    run(
        &mut bed.session(),
        &[
            "CREATE USER anyhow@'%' IDENTIFIED BY 'p'",
            "SET GLOBAL require_secure_transport = ON",
        ],
    );
    let error = refused(&tcp(&bed, "anyhow", Some("p"), TlsMode::Disabled));
    let said = if flavour.is_mariadb() {
        "if the server or the account demands TLS"
    } else {
        "takes only encrypted connections"
    };
    assert!(error.to_string().contains(said), "{error}");

    let plain = TestServer::start_with(
        flavour,
        &[if flavour.is_mariadb() {
            "--skip-ssl"
        } else {
            "--tls-version="
        }],
    );
    let error = refused(&tcp(&plain, "root", None, TlsMode::Required));
    assert!(
        error.message.ends_with("has no TLS, and the configuration requires it"),
        "{error}"
    );
}

fn session_settings(flavour: Flavour) {
    let bed = TestServer::start_with(flavour, &["--sql-mode=ANSI,NO_BACKSLASH_ESCAPES", "--autocommit=0"]);
    let mut session = bed.session();
    let (mode, autocommit, lock_wait, wait): (String, u8, u32, u32) = session
        .query_first("SELECT @@sql_mode, @@autocommit, @@lock_wait_timeout, @@wait_timeout")
        .unwrap()
        .unwrap();
    assert_eq!(
        (mode.as_str(), autocommit, lock_wait, wait),
        (
            "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION",
            1,
            60,
            31_536_000
        )
    );
    let text: Option<String> = session.query_first("SELECT 'ä😀'").unwrap();
    assert_eq!(text.as_deref(), Some("ä😀"));
    assert_eq!(session.flavour(), flavour);
    assert!(session.version().number > (8, 0, 0));
    let id: Option<u64> = session.query_first("SELECT CONNECTION_ID()").unwrap();
    assert_eq!(id, Some(session.connection_id()));
    assert_ne!(session.another().unwrap().connection_id(), session.connection_id());
    let error = session.query_first::<u8>("SELECT 'x'").unwrap_err();
    assert!(error.message.contains("is not of the expected type"), "{error}");
    let error = session.run("SELEKT 1").unwrap_err();
    assert!(error.to_string().contains("refused `SELEKT 1`: 1064"), "{error}");
    session.kill(999_999).unwrap();
}

/// MariaDB may end sessions that wait in a transaction; ours wait for as long as a backup takes.
#[test]
fn nobody_is_ended_for_waiting_in_a_transaction() {
    let bed = TestServer::start(Flavour::MariaDb);
    let limits = [
        "idle_transaction_timeout",
        "idle_readonly_transaction_timeout",
        "idle_write_transaction_timeout",
    ];
    for limit in limits {
        run(&mut bed.session(), &[&format!("SET GLOBAL {limit} = 1")]);
    }
    let asked = format!("SELECT CONCAT_WS(' ', @@{})", limits.join(", @@"));
    let mut session = bed.session();
    let found: Option<String> = session.query_first(&asked).unwrap();
    assert_eq!(found.as_deref(), Some("0 0 0"));
    let found = RawSession::like(&session).unwrap().texts(&asked).unwrap();
    assert_eq!(found, [[Some("0 0 0".to_owned())]]);
}

fn option_file(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    run(&mut bed.session(), &["CREATE USER f@localhost IDENTIFIED BY 'a b#c'"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("my.cnf");
    let socket = bed.server.socket();
    fs::write(
        &file,
        format!("[client]\nuser=f\npassword='a b#c'\nsocket={}\n", socket.display()),
    )
    .unwrap();
    let server = Server {
        option_file: Some(file),
        ..Server::default()
    };
    assert_eq!(Session::connect(&server).unwrap().account(), "f@localhost");
    let missing = Server {
        option_file: Some(PathBuf::from("/no/such.cnf")),
        ..Server::default()
    };
    assert_eq!(refused(&missing).kind, ErrorKind::Usage);
}

/// auth_socket and unix_socket: whoever runs this logs in without a password, also where a password is another way in.
fn the_system_users_account(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let mut root = bed.session();
    if flavour.is_mariadb() {
        if user != "root" {
            run(&mut root, &[&format!("CREATE USER '{user}'@localhost")]);
        }
        for way in ["unix_socket", "mysql_native_password USING 'invalid' OR unix_socket"] {
            run(
                &mut root,
                &[&format!("ALTER USER '{user}'@localhost IDENTIFIED VIA {way}")],
            );
            let session =
                Session::connect(&over_socket(&bed, &user, None)).unwrap_or_else(|error| panic!("{way}: {error}"));
            assert_eq!(session.account(), format!("{user}@localhost"));
        }
        // No user given at all.
        Session::connect(&Server {
            user: None,
            ..bed.address()
        })
        .unwrap();
        run(&mut root, &["CREATE USER other@localhost IDENTIFIED VIA unix_socket"]);
    } else {
        run(&mut root, &["INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'"]);
        run(
            &mut root,
            &[&format!(
                "CREATE USER sock@localhost IDENTIFIED WITH auth_socket AS '{user}'"
            )],
        );
        assert_eq!(
            Session::connect(&over_socket(&bed, "sock", None)).unwrap().account(),
            "sock@localhost"
        );
        run(&mut root, &["CREATE USER other@localhost IDENTIFIED WITH auth_socket"]);
    }
    let error = refused(&over_socket(&bed, "other", None));
    assert!(
        error
            .to_string()
            .contains("run as the operating-system user of that name"),
        "{error}"
    );
}

fn nobody_there(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let socket = bed.server.socket();
    let port = bed.server.port();
    drop(bed);
    let at_port = |host: &str| Server {
        host: Some(host.to_owned()),
        port,
        ..Server::default()
    };
    for (server, said) in [
        (
            Server {
                socket: Some(socket.clone()),
                ..Server::default()
            },
            format!("there is no socket {}", socket.display()),
        ),
        (
            at_port("127.0.0.1"),
            format!("127.0.0.1:{} refuses connections", port.unwrap()),
        ),
        (
            at_port("no-such-host.invalid"),
            "the host `no-such-host.invalid` is unknown".to_owned(),
        ),
    ] {
        let error = refused(&server);
        assert_eq!(error.kind, ErrorKind::Connection, "{error}");
        assert!(error.message.starts_with(&said) && error.advice.is_some(), "{error}");
    }
}

/// A port that takes connections and never says anything.
#[test]
fn silence_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Some(listener.local_addr().unwrap().port());
    let error = refused(&Server {
        host: Some("127.0.0.1".to_owned()),
        port,
        ..Server::default()
    });
    assert!(error.message.ends_with("did not answer within 15 seconds"), "{error}");
}

fn privileges(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    run(
        &mut bed.session(),
        &[
            "CREATE USER few@localhost",
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT)",
        ],
    );
    let mut few = Session::connect(&over_socket(&bed, "few", None)).unwrap();
    let to = "TO 'few'@'localhost'";
    for (sql, grant) in [
        ("FLUSH TABLES WITH READ LOCK", format!("run: GRANT RELOAD ON *.* {to}")),
        (
            "SELECT * FROM shop.t",
            format!(
                "run: GRANT SELECT ON {} {to}",
                if flavour.is_mariadb() { "`shop`.`t`" } else { "*.*" }
            ),
        ),
        ("DROP DATABASE shop", format!("run: GRANT DROP ON `shop`.* {to}")),
    ] {
        let error = few.run(sql).unwrap_err();
        assert_eq!(
            (error.kind, error.advice.as_deref()),
            (ErrorKind::Privilege, Some(grant.as_str())),
            "{error}"
        );
    }
}
