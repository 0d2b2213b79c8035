//! Accounts of a restore that is interrupted, and made anew.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{ErrorKind, Selection};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::TestHost;
use crate::load_resume::source;

on_both!(all_is_granted_after_an_interruption);

fn grants(session: &mut Session, account: &str) -> Vec<String> {
    let mut grants: Vec<String> = session.query(format!("SHOW GRANTS FOR {account}")).unwrap();
    grants.sort();
    grants
}

fn password(session: &mut Session, user: &str) -> Option<String> {
    let sql = format!("SELECT HEX(authentication_string) FROM mysql.user WHERE User = '{user}'");
    session.query_first(sql).unwrap()
}

/// What the interrupted restore has made is no account of the target's own, which would be left as it is.
fn all_is_granted_after_an_interruption(flavour: Flavour) {
    let source = source(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE PROCEDURE d.p() SELECT 1",
            "CREATE USER clerk@localhost",
            "GRANT SELECT, UPDATE (n) ON d.a TO clerk@localhost",
            "GRANT EXECUTE ON PROCEDURE d.p TO clerk@localhost",
            "CREATE USER known@localhost IDENTIFIED BY 'the source''s'",
            "GRANT SELECT ON d.a TO known@localhost",
        ],
    );
    let want = grants(&mut session, "clerk@localhost");
    assert_eq!(want.len(), 3, "{want:?}");
    let host = TestHost::new();
    host.backup(source.address(), json!({"compression": "none"})).unwrap();
    host.read_pieces_of(1500);

    let target = TestServer::start(flavour);
    let mut found = target.session();
    run(
        &mut found,
        &[
            "CREATE USER known@localhost IDENTIFIED BY 'the target''s'",
            "GRANT INSERT ON *.* TO known@localhost",
        ],
    );
    let known = (grants(&mut found, "known@localhost"), password(&mut found, "known"));
    let loaded = "SELECT COUNT(*) FROM backstay_restore.progress WHERE row_count > 0";
    let reads = (40..)
        .step_by(4)
        .find(|reads| {
            // One that goes on would grant more: the tables are there.
            run(
                &mut found,
                &[
                    "DROP DATABASE IF EXISTS backstay_restore",
                    "DROP DATABASE IF EXISTS d",
                    "DROP USER IF EXISTS clerk@localhost",
                ],
            );
            host.cancel_after_reads(*reads);
            let error = host.restore_all(target.address(), json!({})).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
            // It may have come before there was such a table.
            found.query_first::<u64>(loaded).is_ok_and(|loaded| loaded > Some(0))
        })
        .unwrap();
    assert_eq!(grants(&mut found, "clerk@localhost").len(), 1);

    // Interrupted once more, and made with another option.
    let anew = || {
        let options = json!({"defer_indexes": "none"});
        host.restore(target.address(), true, Selection::default(), options)
    };
    host.cancel_after_reads(reads);
    let error = anew().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    let restored = anew().unwrap();
    assert_eq!(grants(&mut found, "clerk@localhost"), want);
    assert_eq!(
        (grants(&mut found, "known@localhost"), password(&mut found, "known")),
        known
    );
    let kept = restored.notices.iter().filter(|notice| notice.code == "account-kept");
    let kept: Vec<&str> = kept.filter_map(|notice| notice.subject.as_deref()).collect();
    assert!(kept.contains(&"'known'@'localhost'"), "{kept:?}");
    assert!(!kept.contains(&"'clerk'@'localhost'"), "{kept:?}");
}
