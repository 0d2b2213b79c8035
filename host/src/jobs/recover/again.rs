//! What a recovery that was interrupted goes on with.

use backstay_engine_api::Notice;
use backstay_engine_api::position::RecoveryPoint;

use super::note::Note;
use crate::recovery::{self, Holdings, LogSource, Plan, Wanted};

/// The plan of a recovery that was interrupted. To the latest point, it is one with what was archived since, where the way there is the same.
pub(super) fn brought_up_to_date(note: &Note, holdings: &Holdings, wanted: &Wanted) -> Plan {
    let mut plan = note.plan.clone();
    if wanted.point != RecoveryPoint::Latest {
        return plan;
    }
    let Ok(now) = recovery::plan(holdings, wanted) else {
        return plan;
    };
    let sources = |plan: &Plan| -> Vec<LogSource> { plan.logs.iter().map(|step| step.source.clone()).collect() };
    if now.chain == plan.chain && sources(&now).starts_with(&sources(&plan)) {
        return now;
    }
    if now.to != plan.to {
        let text = format!(
            "it goes on as it was planned at {}, and there is another way now that may lead further: with `--overwrite` it is recovered anew",
            note.began
        );
        plan.notes.push(Notice::new("planned-before", text));
    }
    plan
}

/// Whether all that a plan needs is there and not known to be damaged.
pub(super) fn sound(holdings: &Holdings, plan: &Plan) -> bool {
    let logs = plan.logs.iter().map(|step| step.source.name());
    let here = |id: &String| holdings.backups.iter().any(|record| record.id == *id);
    plan.chain.iter().all(here)
        && plan
            .chain
            .iter()
            .cloned()
            .chain(logs)
            .all(|name| !holdings.unusable.contains_key(&name))
}
