//! `[cluster.<name>]` and its members.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use backstay_engine_api::{Tls, TlsMode};
use toml::de::DeValue;

use super::section::Section;
use super::server::{PasswordSource, ServerSpec};
use super::value;

/// Which member a backup is taken from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prefer {
    /// A replica that lags no more than `max_lag`; the primary if there is none.
    #[default]
    Replica,
    /// The primary.
    Primary,
    /// The first that answers.
    Any,
}

/// Servers that hold the same data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name: also that of its place in the repository.
    pub name: String,
    /// Which member a backup is taken from.
    pub prefer: Prefer,
    /// A replica further behind than this is not used.
    pub max_lag: Option<Duration>,
    /// Its servers, in the order of the file. Never empty.
    pub members: Vec<Member>,
}

/// A server of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name for messages: as given, else host and port or the socket.
    pub name: String,
    /// Where it is and how to log in.
    pub server: ServerSpec,
}

/// The keys of a member, for those that stand beside members.
const MEMBER_KEYS: &[&str] = &[
    "name",
    "server",
    "socket",
    "user",
    "password_file",
    "password_env",
    "option_file",
    "tls",
    "data_dir",
    "programs",
];

const TLS_MODES: &[(&str, TlsMode)] = &[
    ("disabled", TlsMode::Disabled),
    ("preferred", TlsMode::Preferred),
    ("required", TlsMode::Required),
    ("verify-ca", TlsMode::VerifyCa),
    ("verify-identity", TlsMode::VerifyIdentity),
];

pub(super) fn tls_mode(text: &str) -> Option<TlsMode> {
    TLS_MODES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode)
}

/// The clusters, and the names of all that the file has.
pub(super) fn read(root: &mut Section<'_>) -> (BTreeMap<String, Cluster>, BTreeSet<String>) {
    let mut all = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (name, mut section) in root.named("cluster") {
        names.insert(name.clone());
        let cluster = Cluster {
            prefer: section
                .choice(
                    "prefer",
                    &[
                        ("replica", Prefer::Replica),
                        ("primary", Prefer::Primary),
                        ("any", Prefer::Any),
                    ],
                )
                .unwrap_or_default(),
            max_lag: section.duration("max_lag"),
            members: read_members(&name, &mut section),
            name: name.clone(),
        };
        section.finish();
        all.insert(name, cluster);
    }
    (all, names)
}

fn read_members(cluster: &str, section: &mut Section<'_>) -> Vec<Member> {
    let Some(node) = section.node("member") else {
        if section.node("server").is_none() {
            let message = format!("{} has no server", section.title());
            let help = format!(
                "add `server = \"mysql://USER@HOST:3306\"`, or one `[[cluster.{cluster}.member]]` with it for each server"
            );
            section.problem(section.span.clone(), message, Some(&help));
        }
        // Reads the other keys too, so that what is wrong with them is said.
        return read_member(section).into_iter().collect();
    };
    let DeValue::Array(items) = node.get_ref() else {
        let help = format!("write `[[cluster.{cluster}.member]]` above each member's keys");
        section.problem(
            section.key_span("member"),
            "`member` must be a list of tables",
            Some(&help),
        );
        return Vec::new();
    };
    for key in MEMBER_KEYS {
        if section.node(key).is_some() {
            let message = format!("`{key}` stands beside [[cluster.{cluster}.member]]");
            let help = "a cluster has members, or the keys of its only member, but not both: move it into a member";
            section.problem(section.key_span(key), message, Some(help));
        }
    }
    let mut members: Vec<Member> = Vec::new();
    for item in items.iter() {
        let DeValue::Table(table) = item.get_ref() else {
            section.wrong_type("member", item, item.get_ref(), "a list of tables");
            continue;
        };
        let title = format!("[[cluster.{cluster}.member]]");
        let mut inner = Section::new(title, item.span(), table, section.problems);
        let member = read_member(&mut inner);
        if inner.node("server").is_none() {
            let message = format!("{} has no `server`", inner.title());
            inner.problem(
                inner.span.clone(),
                message,
                Some("add `server = \"mysql://USER@HOST:3306\"`"),
            );
        }
        if let Some(member) = member {
            if let Some(other) = members.iter().find(|other| other.name == member.name) {
                let message = format!("two members of cluster \"{cluster}\" are called \"{}\"", other.name);
                inner.problem(inner.span.clone(), message, Some("give one another `name`"));
            }
            members.push(member);
        }
        inner.finish();
    }
    if items.is_empty() {
        section.problem(node.span(), format!("{} has no server", section.title()), None);
    }
    members
}

