//! Large files, written past the page cache.
//!
//! What is restored is read again by nobody soon. Through the page cache each byte is copied once more, throws out what others have
//! there, and is waited for in the end by whoever makes sure that all has arrived.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, retry_on_intr};

/// What addresses, offsets and lengths must be multiples of, in bytes: no device that is in use asks for more.
const ALIGNMENT: usize = 4096;
/// Smaller files are not worth it, in bytes.
const LARGE: u64 = 1 << 20;

/// A file that is being written, from any offset.
#[derive(Debug)]
pub struct Written {
    file: File,
    direct: AtomicBool,
}

impl Written {
    /// Makes a file that will have that many bytes; there must be none of that path. The space for it is taken at once.
    ///
    /// # Errors
    /// It can not be made, or there is no space for it.
    pub fn create(path: &Path, size: u64) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true).create_new(true);
        if size < LARGE {
            return options.open(path).map(Self::plain);
        }
        let flags = OFlags::DIRECT.bits().cast_signed();
        let (file, direct) = match options.clone().custom_flags(flags).open(path) {
            Ok(file) => (file, true),
            // Not every file system can; some have made the file by then.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                let file = File::options().write(true).create(true).truncate(true).open(path)?;
                (file, false)
            }
            Err(error) => return Err(error),
        };
        // In one piece where there is one, however many are written at once.
        match retry_on_intr(|| fallocate(&file, FallocateFlags::empty(), 0, size)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            file,
            direct: AtomicBool::new(direct),
        })
    }

    /// A file as any other.
    pub fn plain(file: File) -> Self {
        Self {
            file,
            direct: AtomicBool::new(false),
        }
    }

    /// Writes all of the bytes from that offset on. Past the page cache if they are from a [`Buffer`], and whole blocks.
    ///
    /// # Errors
    /// They can not be written.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let aligned = bytes.len().is_multiple_of(ALIGNMENT)
            && offset.is_multiple_of(ALIGNMENT as u64)
            && bytes.as_ptr().align_offset(ALIGNMENT) == 0;
        if self.direct.load(Ordering::Relaxed) {
            if aligned {
                match self.file.write_all_at(bytes, offset) {
                    Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
                    other => return other,
                }
            }
            // A file's end, mostly.
            fcntl_setfl(&self.file, fcntl_getfl(&self.file)? & !OFlags::DIRECT)?;
            self.direct.store(false, Ordering::Relaxed);
        }
        self.file.write_all_at(bytes, offset)
    }

    /// Gives it this size.
    ///
    /// # Errors
    /// As [`File::set_len`].
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }
}

/// Bytes that can be written past the page cache.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    size: usize,
}

impl Buffer {
    /// That many of them, all zero.
    pub fn new(size: usize) -> Self {
        let bytes = vec![0; size + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, size }
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_written_is_there() {
        // On a file system of the disk's, which mostly can, and in memory.
        for folder in [std::env::temp_dir(), "/dev/shm".into()] {
            let directory = tempfile::tempdir_in(folder).unwrap();
            for size in [0, 100, LARGE, LARGE + 1, 3 * LARGE + 4096, 3 * LARGE + 5000] {
                let path = directory.path().join(size.to_string());
                let file = Written::create(&path, size).unwrap();
                let expected: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
                let mut buffer = Buffer::new(1 << 20);
                for (index, piece) in expected.chunks(1 << 20).enumerate() {
                    let part = &mut buffer.bytes()[..piece.len()];
                    part.copy_from_slice(piece);
                    file.write_all_at(part, (index << 20) as u64).unwrap();
                }
                assert!(fs::read(&path).unwrap() == expected, "{}", path.display());
                let again = Written::create(&path, size).unwrap_err();
                assert_eq!(again.kind(), io::ErrorKind::AlreadyExists, "{again}");
            }
        }
    }

    /// As the kernel would refuse it: an offset that is no multiple, and bytes from anywhere.
    #[test]
    fn what_can_not_go_past_the_cache_goes_through_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = Written::create(&path, LARGE).unwrap();
        let bytes = vec![7; 8192];
        file.write_all_at(&bytes[1..4097], 1).unwrap();
        file.write_all_at(&bytes[..4096], 4096).unwrap();
        let all = fs::read(&path).unwrap();
        assert_eq!(all.len() as u64, LARGE);
        assert_eq!(all[0], 0);
        assert!(all[1..8192].iter().all(|byte| *byte == 7) && all[8192] == 0);
    }
}
