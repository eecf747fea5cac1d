//! What most kinds have in common: found by one query per database, made, changed and dropped
//! by statements that can be told from two specs.

mod send;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::ready;
use std::marker::PhantomData;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Held, Listing, Migration, Moment, Name, Naming, Owner, Preview, Problem,
    Proposed, ReadResult, Resource, Script, Territory, Traits, Wanted,
};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use tokio_postgres::error::SqlState;

use self::send::send;
use super::error::Task;
use super::imported::Around;
pub use super::row::{Nothing, Row, Worded};
pub(super) use super::row::{Observed, comment_and_owner, keep_words, overlay};
use super::seen::Words;
use super::server::Server;
use super::version::{self, Since};
use super::{held, imported, names, review, row, sql};

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

    /// See [`Resource::traits`].
    fn traits() -> Traits;
    /// See [`Resource::normalize`].
    fn normalize(_spec: &mut Self::Spec) {}
    /// See [`Resource::check`].
    fn check(_spec: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }
    /// See [`Resource::check_named`].
    fn check_named(natural: &str, _spec: &Self::Spec) -> Vec<Problem> {
        let is_kept = Self::NAMES > 0;
        names::problem(natural, "name").filter(|_| is_kept).into_iter().collect()
    }
    /// See [`Resource::check_update`].
    fn check_update(_from: &Self::Spec, _to: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }
    /// See [`Resource::cautions`].
    fn cautions(_natural: &str, _from: Option<&Self::Spec>, _to: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }
    /// See [`Resource::migrates`].
    fn migrates(_from: &Self::Spec, _to: &Self::Spec) -> Migration {
        Migration::None
    }
    /// Why changes cannot be, as far as only the server knows: in the order of the changes.
    fn refusals(
        _server: &Server,
        proposed: &[Proposed<Self::Spec>],
    ) -> impl Future<Output = Result<Vec<Vec<Problem>>, CallError>> + Send {
        ready(Ok(proposed.iter().map(|_| Vec::new()).collect()))
    }
    /// See [`Resource::TERRITORIAL`].
    const TERRITORIAL: bool = false;
    /// See [`Resource::territory`].
    fn territory(_natural: &str, _spec: &Self::Spec) -> Vec<Territory> {
        Vec::new()
    }

    /// See [`Resource::makes`].
    fn makes(_from: Option<&Self::Spec>, _to: &Self::Spec) -> Vec<Vec<String>> {
        Vec::new()
    }
    /// See [`Resource::holds`].
    fn holds(_spec: &Self::Spec) -> bool {
        Self::traits().holds_data
    }

    /// What is stored in objects of one database, in the order of their keys: as relations have it.
    fn held(
        server: &Server,
        database: &str,
        keys: &[&Key],
    ) -> impl Future<Output = Vec<Result<Held, CallError>>> + Send {
        held::in_relations(server, database, keys)
    }

    /// The database it is in; `None` for what belongs to the whole server.
    fn database(spec: &Self::Spec) -> Option<&str>;
    /// The types that its statements name as the script does.
    fn types(_key: &[String], _spec: &Self::Spec) -> Vec<String> {
        Vec::new()
    }
    /// What identifies it there.
    fn key(natural: &str, spec: &Self::Spec) -> Vec<String>;
    /// Whether it is a relation: its key is the name of its schema and its own.
    const IS_RELATION: bool = false;
    /// How many parts of the key are names that the server keeps, the first ones.
    const NAMES: usize = usize::MAX;
    /// What it is, in words: "view `a` in schema `b`".
    fn describe(key: &[String]) -> String;
    /// Who may make and change it.
    const NEEDS: &'static str;
    /// What to do about an error of the server.
    fn hints() -> Vec<(SqlState, &'static str)> {
        Vec::new()
    }
    /// Whether it is an entry that is there in some form before anybody makes it, as the
    /// privileges of `PUBLIC` are: then making it is changing that form.
    fn is_entry(_spec: &Self::Spec) -> bool {
        false
    }
    /// What an entry like this is before anybody makes it, as far as that can be told without
    /// the server: for a script.
    fn built_in(_spec: &Self::Spec) -> Option<Self::Spec> {
        None
    }
    /// The oldest server that knows what a spec asks for, and what that is.
    fn since(_spec: &Self::Spec) -> Option<Since> {
        None
    }
    /// The same of a change of what is there already.
    fn since_change(_from: Option<&Self::Spec>, to: &Self::Spec) -> Option<Since> {
        Self::since(to)
    }
    /// Whether its statements refuse to stand in a transaction. Then they run one by one, and
    /// what a run that broke off has not done is done by the next.
    fn stands_alone(_spec: &Self::Spec) -> bool {
        false
    }
    /// What to run where one of these statements failed and the others stay, and what is true
    /// after it, in words.
    fn mend(_statements: &[String], _failed: usize) -> Option<(&str, &'static str)> {
        None
    }
    /// What a server shows not to be possible there, asked once per read and database when
    /// something is missing: gives the reason for one spec.
    const RULES: Option<&'static str> = None;
    /// Why an object cannot be made, by what [`RULES`](Self::RULES) gave.
    fn impossible(_natural: &str, _spec: &Self::Spec, _rules: &[Json]) -> Option<CallError> {
        None
    }

    /// The introspection query. Its parameters are lists of texts: the first parts of all
    /// keys, the second parts, and so on. It gives `key`, and the attributes and facts by
    /// their names; an attribute that it does not give is as it was asked for.
    fn query(server: &Server) -> String;
    /// Attributes that are not looked at when they are left out.
    const OPTIONAL: &'static [&'static str] = &["owner"];
    /// Attributes that the server keeps in words of its own, which are the fact `words`: as
    /// long as these are what they were when the object was last written, the attributes are
    /// what was written.
    const WORDS: &'static [&'static str] = &[];
    /// Those among them whose words it never changes by itself: they are compared to the letter.
    const TO_THE_LETTER: &'static [&'static str] = &[];
    /// Whether the server keeps something of it in words of its own.
    const WORDED: bool = !Self::WORDS.is_empty();
    /// What of it is kept so, in the words of a script and by the names in the fact `words`.
    fn words(spec: &Self::Spec) -> Words {
        row::words(Self::WORDS, spec)
    }
    /// What it is now, in the words of the script where the plan saw no difference: what the
    /// server makes of them may look like another thing, and nobody agreed to change that.
    fn as_planned(
        now: Self::Spec,
        from: &Self::Spec,
        to: &Self::Spec,
    ) -> Result<Self::Spec, CallError> {
        row::as_planned(Self::WORDS, now, from, to)
    }
    /// The object as it is, from its row; nothing when it does not exist.
    fn observe(row: Option<&Row>, wanted: &Wanted<Self::Spec>) -> Observed<Self> {
        row.map(|row| Ok((overlay::<Self>(row, wanted)?, row.facts(Self::WORDS)?))).transpose()
    }
    /// Whether [`Resource::list`] lists what there is.
    const LISTS: bool = true;
    /// What the key of one that exists tells of its spec.
    fn told(key: &[String]) -> Map<String, Json> {
        let traits = Self::traits();
        let places = traits.within.iter().filter(|name| **name != "database");
        let told = traits.identity.iter().filter(|_| traits.naming == Naming::Label);
        let parts = places.chain(told).zip(key).filter(|(_, part)| !part.is_empty());
        parts.map(|(name, part)| ((*name).to_owned(), Json::from(part.as_str()))).collect()
    }
    /// Takes out of the spec of one that exists what a script need not say.
    fn goes_without_saying(_spec: &mut Self::Spec, _around: &Around<'_>) {}

    /// The statements from one spec to another: `None` for what does not exist.
    fn statements(
        key: &[String],
        from: Option<&Self::Spec>,
        to: Option<&Self::Spec>,
    ) -> Vec<String>;
}

