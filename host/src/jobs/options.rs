//! An engine's options against the JSON Schema in its manifest.

use backstay_engine_api::EngineManifest;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// Checks options before a job starts.
pub(super) fn check(manifest: &EngineManifest, options: &Value) -> Result<()> {
    let broken = |error: &dyn std::fmt::Display| {
        Error::other(format!("the options schema of engine `{}` is broken: {error}", manifest.name))
            .advise("report it to the engine's vendor")
    };
    let schema: Value = serde_json::from_str(&manifest.options_schema).map_err(|error| broken(&error))?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| broken(&error))?;
    let problems: Vec<String> = validator
        .iter_errors(options)
        .map(|error| match error.instance_path().to_string() {
            path if path.is_empty() => error.to_string(),
            path => format!("{}: {error}", path.trim_start_matches('/').replace('/', ".")),
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    let mut error = Error::new(ErrorKind::Usage, format!("options for engine `{}` are wrong", manifest.name))
        .advise(format!("`backstay engines inspect {}` shows the options that it has", manifest.name));
    for problem in problems {
        error = error.detail(problem);
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_engine_api::EngineKind;
    use serde_json::json;

    #[test]
    fn names_the_option() {
        let manifest = EngineManifest {
            contract: "1.0.0".into(),
            name: "dump".into(),
            version: "1".into(),
            kind: EngineKind::Logical,
            vendor: String::new(),
            summary: String::new(),
            databases: vec![],
            operations: vec![],
            restores_to: vec![],
            selects_tables: false,
            options_schema: json!({
                "type": "object",
                "properties": { "threads": { "type": "integer", "minimum": 1 } },
                "additionalProperties": false,
            })
            .to_string(),
        };
        check(&manifest, &json!({ "threads": 2 })).unwrap();
        let error = check(&manifest, &json!({ "threads": "two", "thread": 1 })).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.causes.iter().any(|cause| cause.starts_with("threads: ")), "{error:?}");
        assert!(error.causes.iter().any(|cause| cause.contains("'thread'")), "{error:?}");
    }
}
