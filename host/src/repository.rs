//! The repository: what is kept where.

pub mod index;
pub mod names;
