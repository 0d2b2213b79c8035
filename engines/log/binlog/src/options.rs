//! [`Options`]: what a workflow may say; documented in `options.schema.json`.

use backstay_mysql::replay::{Method, ReplayOptions};
use serde::Deserialize;

/// The engine's options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) replay: Method,
    pub(crate) workers: Option<usize>,
    pub(crate) relay_log_limit: u64,
    pub(crate) server_args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let replay = ReplayOptions::default();
        Self {
            replay: replay.method,
            workers: replay.workers,
            relay_log_limit: replay.relay_log_limit,
            server_args: replay.server_args,
        }
    }
}

impl Options {
    pub(crate) fn replay(&self) -> ReplayOptions {
        ReplayOptions {
            method: self.replay,
            workers: self.workers,
            relay_log_limit: self.relay_log_limit,
            server_args: self.server_args.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_the_options_and_their_defaults() {
        let schema: serde_json::Value = serde_json::from_str(include_str!("options.schema.json")).unwrap();
        let defaults: serde_json::Map<String, serde_json::Value> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, property)| (name.clone(), property["default"].clone()))
            .collect();
        assert_eq!(defaults.len(), 4);
        let parsed: Options = serde_json::from_value(defaults.into()).unwrap();
        assert_eq!(parsed, Options::default());
        assert!(serde_json::from_str::<Options>(r#"{"method": "client"}"#).is_err());
    }
}
