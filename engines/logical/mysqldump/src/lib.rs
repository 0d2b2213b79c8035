//! Backstay.
mod section;
mod split;
