//! The rows of `information_schema`: a query for each table of it, for all schemas at once.
//!
//! It compares names in collations of its own, so what comes back is looked up by the exact name.

use std::collections::{BTreeMap, HashMap};

use backstay_engine_api::EngineError;
use backstay_mysql::Session;
use backstay_mysql::mysql::prelude::FromRow;

use super::columns::ColumnRow;
use super::{Catalogue, Filter};
use crate::format::names::BaseNames;
use crate::format::table::Histogram;

/// By schema and name.
pub(super) type ByTable<T> = HashMap<(String, String), T>;

pub(super) struct Reader<'a> {
    pub(super) session: &'a mut Session,
    pub(super) filter: &'a Filter,
    /// The schemas, quoted, with commas.
    pub(super) list: String,
    pub(super) bases: BaseNames,
}

/// A row of `information_schema.TABLES`.
pub(super) struct TableRow {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) table_type: String,
    pub(super) engine: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) partitioned: bool,
    pub(super) comment: String,
}

/// A part of an index; without a name if it is an expression, or the beginning of a column.
pub(super) struct IndexColumn {
    pub(super) position: u64,
    pub(super) name: Option<String>,
    pub(super) descending: bool,
}

pub(super) struct PartitionRow {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Reader<'_> {
    pub(super) fn query<T: FromRow>(
        &mut self,
        select: &str,
        schema_column: &str,
        rest: &str,
    ) -> Result<Vec<T>, EngineError> {
        let list = &self.list;
        self.session
            .query(format!("{select} WHERE {schema_column} IN ({list}) {rest}"))
    }

