//! Which server it is: flavour and version.

use std::fmt;

use serde::Serialize;

/// Whose server it is. Percona's behaves as MySQL's in all that Backstay does; it is told apart for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Oracle's MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
    /// Percona Server for MySQL.
    Percona,
}

impl Flavour {
    /// By what a server says of itself in `VERSION()` and `@@version_comment`, or a program by `--version`.
    pub fn of(version: &str, comment: &str) -> Self {
        let says =
            |word: &str| version.to_ascii_lowercase().contains(word) || comment.to_ascii_lowercase().contains(word);
        if says("mariadb") {
            Self::MariaDb
        } else if says("percona") {
            Self::Percona
        } else {
            Self::MySql
        }
    }

    /// Its name in facts and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::Percona => "percona",
        }
    }

    /// Whether it is MariaDB, the one that differs.
    pub fn is_mariadb(self) -> bool {
        self == Self::MariaDb
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
            Self::Percona => "Percona Server",
        })
    }
}

/// A server's or a program's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Major, minor, patch; missing parts are 0.
    pub number: (u32, u32, u32),
    /// As it was printed, such as `10.11.14-MariaDB-0+deb12u2-log`.
    pub raw: String,
}

impl Version {
    /// Reads the number at the start of `raw`; what is no number counts as 0.
    ///
    /// MariaDB up to 10.x announces itself as `5.5.5-10.11.14-MariaDB` where an old replica might listen; the prefix is
    /// not its version.
    pub fn parse(raw: &str) -> Self {
        let text = raw.strip_prefix("5.5.5-").unwrap_or(raw);
        let mut parts = text
            .split(|c: char| c != '.' && !c.is_ascii_digit())
            .next()
            .unwrap_or_default()
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self {
            number: (next(), next(), next()),
            raw: raw.to_owned(),
        }
    }

    /// Whether it is that version or a later one.
    pub fn at_least(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.number >= (major, minor, patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_flavours() {
        for (raw, comment, number, flavour) in [
            ("9.7.0", "MySQL Community Server - GPL", (9, 7, 0), Flavour::MySql),
            (
                "8.0.36-28",
                "Percona Server (GPL), Release 28",
                (8, 0, 36),
                Flavour::Percona,
            ),
            (
                "10.11.14-MariaDB-0+deb12u2-log",
                "Debian 12",
                (10, 11, 14),
                Flavour::MariaDb,
            ),
            ("5.5.5-10.11.14-MariaDB", "", (10, 11, 14), Flavour::MariaDb),
            ("8.4", "", (8, 4, 0), Flavour::MySql),
            ("", "", (0, 0, 0), Flavour::MySql),
        ] {
            assert_eq!(Version::parse(raw).number, number, "{raw}");
            assert_eq!(Flavour::of(raw, comment), flavour, "{raw}");
        }
    }
}
