//! What is on a server besides its own system tables.

use backstay_engine_api::EngineError;

use crate::session::{Session, quote_text};

/// Schemas that belong to the server.
pub const SYSTEM_SCHEMAS: [&str; 5] = ["mysql", "information_schema", "performance_schema", "sys", "ndbinfo"];

/// Accounts that a new server has, or that its package makes.
const SYSTEM_USERS: [&str; 8] = [
    "root",
    "mysql.sys",
    "mysql.session",
    "mysql.infoschema",
    "mariadb.sys",
    "debian-sys-maint",
    "mysql",
    "PUBLIC",
];

/// For SQL, of `information_schema.TABLES`: tables, and no views.
const WITH_ROWS: &str = "TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')";

/// For SQL: that the definer of something is neither an account of the server's own nor Amazon's.
pub(super) const BY_A_USER: &str =
    "DEFINER NOT LIKE 'mysql.sys@%' AND DEFINER NOT LIKE 'mariadb.sys@%' AND DEFINER NOT LIKE 'rdsadmin@%'";

/// Routines of MariaDB's in `mysql`, which older versions made as root.
pub(super) const OWN_ROUTINES: [&str; 2] = ["AddGeometryColumn", "DropGeometryColumn"];

/// What stands on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Schemas that are not the server's own; not the empty `test` that some installations come with.
    pub schemas: Vec<String>,
    /// Accounts and roles that are not the server's own, as `'user'@'host'`; empty if they may not be seen.
    pub accounts: Vec<String>,
    /// Objects that users put into the server's own schemas: routines, and tables of `mysql` that do not belong there.
    pub objects: Vec<String>,
}

impl Content {
    /// Whether a restore of everything meets nothing that is not its own. Accounts do not count: the one that restores is
    /// among them.
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty() && self.objects.is_empty()
    }
}

/// What is on the server, for whoever must not overwrite it.
///
/// # Errors
/// As [`Session::query`].
pub fn content(session: &mut Session) -> Result<Content, EngineError> {
    let system = system_list();
    // As bytes: where names are case-sensitive, `SYS` is a user's.
    let schemas = session.query(format!(
        "SELECT s.SCHEMA_NAME FROM information_schema.SCHEMATA s WHERE CAST(s.SCHEMA_NAME AS BINARY) NOT IN ({system}) AND NOT \
         (s.SCHEMA_NAME = 'test' AND NOT EXISTS (SELECT 1 FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = 'test') \
         AND NOT EXISTS (SELECT 1 FROM information_schema.ROUTINES r WHERE r.ROUTINE_SCHEMA = 'test')) ORDER BY 1"
    ))?;
    let users = SYSTEM_USERS.map(quote_text).join(", ");
    // An account that may restore schemas may yet not see accounts.
    let accounts: Vec<(String, String)> = session
        .query(format!(
            "SELECT User, Host FROM mysql.user WHERE User NOT IN ({users}, '') ORDER BY 1, 2"
        ))
        .unwrap_or_default();
    let own = OWN_ROUTINES.map(quote_text).join(", ");
    let objects = session.query(format!(
        "SELECT CONCAT(ROUTINE_SCHEMA, '.', ROUTINE_NAME) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' \
         AND {BY_A_USER} AND ROUTINE_NAME NOT IN ({own}) ORDER BY 1"
    ))?;
    let accounts = accounts
        .into_iter()
        .map(|(user, host)| format!("{}@{}", quote_text(&user), quote_text(&host)));
    Ok(Content {
        schemas,
        accounts: accounts.collect(),
        objects,
    })
}

/// Tables whose engine has no transactions, outside the server's own schemas, and that engine; those of Aria first. At most `limit`.
///
/// # Errors
/// As [`Session::query`].
pub fn non_transactional(session: &mut Session, limit: usize) -> Result<Vec<(String, String)>, EngineError> {
    let engines: Vec<String> =
        session.query("SELECT ENGINE FROM information_schema.ENGINES WHERE COALESCE(TRANSACTIONS, 'NO') <> 'YES'")?;
    // Tables that hold no rows of their own have nothing to lose.
    let without_rows = [
        "BLACKHOLE",
        "PERFORMANCE_SCHEMA",
        "FEDERATED",
        "SPIDER",
        "MRG_MyISAM",
        "SEQUENCE",
        "CONNECT",
        "OQGRAPH",
        "VP",
    ];
    let mut engines: Vec<String> = engines
        .into_iter()
        .filter(|engine| !without_rows.iter().any(|other| other.eq_ignore_ascii_case(engine)))
        .map(|engine| quote_text(&engine))
        .collect();
    if engines.is_empty() {
        return Ok(Vec::new());
    }
    engines.sort();
    session.query(format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), ENGINE FROM information_schema.TABLES WHERE {WITH_ROWS} AND \
         ENGINE IN ({}) AND LOWER(TABLE_SCHEMA) NOT IN ({}) ORDER BY ENGINE <> 'Aria', 1 LIMIT {limit}",
        engines.join(", "),
        system_list()
    ))
}

fn system_list() -> String {
    SYSTEM_SCHEMAS.map(quote_text).join(", ")
}
