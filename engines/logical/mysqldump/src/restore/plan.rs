//! [`Plan`]: a backup's objects in the dump's order, and what a selection takes of them.

use std::collections::{BTreeMap, HashMap};

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, ErrorKind, Selection};

use backstay_mysql::target;

use super::unknown;
use crate::backup::{ACCOUNTS, SERVER_OBJECTS};
use crate::section::{Kind, Section};

/// A section that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) section: Section,
    pub(super) seq: u64,
    /// Its object's name.
    pub(super) object: String,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// What a backup has.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the dump's order.
    pub(super) parts: Vec<Part>,
    /// Other objects by kind.
    others: HashMap<&'static str, String>,
}

impl Plan {
    /// Reads the list of a backup's objects, and none of them.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for an object of an unknown kind; [`ErrorKind::Damaged`] if one is missing.
    pub(super) fn read(link: &ChainLink) -> Result<Self, EngineError> {
        let mut plan = Self::default();
        for object in link.objects() {
            let object = object?;
            if let Some((section, seq)) = Section::of_object(&object) {
                plan.parts.push(Part {
                    section,
                    seq,
                    object: object.name,
                    size: object.size,
                });
            } else {
                let kind = [ACCOUNTS, SERVER_OBJECTS]
                    .into_iter()
                    .find(|kind| object.attributes.kind.as_deref() == Some(kind));
                plan.others.insert(kind.ok_or_else(|| unknown(&object))?, object.name);
            }
        }
        plan.parts.sort_by_key(|part| part.seq);
        plan.check()?;
        Ok(plan)
    }

    /// A dump's sections are numbered without a gap, from its header to its footer.
    fn check(&self) -> Result<(), EngineError> {
        let gap = self.parts.iter().zip(0..).find(|(part, seq)| part.seq != *seq);
        let (first, last) = (self.parts.first(), self.parts.last());
        let ends = [first, last].map(|part| part.map(|part| part.section.kind));
        if let Some((part, expected)) = gap {
            let message = format!(
                "part {expected} of the dump is missing: {} is number {}",
                part.object, part.seq
            );
            return Err(EngineError::new(ErrorKind::Damaged, message));
        }
        // Without schemas there is no dump.
        if self.parts.is_empty() || ends == [Some(Kind::Header), Some(Kind::Footer)] {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorKind::Damaged,
            "the dump's header or footer is missing from the backup",
        ))
    }

    /// Sections of a kind.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.section.kind == kind)
    }

    /// All but header and footer.
    pub(super) fn body(&self) -> impl Iterator<Item = &Part> {
        self.parts
            .iter()
            .filter(|part| !matches!(part.section.kind, Kind::Header | Kind::Footer))
    }

    /// The object of another kind.
    pub(super) fn other(&self, kind: &str) -> Option<&str> {
        self.others.get(kind).map(String::as_str)
    }

    /// The sections' size in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// The sections that a selection takes, each with the schema that it is put into: sequences, tables, stand-ins for
    /// views, views.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if a pattern fits nothing, or two tables would become one.
    pub(super) fn select<'a>(&'a self, selection: &'a Selection) -> Result<Vec<(&'a str, &'a Part)>, EngineError> {
        let named = |kind| matches!(kind, Kind::Sequence | Kind::Table | Kind::View | Kind::ViewStub);
        let all = || self.parts.iter().filter(move |part| named(part.section.kind));
        for pattern in &selection.include {
            if !all().any(|part| pattern.matches(&part.section.schema, &part.section.name)) {
                let message = format!("no table, view or sequence of the backup fits `{pattern}`");
                let names = all().filter(|part| part.section.kind != Kind::ViewStub);
                let names = names.map(|part| format!("{}.{}", part.section.schema, part.section.name));
                let advice = target::it_has(&pattern.to_string(), names);
                return Err(EngineError::new(ErrorKind::Usage, message).advise(advice));
            }
        }
        let mut chosen: Vec<(&str, &Part)> = all()
            .filter(|part| selection.selects(&part.section.schema, &part.section.name))
            .map(|part| (selection.target_schema(&part.section.schema), part))
            .collect();
        if chosen.is_empty() {
            return Err(EngineError::new(
                ErrorKind::Usage,
                "the selection leaves nothing of the backup to restore",
            ));
        }
        chosen.sort_by_key(|(_, part)| {
            let step = match part.section.kind {
                Kind::Sequence => 0,
                Kind::Table => 1,
                Kind::ViewStub => 2,
                _ => 3,
            };
            (step, part.seq)
        });
        let mut targets = HashMap::new();
        for (target, part) in chosen.iter().filter(|(_, part)| part.section.kind != Kind::ViewStub) {
            if let Some(other) = targets.insert((*target, part.section.name.as_str()), &part.section) {
                let message = format!(
                    "{other} and {} would both become {target}.{}",
                    part.section, part.section.name
                );
                return Err(EngineError::new(ErrorKind::Usage, message).advise("restore them one by one"));
            }
        }
        Ok(chosen)
    }
}

