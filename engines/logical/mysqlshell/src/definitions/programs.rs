//! What has a body: events, routines, packages, libraries and triggers. Each stands in its `sql_mode`, character sets and
//! collations (an event in its time zone as well), for these are kept with it when it is made.

use std::fmt::Write as _;

use backstay_engine_api::EngineError;
use backstay_mysql::{Session, quote_identifier, quote_text};

use super::shown::Shown;
use super::text::{closed, delimiter, in_comment, line, versioned};

/// A schema's character set and collation, which what is made in it keeps too.
#[derive(Debug)]
pub(super) struct SchemaCollation {
    character_set: String,
    collation: String,
}

impl SchemaCollation {
    /// # Errors
    /// As [`Session::query`].
    pub(super) fn read(session: &mut Session, schema: &str) -> Result<Self, EngineError> {
        let sql = format!(
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE \
             SCHEMA_NAME = {}",
            quote_text(schema)
        );
        let (character_set, collation) = session
            .query_first(sql)?
            .ok_or_else(|| EngineError::other(format!("schema `{schema}` is not there any more")))?;
        Ok(Self {
            character_set,
            collation,
        })
    }

    /// Statements around an object that was made while its schema had another collation. They name no schema, so that
    /// they hold for whichever is in use.
    fn switch(&self, shown: &Shown) -> Option<(String, String)> {
        let then = shown.column("Database Collation");
        if then.is_empty() || then == self.collation {
            return None;
        }
        let there = format!("ALTER DATABASE COLLATE {then}");
        let back = format!(
            "ALTER DATABASE CHARACTER SET {} COLLATE {}",
            self.character_set, self.collation
        );
        Some((there, back))
    }
}

/// Begins and ends an object's part of a file.
fn marked(text: &mut String, kind: &str, schema: &str, name: &str, write: impl FnOnce(&mut String)) {
    let full = format!(
        "{}.{}",
        in_comment(&quote_identifier(schema)),
        in_comment(&quote_identifier(name))
    );
    line!(text, "-- begin {kind} {full}");
    write(text);
    line!(text, "-- end {kind} {full}\n");
}

/// Sets what an object keeps, and sets it back. `end` is the delimiter, with a space before it.
struct Context<'a> {
    shown: &'a Shown,
    end: &'a str,
}

impl Context<'_> {
    fn enter(&self, text: &mut String) {
        let (shown, end) = (self.shown, self.end);
        let client = shown.client();
        line!(
            text,
            "/*!50003 SET @saved_cs_client      = @@character_set_client */{end}"
        );
        line!(
            text,
            "/*!50003 SET @saved_cs_results     = @@character_set_results */{end}"
        );
        line!(
            text,
            "/*!50003 SET @saved_col_connection = @@collation_connection */{end}"
        );
        line!(text, "/*!50003 SET character_set_client  = {client} */{end}");
        line!(text, "/*!50003 SET character_set_results = {client} */{end}");
        line!(
            text,
            "/*!50003 SET collation_connection  = {} */{end}",
            shown.column("collation_connection")
        );
        line!(text, "/*!50003 SET @saved_sql_mode       = @@sql_mode */{end}");
        line!(
            text,
            "/*!50003 SET sql_mode              = '{}' */{end}",
            shown.column("sql_mode")
        );
    }

    fn leave(&self, text: &mut String) {
        let end = self.end;
        line!(text, "/*!50003 SET sql_mode              = @saved_sql_mode */{end}");
        line!(text, "/*!50003 SET character_set_client  = @saved_cs_client */{end}");
        line!(text, "/*!50003 SET character_set_results = @saved_cs_results */{end}");
        line!(
            text,
            "/*!50003 SET collation_connection  = @saved_col_connection */{end}"
        );
    }
}

/// Writes an event.
///
/// # Errors
/// As [`Shown::get`].
pub(super) fn event(
    text: &mut String,
    session: &mut Session,
    collation: &SchemaCollation,
    schema: &str,
    name: &str,
) -> Result<(), EngineError> {
    let shown = Shown::get(session, "EVENT", schema, name)?;
    let statement = if_not_exists(shown.statement()?)
        .ok_or_else(|| EngineError::other(format!("the definition of {} is not in the usual form", shown.what())))?;
    let delimiter = delimiter(&statement);
    let end = format!(" {delimiter}");
    let context = Context {
        shown: &shown,
        end: &end,
    };
    marked(text, "event", schema, name, |text| {
        line!(
            text,
            "{};",
            versioned(50106, &format!("DROP EVENT IF EXISTS {}", quote_identifier(name)), " ")
        );
        line!(text, "DELIMITER {delimiter}");
        let switch = collation.switch(&shown);
        if let Some((there, _)) = &switch {
            line!(text, "{there}{end}");
        }
        context.enter(text);
        line!(text, "/*!50003 SET @saved_time_zone      = @@time_zone */{end}");
        line!(
            text,
            "/*!50003 SET time_zone             = '{}' */{end}",
            shown.column("time_zone")
        );
        line!(text, "{}{end}", versioned(50106, &statement, " "));
        line!(text, "/*!50003 SET time_zone             = @saved_time_zone */{end}");
        context.leave(text);
        if let Some((_, back)) = &switch {
            line!(text, "{back}{end}");
        }
        line!(text, "DELIMITER ;");
    });
    Ok(())
}

