//! MariaDB's accounts and roles.

use crate::session::{Session, quote_identifier};
use backstay_engine_api::EngineError;

use super::{Account, Accounts, Owned, RESERVED};

/// Adds all accounts and roles, and their grants.
pub(super) fn read(session: &mut Session) -> Result<Accounts, EngineError> {
    let rows: Vec<(String, String, String)> =
        session.query("SELECT User, Host, is_role FROM mysql.user ORDER BY is_role, User, Host")?;
    let accounts: Vec<Account> = rows
        .into_iter()
        .filter(|(user, ..)| !RESERVED.contains(&user.as_str()))
        .map(|(user, host, role)| Account {
            user,
            host,
            role: role == "Y",
        })
        .collect();
    let mut read = Accounts::default();
    for account in accounts.iter().filter(|account| !account.is_public()) {
        let create = if account.role {
            vec![format!("CREATE ROLE {}", quote_identifier(&account.user))]
        } else {
            session.query(format!("SHOW CREATE USER {}", account.quoted()))?
        };
        read.create.push(Owned::new(account.clone(), create));
    }
    for account in accounts {
        let name = if account.is_public() {
            "PUBLIC".to_owned()
        } else {
            account.quoted()
        };
        let mut statements: Vec<String> = session.query(format!("SHOW GRANTS FOR {name}"))?;
        if account.role {
            // Those of the roles that this one has are shown too.
            let own = if account.is_public() {
                name
            } else {
                quote_identifier(&account.user)
            };
            statements.retain(|statement| is_granted_to(statement, &own));
        }
        read.grant.push(Owned::new(account, statements));
    }
    Ok(read)
}

fn is_granted_to(statement: &str, grantee: &str) -> bool {
    statement
        .rsplit_once(" TO ")
        .and_then(|(_, rest)| rest.strip_prefix(grantee))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_of_a_roles_roles_are_not_its_own() {
        for (statement, own) in [
            ("GRANT `accounting` TO `chief`", true),
            ("GRANT `accounting` TO `chief` WITH ADMIN OPTION", true),
            ("GRANT USAGE ON *.* TO `accounting`", false),
            ("GRANT SELECT ON ` TO `.* TO `chief`", true),
            ("GRANT `chief` TO `chief``s`", false),
        ] {
            assert_eq!(is_granted_to(statement, "`chief`"), own, "{statement}");
        }
    }
}
