//! `backstay.toml`: where backups are kept, which servers there are, and which backups are taken of them.
//!
//! The file is read into spanned TOML and walked by hand (`section`), because the usual derive stops at the first
//! mistake and cannot say where a wrong reference stands. Here every mistake is found in one go, and each names its line.
//!
//! Relative paths are relative to the directory that the file is in. Passwords are never in the file: it names where they
//! are, and they are read when a server is about to be used ([`Config::member_server`]).

mod archive;
mod cluster;
mod problem;
mod redact;
mod repository;
mod section;
mod server;
mod template;
mod value;
mod workflow;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use backstay_engine_api::Server;

pub use archive::ArchiveConfig;
pub use cluster::{Cluster, Member, Prefer};
pub use problem::{ConfigError, Problem};
pub use redact::redact_url;
pub use repository::{PluginsConfig, RepositoryConfig};
pub use server::{PASSWORD_ENV, PasswordSource, ServerError, ServerSpec, ServerUrlError, parse_server_url};
pub use template::{Template, template};
pub use value::{check_name, parse_duration, parse_size};
pub use workflow::Workflow;

pub(crate) use value::suggest;

use problem::Problems;
use section::Section;

/// The environment variable that names the configuration file.
pub const CONFIG_ENV: &str = "BACKSTAY_CONFIG";

/// The name of the file in the working directory.
pub const CONFIG_FILE: &str = "backstay.toml";

/// The machine's configuration file.
pub const SYSTEM_CONFIG: &str = "/etc/backstay/backstay.toml";

/// A configuration file, checked: names are well-formed, references resolve, values are in range.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from, absolute.
    pub path: PathBuf,
    /// `[repository]`
    pub repository: RepositoryConfig,
    /// `[plugins]`
    pub plugins: PluginsConfig,
    /// `[archive]`
    pub archive: ArchiveConfig,
    /// `[cluster.<name>]`
    pub clusters: BTreeMap<String, Cluster>,
    /// `[workflow.<name>]`
    pub workflows: BTreeMap<String, Workflow>,
}

impl Config {
    /// The directories of server programs that a cluster's members name, each once.
    pub fn programs_of(&self, cluster: &str) -> Vec<PathBuf> {
        let members = self
            .clusters
            .get(cluster)
            .into_iter()
            .flat_map(|cluster| &cluster.members);
        let mut programs = Vec::new();
        for directory in members.flat_map(|member| &member.server.server.programs) {
            if !programs.contains(directory) {
                programs.push(directory.clone());
            }
        }
        programs
    }

    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// It can not be read, or something in it is wrong: [`ConfigError::Invalid`] has everything that is.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source: io::Error| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = fs::read(path).map_err(failed)?;
        let path = std::path::absolute(path).map_err(failed)?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&path, &text),
            Err(error) => Err(ConfigError::not_utf8(&path, &error)),
        }
    }

    /// Checks a configuration file's text. `path` is for messages and for relative paths.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
        let problems = Problems::new(path, text);
        for error in &syntax {
            problems.add(
                error.span().unwrap_or(0..0),
                format!("no TOML: {}", error.message()),
                None,
            );
        }
        // What was recovered from broken TOML would only give errors that go away with it.
        problems.check()?;

        let mut root = Section::root(document.get_ref(), &problems);
        let repository = repository::read_repository(&mut root);
        let plugins = repository::read_plugins(&mut root);
        let archive = archive::read(&mut root);
        let (clusters, known) = cluster::read(&mut root);
        let workflows = workflow::read(&mut root, &known);
        root.finish();
        problems.check()?;
        Ok(Self {
            path: path.to_owned(),
            // A missing repository is a problem, and there was none.
            repository: repository.unwrap_or_default(),
            plugins,
            archive,
            clusters,
            workflows,
        })
    }

    /// Which file to read: `explicit` (from `--config`), else what [`CONFIG_ENV`] names, else [`CONFIG_FILE`] in the working
    /// directory, else [`SYSTEM_CONFIG`].
    ///
    /// # Errors
    /// The file that was named, or any of the others, does not exist.
    pub fn find(explicit: Option<&Path>) -> Result<PathBuf, ConfigError> {
        let named = env::var_os(CONFIG_ENV)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        find_in(
            explicit,
            named.as_deref(),
            &[Path::new(CONFIG_FILE), Path::new(SYSTEM_CONFIG)],
        )
    }

    /// A cluster by its name.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], with the nearest name that exists.
    pub fn cluster(&self, name: &str) -> Result<&Cluster, ConfigError> {
        self.get("cluster", &self.clusters, name)
    }

    /// A workflow by its name.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], with the nearest name that exists.
    pub fn workflow(&self, name: &str) -> Result<&Workflow, ConfigError> {
        self.get("workflow", &self.workflows, name)
    }

    /// A member of a cluster as a server to work on, with its password, which is read now.
    ///
    /// # Errors
    /// The password's file or variable is missing or empty.
    pub fn member_server(&self, member: &Member) -> Result<Server, ServerError> {
        member.server.resolve()
    }

    fn get<'a, T>(&self, what: &'static str, map: &'a BTreeMap<String, T>, name: &str) -> Result<&'a T, ConfigError> {
        map.get(name).ok_or_else(|| ConfigError::Unknown {
            path: self.path.clone(),
            what,
            name: name.to_owned(),
            help: value::suggest(name, map.keys().map(String::as_str)),
        })
    }
}

fn find_in(explicit: Option<&Path>, named: Option<&Path>, usual: &[&Path]) -> Result<PathBuf, ConfigError> {
    let by = [(explicit, "--config"), (named, CONFIG_ENV)];
    if let Some((path, by)) = by.into_iter().find_map(|(path, by)| Some((path?, by))) {
        return if path.exists() {
            Ok(path.to_owned())
        } else {
            Err(ConfigError::NotFound {
                path: path.to_owned(),
                by,
            })
        };
    }
    usual
        .iter()
        .find(|path| path.exists())
        .map(|path| path.to_path_buf())
        .ok_or_else(|| ConfigError::None {
            looked_for: usual.iter().map(|path| path.to_path_buf()).collect(),
        })
}

#[cfg(test)]
mod tests;
