//! A server's process stopped for some milliseconds, and let go on whatever happens.
//!
//! A child of ours, the watchdog, stops the process and lets it go on: when we say so, when we are gone, however that came (the pipe
//! that we hold is closed then), and in any case after the time that was set. It is in a process group of its own, so that it is not
//! ended with us. What is on its way to the disk when the process is stopped arrives or not, as with a crash: the server learns of it
//! afterwards only.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::{EngineError, ErrorKind};
use rustix::process::{Pid, Signal, kill_process};

/// What the watchdog runs, with the process and the seconds as arguments. `timeout` ends `cat` where the pipe stays open for too long.
/// It ignores nothing but broken pipes: what is ignored would be ignored by `cat` too.
const SCRIPT: &str = r#"
trap '' PIPE
trap : HUP INT TERM
echo ready
read -r word
[ "$word" = stop ] || exit 0
kill -STOP "$1" || exit 1
echo stopped
timeout -s KILL "$2" cat > /dev/null
kill -CONT "$1"
"#;

/// How often the threads of a process are looked at until all of them have stopped.
const LOOK: Duration = Duration::from_micros(200);

/// A process that is watched, and still runs.
#[derive(Debug)]
pub(crate) struct Watchdog {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    process: Pid,
    max_pause: Duration,
}

impl Watchdog {
    /// Starts the watchdog. `job` is in its command line, where `clean` looks for it.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] if it does not start.
    pub(crate) fn start(job: &str, process: Pid, max_pause: Duration) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| {
            EngineError::new(
                ErrorKind::Program,
                "the watchdog over the stopped server can not be started",
            )
            .because(&error)
        };
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .arg(format!("backstay-{job}"))
            .arg(process.as_raw_nonzero().to_string())
            .arg(format!("{:.3}", max_pause.as_secs_f64()))
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = stdout.ok_or_else(|| EngineError::other("the watchdog has no stdout"))?;
        let mut watchdog = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            process,
            max_pause,
        };
        watchdog.expect("ready")?;
        Ok(watchdog)
    }

    /// Stops the process, and waits until each of its threads has stopped.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if it does not let itself be stopped in time. It goes on then.
    pub(crate) fn freeze(mut self) -> Result<Frozen, EngineError> {
        let since = Instant::now();
        if let Some(stdin) = &mut self.stdin {
            stdin.write_all(b"stop\n")?;
        }
        self.expect("stopped")?;
        // From here on the process goes on when this is dropped.
        let frozen = Frozen { watchdog: self, since };
        while !all_stopped(frozen.watchdog.process)? {
            if since.elapsed() >= frozen.watchdog.max_pause {
                return Err(EngineError::refused(format!(
                    "the server's process {} did not stop within {} ms",
                    frozen.watchdog.process.as_raw_nonzero(),
                    frozen.watchdog.max_pause.as_millis()
                ))
                .advise("raise the option max_pause, or use another provider"));
            }
            thread::sleep(LOOK);
        }
        Ok(frozen)
    }

    fn expect(&mut self, word: &str) -> Result<(), EngineError> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        if line.trim_end() == word {
            return Ok(());
        }
        let message = format!(
            "the server's process {} can not be stopped",
            self.process.as_raw_nonzero()
        );
        Err(EngineError::refused(message).advise("run Backstay as root or as the server's own user"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The closed pipe ends it, after it has let the process go on.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// A process that is stopped; it goes on when this is dropped, if not before.
#[derive(Debug)]
pub(crate) struct Frozen {
    watchdog: Watchdog,
    since: Instant,
}

impl Frozen {
    /// Whether there is time left.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if not.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let max = self.watchdog.max_pause;
        if self.since.elapsed() < max {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "the files could not be cloned within {} ms, the longest that the server may be stopped",
            max.as_millis()
        ))
        .advise("raise the option max_pause, or use another provider"))
    }

    /// Lets the process go on and says how long it stood.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if it was going on already: then what was done meanwhile is not of one instant.
    pub(crate) fn thaw(self) -> Result<Duration, EngineError> {
        let stood = all_stopped(self.watchdog.process)?;
        // The watchdog would do it, a little later.
        let _ = kill_process(self.watchdog.process, Signal::CONT);
        let pause = self.since.elapsed();
        self.check()?;
        if stood {
            return Ok(pause);
        }
        Err(
            EngineError::refused("the server's process went on while its files were cloned: somebody else has let it")
                .advise("take the backup again"),
        )
    }
}

/// Whether every thread of a process is stopped (proc(5): state `T`, or `t` under a debugger).
///
/// # Errors
/// The process is gone.
pub(crate) fn all_stopped(process: Pid) -> Result<bool, EngineError> {
    let tasks = format!("/proc/{}/task", process.as_raw_nonzero());
    let mut any = false;
    for task in fs::read_dir(&tasks).map_err(|error| gone(process, &error))? {
        // A thread that has ended meanwhile does nothing any more.
        let Ok(stat) = task.and_then(|task| fs::read_to_string(task.path().join("stat"))) else {
            continue;
        };
        if !matches!(state(&stat), Some('T' | 't' | 'Z' | 'X')) {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}

fn gone(process: Pid, error: &std::io::Error) -> EngineError {
    let message = format!("the server's process {} is gone", process.as_raw_nonzero());
    EngineError::new(ErrorKind::Connection, message).because(error)
}

/// The state in `/proc/PID/stat`: it follows the name, which may have anything in it and stands in brackets.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use std::process::Child;

    use super::*;

    /// A process of two threads that counts, so that its progress can be seen.
    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    fn stopped(child: &Child) -> bool {
        all_stopped(Pid::from_child(child)).unwrap()
    }

    #[track_caller]
    fn until_runs(child: &Child) {
        let end = Instant::now() + Duration::from_secs(10);
        while stopped(child) {
            assert!(Instant::now() < end, "it is stopped for ever");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn watchdog(child: &Child, millis: u64) -> Watchdog {
        Watchdog::start("test", Pid::from_child(child), Duration::from_millis(millis)).unwrap()
    }

    #[test]
    fn it_stops_and_goes_on() {
        let mut child = sleeper();
        let frozen = watchdog(&child, 10_000).freeze().unwrap();
        assert!(stopped(&child));
        let pause = frozen.thaw().unwrap();
        assert!(pause < Duration::from_secs(5), "{pause:?}");
        until_runs(&child);
        // Dropped in the middle, it goes on too.
        drop(watchdog(&child, 10_000).freeze().unwrap());
        until_runs(&child);
        // And one that was never frozen is let alone.
        drop(watchdog(&child, 10_000));
        until_runs(&child);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn it_goes_on_when_time_is_up() {
        let mut child = sleeper();
        let frozen = watchdog(&child, 1_000).freeze().unwrap();
        until_runs(&child);
        let error = frozen.thaw().unwrap_err();
        assert!(error.message.contains("within 1000 ms"), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_signal_does_not_end_the_watch() {
        let mut child = sleeper();
        let frozen = watchdog(&child, 300).freeze().unwrap();
        let dog = Pid::from_child(&frozen.watchdog.child);
        for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE] {
            kill_process(dog, signal).unwrap();
        }
        assert!(stopped(&child));
        until_runs(&child);
        drop(frozen);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_state_is_after_the_name() {
        assert_eq!(state("12 (my) T (sqld) S 1 2"), Some('S'));
        assert_eq!(state("12 (mysqld) T 1 2"), Some('T'));
        assert_eq!(state(""), None);
    }
}
