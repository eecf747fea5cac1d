//! Host ports that containers to be made would not get: other containers on the engine have
//! them, or programs of its machine.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State, Network};
use dollop_engine::diagnostic::Code;
use dollop_engine::resource::{Name, Planned};

use super::super::engine::Engine;
use super::super::labels;
use super::listeners::{self, InTheWay, Listener, Program};
use super::networks::BRIDGE;
use super::ports::{HostPort, Port, Protocol, overlap};
use super::spec::{ContainerSpec, Wait};
use super::survey::{Found, add};

type One<'a> = &'a Planned<ContainerSpec>;

/// Who has a port that is wanted.
#[derive(Clone, Copy)]
enum Holder<'a> {
    /// Another container, which publishes it.
    Container(&'a ContainerSummary),
    /// A program of the machine.
    Socket(&'a Listener, InTheWay),
}

/// A port that would not be had, of the host, and who has it.
struct Taken<'a> {
    one: One<'a>,
    port: &'a Port,
    /// The first that is taken; all of them where it is a range.
    first: u16,
    holder: Holder<'a>,
}

/// Options of a network that decide where its containers publish.
const PUBLISHING: [&str; 3] = [
    "com.docker.network.bridge.host_binding_ipv4",
    "com.docker.network.bridge.gateway_mode_ipv4",
    "com.docker.network.bridge.gateway_mode_ipv6",
];

/// Compares the ports of containers that are to be made or started with what is there.
pub(super) async fn ports(
    engine: &Engine,
    planned: &[Planned<ContainerSpec>],
    listed: &[ContainerSummary],
    found: &mut Found,
) {
    let stopped = stopped(listed);
    let starts = |one: &&Planned<ContainerSpec>| {
        // One that has done its job stays as it is.
        let again = one.spec.wait != Wait::Exited
            && one.id.as_deref().is_some_and(|id| stopped.contains(id));
        (one.made || again) && one.spec.running && one.spec.network_mode.is_none()
    };
    let wanted = || {
        let started = planned.iter().filter(starts);
        started.flat_map(|one| one.spec.ports.0.iter().map(move |port| (one, port)))
    };
    if !wanted().any(|(_, port)| port.host.is_some() || port.ip.is_some()) {
        return;
    }
    let here = listeners::sees_machine(engine).await;
    if here {
        places(wanted(), found);
    }
    let listening = if here { listening().await } else { Vec::new() };
    let sockets = sockets(listening, listed);
    let others = publishing(planned, listed);
    let mut taken = Vec::new();
    for (one, port) in wanted() {
        let Some(host) = port.host else { continue };
        // Of a range the engine takes one that is free.
        let holders = (host.first..=host.last).map(|number| {
            let container = container(&others, one, port, number).map(Holder::Container);
            container.or_else(|| socket(&sockets, port, number))
        });
        let holders: Option<Vec<Holder<'_>>> = holders.collect();
        if let Some(holder) = holders.and_then(|holders| holders.into_iter().next()) {
            taken.push(Taken { one, port, first: host.first, holder });
        }
    }
    let inodes: HashSet<u64> = taken
        .iter()
        .filter_map(|taken| match taken.holder {
            Holder::Socket(socket, _) => Some(socket.inode),
            Holder::Container(_) => None,
        })
        .collect();
    let programs = if inodes.is_empty() { HashMap::new() } else { programs(inodes).await };
    let asks = taken.iter().any(Taken::depends_on_network);
    let elsewhere = if asks { publishing_elsewhere(engine).await } else { HashSet::new() };
    for taken in &taken {
        match taken.holder {
            Holder::Container(other) => by_container(taken, other, found),
            Holder::Socket(socket, sure) => {
                let program = programs.get(&socket.inode);
                let doubt = taken.doubt(socket, sure, program, listed, &elsewhere);
                by_program(taken, socket, doubt, program, listed, found);
            }
        }
    }
}

