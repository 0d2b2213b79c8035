//! Dumps of older shells, which write some things otherwise, and of shells that were told to.

use std::collections::BTreeMap;

use backstay_bed::{TestServer, run};
use backstay_engine_api::{ErrorKind, Selection};
use backstay_mysql::Flavour;
use serde_json::{Value, json};

use crate::{TestHost, dumps, files_of};

type Files = BTreeMap<String, Vec<u8>>;

fn bed() -> TestServer {
    TestServer::start(Flavour::MySql)
}

fn change(files: &mut Files, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&files[name]).unwrap();
    change(&mut value);
    files.insert(name.to_owned(), value.to_string().into_bytes());
}

fn position_of(bytes: &[u8], text: &str) -> usize {
    let text = text.as_bytes();
    let found = bytes.windows(text.len()).position(|window| window == text);
    found.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(text)))
}

/// A dump of a real shell of 9.6 as one of 8.0 writes it: no comments around CREATE DATABASE, no options in `@.json`, an empty table that is
/// not cut, grants that became comments; and a routine in the character set of whoever made it.
fn of_an_older_shell() -> Files {
    let mut files = files_of(&dumps().join("instance-none"));
    change(&mut files, "@.json", |head| {
        let head = head.as_object_mut().unwrap();
        head.remove("options");
        head.insert("version".to_owned(), "1.0.2".into());
    });
    let empty = files.remove("golden@t_empty@@0.tsv").unwrap();
    assert!(empty.is_empty());
    files.insert("golden@t_empty.tsv".to_owned(), empty);
    for name in ["golden.sql", "we%20ird-%40sch%25é.sql"] {
        let text = String::from_utf8(files[name].clone()).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("-- begin database") && !line.starts_with("-- end database"));
        files.insert(
            name.to_owned(),
            lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes(),
        );
    }
    let routine = "-- begin procedure `golden`.`latin`\n/*!50003 SET character_set_client = latin1 */ ;\n\
                   CREATE PROCEDURE `latin`() COMMENT 'Z\u{e4}hler' SELECT 'Z\u{e4}hler';\n\
                   /*!50003 SET character_set_client = utf8mb4 */ ;\n-- end procedure `golden`.`latin`\n";
    let script = files.get_mut("golden.sql").unwrap();
    script.extend(routine.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
    let users = files.get_mut("@.users.sql").unwrap();
    let at = position_of(users, "-- end grants 'golden_ro'@'localhost'");
    users.splice(
        at..at,
        *b"/* GRANT SELECT ON `old`.`t` TO `golden_ro`@`localhost` */;\n",
    );
    files
}

#[test]
fn a_dump_of_an_older_shell() {
    let target = bed();
    let host = TestHost::holding(of_an_older_shell());
    host.restore_all(target.address(), json!({})).unwrap();
    let mut session = target.session();
    let comment = "SELECT ROUTINE_COMMENT FROM information_schema.ROUTINES WHERE ROUTINE_NAME = 'latin'";
    assert_eq!(
        session.query_first::<String>(comment).unwrap().as_deref(),
        Some("Zähler")
    );
    let said: Option<String> = session.query_first("CALL golden.latin()").unwrap();
    assert_eq!(said.as_deref(), Some("Zähler"));
    let mut session = target.session();
    let tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('golden', 'we ird-@sch%é')";
    assert!(session.query_first::<u64>(tables).unwrap() > Some(30));
    assert_eq!(
        session
            .query_first::<u64>("SELECT COUNT(*) FROM golden.t_empty")
            .unwrap(),
        Some(0)
    );
    assert!(
        session
            .query_first::<u64>("SELECT COUNT(*) FROM golden.t_ints")
            .unwrap()
            > Some(0)
    );
    let users = "SELECT COUNT(*) FROM mysql.user WHERE User = 'golden_ro'";
    assert_eq!(session.query_first::<u64>(users).unwrap(), Some(1));
}

/// Before anything is replaced.
#[test]
fn without_create_database() {
    let target = bed();
    run(
        &mut target.session(),
        &[
            "CREATE DATABASE golden",
            "CREATE TABLE golden.t_ints (id INT PRIMARY KEY)",
        ],
    );
    let mut files = files_of(&dumps().join("instance-none"));
    let text = String::from_utf8(files["golden.sql"].clone()).unwrap();
    files.insert(
        "golden.sql".to_owned(),
        text.replace("CREATE DATABASE ", "CREATE THING ").into_bytes(),
    );
    let error = TestHost::holding(files)
        .restore(target.address(), true, Selection::default(), json!({"accounts": false}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    assert!(
        error
            .message
            .contains("`golden.sql` of the dump has no CREATE DATABASE"),
        "{error}"
    );
    let there: Option<u64> = target
        .session()
        .query_first("SELECT COUNT(*) FROM golden.t_ints")
        .unwrap();
    assert_eq!(there, Some(0));
}

#[test]
fn a_dump_of_no_point() {
    let mut files = files_of(&dumps().join("instance-none"));
    change(&mut files, "@.json", |head| {
        head["gtidExecutedInconsistent"] = true.into()
    });
    let target = bed();
    let host = TestHost::holding(files);
    let refused = host
        .restore_all(target.address(), json!({"accounts": false, "gtid": "set"}))
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Usage, "{refused}");
    let restored = host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let codes: Vec<&str> = restored.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert_eq!(codes, ["dump-inconsistent"], "{:?}", restored.notices);
    assert_eq!(restored.positions, []);
}

/// Tables without a key get one if the shell was told to leave it to the loader.
#[test]
fn keys_that_the_loader_makes() {
    let mut files = files_of(&dumps().join("instance-none"));
    change(&mut files, "@.json", |head| {
        head["compatibilityOptions"] = json!(["create_invisible_pks"])
    });
    let target = bed();
    TestHost::holding(files)
        .restore_all(target.address(), json!({"accounts": false}))
        .unwrap();
    let mut session = target.session();
    let made =
        "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE COLUMN_NAME = 'my_row_id' AND TABLE_NAME = 't_nopk'";
    assert_eq!(session.query_first::<u64>(made).unwrap(), Some(1));
    assert!(
        session
            .query_first::<u64>("SELECT COUNT(*) FROM golden.t_nopk")
            .unwrap()
            > Some(0)
    );
}
