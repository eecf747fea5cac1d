//! The address ranges of networks: whether they make sense, and whether others have them.

use core::net::IpAddr;

use bollard::models::Network as Listed;
use dollop_engine::error::CallError;
use dollop_engine::resource::Problem;
use ipnet::IpNet;

use super::network::NetworkSpec;
use super::{ipam, labels};

/// Ranges that are none, and addresses outside of theirs.
pub(super) fn check(spec: &NetworkSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let subnet = range(&mut problems, "subnet", spec.subnet.as_deref());
    let v6 = range(&mut problems, "ipv6_subnet", spec.ipv6_subnet.as_deref());
    let part = range(&mut problems, "ip_range", spec.ip_range.as_deref());
    for (attribute, found, is_v6) in [("subnet", subnet, false), ("ipv6_subnet", v6, true)] {
        if let Some(found) = found.filter(|found| matches!(found, IpNet::V6(_)) != is_v6) {
            let (this, other) = if is_v6 { ("6", "subnet") } else { ("4", "ipv6_subnet") };
            problems.push(Problem {
                attribute: attribute.to_owned(),
                message: format!("`{found}` is no IPv{this} range"),
                hint: Some(format!("that is what `{other}` is for")),
            });
        }
    }
    if let Some(found) = v6.filter(|_| !spec.ipv6) {
        problems.push(Problem {
            attribute: "ipv6_subnet".to_owned(),
            message: format!("`{found}` is for IPv6, which is off"),
            hint: Some("say `ipv6: true` too".to_owned()),
        });
    }
    let Some(subnet) = subnet else { return problems };
    problems.extend(no_part(subnet, part, "ip_range"));
    within(&mut problems, "gateway", subnet, spec.gateway.as_deref());
    problems
}

/// A range or an address in the one form that libraries print; what is neither stays.
pub(super) fn plain(text: &str) -> String {
    let range = text.parse::<IpNet>().map(|range| range.to_string());
    let plain = range.or_else(|_| text.parse::<IpAddr>().map(|address| address.to_string()));
    plain.unwrap_or_else(|_| text.to_owned())
}

/// A range that is not within the one it should be a part of.
pub(super) fn no_part(subnet: IpNet, part: Option<IpNet>, attribute: &str) -> Option<Problem> {
    let part = part.filter(|part| !subnet.contains(part))?;
    Some(Problem {
        attribute: attribute.to_owned(),
        message: format!("`{part}` is not a part of `subnet`, {subnet}"),
        hint: None,
    })
}

/// Says so of an address that is none, or is outside of its range.
pub(super) fn within(
    problems: &mut Vec<Problem>,
    attribute: &str,
    subnet: IpNet,
    address: Option<&str>,
) {
    let Some(text) = address else { return };
    let message = match text.parse::<IpAddr>() {
        Err(_) => format!("`{text}` is no IP address"),
        Ok(address) if !subnet.contains(&address) => {
            format!("`{text}` is not in `subnet`, {subnet}")
        }
        Ok(_) => return,
    };
    let hint = (attribute == "gateway")
        .then(|| "the first address of the range is taken when it is left out".to_owned());
    problems.push(Problem { attribute: attribute.to_owned(), message, hint });
}

/// Reads a range, and says what is wrong with it.
pub(super) fn range(
    problems: &mut Vec<Problem>,
    attribute: &str,
    text: Option<&str>,
) -> Option<IpNet> {
    let text = text?;
    let example = match attribute {
        "ipv6_subnet" => "fd00:20::/64",
        "ip_range" => "10.20.0.128/25",
        _ => "10.20.0.0/24",
    };
    match text.parse::<IpNet>() {
        Ok(range) if range.trunc() == range => return Some(range),
        Ok(range) => problems.push(Problem {
            attribute: attribute.to_owned(),
            message: format!("`{text}` is an address in a range, not the range"),
            hint: Some(format!("the range is `{}`", range.trunc())),
        }),
        Err(_) => problems.push(Problem {
            attribute: attribute.to_owned(),
            message: format!("`{text}` is no range of addresses"),
            hint: Some(format!("a range looks like `{example}`")),
        }),
    }
    None
}

/// Why a network cannot be made: somebody else's has a part of its range.
///
/// `own` says whether a network is one of the stack's, which the script itself answers for.
pub(super) fn taken(
    listed: &[Listed],
    stack: &str,
    spec: &NetworkSpec,
    own: impl Fn(&Listed) -> bool,
) -> Option<CallError> {
    let ranges = [("subnet", &spec.subnet), ("ipv6_subnet", &spec.ipv6_subnet)];
    let ranges = ranges.into_iter().filter_map(|(attribute, range)| {
        Some((attribute, range.as_deref()?.parse::<IpNet>().ok()?))
    });
    let pools = ipam::ranges(spec).into_iter().map(|(_, range)| ("ipam", range));
    for (attribute, range) in ranges.chain(pools) {
        for other in listed.iter().filter(|other| !own(other)) {
            let marks = other.labels.clone().unwrap_or_default();
            if marks.get(labels::STACK).is_some_and(|other| other == stack) {
                continue;
            }
            let parts = other.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
            let parts = parts.filter_map(|part| part.subnet.as_deref()?.parse::<IpNet>().ok());
            let Some(part) = overlapping(parts, range) else { continue };
            let name = other.name.as_deref().unwrap_or_default();
            let message = format!(
                "`{attribute}` {range} overlaps with network `{name}`, {part}, which is on the \
                 engine ({})",
                labels::whose(&marks)
            );
            return Some(CallError::impossible(message).about(attribute).hint(
                "choose a range nobody has, or leave it out and let the engine choose; \
                 `docker network ls` shows the others",
            ));
        }
    }
    None
}

fn overlapping(mut parts: impl Iterator<Item = IpNet>, range: IpNet) -> Option<IpNet> {
    parts.find(|part| part.contains(&range) || range.contains(part))
}
