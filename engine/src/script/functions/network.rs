//! Networks in CIDR notation, IPv4 and IPv6 alike.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::arguments::{int, list, string, strings, text};
use super::{Entry, Fault, Outcome, Run};
use crate::value::Value;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "cidr_subnet(network: string, new_bits: int, number: int) -> string",
        doc: "One of the subnets a network is divided into by that many more bits, counted from 0.",
        examples: &[
            (r#"cidr_subnet("10.0.0.0/8", 8, 2)"#, r#""10.2.0.0/16""#),
            (r#"cidr_subnet("fd00::/48", 16, 255)"#, r#""fd00:0:0:ff::/64""#),
        ],
        run: Run::Known(subnet),
    },
    Entry {
        signature: "cidr_subnets(network: string, new_bits: list) -> list",
        doc: "Subnets one after the other, each with that many more bits.",
        examples: &[(
            r#"cidr_subnets("10.1.0.0/16", [4, 4, 8])"#,
            r#"["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/24"]"#,
        )],
        run: Run::Known(subnets),
    },
    Entry {
        signature: "cidr_host(network: string, number: int) -> string",
        doc: "The address of that number in a network; below 0 it counts from the end.",
        examples: &[
            (r#"cidr_host("10.0.0.0/24", 5)"#, r#""10.0.0.5""#),
            (r#"cidr_host("10.0.0.0/24", -2)"#, r#""10.0.0.254""#),
            (r#"cidr_host("fd00::/64", 10)"#, r#""fd00::a""#),
        ],
        run: Run::Known(host),
    },
    Entry {
        signature: "cidr_netmask(network: string) -> string",
        doc: "The netmask of a network.",
        examples: &[(r#"cidr_netmask("10.0.0.0/12")"#, r#""255.240.0.0""#)],
        run: Run::Known(|a| Ok(string(network(a)?.netmask().to_string()))),
    },
    Entry {
        signature: "cidr_network(network: string) -> string",
        doc: "The network an address with a prefix lies in.",
        examples: &[(r#"cidr_network("10.1.2.3/16")"#, r#""10.1.0.0/16""#)],
        run: Run::Known(|a| Ok(string(network(a)?.to_string()))),
    },
    Entry {
        signature: "cidr_prefix(network: string) -> int",
        doc: "How many bits of a network are fixed.",
        examples: &[(r#"cidr_prefix("10.0.0.0/12")"#, "12")],
        run: Run::Known(|a| Ok(Value::Int(network(a)?.prefix_len().into()))),
    },
    Entry {
        signature: "cidr_contains(network: string, inner: string) -> bool",
        doc: "Whether an address or a whole network lies in a network.",
        examples: &[
            (r#"cidr_contains("10.0.0.0/8", "10.200.0.1")"#, "true"),
            (r#"cidr_contains("10.0.0.0/8", "10.0.0.0/7")"#, "false"),
            (r#"cidr_contains("fd00::/8", "fd12::/16")"#, "true"),
        ],
        run: Run::Known(contains),
    },
    Entry {
        signature: "cidr_overlaps(a: string, b: string) -> bool",
        doc: "Whether two networks have an address in common.",
        examples: &[
            (r#"cidr_overlaps("10.0.0.0/8", "10.1.0.0/16")"#, "true"),
            (r#"cidr_overlaps("10.0.0.0/16", "10.1.0.0/16")"#, "false"),
        ],
        run: Run::Known(|a| {
            let (first, second) = (network(a)?, parse(text(a, 1))?);
            Ok(Value::Bool(first.contains(&second) || second.contains(&first)))
        }),
    },
];

fn parse(text: &str) -> Result<IpNet, Fault> {
    text.parse::<IpNet>().map(|network| network.trunc()).map_err(|_| {
        Fault::new(format!("`{text}` is not a network"))
            .hint("write an address and a prefix: `10.0.0.0/16` or `fd00::/48`")
    })
}

fn network(arguments: &[Value]) -> Result<IpNet, Fault> {
    parse(text(arguments, 0))
}

fn bits(network: &IpNet) -> u128 {
    match network.network() {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// An address like those of `network` from its bits; nothing beyond the last one.
fn address(network: &IpNet, bits: u128) -> Option<IpAddr> {
    match network {
        IpNet::V4(_) => u32::try_from(bits).ok().map(|bits| Ipv4Addr::from(bits).into()),
        IpNet::V6(_) => Some(Ipv6Addr::from(bits).into()),
    }
}

/// The prefix with more bits.
fn longer(network: &IpNet, more: i64) -> Result<u8, Fault> {
    let most = network.max_prefix_len();
    u8::try_from(more)
        .ok()
        .and_then(|more| network.prefix_len().checked_add(more))
        .filter(|prefix| *prefix <= most)
        .ok_or_else(|| {
            Fault::new(format!("`{network}` has no room for {more} more bits of {most}"))
        })
}

/// How many addresses a prefix spans; 0 for all of IPv6.
fn span(network: &IpNet, prefix: u8) -> u128 {
    1u128.checked_shl(u32::from(network.max_prefix_len() - prefix)).unwrap_or(0)
}

fn subnet(arguments: &[Value]) -> Outcome {
    let network = network(arguments)?;
    let (more, number) = (int(arguments, 1), int(arguments, 2));
    let prefix = longer(&network, more)?;
    let count =
        1u128.checked_shl(u32::from(prefix - network.prefix_len())).unwrap_or(u128::MAX);
    let found =
        u128::try_from(number).ok().filter(|number| *number < count).and_then(|number| {
            let offset = number.checked_mul(span(&network, prefix).max(1))?;
            let base = address(&network, bits(&network).checked_add(offset)?)?;
            IpNet::new(base, prefix).ok()
        });
    found.map(|subnet| string(subnet.to_string())).ok_or_else(|| {
        Fault::new(format!(
            "`{network}` has subnets 0 to {} of {more} more bits, not {number}",
            count - 1
        ))
    })
}

fn subnets(arguments: &[Value]) -> Outcome {
    let network = network(arguments)?;
    let mut next = Some(bits(&network));
    let mut found = Vec::new();
    for item in list(arguments, 1) {
        let Value::Int(more) = item.reveal() else {
            return Err(Fault::new(format!("bits are integers, not {}", item.type_name())));
        };
        let prefix = longer(&network, *more)?;
        let size = span(&network, prefix);
        // A subnet begins at a multiple of its size.
        let base = next.and_then(|next| match size {
            0 => (next == 0).then_some(0),
            size => next.checked_next_multiple_of(size),
        });
        let subnet = base
            .and_then(|base| address(&network, base))
            .and_then(|base| IpNet::new(base, prefix).ok())
            .filter(|subnet| network.contains(subnet))
            .ok_or_else(|| {
                Fault::new(format!("`{network}` has no room for all these subnets"))
            })?;
        next = base.and_then(|base| if size == 0 { None } else { base.checked_add(size) });
        found.push(subnet.to_string());
    }
    Ok(strings(found))
}

fn host(arguments: &[Value]) -> Outcome {
    let network = network(arguments)?;
    let number = int(arguments, 1);
    let (first, size) = (bits(&network), span(&network, network.prefix_len()));
    let last = if size == 0 { u128::MAX } else { first + (size - 1) };
    let steps = u128::from(number.unsigned_abs());
    let found = if number < 0 { last.checked_sub(steps - 1) } else { first.checked_add(steps) };
    found
        .filter(|bits| (first..=last).contains(bits))
        .and_then(|bits| address(&network, bits))
        .map(|address| string(address.to_string()))
        .ok_or_else(|| Fault::new(format!("`{network}` has no address {number}")))
}

fn contains(arguments: &[Value]) -> Outcome {
    let network = network(arguments)?;
    let inner = text(arguments, 1);
    let found = match inner.parse::<IpAddr>() {
        Ok(address) => network.contains(&address),
        Err(_) => network.contains(&parse(inner)?),
    };
    Ok(Value::Bool(found))
}
