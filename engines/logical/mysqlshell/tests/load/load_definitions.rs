//! Definitions that are hard to write or to read: code between dollars, names with them, sequences that were set back; and the values of a SET that
//! look alike.

use backstay_bed::{TestServer, on_both, run};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::TestHost;
use crate::describe::{assert_same, describe};

on_both!(names_with_dollars, empty_members_of_a_set);

/// Dumps it and restores it.
fn restored(source: &TestServer) -> TestServer {
    let host = TestHost::new();
    host.backup(source.address(), json!({"compression": "none", "accounts": false}))
        .unwrap_or_else(|error| panic!("{error}"));
    let target = TestServer::start(source.flavour);
    host.restore_all(target.address(), json!({"accounts": false}))
        .unwrap_or_else(|error| panic!("{error}"));
    target
}

/// What SHOW CREATE says.
fn shown(session: &mut Session, what: &str) -> String {
    let rows = session
        .query_named(format!("SHOW CREATE {what}"))
        .unwrap_or_else(|error| panic!("{error}"));
    let (_, text) = rows[0]
        .0
        .iter()
        .find(|(column, _)| column.starts_with("Create "))
        .unwrap();
    text.clone().unwrap()
}

#[test]
fn code_in_dollar_quotes() {
    let source = TestServer::start(Flavour::MySql);
    let mut session = source.session();
    let libraries = [
        (
            "a",
            "$$\n// don't `\nexport function f(a) { return a.replace(/'/, \"\"); }\n$$",
        ),
        ("b", "$$ export function f() { return ';;' } // #x $$"),
        ("c", "$js$ export function f() { return '$$ ;;;' } /* ` */ $js$"),
        ("d", "$$ export const a = 1 $$"),
    ];
    run(&mut session, &["CREATE DATABASE d"]);
    for (name, code) in libraries {
        let sql = format!("CREATE LIBRARY d.{name} COMMENT 'it''s' LANGUAGE JAVASCRIPT AS {code}");
        run(&mut session, &[&sql]);
    }
    let routines = [
        "CREATE FUNCTION d.f(a VARCHAR(9)) RETURNS VARCHAR(9) DETERMINISTIC COMMENT 'it''s' LANGUAGE JAVASCRIPT USING (d.a AS a) AS $$ // don't\n \
         return a.replace(/`/, \"'\") // #x $$",
        "CREATE PROCEDURE d.p() LANGUAGE JAVASCRIPT AS $js$ '$$ ;;' // ` $js$",
    ];
    // Not every build of the server has another language.
    let taken = routines.iter().filter(|sql| session.run(sql).is_ok()).count();
    println!("{taken} routines in JavaScript");
    run(
        &mut session,
        &["CREATE PROCEDURE d.z() COMMENT 'don''t' SELECT 'it''s', '$$'"],
    );
    let target = restored(&source);
    let mut found = target.session();
    for (name, _) in libraries {
        let what = format!("LIBRARY d.{name}");
        assert_eq!(shown(&mut found, &what), shown(&mut session, &what));
    }
    assert_same(&describe(&mut session, &["d"]), &describe(&mut found, &["d"]));
}

/// Names as each server takes them, where the other has dollar quotes.
fn names_with_dollars(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (language INT, a TEXT, FULLTEXT KEY (a))",
            "CREATE PROCEDURE d.inside() SELECT 1 AS a$$b, 'it''s $$' AS c$d$",
            "CREATE PROCEDURE d.quoted() SELECT language AS `$a$`, MATCH (a) AGAINST ('b' IN NATURAL LANGUAGE MODE) AS `$a$`, 'it''s' FROM d.t",
        ],
    );
    if flavour.is_mariadb() {
        run(
            &mut session,
            &[
                "CREATE PROCEDURE d.plain() SELECT language AS $a$, MATCH (a) AGAINST ('b' IN NATURAL LANGUAGE MODE) AS $b$, 'it''s $a$' FROM d.t",
                "SET SESSION sql_mode = ORACLE",
                "CREATE PROCEDURE d.oracle AS $a$ INT := 1; BEGIN SELECT $a$ AS $b$, 'it''s'; END",
                "SET SESSION sql_mode = DEFAULT",
            ],
        );
    }
    let target = restored(&source);
    assert_same(
        &describe(&mut session, &["d"]),
        &describe(&mut target.session(), &["d"]),
    );
}

#[test]
fn sequences_that_were_set_back() {
    let source = TestServer::start(Flavour::MariaDb);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE SEQUENCE d.up START WITH 100",
            "ALTER SEQUENCE d.up RESTART WITH 5",
            "CREATE SEQUENCE d.down START WITH -50 INCREMENT BY -2 MINVALUE -100 MAXVALUE -1 NOCACHE",
            "ALTER SEQUENCE d.down RESTART WITH -10",
            "CREATE SEQUENCE d.used START WITH 100 NOCACHE",
            "ALTER SEQUENCE d.used RESTART WITH 5",
            "SELECT NEXTVAL(d.used)",
            "CREATE SEQUENCE d.moved",
            "ALTER SEQUENCE d.moved START WITH 50",
            "CREATE SEQUENCE d.cycled START WITH 3 MAXVALUE 3 CYCLE NOCACHE",
            "SELECT NEXTVAL(d.cycled)",
            "SELECT NEXTVAL(d.cycled)",
            "CREATE SEQUENCE d.forward START WITH 7 NOCACHE",
            "SELECT NEXTVAL(d.forward)",
        ],
    );
    let target = restored(&source);
    let mut found = target.session();
    for (name, next) in [
        ("up", 5),
        ("down", -10),
        ("used", 6),
        ("moved", 1),
        ("cycled", 2),
        ("forward", 8),
    ] {
        let what = format!("SEQUENCE d.{name}");
        assert_eq!(shown(&mut found, &what), shown(&mut session, &what));
        let all = format!("SELECT * FROM d.{name}");
        assert_eq!(found.query_named(&all).unwrap(), session.query_named(&all).unwrap());
        let drawn: Option<i64> = found.query_first(format!("SELECT NEXTVAL(d.{name})")).unwrap();
        assert_eq!(drawn, Some(next), "{name}");
    }
}

/// A SET of the empty member alone, and one of none.
fn empty_members_of_a_set(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    let many: Vec<String> = (1..64).map(|at| format!("'{at}'")).collect();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            &format!(
                "CREATE TABLE d.t (id INT PRIMARY KEY, a SET('', 'a') NOT NULL, n SET('1', '', '2') CHARACTER SET latin1, u SET('b', '') CHARACTER \
                 SET utf16, b SET('', 'b') CHARACTER SET binary, m SET({}, ''))",
                many.join(", ")
            ),
            "INSERT INTO d.t VALUES (1, 0, 0, 0, 0, 0), (2, 1, 2, 2, 1, 9223372036854775808), (3, 3, 3, 3, 3, 9223372036854775809), (4, 2, 6, 1, 2, 3), \
             (5, 1, NULL, NULL, NULL, NULL)",
        ],
    );
    let target = restored(&source);
    assert_same(
        &describe(&mut session, &["d"]),
        &describe(&mut target.session(), &["d"]),
    );
    let numbers = "SELECT CONCAT_WS('/', id, a + 0, n + 0, u + 0, b + 0, m | 0) FROM d.t ORDER BY id";
    let read = |session: &mut Session| -> Vec<String> { session.query(numbers).unwrap() };
    let want = read(&mut session);
    assert!(want[1].starts_with("2/1/2/2/1/9223372036854775808"), "{want:?}");
    assert_eq!(read(&mut target.session()), want);
}
