//! What several tests share.

pub mod certificates;
pub mod cli;
pub mod conformance;
pub mod fake;
pub mod fences;
pub mod proxy;
pub mod topology;
