//! Names of objects, and the files that they are stored in.
//!
//! Names come from engines, and later from an index that anyone may have edited: neither is trusted. A name is checked
//! when an object is created and again when an index is read; a file is checked when an index is read.
//!
//! An object that is stored alone has its own name below `data/`, so that a logical backup is a directory that stock tools
//! load. That takes `Path::parse`, which leaves `shop@na%C3%AFve@@0.tsv` as it is; `Path::from` would encode the `%` again.

use std::collections::HashSet;

use backstay_engine_api::{EngineError, ErrorKind};
use object_store::path::Path;

use super::index::{Encoding, ZSTD_SUFFIX, sha256_hex};

/// The longest name of an object, in bytes; the contract's number.
pub const MAX_NAME: usize = 1000;

/// The longest part of a path that is stored literally, in bytes. File systems take 255; suffixes need some of them.
const MAX_LITERAL_PART: usize = 200;

/// The longest name that is stored literally, in bytes. S3 takes 1,024 for a whole key, which starts with cluster and id.
const MAX_LITERAL_NAME: usize = 700;

/// The directory, below a backup's, that holds everything an index may point to.
pub const DATA: &str = "data";
/// Where bundles are: their first part is not free for objects' names.
const BUNDLES: &str = "bundles";
/// Where objects are whose names no back end need hold.
const HASHED: &str = "h";

/// Checks an object's name: a relative path of 1 to [`MAX_NAME`] bytes, no part of it empty, `.` or `..`, and no control
/// characters.
///
/// # Errors
/// [`ErrorKind::Refused`], which says what is wrong with it.
pub fn check_object_name(name: &str) -> Result<(), EngineError> {
    match fault_of(name) {
        None => Ok(()),
        Some(fault) => Err(EngineError::refused(format!(
            "object name {} {fault}; expected a relative path of 1 to {MAX_NAME} bytes",
            quoted(name)
        ))),
    }
}

/// Checks the file that an index names: below `data/`, and as safe as an object's name.
///
/// # Errors
/// [`ErrorKind::Damaged`], which says what is wrong with it.
pub fn check_file(file: &str) -> Result<(), EngineError> {
    let fault = match file.strip_prefix(DATA).and_then(|rest| rest.strip_prefix('/')) {
        None => Some("is not below `data/`"),
        // An object's name with its suffixes.
        Some(below) if below.len() > MAX_NAME + 32 => Some("is too long"),
        Some(below) => fault_of(below).filter(|fault| *fault != TOO_LONG),
    };
    match fault {
        None => Ok(()),
        Some(fault) => Err(EngineError::new(
            ErrorKind::Damaged,
            format!("stored file {} {fault}", quoted(file)),
        )),
    }
}

/// The location of a file of a backup in its store.
///
/// # Errors
/// As [`check_file`].
pub fn locate(base: &Path, file: &str) -> Result<Path, EngineError> {
    check_file(file)?;
    below(base, file)
}

/// A path below a backup's own directory, without the rule that it must be data.
pub(crate) fn below(base: &Path, file: &str) -> Result<Path, EngineError> {
    Path::parse(format!("{base}/{file}"))
        .map_err(|error| EngineError::new(ErrorKind::Damaged, format!("{} is no path", quoted(file))).because(&error))
}

const TOO_LONG: &str = "is too long";

fn fault_of(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > MAX_NAME {
        return Some(TOO_LONG);
    }
    if name.starts_with('/') {
        return Some("is an absolute path");
    }
    if name.chars().any(char::is_control) {
        return Some("has a control character");
    }
    name.split('/').find_map(|part| match part {
        "" => Some("has an empty part"),
        "." | ".." => Some("has a part `.` or `..`"),
        _ => None,
    })
}

/// A name for a message: control characters escaped, and not longer than a line.
fn quoted(name: &str) -> String {
    const SHOWN: usize = 120;
    match name.char_indices().nth(SHOWN) {
        None => format!("{name:?}"),
        Some((end, _)) => format!("{:?}… ({} bytes)", &name[..end], name.len()),
    }
}

