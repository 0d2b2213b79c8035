//! The same story for every engine and server: full backups and incrementals on any of them, each restored in random order and to points
//! by GTID and time, without those that are redundant, around damage, and past a gap in the binary logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use backstay_bed::Flavour;
use backstay_engine_api::position::PointInTime;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::compare::{Contents, contents};
use backstay_tests::engines::{BackedUp, Engine, run};
use backstay_tests::log::purge_all_but_the_last;
use backstay_tests::on_volume::rounds;
use backstay_tests::shop;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

const SEED: u64 = 20_261_129;

/// What is compared of a server's files: all but what a server that recovers is free to change.
const OF_FILES: [&str; 2] = ["shop", "shop_archive"];

/// Where the server stood when a backup was taken.
struct Step {
    id: String,
    /// Its newest transaction.
    gtid: String,
    /// An instant after that one, and before the next.
    time: String,
    contents: Contents,
}

struct Story {
    bed: BackedUp,
    steps: Vec<Step>,
    targets: usize,
}

impl Story {
    fn new(flavour: Flavour, engine: Engine) -> Self {
        let archive = "[archive]\nspool = \"spool\"\n";
        let bed = BackedUp::new(flavour, engine, archive);
        shop::create(&mut bed.source.conn());
        Self {
            bed,
            steps: Vec::new(),
            targets: 0,
        }
    }

    /// The schemas that are compared; none are all.
    fn schemas(&self) -> &'static [&'static str] {
        match self.bed.engine.is_physical() {
            true => &OF_FILES,
            false => &[],
        }
    }

    /// Several transactions, of DDL and of rows.
    fn write(&self, name: &str) {
        run(
            &mut self.bed.source.conn(),
            &[
                &format!("CREATE TABLE shop.{name} (id INT PRIMARY KEY, v VARCHAR(20))"),
                &format!("INSERT INTO shop.{name} VALUES (1, 'a'), (2, 'b')"),
                &format!("UPDATE shop.customers SET city = '{name}'"),
                &format!("DELETE FROM shop.{name} WHERE id = 1"),
            ],
        );
    }

    /// What a backup on a parent says, a full one without.
    fn ask(&self, parent: Option<&str>) -> Value {
        let mut arguments = vec!["backup", "--engine", self.bed.engine.name(), "--json"];
        if let Some(parent) = parent {
            arguments.extend(["--incremental", "--parent", parent]);
        }
        self.bed.backstay.run(&arguments).ok().json()
    }

    /// Nothing was written since the last backup.
    fn nothing_new(&self) {
        let taken = self.ask(Some("auto"));
        let last = &self.steps.last().expect("a step").id;
        if self.bed.engine.is_physical() {
            // A server that has nothing to do writes pages of its own.
            assert_eq!(taken["backup"]["parent"], last.as_str(), "{taken}");
            remove(self, taken["backup"]["id"].as_str().expect("an id"));
        } else {
            assert_eq!(taken["empty"]["parent"], last.as_str(), "{taken}");
        }
    }

    /// Takes a backup, on a parent that is named or on the newest one for `auto`, and notes where the server stands.
    fn take(&mut self, parent: Option<&str>) {
        let taken = self.ask(parent);
        let expected = match parent {
            Some("auto") => Value::from(self.steps.last().expect("a step").id.as_str()),
            parent => Value::from(parent),
        };
        assert_eq!(taken["backup"]["parent"], expected, "{taken}");
        let record = &taken["backup"];
        let kind = if parent.is_some() { "incremental" } else { "full" };
        assert_eq!(record["kind"], kind, "{taken}");
        let mut conn = self.bed.source.conn();
        // MariaDB's times of commits are whole seconds: the instant is in one of its own.
        thread::sleep(Duration::from_millis(1100));
        let time = "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')";
        let time = conn.query_first(time).unwrap().expect("a time");
        thread::sleep(Duration::from_millis(1100));
        self.steps.push(Step {
            id: record["id"].as_str().expect("an id").to_owned(),
            gtid: self.newest(),
            time,
            contents: contents(&mut conn, self.schemas()),
        });
    }

    /// The server's newest transaction.
    fn newest(&self) -> String {
        let mut conn = self.bed.source.conn();
        let mut text = |query: &str| -> String { conn.query_first(query).unwrap().expect("GTIDs") };
        match self.bed.source.flavour {
            Flavour::MariaDb => text("SELECT @@GLOBAL.gtid_binlog_pos"),
            _ => {
                let executed = text("SELECT @@GLOBAL.gtid_executed");
                let (server, numbers) = executed.split_once(':').expect("one server's");
                let newest = numbers.rsplit('-').next().expect("a number");
                format!("{server}:{newest}")
            }
        }
    }

    /// Archives the log, where the engine's incrementals are not pieces of it.
    fn archive(&self) {
        if self.bed.engine.is_physical() {
            self.bed.backstay.run(&["archive", "--once"]).ok();
        }
    }

    /// Restores, or recovers to a point, and compares.
    #[track_caller]
    fn comes_back(&mut self, arguments: &[&str], expected: &Contents) -> Value {
        self.targets += 1;
        let target = self.bed.target(&format!("target-{}", self.targets));
        let said = self.bed.onto(&target, &[arguments, &["--json"]].concat()).ok();
        let what = format!("seed {SEED}: {arguments:?}");
        self.bed.assert_same(&target, self.schemas(), expected, &what);
        target.discard();
        said.json()
    }

    /// The plan to a point.
    fn plan(&self, point: &[&str]) -> backstay_tests::backstay::Output {
        let to = if self.bed.engine.is_physical() {
            ["--to-datadir", "/nowhere/it-is-not-there"]
        } else {
            ["--to-server", "mysql://root@127.0.0.1:1"]
        };
        let arguments = [&["recover", "--dry-run", "--json"], point, &to].concat();
        self.bed.backstay.run(&arguments)
    }
}

