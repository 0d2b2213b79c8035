//! [`Statements`]: an SQL file cut into its statements, as a client would send them: with DELIMITER, quotes and comments.
//!
//! A file is bytes: a shell writes the text of a routine, trigger, event or view in the character set of its client, which the file
//! sets before it. All that a file is cut by is ASCII, and so may be the second byte of a character in some of these.

use crate::dollar_quotes::Head;

/// What a file has, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A comment's line that stands between statements, without its `-- `. Dumps mark by them what a statement makes.
    Comment(&'a [u8]),
    /// A statement, without its delimiter, and the line (from 1) on which it begins.
    Statement { sql: &'a [u8], line: usize },
}

/// Cuts a file.
#[derive(Debug)]
pub(super) struct Statements<'a> {
    text: &'a [u8],
    /// Where to go on, in bytes.
    at: usize,
    line: usize,
    delimiter: &'a [u8],
    /// What the `sql_mode` that the file itself sets says of `\` in strings, and of `"`.
    backslash_escapes: bool,
    ansi_quotes: bool,
    /// What it sets as `character_set_client`, if that is one of [`TWO_BYTES`].
    two_bytes: Option<&'static str>,
}

/// Character sets in which a byte from 0x81 on begins a character of two bytes, whose second may be ASCII. Single bytes of `sjis` and `cp932`,
/// 0xA0 to 0xDF, are an exception.
const TWO_BYTES: [&str; 5] = ["sjis", "cp932", "big5", "gbk", "gb18030"];

impl<'a> Statements<'a> {
    /// Of a file's text.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            delimiter: b";",
            backslash_escapes: true,
            ansi_quotes: false,
            two_bytes: None,
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.text[self.at..self.at + bytes]).count();
        self.at += bytes;
    }

    fn take_line(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        self.advance((line.len() + 1).min(rest.len()));
        line.trim_ascii_end()
    }

    /// The length of the statement that begins here, and of it with its delimiter.
    fn end(&self) -> (usize, usize) {
        let bytes = self.rest();
        let mut head = Head::default();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let dashes = rest.starts_with(b"--") && rest.get(2).is_none_or(u8::is_ascii_whitespace);
            let comment = dashes || rest[0] == b'#' || rest.starts_with(b"/*");
            // Before the delimiter, which may be dollars too.
            if let Some(length) = head.see(bytes, at, if comment { b' ' } else { rest[0] }) {
                at += length;
                continue;
            }
            if rest.starts_with(self.delimiter) {
                return (at, at + self.delimiter.len());
            }
            at += match rest[0] {
                quote @ (b'\'' | b'"' | b'`') => self.quoted(rest, quote),
                b'#' => to_line_end(rest),
                b'-' if dashes => to_line_end(rest),
                // What is in an executable comment is code, and its end is no more than two characters.
                b'/' if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") => 3,
                b'/' if rest.starts_with(b"/*") => {
                    memchr::memmem::find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4)
                }
                byte => self.width(byte),
            };
        }
        (bytes.len(), bytes.len())
    }

    /// The length of what is quoted; a doubled quote ends one and begins the next.
    fn quoted(&self, bytes: &[u8], quote: u8) -> usize {
        let escapes = match quote {
            b'`' => false,
            b'"' => self.backslash_escapes && !self.ansi_quotes,
            _ => self.backslash_escapes,
        };
        let mut at = 1;
        while let Some(&byte) = bytes.get(at) {
            at += match byte {
                byte if byte == quote => return at + 1,
                b'\\' if escapes => 2,
                _ if self.two_bytes.is_some() => self.width(byte),
                _ => memchr::memchr2(quote, b'\\', &bytes[at + 1..]).map_or(bytes.len(), |more| more + 1),
            };
        }
        bytes.len()
    }

    /// How many bytes the character has that begins with a byte, as far as the second may be ASCII.
    fn width(&self, byte: u8) -> usize {
        match self.two_bytes {
            None => 1,
            Some("sjis" | "cp932") if (0xa0..=0xdf).contains(&byte) => 1,
            Some(_) => 1 + usize::from(byte > 0x80),
        }
    }

    /// A body may have been written under an `sql_mode` in which `\` is an ordinary character, or in another character set; the file sets
    /// them before.
    fn note_settings(&mut self, sql: &[u8]) {
        if sql.len() > 300 {
            return;
        }
        let code = String::from_utf8_lossy(sql);
        let code = code.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        if !starts_with_word(code.as_bytes(), "SET") {
            return;
        }
        // `SET @saved = @@sql_mode` changes nothing.
        let mut words = code.split_whitespace();
        if words
            .nth(1)
            .is_some_and(|word| word.starts_with('@') && !word.starts_with("@@"))
        {
            return;
        }
        let lower = code.to_ascii_lowercase();
        if lower.contains("sql_mode") {
            self.backslash_escapes = !code.contains("NO_BACKSLASH_ESCAPES");
            self.ansi_quotes = code.contains("ANSI_QUOTES");
        }
        if let Some((_, value)) = lower.split_once("character_set_client") {
            let value = value.trim_start_matches([' ', '=', '\'']);
            let named = |name: &&str| {
                value
                    .strip_prefix(*name)
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
            };
            self.two_bytes = TWO_BYTES.into_iter().find(named);
        }
    }
}