/// The files of a backup as they are given out: no two objects get the same, and none a file where another needs a
/// directory (`a` stored as it is, and `a/b`).
#[derive(Debug, Default)]
pub struct Files {
    files: HashSet<String>,
    directories: HashSet<String>,
}

impl Files {
    /// None given out yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file, relative to the backup's directory, for an object that is stored alone. `part` counts its files from 1.
    pub fn claim(&mut self, name: &str, encoding: Encoding, part: u32) -> String {
        let suffix = with_part(encoding.suffix(), part);
        let literal = format!("{DATA}/{name}{suffix}");
        if is_literal(name, &suffix) && self.take(&literal) {
            return literal;
        }
        let digest = sha256_hex(name.as_bytes());
        // A name that says it is zstd is not there to say so.
        let zstd = if encoding.is_compressed() { ZSTD_SUFFIX } else { "" };
        let hashed = format!("{DATA}/{HASHED}/{}{}", &digest[..32], with_part(zstd, part));
        // Nothing else is given out below this directory, and 128 bits of SHA-256 name one object.
        self.files.insert(hashed.clone());
        hashed
    }

    /// The file of a bundle.
    pub fn bundle(number: u64) -> String {
        format!("{DATA}/{BUNDLES}/{number}")
    }

    /// Gives a file back whose object was thrown away. Its directories stay taken: a file system may still have them.
    pub fn release(&mut self, file: &str) {
        self.files.remove(file);
    }

    fn take(&mut self, file: &str) -> bool {
        let parents = || file.match_indices('/').map(|(end, _)| &file[..end]);
        if self.directories.contains(file) || parents().any(|parent| self.files.contains(parent)) {
            return false;
        }
        if !self.files.insert(file.to_owned()) {
            return false;
        }
        for parent in parents() {
            if !self.directories.contains(parent) {
                self.directories.insert(parent.to_owned());
            }
        }
        true
    }
}

fn with_part(suffix: &str, part: u32) -> String {
    match part {
        0 | 1 => suffix.to_owned(),
        _ => format!("{suffix}.part{part}"),
    }
}

/// Whether every back end that we may meet can hold the name as it is.
fn is_literal(name: &str, suffix: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    if name.len() > MAX_LITERAL_NAME || first == BUNDLES || first == HASHED {
        return false;
    }
    let last = name.split('/').count() - 1;
    name.split('/').enumerate().all(|(index, part)| {
        let suffix = if index == last { suffix } else { "" };
        part.len() <= MAX_LITERAL_PART
            && part.chars().all(is_literal_char)
            && !part.starts_with([' ', '.'])
            && !(suffix.is_empty() && part.ends_with([' ', '.']))
            && !(suffix.is_empty() && is_staging_name(part))
    })
}

