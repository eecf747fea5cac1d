//! What stands against a plan on the engine's machine: memory, processors and runtimes it
//! does not have, ports others have ([`taken`]), and what nobody makes ([`absent`]).

use dollop_engine::address::Address;
use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::Code;
use dollop_engine::path::Path;
use dollop_engine::resource::{Declared, Planned};

use super::super::engine::{Engine, Machine};
use super::absent;
use super::health::START_INTERVAL;
use super::spec::ContainerSpec;
use super::supported;
use super::taken;
use super::units::Bytes;

/// What was found, and at which container.
pub(super) type Found = Vec<(Address, Lint)>;

/// One look at the machine; what runs on it is known from reading.
pub(super) async fn survey(
    engine: &Engine,
    planned: &[Planned<ContainerSpec>],
    declared: &Declared,
) -> Found {
    let (machine, listed) = futures::join!(engine.machine(), engine.known_containers());
    let mut found = Found::new();
    if !engine.has(START_INTERVAL) {
        for one in planned.iter().filter(|one| one.made) {
            one_interval(one, &mut found);
        }
    }
    if let Ok(machine) = machine {
        for one in planned.iter().filter(|one| one.made) {
            impossible(machine, one, &mut found);
            if let Err(error) = supported::all(engine, machine, &one.spec) {
                let (attribute, hint) =
                    (error.attribute.unwrap_or("image"), error.hints.join("; "));
                let code = Code::HostLacks;
                add(&mut found, &one.name.address, code, attribute, error.message, hint);
            }
        }
        sums(machine, planned, &mut found);
    }
    if let Ok(listed) = listed {
        taken::names(planned, &listed, &mut found);
        taken::ports(engine, planned, &listed, &mut found).await;
        absent::containers(planned, declared, &listed, &mut found);
    }
    absent::networks(engine, planned, declared, &mut found).await;
    absent::volumes(engine, planned, declared, &mut found).await;
    found
}

/// Notes one finding.
pub(super) fn add(
    found: &mut Found,
    address: &Address,
    code: Code,
    attribute: &str,
    message: String,
    hint: String,
) {
    let lint = Lint { code, at: Path::attribute(attribute), message, hint };
    found.push((address.clone(), lint));
}

/// What the engine would refuse.
fn impossible(machine: &Machine, one: &Planned<ContainerSpec>, found: &mut Found) {
    let (address, spec) = (&one.name.address, &one.spec);
    let count = machine.cpus;
    if let Some(cpus) = spec.cpus
        && count > 0
        && cpus.0 > machine.nano_cpus()
    {
        let message = format!("it may use {cpus} processors, and the machine has {count}");
        let hint = format!("a limit lies between 0.01 and {count}");
        add(found, address, Code::HostLacks, "cpus", message, hint);
    }
    if let Some(set) = &spec.cpuset
        && let Some(highest) = cpus_in(set).max()
        && count > 0
        && i64::from(highest) >= count
    {
        let message = format!("there is no processor {highest}: the machine has {count}");
        let hint = format!("they are counted from 0: `0-{}`", count - 1);
        add(found, address, Code::HostLacks, "cpuset", message, hint);
    }
    if let Some(runtime) = &spec.runtime
        && !machine.runtimes.is_empty()
        && !machine.runtimes.contains(runtime)
    {
        let message = format!("the engine has no runtime `{runtime}`");
        let hint = format!("it has {}", machine.runtimes.join(", "));
        add(found, address, Code::HostLacks, "runtime", message, hint);
    }
    let graphics = spec.gpus.0.iter().any(|gpu| matches!(gpu.driver.as_str(), "" | "nvidia"));
    if graphics && !machine.runtimes.iter().any(|name| name == "nvidia") {
        let message = "the engine knows no runtime for graphics processors".to_owned();
        let hint = "install the NVIDIA container toolkit on its machine, or leave `gpus` out";
        add(found, address, Code::HostMayLack, "gpus", message, hint.to_owned());
    }
    if let Some(platform) = &spec.platform
        && let Some(own) = &machine.platform
        && another_system(platform, own)
    {
        let message = format!("its image is for {platform}, and the engine runs on {own}");
        let hint = "there is no emulation of another system: take an image for this one";
        add(found, address, Code::HostLacks, "platform", message, hint.to_owned());
    } else if let Some(platform) = &spec.platform
        && let Some(own) = &machine.platform
        && !runs_on(platform, own)
    {
        let message = format!("its image is for {platform}, and the machine is {own}");
        let hint = "it runs there only by emulation, slowly, where that is installed";
        add(found, address, Code::HostMayLack, "platform", message, hint.to_owned());
    }
}

