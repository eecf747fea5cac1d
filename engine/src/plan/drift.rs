//! What somebody else changed: what was last written beside what is there, whatever a script
//! says meanwhile.

use crate::expr::Expr;
use crate::kind::{FoundObject, Kind};
use crate::plan::change::Difference;
use crate::plan::diff::{Sides, differences};
use crate::resource::Owner;
use crate::store::Record;
use crate::value::Value;

/// How an object is, beside what was last written to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Drift {
    /// It is not there, or what is there is somebody else's.
    Gone,
    /// These attributes are others now; `after` is what was written.
    Changed(Vec<Difference>),
}

/// Whether it is known well enough to be compared: what exists in the record only, or what an
/// apply began and did not end, is not.
pub fn is_comparable(kind: &Kind, record: &Record) -> bool {
    !kind.traits.only_recorded
        && !record.interrupted
        && !record.unfinished
        && record.renaming.is_empty()
        && !record.address.is_deposed()
}

/// What became of the object of a record that was written as `left`; `None` when it is as it
/// was, or as its declaration lets others make it.
pub fn drift(
    kind: &Kind,
    record: &Record,
    left: &Value,
    found: Option<FoundObject>,
) -> Option<Drift> {
    // What was recorded is ours, whatever marks it carries: it may have been adopted.
    let is_ours =
        |found: &FoundObject| found.id == record.id || !matches!(found.owner, Owner::Other(_));
    let Some(found) = found.filter(is_ours) else { return Some(Drift::Gone) };
    // An older dollop may not have known all attributes.
    let normal = kind.calls.normalize(left).map(|normal| kind.mark_spec(normal));
    let left = normal.map_or_else(|_| left.clone(), |normal| normal.marked_like(left));
    let actual = kind.mark_spec(found.spec).marked_like(&left);
    let mut desired = Expr::Value(left.clone());
    for path in &record.lifecycle.ignore_changes {
        desired = desired.replaced(path, path.follow(&actual));
    }
    let changed = differences(&Sides {
        desired: &desired,
        actual: &actual,
        recorded: Some(&left),
        schema: &kind.schema.spec,
        spans: None,
    });
    (!changed.is_empty()).then_some(Drift::Changed(changed))
}