/// What an operator does who deletes a backup.
fn remove(story: &Story, id: &str) {
    fs::remove_dir_all(story.bed.backstay.backups("main").join(id)).unwrap();
}

fn everything_comes_back(flavour: Flavour, engine: Engine) {
    let mut story = Story::new(flavour, engine);
    story.archive();
    story.take(None);
    let first = story.steps[0].id.clone();
    for _ in 0..3 {
        story.nothing_new();
    }
    story.write("named");
    story.take(Some(&first));
    story.write("auto");
    story.take(Some("auto"));
    story.nothing_new();
    story.write("again");
    story.take(Some("auto"));
    story.write("in_between");
    story.take(None);
    // It has all that the incrementals before it have.
    story.write("over_all");
    story.take(Some(&first));
    story.write("last");
    story.take(Some("auto"));
    story.archive();
    assert_eq!(story.bed.backstay.ids("main").len(), story.steps.len());
    let drawn = story.bed.backstay.run(&["list"]).ok().stdout;
    assert!(
        drawn.contains("recoverable") && drawn.contains("incremental"),
        "{drawn}"
    );
    story.bed.backstay.run(&["verify"]).ok();

    in_random_order(&mut story);
    // The incrementals up to the one that has all of theirs.
    for step in 1..=3 {
        remove(&story, &story.steps[step].id.clone());
    }
    for step in [5, 6] {
        let (id, expected) = restored(&story, step);
        story.comes_back(&["restore", &id], &expected);
    }
    let (gtid, expected) = (story.steps[2].gtid.clone(), story.steps[2].contents.clone());
    story.comes_back(&["recover", "--to-gtid", &gtid], &expected);
    story.bed.backstay.run(&["verify"]).ok();
    around_damage(&mut story);
    past_a_gap(&mut story);
}

fn restored(story: &Story, step: usize) -> (String, Contents) {
    (story.steps[step].id.clone(), story.steps[step].contents.clone())
}

/// Each backup alone, and points that are one backup's end, that lie before, and by time.
fn in_random_order(story: &mut Story) {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut restores: Vec<usize> = (0..story.steps.len()).collect();
    restores.shuffle(&mut random);
    let mut cases: Vec<(&str, usize)> = restores
        .into_iter()
        .take(rounds(3) as usize)
        .map(|step| ("restore", step))
        .collect();
    for option in ["--to-gtid", "--to-time", "--before-gtid"] {
        cases.push((option, random.random_range(1..story.steps.len())));
    }
    cases.shuffle(&mut random);
    for (option, step) in cases {
        let expected = story.steps[step].contents.clone();
        let Step { id, gtid, time, .. } = &story.steps[step];
        eprintln!("{option} of step {step}: {id}, {gtid}, {time}");
        match option {
            "restore" => {
                let id = id.clone();
                story.comes_back(&["restore", &id], &expected);
            }
            "--before-gtid" => {
                // Without its last transaction, a row that was deleted is still there.
                let gtid = gtid.clone();
                story.targets += 1;
                let target = story.bed.target(&format!("target-{}", story.targets));
                story.bed.onto(&target, &["recover", option, &gtid]).ok();
                let found = story.bed.contents(&target, story.schemas());
                target.discard();
                let differ = backstay_tests::compare::differences(&found, &expected);
                assert_eq!(differ.len(), 1, "{gtid}: {differ:#?}");
                assert!(
                    differ[0].contains("left  2 rows") && differ[0].contains("right 1 rows"),
                    "{differ:#?}"
                );
            }
            _ => {
                let point = if option == "--to-gtid" {
                    gtid.clone()
                } else {
                    time.clone()
                };
                story.comes_back(&["recover", option, &point], &expected);
            }
        }
    }
}

