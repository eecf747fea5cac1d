//! Declared specs in normal form, worked out once for everybody who looks at them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::address::Address;
use crate::expr::Expr;
use crate::kind::{Kind, SpecError};
use crate::map::Map;
use crate::plan::desired::{Desired, desired, is_stand_in};
use crate::resource::Problem;

/// The normal forms of the declarations of a graph.
///
/// The script host, the analysis and every walk of a plan look at the same declarations, and
/// most of these are the same each time: only what refers to something that was read
/// meanwhile differs.
#[derive(Default)]
pub struct Normals(Mutex<HashMap<Address, Arc<Normal>>>);

/// A declared spec in normal form, and what its kind says against it.
#[derive(Debug)]
pub(crate) struct Normal {
    /// What it was made from.
    attributes: Map<Expr>,
    /// The normal form.
    pub(crate) desired: Desired,
    problems: OnceLock<Vec<Problem>>,
}

impl Normals {
    /// All of them, leaving none.
    pub(crate) fn take(&self) -> Self {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self(Mutex::new(std::mem::take(&mut known)))
    }

    /// The normal form of a declaration with these attributes.
    ///
    /// # Errors
    /// A known value does not fit the kind.
    pub(crate) fn of(
        &self,
        address: &Address,
        kind: &Kind,
        attributes: &Map<Expr>,
    ) -> Result<Arc<Normal>, SpecError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(normal) = known.get(address)
            && normal.attributes == *attributes
        {
            return Ok(normal.clone());
        }
        let desired = desired(&kind.schema, attributes, &|spec| kind.calls.normalize(spec))?;
        let normal =
            Normal { attributes: attributes.clone(), desired, problems: OnceLock::new() };
        let normal = Arc::new(normal);
        known.insert(address.clone(), normal.clone());
        Ok(normal)
    }
}

/// A copy works them out anew.
impl Clone for Normals {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Normals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Normals").finish_non_exhaustive()
    }
}

impl Normal {
    /// One whose attributes do not fit their kind: as they are written.
    pub(crate) fn as_written(attributes: Map<Expr>) -> Self {
        let desired = Desired { spec: Expr::map(attributes.clone()), probe: None };
        Self { attributes, desired, problems: OnceLock::new() }
    }

    /// The rules it breaks, as far as it is known.
    pub(crate) fn problems(&self, kind: &Kind) -> &[Problem] {
        self.problems.get_or_init(|| match self.desired.spec.known() {
            Some(spec) => kind.calls.check(spec),
            None => self.so_far(kind),
        })
    }

    /// What is wrong with the attributes that are known, while others are not.
    fn so_far(&self, kind: &Kind) -> Vec<Problem> {
        let Some(probe) = self.desired.whole() else { return Vec::new() };
        let mut problems = kind.calls.check(probe);
        problems.retain(|problem| {
            let texts = problem.hint.iter().chain([&problem.message]);
            !self.desired.is_open(&problem.attribute)
                && !texts.into_iter().any(|text| is_stand_in(text))
        });
        problems
    }
}
