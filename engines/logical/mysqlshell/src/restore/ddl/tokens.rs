//! Words, names, brackets and commas of a CREATE TABLE as a server prints it.

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name in backticks.
    Name,
    /// A text in quotes.
    Text,
    /// A word or number, bare.
    Word,
    /// Anything else: one character.
    Sign(u8),
}

/// A piece of text, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Its place in the statement, in bytes.
    pub(super) at: usize,
}

impl Token<'_> {
    /// Whether it is that word, in whatever case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is that character.
    pub(super) fn is_sign(&self, sign: u8) -> bool {
        self.kind == Kind::Sign(sign)
    }

    /// A name as it is without backticks.
    pub(super) fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Name => Some(self.text[1..self.text.len() - 1].replace("``", "`")),
            _ => None,
        }
    }

    /// Where it ends, in bytes.
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

/// All tokens of a statement. What is in an executable comment (`/*!80000 INVISIBLE */`) is among them, other comments are
/// not. `None` if something quoted is not closed.
pub(super) fn tokens(sql: &str) -> Option<Vec<Token<'_>>> {
    let bytes = sql.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (length, kind) = match rest[0] {
            b'`' => (quoted(rest, b'`', false)?, Some(Kind::Name)),
            quote @ (b'\'' | b'"') => (quoted(rest, quote, true)?, Some(Kind::Text)),
            b'/' if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") => {
                let start = if rest[2] == b'M' { 4 } else { 3 };
                let digits = rest[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                (start + digits, None)
            }
            b'/' if rest.starts_with(b"/*") => (memchr::memmem::find(&rest[2..], b"*/")? + 4, None),
            b'*' if rest.starts_with(b"*/") => (2, None),
            byte if byte.is_ascii_whitespace() => (1, None),
            byte if is_word(byte) => {
                let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                (length, Some(Kind::Word))
            }
            sign => (1, Some(Kind::Sign(sign))),
        };
        if let Some(kind) = kind {
            tokens.push(Token {
                kind,
                text: &sql[at..at + length],
                at,
            });
        }
        at += length;
    }
    Some(tokens)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.') || byte >= 0x80
}

/// The length of what is quoted, with its quotes; a doubled quote stands for one.
fn quoted(bytes: &[u8], quote: u8, escapes: bool) -> Option<usize> {
    let mut at = 1;
    while at < bytes.len() {
        if bytes[at] == b'\\' && escapes {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return Some(at + 1);
        }
    }
    None
}
