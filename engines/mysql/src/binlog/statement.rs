//! What a statement does, and to which tables, as far as its beginning tells.
//!
//! For an index that people search: a statement that is not understood is `other`, and touches nothing that is known.

mod tokens;

use tokens::{Token, Tokens};

/// What is known of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// `insert`, `update`, `delete`, `ddl`, `xa-prepare`, `xa-commit`, `xa-rollback` or `other`; `None` for what only frames others:
    /// BEGIN, COMMIT, SAVEPOINT.
    pub(super) kind: Option<&'static str>,
    /// `schema.table`, or `schema.*`.
    pub(super) tables: Vec<String>,
}

/// Looks at a statement, in UTF-8, with the session's default schema.
pub(super) fn look(statement: &str, schema: &str) -> Look {
    let mut words = Words {
        tokens: Tokens::new(statement),
        schema,
    };
    let Some(first) = words.word() else {
        return Look::default();
    };
    match first.as_str() {
        "begin" | "commit" | "rollback" | "savepoint" | "release" | "start" => Look::default(),
        "xa" => xa(&mut words),
        "insert" | "replace" => {
            words.pass(&["low_priority", "delayed", "high_priority", "ignore", "into"]);
            dml("insert", words.table())
        }
        "load" => {
            words.until(&["table"]);
            dml("insert", words.table())
        }
        "update" => {
            words.pass(&["low_priority", "ignore"]);
            dml("update", words.tables())
        }
        "delete" => {
            words.pass(&["low_priority", "quick", "ignore"]);
            if words.peek() == Some("from") {
                words.word();
                dml("delete", words.table())
            } else {
                dml("delete", words.tables())
            }
        }
        "truncate" => {
            words.pass(&["table"]);
            dml("ddl", words.table())
        }
        "rename" => rename(&mut words),
        "create" | "alter" | "drop" => definition(&mut words),
        "grant" | "revoke" => dml("ddl", Vec::new()),
        _ => dml("other", Vec::new()),
    }
}

fn dml(kind: &'static str, tables: impl IntoIterator<Item = String>) -> Look {
    Look {
        kind: Some(kind),
        tables: tables.into_iter().collect(),
    }
}

fn xa(words: &mut Words<'_>) -> Look {
    match words.word().as_deref() {
        Some("prepare") => dml("xa-prepare", None),
        Some("commit") => dml("xa-commit", None),
        Some("rollback") => dml("xa-rollback", None),
        _ => Look::default(),
    }
}

/// RENAME TABLE a TO b, c TO d.
fn rename(words: &mut Words<'_>) -> Look {
    let mut tables = Vec::new();
    if words.pass(&["table", "tables"]) {
        while let Some(table) = words.table() {
            tables.push(table);
            if !words.pass(&["to"]) && !words.comma() {
                break;
            }
        }
    }
    dml("ddl", tables)
}

/// CREATE, ALTER and DROP: of what, and of which.
fn definition(words: &mut Words<'_>) -> Look {
    // OR REPLACE, TEMPORARY, UNIQUE, DEFINER = …, ALGORITHM = …, SQL SECURITY ….
    const THINGS: [&str; 16] = [
        "table",
        "tables",
        "database",
        "schema",
        "view",
        "index",
        "trigger",
        "procedure",
        "function",
        "event",
        "user",
        "role",
        "server",
        "tablespace",
        "sequence",
        "package",
    ];
    let tables = match words.until(&THINGS) {
        Some("table" | "tables" | "view" | "sequence") => {
            words.pass(&["if", "not", "exists"]);
            words.tables()
        }
        Some("database" | "schema") => {
            words.pass(&["if", "not", "exists"]);
            words.name().map(|name| format!("{name}.*")).into_iter().collect()
        }
        Some("index" | "trigger") => {
            words.until(&["on"]);
            words.table().into_iter().collect()
        }
        _ => Vec::new(),
    };
    dml("ddl", tables)
}

struct Words<'a> {
    tokens: Tokens<'a>,
    schema: &'a str,
}

