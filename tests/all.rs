//! One test binary: faster to link than many.

/// Snapshots of what a person sees, without what differs from run to run.
macro_rules! shows {
    ($text:expr, @$expected:literal) => {
        insta::with_settings!({ filters => crate::cli::FILTERS.to_vec() }, {
            insta::assert_snapshot!($text, @$expected);
        })
    };
}

mod answers;
mod cli;
mod crash;
mod documents;
mod drift;
mod explain;
mod fuzz;
mod hidden;
mod hostile;
#[cfg(feature = "live")]
mod live;
mod mistakes;
mod platforms;
mod structure;
mod suite;
mod tidy;
mod tools;
