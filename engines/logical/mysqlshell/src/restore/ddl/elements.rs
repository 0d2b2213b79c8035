//! What stands between the outer brackets of a CREATE TABLE: columns, keys, constraints.

use super::tokens::{Kind, Token, tokens};

/// What an element is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Column,
    Primary,
    Unique,
    /// Also a spatial one, or one on vectors.
    Index,
    Fulltext,
    ForeignKey {
        schema: Option<String>,
        table: String,
        /// Where in the element the schema's name stands.
        schema_at: Option<(usize, usize)>,
    },
    /// A CHECK of the table.
    Check,
    /// A PERIOD, anything else.
    Other,
}

/// A column, key or constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) text: &'a str,
    /// A key's columns.
    pub(super) columns: Vec<String>,
    /// Whether a key is on an expression.
    pub(super) functional: bool,
    pub(super) auto_increment: bool,
    pub(super) virtual_column: bool,
    /// Whether it is a column of type TIMESTAMP that is NOT NULL and has no default.
    pub(super) bare_timestamp: bool,
}

/// A statement in three parts.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// With the opening bracket.
    pub(super) head: &'a str,
    pub(super) elements: Vec<Element<'a>>,
    /// From the closing bracket on.
    pub(super) tail: &'a str,
    /// Words and texts of the tail.
    pub(super) options_words: Vec<String>,
}

/// Reads a CREATE TABLE; `None` if it is none.
pub(super) fn read(sql: &str) -> Option<Parts<'_>> {
    let all = tokens(sql)?;
    let table = all.iter().position(|token| token.is("TABLE"))?;
    if !all.first()?.is("CREATE") {
        return None;
    }
    // IF NOT EXISTS, and the name, which may have its schema before it.
    let open = table + all[table..].iter().position(|token| token.is_sign(b'('))?;
    if !all[table..open].iter().any(|token| token.kind == Kind::Name) {
        return None;
    }
    let mut depth = 0;
    let mut from = open + 1;
    let mut elements = Vec::new();
    for at in open..all.len() {
        match all[at].kind {
            Kind::Sign(b'(') => depth += 1,
            Kind::Sign(b')') => depth -= 1,
            _ => {}
        }
        if (depth == 1 && all[at].is_sign(b',')) || depth == 0 {
            let text = sql[all[from - 1].end()..all[at].at].trim();
            elements.push(element(text)?);
            from = at + 1;
        }
        if depth == 0 {
            let tail = &sql[all[at].at..];
            return Some(Parts {
                head: &sql[..all[open].end()],
                elements,
                tail,
                options_words: all[from..]
                    .iter()
                    .filter(|token| token.kind == Kind::Word)
                    .map(|token| token.text.to_owned())
                    .collect(),
            });
        }
    }
    None
}

fn element(text: &str) -> Option<Element<'_>> {
    let all = tokens(text)?;
    let first = all.first()?;
    let second = all.get(1);
    let mut element = Element {
        role: Role::Other,
        name: String::new(),
        text,
        columns: Vec::new(),
        functional: false,
        auto_increment: false,
        virtual_column: false,
        bare_timestamp: false,
    };
    if let Some(name) = first.name() {
        let outside = outside_brackets(&all);
        let has = |word: &str| outside.iter().any(|token| token.is(word));
        let generated = has("AS");
        element.role = Role::Column;
        element.name = name;
        element.auto_increment = has("AUTO_INCREMENT");
        element.virtual_column = generated && !has("STORED") && !has("PERSISTENT");
        element.bare_timestamp =
            second.is_some_and(|token| token.is("TIMESTAMP")) && has("NOT") && !has("DEFAULT") && !generated;
        return Some(element);
    }
    let key_word = |token: Option<&Token<'_>>| token.is_some_and(|token| token.is("KEY") || token.is("INDEX"));
    element.role = if first.is("PRIMARY") {
        Role::Primary
    } else if first.is("UNIQUE") {
        Role::Unique
    } else if first.is("FULLTEXT") {
        Role::Fulltext
    } else if key_word(Some(first)) || ((first.is("SPATIAL") || first.is("VECTOR")) && key_word(second)) {
        Role::Index
    } else if let Some(foreign) = all.iter().take(3).position(|token| token.is("FOREIGN")) {
        foreign_key(&all[foreign..])?
    } else {
        if let Some(check) = all.iter().take(3).position(|token| token.is("CHECK")) {
            element.role = Role::Check;
            element.name = all[..check].iter().find_map(Token::name).unwrap_or_default();
        }
        return Some(element);
    };
    let open = all.iter().position(|token| token.is_sign(b'(')).unwrap_or(all.len());
    element.name = all[..open].iter().find_map(Token::name).unwrap_or_default();
    let mut depth = 0;
    for (at, token) in all.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Sign(b'(') => {
                // An expression stands in brackets where a column's name would begin.
                element.functional |= depth == 1 && (all[at - 1].is_sign(b'(') || all[at - 1].is_sign(b','));
                depth += 1;
            }
            Kind::Sign(b')') => depth -= 1,
            Kind::Name if depth == 1 => element.columns.extend(token.name()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    Some(element)
}

/// `FOREIGN KEY … REFERENCES [schema .] table (…) …`
fn foreign_key(all: &[Token<'_>]) -> Option<Role> {
    let references = all.iter().position(|token| token.is("REFERENCES"))?;
    let first = all.get(references + 1)?;
    let dot = all.get(references + 2).is_some_and(|token| token.text == ".");
    Some(if dot {
        Role::ForeignKey {
            schema: first.name(),
            table: all.get(references + 3)?.name()?,
            schema_at: Some((first.at, first.end())),
        }
    } else {
        Role::ForeignKey {
            schema: None,
            table: first.name()?,
            schema_at: None,
        }
    })
}

fn outside_brackets<'t, 'a>(all: &'t [Token<'a>]) -> Vec<&'t Token<'a>> {
    let mut depth = 0;
    all.iter()
        .filter(|token| {
            match token.kind {
                Kind::Sign(b'(') => depth += 1,
                Kind::Sign(b')') => depth -= 1,
                _ => {}
            }
            depth == 0
        })
        .collect()
}
