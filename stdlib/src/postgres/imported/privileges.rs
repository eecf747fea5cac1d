//! Access control lists as grants: what differs from what an object has by itself.

use std::collections::{BTreeMap, BTreeSet};

use dollop_engine::error::CallError;
use dollop_engine::resource::{Need, Resource as _};
use serde::Deserialize;

use super::super::grant::{Grant, On, PUBLIC, Spec};
use super::super::server::Server;
use super::super::sql;
use super::ask;
use super::contents::Contents;

/// What one role has on one object, where that is not what it has by itself.
#[derive(Deserialize)]
struct Row {
    node: String,
    on: On,
    place: Option<String>,
    object: String,
    column: Option<String>,
    grantee: String,
    privileges: Vec<String>,
    grantable: Vec<String>,
    /// How many objects share the name.
    alike: usize,
}

/// What makes grants one: who, on what sort of thing, where, which columns of which table,
/// which privileges, and whether they may be passed on.
type Shared = (String, On, Option<String>, Option<String>, Vec<String>, bool);

/// A grant, and what must be there before it.
pub(in super::super) struct Granted {
    /// What tells it from the other grants of the server: it has no name.
    pub id: String,
    /// The grant.
    pub spec: Spec,
    /// The objects it is about.
    pub needs: Vec<Need>,
}

impl Granted {
    /// That it comes before something.
    pub(super) fn only_first(&self) -> Need {
        let Spec { role, on, .. } = &self.spec;
        Need {
            kind: Grant::KIND.to_owned(),
            id: self.id.clone(),
            what: format!("grant on {} to `{role}`", on.word()),
            only_first: true,
        }
    }
}

/// The grants of a database, and what cannot be said by one.
pub(super) async fn grants(
    server: &Server,
    database: &str,
    contents: &Contents,
) -> Result<(Vec<Granted>, Vec<String>), CallError> {
    let mut left_out = Vec::new();
    let mut grants: BTreeMap<Shared, (BTreeSet<String>, BTreeSet<Need>)> = BTreeMap::new();
    // Functions that share a name are granted on together.
    let mut alike: BTreeMap<(On, Option<String>, String, String), Vec<Row>> = BTreeMap::new();
    for row in ask::<Row>(server, database, &query(server)).await? {
        let column = row.column.clone().unwrap_or_default();
        let name = format!("{}\u{1f}{column}", row.object);
        let key = (row.on, row.place.clone(), name, row.grantee.clone());
        alike.entry(key).or_default().push(row);
    }
    for rows in alike.into_values() {
        let first = &rows[0];
        let same = rows
            .iter()
            .all(|row| row.privileges == first.privileges && row.grantable == first.grantable);
        let all_or_none = first.grantable.is_empty() || first.grantable == first.privileges;
        if !same || !all_or_none || rows.len() != first.alike {
            left_out.push(format!(
                "the privileges of `{}` on {} `{}`: they are not the same for all of that name, \
                 or not all of them may be passed on",
                first.grantee,
                first.on.word(),
                first.object
            ));
            continue;
        }
        let table = first.column.as_ref().map(|_| first.object.clone());
        let passes_on = !first.grantable.is_empty();
        let shared = (
            first.grantee.clone(),
            first.on,
            first.place.clone(),
            table,
            first.privileges.clone(),
            passes_on,
        );
        let (names, needs) = grants.entry(shared).or_default();
        names.insert(first.column.clone().unwrap_or_else(|| first.object.clone()));
        needs.extend(rows.iter().filter_map(|row| contents.need_of(database, &row.node)));
    }
    let grants = grants.into_iter().enumerate().map(|(number, (shared, (names, needs)))| {
        let (role, on, schema, table, privileges, with_grant_option) = shared;
        let names: Vec<_> = names.into_iter().collect();
        let (objects, columns) = match table {
            Some(table) => (vec![table], names),
            None if matches!(on, On::Database | On::Schema) => (Vec::new(), Vec::new()),
            None => (names, Vec::new()),
        };
        let mut spec = Spec {
            database: database.to_owned(),
            role,
            on,
            schema,
            objects,
            columns,
            privileges,
            with_grant_option,
        };
        Grant::normalize(&mut spec);
        let id = sql::id(&[database, &number.to_string()]);
        Granted { id, spec, needs: needs.into_iter().collect() }
    });
    Ok((grants.collect(), left_out))
}

