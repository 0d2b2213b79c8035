//! Dollar quotes, which MySQL has from 8.1 on: `$$…$$` and `$tag$…$tag$`, around the code of libraries and of routines in another
//! language than SQL.
//!
//! On MariaDB and on MySQL 8.0, `$$` and `$tag$` are names, also behind AS: `SELECT 1 AS $a$`, or a variable in Oracle's mode. A dump
//! need not say which server it is of: a quote is seen only where no statement has a name, which is behind `LANGUAGE` with another language
//! than SQL, what else the head of a routine says, and `AS`. One that does not end is none.

/// What may stand between a routine's language and its code.
const CHARACTERISTICS: [&str; 11] = [
    "NOT",
    "DETERMINISTIC",
    "CONTAINS",
    "NO",
    "READS",
    "MODIFIES",
    "SQL",
    "DATA",
    "SECURITY",
    "DEFINER",
    "INVOKER",
];

/// Follows statements to where a dollar quote begins.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// Where the word begins that is not over yet.
    word: Option<usize>,
    place: Place,
}

/// What a statement has said last, if that leads to a dollar quote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Elsewhere,
    /// Behind LANGUAGE.
    Language,
    /// Behind the language, and what may follow it.
    Characteristics,
    /// Behind COMMENT.
    Comment,
    /// Behind its text, of which a doubled quote makes two.
    Commented,
    /// Behind USING.
    Using,
    /// In the parentheses behind USING.
    Libraries,
    /// Behind AS.
    As,
}

impl Head {
    /// Takes the byte at a place: each that is outside of quotes and comments, and that with which a quoted text begins; a blank where a
    /// comment begins. The length of the dollar quote that begins there, if one does.
    pub(crate) fn see(&mut self, text: &[u8], at: usize, byte: u8) -> Option<usize> {
        if is_of_word(byte) {
            if self.word.is_some() {
                return None;
            }
            let quote = match self.place {
                Place::As => dollar_quote(&text[at..]),
                _ => None,
            };
            if quote.is_some() {
                self.place = Place::Elsewhere;
            } else {
                self.word = Some(at);
            }
            return quote;
        }
        if let Some(start) = self.word.take() {
            self.place = self.place.after_word(&text[start..at]);
        }
        if !byte.is_ascii_whitespace() {
            self.place = self.place.after_mark(byte);
        }
        None
    }
}

impl Place {
    fn after_word(self, word: &[u8]) -> Self {
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        match self {
            Self::Libraries => self,
            // `LANGUAGE SQL` says nothing, and behind a column that is called so its alias may come.
            Self::Language if is("SQL") || is("AS") => Self::Elsewhere,
            Self::Language => Self::Characteristics,
            Self::Characteristics | Self::Commented if is("AS") => Self::As,
            Self::Characteristics | Self::Commented if is("COMMENT") => Self::Comment,
            Self::Characteristics | Self::Commented if is("USING") => Self::Using,
            Self::Characteristics | Self::Commented if CHARACTERISTICS.into_iter().any(is) => Self::Characteristics,
            _ if is("LANGUAGE") => Self::Language,
            _ => Self::Elsewhere,
        }
    }

    fn after_mark(self, mark: u8) -> Self {
        match (self, mark) {
            (Self::Language, b'`') | (Self::Libraries, b')') => Self::Characteristics,
            (Self::Comment | Self::Commented, b'\'' | b'"') => Self::Commented,
            (Self::Using, b'(') | (Self::Libraries, _) => Self::Libraries,
            _ => Self::Elsewhere,
        }
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

/// The length of the dollar quote at the start, if one is there.
fn dollar_quote(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"$")?;
    let tag = inner
        .iter()
        .take_while(|byte| **byte != b'$' && is_of_word(**byte))
        .count();
    let quote = text.get(..tag + 2).filter(|quote| quote.ends_with(b"$"))?;
    let end = memchr::memmem::find(&text[quote.len()..], quote)?;
    Some(end + 2 * quote.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_tags() {
        for (text, length) in [
            ("$$$$", Some(4)),
            ("$$ ' $$ $$", Some(7)),
            ("$$ $ $$$", Some(7)),
            ("$js$ $$ $j$ $js $js$;", Some(20)),
            ("$é1_$ ` $é1_$", Some(15)),
            ("$a$ $A$", None),
            ("$a b$ $a b$", None),
            ("$$ open", None),
            ("$$", None),
            ("$a", None),
            ("$", None),
            ("a$$ $$", None),
        ] {
            assert_eq!(dollar_quote(text.as_bytes()), length, "{text}");
        }
    }

    /// The first dollar quote. Of what is quoted otherwise the text has the first quote only, for the rest is not shown to a head.
    fn quoted(text: &str) -> Option<&str> {
        let mut head = Head::default();
        text.bytes().enumerate().find_map(|(at, byte)| {
            let length = head.see(text.as_bytes(), at, byte)?;
            text.get(at..at + length)
        })
    }

    #[test]
    fn only_where_there_can_be_no_name() {
        for head in [
            "CREATE LIBRARY l LANGUAGE JAVASCRIPT AS ",
            "create function f(a INT) returns int\n    language javascript\n    deterministic\nas\n",
            "CREATE PROCEDURE p() LANGUAGE JAVASCRIPT NOT DETERMINISTIC READS SQL DATA SQL SECURITY DEFINER COMMENT ' AS ",
            "CREATE FUNCTION f() RETURNS INT COMMENT ' LANGUAGE ` NO SQL USING (l, d.m AS n) AS\t",
            "SELECT language, a; CREATE LIBRARY l LANGUAGE WASM AS ",
        ] {
            for quote in ["$$ ' $$", "$js$ ` $js$"] {
                assert_eq!(quoted(&format!("{head}{quote};")), Some(quote), "{head}{quote}");
            }
        }
        for text in [
            "SELECT 1 AS $a$, 2 AS $a$",
            "CREATE FUNCTION f() RETURNS INT LANGUAGE SQL RETURN (SELECT 1 AS $a$ FROM $a$)",
            "CREATE FUNCTION f() RETURN INT AS $a$ INT; $a$ INT",
            "SELECT language AS $a$, $a$",
            "SELECT language l, a AS $a$, $a$",
            "SELECT language IN (1, 2) AS $a$, $a$",
            "SELECT language LIKE ' AS $a$, $a$",
            "SELECT CAST(language USING utf8) AS $a$, $a$",
            "SELECT MATCH (a) AGAINST (' IN NATURAL LANGUAGE MODE) AS $a$, $a$",
            "CREATE LIBRARY l LANGUAGE JAVASCRIPT AS x$$ $$",
            "CREATE LIBRARY l LANGUAGE JAVASCRIPT AS ', $$ $$",
            "CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $$ open",
        ] {
            assert_eq!(quoted(text), None, "{text}");
        }
    }
}
