//! Single tables.

use backstay_bed::{on_both, run};
use backstay_engine_api::{ErrorKind, Selection};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::{TestHost, everything};

on_both!(tables_beside_and_over_the_originals);

fn selection(include: &[&str], into: Option<&str>) -> Selection {
    Selection {
        include: include.iter().map(|text| text.parse().unwrap()).collect(),
        into_schema: into.map(str::to_owned),
        ..Selection::default()
    }
}

fn tables_beside_and_over_the_originals(flavour: Flavour) {
    let (source, host) = (everything(flavour), TestHost::new());
    host.backup(source.address(), json!({})).unwrap();
    let mut session = source.session();
    let restore = |include: &[&str], into, overwrite| {
        host.restore(source.address(), overwrite, selection(include, into), json!({}))
    };
    let sum = |session: &mut backstay_mysql::Session, table: &str| {
        session
            .query_first::<(String, Option<u64>)>(format!("CHECKSUM TABLE {table}"))
            .unwrap()
            .unwrap()
            .1
    };

    // Beside it: only what is needed is read.
    let restored = restore(&["shop.orders"], Some("a copy"), false).unwrap();
    assert_eq!(
        host.opened(),
        ["schema/shop.sql", "header.sql", "table/shop/orders.sql", "footer.sql"]
    );
    assert_eq!(sum(&mut session, "`a copy`.orders"), sum(&mut session, "shop.orders"));
    assert!(sum(&mut session, "`a copy`.orders").is_some());
    let triggers: Vec<String> = session
        .query("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'a copy' ORDER BY ACTION_ORDER")
        .unwrap();
    assert_eq!(triggers, [""; 0], "they would write to the original's schema");
    let notices: Vec<&str> = restored.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert_eq!(notices, ["triggers-left-out"]);
    let collation: Vec<String> = session
        .query("SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('shop', 'a copy')")
        .unwrap();
    assert_eq!(collation, ["utf8mb4_unicode_ci", "utf8mb4_unicode_ci"]);

    // In the way.
    let refused = restore(&["shop.orders"], Some("a copy"), false).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused}");
    assert!(refused.message.ends_with("already has a copy.orders"), "{refused}");
    run(&mut session, &["DELETE FROM shop.orders", "DELETE FROM shop.charsets"]);
    restore(&["shop.orders"], None, true).unwrap();
    assert_eq!(sum(&mut session, "`a copy`.orders"), sum(&mut session, "shop.orders"));
    let charsets: Option<u64> = session.query_first("SELECT COUNT(*) FROM shop.charsets").unwrap();
    assert_eq!(charsets, Some(0), "what was not selected is left alone");

    // Views of views, and odd names.
    restore(&["shop.orders", "shop.a*", "shop.`0 first`"], Some("views"), false).unwrap();
    let rows: Option<u64> = session.query_first("SELECT COUNT(*) FROM views.`0 first`").unwrap();
    assert!(rows.is_some());
    restore(&["`od``d. /n%ame ü`.*"], Some("odd"), false).unwrap();
    let rows: Option<u64> = session.query_first("SELECT COUNT(*) FROM odd.`t``a.b/l%e ü`").unwrap();
    assert_eq!(rows, Some(2));

    let error = restore(&["shop.order"], None, false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.advice.as_deref().unwrap().contains("shop.orders"), "{error}");
}