/// The resource of a kind of object.
pub struct Of<O>(PhantomData<fn() -> O>);

/// Where one object is.
pub(super) struct At {
    database: String,
    key: Key,
}

impl At {
    /// From the id it was made under, or else from what the script says.
    pub(super) fn of<O: Object>(
        server: &Server,
        id: Option<&str>,
        natural: &str,
        spec: &O::Spec,
    ) -> Self {
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
    pub(super) fn id<O: Object>(&self, spec: &O::Spec) -> String {
        let database = if O::database(spec).is_some() { self.database.as_str() } else { "" };
        let parts: Vec<_> =
            std::iter::once(database).chain(self.key.iter().map(String::as_str)).collect();
        sql::id(&parts)
    }

    /// The id of one that is called so, wherever that is.
    fn named<O: Object>(natural: &str, spec: &O::Spec) -> String {
        let database = O::database(spec).unwrap_or_default().to_owned();
        Self { database, key: O::key(natural, spec) }.id::<O>(spec)
    }

    fn task<O: Object>(&self, verb: &str, spec: &O::Spec) -> Task {
        let what = O::describe(&self.key);
        let place = match O::database(spec) {
            Some(_) => format!(" in database `{}`", self.database),
            None => String::new(),
        };
        let task = Task::new(format!("{verb} {what}{place}")).needs(O::NEEDS);
        O::hints().into_iter().fold(task, |task, (state, hint)| task.hint(state, hint))
    }
}

fn places<O: Object>(server: &Server, wanted: &[Wanted<O::Spec>]) -> Vec<At> {
    wanted
        .iter()
        .map(|item| At::of::<O>(server, item.id.as_deref(), &item.name.natural, &item.spec))
        .collect()
}

/// The keys wanted in each database.
fn by_database(places: &[At]) -> BTreeMap<&str, Vec<&Key>> {
    let mut keys: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for at in places {
        keys.entry(&at.database).or_default().push(&at.key);
    }
    keys
}

pub(super) async fn rows<O: Object>(
    server: &Server,
    database: &str,
    keys: &[&Key],
) -> Result<HashMap<Key, Row>, CallError> {
    let width = keys.first().map_or(0, |key| key.len());
    let column = |index: usize| -> Vec<String> {
        let distinct: BTreeSet<&String> = keys.iter().map(|key| &key[index]).collect();
        distinct.into_iter().cloned().collect()
    };
    let parameters: Vec<_> = (0..width).map(column).collect();
    let what = O::KIND.rsplit("::").next().unwrap_or_default().replace('_', " ");
    let task = Task::new(format!("read every {what} in database `{database}`"));
    let rows: Vec<Row> = server.rows(database, &O::query(server), &parameters, &task).await?;
    let schemas = server.schemas(database);
    Ok(rows.into_iter().map(|row| (row.key.clone(), row.seen_from(&schemas))).collect())
}

/// What the server says about what can be made in a database.
async fn rules<O: Object>(server: &Server, database: &str) -> Vec<Json> {
    let Some(query) = O::RULES else { return Vec::new() };
    let task = Task::new("ask what the server can do");
    // Where it cannot be asked, making will tell.
    server.rows(database, query, &[], &task).await.unwrap_or_default()
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
        O::observe(row.as_ref(), &wanted)
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
        let key = if O::IS_RELATION { O::key("", spec) } else { Vec::new() };
        let place = key.first().and_then(|schema| names::problem_of_place(schema));
        names::problems_in(spec).into_iter().chain(place).chain(O::check(spec)).collect()
    }

