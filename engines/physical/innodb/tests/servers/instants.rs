//! A server under load, from one instant to the next.

use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use backstay_bed::mysql::prelude::Queryable;
use backstay_bed::{Flavour, TestServer, on_both};
use backstay_innodb::redo::{Format, Former};
use backstay_innodb::{Checksums, Identity, Inspector, Layout, Redo, Space, delta};
use backstay_mysql::PrivateServer;

use super::{Instance, Load, furnish, innochecksum, instant, start};

/// How many instants; BACKSTAY_ROUNDS says another number.
fn instants() -> usize {
    std::env::var("BACKSTAY_ROUNDS").map_or(3, |rounds| rounds.parse().expect("BACKSTAY_ROUNDS is a number"))
}

/// Every page is sound at each instant; the pages changed since a checkpoint make one instant's file of the one before; and
/// the server recovers with what of the redo log is needed.
fn followed(flavour: Flavour, page_size: usize) {
    let source = start(flavour, page_size);
    furnish(&source, page_size);
    let load = Load::start(&source);
    let mut before: Option<Instance> = None;
    let (mut followed, mut pages, mut taken, mut zeros, mut bytes, mut inherited) = (0, 0, 0, 0, 0, 0);
    for number in 0..instants() {
        load.wait_for(60);
        let now = Instance::open(&instant(&source, &format!("instant{number}")), page_size);
        let format = if flavour.is_mariadb() {
            Format::MariaDb
        } else {
            Format::MySql
        };
        assert_eq!(now.redo.format, format);
        assert!(now.redo.checkpoint < now.redo.end, "{:?}", now.redo);
        let ids = now.spaces.len();
        assert!(ids > 10, "{:?}", now.spaces);
        eprintln!(
            "instant {number}: checkpoint {}, end {}, {} bytes of redo needed of {}",
            now.redo.checkpoint,
            now.redo.end,
            now.redo.needed(),
            now.redo.files.iter().map(|file| file.size).sum::<u64>()
        );
        inherited += before.as_ref().map_or(0, |before| inherit(before, &now));
        for (path, space) in &now.spaces {
            let (file, size) = now.file(path);
            let mut inspector = Inspector::new(*space, &now.doublewrite, Some(&now.redo));
            let since = before.as_ref().map_or(0, |before| before.redo.checkpoint);
            let mut stream = Vec::new();
            let written = delta::write(&file, size, since, &mut inspector, &mut stream).unwrap();
            assert_eq!(inspector.damaged, [], "{} of {space:?}", path.display());
            assert_eq!(written.bytes, stream.len() as u64);
            let Some(parent) = before
                .as_ref()
                .and_then(|before| Some((before, before.path(space.id)?)))
            else {
                continue;
            };
            let (instance, former) = parent;
            let scratch = source.dir().join("scratch.ibd");
            fs::copy(instance.directory.join(former), &scratch).unwrap();
            let target = OpenOptions::new().read(true).write(true).open(&scratch).unwrap();
            delta::apply(&mut &*stream, &target).unwrap();
            same(&target, &file, path, page_size);
            followed += 1;
            pages += inspector.pages;
            taken += written.pages;
            zeros += written.zeros;
            bytes += written.bytes;
        }
        before = Some(now);
    }
    eprintln!("{followed} files followed: {taken} of {pages} pages taken, {zeros} of zeros, {bytes} bytes");
    eprintln!("{inherited} bytes of the redo log were there before");
    assert!(followed > 15 && taken < pages / 2, "{followed} {taken} {pages}");
    load.stop();
    let last = before.unwrap();
    let whole = contents(&source, &last.directory, "whole");
    trim(&last);
    let trimmed = contents(&source, &last.directory, "trimmed");
    assert!(whole.lines().count() > 8, "{whole}");
    assert_eq!(whole, trimmed);
}

/// What of the redo log was there at the instant before: the very bytes, which recovery needed then and needs now. Says how many.
fn inherit(before: &Instance, now: &Instance) -> u64 {
    let former = before.redo.as_former();
    let kept = now.redo.in_former(&now.directory, &former).unwrap();
    let mut bytes = 0;
    for (file, kept) in now.redo.files.iter().zip(&kept) {
        for range in kept {
            let whole = |needed: &Range<u64>| needed.start <= range.start && range.end <= needed.end;
            let mut parents = before.redo.files.iter();
            let parent = parents.find(|parent| (parent.start, parent.size) == (file.start, file.size));
            let parent = parent.unwrap_or_else(|| panic!("{file:?} was not there"));
            // Ranges that meet may be one.
            assert!(parent.needed.iter().any(whole), "{range:?} of {file:?} in {parent:?}");
            assert!(file.needed.iter().any(whole), "{range:?} of {file:?}");
            let read = |instance: &Instance, path: &Path| {
                let mut bytes = vec![0; (range.end - range.start) as usize];
                let (file, _) = instance.file(path);
                file.read_exact_at(&mut bytes, range.start).unwrap();
                bytes
            };
            assert!(
                read(before, &parent.path) == read(now, &file.path),
                "{range:?} of {file:?}"
            );
            bytes += range.end - range.start;
        }
    }
    // All of it that there can be; and nothing where the log is not that one.
    let settled = former.settled.saturating_sub(now.redo.checkpoint);
    assert!(bytes >= settled, "{bytes} of {settled}");
    let other = Former {
        tail: former.tail ^ 1,
        ..former
    };
    assert!(
        now.redo
            .in_former(&now.directory, &other)
            .unwrap()
            .iter()
            .all(Vec::is_empty)
    );
    bytes
}

