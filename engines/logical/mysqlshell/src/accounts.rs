//! `@.users.sql`: accounts, roles and grants, between markers that say whose they are:
//!
//! ```sql
//! -- begin user 'clerk'@'localhost'
//! CREATE USER IF NOT EXISTS `clerk`@`localhost` IDENTIFIED WITH 'caching_sha2_password' AS 0x24…;
//! -- end user 'clerk'@'localhost'
//! -- begin grants 'clerk'@'localhost'
//! GRANT SELECT ON `shop`.* TO `clerk`@`localhost`;
//! -- end grants 'clerk'@'localhost'
//! -- begin default role 'clerk'@'localhost'
//! SET DEFAULT ROLE `reader`@`%` TO 'clerk'@'localhost';
//! -- end default role 'clerk'@'localhost'
//! ```
//!
//! A role of MariaDB's has a name and no host.

mod parse;

use std::fmt::Write as _;

use backstay_mysql::accounts::{Account, Accounts, Owned};

use crate::definitions::Definitions;
pub(crate) use parse::parse;

/// Kinds of sections.
const USER: &str = "user";
const GRANTS: &str = "grants";
const DEFAULT_ROLE: &str = "default role";

/// What stands in a statement of the file, where the server's has it not: on a target that has the account, a reader that
/// is no Backstay goes on.
const CREATES: [(&str, &str); 2] = [
    ("CREATE USER ", "CREATE USER IF NOT EXISTS "),
    ("CREATE ROLE ", "CREATE ROLE IF NOT EXISTS "),
];

/// The file's text. It holds hashes of passwords.
pub(crate) fn write(accounts: &Accounts, definitions: &Definitions) -> String {
    let mut text = definitions.top("");
    text.push_str("--\n-- Dumping user accounts\n--\n\n");
    for Owned { account, statements } in &accounts.create {
        section(
            &mut text,
            USER,
            account,
            statements.iter().map(|statement| guarded(statement)),
        );
    }
    for Owned { account, statements } in &accounts.grant {
        let grants = statements.iter().filter(|statement| !is_default_role(statement));
        section(&mut text, GRANTS, account, grants.cloned());
    }
    for Owned { account, statements } in &accounts.grant {
        if statements.iter().any(|statement| is_default_role(statement)) {
            let roles = statements.iter().filter(|statement| is_default_role(statement));
            section(&mut text, DEFAULT_ROLE, account, roles.cloned());
        }
    }
    text.push_str("-- End of dumping user accounts\n\n");
    text
}

/// Accounts as `@.json` lists them.
pub(crate) fn names(accounts: &Accounts) -> Vec<String> {
    accounts.create.iter().map(|owned| owned.account.quoted()).collect()
}

fn section(text: &mut String, kind: &str, account: &Account, statements: impl Iterator<Item = String>) {
    // A name may hold a line's end, which would end the marker.
    let whom = account.quoted().replace('\n', "\\n").replace('\r', "\\r");
    // A string takes all that is written to it.
    let _ = writeln!(text, "-- begin {kind} {whom}");
    for statement in statements {
        let _ = writeln!(text, "{statement};");
    }
    let _ = writeln!(text, "-- end {kind} {whom}\n");
}

fn guarded(statement: &str) -> String {
    let found = CREATES.iter().find_map(|(plain, guarded)| {
        let rest = statement.strip_prefix(plain)?;
        Some(format!("{guarded}{rest}"))
    });
    found.unwrap_or_else(|| statement.to_owned())
}

fn plain(statement: &str) -> String {
    let found = CREATES.iter().find_map(|(plain, guarded)| {
        let rest = statement.strip_prefix(guarded)?;
        Some(format!("{plain}{rest}"))
    });
    found.unwrap_or_else(|| statement.to_owned())
}

fn is_default_role(statement: &str) -> bool {
    statement.starts_with("SET DEFAULT ROLE ")
}

#[cfg(test)]
mod tests;
