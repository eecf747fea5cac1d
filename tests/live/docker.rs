//! The docker provider against the real thing.
