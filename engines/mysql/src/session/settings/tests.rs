//! Which source of a setting wins.

use std::fs;

use super::*;

fn resolved(server: Server, file: &str, env: &[(&str, &str)]) -> Result<Settings, EngineError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("my.cnf");
    fs::write(&path, file).unwrap();
    let option_file = (!file.is_empty()).then_some(path);
    let env = |name: &str| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Settings::resolve(&Server { option_file, ..server }, &env)
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp {
        host: host.to_owned(),
        port,
    }
}

fn socket(path: &str) -> Address {
    Address::Socket(path.into())
}

#[test]
fn addresses() {
    let host = |host: &str| Server {
        host: Some(host.to_owned()),
        ..Server::default()
    };
    let port = |port: u16| Server {
        port: Some(port),
        ..Server::default()
    };
    let by_socket = Server {
        socket: Some("/s".into()),
        host: Some("db1".to_owned()),
        ..Server::default()
    };
    let file = "[client]\nsocket=/file\nport=3307\n[mysqld]\nport=1\n";
    let env: &[(&str, &str)] = &[("MYSQL_UNIX_PORT", "/env"), ("MYSQL_TCP_PORT", "3308")];
    for (server, file, env, expected) in [
        (by_socket, file, env, socket("/s")),
        (host("db1"), "", &[][..], tcp("db1", 3306)),
        (host("db1"), file, env, tcp("db1", 3307)),
        (host("db1"), "", env, tcp("db1", 3308)),
        (host("localhost"), file, env, socket("/file")),
        (host("localhost"), "", env, socket("/env")),
        (port(3309), file, env, tcp("127.0.0.1", 3309)),
        (Server::default(), file, env, socket("/file")),
        (Server::default(), "[client]\nport=3307\n", env, tcp("127.0.0.1", 3307)),
        (
            Server::default(),
            "[client]\nhost=db2\nsocket=/file\n",
            env,
            tcp("db2", 3308),
        ),
        (
            Server::default(),
            "[backstay]\nsocket=/ours\n[client]\nsocket=/file\n",
            env,
            socket("/ours"),
        ),
        (Server::default(), "", env, socket("/env")),
    ] {
        assert_eq!(resolved(server, file, env).unwrap().address, expected);
    }
}

#[test]
fn passwords_come_from_the_environment_last() {
    let env: &[(&str, &str)] = &[("MYSQL_PWD", "env"), ("MYSQL_UNIX_PORT", "/env")];
    let given = Server {
        password: Some(Secret::new("given")),
        user: Some("u".to_owned()),
        ..Server::default()
    };
    let reveal = |settings: Settings| settings.password.unwrap().reveal().to_owned();
    assert_eq!(
        reveal(resolved(given, "[client]\npassword=file\nuser=f\n", env).unwrap()),
        "given"
    );
    let from_file = resolved(Server::default(), "[client]\npassword=file\nuser=f\n", env).unwrap();
    assert_eq!(
        (from_file.user.as_str(), reveal(from_file.clone()).as_str()),
        ("f", "file")
    );
    assert_eq!(reveal(resolved(Server::default(), "", env).unwrap()), "env");
}

#[test]
fn tls_from_option_files() {
    let env: &[(&str, &str)] = &[("MYSQL_UNIX_PORT", "/env")];
    for (file, mode) in [
        ("[client]\nssl-mode=verify_ca\nssl-ca=/ca\n", TlsMode::VerifyCa),
        (
            "[client]\nssl_ca=/ca\nssl-verify-server-cert\nssl\n",
            TlsMode::VerifyIdentity,
        ),
        ("[client]\nssl\n", TlsMode::Required),
        ("[client]\nskip-ssl\n", TlsMode::Disabled),
        ("[client]\nssl=0\n", TlsMode::Disabled),
        ("[client]\nuser=x\n", TlsMode::Preferred),
    ] {
        assert_eq!(resolved(Server::default(), file, env).unwrap().tls.mode, mode, "{file}");
    }
    let error = |file: &str| resolved(Server::default(), file, env).unwrap_err().message;
    assert!(error("[client]\nssl-mode=VERIFY_CA\n").contains("needs the certificate of the authority"));
    assert!(error("[client]\nssl-mode=maybe\n").contains("found `maybe`"));
    assert!(error("[client]\nssl-cert=/c\n").contains("both the certificate and its key"));
    assert!(error("[client]\nport=x\n").contains("found `x`"));
}
