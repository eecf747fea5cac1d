//! One test binary: faster to link than many.

#[cfg(feature = "live")]
mod live;
mod tidy;
