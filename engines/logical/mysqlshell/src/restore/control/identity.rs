//! [`Identity`]: what makes a restore the same as another, and what is said of one that is not.

use backstay_engine_api::{EngineError, RestoreJob, Selection, TablePattern};
use serde::{Deserialize, Serialize};

use super::SCHEMA;
use crate::options::Options;

/// How the ids of directories begin that no Backstay made.
const DIRECTORY: &str = "dump-";

/// The backup, what is taken of it, and how.
#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    backup: Option<String>,
    selection: Selection,
    content: String,
    accounts: bool,
    defer_indexes: String,
    gtid: String,
    /// A half that was logged and a half that was not would make replicas differ.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    skip_binary_log: bool,
}

/// A job's, as the target keeps it. Only the same text is the same restore, also from one version to the next.
pub(in crate::restore) fn identity(job: &RestoreJob, options: &Options) -> String {
    let backup = job.chain().first().map(|link| link.record().id.clone());
    Identity::new(backup, job.selection().clone(), options).to_text()
}

/// Whether two restores are of the same backup, as far as both can be read.
pub(super) fn of_one_backup(one: &str, other: &str) -> bool {
    let backup = |text: &str| serde_json::from_str::<Identity>(text).ok()?.backup;
    backup(one).is_some_and(|one| backup(other) == Some(one))
}

/// The error where a target has an unfinished restore, `found`, that is not this one, `ours`: which it is, and what finishes it.
pub(super) fn another(address: &str, found: Option<&str>, ours: &str) -> EngineError {
    let otherwise = format!("restore with --overwrite; or, if what it left may stay, run: DROP DATABASE {SCHEMA}");
    let read = |text: &str| serde_json::from_str::<Identity>(text).ok();
    let (Some(found), Some(ours)) = (found.and_then(read), read(ours)) else {
        let message = format!(
            "the target {address} has an unfinished restore of another backup, of another selection, with other options, or by another \
             version of Backstay (schema {SCHEMA})"
        );
        return EngineError::refused(message)
            .advise(format!("finish that one by running it again as it was; or {otherwise}"));
    };
    let both = found.options().into_iter().zip(ours.options());
    let options: Vec<&str> = both
        .filter(|(found, ours)| found != ours)
        .map(|((name, _), _)| name)
        .collect();
    let differences = [
        (found.backup != ours.backup, "of another backup"),
        (found.selection != ours.selection, "of another selection"),
        (!options.is_empty(), "with other options"),
    ];
    let differences = differences.into_iter().filter(|(differs, _)| *differs);
    let differences: Vec<&str> = differences.map(|(_, what)| what).collect();
    let (what, advice) = match (differences.is_empty(), found.command(&options)) {
        (true, _) => (
            "by another version of Backstay".to_owned(),
            format!("finish it with that one; or {otherwise}"),
        ),
        (false, Some(command)) => (
            differences.join(", "),
            format!("finish that one by the command that began it, such as: {command}; or {otherwise}"),
        ),
        (false, None) => (
            differences.join(", "),
            format!("finish that one by running it again as it was; or {otherwise}"),
        ),
    };
    let message = format!("the target {address} has an unfinished restore {what} (schema {SCHEMA})");
    EngineError::refused(message)
        .detail(format!("unfinished: {}", found.shown(&options)))
        .detail(format!("this one: {}", ours.shown(&options)))
        .advise(advice)
}

impl Identity {
    fn new(backup: Option<String>, selection: Selection, options: &Options) -> Self {
        Self {
            backup,
            selection,
            content: format!("{:?}", options.content),
            accounts: options.accounts,
            defer_indexes: format!("{:?}", options.defer_indexes),
            gtid: format!("{:?}", options.gtid),
            skip_binary_log: options.skip_binary_log,
        }
    }

    fn to_text(&self) -> String {
        // By a value, whose keys are sorted.
        serde_json::to_value(self).unwrap_or_default().to_string()
    }

