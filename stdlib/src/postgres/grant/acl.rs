//! The access control lists of a database, read with one query, and the way from one to
//! another.

mod columns;

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use serde::Deserialize;

use super::super::error::Task;
use super::super::server::Server;
use super::super::sql;
use super::on::{MAINTAIN, On};
use super::{Grant, PUBLIC, Spec};
use dollop_engine::resource::Resource;

/// What certain roles may do with certain things of a database.
pub(super) struct Snapshot {
    roles: BTreeSet<String>,
    objects: Vec<Object>,
    /// Whether tables have the privilege MAINTAIN.
    knows_maintain: bool,
}

/// A thing that privileges are granted on.
#[derive(Clone)]
struct Object {
    on: On,
    /// The schema it is in, or is.
    schema: Option<String>,
    name: String,
    /// One column of it.
    column: Option<String>,
    /// How GRANT calls it.
    target: String,
    owner: String,
    acl: Vec<Entry>,
}

/// One entry of an ACL (`aclexplode`).
#[derive(Clone, Deserialize)]
struct Entry {
    grantee: String,
    /// Who granted it, when that is not the owner.
    grantor: Option<String>,
    privilege: String,
    grantable: bool,
}

#[derive(Deserialize)]
struct Row {
    kind: String,
    place: Option<String>,
    object: String,
    column: Option<String>,
    target: String,
    owner: String,
    acl: Vec<Entry>,
}

/// What becomes of the privileges that a role has on what it owns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owned {
    /// They are looked at and changed as those on anything else.
    LikeOthers,
    /// They are none of a grant's business.
    Spared,
    /// They are what owners have when nobody says anything.
    Whole,
}

/// Whose privileges are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of the roles that are spoken of.
    Wanted,
    /// Those of everybody.
    Everybodys,
}

/// The owner, and the entries of an ACL that are about the roles of a condition, as a JSON list.
/// No ACL means the default one.
fn entries(acl: &str, kind: char, owner: &str, whose: &str) -> String {
    format!(
        "pg_get_userbyid({owner})::text, (select coalesce(json_agg(json_build_object(
            'grantee', coalesce(g.rolname, '{PUBLIC}'),
            'grantor', case when e.grantor <> {owner} then pg_get_userbyid(e.grantor) end,
            'privilege', e.privilege_type,
            'grantable', e.is_grantable
        )), '[]')
        from aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) e
        left join pg_roles g on g.oid = e.grantee
        where {whose})"
    )
}

