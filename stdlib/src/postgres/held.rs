//! What people stored in tables, schemas and databases that are about to go, and who uses them.
//!
//! Catalogs: `pg_class`, `pg_inherits`, `pg_depend`, `pg_stat_activity`.

mod counts;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dollop_engine::error::CallError;
use dollop_engine::resource::Held;
use serde::Deserialize;

pub(super) use self::counts::{in_sequences, in_slots};
use super::asking;
use super::error::Task;
use super::object::Key;
use super::server::Server;
use super::sql::Place;
use crate::text::count;

/// How many of those that use something are named.
const NAMED: usize = 4;

/// What is stored in something.
#[derive(Clone, Deserialize)]
struct Stored {
    /// Where it is.
    key: Key,
    /// Tables and stored views with rows.
    tables: u64,
    /// How many rows, as the server last estimated.
    rows: u64,
    /// On disk, with indexes, for people to read.
    size: String,
    /// Large objects.
    #[serde(default)]
    large_objects: u64,
    /// What else is in it: `3 views`.
    #[serde(default)]
    others: BTreeMap<String, u64>,
    /// What uses it from outside, in the server's words.
    #[serde(default)]
    users: Vec<String>,
    /// Sessions of others.
    #[serde(default)]
    sessions: u64,
}

impl Stored {
    fn held(&self, one: bool) -> Held {
        let rows = match self.rows {
            0 => "rows nobody has counted yet".to_owned(),
            many => format!("about {}", count(many, "row")),
        };
        let mut what = match (self.tables, one) {
            (0, _) if self.large_objects > 0 => Vec::new(),
            (0, _) => vec!["no rows".to_owned()],
            (_, true) => vec![format!("{rows} ({})", self.size)],
            (many, false) => {
                vec![format!("{} with {rows} ({})", count(many, "table"), self.size)]
            }
        };
        if self.large_objects > 0 {
            what.push(count(self.large_objects, "large object"));
        }
        what.extend(
            self.others
                .iter()
                .filter(|(_, many)| **many > 0)
                .map(|(word, many)| count(*many, word)),
        );
        if self.sessions > 0 {
            what.push(count(self.sessions, "session"));
        }
        let mut words = what.join(", ");
        if !self.users.is_empty() {
            let named: Vec<_> = self.users.iter().take(NAMED).map(String::as_str).collect();
            let more = self.users.len() - named.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            words = format!("{words}, used by {}{more}", named.join(", "));
        }
        if self.tables > 0 || self.large_objects > 0 {
            Held::Content(words)
        } else {
            Held::Nothing(words)
        }
    }
}

/// Relations with rows of their own that nobody but their owner would miss: what extensions
/// keep, and the record of migrations, are not among them. How large one is that an extension
/// keeps in its own way tells nothing.
const COUNTED: &str = "c.relkind in ('r', 'm') and (pg_relation_size(c.oid) > 0
        or exists (select from pg_am m where m.oid = c.relam and m.amname <> 'heap'))
    and c.relname <> 'dollop_migrations'
    and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass
        and e.objid = c.oid and e.deptype = 'e')";

/// Tables with rows, their rows and their size, of relations called `c`.
const SUMS: &str = "count(c.oid)::int8 \"tables\",
    coalesce(sum(greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)), 0)::int8 \"rows\",
    pg_size_pretty(coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8) \"size\"";

/// Who uses the relation `w` and is none of its parts, as a JSON list; `outside` narrows it
/// down, `d` being the entry of `pg_depend`.
fn users(outside: &str) -> String {
    format!(
        "(select coalesce(json_agg(distinct u.said), '[]') from (
            select case when d.classid = 'pg_rewrite'::regclass
                then pg_describe_object('pg_class'::regclass, r.ev_class, 0)
                else pg_describe_object(d.classid, d.objid, 0) end said
            from pg_depend d
                left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
                left join pg_constraint k
                    on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
                left join pg_trigger t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
                left join pg_policy p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
                left join pg_attrdef f
                    on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
                left join pg_index x
                    on d.classid = 'pg_class'::regclass and x.indexrelid = d.objid
            where d.deptype = 'n' and ((d.refclassid = 'pg_class'::regclass and d.refobjid = w.oid)
                    or (d.refclassid = 'pg_type'::regclass and d.refobjid = w.reltype))
                and w.oid is distinct from coalesce(r.ev_class, k.conrelid, t.tgrelid, p.polrelid,
                    f.adrelid, x.indrelid)
                and coalesce(k.conparentid, 0) = 0 {outside}
        ) u)"
    )
}

