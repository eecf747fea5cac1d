//! Roles and databases, which are listed by themselves.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Listing, Resource as _};
use serde::Deserialize;
use serde_json::json;

use super::super::database::{self, Spec as Database};
use super::super::error::Task;
use super::super::role::{self, Role, Spec};
use super::super::scram;
use super::super::server::Server;
use super::{plainly, wanted};

/// The database that every server has.
const BUILT_IN: &str = "postgres";

/// The database that others are made like.
const PATTERN: &str = "template0";

#[derive(Deserialize)]
struct Known {
    name: String,
    is_first: bool,
}

/// All roles. The one who set the server up and the one dollop works as are there before
/// anything is declared, and so are the server's own.
pub(in super::super) async fn roles(
    server: &Server,
) -> Result<Listing<Spec, role::Facts>, CallError> {
    let sql = "select rolname name, oid < 16384 is_first from pg_roles order by rolname";
    let task = Task::new("look which roles there are");
    let known: Vec<Known> = server.rows(server.database(), sql, &[], &task).await?;
    let names = known.iter().map(|one| one.name.clone()).collect();
    let rows = role::rows(server, names).await?;
    let mut listing = Listing::default();
    for Known { name, is_first } in known {
        let Some(row) = rows.get(&name) else { continue };
        let built_in = is_first || name == server.user();
        let mut spec = Spec { member_of: None, ..role::spec_of(row) };
        if !built_in {
            spec.password = row.verifier.clone().filter(|text| scram::verifies(text, text));
            let why = match &row.verifier {
                Some(_) if spec.password.is_none() => {
                    Some("it is kept as an MD5 hash".to_owned())
                }
                None if spec.login && !server.sees_passwords => {
                    Some(format!("`{}` may not see it", server.user()))
                }
                _ => None,
            };
            let why = why.map(|why| format!("the password of role `{name}`: {why}"));
            listing.left_out.extend(why);
        }
        let wanted = wanted(Role::KIND, name.clone(), &name, spec);
        listing.objects.push(plainly(role::found(server, row, &wanted), built_in));
    }
    Ok(listing)
}

/// All databases. What cannot be declared of all that is in them is said here, once.
pub(in super::super) async fn databases(
    server: &Server,
) -> Result<Listing<Database, database::Facts>, CallError> {
    let inventory = server.inventory().await?;
    let names = inventory.databases().map(|(name, _)| name.to_owned());
    let names: Vec<String> = names.chain(inventory.closed.iter().cloned()).collect();
    let asked = names.iter().cloned().chain([PATTERN.to_owned()]).collect();
    let rows = database::rows(server, asked).await?;
    let pattern = rows.get(PATTERN);
    let mut listing = Listing { left_out: inventory.left_out.clone(), ..Listing::default() };
    for row in names.iter().filter_map(|name| rows.get(name)) {
        let differs = |value: fn(&database::Row) -> &String| {
            let is = value(row);
            (pattern.map(value) != Some(is)).then(|| is.clone())
        };
        let plain: Database = serde_json::from_value(json!({})).map_err(|error| {
            CallError::refused(format!("a database has no defaults: {error}"))
        })?;
        let own = pattern.and_then(|pattern| pattern.builtin_locale.as_ref());
        let spec = Database {
            owner: Some(row.owner.clone()).filter(|owner| owner != server.user()),
            lc_collate: differs(|row| &row.collate),
            lc_ctype: differs(|row| &row.ctype),
            icu_locale: row.icu_locale.clone(),
            icu_rules: row.icu_rules.clone(),
            builtin_locale: row.builtin_locale.clone().filter(|is| own != Some(is)),
            tablespace: differs(|row| &row.tablespace),
            ..plain
        };
        let built_in = [BUILT_IN, server.database()].contains(&row.name.as_str());
        listing.objects.push(plainly(database::found(row, &spec), built_in));
    }
    Ok(listing)
}
