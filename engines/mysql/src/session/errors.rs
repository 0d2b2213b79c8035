//! The driver's errors on a session that is open, in the operator's words.

use std::borrow::Cow;

use backstay_engine_api::{EngineError, ErrorKind};

use super::{account_name, quote_identifier};

/// How much of a statement an error shows, in characters.
const SHOWN: usize = 100;

/// A statement's beginning, on one line.
pub(crate) fn cut(sql: &str) -> Cow<'_, str> {
    let line = if sql.contains(['\n', '\r', '\t']) {
        Cow::Owned(sql.split_whitespace().collect::<Vec<_>>().join(" "))
    } else {
        Cow::Borrowed(sql)
    };
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => Cow::Owned(format!("{}…", &line[..at])),
        None => line,
    }
}

/// A statement for a message; of one that may carry a secret, no more than its first two words.
pub(crate) fn shown(sql: &str) -> String {
    let upper = sql.to_ascii_uppercase();
    if upper.contains("IDENTIFIED") || upper.contains("PASSWORD") {
        // `SET PASSWORD='…'` has the secret in its second.
        let before = sql.split(['\'', '"', '(', '=']).next().unwrap_or_default();
        before.split_whitespace().take(2).collect::<Vec<_>>().join(" ") + " …"
    } else {
        cut(sql).into_owned()
    }
}

pub(crate) fn query_error(error: &mysql::Error, sql: &str, account: &str) -> EngineError {
    match error {
        mysql::Error::MySqlError(error) => server_error(error.code, &error.state, &error.message, sql, account),
        mysql::Error::FromRowError(_) | mysql::Error::FromValueError(_) => EngineError::other(format!(
            "the server's answer to `{}` is not of the expected type",
            shown(sql)
        )),
        other => lost("the session", sql, plain(other)),
    }
}

/// The connection broke; `session` is what it was called.
pub(crate) fn lost(session: &str, sql: &str, text: String) -> EngineError {
    EngineError::new(
        ErrorKind::Connection,
        format!("{session} was lost during `{}`", shown(sql)),
    )
    .detail(text)
    .advise("look into the server's error log: did it restart, or was the session killed?")
}

/// The server's ERR to a statement; a missing privilege comes with the GRANT that mends it.
pub(crate) fn server_error(code: u16, state: &str, said: &str, sql: &str, account: &str) -> EngineError {
    let sql_shown = shown(sql);
    if let Some(grant) = missing_grant(code, said, sql, account) {
        let message = format!("{account} lacks a privilege for `{sql_shown}`");
        return EngineError::new(ErrorKind::Privilege, message)
            .detail(said)
            .advise(format!("run: {grant}"));
    }
    let kind = match code {
        // The disk or a table is full.
        1021 | 1114 => ErrorKind::Io,
        // Lock wait timeouts: of metadata locks and rows, and NOWAIT.
        1205 | 3572 => ErrorKind::Busy,
        // Functions and triggers where there is a binary log.
        1419 => ErrorKind::Privilege,
        // Session killed, statement interrupted, server shutting down.
        1053 | 1317 | 1927 | 3169 | 4031 => ErrorKind::Connection,
        _ => ErrorKind::Other,
    };
    let error =
        EngineError::new(kind, format!("the server refused `{sql_shown}`")).detail(format!("{code} ({state}): {said}"));
    match code {
        1021 => error.advise("make room on the server's disk, and try again"),
        1114 => error
            .advise("make room on the server's disk, and try again; a table in memory is full at max_heap_table_size"),
        1205 => error.advise("see who holds the lock (SHOW PROCESSLIST), and try again"),
        1419 => error.advise(format!(
            "run: SET GLOBAL log_bin_trust_function_creators = ON; or: GRANT SUPER ON *.* TO {}",
            account_name(account)
        )),
        // LOAD DATA LOCAL is off: MySQL, MariaDB.
        3948 | 4166 => error.advise("run: SET GLOBAL local_infile = 1"),
        _ => error,
    }
}

/// Whether the server rolled the transaction back because it stood against another one: it may be done again.
pub fn is_deadlock(error: &EngineError) -> bool {
    error.causes.iter().any(|cause| cause.starts_with("1213 (40001): "))
}

