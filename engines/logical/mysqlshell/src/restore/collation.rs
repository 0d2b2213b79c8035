//! A schema's character set and collation, while scripts are run in it. The script of what was made under another collation changes the
//! schema's to that one, and afterwards to what the source has; but the target's schema may be somebody's, and have one of its own.

use backstay_engine_api::EngineError;
use backstay_mysql::quote_text;

use super::pool::Worker;
use super::scripts::InSection;
use super::statements::starts_with_word;

/// Does `work`, which runs these statements in a schema that is the current one. The schema has the collation then that it had before, also
/// where a statement fails. Only where the session ends in between does the schema keep what the script has set.
///
/// # Errors
/// The work's, or the server's.
pub(super) fn kept(
    worker: &mut Worker,
    schema: &str,
    statements: &[InSection<'_>],
    work: impl FnOnce(&mut Worker) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    if !statements.iter().any(|statement| alters_schema(statement.sql)) {
        return work(worker);
    }
    let back = statement_back(worker, schema)?;
    let done = work(worker);
    let undone = worker.session.run(back);
    done.and(undone)
}

/// What sets a schema back to what it has now. It names no schema: after an error, the script's character set may still hold for names.
fn statement_back(worker: &mut Worker, schema: &str) -> Result<String, EngineError> {
    let rows = worker.session.texts(format!(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
        quote_text(schema)
    ))?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(character_set), Some(collation)]) => Ok(format!(
            "ALTER DATABASE CHARACTER SET {character_set} COLLATE {collation}"
        )),
        _ => Err(EngineError::other(format!("schema `{schema}` is not there any more"))),
    }
}

fn alters_schema(sql: &[u8]) -> bool {
    starts_with_word(sql, "ALTER") && {
        let rest = sql["ALTER".len()..].trim_ascii_start();
        starts_with_word(rest, "DATABASE") || starts_with_word(rest, "SCHEMA")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_alters_a_schema() {
        for (sql, alters) in [
            ("ALTER DATABASE COLLATE utf8mb4_bin", true),
            ("alter\nschema `d` CHARACTER SET latin1", true),
            ("ALTER TABLE `DATABASE ` ADD x INT", false),
            ("ALTER DATABASES", false),
            ("CREATE PROCEDURE p() SELECT 'ALTER DATABASE d'", false),
        ] {
            assert_eq!(alters_schema(sql.as_bytes()), alters, "{sql}");
        }
    }
}
