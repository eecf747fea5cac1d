//! Backups on disk: a folder each, with a manifest, checksums, and a file for every part.
//!
//! - [`manifest`]: what a backup says of itself;
//! - [`stream`]: parts on their way to and from a file, compressed and encrypted;
//! - [`shelf`]: the folder of backups: making one, finding one, removing old ones;
//! - [`chosen`]: which parts are meant;
//! - [`quiet`]: who was stopped for a copy, and must go on whatever happens.

pub mod chosen;
pub mod manifest;
pub mod quiet;
pub mod shelf;
pub mod stream;
