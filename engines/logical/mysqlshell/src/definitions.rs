//! The SQL files: what makes schemas, tables, views, triggers, routines and events.
//!
//! They are as MySQL Shell writes them, comments and version comments included, for they are also read by it. What only
//! MariaDB has is put where such a reader takes it for an ordinary statement: sequences stand in `S.sql` before everything
//! else, for tables may take their defaults from them, and packages after the routines.

mod literals;
mod programs;
mod shown;
#[cfg(test)]
mod tests;
mod text;

use std::fmt::Write as _;

use backstay_engine_api::EngineError;
use backstay_mysql::{Session, quote_identifier, quote_text};

use crate::catalogue::{Schema, Table, View};
use crate::format;
use programs::SchemaCollation;
use shown::Shown;
pub(crate) use text::outside;
use text::{in_comment, line, title, versioned};

/// Writes SQL files. One is shared by all threads; each has its own session, [prepared](Self::prepare).
#[derive(Debug, Clone)]
pub(crate) struct Definitions {
    /// The server's host name and version, for the comment at the top.
    host: String,
    version: String,
}

impl Definitions {
    /// For the server of `session`.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub(crate) fn of(session: &mut Session) -> Result<Self, EngineError> {
        Ok(Self {
            host: session.query_first("SELECT @@hostname")?.unwrap_or_default(),
            version: session.version().raw.clone(),
        })
    }

    /// Sets up a session so that it shows definitions in the one form that a load expects; its time zone becomes UTC, for
    /// times in definitions are shown in it.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(crate) fn prepare(&self, session: &mut Session) -> Result<(), EngineError> {
        let mut settings = "SET SESSION time_zone = '+00:00', sql_quote_show_create = 1".to_owned();
        if !session.flavour().is_mariadb() {
            settings.push_str(", show_create_table_verbosity = OFF");
            if session.version().at_least(8, 0, 30) {
                settings.push_str(", show_gipk_in_create_table_and_information_schema = ON");
            }
        }
        session.run(settings)
    }

    /// `@.sql` and `@.post.sql`, which say where the dump is from and no more.
    pub(crate) fn instance(&self) -> String {
        self.top("")
    }

    /// `S.sql`: the schema, its sequences, events and routines.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub(crate) fn schema(&self, session: &mut Session, schema: &Schema) -> Result<String, EngineError> {
        let name = schema.name.as_str();
        let quoted = quote_identifier(name);
        let mut text = self.top(&format!("    Database: {name}"));
        text.push('\n');
        title(&mut text, &format!("Dumping database {}", quote_text(name)));
        let created = Shown::of(session, "DATABASE IF NOT EXISTS", &quoted, name)?;
        let marker = in_comment(&quoted);
        line!(text, "\n-- begin database {marker}");
        line!(text, "{};", created.statement()?);
        line!(text, "-- end database {marker}\n");
        let collation = SchemaCollation::read(session, name)?;

        if !schema.sequences.is_empty() {
            part(&mut text, name, "sequences");
            text.push('\n');
            for sequence in &schema.sequences {
                write_sequence(&mut text, session, name, sequence)?;
            }
        }
        part(&mut text, name, "events");
        if !schema.events.is_empty() {
            line!(text, "/*!50106 SET @save_time_zone= @@TIME_ZONE */ ;\n");
            for event in &schema.events {
                programs::event(&mut text, session, &collation, name, event)?;
            }
            line!(text, "/*!50106 SET TIME_ZONE= @save_time_zone */ ;");
        }
        part(&mut text, name, "libraries");
        text.push('\n');
        for library in &schema.libraries {
            programs::library(&mut text, session, name, library)?;
        }
        part(&mut text, name, "routines");
        text.push('\n');
        for (kind, names) in [
            ("FUNCTION", &schema.functions),
            ("PROCEDURE", &schema.procedures),
            ("PACKAGE", &schema.packages),
            ("PACKAGE BODY", &schema.package_bodies),
        ] {
            for routine in names {
                programs::routine(&mut text, session, &collation, kind, name, routine)?;
            }
        }
        Ok(text)
    }

    /// `T.sql`.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub(crate) fn table(&self, session: &mut Session, table: &Table) -> Result<String, EngineError> {
        let shown = Shown::get(session, "TABLE", &table.schema, &table.name)?;
        let statement = shown.statement()?;
        let rest = statement
            .strip_prefix("CREATE TABLE ")
            .ok_or_else(|| EngineError::other(format!("the definition of {} is no CREATE TABLE", shown.what())))?;
        let mut text = self.top_of(&table.schema, &table.name);
        title(
            &mut text,
            &format!("Table structure for table {}", quote_identifier(&table.name)),
        );
        line!(text, "\n/*!40101 SET @saved_cs_client     = @@character_set_client */;");
        line!(text, "/*!50503 SET character_set_client = utf8mb4 */;");
        line!(text, "CREATE TABLE IF NOT EXISTS {rest};");
        line!(text, "/*!40101 SET character_set_client = @saved_cs_client */;");
        Ok(text)
    }

    /// `T.triggers.sql`, for a table that has some.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub(crate) fn triggers(&self, session: &mut Session, table: &Table) -> Result<String, EngineError> {
        let mut text = self.top_of(&table.schema, &table.name);
        let full = format!("{}.{}", quote_text(&table.schema), quote_text(&table.name));
        title(&mut text, &format!("Dumping triggers for table {full}"));
        text.push('\n');
        let collation = SchemaCollation::read(session, &table.schema)?;
        for trigger in &table.triggers {
            programs::trigger(&mut text, session, &collation, &table.schema, trigger)?;
        }
        Ok(text)
    }

    /// `V.pre.sql`: a view of the same columns that reads nothing, so that other views can be made on it.
    pub(crate) fn placeholder(&self, view: &View) -> String {
        let quoted = quote_identifier(&view.name);
        let mut columns: Vec<String> = view.columns.iter().map(|name| quote_identifier(name)).collect();
        if columns.is_empty() {
            // A server says nothing of the columns of a view that does not work.
            columns.push("`?`".to_owned());
        }
        let select = format!("CREATE VIEW {quoted} AS SELECT\n 1 AS {}", columns.join(",\n 1 AS "));
        let mut text = self.top_of(&view.schema, &view.name);
        title(&mut text, &format!("Temporary view structure for view {quoted}"));
        line!(text, "\nDROP TABLE IF EXISTS {quoted};");
        line!(
            text,
            "{};",
            versioned(50001, &format!("DROP VIEW IF EXISTS {quoted}"), "")
        );
        line!(text, "SET @saved_cs_client     = @@character_set_client;");
        line!(text, "/*!50503 SET character_set_client = utf8mb4 */;");
        line!(text, "{};", versioned(50001, &select, " "));
        line!(text, "SET character_set_client = @saved_cs_client;");
        text
    }

    /// `V.sql`.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub(crate) fn view(&self, session: &mut Session, view: &View) -> Result<String, EngineError> {
        let quoted = quote_identifier(&view.name);
        // Names of the schema in use are shown without it, and then hold for any schema.
        session.run(format!("USE {}", quote_identifier(&view.schema)))?;
        let shown = Shown::of(session, "VIEW", &quoted, &view.name)?;
        let client = shown.client();
        let mut text = self.top_of(&view.schema, &view.name);
        title(&mut text, &format!("Final view structure for view {quoted}"));
        line!(
            text,
            "\n{};",
            versioned(50001, &format!("DROP VIEW IF EXISTS {quoted}"), "")
        );
        line!(
            text,
            "/*!50001 SET @saved_cs_client          = @@character_set_client */;"
        );
        line!(
            text,
            "/*!50001 SET @saved_cs_results         = @@character_set_results */;"
        );
        line!(
            text,
            "/*!50001 SET @saved_col_connection     = @@collation_connection */;"
        );
        line!(text, "/*!50001 SET character_set_client      = {client} */;");
        line!(text, "/*!50001 SET character_set_results     = {client} */;");
        line!(
            text,
            "/*!50001 SET collation_connection      = {} */;",
            shown.column("collation_connection")
        );
        line!(text, "{};", versioned(50001, shown.statement()?, " "));
        line!(text, "/*!50001 SET character_set_client      = @saved_cs_client */;");
        line!(text, "/*!50001 SET character_set_results     = @saved_cs_results */;");
        line!(
            text,
            "/*!50001 SET collation_connection      = @saved_col_connection */;"
        );
        Ok(text)
    }

    /// The comment at the top of each file.
    pub(crate) fn top(&self, of: &str) -> String {
        format!(
            "-- MySQLShell dump {}  Distrib Backstay {}\n--\n-- Host: {}{}\n\
             -- ------------------------------------------------------\n-- Server version\t{}\n",
            format::VERSION,
            env!("CARGO_PKG_VERSION"),
            in_comment(&self.host),
            in_comment(of),
            in_comment(&self.version),
        )
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            host: "here".to_owned(),
            version: "9.7.4".to_owned(),
        }
    }

    fn top_of(&self, schema: &str, table: &str) -> String {
        let mut text = self.top(&format!("    Database: {schema}    Table: {table}"));
        use_schema(&mut text, schema);
        text.push('\n');
        text
    }
}