impl Taken<'_> {
    /// Whether it is in the way only if the container's network publishes at all addresses.
    fn depends_on_network(&self) -> bool {
        let Holder::Socket(socket, _) = self.holder else { return false };
        self.port.ip.is_none() && !socket.at.ip().to_canonical().is_unspecified()
    }

    /// Why a socket may not be in the way after all; nothing when it certainly is.
    fn doubt(
        &self,
        socket: &Listener,
        sure: InTheWay,
        program: Option<&Program>,
        listed: &[ContainerSummary],
        elsewhere: &HashSet<String>,
    ) -> Option<String> {
        let spec = &self.one.spec;
        let publishes_elsewhere = if spec.networks.0.is_empty() {
            elsewhere.contains(BRIDGE)
        } else {
            spec.networks.0.keys().any(|network| elsewhere.contains(network))
        };
        if self.depends_on_network() && publishes_elsewhere {
            return Some("its network decides at which addresses it is published".to_owned());
        }
        // Whose program it is may not be shown to this user: then it may be our own, which
        // the plan deals with.
        let own = |other: &&ContainerSummary| {
            let mode = other.host_config.as_ref().and_then(|host| host.network_mode.as_deref());
            mode == Some("host")
                && other.state == Some(State::RUNNING)
                && is_of(other, &self.one.name.stack)
        };
        if program.is_none()
            && let Some(own) = listed.iter().find(own)
        {
            let name = name_of(own);
            return Some(format!(
                "container `{name}` of this stack is in the network of the machine, and it may \
                 be that"
            ));
        }
        (sure == InTheWay::Likely).then(|| {
            let why = if socket.at.ip().to_canonical().is_unspecified() {
                "it listens at all IPv6 addresses, which mostly includes those of IPv4"
            } else {
                "engines publish at all IPv6 addresses too"
            };
            why.to_owned()
        })
    }
}

/// The ids of containers that do not run.
fn stopped(listed: &[ContainerSummary]) -> HashSet<&str> {
    let ended = |one: &&ContainerSummary| {
        matches!(one.state, Some(State::CREATED | State::EXITED | State::DEAD))
    };
    listed.iter().filter(ended).filter_map(|one| one.id.as_deref()).collect()
}

/// Networks whose containers need not publish at all addresses of the machine. One that the
/// plan makes is not there yet, and taken for a plain one.
async fn publishing_elsewhere(engine: &Engine) -> HashSet<String> {
    let elsewhere = |network: &Network| {
        let says = |key: &&str| {
            let said = network.options.as_ref().and_then(|options| options.get(*key));
            said.is_some_and(|said| !matches!(said.as_str(), "" | "0.0.0.0" | "nat"))
        };
        network.driver.as_deref() != Some("bridge") || PUBLISHING.iter().any(says)
    };
    // Without an answer there is no doubt: what a plan is told must not hang on it.
    let listed = engine.docker.list_networks(None).await.unwrap_or_default();
    listed.into_iter().filter(elsewhere).filter_map(|network| network.name).collect()
}

/// Addresses the machine does not have.
fn places<'a>(wanted: impl Iterator<Item = (One<'a>, &'a Port)>, found: &mut Found) {
    let mut known: HashMap<IpAddr, bool> = HashMap::new();
    for (one, port) in wanted {
        let Some(ip) = port.ip.filter(|ip| !ip.is_unspecified()) else { continue };
        if *known.entry(ip).or_insert_with(|| listeners::is_ours(ip)) {
            continue;
        }
        let message = format!("it publishes at {ip}, and the machine has no such address");
        let hint =
            "`ip address` lists those it has; without an address it is published at all \
                    of them"
                .to_owned();
        add(found, &one.name.address, Code::HostLacks, "ports", message, hint);
    }
}

/// The kernel's tables; a program that listens on very many ports makes them long.
async fn listening() -> Vec<Listener> {
    tokio::task::spawn_blocking(listeners::all).await.unwrap_or_default()
}

async fn programs(inodes: HashSet<u64>) -> HashMap<u64, Program> {
    let looked = tokio::task::spawn_blocking(move || listeners::holders(&inodes));
    looked.await.unwrap_or_default()
}

/// Sockets by their port, without those through which the engine publishes: whose these are
/// is known from the list of containers.
fn sockets(
    listening: Vec<Listener>,
    listed: &[ContainerSummary],
) -> HashMap<(u16, &'static str), Vec<Listener>> {
    let mut published: HashMap<(u16, String), Vec<&str>> = HashMap::new();
    for port in listed.iter().flat_map(|other| other.ports.iter().flatten()) {
        let Some(number) = port.public_port else { continue };
        let protocol = port.typ.map_or_else(|| "tcp".to_owned(), |typ| typ.to_string());
        let ip = port.ip.as_deref().unwrap_or_default();
        published.entry((number, protocol)).or_default().push(ip);
    }
    let mut sockets: HashMap<_, Vec<Listener>> = HashMap::new();
    for listener in listening {
        let (number, protocol) = (listener.at.port(), listener.protocol.word());
        let engines = published.get(&(number, protocol.to_owned())).is_some_and(|places| {
            places.iter().any(|place| listeners::same_place(place, listener.at.ip()))
        });
        if !engines {
            sockets.entry((number, protocol)).or_default().push(listener);
        }
    }
    sockets
}

