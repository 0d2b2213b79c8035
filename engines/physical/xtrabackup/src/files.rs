//! The files of a stream as objects of a backup, and what they are when the stream has ended.
//!
//! An object's bytes are a file's bytes, holes as zeros: zeros compress to next to nothing, and whoever reads an object without us
//! has the file. MariaDB's streams can also write a file anew, go back in it, rename and remove it; an object that is written
//! stays as it is, so that this is on record in an object of its own, [`Layout`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Write;

use backstay_engine_api::{EngineError, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::xbstream::Sink;

/// The `kind` of the object with the [`Layout`], and its name.
pub(crate) const LAYOUT: &str = "layout";
/// No file of a stream is called so: none of them has a `#` outside a schema's directory.
pub(crate) const LAYOUT_NAME: &str = "#layout.json";
/// How many objects may be open; the contract allows 64.
const MAX_OPEN: usize = 60;
/// The tools' own files are read by us too; none of them is larger than this, in bytes.
const MAX_KEPT: usize = 1 << 20;
/// What holes are written from.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Where objects go.
pub(crate) trait Store {
    /// An object that is being written.
    type Object: Write;
    /// Starts one.
    fn create(&mut self, name: &str, path: &str) -> Result<Self::Object, EngineError>;
    /// Ends it.
    fn finish(&mut self, object: Self::Object) -> Result<(), EngineError>;
    /// Whether to stop.
    fn pause(&mut self) -> Result<(), EngineError>;
}

/// What the objects of a backup do not say by themselves. An object that is not named here is the whole file of its path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Layout {
    /// Objects that are files no more.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) removed: BTreeSet<String>,
    /// Objects that are files of another path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) renamed: BTreeMap<String, String>,
    /// Objects that are written into a file after others, in this order: the object, and the offset of its first byte.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pieces: Vec<(String, u64)>,
    /// Objects whose zeros are holes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) sparse: BTreeSet<String>,
}

/// A file that is open in the stream.
#[derive(Debug)]
struct Open<O> {
    object: O,
    name: String,
    /// Where its next byte comes.
    offset: u64,
    /// Where its last byte was, so far.
    high: u64,
    /// Its bytes, if they are wanted.
    kept: Option<Vec<u8>>,
    rewritten: bool,
}

/// What a whole stream was.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) layout: Layout,
    /// The bytes of the files that were to be kept, by path.
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
    /// The paths of the files that there are in the end.
    pub(crate) paths: HashSet<String>,
    /// How many files were completed.
    pub(crate) count: u64,
}

/// Writes files as objects.
#[derive(Debug)]
pub(crate) struct Files<S: Store> {
    store: S,
    open: HashMap<String, Open<S::Object>>,
    layout: Layout,
    /// The paths of complete files. What is not there is renamed and removed without effect: the tool speaks of every file that a
    /// table may have.
    there: HashSet<String>,
    /// For a path, the objects that its file is made of, where that is not one object of the same name.
    made_of: HashMap<String, Vec<String>>,
    /// How many objects were given another name than their path.
    renamed: u64,
    keep: fn(&str) -> bool,
    kept: BTreeMap<String, Vec<u8>>,
    /// How many files were completed.
    count: u64,
}

impl<S: Store> Files<S> {
    /// Into `store`; the bytes of paths that `keep` names are kept in memory too.
    pub(crate) fn new(store: S, keep: fn(&str) -> bool) -> Self {
        Self {
            store,
            open: HashMap::new(),
            layout: Layout::default(),
            there: HashSet::new(),
            made_of: HashMap::new(),
            renamed: 0,
            keep,
            kept: BTreeMap::new(),
            count: 0,
        }
    }

    /// The stream has ended: what there is besides the objects, the files that were kept, and the store.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if a file has not ended.
    pub(crate) fn finish(self) -> Result<(Written, S), EngineError> {
        if let Some(path) = self.open.keys().min() {
            return Err(damaged(format!("the tool's stream ends before its file {path} does")));
        }
        let written = Written {
            layout: self.layout,
            kept: self.kept,
            paths: self.there,
            count: self.count,
        };
        Ok((written, self.store))
    }

    /// Takes the complete file of a path away: the objects that it was made of, none if there is no such file.
    fn take(&mut self, path: &str) -> Vec<String> {
        if !self.there.remove(path) {
            return Vec::new();
        }
        self.made_of.remove(path).unwrap_or_else(|| vec![path.to_owned()])
    }

    /// The complete file of a path is no more: its objects stay, and are none of the backup's files.
    fn forget(&mut self, path: &str) {
        for object in self.take(path) {
            self.layout.renamed.remove(&object);
            self.layout.sparse.remove(&object);
            self.layout.pieces.retain(|(piece, _)| *piece != object);
            self.layout.removed.insert(object);
        }
        self.kept.remove(path);
    }

    fn new_name(&mut self, path: &str) -> String {
        self.renamed += 1;
        format!("{path}~{}", self.renamed)
    }

