//! `postgres::extension`: extensions in a database.
//!
//! Catalogs: `pg_extension`, `pg_available_extensions`.

use std::collections::{HashMap, HashSet};

use dollop_engine::analysis::{Claim, Claimed};
use dollop_engine::error::{CallError, Failure};
use dollop_engine::path::Path;
use dollop_engine::resource::{
    Created, Found, Listed, Listing, Name, Owner, Problem, ReadResult, Resource, Script,
    Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::error::Task;
use super::grant::{self, On};
use super::instead;
use super::server::Server;
use super::sql::{self, Place};
use super::{imported, names, review};

/// What people call an extension, what the server calls it, and an image that has it.
const KNOWN: [(&str, &str, &str); 5] = [
    ("pgvector", "vector", "pgvector/pgvector"),
    ("vector", "vector", "pgvector/pgvector"),
    ("uuid", "uuid-ossp", "postgres"),
    ("postgis", "postgis", "postgis/postgis"),
    ("timescaledb", "timescaledb", "timescale/timescaledb"),
];

/// What people take for extensions.
const BUILT_IN: [&str; 3] = ["json", "jsonb", "xml"];

/// An extension, such as `uuid-ossp`, installed in a database.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema its objects are in; when left out, the server chooses and it is not
    /// looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: Option<String>,
    /// Its version, `1.6`; when left out, the server's default, and it is not looked at.
    #[serde(default)]
    pub version: Option<String>,
    /// Whether to install the extensions it needs, too.
    #[serde(default)]
    pub cascade: bool,
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The version that is installed.
    pub installed_version: String,
    /// The schema its objects are in.
    pub installed_schema: String,
}

/// A row of the introspection query.
#[derive(Clone, Deserialize)]
struct Row {
    name: String,
    version: String,
    schema: String,
}

/// The kind.
pub struct Extension;