impl<'a> Iterator for Statements<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_ascii_start().len();
            self.advance(blank);
            let rest = self.rest();
            if rest.is_empty() {
                return None;
            }
            if rest.starts_with(b"--") && rest.get(2).is_none_or(u8::is_ascii_whitespace) {
                let line = self.take_line();
                return Some(Piece::Comment(line[2..].trim_ascii()));
            }
            if rest.starts_with(b"#") {
                self.take_line();
                continue;
            }
            if starts_with_word(rest, "DELIMITER") {
                let line = self.take_line();
                let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                if let Some(delimiter) = words.nth(1) {
                    self.delimiter = delimiter;
                }
                continue;
            }
            let line = self.line;
            let (length, whole) = self.end();
            let sql = rest[..length].trim_ascii_end();
            self.advance(whole);
            if !sql.is_empty() {
                self.note_settings(sql);
                return Some(Piece::Statement { sql, line });
            }
        }
    }
}

/// Whether a text begins with a word, in whatever case, and then a blank.
pub(super) fn starts_with_word(text: &[u8], word: &str) -> bool {
    text.split_at_checked(word.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(word.as_bytes()) && rest.first().is_some_and(u8::is_ascii_whitespace)
    })
}

fn to_line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<&str> {
        Statements::new(text.as_bytes())
            .filter_map(|piece| match piece {
                Piece::Statement { sql, .. } => str::from_utf8(sql).ok(),
                Piece::Comment(_) => None,
            })
            .collect()
    }

    #[test]
    fn cuts_where_a_client_does() {
        for (text, expected) in [
            ("a; b;\n c", vec!["a", "b", "c"]),
            ("a ';' b; \"x;\" ;", vec!["a ';' b", "\"x;\""]),
            (r"a 'it\'s;' ''';''';b", vec![r"a 'it\'s;' ''';'''", "b"]),
            ("a `x\\`; b", vec!["a `x\\`", "b"]),
            (
                "a -- it's; here\n b; c # d; e\n f;",
                vec!["a -- it's; here\n b", "c # d; e\n f"],
            ),
            ("a--b'; '; c", vec!["a--b'; '", "c"]),
            ("a /* it's; */ b; c", vec!["a /* it's; */ b", "c"]),
            (
                "/*!50003 SET x = 1 */ ;\n;;/*!1 a /* b; */ c */;",
                vec!["/*!50003 SET x = 1 */", "/*!1 a /* b; */ c */"],
            ),
            ("DELIMITER ;;\na; b ;;\ndelimiter ;\nc; d", vec!["a; b", "c", "d"]),
            ("DELIMITER //\nSELECT '//', `//` //\n", vec!["SELECT '//', `//`"]),
            (
                "/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ;\nx '\\'; y; SET sql_mode = @saved; x '\\'; y'",
                vec![
                    "/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */",
                    "x '\\'",
                    "y",
                    "SET sql_mode = @saved",
                    "x '\\'; y'",
                ],
            ),
            (
                "SET @a = @@sql_mode; x 'é\\'😀;'",
                vec!["SET @a = @@sql_mode", "x 'é\\'😀;'"],
            ),
        ] {
            assert_eq!(statements(text), expected, "{text}");
        }
    }

    #[test]
    fn code_in_dollar_quotes() {
        for code in [
            "$$ // don't\n$$",
            "$$ ` $$",
            "$$ a.replace(/'/, \"\") $$",
            "$$ a\n#x $$",
            "$$ for (;;) {}\nDELIMITER ;\n $$",
            "$js$ '$$' ` $js $js$",
            "$é$ \" $é$",
            "$$$$",
        ] {
            for head in [
                "CREATE LIBRARY `l` LANGUAGE JAVASCRIPT AS ",
                "CREATE LIBRARY `l` COMMENT 'a''b' LANGUAGE JAVASCRIPT\nAS ",
                "CREATE DEFINER=`a`@`%` FUNCTION `f`(`a` int) RETURNS int\n    LANGUAGE JAVASCRIPT\n    SQL SECURITY INVOKER\n    \
                 COMMENT 'AS ''$$'\n    USING (`d`.`l` AS `m`)\nAS ",
                "create procedure p() language javascript /* as $$ */ as -- '\n",
            ] {
                for delimiter in [";;", "$$"] {
                    let sql = format!("{head}{code}");
                    let text = format!("DELIMITER {delimiter}\n{sql} {delimiter}\nDELIMITER ;\na; b");
                    assert_eq!(statements(&text), [sql.as_str(), "a", "b"], "{text}");
                }
            }
        }
        // Names.
        for text in [
            "SELECT 1 AS $a$;x '$a$'",
            "SELECT a$$b;c$$",
            "CREATE PROCEDURE p AS $a$ INT;BEGIN SELECT $a$",
            "CREATE FUNCTION f() RETURNS int LANGUAGE SQL RETURN (SELECT 1 AS $a$);$a$",
            "SELECT MATCH (a) AGAINST ('b' IN NATURAL LANGUAGE MODE) AS $a$;$a$",
            "SELECT language LIKE 'a' AS $a$;$a$",
            "CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $$;b",
        ] {
            let (first, second) = text.split_once(';').unwrap();
            assert_eq!(statements(text), [first, second], "{text}");
        }
    }

    #[test]
    fn characters_whose_second_byte_is_ascii() {
        for (set, body) in [
            ("sjis", &b"\x83\x5c"[..]),
            ("cp932", b"\xb1\x83\x5c"),
            ("gbk", b"\x81\x60\x81\x5c"),
            ("big5", b"\xa4\x5c"),
        ] {
            let text = [
                format!("/*!50003 SET character_set_client  = {set} */ ;\nDELIMITER ;;\nCREATE a '").as_bytes(),
                body,
                b"' ;;\nSET character_set_client = @saved ;;\nx '\\'' ;;\nDELIMITER ;\ny;",
            ]
            .concat();
            let all: Vec<&[u8]> = Statements::new(&text)
                .filter_map(|piece| match piece {
                    Piece::Statement { sql, .. } => Some(sql),
                    Piece::Comment(_) => None,
                })
                .collect();
            assert_eq!(all.len(), 5, "{set}");
            assert_eq!(all[1], [b"CREATE a '", body, b"'"].concat(), "{set}");
            assert_eq!(all[4], b"y", "{set}");
        }
    }

    #[test]
    fn comments_and_lines() {
        let text = "-- head\n\nSELECT\n 1;\n-- begin event `a`.`b`\nx;\n--\n";
        let pieces: Vec<Piece<'_>> = Statements::new(text.as_bytes()).collect();
        assert_eq!(
            pieces,
            [
                Piece::Comment(b"head"),
                Piece::Statement {
                    sql: b"SELECT\n 1",
                    line: 3
                },
                Piece::Comment(b"begin event `a`.`b`"),
                Piece::Statement { sql: b"x", line: 6 },
                Piece::Comment(b""),
            ]
        );
    }
}
