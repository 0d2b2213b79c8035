//! Tables that nobody would think of: columns, keys and rows drawn at random from a seed, the same each time.

use backstay_bed::Flavour;
use mysql::prelude::Queryable;
use mysql::{Conn, Value};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// What a column may be.
struct Choice {
    sql: &'static str,
    /// Whether it may be part of a key, at this length of a prefix (0: whole).
    key: bool,
    draw: fn(&mut StdRng) -> Value,
}

fn integer(random: &mut StdRng, low: i128, high: i128) -> Value {
    let value = match random.random_range(0..6) {
        0 => low,
        1 => high,
        2 => low + random.random_range(0..=7),
        _ => random.random_range(low..=high),
    };
    // A number as text is right for signed and unsigned columns alike.
    Value::from(value.to_string())
}

/// Characters that are hard on somebody: escapes, quotes, delimiters, comments, wide ones.
const HARD: &[&str] = &[
    "\t", "\n", "\r", "\\", "\\N", "\0", "\u{1a}", "\u{8}", "'", "\"", "`", ";", "--", "/*", "*/", "%", "@@", "é", "ß",
    "日本", "😀", " ", "  ", "NULL", "\\t", ",", "\u{7f}", "x",
];

fn text(random: &mut StdRng, most: usize, wide: bool) -> String {
    let pieces = random.random_range(0..=most);
    let mut text = String::new();
    for _ in 0..pieces {
        if random.random_bool(0.3) {
            let piece = HARD.choose(random).copied().unwrap_or("x");
            if wide || piece.is_ascii() {
                text.push_str(piece);
            }
        } else {
            text.push(char::from(random.random_range(b'a'..=b'z')));
        }
    }
    text.chars().take(most).collect()
}

fn bytes(random: &mut StdRng, most: usize) -> Value {
    let mut bytes = vec![0; random.random_range(0..=most)];
    random.fill(&mut bytes[..]);
    Value::Bytes(bytes)
}

fn decimal(random: &mut StdRng, whole: u32, scale: u32) -> Value {
    let digits = |random: &mut StdRng, count: u32| -> String {
        (0..count)
            .map(|_| char::from(random.random_range(b'0'..=b'9')))
            .collect()
    };
    let sign = if random.random_bool(0.5) { "-" } else { "" };
    let drawn = random.random_range(0..=whole);
    Value::from(format!("{sign}0{}.{}", digits(random, drawn), digits(random, scale)))
}

fn float(random: &mut StdRng) -> f32 {
    loop {
        let value = f32::from_bits(random.random());
        if value.is_finite() {
            return value;
        }
    }
}

fn double(random: &mut StdRng) -> f64 {
    loop {
        let value = f64::from_bits(random.random());
        if value.is_finite() {
            return value;
        }
    }
}

fn date(random: &mut StdRng) -> String {
    if random.random_bool(0.05) {
        return "0000-00-00".to_owned();
    }
    let (year, month, day) = (
        random.random_range(1000..=9999),
        random.random_range(1..=12),
        random.random_range(1..=28),
    );
    format!("{year:04}-{month:02}-{day:02}")
}

fn time(random: &mut StdRng) -> String {
    format!(
        "{:02}:{:02}:{:02}.{:06}",
        random.random_range(0..24),
        random.random_range(0..60),
        random.random_range(0..60),
        random.random_range(0..1_000_000)
    )
}

fn json(random: &mut StdRng, depth: u32) -> serde_json::Value {
    use serde_json::{Value as Json, json};
    match random.random_range(0..if depth == 0 { 5 } else { 8 }) {
        0 => Json::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random::<i64>()),
        3 => json!(random.random_range(-1_000_000..1_000_000) as f64 / 64.0),
        4 => json!(text(random, 12, true)),
        5 | 6 => (0..random.random_range(0..4))
            .map(|_| json(random, depth - 1))
            .collect(),
        _ => {
            let members = random.random_range(0..4);
            Json::Object(
                (0..members)
                    .map(|_| (text(random, 6, true), json(random, depth - 1)))
                    .collect(),
            )
        }
    }
}

