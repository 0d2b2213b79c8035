//! [`Section`]: the parts that a dump is split into, and the objects that they are stored as.
//!
//! A section is a run of the dump's own bytes; all sections in the order of their [`SEQ`] attribute are the dump, byte for
//! byte. So a full restore needs to know nothing of their insides, and a single table is restored from the dump's header
//! (the session's settings) and the table's own section.

use std::fmt::{self, Write as _};

use backstay_engine_api::{Attributes, ObjectInfo};

/// The attribute that holds a section's place in the dump, from 0.
pub(crate) const SEQ: &str = "seq";

/// What a section is. It is an object's `kind` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The session's settings, at the dump's beginning.
    Header,
    /// `CREATE DATABASE` and `USE`.
    Schema,
    /// A table: structure, rows, triggers.
    Table,
    /// A sequence (MariaDB).
    Sequence,
    /// A stand-in for a view, with its columns and nothing else, so that what refers to the view can be made before it.
    ViewStub,
    /// A schema's events.
    Events,
    /// A schema's routines and packages.
    Routines,
    /// The `USE` before a schema's views.
    Views,
    /// A view as it is, in its stand-in's place.
    View,
    /// The session's settings put back, and the line that says that the dump is whole.
    Footer,
}

impl Kind {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Header, "header"),
        (Self::Schema, "schema"),
        (Self::Table, "table"),
        (Self::Sequence, "sequence"),
        (Self::ViewStub, "view-stub"),
        (Self::Events, "events"),
        (Self::Routines, "routines"),
        (Self::Views, "views"),
        (Self::View, "view"),
        (Self::Footer, "footer"),
    ];

    /// Its name, as in an object's attributes.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// The kind of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }
}

/// A part of the dump.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Section {
    /// What it is.
    pub(crate) kind: Kind,
    /// The schema it belongs to; empty for header and footer.
    pub(crate) schema: String,
    /// The table, view or sequence that it is; otherwise empty.
    pub(crate) name: String,
}

impl Section {
    /// A section of the dump as a whole.
    pub(crate) fn of_dump(kind: Kind) -> Self {
        Self::of_schema(kind, "")
    }

    /// A section of a schema.
    pub(crate) fn of_schema(kind: Kind, schema: impl Into<String>) -> Self {
        Self::of_table(kind, schema, "")
    }

    /// A section of a table, view or sequence.
    pub(crate) fn of_table(kind: Kind, schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// The name of its object: `table/shop/orders.sql`.
    pub(crate) fn object_name(&self) -> String {
        let mut path = self.kind.name().to_owned();
        for part in [&self.schema, &self.name] {
            if !part.is_empty() {
                path.push('/');
                path.push_str(&encode(part));
            }
        }
        path + ".sql"
    }

    /// The attributes of its object.
    pub(crate) fn attributes(&self, seq: u64) -> Attributes {
        let mut attributes = Attributes::kind(self.kind.name()).with(SEQ, seq);
        if !self.schema.is_empty() {
            attributes = attributes.schema(&self.schema);
        }
        if !self.name.is_empty() {
            attributes = attributes.table(&self.name);
        }
        attributes
    }

    /// The section that an object is, and its place in the dump; `None` if it is none of the dump.
    pub(crate) fn of_object(object: &ObjectInfo) -> Option<(Self, u64)> {
        let attributes = &object.attributes;
        let section = Self {
            kind: Kind::from_name(attributes.kind.as_deref()?)?,
            schema: attributes.schema.clone().unwrap_or_default(),
            name: attributes.table.clone().unwrap_or_default(),
        };
        Some((section, attributes.other.get(SEQ)?.as_u64()?))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, schema, name } = self;
        match kind {
            Kind::Header => f.write_str("the dump's header"),
            Kind::Footer => f.write_str("the dump's footer"),
            Kind::Schema => write!(f, "schema {schema}"),
            Kind::Events => write!(f, "the events of {schema}"),
            Kind::Routines => write!(f, "the routines of {schema}"),
            Kind::Views => write!(f, "the views of {schema}"),
            Kind::Table => write!(f, "table {schema}.{name}"),
            Kind::Sequence => write!(f, "sequence {schema}.{name}"),
            Kind::ViewStub => write!(f, "the stand-in for view {schema}.{name}"),
            Kind::View => write!(f, "view {schema}.{name}"),
        }
    }
}

/// A name as a part of an object's name. Names of tables hold anything; those of objects no `/`, no control characters and
/// no part that is `.` or `..`. Letters of any script stay; of ASCII, what is not a letter, digit, `_`, `-` or `$` becomes
/// `%XX`.
fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | '-' | '$') {
            text.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects() {
        for (schema, table, object) in [
            ("shop", "orders", "table/shop/orders.sql"),
            ("..", ".", "table/%2E%2E/%2E.sql"),
            ("a/b", "c%2F\n`d.e", "table/a%2Fb/c%252F%0A%60d%2Ee.sql"),
            ("ü ", "表\u{a0}$-_", "table/ü%20/表%C2%A0$-_.sql"),
        ] {
            assert_eq!(Section::of_table(Kind::Table, schema, table).object_name(), object);
        }
        assert_eq!(Section::of_dump(Kind::Header).object_name(), "header.sql");
        assert_eq!(Section::of_schema(Kind::Events, "a").object_name(), "events/a.sql");
    }

    #[test]
    fn attributes_lead_back_to_the_section() {
        for (kind, name) in Kind::ALL {
            assert_eq!((kind.name(), Kind::from_name(name)), (name, Some(kind)));
            let section = Section::of_table(kind, "s", "t");
            let object = ObjectInfo {
                name: section.object_name(),
                attributes: section.attributes(7),
                size: 0,
            };
            assert_eq!(Section::of_object(&object), Some((section, 7)));
        }
    }
}
