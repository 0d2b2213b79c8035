//! What is to be read, in which order, and what is wrong before a byte is read.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use object_store::ObjectStore;

use super::super::fault::store_error;
use super::super::problem::{Problem, ProblemKind};
use super::super::reader::{Files, missing, short};
use super::super::source::{BackupSource, encoding_of};
use crate::repository::index::{IndexEntry, parse_sha256};
use crate::repository::names::{DATA, below};

/// An extent that is to be read, without the text: there may be millions.
#[derive(Debug)]
pub(super) struct Part {
    file: u32,
    /// Its position in the index.
    pub(super) object: u32,
    /// Whether it is its object's first one.
    first: bool,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) sha256: [u8; 32],
}

impl Part {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// What is to be read.
#[derive(Debug)]
pub(super) struct Plan {
    files: Vec<String>,
    /// By file and offset.
    parts: Vec<Part>,
    /// Where in `parts` each file starts that is read, the largest first.
    tasks: Vec<(usize, usize)>,
    /// Where in `parts` each object starts.
    objects: Vec<usize>,
}

#[derive(Debug)]
struct FileSeen {
    id: u32,
    /// Where its last extent ends.
    end: u64,
    /// Its size in the store.
    size: Option<u64>,
    /// The first object of it that was selected.
    object: Option<u32>,
}

impl Plan {
    pub(super) fn make(source: &BackupSource, select: Option<&dyn Fn(&IndexEntry) -> bool>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut files: Vec<String> = Vec::new();
        let mut seen: HashMap<String, FileSeen> = HashMap::new();
        let mut parts = Vec::new();
        for (object, entry) in source.index().entries().enumerate() {
            let object = object as u32;
            let chosen = select.is_none_or(|select| select(&entry));
            if chosen && let Err(problem) = encoding_of(&entry) {
                problems.push(problem);
            }
            for (number, extent) in entry.extents.iter().enumerate() {
                if !seen.contains_key(&extent.file) {
                    let file = FileSeen {
                        id: files.len() as u32,
                        end: 0,
                        size: None,
                        object: None,
                    };
                    files.push(extent.file.clone());
                    seen.insert(extent.file.clone(), file);
                }
                let Some(file) = seen.get_mut(&extent.file) else {
                    continue;
                };
                file.end = file.end.max(extent.offset + extent.length);
                if let (true, Some(sha256)) = (chosen, parse_sha256(&extent.sha256)) {
                    file.object.get_or_insert(object);
                    parts.push(Part {
                        file: file.id,
                        object,
                        first: number == 0,
                        offset: extent.offset,
                        length: extent.length,
                        sha256,
                    });
                }
            }
        }
        parts.sort_unstable_by_key(|part| (part.file, part.offset));
        let mut plan = Self {
            files,
            parts,
            tasks: Vec::new(),
            objects: Vec::new(),
        };
        match list(source.files(), &mut seen, select.is_none()) {
            Ok(leftovers) => problems.extend(leftovers),
            Err(problem) => {
                problems.push(problem);
                return (
                    Self {
                        parts: Vec::new(),
                        ..plan
                    },
                    problems,
                );
            }
        }
        plan.check_sizes(source, &seen, &mut problems);
        plan.arrange();
        (plan, problems)
    }

    /// Takes out what needs not be read to know that it is damaged.
    fn check_sizes(&mut self, source: &BackupSource, seen: &HashMap<String, FileSeen>, problems: &mut Vec<Problem>) {
        let files = &self.files;
        self.parts.retain(|part| {
            let file = &files[part.file as usize];
            let mut problem = match seen[file].size {
                None => missing(file),
                Some(size) if size < part.end() => short(file, part.end(), size),
                Some(_) => return true,
            };
            problem.object = Some(source.index().at(part.object as usize).name);
            problems.push(problem);
            false
        });
        for (name, file) in seen {
            if let (Some(size), Some(object)) = (file.size, file.object)
                && size > file.end
            {
                problems.push(Problem {
                    kind: ProblemKind::Long,
                    object: Some(source.index().at(object as usize).name),
                    file: name.clone(),
                    expected: format!("{} bytes", file.end),
                    found: size.to_string(),
                });
            }
        }
    }

    fn arrange(&mut self) {
        let mut start = 0;
        for chunk in self.parts.chunk_by(|a, b| a.file == b.file) {
            self.tasks.push((start, start + chunk.len()));
            start += chunk.len();
        }
        let parts = &self.parts;
        self.tasks.sort_by_key(|(start, end)| {
            let bytes: u64 = parts[*start..*end].iter().map(|part| part.length).sum();
            std::cmp::Reverse(bytes)
        });
        self.objects = (0..parts.len()).filter(|position| parts[*position].first).collect();
    }

    /// The file that a part lies in.
    pub(super) fn file(&self, part: &Part) -> &str {
        &self.files[part.file as usize]
    }

    /// The next parts of one file, or the first part of the next object.
    pub(super) fn task(&self, number: usize, by_object: bool) -> Option<&[Part]> {
        if by_object {
            self.objects.get(number).map(|start| &self.parts[*start..=*start])
        } else {
            self.tasks.get(number).map(|(start, end)| &self.parts[*start..*end])
        }
    }
}

/// Learns the files' sizes, and what lies among them that belongs to no object.
fn list(files: &Files, seen: &mut HashMap<String, FileSeen>, leftovers: bool) -> Result<Vec<Problem>, Problem> {
    let unreadable = |found: String| Problem {
        kind: ProblemKind::Unreadable,
        object: None,
        file: DATA.to_owned(),
        expected: "a listing".to_owned(),
        found,
    };
    let data = below(&files.base, DATA).map_err(|error| unreadable(error.to_string()))?;
    let prefix = format!("{}/", files.base);
    let mut problems = Vec::new();
    files
        .runtime
        .block_on(async {
            let mut listing = files.store.list(Some(&data));
            while let Some(meta) = listing.try_next().await? {
                let name = meta.location.as_ref();
                let file = name.strip_prefix(&prefix).unwrap_or(name);
                match seen.get_mut(file) {
                    Some(file) => file.size = Some(meta.size),
                    None if leftovers => problems.push(Problem {
                        kind: ProblemKind::Leftover,
                        object: None,
                        file: file.to_owned(),
                        expected: "no such file".to_owned(),
                        found: format!("{} bytes", meta.size),
                    }),
                    None => {}
                }
            }
            Ok(())
        })
        .map_err(|error| unreadable(store_error("listed", &data, &error).to_string()))?;
    Ok(problems)
}
