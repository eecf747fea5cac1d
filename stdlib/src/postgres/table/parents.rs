//! What a table must have to become a part of another one. The server adds none of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Migration, Problem, Proposed};
use serde::Deserialize;

use super::super::column::{self, Column};
use super::super::error::Task;
use super::super::object::{Key, Object as _};
use super::super::server::Server;
use super::super::types;
use super::{Spec, Table};

/// What the server has of a table.
#[derive(Deserialize)]
struct Shape {
    key: Key,
    columns: Vec<Column>,
    /// The CHECK constraints that tables which inherit from it must have.
    checks: BTreeMap<String, String>,
}

/// A table that another one becomes a part of, and the attribute that says so.
struct Join<'a> {
    attribute: &'static str,
    parent: &'a String,
}

/// Whether a table becomes a partition, or another one than it was.
pub(super) fn attaches(from: &Spec, to: &Spec) -> bool {
    let place = |spec: &Spec| (spec.partition_of.clone(), spec.bounds.clone());
    to.partition_of.is_some() && place(from) != place(to)
}

fn joins<'a>(from: &Spec, to: &'a Spec) -> Vec<Join<'a>> {
    let inherits = to.inherits.iter().filter(|parent| !from.inherits.contains(*parent));
    let inherits = inherits.map(|parent| Join { attribute: "inherits", parent });
    let partition = to.partition_of.iter().filter(|_| attaches(from, to));
    inherits.chain(partition.map(|parent| Join { attribute: "partition_of", parent })).collect()
}

/// What it disturbs when a table becomes a part of others.
pub(super) fn cautions(from: &Spec, to: &Spec) -> Vec<Problem> {
    let caution = |Join { attribute, parent }: Join<'_>| {
        let message = match (attribute, &from.partition_of) {
            ("inherits", _) => format!(
                "begins to inherit from `{parent}` under an ACCESS EXCLUSIVE lock, which reads no \
                 rows"
            ),
            (_, None) => format!(
                "becomes a partition with its columns and rows; reads these, and those of a DEFAULT \
                 partition of `{parent}`, under an ACCESS EXCLUSIVE lock on both, unless CHECK \
                 constraints tell that `bounds` hold"
            ),
            (_, Some(old)) => format!(
                "leaves `{old}` under an ACCESS EXCLUSIVE lock on that as well, and reads its \
                 rows before anybody else can"
            ),
        };
        Problem { attribute: attribute.to_owned(), message, hint: None }
    };
    joins(from, to).into_iter().map(caution).collect()
}

/// Whether a table that becomes a partition keeps what is in it. What one that leaves has then of
/// its table's constraints is known only afterwards: it is made anew.
pub(super) fn migrates(from: &Spec, to: &Spec) -> Migration {
    if attaches(from, to) && from.partition_by == to.partition_by {
        Migration::InPlace
    } else {
        Migration::None
    }
}

/// What stands in the way of each table that becomes a part of others.
pub(super) async fn refusals(
    server: &Server,
    proposed: &[Proposed<Spec>],
) -> Result<Vec<Vec<Problem>>, CallError> {
    let mut asked: BTreeMap<&str, BTreeSet<Key>> = BTreeMap::new();
    for one in proposed {
        let Some(from) = &one.from else { continue };
        let joins = joins(from, &one.to);
        if !joins.is_empty() {
            let keys = asked.entry(&one.to.database).or_default();
            keys.insert(Table::key(&one.name.natural, &one.to));
            keys.extend(joins.iter().map(|join| key(join.parent)));
        }
    }
    let mut there: HashMap<(&str, Key), Shape> = HashMap::new();
    for (database, keys) in asked {
        let column = |at: usize| keys.iter().map(|key| key[at].clone()).collect();
        let parameters: [Vec<String>; 2] = [column(0), column(1)];
        let task = Task::new(format!("read what tables have in database `{database}`"));
        let shapes: Vec<Shape> = server.rows(database, &query(), &parameters, &task).await?;
        there.extend(shapes.into_iter().map(|shape| ((database, shape.key.clone()), shape)));
    }
    let planned: HashMap<(&str, Key), &Spec> = proposed
        .iter()
        .map(|one| {
            ((one.to.database.as_str(), Table::key(&one.name.natural, &one.to)), &one.to)
        })
        .collect();
    let of_one = |one: &Proposed<Spec>| {
        let Proposed { name, from: Some(from), to, .. } = one else { return Vec::new() };
        let database = to.database.as_str();
        let own = there.get(&(database, Table::key(&name.natural, to)));
        let problems = |join: &Join<'_>| -> Vec<Problem> {
            let Some(own) = own else { return Vec::new() };
            let at = (database, key(join.parent));
            let none = BTreeMap::new();
            let (columns, checks) = match (planned.get(&at), there.get(&at)) {
                // What it has of others by then is not known.
                (Some(spec), _) if !spec.inherits.is_empty() || spec.partition_of.is_some() => {
                    return Vec::new();
                }
                (Some(spec), _) => (&spec.columns, &none),
                (None, Some(shape)) => (&shape.columns, &shape.checks),
                (None, None) => return Vec::new(),
            };
            let own = Own { live: own, from, to, schemas: server.schemas(database) };
            own.lacks(join, columns, checks)
        };
        joins(from, to).iter().flat_map(problems).collect()
    };
    Ok(proposed.iter().map(of_one).collect())
}

