//! What nothing keeps as it is, compared: views, routines, events and triggers, and which tables there are.

use std::collections::BTreeMap;
use std::fmt;

use backstay_engine_api::{EngineError, ErrorKind};

use crate::facts::SYSTEM_SCHEMAS;
use crate::session::{Session, quote_text};

/// How many things an error names.
const NAMED: usize = 10;

/// Whether a schema is in the backup.
pub(super) type Wanted = dyn Fn(&str) -> bool + Send;

/// What there was, and in which schemas it counts.
pub(super) struct Unguarded {
    before: Definitions,
    wanted: Box<Wanted>,
}

impl Unguarded {
    /// What there is now; all schemas count.
    pub(super) fn read(session: &mut Session) -> Result<Self, EngineError> {
        Ok(Self {
            before: Definitions::read(session)?,
            wanted: Box::new(|_: &str| true),
        })
    }

    /// Only these schemas count, of those that there are and of those that are made later.
    pub(super) fn only(&mut self, wanted: Box<Wanted>) {
        self.wanted = wanted;
    }

    /// # Errors
    /// Something is not as it was.
    pub(super) fn check(&self, session: &mut Session) -> Result<(), EngineError> {
        self.before.compare(&Definitions::read(session)?, &*self.wanted)
    }
}

impl fmt::Debug for Unguarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unguarded")
            .field("before", &self.before)
            .finish_non_exhaustive()
    }
}

/// Each thing, by its schema and what it is called, with something that changes when its definition does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Definitions(BTreeMap<(String, String), String>);

impl Definitions {
    fn read(session: &mut Session) -> Result<Self, EngineError> {
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
                let shown = format!("{kind} {schema}.{name}");
                all.insert((schema, shown), state.unwrap_or_default());
            }
        }
        Ok(Self(all))
    }

    /// # Errors
    /// Something in a schema that is wanted is not as it was.
    fn compare(&self, now: &Self, wanted: &dyn Fn(&str) -> bool) -> Result<(), EngineError> {
        let here = self.0.iter().filter(|(thing, state)| now.0.get(*thing) != Some(*state));
        let new = now.0.iter().filter(|(thing, _)| !self.0.contains_key(*thing));
        let changed: Vec<&str> = here
            .chain(new)
            .filter(|((schema, _), _)| wanted(schema))
            .map(|((_, shown), _)| shown.as_str())
            .collect();
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

    /// By schema, what it is called, and state.
    fn definitions(list: &[(&str, &str, &str)]) -> Definitions {
        let mut all = BTreeMap::new();
        for &(schema, shown, state) in list {
            all.insert((schema.to_owned(), shown.to_owned()), state.to_owned());
        }
        Definitions(all)
    }

    #[test]
    fn what_changed_is_named() {
        let before = definitions(&[("s", "view s.a", "1"), ("s", "view s.b", "1"), ("s", "event s.c", "1")]);
        let all = |_: &str| true;
        assert_eq!(before.compare(&before, &all), Ok(()));
        let now = definitions(&[("s", "view s.a", "2"), ("s", "event s.c", "1"), ("s", "table s.d", "")]);
        let error = before.compare(&now, &all).unwrap_err();
        assert!(error.message.ends_with(": view s.a, view s.b, table s.d"), "{error}");
    }

    #[test]
    fn only_wanted_schemas_count() {
        let before = definitions(&[("shop", "view shop.v", "1"), ("etl", "table etl.old", "")]);
        let now = definitions(&[("shop", "view shop.v", "1"), ("later", "table later.new", "")]);
        assert_eq!(before.compare(&now, &|schema: &str| schema == "shop"), Ok(()));
        let error = before.compare(&now, &|schema: &str| schema != "etl").unwrap_err();
        assert!(error.message.ends_with(": table later.new"), "{error}");
    }
}
