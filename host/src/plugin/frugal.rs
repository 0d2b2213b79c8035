//! [`Frugal`]: a file of which no more is read than is asked for, and not without bound.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom};

/// Headers, names and manifest of any engine are far smaller, in bytes. A file whose headers lead to more means no good.
const MOST: u64 = 16 << 20;

/// A file for `object`, whose readers do not say why they could not read.
#[derive(Debug)]
pub(super) struct Frugal<'a, F> {
    file: F,
    left: u64,
    failure: &'a RefCell<Option<io::Error>>,
}

impl<'a, F> Frugal<'a, F> {
    /// `failure` is where the last error is put.
    pub(super) fn new(file: F, failure: &'a RefCell<Option<io::Error>>) -> Self {
        Self {
            file,
            left: MOST,
            failure,
        }
    }

    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            self.failure.replace(Some(error));
            kind.into()
        })
    }
}

impl<F: Read> Read for Frugal<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.len() as u64 > self.left {
            return self.noted(Err(io::Error::other(format!(
                "its headers lead to more than {} MiB",
                MOST >> 20
            ))));
        }
        let read = self.file.read(buffer);
        let read = self.noted(read)?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl<F: Seek> Seek for Frugal<'_, F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.file.seek(to);
        self.noted(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_too_much_is_not_read() {
        let failure = RefCell::default();
        let mut file = Frugal::new(io::repeat(0), &failure);
        let mut buffer = vec![0; MOST as usize];
        file.read_exact(&mut buffer).unwrap();
        assert!(file.read_exact(&mut buffer[..1]).is_err());
        let said = failure.take().unwrap().to_string();
        assert_eq!(said, "its headers lead to more than 16 MiB");
    }
}
