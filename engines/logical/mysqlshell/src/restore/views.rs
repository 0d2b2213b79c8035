//! Views: first as placeholders, then as they are.

use backstay_engine_api::job::{ChainLink, JobContext};
use backstay_engine_api::{EngineError, ErrorKind, Notice};
use backstay_mysql::quote_identifier;

use super::dump::View;
use super::pool::Worker;
use super::scripts::run_file;
use crate::format::names;

/// Makes placeholders, so that views may be made in any order.
///
/// # Errors
/// The server's.
pub(super) fn placeholders(worker: &mut Worker, link: &ChainLink, views: &[&View]) -> Result<(), EngineError> {
    views.iter().try_for_each(|view| placeholder(worker, link, view))
}

fn placeholder(worker: &mut Worker, link: &ChainLink, view: &View) -> Result<(), EngineError> {
    run_file(worker, link, &names::placeholder_sql(&view.base), &view.target, |_| {
        Ok(None)
    })
}

/// What the server says of a view that reads from what is not there: a table (1146) or schema (1049), a column (1054), a function (1305),
/// or another such view (1356). Servers keep such views, and dumps have them.
const BROKEN: [&str; 5] = ["1146 ", "1049 ", "1054 ", "1305 ", "1356 "];

/// Makes the views in place of their placeholders. A view that needs another one as it is (WITH CHECK OPTION does) is tried again
/// once others are made. With `leave_out`, those that are broken are left out, and named.
///
/// # Errors
/// The server's, once no view can be made any more; the session is lost; the job is cancelled.
pub(super) fn make(
    job: &JobContext,
    worker: &mut Worker,
    link: &ChainLink,
    views: &[&View],
    leave_out: bool,
) -> Result<Vec<Notice>, EngineError> {
    let mut open = views.to_vec();
    while !open.is_empty() {
        let mut again = Vec::new();
        let mut errors = Vec::new();
        for view in &open {
            job.check_cancelled()?;
            let Err(error) = run_file(worker, link, &names::sql(&view.base), &view.target, |_| Ok(None)) else {
                continue;
            };
            // There is no session any more, or it is to stop: what comes after would fail for that, and hide why.
            if matches!(error.kind, ErrorKind::Connection | ErrorKind::Cancelled) {
                return Err(error);
            }
            // What failed has left no view, on which others may stand; and the file's settings.
            worker.session.run("SET NAMES utf8mb4")?;
            placeholder(worker, link, view)?;
            again.push(*view);
            errors.push(error);
        }
        if again.len() == open.len() {
            let left = again.iter().zip(errors);
            return left
                .map(|(view, error)| {
                    if leave_out {
                        without(worker, view, error)
                    } else {
                        Err(error)
                    }
                })
                .collect();
        }
        open = again;
    }
    Ok(Vec::new())
}

/// Takes the placeholder of a broken view away.
fn without(worker: &mut Worker, view: &View, error: EngineError) -> Result<Notice, EngineError> {
    let of_server = error
        .causes
        .iter()
        .find(|cause| BROKEN.iter().any(|code| cause.starts_with(code)));
    let Some(of_server) = of_server else {
        return Err(error);
    };
    let text = format!("the view can not be made and was left out: {of_server}");
    let (schema, name) = (quote_identifier(&view.target), quote_identifier(&view.name));
    worker.session.run(format!("DROP VIEW IF EXISTS {schema}.{name}"))?;
    Ok(Notice::new("view-broken", text).about(view.shown()))
}
