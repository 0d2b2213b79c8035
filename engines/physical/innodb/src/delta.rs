//! The pages of a file that changed, as a stream.
//!
//! All numbers are big-endian, as in InnoDB's own files. A head of 40 bytes: `BSPAGES1`, the page's size in bytes (4), the
//! tablespace's id (4), the number of the file's first page (4), four zeros, the file's size in bytes (8), the LSN since when
//! pages were taken (8). Then runs, each with a head of 12 bytes: what it is (4), the index in the file of its first page
//! (4), how many pages (4):
//!
//! | what | then |
//! | --- | --- |
//! | 1 | the pages |
//! | 2 | nothing: the pages are zeros |
//! | 3 | what the file has after its last whole page; the third number counts its bytes |
//! | 0 | the end; the second number counts the runs before, the third the pages in them |
//!
//! Runs come in the order of the file. A page that is in none is as it was.

mod apply;
mod write;

pub use apply::{apply, clear};
pub use write::{Taken, write};

const MAGIC: &[u8; 8] = b"BSPAGES1";
const HEAD: usize = 40;
const RUN: usize = 12;

/// What a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    End = 0,
    Pages = 1,
    Zeros = 2,
    Tail = 3,
}
