//! What lives in a database and around it, through the shared conformance run, with a change
//! behind dollop's back for every attribute.

mod foreign;
mod replication;
mod rules;
mod server;
mod tables;

use super::world::World;

/// A database with a role that may own things in it, gone at the end of the test.
async fn with_database(name: &str, made: &[&str]) -> World {
    let world = World::open().await;
    world.psql("postgres", &format!("create database {name}"));
    world.psql("postgres", &format!("create role {name}_owner"));
    world.psql("postgres", &format!("grant create on database {name} to {name}_owner"));
    world.psql(
        name,
        &format!(
            "create schema \"S 1\"; grant create on schema public, \"S 1\" to {name}_owner"
        ),
    );
    for statement in made {
        world.psql(name, statement);
    }
    world
}

fn gone(world: &World, name: &str) {
    world.psql("postgres", &format!("drop database {name} with (force)"));
    world.psql("postgres", &format!("drop role {name}_owner"));
}
