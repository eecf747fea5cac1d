//! `dollop import`: everything on a server, in a handful of queries for each database.
//!
//! - `catalog`: the queries that tell what there is and what needs what;
//! - `contents`: their answers, put together: what can be declared, and what comes first;
//! - `server`, `whole`: what belongs to the whole server, roles and databases among it;
//! - `statements`: what no kind is for and one statement makes;
//! - `privileges`: access control lists as grants.
//!
//! What there is says no more than what each object is called; it is then read as a plan
//! would read it.

mod catalog;
mod contents;
mod privileges;
mod server;
mod statements;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use dollop_engine::address::Address;
use dollop_engine::error::CallError;
use dollop_engine::kind::short_name;
use dollop_engine::resource::{Found, Listed, Listing, Name, Naming, Need, Owner, Wanted};
use dollop_engine::schema::Schema;
use futures::StreamExt;
use serde_json::{Map, Value as Json, json};

pub(super) use self::contents::{Contents, words_of};
use self::server::whole_server;
pub(super) use self::whole::{databases, roles};
use super::error::Task;
use super::object::{self, At, Key, Object, Row};
use super::server::Server;
use super::sql;

/// Everything on a server.
pub(super) struct Inventory {
    /// What belongs to the whole server.
    whole: Contents,
    databases: BTreeMap<String, Contents>,
    /// Databases that nobody can connect to.
    pub(super) closed: Vec<String>,
    /// What cannot be declared, and why.
    pub(super) left_out: Vec<String>,
}

impl Inventory {
    /// Asks for everything there is.
    async fn take(server: &Server) -> Result<Self, CallError> {
        let mut whole = whole_server(server).await?;
        let names = std::mem::take(&mut whole.databases);
        let asked: Vec<_> = names
            .into_iter()
            .map(|name| async move { (Contents::read(server, &name).await, name) })
            .collect();
        let answers: Vec<_> =
            futures::stream::iter(asked).buffered(sql::DATABASES).collect().await;
        let mut inventory = Self {
            left_out: std::mem::take(&mut whole.contents.left_out),
            whole: whole.contents,
            databases: BTreeMap::new(),
            closed: whole.closed,
        };
        for (contents, name) in answers {
            let mut contents = contents?;
            let left_out = std::mem::take(&mut contents.left_out).into_iter();
            inventory
                .left_out
                .extend(left_out.map(|what| format!("in database `{name}`: {what}")));
            inventory.databases.insert(name, contents);
        }
        Ok(inventory)
    }

    /// The contents of each database.
    pub(super) fn databases(&self) -> impl Iterator<Item = (&str, &Contents)> {
        self.databases.iter().map(|(name, contents)| (name.as_str(), contents))
    }
}

impl Server {
    /// Everything there is, as it was when it was first asked for.
    pub(super) async fn inventory(&self) -> Result<Arc<Inventory>, CallError> {
        let mut known = self.known.lock().await;
        if let Some(inventory) = known.as_ref() {
            return Ok(Arc::clone(inventory));
        }
        let inventory = Arc::new(Inventory::take(self).await?);
        *known = Some(Arc::clone(&inventory));
        Ok(inventory)
    }
}

/// What an object is found among.
pub struct Around<'a> {
    /// Its key.
    pub(super) key: &'a [String],
    /// What else is in its database.
    pub(super) contents: &'a Contents,
    /// What the server says of it.
    pub(super) row: Option<&'a Row>,
}

/// Everything of one kind.
pub(super) async fn list<O: Object>(
    server: &Server,
) -> Result<Listing<O::Spec, O::Facts>, CallError> {
    let inventory = server.inventory().await?;
    let kind = short_name(O::KIND);
    let mut listing = Listing::default();
    let whole = std::iter::once((None, &inventory.whole));
    let databases = inventory.databases().map(|(name, contents)| (Some(name), contents));
    for (database, contents) in whole.chain(databases) {
        let keys: Vec<&Key> = contents.of(kind).collect();
        if keys.is_empty() {
            continue;
        }
        let place = database.unwrap_or(server.database());
        let rows = object::rows::<O>(server, place, &keys).await?;
        for key in keys {
            let spec = declared::<O>(server, database, key, rows.get(key), contents)?;
            let needs = contents.needs(database.unwrap_or_default(), kind, key);
            note::<O>(&mut listing, server, key, rows.get(key), spec, needs)?;
        }
    }
    Ok(listing)
}

