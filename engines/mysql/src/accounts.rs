//! Accounts, roles and grants; foreign servers and loadable functions.
//!
//! A session asks the server to show them, as statements. A script of them is SQL that an operator could feed to a client,
//! with markers that tell a restore what each statement is about:
//!
//! ```sql
//! -- create {"user":"clerk","host":"localhost","role":false}
//! CREATE USER `clerk`@`localhost` IDENTIFIED WITH 'caching_sha2_password' AS 0x24…;
//! -- grant {"user":"clerk","host":"localhost","role":false}
//! GRANT SELECT ON `shop`.* TO `clerk`@`localhost`;
//! ```

mod mariadb;
mod mysql;
mod restore;
mod script;
mod servers;

use std::collections::HashSet;

use crate::session::{Session, quote_identifier, quote_text};
use backstay_engine_api::{EngineError, ErrorKind, Notice};
use serde::{Deserialize, Serialize};

pub use restore::{Restorer, existing, restore_server_objects};
use script::Script;

/// Markers of a script.
const CREATE: &str = "create";
const GRANT: &str = "grant";

/// Accounts that servers make for themselves, and Amazon for its own use.
const RESERVED: [&str; 5] = [
    "mysql.sys",
    "mysql.session",
    "mysql.infoschema",
    "mariadb.sys",
    "rdsadmin",
];
/// MariaDB's role that everybody has. It is on every server and so never made.
const PUBLIC: &str = "PUBLIC";

/// An account or role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// Empty for MariaDB's roles.
    pub host: String,
    /// A role of MariaDB's; MySQL's are accounts like others.
    #[serde(default)]
    pub role: bool,
}

impl Account {
    /// For SQL and for messages: `'user'@'host'`, or a role's name in quotes.
    pub fn quoted(&self) -> String {
        if self.role {
            quote_text(&self.user)
        } else {
            format!("{}@{}", quote_text(&self.user), quote_text(&self.host))
        }
    }

    /// As it stands in a list of roles: MariaDB's have no host.
    fn as_role(&self) -> String {
        let user = quote_identifier(&self.user);
        match self.role {
            true => user,
            false => format!("{user}@{}", quote_identifier(&self.host)),
        }
    }

    fn is_public(&self) -> bool {
        self.role && self.user == PUBLIC
    }
}

/// Statements about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Whom they are about.
    pub account: Account,
    /// Without semicolons; they hold hashes of passwords, and are not for messages.
    pub statements: Vec<String>,
}

impl Owned {
    /// Statements about an account.
    pub fn new(account: Account, statements: Vec<String>) -> Self {
        Self { account, statements }
    }
}

/// Accounts and what they may. All are created before the first grant, for a grant can name any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// CREATE USER or CREATE ROLE.
    pub create: Vec<Owned>,
    /// GRANT, REVOKE, and SET DEFAULT ROLE.
    pub grant: Vec<Owned>,
}

impl Accounts {
    /// As a script.
    ///
    /// # Errors
    /// Never, as far as an account's name can be written as JSON.
    pub fn to_script(&self) -> Result<String, EngineError> {
        let mut script = Script::default();
        for (what, all) in [(CREATE, &self.create), (GRANT, &self.grant)] {
            for owned in all {
                script.add(what, &owned.account, &owned.statements)?;
            }
        }
        Ok(script.into_text())
    }

    /// Reads a script back.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`](backstay_engine_api::ErrorKind::Damaged) if it is not what [`to_script`](Self::to_script)
    /// wrote.
    pub fn from_script(text: &str) -> Result<Self, EngineError> {
        let mut accounts = Self::default();
        for entry in Script::parse(text)? {
            let all = match entry.what {
                CREATE => &mut accounts.create,
                _ => &mut accounts.grant,
            };
            let account: Account = entry.about()?;
            if all.last().is_none_or(|last| last.account != account) {
                all.push(Owned::new(account, Vec::new()));
            }
            if let Some(last) = all.last_mut()
                && !entry.statement.is_empty()
            {
                last.statements.push(entry.statement.to_owned());
            }
        }
        Ok(accounts)
    }
}

