-- What MySQL alone has, and is hard.
SET NAMES utf8mb4;
CREATE DATABASE special CHARACTER SET utf8mb4;
USE special;
CREATE TABLE keys_of_all_kinds (
  a INT NOT NULL, b VARCHAR(20) NOT NULL, c BIGINT NOT NULL, n INT,
  UNIQUE KEY expression ((a + 1)), UNIQUE KEY prefix (b(5)), UNIQUE KEY nullable (n),
  UNIQUE KEY texts (b, a), UNIQUE KEY number (c DESC)
);
CREATE TABLE best_of_two (b VARCHAR(20) NOT NULL, c BIGINT NOT NULL, UNIQUE KEY a_text (b), UNIQUE KEY number (c)) ENGINE = MyISAM;
CREATE TABLE text_search (v TEXT, FULLTEXT KEY (v));
SET SESSION sql_generate_invisible_primary_key = ON;
CREATE TABLE without_key (v INT);
SET SESSION sql_generate_invisible_primary_key = OFF;
CREATE TABLE gone (id INT);
CREATE VIEW broken AS SELECT id FROM gone;
DROP TABLE gone;
CREATE LIBRARY code COMMENT 'it''s ;;' LANGUAGE JAVASCRIPT AS $$
// don't, `
export function f() { return ';;'.replace(/"/, '') /* $ */ } // #x
$$;
CREATE TABLE stamps (id INT PRIMARY KEY, t TIMESTAMP NOT NULL DEFAULT '2030-01-01 12:00:00')
  PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE);