/// The schemas that are restored into, each with one that it takes tables from.
pub(super) fn target_schemas<'a>(chosen: &[(&'a str, &'a Part)]) -> BTreeMap<&'a str, &'a str> {
    let mut schemas = BTreeMap::new();
    for (target, part) in chosen {
        schemas.entry(*target).or_insert(part.section.schema.as_str());
    }
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let sections = [
            Section::of_dump(Kind::Header),
            Section::of_schema(Kind::Schema, "crm"),
            Section::of_table(Kind::Table, "crm", "orders"),
            Section::of_schema(Kind::Schema, "shop"),
            Section::of_table(Kind::ViewStub, "shop", "a"),
            Section::of_table(Kind::Table, "shop", "orders"),
            Section::of_table(Kind::Table, "shop", "prices"),
            Section::of_schema(Kind::Views, "shop"),
            Section::of_table(Kind::View, "shop", "a"),
            Section::of_dump(Kind::Footer),
        ];
        let part = |(section, seq): (Section, u64)| Part {
            object: section.object_name(),
            section,
            seq,
            size: 1,
        };
        Plan {
            parts: sections.into_iter().zip(0..).map(part).collect(),
            ..Plan::default()
        }
    }

    fn selection(include: &[&str], into: Option<&str>) -> Selection {
        Selection {
            include: include.iter().map(|text| text.parse().unwrap()).collect(),
            into_schema: into.map(str::to_owned),
            ..Selection::default()
        }
    }

    #[test]
    fn tables_come_before_stand_ins_and_these_before_views() {
        let (plan, selection) = (plan(), selection(&["shop.*"], Some("copy")));
        let chosen = plan.select(&selection).unwrap();
        let names: Vec<String> = chosen
            .iter()
            .map(|(target, part)| format!("{target} < {}", part.object))
            .collect();
        assert_eq!(
            names,
            [
                "copy < table/shop/orders.sql",
                "copy < table/shop/prices.sql",
                "copy < view-stub/shop/a.sql",
                "copy < view/shop/a.sql"
            ]
        );
        assert_eq!(target_schemas(&chosen), BTreeMap::from([("copy", "shop")]));
    }

    #[test]
    fn what_can_not_be_selected() {
        let text = |include: &[&str], into| plan().select(&selection(include, into)).unwrap_err().to_string();
        assert_eq!(
            text(&["shop.order"], None),
            "no table, view or sequence of the backup fits `shop.order`; it has shop.orders"
        );
        assert!(text(&["zzz.*"], None).contains("see `backstay show`"));
        assert_eq!(
            text(&["*.orders"], Some("copy")),
            "table crm.orders and table shop.orders would both become copy.orders; restore them one by one"
        );
    }

    #[test]
    fn a_part_that_is_missing() {
        let mut plan = plan();
        plan.check().unwrap();
        plan.parts.remove(2);
        assert!(
            plan.check()
                .unwrap_err()
                .message
                .starts_with("part 2 of the dump is missing")
        );
        plan.parts.truncate(2);
        assert!(plan.check().unwrap_err().message.contains("header or footer"));
    }
}
