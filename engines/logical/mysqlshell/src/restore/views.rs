//! Views: first as placeholders, then as they are.

use backstay_engine_api::EngineError;
use backstay_engine_api::job::ChainLink;

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

/// Makes the views in place of their placeholders. A view that needs another one as it is (WITH CHECK OPTION does) is tried again
/// once others are made.
///
/// # Errors
/// The server's, once no view can be made any more.
pub(super) fn make(worker: &mut Worker, link: &ChainLink, views: &[&View]) -> Result<(), EngineError> {
    let mut open = views.to_vec();
    while !open.is_empty() {
        let mut again = Vec::new();
        let mut first = None;
        for view in &open {
            if let Err(error) = run_file(worker, link, &names::sql(&view.base), &view.target, |_| Ok(None)) {
                // What failed has left no view, on which others may stand; and the file's settings.
                worker.session.run("SET NAMES utf8mb4")?;
                placeholder(worker, link, view)?;
                again.push(*view);
                first.get_or_insert(error);
            }
        }
        if let Some(error) = first.filter(|_| again.len() == open.len()) {
            return Err(error);
        }
        open = again;
    }
    Ok(())
}
