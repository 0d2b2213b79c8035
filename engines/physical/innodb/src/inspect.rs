//! Every page of a file, one after the other, and what is wrong with which.

use std::collections::BTreeMap;
use std::io;

use crate::doublewrite::Doublewrite;
use crate::page::{Header, is_zero};
use crate::redo::Redo;
use crate::space::Space;
use crate::verify::{Damage, Unverified, Verdict, verify};

/// How much of a file is read at once, in bytes: a whole number of pages of any size.
pub const PIECE: usize = 1 << 20;

/// A page that is damaged, and that recovery does not make whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Its number in its tablespace.
    pub number: u32,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Looks at the pages of one file, and counts.
#[derive(Debug)]
pub struct Inspector<'a> {
    space: Space,
    doublewrite: &'a Doublewrite,
    redo: Option<&'a Redo>,
    /// How many pages were looked at.
    pub pages: u64,
    /// Those that are damaged.
    pub damaged: Vec<Finding>,
    /// Those that were being written: damaged, but recovery has a good copy, or makes them anew.
    pub torn: Vec<u32>,
    /// How many could not be verified, and why.
    pub unverified: BTreeMap<Unverified, u64>,
}

/// What a page is good for, once damage and copies are taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// Its LSN is to be believed.
    Changed(u64),
    /// Only zeros.
    Zero,
    /// It must be taken as it is, whatever its LSN says.
    Always,
}

impl<'a> Inspector<'a> {
    /// For a file of a tablespace. A page whose LSN is beyond the end of the redo log is damaged, where no checksum tells.
    pub fn new(space: Space, doublewrite: &'a Doublewrite, redo: Option<&'a Redo>) -> Self {
        Self {
            space,
            doublewrite,
            redo,
            pages: 0,
            damaged: Vec::new(),
            torn: Vec::new(),
            unverified: BTreeMap::new(),
        }
    }

    /// The file's tablespace.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Makes zeros of what recovery has no use for: copies of pages that are sound where they belong.
    pub fn blank(&self, index: u64, bytes: &mut [u8]) {
        if self.space.id != 0 {
            return;
        }
        for (index, page) in (index..).zip(bytes.chunks_exact_mut(self.space.layout.page_size)) {
            if self.doublewrite.is_spent(self.space.page(index).number) {
                page.fill(0);
            }
        }
    }

    /// Looks at a piece of the file that starts with the page of that index in the file. What is less than a page at its
    /// end is not looked at.
    ///
    /// # Errors
    /// A copy of a page can not be read.
    pub fn piece(&mut self, index: u64, bytes: &[u8]) -> io::Result<()> {
        for (index, page) in (index..).zip(bytes.chunks_exact(self.space.layout.page_size)) {
            self.page(index, page)?;
        }
        Ok(())
    }

    /// Looks at the page of that index in the file.
    pub(crate) fn page(&mut self, index: u64, page: &[u8]) -> io::Result<Page> {
        self.pages += 1;
        let expected = self.space.page(index);
        let layout = self.space.layout;
        let lsn = Header::read(page).lsn;
        // What lies in the doublewrite area are other pages; that they are good is asked when one is needed. A copy that was
        // put there since a checkpoint is of a page that was changed since.
        if self.space.id == 0 && self.doublewrite.is_area(expected.number) {
            return Ok(if is_zero(page) { Page::Zero } else { Page::Changed(lsn) });
        }
        let mut verdict = verify(page, &layout, expected);
        if layout.zip && verdict == Verdict::Sound && self.redo.is_some_and(|redo| lsn > redo.end) {
            verdict = Verdict::Damaged(Damage::Future(lsn));
        }
        match verdict {
            Verdict::Sound => Ok(changed(lsn)),
            Verdict::Zero => Ok(Page::Zero),
            Verdict::NotVerifiable(why) => {
                *self.unverified.entry(why).or_default() += 1;
                Ok(changed(lsn))
            }
            Verdict::Damaged(damage) => {
                let remade = |redo: &Redo| redo.remade.page(expected.space, expected.number);
                if self.redo.is_some_and(remade) || self.doublewrite.good_copy(&layout, expected)?.is_some() {
                    self.torn.push(expected.number);
                } else {
                    self.damaged.push(Finding {
                        number: expected.number,
                        damage,
                    });
                }
                Ok(Page::Always)
            }
        }
    }
}

/// A page that is as the server wrote it. MariaDB's IMPORT TABLESPACE gives the pages of a table LSN 0, and the table keeps the id of the
/// tablespace that it had: nothing says since when such a page is there.
fn changed(lsn: u64) -> Page {
    match lsn {
        0 => Page::Always,
        lsn => Page::Changed(lsn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Checksums, Layout};

    /// A page as MariaDB writes it.
    fn page(number: u32, lsn: u64) -> Vec<u8> {
        let mut page = vec![0; 16384];
        page[4..8].copy_from_slice(&number.to_be_bytes());
        page[16..24].copy_from_slice(&lsn.to_be_bytes());
        page[34..38].copy_from_slice(&5_u32.to_be_bytes());
        page[16376..16380].copy_from_slice(&lsn.to_be_bytes()[4..]);
        let sum = crc32c::crc32c(&page[..16380]);
        page[16380..].copy_from_slice(&sum.to_be_bytes());
        page
    }

    #[test]
    fn a_page_that_was_imported_is_never_as_it_was() {
        let space = Space {
            id: 5,
            first: 0,
            layout: Layout::plain(16384, Checksums::Full),
        };
        let none = Doublewrite::new(0);
        let mut inspector = Inspector::new(space, &none, None);
        for (number, lsn, expected) in [
            (3, 4711, Page::Changed(4711)),
            (4, 0, Page::Always),
            (5, 1, Page::Changed(1)),
        ] {
            let found = inspector.page(u64::from(number), &page(number, lsn)).unwrap();
            assert_eq!(found, expected, "page {number}");
        }
        assert_eq!(inspector.page(6, &[0; 16384]).unwrap(), Page::Zero);
        assert_eq!(inspector.damaged, []);
    }
}
