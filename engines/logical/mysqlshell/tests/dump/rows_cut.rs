//! Tables with keys of every kind are cut into files of about one size, with every row in exactly one of them.

use std::collections::BTreeMap;

use backstay_bed::{TestServer, on_both, run};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::TestHost;

on_both!(keys_of_every_kind, partitions, tables_read_whole, tables_without_a_key);

const ROWS: u64 = 1 << 14;
/// The size of a file that is aimed at.
const CHUNK: u64 = 150_000;

/// A table `d.<name>` with these key columns, each by an expression of `n`, which counts from 0.
struct Case {
    name: &'static str,
    columns: &'static str,
    key: &'static str,
    values: &'static str,
    /// Whether there is a column to cut by.
    cut: bool,
}

const fn case(name: &'static str, columns: &'static str, key: &'static str, values: &'static str) -> Case {
    Case {
        name,
        columns,
        key,
        values,
        cut: true,
    }
}

const fn whole(name: &'static str, columns: &'static str, key: &'static str, values: &'static str) -> Case {
    Case {
        cut: false,
        ..case(name, columns, key, values)
    }
}

const CASES: &[Case] = &[
    case("ints", "k INT", "PRIMARY KEY (k)", "n"),
    case("negative", "k SMALLINT", "PRIMARY KEY (k)", "CAST(n AS SIGNED) - 16000"),
    case(
        "gaps",
        "k BIGINT",
        "PRIMARY KEY (k)",
        "IF(n < 8000, n, 1000000000000000000 + n)",
    ),
    case(
        "outlier",
        "k BIGINT",
        "PRIMARY KEY (k)",
        "IF(n = 0, -9223372036854775808, n)",
    ),
    case(
        "limits",
        "k BIGINT UNSIGNED",
        "PRIMARY KEY (k)",
        "IF(n < 9000, n, 18446744073709551615 - n + 9000)",
    ),
    case("skew", "k BIGINT", "PRIMARY KEY (k)", "FLOOR(POW(1.0019, n))+ n"),
    case(
        "decimals",
        "k DECIMAL(30,10)",
        "PRIMARY KEY (k)",
        "(CAST(n AS SIGNED) - 8000) * 0.0000000123",
    ),
    case(
        "dates",
        "k DATE",
        "PRIMARY KEY (k)",
        "DATE'1980-02-27' + INTERVAL n DAY",
    ),
    // A server lets them in only if it is told to, and compares with them only if it is told to.
    case(
        "days_that_are_not",
        "k DATETIME",
        "PRIMARY KEY (k)",
        "IF(n % 100 = 0, CONCAT('2021-02-31 ', SEC_TO_TIME(n)), CAST(TIMESTAMP'2021-01-01 00:00:00' + INTERVAL n * 600 SECOND AS CHAR))",
    ),
    case(
        "moments",
        "k DATETIME(6)",
        "PRIMARY KEY (k)",
        "TIMESTAMP'2020-02-28 23:59:59.9' + INTERVAL n * 1000 MICROSECOND",
    ),
    case(
        "stamps",
        "k TIMESTAMP",
        "PRIMARY KEY (k)",
        "FROM_UNIXTIME(1603580000 + n * 60)",
    ),
    case(
        "times",
        "k TIME(3)",
        "PRIMARY KEY (k)",
        "SEC_TO_TIME((CAST(n AS SIGNED) - 5000) * 1.5)",
    ),
    case("years", "y YEAR, k INT", "PRIMARY KEY (y, k)", "1950 + n % 40, n"),
    case(
        "prefix",
        "k VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "PRIMARY KEY (k)",
        "CONCAT('user_', REPEAT('x', 20), LPAD(n, 8, '0'))",
    ),
    case(
        "mixed",
        "k VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "PRIMARY KEY (k)",
        "IF(n % 2, UPPER(LEFT(SHA2(n, 256), 32)), LEFT(SHA2(n, 256), 32))",
    ),
    case(
        "spaces",
        "k VARCHAR(60) CHARACTER SET latin1",
        "PRIMARY KEY (k)",
        "CONCAT(CHAR(0xe0 + n % 20 USING latin1), LEFT(SHA2(n, 256), 32), REPEAT(' ', n % 3))",
    ),
    case(
        "codes",
        "k VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "PRIMARY KEY (k)",
        "IF(n % 2, UPPER(TO_BASE64(UNHEX(LEFT(SHA2(n, 256), 32)))), TO_BASE64(UNHEX(LEFT(SHA2(n, 256), 32))))",
    ),
    case(
        "cyrillic",
        "k VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "PRIMARY KEY (k)",
        "CONVERT(CONCAT(CHAR(0x0430 + n % 32 USING ucs2), CHAR(0x0430 + (n DIV 32) % 32 USING ucs2), n) USING utf8mb4)",
    ),
    case(
        "chinese",
        "k VARCHAR(60) CHARACTER SET gbk",
        "PRIMARY KEY (k)",
        "CONVERT(CONCAT(CHAR(0x4e00 + n % 5000 USING ucs2), n) USING gbk)",
    ),
    case(
        "wide",
        "k CHAR(40) CHARACTER SET utf16",
        "PRIMARY KEY (k)",
        "CONCAT('o''hara\\\\', LEFT(SHA2(n, 256), 32))",
    ),
    case(
        "hashes",
        "k BINARY(16)",
        "PRIMARY KEY (k)",
        "UNHEX(LEFT(SHA2(n, 256), 32))",
    ),
    case(
        "bytes",
        "k VARBINARY(40)",
        "PRIMARY KEY (k)",
        "CONCAT('ab', UNHEX(LPAD(HEX(n), 8, '0')), REPEAT(CHAR(0), n % 3))",
    ),
    case(
        "tenants",
        "t INT, k INT",
        "PRIMARY KEY (t, k)",
        "IF(n < 100, n, 100), n",
    ),
    case(
        "one_tenant",
        "t VARCHAR(10), u DATE, k INT",
        "PRIMARY KEY (t, u, k)",
        "'only', '0000-00-00', n",
    ),
    case("few_of_each", "t INT, k INT", "PRIMARY KEY (t, k)", "n % 3, n"),
    case("down", "k INT", "PRIMARY KEY (k DESC)", "n"),
    case("down_up", "t INT, k INT", "PRIMARY KEY (t DESC, k)", "n % 3, n"),
    case(
        "up_down",
        "t VARCHAR(10), k BIGINT",
        "PRIMARY KEY (t, k DESC)",
        "IF(n % 2, 'a', 'b'), CAST(n AS SIGNED) - 77",
    ),
    case(
        "either_case",
        "t VARCHAR(10) COLLATE utf8mb4_general_ci, k INT",
        "PRIMARY KEY (t, k)",
        "IF(n % 2, 'a', 'A'), n",
    ),
    case("unique_key", "k INT NOT NULL", "UNIQUE KEY u (k)", "n * 7"),
    case("odd`name", "`k``k` INT", "PRIMARY KEY (`k``k`)", "n"),
    whole(
        "enums",
        "k ENUM('b', 'a'), l INT",
        "PRIMARY KEY (k, l)",
        "IF(n % 2, 'a', 'b'), n",
    ),
    whole("floats", "k DOUBLE", "PRIMARY KEY (k)", "n / 7"),
    case(
        "then_enum",
        "t INT, e ENUM('b', 'a'), k INT",
        "PRIMARY KEY (t, e, k)",
        "n DIV 10, IF(n % 2, 'a', 'b'), n",
    ),
];

