//! Accounts that come and go while a backup is begun.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::ErrorKind;
use backstay_mysql::{Flavour, accounts};

on_both!(what_came_since_is_left_out);

fn what_came_since_is_left_out(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    let default = |role: &str| match flavour.is_mariadb() {
        true => format!("SET DEFAULT ROLE {role} FOR stays@localhost"),
        false => format!("SET DEFAULT ROLE {role} TO stays@localhost"),
    };
    run(
        &mut session,
        &[
            "CREATE USER stays@localhost",
            "CREATE ROLE clerk",
            "GRANT clerk TO stays@localhost",
            &default("clerk"),
        ],
    );
    let at_point = accounts::existing(&mut session).unwrap();
    let before = accounts::read(&mut session).unwrap();
    run(
        &mut session,
        &[
            "CREATE USER comes@localhost",
            "CREATE ROLE later",
            "GRANT SELECT ON *.* TO comes@localhost",
            "GRANT later TO stays@localhost",
        ],
    );
    if !flavour.is_mariadb() {
        // There an account has several.
        run(&mut session, &[&default("ALL")]);
    }
    assert_ne!(accounts::read(&mut session).unwrap(), before);
    assert_eq!(accounts::read_as_of(&mut session, &at_point).unwrap(), before);
    run(&mut session, &["DROP USER stays@localhost"]);
    let error = accounts::read_as_of(&mut session, &at_point).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(error.message.contains("'stays'@'localhost' was dropped"), "{error}");
}
