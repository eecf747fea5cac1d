//! What most kinds have in common: found by one query per database, made, changed and dropped
//! by statements that can be told from two specs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::marker::PhantomData;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Script, Territory, Traits,
    Wanted,
};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Task;
use super::server::{Lane, Server};
use super::sql;

/// What identifies an object in its database: `[schema, name]`, say.
pub(super) type Key = Vec<String>;

/// A kind of object, by what sets it apart from others.
pub trait Object: Send + Sync + 'static {
    /// The name in scripts.
    const KIND: &'static str;
    /// What users set.
    type Spec: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// What the server reports.
    type Facts: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// A row of the introspection query.
    type Row: DeserializeOwned + Send + Sync;

    /// See [`Resource::traits`].
    fn traits() -> Traits;
    /// See [`Resource::normalize`].
    fn normalize(_spec: &mut Self::Spec) {}
    /// See [`Resource::check`].
    fn check(_spec: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }
    /// See [`Resource::check_update`].
    fn check_update(_from: &Self::Spec, _to: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }
    /// See [`Resource::TERRITORIAL`].
    const TERRITORIAL: bool = false;
    /// See [`Resource::territory`].
    fn territory(_natural: &str, _spec: &Self::Spec) -> Vec<Territory> {
        Vec::new()
    }

    /// The database it is in; `None` for what belongs to the whole server.
    fn database(spec: &Self::Spec) -> Option<&str>;
    /// What identifies it there.
    fn key(natural: &str, spec: &Self::Spec) -> Vec<String>;
    /// What it is, in words: "view `a` in schema `b`".
    fn describe(key: &[String]) -> String;
    /// Who may make and change it.
    const NEEDS: &'static str;
    /// Whether it is an entry that is there in some form before anybody makes it, as the
    /// privileges of `PUBLIC` are: then making it is changing that form.
    fn is_entry(_spec: &Self::Spec) -> bool {
        false
    }
    /// The oldest server that knows what a spec asks for, and what that is.
    fn since(_spec: &Self::Spec) -> Option<(u32, &'static str)> {
        None
    }

    /// The introspection query. Its parameters are lists of texts: the first parts of all
    /// keys, the second parts, and so on.
    fn query(server: &Server) -> String;
    /// The key of a row.
    fn row_key(row: &Self::Row) -> Vec<String>;
    /// The object as it is, from its row; nothing when it does not exist.
    fn observe(
        row: Option<&Self::Row>,
        wanted: &Wanted<Self::Spec>,
    ) -> Option<(Self::Spec, Self::Facts)>;
    /// The statements from one spec to another: `None` for what does not exist.
    fn statements(
        key: &[String],
        from: Option<&Self::Spec>,
        to: Option<&Self::Spec>,
    ) -> Vec<String>;
}

/// Brings comment and owner of `what` (`VIEW "s"."v"`) from one state to another. An owner
/// that is not asked for stays.
pub(super) fn comment_and_owner(
    what: &str,
    from: (Option<String>, Option<String>),
    to: (Option<String>, Option<String>),
) -> Vec<String> {
    let comment = (from.0 != to.0)
        .then(|| format!("COMMENT ON {what} IS {}", sql::text_or_null(to.0.as_deref())));
    let owner =
        to.1.filter(|new| from.1.as_ref() != Some(new))
            .map(|new| format!("ALTER {what} OWNER TO {}", sql::name(&new)));
    comment.into_iter().chain(owner).collect()
}

/// Whether a fact is as it was when the object was last written: then what was written is what
/// it means, whatever words the server has for it.
pub(super) fn as_recorded<S>(wanted: &Wanted<S>, fact: &str, now: &str) -> bool {
    let recorded = wanted.facts.as_ref().and_then(|facts| facts.get(fact));
    recorded.and_then(serde_json::Value::as_str) == Some(now)
}

/// The resource of a kind of object.
pub struct Of<O>(PhantomData<fn() -> O>);

/// Where one object is.
struct At {
    database: String,
    key: Key,
}

