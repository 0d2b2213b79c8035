//! A replay by the vendor's own programs, `mysqlbinlog | mysql`, for accounts that may not change replication. It is slower: one
//! transaction after the other, as text.
//!
//! `mysqlbinlog` reads from a pipe a log that has exactly the transactions of the plan, so that this too ends at the point. One
//! client runs all of it, for its session may hold temporary tables.

use std::io::{self, Read, Write};
use std::process::{ChildStdin, Stdio};
use std::thread;

use backstay_engine_api::job::RecoverJob;
use backstay_engine_api::{EngineError, ErrorKind, Recovered, Server};

use super::plan::{File, Name, Plan, Start, Transaction};
use super::source::Description;
use super::target;
use crate::binlog::MAGIC;
use crate::programs::{self, Child, OptionFile, Program, Tool, client_option_file};
use crate::session::{Session, quote_text};

/// How many of the last lines that a program prints an error tells.
const LINES: usize = 5;

/// Replays on a running server.
///
/// # Errors
/// As [`recover`](super::recover), and if the programs are not there.
pub(super) fn replay(job: &RecoverJob, plan: &Plan, server: &Server) -> Result<Recovered, EngineError> {
    if !plan.has_gtids() {
        // Interrupted, it would leave nothing by which the next attempt could tell what has been executed, and execute it twice.
        return Err(EngineError::refused(
            "replay = \"client\" needs GTIDs, and the log has none: nothing on the target would say how far a replay came",
        )
        .advise("leave the option out: replay through replication goes on from here"));
    }
    let mut session = Session::connect(server)?;
    let flavour = session.flavour();
    let binlog = programs::find(Tool::Binlog, flavour, &server.programs)?;
    let client = programs::find(Tool::Client, flavour, &server.programs)?;
    let lacks = target::make_ready_for_client(&mut session, plan)?;
    if lacks.contains(&true) {
        pipe(job, plan, &lacks, &session, (&binlog, &client))?;
    }
    let mut session = session.another()?;
    match (&plan.start, target::stands_at(&mut session)?) {
        (Start::Mysql(_), Start::Mysql(executed)) => {
            if let Some(missing) = plan.gtid_set().subtract(&executed).first() {
                let message = format!("the client has executed the log, and the target lacks {missing}");
                return Err(EngineError::other(message).advise("restore again before the next attempt"));
            }
        }
        (Start::Mariadb(from), _) => {
            let end = plan.gtid_position(from);
            session.run(format!("SET GLOBAL gtid_slave_pos = {}", quote_text(&end.to_string())))?;
        }
        _ => {}
    }
    Ok(Recovered {
        positions: plan.end(),
        transactions: plan.transactions.len() as u64,
        notices: plan.notices.clone(),
    })
}

/// Runs the log's files through `mysqlbinlog` into one client.
fn pipe(
    job: &RecoverJob,
    plan: &Plan,
    lacks: &[bool],
    session: &Session,
    (binlog, client): (&Program, &Program),
) -> Result<(), EngineError> {
    let options = client_option_file(session, client.flavour);
    let args = [
        "--batch",
        "--binary-mode",
        "--comments",
        "--skip-reconnect",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
    ]
    .map(str::to_owned);
    let mut client_runs = Child::start(
        job,
        &client.path,
        OptionFile::Text(&options),
        &args,
        Stdio::piped(),
        Stdio::null(),
    )?;
    let said = last_lines(&mut client_runs);
    let mut input = client_runs
        .stdin()
        .ok_or_else(|| EngineError::other("the client has no stdin"))?;
    let mut failed = None;
    let mut index = 0;
    while index < lacks.len() {
        let file = plan.transactions[index].file;
        let count = plan.transactions[index..]
            .iter()
            .take_while(|transaction| transaction.file == file)
            .count();
        let transactions: Vec<&Transaction> = plan.transactions[index..index + count]
            .iter()
            .zip(&lacks[index..])
            .filter_map(|(transaction, lacks)| lacks.then_some(transaction))
            .collect();
        index += count;
        if transactions.is_empty() {
            continue;
        }
        job.doing(format!("replaying {}", plan.files[file].object));
        if let Err(error) = decode(job, binlog, &plan.files[file], &transactions, &mut input) {
            failed = Some(error);
            break;
        }
    }
    drop(input);
    let status = client_runs.wait()?;
    if !status.success() {
        let mut error = EngineError::new(
            ErrorKind::Program,
            format!("{} failed: {status}", client.path.display()),
        );
        error.causes = said.join().unwrap_or_default();
        return Err(
            error.advise("mend what it says and recover again; where that is not possible, restore again first")
        );
    }
    failed.map_or(Ok(()), Err)
}

