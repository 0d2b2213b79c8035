//! The table at the end: what was checked, how it went, how long it took.

use std::fmt;
use std::time::Duration;

/// How a check went.
pub(crate) enum State {
    Passed,
    Failed,
    /// It cannot be made here; why has been printed.
    NotChecked,
}

/// The checks in their order; those that were not reached are in it too.
pub(crate) struct Summary {
    rows: Vec<(&'static str, Option<(State, Duration)>)>,
}

impl Summary {
    pub(crate) fn new(names: impl Iterator<Item = &'static str>) -> Self {
        Self {
            rows: names.map(|name| (name, None)).collect(),
        }
    }

    /// The first check without an outcome has this one.
    pub(crate) fn finish(&mut self, state: State, took: Duration) {
        if let Some((_, outcome)) = self.rows.iter_mut().find(|(_, outcome)| outcome.is_none()) {
            *outcome = Some((state, took));
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = Duration::ZERO;
        for (name, outcome) in &self.rows {
            let (took, state) = match outcome {
                Some((state, took)) => {
                    total += *took;
                    (seconds(*took), state.to_string())
                }
                None => (String::new(), "not run".to_owned()),
            };
            writeln!(f, "{name:<14}{took:>9}  {state}")?;
        }
        write!(f, "{:<14}{:>9}", "total", seconds(total))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed => f.write_str("FAILED"),
            Self::NotChecked => f.write_str("not checked: see above"),
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_is_in_the_table() {
        let mut summary = Summary::new(["format", "advisories", "lints", "tests"].into_iter());
        summary.finish(State::Passed, Duration::from_millis(540));
        summary.finish(State::NotChecked, Duration::ZERO);
        summary.finish(State::Failed, Duration::from_secs(75));
        let expected = "format            0.5 s  passed\n\
                        advisories        0.0 s  not checked: see above\n\
                        lints            75.0 s  FAILED\n\
                        tests                    not run\n\
                        total            75.5 s";
        assert_eq!(summary.to_string(), expected);
    }
}