    /// Makes sure that the file is open, and stands at that offset.
    fn at(&mut self, path: &str, offset: u64) -> Result<&mut Open<S::Object>, EngineError> {
        if !self.open.contains_key(path) {
            // A path whose former file was renamed or removed: the object of that name is there already.
            let taken = self.layout.removed.contains(path) || self.layout.renamed.contains_key(path);
            let name = if taken { self.new_name(path) } else { path.to_owned() };
            self.begin(path, name, false)?;
        }
        match self.open.get_mut(path) {
            Some(open) if open.offset == offset => Ok(open),
            Some(open) => Err(damaged(format!(
                "the tool's stream has bytes for offset {offset} of {path}, which stands at {}",
                open.offset
            ))),
            None => Err(EngineError::other(format!("{path} is not open"))),
        }
    }

    fn begin(&mut self, path: &str, name: String, rewritten: bool) -> Result<(), EngineError> {
        if self.open.len() >= MAX_OPEN {
            let message = format!("the tool has more than {MAX_OPEN} files open in its stream");
            return Err(EngineError::new(ErrorKind::Usage, message).advise("lower the option parallel"));
        }
        let object = self.store.create(&name, path)?;
        if name != path {
            self.made_of.insert(path.to_owned(), vec![name.clone()]);
        }
        let open = Open {
            object,
            name,
            offset: 0,
            high: 0,
            kept: (self.keep)(path).then(Vec::new),
            rewritten,
        };
        self.open.insert(path.to_owned(), open);
        Ok(())
    }
}

impl<S: Store> Sink for Files<S> {
    fn bytes(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let open = self.at(path, offset)?;
        open.object.write_all(bytes)?;
        open.offset += bytes.len() as u64;
        open.high = open.high.max(open.offset);
        if let Some(kept) = &mut open.kept {
            if kept.len() + bytes.len() > MAX_KEPT {
                return Err(damaged(format!(
                    "the tool's file {path} is larger than {MAX_KEPT} bytes"
                )));
            }
            kept.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn hole(&mut self, path: &str, offset: u64, length: u64) -> Result<(), EngineError> {
        let open = self.at(path, offset)?;
        let mut left = length;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(ZEROS.len()).min(ZEROS.len());
            open.object.write_all(&ZEROS[..count])?;
            left -= count as u64;
        }
        open.offset += length;
        open.high = open.high.max(open.offset);
        let name = open.name.clone();
        self.layout.sparse.insert(name);
        Ok(())
    }

    fn seek(&mut self, path: &str, offset: u64) -> Result<(), EngineError> {
        let (now, high) = self.open.get(path).map_or((0, 0), |open| (open.offset, open.high));
        if now == high && offset >= now {
            return self.hole(path, now, offset - now);
        }
        // Back into what is written, or on from there: what comes is an object of its own, laid over the others.
        let name = self.new_name(path);
        let next = self.store.create(&name, path)?;
        let Some(open) = self.open.get_mut(path) else {
            return Err(EngineError::other(format!("{path} is not open")));
        };
        let before = std::mem::replace(&mut open.object, next);
        let former = std::mem::replace(&mut open.name, name.clone());
        open.offset = offset;
        open.kept = None;
        self.store.finish(before)?;
        self.made_of
            .entry(path.to_owned())
            .or_insert_with(|| vec![former])
            .push(name.clone());
        self.layout.pieces.push((name, offset));
        Ok(())
    }

    fn rewrite(&mut self, path: &str) -> Result<(), EngineError> {
        match self.open.get(path) {
            Some(open) if open.rewritten => Ok(()),
            Some(_) => Err(damaged(format!(
                "the tool's stream writes {path} anew before it has ended"
            ))),
            None => {
                self.forget(path);
                let name = self.new_name(path);
                self.begin(path, name, true)
            }
        }
    }

    fn end(&mut self, path: &str) -> Result<(), EngineError> {
        if !self.open.contains_key(path) {
            self.at(path, 0)?;
        }
        if let Some(open) = self.open.remove(path) {
            self.store.finish(open.object)?;
            if let Some(kept) = open.kept {
                self.kept.insert(path.to_owned(), kept);
            }
        }
        self.there.insert(path.to_owned());
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), EngineError> {
        self.refuse_open(path, "removes")?;
        self.forget(path);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), EngineError> {
        self.refuse_open(from, "renames")?;
        self.refuse_open(to, "replaces")?;
        let objects = self.take(from);
        if objects.is_empty() {
            return Ok(());
        }
        if from != to {
            self.forget(to);
        }
        self.there.insert(to.to_owned());
        for object in &objects {
            self.layout.renamed.insert(object.clone(), to.to_owned());
        }
        self.made_of.insert(to.to_owned(), objects);
        if let Some(kept) = self.kept.remove(from) {
            self.kept.insert(to.to_owned(), kept);
        }
        Ok(())
    }

    fn pause(&mut self) -> Result<(), EngineError> {
        self.store.pause()
    }
}

impl<S: Store> Files<S> {
    fn refuse_open(&self, path: &str, what: &str) -> Result<(), EngineError> {
        if self.open.contains_key(path) {
            return Err(damaged(format!("the tool's stream {what} {path} before it has ended")));
        }
        Ok(())
    }
}

fn damaged(message: String) -> EngineError {
    EngineError::new(ErrorKind::Damaged, message)
}
