//! The access control lists of a database, read with one query, and the way from one to
//! another.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use serde::Deserialize;

use super::super::error::Task;
use super::super::server::Server;
use super::super::sql;
use super::{Grant, On, PUBLIC, Spec};
use dollop_engine::resource::Resource;

/// What certain roles may do with certain things of a database.
pub(super) struct Snapshot {
    roles: BTreeSet<String>,
    objects: Vec<Object>,
}

/// A thing that privileges are granted on.
struct Object {
    on: On,
    /// The schema it is in, or is.
    schema: Option<String>,
    name: String,
    /// How GRANT calls it.
    target: String,
    acl: Vec<Entry>,
}

/// One entry of an ACL (`aclexplode`).
#[derive(Clone, Deserialize)]
struct Entry {
    grantee: String,
    privilege: String,
    grantable: bool,
}

#[derive(Deserialize)]
struct Row {
    kind: String,
    place: Option<String>,
    object: String,
    target: String,
    acl: Vec<Entry>,
}

/// The entries of an ACL that are about the wanted roles, as a JSON list. No ACL means the
/// default one.
fn entries(acl: &str, kind: char, owner: &str) -> String {
    format!(
        "(select coalesce(json_agg(json_build_object(
            'grantee', coalesce(g.rolname, '{PUBLIC}'),
            'privilege', e.privilege_type,
            'grantable', e.is_grantable
        )), '[]')
        from aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) e
        left join pg_roles g on g.oid = e.grantee
        where coalesce(g.rolname, '{PUBLIC}') = any($1))"
    )
}

fn query() -> String {
    let relations = |kind: On, letter: char, relkinds: &str| {
        format!(
            "select '{}', n.nspname::text, c.relname::text,
                format('%I.%I', n.nspname, c.relname), {}
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where '{}' = any($3) and n.nspname = any($2) and c.relkind = any('{relkinds}')",
            kind.word(),
            entries("c.relacl", letter, "c.relowner"),
            kind.word()
        )
    };
    let parts = [
        "select 'role' kind, null::text place, rolname::text object, '' target, '[]'::json acl
            from pg_roles where rolname = any($1)"
            .to_owned(),
        format!(
            "select 'database', null, datname::text, format('%I', datname), {}
            from pg_database where datname = current_database()",
            entries("datacl", 'd', "datdba")
        ),
        format!(
            "select 'schema', nspname::text, nspname::text, format('%I', nspname), {}
            from pg_namespace where nspname = any($2)",
            entries("nspacl", 'n', "nspowner")
        ),
        // Tables, partitioned tables, views, materialized views, foreign tables: what
        // ALL TABLES IN SCHEMA means.
        relations(On::Tables, 'r', "{r,p,v,m,f}"),
        relations(On::Sequences, 's', "{S}"),
        format!(
            "select 'functions', n.nspname::text, p.proname::text,
                format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)), {}
            from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where 'functions' = any($3) and n.nspname = any($2) and p.prokind <> 'p'",
            entries("p.proacl", 'f', "p.proowner")
        ),
    ];
    parts.join(" union all ")
}

impl Snapshot {
    /// Reads all that some grants in a database speak of.
    pub(super) async fn take(
        server: &Server,
        database: &str,
        specs: &[&Spec],
    ) -> Result<Self, CallError> {
        let distinct = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>();
        let roles = distinct(specs.iter().map(|spec| spec.role.clone()).collect());
        let schemas = distinct(specs.iter().filter_map(|spec| spec.schema.clone()).collect());
        let kinds = distinct(specs.iter().map(|spec| spec.on.word().to_owned()).collect());
        let task = Task::new(format!("read privileges in database `{database}`"));
        let rows: Vec<Row> =
            server.rows(database, &query(), &[roles, schemas, kinds], &task).await?;

        let mut snapshot = Self { roles: BTreeSet::new(), objects: Vec::new() };
        for row in rows {
            let on = match row.kind.as_str() {
                "database" => On::Database,
                "schema" => On::Schema,
                "tables" => On::Tables,
                "sequences" => On::Sequences,
                "functions" => On::Functions,
                _ => {
                    snapshot.roles.insert(row.object);
                    continue;
                }
            };
            let Row { place: schema, object: name, target, acl, .. } = row;
            snapshot.objects.push(Object { on, schema, name, target, acl });
        }
        Ok(snapshot)
    }

    fn has_role(&self, role: &str) -> bool {
        role == PUBLIC || self.roles.contains(role)
    }

    fn has_database(&self) -> bool {
        self.objects.iter().any(|object| object.on == On::Database)
    }

    fn has_schema(&self, schema: &str) -> bool {
        self.objects.iter().any(|object| object.on == On::Schema && object.name == schema)
    }

