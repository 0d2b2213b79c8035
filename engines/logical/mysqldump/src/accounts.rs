//! Accounts, roles and grants; foreign servers and loadable functions.
//!
//! The dump tools leave them out, so a session of our own asks the server to show them, as statements. They are stored as SQL
//! that an operator could feed to a client, with markers that tell a restore what each statement is about:
//!
//! ```sql
//! -- create {"user":"clerk","host":"localhost","role":false}
//! CREATE USER `clerk`@`localhost` IDENTIFIED WITH 'caching_sha2_password' AS 0x24…;
//! -- grant {"user":"clerk","host":"localhost","role":false}
//! GRANT SELECT ON `shop`.* TO `clerk`@`localhost`;
//! ```
//!
//! All accounts stand before the first grant, for a grant can name any of them.

mod mariadb;
mod mysql;
mod restore;
mod script;
mod servers;

use backstay_engine_api::{EngineError, Notice};
use backstay_mysql::{Session, quote_text};
use serde::{Deserialize, Serialize};

pub(crate) use restore::{Restorer, restore_server_objects};
use script::Script;

/// Accounts that servers make for themselves.
const RESERVED: [&str; 4] = ["mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"];
/// MariaDB's role that everybody has. It is on every server and so never made.
const PUBLIC: &str = "PUBLIC";

/// An account or role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) user: String,
    /// Empty for MariaDB's roles.
    pub(crate) host: String,
    /// A role of MariaDB's; MySQL's are accounts like others.
    #[serde(default)]
    pub(crate) role: bool,
}

impl Account {
    /// For SQL and for messages: `'user'@'host'`, or a role's name in quotes.
    fn quoted(&self) -> String {
        if self.role {
            quote_text(&self.user)
        } else {
            format!("{}@{}", quote_text(&self.user), quote_text(&self.host))
        }
    }

    fn is_public(&self) -> bool {
        self.role && self.user == PUBLIC
    }
}

/// What was read, as SQL.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) accounts: String,
    pub(crate) server_objects: String,
    pub(crate) notices: Vec<Notice>,
}

/// Reads all of it.
///
/// # Errors
/// The account may not see them; the advice names the GRANT.
pub(crate) fn read(session: &mut Session) -> Result<Read, EngineError> {
    let mut script = Script::default();
    if session.flavour().is_mariadb() {
        mariadb::read(session, &mut script)?;
    } else {
        mysql::read(session, &mut script)?;
    }
    let mut server_objects = Script::default();
    let notices = servers::read(session, &mut server_objects)?;
    Ok(Read {
        accounts: script.into_text(),
        server_objects: server_objects.into_text(),
        notices,
    })
}
