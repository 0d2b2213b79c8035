//! What an operator reads when a view can not be made.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::ErrorKind;
use backstay_mysql::Flavour;
use serde_json::json;

use crate::{TestHost, backed_up};

on_both!(a_session_that_ends);

/// That the session is gone is not for the next statement to find out, which would hide what ended it.
fn a_session_that_ends(flavour: Flavour) {
    let source = TestServer::start(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY)",
            "CREATE VIEW d.v AS SELECT id FROM d.t",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let mut files = backed_up(&host);
    let view = files.get_mut("d@v.sql").unwrap();
    *view = [&b"KILL CONNECTION_ID();\n"[..], view.as_slice()].concat();
    let target = TestServer::start(flavour);
    let error = TestHost::holding(files)
        .restore_all(target.address(), json!({"accounts": false}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connection, "{error}");
    let said = "`d@v.sql` of the dump, line 1: ";
    assert!(
        error.message.starts_with(said) && error.message.contains("KILL CONNECTION_ID()"),
        "{error}"
    );
}
