//! Programs of this machine that have a port which a container is to publish.
//!
//! They are read from the kernel's tables. To try a port would be to have it for a moment, in
//! the way of whoever it belongs to, and needs the right to have it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use tokio::net::UnixStream;

use super::super::engine::Engine;
use super::ports::Protocol;

/// A socket that has a port.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    /// Where it listens.
    pub(super) at: SocketAddr,
    /// For what.
    pub(super) protocol: Protocol,
    /// The number of the user it belongs to.
    pub(super) user: u32,
    /// What the kernel calls it.
    pub(super) inode: u64,
}

/// Who has a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// What the kernel calls it: the name of the program, 15 letters of it at most.
    pub(super) name: String,
    /// The number of its process.
    pub(super) process: i32,
    /// The id of the container it runs in.
    pub(super) container: Option<String>,
}

/// Whether a socket is in the way of a port that is to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum InTheWay {
    /// The table does not tell: a socket for all IPv6 addresses mostly has the port of the
    /// IPv4 ones too, and can be told not to.
    Likely,
    /// The engine would be refused.
    Certainly,
}

impl Listener {
    /// Whether it is in the way of a port published at an address, at all when left out.
    pub(super) fn is_in_the_way(&self, of: Option<IpAddr>) -> Option<InTheWay> {
        use InTheWay::{Certainly, Likely};
        let at = self.at.ip().to_canonical();
        let whole = at.is_unspecified();
        match (of, at) {
            (None, IpAddr::V4(_)) => Some(Certainly),
            (None, IpAddr::V6(_)) => Some(if whole { Certainly } else { Likely }),
            (Some(IpAddr::V4(ip)), IpAddr::V4(at)) => {
                (whole || ip.is_unspecified() || ip == at).then_some(Certainly)
            }
            (Some(IpAddr::V4(_)), IpAddr::V6(_)) => whole.then_some(Likely),
            (Some(IpAddr::V6(ip)), IpAddr::V6(at)) => {
                (whole || ip.is_unspecified() || ip == at).then_some(Certainly)
            }
            (Some(IpAddr::V6(_)), IpAddr::V4(_)) => None,
        }
    }
}

/// Whether the sockets of an engine's machine are those this process sees: one at a socket of
/// this machine, which `ssh -L` or the like does not forward to another, and not seen through
/// the wall of a container.
pub(super) async fn sees_machine(engine: &Engine) -> bool {
    if !engine.is_local() {
        return false;
    }
    let Ok(machine) = engine.machine().await else { return false };
    let differs = |known: &Option<String>, file: &str| {
        let here = std::fs::read_to_string(Path::new("/proc/sys/kernel").join(file));
        known.as_ref().zip(here.ok()).is_some_and(|(known, here)| known != here.trim())
    };
    if differs(&machine.name, "hostname") || differs(&machine.kernel, "osrelease") {
        return false;
    }
    // A process in another container, or outside of ours, has no number here.
    let Ok(stream) = UnixStream::connect(&engine.at).await else { return false };
    let listening = stream.peer_cred().ok().and_then(|who| who.pid());
    let Some(listening) = listening.filter(|process| *process > 0) else { return false };
    let network = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    match (network(&listening.to_string()), network("self")) {
        (Some(its), Some(own)) => its == own,
        // Processes of other users are not shown; that they have a number here must do.
        _ => Path::new("/proc/self").exists(),
    }
}

/// Whether an address is one of this machine. The port asked for is none in particular.
pub(super) fn is_ours(ip: IpAddr) -> bool {
    let bound = UdpSocket::bind((ip, 0));
    !bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable)
}

/// Whether a container publishes at the place where a socket is: then it is the engine's.
pub(super) fn same_place(published: &str, socket: IpAddr) -> bool {
    let published = published.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let socket = socket.to_canonical();
    published == socket || (published.is_unspecified() && socket.is_unspecified())
}

/// The id of a container in the name of a control group: 64 hexadecimal digits.
fn container_in(group: &str) -> Option<String> {
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    group.split(['/', '-', '.', ':']).find(is_id).map(str::to_owned)
}

/// All sockets that have a port; none where they cannot be read.
#[cfg(target_os = "linux")]
pub(super) fn all() -> Vec<Listener> {
    use procfs::net::{TcpState, UdpState};
    let tcp = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    let tcp = tcp.filter(|one| one.state == TcpState::Listen).map(|one| Listener {
        at: one.local_address,
        protocol: Protocol::Tcp,
        user: one.uid,
        inode: one.inode,
    });
    // One that is connected asks somebody something, and is gone in a moment.
    let udp = [procfs::net::udp(), procfs::net::udp6()].into_iter().flatten().flatten();
    let udp = udp.filter(|one| one.state == UdpState::Close).map(|one| Listener {
        at: one.local_address,
        protocol: Protocol::Udp,
        user: one.uid,
        inode: one.inode,
    });
    tcp.chain(udp).collect()
}

