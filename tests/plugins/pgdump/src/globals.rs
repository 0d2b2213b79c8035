//! The script of `pg_dumpall --globals-only`, for a server that has some of its roles already: at least the superuser
//! that `initdb` made. The script as it is would fail on them.

use std::collections::BTreeSet;

/// Leaves the roles that exist as they are, or makes them as the script has them. `roles` are identifiers. Gives back which
/// of them the script is about.
///
/// A role that is overwritten keeps memberships that the script does not have, and its password if the script has none.
pub(crate) fn adapt(script: &str, roles: &BTreeSet<String>, overwrite: bool) -> (String, BTreeSet<String>) {
    let mut met = BTreeSet::new();
    let mut adapted = String::with_capacity(script.len());
    for statement in statements(script) {
        match subject(without_comments(statement)) {
            Some((role, makes)) if roles.contains(role) => {
                met.insert(role.to_owned());
                if overwrite && makes {
                    adapted.push_str(&reset(role));
                } else if overwrite {
                    adapted.push_str(statement);
                }
            }
            _ => adapted.push_str(statement),
        }
    }
    (adapted, met)
}

/// The script says nothing of a role's attributes that are as they are by default.
fn reset(role: &str) -> String {
    format!("\nALTER ROLE {role} CONNECTION LIMIT -1 VALID UNTIL 'infinity';\nALTER ROLE {role} RESET ALL;")
}

/// The role that a statement makes or changes, and whether it makes it.
fn subject(text: &str) -> Option<(&str, bool)> {
    if let Some(rest) = text.strip_prefix("CREATE ROLE ") {
        return Some((identifier(rest)?, true));
    }
    if let Some(rest) = text
        .strip_prefix("ALTER ROLE ")
        .or_else(|| text.strip_prefix("COMMENT ON ROLE "))
    {
        return Some((identifier(rest)?, false));
    }
    let rest = text.strip_prefix("GRANT ")?;
    let member = rest[identifier(rest)?.len()..].strip_prefix(" TO ")?;
    Some((identifier(member)?, false))
}

/// The identifier that a text starts with, with its quotes.
fn identifier(text: &str) -> Option<&str> {
    let end = match text.strip_prefix('"') {
        None => text.find(|c: char| c.is_whitespace() || c == ';')?,
        Some(quoted) => {
            let mut at = 0;
            loop {
                at += quoted[at..].find('"')? + 1;
                if !quoted[at..].starts_with('"') {
                    break at + 1;
                }
                at += 1;
            }
        }
    };
    (end > 0).then(|| &text[..end])
}

/// A script cut after each statement; a command of psql's (`\restrict …`) ends with its line. `pg_dumpall` doubles quotes
/// and backslashes inside a string, so that a quote always toggles.
fn statements(script: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut start, mut quote, mut comment, mut command) = (0, None, false, false);
    let bytes = script.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        let end = match (quote, byte) {
            (Some(open), _) => {
                if byte == open {
                    quote = None;
                }
                false
            }
            (None, b'\n') if command => true,
            (None, b'\n') => {
                comment = false;
                false
            }
            (None, _) if comment || command => false,
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                false
            }
            (None, b'-') if bytes.get(at + 1) == Some(&b'-') => {
                comment = true;
                false
            }
            (None, b'\\') => {
                command = true;
                false
            }
            (None, _) => byte == b';',
        };
        if end {
            statements.push(&script[start..=at]);
            (start, comment, command) = (at + 1, false, false);
        }
    }
    statements.push(&script[start..]);
    statements
}

fn without_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        match text.strip_prefix("--") {
            Some(comment) => text = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
--
-- Roles; it's a comment
--

\\restrict abc'def

CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER PASSWORD 'a;''b';
CREATE ROLE \"odd \"\"one\";
COMMENT ON ROLE \"odd \"\"one\" IS E'x;\\\\\nCREATE ROLE app;';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
GRANT app TO \"odd \"\"one\" GRANTED BY postgres;
GRANT SET ON PARAMETER work_mem TO app;
\\unrestrict abc'def
";

    fn roles(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_script_is_cut_into_its_statements_and_nothing_is_lost() {
        let all = statements(SCRIPT);
        assert_eq!(all.concat(), SCRIPT);
        assert_eq!(all.len(), 11, "{all:#?}");
    }

    #[test]
    fn nothing_is_left_out_where_no_role_exists() {
        assert_eq!(
            adapt(SCRIPT, &roles(&["other"]), false),
            (SCRIPT.to_owned(), roles(&[]))
        );
    }

    #[test]
    fn roles_that_exist_are_kept_or_overwritten() {
        let exist = roles(&["postgres", "\"odd \"\"one\""]);
        let (kept_script, kept) = adapt(SCRIPT, &exist, false);
        assert_eq!(kept, exist);
        for gone in ["CREATE ROLE \"odd", "COMMENT ON", "ROLE postgres", "GRANT app"] {
            assert!(!kept_script.contains(gone), "{gone} in {kept_script}");
        }
        let (overwriting, replaced) = adapt(SCRIPT, &exist, true);
        assert_eq!(replaced, exist);
        assert!(!overwriting.contains("CREATE ROLE postgres") && !overwriting.contains("CREATE ROLE \"odd"));
        for there in [
            "ALTER ROLE postgres WITH",
            "ALTER ROLE postgres RESET ALL",
            "COMMENT ON ROLE",
            "GRANT app TO",
        ] {
            assert!(overwriting.contains(there), "{there} not in {overwriting}");
        }
    }
}
