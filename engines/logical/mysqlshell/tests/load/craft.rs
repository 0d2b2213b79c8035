//! A dump of a schema, made by the plainest means, for what no dump of a shell has: MariaDB's types, large values.

use std::collections::BTreeMap;

use backstay_mysql::{Session, quote_identifier, quote_text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Types whose values are written in base64.
const BYTES: [&str; 12] = [
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "bit",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "vector",
];

/// Files of a dump of one schema, with so many rows in a chunk.
pub(crate) fn dump(session: &mut Session, schema: &str, rows_per_chunk: usize) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut put = |name: String, value: &Value| files.insert(name, value.to_string().into_bytes());
    let mariadb = session.flavour().is_mariadb();
    session.run("SET time_zone = '+00:00'").unwrap();
    session.run(format!("USE {}", quote_identifier(schema))).unwrap();
    let names: Vec<String> = session
        .query(format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_TYPE <> 'VIEW'",
            quote_text(schema)
        ))
        .unwrap();
    let backstay =
        json!({"version": "", "flavour": session.flavour().as_str(), "lowerCaseTableNames": 0, "positions": []});
    put(
        "@.json".into(),
        &json!({
            "dumper": "test", "version": "2.0.1", "schemas": [schema], "basenames": {schema: "S"}, "tzUtc": true,
            "serverVersion": session.version().to_string(), "backstay": mariadb.then_some(backstay),
        }),
    );
    let basenames: BTreeMap<&String, String> = names
        .iter()
        .enumerate()
        .map(|(at, name)| (name, format!("S@T{at}")))
        .collect();
    put(
        "S.json".into(),
        &json!({"schema": schema, "tables": names, "basenames": basenames}),
    );
    let mut chunk_bytes = BTreeMap::new();
    let mut texts = BTreeMap::new();
    let create = show(session, &format!("SHOW CREATE DATABASE {}", quote_identifier(schema)));
    let create = create.replacen("CREATE DATABASE", "CREATE DATABASE IF NOT EXISTS", 1);
    texts.insert(
        "S.sql".to_owned(),
        format!("-- begin database x\n{create};\n-- end database x\n").into_bytes(),
    );
    for (name, base) in &basenames {
        let columns: Vec<(String, String)> = session
            .query(format!(
                "SELECT COLUMN_NAME, LOWER(DATA_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND \
                 EXTRA NOT LIKE '%GENERATED%' ORDER BY ORDINAL_POSITION",
                quote_text(schema),
                quote_text(name)
            ))
            .unwrap();
        let is_bytes = |data_type: &String| BYTES.contains(&data_type.as_str());
        let decode: BTreeMap<&String, &str> = columns
            .iter()
            .filter(|(_, data_type)| is_bytes(data_type))
            .map(|(name, _)| (name, "FROM_BASE64"))
            .collect();
        let select: Vec<String> = columns
            .iter()
            .map(|(name, data_type)| {
                let name = quote_identifier(name);
                match data_type.as_str() {
                    "bit" => format!("CAST({name} AS BINARY)"),
                    "float" => format!("{name} - 0e0"),
                    "geometry" | "point" | "linestring" | "polygon" | "vector" => format!("CAST({name} AS BINARY)"),
                    _ => name,
                }
            })
            .collect();
        let rows: Vec<backstay_mysql::mysql::Row> = session
            .query(format!("SELECT {} FROM {}", select.join(", "), quote_identifier(name)))
            .unwrap();
        let mut chunks: Vec<Vec<u8>> = rows.chunks(rows_per_chunk).map(|rows| lines(rows, &columns)).collect();
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        let last = chunks.len() - 1;
        for (at, bytes) in chunks.into_iter().enumerate() {
            let file = format!("{base}{}{at}.tsv", if at == last { "@@" } else { "@" });
            chunk_bytes.insert(file.clone(), bytes.len());
            texts.insert(file, bytes);
        }
        let column_names: Vec<&String> = columns.iter().map(|(name, _)| name).collect();
        put(
            format!("{base}.json"),
            &json!({
                "options": {"schema": schema, "table": name, "columns": column_names, "decodeColumns": decode}, "extension": "tsv",
                "chunking": true,
            }),
        );
        let create = show(session, &format!("SHOW CREATE TABLE {}", quote_identifier(name)));
        let create = create.replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1);
        texts.insert(
            format!("{base}.sql"),
            format!("USE {};\n{create};\n", quote_identifier(schema)).into_bytes(),
        );
    }
    put("@.done.json".into(), &json!({"chunkFileBytes": chunk_bytes}));
    files.extend(texts);
    files
}

fn lines(rows: &[backstay_mysql::mysql::Row], columns: &[(String, String)]) -> Vec<u8> {
    use backstay_mysql::mysql::Value;
    let mut out = Vec::new();
    for row in rows {
        for (at, (_, data_type)) in columns.iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            match &row[at] {
                Value::Bytes(bytes) if BYTES.contains(&data_type.as_str()) => {
                    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                }
                Value::Bytes(bytes) => {
                    for byte in bytes {
                        match byte {
                            0 => out.extend_from_slice(b"\\0"),
                            8 => out.extend_from_slice(b"\\b"),
                            b'\n' => out.extend_from_slice(b"\\n"),
                            b'\r' => out.extend_from_slice(b"\\r"),
                            b'\t' => out.extend_from_slice(b"\\t"),
                            26 => out.extend_from_slice(b"\\Z"),
                            b'\\' => out.extend_from_slice(b"\\\\"),
                            byte => out.push(*byte),
                        }
                    }
                }
                _ => out.extend_from_slice(b"\\N"),
            }
        }
        out.push(b'\n');
    }
    out
}

fn show(session: &mut Session, sql: &str) -> String {
    session.query_named(sql).unwrap()[0].0[1].1.clone().unwrap()
}
