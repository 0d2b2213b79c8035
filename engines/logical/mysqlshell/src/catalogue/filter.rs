//! [`Filter`]: which schemas and tables, and which of their rows.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use backstay_engine_api::{EngineError, ErrorKind, TablePattern};
use backstay_mysql::target;

use crate::options::Options;

/// What a workflow selects. Patterns remember whether they matched: one that matched nothing is most likely a slip.
#[derive(Debug)]
pub(crate) struct Filter {
    include_schemas: Vec<Pattern>,
    exclude_schemas: Vec<Pattern>,
    include_tables: Vec<Pattern>,
    exclude_tables: Vec<Pattern>,
    /// With their conditions.
    conditions: Vec<(Pattern, String)>,
    /// The tables and views that were asked of, for whoever has misspelt one.
    seen: RefCell<BTreeSet<String>>,
}

/// A pattern of one of the options.
#[derive(Debug)]
struct Pattern {
    option: &'static str,
    /// As the operator wrote it.
    text: String,
    pattern: TablePattern,
    hit: Cell<bool>,
}

impl Pattern {
    fn table(option: &'static str, text: &str) -> Result<Self, EngineError> {
        Self::new(option, text, text)
    }

    /// A schema's is that of all its tables.
    fn schema(option: &'static str, text: &str) -> Result<Self, EngineError> {
        Self::new(option, text, &format!("{text}.*"))
    }

    fn new(option: &'static str, text: &str, pattern: &str) -> Result<Self, EngineError> {
        let pattern = pattern.parse().map_err(|error| {
            EngineError::new(ErrorKind::Usage, format!("`{text}` in {option} is no pattern"))
                .because(&error)
                .advise("put a name with a dot in backticks")
        })?;
        Ok(Self {
            option,
            text: text.to_owned(),
            pattern,
            hit: Cell::new(false),
        })
    }

    fn matches(&self, schema: &str, table: &str) -> bool {
        let hit = self.pattern.matches(schema, table);
        self.hit.set(self.hit.get() || hit);
        hit
    }
}

impl Filter {
    /// What `options` say.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) if a pattern is none.
    pub(crate) fn of(options: &Options) -> Result<Self, EngineError> {
        type Make = fn(&'static str, &str) -> Result<Pattern, EngineError>;
        let all = |option, texts: &[String], make: Make| -> Result<Vec<Pattern>, EngineError> {
            texts.iter().map(|text| make(option, text)).collect()
        };
        Ok(Self {
            include_schemas: all("include_schemas", &options.include_schemas, Pattern::schema)?,
            exclude_schemas: all("exclude_schemas", &options.exclude_schemas, Pattern::schema)?,
            include_tables: all("include_tables", &options.include_tables, Pattern::table)?,
            exclude_tables: all("exclude_tables", &options.exclude_tables, Pattern::table)?,
            conditions: options
                .r#where
                .iter()
                .map(|(text, condition)| Ok((Pattern::table("where", text)?, condition.clone())))
                .collect::<Result<_, EngineError>>()?,
            seen: RefCell::default(),
        })
    }

    /// Whether a schema is dumped.
    pub(crate) fn schema(&self, schema: &str) -> bool {
        selected(&self.include_schemas, &self.exclude_schemas, schema, "")
    }

    /// Whether a table or view of a schema that is dumped is.
    pub(crate) fn table(&self, schema: &str, table: &str) -> bool {
        if !self.include_tables.is_empty() {
            self.seen.borrow_mut().insert(format!("{schema}.{table}"));
        }
        selected(&self.include_tables, &self.exclude_tables, schema, table)
    }

    /// The condition for a table's rows; all of them, if several patterns match.
    pub(crate) fn condition(&self, schema: &str, table: &str) -> Option<String> {
        let mut found = self
            .conditions
            .iter()
            .filter(|(pattern, _)| pattern.matches(schema, table))
            .map(|(_, condition)| condition);
        let first = found.next()?.clone();
        Some(found.fold(first, |all, one| format!("({all}) AND ({one})")))
    }

    /// Whether each pattern matched something of what was asked of so far.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage), with those that did not.
    pub(crate) fn all_hit(&self) -> Result<(), EngineError> {
        let tables = [
            &self.include_schemas,
            &self.exclude_schemas,
            &self.include_tables,
            &self.exclude_tables,
        ];
        let missed: Vec<String> = tables
            .into_iter()
            .flatten()
            .chain(self.conditions.iter().map(|(pattern, _)| pattern))
            .filter(|pattern| !pattern.hit.get())
            .map(|pattern| format!("`{}` in {}", pattern.text, pattern.option))
            .collect();
        if missed.is_empty() {
            return Ok(());
        }
        let error = EngineError::new(
            ErrorKind::Usage,
            format!("nothing on the server that is to be dumped matches {}", missed.join(", ")),
        )
        .advise("correct the pattern or take it out; names are case-sensitive, and the server's own schemas are never dumped");
        let seen = self.seen.borrow();
        let alike = self
            .include_tables
            .iter()
            .filter(|pattern| !pattern.hit.get())
            .filter_map(|pattern| target::alike(&pattern.text, seen.iter().cloned()));
        Err(alike.fold(error, |error, alike| error.detail(alike)))
    }
}

/// Every pattern is asked, so that each knows whether it matches something.
fn selected(include: &[Pattern], exclude: &[Pattern], schema: &str, table: &str) -> bool {
    let hit = |patterns: &[Pattern]| {
        let hits = patterns.iter().filter(|pattern| pattern.matches(schema, table));
        hits.count() > 0
    };
    let (included, excluded) = (hit(include), hit(exclude));
    (include.is_empty() || included) && !excluded
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_selected() {
        let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let filter = Filter::of(&Options {
            include_schemas: texts(&["shop*", "`a.b`"]),
            exclude_schemas: texts(&["shop_test"]),
            include_tables: texts(&["shop.*", "`a.b`.t?"]),
            exclude_tables: texts(&["*.log", "shop.never"]),
            r#where: BTreeMap::from([
                ("shop.o*".to_owned(), "a > 1".to_owned()),
                ("*.orders".to_owned(), "b".to_owned()),
            ]),
            ..Options::default()
        })
        .unwrap();
        for (schema, want) in [
            ("shop", true),
            ("shop2", true),
            ("shop_test", false),
            ("a.b", true),
            ("x", false),
        ] {
            assert_eq!(filter.schema(schema), want, "{schema}");
        }
        for (schema, table, want) in [
            ("shop", "orders", true),
            ("shop", "log", false),
            ("a.b", "t1", true),
            ("a.b", "t12", false),
            ("shop2", "t", false),
        ] {
            assert_eq!(filter.table(schema, table), want, "{schema}.{table}");
        }
        assert_eq!(filter.condition("shop", "orders").unwrap(), "(b) AND (a > 1)");
        assert_eq!(filter.condition("shop", "others").unwrap(), "a > 1");
        assert_eq!(filter.condition("shop", "t"), None);
        let error = filter.all_hit().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(
            error.message.ends_with("matches `shop.never` in exclude_tables"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_pattern() {
        let options = Options {
            include_schemas: vec!["a.b".to_owned()],
            ..Options::default()
        };
        assert_eq!(Filter::of(&options).unwrap_err().kind, ErrorKind::Usage);
    }
}
