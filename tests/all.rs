//! One test binary: faster to link than many.

mod crash;
#[cfg(feature = "live")]
mod live;
mod suite;
mod tidy;
