//! [`Expected`]: the dump must have exactly what the server has.
//!
//! The splitter goes by comments, which names with line breaks could forge. What the server's catalogue says, read while
//! nothing can be created or dropped, can not be forged: each table must come once, in its schema. A forged comment is one
//! too many.

use std::collections::{HashMap, HashSet};

use backstay_engine_api::{EngineError, ErrorKind};

use crate::inventory::Inventory;
use crate::section::{Kind, Section};

/// The sections that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    schemas: Vec<String>,
    next_schema: usize,
    sections: HashMap<Section, Need>,
    seen: HashSet<Section>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

impl Expected {
    /// What a dump of this must have.
    pub(crate) fn new(inventory: &Inventory) -> Self {
        let mut sections = HashMap::new();
        for table in &inventory.tables {
            let mut add = |kind| sections.insert(Section::of_table(kind, &table.schema, &table.name), Need::Must);
            add(table.kind);
            if table.kind == Kind::View {
                add(Kind::ViewStub);
            }
        }
        for schema in &inventory.schemas {
            sections.insert(Section::of_schema(Kind::Schema, schema), Need::Must);
            for kind in [Kind::Events, Kind::Routines, Kind::Views] {
                sections.insert(Section::of_schema(kind, schema), Need::May);
            }
        }
        for kind in [Kind::Header, Kind::Footer] {
            sections.insert(Section::of_dump(kind), Need::Must);
        }
        Self {
            schemas: inventory.schemas.clone(),
            sections,
            ..Self::default()
        }
    }

    /// Notes that a section begins.
    ///
    /// # Errors
    /// It is not on the server, or has come before.
    pub(crate) fn begins(&mut self, section: &Section) -> Result<(), EngineError> {
        let wrong = |what: &str| {
            Err(EngineError::new(
                ErrorKind::Program,
                format!("the dump has {section}, {what}"),
            ))
        };
        if self.sections.remove(section).is_none() {
            return if self.seen.contains(section) {
                wrong("a second time: a name or a body holds lines like the dump's own comments")
            } else {
                wrong("which the server does not list")
            };
        }
        if section.kind == Kind::Schema {
            if self.schemas.get(self.next_schema) != Some(&section.schema) {
                return wrong("out of order");
            }
            self.next_schema += 1;
        }
        self.seen.insert(section.clone());
        Ok(())
    }

    /// Notes that the dump is over.
    ///
    /// # Errors
    /// Something is missing.
    pub(crate) fn ends(&self) -> Result<(), EngineError> {
        let mut missing: Vec<&Section> = self
            .sections
            .iter()
            .filter(|(_, need)| **need == Need::Must)
            .map(|(section, _)| section)
            .collect();
        missing.sort_by_key(|section| (section.kind, &section.schema, &section.name));
        match missing.split_first() {
            None => Ok(()),
            Some((first, rest)) => {
                let more = if rest.is_empty() {
                    String::new()
                } else {
                    format!(" and {} more", rest.len())
                };
                let message = format!("the dump lacks {first}{more}, which the server lists");
                Err(EngineError::new(ErrorKind::Program, message).advise(
                    "check that the account may see and read it (GRANT SELECT, SHOW VIEW, TRIGGER, LOCK TABLES)",
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Table;

    fn inventory() -> Inventory {
        let table = |name: &str, kind| Table {
            schema: "d".into(),
            name: name.into(),
            kind,
        };
        Inventory {
            schemas: vec!["d".into(), "e".into()],
            tables: vec![table("t", Kind::Table), table("v", Kind::View)],
            bytes: 0,
        }
    }

    #[test]
    fn exactly_what_the_server_has() {
        let sections = [
            Section::of_dump(Kind::Header),
            Section::of_schema(Kind::Schema, "d"),
            Section::of_table(Kind::Table, "d", "t"),
            Section::of_table(Kind::ViewStub, "d", "v"),
            Section::of_schema(Kind::Schema, "e"),
            Section::of_schema(Kind::Routines, "e"),
            Section::of_table(Kind::View, "d", "v"),
            Section::of_dump(Kind::Footer),
        ];
        let mut expected = Expected::new(&inventory());
        for section in &sections {
            assert!(expected.ends().is_err(), "before {section}");
            expected.begins(section).unwrap();
            assert!(expected.begins(section).unwrap_err().message.contains("a second time"));
        }
        expected.ends().unwrap();
    }

    #[test]
    fn what_is_wrong() {
        let mut expected = Expected::new(&inventory());
        let text = |result: Result<(), EngineError>| result.unwrap_err().message;
        assert_eq!(
            text(expected.begins(&Section::of_table(Kind::Table, "d", "u"))),
            "the dump has table d.u, which the server does not list"
        );
        assert_eq!(
            text(expected.begins(&Section::of_schema(Kind::Schema, "e"))),
            "the dump has schema e, out of order"
        );
        assert_eq!(
            text(Expected::new(&inventory()).ends()),
            "the dump lacks the dump's header and 6 more, which the server lists"
        );
    }
}
