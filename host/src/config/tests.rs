//! What a configuration says.

mod mistakes;

use crate::pipeline::{Bundling, Compression};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine_api::TlsMode;
use insta::assert_snapshot;
use serde_json::json;

use super::*;

const GOOD: &str = r#"
[repository]
url = "file:///var/lib/back%20stay"
compression = "none"
level = 19
bundle = "never"

[plugins]
path = ["/usr/lib/backstay/engines", "engines"]

[cluster.orders]
prefer = "any"
max_lag = "30s"
[[cluster.orders.member]]
name = "first"
server = "mysql://backup@db1:3306"
password_file = "orders.password"
tls = { mode = "verify-identity", ca = "ca.pem" }
data_dir = "/var/lib/mysql"
programs = ["/opt/mysql/bin"]
[[cluster.orders.member]]
server = "mysql://db2"
user = "backup"
password_env = "ORDERS_PASSWORD"
option_file = "/etc/my.cnf"

[cluster.single]
server = "mysql://root@localhost/?socket=/run/mysqld/mysqld.sock"

[cluster.pg]
server = "postgresql://postgres@[::1]:5432/shop"

[workflow.archive]
cluster = "orders"
engine = "mysqldump"
options = { threads = 4, list = [1.5, "x", true], nested.key = 1979-05-27 }
deadline = "6h"
threads = 8
compression = "zstd"
level = 1
bundle = "always"
"#;

#[test]
fn everything_that_can_be_said_is_read() {
    let config = Config::parse(Path::new("/etc/backstay/backstay.toml"), GOOD).unwrap();
    assert_eq!(
        config.repository,
        RepositoryConfig {
            url: "file:///var/lib/back%20stay".into(),
            directory: "/var/lib/back stay".into(),
            compression: Compression::None,
            level: 19,
            bundle: Bundling::Never,
        }
    );
    let engines = ["/usr/lib/backstay/engines", "/etc/backstay/engines"].map(PathBuf::from);
    assert_eq!(config.plugins.path, engines);

    let orders = config.cluster("orders").unwrap();
    assert_eq!(
        (orders.prefer, orders.max_lag),
        (Prefer::Any, Some(Duration::from_secs(30)))
    );
    let [first, second] = orders.members.as_slice() else {
        panic!("{orders:?}")
    };
    let server = &first.server.server;
    assert_eq!(
        (first.name.as_str(), server.name.as_str()),
        ("first", "mysql://backup@db1:3306")
    );
    assert_eq!((server.host.as_deref(), server.port), (Some("db1"), Some(3306)));
    let tls = server.tls.clone().unwrap();
    assert_eq!(
        (tls.mode, tls.ca),
        (TlsMode::VerifyIdentity, Some("/etc/backstay/ca.pem".into()))
    );
    assert_eq!(server.programs, [PathBuf::from("/opt/mysql/bin")]);
    assert_eq!(
        first.server.password,
        Some(PasswordSource::File("/etc/backstay/orders.password".into()))
    );
    assert_eq!(
        (second.name.as_str(), second.server.server.name.as_str()),
        ("db2", "mysql://backup@db2")
    );
    assert_eq!(
        second.server.password,
        Some(PasswordSource::Env("ORDERS_PASSWORD".into()))
    );

    let single = &config.clusters["single"];
    assert_eq!(single.prefer, Prefer::Replica);
    assert_eq!(single.members[0].name, "/run/mysqld/mysqld.sock");
    let pg = &config.clusters["pg"].members[0].server.server;
    assert_eq!(
        (pg.scheme.as_str(), pg.host.as_deref(), pg.database.as_deref()),
        ("postgresql", Some("::1"), Some("shop"))
    );

    let workflow = config.workflow("archive").unwrap();
    assert_eq!(
        workflow.options,
        *json!({"threads": 4, "list": [1.5, "x", true], "nested": {"key": "1979-05-27"}})
            .as_object()
            .unwrap()
    );
    assert_eq!(workflow.deadline, Some(Duration::from_secs(6 * 3600)));
    assert_eq!((workflow.threads, workflow.level), (Some(8), Some(1)));
    assert_eq!(
        (workflow.compression, workflow.bundle),
        (Some(Compression::Zstd), Some(Bundling::Always))
    );
}

#[test]
fn files_that_are_not_there_or_not_text() {
    let directory = tempfile::tempdir().unwrap();
    let shown = |error: ConfigError| error.to_string().replace(directory.path().to_str().unwrap(), "DIR");
    let missing = directory.path().join("missing.toml");
    let other = directory.path().join("other.toml");
    fs::write(&other, b"# ok\nurl = \"\xff\"\n").unwrap();

    assert_snapshot!(shown(find_in(Some(&missing), Some(&other), &[]).unwrap_err()), @r#"the configuration DIR/missing.toml (--config) does not exist; write one with `backstay init`"#);
    assert_snapshot!(shown(find_in(None, Some(&missing), &[&other]).unwrap_err()), @r#"the configuration DIR/missing.toml (BACKSTAY_CONFIG) does not exist; write one with `backstay init`"#);
    assert_snapshot!(shown(find_in(None, None, &[&missing, Path::new("/nowhere/b.toml")]).unwrap_err()), @r#"no configuration: looked for DIR/missing.toml and /nowhere/b.toml; write one with `backstay init`, or name one with --config or BACKSTAY_CONFIG"#);
    assert_snapshot!(shown(Config::load(&missing).unwrap_err()), @r#"the configuration DIR/missing.toml can not be read: No such file or directory (os error 2)"#);
    assert_snapshot!(shown(Config::load(&other).unwrap_err()), @r#"
    DIR/other.toml:2:8: no TOML: the file is not UTF-8 here
     2 | url = "�"
       |        ^
    "#);

    assert_eq!(find_in(Some(&other), Some(&missing), &[]).unwrap(), other);
    assert_eq!(find_in(None, Some(&other), &[&missing]).unwrap(), other);
    assert_eq!(find_in(None, None, &[&missing, &other]).unwrap(), other);
}

#[test]
fn what_the_command_line_names_must_exist() {
    let config = Config::parse(Path::new("/etc/backstay/backstay.toml"), GOOD).unwrap();
    assert_snapshot!(config.cluster("order").unwrap_err(), @r#"/etc/backstay/backstay.toml has no cluster `order`; did you mean `orders`?"#);
    assert_snapshot!(config.workflow("nightly").unwrap_err(), @r#"/etc/backstay/backstay.toml has no workflow `nightly`; there is only `archive`"#);
}

#[test]
fn a_member_becomes_a_server_with_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backstay.toml");
    fs::write(&path, GOOD).unwrap();
    fs::write(directory.path().join("orders.password"), "hunter2\n").unwrap();
    let config = Config::load(&path).unwrap();
    let server = config.member_server(&config.clusters["orders"].members[0]).unwrap();
    assert_eq!(server.password.as_ref().map(|secret| secret.reveal()), Some("hunter2"));
    assert!(!format!("{config:?} {server:?}").contains("hunter2"));
    let without = config.member_server(&config.clusters["single"].members[0]).unwrap();
    assert_eq!(without.password, None);
}
