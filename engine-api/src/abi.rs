//! The binary contract. It is versioned as a module: once a version is frozen it is never changed, and a new one is put
//! beside it.

pub mod v1;
