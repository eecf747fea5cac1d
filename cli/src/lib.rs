//! The `dollop` binary, as a library: arguments → command → text and an exit code.
//!
//! - [`args`]: what can be typed; its doc comments are the help.
//! - [`project`] and [`parameters`]: which stack, with which values from outside.
//! - [`commands`]: one command a file, each read from top to bottom.
//! - [`render`]: all text a person sees, as functions from data to text.
//! - [`secrets`] and [`sops`]: what commands know that scripts must not.
//! - [`backup`]: backups as they lie on the disk.
//! - [`live`]: a stack as it runs, for what is done with it day by day; [`select`] chooses in
//!   it, [`attach`] connects a terminal, [`merge`] orders what several tell.
//! - [`session`], [`ahead`], [`saved`], [`since`] and [`watch`]: what a run of the hallway
//!   needs.
//! - [`manual`]: what can be looked up offline; [`complete`]: what a shell offers.
//! - [`terminal`]: the only place that prints.

pub mod ahead;
pub mod args;
pub mod attach;
pub mod backup;
pub mod commands;
pub mod complete;
pub mod drift;
pub mod error;
pub mod hook;
pub mod live;
pub mod manual;
pub mod merge;
pub mod modules;
pub mod parameters;
pub mod project;
pub mod render;
pub mod run;
pub mod saved;
pub mod secrets;
pub mod select;
pub mod session;
pub mod since;
pub mod sops;
pub mod terminal;
pub mod watch;