    /// What a grant is about.
    fn targets<'a>(&'a self, spec: &'a Spec) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(|object| {
            object.on == spec.on
                && object.schema == spec.schema
                && (spec.objects.is_empty() || spec.objects.contains(&object.name))
        })
    }

    /// A grant as it is; nothing when it is gone. `known` says that it was made before.
    pub(super) fn observe(&self, spec: &Spec, known: bool) -> Option<Spec> {
        if !self.has_role(&spec.role)
            || !self.has_database()
            || spec.schema.as_ref().is_some_and(|schema| !self.has_schema(schema))
        {
            return None;
        }
        let objects: Vec<_> = self.targets(spec).collect();
        if objects.is_empty() {
            // No table yet: there is nothing to grant, so nothing is missing.
            return (known && spec.objects.is_empty()).then(|| spec.clone());
        }
        let held: Vec<_> = objects.iter().map(|object| object.held(&spec.role)).collect();
        if held.iter().all(BTreeMap::is_empty) {
            let nothing_asked = known && spec.privileges.is_empty();
            return nothing_asked.then(|| spec.clone());
        }
        let asked: BTreeSet<&str> = spec.privileges.iter().map(String::as_str).collect();
        let on_all =
            asked.iter().filter(|word| held.iter().all(|held| held.contains_key(**word)));
        let beyond =
            held.iter().flat_map(BTreeMap::keys).filter(|word| !asked.contains(**word));
        let privileges: BTreeSet<&str> = on_all.chain(beyond).copied().collect();
        let option_differs = held
            .iter()
            .flat_map(BTreeMap::values)
            .any(|grantable| *grantable != spec.with_grant_option);
        let names: BTreeSet<&str> = objects.iter().map(|object| object.name.as_str()).collect();
        let there = spec.objects.iter().filter(|name| names.contains(name.as_str()));
        let mut found = Spec {
            privileges: privileges.into_iter().map(str::to_owned).collect(),
            with_grant_option: spec.with_grant_option != option_differs,
            objects: there.cloned().collect(),
            ..spec.clone()
        };
        Grant::normalize(&mut found);
        Some(found)
    }

    /// Makes sure that all a grant speaks of exists.
    pub(super) fn expect_target(&self, server: &Server, spec: &Spec) -> Result<(), CallError> {
        let Spec { role, database, .. } = spec;
        let missing = |what: String| {
            let at = server.address();
            Err(CallError::refused(format!(
                "there is no {what} in database `{database}` at {at}"
            ))
            .hint("create it first, or check the name"))
        };
        if !self.has_database() {
            let at = server.address();
            return Err(CallError::refused(format!(
                "there is no database `{database}` at {at}"
            ))
            .hint("create it first, or check the name"));
        }
        if !self.has_role(role) {
            return missing(format!("role `{role}`"));
        }
        if let Some(schema) = spec.schema.as_ref().filter(|schema| !self.has_schema(schema)) {
            return missing(format!("schema `{schema}`"));
        }
        let names: BTreeSet<&str> =
            self.targets(spec).map(|object| object.name.as_str()).collect();
        match spec.objects.iter().find(|name| !names.contains(name.as_str())) {
            Some(name) => {
                let schema = spec.schema.as_deref().unwrap_or_default();
                let word = spec.on.word().trim_end_matches('s');
                missing(format!("{word} `{name}` in schema `{schema}`"))
            }
            None => Ok(()),
        }
    }

    /// The statements after which a role has exactly the privileges of `spec`, and none on
    /// what is `left`.
    pub(super) fn statements(&self, spec: &Spec, left: &[Spec]) -> Vec<String> {
        let mut work = BTreeMap::new();
        for object in self.targets(spec) {
            object.plan(spec, &mut work);
        }
        let spoken_of =
            |object: &Object| self.targets(spec).any(|other| std::ptr::eq(other, object));
        for gone in left {
            for object in self.targets(gone).filter(|object| !spoken_of(object)) {
                object.plan(gone, &mut work);
            }
        }
        work.iter()
            .map(|((verb, privileges), targets)| {
                verb.statement(privileges, spec.on, &targets.join(", "), &spec.role)
            })
            .collect()
    }
}

/// Objects to which the same is done: what, which privileges, and their names.
type Work<'a> = BTreeMap<(Verb, Vec<&'a str>), Vec<&'a str>>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Revoke,
    RevokeOption,
    Grant,
    GrantWithOption,
}

impl Verb {
    fn statement(self, privileges: &[&str], on: On, targets: &str, role: &str) -> String {
        let role = if role == PUBLIC { PUBLIC.to_owned() } else { sql::name(role) };
        let what = format!("{} ON {} {targets}", privileges.join(", "), on.keyword());
        match self {
            Self::Revoke => format!("REVOKE {what} FROM {role}"),
            Self::RevokeOption => format!("REVOKE GRANT OPTION FOR {what} FROM {role}"),
            Self::Grant => format!("GRANT {what} TO {role}"),
            Self::GrantWithOption => format!("GRANT {what} TO {role} WITH GRANT OPTION"),
        }
    }
}

impl Object {
    /// The privileges a role has, and whether it may pass them on.
    fn held(&self, role: &str) -> BTreeMap<&str, bool> {
        let mut held = BTreeMap::new();
        for entry in self.acl.iter().filter(|entry| entry.grantee == role) {
            // Several grantors may have granted it.
            *held.entry(entry.privilege.as_str()).or_default() |= entry.grantable;
        }
        held
    }

    fn plan<'a>(&'a self, spec: &'a Spec, work: &mut Work<'a>) {
        let held = self.held(&spec.role);
        let asked = &spec.privileges;
        let extra: Vec<_> = held
            .keys()
            .copied()
            .filter(|word| !asked.iter().any(|other| other == word))
            .collect();
        let with_option = |word: &&str, option| held.get(word) == Some(&option);
        let words = || asked.iter().map(String::as_str);
        let (grant, missing): (_, Vec<_>) = if spec.with_grant_option {
            (Verb::GrantWithOption, words().filter(|word| !with_option(word, true)).collect())
        } else {
            (Verb::Grant, words().filter(|word| !held.contains_key(word)).collect())
        };
        let option: Vec<_> =
            words().filter(|word| !spec.with_grant_option && with_option(word, true)).collect();
        let steps = [(Verb::Revoke, extra), (Verb::RevokeOption, option), (grant, missing)];
        for (verb, privileges) in steps {
            if !privileges.is_empty() {
                work.entry((verb, privileges)).or_default().push(&self.target);
            }
        }
    }
}
