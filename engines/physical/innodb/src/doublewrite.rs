//! Copies of pages that were about to be written: what makes a page whole again of which only a part was written.
//!
//! MySQL keeps them in files of their own (`#ib_16384_0.dblwr`), page after page; MariaDB in two extents of the system
//! tablespace, whose places are in the trailer of that tablespace's page 5.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::bytes::u32_at;
use crate::layout::{Checksums, Layout};
use crate::page::{Header, is_zero};
use crate::verify::{Expected, Verdict, verify};

/// The page of the system tablespace that says where the extents are.
const TRX_SYS: u64 = 5;
/// Counted from that page's end.
const FROM_END: usize = 200;
/// What is there if there are such extents.
const MAGIC: u32 = 536_853_855;

/// Where the copies are.
#[derive(Debug, Clone, Default)]
pub struct Doublewrite {
    /// By page number, for the tablespace's id is not readable in every copy.
    copies: HashMap<u32, Vec<Copy>>,
    /// The pages of the system tablespace that are copies of others.
    area: Vec<Range<u32>>,
    /// The checkpoint that recovery starts from; older copies are of no use to it.
    checkpoint: u64,
    /// The copies of pages that are sound without them: which file (none for the system tablespace), and the offset in it.
    spent: BTreeSet<(Option<usize>, u64)>,
    /// The size of the copies, in bytes, and how many files of them there are.
    page_size: usize,
    files: usize,
}

#[derive(Debug, Clone)]
struct Copy {
    file: Arc<File>,
    /// Which of the files; none for the system tablespace.
    index: Option<usize>,
    offset: u64,
}

impl Doublewrite {
    /// No copies. Those from before the checkpoint's LSN will not be taken for good ones.
    pub fn new(checkpoint: u64) -> Self {
        Self {
            checkpoint,
            ..Self::default()
        }
    }

    /// Adds one of MySQL's files, for an instance with pages of that size, in bytes.
    ///
    /// # Errors
    /// It can not be read.
    pub fn add_file(&mut self, file: File, page_size: usize) -> io::Result<()> {
        let file = Arc::new(file);
        let size = file.metadata()?.len();
        let index = Some(self.files);
        self.files += 1;
        self.add(&file, index, 0..size, page_size)
    }

    /// Adds the extents in the system tablespace, if it has them: `system` is its first file.
    ///
    /// # Errors
    /// It can not be read.
    pub fn add_system(&mut self, system: File, page_size: usize) -> io::Result<()> {
        let file = Arc::new(system);
        let mut page = vec![0; page_size];
        if let Err(error) = file.read_exact_at(&mut page, TRX_SYS * page_size as u64) {
            let short = error.kind() == io::ErrorKind::UnexpectedEof;
            return if short { Ok(()) } else { Err(error) };
        }
        // An extent is 1 MiB, and 64 pages if pages are larger than 16 KiB.
        let pages = u32::try_from((1 << 20) / page_size).unwrap_or(0).max(64);
        // Said twice, for the page itself may be half-written.
        for repeat in [0, 12] {
            let at = page_size - FROM_END + 10 + repeat;
            if u32_at(&page, at) != MAGIC {
                continue;
            }
            for block in [u32_at(&page, at + 4), u32_at(&page, at + 8)] {
                let Some(end) = block.checked_add(pages) else { continue };
                let bytes = |page: u32| u64::from(page) * page_size as u64;
                self.add(&file, None, bytes(block)..bytes(end), page_size)?;
                self.area.push(block..end);
            }
            break;
        }
        Ok(())
    }

    /// Whether a page of the system tablespace is a copy of some other page.
    pub fn is_area(&self, number: u32) -> bool {
        self.area.iter().any(|range| range.contains(&number))
    }

    /// Finds the copies that recovery has no use for, because the page that they are of is sound where it belongs: zeros do as well.
    /// `sound` looks at that page.
    ///
    /// # Errors
    /// A copy or a page can not be read.
    pub fn find_spent(&mut self, mut sound: impl FnMut(Expected) -> io::Result<bool>) -> io::Result<()> {
        let mut head = [0; 64];
        for copy in self.copies.values().flatten() {
            copy.file.read_exact_at(&mut head, copy.offset)?;
            let Header { space, number, .. } = Header::read(&head);
            if sound(Expected { space, number })? {
                self.spent.insert((copy.index, copy.offset));
            }
        }
        Ok(())
    }

    /// The bytes of such copies in one of the files, by the order in which they were added.
    pub fn spent_in(&self, file: usize) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (_, offset) in self.spent.range((Some(file), 0)..=(Some(file), u64::MAX)) {
            let end = offset + self.page_size as u64;
            match ranges.last_mut() {
                Some(last) if last.end == *offset => last.end = end,
                _ => ranges.push(*offset..end),
            }
        }
        ranges
    }

    /// Whether a page of the system tablespace is such a copy.
    pub(crate) fn is_spent(&self, number: u32) -> bool {
        let offset = u64::from(number) * self.page_size as u64;
        self.is_area(number) && self.spent.contains(&(None, offset))
    }

    fn add(&mut self, file: &Arc<File>, index: Option<usize>, bytes: Range<u64>, page_size: usize) -> io::Result<()> {
        self.page_size = page_size;
        let size = file.metadata()?.len();
        let mut head = [0; 64];
        for offset in bytes.step_by(page_size) {
            if offset + page_size as u64 > size {
                break;
            }
            file.read_exact_at(&mut head, offset)?;
            let header = Header::read(&head);
            // A slot that was never used.
            if header.lsn == 0 || is_zero(&head) {
                continue;
            }
            let copy = Copy {
                file: Arc::clone(file),
                index,
                offset,
            };
            self.copies.entry(header.number).or_default().push(copy);
        }
        Ok(())
    }

    /// The newest good copy of a page, if there is one.
    ///
    /// # Errors
    /// A copy can not be read.
    pub fn good_copy(&self, layout: &Layout, expected: Expected) -> io::Result<Option<Vec<u8>>> {
        let mut newest: Option<(u64, Vec<u8>)> = None;
        for copy in self.copies.get(&expected.number).into_iter().flatten() {
            let mut page = vec![0; layout.page_size];
            copy.file.read_exact_at(&mut page, copy.offset)?;
            let header = Header::read(&page);
            let good = match verify(&page, layout, expected) {
                Verdict::Sound => true,
                // Which tablespace an encrypted copy is of is known where its header is not encrypted.
                Verdict::NotVerifiable(_) => layout.checksums == Checksums::Ends,
                Verdict::Zero | Verdict::Damaged(_) => false,
            };
            let newer = newest.as_ref().is_none_or(|(lsn, _)| header.lsn > *lsn);
            if good && newer && header.lsn >= self.checkpoint {
                newest = Some((header.lsn, page));
            }
        }
        Ok(newest.map(|(_, page)| page))
    }
}
