//! [`Options`]: what a workflow may say; documented in `options.schema.json`.

use std::time::Duration;

use backstay_engine_api::{EngineError, ErrorKind, TablePattern};
use serde::Deserialize;

/// What becomes of a target's GTID state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gtid {
    /// It stays as it is.
    #[default]
    Ignore,
    /// It becomes the backup's.
    Set,
}

/// The engine's options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) lock_wait: u64,
    pub(crate) include_schemas: Vec<String>,
    pub(crate) exclude_schemas: Vec<String>,
    pub(crate) accounts: bool,
    pub(crate) max_allowed_packet: u64,
    pub(crate) skip_binary_log: bool,
    pub(crate) gtid: Gtid,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lock_wait: 60,
            include_schemas: Vec::new(),
            exclude_schemas: Vec::new(),
            accounts: true,
            max_allowed_packet: 1 << 30,
            skip_binary_log: false,
            gtid: Gtid::Ignore,
        }
    }
}

impl Options {
    /// Whether a backup with these leaves out some of the server's schemas.
    pub(crate) fn is_partial(&self) -> bool {
        !self.include_schemas.is_empty() || !self.exclude_schemas.is_empty()
    }

    /// How long to wait for locks.
    pub(crate) fn lock_wait(&self) -> Duration {
        Duration::from_secs(self.lock_wait)
    }

    /// Which schemas are backed up.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a pattern that is none.
    pub(crate) fn schemas(&self) -> Result<SchemaFilter, EngineError> {
        let parse = |patterns: &[String]| patterns.iter().map(|text| pattern(text)).collect::<Result<Vec<_>, _>>();
        Ok(SchemaFilter {
            include: parse(&self.include_schemas)?,
            exclude: parse(&self.exclude_schemas)?,
        })
    }
}

fn pattern(text: &str) -> Result<TablePattern, EngineError> {
    format!("{text}.*").parse().map_err(|_| {
        let message = format!("`{text}` is no schema: expected a name or a pattern with `*` and `?`");
        EngineError::new(ErrorKind::Usage, message).advise("put a name with a dot or a backtick in backticks")
    })
}

/// Which schemas are backed up.
#[derive(Debug)]
pub(crate) struct SchemaFilter {
    include: Vec<TablePattern>,
    exclude: Vec<TablePattern>,
}

impl SchemaFilter {
    /// Whether a schema is.
    pub(crate) fn takes(&self, schema: &str) -> bool {
        let hit = |patterns: &[TablePattern]| patterns.iter().any(|pattern| pattern.matches(schema, ""));
        (self.include.is_empty() || hit(&self.include)) && !hit(&self.exclude)
    }

    /// The first `include` that no schema fits.
    pub(crate) fn unmatched(&self, schemas: &[String]) -> Option<String> {
        let missed = |pattern: &&TablePattern| !schemas.iter().any(|schema| pattern.matches(schema, ""));
        self.include
            .iter()
            .find(missed)
            .map(|pattern| pattern.to_string().trim_end_matches(".*").to_owned())
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
    fn schemas() {
        let options: Options =
            serde_json::from_str(r#"{"include_schemas": ["shop*", "`a.b`"], "exclude_schemas": ["shop_old"]}"#)
                .unwrap();
        let filter = options.schemas().unwrap();
        let taken: Vec<bool> = ["shop", "shop_1", "shop_old", "a.b", "crm"]
            .map(|name| filter.takes(name))
            .into();
        assert_eq!(taken, [true, true, false, true, false]);
        assert_eq!(filter.unmatched(&["shop".into()]), Some("`a.b`".into()));
        assert!(pattern("a.b").unwrap_err().message.contains("`a.b` is no schema"));
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
        let parsed: Options = serde_json::from_value(defaults.into()).unwrap();
        assert_eq!(parsed, Options::default());
    }
}
