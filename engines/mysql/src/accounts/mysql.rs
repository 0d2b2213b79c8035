//! MySQL's accounts. Roles are accounts there.

use crate::session::{Session, quote_identifier};
use backstay_engine_api::EngineError;

use super::{Account, Accounts, Owned, RESERVED};

/// Adds all accounts and their grants.
pub(super) fn read(session: &mut Session) -> Result<Accounts, EngineError> {
    // A salt of caching_sha2_password holds any byte but `$` and 0: as text it would not survive a change of character set.
    session.run("SET SESSION print_identified_with_as_hex = ON")?;
    let rows: Vec<(String, String)> = session.query("SELECT User, Host FROM mysql.user ORDER BY User, Host")?;
    let accounts: Vec<Account> = rows
        .into_iter()
        .filter(|(user, _)| !RESERVED.contains(&user.as_str()))
        .map(|(user, host)| Account {
            user,
            host,
            role: false,
        })
        .collect();
    let mut read = Accounts::default();
    for account in accounts {
        let default_roles = default_roles(session, &account)?;
        let create: Vec<String> = session.query(format!("SHOW CREATE USER {}", account.quoted()))?;
        let create = without_default_roles(create, &default_roles)?;
        read.create.push(Owned::new(account.clone(), create));
        let mut statements: Vec<String> = session.query(format!("SHOW GRANTS FOR {}", account.quoted()))?;
        if !default_roles.is_empty() {
            statements.push(format!(
                "SET DEFAULT ROLE {} TO {}",
                default_roles.join(","),
                account.quoted()
            ));
        }
        read.grant.push(Owned::new(account, statements));
    }
    Ok(read)
}

fn default_roles(session: &mut Session, account: &Account) -> Result<Vec<String>, EngineError> {
    let roles: Vec<(String, String)> = session.exec(
        "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles WHERE USER = ? AND HOST = ? ORDER BY 1, 2",
        (&account.user, &account.host),
    )?;
    Ok(roles
        .into_iter()
        .map(|(user, host)| format!("{}@{}", quote_identifier(&user), quote_identifier(&host)))
        .collect())
}

/// The statement without its DEFAULT ROLE clause: a role must have been granted before it can be a default.
fn without_default_roles(create: Vec<String>, roles: &[String]) -> Result<Vec<String>, EngineError> {
    if roles.is_empty() {
        return Ok(create);
    }
    let cut = |statement: String| {
        let (before, after) = statement.split_once(" DEFAULT ROLE ")?;
        // The roles come in any order, but as many bytes as here.
        let after = after.get(roles.join(",").len()..)?;
        after.starts_with(" REQUIRE ").then(|| format!("{before}{after}"))
    };
    create
        .into_iter()
        .map(|statement| {
            cut(statement).ok_or_else(|| {
                EngineError::other("the default roles of an account are not where SHOW CREATE USER usually has them")
                    .detail(roles.join(", "))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_roles_are_cut_out() {
        let roles = ["`a`@`%`".to_owned(), "`b`@`%`".to_owned()];
        let create = |text: &str| vec![text.to_owned()];
        let with =
            "CREATE USER `u`@`%` IDENTIFIED WITH 'p' AS 0x00 DEFAULT ROLE `b`@`%`,`a`@`%` REQUIRE NONE PASSWORD EXPIRE";
        let without = "CREATE USER `u`@`%` IDENTIFIED WITH 'p' AS 0x00 REQUIRE NONE PASSWORD EXPIRE";
        assert_eq!(without_default_roles(create(with), &roles).unwrap(), create(without));
        assert_eq!(without_default_roles(create(without), &[]).unwrap(), create(without));
        assert!(without_default_roles(create(with), &roles[..1]).is_err());
    }
}