impl At {
    /// From the id it was made under, or else from what the script says.
    fn of<O: Object>(server: &Server, id: Option<&str>, natural: &str, spec: &O::Spec) -> Self {
        let parts = id.and_then(|id| serde_json::from_str::<Vec<String>>(id).ok());
        if let Some((database, key)) = parts.as_ref().and_then(|parts| parts.split_first()) {
            let global = O::database(spec).is_none();
            let database = if global { server.database() } else { database };
            return Self { database: database.to_owned(), key: key.to_vec() };
        }
        let database = O::database(spec).unwrap_or_else(|| server.database()).to_owned();
        Self { database, key: O::key(natural, spec) }
    }

    /// The same id whichever database is connected to for what belongs to the whole server.
    fn id<O: Object>(&self, spec: &O::Spec) -> String {
        let database = if O::database(spec).is_some() { self.database.as_str() } else { "" };
        let parts: Vec<_> =
            std::iter::once(database).chain(self.key.iter().map(String::as_str)).collect();
        sql::id(&parts)
    }

    fn task<O: Object>(&self, verb: &str, spec: &O::Spec) -> Task {
        let what = O::describe(&self.key);
        let place = match O::database(spec) {
            Some(_) => format!(" in database `{}`", self.database),
            None => String::new(),
        };
        Task::new(format!("{verb} {what}{place}")).needs(O::NEEDS)
    }
}

/// Refuses what the server is too old for.
fn expect_version<O: Object>(server: &Server, spec: &O::Spec) -> Result<(), CallError> {
    match O::since(spec) {
        Some((version, what)) if server.version < version * 10_000 => {
            Err(CallError::impossible(format!(
                "{what} needs PostgreSQL {version}; the server at {} is version {}",
                server.address(),
                server.version / 10_000
            )))
        }
        _ => Ok(()),
    }
}

async fn rows<O: Object>(
    server: &Server,
    database: &str,
    keys: &[&Key],
) -> Result<HashMap<Key, O::Row>, CallError> {
    let width = keys.first().map_or(0, |key| key.len());
    let column = |index: usize| -> Vec<String> {
        let distinct: BTreeSet<&String> = keys.iter().map(|key| &key[index]).collect();
        distinct.into_iter().cloned().collect()
    };
    let parameters: Vec<_> = (0..width).map(column).collect();
    let what = O::KIND.rsplit("::").next().unwrap_or_default().replace('_', " ");
    let task = Task::new(format!("read every {what} in database `{database}`"));
    let rows: Vec<O::Row> =
        server.rows(database, &O::query(server), &parameters, &task).await?;
    Ok(rows.into_iter().map(|row| (O::row_key(&row), row)).collect())
}

impl<O: Object> Of<O> {
    /// The object as it is now.
    async fn now(
        server: &Server,
        at: &At,
        name: &Name,
        id: Option<String>,
        spec: &O::Spec,
    ) -> Result<Option<(O::Spec, O::Facts)>, CallError> {
        let mut rows = rows::<O>(server, &at.database, &[&at.key]).await?;
        let row = rows.remove(&at.key);
        let wanted = Wanted { id, name: name.clone(), spec: spec.clone(), facts: None };
        Ok(O::observe(row.as_ref(), &wanted))
    }

    async fn expect_now(
        server: &Server,
        at: &At,
        name: &Name,
        spec: &O::Spec,
    ) -> Result<(O::Spec, O::Facts), CallError> {
        let id = Some(at.id::<O>(spec));
        Self::now(server, at, name, id, spec).await?.ok_or_else(|| {
            let what = O::describe(&at.key);
            CallError::refused(format!("{what} is not at {} any more", server.address()))
                .hint("plan again")
        })
    }
}

impl<O: Object> Resource for Of<O> {
    const KIND: &'static str = O::KIND;
    const TERRITORIAL: bool = O::TERRITORIAL;
    type Connection = Server;
    type Spec = O::Spec;
    type Facts = O::Facts;

    fn traits() -> Traits {
        O::traits()
    }

    fn normalize(spec: &mut O::Spec) {
        O::normalize(spec);
    }

    fn check(spec: &O::Spec) -> Vec<Problem> {
        O::check(spec)
    }