/// `None` if its server is missing or wrong; that has been said.
fn read_member(section: &mut Section<'_>) -> Option<Member> {
    let name = section.parsed("name", |name| value::check_name(name).map(|()| name.to_owned()));
    let url = section.string("server");
    let mut spec = url.and_then(|(url, span)| match ServerSpec::parse(url) {
        Ok(spec) => Some(spec),
        Err(error) => {
            let help = error
                .password()
                .then_some("put the password in a file and name that with `password_file`");
            section.problem(span, format!("`server` {}", error.reason()), help);
            None
        }
    });

    // Every key is read, whether or not there is a server to put it into.
    let mut lost = ServerSpec::default();
    let target = spec.as_mut().unwrap_or(&mut lost);
    if let Some(user) = section.string("user") {
        only_once(section, "user", target.server.user.is_some());
        target.server.user = Some(user.0.to_owned());
        target.name_again();
    }
    set_path(section, "socket", &mut target.server.socket);
    set_path(section, "option_file", &mut target.server.option_file);
    set_path(section, "data_dir", &mut target.server.data_dir);
    let programs = section.paths("programs");
    target.server.programs.extend(programs);
    if let Some(path) = section.path("password_file") {
        only_once(section, "password_file", target.password.is_some());
        target.password = Some(PasswordSource::File(path));
    }
    if let Some((variable, _)) = section.string("password_env") {
        only_once(section, "password_env", target.password.is_some());
        target.password = Some(PasswordSource::Env(variable.to_owned()));
    }
    if let Some(tls) = read_tls(section) {
        only_once(section, "tls", target.server.tls.is_some());
        target.server.tls = Some(tls);
    }
    let spec = spec?;
    Some(Member {
        name: name.unwrap_or_else(|| spec.address()),
        server: spec,
    })
}

fn set_path(section: &mut Section<'_>, key: &'static str, place: &mut Option<PathBuf>) {
    if let Some(path) = section.path(key) {
        only_once(section, key, place.is_some());
        *place = Some(path);
    }
}

fn only_once(section: &Section<'_>, key: &'static str, given: bool) {
    if given {
        let message = match key {
            "password_file" | "password_env" => format!("`{key}`, but it is already said where the password is"),
            _ => format!("`{key}` is also in the server's URL"),
        };
        section.problem(section.key_span(key), message, Some("leave one of the two out"));
    }
}

fn read_tls(section: &mut Section<'_>) -> Option<Tls> {
    let node = section.node("tls")?;
    let DeValue::Table(table) = node.get_ref() else {
        section.wrong_type("tls", node, node.get_ref(), "a table such as { mode = \"required\" }");
        return None;
    };
    let title = format!("`tls` of {}", section.title());
    let mut inner = Section::new(title, section.key_span("tls"), table, section.problems);
    let mut tls = Tls {
        mode: TlsMode::Preferred,
        ca: inner.path("ca"),
        cert: inner.path("cert"),
        key: inner.path("key"),
    };
    // With an authority to check against, not checking would surprise.
    let default = if tls.ca.is_some() {
        TlsMode::VerifyCa
    } else {
        TlsMode::Required
    };
    tls.mode = inner.choice("mode", TLS_MODES).unwrap_or(default);
    if matches!(tls.mode, TlsMode::VerifyCa) && tls.ca.is_none() {
        inner.problem(inner.span.clone(), "`mode = \"verify-ca\"` needs `ca`", None);
    }
    for (given, other, missing) in [(&tls.cert, &tls.key, "key"), (&tls.key, &tls.cert, "cert")] {
        if given.is_some() && other.is_none() {
            let message = format!("a client's certificate needs both `cert` and `key`; `{missing}` is missing");
            inner.problem(inner.span.clone(), message, None);
        }
    }
    inner.finish();
    Some(tls)
}
