//! `backstay init`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::context::{Context, runtime};
use super::output;
use crate::config::{CONFIG_FILE, Config, Template, template};
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::repository::Repository;

/// Writes the configuration, then makes the repository that it names.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where backups are kept: a directory, or a URL such as file:///var/lib/backstay
    #[arg(long, value_name = "DIR or URL", default_value = "/var/lib/backstay")]
    repository: String,
    /// The first cluster's name
    #[arg(long, value_name = "NAME", default_value = "main")]
    cluster: String,
    /// Its server
    #[arg(long, value_name = "URL", default_value = "mysql://backup@127.0.0.1:3306")]
    server: String,
}

impl Init {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let path = context
            .config_file()
            .map_or_else(|| PathBuf::from(CONFIG_FILE), Path::to_owned);
        let fresh = !path.exists();
        if fresh {
            self.write(&path)?;
        }
        // A configuration that is there already is used as it is: `init` makes its repository then.
        let config = Config::load(&path)?;
        let runtime = runtime()?;
        let repository = Repository::init(&config.repository.url, runtime.handle())?;
        if context.json() {
            output::print_json(&json!({
                "config": config.path,
                "config_written": fresh,
                "repository": repository.url(),
            }))?;
        } else {
            let wrote = if fresh { "wrote" } else { "used the configuration in" };
            output::print(&format!(
                "{wrote} {}\nmade the repository {}\nnext: look through the configuration, then `backstay backup --cluster NAME --engine NAME`\n",
                config.path.display(),
                repository.url(),
            ))?;
        }
        Ok(ExitCode::Done)
    }

    fn write(&self, path: &Path) -> Result<()> {
        let repository = directory(&self.repository)?;
        let values = Template {
            repository: &repository,
            cluster: &self.cluster,
            server: &self.server,
            ..Template::default()
        };
        let text = template(&values);
        // What is written must be read: a name or a URL that is wrong is found here.
        Config::parse(path, &text)?;
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("can not write {}", path.display())).because(&error)
        };
        let mut file = fs::File::create_new(path).map_err(failed)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }
}

/// The directory that a path or a file:// URL names.
fn directory(given: &str) -> Result<PathBuf> {
    if !given.contains("://") {
        return Ok(std::path::absolute(given)?);
    }
    url::Url::parse(given)
        .ok()
        .filter(|url| url.scheme() == "file")
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("{given} names no directory")).advise("write a path, or file:///PATH")
        })
}
