-- Definitions that are hard to write into a script: for MySQL and MariaDB.
SET NAMES utf8mb4;
SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION';
CREATE DATABASE `na``s
ty'" -- ü` CHARACTER SET latin1;
USE `na``s
ty'" -- ü`;
CREATE TABLE `t
-- ;` (id INT PRIMARY KEY, `c
*/` VARCHAR(20) DEFAULT '*/;;\n' COMMENT '/* -- #') ENGINE = InnoDB;
CREATE VIEW `v
*/;` AS SELECT '*/ ;; $$' AS `a */`, "it's -- #" AS `b
c`, id FROM `t
-- ;`;
DELIMITER //
CREATE TRIGGER `tr
;` BEFORE INSERT ON `t
-- ;` FOR EACH ROW SET NEW.id = NEW.id + 1 -- to the end
//
CREATE TRIGGER commented AFTER DELETE ON `t
-- ;` FOR EACH ROW BEGIN /* one; ' */ SET @x = '*/ ;; //'; # two; '
END//
CREATE TRIGGER second AFTER DELETE ON `t
-- ;` FOR EACH ROW PRECEDES commented SET @y = '/*!50000 x'//
CREATE EVENT `ev
*/` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' DISABLE DO SELECT '*/ ;;' /* ; */, 1 # end
//
CREATE EVENT ` EVENT x` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'it''s */ ;;' DO BEGIN END//
CREATE PROCEDURE delimiters()
BEGIN
  SELECT ';; $$ // \' \\', `a;;`, ";;" FROM (SELECT 1 AS `a;;`) AS t; -- ;;
  SELECT '
DELIMITER ;
DELIMITER ;;
';
  /* ;; */
END//
CREATE PROCEDURE `ends in a comment`() SELECT 1 -- really
//
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION'//
CREATE FUNCTION backslash() RETURNS VARCHAR(20) DETERMINISTIC RETURN CONCAT('a\', ';')//
SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'//
CREATE EVENT "quo`ted""" ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' DISABLE DO SELECT "id" FROM "t
-- ;"//
SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'//
SET NAMES latin1//
CREATE PROCEDURE utf8_as_latin1() SELECT 'ü', _utf8mb4'ü', _binary'ü'//
CREATE VIEW view_as_latin1 AS SELECT 'ü' AS a, _utf8mb4'ü' AS b, _binary'ü' AS c//
CREATE PROCEDURE latin1_ascii() SELECT 'u'//
SET NAMES utf8mb4//
CREATE PROCEDURE of_another_collation(a VARCHAR(20)) BEGIN DECLARE b VARCHAR(20) DEFAULT 'ü'; SELECT a, b; END//
ALTER DATABASE `na``s
ty'" -- ü` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin//
CREATE PROCEDURE of_this_collation(a VARCHAR(20)) SELECT a//
DELIMITER ;
