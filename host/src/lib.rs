//! The host of Backstay: finds and loads engines, runs each job in a process of its own, and keeps backups.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`cli`] | the command line, a file for each verb |
//! | [`config`] | `backstay.toml` |
//! | [`jobs`] | backing up, restoring, verifying, exporting: what the verbs do |
//! | [`plugin`] | finding plug-ins, reading their manifests, loading one |
//! | [`worker`] | supervisor and worker: one process a job |
//! | [`pipeline`] | what happens to an object's bytes |
//! | [`recovery`] | which backups and logs lead to a point |
//! | [`directory`] | a directory that no Backstay made, as objects |
//! | [`repository`] | where backups are kept: layout, manifests, catalogue, locks |

pub mod cli;
pub mod config;
pub mod directory;
pub mod error;
pub mod jobs;
pub mod pipeline;
pub mod plugin;
pub mod recovery;
pub mod repository;
pub mod worker;

pub use error::{Error, ErrorKind, ExitCode, Result};