fn use_schema(text: &mut String, schema: &str) {
    let quoted = quote_identifier(schema);
    text.push('\n');
    title(text, &format!("Current Database: {quoted}"));
    line!(text, "\nUSE {quoted};");
}

/// Begins a part of `S.sql`.
fn part(text: &mut String, schema: &str, what: &str) {
    use_schema(text, schema);
    text.push('\n');
    title(text, &format!("Dumping {what} for database {}", quote_text(schema)));
}

/// A sequence, and where it stands. One that is there already is never set back.
fn write_sequence(text: &mut String, session: &mut Session, schema: &str, name: &str) -> Result<(), EngineError> {
    let shown = Shown::get(session, "SEQUENCE", schema, name)?;
    let rest = shown
        .statement()?
        .strip_prefix("CREATE SEQUENCE ")
        .ok_or_else(|| EngineError::other(format!("the definition of {} is no CREATE SEQUENCE", shown.what())))?;
    let full = format!("{}.{}", quote_identifier(schema), quote_identifier(name));
    let (next, round, start, before_start): (String, String, String, bool) = session
        .query_first(format!(
            "SELECT next_not_cached_value, cycle_count, start_value, cycle_count = 0 AND IF(`increment` < 0, next_not_cached_value > \
             start_value, next_not_cached_value < start_value) FROM {full}"
        ))?
        .ok_or_else(|| EngineError::other(format!("sequence {full} has no state")))?;
    let quoted = quote_identifier(name);
    let marker = in_comment(&full);
    line!(text, "-- begin sequence {marker}");
    if before_start {
        // SETVAL sets nothing back, and RESTART would do so to one that is there already. ALTER SEQUENCE leaves the next value as it is.
        let made = with_start(rest, &quoted, &start, &next).ok_or_else(|| {
            EngineError::other(format!("the definition of {} is not in the usual form", shown.what()))
        })?;
        line!(text, "CREATE SEQUENCE IF NOT EXISTS {made};");
        line!(text, "ALTER SEQUENCE {quoted} START WITH {start};");
    } else {
        line!(text, "CREATE SEQUENCE IF NOT EXISTS {rest};");
        line!(text, "DO SETVAL({quoted}, {next}, 0, {round});");
    }
    line!(text, "-- end sequence {marker}\n");
    Ok(())
}

/// What follows CREATE SEQUENCE, with another START. `quoted` is the sequence's name.
fn with_start(definition: &str, quoted: &str, start: &str, other: &str) -> Option<String> {
    let options = definition.strip_prefix(quoted)?;
    let (before, after) = options.split_once(&format!(" start with {start} "))?;
    Some(format!("{quoted}{before} start with {other} {after}"))
}