/// Who has these sockets, as far as this user may know.
#[cfg(target_os = "linux")]
pub(super) fn holders(of: &HashSet<u64>) -> HashMap<u64, Program> {
    use procfs::process::{FDTarget, all_processes};
    let mut found = HashMap::new();
    for process in all_processes().into_iter().flatten().flatten() {
        let open = process.fd().into_iter().flatten().flatten();
        let sockets = open.filter_map(|open| match open.target {
            FDTarget::Socket(inode) if of.contains(&inode) => Some(inode),
            _ => None,
        });
        let sockets: Vec<u64> = sockets.collect();
        if sockets.is_empty() {
            continue;
        }
        let Ok(about) = process.stat() else { continue };
        let groups = process.cgroups().into_iter().flatten();
        let mut groups = groups.filter_map(|group| container_in(&group.pathname));
        let program =
            Program { name: about.comm, process: process.pid, container: groups.next() };
        for socket in sockets {
            // Of several that share one, the first has it from the others.
            found.entry(socket).or_insert_with(|| program.clone());
        }
        if found.len() == of.len() {
            break;
        }
    }
    found
}

/// All sockets that have a port; none where they cannot be read.
#[cfg(not(target_os = "linux"))]
pub(super) fn all() -> Vec<Listener> {
    Vec::new()
}

/// Who has these sockets, as far as this user may know.
#[cfg(not(target_os = "linux"))]
pub(super) fn holders(_: &HashSet<u64>) -> HashMap<u64, Program> {
    HashMap::new()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn listener(at: &str) -> Listener {
        let at = at.parse().unwrap();
        Listener { at, protocol: Protocol::Tcp, user: 0, inode: 1 }
    }

    #[test]
    fn what_is_in_the_way_depends_on_the_addresses() {
        use InTheWay::{Certainly, Likely};
        for (at, of, expected) in [
            ("127.0.0.1:80", None, Some(Certainly)),
            ("[::]:80", None, Some(Certainly)),
            ("[fe80::1]:80", None, Some(Likely)),
            ("0.0.0.0:80", Some("10.0.0.5"), Some(Certainly)),
            ("10.0.0.5:80", Some("0.0.0.0"), Some(Certainly)),
            ("10.0.0.5:80", Some("10.0.0.5"), Some(Certainly)),
            // A resolver on its own address is not in the way of one elsewhere.
            ("127.0.0.53:53", Some("10.0.0.5"), None),
            ("[::]:80", Some("127.0.0.1"), Some(Likely)),
            ("[::ffff:127.0.0.1]:80", Some("127.0.0.1"), Some(Certainly)),
            ("[fd00::5]:80", Some("0.0.0.0"), None),
            ("[::]:80", Some("fd00::5"), Some(Certainly)),
            ("127.0.0.1:80", Some("::"), None),
        ] {
            let of = of.map(|ip: &str| ip.parse().unwrap());
            assert_eq!(listener(at).is_in_the_way(of), expected, "{at} and {of:?}");
        }
    }

    #[test]
    fn the_engines_own_sockets_are_known_by_where_they_are() {
        let ip = |text: &str| text.parse().unwrap();
        assert!(same_place("0.0.0.0", ip("0.0.0.0")) && same_place("0.0.0.0", ip("::")));
        assert!(same_place("127.0.0.1", ip("::ffff:127.0.0.1")));
        assert!(!same_place("127.0.0.1", ip("127.0.0.2")) && !same_place("::", ip("10.0.0.5")));
    }

    #[test]
    fn containers_are_known_by_their_control_group() {
        let id = "0123456789abcdef".repeat(4);
        for group in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods/pod1/cri-containerd:{id}"),
        ] {
            assert_eq!(container_in(&group).as_ref(), Some(&id), "{group}");
        }
        assert_eq!(container_in("/user.slice/user-1000.slice/session-3.scope"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_sockets_are_found_with_their_program() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let all = all();
        let inodes = [
            (tcp.local_addr().unwrap(), Protocol::Tcp),
            (udp.local_addr().unwrap(), Protocol::Udp),
        ]
        .map(|(at, protocol)| {
            let found = all.iter().find(|one| one.at == at && one.protocol == protocol);
            found.expect("it is in the table").inode
        });
        let holders = holders(&inodes.into());
        for inode in inodes {
            let process = i32::try_from(std::process::id()).unwrap();
            assert_eq!(holders[&inode].process, process);
        }
        assert!(is_ours("127.0.0.1".parse().unwrap()));
        assert!(!is_ours("192.0.2.77".parse().unwrap()));
    }
}
