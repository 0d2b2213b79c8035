//! Accounts whose restore was interrupted.

use backstay_bed::{TestServer, run};
use backstay_mysql::accounts::{self, Restorer};
use backstay_mysql::{Flavour, Session};

/// Who has the role, and may give it to others.
fn members(session: &mut Session) -> Vec<String> {
    session
        .query("SELECT CONCAT(User, ':', Admin_option) FROM mysql.roles_mapping WHERE Role = 'chief' ORDER BY User")
        .unwrap()
}

/// MariaDB makes whoever creates a role its administrator; a restore does not leave its own account so.
#[test]
fn a_role_is_given_up_after_an_interruption() {
    let bed = TestServer::start(Flavour::MariaDb);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE USER clerk@localhost",
            "CREATE ROLE chief",
            "GRANT SELECT ON *.* TO chief",
            "GRANT chief TO clerk@localhost",
            "REVOKE chief FROM root@localhost",
        ],
    );
    let taken = accounts::read(&mut session).unwrap();
    run(&mut session, &["DROP USER clerk@localhost", "DROP ROLE chief"]);
    let kept = accounts::existing(&mut session).unwrap();
    let mut refused = taken.clone();
    let last = refused.grant.last_mut().unwrap();
    last.statements.push("GRANT FLYING ON *.* TO chief".to_owned());
    Restorer::create_but(&mut session, &refused, &kept).unwrap_err();
    assert_eq!(members(&mut session), ["clerk:N", "root:Y"]);
    // The second time it was interrupted later, when it had given the role up.
    for _ in 0..2 {
        Restorer::create_but(&mut session, &taken, &kept).unwrap();
        assert_eq!(members(&mut session), ["clerk:N"]);
        assert_eq!(accounts::read(&mut session).unwrap(), taken);
    }
}
