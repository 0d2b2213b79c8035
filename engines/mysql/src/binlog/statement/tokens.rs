//! A statement's words, names and symbols; comments are passed over, and what is in conditional ones is read.

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, or a name that is not quoted, or a number.
    Word(&'a str),
    /// What is in quotes of any kind, without them.
    Quoted(String),
    /// Anything else.
    Symbol(char),
}

#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(statement: &'a str) -> Self {
        Self { rest: statement }
    }

    fn skip_space(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let rest = self.rest;
            if rest.starts_with("/*!") || rest.starts_with("/*M!") {
                // Its content is read as by a server that the version suits.
                let (_, content) = rest.split_once('!').unwrap_or_default();
                self.rest = content.trim_start_matches(|c: char| c.is_ascii_digit());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, after)| after);
            } else if let Some(after) = rest.strip_prefix("*/") {
                self.rest = after;
            } else if rest.starts_with('#') || rest.starts_with("-- ") || rest.starts_with("--\n") {
                self.rest = rest.split_once('\n').map_or("", |(_, after)| after);
            } else {
                return;
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space();
        let first = self.rest.chars().next()?;
        let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        if in_word(first) {
            let end = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Token::Word(word));
        }
        self.rest = &self.rest[first.len_utf8()..];
        if matches!(first, '`' | '\'' | '"') {
            return Some(Token::Quoted(self.quoted(first)));
        }
        Some(Token::Symbol(first))
    }
}

impl Tokens<'_> {
    /// Up to the quote's end; a doubled quote is one of the name's own.
    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == '\\' && quote != '`' {
                text.extend(chars.next().map(|(_, escaped)| escaped));
            } else if c != quote {
                text.push(c);
            } else if self.rest[at + 1..].starts_with(quote) {
                text.push(c);
                chars.next();
            } else {
                self.rest = &self.rest[at + 1..];
                return text;
            }
        }
        self.rest = "";
        text
    }
}
