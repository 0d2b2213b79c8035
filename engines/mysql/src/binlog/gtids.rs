//! [`Gtids`]: which transactions were there so far, in the words of the server's flavour.

use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::{Position, TypedPosition};

use super::event::Event;

/// The transactions that a server, a log or a replica has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gtids {
    /// They have no names: MySQL without GTIDs.
    #[default]
    None,
    /// MySQL's.
    Mysql(GtidSet),
    /// MariaDB's.
    Mariadb(GtidPosition),
}

impl Gtids {
    /// What the first position that is one of GTIDs says.
    pub fn of(positions: &[Position]) -> Self {
        positions
            .iter()
            .find_map(|position| match position.typed() {
                Ok(TypedPosition::MysqlGtid(set)) => Some(Self::Mysql(set)),
                Ok(TypedPosition::MariadbGtid(position)) => Some(Self::Mariadb(position)),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// Adds the transaction that an event begins.
    pub fn add(&mut self, event: &Event<'_>) {
        match (self, event) {
            (Self::Mysql(set), Event::Gtid(event)) => {
                if let Some(gtid) = &event.gtid {
                    set.insert(gtid.clone());
                }
            }
            (Self::Mariadb(position), Event::MariadbGtid(event)) => {
                position.set(event.gtid);
            }
            _ => {}
        }
    }

    /// Whether all that the others are is in these; what has no names is in nothing and has nothing.
    pub fn cover(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::Mysql(these), Self::Mysql(others)) => these.contains_set(others),
            (Self::Mariadb(these), Self::Mariadb(others)) => these.covers_position(others),
            _ => false,
        }
    }

    /// Those of these that are not in the others, for a message.
    pub fn without(&self, others: &Self) -> String {
        match (self, others) {
            (Self::Mysql(these), Self::Mysql(others)) => these.subtract(others).to_string(),
            (Self::Mariadb(these), Self::Mariadb(others)) => {
                let missing = these.iter().filter(|gtid| !others.covers(*gtid));
                missing.map(|gtid| gtid.to_string()).collect::<Vec<_>>().join(",")
            }
            (these, _) => these.position().map(|position| position.value).unwrap_or_default(),
        }
    }

    /// As a position.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::None => None,
            Self::Mysql(set) => Some(Position::mysql_gtid(set)),
            Self::Mariadb(position) => Some(Position::mariadb_gtid(position)),
        }
    }
}
