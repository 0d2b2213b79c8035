//! The archive of a server's log: it follows a load, whatever is killed, restarted or taken away, and comes out without a hole and
//! without a duplicate.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use backstay_bed::{Flavour, TestServer, on_both, run, until};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::archived::{Log, covers, decoded, end, executed, missing};
use backstay_tests::backstay::Backstay;
use backstay_tests::bank::{self, Load};
use backstay_tests::processes::{children, kill, terminate};
use backstay_tests::replicas::{caught_up, promote, replicate};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

on_both!(
    follows_a_load_through_restarts_and_rotation,
    killed_restarted_and_taken_away,
    a_purged_log_is_a_gap,
    goes_on_with_another_member,
);

/// How soon a transaction is archived at the latest, once all is well: on a machine that does nothing else, as by hand with
/// BACKSTAY_ROUNDS, and on one that may do anything.
const SOON: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(60)];
/// How many random rounds there are, unless BACKSTAY_ROUNDS says it.
const ROUNDS: u64 = 4;

/// A server with a load on it, and the program.
struct Bed {
    backstay: Backstay,
    server: TestServer,
    /// The transactions that were there before the archive.
    before: String,
}

impl Bed {
    fn new(flavour: Flavour) -> Self {
        Self::with(TestServer::start(flavour), "")
    }

    fn with(server: TestServer, more: &str) -> Self {
        let link = server.dir().join("socket");
        std::os::unix::fs::symlink(server.server.socket(), &link).unwrap();
        let url = format!("{}://root@localhost/?socket={}", flavour_of(&server), link.display());
        let section = if more.is_empty() {
            server.section_as("main", &url)
        } else {
            more.to_owned()
        };
        let sections = format!("[archive]\nspool = \"spool\"\nsegment_age = \"2s\"\n\n{section}");
        let backstay = Backstay::new(&server.dir().join("backstay"), &[], &sections);
        bank::create(&mut server.conn());
        let before = executed(&server);
        Self {
            backstay,
            server,
            before,
        }
    }

    fn start(&self) -> Child {
        self.backstay
            .command(&["archive", "--cluster", "main"])
            .stdout(Stdio::null())
            .stderr(
                fs::File::options()
                    .create(true)
                    .append(true)
                    .open(self.said_file())
                    .unwrap(),
            )
            .spawn()
            .unwrap()
    }

    fn said_file(&self) -> PathBuf {
        self.backstay.dir.join("archive.log")
    }

    /// What all archives have said.
    fn said(&self) -> String {
        fs::read_to_string(self.said_file()).unwrap_or_default()
    }

    /// Starts the server again.
    fn restart(&mut self, killed: bool) {
        self.server.restart(killed);
        let link = self.server.dir().join("socket");
        let staged = self.server.dir().join("socket.new");
        std::os::unix::fs::symlink(self.server.server.socket(), &staged).unwrap();
        fs::rename(staged, link).unwrap();
    }

    fn log(&self) -> Log {
        Log::read(&self.backstay.repository())
    }

