//! `backstay recover --tables`: tables at a point, beside those that live.

use backstay_engine_api::{RowComparison, TableComparison, TableKind};
use serde_json::{Value, json};

use super::context::Context;
use super::output::{self, size};
use super::{recover, show};
use crate::error::{ExitCode, Result};
use crate::jobs::Host;
use crate::jobs::rescue::{Done, Planned, Request};
use crate::recovery::Plan;

/// Rescues tables, or says how they would be.
pub(super) fn run(context: &Context, host: &Host, request: &Request, dry_run: bool) -> Result<ExitCode> {
    if dry_run {
        let planned = host.plan_rescue(request)?;
        match context.json() {
            true => output::print_json(&plan_as_json(&planned, request))?,
            false => output::print(&plan_as_text(&planned, request))?,
        }
        return Ok(ExitCode::Done);
    }
    let mut display = context.display();
    let done = host.rescue(request, &mut display);
    drop(display);
    let done = done?;
    match context.json() {
        true => output::print_json(&as_json(&done))?,
        false => output::print(&as_text(&done))?,
    }
    Ok(ExitCode::Done)
}

fn names(request: &Request) -> Vec<String> {
    let include = request.recovery.terms.selection.include.iter();
    include.map(ToString::to_string).collect()
}

fn plan_as_json(planned: &Planned, request: &Request) -> Value {
    json!({
        "plan": planned.plan,
        "tables": names(request),
        "as_schema": request.recovery.terms.selection.into_schema,
        "private_copy": {
            "work_dir": planned.work_dir,
            "needed_bytes": planned.needed_bytes,
        },
        "copied_by": planned.copied_by,
    })
}

fn plan_as_text(planned: &Planned, request: &Request) -> String {
    let mut text = recover::table(&planned.plan);
    text.push_str(&format!(
        "in a private copy below {}, which needs at least {}\n",
        planned.work_dir.display(),
        size(planned.needed_bytes)
    ));
    let into = match &request.recovery.terms.selection.into_schema {
        Some(schema) => format!("into the schema {schema}"),
        None => "under their own names".to_owned(),
    };
    text.push_str(&format!(
        "then {} to the server {into}, copied by {}\n",
        names(request).join(", "),
        planned.copied_by
    ));
    text
}

fn as_json(done: &Done) -> Value {
    json!({
        "rescued": {
            "plan": done.recovery.plan,
            "transactions": done.recovery.transactions,
            "tables": done.tables.iter().map(table_as_json).collect::<Vec<_>>(),
            "notices": done.recovery.notices.iter().chain(&done.notices).collect::<Vec<_>>(),
        }
    })
}

fn table_as_json(table: &TableComparison) -> Value {
    let rows = table.rows.as_ref().map(|rows| {
        json!({
            "key": rows.key,
            "same": rows.same,
            "different": rows.different,
            "only_rescued": rows.only_left,
            "only_live": rows.only_right,
        })
    });
    json!({
        "rescued": table.left,
        "live": table.right,
        "live_exists": table.right_kind.is_some(),
        "definitions": table.definitions,
        "rows": rows,
        "note": table.note,
    })
}

fn as_text(done: &Done) -> String {
    let mut text = recover::table(&Plan {
        notes: Vec::new(),
        ..done.recovery.plan.clone()
    });
    text.push_str(&format!(
        "rescued to {}: {} transactions replayed in a private copy\n\n",
        done.recovery.plan.point, done.recovery.transactions
    ));
    text.push_str(&summary(&done.tables));
    text.push_str(&show::notices(&done.recovery.notices));
    text.push_str(&show::notices(&done.notices));
    text
}

/// What differs, for people: numbers in a table, the rest below it.
fn summary(tables: &[TableComparison]) -> String {
    let header = ["RESCUED", "LIVE", "SAME", "DIFFERENT", "ONLY RESCUED", "ONLY LIVE"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut below = String::new();
    for table in tables {
        let live = match table.right_kind {
            Some(_) => table.right.to_string(),
            None => "-".to_owned(),
        };
        let mut row = vec![table.left.to_string(), live];
        row.extend(numbers(table.rows.as_ref()));
        rows.push(row);
        for line in remarks(table) {
            below.push_str(&format!("{}: {line}\n", table.left));
        }
    }
    output::table(&rows) + &below
}

fn numbers(rows: Option<&RowComparison>) -> [String; 4] {
    let Some(rows) = rows else {
        return ["", "", "", ""].map(str::to_owned);
    };
    let different = match rows.key.is_empty() {
        true => "-".to_owned(),
        false => rows.different.to_string(),
    };
    [
        rows.same.to_string(),
        different,
        rows.only_left.to_string(),
        rows.only_right.to_string(),
    ]
}

fn remarks(table: &TableComparison) -> Vec<String> {
    let mut remarks = Vec::new();
    match table.right_kind {
        None if table.left == table.right => remarks.push("came under its own name".to_owned()),
        None => remarks.push(format!("{} is not on the server", table.right)),
        Some(TableKind::Other) => remarks.push(format!("{} is no table, and was not compared", table.right)),
        Some(TableKind::Table) => {}
    }
    if table.left_kind == Some(TableKind::Other) {
        remarks.push("is no table with rows, and was not compared".to_owned());
    }
    remarks.extend(table.definitions.iter().cloned());
    remarks.extend(table.note.iter().cloned());
    if let Some(rows) = &table.rows
        && rows.key.is_empty()
        && table.right_kind.is_some()
    {
        remarks.push(
            "has no key in common with the living one: a row that was changed counts once on either side".to_owned(),
        );
    }
    remarks
}

#[cfg(test)]
mod tests {
    use backstay_engine_api::TableRef;

    use super::*;

    fn table(name: &str, live: Option<TableKind>, rows: RowComparison) -> TableComparison {
        TableComparison {
            left: TableRef::new("rescue", name),
            right: TableRef::new("shop", name),
            left_kind: Some(TableKind::Table),
            right_kind: live,
            rows: Some(rows),
            ..TableComparison::default()
        }
    }

    #[test]
    fn what_differs_is_printed() {
        let changed = RowComparison {
            key: vec!["id".to_owned()],
            same: 10,
            different: 3,
            only_left: 2,
            only_right: 1,
        };
        let mut defined_anew = table(
            "products",
            Some(TableKind::Table),
            RowComparison {
                key: Vec::new(),
                same: 4,
                ..RowComparison::default()
            },
        );
        defined_anew.definitions = vec!["shop.products has no column note".to_owned()];
        let tables = [
            table("orders", Some(TableKind::Table), changed),
            table(
                "lines",
                None,
                RowComparison {
                    only_left: 7,
                    ..RowComparison::default()
                },
            ),
            defined_anew,
        ];
        insta::assert_snapshot!(summary(&tables), @r"
        RESCUED          LIVE           SAME  DIFFERENT  ONLY RESCUED  ONLY LIVE
        rescue.orders    shop.orders    10    3          2             1
        rescue.lines     -              0     -          7             0
        rescue.products  shop.products  4     -          0             0
        rescue.lines: shop.lines is not on the server
        rescue.products: shop.products has no column note
        rescue.products: has no key in common with the living one: a row that was changed counts once on either side
        ");
    }
}
