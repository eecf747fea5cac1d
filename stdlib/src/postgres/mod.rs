//! The `postgres` provider: what lives inside a PostgreSQL server.
//!
//! - [`server`]: the connection, its clients and how statements run;
//! - one file per kind, each with the introspection query it reads with; `object`: what most
//!   of them share;
//! - `sql`: quoting, settings, ids; `scram`: passwords; `error`: what went wrong, in words.

pub mod database;
pub mod default_privileges;
mod error;
pub mod extension;
pub mod function;
pub mod grant;
pub mod membership;
pub mod migrations;
pub mod object;
pub mod role;
pub mod schema;
mod scram;
pub mod server;
mod sql;
pub mod statement;
pub mod view;

use dollop_engine::kind::Registry;

/// Adds the provider to a registry.
pub fn register(registry: Registry) -> Registry {
    registry
        .provider(
            "postgres",
            "Databases, roles, privileges, migrations and what else is in PostgreSQL.",
        )
        .connection::<server::Server>()
        .resource::<role::Role>()
        .resource::<database::Database>()
        .resource::<schema::Schema>()
        .resource::<extension::Extension>()
        .resource::<grant::Grant>()
        .resource::<object::Of<default_privileges::DefaultPrivileges>>()
        .resource::<object::Of<membership::Membership>>()
        .resource::<migrations::Migrations>()
        .resource::<object::Of<view::View>>()
        .resource::<object::Of<function::Function>>()
        .resource::<statement::Statement>()
}