fn query(server: &Server) -> String {
    // Everybody could make things in `public` before PostgreSQL 15.
    let words: &[&str] =
        if server.version >= 150_000 { &["USAGE"] } else { &["USAGE", "CREATE"] };
    let items: Vec<_> = words
        .iter()
        .map(|word| format!("makeaclitem(0, n.nspowner, '{word}', false)"))
        .collect();
    let everybody = format!("array[{}]", items.join(", "));
    // What belongs to the whole server is told once, with the database connected to first.
    let first = sql::text(server.database());
    let parameters = if server.version >= 150_000 {
        format!(
            "union all select 'pg_parameter_acl'::regclass, p.oid, 'parameters', null, p.parname,
                null, p.paracl, acldefault('p', 10) from pg_parameter_acl p
                where current_database() = {first}"
        )
    } else {
        String::new()
    };
    format!(
        r#"with acls(class, id, "on", place, object, "column", acl, initial) as (
        select 'pg_database'::regclass, d.oid, 'database', null::text, d.datname::text, null::text,
            d.datacl, acldefault('d', d.datdba) from pg_database d
            where d.datname = current_database()
        union all select 'pg_namespace'::regclass, n.oid, 'schema', n.nspname, n.nspname, null,
            n.nspacl, case n.nspname when 'public' then acldefault('n', n.nspowner) || {everybody}
                else acldefault('n', n.nspowner) end from pg_namespace n
        union all select 'pg_class'::regclass, c.oid, case c.relkind when 'S' then 'sequences'
                else 'tables' end, n.nspname, c.relname, null, c.relacl,
            acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't'
        union all select 'pg_class'::regclass, c.oid, 'tables', n.nspname, c.relname, a.attname,
            a.attacl, null
            from pg_attribute a join pg_class c on c.oid = a.attrelid
                join pg_namespace n on n.oid = c.relnamespace
            where a.attacl is not null and a.attnum > 0 and not a.attisdropped
                and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
        union all select 'pg_proc'::regclass, p.oid, case p.prokind when 'p' then 'procedures'
                else 'functions' end, n.nspname, p.proname, null, p.proacl,
            acldefault('f', p.proowner)
            from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        union all select 'pg_type'::regclass, t.oid, 'types', n.nspname, t.typname, null, t.typacl,
            acldefault('T', t.typowner)
            from pg_type t join pg_namespace n on n.oid = t.typnamespace
                left join pg_class c on c.oid = t.typrelid
            where t.typelem = 0 and (t.typrelid = 0 or c.relkind = 'c')
        union all select 'pg_language'::regclass, l.oid, 'languages', null, l.lanname, null,
            l.lanacl, acldefault('l', l.lanowner) from pg_language l
        union all select 'pg_foreign_data_wrapper'::regclass, w.oid, 'foreign_data_wrappers', null,
            w.fdwname, null, w.fdwacl, acldefault('F', w.fdwowner) from pg_foreign_data_wrapper w
        union all select 'pg_foreign_server'::regclass, s.oid, 'foreign_servers', null, s.srvname,
            null, s.srvacl, acldefault('S', s.srvowner) from pg_foreign_server s
        union all select 'pg_tablespace'::regclass, t.oid, 'tablespaces', null, t.spcname, null,
            t.spcacl, acldefault('t', t.spcowner) from pg_tablespace t
            where current_database() = {first}
        {parameters}
        ), counted as (
            select a.*, count(*) over (partition by "on", place, object, "column") alike,
                coalesce(a.acl, a.initial) now,
                -- What the server or an extension set up itself.
                coalesce(case when a."on" <> 'schema' or a.object <> 'public' then i.initprivs end,
                    a.initial) before
            from acls a left join pg_init_privs i on i.classoid = a.class and i.objoid = a.id
                and i.objsubid = 0 and a."column" is null
        ), held as (
            select c.class, c.id, c."on", c.place, c.object, c."column", c.alike, e.grantee,
                array_agg(e.privilege_type order by e.privilege_type)
                    filter (where e.is_now) privileges,
                array_agg(e.privilege_type order by e.privilege_type)
                    filter (where e.is_now and e.is_grantable) grantable,
                array_agg(concat(e.privilege_type, e.is_grantable) order by e.privilege_type)
                    filter (where e.is_now) is_now,
                array_agg(concat(e.privilege_type, e.is_grantable) order by e.privilege_type)
                    filter (where not e.is_now) was
            from counted c cross join lateral (
                select grantee, privilege_type, bool_or(is_grantable) is_grantable, true is_now
                    from aclexplode(c.now) group by 1, 2
                union all
                select grantee, privilege_type, bool_or(is_grantable), false
                    from aclexplode(c.before) group by 1, 2
            ) e
            where c.now is distinct from c.before
            group by c.class, c.id, c."on", c.place, c.object, c."column", c.alike, e.grantee
        )
        select concat(h.class::oid, '/', h.id) node, h."on", h.place, h.object, h."column", h.alike,
            coalesce(r.rolname, '{PUBLIC}') grantee, coalesce(h.privileges, '{{}}') privileges,
            coalesce(h.grantable, '{{}}') grantable
        from held h left join pg_roles r on r.oid = h.grantee
        where h.is_now is distinct from h.was and (h.grantee = 0 or r.oid is not null)
            and coalesce(h.place, '') !~ '^pg_(toast|temp)'
            -- What the server does not write down as its own.
            and h.place is distinct from 'information_schema'
            and not (h.place = 'pg_catalog' and h."column" is not null)
        order by h."on", h.place, h.object, h."column", grantee"#
    )
}
