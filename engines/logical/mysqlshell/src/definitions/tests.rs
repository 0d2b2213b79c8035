use super::text::{closed, delimiter, versioned};
use super::*;

#[test]
fn what_is_outside_of_quotes_and_comments() {
    for (text, want) in [
        ("a;b", "a;b"),
        ("a'x;''y\\';'b", "ab"),
        ("`a\\`;\"x\"\"y\\\";\"b", ";b"),
        ("a-- x;\nb--c;# y\nd", "ab--c;d"),
        ("a/* ; ' */b/*! ; */c", "abc"),
        ("a'open", "a"),
        ("é;", "é;"),
        ("a-", "a-"),
        ("a--", "a"),
        (
            "CREATE LIBRARY l LANGUAGE JAVASCRIPT /* ' */ COMMENT 'it''s' AS $js$ // don't ` $$\n#x $js$;b",
            "CREATE LIBRARY l LANGUAGE JAVASCRIPT  COMMENT  AS ;b",
        ),
        (
            "SELECT a$$b AS $a$; SELECT ';' AS $a$",
            "SELECT a$$b AS $a$; SELECT  AS $a$",
        ),
    ] {
        let left: Vec<u8> = outside(text).map(|(_, byte)| byte).collect();
        assert_eq!(String::from_utf8(left).unwrap(), want, "{text}");
    }
}

#[test]
fn a_delimiter_is_not_in_its_body() {
    for (body, want) in [
        ("SELECT 1", ";;"),
        ("SELECT ';;' /* ;; */", ";;"),
        ("SELECT 1;;", "$$"),
        ("SELECT 1;; SELECT '$$'", "$$$"),
        ("SELECT 1 AS $a$;; SELECT 2 AS $a$", "$$"),
        ("CREATE FUNCTION f() LANGUAGE JAVASCRIPT AS $$ a(); // don't $$", ";;"),
        (
            "CREATE FUNCTION f() LANGUAGE JAVASCRIPT AS $js$ for (;;) {} ';;;' $js$",
            ";;;;",
        ),
    ] {
        assert_eq!(delimiter(body), want, "{body}");
    }
}

#[test]
fn version_comments_go_around_what_has_no_comments() {
    assert_eq!(versioned(50003, "SELECT 1", " "), "/*!50003 SELECT 1 */");
    assert_eq!(versioned(50003, "SELECT '*/'", " "), "SELECT '*/'");
    assert_eq!(versioned(50003, "SELECT 1 -- x", " "), "/*!50003 SELECT 1 -- x\n */");
    assert_eq!(closed("-- x\nEND"), "-- x\nEND");
    assert_eq!(closed("x # y"), "x # y\n");
    assert_eq!(
        closed("LANGUAGE JAVASCRIPT AS $$ #x $$"),
        "LANGUAGE JAVASCRIPT AS $$ #x $$\n"
    );
}

#[test]
fn a_sequence_starts_elsewhere() {
    for (definition, want) in [
        (
            "`a start with 5 ` start with 5 minvalue 1 maxvalue 50 increment by 1 cache 10 nocycle ENGINE=InnoDB",
            Some(
                "`a start with 5 ` start with -3 minvalue 1 maxvalue 50 increment by 1 cache 10 nocycle ENGINE=InnoDB",
            ),
        ),
        (
            "`a start with 5 ` as int start with 5 minvalue 1 COMMENT=' start with 5 '",
            Some("`a start with 5 ` as int start with -3 minvalue 1 COMMENT=' start with 5 '"),
        ),
        ("`a start with 5 ` start with 50 minvalue 1", None),
        ("`b` start with 5 minvalue 1", None),
    ] {
        let found = with_start(definition, "`a start with 5 `", "5", "-3");
        assert_eq!(found.as_deref(), want, "{definition}");
    }
}

#[test]
fn a_name_does_not_end_a_comment() {
    let definitions = Definitions {
        host: "h\nDROP".to_owned(),
        version: "9".to_owned(),
    };
    let view = View {
        schema: "s\nDROP DATABASE x;".to_owned(),
        name: "v*/\rDROP".to_owned(),
        base: "b".to_owned(),
        columns: Vec::new(),
    };
    let text = definitions.placeholder(&view);
    let statements: String = outside(&text).map(|(_, byte)| char::from(byte)).collect();
    assert!(!statements.contains("DROP DATABASE"), "{text}");
    assert!(
        text.contains("-- Temporary view structure for view `v*/ DROP`\n"),
        "{text}"
    );
    assert!(text.contains("CREATE VIEW `v*/\rDROP` AS SELECT\n 1 AS `?`;"), "{text}");
}
