//! What an object needs of the software that runs it, and that software surely lacks.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use super::claim::Claim;
use super::stack::{Object, Stack};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};

pub(super) fn check<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let objects: BTreeMap<&Address, &Object<'a>> =
        stack.objects().map(|object| (object.address(), object)).collect();
    for (object, claimed) in stack.claims() {
        let Claim::Wants { software, feature, hint } = &claimed.claim else { continue };
        let Some(server) = object.connection() else { continue };
        // A server is reached at the address of whatever runs it.
        // It needs more than one thing of it: host and port.
        let hosts: BTreeSet<&Address> =
            stack.graph.needs(server).map(|host| &host.address).collect();
        for host in hosts.into_iter().filter_map(|host| objects.get(host)) {
            let offered = host.claims.iter().find_map(|claimed| match &claimed.claim {
                Claim::Offers { software: of, image, features } if of == software => {
                    Some((image, features))
                }
                _ => None,
            });
            let Some((image, features)) = offered else { continue };
            if features.contains(&feature.as_str()) {
                continue;
            }
            let message =
                format!("the image `{image}` has no {software} extension `{feature}`");
            let mut found = Diagnostic::new(Code::MissingFeature, message)
                .note(format!("`{}` runs `{server}`", host.address()));
            if let Some(hint) = hint {
                found = found.hint(hint.clone());
            }
            report.add(object.declaration, &claimed.at, found);
        }
    }
}
