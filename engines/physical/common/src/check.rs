//! Is what was restored sound? A private, inert server starts on it, and looks at every table.

use std::fs;
use std::os::unix::fs::MetadataExt;

use backstay_engine_api::job::{CheckJob, Target};
use backstay_engine_api::{CheckReport, EngineError, ErrorKind, Notice};
use backstay_mysql::private_server::give_back;
use backstay_mysql::{Session, quote_identifier};

use crate::{private, server_on};

/// Checks a restored data directory, on which no server runs. The private server recovers it, as the operator's own would: files
/// change, data does not.
///
/// # Errors
/// A server runs there, none can be started here at all, or it is cancelled. That it does not start on these files is a finding.
pub fn check(job: &CheckJob) -> Result<CheckReport, EngineError> {
    let Target::DataDir { path, programs } = job.target() else {
        return Err(EngineError::unsupported(
            "checking a running server: name a data directory",
        ));
    };
    if let Some(found) = server_on(path) {
        let message = format!(
            "the data directory {} is in use: a server runs on it ({found})",
            path.display()
        );
        return Err(EngineError::refused(message)
            .advise("stop the server first, or name the directory that the backup was restored to"));
    }
    let record = job
        .chain()
        .last()
        .ok_or_else(|| EngineError::other("it is not said which backup was restored"))?
        .record();
    let builder = private::on(path, &record.server, programs)?;
    let owner = fs::metadata(path).map_err(|error| {
        EngineError::new(ErrorKind::Usage, format!("{} can not be looked at", path.display())).because(&error)
    })?;
    job.doing("starting a private server");
    let started = builder.start();
    let report = match started {
        Ok(server) => {
            let looked = server.session().and_then(|mut session| look(job, &mut session));
            match (looked, server.stop()) {
                (Ok(mut report), Err(error)) => {
                    report.sound = false;
                    report.findings.push(finding("does-not-stop", &error));
                    Ok(report)
                }
                (looked, _) => looked,
            }
        }
        // A server that was started there meanwhile is no finding.
        Err(error) if error.kind == ErrorKind::Program && server_on(path).is_none() => Ok(CheckReport {
            sound: false,
            checked: 0,
            findings: vec![finding("does-not-start", &error)],
        }),
        Err(error) => Err(error),
    };
    // The private server runs as we do, and what it has made is the owner's.
    give_back(path, owner.uid(), owner.gid())?;
    report
}

fn finding(code: &str, error: &EngineError) -> Notice {
    Notice::new(code, error.to_string())
}

fn look(job: &CheckJob, session: &mut Session) -> Result<CheckReport, EngineError> {
    let tables: Vec<(String, String)> = session.query(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', \
         'SEQUENCE') AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2",
    )?;
    job.expect(None, Some(tables.len() as u64));
    let mut report = CheckReport {
        sound: true,
        ..CheckReport::default()
    };
    for (schema, table) in tables {
        job.check_cancelled()?;
        job.doing(format!("checking {schema}.{table}"));
        report.checked += 1;
        for problem in problems(session, &schema, &table)? {
            report.sound = false;
            report
                .findings
                .push(Notice::new("table-damaged", problem).about(format!("{schema}.{table}")));
        }
    }
    Ok(report)
}

/// What CHECK TABLE has to say against a table.
///
/// # Errors
/// The session was lost.
pub fn problems(session: &mut Session, schema: &str, table: &str) -> Result<Vec<String>, EngineError> {
    let name = format!("{}.{}", quote_identifier(schema), quote_identifier(table));
    let rows = session.query_named(format!("CHECK TABLE {name}"))?;
    let text = |row: &backstay_mysql::NamedRow| {
        let kind = row.get(&["Msg_type"]).unwrap_or_default().to_ascii_lowercase();
        let text = row.get(&["Msg_text"]).unwrap_or_default().to_owned();
        let unable = text.contains("doesn't support check");
        (kind == "error" || (kind == "status" && text != "OK" && !unable)).then_some(text)
    };
    Ok(rows.iter().filter_map(text).collect())
}
