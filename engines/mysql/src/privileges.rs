//! Privileges whose lack the tools do not notice.
//!
//! A server shows an account only what it may see: without TRIGGER a table has no triggers, without SELECT on its schema it
//! is not there, and the tool's dump is whole without them. So what is granted is looked at first.

use crate::session::{Session, quote_identifier};
use backstay_engine_api::{EngineError, ErrorKind};
use mysql::prelude::Queryable;

/// What each schema needs. Routines are seen by who may read the server's own catalogue.
const NEEDED: [&str; 4] = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"];

/// Refuses an account that does not see all of what it is to back up.
///
/// # Errors
/// [`ErrorKind::Privilege`] with the GRANT.
pub fn check(session: &mut Session, schemas: &[String], accounts: bool) -> Result<(), EngineError> {
    if without_accounts(session) {
        return Ok(());
    }
    let statements: Vec<String> = session.query("SHOW GRANTS")?;
    let grants: Vec<Grant> = statements
        .iter()
        .filter_map(|statement| Grant::parse(statement))
        .collect();
    let mut missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|privilege| !schemas.iter().all(|schema| covers(&grants, privilege, schema)))
        .collect();
    let mariadb = session.flavour().is_mariadb();
    let everywhere = |privilege: &str| grants.iter().any(|grant| grant.on.is_none() && grant.has(privilege));
    // MariaDB shows routines to who may read mysql.proc, MySQL to who may read everything or has a privilege for it (8.0.20).
    let routines = mariadb || everywhere("SELECT") || everywhere("SHOW_ROUTINE");
    let catalogue = covers(&grants, "SELECT", "mysql") || !(mariadb || accounts);
    if !missing.contains(&"SELECT") {
        if !catalogue {
            missing.insert(0, "SELECT");
        } else if !routines {
            missing.push(match session.version().at_least(8, 0, 20) {
                true => "SHOW_ROUTINE",
                false => "SELECT",
            });
        }
    }
    // Schemas that are not seen can not be counted: whoever names none needs to see all.
    if !grants
        .iter()
        .any(|grant| grant.on.is_none() && (grant.has("SELECT") || grant.has("SHOW DATABASES")))
    {
        missing.push("SHOW DATABASES");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} lacks privileges without which a backup would silently lack something",
        session.account()
    );
    Err(EngineError::new(ErrorKind::Privilege, message).advise(session.grant(&missing.join(", "))))
}

/// Whether the server asks for no accounts (`--skip-grant-tables`): everybody may do everything then, and nobody has grants.
fn without_accounts(session: &mut Session) -> bool {
    /// `ER_OPTION_PREVENTS_STATEMENT`.
    const OPTION_PREVENTS: u16 = 1290;
    let shown = session.conn().query_drop("SHOW GRANTS");
    matches!(shown, Err(mysql::Error::MySqlError(error)) if error.code == OPTION_PREVENTS)
}

/// `GRANT privileges ON *.*` or `ON schema.*`; or `REVOKE` (MySQL's partial revokes).
#[derive(Debug, PartialEq, Eq)]
struct Grant<'a> {
    revoked: bool,
    privileges: Vec<&'a str>,
    /// The schema pattern in backticks; `None` for all.
    on: Option<&'a str>,
}

impl<'a> Grant<'a> {
    fn parse(statement: &'a str) -> Option<Self> {
        let (revoked, rest) = match statement.strip_prefix("GRANT ") {
            Some(rest) => (false, rest),
            None => (true, statement.strip_prefix("REVOKE ")?),
        };
        let (privileges, rest) = rest.split_once(" ON ")?;
        let (on, _) = rest.rsplit_once(if revoked { " FROM " } else { " TO " })?;
        let on = on.strip_suffix(".*")?;
        Some(Self {
            revoked,
            privileges: privileges.split(',').map(str::trim).collect(),
            on: (on != "*").then_some(on),
        })
    }

    fn has(&self, privilege: &str) -> bool {
        !self.revoked
            && self
                .privileges
                .iter()
                .any(|has| *has == privilege || *has == "ALL PRIVILEGES")
    }

    fn is_on(&self, schema: &str) -> bool {
        // Names in grants are patterns; `\_` is a plain underscore. A pattern that is really one is not followed, which errs
        // to the safe side.
        self.on
            .is_none_or(|on| on.replace("\\_", "_").replace("\\%", "%") == quote_identifier(schema))
    }
}

fn covers(grants: &[Grant<'_>], privilege: &str, schema: &str) -> bool {
    let revoked = grants.iter().any(|grant| {
        grant.revoked
            && grant.is_on(schema)
            && (grant.privileges.contains(&privilege) || grant.privileges.contains(&"ALL PRIVILEGES"))
    });
    !revoked && grants.iter().any(|grant| grant.has(privilege) && grant.is_on(schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grants_cover() {
        let grants: Vec<Grant> = [
            "GRANT SELECT, RELOAD ON *.* TO `b`@`localhost`",
            "GRANT BACKUP_ADMIN,XA_RECOVER_ADMIN ON *.* TO `b`@`localhost` WITH GRANT OPTION",
            "GRANT ALL PRIVILEGES ON `my\\_shop`.* TO `b`@`localhost`",
            "GRANT TRIGGER ON `shop`.`orders` TO `b`@`localhost`",
            "GRANT `role`@`%` TO `b`@`localhost`",
            "GRANT EVENT ON ` TO ``x`.* TO `b`@`localhost`",
            "REVOKE SELECT ON `crm`.* FROM `b`@`localhost`",
        ]
        .into_iter()
        .filter_map(Grant::parse)
        .collect();
        assert_eq!(grants.len(), 5);
        for (privilege, schema, covered) in [
            ("SELECT", "shop", true),
            ("SELECT", "crm", false),
            ("TRIGGER", "shop", false),
            ("TRIGGER", "my_shop", true),
            ("EVENT", " TO `x", true),
            ("BACKUP_ADMIN", "any", true),
        ] {
            assert_eq!(covers(&grants, privilege, schema), covered, "{privilege} on {schema}");
        }
    }
}
