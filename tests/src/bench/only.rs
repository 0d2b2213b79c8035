//! [`Only`]: what of a benchmark is to be run.

use std::error::Error;

/// The words of `BACKSTAY_BENCH_ONLY`, such as `mariadb,dump`. They are of several sorts; of a sort of which none is named, all is run.
#[derive(Debug, Clone)]
pub(super) struct Only(Vec<String>);

impl Only {
    /// What the environment says; `known` are the words of each sort.
    pub(super) fn from_environment(known: &[&[&str]]) -> Result<Self, Box<dyn Error>> {
        Self::parse(&std::env::var("BACKSTAY_BENCH_ONLY").unwrap_or_default(), known)
    }

    /// The same, of a text.
    pub(super) fn parse(text: &str, known: &[&[&str]]) -> Result<Self, Box<dyn Error>> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(str::to_owned).collect();
        let known = known.concat();
        match words.iter().find(|word| !known.contains(&word.as_str())) {
            None => Ok(Self(words)),
            Some(word) => Err(format!(
                "BACKSTAY_BENCH_ONLY: there is no `{word}`; there are {}",
                known.join(", ")
            )
            .into()),
        }
    }

    /// Whether something is to be run: nothing of its sort is named, or it is.
    pub(super) fn has(&self, sort: &[&str], name: &str) -> bool {
        let named = |word: &String| sort.contains(&word.as_str());
        !self.0.iter().any(named) || self.0.iter().any(|word| word == name)
    }
}
