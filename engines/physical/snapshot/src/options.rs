//! [`Options`]: what a workflow may say; documented in `options.schema.json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How all files are had at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProviderName {
    Auto,
    Btrfs,
    Lvm,
    Reflink,
    Copy,
}

/// The engine's options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) provider: ProviderName,
    lock_wait: u64,
    max_pause: u64,
    pub(crate) lvm_size: String,
    pub(crate) allow_damaged_pages: bool,
    pub(crate) owner: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            provider: ProviderName::Auto,
            lock_wait: 60,
            max_pause: 2000,
            lvm_size: "20%ORIGIN".to_owned(),
            allow_damaged_pages: false,
            owner: None,
        }
    }
}

impl Options {
    /// How long to try for the lock.
    pub(crate) fn lock_wait(&self) -> Duration {
        Duration::from_secs(self.lock_wait)
    }

    /// How long the server's process may be stopped.
    pub(crate) fn max_pause(&self) -> Duration {
        Duration::from_millis(self.max_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_the_default() {
        assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), Options::default());
        assert!(serde_json::from_str::<Options>(r#"{"lockwait": 1}"#).is_err());
    }

    #[test]
    fn the_schema_names_the_options_and_their_defaults() {
        let schema: serde_json::Value = serde_json::from_str(include_str!("options.schema.json")).unwrap();
        let defaults: serde_json::Map<String, serde_json::Value> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, property)| (name.clone(), property["default"].clone()))
            .collect();
        assert_eq!(defaults.len(), 6);
        let parsed: Options = serde_json::from_value(defaults.into()).unwrap();
        assert_eq!(parsed, Options::default());
    }
}
