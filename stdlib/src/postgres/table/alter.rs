//! The statements that make a table and change it, and what of one form of it is in another.

use std::collections::{BTreeMap, BTreeSet};

use super::super::sql;
use super::parents::attaches;
use super::{Column, Spec};

/// The name the server gives the primary key of a table.
pub(super) fn key_name_of(table: &str) -> String {
    // As long as a name may be, the suffix included.
    let mut end = table.len().min(58);
    while !table.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_pkey", &table[..end])
}

/// The column of a table that a column of another form of it was.
pub(super) fn find<'a>(from: &'a Spec, column: &Column) -> Option<&'a Column> {
    let named = |name: &str| from.columns.iter().find(|old| old.name == name);
    named(&column.name).or_else(|| named(column.renamed_from.as_deref()?))
}

/// Columns that are in both, as they were and as they are to be.
pub(super) fn kept<'a>(
    from: &'a Spec,
    to: &'a Spec,
) -> impl Iterator<Item = (&'a Column, &'a Column)> {
    to.columns.iter().filter_map(move |column| Some((find(from, column)?, column)))
}

pub(super) fn added<'a>(from: &'a Spec, to: &'a Spec) -> impl Iterator<Item = &'a Column> {
    to.columns.iter().filter(move |column| find(from, column).is_none())
}

/// Columns that go; a partition says nothing of its own, and keeps them.
pub(super) fn lost<'a>(from: &'a Spec, to: &'a Spec) -> impl Iterator<Item = &'a Column> {
    let stay: BTreeSet<&str> = kept(from, to).map(|(old, _)| old.name.as_str()).collect();
    let columns = from.columns.iter().filter(|_| to.partition_of.is_none());
    columns.filter(move |column| !stay.contains(column.name.as_str()))
}

/// Constraints that are new or other than they were.
pub(super) fn changed<'a>(
    from: &'a BTreeMap<String, String>,
    to: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    to.iter().filter(move |(name, text)| from.get(*name) != Some(text))
}

/// What a table is now, with the expressions and constraints that a plan saw no difference in as
/// they shall be.
pub(super) fn as_planned(mut now: Spec, from: &Spec, to: &Spec) -> Spec {
    for (name, text) in &mut now.constraints {
        let planned = to.constraints.get(name);
        if let Some(planned) = planned.filter(|_| planned == from.constraints.get(name)) {
            text.clone_from(planned);
        }
    }
    let named = |spec: &Spec, name: &str| {
        spec.columns.iter().find(|column| column.name == name).cloned()
    };
    for column in &mut now.columns {
        let (Some(was), Some(is)) = (named(from, &column.name), named(to, &column.name)) else {
            continue;
        };
        for (text, was, is) in [
            (&mut column.default, was.default, is.default),
            (&mut column.generated, was.generated, is.generated),
        ] {
            if was == is && text.is_some() == is.is_some() {
                *text = is;
            }
        }
    }
    if now.bounds.is_some() && from.bounds == to.bounds {
        now.bounds.clone_from(&to.bounds);
    }
    now
}

pub(super) fn create(table: &str, key_name: &str, to: &Spec) -> Vec<String> {
    let unlogged = if to.unlogged { "UNLOGGED " } else { "" };
    let mut inner: Vec<_> = to.columns.iter().map(Column::definition).collect();
    if !to.primary_key.is_empty() {
        inner.push(primary_key(key_name, &to.primary_key));
    }
    inner.extend(
        to.constraints
            .iter()
            .map(|(name, text)| format!("CONSTRAINT {} {text}", sql::name(name))),
    );
    let inner = inner.join(",\n    ");
    let body = match (&to.partition_of, &to.bounds) {
        (Some(parent), Some(bounds)) => {
            let inner =
                if inner.is_empty() { String::new() } else { format!(" (\n    {inner}\n)") };
            format!(" PARTITION OF {}{inner} {bounds}", sql::whole(parent))
        }
        _ if inner.is_empty() => " ()".to_owned(),
        _ => format!(" (\n    {inner}\n)"),
    };
    let mut create = format!("CREATE {unlogged}TABLE {table}{body}");
    if !to.inherits.is_empty() {
        let parents: Vec<_> = to.inherits.iter().map(|parent| sql::whole(parent)).collect();
        create.extend([format!(" INHERITS ({})", parents.join(", "))]);
    }
    create.extend(to.partition_by.iter().map(|by| format!(" PARTITION BY {by}")));
    create
        .extend(to.access_method.iter().map(|method| format!(" USING {}", sql::name(method))));
    if !to.parameters.is_empty() {
        create.extend([format!(" WITH ({})", sql::parameters(&to.parameters))]);
    }
    create
        .extend(to.tablespace.iter().map(|space| format!(" TABLESPACE {}", sql::name(space))));
    vec![create]
}

