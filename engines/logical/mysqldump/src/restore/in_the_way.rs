//! What is in the way of selected tables.

use backstay_engine_api::{EngineError, Selection};
use backstay_mysql::target::named;
use backstay_mysql::{Session, quote_text};

use super::plan::Part;
use crate::section::Kind;

/// Refuses what is in the way of selected tables, unless it may be replaced. A table in a view's place, or the other way
/// round, is not replaced.
pub(super) fn refuse_in_the_way(
    session: &mut Session,
    chosen: &[(&str, &Part)],
    selection: &Selection,
    overwrite: bool,
) -> Result<(), EngineError> {
    let mut there = Vec::new();
    let mut another = Vec::new();
    for (target, part) in chosen.iter().filter(|(_, part)| part.section.kind != Kind::ViewStub) {
        let name = &part.section.name;
        let found: Option<String> = session.query_first(format!(
            "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            quote_text(target),
            quote_text(name)
        ))?;
        let kind = match found.as_deref() {
            None => continue,
            Some("VIEW" | "SYSTEM VIEW") => Kind::View,
            Some("SEQUENCE") => Kind::Sequence,
            Some(_) => Kind::Table,
        };
        if kind == part.section.kind {
            there.push(format!("{target}.{name}"));
        } else {
            another.push(format!("{target}.{name} is a {}", kind.name()));
        }
    }
    if !another.is_empty() {
        let message = format!(
            "the target {} has something else of the same name: {}",
            session.address(),
            named(&another)
        );
        return Err(EngineError::refused(message).advise("drop or rename it, or restore beside it with --into-schema"));
    }
    if there.is_empty() || overwrite {
        return Ok(());
    }
    let beside = if selection.into_schema.is_some() {
        "another schema"
    } else {
        "a schema beside it (--into-schema)"
    };
    let message = format!("the target {} already has {}", session.address(), named(&there));
    Err(EngineError::refused(message).advise(format!(
        "restore into {beside}, or with --overwrite, which replaces what is there"
    )))
}