impl Resource for Extension {
    const KIND: &'static str = "postgres::extension";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { within: &["database"], instead: instead::EXTENSION, ..Traits::default() }
    }

    // Where the server chooses, it chooses the first schema of the search path.
    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        let schema = to.schema.as_deref().unwrap_or("public");
        grant::made(from.is_none(), &to.database, schema, &On::ALL)
    }

    fn claims(name: &Name, _: &Spec) -> Vec<Claimed> {
        let known = KNOWN.iter().find(|(said, ..)| *said == name.natural);
        let hint = match known {
            _ if BUILT_IN.contains(&name.natural.as_str()) => Some(format!(
                "leave it out: `{}` is a type PostgreSQL always has",
                name.natural
            )),
            Some((said, real, _)) if said != real => Some(format!("it is called `{real}`")),
            Some((_, _, image)) => Some(format!("use an image that has it, such as `{image}`")),
            None => Some("use an image that has it, or build one".to_owned()),
        };
        let claim =
            Claim::Wants { software: "PostgreSQL", feature: name.natural.clone(), hint };
        vec![Claimed::new(Path::attribute("name"), claim)]
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        names::problems_in(spec)
    }

    fn check_named(natural: &str, _: &Spec) -> Vec<Problem> {
        names::problem(natural, "name").into_iter().collect()
    }

    fn id_of(name: &Name, spec: &Spec) -> Option<String> {
        Some(Place::of(None, &spec.database, &name.natural).id())
    }

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let statements = match (from, to) {
            (None, Some(to)) => vec![create_statement(&name.natural, to)],
            (Some(from), Some(to)) => {
                let (version, schema) = (from.version.as_deref(), from.schema.as_deref());
                change_statements(&name.natural, version, schema, to)
            }
            (_, None) => vec![drop_statement(&name.natural)],
        };
        Some(review::script(name, Some(&spec.database), review::whole(statements)))
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let place = |wanted: &Wanted<Spec>| {
            Place::of(wanted.id.as_deref(), &wanted.spec.database, &wanted.name.natural)
        };
        let answers = sql::by_database(wanted, place, |database, names| async move {
            let rows = rows(server, &database, names).await?;
            Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
        })
        .await;
        let mut results = Vec::with_capacity(wanted.len());
        // What the server offers, asked once for each database that misses one.
        let mut offers: HashMap<String, Vec<Available>> = HashMap::new();
        for (answer, wanted) in answers.into_iter().zip(wanted) {
            let place = place(wanted);
            results.push(match answer {
                Err(error) => Err(error),
                Ok(Some(row)) => Ok(Some(found(&row, place, &wanted.spec))),
                Ok(None) if wanted.id.is_some() => Ok(None),
                Ok(None) => {
                    if !offers.contains_key(&place.database) {
                        let offer = offer(server, &place.database).await;
                        // Where it cannot be read, creating will tell.
                        offers.insert(place.database.clone(), offer.unwrap_or_default());
                    }
                    available(server, &place, &wanted.spec, &offers[&place.database])
                        .map(|()| None)
                }
            });
        }
        results
    }

    const LISTS: bool = true;

    async fn list(server: &Server) -> Result<Listing<Spec, Facts>, CallError> {
        let inventory = server.inventory().await?;
        let mut listing = Listing::default();
        for (database, contents) in inventory.databases() {
            let keys: Vec<_> = contents.of("extension").collect();
            let names = keys.iter().map(|key| key.concat()).collect();
            let rows = rows(server, database, names).await?;
            let elsewhere = rows.iter().any(|row| row.schema != "public");
            let fixed = if elsewhere { fixed(server, database).await? } else { HashSet::new() };
            for row in rows {
                let place = Place { database: database.to_owned(), name: row.name.clone() };
                let spec = Spec {
                    database: database.to_owned(),
                    // The version is the server's business, and so is a schema that is fixed.
                    schema: Some(row.schema.clone())
                        .filter(|schema| schema != "public" && !fixed.contains(&row.name)),
                    version: None,
                    cascade: false,
                };
                let key = vec![row.name.clone()];
                let needs = contents.needs(database, "extension", &key);
                let listed = imported::plainly(found(&row, place, &spec), false);
                listing.objects.push(Listed { needs, ..listed });
            }
        }
        Ok(listing)
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        names::expect(&name.natural)?;
        let place = Place::of(None, &spec.database, &name.natural);
        let create = [create_statement(&name.natural, &spec)];
        let question = question(&place);
        let task = task("create", &place).hint(
            SqlState::UNDEFINED_OBJECT,
            "set `cascade: true` to install the extensions it needs, too",
        );
        match server.write_and_ask(&place.database, &create, &question, &task).await {
            Ok(row) => Ok(Created { id: place.id(), facts: facts(&row) }),
            // The server only says that a file is missing. To look what it has takes it longer
            // than to make one.
            Err(said) if said.failure == Failure::Refused => {
                if let Ok(offer) = offer(server, &place.database).await {
                    available(server, &place, &spec, &offer)?;
                }
                Err(said)
            }
            Err(said) => Err(said),
        }
    }

    async fn update(
        server: &Server,
        name: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        let place = Place::of(Some(id), &to.database, &name.natural);
        let current = row(server, &place).await?;
        let (version, schema) = (Some(&*current.version), Some(&*current.schema));
        let statements = change_statements(&place.name, version, schema, &to);
        let task = task("change", &place)
            .hint(
                SqlState::FEATURE_NOT_SUPPORTED,
                "this extension cannot be moved: keep its schema, or drop and create it",
            )
            .hint(
                SqlState::INVALID_PARAMETER_VALUE,
                "`pg_extension_update_paths` tells which versions can be reached",
            );
        let row: Row = server
            .write_and_ask(&place.database, &statements, &question(&place), &task)
            .await?;
        Ok(facts(&row))
    }

    async fn delete(
        server: &Server,
        name: &Name,
        id: &str,
        spec: Spec,
    ) -> Result<(), CallError> {
        let place = Place::of(Some(id), &spec.database, &name.natural);
        let task = task("drop", &place).hint(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            "remove what uses it first; dollop never drops columns with an extension",
        );
        server.remove(&place.database, &[drop_statement(&place.name)], &task).await
    }
}

fn create_statement(name: &str, spec: &Spec) -> String {
    let mut create = vec![format!("CREATE EXTENSION {}", sql::name(name))];
    create.extend(spec.schema.iter().map(|schema| format!("SCHEMA {}", sql::name(schema))));
    create.extend(spec.version.iter().map(|text| format!("VERSION {}", sql::name(text))));
    create.extend(spec.cascade.then(|| "CASCADE".to_owned()));
    create.join(" ")
}

/// From the version and schema it has.
fn change_statements(
    name: &str,
    version: Option<&str>,
    schema: Option<&str>,
    to: &Spec,
) -> Vec<String> {
    let on = format!("ALTER EXTENSION {}", sql::name(name));
    let mut statements = Vec::new();
    if let Some(new) = to.version.as_deref().filter(|new| Some(*new) != version) {
        statements.push(format!("{on} UPDATE TO {}", sql::name(new)));
    }
    if let Some(new) = to.schema.as_deref().filter(|new| Some(*new) != schema) {
        statements.push(format!("{on} SET SCHEMA {}", sql::name(new)));
    }
    statements
}

fn drop_statement(name: &str) -> String {
    format!("DROP EXTENSION IF EXISTS {}", sql::name(name))
}