/// Drops a constraint of a partition unless it has become one of its table's.
fn drop_own(table: &str, constraint: &str) -> String {
    let body = format!(
        "BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid OPERATOR(pg_catalog.=) {}::pg_catalog.regclass
        AND conname OPERATOR(pg_catalog.=) {} AND conislocal
        AND coninhcount OPERATOR(pg_catalog.=) 0
        AND conparentid OPERATOR(pg_catalog.=) 0) THEN
        ALTER TABLE {table} DROP CONSTRAINT {};
    END IF;
END",
        sql::text(table),
        sql::text(constraint),
        sql::name(constraint)
    );
    let tag = sql::tag(&body);
    format!("DO {tag}{body}{tag}")
}

fn primary_key(name: &str, columns: &[String]) -> String {
    format!("CONSTRAINT {} PRIMARY KEY ({})", sql::name(name), sql::names(columns))
}

pub(super) fn change(table: &str, key_name: &str, from: &Spec, to: &Spec) -> Vec<String> {
    let on = format!("ALTER TABLE {table}");
    let mut all = Vec::new();
    let left = from.inherits.difference(&to.inherits);
    all.extend(left.map(|parent| format!("{on} NO INHERIT {}", sql::whole(parent))));
    let attaches = attaches(from, to);
    if let Some(parent) = from.partition_of.as_ref().filter(|_| attaches) {
        all.push(format!("ALTER TABLE {} DETACH PARTITION {table}", sql::whole(parent)));
    }
    let dropped =
        from.constraints.iter().filter(|(name, text)| to.constraints.get(*name) != Some(text));
    // What is not said of a partition may be its table's by then.
    let (later, dropped): (Vec<_>, Vec<_>) = dropped
        .map(|(name, _)| name)
        .partition(|name| attaches && !to.constraints.contains_key(*name));
    all.extend(dropped.iter().map(|name| format!("{on} DROP CONSTRAINT {}", sql::name(name))));
    let rekeyed = from.primary_key != to.primary_key && to.partition_of.is_none();
    if rekeyed && !from.primary_key.is_empty() {
        all.push(format!("{on} DROP CONSTRAINT {}", sql::name(key_name)));
    }
    for (old, new) in kept(from, to).filter(|(old, new)| old.name != new.name) {
        let (old, new) = (sql::name(&old.name), sql::name(&new.name));
        all.push(format!("{on} RENAME COLUMN {old} TO {new}"));
    }
    let gone = lost(from, to).filter(|column| to.drop_columns.contains(&column.name));
    all.extend(gone.map(|column| format!("{on} DROP COLUMN {}", sql::name(&column.name))));
    all.extend(
        added(from, to).map(|column| format!("{on} ADD COLUMN {}", column.definition())),
    );
    for (old, new) in kept(from, to) {
        all.extend(old.changes(new).into_iter().map(|action| format!("{on} {action}")));
        all.extend(old.counts_on(new, table));
    }
    if rekeyed && !to.primary_key.is_empty() {
        all.push(format!("{on} ADD {}", primary_key(key_name, &to.primary_key)));
    }
    for (name, text) in changed(&from.constraints, &to.constraints) {
        all.push(format!("{on} ADD CONSTRAINT {} {text}", sql::name(name)));
    }
    // By then it has what it takes.
    if let (Some(parent), Some(bounds)) = (&to.partition_of, &to.bounds)
        && attaches
    {
        let parent = sql::whole(parent);
        all.push(format!("ALTER TABLE {parent} ATTACH PARTITION {table} {bounds}"));
        all.extend(later.iter().map(|name| drop_own(table, name)));
    }
    let joined = to.inherits.difference(&from.inherits);
    all.extend(joined.map(|parent| format!("{on} INHERIT {}", sql::whole(parent))));
    let kept_by =
        to.access_method.as_ref().filter(|new| from.access_method.as_ref() != Some(new));
    all.extend(kept_by.map(|new| format!("{on} SET ACCESS METHOD {}", sql::name(new))));
    if from.unlogged != to.unlogged {
        all.push(format!("{on} SET {}", if to.unlogged { "UNLOGGED" } else { "LOGGED" }));
    }
    let moved = to.tablespace.as_ref().filter(|space| from.tablespace.as_ref() != Some(space));
    all.extend(moved.map(|space| format!("{on} SET TABLESPACE {}", sql::name(space))));
    let parameters = sql::change_parameters(&from.parameters, &to.parameters);
    all.extend(parameters.into_iter().map(|action| format!("{on} {action}")));
    all
}
