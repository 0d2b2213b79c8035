//! The engine `snapshot` on a logical volume. The kernel of a test machine may have no device mapper: a second kernel does, user-mode
//! Linux, which is an ordinary process with the machine's own root file system. All that happens there is in `lvm/inside.sh`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use backstay_tests::build_dir;

#[test]
fn on_a_logical_volume() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, script, work) = (
        dir.path().join("disk"),
        dir.path().join("init"),
        dir.path().join("work"),
    );
    File::create(&disk).unwrap().set_len(1200 << 20).unwrap();
    fs::create_dir(&work).unwrap();
    let text = format!(
        "#!/bin/bash\nWORK={}\nPROGRAMS={}\n{}",
        work.display(),
        build_dir().display(),
        include_str!("lvm/inside.sh")
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let library = dir.path().join("registers.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lvm/registers.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .status();
    assert!(compiled.expect("cc can be started, which Rust needs too").success());
    // Ended for good should that kernel hang.
    let output = Command::new("timeout")
        .env("LD_PRELOAD", &library)
        .args([
            "-s",
            "KILL",
            "400",
            "linux.uml",
            "mem=1500M",
            "rootfstype=hostfs",
            "rootflags=/",
            "rw",
        ])
        .arg(format!("init={}", script.display()))
        .arg(format!("ubdb={}", disk.display()))
        .args(["con=null", "con0=null,fd:2", "con1=fd:0,fd:1"])
        .output()
        .expect("timeout can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    assert!(
        said.lines().any(|line| line.trim_end() == "all is well"),
        "see above; is user-mode-linux installed? cargo xtask setup"
    );
}
