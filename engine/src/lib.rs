//! The hallway of dollop: script → program → graph → plan → apply → state.

pub mod address;
pub mod analysis;
pub mod apply;
mod condition;
pub mod diagnostic;
pub mod error;
pub mod expr;
pub mod files;
mod function;
pub mod graph;
pub mod journal;
pub mod kind;
pub mod limit;
pub mod map;
pub mod observed;
pub mod path;
pub mod plan;
pub mod pool;
pub mod program;
mod reading;
pub mod redact;
pub mod refresh;
pub mod resource;
pub mod schema;
pub mod script;
pub mod store;
pub mod value;
