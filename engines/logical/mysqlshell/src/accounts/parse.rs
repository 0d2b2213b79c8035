//! Reading `@.users.sql` back.

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::accounts::{Account, Accounts, Owned};

use super::{DEFAULT_ROLE, GRANTS, USER, plain};
use crate::definitions::outside;

/// Reads what [`write()`](super::write()) or a shell wrote.
///
/// # Errors
/// [`ErrorKind::Damaged`] if it is not of that form; the message does not show what stands there.
pub(crate) fn parse(text: &str) -> Result<Accounts, EngineError> {
    let mut accounts = Accounts::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let Some(marker) = line.strip_prefix("-- begin ") else {
            if line.is_empty() || line.starts_with("--") {
                continue;
            }
            return Err(damaged(text, line, "a statement outside of all sections"));
        };
        let (kind, account) = marked(marker).ok_or_else(|| damaged(text, line, "a marker that is none"))?;
        let end = format!("-- end {marker}");
        let mut statements = Vec::new();
        loop {
            if rest.is_empty() {
                return Err(damaged(text, line, "a section without its end"));
            }
            if rest.starts_with("--") || rest.starts_with('\n') {
                let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
                rest = after;
                // A shell leaves a comment where it changed or left out a statement.
                if line == end {
                    break;
                }
                continue;
            }
            // A shell makes a comment of a grant on what it left out, and of what an old server does not know.
            if let Some(after) = without_comment(rest) {
                rest = after;
                continue;
            }
            let semicolon = outside(rest).find(|(_, byte)| *byte == b';');
            let (at, _) = semicolon.ok_or_else(|| damaged(text, rest, "a statement without its end"))?;
            statements.push(plain(&rest[..at]));
            rest = rest[at + 1..].strip_prefix('\n').unwrap_or(&rest[at + 1..]);
        }
        match kind {
            USER => accounts.create.push(Owned::new(account, statements)),
            _ => match accounts.grant.iter_mut().find(|owned| owned.account == account) {
                Some(owned) => owned.statements.extend(statements),
                None => accounts.grant.push(Owned::new(account, statements)),
            },
        }
    }
    Ok(accounts)
}

/// What follows a comment that stands alone, with or without a semicolon. A version comment is a statement.
fn without_comment(text: &str) -> Option<&str> {
    let comment = text.strip_prefix("/*")?;
    if comment.starts_with('!') || comment.starts_with("M!") {
        return None;
    }
    let (_, after) = comment.split_once("*/")?;
    let after = after.strip_prefix(';').unwrap_or(after);
    Some(after.strip_prefix('\n').unwrap_or(after))
}

/// `user 'u'@'h'`, and the like.
fn marked(marker: &str) -> Option<(&'static str, Account)> {
    let kind = [USER, GRANTS, DEFAULT_ROLE]
        .into_iter()
        .find(|kind| marker.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))?;
    let (user, rest) = unquoted(&marker[kind.len() + 1..])?;
    let (host, role) = match rest.strip_prefix('@') {
        Some(rest) => (unquoted(rest).filter(|(_, rest)| rest.is_empty())?.0, false),
        None if rest.is_empty() => (String::new(), true),
        None => return None,
    };
    Some((kind, Account { user, host, role }))
}

/// The text that is quoted at the start, and what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('\'')?.chars();
    let mut name = String::new();
    loop {
        match chars.next()? {
            '\'' => match chars.as_str().strip_prefix('\'') {
                Some(rest) => {
                    name.push('\'');
                    chars = rest.chars();
                }
                None => return Some((name, chars.as_str())),
            },
            '\\' => name.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                other => other,
            }),
            other => name.push(other),
        }
    }
}

/// `at` is a part of `text`.
fn damaged(text: &str, at: &str, found: &str) -> EngineError {
    let before = at.as_ptr().addr() - text.as_ptr().addr();
    let line = text[..before].lines().count() + 1;
    EngineError::new(
        ErrorKind::Damaged,
        format!("the dump's accounts (`@.users.sql`) can not be read: line {line} has {found}"),
    )
    .advise("restore without them (accounts = false), or take the dump again")
}
