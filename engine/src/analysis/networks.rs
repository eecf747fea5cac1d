//! Addresses: ranges that overlap, one address for two objects, an address of nowhere.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::Report;
use super::claim::{Claim, Claimed, Named};
use super::stack::{Object, Stack, Use};
use crate::diagnostic::{Code, Diagnostic};

pub(super) fn check<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    overlaps(stack, report);
    addresses(stack, report);
}

/// Sorted by where they begin, a range overlaps one before it when it begins before that ends.
fn overlaps<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut ranges: Vec<(&Object<'a>, &Claimed, IpNet)> = stack
        .claims()
        .filter_map(|(object, claimed)| match &claimed.claim {
            Claim::Subnet(range) => Some((object, claimed, range.trunc())),
            _ => None,
        })
        .collect();
    let key = |range: &(&Object<'a>, &Claimed, IpNet)| {
        (range.0.connection(), range.2.network(), range.2.prefix_len())
    };
    ranges.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut widest: Option<(&Object<'a>, &Claimed, IpNet)> = None;
    for range in ranges {
        let same = widest.filter(|wide| {
            wide.0.connection() == range.0.connection()
                && wide.2.network().is_ipv4() == range.2.network().is_ipv4()
        });
        match same {
            Some(wide) if range.2.network() <= wide.2.broadcast() => {
                let message = format!(
                    "the subnets of `{}` and `{}` overlap: {} and {}",
                    wide.0.address(),
                    range.0.address(),
                    wide.2,
                    range.2,
                );
                let found = Diagnostic::new(Code::SubnetOverlap, message)
                    .hint("give them ranges side by side; `cidr_subnet` computes them");
                report.add_pair(
                    (wide.0.declaration, &wide.1.at),
                    (range.0.declaration, &range.1.at),
                    "the other one",
                    found,
                );
                if range.2.broadcast() > wide.2.broadcast() {
                    widest = Some(range);
                }
            }
            _ => widest = Some(range),
        }
    }
}

fn addresses<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut ranges: BTreeMap<(_, Named), Vec<IpNet>> = BTreeMap::new();
    for object in stack.objects() {
        let Some(name) = &object.name else { continue };
        let of = Named { kind: object.kind.name, name: name.clone() };
        for claimed in &object.claims {
            if let Claim::Subnet(range) = claimed.claim {
                ranges.entry((object.connection(), of.clone())).or_default().push(range);
            }
        }
    }
    let mut taken: BTreeMap<_, Use<'_, 'a>> = BTreeMap::new();
    let asked = stack.claims().flat_map(|(object, claimed)| match &claimed.claim {
        Claim::Member { network, addresses, .. } => {
            addresses.iter().map(|ip| (object, claimed, network, ip)).collect()
        }
        _ => Vec::new(),
    });
    for (object, claimed, network, ip) in asked {
        let place = (object.connection(), network.clone());
        let known = ranges.get(&place);
        let same_family =
            || known.into_iter().flatten().filter(|r| r.network().is_ipv4() == ip.is_ipv4());
        if known.is_some() && !same_family().any(|range| range.contains(ip)) {
            let message = format!("{ip} is not in the subnet of network `{}`", network.name);
            let mut found = Diagnostic::new(Code::OutsideSubnet, message);
            let all: Vec<_> = same_family().map(ToString::to_string).collect();
            if !all.is_empty() {
                found = found.note(format!("its subnet is {}", all.join(" and ")));
            }
            let hint = "choose an address of the subnet, or leave it out and use the name";
            report.add(object.declaration, &stack.place(object, claimed), found.hint(hint));
        }
        let this = (object, claimed);
        let other = *taken.entry((place, *ip)).or_insert(this);
        if std::ptr::eq(other.0, object) {
            continue;
        }
        let message = format!(
            "`{}` and `{}` both ask for {ip} in network `{}`",
            other.0.address(),
            object.address(),
            network.name,
        );
        let found = Diagnostic::new(Code::AddressConflict, message)
            .hint("give one of them another address, or leave it out and use the name");
        report.add_pair(
            (other.0.declaration, &stack.place(other.0, other.1)),
            (object.declaration, &stack.place(object, claimed)),
            "asked for here first",
            found,
        );
    }
}
