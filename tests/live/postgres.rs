//! The postgres provider against the real thing.
