//! `postgres::privileges`: what everybody may do with something, and nobody else.
//!
//! Catalogs: those of `postgres::grant`, from which it differs in whom it speaks of.

use std::collections::BTreeSet;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Naming, Owner, Preview, Problem, Proposed, ReadResult, Resource,
    Script, Territory, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::server::Server;
use super::super::version;
use super::super::{review, sql};
use super::acl::{self, Snapshot, Whose};
use super::give::Wish;
use super::{Facts, Grant, OUTLINE, On, Spec as One, ground, normalize_grantee};

/// All privileges on something: those of the roles that are listed, and none of anybody else,
/// `PUBLIC` among them. The owner has what owners have, unless it is listed. What a role may do
/// with single columns is not looked at.
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
        self.nothing("")
    }

    /// The privileges of everybody there.
    async fn snapshot(&self, server: &Server) -> Result<Snapshot, CallError> {
        let (listed, targets) = (self.listed(), self.targets());
        let specs: Vec<&One> = listed.iter().chain([&targets]).collect();
        Snapshot::read(server, &self.database, &specs, Whose::Everybodys).await
    }

    /// What everybody shall be able to do: those who are listed, and strangers, who shall not.
    fn all(&self, snapshot: &Snapshot) -> Vec<One> {
        let known: BTreeSet<&str> =
            self.grants.iter().map(|entry| entry.role.as_str()).collect();
        let targets = self.targets();
        let strangers = snapshot.grantees(&targets).into_iter();
        let strangers = strangers.filter(|role| !known.contains(role.as_str()));
        self.listed().into_iter().chain(strangers.map(|role| self.nothing(&role))).collect()
    }
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
            ..Traits::default()
        }
    }

    fn territory(_: &str, spec: &Spec) -> Vec<Territory> {
        let listed = spec.listed();
        let of_roles = listed.iter().flat_map(ground::of_role);
        // Nobody else may give something away there, whoever gets it.
        of_roles.chain(ground::of_everybody(&spec.targets(), None)).collect()
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
            .flat_map(|role| acl::outline(of(from, role).as_ref(), of(to, role).as_ref()));
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
        let mut previews = Vec::with_capacity(proposed.len());
        for Proposed { name, from, to, .. } in proposed {
            let since = to.listed().iter().find_map(One::since);
            let found = version::preview(server, since);
            let snapshot = to.snapshot(server).await?;
            let missing =
                to.listed().iter().any(|one| snapshot.expect_target(server, one).is_err());
            if !found.problems.is_empty() || missing || !snapshot.has_target(&to.targets()) {
                previews.push(found);
                continue;
            }
            let wishes = to.all(&snapshot);
            let left =
                |role: &str| from.as_ref().map_or_else(Vec::new, |from| left(from, to, role));
            let statements: Vec<_> = wishes
                .iter()
                .flat_map(|one| snapshot.statements(one, &left(&one.role)))
                .collect();
            let statements = review::whole(statements);
            let script = review::script(name, Some(&to.database), statements);
            previews.push(Preview { script: Some(script), ..Preview::default() });
        }
        Ok(previews)
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let mut answers = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            answers.push(observed(server, wanted).await);
        }
        answers
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

/// What a role must not keep where nobody speaks of it any more.
fn left(from: &Spec, to: &Spec, role: &str) -> Vec<One> {
    let listed = from.grants.iter().any(|entry| entry.role == role);
    if from.objects == to.objects || !listed { Vec::new() } else { vec![from.nothing(role)] }
}

/// Grants and revokes until everybody has what is listed. All of it is one transaction, unless
/// a part of it fails.
async fn bring_to(server: &Server, from: Option<&Spec>, to: &Spec) -> Result<(), CallError> {
    for one in to.listed() {
        version::expect(server, one.since())?;
    }
    let snapshot = to.snapshot(server).await?;
    let mut all = to.all(&snapshot);
    // Who was listed may have nothing left but what is not spoken of any more.
    let known: BTreeSet<String> = all.iter().map(|one| one.role.clone()).collect();
    let gone = from.into_iter().flat_map(|from| &from.grants);
    let gone = gone.filter(|entry| !known.contains(&entry.role));
    all.extend(gone.map(|entry| to.nothing(&entry.role)));
    let wishes = all.into_iter().map(|one| {
        let left = from.map_or_else(Vec::new, |from| left(from, to, &one.role));
        Wish::grant(one, left)
    });
    fulfil(server, wishes.collect()).await
}

async fn fulfil(server: &Server, wishes: Vec<Wish>) -> Result<(), CallError> {
    let asked = wishes.into_iter().map(|wish| server.privileges.fulfil(server, wish));
    let asked: Vec<_> = asked.collect();
    futures::future::join_all(asked).await.into_iter().collect()
}

async fn observed(server: &Server, wanted: &Wanted<Spec>) -> ReadResult<Privileges> {
    let spec = &wanted.spec;
    let snapshot = spec.snapshot(server).await?;
    if !snapshot.has_target(&spec.targets()) {
        let since = spec.listed().iter().find_map(One::since);
        version::expect(server, since)?;
        snapshot.expect_settings(server, &spec.targets())?;
        // No table yet: there is nothing to grant, so nothing is missing.
        let empty = wanted.id.is_some() && spec.objects.is_empty();
        return Ok(empty.then(|| found(wanted, spec.clone())));
    }
    let entries = spec.all(&snapshot).into_iter().filter_map(|one| {
        let seen = snapshot.observe(&one, true)?;
        // A role that is listed with nothing has nothing; a stranger with nothing is none.
        Some(Entry {
            role: seen.role,
            privileges: seen.privileges,
            with_grant_option: seen.with_grant_option,
        })
    });
    let mut seen = Spec { grants: entries.collect(), ..spec.clone() };
    let there = snapshot.named(&spec.targets());
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
