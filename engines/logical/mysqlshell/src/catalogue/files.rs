//! The JSON files of what is in the catalogue.

use super::{Catalogue, Encoding, Schema, Table, View};
use crate::format::schema::SchemaFile;
use crate::format::table::{DataOptions, TableFile};
use crate::options::{Compression, Content};

impl Catalogue {
    /// The tables of a schema.
    pub(crate) fn tables_of(&self, schema: &str) -> &[Table] {
        of_schema(&self.tables, schema, |table| &table.schema)
    }

    /// The views of a schema.
    pub(crate) fn views_of(&self, schema: &str) -> &[View] {
        of_schema(&self.views, schema, |view| &view.schema)
    }

    /// `S.json`.
    pub(crate) fn schema_file(&self, schema: &Schema, content: Content) -> SchemaFile {
        let definitions = content != Content::Data;
        let views = if definitions { self.views_of(&schema.name) } else { &[] };
        let mut file = SchemaFile {
            schema: schema.name.clone(),
            includes_ddl: definitions,
            includes_views_ddl: definitions,
            includes_data: content != Content::Definitions,
            ..SchemaFile::default()
        };
        for table in self.tables_of(&schema.name) {
            file.tables.push(table.name.clone());
            file.basenames.insert(table.name.clone(), table.base.clone());
        }
        for view in views {
            file.views.push(view.name.clone());
            file.basenames.insert(view.name.clone(), view.base.clone());
        }
        if definitions {
            file.events.clone_from(&schema.events);
            file.functions.clone_from(&schema.functions);
            file.procedures.clone_from(&schema.procedures);
            file.libraries.clone_from(&schema.libraries);
            file.sequences.clone_from(&schema.sequences);
            file.packages.clone_from(&schema.packages);
        }
        file
    }
}

/// The part of a list, sorted by schema, that is of one.
fn of_schema<'a, T>(all: &'a [T], schema: &str, of: impl Fn(&T) -> &str) -> &'a [T] {
    let from = all.partition_point(|one| of(one) < schema);
    let to = all.partition_point(|one| of(one) <= schema);
    &all[from..to]
}

impl Table {
    /// `T.json`.
    pub(crate) fn file(&self, content: Content, compression: Compression) -> TableFile {
        let definitions = content != Content::Data;
        let bytes = self.columns.iter().filter(|column| column.encoding.is_base64());
        let text = self
            .columns
            .iter()
            .filter(|column| column.encoding == Encoding::TextBase64);
        TableFile {
            options: DataOptions {
                schema: self.schema.clone(),
                table: self.name.clone(),
                columns: self.columns.iter().map(|column| column.name.clone()).collect(),
                decode_columns: bytes.map(|column| (&column.name, "FROM_BASE64".to_owned())).collect(),
                ..DataOptions::default()
            },
            triggers: if definitions { self.triggers.clone() } else { Vec::new() },
            histograms: if definitions {
                self.histograms.clone()
            } else {
                Vec::new()
            },
            includes_data: content != Content::Definitions && self.has_rows(),
            includes_ddl: definitions,
            extension: compression.extension().to_owned(),
            chunking: true,
            compression: compression.name().to_owned(),
            // The shell has no other key here.
            primary_index: match self.key_name.as_deref() {
                Some("PRIMARY") => self.key.iter().map(|column| column.name.clone()).collect(),
                _ => Vec::new(),
            },
            partitions: self.partitions.iter().map(|partition| partition.name.clone()).collect(),
            basenames: self
                .partitions
                .iter()
                .map(|partition| (&partition.name, partition.base.clone()))
                .collect(),
            history: self.system_versioned,
            character_sets: text
                .filter_map(|column| Some((&column.name, column.inexact.clone()?)))
                .collect(),
            where_: self.condition.clone(),
        }
    }
}
