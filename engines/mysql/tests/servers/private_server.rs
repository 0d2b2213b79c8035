//! Private servers: inert, private, and gone when they should be.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backstay_bed::{TestServer, installed, on_both, run};
use backstay_engine_api::ErrorKind;
use backstay_mysql::{Flavour, PrivateServer, private_server};

on_both!(
    it_is_inert,
    it_stops_and_starts_again,
    why_it_does_not_start,
    it_leaves_a_directory_in_use_alone,
    it_ends_with_its_process
);

fn it_is_inert(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let value = |session: &mut backstay_mysql::Session, name: &str| session.variable(name).unwrap();
    assert_eq!(value(&mut bed.session(), "bind_address").as_deref(), Some("127.0.0.1"));
    let data = bed.server.data_dir().to_owned();
    bed.server.stop().unwrap();
    let server = PrivateServer::builder(installed(flavour).program(), data)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let mut session = server.session().unwrap();
    assert_eq!(value(&mut session, "event_scheduler").as_deref(), Some("OFF"));
    assert_eq!(value(&mut session, "skip_networking").as_deref(), Some("ON"));
    let skips = if flavour.is_mariadb() {
        "skip_slave_start"
    } else {
        "skip_replica_start"
    };
    // MariaDB shows it nowhere.
    if !flavour.is_mariadb() {
        assert_eq!(value(&mut session, skips).as_deref(), Some("ON"));
        assert_eq!(value(&mut session, "mysqlx_port"), None);
    }
    assert_eq!(server.port(), None);
    assert!(server.socket().as_os_str().len() <= 107);
}

fn it_stops_and_starts_again(flavour: Flavour) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let program = installed(flavour).program();
    private_server::initialise(&program, &data, &["--innodb-page-size=8192".to_owned()]).unwrap();
    let again = private_server::initialise(&program, &data, &[]).unwrap_err();
    assert_eq!(
        (again.kind, again.message.contains("is not empty")),
        (ErrorKind::Refused, true),
        "{again}"
    );

    let start = |keep: bool| {
        let builder = PrivateServer::builder(program.clone(), &data).arg("--innodb-page-size=8192");
        if keep { builder.keep_identity() } else { builder }
            .start()
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let identity = |server: &PrivateServer| server.session().unwrap().variable("server_uuid").unwrap();
    let first = start(false);
    let was = identity(&first);
    let mut session = first.session().unwrap();
    run(&mut session, &["CREATE DATABASE kept"]);
    let pid = first.pid();
    let socket = first.socket();
    first.stop().unwrap();
    assert!(!running(pid) && !socket.parent().unwrap().exists());

    let second = start(true);
    assert_eq!(identity(&second), was);
    assert_eq!(
        backstay_mysql::content(&mut second.session().unwrap()).unwrap().schemas,
        ["kept"]
    );
    second.kill();
    let third = start(false);
    // MariaDB has no such identity.
    assert!(identity(&third) != was || was.is_none());
    let open = PrivateServer::builder(program.clone(), &data).arg("--innodb-page-size=8192");
    third
        .session()
        .unwrap()
        .run("ALTER USER root@localhost IDENTIFIED BY 'unknown'")
        .unwrap();
    third.stop().unwrap();
    let error = open.clone().start().unwrap_err();
    assert!(error.to_string().contains("refused the account `root`"), "{error}");
    open.without_accounts().start().unwrap().session().unwrap();
}

fn why_it_does_not_start(flavour: Flavour) {
    let directory = tempfile::tempdir().unwrap();
    let program = installed(flavour).program();
    let error = PrivateServer::builder(program.clone(), directory.path())
        .start()
        .unwrap_err();
    assert!(error.message.contains("is no data directory"), "{error}");
    fs::create_dir(directory.path().join("mysql")).unwrap();
    let started = Instant::now();
    let error = PrivateServer::builder(program, directory.path())
        .arg("--no-such-option=1")
        .start()
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Program);
    assert!(error.message.contains("before it answered"), "{error}");
    assert!(
        !error.causes.is_empty() && error.causes.iter().any(|line| line.contains("ERROR")),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(60));
}

fn it_leaves_a_directory_in_use_alone(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let data = bed.server.data_dir().to_owned();
    let identity = fs::read(data.join("auto.cnf")).ok();
    assert_eq!(identity.is_some(), !flavour.is_mariadb());
    let error = PrivateServer::builder(installed(flavour).program(), &data)
        .start()
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    let process = bed.server.pid();
    let expected = format!("is in use: process {process} holds a lock on ibdata1");
    assert!(error.message.contains(&expected), "{error}");
    assert_eq!(fs::read(data.join("auto.cnf")).ok(), identity);
    bed.session().run("CREATE DATABASE still_there").unwrap();
}

/// A process that is killed takes its server with it, also when the thread that started the server has ended long before.
fn it_ends_with_its_process(flavour: Flavour) {
    const CHILD: &str = "BACKSTAY_TEST_SERVER_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let start = move || TestServer::start_in::<&str>(flavour, &std::env::temp_dir(), &[]);
        let bed = std::thread::spawn(start).join().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        println!("\npid {} {}", bed.server.pid(), bed.session().account());
        std::thread::sleep(Duration::from_secs(120));
        return;
    }
    let name = format!("private_server::{}::it_ends_with_its_process", flavour.as_str());
    let leavings = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        // What a killed process can not clear away, we do.
        .env("TMPDIR", leavings.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let line = std::io::BufRead::lines(output)
        .map_while(Result::ok)
        .find(|line| line.starts_with("pid "));
    let line = line.expect("the child starts a server");
    let pid: u32 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(running(pid));
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while running(pid) {
        assert!(Instant::now() < deadline, "server {pid} outlived its process");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether there is such a process, not counting one that only waits to be noticed as dead.
fn running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with(|state: char| !"ZX".contains(state)) && !rest.is_empty())
}
