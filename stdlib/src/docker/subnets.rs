//! The address ranges of networks: whether they make sense, and whether others have them.

use core::net::IpAddr;

use bollard::models::Network as Listed;
use dollop_engine::error::CallError;
use dollop_engine::resource::Problem;
use ipnet::IpNet;

use super::labels;
use super::network::NetworkSpec;

/// Ranges that are none, and addresses outside of theirs.
pub(super) fn check(spec: &NetworkSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let subnet = range(&mut problems, "subnet", spec.subnet.as_deref(), "10.20.0.0/24");
    let v6 = range(&mut problems, "ipv6_subnet", spec.ipv6_subnet.as_deref(), "fd00:20::/64");
    let part = range(&mut problems, "ip_range", spec.ip_range.as_deref(), "10.20.0.128/25");
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
    let Some(subnet) = subnet else { return problems };
    if let Some(part) = part.filter(|part| !subnet.contains(part)) {
        problems.push(Problem {
            attribute: "ip_range".to_owned(),
            message: format!("`{part}` is not a part of `subnet`, {subnet}"),
            hint: None,
        });
    }
    if let Some(gateway) = &spec.gateway {
        let message = match gateway.parse::<IpAddr>() {
            Err(_) => format!("`{gateway}` is no IP address"),
            Ok(address) if !subnet.contains(&address) => {
                format!("`{gateway}` is not in `subnet`, {subnet}")
            }
            Ok(_) => return problems,
        };
        let hint =
            Some("the first address of the range is taken when it is left out".to_owned());
        problems.push(Problem { attribute: "gateway".to_owned(), message, hint });
    }
    problems
}

/// Reads a range, and says what is wrong with it.
fn range(
    problems: &mut Vec<Problem>,
    attribute: &str,
    text: Option<&str>,
    example: &str,
) -> Option<IpNet> {
    let text = text?;
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
    for (attribute, range) in ranges {
        let Some(range) = range.as_deref().and_then(|range| range.parse::<IpNet>().ok()) else {
            continue;
        };
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