/// Running containers that publish something, by the port. What is planned is not among
/// them: it goes or stays as the plan says.
fn publishing<'a>(
    planned: &[Planned<ContainerSpec>],
    listed: &'a [ContainerSummary],
) -> HashMap<u16, Vec<&'a ContainerSummary>> {
    let own: HashSet<&str> = planned.iter().filter_map(|one| one.id.as_deref()).collect();
    let mut holders: HashMap<u16, Vec<&ContainerSummary>> = HashMap::new();
    for other in listed.iter().filter(|o| o.id.as_deref().is_none_or(|id| !own.contains(id))) {
        for port in other.ports.iter().flatten().filter_map(|port| port.public_port) {
            holders.entry(port).or_default().push(other);
        }
    }
    holders
}

fn container<'a>(
    others: &HashMap<u16, Vec<&'a ContainerSummary>>,
    one: One<'_>,
    port: &Port,
    number: u16,
) -> Option<&'a ContainerSummary> {
    let mut others = others.get(&number).into_iter().flatten().copied();
    others.find(|other| !is_of(other, &one.name.stack) && holds(other, port, number))
}

/// Names that containers of others have. What is recorded is read by its id, so that somebody
/// else's in its place is seen here alone.
pub(super) fn names(
    planned: &[Planned<ContainerSpec>],
    listed: &[ContainerSummary],
    found: &mut Found,
) {
    for one in planned.iter().filter(|one| one.made) {
        let Name { stack, address, natural } = &one.name;
        let mut others = listed.iter().filter(|other| name_of(other) == natural);
        let other = others.find(|other| other.id != one.id && !is_of(other, stack));
        let Some(other) = other else { continue };
        let whose = labels::whose(&other.labels.clone().unwrap_or_default());
        let message = format!("a container named `{natural}` exists already ({whose})");
        let hint = format!(
            "remove or rename it, or choose another `name`; to take it over, \
             `dollop state forget {address}` and add `adopt: true`"
        );
        add(found, address, Code::ExistsAlready, "name", message, hint);
    }
}

/// Whether a container is one of a stack.
fn is_of(container: &ContainerSummary, stack: &str) -> bool {
    let labels = container.labels.as_ref();
    labels.and_then(|labels| labels.get(labels::STACK)).is_some_and(|whose| whose == stack)
}

fn holds(other: &ContainerSummary, port: &Port, number: u16) -> bool {
    other.ports.iter().flatten().any(|held| {
        let protocol = held.typ.is_none_or(|typ| typ.to_string() == port.protocol.word());
        let at: Option<IpAddr> = held.ip.as_deref().and_then(|ip| ip.parse().ok());
        protocol && overlap(at, port.ip) && held.public_port == Some(number)
    })
}

/// The socket that is in the way most surely.
fn socket<'a>(
    sockets: &'a HashMap<(u16, &'static str), Vec<Listener>>,
    port: &Port,
    number: u16,
) -> Option<Holder<'a>> {
    let there = sockets.get(&(number, port.protocol.word()))?;
    let there = there.iter().filter_map(|one| Some((one, one.is_in_the_way(port.ip)?)));
    there.max_by_key(|(_, sure)| *sure).map(|(one, sure)| Holder::Socket(one, sure))
}

/// What is taken, in words: `host port 53/udp`.
fn what(port: &Port, first: u16) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => String::new(),
        other => format!("/{other}"),
    };
    match port.host.filter(|host| !HostPort::is_one(*host)) {
        Some(range) => format!("none of the host ports {range}{protocol} is free: {first}"),
        None => format!("host port {first}{protocol}"),
    }
}

fn by_container(taken: &Taken<'_>, other: &ContainerSummary, found: &mut Found) {
    let Taken { one, port, first, .. } = taken;
    let name = name_of(other);
    let whose = labels::whose(&other.labels.clone().unwrap_or_default());
    let what = what(port, *first);
    let message = format!("{what} is taken by container `{name}` ({whose})");
    let hint = format!("stop `{name}`, or publish another port instead of `{port}`");
    add(found, &one.name.address, Code::HostPortTaken, "ports", message, hint);
}