/// A server with the table `d.n`, of the numbers from 0.
fn numbers(flavour: Flavour) -> TestServer {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d DEFAULT CHARACTER SET utf8mb4",
            "CREATE TABLE d.n (n BIGINT PRIMARY KEY)",
            "INSERT INTO d.n VALUES (0)",
        ],
    );
    for power in 0..14 {
        session
            .run(format!("INSERT INTO d.n SELECT n + {} FROM d.n", 1 << power))
            .unwrap();
    }
    bed
}

fn fill(session: &mut Session, name: &str, definition: &str, values: &str) {
    let name = name.replace('`', "``");
    run(
        session,
        &[
            &format!("CREATE TABLE d.`{name}` (id INT NOT NULL, filler VARCHAR(100), {definition}"),
            &format!("INSERT INTO d.`{name}` SELECT n, REPEAT('x', 70), {values} FROM d.n"),
            &format!("ANALYZE TABLE d.`{name}`"),
        ],
    );
}

/// Of tables whose names match.
fn backup(bed: &TestServer, tables: &str) -> TestHost {
    backup_where(bed, tables, json!({}))
}

fn backup_where(bed: &TestServer, tables: &str, conditions: serde_json::Value) -> TestHost {
    let host = TestHost::new();
    let options = json!({"bytes_per_chunk": CHUNK, "compression": "none", "include_tables": [format!("d.{tables}")],
        "exclude_tables": ["d.n"], "accounts": false, "where": conditions});
    host.backup(bed.address(), options)
        .unwrap_or_else(|error| panic!("{error}"));
    host
}

