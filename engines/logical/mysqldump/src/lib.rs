//! Backstay.