/// `LocalFileSystem` stages its uploads in `<file>#<digits>`: it refuses such names, and leaves them out of listings.
fn is_staging_name(part: &str) -> bool {
    part.rsplit_once('#')
        .is_some_and(|(_, digits)| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `%`, `@` and `#` are in MySQL's own file names and must stay. Left out is what S3, GCS or Windows shares can not hold
/// or advise against, and what can not be seen.
fn is_literal_char(c: char) -> bool {
    match c {
        '\\' | '{' | '}' | '^' | '`' | '[' | ']' | '"' | '<' | '>' | '~' | '|' | '*' | '?' | ':' => false,
        ' ' => true,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => false,
        _ => !c.is_control() && !c.is_whitespace(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_refused() {
        for (name, fault) in [
            ("", "is empty"),
            ("/etc/passwd", "is an absolute path"),
            ("../../etc/passwd", "has a part `.` or `..`"),
            ("a/../b", "has a part `.` or `..`"),
            ("a/./b", "has a part `.` or `..`"),
            ("..", "has a part `.` or `..`"),
            ("a//b", "has an empty part"),
            ("a/", "has an empty part"),
            ("a\nb", "has a control character"),
            ("a\0b", "has a control character"),
            ("a\u{85}b", "has a control character"),
        ] {
            let error = check_object_name(name).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            assert!(error.message.contains(fault), "{name:?}: {error}");
            assert!(!error.message.contains('\n'), "{error:?}");
            assert!(check_file(&format!("data/{name}")).is_err(), "{name:?}");
        }
        assert!(check_object_name(&"a".repeat(1001)).is_err());
        for file in [
            "data",
            "data/",
            "dat/a",
            "/data/a",
            "manifest.json",
            "data/../manifest.json",
        ] {
            assert_eq!(check_file(file).unwrap_err().kind, ErrorKind::Damaged, "{file}");
        }
    }

    #[test]
    fn names_that_are_taken() {
        for name in ["a", "...", "a.b/c d", "日本", "a\\b", "%2e%2e/x", "#sql-1"] {
            check_object_name(name).unwrap();
        }
        check_object_name(&"ä".repeat(500)).unwrap();
    }

    #[test]
    fn literal_and_hashed_files() {
        for (name, compressed, literal) in [
            ("shop@orders@@0.tsv", true, true),
            ("@.json", false, true),
            ("na%C3%AFve@日本@@12.tsv", true, true),
            ("shop/orders#p#p0.ibd", true, true),
            ("#innodb_redo/#ib_redo12", true, true),
            ("#innodb_redo/#ib_redo12", false, true),
            ("a#12", true, true),
            ("a#12", false, false),
            ("a#1/b", true, false),
            ("with space.sql", true, true),
            (" leading", true, false),
            ("trailing.", true, true),
            ("trailing.", false, false),
            (".hidden", true, false),
            ("a:b", true, false),
            ("a\\b", true, false),
            ("bundles/1", true, false),
            ("h/0", true, false),
            ("a\u{200b}b", true, false),
            ("h.sql", true, true),
        ] {
            let encoding = if compressed { Encoding::Zstd } else { Encoding::Plain };
            let file = Files::new().claim(name, encoding, 1);
            let suffix = if compressed { ".zst" } else { "" };
            assert_eq!(file == format!("data/{name}{suffix}"), literal, "{name} -> {file}");
            assert_eq!(file.starts_with("data/h/"), !literal, "{name} -> {file}");
            check_file(&file).unwrap();
        }
        let long = "x".repeat(201);
        assert!(Files::new().claim(&long, Encoding::Zstd, 1).starts_with("data/h/"));
        assert_eq!(
            Files::new().claim(&long[1..], Encoding::Zstd, 2),
            format!("data/{}.zst.part2", &long[1..])
        );
    }

    #[test]
    fn a_name_that_says_it_is_zstd_gets_no_second_suffix() {
        let mut files = Files::new();
        for (name, part, file) in [
            ("shop@orders@@0.tsv.zst", 1, "data/shop@orders@@0.tsv.zst"),
            ("shop@orders@@0.tsv.zst", 2, "data/shop@orders@@0.tsv.zst.part2"),
        ] {
            assert_eq!(files.claim(name, Encoding::NamedZstd, part), file);
        }
        for (part, end) in [(1, ".zst"), (2, ".zst.part2")] {
            let file = files.claim("a:b.zst", Encoding::NamedZstd, part);
            assert!(file.starts_with("data/h/") && file.ends_with(end), "{file}");
        }
    }

    #[test]
    fn no_two_objects_share_a_file_or_need_one_as_a_directory() {
        let mut files = Files::new();
        assert_eq!(files.claim("a", Encoding::Plain, 1), "data/a");
        assert!(files.claim("a/b", Encoding::Plain, 1).starts_with("data/h/"));
        assert_eq!(files.claim("a", Encoding::Zstd, 1), "data/a.zst");
        assert!(files.claim("a.zst", Encoding::Plain, 1).starts_with("data/h/"));
        assert_eq!(files.claim("c/d", Encoding::Zstd, 1), "data/c/d.zst");
        assert!(files.claim("c", Encoding::Plain, 1).starts_with("data/h/"));
        // A name that says it is zstd, and another's that becomes the same with its suffix.
        assert_eq!(files.claim("e.zst", Encoding::NamedZstd, 1), "data/e.zst");
        assert!(files.claim("e", Encoding::Zstd, 1).starts_with("data/h/"));
        assert_eq!(files.claim("e.zst.zst", Encoding::Plain, 1), "data/e.zst.zst");
        files.release("data/a");
        assert_eq!(files.claim("a", Encoding::Plain, 1), "data/a");
    }
}