/// The data files of a table or partition, in order, with their sizes; the `id` of each row must be there once.
fn files(host: &TestHost, base: &str, rows: u64) -> Vec<(String, usize)> {
    let objects = &host.backups()[0].objects;
    let numbered = |name: &str| {
        let number = name.strip_prefix(base)?.strip_prefix('@')?.strip_suffix(".tsv")?;
        number.trim_start_matches('@').parse::<usize>().ok()
    };
    let mut files: Vec<_> = objects
        .iter()
        .filter_map(|(name, object)| Some((numbered(name)?, name.clone(), object)))
        .collect();
    files.sort_by_key(|(number, ..)| *number);
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    for (at, (number, name, object)) in files.iter().enumerate() {
        assert_eq!(at, *number, "{base}: no gaps");
        assert_eq!(name.contains("@@"), at + 1 == files.len(), "{name}");
        assert_eq!(object.attributes.kind.as_deref(), Some("table-data"));
        assert!(objects.contains_key(&format!("{name}.idx")), "{name}");
        for line in object
            .bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let id = line.split(|byte| *byte == b'\t').next().unwrap();
            *seen.entry(String::from_utf8_lossy(id).parse().unwrap()).or_default() += 1;
        }
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{base}: {twice:?} in {files:?}", files = files.len());
    assert_eq!(seen.len() as u64, rows, "{base} has {} files", files.len());
    files
        .into_iter()
        .map(|(_, name, object)| (name, object.bytes.len()))
        .collect()
}

/// Which file is the last is not known while a table is read by one query, so that the last is empty; no range is.
fn by_one_query(files: &[(String, usize)]) -> bool {
    files.last().is_some_and(|(_, bytes)| *bytes == 0)
}

