//! The `backstay.toml` that `backstay init` writes: short, commented, and one that our own loader takes.

use std::path::{Path, PathBuf};

/// What is put into a new configuration file.
#[derive(Debug, Clone)]
pub struct Template<'a> {
    /// The repository's directory, absolute.
    pub repository: &'a Path,
    /// Where engines are looked for besides the usual places; may be empty.
    pub engines: &'a [PathBuf],
    /// The cluster's name.
    pub cluster: &'a str,
    /// The URL of its server, without a password.
    pub server: &'a str,
    /// The file with the password, if there is one already.
    pub password_file: Option<&'a Path>,
    /// The engine of the first workflow.
    pub engine: &'a str,
}

impl Default for Template<'_> {
    fn default() -> Self {
        Self {
            repository: Path::new("/var/lib/backstay"),
            engines: &[],
            cluster: "main",
            server: "mysql://backup@127.0.0.1:3306",
            password_file: None,
            engine: "mysqldump",
        }
    }
}

/// The text of a new configuration file.
pub fn template(values: &Template<'_>) -> String {
    let url =
        url::Url::from_file_path(values.repository).map_or_else(|()| "file:///var/lib/backstay".into(), String::from);
    let engines: Vec<_> = values.engines.iter().map(|path| quote_path(path)).collect();
    let plugins = if engines.is_empty() {
        "# [plugins]\n# path = [\"/opt/backstay/engines\"]".to_owned()
    } else {
        format!("[plugins]\npath = [{}]", engines.join(", "))
    };
    let password = match values.password_file {
        Some(path) => format!("password_file = {}", quote_path(path)),
        None => "# password_file = \"/etc/backstay/PASSWORD_FILE\"".to_owned(),
    };
    // A name with a dot must be quoted to stay one key.
    let cluster = quote_key(values.cluster);
    format!(
        r#"# Backstay's configuration. Relative paths are relative to this file's directory.

# Where backups are kept. `backstay init` makes it.
[repository]
url = {url}
# compression = "zstd"      # or "none"; for full backups by mysqlshell write it into the engine's `options` instead
# level = 3                 # 1 (fast) to 19 (small)
# bundle = "auto"           # small objects share files: "auto" (when there are many), "never", "always"

# Where engines (*.so) are looked for, besides BACKSTAY_PLUGINS, the program's directory and ../lib/backstay/engines from there.
{plugins}

# How logs are archived: `backstay archive --cluster {plain}`. A workflow may have its own segment_size and segment_age.
# [archive]
# segment_size = "16MiB"                 # a segment is closed at this size
# segment_age = "10s"                    # or at this age: what can be lost is what was written since
# level = 1                              # of zstd, 1 (fast) to 19 (small): the log is compressed while its server writes it
# spool = "/var/spool/backstay"          # where segments wait while the repository is away
# spool_size = "4GiB"                    # how much may wait there

# The servers. A cluster has one place in the repository.
[cluster.{cluster}]
server = {server}
# For a socket:  server = "mysql://backup@localhost"  and  socket = "/run/mysqld/mysqld.sock"
# The password is the first line of a file (chmod 600), or in a variable. It never stands here.
{password}
# password_env = "BACKUP_PASSWORD"
# tls = {{ mode = "verify-identity", ca = "/etc/mysql/ca.pem" }}
# data_dir = "/var/lib/mysql"            # for physical backups
# programs = ["/opt/mysql/bin"]          # where mysqldump, mysqld and the like are, before PATH

# With several servers, write one of these for each instead of the keys above, and say which is backed up:
# prefer = "replica"                     # "replica", "primary" or "any"
# max_lag = "30s"                        # do not use a replica that is further behind
# [[cluster.{cluster}.member]]
# server = "mysql://backup@db1:3306"

# What is backed up how: `backstay backup --cluster {plain} --workflow daily`.
[workflow.daily]
cluster = {cluster_name}
engine = {engine}
# deadline = "6h"                        # a job that takes longer is cancelled
# threads = 4                            # the number of processors if it is not set
# bundle = "never"                       # each object in a file of its own, however many: a dump that MySQL Shell loads where it lies
# options = {{}}                           # `backstay engines inspect` shows which there are
"#,
        url = quote(&url),
        server = quote(values.server),
        plain = values.cluster,
        cluster_name = quote(values.cluster),
        engine = quote(values.engine),
    )
}

fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out += &format!("\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn quote_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        quote(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, PasswordSource};

    #[test]
    fn our_own_loader_takes_it() {
        let text = template(&Template::default());
        let config = Config::parse(Path::new("/etc/backstay/backstay.toml"), &text).unwrap();
        assert_eq!(config.repository.directory, Path::new("/var/lib/backstay"));
        assert_eq!(
            config.clusters["main"].members[0].server.server.name,
            "mysql://backup@127.0.0.1:3306"
        );
        assert_eq!(config.workflows["daily"].engine, "mysqldump");
    }

    #[test]
    fn odd_values_come_back_as_they_were() {
        let values = Template {
            repository: Path::new("/srv/a \"b\"\\%#ü"),
            engines: &[PathBuf::from("/opt/e\\1"), PathBuf::from("/opt/\"e2\"")],
            cluster: "a.b",
            server: "mysql://u%20x@db1",
            password_file: Some(Path::new("/etc/b/pass word")),
            engine: "mysqldump",
        };
        let config = Config::parse(Path::new("/x/backstay.toml"), &template(&values)).unwrap();
        assert_eq!(config.repository.directory, values.repository);
        assert_eq!(config.plugins.path, values.engines);
        let server = &config.clusters["a.b"].members[0].server;
        assert_eq!(server.password, Some(PasswordSource::File("/etc/b/pass word".into())));
        assert_eq!(server.server.user.as_deref(), Some("u x"));
    }

    /// What stands behind a `#` must be right as well: it is there to be uncommented.
    #[test]
    fn every_commented_key_is_one_that_we_know() {
        let text = template(&Template::default());
        let commented = text.lines().filter_map(|line| line.strip_prefix("# "));
        let keys: Vec<_> = commented
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, _)| key)
            .filter(|key| !key.contains(' '))
            .collect();
        assert!(keys.len() >= 13, "{keys:?}");
        let values = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(&format!("# {key} = ")))
                .unwrap()
        };
        for key in keys {
            let line = |table: &[&str]| {
                let here = table.contains(&key);
                if here {
                    format!("{key} = {}\n", values(key))
                } else {
                    String::new()
                }
            };
            let repository = line(&["compression", "level", "bundle"]);
            let plugins = line(&["path"]);
            let workflow = line(&["deadline", "threads", "options"]);
            let beside = line(&["prefer", "max_lag"]);
            let archive = line(&["segment_size", "segment_age", "level", "spool", "spool_size"]);
            let rest = repository.len() + plugins.len() + workflow.len() + beside.len() + archive.len();
            let member = if rest == 0 && key != "server" {
                line(&[key])
            } else {
                String::new()
            };
            let file = format!(
                "[repository]\nurl = 'file:///r'\n{repository}[plugins]\n{plugins}[archive]\n{archive}\
                 [cluster.c]\n{beside}server = 'mysql://h'\n{member}\
                 [workflow.w]\ncluster = 'c'\nengine = 'e'\n{workflow}"
            );
            Config::parse(Path::new("/x/backstay.toml"), &file).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
