//! The `backstay` program with a configuration and a repository of its own, as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::build_dir;

/// What a run of the program gave.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The result as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The same, which must have ended with exit code 0.
    ///
    /// # Panics
    /// It has not.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The same, which must have ended with that exit code.
    ///
    /// # Panics
    /// It has not.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// A configuration, a repository and the program.
#[derive(Debug)]
pub struct Backstay {
    /// The directory of all of it.
    pub dir: PathBuf,
    environment: Vec<(String, String)>,
}

impl Backstay {
    /// A new one below a directory: `repository/` and `backstay.toml` with the `[cluster…]` and `[workflow…]` sections given.
    /// Engines are those of the workspace and those of `plugins`.
    ///
    /// # Panics
    /// It can not be made.
    pub fn new(dir: &Path, plugins: &[PathBuf], sections: &str) -> Self {
        let new = Self {
            dir: dir.to_owned(),
            environment: Vec::new(),
        };
        fs::create_dir_all(dir).expect("the test's directory");
        new.configure(&new.repository(), plugins, sections);
        new.run(&["init"]).ok();
        new
    }

    /// Writes the configuration anew.
    ///
    /// # Panics
    /// It can not be written.
    pub fn configure(&self, repository: &Path, plugins: &[PathBuf], sections: &str) {
        let path: Vec<String> = plugins
            .iter()
            .map(|dir| Value::from(dir.to_string_lossy().as_ref()).to_string())
            .collect();
        let text = format!(
            "[repository]\nurl = \"file://{}\"\n\n[plugins]\npath = [{}]\n\n{sections}",
            repository.display(),
            path.join(", ")
        );
        fs::write(self.config(), text).expect("the test's configuration");
    }

    /// Adds a variable to the program's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The repository's directory.
    pub fn repository(&self) -> PathBuf {
        self.dir.join("repository")
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("backstay.toml")
    }

    /// The directory of a cluster's backups.
    pub fn backups(&self, cluster: &str) -> PathBuf {
        self.repository().join("clusters").join(cluster).join("backups")
    }

    /// The program with arguments, not started yet.
    ///
    /// # Panics
    /// The program is not built.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = build_dir().join("backstay");
        assert!(
            program.exists(),
            "{} is not built: run `cargo build --workspace`",
            program.display()
        );
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .current_dir(&self.dir)
            .env_remove("BACKSTAY_PLUGINS")
            .env_remove("BACKSTAY_PASSWORD")
            .env_remove("MYSQL_PWD")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// It can not be started.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().expect("backstay can be started");
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts the program, its outputs captured.
    ///
    /// # Panics
    /// It can not be started.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("backstay can be started")
    }

    /// Waits until a job has taken a cluster's lock: from then on it can be interrupted, and is in others' way.
    ///
    /// # Panics
    /// None has after half a minute.
    pub fn wait_for_lock(&self, cluster: &str) {
        let locks = Path::new("clusters").join(cluster).join("locks");
        for _ in 0..3000 {
            if self.files().iter().any(|(path, _)| path.starts_with(&locks)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no job takes the lock of {cluster}");
    }

    /// The ids of a cluster's backups, oldest first.
    ///
    /// # Panics
    /// They can not be listed.
    pub fn ids(&self, cluster: &str) -> Vec<String> {
        let listed = self.run(&["list", "--cluster", cluster, "--json"]).ok().json();
        let backups = listed["clusters"][cluster]["backups"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        backups
            .iter()
            .filter_map(|backup| backup["id"].as_str().map(str::to_owned))
            .collect()
    }

    /// Every file of the repository, with its size in bytes, by its path from there.
    ///
    /// # Panics
    /// It can not be read.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        let mut directories = vec![self.repository()];
        while let Some(directory) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.expect("the repository can be read"),
            };
            for entry in entries.flatten() {
                // A job that runs may have renamed it since.
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    directories.push(entry.path());
                } else {
                    let path = entry.path();
                    let path = path.strip_prefix(self.repository()).unwrap_or(&path).to_owned();
                    files.push((path, metadata.len()));
                }
            }
        }
        files.sort();
        files
    }
}
