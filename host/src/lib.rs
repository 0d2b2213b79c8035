//! Backstay.

pub mod pipeline;
pub mod repository;
