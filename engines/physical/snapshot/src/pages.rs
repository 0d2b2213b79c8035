//! The files of a snapshot: every page of InnoDB's is looked at while it is read, an incremental takes only those that changed since the
//! checkpoint that its parent recovers from, of the redo log what recovery reads and the parent does not have, and of all else (`plain`)
//! what has changed.

mod noted;
mod plain;
mod report;
mod write;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_innodb::{
    Checksums, Doublewrite, Expected, FileKind, HEAD, Header, Identity, Layout, Redo, Space, Verdict, file_kind, verify,
};

pub(crate) use noted::{Noted, check_follows, parent};
pub(crate) use plain::SAME;
use plain::{Plain, others};
use report::Report;

use crate::stream::Listed;

/// The `kind` of an object with the pages of a file that changed (`backstay_innodb::delta`).
pub(crate) const PAGES: &str = "pages";
/// The attributes of a file that is known by its tablespace: the id, and the number of its first page where that is not 0.
pub(crate) const SPACE: &str = "space";
pub(crate) const FIRST: &str = "first_page";

/// The `kind` of an object that is a file of the redo log without what an earlier backup of the chain has of it.
pub(crate) const REDO: &str = "redo";
/// The attributes of a file of the redo log: the LSN that it starts at and its size; and which of its bytes an earlier backup has, as
/// offsets and lengths.
pub(crate) const LOG: &str = "log";
pub(crate) const KEPT: &str = "kept";

/// What a tablespace's file is known by: the id, and the number of its first page.
type SpaceKey = (u32, u32);

/// A file of InnoDB's.
#[derive(Debug)]
enum Known {
    /// A tablespace's; known by its id unless another file has the same.
    Space { space: Space, unique: bool },
    /// A tablespace's whose first page says nothing that can be used.
    Unreadable,
    /// The redo log's: the bytes that recovery needs, and those of them that the parent has.
    Redo {
        /// What it is known by.
        start: Option<u64>,
        needed: Vec<Range<u64>>,
        kept: Vec<Range<u64>>,
    },
    /// Copies of pages, and the bytes of those that recovery has no use for.
    Copies(Vec<Range<u64>>),
}

/// InnoDB's files in a snapshot.
#[derive(Debug)]
pub(crate) struct Pages {
    redo: Option<Redo>,
    /// Why it is not, if it is there.
    unknown_redo: Option<String>,
    doublewrite: Doublewrite,
    known: HashMap<String, Known>,
    /// What an incremental stands on.
    parent: Option<Noted>,
    plain: Plain,
    report: Mutex<Report>,
}

impl Pages {
    /// Looks at what there is below a directory. `system`: the value of `innodb_data_file_path`.
    ///
    /// # Errors
    /// A file can not be read, or the server would not recover from the redo log that is there.
    pub(crate) fn look(root: &Path, listed: &Listed, system: &str, parent: Option<Noted>) -> Result<Self, EngineError> {
        let system: Vec<&str> = system.split(';').filter_map(|file| file.split(':').next()).collect();
        let of_kind = |kind: FileKind| {
            let system = &system;
            let paths = listed.files.iter().map(|item| &*item.path);
            paths.filter(move |path| file_kind(Path::new(path), system) == kind)
        };
        let mut pages = Self {
            redo: None,
            unknown_redo: None,
            doublewrite: Doublewrite::new(0),
            known: HashMap::new(),
            parent,
            plain: Plain::default(),
            report: Mutex::default(),
        };
        pages.find_redo(root, of_kind(FileKind::Redo).next())?;
        let layout = pages.find_copies(root, of_kind(FileKind::Tablespace), of_kind(FileKind::Doublewrite))?;
        for path in of_kind(FileKind::Tablespace) {
            let known = pages
                .identify(root, path, &layout)
                .map_err(|error| unread(root, path, &error))?;
            pages.known.extend(known.map(|known| (path.to_owned(), known)));
        }
        pages.mark_doubles();
        pages.find_spent(root, of_kind(FileKind::Doublewrite))?;
        let former = pages.parent.as_ref().map(|parent| parent.plain.clone());
        let plain = others(listed, |path| pages.known.contains_key(path));
        pages.plain = Plain::look(root, plain, former.unwrap_or_default())?;
        Ok(pages)
    }

