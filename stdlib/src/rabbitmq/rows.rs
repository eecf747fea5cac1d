//! Answering many questions from one list.

use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{Found, ReadResult, Resource, Wanted};

/// Looks up each wanted object among the rows of a list, by key.
pub(super) fn answer<R: Resource, Row, Key: Ord>(
    rows: Result<Vec<Row>, CallError>,
    row_key: impl Fn(&Row) -> Key,
    wanted: &[Wanted<R::Spec>],
    wanted_key: impl Fn(&Wanted<R::Spec>) -> Key,
    found: impl Fn(&Wanted<R::Spec>, &Row) -> Result<Found<R::Spec, R::Facts>, CallError>,
) -> Vec<ReadResult<R>> {
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
    };
    let rows: BTreeMap<Key, Row> = rows.into_iter().map(|row| (row_key(&row), row)).collect();
    let look = |wanted: &Wanted<R::Spec>| match rows.get(&wanted_key(wanted)) {
        Some(row) => found(wanted, row).map(Some),
        None => Ok(None),
    };
    wanted.iter().map(look).collect()
}

/// The name to look for: the one it was made with.
pub(super) fn name_of<Spec>(wanted: &Wanted<Spec>) -> &str {
    wanted.id.as_deref().unwrap_or(&wanted.name.natural)
}
