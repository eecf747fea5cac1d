//! Ports of the host that containers of others hold.

use core::net::IpAddr;
use std::collections::HashMap;

use bollard::models::{ContainerSummary, PortSummaryTypeEnum};
use dollop_engine::analysis::Claim;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Name, Resource as _};

use super::super::labels;
use super::Container;
use super::spec::ContainerSpec;

/// Who holds which port, by protocol and number.
#[derive(Default)]
pub(super) struct Taken(HashMap<(&'static str, u16), Vec<Holder>>);

struct Holder {
    /// The address of the host; `None` for all of them.
    ip: Option<IpAddr>,
    name: String,
    /// The stack it belongs to, as in its label.
    stack: Option<String>,
    whose: String,
}

impl Taken {
    /// The ports that running containers hold.
    pub(super) fn of(listed: &[ContainerSummary]) -> Self {
        let mut taken = Self::default();
        for container in listed {
            let marks = container.labels.clone().unwrap_or_default();
            let name = container.names.iter().flatten().find_map(|name| name.strip_prefix('/'));
            for port in container.ports.iter().flatten() {
                let Some(public) = port.public_port else { continue };
                let protocol = match port.typ {
                    Some(PortSummaryTypeEnum::UDP) => "udp",
                    Some(PortSummaryTypeEnum::SCTP) => "sctp",
                    _ => "tcp",
                };
                let ip = port.ip.as_deref().and_then(|ip| ip.parse().ok());
                taken.0.entry((protocol, public)).or_default().push(Holder {
                    ip: ip.filter(|ip: &IpAddr| !ip.is_unspecified()),
                    name: name.unwrap_or_default().to_owned(),
                    stack: marks.get(labels::STACK).cloned(),
                    whose: labels::whose(&marks),
                });
            }
        }
        taken
    }

    /// Why a container cannot be started: another stack's, or nobody's, holds its port. What
    /// the stack itself has, the script answers for.
    pub(super) fn by_others(&self, name: &Name, spec: &ContainerSpec) -> Option<CallError> {
        for claimed in Container::claims(name, spec) {
            let Claim::HostPort { ip, port, protocol } = claimed.claim else { continue };
            let ip = ip.filter(|ip| !ip.is_unspecified());
            let holders = self.0.get(&(protocol, port)).into_iter().flatten();
            let mut others = holders.filter(|holder| {
                holder.stack.as_ref() != Some(&name.stack)
                    && (holder.ip == ip || holder.ip.is_none() || ip.is_none())
            });
            let Some(holder) = others.next() else { continue };
            let shown = if protocol == "tcp" { String::new() } else { format!("/{protocol}") };
            let message = format!(
                "port {port}{shown} of the host is taken by container `{}` ({})",
                holder.name, holder.whose
            );
            return Some(CallError::impossible(message).hint(
                "publish another port, or none: `127.0.0.1::80` lets the engine choose; or stop \
                 that container",
            ));
        }
        None
    }
}
