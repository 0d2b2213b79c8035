//! Names of files: of schemas, tables and partitions, percent-encoded, and of what belongs to them.
//!
//! Readers take base names from the JSON files and never compute them; so a base name may be cut to what a file system takes, and be
//! another than the shell's where its files would be another object's.

use std::collections::HashMap;
use std::fmt::Write as _;

/// The files of the whole dump.
pub(crate) const INSTANCE: &str = "@.json";
pub(crate) const DONE: &str = "@.done.json";
pub(crate) const PRE_SQL: &str = "@.sql";
pub(crate) const POST_SQL: &str = "@.post.sql";
pub(crate) const USERS_SQL: &str = "@.users.sql";

/// What a data file has behind its name for its offsets.
pub(crate) const INDEX_SUFFIX: &str = ".idx";

/// What a base name has behind it in the file of a table's triggers, and in that of a view's placeholder.
const TRIGGERS_SUFFIX: &str = ".triggers";
const PLACEHOLDER_SUFFIX: &str = ".pre";

/// The longest base name: 255 bytes less an ordinal of 5 digits, `@@`, a chunk's number of 10 digits, and an extension of 13.
/// The shell counts characters, where this counts bytes: file systems do so, and no name becomes longer by it.
const LONGEST: usize = 225;

/// A name with everything but letters, digits, `-`, `.`, `_`, `~` and what is beyond ASCII as `%XX`.
pub(crate) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for c in name.chars() {
        if !c.is_ascii() || c.is_ascii_alphanumeric() || "-._~".contains(c) {
            encoded.push(c);
        } else {
            let _ = write!(encoded, "%{:02X}", u32::from(c));
        }
    }
    encoded
}

/// A table's or a view's name, encoded. Of one that ends as the files of triggers and placeholders do, the last dot is encoded too: else
/// `t.triggers.sql` would be both the triggers of `t` and the table `t.triggers`. Data files are told apart by their `@`, which is encoded
/// in names.
fn encode_table(name: &str) -> String {
    let mut encoded = encode(name);
    let dot = [TRIGGERS_SUFFIX, PLACEHOLDER_SUFFIX]
        .into_iter()
        .find_map(|suffix| encoded.strip_suffix(suffix))
        .map(str::len);
    if let Some(dot) = dot {
        encoded.replace_range(dot..=dot, "%2E");
    }
    encoded
}

/// Gives out base names, and keeps those that are cut apart.
#[derive(Debug, Default)]
pub(crate) struct BaseNames {
    cut: HashMap<String, u32>,
}

impl BaseNames {
    /// Of a schema.
    pub(crate) fn schema(&mut self, schema: &str) -> String {
        self.unique(encode(schema))
    }

    /// Of a table or view.
    pub(crate) fn table(&mut self, schema: &str, table: &str) -> String {
        self.unique(format!("{}@{}", encode(schema), encode_table(table)))
    }

    /// Of a partition or subpartition.
    pub(crate) fn partition(&mut self, schema: &str, table: &str, partition: &str) -> String {
        self.unique(format!("{}@{}@{}", encode(schema), encode(table), encode(partition)))
    }

    fn unique(&mut self, mut name: String) -> String {
        if name.len() <= LONGEST {
            return name;
        }
        name.truncate(name.floor_char_boundary(LONGEST));
        // Whatever was cut is longer than what was not, and of one length without its ordinal: else a name of the one kind could be one of
        // the other, or two with ordinals the same.
        while name.len() < LONGEST {
            name.push('_');
        }
        let ordinal = self.cut.entry(name.clone()).or_default();
        let _ = write!(name, "{ordinal}");
        *ordinal += 1;
        name
    }
}

/// `S.json` or `T.json`.
pub(crate) fn json(base: &str) -> String {
    format!("{base}.json")
}

/// `S.sql`, `T.sql` or `V.sql`.
pub(crate) fn sql(base: &str) -> String {
    format!("{base}.sql")
}

/// `T.triggers.sql`.
pub(crate) fn triggers_sql(base: &str) -> String {
    format!("{base}{TRIGGERS_SUFFIX}.sql")
}

/// `V.pre.sql`.
pub(crate) fn placeholder_sql(base: &str) -> String {
    format!("{base}{PLACEHOLDER_SUFFIX}.sql")
}

/// A chunk's data file: `B@0.tsv`, …, and the last one `B@@9.tsv`. `base` is the table's or the partition's.
pub(crate) fn chunk(base: &str, number: u64, last: bool, extension: &str) -> String {
    let at = if last { "@@" } else { "@" };
    format!("{base}{at}{number}.{extension}")
}

/// The data file of a table that is not cut into chunks: `B.tsv`.
pub(crate) fn whole(base: &str, extension: &str) -> String {
    format!("{base}.{extension}")
}

/// The file of offsets of a data file.
pub(crate) fn index(data_file: &str) -> String {
    format!("{data_file}{INDEX_SUFFIX}")
}
