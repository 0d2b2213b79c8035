use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use rustix::fs::fcntl_lock;

use super::*;

/// The data directory that [`a_process_on_a_directory`] is to be the server of.
const SERVED: &str = "BACKSTAY_TEST_SERVED";

/// What a server is to others: a process that holds a lock on its system tablespace. Our own locks we would not see.
struct Server(Child);

impl Server {
    fn on(data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["place::tests::a_process_on_a_directory", "--exact", "--nocapture"])
            .env(SERVED, data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap() == "locked"),
            "no lock on {}",
            data.display()
        );
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No test by itself: what [`Server`] runs.
#[test]
fn a_process_on_a_directory() {
    let Some(data) = std::env::var_os(SERVED) else { return };
    let file = File::create(Path::new(&data).join(LAST)).unwrap();
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    println!("\nlocked");
    // Until whoever wants it closes our input.
    let _ = io::stdin().read(&mut [0]);
}

/// A place that is made in its target, as where that is a file system of its own.
fn inside(target: &Path, occupied: bool) -> Place {
    let mut place = Place {
        target: target.to_owned(),
        staging: target.join(".backstay-job"),
        inside: true,
        occupied,
        lock: None,
    };
    place.make().unwrap();
    fill(&place);
    place
}

/// As if something had been restored.
fn fill(place: &Place) {
    fs::create_dir(data_in(place.staging())).unwrap();
    fs::write(data_in(place.staging()).join("new"), "y").unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_target_is_untouched_until_it_is_published() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), "x").unwrap();
    let error = Place::choose(&target, "job", false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("is not empty: it has precious"), "{error}");

    let mut place = Place::choose(&target, "job", true).unwrap();
    place.make().unwrap();
    fs::create_dir(data_in(place.staging())).unwrap();
    fs::write(data_in(place.staging()).join("new"), "y").unwrap();
    assert_eq!(names(&target), ["precious"]);
    drop(place);
    assert_eq!(names(root.path()), ["data"]);

    let mut place = Place::choose(&target, "job", true).unwrap();
    place.make().unwrap();
    fs::create_dir(data_in(place.staging())).unwrap();
    fs::write(data_in(place.staging()).join("new"), "y").unwrap();
    place.publish().unwrap();
    assert_eq!(names(&target), ["new"]);
    assert_eq!(names(root.path()), ["data"]);
}

#[test]
fn leavings_of_the_dead_go_and_those_of_the_living_stay() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    fs::create_dir(root.path().join(".data.backstay-dead")).unwrap();
    let mut living = Place::choose(&target, "living", false).unwrap();
    living.make().unwrap();
    let second = Place::choose(&target, "second", false).unwrap();
    assert_eq!(names(root.path()), [".data.backstay-living"]);
    drop(second);
    fs::create_dir(data_in(living.staging())).unwrap();
    living.publish().unwrap();
    assert_eq!(names(root.path()), ["data"]);
}

#[test]
fn a_directory_that_came_meanwhile_is_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    let mut place = Place::choose(&target, "job", false).unwrap();
    place.make().unwrap();
    fs::create_dir(data_in(place.staging())).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), "x").unwrap();
    let error = place.publish().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(
        error.message.contains("is not empty any more: precious came"),
        "{error}"
    );
    assert_eq!(names(&target), ["precious"]);
    assert_eq!(names(root.path()), ["data"]);
}

#[test]
fn what_came_meanwhile_onto_a_file_system_of_its_own_stays() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path();
    fs::create_dir(target.join("lost+found")).unwrap();
    let place = inside(target, false);
    fs::write(target.join("precious"), "x").unwrap();
    let error = place.publish().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(
        error.message.contains("is not empty any more: precious came"),
        "{error}"
    );
    assert_eq!(names(target), ["lost+found", "precious"]);

    // What was to be replaced is.
    inside(target, true).publish().unwrap();
    assert_eq!(names(target), ["lost+found", "new"]);
    fs::remove_file(target.join("new")).unwrap();
    inside(target, false).publish().unwrap();
    assert_eq!(names(target), ["lost+found", "new"]);
}

#[test]
fn a_server_that_was_started_meanwhile_keeps_its_files() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("old"), "x").unwrap();
    let mut beside = Place::choose(&target, "job", true).unwrap();
    beside.make().unwrap();
    fill(&beside);
    let within = inside(&target, true);
    let _server = Server::on(&target);
    for place in [beside, within] {
        let error = place.publish().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(
            error.message.contains("is in use: a server runs on it (process "),
            "{error}"
        );
    }
    assert_eq!(names(&target), [LAST, "old"]);
    assert_eq!(names(root.path()), ["data"]);
}

#[test]
fn nothing_is_deleted_where_a_server_runs() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("data");
    // As a backup by reflinks has its clones, where the data directory is a file system of its own.
    let clones = target.join(".backstay-another");
    fs::create_dir_all(&clones).unwrap();
    fs::write(target.join("old"), "x").unwrap();
    let server = Server::on(&target);
    for overwrite in [false, true] {
        let error = Place::choose(&target, "job", overwrite).unwrap_err();
        assert!(
            error.message.contains("is in use: a server runs on it (process "),
            "{error}"
        );
        assert!(clones.exists());
    }
    drop(server);
    let error = Place::choose(&target, "job", false).unwrap_err();
    assert!(error.message.contains("is not empty: it has ibdata1, old"), "{error}");
    assert!(clones.exists());
    Place::choose(&target, "job", true).unwrap();
    assert!(!clones.exists());
}

#[test]
fn no_directory_no_restore() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    for (target, what) in [("file", "is no directory"), ("a/b", "has no directory above it")] {
        let error = Place::choose(&root.path().join(target), "job", true).unwrap_err();
        assert!(error.message.contains(what), "{error}");
    }
}
