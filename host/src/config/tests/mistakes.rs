//! What is said of a configuration that is wrong.

use std::path::Path;

use insta::assert_snapshot;

use crate::config::Config;

/// The texts of all errors of a file.
fn errors(text: &str) -> String {
    match Config::parse(Path::new("/etc/backstay/backstay.toml"), text) {
        Ok(config) => panic!("expected errors, found {config:#?}"),
        Err(error) => error.to_string().replace("/etc/backstay/", ""),
    }
}

#[test]
fn all_unknown_keys_are_named_with_the_nearest_that_is_known() {
    assert_snapshot!(errors(r#"
colour = "red"
[repository]
url = "file:///r"
compresion = "zstd"
xyz = 1
[cluster.a]
sever = "mysql://h"
[[cluster.b.member]]
server = "mysql://h"
tls = { mod = "required" }
datadir = "/d"
[workflow.w]
cluster = "a"
engine = "mysqldump"
dead_line = "6h"
[plugin]
path = []
"#), @r#"
    backstay.toml:2:1: unknown key `colour` outside any section; there are `repository`, `plugins`, `archive`, `cluster`, `workflow`
     2 | colour = "red"
       | ^^^^^^
    backstay.toml:5:1: unknown key `compresion` in [repository]; did you mean `compression`?
     5 | compresion = "zstd"
       | ^^^^^^^^^^
    backstay.toml:6:1: unknown key `xyz` in [repository]; there are `url`, `compression`, `level`, `bundle`
     6 | xyz = 1
       | ^^^
    backstay.toml:7:10: [cluster.a] has no server; add `server = "mysql://USER@HOST:3306"`, or one `[[cluster.a.member]]` with it for each server
     7 | [cluster.a]
       |          ^
    backstay.toml:8:1: unknown key `sever` in [cluster.a]; did you mean `server`?
     8 | sever = "mysql://h"
       | ^^^^^
    backstay.toml:11:9: unknown key `mod` in `tls` of [[cluster.b.member]]; did you mean `mode`?
     11 | tls = { mod = "required" }
        |         ^^^
    backstay.toml:12:1: unknown key `datadir` in [[cluster.b.member]]; did you mean `data_dir`?
     12 | datadir = "/d"
        | ^^^^^^^
    backstay.toml:16:1: unknown key `dead_line` in [workflow.w]; did you mean `deadline`?
     16 | dead_line = "6h"
        | ^^^^^^^^^
    backstay.toml:17:2: unknown section [plugin]; did you mean `plugins`?
     17 | [plugin]
        |  ^^^^^^
    "#);
}

#[test]
fn wrong_types_and_values() {
    assert_snapshot!(errors(r#"
[repository]
url = 5
compression = "lz4"
level = 23
bundle = true
[plugins]
path = "/usr/lib"
[cluster.a]
server = ["mysql://h"]
prefer = "replca"
max_lag = 30
programs = ["/a", 1, "~/b"]
[workflow.w]
cluster = "a"
engine = "MySQL Dump"
options = 3
deadline = "6 hours"
threads = 0
level = "high"
[workflow.v]
cluster = "a"
engine = "x"
options = { big = 99999999999999999999, no = nan }
"#), @r#"
    backstay.toml:3:7: `url` must be a string, and is an integer
     3 | url = 5
       |       ^
    backstay.toml:4:15: `compression` must be one of "zstd", "none", and is "lz4"
     4 | compression = "lz4"
       |               ^^^^^
    backstay.toml:5:9: `level` must be 1 to 19, and is 23
     5 | level = 23
       |         ^^
    backstay.toml:6:10: `bundle` must be a string, and is a boolean
     6 | bundle = true
       |          ^^^^
    backstay.toml:8:8: `path` must be a list of directories, and is a string
     8 | path = "/usr/lib"
       |        ^^^^^^^^^^
    backstay.toml:10:10: `server` must be a string, and is an array
     10 | server = ["mysql://h"]
        |          ^^^^^^^^^^^^^
    backstay.toml:11:10: `prefer` must be one of "replica", "primary", "any", and is "replca"; did you mean "replica"?
     11 | prefer = "replca"
        |          ^^^^^^^^
    backstay.toml:12:11: `max_lag` must be a duration such as "30s", and is an integer
     12 | max_lag = 30
        |           ^^
    backstay.toml:13:19: `programs` must be a list of directories, and has an integer in it
     13 | programs = ["/a", 1, "~/b"]
        |                   ^
    backstay.toml:13:22: a directory in `programs` must be a path in full: `~` is not replaced here
     13 | programs = ["/a", 1, "~/b"]
        |                      ^^^^^
    backstay.toml:16:10: `engine` must be an engine's name: a-z, 0-9 and `-`, starting with a letter; it is "MySQL Dump"; `backstay engines list` has them
     16 | engine = "MySQL Dump"
        |          ^^^^^^^^^^^^
    backstay.toml:17:11: `options` must be a table, and is an integer
     17 | options = 3
        |           ^
    backstay.toml:18:12: `deadline` must be a duration such as "90s", "15m", "6h" or "1d", and is "6 hours"
     18 | deadline = "6 hours"
        |            ^^^^^^^^^
    backstay.toml:19:11: `threads` must be 1 to 1024, and is 0
     19 | threads = 0
        |           ^
    backstay.toml:20:9: `level` must be a whole number, and is a string
     20 | level = "high"
        |         ^^^^^^
    backstay.toml:24:19: 99999999999999999999 is too large a number
     24 | options = { big = 99999999999999999999, no = nan }
        |                   ^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn what_is_missing() {
    assert_snapshot!(errors("# nothing\n"), @r#"
    backstay.toml:1:1: the section [repository] is missing; add `[repository]` with `url = "file:///var/lib/backstay"`
     1 | # nothing
       | ^
    "#);
    assert_snapshot!(errors(r#"
[repository]
[cluster.a]
prefer = "any"
[[cluster.b.member]]
user = "u"
[cluster.c]
member = []
[workflow.w]
"#), @r#"
    backstay.toml:2:2: [repository] has no `url`; add `url = "file:///var/lib/backstay"`
     2 | [repository]
       |  ^^^^^^^^^^
    backstay.toml:3:10: [cluster.a] has no server; add `server = "mysql://USER@HOST:3306"`, or one `[[cluster.a.member]]` with it for each server
     3 | [cluster.a]
       |          ^
    backstay.toml:5:1: [[cluster.b.member]] has no `server`; add `server = "mysql://USER@HOST:3306"`
     5 | [[cluster.b.member]]
       | ^^^^^^^^^^^^^^^^^^^^
    backstay.toml:8:10: [cluster.c] has no server
     8 | member = []
       |          ^^
    backstay.toml:9:11: [workflow.w] has no `cluster`; add `cluster = "a"`
     9 | [workflow.w]
       |           ^
    backstay.toml:9:11: [workflow.w] has no `engine`; add `engine = "mysqldump"`
     9 | [workflow.w]
       |           ^
    "#);
}

#[test]
fn names_and_references() {
    assert_snapshot!(errors(r#"
repository.url = "file:///r"
cluster = { "a b" = { server = "mysql://h" }, ".." = { server = "mysql://h" }, orders = { server = "mysql://h" }, e = 1 }
[workflow.w]
cluster = "oders"
engine = "x"
[workflow.""]
cluster = "something"
engine = "x"
"#), @r#"
    backstay.toml:3:13: the cluster's name must be 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, and is "a b"
     3 | cluster = { "a b" = { server = "mysql://h" }, ".." = { server = "mysql://h" }, orders = { server = "mysql://h" }, e = 1 }
       |             ^^^^^
    backstay.toml:3:47: the cluster's name must not start with a dot, and is ".."
     3 | cluster = { "a b" = { server = "mysql://h" }, ".." = { server = "mysql://h" }, orders = { server = "mysql://h" }, e = 1 }
       |                                               ^^^^
    backstay.toml:3:115: `e` in [cluster] must be a table, and is an integer; write `[cluster.NAME]` above the cluster's keys
     3 | cluster = { "a b" = { server = "mysql://h" }, ".." = { server = "mysql://h" }, orders = { server = "mysql://h" }, e = 1 }
       |                                                                                                                   ^
    backstay.toml:5:11: there is no cluster "oders"; did you mean `orders`?
     5 | cluster = "oders"
       |           ^^^^^^^
    backstay.toml:7:11: the workflow's name must be 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, and is ""
     7 | [workflow.""]
       |           ^^
    backstay.toml:8:11: there is no cluster "something"; there are `..`, `a b`, `orders`
     8 | cluster = "something"
       |           ^^^^^^^^^^^
    "#);
}

#[test]
fn urls() {
    assert_snapshot!(errors(r#"
[repository]
url = "s3://bucket/prefix"
[[cluster.a.member]]
server = "db1:3306"
[[cluster.a.member]]
server = "mysql://h:99999"
[[cluster.a.member]]
server = "mysql://h/run/mysqld.sock"
[[cluster.a.member]]
server = "mysql://h/?sock=/run/mysqld.sock"
[[cluster.a.member]]
server = "mysql://h/?socket=mysqld.sock&tls-mode=no"
[[cluster.a.member]]
server = "mysql://u@h"
user = "v"
password_file = "/p"
password_env = "P"
[[cluster.a.member]]
server = "mysql://u@h"
tls = { cert = "c.pem" }
"#), @r#"
    backstay.toml:3:7: `url` must be `file://` and an absolute path, such as "file:///var/lib/backstay"; `s3` is not supported
     3 | url = "s3://bucket/prefix"
       |       ^^^^^^^^^^^^^^^^^^^^
    backstay.toml:5:10: `server` is no URL of a server, such as "mysql://USER@HOST:3306"
     5 | server = "db1:3306"
       |          ^^^^^^^^^^
    backstay.toml:7:10: `server` is no URL of a server: invalid port number
     7 | server = "mysql://h:99999"
       |          ^^^^^^^^^^^^^^^^^
    backstay.toml:9:10: `server` has a path; expected at most a database's name after the host, and a socket as `?socket=/PATH`
     9 | server = "mysql://h/run/mysqld.sock"
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    backstay.toml:11:10: `server` has the unknown key `sock`; did you mean `socket`?
     11 | server = "mysql://h/?sock=/run/mysqld.sock"
        |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    backstay.toml:13:10: `server` has the `socket` "mysqld.sock"; expected an absolute path
     13 | server = "mysql://h/?socket=mysqld.sock&tls-mode=no"
        |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    backstay.toml:16:1: `user` is also in the server's URL; leave one of the two out
     16 | user = "v"
        | ^^^^
    backstay.toml:18:1: `password_env`, but it is already said where the password is; leave one of the two out
     18 | password_env = "P"
        | ^^^^^^^^^^^^
    backstay.toml:19:1: two members of cluster "a" are called "h"; give one another `name`
     19 | [[cluster.a.member]]
        | ^^^^^^^^^^^^^^^^^^^^
    backstay.toml:21:1: a client's certificate needs both `cert` and `key`; `key` is missing
     21 | tls = { cert = "c.pem" }
        | ^^^
    "#);
    for url in [
        "/var/lib",
        "var/lib",
        "file:var/lib",
        "file://host/var",
        "file:///a?b",
        "",
        "~/x",
        "memory:///",
    ] {
        let text = errors(&format!("repository.url = '{url}'"));
        assert!(text.contains("`url` must be `file://` and an absolute path"), "{text}");
    }
}

#[test]
fn passwords_are_refused_and_not_shown() {
    let text = errors(
        r#"
[repository]
url = "file:///r"
[[cluster.a.member]]
server = "mysql://backup:hunter2@db1:3306"
[[cluster.a.member]]
server = "mysql://backup:hun/ter2@db1:99999"
[[cluster.a.member]]
server = "mysql://db1"
password = "hunter2"
[[cluster.a.member]]
server = "mysql://db2/?password=hunter2"
"#,
    );
    assert!(!text.contains("hunter2") && !text.contains("ter2@"), "{text}");
    assert_snapshot!(text, @r#"
    backstay.toml:5:10: `server` has a password in it, which others could read; put the password in a file and name that with `password_file`
     5 | server = "mysql://backup:***@db1:3306"
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    backstay.toml:7:10: `server` has a password in it, which others could read; put the password in a file and name that with `password_file`
     7 | server = "mysql://backup:***@db1:99999"
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    backstay.toml:10:1: unknown key `password` in [[cluster.a.member]]; a password does not belong here: put it in a file and name that with `password_file`
     10 | password = ***
        | ^^^^^^^^
    backstay.toml:12:10: `server` has a password in it, which others could read; put the password in a file and name that with `password_file`
     12 | server = "mysql://db2/?password=***
        |          ^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_cluster_has_members_or_is_one() {
    assert_snapshot!(errors(r#"
[repository]
url = "file:///r"
[cluster.a]
server = "mysql://h"
user = "u"
[[cluster.a.member]]
server = "mysql://i"
[[cluster.b.member]]
server = "mysql://h:1"
[[cluster.b.member]]
server = "mysql://u@h:1"
[cluster.c]
member.server = "mysql://h"
"#), @r#"
    backstay.toml:5:1: `server` stands beside [[cluster.a.member]]; a cluster has members, or the keys of its only member, but not both: move it into a member
     5 | server = "mysql://h"
       | ^^^^^^
    backstay.toml:6:1: `user` stands beside [[cluster.a.member]]; a cluster has members, or the keys of its only member, but not both: move it into a member
     6 | user = "u"
       | ^^^^
    backstay.toml:11:1: two members of cluster "b" are called "h:1"; give one another `name`
     11 | [[cluster.b.member]]
        | ^^^^^^^^^^^^^^^^^^^^
    backstay.toml:14:1: `member` must be a list of tables; write `[[cluster.c.member]]` above each member's keys
     14 | member.server = "mysql://h"
        | ^^^^^^
    "#);
}

#[test]
fn duplicates_and_what_is_no_toml() {
    assert_snapshot!(errors("[repository]\nurl = \"a\"\nurl = \"b\"\n[repository]\n"), @r#"
    backstay.toml:3:1: no TOML: duplicate key
     3 | url = "b"
       | ^^^
    backstay.toml:4:2: no TOML: duplicate key
     4 | [repository]
       |  ^^^^^^^^^^
    "#);
    assert_snapshot!(errors("Backups go to /var/lib\nurl = \"a\nlevel = = 3\n"), @r#"
    backstay.toml:1:9: no TOML: key with no value, expected `=`
     1 | Backups go to /var/lib
       |         ^
    backstay.toml:3:9: no TOML: extra `=`, expected nothing
     3 | level = = 3
       |         ^
    backstay.toml:3:11: no TOML: unexpected key or value, expected newline, `#`
     3 | level = = 3
       |           ^
    "#);
    assert_snapshot!(errors("\u{7f}ELF\u{1}\u{2}"), @r#"
    backstay.toml:1:1: no TOML: invalid unquoted key, expected letters, numbers, `-`, `_`
     1 | �ELF��
       | ^
    backstay.toml:1:5: no TOML: invalid unquoted key, expected letters, numbers, `-`, `_`
     1 | �ELF��
       |     ^^
    backstay.toml:1:7: no TOML: key with no value, expected `=`
     1 | �ELF��
       |       ^
    "#);
}
