use super::*;

fn names(parts: &[Part]) -> Vec<&str> {
    parts.iter().map(|part| part.name.as_str()).collect()
}

fn parse(sql: &str) -> TableDdl {
    TableDdl::parse(sql, DeferIndexes::All, &[]).unwrap()
}

/// Everything that could be taken for something else.
const NASTY: &str = "CREATE TABLE IF NOT EXISTS `t ,(``KEY` (
  `id` int NOT NULL AUTO_INCREMENT COMMENT 'a, KEY `x` (`y`), it''s \\' )',
  `KEY` enum('a,b','c)(','PRIMARY KEY (`z`)') DEFAULT 'a,b',
  `g` geometry NOT NULL /*!80003 SRID 4326 */,
  `v` int GENERATED ALWAYS AS ((`id` + 1)) VIRTUAL,
  `s` int GENERATED ALWAYS AS ((`id` + 1)) STORED,
  `tx` text COMMENT 'ENGINE=MyISAM',
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`KEY`,`s`) USING BTREE COMMENT 'x,y',
  UNIQUE KEY `u,2` (`tx`(10) DESC),
  KEY `k``1` (`KEY`) /*!80000 INVISIBLE */,
  KEY `k2` (`v`),
  SPATIAL KEY `sp` (`g`),
  FULLTEXT KEY `f1` (`tx`) /*!50100 WITH PARSER `ngram` */ ,
  FULLTEXT KEY `f2` (`tx`),
  CONSTRAINT `fk,1` FOREIGN KEY (`s`, `v`) REFERENCES `p,t` (`a`, `b`) ON DELETE CASCADE,
  CONSTRAINT `fk2` FOREIGN KEY (`s`) REFERENCES `o``ther`.`p` (`a`),
  CONSTRAINT `c` CHECK ((`s` > 0)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COMMENT='x) KEY `k` (`id`)'
/*!50100 PARTITION BY RANGE (`id`)
(PARTITION p0 VALUES LESS THAN (100) ENGINE = InnoDB) */";

#[test]
fn nasty_names_and_comments() {
    let ddl = parse(NASTY);
    assert_eq!(names(&ddl.indexes), ["u", "u,2", "k`1", "k2", "sp"]);
    assert_eq!(ddl.indexes[2].definition, "KEY `k``1` (`KEY`) /*!80000 INVISIBLE */");
    assert_eq!(names(&ddl.fulltext), ["f1", "f2"]);
    assert_eq!(
        ddl.fulltext[0].definition,
        "FULLTEXT KEY `f1` (`tx`) /*!50100 WITH PARSER `ngram` */"
    );
    let keys: Vec<(&str, Option<&str>, &str)> = ddl
        .foreign_keys
        .iter()
        .map(|key| (key.part.name.as_str(), key.schema.as_deref(), key.table.as_str()))
        .collect();
    assert_eq!(keys, [("fk,1", None, "p,t"), ("fk2", Some("o`ther"), "p")]);
    assert_eq!(
        ddl.foreign_keys[1].referring_to("n`w"),
        "CONSTRAINT `fk2` FOREIGN KEY (`s`) REFERENCES `n``w`.`p` (`a`)"
    );
    assert!(
        ddl.create
            .starts_with("CREATE TABLE IF NOT EXISTS `t ,(``KEY` (\n  `id` int"),
        "{}",
        ddl.create
    );
    let end = "  PRIMARY KEY (`id`),\n  CONSTRAINT `c` CHECK ((`s` > 0)) /*!80016 NOT ENFORCED */\n) ENGINE=InnoDB AUTO_INCREMENT=5";
    assert!(ddl.create.contains(end), "{}", ddl.create);
    assert!(ddl.create.ends_with("ENGINE = InnoDB) */"), "{}", ddl.create);
    assert_eq!(ddl.auto_increment, Some(5));

    let fulltext = TableDdl::parse(NASTY, DeferIndexes::Fulltext, &[]).unwrap();
    assert_eq!((fulltext.indexes.len(), fulltext.fulltext.len()), (0, 2));
    let none = TableDdl::parse(NASTY, DeferIndexes::None, &[]).unwrap();
    assert_eq!(
        (none.indexes.len(), none.fulltext.len(), none.foreign_keys.len()),
        (0, 0, 2)
    );
}

#[test]
fn what_is_kept() {
    for (keys, deferred, why) in [
        ("PRIMARY KEY (`a`),\n  KEY `x` (`b`)", vec!["x"], "the primary key"),
        (
            "UNIQUE KEY `u` (`a`),\n  UNIQUE KEY `u2` (`b`)",
            vec!["u2"],
            "rows are stored by the first unique key",
        ),
        (
            "PRIMARY KEY (`b`),\n  KEY `x` (`b`),\n  KEY `n` (`n`),\n  KEY `y` (`b`)",
            vec!["y"],
            "AUTO_INCREMENT needs `n`, and `x` comes before it",
        ),
        (
            "PRIMARY KEY (`b`,`n`),\n  KEY `x` (`b`),\n  KEY `n` (`n`,`a`)",
            vec![],
            "a key that has the column second is none for it",
        ),
        (
            "PRIMARY KEY (`n`),\n  KEY `x` (`b`),\n  KEY `f` (((`a` + 1))),\n  KEY `v` (`v`)",
            vec!["x"],
            "keys on virtual columns stay in order",
        ),
        (
            "PRIMARY KEY (`n`),\n  KEY `f` (`b`,(cast(`j` as unsigned array)))",
            vec![],
            "an expression may come second",
        ),
        (
            "PRIMARY KEY (`n`),\n  KEY `p` (`b`(3))",
            vec!["p"],
            "a prefix is no expression",
        ),
    ] {
        let sql = format!(
            "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` text,\n  `n` int NOT NULL AUTO_INCREMENT,\n  `v` int GENERATED ALWAYS AS \
             (1) VIRTUAL,\n  {keys}\n) ENGINE=InnoDB"
        );
        let ddl = parse(&sql);
        assert_eq!(names(&ddl.indexes), deferred, "{why}");
    }
}

#[test]
fn mariadb_and_other_engines() {
    let sql = "CREATE TABLE `t` (\n  `id` bigint(20) NOT NULL DEFAULT nextval(`d`.`s`),\n  `u` uuid DEFAULT uuid(),\n  \
               `d1` date,\n  `d2` date,\n  `row_start` timestamp(6) GENERATED ALWAYS AS ROW START,\n  `row_end` timestamp(6) \
               GENERATED ALWAYS AS ROW END,\n  PRIMARY KEY (`id`,`row_end`),\n  UNIQUE KEY `w` (`u`,`p` WITHOUT OVERLAPS),\n  KEY \
               `i` (`u`) IGNORED,\n  PERIOD FOR SYSTEM_TIME (`row_start`, `row_end`),\n  PERIOD FOR `p` (`d1`, `d2`)\n) \
               ENGINE=InnoDB WITH SYSTEM VERSIONING";
    let ddl = parse(sql);
    assert_eq!(names(&ddl.indexes), ["w", "i"]);
    assert!(
        ddl.create
            .contains("PERIOD FOR `p` (`d1`, `d2`)\n) ENGINE=InnoDB WITH SYSTEM VERSIONING"),
        "{}",
        ddl.create
    );

    let sql = "CREATE TABLE `t` (\n  `a` int,\n  KEY `k` (`a`),\n  FULLTEXT KEY `f` (`b`)\n) ENGINE=MyISAM";
    let ddl = parse(sql);
    assert_eq!(ddl.create, sql);
    assert!(ddl.indexes.is_empty() && ddl.fulltext.is_empty());
}

#[test]
fn timestamps_without_a_default() {
    let sql = "CREATE TABLE `timestamp` (\n  `a` timestamp NOT NULL,\n  `b` timestamp(3) NOT NULL ON UPDATE CURRENT_TIMESTAMP(3),\n  \
               `c` timestamp NOT NULL /*!80023 INVISIBLE */ COMMENT 'DEFAULT',\n  `d` timestamp NULL DEFAULT NULL COMMENT 'NOT',\n  \
               `e` timestamp NULL,\n  `f` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,\n  `g` datetime NOT NULL,\n  `timestamp` \
               int NOT NULL,\n  `h` timestamp GENERATED ALWAYS AS (`a`) STORED NOT NULL,\n  `i` timestamp(6) GENERATED ALWAYS AS ROW \
               START,\n  KEY `timestamp` (`a`)\n) ENGINE=InnoDB";
    assert_eq!(bare_timestamps(sql), ["a", "b", "c"]);
    assert_eq!(bare_timestamps("CREATE VIEW `v` AS SELECT 1"), [""; 0]);
}

#[test]
fn what_is_no_table() {
    assert!(is_create_table("CREATE TABLE IF NOT EXISTS `a` (") && is_create_table("create\n table x("));
    for sql in [
        "CREATE TABLESPACE x",
        "CREATE VIEW `table` AS SELECT 1",
        "SET x = 'CREATE TABLE'",
    ] {
        assert!(!is_create_table(sql), "{sql}");
    }
    for sql in [
        "CREATE TABLE `a` LIKE `b`",
        "CREATE TABLE `a` (`x` int",
        "CREATE TABLE `a` (`x` int DEFAULT 'y)",
    ] {
        let error = TableDdl::parse(sql, DeferIndexes::All, &[]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged, "{sql}");
    }
}

#[test]
fn what_foreign_keys_refer_to_is_not_put_off() {
    let sql = "CREATE TABLE `t` (
  `id` int NOT NULL,
  `code` char(8) DEFAULT NULL,
  `a` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `one` (`a`),
  UNIQUE KEY `prefix` (`code`(4)),
  UNIQUE KEY `code` (`code`,`a`),
  KEY `more` (`a`,`code`)
) ENGINE=InnoDB";
    let put_off = |referred: &[&[&str]]| -> Vec<String> {
        let referred: Vec<Vec<String>> = referred
            .iter()
            .map(|columns| columns.iter().map(|name| (*name).to_owned()).collect())
            .collect();
        let ddl = TableDdl::parse(sql, DeferIndexes::All, &referred).unwrap();
        ddl.indexes.into_iter().map(|part| part.name).collect()
    };
    assert_eq!(put_off(&[]), ["one", "prefix", "code", "more"]);
    assert_eq!(put_off(&[&["id"]]), ["one", "prefix", "code", "more"]);
    assert_eq!(put_off(&[&["CODE"]]), ["more"]);
    assert_eq!(put_off(&[&["id"], &["code", "a"]]), ["more"]);
    assert_eq!(put_off(&[&["a", "code"]]), [""; 0]);
    assert_eq!(put_off(&[&["id", "code"]]), ["one", "prefix", "code", "more"]);
}

#[test]
fn names_of_checks() {
    let ddl = parse(NASTY);
    assert_eq!(ddl.checks, ["c"]);
    let ddl = parse("CREATE TABLE `t` (\n  `a` int DEFAULT NULL CHECK (`a` > 0),\n  CHECK (`a` < 9)\n)");
    assert_eq!(ddl.checks, [""]);
}