fn task(verb: &str, place: &Place) -> Task {
    let Place { database, name } = place;
    Task::new(format!("{verb} extension `{name}` in database `{database}`")).needs(format!(
        "a superuser, or for a trusted extension CREATE on database `{database}`"
    ))
}

/// An extension whose files the server has.
#[derive(Deserialize)]
struct Available {
    name: String,
    versions: Vec<String>,
}

/// What the server has the files of.
async fn offer(server: &Server, database: &str) -> Result<Vec<Available>, CallError> {
    let task = Task::new("read the available extensions");
    let sql = "select name, array_agg(\"version\" order by \"version\") versions
        from pg_available_extension_versions group by name order by name";
    server.rows(database, sql, &[], &task).await
}

/// Makes sure the server has the extension's files.
fn available(
    server: &Server,
    place: &Place,
    spec: &Spec,
    rows: &[Available],
) -> Result<(), CallError> {
    let name = &place.name;
    let server = server.address();
    if let Some(row) = rows.iter().find(|row| row.name == *name) {
        return match &spec.version {
            Some(version) if !row.versions.contains(version) => {
                Err(CallError::impossible(format!(
                    "the server at {server} has no version `{version}` of extension `{name}`"
                ))
                .about("version")
                .hint(format!("it has {}", row.versions.join(", "))))
            }
            _ => Ok(()),
        };
    }
    if rows.is_empty() {
        return Ok(());
    }
    let said =
        CallError::impossible(format!("the server at {server} has no extension `{name}`"))
            .about("name");
    let known = KNOWN.iter().find(|(word, ..)| word.eq_ignore_ascii_case(name));
    if let Some((_, real, image)) = known {
        let there = rows.iter().any(|row| row.name == *real);
        return Err(if there {
            said.hint(format!("it is called `{real}`"))
        } else if real == name {
            said.hint(format!("use an image that has it, such as `{image}`"))
        } else {
            said.hint(format!("it is called `{real}`, and an image that has it is `{image}`"))
        });
    }
    let near = near(name, rows.iter().map(|row| row.name.as_str()));
    Err(if near.is_empty() {
        said.hint("use an image that has it; `pg_available_extensions` lists what there is")
    } else {
        said.hint(format!("did you mean {}?", near.join(", ")))
    })
}

/// The names that contain the same word.
fn near<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let core = |text: &str| -> String {
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        plain.strip_prefix("pg").unwrap_or(&plain).to_owned()
    };
    let wanted = core(name);
    all.filter(|other| {
        let other = core(other);
        wanted.len() > 2 && (other.contains(&wanted) || wanted.contains(&other))
    })
    .map(|other| format!("`{other}`"))
    .collect()
}

async fn row(server: &Server, place: &Place) -> Result<Row, CallError> {
    let rows = rows(server, &place.database, vec![place.name.clone()]).await?;
    sql::still_there(rows, "extension", place)
}

const ROWS: &str = r#"select e.extname name, e.extversion "version", n.nspname "schema"
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname"#;

/// Asks about one extension.
fn question(place: &Place) -> String {
    format!("{ROWS} = {}", sql::text(&place.name))
}

async fn rows(
    server: &Server,
    database: &str,
    names: Vec<String>,
) -> Result<Vec<Row>, CallError> {
    let task = Task::new(format!("read extensions of database `{database}`"));
    server.rows(database, &format!("{ROWS} = any($1)"), &[names], &task).await
}

/// The extensions of a database that can be in no other schema. The server reads the files of
/// all extensions to tell.
async fn fixed(server: &Server, database: &str) -> Result<HashSet<String>, CallError> {
    #[derive(Deserialize)]
    struct Fixed {
        name: String,
    }
    let sql = r#"select e.extname name from pg_extension e
        join pg_available_extension_versions v
            on v.name = e.extname and v."version" = e.extversion
        where v."schema" is not null"#;
    let task = Task::new(format!("read extensions of database `{database}`"));
    let rows: Vec<Fixed> = server.rows(database, sql, &[], &task).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

fn found(row: &Row, place: Place, asked: &Spec) -> Found<Spec, Facts> {
    Found {
        id: place.id(),
        natural: row.name.clone(),
        spec: Spec {
            database: place.database,
            schema: asked.schema.as_ref().map(|_| row.schema.clone()),
            version: asked.version.as_ref().map(|_| row.version.clone()),
            cascade: asked.cascade,
        },
        facts: facts(row),
        owner: Owner::Unmarked,
    }
}

fn facts(row: &Row) -> Facts {
    Facts { installed_version: row.version.clone(), installed_schema: row.schema.clone() }
}
