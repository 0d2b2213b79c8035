//! What somebody made in the server's own schemas `mysql` and `sys`: it is in no backup, which is said.
//!
//! Dumping those schemas as a whole would overwrite the target's own catalogue, whose form differs by version.

use super::content::{BY_A_USER, OWN_ROUTINES, SYSTEM_SCHEMAS};
use crate::session::Session;
use crate::target::named;
use backstay_engine_api::{EngineError, Notice};

/// The tables (and MariaDB's one view) that the servers put into `mysql`: MySQL 8.0 to 9.7, MariaDB 10.6 to 12, and what upgrades leave.
const OF_MYSQL: [&str; 63] = [
    "column_stats",
    "columns_priv",
    "component",
    "db",
    "default_roles",
    "engine_cost",
    "event",
    "firewall_group_allowlist",
    "firewall_groups",
    "firewall_membership",
    "firewall_users",
    "firewall_whitelist",
    "func",
    "general_log",
    "global_grants",
    "global_priv",
    "gtid_executed",
    "gtid_slave_pos",
    "help_category",
    "help_keyword",
    "help_relation",
    "help_topic",
    "host",
    "index_stats",
    "innodb_dynamic_metadata",
    "innodb_index_stats",
    "innodb_table_stats",
    "ndb_binlog_index",
    "password_history",
    "plugin",
    "proc",
    "procs_priv",
    "proxies_priv",
    "replication_asynchronous_connection_failover",
    "replication_asynchronous_connection_failover_managed",
    "replication_group_configuration_version",
    "replication_group_member_actions",
    "role_edges",
    "roles_mapping",
    "server_cost",
    "servers",
    "slave_master_info",
    "slave_relay_log_info",
    "slave_worker_info",
    "slow_log",
    "spider_link_failed_log",
    "spider_link_mon_servers",
    "spider_table_crd",
    "spider_table_position_for_recovery",
    "spider_table_sts",
    "spider_tables",
    "spider_xa",
    "spider_xa_failed_log",
    "spider_xa_member",
    "table_stats",
    "tables_priv",
    "time_zone",
    "time_zone_leap_second",
    "time_zone_name",
    "time_zone_transition",
    "time_zone_transition_type",
    "transaction_registry",
    "user",
];

/// The only table of `sys`.
const OF_SYS: [&str; 1] = ["sys_config"];

/// Things of a kind, in the server's own schemas.
struct Kind {
    /// What several are called.
    shown: &'static str,
    /// The table of `information_schema` that lists them.
    listed: &'static str,
    /// What the names of its columns begin with.
    prefix: &'static str,
    /// For SQL: which can be a user's.
    filter: &'static str,
    /// Those of the server's own in `mysql`, and in `sys`, that this does not tell.
    own: [&'static [&'static str]; 2],
}

const TABLES: Kind = Kind {
    shown: "tables",
    listed: "TABLES",
    prefix: "TABLE",
    filter: "TABLE_TYPE <> 'VIEW' AND TABLE_NAME NOT LIKE 'gtid\\_slave\\_pos\\_%' AND TABLE_NAME NOT LIKE 'rds\\_%'",
    own: [&OF_MYSQL, &OF_SYS],
};

/// What has a definer.
const WITH_DEFINER: [Kind; 4] = [
    Kind {
        shown: "views",
        listed: "VIEWS",
        prefix: "TABLE",
        filter: BY_A_USER,
        own: [&OF_MYSQL, &[]],
    },
    Kind {
        shown: "routines",
        listed: "ROUTINES",
        prefix: "ROUTINE",
        filter: BY_A_USER,
        own: [&OWN_ROUTINES, &[]],
    },
    Kind {
        shown: "events",
        listed: "EVENTS",
        prefix: "EVENT",
        filter: BY_A_USER,
        own: [&[], &[]],
    },
    Kind {
        shown: "triggers",
        listed: "TRIGGERS",
        prefix: "TRIGGER",
        filter: BY_A_USER,
        own: [&[], &[]],
    },
];

impl Kind {
    /// Those of a user's that the account may see, as `schema.name`.
    fn of_users(&self, session: &mut Session) -> Result<Vec<String>, EngineError> {
        let Self {
            listed, prefix, filter, ..
        } = self;
        let mut found = Vec::new();
        for (schema, own) in ["mysql", "sys"].into_iter().zip(self.own) {
            // One schema a query, for which MariaDB need not look into all others.
            let rows: Vec<(String, String)> = session.query(format!(
                "SELECT {prefix}_SCHEMA, {prefix}_NAME FROM information_schema.{listed} WHERE {prefix}_SCHEMA = '{schema}' AND {filter} \
                 ORDER BY 1, 2"
            ))?;
            let names = rows
                .into_iter()
                // MariaDB's comparison takes `SYS` for the same.
                .filter(|(of, _)| of == schema)
                .map(|(_, name)| name)
                .filter(|name| !own.iter().any(|own| own.eq_ignore_ascii_case(name)));
            found.extend(names.map(|name| format!("{schema}.{name}")));
        }
        // A package has a body of the same name, and a function may have a procedure's.
        found.dedup();
        Ok(found)
    }
}

/// Notices of what users have in the server's own schemas, as far as the account may see it, and of schemas that are taken for such.
///
/// # Errors
/// As [`Session::query`].
pub fn left_out(session: &mut Session) -> Result<Vec<Notice>, EngineError> {
    let tables = TABLES.of_users(session)?.into_iter().map(|table| {
        let text = "a table in the server's own schema is not backed up; move it to another schema";
        Notice::new("system-schema-table", text).about(table)
    });
    let mut notices: Vec<Notice> = tables.collect();
    for kind in &WITH_DEFINER {
        let found = kind.of_users(session)?;
        if !found.is_empty() {
            let text = format!(
                "{} in the server's own schemas are not backed up; make them in another schema: {}",
                kind.shown,
                named(&found)
            );
            notices.push(Notice::new("system-schema-objects", text));
        }
    }
    let schemas: Vec<String> = session.query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1")?;
    for schema in schemas.into_iter().filter(|schema| is_taken_for_own(schema)) {
        let text = "the schema is not backed up: but for upper case its name is that of one of the server's own; move what is in it to a \
                    schema of another name";
        notices.push(Notice::new("system-schema-name", text).about(schema));
    }
    Ok(notices)
}

/// Whether a schema is a user's, and those who dump schemas take it for the server's own: `SYS`, where names are case-sensitive.
fn is_taken_for_own(schema: &str) -> bool {
    !SYSTEM_SCHEMAS.contains(&schema) && SYSTEM_SCHEMAS.iter().any(|own| own.eq_ignore_ascii_case(schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_for_the_servers_own() {
        for (schema, want) in [("sys", false), ("SYS", true), ("Mysql", true), ("sys2", false)] {
            assert_eq!(is_taken_for_own(schema), want, "{schema}");
        }
    }
}