/// Reads all accounts.
///
/// # Errors
/// The session's account may not see them; the advice names the GRANT.
pub fn read(session: &mut Session) -> Result<Accounts, EngineError> {
    if session.flavour().is_mariadb() {
        mariadb::read(session)
    } else {
        mysql::read(session)
    }
}

/// Reads the accounts that were there at a point, soon after it: few servers keep accounts from being changed meanwhile. Those that came
/// since are left out, for the log makes them.
///
/// # Errors
/// As [`read`]; [`ErrorKind::Busy`] if one of them is gone.
pub fn read_as_of(session: &mut Session, at_point: &HashSet<Account>) -> Result<Accounts, EngineError> {
    let mut accounts = read(session)?;
    let now = existing(session)?;
    if let Some(gone) = at_point.iter().find(|account| !now.contains(account)) {
        let message = format!("the account {} was dropped while the backup was begun", gone.quoted());
        return Err(EngineError::new(ErrorKind::Busy, message).advise("take the backup again"));
    }
    for owned in [&mut accounts.create, &mut accounts.grant] {
        owned.retain(|owned| at_point.contains(&owned.account) || owned.account.is_public());
    }
    let came: Vec<String> = now.difference(at_point).map(Account::as_role).collect();
    for owned in &mut accounts.grant {
        let statements = std::mem::take(&mut owned.statements);
        owned.statements = statements
            .into_iter()
            .filter_map(|statement| without(statement, &came))
            .collect();
    }
    Ok(accounts)
}

/// A GRANT or SET DEFAULT ROLE without these roles; `None` if it is about no other.
fn without(statement: String, roles: &[String]) -> Option<String> {
    let list_of = |verb: &'static str| {
        let rest = statement.strip_prefix(verb)?;
        let end = rest.find(" TO ").or_else(|| rest.find(" FOR "))?;
        Some((verb, rest.split_at(end)))
    };
    let Some((verb, (list, whom))) = list_of("GRANT ").or_else(|| list_of("SET DEFAULT ROLE ")) else {
        return Some(statement);
    };
    let stays = |item: &&str| !roles.iter().any(|role| role == item.trim());
    let kept: Vec<&str> = list.split(',').filter(stays).collect();
    match kept.len() {
        0 => None,
        all if all == list.split(',').count() => Some(statement),
        _ => Some(format!("{verb}{}{whom}", kept.join(","))),
    }
}

/// Reads foreign servers and loadable functions, as a script.
///
/// # Errors
/// As [`read`].
pub fn read_server_objects(session: &mut Session) -> Result<(String, Vec<Notice>), EngineError> {
    let mut script = Script::default();
    let notices = servers::read(session, &mut script)?;
    Ok((script.into_text(), notices))
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn roles_that_came_since() {
        let roles = ["`new`@`%`".to_owned(), "`later`".to_owned()];
        for (statement, want) in [
            (
                "GRANT `old`@`%`,`new`@`%` TO `u`@`h`",
                Some("GRANT `old`@`%` TO `u`@`h`"),
            ),
            ("GRANT `new`@`%` TO `u`@`h` WITH ADMIN OPTION", None),
            (
                "SET DEFAULT ROLE `new`@`%`,`old`@`%` TO `u`@`h`",
                Some("SET DEFAULT ROLE `old`@`%` TO `u`@`h`"),
            ),
            ("SET DEFAULT ROLE `later` FOR `u`@`h`", None),
            (
                "GRANT SELECT, INSERT ON `new`.* TO `later`",
                Some("GRANT SELECT, INSERT ON `new`.* TO `later`"),
            ),
            (
                "REVOKE SELECT ON `d`.* FROM `later`",
                Some("REVOKE SELECT ON `d`.* FROM `later`"),
            ),
        ] {
            assert_eq!(without(statement.to_owned(), &roles).as_deref(), want, "{statement}");
        }
    }
}
