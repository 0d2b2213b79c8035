//! TIMESTAMP columns that are NOT NULL and have no default. On a target where `explicit_defaults_for_timestamp` is OFF they would get one,
//! and the first of a table would be set to now whenever its row is changed. Sessions of a restore set it to ON where they may.

use backstay_engine_api::EngineError;
use backstay_mysql::target;

use super::Restore;
use super::ddl::bare_timestamps;
use super::dump::bytes_of;
use super::scripts::in_sections;
use super::settings;
use crate::format::names;

impl Restore<'_> {
    /// Refuses tables with such columns where the session may not set it.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](backstay_engine_api::ErrorKind::Refused), with the columns.
    pub(super) fn check_timestamps(&mut self) -> Result<(), EngineError> {
        if settings::explicit_timestamps(&mut self.session)? {
            return Ok(());
        }
        let mut others = Vec::new();
        for table in self.dump.tables().filter(|table| table.file.includes_ddl) {
            self.job.check_cancelled()?;
            let text = bytes_of(self.link, &names::sql(&table.base))?;
            for statement in in_sections(&text) {
                let columns = str::from_utf8(statement.sql).map(bare_timestamps).unwrap_or_default();
                others.extend(columns.into_iter().map(|column| format!("{}.{column}", table.shown())));
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the target {} would give columns of the backup a default that they do not have, and set them to now whenever their row is changed \
             ({} is OFF, and this session can not set it): {}",
            self.session.address(),
            settings::EXPLICIT_TIMESTAMPS,
            target::named(&others)
        );
        // MariaDB before 10.6.9 sets it only when it starts.
        let advice = match self.session.flavour().is_mariadb() {
            true => format!("start the target with {} = ON", settings::EXPLICIT_TIMESTAMPS),
            false => format!("run: {}", self.session.grant("SESSION_VARIABLES_ADMIN")),
        };
        Err(EngineError::refused(message).advise(advice))
    }
}
