//! Accounts back onto a server. What is there already stays as it is.

use std::collections::HashSet;

use crate::session::{Session, quote_identifier};
use backstay_engine_api::{EngineError, Notice};

use super::script::Script;
use super::{Account, Accounts, Owned, PUBLIC};

/// A GRANT on what is not there yet: no such schema, table, column, routine.
const NOT_THERE_YET: [u16; 4] = [1049, 1146, 1054, 1305];
/// How the detail of a syntax error begins, as `server_error` has it.
const SYNTAX: &str = "1064 (";
/// MariaDB's REVOKE of a role that was revoked already: no administrator of it any more, or no member.
const GIVEN_UP: [u16; 2] = [1698, 1962];

/// Restores accounts in steps: what they are and most grants before the dump is loaded, for definers must exist and
/// views are checked against their rights; grants on single tables and routines once these are there.
#[derive(Debug, Default)]
pub struct Restorer {
    later: Vec<String>,
    /// Roles that this restore made, also before an interruption (MariaDB).
    adopted: Vec<String>,
    /// What was kept or left out so far.
    pub notices: Vec<Notice>,
}

impl Restorer {
    /// Creates the accounts that are missing, and grants what can be granted already.
    ///
    /// # Errors
    /// The server refuses a statement; the account may not create others.
    pub fn create(session: &mut Session, accounts: &Accounts) -> Result<Self, EngineError> {
        let existing = existing(session)?;
        Self::create_but(session, accounts, &existing)
    }

    /// The same after an interruption: accounts that are there, but not among those that were `kept`, are this restore's own. They
    /// are given what they are to be granted.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_but(
        session: &mut Session,
        accounts: &Accounts,
        kept: &HashSet<Account>,
    ) -> Result<Self, EngineError> {
        let mut restorer = Self::default();
        let existing = existing(session)?;
        let mut made = HashSet::new();
        for Owned { account, statements } in &accounts.create {
            if existing.contains(account) && !kept.contains(account) {
                if account.role {
                    // The interruption may have come before it was given up.
                    restorer.adopted.push(account.user.clone());
                }
                made.insert(account.clone());
                continue;
            }
            if existing.contains(account) {
                let text =
                    "the target has this account: it was left as it is, its password and grants are not the backup's";
                restorer
                    .notices
                    .push(Notice::new("account-kept", text).about(account.quoted()));
                continue;
            }
            for statement in statements {
                run(session, statement, account)?;
            }
            if account.role {
                restorer.adopted.push(account.user.clone());
            }
            made.insert(account.clone());
        }
        for Owned { account, statements } in &accounts.grant {
            // Everybody's role is on every server; what the backup grants it is added.
            if !made.contains(account) && !account.is_public() {
                continue;
            }
            let granted = if existing.contains(account) || account.is_public() {
                granted(session, account)
            } else {
                Vec::new()
            };
            for statement in statements.iter().filter(|statement| !granted.contains(statement)) {
                if !grant(session, statement)? {
                    restorer.later.push(statement.clone());
                }
            }
        }
        restorer.keep_foreign_roles(session, &accounts.grant)?;
        Ok(restorer)
    }

    /// Grants what was not there yet; what is still not there is tried again the next time.
    ///
    /// # Errors
    /// The server refuses a statement.
    pub fn grant_more(&mut self, session: &mut Session) -> Result<(), EngineError> {
        for statement in std::mem::take(&mut self.later) {
            if !grant(session, &statement)? {
                self.later.push(statement);
            }
        }
        Ok(())
    }

    /// Ends the restore: each grant that could not be made becomes a notice, for what it is on is not in the backup.
    pub fn finish(mut self) -> Vec<Notice> {
        for statement in self.later {
            let text = format!("what it is on is not in the backup, so that it was not granted: {statement}");
            self.notices.push(Notice::new("grant-left-out", text));
        }
        self.notices
    }

    /// Whoever creates a role on MariaDB becomes its administrator. That ends, unless the backup says so too.
    fn keep_foreign_roles(&mut self, session: &mut Session, grants: &[Owned]) -> Result<(), EngineError> {
        let (user, host) = session.account().rsplit_once('@').unwrap_or((session.account(), "%"));
        let me = Account {
            user: user.to_owned(),
            host: host.to_owned(),
            role: false,
        };
        for role in std::mem::take(&mut self.adopted) {
            let role = quote_identifier(&role);
            let granted = format!("GRANT {role} TO ");
            let mine = grants.iter().any(|Owned { account, statements }| {
                *account == me && statements.iter().any(|statement| statement.starts_with(&granted))
            });
            if mine {
                continue;
            }
            let sql = format!("REVOKE {role} FROM {}", me.quoted());
            match mysql::prelude::Queryable::query_drop(session.conn(), &sql) {
                Err(mysql::Error::MySqlError(error)) if GIVEN_UP.contains(&error.code) => {}
                result => result.map_err(|error| session.error(&error, &sql))?,
            }
        }
        Ok(())
    }
}

/// Restores foreign servers and loadable functions.
///
/// # Errors
/// The server refuses a foreign server. A function whose library it does not have is a notice.
pub fn restore_server_objects(session: &mut Session, text: &str) -> Result<Vec<Notice>, EngineError> {
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
                result.map_err(|error| {
                    let what = format!("CREATE SERVER {}", quote_identifier(&name));
                    without_statement(session.error(&error, &what))
                })?;
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

/// The accounts that a server has.
///
/// # Errors
/// The session's account may not see them; the advice names the GRANT.
pub fn existing(session: &mut Session) -> Result<HashSet<Account>, EngineError> {
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

/// What an account of MariaDB's is granted already. A restore that was interrupted may have given up a role, which it could not grant
/// again; nor need it.
fn granted(session: &mut Session, account: &Account) -> Vec<String> {
    if !session.flavour().is_mariadb() {
        return Vec::new();
    }
    let name = if account.is_public() {
        PUBLIC.to_owned()
    } else {
        account.quoted()
    };
    // Whoever may not see it grants all of it again.
    session.query(format!("SHOW GRANTS FOR {name}")).unwrap_or_default()
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
    without_statement(session.error(error, what))
        .advise("mend it on the target (plug-in, component, partial_revokes, privilege), or restore with the option accounts = false")
}

/// An error without what the server quotes of the statement, which may be a password's hash: `… syntax to use near '…' at line 1`.
fn without_statement(mut error: EngineError) -> EngineError {
    for cause in &mut error.causes {
        if cause.starts_with(SYNTAX)
            && let Some(at) = cause.find(" near '").or_else(|| cause.find('\''))
        {
            cause.truncate(cause[..at].trim_end().len());
            cause.push_str(" …");
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::without_statement;
    use crate::session::errors::server_error;

    #[test]
    fn what_a_server_quotes_is_not_shown() {
        let shown = |code: u16, said: &str| {
            let error = server_error(code, "42000", said, "creating 'a'@'%'", "b@%");
            without_statement(error).to_string()
        };
        for (said, kept) in [
            (
                "You have an error in your SQL syntax; check the manual for the right syntax to use near 'BY 'secret'' at line 1",
                "the right syntax to use …",
            ),
            // In another language.
            (
                "Fehler in der SQL-Syntax bei 'BY 'secret'' in Zeile 1",
                "SQL-Syntax bei …",
            ),
        ] {
            let shown = shown(1064, said);
            assert!(!shown.contains("secret") && shown.ends_with(kept), "{shown}");
        }
        let kept = shown(1396, "Operation CREATE USER failed for 'a'@'%'");
        assert!(kept.ends_with("failed for 'a'@'%'"), "{kept}");
    }
}