/// A health check that starts faster than the engine can.
fn one_interval(one: &Planned<ContainerSpec>, found: &mut Found) {
    let Some(health) = &one.spec.healthcheck else { return };
    let Some(wanted) = health.start_interval else { return };
    let has = health.interval.map_or_else(|| "`interval`".to_owned(), |span| span.to_string());
    let message = format!(
        "the engine is older than 25.0: it checks every {has} from the start on, not every \
         {wanted} at first"
    );
    let hint = "a shorter `interval` finds out sooner that it works".to_owned();
    add(found, &one.name.address, Code::HostTooOld, "healthcheck", message, hint);
}

/// The processors in a set, `0-2,5`.
fn cpus_in(set: &str) -> impl Iterator<Item = u32> + '_ {
    set.split([',', '-']).filter_map(|number| number.trim().parse().ok())
}

/// Whether a platform is one of another operating system.
fn another_system(asked: &str, machine: &str) -> bool {
    let system = |platform: &str| platform.split('/').next().map(str::to_ascii_lowercase);
    system(asked) != system(machine)
}

/// Whether a machine runs programs for a platform without emulation; where it is not known
/// what the machine is, it does.
fn runs_on(asked: &str, machine: &str) -> bool {
    let part = |platform: &str, at: usize| {
        let part = platform.split('/').nth(at).unwrap_or_default().to_ascii_lowercase();
        match part.as_str() {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            "i386" | "i686" => "386".to_owned(),
            arm if arm.starts_with("arm") && arm != "arm64" => "arm".to_owned(),
            _ => part,
        }
    };
    let (asked, own) = (part(asked, 1), part(machine, 1));
    asked.is_empty()
        || asked == own
        || matches!((asked.as_str(), own.as_str()), ("386", "amd64") | ("arm", "arm64"))
}

/// What all of them may use together.
fn sums(machine: &Machine, planned: &[Planned<ContainerSpec>], found: &mut Found) {
    let running = || planned.iter().filter(|one| one.spec.running);
    let total = |of: fn(&ContainerSpec) -> Option<i64>| {
        let each = running().filter_map(|one| of(&one.spec));
        (each.clone().count(), each.fold(0_i64, i64::saturating_add))
    };
    let memory = [
        ("mem_limit", "may use", total(|spec| Some(spec.mem_limit?.0))),
        ("mem_reservation", "reserve", total(|spec| Some(spec.mem_reservation?.0))),
    ];
    for (attribute, verb, (count, sum)) in memory {
        let largest = running().filter(|one| one.made).max_by_key(|one| match attribute {
            "mem_limit" => one.spec.mem_limit.map(|bytes| bytes.0),
            _ => one.spec.mem_reservation.map(|bytes| bytes.0),
        });
        let Some(largest) = largest.filter(|_| machine.memory > 0 && sum > machine.memory)
        else {
            continue;
        };
        let (sum, has) = (Bytes(sum).rounded(), Bytes(machine.memory).rounded());
        let message = format!(
            "with it, {count} containers of this stack {verb} {sum} of memory, and the machine \
             has {has}"
        );
        let hint = "lower the limits, or run some of them elsewhere".to_owned();
        add(found, &largest.name.address, Code::HostTooSmall, attribute, message, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_compared_by_its_processor() {
        for (asked, machine) in [
            ("linux/amd64", "linux/x86_64"),
            ("linux/386", "linux/x86_64"),
            ("linux/arm64/v8", "linux/aarch64"),
            ("linux/arm/v7", "linux/aarch64"),
            ("linux/arm/v7", "linux/armv7l"),
        ] {
            assert!(runs_on(asked, machine), "{asked} on {machine}");
        }
        assert!(another_system("windows/amd64", "linux/x86_64"));
        assert!(!another_system("Linux/arm64", "linux/x86_64"));
        assert!(!runs_on("linux/arm64", "linux/x86_64"));
        assert!(!runs_on("linux/amd64", "linux/aarch64"));
    }

    #[test]
    fn sets_of_processors_are_read() {
        assert_eq!(cpus_in("0-2,5").max(), Some(5));
        assert_eq!(cpus_in("").max(), None);
    }
}
