//! [`Key`] and [`Bound`]: conditions for the rows before, at and after a place in a key's order.

use backstay_mysql::quote_identifier;

use super::kind::Kind;
use crate::catalogue::KeyColumn;

/// The part of a key by which a table can be cut: its first columns, as far as their types allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Vec<KeyPart>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyPart {
    name: String,
    pub(crate) kind: Kind,
    pub(crate) descending: bool,
}

/// A place in the key's order: literals of its first columns. Rows with just these values are not before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound(pub(crate) Vec<String>);

/// Rows from a bound, and before another; all before or after where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Option<Bound>,
    pub(crate) to: Option<Bound>,
}

impl Key {
    pub(crate) fn usable(columns: &[KeyColumn]) -> Self {
        let part = |column: &KeyColumn| {
            Some(KeyPart {
                name: column.name.clone(),
                kind: Kind::of(column)?,
                descending: column.descending,
            })
        };
        Self(columns.iter().map_while(part).collect())
    }

    pub(crate) fn parts(&self) -> &[KeyPart] {
        &self.0
    }

    /// Its columns as SELECT takes them.
    pub(crate) fn columns(&self) -> String {
        let columns = self.0.iter().map(|part| part.kind.select(&part.name));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// For ORDER BY: as the key has the rows, or the other way round.
    pub(crate) fn order(&self, backwards: bool) -> String {
        let column = |part: &KeyPart| {
            let direction = if part.descending == backwards { "" } else { " DESC" };
            quote_identifier(&part.name) + direction
        };
        self.0.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// Where a row lies whose first columns have these values.
    pub(crate) fn bound<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Bound {
        let literals = self.0.iter().zip(values).map(|(part, value)| part.kind.literal(value));
        Bound(literals.collect())
    }

    /// The condition for a range, if it does not have all rows.
    pub(crate) fn condition(&self, range: &Range) -> Option<String> {
        let from = range.from.as_ref().map(|bound| self.at_or_after(bound));
        let to = range.to.as_ref().map(|bound| self.before(bound));
        match (from, to) {
            (Some(from), Some(to)) => Some(format!("{from} AND {to}")),
            (from, to) => from.or(to),
        }
    }

    /// Whether each bound is the literal of one place in the key's order.
    pub(crate) fn is_exact(&self) -> bool {
        self.0.iter().all(|part| part.kind.is_exact())
    }

    /// The condition that one bound lies before another, of literals alone.
    pub(crate) fn in_order(&self, first: &Bound, second: &Bound) -> String {
        let mut cases = Vec::new();
        let mut same = String::new();
        for ((part, a), b) in self.0.iter().zip(&first.0).zip(&second.0) {
            let operator = if part.descending { ">" } else { "<" };
            cases.push(format!("({same}{a} {operator} {b})"));
            same += &format!("{a} = {b} AND ");
        }
        if first.0.len() < second.0.len() {
            // What has the same first values comes after the bound that has no others.
            cases.push(format!("({same}TRUE)"));
        }
        format!("({})", cases.join(" OR "))
    }

    pub(crate) fn before(&self, bound: &Bound) -> String {
        self.compare(bound, "<", ">", "")
    }

    pub(crate) fn at_or_after(&self, bound: &Bound) -> String {
        self.compare(bound, ">", "<", "=")
    }

    pub(crate) fn after(&self, bound: &Bound) -> String {
        self.compare(bound, ">", "<", "")
    }

    /// `(a > x OR (a = x AND b >= y))`: both servers find ranges of the index in it, which they do not in `(a, b) >= (x, y)`.
    fn compare(&self, bound: &Bound, ascending: &str, descending: &str, at_last: &str) -> String {
        let mut cases = Vec::new();
        let mut same = String::new();
        let last = bound.0.len() - 1;
        for (at, (part, literal)) in self.0.iter().zip(&bound.0).enumerate() {
            let name = quote_identifier(&part.name);
            let operator = if part.descending { descending } else { ascending };
            let or_at = if at == last { at_last } else { "" };
            let case = format!("{same}{name} {operator}{or_at} {literal}");
            cases.push(if at == 0 { case } else { format!("({case})") });
            same += &format!("{name} = {literal} AND ");
        }
        format!("({})", cases.join(" OR "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: &str, descending: bool) -> KeyColumn {
        KeyColumn {
            name: name.into(),
            data_type: data_type.into(),
            column_type: data_type.into(),
            collation: None,
            descending,
        }
    }

    #[test]
    fn conditions() {
        let columns = [
            column("a", "int", false),
            column("b", "date", true),
            column("c", "enum", false),
            column("d", "int", false),
        ];
        let key = Key::usable(&columns);
        assert_eq!(key.columns(), "`a`, `b`");
        assert_eq!(key.order(false), "`a`, `b` DESC");
        assert_eq!(key.order(true), "`a` DESC, `b`");
        let (one, two) = (key.bound(["1"]), key.bound(["1", "2020-01-01"]));
        assert_eq!(key.at_or_after(&one), "(`a` >= 1)");
        assert_eq!(key.before(&one), "(`a` < 1)");
        assert_eq!(key.at_or_after(&two), "(`a` > 1 OR (`a` = 1 AND `b` <= '2020-01-01'))");
        assert_eq!(key.before(&two), "(`a` < 1 OR (`a` = 1 AND `b` > '2020-01-01'))");
        assert_eq!(key.after(&two), "(`a` > 1 OR (`a` = 1 AND `b` < '2020-01-01'))");
        let range = Range {
            from: Some(one),
            to: None,
        };
        assert_eq!(key.condition(&range).as_deref(), Some("(`a` >= 1)"));
        assert_eq!(key.condition(&Range::default()), None);
    }
}
