//! The servers' own clients, with the option file that we write for them.

use std::fs;
use std::process::Command;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{Secret, Server, Tls, TlsMode};
use backstay_mysql::programs::{Tool, client_option_file, find};
use backstay_mysql::{Flavour, Session};

use crate::certificates::Certificates;

on_both!(clients_log_in_as_the_session_did);

/// Runs the client of the server's family with an option file; what it printed, or its error.
fn client(bed: &TestServer, options: &str) -> Result<String, String> {
    let program = find(Tool::Client, bed.server.running().flavour, &bed.address().programs).unwrap();
    assert_eq!(program.flavour.is_mariadb(), bed.server.running().flavour.is_mariadb());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("client.cnf");
    fs::write(&file, options).unwrap();
    let output = Command::new(&program.path)
        .arg(format!("--defaults-file={}", file.display()))
        .args(["--batch", "--skip-column-names", "-e"])
        .arg("SELECT CURRENT_USER(), VARIABLE_VALUE <> '' FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'")
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn clients_log_in_as_the_session_did(flavour: Flavour) {
    let certificates = Certificates::new();
    let started = |host: &str| {
        let mut arguments = certificates.server_args(host);
        arguments.push("--performance-schema=ON".to_owned());
        TestServer::start_with(flavour, &arguments)
    };
    let bed = started("server");
    let elsewhere = started("elsewhere");
    let password = "a\"b\\c#d'e ;\\n";
    for bed in [&bed, &elsewhere] {
        let quoted = backstay_mysql::quote_text(password);
        run(
            &mut bed.session(),
            &[
                &format!("CREATE USER odd@'%' IDENTIFIED BY {quoted}"),
                "GRANT SELECT ON *.* TO odd@'%'",
            ],
        );
    }
    let at = |bed: &TestServer, mode| Server {
        socket: None,
        host: Some("127.0.0.1".to_owned()),
        port: bed.server.port(),
        user: Some("odd".to_owned()),
        password: Some(Secret::new(password)),
        tls: Some(Tls {
            mode,
            ca: Some(certificates.path("ca.pem")),
            ..Tls::default()
        }),
        ..bed.address()
    };
    let over_socket = Server {
        socket: Some(bed.server.socket()),
        ..at(&bed, TlsMode::Preferred)
    };
    for (bed, server, encrypted) in [
        (&bed, at(&bed, TlsMode::Disabled), false),
        (&bed, at(&bed, TlsMode::Preferred), true),
        (&bed, at(&bed, TlsMode::Required), true),
        (&bed, at(&bed, TlsMode::VerifyCa), true),
        (&bed, at(&bed, TlsMode::VerifyIdentity), true),
        (&elsewhere, at(&elsewhere, TlsMode::VerifyCa), true),
        (&bed, over_socket, false),
    ] {
        run(&mut bed.session(), &["FLUSH PRIVILEGES"]);
        let session = Session::connect(&server).unwrap_or_else(|error| panic!("{server:?}: {error}"));
        assert_eq!(session.encrypted(), encrypted, "{server:?}");
        let printed =
            client(bed, &client_option_file(&session, flavour)).unwrap_or_else(|error| panic!("{server:?}: {error}"));
        // MySQL's client encrypts a socket too where it is allowed to.
        let (account, ssl) = printed.split_once('\t').unwrap();
        assert_eq!(account, "odd@%");
        assert!(
            (ssl == "1") == encrypted || server.socket.is_some(),
            "{server:?}: {printed}"
        );
    }

    // What the session verifies, the client verifies: with another authority or another name it does not log in.
    let strict = |mode| client_option_file(&Session::connect(&at(&bed, mode)).unwrap(), flavour);
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyIdentity] {
        let wrong = strict(mode).replace("/ca.pem", "/other-ca.pem");
        assert!(client(&bed, &wrong).unwrap_err().contains("certificate"), "{mode:?}");
    }
    let port = |bed: &TestServer| format!("port=\"{}\"", bed.server.port().unwrap());
    let elsewhere_options = strict(TlsMode::VerifyIdentity).replace(&port(&bed), &port(&elsewhere));
    client(&elsewhere, &elsewhere_options).unwrap_err();
}
