//! Tables that somebody made in the server's own schema `mysql`: they are in no backup, which is said.
//!
//! Dumping that schema as a whole would overwrite the target's own catalogue, whose form differs by version.

use crate::session::{Session, quote_text};
use backstay_engine_api::{EngineError, Notice};

/// The tables that the servers put there: MySQL 8.0 to 9.7, MariaDB 10.6 to 12, and what upgrades leave.
const OWN: [&str; 63] = [
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

/// A notice for each such table.
///
/// # Errors
/// As [`Session::query`].
pub fn left_out(session: &mut Session) -> Result<Vec<Notice>, EngineError> {
    let own = OWN.map(quote_text).join(", ");
    let tables: Vec<String> = session.query(format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_TYPE <> 'VIEW' AND \
         LOWER(TABLE_NAME) NOT IN ({own}) AND TABLE_NAME NOT LIKE 'gtid\\_slave\\_pos\\_%' AND TABLE_NAME NOT LIKE 'rds\\_%' ORDER BY 1"
    ))?;
    let notice = |table| {
        Notice::new(
            "system-schema-table",
            "a table in the server's own schema is not backed up; move it to another schema",
        )
        .about(format!("mysql.{table}"))
    };
    Ok(tables.into_iter().map(notice).collect())
}
