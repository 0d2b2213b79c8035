//! One process a job: the host's binary, started again, with one engine loaded.
//!
//! The *supervisor* (the process that the operator started) hands out a job and watches; the *worker* loads the engine,
//! runs the call and moves the bytes. They talk in framed JSON over a socket that is the worker's standard input, so that
//! whatever an engine prints can not be taken for a message. Whichever of the two dies, the other puts things in
//! order: see [`supervisor`] and [`process`].

mod frame;
mod output;
mod pieces;
mod port;
pub mod process;
pub mod protocol;
mod sources;
pub mod supervisor;