    /// Waits until all that the server has committed by now is archived; no longer than it may take.
    #[track_caller]
    fn assert_soon_archived(&self) {
        let committed = executed(&self.server);
        let asked = Instant::now();
        let soon = SOON[usize::from(std::env::var_os("BACKSTAY_ROUNDS").is_none())];
        loop {
            let ends = end(&self.backstay.repository());
            if ends
                .as_deref()
                .is_some_and(|ends| covers(self.server.flavour, ends, &committed))
            {
                eprintln!("archived within {:.1} s", asked.elapsed().as_secs_f64());
                return;
            }
            assert!(
                asked.elapsed() < soon,
                "{committed} is not archived after {} s: {ends:?}; {}",
                soon.as_secs(),
                self.said()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// That the log is what the server has committed since the archive began, each transaction once and in order, and that
    /// the server's own program reads every piece of it.
    #[track_caller]
    fn assert_whole(&self) {
        let log = self.log();
        assert_eq!(log.streams, 1, "the log is in one piece");
        let listed: Vec<&str> = log
            .pieces
            .iter()
            .flat_map(|piece| piece.gtids.iter().map(String::as_str))
            .collect();
        let unique: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(unique.len(), listed.len(), "a transaction is there twice");
        assert_eq!(
            missing(self.server.flavour, &listed, &self.before, &executed(&self.server)),
            ""
        );
        for piece in &log.pieces {
            let read = decoded(&self.server, &piece.directory, &piece.files);
            assert_eq!(
                read,
                piece.gtids,
                "{} by the server's own program",
                piece.directory.display()
            );
        }
        self.backstay.run(&["verify"]).ok();
    }
}

fn flavour_of(server: &TestServer) -> &'static str {
    server.flavour.as_str()
}

/// Ends an archive as a service manager does; it must end in order.
#[track_caller]
fn stop(mut archive: Child) {
    terminate(archive.id());
    let status = archive.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}

fn follows_a_load_through_restarts_and_rotation(flavour: Flavour) {
    let mut bed = Bed::new(flavour);
    let archive = bed.start();
    bed.backstay.wait_for_lock("main");
    until("the log is begun", || bed.log().streams == 1);
    let load = Load::start(&bed.server.opts(), 2, 7);
    load.wait_for(100);
    run(&mut bed.server.session(), &["FLUSH BINARY LOGS"]);
    // Larger than a segment is to be.
    bed.server
        .conn()
        .query_drop("CREATE TABLE bank.big (v LONGTEXT) SELECT REPEAT(UUID(), 700000) AS v")
        .unwrap();
    load.wait_for(100);
    bed.assert_soon_archived();
    load.stop();
    bed.restart(false);
    let load = Load::start(&bed.server.opts(), 2, 8);
    load.wait_for(100);
    bed.assert_soon_archived();
    let status = bed
        .backstay
        .run(&["archive", "--status", "--cluster", "main", "--json"])
        .ok()
        .json();
    assert_eq!(status["process"]["state"], "following");
    assert!(
        status["process"]["lag"].as_f64().is_some_and(|lag| lag < 60.0),
        "{status}"
    );
    load.stop();
    bed.assert_soon_archived();
    stop(archive);
    bed.assert_whole();
    bed.server.assert_free(&[]);
}

/// What happens to an archive.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Worker,
    Supervisor,
    Both,
    ServerStopped,
    ServerKilled,
    RepositoryAway,
    KilledWhileAway,
}

const BLOWS: [Blow; 7] = [
    Blow::Worker,
    Blow::Supervisor,
    Blow::Both,
    Blow::ServerStopped,
    Blow::ServerKilled,
    Blow::RepositoryAway,
    Blow::KilledWhileAway,
];

fn killed_restarted_and_taken_away(flavour: Flavour) {
    let rounds = std::env::var("BACKSTAY_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut bed = Bed::new(flavour);
    let mut archive = bed.start();
    until("the log is begun", || bed.log().streams == 1);
    let seed = 20_261_128 + u64::from(flavour.is_mariadb());
    let mut random = StdRng::seed_from_u64(seed);
    let mut load = Load::start(&bed.server.opts(), 2, seed);
    let first = random.random_range(0..BLOWS.len());
    for round in 0..rounds {
        // Of few rounds, each is another.
        let blow = BLOWS[(first + 2 * round as usize) % BLOWS.len()];
        let moment = Duration::from_millis(random.random_range(0..2500));
        eprintln!("seed {seed}, round {round}: {blow:?} after {moment:?}");
        load.wait_for(20);
        thread::sleep(moment);
        let kill_both = |archive: &mut Child| {
            let workers = children(archive.id());
            kill(archive.id());
            workers.iter().for_each(|worker| kill(*worker));
            archive.wait().unwrap();
        };
        match blow {
            Blow::Worker => children(archive.id()).iter().for_each(|worker| kill(*worker)),
            Blow::Supervisor => {
                kill(archive.id());
                archive.wait().unwrap();
                archive = bed.start();
            }
            Blow::Both => {
                kill_both(&mut archive);
                load.wait_for(20);
                archive = bed.start();
            }
            Blow::ServerStopped | Blow::ServerKilled => {
                bed.restart(matches!(blow, Blow::ServerKilled));
                load.stop();
                load = Load::start(&bed.server.opts(), 2, seed + round);
            }
            Blow::RepositoryAway | Blow::KilledWhileAway => {
                let repository = bed.backstay.repository();
                let away = repository.with_extension("away");
                fs::rename(&repository, &away).unwrap();
                thread::sleep(Duration::from_millis(random.random_range(500..4000)));
                if matches!(blow, Blow::KilledWhileAway) {
                    kill_both(&mut archive);
                }
                // What was being written when it went away is made in its place, as below a mount point.
                let _ = fs::remove_dir_all(&repository);
                fs::rename(&away, &repository).unwrap();
                if matches!(blow, Blow::KilledWhileAway) {
                    archive = bed.start();
                }
            }
        }
        load.wait_for(20);
        assert!(
            archive.try_wait().unwrap().is_none(),
            "the archive has ended: {}",
            bed.said()
        );
        bed.assert_soon_archived();
    }
    load.stop();
    bed.assert_soon_archived();
    stop(archive);
    bed.assert_whole();
    bed.server.assert_free(&[]);
}

fn a_purged_log_is_a_gap(flavour: Flavour) {
    let bed = Bed::new(flavour);
    let archive = ["archive", "--cluster", "main", "--once"];
    bed.backstay.run(&["backup", "--engine", "mysqldump"]).ok();
    run(&mut bed.server.session(), &["CREATE TABLE bank.a (id INT)"]);
    // It begins where the backup ends, and not where the server stands.
    bed.backstay.run(&archive).ok();
    assert_eq!(bed.log().pieces.len(), 1);
    let status = bed
        .backstay
        .run(&["archive", "--status", "--cluster", "main", "--json"])
        .ok()
        .json();
    assert_eq!(
        status["logs"][0]["recoverable_from"],
        bed.backstay.ids("main")[0].as_str()
    );

    let mut session = bed.server.session();
    run(
        &mut session,
        &["CREATE TABLE bank.b (id INT)", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS"],
    );
    let logs = session.query_named("SHOW BINARY LOGS").unwrap();
    let last = logs.last().unwrap().get(&["Log_name"]).unwrap().to_owned();
    // MariaDB does so only once its storage engine has caught up.
    until("the logs are purged", || {
        run(&mut session, &[&format!("PURGE BINARY LOGS TO '{last}'")]);
        session.query_named("SHOW BINARY LOGS").unwrap().len() == 1
    });
    run(&mut session, &["CREATE TABLE bank.c (id INT)"]);
    let output = bed.backstay.run(&archive).fails_with(1);
    assert!(output.stdout.contains("GAP after"), "{}", output.stdout);
    assert!(
        output.stdout.contains("and the log that the server has goes on from"),
        "{}",
        output.stdout
    );
    let log = bed.log();
    assert_eq!(log.streams, 2);
    assert!(
        covers(flavour, &log.ends.unwrap(), &executed(&bed.server)),
        "it goes on after the gap"
    );
    let status = bed
        .backstay
        .run(&["archive", "--status", "--cluster", "main"])
        .fails_with(1);
    assert!(
        status.stdout.contains("a full backup has to be taken"),
        "{}",
        status.stdout
    );
    // Which mends it.
    bed.backstay.run(&["backup", "--engine", "mysqldump"]).ok();
    bed.backstay.run(&archive).ok();
    bed.backstay.run(&["archive", "--status", "--cluster", "main"]).ok();
    bed.backstay.run(&["verify"]).ok();
}

fn goes_on_with_another_member(flavour: Flavour) {
    let arguments = |id: &str| {
        let mut arguments = vec![format!("--server-id={id}")];
        if flavour.is_mariadb() {
            arguments.push("--log-slave-updates=1".to_owned());
        }
        arguments
    };
    let primary = TestServer::start_with(flavour, &arguments("1"));
    let replica = TestServer::start_with(flavour, &arguments("2"));
    let sections = format!(
        "[cluster.main]\nprefer = \"any\"\n[[cluster.main.member]]\nname = \"one\"\nserver = \"{}\"\n\
         [[cluster.main.member]]\nname = \"two\"\nserver = \"{}\"\n",
        primary.url(),
        replica.url()
    );
    replicate(&replica, &primary);
    let bed = Bed::with(primary, &sections);
    let archive = bed.start();
    until("the log is begun", || bed.log().streams == 1);
    let load = Load::start(&bed.server.opts(), 2, 9);
    load.wait_for(100);
    bed.assert_soon_archived();
    load.stop();
    caught_up(&replica, &bed.server);
    kill(bed.server.server.pid());
    promote(&replica);
    let load = Load::start(&replica.opts(), 2, 10);
    load.wait_for(100);
    let Bed {
        backstay,
        before,
        server,
        ..
    } = bed;
    let bed = Bed {
        backstay,
        before,
        server: replica,
    };
    bed.assert_soon_archived();
    load.stop();
    bed.assert_soon_archived();
    stop(archive);
    bed.assert_whole();
    drop(server);
}
