//! [`Selection`]: which tables a job is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which tables are restored, and under which schema. The default selects everything, under its own name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// What is taken; empty means everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<TablePattern>,
    /// What is left out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<TablePattern>,
    /// The schema that the tables are put into; `None` keeps each in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into_schema: Option<String>,
}

impl Selection {
    /// Whether it is the whole backup, unchanged.
    pub fn is_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty() && self.into_schema.is_none()
    }

    /// Whether a table is selected.
    pub fn selects(&self, schema: &str, table: &str) -> bool {
        let hit = |patterns: &[TablePattern]| patterns.iter().any(|pattern| pattern.matches(schema, table));
        (self.include.is_empty() || hit(&self.include)) && !hit(&self.exclude)
    }

    /// The schema that a table of `schema` is put into.
    pub fn target_schema<'a>(&'a self, schema: &'a str) -> &'a str {
        self.into_schema.as_deref().unwrap_or(schema)
    }
}

/// `schema.table`, where `*` stands for any characters and `?` for one; a name in backticks is taken as it is.
///
/// ```
/// # use backstay_engine_api::TablePattern;
/// let pattern: TablePattern = "shop.order*".parse().unwrap();
/// assert!(pattern.matches("shop", "orders"));
/// let odd: TablePattern = "shop.`a.b*`".parse().unwrap();
/// assert!(odd.matches("shop", "a.b*") && !odd.matches("shop", "a.bc"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TablePattern {
    schema: NamePattern,
    table: NamePattern,
}

impl TablePattern {
    /// Whether it matches a table.
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        self.schema.matches(schema) && self.table.matches(table)
    }

    /// Whether it may match a table of a schema.
    pub fn matches_schema(&self, schema: &str) -> bool {
        self.schema.matches(schema)
    }

    /// The table that it names, if it names just one.
    pub fn exact(&self) -> Option<(&str, &str)> {
        Some((self.schema.exact()?, self.table.exact()?))
    }
}

impl FromStr for TablePattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = |why| BadPattern {
            text: text.to_owned(),
            why,
        };
        let (schema, rest) = NamePattern::parse(text).map_err(bad)?;
        let rest = rest
            .strip_prefix('.')
            .ok_or_else(|| bad("expected `schema.table`, found no `.`"))?;
        let (table, rest) = NamePattern::parse(rest).map_err(bad)?;
        if !rest.is_empty() {
            return Err(bad(
                "more than a schema and a table; put a name with a dot in backticks",
            ));
        }
        Ok(Self { schema, table })
    }
}

impl TryFrom<String> for TablePattern {
    type Error = BadPattern;

    fn try_from(text: String) -> Result<Self, BadPattern> {
        text.parse()
    }
}

impl From<TablePattern> for String {
    fn from(pattern: TablePattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// A table pattern that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no table: {why}")]
pub struct BadPattern {
    text: String,
    why: &'static str,
}

/// One half of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NamePattern {
    Exact(String),
    Glob(String),
}

impl NamePattern {
    /// Takes a name off the front of `text` and gives back the rest.
    fn parse(text: &str) -> Result<(Self, &str), &'static str> {
        if let Some(quoted) = text.strip_prefix('`') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            while let Some((at, c)) = chars.next() {
                if c != '`' {
                    name.push(c);
                } else if chars.peek().is_some_and(|(_, next)| *next == '`') {
                    chars.next();
                    name.push('`');
                } else if name.is_empty() {
                    return Err("a name is empty");
                } else {
                    return Ok((Self::Exact(name), &quoted[at + 1..]));
                }
            }
            return Err("a backtick is not closed");
        }
        let end = text.find('.').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        match name {
            "" => Err("a name is empty"),
            _ if name.contains(['*', '?']) => Ok((Self::Glob(name.to_owned()), rest)),
            _ => Ok((Self::Exact(name.to_owned()), rest)),
        }
    }

    fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(name) => Some(name),
            Self::Glob(_) => None,
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Glob(glob) => glob_matches(&glob.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>()),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) if name.contains(['.', '`', '*', '?']) => write!(f, "`{}`", name.replace('`', "``")),
            Self::Exact(name) | Self::Glob(name) => f.write_str(name),
        }
    }
}

/// Matches with one step back to the last `*`: linear in practice, and never exponential.
fn glob_matches(glob: &[char], name: &[char]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                g += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    g = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let all: TablePattern = "shop.*".parse().unwrap();
        assert!(all.matches("shop", "") && all.matches("shop", "x") && !all.matches("shops", "x"));
        let mid: TablePattern = "s?op.*a*b".parse().unwrap();
        assert!(mid.matches("shop", "xaxaxb") && !mid.matches("shop", "xaxax"));
    }

    #[test]
    fn prints_what_it_parses() {
        for text in ["shop.orders", "shop.`a.b`", "`x``y`.t*", "*.?"] {
            assert_eq!(text.parse::<TablePattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (text, why) in [
            ("orders", "expected `schema.table`, found no `.`"),
            (".orders", "a name is empty"),
            (
                "a.b.c",
                "more than a schema and a table; put a name with a dot in backticks",
            ),
            ("a.`b", "a backtick is not closed"),
        ] {
            assert_eq!(
                text.parse::<TablePattern>().unwrap_err().to_string(),
                format!("`{text}` is no table: {why}")
            );
        }
    }
}