    fn check_named(natural: &str, spec: &O::Spec) -> Vec<Problem> {
        O::check_named(natural, spec)
    }

    fn check_update(from: &O::Spec, to: &O::Spec) -> Vec<Problem> {
        O::check_update(from, to)
    }

    fn cautions(natural: &str, from: Option<&O::Spec>, to: &O::Spec) -> Vec<Problem> {
        let traits = O::traits();
        let is_new = from.is_none() && traits.naming == Naming::Natural && O::NAMES > 0;
        let in_schema = traits.within.last() == Some(&"schema");
        let named = names::caution(natural, in_schema).filter(|_| is_new);
        named.into_iter().chain(O::cautions(natural, from, to)).collect()
    }

    fn migrates(from: &O::Spec, to: &O::Spec) -> Migration {
        O::migrates(from, to)
    }

    fn territory(natural: &str, spec: &O::Spec) -> Vec<Territory> {
        O::territory(natural, spec)
    }

    fn makes(from: Option<&O::Spec>, to: &O::Spec) -> Vec<Vec<String>> {
        O::makes(from, to)
    }

    fn id_of(name: &Name, spec: &O::Spec) -> Option<String> {
        Some(At::named::<O>(&name.natural, spec))
    }

    fn keeps_data(_: &O::Spec, _: Option<&O::Spec>) -> bool {
        !O::traits().holds_data
    }

