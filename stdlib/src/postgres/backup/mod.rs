//! Saving databases and taking them back, by the server's own programs.
//!
//! [`tools`] runs `pg_dump` and its kin in the server's container, or on this machine for a
//! server that is elsewhere; [`fingerprint`] sums up the rows of a database in the snapshot
//! that is dumped; [`globals`] are the roles; [`database`] makes a database anew beside the
//! one that is there and then takes its place.

mod database;
mod fingerprint;
mod globals;
mod tools;

use async_trait::async_trait;
use dollop_engine::address::Address;
use dollop_engine::backup::{
    Backup, Inventory, LeftOut, Part, Rehearsed, Scratch, Sink, Site, Source, Wishes,
};
use dollop_engine::error::CallError;
use dollop_engine::resource::{Held, Resource as _};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::database::Database;
use super::error::Task;
use super::server::Server;
use database::Saved;
use fingerprint::Fingerprint;
use tools::Tools;

/// Roles, their memberships, tablespaces.
const GLOBALS: &str = "postgres-globals";
/// One database in the custom format of `pg_dump`.
const DATABASE: &str = "postgres-database";

#[derive(Deserialize)]
struct Found {
    name: String,
    /// Why it cannot be dumped.
    closed: bool,
}

#[derive(Deserialize)]
struct Folder {
    path: String,
}

#[async_trait]
impl Backup for Server {
    async fn inventory(&self, site: &Site, _: Wishes) -> Result<Inventory, CallError> {
        let task = Task::new("see what there is to save");
        let sql = "select datname name, not datallowconn closed from pg_database
            where not datistemplate order by datname";
        let all: Vec<Found> = self.rows(self.database(), sql, &[], &task).await?;
        // Where other tablespaces are is a superuser's to know, and part of `pg_tablespace`.
        let sql = "select path from (
                select current_setting('data_directory', true) path
                union select pg_tablespace_location(oid) from pg_tablespace
            ) places where path <> ''";
        let folders: Result<Vec<Folder>, _> = self.rows(self.database(), sql, &[], &task).await;
        let declared = |name: &str| {
            let named = site.objects.iter().filter(|o| o.address.kind() == Database::KIND);
            named.into_iter().find(|o| o.found.id == name).map(|o| o.address.clone())
        };
        // A server that is not the stack's holds databases of others, too.
        let ours = site.host.is_some();
        let mut inventory = Inventory {
            service: format!("PostgreSQL {}", tools::version(self.version)),
            folders: folders
                .unwrap_or_default()
                .into_iter()
                .map(|folder| folder.path)
                .collect(),
            ..Inventory::default()
        };
        let part = |address: Address, form: &str, name: &str, what: String| Part {
            address,
            connection: site.address.clone(),
            form: form.to_owned(),
            name: name.to_owned(),
            what,
            ending: if form == GLOBALS { "sql" } else { "dump" }.to_owned(),
            compressed: form == DATABASE,
        };
        if self.sees_passwords {
            let what = "roles and tablespaces".to_owned();
            inventory.parts.push(part(site.address.clone(), GLOBALS, "", what));
        } else {
            inventory.left_out.push(LeftOut {
                address: site.address.clone(),
                what: "roles and tablespaces".to_owned(),
                why: format!("`{}` may not read the stored passwords", self.user()),
                missed: true,
            });
        }
        for Found { name, closed } in all {
            let address = declared(&name);
            if address.is_none() && !ours {
                continue;
            }
            let address = address.unwrap_or_else(|| site.address.clone());
            let what = format!("database `{name}`");
            if closed {
                let why = "it allows no connections".to_owned();
                inventory.left_out.push(LeftOut { address, what, why, missed: true });
            } else {
                inventory.parts.push(part(address, DATABASE, &name, what));
            }
        }
        Ok(inventory)
    }

    async fn save(&self, site: &Site, part: &Part, sink: Sink<'_>) -> Result<Json, CallError> {
        let tools = Tools::of(self, site).await?;
        if part.form == GLOBALS {
            let words = ["pg_dumpall", "--globals-only"];
            tools.run("save the roles", &words, None, sink).await?;
            return Ok(Json::Null);
        }
        let saved = database::save(self, &tools, &part.name, sink).await?;
        Ok(json!(saved))
    }

    async fn held(&self, _: &Site, part: &Part, _: &Json) -> Result<Held, CallError> {
        if part.form == GLOBALS {
            return Ok(Held::Nothing("roles that exist stay as they are".to_owned()));
        }
        database::held(self, &part.name).await
    }

    async fn load(
        &self,
        site: &Site,
        part: &Part,
        saved: &Json,
        source: Source<'_>,
    ) -> Result<Vec<String>, CallError> {
        let tools = Tools::of(self, site).await?;
        if part.form == GLOBALS {
            return globals::load(&tools, source).await;
        }
        let _alone = self.databases.lock().await;
        self.close(&part.name);
        database::load(&tools, &part.name, &read(saved)?, source).await
    }

    async fn scratch(&self, site: &Site) -> Result<Box<dyn Scratch>, CallError> {
        let twin = site.twin().await?;
        Ok(Box::new(Trial { tools: Tools::at(self, twin) }))
    }
}

fn read(saved: &Json) -> Result<Saved, CallError> {
    Saved::deserialize(saved).map_err(|error| {
        CallError::refused(format!("the manifest does not say how the database was: {error}"))
    })
}

/// A server made for a trial.
struct Trial {
    tools: Tools,
}

#[async_trait]
impl Scratch for Trial {
    async fn rehearse(
        &self,
        part: &Part,
        saved: &Json,
        source: Source<'_>,
    ) -> Result<Rehearsed, CallError> {
        if part.form == GLOBALS {
            globals::load(&self.tools, source).await?;
            let roles = self.tools.ask("postgres", "select count(*) from pg_roles").await?;
            return Ok(Rehearsed {
                compared: format!("{} roles", roles.trim()),
                differences: Vec::new(),
            });
        }
        let saved = read(saved)?;
        database::load(&self.tools, &part.name, &saved, source).await?;
        let found = Fingerprint::by_program(&self.tools, &part.name).await?;
        Ok(Rehearsed {
            compared: saved.fingerprint.words(),
            differences: saved.fingerprint.differences(&found),
        })
    }

    async fn remove(&self) -> Result<(), CallError> {
        self.tools.remove().await
    }
}
