//! The local provider against the real thing.