/// A driver's error without its wrapping.
pub(super) fn plain(error: &mysql::Error) -> String {
    match error {
        mysql::Error::IoError(inner) => inner.to_string(),
        mysql::Error::DriverError(inner) => inner.to_string(),
        mysql::Error::CodecError(inner) => inner.to_string(),
        mysql::Error::MySqlError(inner) => inner.to_string(),
        mysql::Error::TlsError(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

/// The GRANT that mends an error about privileges; `None` for any other error.
fn missing_grant(code: u16, message: &str, sql: &str, account: &str) -> Option<String> {
    let to = account_name(account);
    let quoted = |before: &str| {
        let rest = message.split_once(before)?.1;
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '`'))?;
        rest[1..].split(quote).next().map(str::to_owned)
    };
    match code {
        // Access denied; you need (at least one of) the RELOAD, BACKUP_ADMIN privilege(s) for this operation
        1227 => {
            let list = message.split_once("of) the ")?.1.split_once(" privilege")?.0;
            // Where several would do, the one that is no SUPER is the smaller.
            let mut names = list.split(',').flat_map(|name| name.split(" or ")).map(str::trim);
            let first = names.clone().find(|name| *name != "SUPER").or_else(|| names.next())?;
            Some(format!("GRANT {first} ON *.* TO {to}"))
        }
        // Access denied for user 'u'@'h' to database 'd'
        1044 => {
            let database = quoted("to database ")?;
            Some(format!(
                "GRANT {} ON {}.* TO {to}",
                verb_privilege(sql),
                quote_identifier(&database)
            ))
        }
        // SELECT command denied to user 'u'@'h' for table 't' (MariaDB: for table `d`.`t`)
        1142 | 1143 | 1370 => {
            let privilege = message
                .split(" command denied")
                .next()
                .filter(|words| words.len() < 40)?
                .to_uppercase();
            let on = message.split_once("for table `").and_then(|(_, rest)| {
                let (database, table) = rest.split_once("`.`")?;
                Some(format!(
                    "{}.{}",
                    quote_identifier(database),
                    quote_identifier(table.trim_end_matches('`'))
                ))
            });
            Some(format!(
                "GRANT {privilege} ON {} TO {to}",
                on.unwrap_or_else(|| "*.*".to_owned())
            ))
        }
        _ => None,
    }
}

/// What a statement needs on a database, by its first word.
fn verb_privilege(sql: &str) -> String {
    let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "CREATE" | "DROP" | "ALTER" => first,
        "LOCK" => "SELECT, LOCK TABLES".to_owned(),
        _ => "SELECT".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants() {
        for (code, message, sql, grant) in [
            (
                1227,
                "Access denied; you need (at least one of) the SUPER, BINLOG MONITOR privilege(s) for this operation",
                "SHOW MASTER STATUS",
                "GRANT BINLOG MONITOR ON *.* TO 'b'@'%'",
            ),
            (
                1227,
                "Access denied; you need (at least one of) the RELOAD or FLUSH_TABLES privilege(s) for this operation",
                "FLUSH TABLES",
                "GRANT RELOAD or FLUSH_TABLES ON *.* TO 'b'@'%'",
            ),
            (
                1044,
                "Access denied for user 'b'@'%' to database 'shop'",
                "DROP DATABASE shop",
                "GRANT DROP ON `shop`.* TO 'b'@'%'",
            ),
            (
                1142,
                "SELECT command denied to user 'b'@'localhost' for table `mysql`.`user`",
                "SELECT 1",
                "GRANT SELECT ON `mysql`.`user` TO 'b'@'%'",
            ),
            (
                1142,
                "SELECT command denied to user 'b'@'h' for table 'user'",
                "SELECT 1",
                "GRANT SELECT ON *.* TO 'b'@'%'",
            ),
        ] {
            // Either of several privileges is named once.
            let grant = grant.replace("RELOAD or FLUSH_TABLES", "RELOAD");
            assert_eq!(
                missing_grant(code, message, sql, "b@%").as_deref(),
                Some(grant.as_str()),
                "{message}"
            );
        }
        assert_eq!(
            missing_grant(1146, "Table 'a.b' doesn't exist", "SELECT 1", "b@%"),
            None
        );
    }

    #[test]
    fn statements_are_cut_and_secrets_left_out() {
        assert_eq!(cut("SELECT\n  1"), "SELECT 1");
        assert_eq!(cut(&"x".repeat(200)).chars().count(), SHOWN + 1);
        for (sql, want) in [
            ("CREATE USER x IDENTIFIED BY 'hunter2'", "CREATE USER …"),
            ("SET PASSWORD='hunter2'", "SET PASSWORD …"),
            ("SELECT PASSWORD(\"hunter2\")", "SELECT PASSWORD …"),
            ("ALTER\nUSER x identified by 'hunter2'", "ALTER USER …"),
        ] {
            assert_eq!(shown(sql), want);
        }
    }

    #[test]
    fn what_can_be_done_is_said() {
        for (code, kind, advice) in [
            (1021, ErrorKind::Io, "make room on the server's disk"),
            (1114, ErrorKind::Io, "make room on the server's disk"),
            (1205, ErrorKind::Busy, "SHOW PROCESSLIST"),
            (
                1419,
                ErrorKind::Privilege,
                "log_bin_trust_function_creators = ON; or: GRANT SUPER ON *.* TO 'b'@'%'",
            ),
            (4166, ErrorKind::Other, "local_infile = 1"),
        ] {
            let error = server_error(code, "HY000", "no", "SELECT 1", "b@%");
            assert_eq!(error.kind, kind, "{error}");
            assert_eq!(error.causes, [format!("{code} (HY000): no")]);
            let said = error.advice.unwrap_or_default();
            assert!(said.contains(advice), "{said}");
        }
        let other = server_error(1146, "42S02", "no", "SELECT 1", "b@%");
        assert_eq!((other.kind, other.advice), (ErrorKind::Other, None));
    }
}