    fn check_update(from: &O::Spec, to: &O::Spec) -> Vec<Problem> {
        O::check_update(from, to)
    }

    fn territory(natural: &str, spec: &O::Spec) -> Vec<Territory> {
        O::territory(natural, spec)
    }

    fn script(name: &Name, from: Option<&O::Spec>, to: Option<&O::Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let statements = O::statements(&O::key(&name.natural, spec), from, to);
        Some(Script { place: sql::place(O::database(spec)), statements })
    }

    async fn read(server: &Server, wanted: &[Wanted<O::Spec>]) -> Vec<ReadResult<Self>> {
        let places: Vec<_> = wanted
            .iter()
            .map(|item| At::of::<O>(server, item.id.as_deref(), &item.name.natural, &item.spec))
            .collect();
        let mut keys: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
        for at in &places {
            keys.entry(&at.database).or_default().push(&at.key);
        }
        // Asked for before the stream exists: a closure inside of it would not be `Send`.
        let asked: Vec<_> = keys
            .into_iter()
            .map(|(database, keys)| async move {
                (database, rows::<O>(server, database, &keys).await)
            })
            .collect();
        let answers: HashMap<&str, _> =
            futures::stream::iter(asked).buffer_unordered(sql::DATABASES).collect().await;
        let answer =
            |(at, wanted): (&At, &Wanted<O::Spec>)| match &answers[at.database.as_str()] {
                Err(error) => Err(error.clone()),
                Ok(rows) => {
                    let found = O::observe(rows.get(&at.key), wanted);
                    if found.is_none() {
                        expect_version::<O>(server, &wanted.spec)?;
                    }
                    Ok(found.map(|(spec, facts)| Found {
                        id: at.id::<O>(&wanted.spec),
                        natural: wanted.name.natural.clone(),
                        spec,
                        facts,
                        owner: if O::is_entry(&wanted.spec) {
                            Owner::Ours
                        } else {
                            Owner::Unmarked
                        },
                    }))
                }
            };
        places.iter().zip(wanted).map(answer).collect()
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: O::Spec,
    ) -> Result<Created<O::Facts>, CallError> {
        expect_version::<O>(server, &spec)?;
        let at = At::of::<O>(server, None, &name.natural, &spec);
        at.key
            .iter()
            .filter(|part| !part.is_empty())
            .try_for_each(|part| sql::check_name(part))?;
        let from = if O::is_entry(&spec) {
            Self::now(server, &at, name, None, &spec).await?.map(|(spec, _)| spec)
        } else {
            None
        };
        let statements = O::statements(&at.key, from.as_ref(), Some(&spec));
        let task = at.task::<O>("create", &spec);
        server.write(&at.database, Lane::Short, &statements, &task).await?;
        let (_, facts) = Self::expect_now(server, &at, name, &spec).await?;
        Ok(Created { id: at.id::<O>(&spec), facts })
    }

    async fn update(
        server: &Server,
        name: &Name,
        id: &str,
        _: O::Spec,
        to: O::Spec,
    ) -> Result<O::Facts, CallError> {
        expect_version::<O>(server, &to)?;
        let at = At::of::<O>(server, Some(id), &name.natural, &to);
        // What it is now counts, not what it was when the plan was made.
        let (current, _) = Self::expect_now(server, &at, name, &to).await?;
        let statements = O::statements(&at.key, Some(&current), Some(&to));
        let task = at.task::<O>("change", &to);
        server.write(&at.database, Lane::Short, &statements, &task).await?;
        Ok(Self::expect_now(server, &at, name, &to).await?.1)
    }

    async fn delete(
        server: &Server,
        name: &Name,
        id: &str,
        spec: O::Spec,
    ) -> Result<(), CallError> {
        let at = At::of::<O>(server, Some(id), &name.natural, &spec);
        let found = Self::now(server, &at, name, Some(id.to_owned()), &spec).await?;
        let Some((current, _)) = found else { return Ok(()) };
        let statements = O::statements(&at.key, Some(&current), None);
        let task = at.task::<O>("drop", &spec);
        server.remove(&at.database, &statements, &task).await
    }
}
