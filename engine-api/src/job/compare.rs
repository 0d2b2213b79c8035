//! [`CompareJob`].

use std::ops::Deref;

use super::JobContext;
use crate::comparison::TablePair;
use crate::server::Server;

/// Tables of a server to be compared, two and two.
#[derive(Debug, Clone)]
pub struct CompareJob {
    pub(super) context: JobContext,
    pub(super) server: Server,
    pub(super) tables: Vec<TablePair>,
    pub(super) rows: bool,
}

impl CompareJob {
    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The tables; the answer has the same order.
    pub fn tables(&self) -> &[TablePair] {
        &self.tables
    }

    /// Whether rows are compared too. Otherwise it is only asked which tables there are, and how they are defined.
    pub fn rows(&self) -> bool {
        self.rows
    }
}

impl Deref for CompareJob {
    type Target = JobContext;

    fn deref(&self) -> &JobContext {
        &self.context
    }
}
