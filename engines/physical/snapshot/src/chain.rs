//! Which objects of a chain make which file: where it was written whole, and the pages that changed since.

use std::collections::HashMap;

use backstay_engine_api::{EngineError, ErrorKind, ObjectInfo};
use backstay_physical::FILE;
use serde_json::Value;

use crate::pages::{FIRST, LOG, PAGES, REDO, SAME, SPACE};

/// A file, and the objects that it is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    /// The object of the last backup: its name is the file's path from the data directory.
    pub(crate) target: ObjectInfo,
    /// The backup that has it whole, counted from the full one, and the object.
    pub(crate) whole: (usize, ObjectInfo),
    /// The backups that have pages of it that changed, in order, and the objects.
    pub(crate) changed: Vec<(usize, ObjectInfo)>,
}

/// What a file is known by, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'a> {
    /// A tablespace's: its id, and the number of its first page.
    Space(u32, u32),
    /// The redo log's: the LSN that it starts at, and its size.
    Log(u64, u64),
    /// Any other: its name.
    Name(&'a str),
}

/// Follows each file of the last backup back to where it is whole. InnoDB's files are followed by their tablespace, or by what the redo
/// log has in them: what they were called is of no interest.
///
/// # Errors
/// [`ErrorKind::Damaged`] if a backup lacks what the next one changes.
pub(crate) fn plan(chain: &[Vec<ObjectInfo>]) -> Result<Vec<Planned>, EngineError> {
    let by_key: Vec<HashMap<Key<'_>, &ObjectInfo>> = chain
        .iter()
        .map(|objects| {
            objects
                .iter()
                .filter_map(|object| Some((key(object)?, object)))
                .collect()
        })
        .collect();
    let last = chain.len().saturating_sub(1);
    let mut files = Vec::new();
    for object in chain.last().into_iter().flatten() {
        let (mut at, mut step) = (last, object);
        let mut changed = Vec::new();
        let whole = loop {
            match step.attributes.kind.as_deref() {
                Some(FILE) => break Some((at, step.clone())),
                Some(PAGES | REDO) => changed.push((at, step.clone())),
                Some(SAME) => {}
                // Not a file.
                _ => break None,
            }
            let before = at.checked_sub(1).and_then(|at| by_key[at].get(&key(step)?).copied());
            let Some(before) = before else {
                let message = format!(
                    "{} has what changed of a file that the backup before it does not have",
                    object.name
                );
                return Err(EngineError::new(ErrorKind::Damaged, message).advise("restore an earlier backup"));
            };
            (at, step) = (at - 1, before);
        };
        if let Some(whole) = whole {
            changed.reverse();
            files.push(Planned {
                target: object.clone(),
                whole,
                changed,
            });
        }
    }
    Ok(files)
}

fn key(object: &ObjectInfo) -> Option<Key<'_>> {
    let other = &object.attributes.other;
    if let Some(log) = other.get(LOG) {
        let number = |at: usize| log.get(at)?.as_u64();
        return Some(Key::Log(number(0)?, number(1)?));
    }
    let Some(space) = other.get(SPACE) else {
        return Some(Key::Name(&object.name));
    };
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    Some(Key::Space(
        number(space)?,
        other.get(FIRST).and_then(number).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_engine_api::Attributes;

    fn object(name: &str, kind: &str, space: Option<u32>) -> ObjectInfo {
        let attributes = Attributes::kind(kind);
        ObjectInfo {
            name: name.to_owned(),
            attributes: space.iter().fold(attributes, |all, id| all.with(SPACE, *id)),
            size: 1,
        }
    }

    #[test]
    fn files_are_followed_by_their_tablespace() {
        let chain = [
            vec![
                object("#layout.json", "layout", None),
                object("d/a.ibd", FILE, Some(5)),
                object("d/b.ibd", FILE, Some(6)),
                object("d/gone.ibd", FILE, Some(7)),
                object("x.frm", FILE, None),
            ],
            // The two have swapped their names; another was made under the name of one that was dropped.
            vec![
                object("d/b.ibd", PAGES, Some(5)),
                object("d/a.ibd", PAGES, Some(6)),
                object("d/gone.ibd", FILE, Some(8)),
                object("x.frm", FILE, None),
            ],
            vec![
                object("e/c.ibd", PAGES, Some(5)),
                object("d/a.ibd", FILE, Some(9)),
                object("d/gone.ibd", PAGES, Some(8)),
                object("x.frm", SAME, None),
            ],
        ];
        let planned = plan(&chain).unwrap();
        let shown: Vec<String> = planned
            .iter()
            .map(|file| {
                let steps: Vec<String> = [&file.whole]
                    .into_iter()
                    .chain(&file.changed)
                    .map(|(at, object)| format!("{at}:{}", object.name))
                    .collect();
                format!("{} = {}", file.target.name, steps.join(" + "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "e/c.ibd = 0:d/a.ibd + 1:d/b.ibd + 2:e/c.ibd",
                "d/a.ibd = 2:d/a.ibd",
                "d/gone.ibd = 1:d/gone.ibd + 2:d/gone.ibd",
                "x.frm = 1:x.frm",
            ]
        );
        let broken = plan(&[Vec::new(), vec![object("d/a.ibd", PAGES, Some(5))]]).unwrap_err();
        assert_eq!(broken.kind, ErrorKind::Damaged);
        assert!(plan(&[vec![object("d/a.ibd", PAGES, Some(5))]]).is_err());
        assert_eq!(plan(&[]).unwrap(), []);
    }
}
