//! Values of the file that are more than a string or a number.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name among `names` that `name` was probably meant to be.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Jaro-Winkler with this bound takes a slip or two of the finger, and not another word.
    const SIMILAR: f64 = 0.8;
    let lower = name.to_ascii_lowercase();
    names
        .map(|other| (strsim::jaro_winkler(&lower, &other.to_ascii_lowercase()), other))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

/// The nearest name as a question, else all names.
pub(crate) fn suggest<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            match names.as_slice() {
                [] => "there is none at all".to_owned(),
                [only] => format!("there is only {only}"),
                all => format!("there are {}", all.join(", ")),
            }
        }
    }
}

/// Whether it may name a cluster or a workflow: 1 to 64 of `A-Za-z0-9._-`, the first of them no dot. Names are parts of paths in
/// the repository.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
        Err(format!(
            "must be 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, and is \"{}\"",
            name.escape_debug()
        ))
    } else if name.starts_with('.') {
        Err(format!("must not start with a dot, and is \"{name}\""))
    } else {
        Ok(())
    }
}

/// A duration: a whole number and `s`, `m`, `h` or `d`; `"90s"`, `"15m"`, `"6h"`, `"1d"`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "must be a duration such as \"90s\", \"15m\", \"6h\" or \"1d\", and is \"{}\"",
            text.escape_debug()
        )
    };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    if count == 0 {
        return Err("must be longer than nothing".to_owned());
    }
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// A size in bytes: a whole number and `KiB`, `MiB` or `GiB`; `"16MiB"`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "must be a size such as \"512KiB\", \"16MiB\" or \"4GiB\", and is \"{}\"",
            text.escape_debug()
        )
    };
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (digits, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .ok_or_else(wrong)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    if count == 0 {
        return Err("must be larger than nothing".to_owned());
    }
    count.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A path, absolute: relative ones are relative to `directory`.
pub(super) fn parse_path(directory: &Path, text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() {
        Err("must be a path, and is empty")
    } else if text.starts_with('~') {
        Err("must be a path in full: `~` is not replaced here")
    } else {
        Ok(directory.join(text))
    }
}

/// `a string`, `an integer`.
pub(super) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

/// A table as JSON; a date becomes a string.
pub(super) fn table_to_json(table: &DeTable<'_>) -> Result<Map<String, Value>, (Range<usize>, String)> {
    table
        .iter()
        .map(|(name, node)| Ok((name.get_ref().to_string(), to_json(node)?)))
        .collect()
}

fn to_json(node: &Spanned<DeValue<'_>>) -> Result<Value, (Range<usize>, String)> {
    Ok(match node.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(value) => Value::String(value.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| (node.span(), format!("{number} is too large a number")))?
            .into(),
        DeValue::Float(number) => {
            let value = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(value.ok_or_else(|| {
                (
                    node.span(),
                    format!("an option can not be {number}: JSON has no such number"),
                )
            })?)
        }
        DeValue::Array(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => Value::Object(table_to_json(table)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("6h", 21_600), ("1d", 86_400)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "s",
            "6",
            "6 h",
            "-6h",
            "1.5h",
            "6H",
            "6é",
            "99999999999999999999s",
            "999999999999999999d",
            "0s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("1KiB", 1 << 10), ("16MiB", 16 << 20), ("4GiB", 4 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for text in [
            "",
            "MiB",
            "16",
            "16MB",
            "16 MiB",
            "-1KiB",
            "1.5GiB",
            "0KiB",
            "99999999999999GiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names() {
        for name in ["a", "disaster-recovery", "A.b_1"] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", "a b", "a/b", "é", ".", "..", ".a", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