fn by_program(
    taken: &Taken<'_>,
    socket: &Listener,
    doubt: Option<String>,
    program: Option<&Program>,
    listed: &[ContainerSummary],
    found: &mut Found,
) {
    let Taken { one, port, first, .. } = taken;
    // In the network of the machine, a container listens as any program does.
    let inside = program.and_then(|program| program.container.as_deref());
    let container = inside.and_then(|id| listed.iter().find(|o| o.id.as_deref() == Some(id)));
    if container.is_some_and(|container| is_of(container, &one.name.stack)) {
        return;
    }
    let who = match (container, program) {
        (Some(container), _) => {
            let whose = labels::whose(&container.labels.clone().unwrap_or_default());
            format!(
                "container `{}` ({whose}), which is in the network of the machine",
                name_of(container)
            )
        }
        (None, Some(Program { name, process, .. })) => format!("`{name}` (process {process})"),
        (None, None) => {
            let user = socket.user;
            let user = if user == 0 { "root".to_owned() } else { format!("user {user}") };
            format!("a program of {user}, which is not shown to others")
        }
    };
    let what = what(port, *first);
    let at = socket.at.ip().to_canonical();
    let elsewhere = !at.is_unspecified() && port.ip != Some(at);
    let place = if elsewhere { format!(", at {at}") } else { String::new() };
    let mut hint = format!("stop it, or publish another port instead of `{port}`");
    if elsewhere {
        hint.push_str(", or publish it at another address of the machine");
    }
    let (code, message) = match doubt {
        None => (Code::HostPortTaken, format!("{what} is taken by {who}{place}")),
        Some(why) => (Code::HostMayLack, format!("{what} may be taken by {who}{place}: {why}")),
    };
    add(found, &one.name.address, code, "ports", message, hint);
}

fn name_of(container: &ContainerSummary) -> &str {
    let name = container.names.iter().flatten().next().map_or("", String::as_str);
    name.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerSummaryHostConfig;
    use dollop_engine::address::Address;
    use serde_json::{from_value, json};

    use super::*;

    fn summary(mode: &str, state: State, stack: &str) -> ContainerSummary {
        ContainerSummary {
            id: Some("c1".to_owned()),
            names: Some(vec!["/shop-proxy".to_owned()]),
            state: Some(state),
            labels: Some(HashMap::from([(labels::STACK.to_owned(), stack.to_owned())])),
            host_config: Some(ContainerSummaryHostConfig {
                network_mode: Some(mode.to_owned()),
                ..ContainerSummaryHostConfig::default()
            }),
            ..ContainerSummary::default()
        }
    }

    fn planned(networks: &[&str]) -> Planned<ContainerSpec> {
        let address = Address::new(Vec::new(), "docker::container", vec!["web".to_owned()]);
        let all = json!({ "image": "x", "ports": ["80:80"], "networks": networks });
        Planned {
            name: Name { stack: "shop".to_owned(), address, natural: "shop-web".to_owned() },
            spec: from_value(all).unwrap(),
            id: None,
            made: true,
        }
    }

    fn doubt(
        at: &str,
        networks: &[&str],
        listed: &[ContainerSummary],
        elsewhere: &[&str],
    ) -> Option<String> {
        let at = at.parse().unwrap();
        let socket = Listener { at, protocol: Protocol::Tcp, user: 0, inode: 1 };
        let one = planned(networks);
        let (port, sure) = (&one.spec.ports.0[0], InTheWay::Certainly);
        let holder = Holder::Socket(&socket, sure);
        let taken = Taken { one: &one, port, first: 80, holder };
        let elsewhere = elsewhere.iter().map(ToString::to_string).collect();
        taken.doubt(&socket, sure, None, listed, &elsewhere)
    }

    #[test]
    fn a_program_nobody_shows_may_be_a_container_of_the_stack() {
        let own =
            |mode, state, stack| doubt("0.0.0.0:80", &[], &[summary(mode, state, stack)], &[]);
        assert!(
            own("host", State::RUNNING, "shop").is_some_and(|why| why.contains("shop-proxy"))
        );
        assert_eq!(own("bridge", State::RUNNING, "shop"), None);
        assert_eq!(own("host", State::EXITED, "shop"), None);
        assert_eq!(own("host", State::RUNNING, "other"), None);
    }

    #[test]
    fn where_a_port_is_published_is_up_to_the_network() {
        assert_eq!(doubt("127.0.0.1:80", &["app"], &[], &["lan"]), None);
        assert!(doubt("127.0.0.1:80", &["app", "lan"], &[], &["lan"]).is_some());
        assert!(doubt("127.0.0.1:80", &[], &[], &[BRIDGE]).is_some());
        // One at all addresses is in the way of every one.
        assert_eq!(doubt("0.0.0.0:80", &["lan"], &[], &["lan"]), None);
    }

    #[test]
    fn containers_that_do_not_run_are_known() {
        let listed = [summary("bridge", State::EXITED, "shop")];
        assert!(stopped(&listed).contains("c1"));
        assert!(stopped(&[summary("bridge", State::PAUSED, "shop")]).is_empty());
    }
}
