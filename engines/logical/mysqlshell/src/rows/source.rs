//! [`Source`]: what one series of data files is read from: a table, or a partition of one.

use backstay_mysql::quote_identifier;

use crate::catalogue::{Encoding, Partition, Table};

/// A table without partitions, or one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) table: &'a Table,
    pub(crate) partition: Option<&'a Partition>,
}

/// How the server sends FLOAT values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floats {
    /// As they are.
    Values,
    /// As text, which has six digits.
    Text,
}

impl<'a> Source<'a> {
    /// Of a table: itself, or its partitions.
    pub(crate) fn all(table: &'a Table) -> Vec<Self> {
        if table.partitions.is_empty() {
            return vec![Self { table, partition: None }];
        }
        let of = |partition| Self {
            table,
            partition: Some(partition),
        };
        table.partitions.iter().map(of).collect()
    }

    /// What its files' names begin with.
    pub(crate) fn base(&self) -> &'a str {
        self.partition.map_or(&self.table.base, |partition| &partition.base)
    }

    /// Its size in bytes, as the server estimates it.
    pub(crate) fn bytes(&self) -> u64 {
        self.partition.map_or(self.table.bytes, |partition| partition.bytes)
    }

    /// How many rows it has, as the server estimates it.
    pub(crate) fn rows(&self) -> u64 {
        self.partition.map_or(self.table.rows, |partition| partition.rows)
    }

    /// `schema.table`, and the partition: for messages.
    pub(crate) fn name(&self) -> String {
        let Table { schema, name, .. } = self.table;
        match self.partition {
            Some(partition) => format!("{schema}.{name}, partition {}", partition.name),
            None => format!("{schema}.{name}"),
        }
    }

    /// The table as FROM takes it.
    pub(crate) fn from(&self) -> String {
        let mut sql = format!(
            "{}.{}",
            quote_identifier(&self.table.schema),
            quote_identifier(&self.table.name)
        );
        if let Some(partition) = self.partition {
            sql += &format!(" PARTITION ({})", quote_identifier(&partition.name));
        }
        if self.table.system_versioned {
            sql += " FOR SYSTEM_TIME ALL";
        }
        sql
    }

    /// Says that the key is to be used. On a table that is clustered by it, rows then come in its order for nothing, also
    /// where another index has all columns.
    pub(crate) fn hint(&self) -> String {
        match &self.table.key_name {
            Some(key) => format!(" FORCE INDEX ({})", quote_identifier(key)),
            None => String::new(),
        }
    }

    /// WHERE with the workflow's condition for the rows, and another; empty if all are wanted.
    pub(crate) fn only(&self, condition: Option<&str>) -> String {
        // The workflow's is on lines of its own, for it may end with a comment.
        let workflow = self.table.condition.as_ref();
        let both: Vec<String> = workflow
            .map(|workflow| format!("(\n{workflow}\n)"))
            .into_iter()
            .chain(condition.map(str::to_owned))
            .collect();
        match both.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", both.join(" AND ")),
        }
    }

    /// The columns as SELECT takes them, each so that its text is exact.
    pub(crate) fn columns(&self, floats: Floats) -> String {
        let exact = |column: &crate::catalogue::Column| {
            let name = quote_identifier(&column.name);
            let value = match column.encoding {
                // As a DOUBLE, which is printed with as many digits as it takes; a FLOAT has six. Less 0, and not more: -0 + 0 is 0.
                Encoding::Float if floats == Floats::Text => format!("{name} - 0e0"),
                _ => match column.empty_member {
                    // Servers put commas between members, but none after an empty one that is the first: `a` may be that and `a`. `,a` is taken
                    // for both. A number would do as well, but not of a SET of 64 members, nor where it is a member.
                    Some(before) if column.data_type == "set" => {
                        let (empty, earlier) = (1_u64 << before, (1_u64 << before) - 1);
                        format!("IF({name} & {empty} <> 0 AND {name} & {earlier} = 0, CONCAT(',', {name}), {name})")
                    }
                    // LOAD DATA takes a number that is no member for the member of that number.
                    Some(_) => format!("IF({name} + 0 = 0, '0', {name})"),
                    None => name,
                },
            };
            match column.encoding {
                // Bytes are not turned into the session's character set.
                Encoding::Ascii | Encoding::TextBase64 => format!("CAST({value} AS BINARY)"),
                _ => value,
            }
        };
        self.table.columns.iter().map(exact).collect::<Vec<_>>().join(", ")
    }
}
