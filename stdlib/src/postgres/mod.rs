//! The `postgres` provider: what lives inside a PostgreSQL server.
//!
//! - [`server`]: the connection, its clients and how statements run; `asking`: what keeps others
//!   from answering in the server's place; `lane`: which of them queue behind each other; `together`: what many ask at the same time;
//! - one file per kind, each with the introspection query it reads with; `object`: what most
//!   of them share; `row`: what a query says of one; `column`, `types`, `signature`: parts of
//!   tables and functions;
//! - `imported`: everything on a server, for `dollop import`;
//! - `held`: what is stored in what is about to go; `words`: whether two texts mean the same, `seen`: what they were when a plan looked;
//! - `review`: what is sent, for people; `sql`: quoting, settings, ids; `names`: what a name may be; `scram`: passwords; `version`: what needs a newer server;
//!   `error`: what went wrong, in words.

mod asking;
mod backup;
pub mod column;
pub mod constraint;
pub mod database;
pub mod default_privileges;
pub mod domain;
pub mod enumeration;
mod error;
pub mod event_trigger;
pub mod extension;
pub mod fdw_server;
pub mod foreign_schema;
pub mod foreign_table;
pub mod function;
pub mod grant;
pub mod hba_rule;
mod held;
pub mod imported;
pub mod index;
mod instead;
mod lane;
pub mod membership;
pub mod migrations;
mod names;
pub mod object;
mod operate;
mod place;
pub mod policy;
pub mod publication;
pub mod remark;
pub mod replication_slot;
mod review;
pub mod role;
pub mod role_settings;
mod row;
pub mod schema;
mod scram;
mod seen;
pub mod sequence;
pub mod server;
pub mod setting;
mod signature;
mod sql;
pub mod statement;
pub mod subscription;
pub mod table;
pub mod tablespace;
pub mod tls;
mod together;
pub mod trigger;
mod types;
pub mod user_mapping;
mod version;
pub mod view;
mod words;

use dollop_engine::kind::Registry;
use dollop_engine::resource::Connection as _;

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
        .resource::<grant::privileges::Privileges>()
        .resource::<object::Of<default_privileges::DefaultPrivileges>>()
        .resource::<object::Of<membership::Membership>>()
        .resource::<object::Of<role_settings::RoleSettings>>()
        .resource::<migrations::Migrations>()
        .resource::<object::Of<view::View>>()
        .resource::<object::Of<function::Function>>()
        .resource::<object::Of<table::Table>>()
        .resource::<object::Of<constraint::Constraint>>()
        .resource::<object::Of<index::Index>>()
        .resource::<object::Of<sequence::Sequence>>()
        .resource::<object::Of<enumeration::Enumeration>>()
        .resource::<object::Of<domain::Domain>>()
        .resource::<object::Of<trigger::Trigger>>()
        .resource::<object::Of<event_trigger::EventTrigger>>()
        .resource::<object::Of<policy::Policy>>()
        .resource::<object::Of<publication::Publication>>()
        .resource::<object::Of<subscription::Subscription>>()
        .resource::<object::Of<replication_slot::ReplicationSlot>>()
        .resource::<object::Of<fdw_server::FdwServer>>()
        .resource::<object::Of<user_mapping::UserMapping>>()
        .resource::<object::Of<foreign_table::ForeignTable>>()
        .resource::<object::Of<foreign_schema::ForeignSchema>>()
        .resource::<object::Of<setting::Setting>>()
        .resource::<object::Of<tablespace::Tablespace>>()
        .resource::<object::Of<hba_rule::HbaRule>>()
        .resource::<object::Of<remark::Of<remark::Comment>>>()
        .resource::<object::Of<remark::Of<remark::SecurityLabel>>>()
        .resource::<statement::Statement>()
        .operations_of(server::Server::KIND, operate::OfServers)
}
