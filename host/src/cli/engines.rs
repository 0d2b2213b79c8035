//! `backstay engines`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::output::{self, size};
use crate::error::{ExitCode, Result};
use crate::plugin::{self, Discovery, Found, Inspected, PluginError};

/// What engines there are. None of their code is run.
#[derive(Debug, Subcommand)]
pub(super) enum Engines {
    /// List the engines of the plug-in path
    List,
    /// Show what an engine is, has and takes
    Inspect {
        /// A library file, or the name of an engine in the plug-in path
        #[arg(value_name = "FILE or NAME")]
        engine: PathBuf,
    },
}

impl Engines {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        match self {
            Self::List => list(context),
            Self::Inspect { engine } => inspect(context, engine),
        }
    }
}

fn list(context: &Context) -> Result<ExitCode> {
    let config = context.config().ok();
    let plugins = context.plugins(config.as_ref())?;
    if context.json() {
        let found: Vec<_> = plugins.found.iter().map(as_json).collect();
        output::print_json(&json!({ "engines": found, "path": plugins.directories }))?;
    } else {
        output::print(&as_text(&plugins))?;
    }
    Ok(ExitCode::Done)
}

fn inspect(context: &Context, engine: &Path) -> Result<ExitCode> {
    let is_file = engine.components().count() > 1 || engine.exists();
    let inspected = if is_file {
        plugin::inspect(engine)?
    } else {
        let config = context.config().ok();
        context
            .plugins(config.as_ref())?
            .find(&engine.to_string_lossy())?
            .clone()
    };
    if context.json() {
        output::print_json(&describe(&inspected)?)?;
    } else {
        output::print(&details(&inspected)?)?;
    }
    Ok(ExitCode::Done)
}

fn as_json(found: &Found) -> serde_json::Value {
    let described = found.result.as_ref().map_err(ToString::to_string);
    described
        .and_then(|inspected| describe(inspected).map_err(|error| error.to_string()))
        .unwrap_or_else(|error| json!({ "path": found.path, "error": error }))
}

fn describe(inspected: &Inspected) -> std::result::Result<serde_json::Value, PluginError> {
    let mut described = json!(inspected.manifest);
    // The schema is text in the manifest; here it is read by programs.
    described["options_schema"] = inspected.options_schema.clone();
    described["path"] = json!(inspected.path);
    described["sha256"] = json!(inspected.sha256()?);
    described["size"] = json!(inspected.size);
    Ok(described)
}

fn as_text(plugins: &Discovery) -> String {
    let mut rows = vec![
        ["ENGINE", "VERSION", "KIND", "FOR", "SUMMARY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut below = String::new();
    for found in &plugins.found {
        match &found.result {
            Ok(inspected) if found.shadowed_by.is_some() => {
                let by = found.shadowed_by.as_deref().unwrap_or(&inspected.path).display();
                below.push_str(&format!("not used: {}: {by} comes first\n", inspected.path.display()));
            }
            Ok(inspected) => {
                let manifest = &inspected.manifest;
                rows.push(vec![
                    manifest.name.clone(),
                    manifest.version.clone(),
                    manifest.kind.name().to_owned(),
                    manifest.databases.join(","),
                    manifest.summary.clone(),
                ]);
            }
            Err(error) => below.push_str(&format!("not usable: {error}\n")),
        }
    }
    if rows.len() == 1 {
        let looked: Vec<String> = plugins
            .directories
            .iter()
            .map(|directory| directory.display().to_string())
            .collect();
        return format!("no engines in {}\n{below}", looked.join(", "));
    }
    output::table(&rows) + &below
}

fn details(inspected: &Inspected) -> Result<String> {
    let manifest = &inspected.manifest;
    let operations: Vec<&str> = manifest.operations.iter().map(|operation| operation.name()).collect();
    let targets: Vec<&str> = manifest.restores_to.iter().map(|target| target.name()).collect();
    let rows = [
        ("engine", format!("{} {}", manifest.name, manifest.version)),
        ("vendor", manifest.vendor.clone()),
        ("summary", manifest.summary.clone()),
        ("kind", manifest.kind.name().to_owned()),
        ("databases", manifest.databases.join(", ")),
        ("operations", operations.join(", ")),
        ("restores to", targets.join(", ")),
        (
            "tables",
            if manifest.selects_tables {
                "restores single tables"
            } else {
                "restores as a whole"
            }
            .to_owned(),
        ),
        (
            "directories",
            if manifest.restores_directories {
                "restores those that no Backstay made"
            } else {
                ""
            }
            .to_owned(),
        ),
        (
            "increments",
            if manifest.increments_from_positions {
                "of backups and of positions"
            } else {
                ""
            }
            .to_owned(),
        ),
        ("contract", manifest.contract.clone()),
        (
            "file",
            format!("{}, {}", inspected.path.display(), size(inspected.size)),
        ),
        ("sha256", inspected.sha256()?.to_owned()),
    ];
    let mut text = String::new();
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("{name:<12} {value}\n"));
    }
    let schema = inspected.options_schema.clone();
    let Some(options) = schema["properties"].as_object().filter(|options| !options.is_empty()) else {
        return Ok(text + "options      none\n");
    };
    text.push_str("options\n");
    let mut rows = Vec::new();
    for (name, option) in options {
        let kind = match &option["enum"] {
            serde_json::Value::Array(values) => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "),
            _ => option["type"].as_str().unwrap_or("any").to_owned(),
        };
        let default = match &option["default"] {
            serde_json::Value::Null => String::new(),
            value => format!("default {value}"),
        };
        let about = option["description"].as_str().unwrap_or_default().to_owned();
        rows.push(vec![format!("  {name}"), kind, default, about]);
    }
    Ok(text + &output::table(&rows))
}
