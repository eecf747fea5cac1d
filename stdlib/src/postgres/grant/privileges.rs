//! `postgres::privileges`: what everybody may do with something, and nobody else.
//!
//! Catalogs: those of `postgres::grant`, from which it differs in whom it speaks of.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Naming, Owner, Preview, Problem, Proposed, ReadResult, Resource,
    Script, Territory, Traits, Wanted,
};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::server::Server;
use super::super::{instead, review, sql, version};
use super::acl::{Owned, Snapshot, Whose};
use super::give::Wish;
use super::{
    Facts, Grant, OUTLINE, On, PUBLIC, Spec as One, ground, normalize_grantee, outline,
};

/// All privileges on something: those of the roles that are listed, and none of anybody else,
/// `PUBLIC` among them. The owner has what owners have, unless it is listed. What a role may do
/// with single columns is not looked at: a `postgres::grant` with `columns` says that, beside
/// this one.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database: the target itself, or the one the target is in; for tablespaces and
    /// parameters any.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// What kind of thing it is about.
    #[schemars(extend("x-replace" = true))]
    pub on: On,
    /// The schema: the target itself, or the one the tables, sequences, functions, procedures,
    /// routines or types are in.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::schema", "x-replace" = true))]
    pub schema: Option<String>,
    /// Names of tables (views count as tables), sequences, functions (all that share the
    /// name) and so on; all that exist in the schema when empty.
    #[serde(default)]
    #[schemars(extend("x-handle" = [
        "postgres::table", "postgres::view", "postgres::foreign_table", "postgres::sequence",
        "postgres::function", "postgres::enum", "postgres::domain", "postgres::fdw_server",
        "postgres::tablespace", "postgres::setting",
    ]))]
    pub objects: Vec<String>,
    /// Who may do what: `[#{ role: app, privileges: ["SELECT"] }, ..]`; empty for nobody.
    pub grants: Vec<Entry>,
}

/// What one role may do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The role, or `PUBLIC` for everybody.
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub role: String,
    /// The privileges: `["SELECT", "INSERT"]`, or `["ALL"]`.
    pub privileges: Vec<String>,
    /// Whether the role may pass the privileges on.
    #[serde(default)]
    pub with_grant_option: bool,
}

impl Spec {
    /// What one role shall be able to do.
    fn one(&self, entry: &Entry) -> One {
        One {
            database: self.database.clone(),
            role: entry.role.clone(),
            on: self.on,
            schema: self.schema.clone(),
            objects: self.objects.clone(),
            columns: Vec::new(),
            privileges: entry.privileges.clone(),
            with_grant_option: entry.with_grant_option,
        }
    }

    /// The same for a role that shall be able to do nothing.
    fn nothing(&self, role: &str) -> One {
        let (role, privileges) = (role.to_owned(), Vec::new());
        self.one(&Entry { role, privileges, with_grant_option: false })
    }

    /// What each role that is listed shall be able to do.
    fn listed(&self) -> Vec<One> {
        self.grants.iter().map(|entry| self.one(entry)).collect()
    }

    /// What it is about, whoever it is that may do something with it.
    fn targets(&self) -> One {
        self.nothing(PUBLIC)
    }

    /// What has to be asked about.
    fn spoken_of(&self) -> Vec<One> {
        self.listed().into_iter().chain([self.targets()]).collect()
    }

    /// What one role that is listed shall be able to do.
    fn entry(&self, role: &str) -> Option<&Entry> {
        self.grants.iter().find(|entry| entry.role == role)
    }

    /// Who has something there and is not listed. What somebody has as the owner of something
    /// is nobody's gift.
    fn strangers(&self, snapshot: &Snapshot) -> Vec<One> {
        let there = snapshot.grantees(&self.targets()).into_iter();
        let strangers = there.filter(|role| self.entry(role).is_none());
        strangers.map(|role| self.nothing(&role)).collect()
    }

    /// What is to come true so that everybody has what is listed, and nobody anything else.
    fn wishes(&self, from: Option<&Self>, snapshot: &Snapshot) -> Vec<Wish> {
        let was = |role: &str| from.filter(|from| from.entry(role).is_some());
        // What somebody must not keep where nobody speaks of it any more.
        let left = |role: &str| -> Vec<One> {
            let other = was(role).filter(|from| from.objects != self.objects);
            other.map(|from| from.nothing(role)).into_iter().collect()
        };
        let wish = |one: One, owned: Owned| {
            let left = left(&one.role);
            Wish::grant(one, owned, left)
        };
        let listed = self.listed().into_iter().map(|one| wish(one, Owned::LikeOthers));
        // An owner that was listed may have less than owners have.
        let strangers = self.strangers(snapshot);
        let known: BTreeSet<&str> = strangers.iter().map(|one| one.role.as_str()).collect();
        let gone = from.into_iter().flat_map(|from| &from.grants).map(|entry| &entry.role);
        let gone = gone.filter(|role| {
            self.entry(role).is_none()
                && !known.contains(role.as_str())
                && snapshot.has_role(role)
        });
        let gone: Vec<_> = gone.map(|role| self.nothing(role)).collect();
        let others = gone.into_iter().chain(strangers.iter().cloned()).map(|one| {
            let owned = if was(&one.role).is_some() { Owned::Whole } else { Owned::Spared };
            wish(one, owned)
        });
        listed.chain(others).collect()
    }
}

