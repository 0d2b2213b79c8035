//! The data path from end to end, in memory and in a file system.

mod bundles;
mod damage;
mod failure;
mod named;
mod round_trip;