const CHOICES: &[Choice] = &[
    Choice {
        sql: "TINYINT",
        key: true,
        draw: |r| integer(r, -128, 127),
    },
    Choice {
        sql: "SMALLINT UNSIGNED",
        key: true,
        draw: |r| integer(r, 0, 65535),
    },
    Choice {
        sql: "MEDIUMINT",
        key: true,
        draw: |r| integer(r, -8_388_608, 8_388_607),
    },
    Choice {
        sql: "INT",
        key: true,
        draw: |r| integer(r, -2_147_483_648, 2_147_483_647),
    },
    Choice {
        sql: "INT",
        key: true,
        draw: |r| integer(r, 1, 2000),
    },
    Choice {
        sql: "BIGINT",
        key: true,
        draw: |r| integer(r, i64::MIN.into(), i64::MAX.into()),
    },
    Choice {
        sql: "BIGINT UNSIGNED",
        key: true,
        draw: |r| integer(r, 0, u64::MAX.into()),
    },
    Choice {
        sql: "DECIMAL(20,5)",
        key: true,
        draw: |r| decimal(r, 14, 5),
    },
    Choice {
        sql: "DECIMAL(65,30)",
        key: false,
        draw: |r| decimal(r, 34, 30),
    },
    Choice {
        sql: "FLOAT",
        key: false,
        draw: |r| Value::Float(float(r)),
    },
    Choice {
        sql: "DOUBLE",
        key: false,
        draw: |r| Value::Double(double(r)),
    },
    Choice {
        sql: "DATE",
        key: true,
        draw: |r| Value::from(date(r)),
    },
    Choice {
        sql: "DATETIME(6)",
        key: true,
        draw: |r| Value::from(format!("{} {}", date(r).replace("0000-00-00", "2000-01-01"), time(r))),
    },
    Choice {
        sql: "TIME(6)",
        key: true,
        draw: |r| Value::from(time(r)),
    },
    Choice {
        sql: "TIMESTAMP(6) NULL",
        key: false,
        draw: |r| Value::from(format!("2026-07-{:02} {}", r.random_range(1..=28), time(r))),
    },
    Choice {
        sql: "YEAR",
        key: true,
        draw: |r| integer(r, 1901, 2155),
    },
    Choice {
        sql: "BIT(33)",
        key: false,
        draw: |r| Value::UInt(r.random_range(0..1 << 33)),
    },
    Choice {
        sql: "CHAR(12)",
        key: true,
        draw: |r| Value::from(text(r, 12, true)),
    },
    Choice {
        sql: "VARCHAR(60)",
        key: true,
        draw: |r| Value::from(text(r, 60, true)),
    },
    Choice {
        sql: "VARCHAR(60) COLLATE utf8mb4_bin",
        key: true,
        draw: |r| Value::from(text(r, 60, true)),
    },
    Choice {
        sql: "VARCHAR(60) CHARACTER SET latin1",
        key: true,
        draw: |r| Value::from(text(r, 60, false)),
    },
    Choice {
        sql: "VARCHAR(60) CHARACTER SET utf16",
        key: true,
        draw: |r| Value::from(text(r, 60, true)),
    },
    Choice {
        sql: "VARCHAR(60) CHARACTER SET gbk",
        key: false,
        draw: |r| Value::from(text(r, 60, false)),
    },
    Choice {
        sql: "TEXT",
        key: false,
        draw: |r| Value::from(text(r, 900, true)),
    },
    Choice {
        sql: "MEDIUMTEXT CHARACTER SET latin1",
        key: false,
        draw: |r| Value::from(text(r, 900, false)),
    },
    Choice {
        sql: "BINARY(9)",
        key: true,
        draw: |r| bytes(r, 9),
    },
    Choice {
        sql: "VARBINARY(40)",
        key: true,
        draw: |r| bytes(r, 40),
    },
    Choice {
        sql: "BLOB",
        key: false,
        draw: |r| bytes(r, 700),
    },
    Choice {
        sql: "ENUM('a','','é','\\\\','x''y')",
        key: true,
        draw: |r| Value::UInt(r.random_range(1..=5)),
    },
    Choice {
        sql: "SET('a','é','\\\\','x y')",
        key: true,
        draw: |r| Value::UInt(r.random_range(0..16)),
    },
    Choice {
        sql: "JSON",
        key: false,
        draw: |r| Value::from(json(r, 4).to_string()),
    },
];