/// Asks about the roles `$1`, the schemas `$2`, the database, these sorts of things in them,
/// the columns `$3` and the settings `$4` where they are among those. Only what is asked for becomes part of the
/// statement: to plan it all takes a server longer than a grant.
fn query(kinds: &BTreeSet<On>, with_columns: bool, whose: Whose) -> String {
    let (whose, roles) = match whose {
        Whose::Wanted => {
            (format!("coalesce(g.rolname, '{PUBLIC}') = any($1)"), "rolname = any($1)")
        }
        // Whoever is found with a privilege is to be known as a role as well.
        Whose::Everybodys => ("true".to_owned(), "$1::text[] is not null"),
    };
    let entries = |acl: &str, kind: char, owner: &str| entries(acl, kind, owner, &whose);
    let relations = |kind: On, letter: char, relkinds: &str| {
        format!(
            "select '{}', n.nspname::text, c.relname::text, null,
                format('%I.%I', n.nspname, c.relname), {}
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = any($2) and c.relkind = any('{relkinds}')",
            kind.word(),
            entries("c.relacl", letter, "c.relowner")
        )
    };
    let routines = |kind: On, which: &str| {
        format!(
            "select '{}', n.nspname::text, p.proname::text, null,
                format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)), {}
            from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where n.nspname = any($2) and {which}",
            kind.word(),
            entries("p.proacl", 'f', "p.proowner")
        )
    };
    let named = |kind: On, catalog: &str, prefix: &str, letter: char| {
        let (acl, owner) = (format!("{prefix}acl"), format!("{prefix}owner"));
        format!(
            "select '{}', null, {prefix}name::text, null, format('%I', {prefix}name), {}
            from {catalog}",
            kind.word(),
            entries(&acl, letter, &owner)
        )
    };
    let columns = || {
        format!(
            "select 'columns', n.nspname::text, c.relname::text, a.attname::text,
                format('%I.%I', n.nspname, c.relname), {}
            from pg_attribute a join pg_class c on c.oid = a.attrelid
                join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = any($2) and (a.attname = any($3) or a.attacl is not null)
                and a.attnum > 0 and not a.attisdropped and c.relkind = any('{{r,p,v,m,f}}')",
            entries("a.attacl", 'c', "c.relowner")
        )
    };
    let types = || {
        format!(
            "select 'types', n.nspname::text, t.typname::text, null,
                format('%I.%I', n.nspname, t.typname), {}
            from pg_type t join pg_namespace n on n.oid = t.typnamespace
                left join pg_class c on c.oid = t.typrelid
            where n.nspname = any($2) and t.typelem = 0
                and (t.typrelid = 0 or c.relkind = 'c')",
            entries("t.typacl", 'T', "t.typowner")
        )
    };
    // What nobody was granted anything on is no entry there; what has a dot in its name anybody
    // may call a setting.
    let parameters = || {
        format!(
            "select 'parameters', null, s.name, null, (select string_agg(quote_ident(part), '.'
                    order by at) from unnest(string_to_array(s.name, '.')) with ordinality p(part, at)),
                {}
            from unnest($4) s(name) left join pg_parameter_acl p on p.parname = s.name
            where p.oid is not null or s.name like '%.%'
                or exists (select from pg_settings known where lower(known.name) = s.name)",
            entries("p.paracl", 'p', "10")
        )
    };
    let role = format!(
        "select 'role' kind, null::text place, rolname::text object, null::text \"column\",
            '' target, '' \"owner\", '[]'::json acl
        from pg_roles where {roles}"
    );
    let database = || {
        format!(
            "select 'database', null, datname::text, null, format('%I', datname), {}
            from pg_database where datname = current_database()",
            entries("datacl", 'd', "datdba")
        )
    };
    let schema = || {
        format!(
            "select 'schema', nspname::text, nspname::text, null, format('%I', nspname), {}
            from pg_namespace where nspname = any($2)",
            entries("nspacl", 'n', "nspowner")
        )
    };
    // The database and the schemas are what the others are in.
    let mut parts = vec![role, database(), schema()];
    // What is revoked on a table is revoked on its columns, too.
    if with_columns || kinds.contains(&On::Tables) {
        parts.push(columns());
    }
    parts.extend(On::ALL.into_iter().filter(|on| kinds.contains(on)).filter_map(|on| {
        Some(match on {
            On::Database | On::Schema => return None,
            // Tables, partitioned tables, views, materialized views, foreign tables: what
            // ALL TABLES IN SCHEMA means.
            On::Tables => relations(on, 'r', "{r,p,v,m,f}"),
            On::Sequences => relations(on, 's', "{S}"),
            On::Functions => routines(on, "p.prokind <> 'p'"),
            On::Procedures => routines(on, "p.prokind = 'p'"),
            On::Routines => routines(on, "true"),
            On::Types => types(),
            On::Languages => named(on, "pg_language", "lan", 'l'),
            On::ForeignDataWrappers => named(on, "pg_foreign_data_wrapper", "fdw", 'F'),
            On::ForeignServers => named(on, "pg_foreign_server", "srv", 'S'),
            On::Tablespaces => named(on, "pg_tablespace", "spc", 't'),
            On::Parameters => parameters(),
        })
    }));
    parts.join(" union all ")
}

impl Snapshot {
    /// Reads all that some grants in a database speak of.
    pub(super) async fn take(
        server: &Server,
        database: &str,
        specs: &[&Spec],
    ) -> Result<Self, CallError> {
        Self::read(server, database, specs, Whose::Wanted).await
    }

    /// The same, with what the roles of `whose` have there.
    pub(super) async fn read(
        server: &Server,
        database: &str,
        specs: &[&Spec],
        whose: Whose,
    ) -> Result<Self, CallError> {
        let distinct = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>();
        let roles = distinct(specs.iter().map(|spec| spec.role.clone()).collect());
        let schemas = distinct(specs.iter().filter_map(|spec| spec.schema.clone()).collect());
        let mut kinds: BTreeSet<_> = specs.iter().map(|spec| spec.on).collect();
        if server.version < 150_000 {
            kinds.remove(&On::Parameters);
        }
        let settings = specs.iter().filter(|spec| spec.on == On::Parameters);
        let settings =
            distinct(settings.flat_map(|spec| spec.objects.iter().cloned()).collect());
        let columns: BTreeSet<_> =
            specs.iter().flat_map(|spec| spec.columns.iter().cloned()).collect();
        let query = query(&kinds, !columns.is_empty(), whose);
        let parameters = [roles, schemas, distinct(columns), settings];
        let task = Task::new(format!("read privileges in database `{database}`"));
        let rows: Vec<Row> = server.rows(database, &query, &parameters, &task).await?;

        let knows_maintain = server.version >= 170_000;
        let mut snapshot = Self { roles: BTreeSet::new(), objects: Vec::new(), knows_maintain };
        for row in rows {
            if row.kind == "role" {
                snapshot.roles.insert(row.object);
                continue;
            }
            // Columns are parts of tables.
            let on = On::ALL.into_iter().find(|on| on.word() == row.kind);
            let on = on.unwrap_or(On::Tables);
            let Row { place: schema, object: name, column, target, owner, acl, .. } = row;
            snapshot.objects.push(Object { on, schema, name, column, target, owner, acl });
        }
        Ok(snapshot)
    }

