//! One port of the host for two objects.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::Report;
use super::claim::Claim;
use super::stack::{Stack, Use};
use crate::diagnostic::{Code, Diagnostic};

/// Objects that publish one port, by the address of the host they publish it on.
#[derive(Default)]
struct Taken<'s, 'a> {
    everywhere: Option<Use<'s, 'a>>,
    on: BTreeMap<IpAddr, Use<'s, 'a>>,
}

pub(super) fn check<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut taken: BTreeMap<_, Taken<'_, 'a>> = BTreeMap::new();
    for (object, claimed) in stack.claims() {
        let Claim::HostPort { ip, port, protocol } = &claimed.claim else { continue };
        let place = taken.entry((object.connection(), *protocol, *port)).or_default();
        // `0.0.0.0` is every address too.
        let ip = ip.filter(|ip| !ip.is_unspecified());
        let other = match ip {
            None => place.everywhere.or_else(|| place.on.values().next().copied()),
            Some(ip) => place.everywhere.or_else(|| place.on.get(&ip).copied()),
        };
        let this = (object, claimed);
        match ip {
            None => _ = place.everywhere.get_or_insert(this),
            Some(ip) => _ = place.on.entry(ip).or_insert(this),
        }
        // One object's own ports are its kind's business.
        let Some(other) = other.filter(|(other, _)| !std::ptr::eq(*other, object)) else {
            continue;
        };
        let shown = if *protocol == "tcp" { String::new() } else { format!("/{protocol}") };
        let message = format!(
            "`{}` and `{}` both publish port {port}{shown} of the host",
            other.0.address(),
            object.address(),
        );
        let found = Diagnostic::new(Code::PortConflict, message).hint(
            "give one of them another host port, or none: `127.0.0.1::80` lets the engine choose",
        );
        report.add_pair(
            (other.0.declaration, &stack.place(other.0, other.1)),
            (object.declaration, &stack.place(object, claimed)),
            "published here first",
            found,
        );
    }
}
