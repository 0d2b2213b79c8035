//! Accounts back onto a server. What is there already stays as it is.

use std::collections::HashSet;

use backstay_engine_api::{EngineError, Notice};
use backstay_mysql::{Session, mysql, quote_identifier};

use super::Account;
use super::script::{Entry, Script};

/// A GRANT on what is not there yet: no such schema, table, column, routine.
const NOT_THERE_YET: [u16; 4] = [1049, 1146, 1054, 1305];

/// Restores accounts in steps: what they are and most grants before the dump is loaded, for definers must exist and
/// views are checked against their rights; grants on single tables and routines once these are there.
#[derive(Debug, Default)]
pub(crate) struct Restorer {
    later: Vec<String>,
    /// Roles that were made here, with their statements of membership (MariaDB).
    adopted: Vec<String>,
    pub(crate) notices: Vec<Notice>,
}

impl Restorer {
    /// Creates the accounts that are missing, and grants what can be granted already.
    ///
    /// # Errors
    /// The server refuses a statement; the account may not create others.
    pub(crate) fn create(session: &mut Session, text: &str) -> Result<Self, EngineError> {
        let mut restorer = Self::default();
        let existing = existing(session)?;
        let mut made = HashSet::new();
        let entries = Script::parse(text)?;
        for entry in entries.iter().filter(|entry| entry.what == "create") {
            let account: Account = entry.about()?;
            if existing.contains(&account) {
                let text =
                    "the target has this account: it was left as it is, its password and grants are not the backup's";
                restorer
                    .notices
                    .push(Notice::new("account-kept", text).about(account.quoted()));
                continue;
            }
            run(session, entry.statement, &account)?;
            if account.role {
                restorer.adopted.push(account.user.clone());
            }
            made.insert(account);
        }
        for entry in entries
            .iter()
            .filter(|entry| entry.what == "grant" && !entry.statement.is_empty())
        {
            let account: Account = entry.about()?;
            // Everybody's role is on every server; what the backup grants it is added.
            if !made.contains(&account) && !account.is_public() {
                continue;
            }
            if !grant(session, entry.statement)? {
                restorer.later.push(entry.statement.to_owned());
            }
        }
        restorer.keep_foreign_roles(session, &entries)?;
        Ok(restorer)
    }

    /// Grants what was not there yet; what is still not there is tried again the next time.
    ///
    /// # Errors
    /// The server refuses a statement.
    pub(crate) fn grant_more(&mut self, session: &mut Session) -> Result<(), EngineError> {
        for statement in std::mem::take(&mut self.later) {
            if !grant(session, &statement)? {
                self.later.push(statement);
            }
        }
        Ok(())
    }

    /// Ends the restore: each grant that could not be made becomes a notice, for what it is on is not in the backup.
    pub(crate) fn finish(mut self) -> Vec<Notice> {
        for statement in self.later {
            let text = format!("what it is on is not in the backup, so that it was not granted: {statement}");
            self.notices.push(Notice::new("grant-left-out", text));
        }
        self.notices
    }

    /// Whoever creates a role on MariaDB becomes its administrator. That ends, unless the backup says so too.
    fn keep_foreign_roles(&mut self, session: &mut Session, entries: &[Entry<'_>]) -> Result<(), EngineError> {
        let (user, host) = session.account().rsplit_once('@').unwrap_or((session.account(), "%"));
        let me = Account {
            user: user.to_owned(),
            host: host.to_owned(),
            role: false,
        };
        for role in std::mem::take(&mut self.adopted) {
            let role = quote_identifier(&role);
            let granted = format!("GRANT {role} TO ");
            let mut mine = false;
            for entry in entries
                .iter()
                .filter(|entry| entry.what == "grant" && entry.statement.starts_with(&granted))
            {
                mine |= entry.about::<Account>()? == me;
            }
            if !mine {
                session.run(format!("REVOKE {role} FROM {}", me.quoted()))?;
            }
        }
        Ok(())
    }
}

/// Restores foreign servers and loadable functions.
///
/// # Errors
/// The server refuses a foreign server. A function whose library it does not have is a notice.
pub(crate) fn restore_server_objects(session: &mut Session, text: &str) -> Result<Vec<Notice>, EngineError> {
    let servers: Vec<String> = session.query("SELECT Server_name FROM mysql.servers")?;
    let functions: Vec<String> = session.query("SELECT name FROM mysql.func")?;
    let has = |names: &[String], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let mut notices = Vec::new();
    for entry in Script::parse(text)? {
        let name: String = entry.about()?;
        if entry.what == "server" {
            if has(&servers, &name) {
                notices.push(
                    Notice::new(
                        "server-kept",
                        "the target has this foreign server: it was left as it is",
                    )
                    .about(name),
                );
            } else {
                // It can hold a password, which an error would show.
                let result = mysql::prelude::Queryable::query_drop(session.conn(), entry.statement);
                result.map_err(|error| session.error(&error, &format!("CREATE SERVER {}", quote_identifier(&name))))?;
            }
        } else if has(&functions, &name) {
            notices.push(Notice::new("function-kept", "the target has this loadable function").about(name));
        } else if let Err(error) = session.run(entry.statement) {
            let text = format!(
                "this loadable function could not be made; install its library, then run: {}",
                entry.statement
            );
            notices.push(Notice::new("function-left-out", format!("{text} ({error})")).about(name));
        }
    }
    Ok(notices)
}

fn existing(session: &mut Session) -> Result<HashSet<Account>, EngineError> {
    let role = if session.flavour().is_mariadb() {
        "is_role"
    } else {
        "'N'"
    };
    let rows: Vec<(String, String, String)> = session.query(format!("SELECT User, Host, {role} FROM mysql.user"))?;
    let account = |(user, host, role)| Account {
        user,
        host,
        role: role == "Y",
    };
    Ok(rows.into_iter().map(account).collect())
}

/// Runs a statement that may hold a password's hash: errors name the account instead.
fn run(session: &mut Session, statement: &str, account: &Account) -> Result<(), EngineError> {
    let result = mysql::prelude::Queryable::query_drop(session.conn(), statement);
    result.map_err(|error| refused(session, &error, &format!("creating {}", account.quoted())))
}

/// Whether what the grant is on was there.
fn grant(session: &mut Session, statement: &str) -> Result<bool, EngineError> {
    match mysql::prelude::Queryable::query_drop(session.conn(), statement) {
        Ok(()) => Ok(true),
        Err(mysql::Error::MySqlError(error)) if NOT_THERE_YET.contains(&error.code) => Ok(false),
        Err(error) => {
            // MariaDB shows hashes in its grants.
            let what = statement.split(" IDENTIFIED ").next().unwrap_or(statement);
            Err(refused(session, &error, what))
        }
    }
}

fn refused(session: &Session, error: &mysql::Error, what: &str) -> EngineError {
    session
        .error(error, what)
        .advise("mend it on the target (plug-in, component, partial_revokes, privilege), or restore with the option accounts = false")
}