/// The spec that a script would give an object, without what goes without saying.
fn declared<O: Object>(
    server: &Server,
    database: Option<&str>,
    key: &Key,
    row: Option<&Row>,
    contents: &Contents,
) -> Result<O::Spec, CallError> {
    let schema = Schema::of::<O::Spec, O::Facts>();
    let schema = schema.map_err(|error| CallError::refused(error.to_string()))?;
    let traits = O::traits();
    let mut spec = Map::new();
    let columns = row.into_iter().flat_map(Row::columns);
    spec.extend(columns.map(|(name, value)| (name.clone(), value.clone())));
    spec.extend(database.map(|name| ("database".to_owned(), json!(name))));
    spec.extend(O::told(key));
    spec.retain(|name, value| {
        let said = match name.as_str() {
            // What is made anew gets these by itself.
            "owner" if !traits.identity.contains(&"owner") => *value != json!(server.user()),
            "tablespace" => *value != json!(contents.tablespace),
            _ => true,
        };
        said && !value.is_null() && schema.spec.contains_key(name)
    });
    let mut spec: O::Spec = serde_json::from_value(Json::Object(spec)).map_err(|error| {
        CallError::refused(format!("{} is in a form of its own: {error}", O::describe(key)))
    })?;
    O::goes_without_saying(&mut spec, &Around { key, contents, row });
    O::normalize(&mut spec);
    Ok(spec)
}

/// Adds the object as a plan reads it, once a script says what it is.
fn note<O: Object>(
    listing: &mut Listing<O::Spec, O::Facts>,
    server: &Server,
    key: &Key,
    row: Option<&Row>,
    spec: O::Spec,
    needs: Vec<Need>,
) -> Result<(), CallError> {
    let traits = O::traits();
    let natural = match traits.naming {
        Naming::Natural => {
            let outside = traits.within.iter().filter(|name| **name != "database").count();
            key.get(outside).cloned().unwrap_or_default()
        }
        Naming::Label => String::new(),
    };
    let at = At::of::<O>(server, None, &natural, &spec);
    let id = at.id::<O>(&spec);
    let wanted = Wanted {
        id: Some(id.clone()),
        name: nameless(O::KIND, natural.clone()),
        spec,
        facts: None,
    };
    if let Some((spec, facts)) = O::observe(row, &wanted)? {
        let found = Found { id, natural, spec, facts, owner: Owner::Unmarked };
        listing.objects.push(Listed { needs, ..plainly(found, false) });
    }
    Ok(())
}

/// The name of what no script has named yet.
fn nameless(kind: &str, natural: String) -> Name {
    let address = Address::new(Vec::new(), kind.to_owned(), vec![natural.clone()]);
    Name { stack: String::new(), address, natural }
}

/// Everything that is named in its database or on the server, by a `read` of its own.
pub(super) fn wanted<S>(kind: &str, id: String, natural: &str, spec: S) -> Wanted<S> {
    Wanted { id: Some(id), name: nameless(kind, natural.to_owned()), spec, facts: None }
}

/// An object nothing else has to be said about.
pub(super) fn plainly<S, F>(found: Found<S, F>, built_in: bool) -> Listed<S, F> {
    Listed { found, built_in, remarks: Vec::new(), needs: Vec::new() }
}

/// Asks one of the queries of this module.
async fn ask<T: serde::de::DeserializeOwned>(
    server: &Server,
    database: &str,
    query: &str,
) -> Result<Vec<T>, CallError> {
    let task = Task::new(format!("look what there is in database `{database}`"));
    server.rows(database, query, &[], &task).await
}