fn key(table: &str) -> Key {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    vec![schema.to_owned(), name.to_owned()]
}

fn query() -> String {
    let columns = column::QUERY;
    format!(
        r#"select array[n.nspname, c.relname] "key", coalesce({columns}, '[]') "columns",
            (select coalesce(json_object_agg(k.conname, pg_get_constraintdef(k.oid)), '{{}}')
                from pg_constraint k where k.conrelid = c.oid and k.contype = 'c'
                    and not k.connoinherit) checks
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and n.nspname = any($1) and c.relname = any($2)"#
    )
}

/// A table that becomes a part of another one.
struct Own<'a> {
    live: &'a Shape,
    from: &'a Spec,
    to: &'a Spec,
    /// Where names without a schema are looked for.
    schemas: Arc<[String]>,
}

impl Own<'_> {
    /// The columns it has by then: what the script says, and what goes without saying.
    fn columns(&self) -> impl Iterator<Item = &Column> {
        let goes = |name: &str| {
            self.to.partition_of.is_none() && named(&self.from.columns, name).is_some()
        };
        let plain = self.live.columns.iter().filter(move |column| {
            !goes(&column.name) && named(&self.to.columns, &column.name).is_none()
        });
        self.to.columns.iter().chain(plain)
    }

    /// Whether one of them must have a value.
    fn is_not_null(&self, column: &Column) -> bool {
        let was_said = named(&self.from.columns, &column.name).is_some_and(|old| old.not_null);
        let is = named(&self.live.columns, &column.name).is_some_and(|live| live.not_null);
        column.not_null || (is && !was_said)
    }

    /// Whether it has a constraint by then.
    fn has_check(&self, name: &String) -> bool {
        let goes = self.to.partition_of.is_none() && self.from.constraints.contains_key(name);
        self.to.constraints.contains_key(name)
            || self.to.constraints_apart.contains(name)
            || (self.live.checks.contains_key(name) && !goes)
    }

    /// What of another table it must have and has not, or has otherwise.
    fn lacks(
        &self,
        join: &Join<'_>,
        columns: &[Column],
        checks: &BTreeMap<String, String>,
    ) -> Vec<Problem> {
        let Join { attribute, parent } = join;
        let is_partition = *attribute == "partition_of";
        let mut problems = Vec::new();
        let mut say = |message: String, hint: String| {
            // A partition says nothing of its columns.
            let hint = if is_partition {
                format!("{hint} while it is a table of its own, then make it a partition")
            } else {
                hint
            };
            let attribute = (*attribute).to_owned();
            problems.push(Problem { attribute, message, hint: Some(hint) });
        };
        for theirs in columns {
            let Column { name, ty, .. } = theirs;
            let Some(ours) = self.columns().find(|column| column.name == *name) else {
                say(
                    format!("`{parent}` has a column `{name}` that this table lacks"),
                    format!("add `#{{ name: \"{name}\", type: \"{ty}\" }}` to `columns`"),
                );
                continue;
            };
            let collations = match (&ours.collation, &theirs.collation) {
                (Some(ours), Some(theirs)) => types::are_alike(ours, theirs, &self.schemas),
                (ours, theirs) => ours == theirs,
            };
            if !collations || !types::are_alike(&ours.ty, ty, &self.schemas) {
                let of = |column: &Column| match &column.collation {
                    Some(collation) => format!("{} by `{collation}`", column.ty),
                    None => column.ty.clone(),
                };
                say(
                    format!(
                        "column `{name}` is {} here and {} in `{parent}`",
                        of(ours),
                        of(theirs)
                    ),
                    "give both one type".to_owned(),
                );
            }
            if theirs.not_null && !self.is_not_null(ours) {
                say(
                    format!("column `{name}` may be NULL here, and not in `{parent}`"),
                    format!("set `not_null: true` of `{name}`"),
                );
            }
        }
        for (name, text) in checks.iter().filter(|(name, _)| !self.has_check(name)) {
            say(
                format!("`{parent}` has a constraint `{name}` that this table lacks: {text}"),
                "add it to `constraints`".to_owned(),
            );
        }
        for more in self
            .columns()
            .filter(|column| is_partition && named(columns, &column.name).is_none())
        {
            let name = &more.name;
            say(
                format!("column `{name}` is not in `{parent}`, and a partition has no others"),
                format!("drop it (`drop_columns: [\"{name}\"]`)"),
            );
        }
        problems
    }
}

fn named<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    columns.iter().find(|column| column.name == name)
}