impl<'a> Words<'a> {
    /// The next token, if it is a word that is not quoted, in lower case.
    fn word(&mut self) -> Option<String> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn peek(&self) -> Option<&'a str> {
        match self.tokens.clone().next() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
        .map(|word| {
            // Only compared with keywords of one spelling.
            if word.eq_ignore_ascii_case("from") {
                "from"
            } else {
                word
            }
        })
    }

    /// Passes over any of these words; whether there was one.
    fn pass(&mut self, words: &[&str]) -> bool {
        let mut passed = false;
        while let Some(word) = self.peek()
            && words.iter().any(|known| known.eq_ignore_ascii_case(word))
        {
            self.tokens.next();
            passed = true;
        }
        passed
    }

    /// Passes over everything up to one of these words, and over that.
    fn until<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        for token in self.tokens.by_ref() {
            if let Token::Word(word) = token
                && let Some(found) = words.iter().find(|known| known.eq_ignore_ascii_case(word))
            {
                return Some(found);
            }
        }
        None
    }

    fn name(&mut self) -> Option<String> {
        match self.tokens.next()? {
            Token::Word(word) => Some(word.to_owned()),
            Token::Quoted(name) => Some(name),
            Token::Symbol(_) => None,
        }
    }

    /// A table's name, with its schema.
    fn table(&mut self) -> Option<String> {
        let first = self.name()?;
        if self.symbol('.') {
            let table = self.name()?;
            return Some(format!("{first}.{table}"));
        }
        Some(match self.schema {
            "" => first,
            schema => format!("{schema}.{first}"),
        })
    }

    /// One table's name or several.
    fn tables(&mut self) -> Vec<String> {
        let mut tables = Vec::new();
        while let Some(table) = self.table() {
            tables.push(table);
            if !self.comma() {
                break;
            }
        }
        tables
    }

    fn comma(&mut self) -> bool {
        self.symbol(',')
    }

    fn symbol(&mut self, symbol: char) -> bool {
        let mut ahead = self.tokens.clone();
        let found = matches!(ahead.next(), Some(Token::Symbol(found)) if found == symbol);
        if found {
            self.tokens = ahead;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(statement: &str) -> (Option<&'static str>, String) {
        let Look { kind, tables } = look(statement, "shop");
        (kind, tables.join(" "))
    }

    #[test]
    fn kinds_and_tables() {
        for (statement, kind, tables) in [
            ("INSERT INTO orders VALUES (1)", "insert", "shop.orders"),
            ("insert ignore `a b`.`c``d` set x=1", "insert", "a b.c`d"),
            ("/* app */ REPLACE t SELECT 1", "insert", "shop.t"),
            (
                "LOAD DATA LOCAL INFILE 'x table y' INTO TABLE t (a)",
                "insert",
                "shop.t",
            ),
            (
                "UPDATE LOW_PRIORITY a, other.b SET a.x = b.x",
                "update",
                "shop.a other.b",
            ),
            ("DELETE FROM t WHERE 1", "delete", "shop.t"),
            ("DELETE a, b FROM a JOIN b", "delete", "shop.a shop.b"),
            ("TRUNCATE TABLE t", "ddl", "shop.t"),
            (
                "DROP TABLE IF EXISTS `a`,x.`b` /* generated by server */",
                "ddl",
                "shop.a x.b",
            ),
            ("/*!40000 DROP TABLE t */", "ddl", "shop.t"),
            ("create temporary table if not exists t (table int)", "ddl", "shop.t"),
            (
                "CREATE DEFINER=`root`@`localhost` TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a=1",
                "ddl",
                "shop.t",
            ),
            ("CREATE UNIQUE INDEX i ON t (a)", "ddl", "shop.t"),
            ("ALTER TABLE t ADD COLUMN c INT", "ddl", "shop.t"),
            ("RENAME TABLE a TO b, x.c TO d", "ddl", "shop.a shop.b x.c shop.d"),
            ("DROP DATABASE shop2", "ddl", "shop2.*"),
            ("CREATE USER 'u'@'%' IDENTIFIED BY 'x'", "ddl", ""),
            ("XA COMMIT X'61',X'',1", "xa-commit", ""),
            ("FLUSH TABLES", "other", ""),
            ("-- a\n# b\nDROP VIEW v", "ddl", "shop.v"),
        ] {
            assert_eq!(seen(statement), (Some(kind), tables.to_owned()), "{statement}");
        }
        for frame in ["BEGIN", "COMMIT", "SAVEPOINT a", "XA END X'61'", "", "/*", "`", "'"] {
            assert_eq!(seen(frame).0, None, "{frame}");
        }
        assert_eq!(look("DROP TABLE t", "").tables, ["t"]);
    }
}
