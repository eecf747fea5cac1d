//! The hallway of dollop: script → program → graph → plan → apply → state.

pub mod address;
pub mod diagnostic;
pub mod error;
pub mod expr;
pub mod files;
pub mod graph;
pub mod journal;
pub mod kind;
pub mod path;
pub mod plan;
pub mod program;
pub mod resource;
pub mod schema;
pub mod script;
pub mod store;
pub mod value;
