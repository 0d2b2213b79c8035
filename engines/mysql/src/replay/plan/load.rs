//! Reading the logs' indexes.

use std::io::{BufRead, BufReader};

use backstay_engine_api::job::RecoverJob;
use backstay_engine_api::position::PointInTime;
use backstay_engine_api::{EngineError, ErrorKind, LOG_INDEX, LoggedTransaction};

use super::{File, Name, Transaction};

pub(super) struct Logs {
    pub(super) files: Vec<File>,
    pub(super) transactions: Vec<Transaction>,
}

/// All transactions of a job's logs, in their order.
///
/// # Errors
/// [`ErrorKind::Damaged`] for an index that can not be read.
pub(super) fn load(job: &RecoverJob) -> Result<Logs, EngineError> {
    let mut files = Vec::new();
    let mut transactions = Vec::new();
    for (log, segment) in job.logs().iter().enumerate() {
        job.check_cancelled()?;
        let first = files.len();
        let objects = segment.objects.iter().filter(|name| *name != LOG_INDEX);
        files.extend(objects.map(|object| File {
            log,
            object: object.clone(),
            // `2/binlog.000007` is the second of that name, after a failover.
            name: object.rsplit('/').next().unwrap_or(object).to_owned(),
        }));
        let mut reader = BufReader::new(job.open(log, LOG_INDEX)?);
        let mut line = String::new();
        let mut number = 0_usize;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                break;
            }
            number += 1;
            let wrong = |what: String| {
                let message = format!("{LOG_INDEX} of the log {}, line {number}: {what}", segment.name);
                EngineError::new(ErrorKind::Damaged, message)
                    .advise("`backstay verify` finds out whether the repository is damaged")
            };
            let found: LoggedTransaction = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
            let file = files[first..]
                .iter()
                .position(|file| file.object == found.file)
                .ok_or_else(|| wrong(format!("there is no object {}", found.file)))?;
            let name = match found.gtid.as_deref().filter(|gtid| !gtid.is_empty()) {
                None => Name::Anonymous,
                Some(text) if text.contains(':') => {
                    Name::Mysql(text.parse().map_err(|error| wrong(format!("{error}")))?)
                }
                Some(text) => Name::Mariadb(text.parse().map_err(|error| wrong(format!("{error}")))?),
            };
            let time: PointInTime = found.time.parse().map_err(|error| wrong(format!("{error}")))?;
            let end = found.end.rsplit_once(':').and_then(|(_, end)| end.parse::<u64>().ok());
            transactions.push(Transaction {
                name,
                file: first + file,
                offset: found.offset,
                length: found.length,
                time: time.unix_microseconds(),
                place: end.and_then(|end| Some((end.checked_sub(found.length)?, end))),
            });
        }
        if segment.transactions != number as u64 {
            let message = format!(
                "{LOG_INDEX} of the log {} has {number} transactions, expected {}",
                segment.name, segment.transactions
            );
            return Err(EngineError::new(ErrorKind::Damaged, message));
        }
    }
    Ok(Logs { files, transactions })
}
