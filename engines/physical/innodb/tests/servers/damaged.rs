//! Pages that are damaged on purpose.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use backstay_bed::{Flavour, TestServer, on_both, until};
use backstay_innodb::{Checksums, Doublewrite, FileKind, Inspector, Space, Verdict, is_zero, verify};

use super::{Instance, files, furnish, innochecksum, instant, start};

/// An instance with nothing left to write.
fn at_rest(flavour: Flavour) -> (TestServer, Instance) {
    let source = start(flavour, 16384);
    furnish(&source, 16384);
    let mut session = source.session();
    backstay_bed::run(
        &mut session,
        &[
            "SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0.001",
            "SET GLOBAL innodb_max_dirty_pages_pct = 0",
        ],
    );
    until("all pages are written", || {
        let dirty: Vec<(String, u64)> = session
            .query("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
            .unwrap();
        dirty[0].1 == 0
    });
    let instance = Instance::open(&instant(&source, "at-rest"), 16384);
    (source, instance)
}

/// Whether a checksum covers a byte. Of a header's eight free bytes no checksum but MariaDB's newer one knows.
fn covered(space: &Space, at: usize) -> bool {
    let free = 26..34;
    let lsn = 16..24;
    space.layout.checksums == Checksums::Full || !(free.contains(&at) || (space.layout.zip && lsn.contains(&at)))
}

/// One bit that is not as it was, anywhere in any page.
fn every_bit_matters(flavour: Flavour) {
    let (_source, instance) = at_rest(flavour);
    let (mut tried, mut seed) = (0, 20_261_128_u64);
    for (path, space) in &instance.spaces {
        let (file, size) = instance.file(path);
        let page_size = space.layout.page_size;
        let mut page = vec![0; page_size];
        for index in 0..size / page_size as u64 {
            file.read_exact_at(&mut page, index * page_size as u64).unwrap();
            let expected = space.page(index);
            if space.id == 0 && instance.doublewrite.is_area(expected.number) {
                continue;
            }
            let verdict = verify(&page, &space.layout, expected);
            assert!(
                matches!(verdict, Verdict::Sound | Verdict::Zero),
                "{verdict:?}: {} {index}",
                path.display()
            );
            for _ in 0..4 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = (seed >> 33) as usize % page_size;
                let bit = 1 << ((seed >> 20) & 7);
                if !covered(space, at) || unused(&page, space, at) {
                    continue;
                }
                let whole = page.clone();
                page[at] ^= bit;
                let verdict = verify(&page, &space.layout, expected);
                assert!(
                    matches!(verdict, Verdict::Damaged(_)) || decompresses_to_the_same(&whole, &page),
                    "{verdict:?}: {} {index}, byte {at}",
                    path.display()
                );
                page[at] ^= bit;
                tried += 1;
            }
            // The right page of another place.
            let elsewhere = space.page(index + 1);
            if !is_zero(&page) {
                assert!(matches!(verify(&page, &space.layout, elsewhere), Verdict::Damaged(_)));
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

/// Beyond what a compressed page uses there is nothing that a server reads.
fn unused(page: &[u8], space: &Space, at: usize) -> bool {
    let kind = u16::from_be_bytes([page[24], page[25]]);
    if space.layout.checksums == Checksums::Full {
        return kind & 0x8000 != 0 && at >= usize::from(kind & 0x7fff) << 8;
    }
    let used = 38 + usize::from(u16::from_be_bytes([page[32], page[33]]));
    kind == 14 && at >= used
}

/// Whether two of MySQL's compressed pages, of which nothing but the compressed data differs, are the same to a server: some bits fill up a
/// byte, and where text repeats itself, a copy of one place is as good as that of another.
fn decompresses_to_the_same(left: &[u8], right: &[u8]) -> bool {
    let plain = |page: &[u8]| {
        let mut plain = vec![0; page.len() - 38];
        let data = &page[38..38 + usize::from(u16::from_be_bytes([page[32], page[33]]))];
        let read = match page[27] {
            1 => flate2::read::ZlibDecoder::new(data).read_exact(&mut plain).is_ok(),
            _ => lz4_flex::block::decompress_into(data, &mut plain).is_ok(),
        };
        read.then_some(plain)
    };
    left[24..26] == [0, 14] && left[..38] == right[..38] && plain(left).is_some_and(|left| plain(right) == Some(left))
}

/// A page that is half new and half old is damaged, unless it has a good copy; the server's own tool agrees.
fn torn_pages_have_copies(flavour: Flavour) {
    let (source, instance) = at_rest(flavour);
    let path = Path::new("d/plain.ibd");
    let (file, size) = instance.file(path);
    let space = instance.spaces.iter().find(|(known, _)| known == path).unwrap().1;
    let page_size = space.layout.page_size;
    // The last page that is in use.
    let mut good = vec![0; page_size];
    let index = (4..size / page_size as u64)
        .rev()
        .find(|index| {
            file.read_exact_at(&mut good, index * page_size as u64).unwrap();
            !is_zero(&good)
        })
        .unwrap();
    let mut torn = good.clone();
    torn[page_size / 2..].fill(0x55);
    let damaged = instance.directory.join("d/torn.ibd");
    fs::copy(instance.directory.join(path), &damaged).unwrap();
    let writable = OpenOptions::new().write(true).read(true).open(&damaged).unwrap();
    writable.write_all_at(&torn, index * page_size as u64).unwrap();
    assert!(innochecksum(&source, &instance.directory.join(path)));
    assert!(!innochecksum(&source, &damaged));

    let none = Doublewrite::new(0);
    let mut inspector = Inspector::new(space, &none, None);
    inspector.piece(0, &fs::read(&damaged).unwrap()).unwrap();
    let found: Vec<u64> = inspector.damaged.iter().map(|finding| finding.number.into()).collect();
    assert_eq!(found, [index]);

    // Where the server would have written it first.
    let (slots, slot) = if flavour.is_mariadb() {
        let area = (0..4096)
            .find(|page| instance.doublewrite.is_area(*page))
            .expect("a doublewrite area");
        ("ibdata1".into(), u64::from(area))
    } else {
        (files(&instance.directory, FileKind::Doublewrite).swap_remove(0), 0)
    };
    let slots = instance.directory.join(slots);
    let into = OpenOptions::new().write(true).open(&slots).unwrap();
    into.write_all_at(&good, slot * page_size as u64).unwrap();
    let lsn = u64::from_be_bytes(good[16..24].try_into().unwrap());
    for (checkpoint, helps) in [(lsn, true), (lsn + 1, false)] {
        let mut copies = Doublewrite::new(checkpoint);
        let file = fs::File::open(&slots).unwrap();
        if flavour.is_mariadb() {
            copies.add_system(file, page_size).unwrap();
        } else {
            copies.add_file(file, page_size).unwrap();
        }
        let mut inspector = Inspector::new(space, &copies, None);
        inspector.piece(0, &fs::read(&damaged).unwrap()).unwrap();
        assert_eq!(inspector.damaged.is_empty(), helps);
        assert_eq!(inspector.torn.is_empty(), !helps);
    }
}

on_both!(every_bit_matters, torn_pages_have_copies);