/// The query for what tables and stored views hold. Its parameters are their schemas and
/// their names, pair by pair. Partitions, and other tables that inherit from one, count with it
/// unless they are asked about themselves.
fn relations() -> String {
    let users = users("");
    format!(
        r#"with recursive wanted as (
            select c.oid, c.reltype, n.nspname, c.relname
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'm', 'v') and (n.nspname::text, c.relname::text)
                in (select * from unnest($1::text[], $2::text[]))
        ), parts(root, oid) as (
            select w.oid, w.oid from wanted w
            union all
            select p.root, i.inhrelid from parts p join pg_inherits i on i.inhparent = p.oid
                left join wanted other on other.oid = i.inhrelid where other.oid is null
        )
        select array[w.nspname, w.relname]::text[] "key", s.*, {users} users
        from wanted w cross join lateral (select {SUMS} from parts p
            join pg_class c on c.oid = p.oid and {COUNTED} where p.root = w.oid) s"#
    )
}

/// The query for what goes with schemas that are dropped with all that is in them; its
/// parameter is their names.
fn schemas() -> String {
    let users = users(
        "and w.relnamespace is distinct from (select v.relnamespace from pg_class v
            where v.oid = coalesce(r.ev_class, k.conrelid, t.tgrelid, p.polrelid, f.adrelid))",
    );
    format!(
        r#"select array[n.nspname]::text[] "key", s.*, json_build_object(
                'view', (select count(*) from pg_class v
                    where v.relnamespace = n.oid and v.relkind = 'v'),
                'function', (select count(*) from pg_proc f where f.pronamespace = n.oid)
            ) others,
            (select coalesce(json_agg(distinct said), '[]') from pg_class w
                cross join lateral json_array_elements_text({users}) said
                where w.relnamespace = n.oid and w.relkind in ('r', 'p', 'v', 'm', 'f')) users
        from pg_namespace n cross join lateral (
            with recursive parts(oid) as (
                select c.oid from pg_class c where c.relnamespace = n.oid
                union
                select i.inhrelid from parts p join pg_inherits i on i.inhparent = p.oid
            )
            select {SUMS} from pg_class c join parts p on p.oid = c.oid and {COUNTED}) s
        where n.nspname = any($1)"#
    )
}

/// The query for what is in the database that is connected to; its parameter is not used.
fn database() -> String {
    format!(
        r#"select array[current_database()]::text[] "key", s.*,
            (select count(*) from pg_largeobject_metadata) large_objects,
            (select count(*) from pg_stat_activity a where a.datname = current_database()
                and a.backend_type = 'client backend' and a.application_name <> 'dollop') sessions
        from (select {SUMS} from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname <> 'information_schema' and n.nspname !~ '^pg_' and {COUNTED}) s
        where $1::text[] is not null"#
    )
}

/// The query for what a role owns in the database that is connected to; its parameter is the
/// role's name.
fn owned() -> String {
    format!(
        r#"with recursive parts(oid) as (
            select c.oid from pg_class c join pg_roles o on o.oid = c.relowner
                where o.rolname = any($1) and c.oid >= 16384
            union
            select i.inhrelid from parts p join pg_inherits i on i.inhparent = p.oid
        )
        select array[current_database()]::text[] "key", s.*,
            (select count(*) from pg_largeobject_metadata l join pg_roles o on o.oid = l.lomowner
                where o.rolname = any($1)) large_objects
        from (select {SUMS} from pg_class c join parts p on p.oid = c.oid where {COUNTED}) s"#
    )
}

/// What is in tables or stored views of one database, in the order of their keys.
pub(super) async fn in_relations(
    server: &Server,
    database: &str,
    keys: &[&Key],
) -> Vec<Result<Held, CallError>> {
    let part = |at: usize| -> Vec<String> { keys.iter().map(|key| key[at].clone()).collect() };
    let task = Task::new(format!("look what is in the tables of database `{database}`"));
    let rows = server.rows(database, &relations(), &[part(0), part(1)], &task).await;
    answers(rows, keys, true)
}

/// What goes with schemas of one database, in the order of their names.
pub(super) async fn in_schemas(
    server: &Server,
    database: &str,
    names: &[String],
) -> Vec<Result<Held, CallError>> {
    let task = Task::new(format!("look what is in the schemas of database `{database}`"));
    let rows = server.rows(database, &schemas(), &[names.to_vec()], &task).await;
    let keys: Vec<Key> = names.iter().map(|name| vec![name.clone()]).collect();
    answers(rows, &keys.iter().collect::<Vec<_>>(), false)
}

/// What is in a database.
pub(super) async fn in_database(server: &Server, name: &str) -> Result<Held, CallError> {
    let task = Task::new(format!("look what is in database `{name}`"));
    let rows = server.rows(name, &database(), &[Vec::new()], &task).await;
    match answers(rows, &[&vec![name.to_owned()]], false).pop() {
        Some(Err(error)) => unseen(server, name).await.ok_or(error),
        Some(answer) => answer,
        None => Ok(Held::Unknown),
    }
}

