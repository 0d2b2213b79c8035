//! A small shop with one of each: tables, views on views, routines, triggers, events, accounts.

use mysql::Conn;
use mysql::prelude::Queryable;

/// Statements that make it; both MySQL and MariaDB take them.
const STATEMENTS: &[&str] = &[
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE DATABASE shop_archive CHARACTER SET utf8mb4",
    "CREATE TABLE shop.customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL, city VARCHAR(50), \
     photo BLOB, joined DATETIME(6) NOT NULL DEFAULT '2026-01-01 00:00:00', UNIQUE KEY (name))",
    "CREATE TABLE shop.products (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) CHARACTER SET latin1 NOT NULL, \
     price DECIMAL(10,2) NOT NULL, price_with_tax DECIMAL(12,4) AS (price * 1.19) STORED, attributes JSON)",
    "CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, ordered DATE NOT NULL, \
     note TEXT, KEY (customer), CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES shop.customers (id))",
    "CREATE TABLE shop.order_lines (`order` INT NOT NULL, line INT NOT NULL, product INT NOT NULL, quantity INT NOT NULL, \
     PRIMARY KEY (`order`, line), FOREIGN KEY (`order`) REFERENCES shop.orders (id) ON DELETE CASCADE, \
     FOREIGN KEY (product) REFERENCES shop.products (id))",
    "CREATE TABLE shop_archive.`odd ``name``, 100%/é` (id INT PRIMARY KEY, `a column` VARBINARY(20), customer INT, \
     FOREIGN KEY (customer) REFERENCES shop.customers (id))",
    "CREATE TABLE shop.log (at DATETIME, what VARCHAR(200))",
    "CREATE VIEW shop.big_orders AS SELECT `order`, SUM(quantity) AS pieces FROM shop.order_lines GROUP BY `order` HAVING pieces > 5",
    "CREATE VIEW shop.a_view_on_a_view AS SELECT o.id, o.ordered, b.pieces FROM shop.orders o JOIN shop.big_orders b ON b.`order` = o.id",
    "CREATE FUNCTION shop.total(which INT) RETURNS DECIMAL(12,2) READS SQL DATA \
     RETURN (SELECT SUM(l.quantity * p.price) FROM shop.order_lines l JOIN shop.products p ON p.id = l.product WHERE l.`order` = which)",
    "CREATE PROCEDURE shop.note(IN what_happened VARCHAR(200)) BEGIN\n  -- Table structure for table `no_table`\n  \
     INSERT INTO shop.log VALUES ('2026-11-22 10:15:30', CONCAT('it''s ', what_happened, ';;'));\nEND",
    "CREATE TRIGGER shop.orders_noted AFTER INSERT ON shop.orders FOR EACH ROW INSERT INTO shop.log VALUES ('2026-11-22 10:15:30', CONCAT('order ', NEW.id))",
    "CREATE EVENT shop.tidy ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00' DISABLE DO DELETE FROM shop.log WHERE at < '2020-01-01'",
    "INSERT INTO shop.customers (name, city, photo) VALUES ('Zoë', 'Köln', X'00FF0A0D271A5C'), ('李雷', '北京', NULL), ('O''Brien 😀', '', X'')",
    "INSERT INTO shop.products (name, price, attributes) VALUES ('Café crème', 3.50, '{\"hot\": true, \"ml\": [100, 200]}'), ('Tea', 2.25, NULL)",
    "INSERT INTO shop.orders (customer, ordered, note) VALUES (1, '2026-11-01', 'line\\nbreak\\ttab \\\\ backslash \\'quote\\''), (2, '2026-11-02', NULL), (3, '2026-11-03', '')",
    "INSERT INTO shop.order_lines VALUES (1, 1, 1, 10), (1, 2, 2, 1), (2, 1, 2, 2), (3, 1, 1, 7)",
    "INSERT INTO shop_archive.`odd ``name``, 100%/é` VALUES (1, X'000102FF', 1), (2, NULL, NULL)",
];

/// Accounts, with a password of odd characters.
const ACCOUNTS: &[&str] = &[
    "CREATE USER 'clerk'@'localhost' IDENTIFIED BY 'it''s \\\\ #1; \"secret\"'",
    "GRANT SELECT, INSERT ON shop.* TO 'clerk'@'localhost'",
    "GRANT UPDATE (note) ON shop.orders TO 'clerk'@'localhost'",
    "GRANT EXECUTE ON PROCEDURE shop.note TO 'clerk'@'localhost'",
    "CREATE ROLE seller",
    "GRANT SELECT ON shop_archive.* TO seller",
    "GRANT seller TO 'clerk'@'localhost'",
];

/// The password of `clerk`.
pub const CLERKS_PASSWORD: &str = "it's \\ #1; \"secret\"";

/// Makes the shop.
///
/// # Panics
/// A statement fails.
pub fn create(conn: &mut Conn) {
    conn.query_drop("SET NAMES utf8mb4").expect("SET NAMES");
    for statement in STATEMENTS.iter().chain(ACCOUNTS) {
        conn.query_drop(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// The grants of an account, sorted.
///
/// # Panics
/// There is no such account.
pub fn grants(conn: &mut Conn, account: &str) -> Vec<String> {
    let mut grants: Vec<String> = conn.query(format!("SHOW GRANTS FOR {account}")).expect("grants");
    grants.sort();
    grants
}
