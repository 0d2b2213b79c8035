//! URLs of servers, and passwords.

use insta::assert_snapshot;

use super::*;

#[test]
fn urls_are_taken_apart() {
    let spec = ServerSpec::parse("mysql://ba%40ck@localhost/?socket=/run/my%20sqld.sock&tls_mode=required&data-dir=/d")
        .unwrap();
    let server = &spec.server;
    assert_eq!(server.scheme, "mysql");
    assert_eq!(server.user.as_deref(), Some("ba@ck"));
    assert_eq!(server.host.as_deref(), Some("localhost"));
    assert_eq!(server.socket.as_deref(), Some(Path::new("/run/my sqld.sock")));
    assert_eq!(server.data_dir.as_deref(), Some(Path::new("/d")));
    assert_eq!(
        server.tls.as_ref().map(|tls| tls.mode),
        Some(backstay_engine_api::TlsMode::Required)
    );
    assert_eq!((&spec.password, &server.password), (&None, &None));
}

#[test]
fn names_are_urls_without_secrets() {
    for (url, name) in [
        ("mysql://backup@db1:3306", "mysql://backup@db1:3306"),
        ("mysql://backup@db1:3306/", "mysql://backup@db1:3306"),
        ("mariadb://[::1]:3307/?password-file=/p", "mariadb://[::1]:3307"),
        ("postgresql://pg@db/shop?password_env=X", "postgresql://pg@db/shop"),
        ("mysql:///?socket=/s", "mysql:///?socket=/s"),
        ("mysql://", "mysql://"),
    ] {
        assert_eq!(ServerSpec::parse(url).unwrap().server.name, name);
    }
}

#[test]
fn what_is_no_url_is_refused_and_passwords_are_not_shown() {
    let texts: Vec<_> = [
        "db1",
        "db1:3306",
        "mysql:db1",
        "http://db1",
        "mysql://db 1",
        "mysql://db1:port",
        "mysql://u:secret@db1",
        "mysql://u:sec#ret@db1",
        "mysql://:secret@db1",
        "mysql://db1/?password=secret",
        "mysql://db1#x",
        "mysql://db1/a/b",
        "mysql://db1/?soket=/x",
        "mysql://db1/?socket=x",
        "mysql://db1/?socket=/x&socket=/y",
        "mysql://db1/?password-file=/x&password-env=Y",
        "mysql://db1/?tls-mode=on",
        "mysql://a%00b@db1",
    ]
    .iter()
    .map(|url| ServerSpec::parse(url).unwrap_err().to_string())
    .collect();
    let texts = texts.join("\n");
    assert!(!texts.contains("sec"), "{texts}");
    assert_snapshot!(texts, @r#"
    the server `db1` is no URL of a server, such as "mysql://USER@HOST:3306"
    the server `db1:3306` is no URL of a server, such as "mysql://USER@HOST:3306"
    the server `mysql:db1` is no URL of a server, such as "mysql://USER@HOST:3306"
    the server `http://db1` is no URL of a server, such as "mysql://USER@HOST:3306"
    the server `mysql://db 1` is no URL of a server, such as "mysql://USER@HOST:3306"
    the server `mysql://db1:***` has something else than a port after the host's colon
    the server `mysql://u:***@db1` has a password in it, which others could read
    the server `mysql://u:***@db1` has a password in it, which others could read
    the server `mysql://:***@db1` has a password in it, which others could read
    the server `mysql://db1/?password=***` has a password in it, which others could read
    the server `mysql://db1#x` has a `#`; write it as `%23`
    the server `mysql://db1/a/b` has a path; expected at most a database's name after the host, and a socket as `?socket=/PATH`
    the server `mysql://db1/?soket=/x` has the unknown key `soket`; did you mean `socket`?
    the server `mysql://db1/?socket=x` has the `socket` "x"; expected an absolute path
    the server `mysql://db1/?socket=/x&socket=/y` has `socket` twice
    the server `mysql://db1/?password-file=/x&password-env=Y` has both `password-file` and `password-env`
    the server `mysql://db1/?tls-mode=on` has the `tls-mode` "on"; expected disabled, preferred, required, verify-ca or verify-identity
    the server `mysql://a%00b@db1` has percent-encoded control characters
    "#);
}

#[test]
fn passwords_come_from_files_and_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let url = format!("mysql://backup@db1/?password-file={}", file.display());
    let resolve = |content: &str| {
        fs::write(&file, content).unwrap();
        let server = parse_server_url(&url).map_err(|error| error.to_string());
        server.map(|server| server.password.unwrap().reveal().to_owned())
    };
    for (content, password) in [("hunter2\n", "hunter2"), (" a b \r\n", " a b "), ("ü", "ü")] {
        assert_eq!(resolve(content).as_deref(), Ok(password));
    }
    let shown = |text: String| text.replace(directory.path().to_str().unwrap(), "DIR");
    assert_snapshot!(shown(resolve("\n").unwrap_err()), @r#"the password file DIR/password of mysql://backup@db1 is empty; expected one line with the password"#);
    assert_snapshot!(shown(resolve("hunter2\nhunter3\n").unwrap_err()), @r#"the password file DIR/password of mysql://backup@db1 has more than one line; expected one line with the password"#);
    fs::remove_file(&file).unwrap();
    assert_snapshot!(shown(parse_server_url(&url).unwrap_err().to_string()), @r#"the password of mysql://backup@db1 can not be read from DIR/password: No such file or directory (os error 2)"#);
    assert_snapshot!(parse_server_url("mysql://u@db1/?password-env=BACKSTAY_TEST_NOT_SET").unwrap_err(), @r#"the password of mysql://u@db1 is to be in the environment variable BACKSTAY_TEST_NOT_SET, which is not set"#);
    // One that any environment has.
    let server = parse_server_url("mysql://u@db1/?password-env=PATH").unwrap();
    assert_eq!(server.password.unwrap().reveal(), std::env::var("PATH").unwrap());
}