fn keys_of_every_kind(flavour: Flavour) {
    let bed = numbers(flavour);
    let mut session = bed.session();
    for case in CASES {
        let columns = case.columns.replace(", ", " NOT NULL, ");
        let definition =
            format!("{columns} NOT NULL, {}) ENGINE = InnoDB", case.key).replace("NOT NULL NOT NULL", "NOT NULL");
        let definition = definition.replace("('b' NOT NULL, 'a')", "('b', 'a')");
        let definition = definition.replace("(30 NOT NULL,10)", "(30,10)");
        fill(&mut session, case.name, &definition, case.values);
    }
    let mut wrong = Vec::new();
    for case in CASES {
        // By itself: of several tables of one size, the first would be read whole.
        let host = backup(&bed, case.name);
        let base = format!("d@{}", case.name.replace('`', "%60"));
        let files = files(&host, &base, ROWS);
        let largest = files.iter().map(|(_, bytes)| *bytes as u64).max().unwrap();
        println!("{base}: {} files, the largest of {largest}", files.len());
        let fine = files.len() >= 6 && files.len() <= 70 && largest < 3 * CHUNK;
        if !fine || by_one_query(&files) == case.cut {
            wrong.push(format!("{base}: {files:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn partitions(flavour: Flavour) {
    let bed = numbers(flavour);
    let mut session = bed.session();
    let range = "k INT NOT NULL, PRIMARY KEY (k)) PARTITION BY RANGE (k) (PARTITION small VALUES LESS THAN (100), \
                 PARTITION `la rge` VALUES LESS THAN (16000), PARTITION rest VALUES LESS THAN MAXVALUE)";
    let hash = "k INT NOT NULL, PRIMARY KEY (k)) PARTITION BY RANGE (k) SUBPARTITION BY HASH (k) SUBPARTITIONS 2 \
                (PARTITION a VALUES LESS THAN (8192), PARTITION b VALUES LESS THAN MAXVALUE)";
    fill(&mut session, "parts", range, "n");
    fill(&mut session, "subparts", hash, "n");
    let host = backup(&bed, "*");
    assert_eq!(files(&host, "d@parts@small", 100).len(), 1);
    assert!(files(&host, "d@parts@la%20rge", 15_900).len() > 5);
    assert_eq!(files(&host, "d@parts@rest", ROWS - 16_000).len(), 1);
    for name in ["asp0", "asp1", "bsp0", "bsp1"] {
        assert!(
            files(&host, &format!("d@subparts@{name}"), ROWS / 4).len() > 1,
            "{name}"
        );
    }
}

fn tables_read_whole(flavour: Flavour) {
    let bed = numbers(flavour);
    let mut session = bed.session();
    let names = ["w0", "w1", "w2", "w3", "w4", "w5"];
    for (name, key) in names.iter().zip(["PRIMARY", "UNIQUE"].iter().cycle()) {
        // The second index has all columns, and is what a server reads a table by that is not told otherwise.
        let definition = format!("k INT NOT NULL, {key} KEY (k), KEY (id, filler)) ENGINE = InnoDB");
        fill(&mut session, name, &definition, "16384 - n");
    }
    let host = backup(&bed, "w*");
    let whole = |name: &&&str| {
        let files = files(&host, &format!("d@{name}"), ROWS);
        assert!(files.len() >= 6, "{files:?}");
        let text = |(name, _): &(String, usize)| host.backups()[0].objects[name].bytes.clone();
        let all = files.iter().flat_map(text).collect::<Vec<u8>>();
        let text = String::from_utf8(all).unwrap();
        let key = |line: &str| line.rsplit('\t').next().unwrap().parse::<u32>().unwrap();
        assert!(
            text.lines().map(key).is_sorted(),
            "{name} is not in the order of its key"
        );
        by_one_query(&files)
    };
    let count = names.iter().filter(whole).count();
    assert!(
        (1..names.len()).contains(&count),
        "{count} tables were read by one query"
    );

    let even = json!({"d.w*": "k % 2 = 0"});
    let host = backup_where(&bed, "w*", even);
    for name in names {
        files(&host, &format!("d@{name}"), ROWS / 2);
    }

    let parts = "k INT NOT NULL, PRIMARY KEY (k)) PARTITION BY HASH (k) PARTITIONS 6";
    fill(&mut session, "parts", parts, "n");
    let host = backup(&bed, "parts");
    let whole = |part: &u64| {
        let rows = (0..ROWS).filter(|k| k % 6 == *part).count() as u64;
        by_one_query(&files(&host, &format!("d@parts@p{part}"), rows))
    };
    assert!((0..6).filter(whole).count() >= 1);
}

fn tables_without_a_key(flavour: Flavour) {
    let bed = numbers(flavour);
    let mut session = bed.session();
    fill(&mut session, "heap", "k INT)", "n");
    fill(&mut session, "nullable", "k INT, UNIQUE KEY (k))", "n");
    run(
        &mut session,
        &[
            "CREATE TABLE d.empty (k INT)",
            "CREATE TABLE d.empty_key (k INT PRIMARY KEY)",
        ],
    );
    fill(&mut session, "old", "k INT PRIMARY KEY) ENGINE = MyISAM", "n");
    let host = backup(&bed, "*");
    assert!(
        host.most_open() <= 3,
        "each thread has one object open at a time, and not {}",
        host.most_open()
    );
    for base in ["d@heap", "d@nullable"] {
        let files = files(&host, base, ROWS);
        let ((_, last), full) = files.split_last().unwrap();
        assert_eq!(*last, 0, "{files:?}");
        let (_, full) = full.split_last().unwrap();
        assert!(
            full.len() > 5
                && full
                    .iter()
                    .all(|(_, bytes)| (CHUNK..CHUNK + 200).contains(&(*bytes as u64))),
            "{files:?}"
        );
    }
    let sizes = |base: &str| {
        files(&host, base, 0)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes("d@empty"), ["d@empty@0.tsv", "d@empty@@1.tsv"]);
    assert_eq!(sizes("d@empty_key"), ["d@empty_key@@0.tsv"]);
    assert!(
        by_one_query(&files(&host, "d@old", ROWS)),
        "without snapshots, several queries do not fit together"
    );
}
