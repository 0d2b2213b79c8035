//! Which pages recovery makes anew, whatever their files hold.
//!
//! MariaDB does not write such a page to the doublewrite area first: the log has all of it. So at any one instant it may be half-written or
//! still be zeros, with no copy anywhere, and nothing is lost. Records of mini-transactions, MariaDB 10.8 and later: type and length, then the
//! numbers of tablespace and page (not encrypted), then what depends on the type.
//!
//! And of which tablespaces it has nothing to do any more, because they were deleted.

use std::collections::{HashMap, HashSet};

use super::mariadb::varint;

/// The page has no contents any more.
const FREE_PAGE: u8 = 0x00;
/// The page is made anew, from zeros.
const INIT_PAGE: u8 = 0x10;
/// A record of a page, if one of a page came before in the mini-transaction: of that same page. Otherwise one of a file.
const SAME_PAGE_OR_FILE: u8 = 0x80;
/// A file is made, changed for the first time since the checkpoint, or renamed; its path follows, a renamed one's new path after a zero.
const FILE_CREATE: u8 = 0x80;
/// A file is deleted: its table was dropped, or discarded.
const FILE_DELETE: u8 = 0x90;
const FILE_RENAME: u8 = 0xa0;
const FILE_MODIFY: u8 = 0xb0;

/// What recovery makes anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remade {
    /// Tablespace and page.
    pages: HashSet<(u32, u32)>,
    /// The tablespaces of files, by their paths from the data directory.
    files: HashMap<String, u32>,
    /// Tablespaces that were deleted.
    deleted: HashSet<u32>,
}

impl Remade {
    /// Whether the page is made anew, or freed.
    pub fn page(&self, space: u32, number: u32) -> bool {
        self.pages.contains(&(space, number))
    }

    /// Whether a file's first page is made anew, because the file itself was. `path` is the file's from the data directory, `said` the
    /// tablespace's id that its first page has, if it is legible.
    pub fn file(&self, path: &str, said: Option<u32>) -> bool {
        let known = self.files.get(path).copied();
        known.into_iter().chain(said).any(|space| self.page(space, 0))
    }

    /// Whether the tablespace was deleted: recovery passes over all that was changed in it, before and after.
    pub fn is_deleted(&self, space: u32) -> bool {
        self.deleted.contains(&space)
    }

    /// Takes in the records of a mini-transaction.
    pub(super) fn read(&mut self, records: &[u8]) {
        let mut page = None;
        let mut rest = records;
        while let Some(record) = next(&mut rest) {
            let kind = record.kind & 0xf0;
            let mut body = record.body;
            if kind & SAME_PAGE_OR_FILE == 0 {
                let Some(id) = ids(&mut body) else { return };
                page = Some(id);
                match kind {
                    FREE_PAGE | INIT_PAGE => _ = self.pages.insert(id),
                    _ => {}
                }
            } else if page.is_none() {
                let Some((space, _)) = ids(&mut body) else { return };
                match kind {
                    FILE_CREATE | FILE_RENAME | FILE_MODIFY => self.name(space, body),
                    FILE_DELETE => _ = self.deleted.insert(space),
                    _ => {}
                }
            }
        }
    }

    fn name(&mut self, space: u32, paths: &[u8]) {
        // The last is the one that it has afterwards.
        let path = paths.rsplit(|byte| *byte == 0).next().unwrap_or_default();
        if let Ok(path) = str::from_utf8(path) {
            let path = path.strip_prefix("./").unwrap_or(path);
            self.files.insert(path.to_owned(), space);
        }
    }
}

struct Record<'a> {
    kind: u8,
    body: &'a [u8],
}

/// Takes the next record off the bytes; none at their end, or if they are no records.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let (&kind, rest) = bytes.split_first()?;
    let (length, rest) = match usize::from(kind & 15) {
        // The bytes of the number itself count.
        0 => {
            let (more, size) = varint(rest)?;
            (
                usize::try_from(more).ok()?.checked_add(15)?.checked_sub(size)?,
                rest.get(size..)?,
            )
        }
        length => (length, rest),
    };
    let (body, after) = rest.split_at_checked(length)?;
    *bytes = after;
    Some(Record { kind, body })
}

/// Takes the tablespace and the page off a record.
fn ids(body: &mut &[u8]) -> Option<(u32, u32)> {
    let mut number = || {
        let (number, size) = varint(body)?;
        *body = body.get(size..)?;
        u32::try_from(number).ok()
    };
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with its length, in either form.
    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut record = match body.len() {
            length @ 1..=15 => vec![kind | length as u8],
            // One byte for the number counts in it.
            length => vec![kind, (length + 1 - 15) as u8],
        };
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn pages_and_files() {
        let mut remade = Remade::default();
        let path = [&[5, 0][..], b"./shop/orders_of_long_ago.ibd"].concat();
        let renamed = [&[6, 0][..], b"./shop/#sql-alter-1.ibd\0./shop/new.ibd"].concat();
        let deleted = [&[8, 0][..], b"./shop/discarded.ibd"].concat();
        let files = [
            record(FILE_CREATE, &path),
            record(FILE_RENAME, &renamed),
            record(FILE_DELETE, &deleted),
        ];
        let files = files.concat();
        remade.read(&files);
        // 0x80 0x01 is 129; the second record of a page is of the same, the third is written to and no more.
        let pages = [
            record(INIT_PAGE, &[5, 0]),
            record(0xb0, &[1, 2, 3]),
            record(0x30, &[5, 7, 1, 1]),
            record(FREE_PAGE, &[0x80, 1, 9]),
        ];
        remade.read(&pages.concat());
        assert_eq!(remade.pages, HashSet::from([(5, 0), (129, 9)]));
        assert!(remade.file("shop/orders_of_long_ago.ibd", None));
        assert!(remade.file("other.ibd", Some(5)));
        assert!(!remade.file("shop/new.ibd", None));
        assert_eq!(remade.files["shop/new.ibd"], 6);
        assert!(!remade.file("other.ibd", None));
        assert!(remade.is_deleted(8) && !remade.is_deleted(5));
    }

    #[test]
    fn noise_ends_it() {
        let mut remade = Remade::default();
        for noise in [
            &[0x10][..],
            &[0x1f, 1, 2],
            &[0x00, 0xff],
            &[0x00, 0x00],
            &[0x12, 0xf8, 0],
            &[0xff; 40],
        ] {
            remade.read(noise);
        }
        assert_eq!(remade, Remade::default());
    }
}
