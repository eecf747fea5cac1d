//! Addresses that objects are told in text: names nobody answers to, logins nobody declares,
//! and this machine's address where the object itself is meant.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use super::claim::{ANY, Asked, Call, Claim, Known, Named};
use super::stack::{Object, Stack};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, did_you_mean};

/// Where names are found: by connection and network, who answers to what.
type Names<'s, 'a> =
    BTreeMap<(Option<&'a Address>, &'s Named), BTreeMap<&'s str, &'s Object<'a>>>;

pub(super) fn check<'a>(stack: &Stack<'a>, report: &mut Report<'a>) {
    let mut names: Names<'_, 'a> = Names::new();
    let mut places: BTreeMap<&Address, Vec<&Named>> = BTreeMap::new();
    let mut ports: BTreeMap<(Option<&Address>, u16), Vec<&Object<'a>>> = BTreeMap::new();
    for (object, claimed) in stack.claims() {
        match &claimed.claim {
            Claim::Member { network, names: own, group, .. } if !own.is_empty() => {
                let there = names.entry((object.connection(), network)).or_default();
                for name in own.iter().chain(group) {
                    _ = there.entry(name.as_str()).or_insert(object);
                }
                places.entry(object.address()).or_default().push(network);
            }
            Claim::HostPort { port, .. } => {
                ports.entry((object.connection(), *port)).or_default().push(object);
            }
            _ => {}
        }
    }
    let declared: BTreeSet<(Option<&Address>, &str, &str)> = stack
        .objects()
        .filter_map(|o| Some((o.connection(), o.kind.name, o.name.as_deref()?)))
        .collect();
    let known = known(stack);
    for (object, claimed) in stack.claims() {
        let Claim::Calls(call) = &claimed.claim else { continue };
        let Some(networks) = places.get(object.address()) else { continue };
        let at = |network| (object.connection(), network);
        let found = if matches!(call.host.as_str(), "localhost" | "127.0.0.1" | "[::1]") {
            this_machine(object, call, &ports)
        } else if call.host.contains(['.', ':']) || is_number(&call.host) {
            None
        } else if let Some(target) = networks
            .iter()
            .find_map(|network| names.get(&at(*network))?.get(call.host.as_str()))
        {
            login(object, call, target, &known)
        } else if networks.iter().all(|network| {
            declared.contains(&(object.connection(), network.kind, network.name.as_str()))
        }) {
            Some(unknown(object, call, networks, &names))
        } else {
            // Others may be in a network that is not of this stack.
            None
        };
        if let Some(found) = found {
            report.add(object.declaration, &claimed.at, found);
        }
    }
}

/// No name of a machine, but the status of an answer, say: `static://202`.
fn is_number(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_digit())
}

/// The host port of another, asked for at this machine's address from inside a container.
fn this_machine(
    object: &Object<'_>,
    call: &Call,
    ports: &BTreeMap<(Option<&Address>, u16), Vec<&Object<'_>>>,
) -> Option<Diagnostic> {
    let port = call.port.filter(|_| !call.by_browsers)?;
    let holders = ports.get(&(object.connection(), port))?;
    // It may well mean itself.
    let target = holders
        .first()
        .filter(|_| !holders.iter().any(|holder| holder.address() == object.address()))?;
    let message = format!(
        "`{}` is told `{}:{port}`, which is itself: `{}` has that port of the host",
        object.address(),
        call.host,
        target.address()
    );
    let hint = "use the name of the other container and the port it listens on inside; what only \
                browsers read is recognised by its beginning, such as `NEXT_PUBLIC_`";
    Some(Diagnostic::new(Code::ItselfMeant, message).hint(hint))
}

/// A name that nobody in the networks of an object answers to.
fn unknown(
    object: &Object<'_>,
    call: &Call,
    networks: &[&Named],
    names: &Names<'_, '_>,
) -> Diagnostic {
    let host = &call.host;
    let elsewhere = names.iter().find_map(|((connection, network), there)| {
        let target = there.get(host.as_str()).filter(|_| *connection == object.connection())?;
        Some((target.address(), &network.name))
    });
    if let Some((target, network)) = elsewhere {
        let message = format!(
            "`{}` is told the name of `{target}`, which it cannot find",
            object.address()
        );
        return Diagnostic::new(Code::NoSharedNetwork, message)
            .note(format!("`{host}` is in network `{network}`, and they share none"))
            .hint("put both into one network of the stack");
    }
    let message =
        format!("`{}` is told to reach `{host}`, and nobody is called so", object.address());
    let found = Diagnostic::new(Code::UnknownHost, message);
    let all = networks.iter().filter_map(|n| names.get(&(object.connection(), *n)));
    let all = all.flat_map(|there| there.keys().copied());
    match did_you_mean(host, all) {
        Some(near) => found.hint(format!("did you mean `{near}`?")),
        None => found.hint("use the name of a container in one of its networks"),
    }
}

/// The logins and places of what runs at an address.
type Logins<'s> = BTreeMap<&'s Address, BTreeMap<Known, BTreeSet<&'s str>>>;

fn known<'s>(stack: &'s Stack<'_>) -> Logins<'s> {
    let mut known = Logins::new();
    for (object, claimed) in stack.claims() {
        let Claim::Knows { what, name } = &claimed.claim else { continue };
        let mut hosts: BTreeSet<&Address> = BTreeSet::from([object.address()]);
        if let Some(server) = object.connection() {
            // A server is reached at the address of whatever runs it.
            hosts.extend(stack.graph.needs(server).map(|host| &host.address));
        }
        for host in hosts {
            known.entry(host).or_default().entry(*what).or_default().insert(name.as_str());
        }
    }
    known
}

/// A login, or a place, that nobody makes on the server it is meant for.
fn login(
    object: &Object<'_>,
    call: &Call,
    target: &Object<'_>,
    known: &Logins<'_>,
) -> Option<Diagnostic> {
    let known = known.get(target.address())?;
    let missing = |asked: &Option<Asked>, what: Known, verb: &str| {
        let Asked { noun, name, note } = asked.as_ref()?;
        let names = known.get(&what)?;
        if names.contains(ANY) || names.contains(name.as_str()) {
            return None;
        }
        let message = format!(
            "`{}` {verb} `{name}` of `{}`, and nobody declares that {noun}",
            object.address(),
            target.address()
        );
        let mut found = Diagnostic::new(Code::UndeclaredLogin, message);
        if let Some(note) = note {
            found = found.note(*note);
        }
        Some(match did_you_mean(name, names.iter().copied()) {
            Some(near) => found.hint(format!("did you mean `{near}`?")),
            None => found.hint("declare it, and make the URL from its handle"),
        })
    };
    missing(&call.login, Known::Login, "logs in as")
        .or_else(|| missing(&call.place, Known::Place, "asks for"))
}