/// The backup that the shortest way begins with is damaged: another way is found, and that is said.
fn around_damage(story: &mut Story) {
    let planned = story.plan(&["--latest"]).ok().json();
    let chain = planned["plan"]["chain"].as_array().expect("a chain");
    let used = chain.last().and_then(Value::as_str).expect("an id").to_owned();
    let file = largest(&story.bed.backstay.backups("main").join(&used).join("data"));
    let whole = fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let expected = story.steps[6].contents.clone();
    let said = story.comes_back(&["recover", "--latest"], &expected);
    let notice = &said["recovered"]["notices"][0];
    assert_eq!(notice["code"], "around-damage", "{said}");
    assert_eq!(notice["subject"], used.as_str(), "{said}");
    assert!(
        !notice["text"]
            .as_str()
            .is_some_and(|text| text.contains("ends earlier")),
        "{said}"
    );
    let chain = said["recovered"]["plan"]["chain"].as_array().expect("a chain");
    assert!(!chain.is_empty() && !chain.contains(&Value::from(used)), "{said}");
    fs::write(&file, whole).unwrap();
    story.bed.backstay.run(&["verify"]).ok();
}

fn largest(dir: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            match metadata.is_dir() {
                true => directories.push(entry.path()),
                false => files.push((metadata.len(), entry.path())),
            }
        }
    }
    files.into_iter().max().expect("a file").1
}

/// The server purged what nobody has: the log does not go on, that is said, and a new full backup mends it.
fn past_a_gap(story: &mut Story) {
    let last = story.steps[6].id.clone();
    story.write("lost");
    let mut conn = story.bed.source.conn();
    run(&mut conn, &["FLUSH BINARY LOGS"]);
    purge_all_but_the_last(&mut conn);
    story.write("after");
    let backstay = &story.bed.backstay;
    let said = if story.bed.engine.is_physical() {
        let said = backstay.run(&["archive", "--once"]).fails_with(1);
        assert!(said.stdout.contains("GAP after"), "{}", said.stdout);
        said.stderr
    } else {
        let name = story.bed.engine.name();
        let incremental = ["backup", "--engine", name, "--incremental", "--parent", &last];
        backstay.run(&incremental).fails_with(3).stderr
    };
    assert!(said.contains("take a full backup"), "{said}");

    story.take(None);
    let salvage = story.steps[7].id.clone();
    story.write("salvaged");
    story.take(Some(&salvage));
    story.archive();
    let expected = story.steps[8].contents.clone();
    let said = story.comes_back(&["recover", "--latest"], &expected);
    assert_eq!(said["recovered"]["plan"]["chain"][0], salvage.as_str(), "{said}");
    let (id, expected) = restored(story, 8);
    story.comes_back(&["restore", &id], &expected);
    // What came before the gap still comes back, and nothing leads into it.
    let (gtid, expected) = (story.steps[6].gtid.clone(), story.steps[6].contents.clone());
    story.comes_back(&["recover", "--to-gtid", &gtid], &expected);
    let listed = story.bed.backstay.run(&["list", "--json"]).ok().json();
    let gap = &listed["clusters"]["main"]["coverage"]["gaps"][0];
    let begins: PointInTime = gap["from"].as_str().expect("its beginning").parse().unwrap();
    let inside = PointInTime::from_unix_microseconds(begins.unix_microseconds() + 1).expect("a time");
    let none = story.plan(&["--to-time", &inside.to_string()]).fails_with(1);
    assert!(none.stderr.contains("there is no way to"), "{}", none.stderr);
    story.bed.backstay.run(&["verify"]).ok();
}

mod mysql {
    use super::*;

    #[test]
    fn mysqldump() {
        everything_comes_back(Flavour::MySql, Engine::Mysqldump);
    }

    #[test]
    fn mysqlshell() {
        everything_comes_back(Flavour::MySql, Engine::Mysqlshell);
    }

    #[test]
    fn snapshot() {
        everything_comes_back(Flavour::MySql, Engine::Snapshot);
    }
}

mod mariadb {
    use super::*;

    #[test]
    fn mysqldump() {
        everything_comes_back(Flavour::MariaDb, Engine::Mysqldump);
    }

    #[test]
    fn mysqlshell() {
        everything_comes_back(Flavour::MariaDb, Engine::Mysqlshell);
    }

    #[test]
    fn snapshot() {
        everything_comes_back(Flavour::MariaDb, Engine::Snapshot);
    }

    #[test]
    fn xtrabackup() {
        everything_comes_back(Flavour::MariaDb, Engine::Xtrabackup);
    }
}