    /// Reads the redo log beside one of its files.
    fn find_redo(&mut self, root: &Path, file: Option<&str>) -> Result<(), EngineError> {
        let Some(file) = file else { return Ok(()) };
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let folder = match folder.file_name() {
            Some(name) if name == "#innodb_redo" => folder.parent().unwrap_or(Path::new("")),
            _ => folder,
        };
        let redo = match Redo::read(&root.join(folder)) {
            Ok(redo) => redo,
            // Such a log is backed up as it is; an incremental can not stand on it, which is said.
            Err(error) if error.kind == ErrorKind::Unsupported => {
                self.unknown_redo = Some(error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let former = self.parent.as_ref().map(Noted::former).unwrap_or_default();
        let kept = redo
            .in_former(&root.join(folder), &former)
            .map_err(|error| unread(root, folder, &error))?;
        for (part, kept) in redo.files.iter().zip(kept) {
            let path = folder.join(&part.path).to_string_lossy().into_owned();
            let known = Known::Redo {
                start: part.start,
                needed: part.needed.clone(),
                kept,
            };
            self.known.insert(path, known);
        }
        self.doublewrite = Doublewrite::new(redo.checkpoint);
        self.redo = Some(redo);
        Ok(())
    }

    /// Finds the doublewrite copies, and how the system tablespace's pages are stored.
    fn find_copies<'a>(
        &mut self,
        root: &Path,
        spaces: impl Iterator<Item = &'a str>,
        copies: impl Iterator<Item = &'a str>,
    ) -> Result<Layout, EngineError> {
        let mut layout = Layout::plain(16384, Checksums::Ends);
        for path in spaces {
            let head = head(&root.join(path)).map_err(|error| unread(root, path, &error))?;
            // Its first page may be half-written, and says so much nonetheless.
            if let Identity::Space(space) | Identity::Damaged(Some(space)) = Space::identify(&head)
                && space.id == 0
                && Path::new(path).extension().is_none_or(|extension| extension != "ibd")
            {
                layout = space.layout;
                let add = |copies: &mut Doublewrite| copies.add_system(File::open(root.join(path))?, layout.page_size);
                add(&mut self.doublewrite).map_err(|error| unread(root, path, &error))?;
                break;
            }
        }
        for path in copies {
            let add = |copies: &mut Doublewrite| copies.add_file(File::open(root.join(path))?, layout.page_size);
            add(&mut self.doublewrite).map_err(|error| unread(root, path, &error))?;
        }
        Ok(layout)
    }

    /// Which tablespace a file is of; none if it was only being made.
    fn identify(&self, root: &Path, path: &str, system: &Layout) -> io::Result<Option<Known>> {
        let head = head(&root.join(path))?;
        let own = Path::new(path).extension().is_some_and(|extension| extension == "ibd");
        let later = !own && Header::read(&head).number != 0 && Header::read(&head).space == 0;
        let identity = if later {
            Space::identify_later(&head, system)
        } else {
            Space::identify(&head)
        };
        let (layout, expected) = match identity {
            Identity::Space(space) => return Ok(Some(Known::Space { space, unique: true })),
            Identity::Blank => return Ok(None),
            Identity::Damaged(said) if self.is_remade(path, said) => return Ok(None),
            Identity::Damaged(Some(space)) => (space.layout, space.page(0)),
            Identity::Damaged(None) => {
                let header = Header::read(&head);
                let expected = Expected {
                    space: header.space,
                    number: 0,
                };
                (*system, expected)
            }
        };
        // It may have been being written.
        let copy = self.doublewrite.good_copy(&layout, expected)?;
        Ok(Some(match copy.as_deref().map(Space::identify) {
            Some(Identity::Space(space)) => Known::Space { space, unique: true },
            _ => Known::Unreadable,
        }))
    }

    /// Refuses, of a server that runs, tables that recovery would take for dropped although they are there. MariaDB's DISCARD is in the
    /// log as the deletion of a tablespace, whose id IMPORT gives to the new file: until the next checkpoint a server that recovers passes
    /// over what was changed in that (measured with 10.11.19).
    ///
    /// # Errors
    /// [`ErrorKind::Refused`], naming them.
    pub(crate) fn check_imported(&self) -> Result<(), EngineError> {
        let Some(redo) = &self.redo else { return Ok(()) };
        let mut imported: Vec<&str> = self
            .known
            .iter()
            .filter(|(path, _)| !path.contains("/#sql"))
            .filter_map(|(path, known)| match known {
                Known::Space { space, .. } if redo.remade.is_deleted(space.id) => Some(path.as_str()),
                _ => None,
            })
            .collect();
        if imported.is_empty() {
            return Ok(());
        }
        imported.sort_unstable();
        let message = format!(
            "tables were imported (ALTER TABLE … IMPORT TABLESPACE), and the server has written no checkpoint since: one that recovers from \
             these files would lose what was changed in them: {}",
            imported.join(", ")
        );
        Err(EngineError::refused(message).advise(
            "run SET GLOBAL innodb_log_checkpoint_now = ON, or rebuild the tables (ALTER TABLE … FORCE), and take the backup again",
        ))
    }

    /// Whether recovery makes a file's first page, so that what there is of it says nothing.
    fn is_remade(&self, path: &str, said: Option<Space>) -> bool {
        let said = said.map(|space| space.id);
        self.redo.as_ref().is_some_and(|redo| redo.remade.file(path, said))
    }

    /// Finds the copies of pages that are sound without them.
    fn find_spent<'a>(&mut self, root: &Path, copies: impl Iterator<Item = &'a str>) -> Result<(), EngineError> {
        let mut files: HashMap<u32, Vec<(&str, Space)>> = HashMap::new();
        for (path, known) in &self.known {
            if let Known::Space { space, unique: true } = known {
                files.entry(space.id).or_default().push((path, *space));
            }
        }
        let sound = |expected: Expected| {
            let of_space = files.get(&expected.space).into_iter().flatten();
            let file = of_space
                .filter(|(_, space)| space.first <= expected.number)
                .max_by_key(|(_, space)| space.first);
            match file {
                Some((path, space)) => is_sound(&root.join(path), space, expected),
                None => Ok(false),
            }
        };
        self.doublewrite
            .find_spent(sound)
            .map_err(|error| unread(root, "", &error))?;
        for (index, path) in copies.enumerate() {
            let spent = self.doublewrite.spent_in(index);
            self.known.insert(path.to_owned(), Known::Copies(spent));
        }
        Ok(())
    }

    /// A file that somebody has copied within the directory has the id of the other.
    fn mark_doubles(&mut self) {
        let mut count: HashMap<SpaceKey, usize> = HashMap::new();
        for known in self.known.values() {
            if let Known::Space { space, .. } = known {
                *count.entry((space.id, space.first)).or_default() += 1;
            }
        }
        for known in self.known.values_mut() {
            if let Known::Space { space, unique } = known {
                *unique = count[&(space.id, space.first)] == 1;
            }
        }
    }
}

/// Whether a page is sound in its file.
fn is_sound(path: &Path, space: &Space, expected: Expected) -> io::Result<bool> {
    let mut page = vec![0; space.layout.page_size];
    let index = u64::from(expected.number - space.first);
    let offset = index * page.len() as u64;
    match File::open(path)?.read_exact_at(&mut page, offset) {
        Ok(()) => Ok(verify(&page, &space.layout, expected) == Verdict::Sound),
        // The file is shorter, or was being made longer.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The start of a file, as far as it goes.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn unread(root: &Path, path: impl Into<PathBuf>, error: &io::Error) -> EngineError {
    let path = root.join(path.into());
    EngineError::new(ErrorKind::Io, format!("{} can not be read", path.display())).because(error)
}
