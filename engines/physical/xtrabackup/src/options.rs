//! [`Options`]: what a workflow may say; documented in `options.schema.json`.

use backstay_engine_api::{EngineError, ErrorKind};
use serde::Deserialize;

/// What the engine sets itself: another value of it would make a backup that is none, or show a secret.
const OWN: [&str; 27] = [
    "backup",
    "prepare",
    "apply-log-only",
    "copy-back",
    "move-back",
    "export",
    "stream",
    "target-dir",
    "datadir",
    "incremental-lsn",
    "incremental-basedir",
    "incremental-dir",
    "incremental-history-name",
    "incremental-history-uuid",
    "compress",
    "encrypt",
    "password",
    "defaults-file",
    "defaults-extra-file",
    "no-defaults",
    "parallel",
    "tables",
    "tables-file",
    "databases",
    "databases-file",
    "no-lock",
    "fifo-streams",
];

/// The engine's options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) lock_wait: u64,
    pub(crate) parallel: Option<usize>,
    pub(crate) throttle: u64,
    pub(crate) memory: u64,
    pub(crate) owner: Option<String>,
    pub(crate) extra_args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lock_wait: 60,
            parallel: None,
            throttle: 0,
            memory: 128 << 20,
            owner: None,
            extra_args: Vec::new(),
        }
    }
}

impl Options {
    /// The arguments of the operator's own.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for one that is not the operator's to give.
    pub(crate) fn extra_args(&self) -> Result<&[String], EngineError> {
        for arg in &self.extra_args {
            let name = arg.split('=').next().unwrap_or_default().replace('_', "-");
            let name = name.strip_prefix("--").filter(|name| !name.is_empty());
            let Some(name) = name else {
                let message = format!("extra_args: `{arg}` is no argument of the form --name or --name=value");
                return Err(EngineError::new(ErrorKind::Usage, message));
            };
            let bare = ["skip-", "loose-", "disable-", "enable-"]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
                .unwrap_or(name);
            // The tools take any beginning of a name that fits no other.
            if OWN
                .iter()
                .any(|own| own.starts_with(bare) || bare.starts_with(&format!("{own}-")))
            {
                let message = format!("extra_args: --{name} is Backstay's to set, or would leave something out");
                return Err(EngineError::new(ErrorKind::Usage, message)
                    .advise("see `backstay engines inspect` for the options that it has"));
            }
        }
        Ok(&self.extra_args)
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

    #[test]
    fn what_the_engine_sets_is_not_the_operators() {
        for (arg, fine) in [
            ("--log-copy-interval=100", true),
            ("--safe-slave-backup", true),
            ("--rocksdb-backup=0", true),
            ("--no-lock", false),
            ("--tables=x", false),
            ("--tables-exclude=x", false),
            ("--stre=tar", false),
            ("--passwo=x", false),
            ("--target_dir=/", false),
            ("--compress-threads=4", false),
            ("--skip-backup", false),
            ("-pX", false),
            ("--", false),
            ("x", false),
        ] {
            let options = Options {
                extra_args: vec![arg.to_owned()],
                ..Options::default()
            };
            assert_eq!(options.extra_args().is_ok(), fine, "{arg}");
        }
    }
}