    fn holds(spec: &O::Spec) -> bool {
        O::holds(spec)
    }

    async fn held(
        server: &Server,
        wanted: &[Wanted<O::Spec>],
        _: Moment,
    ) -> Vec<Result<Held, CallError>> {
        let places = places::<O>(server, wanted);
        let mut answers: HashMap<(&str, &Key), Result<Held, CallError>> = HashMap::new();
        for (database, keys) in by_database(&places) {
            let held = O::held(server, database, &keys).await;
            answers.extend(keys.into_iter().map(|key| (database, key)).zip(held));
        }
        places.iter().map(|at| answers[&(at.database.as_str(), &at.key)].clone()).collect()
    }

    fn script(name: &Name, from: Option<&O::Spec>, to: Option<&O::Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let built_in = match (from, to) {
            (None, Some(to)) => O::built_in(to),
            _ => None,
        };
        let from = from.or(built_in.as_ref());
        let mut statements = O::statements(&O::key(&name.natural, spec), from, to);
        if !O::stands_alone(spec) {
            statements = review::whole(statements);
        }
        Some(review::script(name, O::database(spec), statements))
    }

    const PREVIEWS: bool = true;

    // What is missing is told when it is looked for.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<O::Spec>],
    ) -> Result<Vec<Preview>, CallError> {
        let refused = O::refusals(server, proposed).await?;
        let look = |(one, refused): (&Proposed<O::Spec>, Vec<Problem>)| {
            let since = O::since_change(one.from.as_ref(), &one.to);
            let mut found = version::preview(server, since);
            found.problems.extend(refused);
            found
        };
        Ok(proposed.iter().zip(refused).map(look).collect())
    }

    async fn read(server: &Server, wanted: &[Wanted<O::Spec>]) -> Vec<ReadResult<Self>> {
        let places = places::<O>(server, wanted);
        // Asked for before the stream exists: a closure inside of it would not be `Send`.
        let asked: Vec<_> = by_database(&places)
            .into_iter()
            .map(|(database, keys)| async move {
                (database, rows::<O>(server, database, &keys).await)
            })
            .collect();
        let answers: HashMap<&str, _> =
            futures::stream::iter(asked).buffer_unordered(sql::DATABASES).collect().await;
        let mut results = Vec::with_capacity(wanted.len());
        // What the server can do, asked once for each database that misses something.
        let mut known: HashMap<&str, Vec<Json>> = HashMap::new();
        for (at, wanted) in places.iter().zip(wanted) {
            let database = at.database.as_str();
            let rows = match &answers[database] {
                Ok(rows) => rows,
                Err(error) => {
                    results.push(Err(error.clone()));
                    continue;
                }
            };
            let found = O::observe(rows.get(&at.key), wanted);
            if O::RULES.is_some() && matches!(found, Ok(None)) && !known.contains_key(database)
            {
                known.insert(database, rules::<O>(server, database).await);
            }
            if O::WORDED
                && let Ok(Some((_, facts))) = &found
            {
                server.seen.note(O::KIND, &at.id::<O>(&wanted.spec), facts);
            }
            let rules = known.get(database).map_or(&[][..], Vec::as_slice);
            results.push(answer::<O>(server, at, wanted, found, rules));
        }
        results
    }

    const LISTS: bool = O::LISTS;

    async fn list(server: &Server) -> Result<Listing<O::Spec, O::Facts>, CallError> {
        imported::list::<O>(server).await
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: O::Spec,
    ) -> Result<Created<O::Facts>, CallError> {
        version::expect(server, O::since(&spec))?;
        let at = At::of::<O>(server, None, &name.natural, &spec);
        let rules = rules::<O>(server, &at.database).await;
        if let Some(error) = O::impossible(&name.natural, &spec, &rules) {
            return Err(error);
        }
        at.key
            .iter()
            .take(O::NAMES)
            .filter(|part| !part.is_empty())
            .try_for_each(|part| names::expect(part))?;
        let from = if O::is_entry(&spec) {
            Self::now(server, &at, name, None, &spec).await?.map(|(spec, _)| spec)
        } else {
            None
        };
        let statements = O::statements(&at.key, from.as_ref(), Some(&spec));
        let task = at.task::<O>("create", &spec);
        send::<O>(server, &at, statements, &spec, &task).await?;
        let (_, facts) = Self::expect_now(server, &at, name, &spec).await?;
        let id = at.id::<O>(&spec);
        if O::WORDED {
            server.seen.note(O::KIND, &id, &facts);
        }
        Ok(Created { id, facts })
    }

    async fn update(
        server: &Server,
        name: &Name,
        id: &str,
        from: O::Spec,
        to: O::Spec,
    ) -> Result<O::Facts, CallError> {
        version::expect(server, O::since(&to))?;
        let at = At::of::<O>(server, Some(id), &name.natural, &to);
        // What it is now counts, not what it was when the plan was made.
        let (current, before) = Self::expect_now(server, &at, name, &to).await?;
        version::expect(server, O::since_change(Some(&current), &to))?;
        let current = O::as_planned(current, &from, &to)?;
        let statements = O::statements(&at.key, Some(&current), Some(&to));
        let task = at.task::<O>("change", &to);
        send::<O>(server, &at, statements, &to, &task).await?;
        let (_, facts) = Self::expect_now(server, &at, name, &to).await?;
        if !O::WORDED {
            return Ok(facts);
        }
        let id = at.id::<O>(&to);
        let planned = (&O::words(&from), &O::words(&to));
        let facts = server.seen.told((O::KIND, id.as_str()), planned, &before, facts)?;
        server.seen.note(O::KIND, &id, &facts);
        Ok(facts)
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
        if O::stands_alone(&spec) {
            // The database is there: something in it was found just now.
            return send::<O>(server, &at, statements, &spec, &task).await;
        }
        let statements = send::in_front::<O>(&at, &spec, statements);
        server.remove(&at.database, &statements, &task).await
    }
}

/// The answer about one object, from what was observed.
fn answer<O: Object>(
    server: &Server,
    at: &At,
    wanted: &Wanted<O::Spec>,
    found: Observed<O>,
    rules: &[Json],
) -> ReadResult<Of<O>> {
    let Some((spec, facts)) = found? else {
        version::expect(server, O::since(&wanted.spec))?;
        if wanted.id.is_none()
            && let Some(error) = O::impossible(&wanted.name.natural, &wanted.spec, rules)
        {
            return Err(error);
        }
        return Ok(None);
    };
    let ours = O::is_entry(&wanted.spec);
    Ok(Some(Found {
        id: at.id::<O>(&wanted.spec),
        natural: wanted.name.natural.clone(),
        spec,
        facts,
        owner: if ours { Owner::Ours } else { Owner::Unmarked },
    }))
}
