//! Bytes that no server has written: whatever they are, something is said of them, and nothing panics.

use std::fs::{self, File};
use std::io::Read;

use backstay_innodb::{Checksums, Doublewrite, Expected, Inspector, Layout, Redo, Space, Verdict, delta, verify};
use proptest::collection::vec;
use proptest::prelude::*;

/// A page whose header is any, of any size and kind.
fn page() -> impl Strategy<Value = (Vec<u8>, Layout)> {
    let layout = (10..17_u32, any::<bool>(), any::<bool>()).prop_map(|(shift, zip, full)| Layout {
        page_size: 1 << shift,
        zip,
        checksums: if full { Checksums::Full } else { Checksums::Ends },
    });
    let kinds = prop_oneof![
        Just(14_u16),
        Just(15),
        Just(17854),
        Just(17855),
        Just(34354),
        any::<u16>()
    ];
    (layout, vec(any::<u8>(), 64), kinds).prop_map(|(layout, head, kind)| {
        let mut page = vec![0; layout.page_size];
        page[..64].copy_from_slice(&head);
        page[24..26].copy_from_slice(&kind.to_be_bytes());
        (page, layout)
    })
}

/// A stream of changed pages, and the file that they make of an empty one.
fn stream() -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let mut bytes = vec![0; 1024 * 9 + 100];
    bytes[2048..4096].fill(7);
    bytes[5 * 1024..7 * 1024].fill(8);
    bytes[9 * 1024..].fill(9);
    fs::write(&path, &bytes).unwrap();
    let space = Space {
        id: 5,
        first: 0,
        layout: Layout {
            page_size: 1024,
            zip: true,
            checksums: Checksums::Ends,
        },
    };
    let none = Doublewrite::new(0);
    let mut inspector = Inspector::new(space, &none, None);
    let mut stream = Vec::new();
    let file = File::open(&path).unwrap();
    let taken = delta::write(&file, bytes.len() as u64, 0, &mut inspector, &mut stream).unwrap();
    assert_eq!((taken.pages, taken.zeros), (4, 5));
    assert_eq!(inspector.damaged.len(), 4);
    (stream, bytes)
}

fn applied(stream: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut file = tempfile::tempfile()?;
    delta::apply(&mut &*stream, &file)?;
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file)?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn what_was_taken_comes_back() {
    let (stream, bytes) = stream();
    assert_eq!(applied(&stream).unwrap(), bytes);
    for length in 0..stream.len() {
        assert!(
            applied(&stream[..length]).is_err(),
            "{length} of {} bytes",
            stream.len()
        );
    }
}

proptest! {
    #[test]
    fn any_page((page, layout) in page(), space in any::<u32>(), number in any::<u32>()) {
        let verdict = verify(&page, &layout, Expected { space, number });
        prop_assert!(verdict != Verdict::Sound, "{:?}", page);
        let _ = Space::identify(&page);
        let _ = Space::identify_later(&page, &layout);
    }

    #[test]
    fn any_page_size(bytes in vec(any::<u8>(), 0..3000), (_, layout) in page()) {
        let nowhere = Expected { space: 0, number: 0 };
        prop_assert!(verify(&bytes, &layout, nowhere) != Verdict::Sound);
    }

    #[test]
    fn damaged_changes(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (mut stream, _) = stream();
        let at = at.index(stream.len());
        stream[at] ^= 1_u8 << bit;
        // What a page holds is not for this format to know; that nothing panics and nothing large is made is.
        if let Ok(bytes) = applied(&stream) {
            prop_assert!(bytes.len() < 1 << 40);
        }
    }

    #[test]
    fn any_redo_log(head in vec(any::<u8>(), 2048), rest in vec(any::<u8>(), 0..20_000), sealed in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = [vec![0; 12288], rest].concat();
        log[..2048].copy_from_slice(&head);
        for (format, path) in [(6_u32, "#innodb_redo/#ib_redo3"), (0x5068_7973, "ib_logfile0")] {
            let mut log = log.clone();
            log[..4].copy_from_slice(&format.to_be_bytes());
            if sealed {
                log[48..52].fill(0);
                for block in [0, 512, 1536] {
                    seal(&mut log[block..block + 512]);
                }
            }
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &log).unwrap();
            prop_assert!(Redo::read(dir.path()).is_err());
            fs::remove_file(&path).unwrap();
            let _ = fs::remove_dir(path.parent().unwrap());
        }
    }
}

fn seal(block: &mut [u8]) {
    let sum = crc32c::crc32c(&block[..508]);
    block[508..].copy_from_slice(&sum.to_be_bytes());
}
