//! Everything there and back.

use backstay_bed::{on_both, run};
use backstay_engine_api::{EngineError, ErrorKind, Notice, Selection};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::describe::describe;
use crate::{TestHost, everything, target};

on_both!(everything_comes_back, an_empty_server, gtid_state);

const SCHEMAS: [&str; 4] = ["shop", "crm", "empty", "od`d. /n%ame ü"];

fn assert_same(left: &std::collections::BTreeMap<String, String>, right: &std::collections::BTreeMap<String, String>) {
    for key in left.keys().chain(right.keys()) {
        assert_eq!(left.get(key), right.get(key), "{key}");
    }
}

fn codes(notices: &[Notice], code: &str) -> Vec<String> {
    notices
        .iter()
        .filter(|notice| notice.code == code)
        .map(|notice| notice.subject.clone().unwrap_or_default())
        .collect()
}

fn everything_comes_back(flavour: Flavour) {
    let source = everything(flavour);
    let host = TestHost::new();
    let usable = host.backup(source.address(), json!({})).unwrap();
    assert!(!usable.positions.is_empty());
    assert_eq!(codes(&usable.notices, "float-precision"), ["shop.bytes"]);
    if !flavour.is_mariadb() {
        assert_eq!(
            codes(&usable.notices, "json-scalars"),
            ["shop.bytes", "shop.invisible", "shop.opaque"]
        );
    }

    // Put together, the objects are a dump that a client can load.
    let mut parts: Vec<(u64, String)> = host.backups()[0]
        .objects
        .values()
        .filter_map(|object| {
            Some((
                object.attributes.other.get("seq")?.as_u64()?,
                String::from_utf8_lossy(&object.bytes).into_owned(),
            ))
        })
        .collect();
    parts.sort();
    let dump: String = parts.into_iter().map(|(_, text)| text).collect();
    assert!(dump.ends_with("-- Dump completed\n"), "{}", &dump[dump.len() - 200..]);

    let target = target(flavour);
    let restored = host.restore_all(target.address(), json!({})).unwrap();
    assert_eq!(codes(&restored.notices, "gtid-not-set"), [""]);
    assert!(
        codes(&restored.notices, "account-kept").contains(&"'root'@'localhost'".to_owned()),
        "{:?}",
        restored.notices
    );
    assert_eq!(
        codes(&restored.notices, "grant-left-out"),
        Vec::<String>::new(),
        "{:?}",
        restored.notices
    );
    let mut want = describe(&mut source.session(), &SCHEMAS);
    assert_same(&want, &describe(&mut target.session(), &SCHEMAS));

    // Again: refused, and then over it, beside a schema that is not in the backup.
    let mut session = target.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE other",
            "CREATE TABLE shop.too_many (id INT)",
            "DELETE FROM crm.customers",
        ],
    );
    let refused: EngineError = host.restore_all(target.address(), json!({})).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused}");
    assert!(refused.message.contains("is not empty: it has "), "{refused}");
    host.restore(target.address(), true, Selection::default(), json!({"accounts": false}))
        .unwrap();
    want.extend(
        describe(&mut target.session(), &["other"])
            .into_iter()
            .filter(|(key, _)| key.contains("other")),
    );
    assert_same(
        &want,
        &describe(&mut target.session(), &[&SCHEMAS[..], &["other"]].concat()),
    );
}

fn an_empty_server(flavour: Flavour) {
    let (source, host) = (target(flavour), TestHost::new());
    let usable = host.backup(source.address(), json!({})).unwrap();
    assert_eq!(codes(&usable.notices, "no-schemas").len(), 1);
    assert_eq!(host.names(), ["accounts.sql", "server-objects.sql"]);
    host.restore_all(target(flavour).address(), json!({})).unwrap();
}

fn gtid_state(flavour: Flavour) {
    let (source, target, host) = (everything(flavour), target(flavour), TestHost::new());
    let usable = host
        .backup(source.address(), json!({"include_schemas": ["crm"]}))
        .unwrap();
    let mut names = host.names();
    names.retain(|name| name.starts_with("table/"));
    assert_eq!(names, ["table/crm/customers.sql"]);
    let options = json!({"gtid": "set", "accounts": false, "skip_binary_log": true});
    // Its view reads from a schema that was left out.
    let error = host.restore_all(target.address(), options.clone()).unwrap_err();
    assert!(error.message.contains("while it restored view crm.zähler"), "{error}");
    run(&mut target.session(), &["DROP DATABASE crm"]);
    run(&mut source.session(), &["DROP VIEW crm.`zähler`"]);
    let host = TestHost::new();
    let usable_now = host
        .backup(source.address(), json!({"include_schemas": ["crm"]}))
        .unwrap();
    assert_ne!(usable_now.positions, usable.positions);
    let restored = host.restore_all(target.address(), options).unwrap();
    assert_eq!(restored.positions, usable_now.positions);
    let variable = if flavour.is_mariadb() {
        "gtid_slave_pos"
    } else {
        "gtid_executed"
    };
    let state = target.session().variable(variable).unwrap().unwrap();
    assert_eq!(state.replace('\n', ""), usable_now.positions[0].value);
}
