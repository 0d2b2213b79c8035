//! Which tablespace a file is.

use std::path::Path;

use crate::bytes::u32_at;
use crate::layout::{Checksums, Layout};
use crate::page::{DATA, Header, is_zero};
use crate::verify::{Expected, Verdict, verify};

/// The tablespace's id in the first page's data (`FSP_SPACE_ID`).
const FSP_ID: usize = DATA;
/// The flags (`FSP_SPACE_FLAGS`).
const FSP_FLAGS: usize = DATA + 16;
/// How much of a file's start is enough to identify it, in bytes: the largest page.
pub const HEAD: usize = 64 << 10;

/// A file of a tablespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// The tablespace's id. A table that is made anew, also by TRUNCATE and most of ALTER TABLE, has a new one.
    pub id: u32,
    /// The number of the file's first page: more than 0 in the second and later files of the system tablespace.
    pub first: u32,
    /// How its pages are stored.
    pub layout: Layout,
}

/// What a file that should be a tablespace starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The first page of a tablespace, verified.
    Space(Space),
    /// Only zeros: the file was being made.
    Blank,
    /// A page that is not as a server writes it; what it says, where that is possible at all.
    Damaged(Option<Space>),
}

impl Space {
    /// Reads the first page of a tablespace's first file. `head` is as much of the file's start as there is, up to
    /// [`HEAD`].
    pub fn identify(head: &[u8]) -> Identity {
        if is_zero(head) {
            return Identity::Blank;
        }
        let Some(layout) = Layout::from_flags(u32_at(head, FSP_FLAGS)) else {
            return Identity::Damaged(None);
        };
        let id = u32_at(head, FSP_ID);
        let space = Self { id, first: 0, layout };
        let Some(page) = head.get(..layout.page_size) else {
            return Identity::Damaged(Some(space));
        };
        match verify(page, &layout, Expected { space: id, number: 0 }) {
            Verdict::Sound | Verdict::NotVerifiable(_) => Identity::Space(space),
            Verdict::Zero | Verdict::Damaged(_) => Identity::Damaged(Some(space)),
        }
    }

    /// Reads the first page of a later file of the system tablespace, which is stored as its first file is.
    pub fn identify_later(head: &[u8], system: &Layout) -> Identity {
        if is_zero(head) {
            return Identity::Blank;
        }
        let first = Header::read(head).number;
        let space = Self {
            id: 0,
            first,
            layout: *system,
        };
        let Some(page) = head.get(..system.page_size) else {
            return Identity::Damaged(Some(space));
        };
        match verify(
            page,
            system,
            Expected {
                space: 0,
                number: first,
            },
        ) {
            Verdict::Sound | Verdict::NotVerifiable(_) => Identity::Space(space),
            Verdict::Zero | Verdict::Damaged(_) => Identity::Damaged(Some(space)),
        }
    }

    /// The page of that index in the file, as it is expected there.
    pub fn page(&self, index: u64) -> Expected {
        let number = u64::from(self.first) + index;
        Expected {
            space: self.id,
            number: u32::try_from(number).unwrap_or(u32::MAX),
        }
    }

    /// Whether pages are MariaDB's, checked by one checksum of everything.
    pub fn is_full_crc32(&self) -> bool {
        self.layout.checksums == Checksums::Full
    }
}

/// What a file of a data directory is to InnoDB, by its path from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Pages of a tablespace: tables, the system tablespace, undo logs.
    Tablespace,
    /// Pages that were about to be written (MySQL).
    Doublewrite,
    /// The redo log.
    Redo,
    /// Made anew at each start.
    Temporary,
    /// None of InnoDB's, or one with no pages.
    Other,
}

/// What a file is by its name. The system tablespace may have any name (`innodb_data_file_path`): `system` are those
/// of its files.
pub fn file_kind(path: &Path, system: &[&str]) -> FileKind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    let digits = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if folder == "#innodb_temp" || name.starts_with("ibtmp") {
        FileKind::Temporary
    } else if folder == "#innodb_redo" || digits("ib_logfile") {
        FileKind::Redo
    } else if name.starts_with("#ib_") && (name.ends_with(".dblwr") || name.ends_with(".bdblwr")) {
        FileKind::Doublewrite
    } else if name.ends_with(".ibd")
        || name.ends_with(".ibu")
        || digits("ibdata")
        || digits("undo")
        || digits("undo_")
        || system.contains(&&*name)
    {
        FileKind::Tablespace
    } else {
        FileKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_by_their_names() {
        for (path, kind) in [
            ("shop/orders.ibd", FileKind::Tablespace),
            ("ibdata1", FileKind::Tablespace),
            ("undo_001", FileKind::Tablespace),
            ("undo003", FileKind::Tablespace),
            ("mine", FileKind::Tablespace),
            ("undo", FileKind::Other),
            ("shop/undone.frm", FileKind::Other),
            ("#ib_16384_0.dblwr", FileKind::Doublewrite),
            ("#innodb_redo/#ib_redo10", FileKind::Redo),
            ("#innodb_redo/#ib_redo11_tmp", FileKind::Redo),
            ("ib_logfile0", FileKind::Redo),
            ("ib_buffer_pool", FileKind::Other),
            ("ibtmp1", FileKind::Temporary),
            ("#innodb_temp/temp_3.ibt", FileKind::Temporary),
        ] {
            assert_eq!(file_kind(Path::new(path), &["mine"]), kind, "{path}");
        }
    }

    #[test]
    fn noise_is_no_tablespace() {
        assert_eq!(Space::identify(&[]), Identity::Blank);
        assert_eq!(Space::identify(&[0; 4096]), Identity::Blank);
        assert_eq!(Space::identify(&[7; 65536]), Identity::Damaged(None));
    }
}
