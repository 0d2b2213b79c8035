//! What nothing keeps as it is, compared: views, routines, events and triggers, and which tables there are.

use std::collections::BTreeMap;

use backstay_engine_api::{EngineError, ErrorKind};

use crate::facts::SYSTEM_SCHEMAS;
use crate::session::{Session, quote_text};

/// How many things an error names.
const NAMED: usize = 10;

/// Each thing, with something that changes when its definition does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definitions(BTreeMap<String, String>);

impl Definitions {
    pub(super) fn read(session: &mut Session) -> Result<Self, EngineError> {
        let system = SYSTEM_SCHEMAS.map(quote_text).join(", ");
        let mut all = BTreeMap::new();
        for (kind, table, schema, name, state) in [
            ("table", "TABLES", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE"),
            (
                "view",
                "VIEWS",
                "TABLE_SCHEMA",
                "TABLE_NAME",
                "SHA2(CONCAT_WS(',', DEFINER, VIEW_DEFINITION), 256)",
            ),
            (
                "routine",
                "ROUTINES",
                "ROUTINE_SCHEMA",
                "CONCAT(ROUTINE_NAME, ' ', ROUTINE_TYPE)",
                "CONCAT_WS(',', CREATED, LAST_ALTERED, DEFINER, SHA2(ROUTINE_DEFINITION, 256))",
            ),
            (
                "event",
                "EVENTS",
                "EVENT_SCHEMA",
                "EVENT_NAME",
                "CONCAT_WS(',', CREATED, LAST_ALTERED, DEFINER, SHA2(EVENT_DEFINITION, 256))",
            ),
            (
                "trigger",
                "TRIGGERS",
                "TRIGGER_SCHEMA",
                "TRIGGER_NAME",
                "CONCAT_WS(',', CREATED, DEFINER, ACTION_ORDER, SHA2(ACTION_STATEMENT, 256))",
            ),
        ] {
            let rows: Vec<(String, String, Option<String>)> = session.query(format!(
                "SELECT {schema}, {name}, {state} FROM information_schema.{table} WHERE LOWER({schema}) NOT IN ({system})"
            ))?;
            for (schema, name, state) in rows {
                all.insert(format!("{kind} {schema}.{name}"), state.unwrap_or_default());
            }
        }
        Ok(Self(all))
    }

    /// # Errors
    /// Something is not as it was.
    pub(super) fn compare(&self, now: &Self) -> Result<(), EngineError> {
        let here = self.0.iter().filter(|(name, state)| now.0.get(*name) != Some(*state));
        let new = now.0.iter().filter(|(name, _)| !self.0.contains_key(*name));
        let changed: Vec<&str> = here.chain(new).map(|(name, _)| name.as_str()).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let more = if changed.len() > NAMED { " and more" } else { "" };
        let names = changed[..changed.len().min(NAMED)].join(", ");
        let message =
            format!("definitions changed during the backup, so that what was read may not fit together: {names}{more}");
        Err(EngineError::new(ErrorKind::Busy, message).advise(
            "take the backup again while nobody changes definitions, or give the account what it takes to block them \
             (BACKUP_ADMIN and RELOAD on MySQL, RELOAD on MariaDB), where the server lets anybody do that",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let of =
            |list: &[(&str, &str)]| Definitions(list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect());
        let before = of(&[("view s.a", "1"), ("view s.b", "1"), ("event s.c", "1")]);
        assert_eq!(before.compare(&before), Ok(()));
        let error = before
            .compare(&of(&[("view s.a", "2"), ("event s.c", "1"), ("table s.d", "")]))
            .unwrap_err();
        assert!(error.message.ends_with(": view s.a, view s.b, table s.d"), "{error}");
    }
}