/// What is known of a database that does not let anybody in.
async fn unseen(server: &Server, name: &str) -> Option<Held> {
    #[derive(Deserialize)]
    struct Row {
        size: String,
    }
    let sql = "select pg_size_pretty(pg_database_size(oid)) size from pg_database
        where datname = any($1) and not datallowconn";
    let task = Task::new(format!("look at database `{name}`"));
    let names = [vec![name.to_owned()]];
    let rows: Vec<Row> = server.rows(server.database(), sql, &names, &task).await.ok()?;
    let Row { size } = rows.into_iter().next()?;
    Some(Held::Content(format!("{size} that nobody can look at, as it allows no connections")))
}

/// What a role owns, in the databases it has something in.
pub(super) async fn owned_by(
    server: &Server,
    role: &str,
    databases: &[String],
) -> Result<Held, CallError> {
    let task = Task::new(format!("look what role `{role}` owns"));
    let mut parts = Vec::new();
    for database in databases {
        let rows: Vec<Stored> =
            server.rows(database, &owned(), &[vec![role.to_owned()]], &task).await?;
        for stored in &rows {
            if let Held::Content(words) = stored.held(false) {
                parts.push(format!("{words} in database `{database}`"));
            }
        }
    }
    Ok(match parts.as_slice() {
        [] => Held::Nothing("no rows".to_owned()),
        parts => Held::Content(parts.join("; ")),
    })
}

/// How much is in tables.
pub(super) enum Sizes {
    /// There is no such database.
    NoDatabase,
    /// Nobody could look.
    Unseen,
    /// Of the tables that are there, by their names; nothing where one is empty.
    Of(HashMap<String, Option<String>>),
}

/// How much is in tables of a database, by their names as a migration writes them, or in all of
/// a schema (`app.*`).
pub(super) async fn sizes(
    server: &Server,
    database: &str,
    tables: BTreeSet<String>,
) -> Result<Sizes, CallError> {
    #[derive(Deserialize)]
    struct Row {
        there: bool,
        #[serde(flatten)]
        stored: Stored,
    }
    let table = asking::relation_of("w.name");
    // The empty name is there wherever the database is.
    let sql = format!(
        r#"with recursive named as (
            select w.name, case when w.name <> '' and w.name not like '%.*' then {table} end oid,
                case when w.name like '%.*' then to_regnamespace(left(w.name, -2)) end place
            from unnest($1) w(name)
        ), parts(name, oid) as (
            select n.name, c.oid from named n join pg_class c
                on c.oid = n.oid or c.relnamespace = n.place
            union
            select p.name, i.inhrelid from parts p join pg_inherits i on i.inhparent = p.oid
        )
        select array[w.name] "key", s.*, w.oid is not null or w.place is not null there
        from named w cross join lateral (select {SUMS} from parts p
            join pg_class c on c.oid = p.oid and {COUNTED} where p.name = w.name) s"#
    );
    let tables: Vec<String> = tables.into_iter().chain([String::new()]).collect();
    let task = Task::new(format!("look what is in the tables of database `{database}`"));
    let rows: Vec<Row> = server.rows(database, &sql, &[tables], &task).await?;
    if rows.is_empty() {
        return Ok(Sizes::NoDatabase);
    }
    let there = rows.into_iter().filter(|row| row.there).filter_map(|row| {
        let size = match row.stored.held(true) {
            Held::Content(words) => Some(words),
            _ => None,
        };
        Some((row.stored.key.into_iter().next()?, size))
    });
    Ok(Sizes::Of(there.collect()))
}

/// What is gone holds nothing.
fn answers(
    rows: Result<Vec<Stored>, CallError>,
    keys: &[&Key],
    one: bool,
) -> Vec<Result<Held, CallError>> {
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
    };
    let rows: HashMap<&Key, &Stored> = rows.iter().map(|row| (&row.key, row)).collect();
    keys.iter()
        .map(|key| match rows.get(*key) {
            Some(stored) => Ok(stored.held(one)),
            None => Ok(Held::Nothing("no rows".to_owned())),
        })
        .collect()
}

/// Asks about many, those of one database at once; the answers come in the order of asking.
pub(super) async fn by_database<Ask, Answer>(
    places: &[Place],
    ask: Ask,
) -> Vec<Result<Held, CallError>>
where
    Ask: Fn(String, Vec<String>) -> Answer,
    Answer: Future<Output = Vec<Result<Held, CallError>>>,
{
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for place in places {
        names.entry(&place.database).or_default().push(place.name.clone());
    }
    let mut answers: HashMap<(&str, String), Result<Held, CallError>> = HashMap::new();
    for (database, names) in names {
        let held = ask(database.to_owned(), names.clone()).await;
        answers.extend(names.into_iter().map(|name| (database, name)).zip(held));
    }
    places
        .iter()
        .map(|place| {
            let key = (place.database.as_str(), place.name.clone());
            answers.remove(&key).unwrap_or(Ok(Held::Unknown))
        })
        .collect()
}