/// Runs the transactions of one object through `mysqlbinlog`.
fn decode(
    job: &RecoverJob,
    program: &Program,
    file: &File,
    transactions: &[&Transaction],
    client: &mut ChildStdin,
) -> Result<(), EngineError> {
    let args = ["-".to_owned()];
    let mut child = Child::start(
        job,
        &program.path,
        OptionFile::Text("[client]\n"),
        &args,
        Stdio::piped(),
        Stdio::piped(),
    )?;
    let said = last_lines(&mut child);
    let (Some(input), Some(mut output)) = (child.stdin(), child.stdout()) else {
        return Err(EngineError::other("mysqlbinlog has no pipes"));
    };
    let (fed, copied) = thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(job, file, transactions, input));
        let copied = io::copy(&mut output, client);
        // If the client has gone, mysqlbinlog must not wait for it.
        drop(output);
        (feeder.join(), copied)
    });
    let status = child.wait()?;
    let fed = fed.map_err(|_| EngineError::other("the thread that reads the log panicked"))?;
    if copied.is_ok() && !status.success() {
        let mut error = EngineError::new(
            ErrorKind::Program,
            format!("{} failed: {status}", program.path.display()),
        );
        error.causes = said.join().unwrap_or_default();
        return Err(error);
    }
    copied?;
    fed
}

/// Writes a log that has these transactions and no other.
fn feed(
    job: &RecoverJob,
    file: &File,
    transactions: &[&Transaction],
    mut input: ChildStdin,
) -> Result<(), EngineError> {
    let mut log = job.open(file.log, &file.object)?;
    let description = Description::read(&mut log)?;
    input.write_all(&MAGIC)?;
    input.write_all(&description.for_stream(false))?;
    let mut at = description.length();
    for transaction in transactions {
        job.check_cancelled()?;
        let gap = transaction.offset.checked_sub(at).ok_or_else(|| cut_short(file))?;
        let skipped = io::copy(&mut (&mut log).take(gap), &mut io::sink())?;
        let copied = io::copy(&mut (&mut log).take(transaction.length), &mut input)?;
        if (skipped, copied) != (gap, transaction.length) {
            return Err(cut_short(file));
        }
        at = transaction.offset + transaction.length;
    }
    Ok(())
}

fn cut_short(file: &File) -> EngineError {
    EngineError::new(
        ErrorKind::Damaged,
        format!("{} is not what its index says", file.object),
    )
}

/// Reads what a program prints as errors, and keeps the last lines.
fn last_lines(child: &mut Child) -> thread::JoinHandle<Vec<String>> {
    let stderr = child.stderr();
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            // What was read until an error is what there is.
            let _ = stderr.read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    })
}

/// Which of a plan's transactions a target lacks that clients write to.
///
/// # Errors
/// It is not known, or an earlier attempt has executed a part.
pub(super) fn lacking(session: &mut Session, plan: &Plan) -> Result<Vec<bool>, EngineError> {
    let all = &plan.transactions;
    match (&plan.start, target::stands_at(session)?) {
        (Start::Mysql(_), Start::Mysql(executed)) => Ok(all
            .iter()
            .map(|transaction| !matches!(&transaction.name, Name::Mysql(gtid) if executed.contains(gtid)))
            .collect()),
        (Start::Mariadb(_), Start::Mariadb(_)) => {
            // Statements of a client are counted in the binary log only.
            if session.variable("log_bin")?.as_deref() != Some("ON") {
                return Err(EngineError::refused(
                    "replay = \"client\": the target has no binary log, so that it would not be known how far a replay came",
                )
                .advise("start it with --log-bin, or replay through replication"));
            }
            let logged = session.variable("gtid_binlog_state")?.unwrap_or_default();
            let logged: Vec<&str> = logged.split(',').collect();
            let begun = all
                .iter()
                .find(|transaction| logged.contains(&transaction.name.to_string().as_str()));
            match begun {
                None => Ok(vec![true; all.len()]),
                Some(transaction) => Err(EngineError::refused(format!(
                    "an earlier replay has executed a part of the log on the target, up to {}",
                    transaction.name
                ))
                .advise("a client can not go on where it was: restore the backup again, and recover from there")),
            }
        }
        _ => Err(EngineError::other(
            "a client replays a log with GTIDs onto a server of its family only",
        )),
    }
}
