use backstay_engine_api::ErrorKind;

use super::*;
use crate::definitions::Definitions;

fn account(user: &str, host: &str, role: bool) -> Account {
    Account {
        user: user.to_owned(),
        host: host.to_owned(),
        role,
    }
}

fn owned(account: &Account, statements: &[&str]) -> Owned {
    Owned::new(
        account.clone(),
        statements.iter().map(|&text| text.to_owned()).collect(),
    )
}

#[test]
fn what_is_written_is_read_back() {
    let odd = account("o'h\\a;\nr-- end user 'x'@'y'", "10.%", false);
    let role = account("chief", "", true);
    let none = account("none", "%", false);
    let accounts = Accounts {
        create: vec![
            owned(&role, &["CREATE ROLE `chief`"]),
            owned(
                &odd,
                &[
                    "CREATE USER `o;`@`%` IDENTIFIED BY 'x;\\';\n-- end'",
                    "ALTER USER a ATTRIBUTE '{}'",
                ],
            ),
        ],
        grant: vec![
            owned(
                &odd,
                &[
                    "GRANT SELECT ON `a;``\n`.* TO \"u;\"",
                    "SET DEFAULT ROLE `chief` FOR 'o'@'%'",
                ],
            ),
            owned(&none, &[]),
            owned(&role, &["GRANT USAGE ON *.* TO `chief`"]),
        ],
    };
    let text = write(&accounts, &Definitions::for_tests());
    assert!(text.contains("\nCREATE ROLE IF NOT EXISTS `chief`;\n"), "{text}");
    assert_eq!(parse(&text).unwrap(), accounts, "{text}");
    assert_eq!(names(&accounts)[0], "'chief'");

    let cut = &text[..text.rfind("-- end default").unwrap()];
    let error = parse(cut).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged);
    assert!(!error.to_string().contains("IDENTIFIED"), "{error}");
}

#[test]
fn what_a_shell_wrote_is_written_again() {
    let text = include_str!("../../tests/fixtures/instance-none/@.users.sql");
    let accounts = parse(text).unwrap();
    let users: Vec<&str> = accounts
        .create
        .iter()
        .map(|owned| owned.account.user.as_str())
        .collect();
    let want = [
        "golden O Brien",
        "golden_ro",
        "golden_role",
        "golden_role2",
        "golden_user",
        "root",
    ];
    assert_eq!(users, want);
    let again = write(&accounts, &Definitions::for_tests());
    let body = |text: &str| text.split_once("--\n-- Dumping user").map(|(_, body)| body.to_owned());
    assert!(body(text).is_some());
    assert_eq!(body(&again), body(text));
}

#[test]
fn what_a_shell_made_a_comment_of() {
    let text = "-- begin user 'a'@'%'\nCREATE USER `a`@`%`;\n/* ALTER USER 'a'@'%' DEFAULT ROLE 'r'; */\n-- end user 'a'@'%'\n\n\
                -- begin grants 'a'@'%'\nGRANT USAGE ON *.* TO `a`@`%`;\n/* GRANT SELECT ON `old`.`t;` TO `a`@`%` */;\n\
                /*!80000 GRANT BACKUP_ADMIN ON *.* TO `a`@`%` */;\n-- end grants 'a'@'%'\n";
    let account = account("a", "%", false);
    let expected = Accounts {
        create: vec![owned(&account, &["CREATE USER `a`@`%`"])],
        grant: vec![owned(
            &account,
            &[
                "GRANT USAGE ON *.* TO `a`@`%`",
                "/*!80000 GRANT BACKUP_ADMIN ON *.* TO `a`@`%` */",
            ],
        )],
    };
    assert_eq!(parse(text).unwrap(), expected);
}