/// The same bytes, page by page.
fn same(left: &File, right: &File, path: &Path, page_size: usize) {
    let size = right.metadata().unwrap().len();
    assert_eq!(left.metadata().unwrap().len(), size, "{}", path.display());
    let (mut ours, mut theirs) = (vec![0; page_size], vec![0; page_size]);
    for page in 0..size / page_size as u64 {
        left.read_exact_at(&mut ours, page * page_size as u64).unwrap();
        right.read_exact_at(&mut theirs, page * page_size as u64).unwrap();
        assert!(ours == theirs, "page {page} of {} is not as it was", path.display());
    }
}

/// Zeros everywhere in the redo log but where recovery needs it.
fn trim(instance: &Instance) {
    for redo in &instance.redo.files {
        let path = instance.directory.join(&redo.path);
        let whole = fs::read(&path).unwrap();
        let mut trimmed = vec![0; whole.len()];
        for range in &redo.needed {
            let range = range.start as usize..range.end as usize;
            trimmed[range.clone()].copy_from_slice(&whole[range]);
        }
        fs::write(&path, trimmed).unwrap();
    }
}

/// What a server that recovers on a copy of a directory has in its tables.
fn contents(source: &TestServer, directory: &Path, name: &str) -> String {
    let copy = source.dir().join(name);
    let copied = Command::new("cp").arg("-a").arg(directory).arg(&copy).status().unwrap();
    assert!(copied.success());
    let server = PrivateServer::builder(source.server.running().clone(), &copy)
        .arg("--innodb-buffer-pool-size=64M")
        .arg(format!("--innodb-page-size={}", instance_page_size(&copy)))
        // A transaction that was being committed is prepared: the binary log says whether it was.
        .arg("--log-bin=binlog")
        .start()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut session = server.session().unwrap();
    let names: Vec<String> = session
        .query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'd' ORDER BY 1")
        .unwrap();
    let mut contents = String::new();
    for name in names {
        let sums: Vec<(String, Option<u64>)> = session.query(format!("CHECKSUM TABLE d.{name}")).unwrap();
        contents.push_str(&format!("{sums:?}\n"));
    }
    drop(session);
    server.stop().unwrap();
    // What it wrote when it was stopped is sound to the server's own tool, and to us.
    let instance = Instance::open(&copy, instance_page_size(&copy));
    for (path, space) in &instance.spaces {
        let (file, size) = instance.file(path);
        let mut inspector = Inspector::new(*space, &instance.doublewrite, Some(&instance.redo));
        delta::write(&file, size, 0, &mut inspector, &mut std::io::sink()).unwrap();
        assert_eq!(inspector.damaged, [], "{}", path.display());
        assert!(inspector.torn.is_empty(), "{}", path.display());
        // It takes copies of pages for pages of the system tablespace.
        if !(source.flavour.is_mariadb() && space.id == 0) {
            assert!(innochecksum(source, &copy.join(path)), "{}", path.display());
        }
    }
    contents
}

fn instance_page_size(directory: &Path) -> usize {
    let head = super::head(&File::open(directory.join("ibdata1")).unwrap());
    match backstay_innodb::Space::identify(&head) {
        backstay_innodb::Identity::Space(space) => space.layout.page_size,
        other => panic!("{other:?}"),
    }
}

fn pages_of_16_kib(flavour: Flavour) {
    followed(flavour, 16384);
}

fn pages_of_4_kib(flavour: Flavour) {
    followed(flavour, 4096);
}

fn pages_of_64_kib(flavour: Flavour) {
    followed(flavour, 65536);
}

on_both!(pages_of_16_kib, pages_of_4_kib, pages_of_64_kib);

/// What MariaDB makes anew it does not write to the doublewrite area: a new table's pages may be anything, and it recovers.
#[test]
fn pages_that_mariadb_makes_anew() {
    let source = start(Flavour::MariaDb, 16384);
    let mut conn = source.conn();
    conn.query_drop("CREATE DATABASE d").unwrap();
    // Until the log still has all of a table.
    let found = (0..50).find_map(|number| {
        conn.query_drop(format!("CREATE TABLE d.t{number} (id INT PRIMARY KEY, v TEXT)"))
            .unwrap();
        conn.query_drop(format!("INSERT INTO d.t{number} VALUES (1, 'one'), (2, 'two')"))
            .unwrap();
        let directory = instant(&source, &format!("new{number}"));
        let name = format!("d/t{number}.ibd");
        let redo = Redo::read(&directory).unwrap();
        redo.remade.file(&name, None).then_some((directory, name))
    });
    let (directory, name) = found.expect("a table that was made since the checkpoint");
    let whole = contents(&source, &directory, "whole");
    let table = OpenOptions::new().write(true).open(directory.join(&name)).unwrap();
    // The first as in a file that was just made, another half-written.
    table.write_all_at(&[0; 16384], 0).unwrap();
    table.write_all_at(&[0x5a; 8192], 3 * 16384 + 8192).unwrap();
    assert_eq!(
        Space::identify(&super::head(&File::open(directory.join(&name)).unwrap())),
        Identity::Damaged(Some(Space {
            id: 0,
            first: 0,
            layout: Layout::plain(16384, Checksums::Ends)
        }))
    );
    let instance = Instance::open(&directory, 16384);
    assert!(!instance.redo.remade.file("mysql/user.ibd", None));
    assert!(
        instance.spaces.iter().all(|(path, _)| path != Path::new(&name)),
        "{name}"
    );
    assert_eq!(contents(&source, &directory, "remade"), whole);
    assert!(whole.contains("Some"), "{whole}");
}
