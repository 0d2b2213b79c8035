//! Foreign servers (CREATE SERVER) and loadable functions (CREATE FUNCTION … SONAME).

use crate::session::{Session, quote_identifier, quote_text};
use backstay_engine_api::{EngineError, Notice};

use super::script::Script;

/// Adds both.
pub(super) fn read(session: &mut Session, script: &mut Script) -> Result<Vec<Notice>, EngineError> {
    type Row = (String, String, String, String, String, String, String, String, i64);
    let servers: Vec<Row> = session.query(
        "SELECT Server_name, Wrapper, Host, Db, Username, Password, Socket, Owner, Port FROM mysql.servers ORDER BY 1",
    )?;
    for (name, wrapper, host, database, user, password, socket, owner, port) in servers {
        let texts = [
            ("HOST", host),
            ("DATABASE", database),
            ("USER", user),
            ("PASSWORD", password),
            ("SOCKET", socket),
            ("OWNER", owner),
        ];
        let mut options: Vec<String> = texts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key} {}", quote_text(&value)))
            .collect();
        if port > 0 {
            options.push(format!("PORT {port}"));
        }
        // An option is required by the grammar, and a host that is empty means none.
        if options.is_empty() {
            options.push("HOST ''".to_owned());
        }
        let statement = format!(
            "CREATE SERVER {} FOREIGN DATA WRAPPER {} OPTIONS ({})",
            quote_identifier(&name),
            quote_identifier(&wrapper),
            options.join(", ")
        );
        script.add("server", &name, &[statement])?;
    }

    let functions: Vec<(String, i64, String, String)> =
        session.query("SELECT name, ret, dl, CAST(type AS CHAR) FROM mysql.func ORDER BY 1")?;
    let mut notices = Vec::new();
    for (name, returns, library, kind) in functions {
        // `enum Item_result` of the servers' sources.
        let returns = match returns {
            0 => "STRING",
            1 => "REAL",
            2 => "INTEGER",
            4 => "DECIMAL",
            other => {
                let text =
                    format!("a loadable function of {library} that returns an unknown type ({other}) is not backed up");
                notices.push(Notice::new("function-left-out", text).about(name));
                continue;
            }
        };
        let aggregate = if kind.eq_ignore_ascii_case("aggregate") {
            "AGGREGATE "
        } else {
            ""
        };
        let statement = format!(
            "CREATE {aggregate}FUNCTION {} RETURNS {returns} SONAME {}",
            quote_identifier(&name),
            quote_text(&library)
        );
        script.add("function", &name, &[statement])?;
    }
    Ok(notices)
}