    /// Of what is here, what was in an earlier one as well.
    pub(super) fn only_of(&self, earlier: &Self) -> Self {
        let key = |object: &Object| (object.on, object.target.clone(), object.column.clone());
        let known: BTreeSet<_> = earlier.objects.iter().map(key).collect();
        let objects = self.objects.iter().filter(|object| known.contains(&key(object)));
        Self {
            roles: self.roles.clone(),
            objects: objects.cloned().collect(),
            knows_maintain: self.knows_maintain,
        }
    }

    /// Whether there is such a role, or it is everybody.
    pub(super) fn has_role(&self, role: &str) -> bool {
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
                && match &object.column {
                    Some(column) => spec.columns.contains(column),
                    None => spec.columns.is_empty(),
                }
        })
    }

    /// Whether the database and the schema that a grant is in are there.
    pub(super) fn has_place(&self, spec: &Spec) -> bool {
        self.has_database() && spec.schema.as_ref().is_none_or(|schema| self.has_schema(schema))
    }

    /// A grant as it is; nothing when it is gone. `known` says that it was made before.
    pub(super) fn observe(&self, spec: &Spec, known: bool, owned: Owned) -> Option<Spec> {
        if !self.has_role(&spec.role) || !self.has_place(spec) {
            return None;
        }
        let objects: Vec<_> = self.targets(spec).collect();
        if objects.is_empty() {
            // No table yet: there is nothing to grant, so nothing is missing.
            return (known && spec.objects.is_empty()).then(|| spec.clone());
        }
        let looked_at =
            |object: &&&Object| owned == Owned::LikeOthers || object.owner != spec.role;
        let held: Vec<_> =
            objects.iter().filter(looked_at).map(|object| object.held(&spec.role)).collect();
        if held.iter().all(BTreeMap::is_empty) {
            // Where nothing is asked for, nothing has to be made.
            return spec.privileges.is_empty().then(|| spec.clone());
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
        let columns: BTreeSet<&String> =
            objects.iter().filter_map(|object| object.column.as_ref()).collect();
        let mut found = Spec {
            privileges: privileges.into_iter().map(str::to_owned).collect(),
            with_grant_option: spec.with_grant_option != option_differs,
            objects: there.cloned().collect(),
            columns: columns.into_iter().cloned().collect(),
            ..spec.clone()
        };
        Grant::normalize(&mut found);
        Some(found)
    }

    /// Whether there is something that a grant speaks of.
    pub(super) fn has_target(&self, spec: &Spec) -> bool {
        self.targets(spec).next().is_some()
    }

    /// The names of what a grant speaks of and is there.
    pub(super) fn named(&self, spec: &Spec) -> BTreeSet<String> {
        self.targets(spec).map(|object| object.name.clone()).collect()
    }

    /// Who has privileges on what a grant speaks of, but for its owners.
    pub(super) fn grantees<'a>(&'a self, spec: &'a Spec) -> BTreeSet<String> {
        let others = |object: &'a Object| {
            let entries = object.acl.iter().map(|entry| &entry.grantee);
            entries.filter(move |grantee| **grantee != object.owner).cloned()
        };
        self.targets(spec).flat_map(others).collect()
    }

    /// Makes sure that the server has the settings that a grant speaks of: no plan makes one.
    pub(super) fn expect_settings(
        &self,
        server: &Server,
        spec: &Spec,
    ) -> Result<(), CallError> {
        let known = |name: &String| self.targets(spec).any(|object| object.name == *name);
        // Where there is no database yet, nobody was asked.
        let asked = spec.on == On::Parameters && self.has_database();
        let mut settings = spec.objects.iter().filter(|_| asked);
        let Some(name) = settings.find(|name| !known(name)) else { return Ok(()) };
        let at = server.address();
        Err(CallError::impossible(format!("there is no setting `{name}` at {at}"))
            .about("objects")
            .hint("check the name; one of an extension has a dot in it"))
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
        let place = match &spec.schema {
            Some(schema) => format!(" in schema `{schema}`"),
            None => String::new(),
        };
        let absent = spec.objects.iter().find(|name| !names.contains(name.as_str()));
        if let Some(name) = absent {
            let columns = if spec.columns.is_empty() { "" } else { " with these columns" };
            return missing(format!("{} `{name}`{columns}{place}", spec.on.one()));
        }
        for (name, column) in
            names.iter().flat_map(|name| spec.columns.iter().map(move |column| (name, column)))
        {
            let there = self
                .targets(spec)
                .any(|object| object.name == **name && object.column.as_ref() == Some(column));
            if !there {
                return missing(format!("column `{column}` of table `{name}`{place}"));
            }
        }
        Ok(())
    }

    /// What stays because somebody else than the owner granted it, in words.
    pub(super) fn granted_by_others(&self, spec: &Spec, left: &[Spec]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for spec in std::iter::once(spec).chain(left) {
            for object in self.targets(spec) {
                let of_role = object.acl.iter().filter(|entry| entry.grantee == spec.role);
                for entry in of_role {
                    let Some(grantor) = &entry.grantor else { continue };
                    found.insert(format!(
                        "`{grantor}` granted {} on {} `{}`",
                        entry.privilege,
                        object.on.one(),
                        object.name
                    ));
                }
            }
        }
        found.into_iter().collect()
    }

    /// The statements after which a role has exactly the privileges of `spec`, and on what is
    /// `left` none but those of an owner.
    pub(super) fn statements(&self, spec: &Spec, owned: Owned, left: &[Spec]) -> Vec<String> {
        let mut work = BTreeMap::new();
        for object in self.targets(spec) {
            self.plan(object, spec, owned, &mut work);
        }
        let spoken_of =
            |object: &Object| self.targets(spec).any(|other| std::ptr::eq(other, object));
        for gone in left {
            for object in self.targets(gone).filter(|object| !spoken_of(object)) {
                self.plan(object, gone, Owned::Whole, &mut work);
            }
        }
        work.iter()
            .map(|((verb, privileges, column), targets)| {
                let privileges = of_columns(privileges, *column);
                verb.statement(&privileges, spec.on.keyword(), &targets.join(", "), &spec.role)
            })
            .collect()
    }

    /// What is to be done on one object.
    fn plan<'a>(
        &'a self,
        object: &'a Object,
        spec: &'a Spec,
        owned: Owned,
        work: &mut Work<'a>,
    ) {
        let is_own = object.owner == spec.role;
        // Of a single column an owner has nothing by itself.
        let is_gift = object.column.is_some() && owned == Owned::Whole;
        if owned == Owned::LikeOthers || !is_own || is_gift {
            object.plan(spec, work);
            self.give_back_columns(object, spec, work);
        } else if owned == Owned::Whole {
            let held = object.held(&spec.role);
            let maintain = (object.on == On::Tables && self.knows_maintain).then_some(MAINTAIN);
            let all = object.on.all().iter().copied().chain(maintain);
            let missing: Vec<_> = all.filter(|word| !held.contains_key(word)).collect();
            if !missing.is_empty() {
                work.entry((Verb::Grant, missing, None)).or_default().push(&object.target);
            }
        }
    }
}

/// Privileges, on a column where there is one: `SELECT ("id")`.
fn of_columns(privileges: &[&str], columns: Option<&str>) -> String {
    let each = |privilege: &&str| match columns {
        Some(column) => format!("{privilege} ({})", sql::name(column)),
        None => (*privilege).to_owned(),
    };
    privileges.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// Objects to which the same is done: what, which privileges, on which column, and their
/// names.
type Work<'a> = BTreeMap<(Verb, Vec<&'a str>, Option<&'a str>), Vec<&'a str>>;

/// What is done with privileges.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Revoke,
    RevokeOption,
    Grant,
    GrantWithOption,
}

impl Verb {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Revoke | Self::RevokeOption => "revoke",
            Self::Grant | Self::GrantWithOption => "grant",
        }
    }

    pub(super) fn statement(
        self,
        privileges: &str,
        on: &str,
        targets: &str,
        role: &str,
    ) -> String {
        let role = if role == PUBLIC { PUBLIC.to_owned() } else { sql::name(role) };
        let what = format!("{privileges} ON {on} {targets}");
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
                let key = (verb, privileges, self.column.as_deref());
                work.entry(key).or_default().push(&self.target);
            }
        }
    }
}