/// Makes tables `t0`, `t1`, … in a new schema, with rows; the same for the same seed. Returns their names.
///
/// # Panics
/// A statement fails.
pub fn create(conn: &mut Conn, flavour: Flavour, schema: &str, seed: u64, tables: u32) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    // NO_AUTO_VALUE_ON_ZERO and the like do not matter: nothing is AUTO_INCREMENT. Values that do not fit are cut, which is
    // as good as any other value.
    conn.query_drop("SET NAMES utf8mb4, sql_mode = '', time_zone = '+00:00'")
        .expect("a lenient session");
    conn.query_drop(format!("CREATE DATABASE {schema} CHARACTER SET utf8mb4"))
        .expect("the schema");
    (0..tables)
        .map(|number| table(conn, flavour, schema, number, &mut random))
        .collect()
}

fn table(conn: &mut Conn, flavour: Flavour, schema: &str, number: u32, random: &mut StdRng) -> String {
    let name = format!("t{number}");
    let columns: Vec<&Choice> = (0..random.random_range(1..=12))
        .filter_map(|_| CHOICES.choose(random))
        .collect();
    let mut parts: Vec<String> = Vec::new();
    let mut key: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].key).collect();
    key.truncate(random.random_range(0..=3));
    if random.random_bool(0.3) {
        key.reverse();
    }
    for (at, column) in columns.iter().enumerate() {
        let null = if key.contains(&at) { "NOT NULL" } else { "NULL" };
        let sql = column.sql.trim_end_matches(" NULL");
        parts.push(format!("c{at} {sql} {null}"));
    }
    let unique = !key.is_empty();
    if unique {
        let descending = flavour == Flavour::MySql && random.random_bool(0.2);
        let names: Vec<String> = key
            .iter()
            .map(|at| format!("c{at}{}", if descending { " DESC" } else { "" }))
            .collect();
        let what = if random.random_bool(0.8) {
            "PRIMARY KEY"
        } else {
            "UNIQUE KEY u"
        };
        parts.push(format!("{what} ({})", names.join(", ")));
    }
    if random.random_bool(0.5)
        && let Some(at) = (0..columns.len()).find(|at| columns[*at].key)
    {
        parts.push(format!("KEY second (c{at})"));
    }
    let engine = if random.random_bool(0.1) { "MyISAM" } else { "InnoDB" };
    conn.query_drop(format!(
        "CREATE TABLE {schema}.{name} ({}) ENGINE = {engine}",
        parts.join(", ")
    ))
    .unwrap_or_else(|error| panic!("{}: {error}", parts.join(", ")));

    let rows = match random.random_range(0..5) {
        0 => 0,
        1 => random.random_range(1..5),
        _ => random.random_range(200..1500),
    };
    let marks = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT IGNORE INTO {schema}.{name} VALUES ({marks})");
    let mut transaction = conn.start_transaction(mysql::TxOpts::default()).expect("a transaction");
    for _ in 0..rows {
        let values: Vec<Value> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| match key.contains(&at) {
                false if random.random_bool(0.1) => Value::NULL,
                _ => (column.draw)(random),
            })
            .collect();
        transaction
            .exec_drop(&insert, values)
            .unwrap_or_else(|error| panic!("{insert}: {error}"));
    }
    transaction.commit().expect("the rows");
    name
}