/// `CREATE DEFINER=… EVENT IF NOT EXISTS …`.
fn if_not_exists(statement: &str) -> Option<String> {
    let rest = statement.strip_prefix("CREATE ")?;
    let mut at = 0;
    if rest.starts_with("DEFINER=") {
        // The definer's name may hold any word; a role (MariaDB) has no host.
        at = "DEFINER=".len();
        at += name_length(&rest[at..])?;
        if rest[at..].starts_with('@') {
            at += 1;
            at += name_length(&rest[at..])?;
        }
        at += 1;
    }
    let event = rest.get(at..)?.strip_prefix("EVENT ")?;
    Some(format!("CREATE {}EVENT IF NOT EXISTS {event}", &rest[..at]))
}

/// The length of a quoted name at the start.
fn name_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| ['`', '"'].contains(c))?;
    let mut at = 1;
    loop {
        at += text[at..].find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// Writes a routine, or a package or its body: `kind` is `FUNCTION`, `PROCEDURE`, `PACKAGE` or `PACKAGE BODY`.
///
/// # Errors
/// As [`Shown::get`].
pub(super) fn routine(
    text: &mut String,
    session: &mut Session,
    collation: &SchemaCollation,
    kind: &str,
    schema: &str,
    name: &str,
) -> Result<(), EngineError> {
    let shown = Shown::get(session, kind, schema, name)?;
    let body = closed(shown.statement()?);
    let delimiter = delimiter(&body);
    let context = Context {
        shown: &shown,
        end: " ;",
    };
    let switch = collation.switch(&shown);
    marked(text, &kind.to_lowercase(), schema, name, |text| {
        let drop = format!("DROP {kind} IF EXISTS {}", quote_identifier(name));
        // MariaDB knows the statement in a package's own sql_mode only.
        let package = kind.starts_with("PACKAGE");
        if !package {
            line!(text, "{};", versioned(50003, &drop, " "));
        }
        if let Some((there, _)) = &switch {
            line!(text, "{there} ;");
        }
        context.enter(text);
        if package {
            line!(text, "{drop};");
        }
        line!(text, "DELIMITER {delimiter}\n{body} {delimiter}\nDELIMITER ;");
        context.leave(text);
        if let Some((_, back)) = &switch {
            line!(text, "{back} ;");
        }
    });
    Ok(())
}

/// Writes a library (MySQL).
///
/// # Errors
/// As [`Shown::get`].
pub(super) fn library(text: &mut String, session: &mut Session, schema: &str, name: &str) -> Result<(), EngineError> {
    let shown = Shown::get(session, "LIBRARY", schema, name)?;
    let body = closed(shown.statement()?);
    let delimiter = delimiter(&body);
    marked(text, "library", schema, name, |text| {
        line!(text, "DROP LIBRARY IF EXISTS {};", quote_identifier(name));
        line!(text, "DELIMITER {delimiter}\n{body} {delimiter}\nDELIMITER ;");
    });
    Ok(())
}

/// Writes a trigger.
///
/// # Errors
/// As [`Shown::get`].
pub(super) fn trigger(
    text: &mut String,
    session: &mut Session,
    collation: &SchemaCollation,
    schema: &str,
    name: &str,
) -> Result<(), EngineError> {
    let shown = Shown::get(session, "TRIGGER", schema, name)?;
    let statement = shown.statement()?;
    let delimiter = delimiter(statement);
    let context = Context {
        shown: &shown,
        end: " ;",
    };
    let switch = collation.switch(&shown);
    marked(text, "trigger", schema, name, |text| {
        if let Some((there, _)) = &switch {
            line!(text, "{there} ;");
        }
        context.enter(text);
        let drop = format!("DROP TRIGGER IF EXISTS {}", quote_identifier(name));
        line!(text, "{};", versioned(50032, &drop, " "));
        line!(text, "DELIMITER {delimiter}");
        line!(text, "{}{delimiter}\nDELIMITER ;", versioned(50003, statement, " "));
        context.leave(text);
        if let Some((_, back)) = &switch {
            line!(text, "{back} ;");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_made_if_they_are_not_there() {
        for (statement, want) in [
            (
                "CREATE DEFINER=`a`` EVENT b`@`%` EVENT `e` ON SCHEDULE",
                Some("CREATE DEFINER=`a`` EVENT b`@`%` EVENT IF NOT EXISTS `e` ON SCHEDULE"),
            ),
            (
                "CREATE DEFINER=\"r\" EVENT \"e\" ON",
                Some("CREATE DEFINER=\"r\" EVENT IF NOT EXISTS \"e\" ON"),
            ),
            ("CREATE EVENT `e` ON", Some("CREATE EVENT IF NOT EXISTS `e` ON")),
            ("CREATE DEFINER=`a EVENT `e` ON", None),
            ("ALTER EVENT `e`", None),
        ] {
            assert_eq!(if_not_exists(statement).as_deref(), want, "{statement}");
        }
    }
}
