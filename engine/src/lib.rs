//! The hallway of dollop: script → program → graph → plan → apply → state.

pub mod address;
pub mod error;
pub mod expr;
pub mod kind;
pub mod path;
pub mod resource;
pub mod schema;
pub mod value;