    /// The options as an operator writes them.
    fn options(&self) -> [(&'static str, String); 5] {
        [
            ("content", self.content.to_lowercase()),
            ("accounts", self.accounts.to_string()),
            ("defer_indexes", self.defer_indexes.to_lowercase()),
            ("gtid", self.gtid.to_lowercase()),
            ("skip_binary_log", self.skip_binary_log.to_string()),
        ]
    }

    /// For people; of the options, only these.
    fn shown(&self, options: &[&str]) -> String {
        let Selection {
            include,
            exclude,
            into_schema,
        } = &self.selection;
        let mut parts = vec![format!("backup {}", self.backup.as_deref().unwrap_or("without an id"))];
        parts.push(match include.is_empty() {
            true => "all of it".to_owned(),
            false => format!("only {}", list(include)),
        });
        if !exclude.is_empty() {
            parts.push(format!("without {}", list(exclude)));
        }
        if let Some(schema) = into_schema {
            parts.push(format!("into the schema {schema}"));
        }
        let named = self.options().into_iter().filter(|(name, _)| options.contains(name));
        parts.extend(named.map(|(name, value)| format!("{name} = {value}")));
        parts.join(", ")
    }

    /// The command that goes on with it, with these options and all others that are not as they usually are. `None` if there is none:
    /// a comma in a name stands between tables there.
    fn command(&self, options: &[&str]) -> Option<String> {
        let Selection {
            include,
            exclude,
            into_schema,
        } = &self.selection;
        let mut command = match self.backup.as_deref()? {
            id if id.starts_with(DIRECTORY) => "backstay restore --from-dump DIR --to-server URL".to_owned(),
            id => format!("backstay restore {} --to-server URL", word(id)),
        };
        for (option, patterns) in [("tables", include), ("exclude-tables", exclude)] {
            if patterns.iter().any(|pattern| pattern.to_string().contains(',')) {
                return None;
            }
            if !patterns.is_empty() {
                command += &format!(" --{option} {}", word(&list(patterns)));
            }
        }
        if let Some(schema) = into_schema {
            command += &format!(" --as-schema {}", word(schema));
        }
        let usual = Self::new(None, Selection::default(), &Options::default());
        for ((name, value), (_, usual)) in self.options().into_iter().zip(usual.options()) {
            if value != usual || options.contains(&name) {
                command += &format!(" --option {name}={}", word(&value));
            }
        }
        Some(command)
    }
}

fn list(patterns: &[TablePattern]) -> String {
    let texts: Vec<String> = patterns.iter().map(TablePattern::to_string).collect();
    texts.join(",")
}

/// A word of a command line, in quotes if a shell would take it for something else.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{DeferIndexes, Gtid};

    fn text(backup: &str, tables: &[&str], options: &Options) -> String {
        let selection = Selection {
            include: tables.iter().map(|text| text.parse().unwrap()).collect(),
            ..Selection::default()
        };
        Identity::new(Some(backup.to_owned()), selection, options).to_text()
    }

    /// What an earlier version wrote must go on being the same restore.
    #[test]
    fn the_text_stays() {
        assert_eq!(
            text("b", &["shop.*"], &Options::default()),
            r#"{"accounts":true,"backup":"b","content":"All","defer_indexes":"All","gtid":"Ignore","selection":{"include":["shop.*"]}}"#
        );
    }

    #[test]
    fn what_differs_is_said() {
        let theirs = Options {
            gtid: Gtid::Set,
            accounts: false,
            skip_binary_log: true,
            ..Options::default()
        };
        let ours = Options {
            defer_indexes: DeferIndexes::None,
            accounts: false,
            ..Options::default()
        };
        let theirs = text("b1", &["shop.*", "crm.o'k"], &theirs);
        let error = another("h:1", Some(&theirs), &text("b2", &[], &ours));
        assert_eq!(
            error.message,
            "the target h:1 has an unfinished restore of another backup, of another selection, with other options (schema backstay_restore)"
        );
        assert_eq!(
            error.causes,
            [
                "unfinished: backup b1, only shop.*,crm.o'k, defer_indexes = all, gtid = set, skip_binary_log = true",
                "this one: backup b2, all of it, defer_indexes = none, gtid = ignore, skip_binary_log = false",
            ]
        );
        assert_eq!(
            error.advice.as_deref(),
            Some(
                "finish that one by the command that began it, such as: backstay restore b1 --to-server URL --tables \
                 'shop.*,crm.o'\\''k' --option accounts=false --option defer_indexes=all --option gtid=set --option skip_binary_log=true; or restore with \
                 --overwrite; or, if what it left may stay, run: DROP DATABASE backstay_restore"
            )
        );
    }

    #[test]
    fn which_are_of_one_backup() {
        let of = |backup: &str, tables: &[&str]| text(backup, tables, &Options::default());
        for (one, other, same) in [
            (of("b", &[]), of("b", &["shop.*"]), true),
            (of("b", &[]), of("c", &[]), false),
            ("{}".to_owned(), of("b", &[]), false),
            ("{}".to_owned(), "{}".to_owned(), false),
        ] {
            assert_eq!(of_one_backup(&one, &other), same, "{one} {other}");
        }
    }

    #[test]
    fn what_can_not_be_said() {
        let options = Options::default();
        let ours = text("b", &[], &options);
        for (found, message, advice) in [
            (None, "of another backup, of another", "finish that one by running it"),
            (
                Some("x"),
                "of another backup, of another",
                "finish that one by running it",
            ),
            (
                Some(&*ours),
                "restore by another version of Backstay",
                "finish it with that",
            ),
        ] {
            let error = another("h:1", found, &ours);
            assert!(error.message.contains(message), "{error}");
            assert!(error.advice.as_ref().unwrap().starts_with(advice), "{error}");
        }
        let comma = text("b", &["shop.a,b"], &options);
        let advice = another("h:1", Some(&comma), &ours).advice.unwrap();
        assert!(!advice.contains("backstay restore"), "{advice}");
        let directory = another("h:1", Some(&text("dump-0123", &[], &options)), &ours);
        assert!(
            directory
                .advice
                .unwrap()
                .contains("restore --from-dump DIR --to-server URL;")
        );
    }
}
