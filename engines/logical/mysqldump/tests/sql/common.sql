-- Everything that a schema can hold and that MySQL and MariaDB share.
SET NAMES utf8mb4;
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE `od``d. /n%ame ü` CHARACTER SET latin1;
CREATE DATABASE `empty`;
CREATE DATABASE crm CHARACTER SET utf8mb4;

CREATE TABLE crm.customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL) ENGINE = InnoDB AUTO_INCREMENT = 70;
INSERT INTO crm.customers (name) VALUES ('Ada'), ('Grace'), ('O''Neil \\ "quoted"'), ('line\nbreak\r\n-- \nDELIMITER ;;\n'), ('😀');

CREATE TABLE shop.orders (
  id INT PRIMARY KEY AUTO_INCREMENT,
  customer INT,
  net DECIMAL(12, 2) NOT NULL,
  gross DECIMAL(12, 2) GENERATED ALWAYS AS (net * 1.19) STORED,
  twice DECIMAL(13, 2) GENERATED ALWAYS AS (net * 2) VIRTUAL,
  note TEXT COMMENT 'a comment\nwith a line\n--\n-- Table structure for table `customers`\n--\n',
  placed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY by_gross (gross),
  CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES crm.customers (id) ON DELETE SET NULL
) ENGINE = InnoDB;
INSERT INTO shop.orders (customer, net, note, placed)
  VALUES (70, 10.00, '--\n-- Table structure for table `x`\n--\n', '2026-01-01 00:00:01'), (71, 99.95, NULL, '2026-06-30 12:00:00'), (NULL, 0.01, '', '2026-06-30 12:00:00');

CREATE TABLE shop.bytes (id INT PRIMARY KEY, b VARBINARY(300), bl BLOB, bits BIT(12), g GEOMETRY, f FLOAT, d DOUBLE, j JSON, y YEAR, t TIME(6), e ENUM('a', 'b''c', 'ü'), s SET('x', 'y')) ENGINE = InnoDB;
INSERT INTO shop.bytes VALUES
  (1, x'00ff0a0d275c1a', x'00', b'101010101010', ST_GeomFromText('POINT(1 2)'), 1.5, 3.141592653589793, '{"a": [1, 2, null, "ü"]}', 2026, '-838:59:59.000000', 'ü', 'x,y'),
  (2, '', '', b'0', NULL, -0.25, -1e300, '[]', 1901, '00:00:00.000001', 'b''c', ''),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE shop.charsets (
  id INT PRIMARY KEY,
  l1 VARCHAR(40) CHARACTER SET latin1,
  gb VARCHAR(40) CHARACTER SET gbk,
  u16 VARCHAR(40) CHARACTER SET utf16,
  u32 VARCHAR(40) CHARACTER SET utf32,
  sj VARCHAR(40) CHARACTER SET sjis,
  bin VARCHAR(40) CHARACTER SET binary
) ENGINE = InnoDB;
INSERT INTO shop.charsets VALUES (1, 'café ÿ', '中文\\', 'ü😀', '𝄞', 'ソ表', x'fffe00'), (2, '', '', '', '', '', '');

CREATE TABLE shop.parts (id INT NOT NULL, k VARCHAR(10), PRIMARY KEY (id)) ENGINE = InnoDB
  PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO shop.parts VALUES (1, 'a'), (100, 'b'), (1000, 'c');
CREATE TABLE shop.myisam (id INT PRIMARY KEY, v VARCHAR(10), FULLTEXT (v)) ENGINE = MyISAM;
INSERT INTO shop.myisam VALUES (1, 'x');
CREATE TABLE shop.none (id INT PRIMARY KEY) ENGINE = InnoDB;

CREATE TABLE `od``d. /n%ame ü`.`t``a.b/l%e ü` (`c``o.l ü` INT PRIMARY KEY, `sel ect` VARCHAR(10)) ENGINE = InnoDB;
INSERT INTO `od``d. /n%ame ü`.`t``a.b/l%e ü` VALUES (1, 'x'), (2, 'ü');
CREATE TABLE `od``d. /n%ame ü`.`..` (id INT PRIMARY KEY) ENGINE = InnoDB;
CREATE TABLE `od``d. /n%ame ü`.`A` (id INT PRIMARY KEY) ENGINE = InnoDB;
CREATE TABLE `od``d. /n%ame ü`.`a` (id INT PRIMARY KEY, big VARCHAR(5)) ENGINE = InnoDB;

CREATE USER 'clerk'@'localhost' IDENTIFIED BY 'secret';
CREATE USER 'o''dd user'@'10.%' IDENTIFIED BY 'a\\b''c';
GRANT SELECT, INSERT (id, v), UPDATE (v) ON shop.myisam TO 'clerk'@'localhost';
GRANT ALL ON `sh_p`.* TO 'clerk'@'localhost' WITH GRANT OPTION;
GRANT PROCESS ON *.* TO 'o''dd user'@'10.%';
CREATE ROLE accounting;
GRANT SELECT ON crm.* TO accounting;
GRANT accounting TO 'clerk'@'localhost';

USE shop;
CREATE VIEW a_on_b AS SELECT id, customer FROM shop.orders;
CREATE DEFINER = 'clerk'@'localhost' SQL SECURITY INVOKER VIEW aa_on_a AS SELECT a.id, c.name FROM a_on_b a LEFT JOIN crm.customers c ON c.id = a.customer;
CREATE VIEW `0 first` AS SELECT * FROM aa_on_a WHERE name <> '--\n-- Dumping routines';
CREATE VIEW crm.`zähler` AS SELECT COUNT(*) AS n FROM shop.`0 first`;

DELIMITER $$
CREATE DEFINER = 'clerk'@'localhost' TRIGGER orders_bi BEFORE INSERT ON orders FOR EACH ROW
BEGIN
  -- Table structure for table `x`
  IF NEW.note IS NULL THEN
    SET NEW.note = 'none
--
-- Table structure for table `bytes`
--
';
  END IF;
END$$
CREATE TRIGGER orders_bi2 BEFORE INSERT ON orders FOR EACH ROW FOLLOWS orders_bi SET NEW.net = ABS(NEW.net)$$
CREATE DEFINER = 'clerk'@'localhost' PROCEDURE add_order(IN who INT, IN amount DECIMAL(12, 2))
  COMMENT 'adds an order'
BEGIN
  -- a comment that must stay
  /* and this one */
  INSERT INTO orders (customer, net) VALUES (who, amount);
  SELECT '
-- Dumping events for database ''shop''
';
END$$
SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'$$
CREATE FUNCTION hello("who" VARCHAR(20) CHARACTER SET latin1) RETURNS VARCHAR(40) CHARACTER SET utf8mb4 DETERMINISTIC NO SQL
  RETURN 'hello ' || "who"$$
SET SESSION sql_mode = 'STRICT_TRANS_TABLES'$$
SET SESSION time_zone = '+03:00'$$
CREATE DEFINER = 'clerk'@'localhost' EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' DISABLE COMMENT 'clears up' DO
BEGIN
  DELETE FROM shop.none;
  SELECT 'a;b';
END$$
SET SESSION time_zone = SYSTEM$$
SET SESSION character_set_client = utf8mb4$$
CREATE PROCEDURE `od``d. /n%ame ü`.`p`() SELECT 1$$
DELIMITER ;