/// The privileges of everybody, in each database that some speak of.
async fn snapshots(
    server: &Server,
    specs: &[&Spec],
) -> BTreeMap<String, Result<Snapshot, CallError>> {
    let mut asked: BTreeMap<String, Vec<One>> = BTreeMap::new();
    for spec in specs {
        asked.entry(spec.database.clone()).or_default().extend(spec.spoken_of());
    }
    // Asked for before the stream exists: a closure inside of it would not be `Send`.
    let asked: Vec<_> = asked
        .into_iter()
        .map(|(database, specs)| async move {
            let specs: Vec<&One> = specs.iter().collect();
            let snapshot = Snapshot::read(server, &database, &specs, Whose::Everybodys).await;
            (database, snapshot)
        })
        .collect();
    futures::stream::iter(asked).buffer_unordered(sql::DATABASES).collect().await
}

/// The kind.
pub struct Privileges;

impl Resource for Privileges {
    const KIND: &'static str = "postgres::privileges";
    const TERRITORIAL: bool = true;
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &["database"],
            identity: &["on", "schema", "objects"],
            instead: instead::PRIVILEGES,
            ..Traits::default()
        }
    }

    fn territory(_: &str, spec: &Spec) -> Vec<Territory> {
        let listed = spec.listed();
        let of_roles = listed.iter().flat_map(ground::of_role);
        // Nobody else may give something away there, whoever gets it.
        of_roles.chain(ground::of_everybody(&spec.targets(), None)).collect()
    }

    fn covers(spec: &Spec) -> Option<Vec<String>> {
        super::covers(&spec.database, spec.schema.as_deref()?, spec.on, &spec.objects)
    }

    fn id_of(name: &Name, spec: &Spec) -> Option<String> {
        Some(id(name, spec))
    }

    fn normalize(spec: &mut Spec) {
        let mut targets = spec.targets();
        Grant::normalize(&mut targets);
        spec.objects = targets.objects;
        for entry in &mut spec.grants {
            normalize_grantee(&mut entry.role);
            super::expand(spec.on.all(), &mut entry.privileges);
        }
        spec.grants.sort();
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = Grant::check(&spec.nothing("nobody"));
        for (at, entry) in spec.grants.iter().enumerate() {
            let of_one = Grant::check(&spec.one(entry));
            let told: Vec<_> = problems.iter().map(|known| known.message.clone()).collect();
            let new = of_one.into_iter().filter(|found| !told.contains(&found.message));
            problems
                .extend(new.map(|found| Problem { attribute: "grants".to_owned(), ..found }));
            if spec.grants[..at].iter().any(|other| other.role == entry.role) {
                problems.push(Problem {
                    attribute: "grants".to_owned(),
                    message: format!("role `{}` is listed twice", entry.role),
                    hint: Some("say all it may do in one entry".to_owned()),
                });
            }
        }
        problems
    }

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let roles: BTreeSet<&str> = [from, to]
            .into_iter()
            .flatten()
            .flat_map(|spec| spec.grants.iter().map(|entry| entry.role.as_str()))
            .collect();
        let of = |spec: Option<&Spec>, role: &str| {
            let entry = spec?.grants.iter().find(|entry| entry.role == role)?;
            Some(spec?.one(entry))
        };
        let outlines = roles
            .iter()
            .flat_map(|role| outline::outline(of(from, role).as_ref(), of(to, role).as_ref()));
        let mut statements = review::whole(outlines.collect());
        statements.insert(0, OUTLINE.to_owned());
        if to.is_some() {
            statements.push("-- and whoever else has privileges there loses them".to_owned());
        }
        Some(review::script(name, Some(&spec.database), statements))
    }

    const PREVIEWS: bool = true;

    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
    ) -> Result<Vec<Preview>, CallError> {
        let specs: Vec<&Spec> =
            proposed.iter().flat_map(|one| one.from.iter().chain([&one.to])).collect();
        let mut snapshots = snapshots(server, &specs).await;
        let preview = |one: &Proposed<Spec>| {
            let Proposed { name, from, to, .. } = one;
            let since = to.listed().iter().find_map(One::since);
            let found = version::preview(server, since);
            let snapshot = match snapshots.get_mut(&to.database) {
                Some(Ok(snapshot)) => snapshot,
                // What could not be read is said once, by the first that needs it.
                Some(Err(error)) if !error.message.is_empty() => {
                    let message = std::mem::take(&mut error.message);
                    let note = format!("what is sent for it could not be asked: {message}");
                    return Preview { notes: vec![note], ..found };
                }
                _ => return found,
            };
            let wishes = to.wishes(from.as_ref(), snapshot);
            let targets = snapshot.expect_target(server, &to.targets());
            let statements: Result<Vec<_>, _> =
                wishes.iter().map(|wish| wish.statements(server, snapshot)).collect();
            let Ok(statements) = targets.and(statements) else { return found };
            if !found.problems.is_empty() {
                return found;
            }
            let mut statements = review::whole(statements.into_iter().flatten().collect());
            if to.objects.is_empty() && to.on.is_in_schema() {
                let on = to.on.word();
                statements.push(format!("-- and the same on {on} made there before this runs"));
            }
            let script = review::script(name, Some(&to.database), statements);
            Preview { script: Some(script), ..Preview::default() }
        };
        Ok(proposed.iter().map(preview).collect())
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let specs: Vec<&Spec> = wanted.iter().map(|wanted| &wanted.spec).collect();
        let snapshots = snapshots(server, &specs).await;
        wanted
            .iter()
            .map(|wanted| match &snapshots[&wanted.spec.database] {
                Ok(snapshot) => observed(server, snapshot, wanted),
                Err(error) => Err(error.clone()),
            })
            .collect()
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        let id = id(name, &spec);
        bring_to(server, None, &spec).await?;
        Ok(Created { id, facts: Facts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        _: &str,
        from: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        bring_to(server, Some(&from), &to).await?;
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, _: &str, spec: Spec) -> Result<(), CallError> {
        let wishes = spec.listed().into_iter().map(Wish::revoke).collect();
        fulfil(server, wishes).await
    }
}

/// Grants and revokes until everybody has what is listed. All of it is one transaction, unless
/// a part of it fails.
async fn bring_to(server: &Server, from: Option<&Spec>, to: &Spec) -> Result<(), CallError> {
    for one in to.listed() {
        version::expect(server, one.since())?;
    }
    let specs: Vec<One> = from.into_iter().chain([to]).flat_map(Spec::spoken_of).collect();
    let specs: Vec<&One> = specs.iter().collect();
    let snapshot = Snapshot::read(server, &to.database, &specs, Whose::Everybodys).await?;
    // Where nobody has or gets anything, nothing else would tell.
    snapshot.expect_target(server, &to.targets())?;
    fulfil(server, to.wishes(from, &snapshot)).await
}

async fn fulfil(server: &Server, wishes: Vec<Wish>) -> Result<(), CallError> {
    let asked = wishes.into_iter().map(|wish| server.privileges.fulfil(server, wish));
    let asked: Vec<_> = asked.collect();
    futures::future::join_all(asked).await.into_iter().collect()
}

fn observed(
    server: &Server,
    snapshot: &Snapshot,
    wanted: &Wanted<Spec>,
) -> ReadResult<Privileges> {
    let spec = &wanted.spec;
    if !snapshot.has_target(&spec.targets()) {
        let since = spec.listed().iter().find_map(One::since);
        version::expect(server, since)?;
        snapshot.expect_settings(server, &spec.targets())?;
        // No table yet: there is nothing to grant, so nothing is missing.
        let empty = wanted.id.is_some()
            && spec.objects.is_empty()
            && snapshot.has_place(&spec.targets());
        return Ok(empty.then(|| found(wanted, spec.clone())));
    }
    let listed = spec.listed().into_iter().map(|one| (one, Owned::LikeOthers));
    let strangers = spec.strangers(snapshot).into_iter().map(|one| (one, Owned::Spared));
    let entries = listed.chain(strangers).filter_map(|(one, owned)| {
        let seen = snapshot.observe(&one, true, owned)?;
        // A role that is listed with nothing has nothing; a stranger with nothing is none.
        Some(Entry {
            role: seen.role,
            privileges: seen.privileges,
            with_grant_option: seen.with_grant_option,
        })
    });
    let mut seen = Spec { grants: entries.collect(), ..spec.clone() };
    let targets = spec.targets();
    let there = snapshot.named(&targets);
    seen.objects.retain(|object| there.contains(object));
    Privileges::normalize(&mut seen);
    let asked = spec.grants.iter().any(|entry| !entry.privileges.is_empty());
    let holds = seen.grants.iter().any(|entry| {
        let listed = spec.grants.iter().find(|listed| listed.role == entry.role);
        listed.is_some_and(|_| !entry.privileges.is_empty())
    });
    let is_same = seen.grants == spec.grants && seen.objects == spec.objects;
    // Before it is made there are privileges of some sort; once nobody has what was given, it
    // is gone.
    let is_there = if wanted.id.is_some() { holds || !asked } else { is_same };
    Ok(is_there.then(|| found(wanted, seen)))
}

fn found(wanted: &Wanted<Spec>, spec: Spec) -> Found<Spec, Facts> {
    Found {
        id: wanted.id.clone().unwrap_or_else(|| id(&wanted.name, &wanted.spec)),
        natural: wanted.name.natural.clone(),
        spec,
        facts: Facts {},
        // What is as it shall be needs nobody's leave.
        owner: Owner::Ours,
    }
}

fn id(name: &Name, spec: &Spec) -> String {
    let schema = spec.schema.as_deref().unwrap_or_default();
    let label = name.address.to_string();
    sql::id(&[&spec.database, spec.on.word(), schema, &label])
}