    pub(super) fn table_rows(&mut self, catalogue: &mut Catalogue) -> Result<Vec<TableRow>, EngineError> {
        type Row = (
            String,
            String,
            String,
            Option<String>,
            Option<u64>,
            Option<u64>,
            Option<String>,
            Option<String>,
        );
        let rows: Vec<Row> = self.query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, CAST(TABLE_ROWS AS UNSIGNED), \
             CAST(DATA_LENGTH AS UNSIGNED), CREATE_OPTIONS, IF(TABLE_TYPE = 'VIEW', TABLE_COMMENT, '') FROM \
             information_schema.TABLES",
            "TABLE_SCHEMA",
            "AND TABLE_TYPE <> 'TEMPORARY'",
        )?;
        Ok(rows
            .into_iter()
            .map(
                |(schema, name, table_type, engine, rows, bytes, options, comment)| TableRow {
                    schema,
                    name,
                    table_type,
                    engine: engine.unwrap_or_default(),
                    rows: rows.unwrap_or(0),
                    bytes: bytes.unwrap_or(0),
                    partitioned: options.is_some_and(|options| options.contains("partitioned")),
                    comment: comment.unwrap_or_default(),
                },
            )
            .filter(|row| catalogue.schema_mut(&row.schema).is_some() && self.filter.table(&row.schema, &row.name))
            .collect())
    }

    pub(super) fn columns(&mut self) -> Result<ByTable<Vec<ColumnRow>>, EngineError> {
        type Row = (
            String,
            String,
            u64,
            String,
            String,
            String,
            Option<String>,
            String,
            Option<String>,
            String,
            String,
        );
        let rows: Vec<Row> = self.query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, CAST(ORDINAL_POSITION AS UNSIGNED), COLUMN_NAME, LOWER(DATA_TYPE), \
             LOWER(COLUMN_TYPE), COLLATION_NAME, IS_NULLABLE, GENERATION_EXPRESSION, COLUMN_KEY, EXTRA FROM \
             information_schema.COLUMNS",
            "TABLE_SCHEMA",
            "",
        )?;
        let mut found: ByTable<Vec<ColumnRow>> = HashMap::new();
        for (schema, table, position, name, data_type, column_type, collation, nullable, generated, key, extra) in rows
        {
            found.entry((schema, table)).or_default().push(ColumnRow {
                position,
                name,
                data_type,
                column_type,
                collation,
                nullable: nullable == "YES",
                generated: generated.unwrap_or_default(),
                primary: key == "PRI",
                kept: extra.contains("STORED GENERATED") || !key.is_empty(),
            });
        }
        for columns in found.values_mut() {
            columns.sort_by_key(|column| column.position);
        }
        Ok(found)
    }

    /// Columns of unique indexes that can be read by: name, and whether it is descending, by index.
    pub(super) fn unique_indexes(&mut self) -> Result<ByTable<BTreeMap<String, Vec<IndexColumn>>>, EngineError> {
        // An index that the optimizer may not use is none.
        let usable = match (self.session.flavour().is_mariadb(), self.session.version()) {
            (false, _) => "IS_VISIBLE = 'YES'",
            (true, version) if version.at_least(10, 6, 0) => "IGNORED = 'NO'",
            (true, _) => "TRUE",
        };
        type Row = (String, String, String, u64, Option<String>, Option<String>, Option<u64>);
        let rows: Vec<Row> = self.query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, CAST(SEQ_IN_INDEX AS UNSIGNED), COLUMN_NAME, COLLATION, \
             CAST(SUB_PART AS UNSIGNED) FROM information_schema.STATISTICS",
            "TABLE_SCHEMA",
            &format!("AND NON_UNIQUE = 0 AND (INDEX_NAME = 'PRIMARY' OR INDEX_TYPE = 'BTREE' AND {usable})"),
        )?;
        let mut found: ByTable<BTreeMap<String, Vec<IndexColumn>>> = HashMap::new();
        for (schema, table, index, position, column, collation, prefix) in rows {
            let index = found.entry((schema, table)).or_default().entry(index).or_default();
            index.push(IndexColumn {
                position,
                name: column.filter(|_| prefix.is_none()),
                descending: collation.as_deref() == Some("D"),
            });
        }
        for index in found.values_mut().flat_map(BTreeMap::values_mut) {
            index.sort_by_key(|column| column.position);
        }
        Ok(found)
    }

    pub(super) fn triggers(&mut self) -> Result<ByTable<Vec<String>>, EngineError> {
        type Row = (String, String, u64, String, String, String);
        let mut rows: Vec<Row> = self.query(
            "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, CAST(ACTION_ORDER AS UNSIGNED), EVENT_MANIPULATION, \
             ACTION_TIMING, TRIGGER_NAME FROM information_schema.TRIGGERS",
            "TRIGGER_SCHEMA",
            "",
        )?;
        rows.sort();
        let mut found: ByTable<Vec<String>> = HashMap::new();
        for (schema, table, .., name) in rows {
            found.entry((schema, table)).or_default().push(name);
        }
        Ok(found)
    }

    /// Which only MySQL has.
    pub(super) fn histograms(&mut self) -> Result<ByTable<Vec<Histogram>>, EngineError> {
        let mut found: ByTable<Vec<Histogram>> = HashMap::new();
        if self.session.flavour().is_mariadb() {
            return Ok(found);
        }
        type Row = (String, String, String, Option<u64>, Option<bool>);
        let mut rows: Vec<Row> = self.query(
            "SELECT SCHEMA_NAME, TABLE_NAME, COLUMN_NAME, \
             CAST(JSON_EXTRACT(HISTOGRAM, '$.\"number-of-buckets-specified\"') AS UNSIGNED), \
             JSON_EXTRACT(HISTOGRAM, '$.\"auto-update\"') = CAST('true' AS JSON) FROM information_schema.COLUMN_STATISTICS",
            "SCHEMA_NAME",
            "",
        )?;
        rows.sort();
        for (schema, table, column, buckets, auto_update) in rows {
            let Some(buckets) = buckets else { continue };
            found.entry((schema, table)).or_default().push(Histogram {
                column,
                buckets,
                auto_update: auto_update.unwrap_or_default(),
            });
        }
        Ok(found)
    }

    pub(super) fn partitions(&mut self) -> Result<ByTable<Vec<PartitionRow>>, EngineError> {
        type Row = (
            String,
            String,
            u64,
            Option<u64>,
            String,
            Option<String>,
            String,
            Option<u64>,
            Option<u64>,
        );
        let mut rows: Vec<Row> = self.query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, CAST(PARTITION_ORDINAL_POSITION AS UNSIGNED), \
             CAST(SUBPARTITION_ORDINAL_POSITION AS UNSIGNED), PARTITION_NAME, SUBPARTITION_NAME, PARTITION_METHOD, \
             CAST(TABLE_ROWS AS UNSIGNED), CAST(DATA_LENGTH AS UNSIGNED) FROM information_schema.PARTITIONS",
            "TABLE_SCHEMA",
            "AND PARTITION_NAME IS NOT NULL",
        )?;
        rows.sort();
        let mut found: ByTable<Vec<PartitionRow>> = HashMap::new();
        for (schema, table, _, _, partition, subpartition, _, rows, bytes) in rows {
            found.entry((schema, table)).or_default().push(PartitionRow {
                name: subpartition.unwrap_or(partition),
                rows: rows.unwrap_or(0),
                bytes: bytes.unwrap_or(0),
            });
        }
        Ok(found)
    }
}
