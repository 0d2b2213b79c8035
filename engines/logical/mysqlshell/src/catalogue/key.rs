//! Which key a table's rows are read by.

use super::KeyColumn;

/// A unique index whose columns can all be compared with values: no NULL, no prefix, no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) columns: Vec<KeyColumn>,
    /// Whether InnoDB keeps the rows in its order.
    pub(super) clustered: bool,
}

const INTEGERS: [&str; 5] = ["tinyint", "smallint", "mediumint", "int", "bigint"];

/// The primary key, else the one that InnoDB clusters by; then by integers rather than others, fewer columns, and name.
pub(super) fn best(mut candidates: Vec<Candidate>) -> Option<Candidate> {
    candidates.sort_by_key(|candidate| {
        let others = candidate
            .columns
            .iter()
            .filter(|column| !INTEGERS.contains(&column.data_type.as_str()))
            .count();
        (
            candidate.name != "PRIMARY",
            !candidate.clustered,
            others > 0,
            candidate.columns.len(),
            candidate.name.clone(),
        )
    });
    candidates.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_key() {
        let candidate = |name: &str, types: &[&str], clustered| Candidate {
            name: name.to_owned(),
            columns: types
                .iter()
                .map(|data_type| KeyColumn {
                    name: "c".to_owned(),
                    data_type: (*data_type).to_owned(),
                    column_type: (*data_type).to_owned(),
                    collation: None,
                    descending: false,
                })
                .collect(),
            clustered,
        };
        let primary = candidate("PRIMARY", &["varchar", "int"], true);
        let text = candidate("a", &["varchar"], false);
        let integers = candidate("b", &["int", "bigint"], false);
        let integer = candidate("c", &["int"], false);
        let clustered = candidate("d", &["varchar", "varchar"], true);
        let all = [primary, clustered, integer, integers, text];
        for from in 0..all.len() {
            let mut some = all[from..].to_vec();
            some.reverse();
            assert_eq!(best(some).as_ref(), Some(&all[from]));
        }
        assert_eq!(best(Vec::new()), None);
    }
}
