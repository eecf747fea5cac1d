//! What becomes of the outputs.

use std::collections::{BTreeMap, HashSet};

use crate::diagnostic::{Code, Diagnostic};
use crate::plain_type::PlainType;
use crate::plan::{Decisions, Inputs, OutputChange};
use crate::value::Value;

/// The types of outputs that are still to be known.
pub(super) fn types(inputs: Inputs<'_>, decisions: &Decisions) -> BTreeMap<String, PlainType> {
    let open = |name: &String| {
        decisions.outputs.iter().any(|(other, value)| other == name && value.known().is_none())
    };
    let typed = inputs.graph.program().outputs.iter();
    let typed = typed.filter_map(|output| Some((output.name.clone(), output.ty?)));
    typed.filter(|(name, _)| open(name)).collect()
}

/// Every output before and after.
pub(super) fn changes(inputs: Inputs<'_>, decisions: &Decisions) -> Vec<OutputChange> {
    let mut found: Vec<OutputChange> = decisions
        .outputs
        .iter()
        .map(|(name, after)| OutputChange {
            name: name.clone(),
            before: inputs.state.outputs.get(name).cloned(),
            after: Some(after.clone()),
        })
        .collect();
    let known: HashSet<&String> = decisions.outputs.iter().map(|(name, _)| name).collect();
    for (name, before) in &inputs.state.outputs {
        if !known.contains(name) {
            found.push(OutputChange {
                name: name.clone(),
                before: Some(before.clone()),
                after: None,
            });
        }
    }
    found
}

/// What is wrong with an output that was given a type; nothing when it has none.
pub(crate) fn misfit(name: &str, ty: Option<PlainType>, value: &Value) -> Option<Diagnostic> {
    let ty = ty.filter(|ty| !ty.fits(value))?;
    let found = value.reveal().type_name();
    let message = format!("output `{name}` must be {}, not {found}", ty.words());
    Some(Diagnostic::new(Code::OutputForm, message))
}
