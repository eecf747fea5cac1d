//! Text that the engine or the kernel would refuse, known before either is asked.
//!
//! What is not known yet is text with stand-ins in it, which no rule is for.

use std::fmt;
use std::net::IpAddr;

use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::resource::Problem;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, de};

use super::spec::ContainerSpec;
use super::units::{capability, signal};
use super::words::Several;
use crate::text::Text;

type Rule = fn(&str) -> Result<(), String>;

/// The least memory the engine takes as a limit.
const LEAST_MEMORY: i64 = 6 << 20;
/// The most the kernel takes as a host name.
const LONGEST_HOST_NAME: usize = 64;
/// Rights of the kernel, as the engine knows them.
const CAPABILITIES: [&str; 42] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
/// Signals by name; those for programs of real time count from two of them.
const SIGNALS: [&str; 37] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT",
    "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP",
    "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH",
    "XCPU", "XFSZ", "UNUSED",
];

/// A host name.
pub(crate) fn host_name<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    optional(from, |name| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.len() <= LONGEST_HOST_NAME && name.chars().all(fits) {
            return Ok(());
        }
        Err(format!(
            "`{name}` is no host name: letters, digits, `-` and `.`, {LONGEST_HOST_NAME} at most"
        ))
    })
}

/// A signal.
pub(crate) fn a_signal<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    optional(from, |text| {
        let full = signal(text);
        let name = full.strip_prefix("SIG").unwrap_or(&full);
        let number = |text: &str| text.parse::<u8>().is_ok_and(|number| number <= 64);
        let counted = ["RTMIN+", "RTMAX-"].iter().find_map(|from| name.strip_prefix(from));
        let known = name.is_empty()
            || SIGNALS.contains(&name)
            || number(name)
            || counted.is_some_and(number);
        if known { Ok(()) } else { Err(unknown("signal", text, name, &SIGNALS)) }
    })
}

/// Processors, `0-2,5`.
pub(crate) fn processors<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    optional(from, |text| {
        let is_part = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u16>().ok();
            number(first).zip(number(last)).is_some_and(|(first, last)| first <= last)
        };
        if text.is_empty() || text.split(',').all(is_part) {
            return Ok(());
        }
        Err(format!("`{text}` is no set of processors; one looks like `0-2,5`"))
    })
}

/// A hardware address.
pub(crate) fn hardware_address<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    optional(from, |text| {
        let parts: Vec<_> = text.split([':', '-']).collect();
        let is_byte = |part: &&str| {
            part.len() == 2 && part.chars().all(|digit| digit.is_ascii_hexdigit())
        };
        if text.is_empty() || parts.len() == 6 && parts.iter().all(is_byte) {
            return Ok(());
        }
        Err(format!("`{text}` is no hardware address; one looks like `02:42:ac:11:00:03`"))
    })
}

/// Rights of the kernel.
pub(crate) fn capabilities<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<String>, D::Error> {
    each(from, |text| {
        let name = capability(text);
        if CAPABILITIES.contains(&name.as_str()) {
            return Ok(());
        }
        Err(unknown("right of the kernel", text, &name, &CAPABILITIES))
    })
}

/// Addresses of servers.
pub(crate) fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Several, D::Error> {
    let addresses = each(from, |text| match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{text}` is no address; one looks like `10.20.0.53`")),
    });
    addresses.map(Several)
}

/// Folders in memory, with options.
pub(crate) fn folders<'de, D: Deserializer<'de>>(from: D) -> Result<Several, D::Error> {
    let folders = each(from, |text| {
        if text.trim().starts_with('/') {
            return Ok(());
        }
        let path = text.split(':').next().unwrap_or(text);
        Err(format!("`{path}` is no absolute path in the container; one looks like `/run`"))
    });
    folders.map(Several)
}

/// Rules across limits.
pub(crate) fn limits(spec: &ContainerSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |attribute: &str, message: String, hint: &str| {
        problems.push(Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        });
    };
    for (attribute, limit) in
        [("mem_limit", spec.mem_limit), ("mem_reservation", spec.mem_reservation)]
    {
        if let Some(limit) = limit.filter(|limit| limit.0 < LEAST_MEMORY) {
            let message = format!("{limit} is less than any program needs");
            problem(attribute, message, "the engine takes `6m` and more");
        }
    }
    let Some(memory) = spec.mem_limit else { return problems };
    if let Some(swap) = spec.memswap_limit.filter(|swap| swap.0 >= 0 && swap.0 < memory.0) {
        let message =
            format!("{swap} is less than `mem_limit`, {memory}, which is a part of it");
        let hint = "it counts memory and swap together: the same as `mem_limit` means no swap";
        problem("memswap_limit", message, hint);
    }
    if let Some(least) = spec.mem_reservation.filter(|least| least.0 > memory.0) {
        let message = format!("{least} is more than `mem_limit`, {memory}");
        problem("mem_reservation", message, "it is what the limit is pressed back to");
    }
    problems
}

fn unknown(what: &str, text: &str, name: &str, known: &[&str]) -> String {
    match did_you_mean(name, known.iter().copied()) {
        Some(meant) => format!("`{text}` is no {what}; did you mean `{meant}`?"),
        None => format!("`{text}` is no {what}"),
    }
}

/// Whether a part of a text is known only later.
pub(crate) fn is_open(text: &str) -> bool {
    text.contains(|c| ('\u{FDD0}'..='\u{FDEF}').contains(&c))
}

fn apply<E: de::Error>(rule: Rule, text: String) -> Result<String, E> {
    if !is_open(&text) {
        rule(&text).map_err(E::custom)?;
    }
    Ok(text)
}

fn optional<'de, D: Deserializer<'de>>(
    from: D,
    rule: Rule,
) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| apply(rule, text)).transpose()
}

/// One text or a list of them; what is wrong is said where it stands.
fn each<'de, D: Deserializer<'de>>(from: D, rule: Rule) -> Result<Vec<String>, D::Error> {
    from.deserialize_any(Each(rule))
}

struct Each(Rule);

impl<'de> Visitor<'de> for Each {
    type Value = Vec<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![apply(self.0, text.to_owned())?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(One(self.0))? {
            items.push(item);
        }
        Ok(items)
    }
}

struct One(Rule);

impl<'de> DeserializeSeed<'de> for One {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        apply(self.0, Text::deserialize(from)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_engine_takes_is_taken() {
        for name in ["web", "web-1.example.test", "a_b"] {
            assert!(host_name(json!(name)).is_ok(), "{name}");
        }
        for name in ["SIGTERM", "term", "9", "SIGRTMIN+3", "rtmax-1", ""] {
            assert!(a_signal(json!(name)).is_ok(), "{name}");
        }
        for set in ["0", "0-2,5", "", "1,3"] {
            assert!(processors(json!(set)).is_ok(), "{set}");
        }
        assert!(hardware_address(json!("02-42-AC-11-00-03")).is_ok());
        assert!(capabilities(json!(["cap_net_admin", "ALL", "SYS_TIME"])).is_ok());
        assert!(addresses(json!("10.0.0.5")).is_ok());
        assert!(folders(json!(["/run", " /tmp:size=1m"])).is_ok());
        // What is known only later.
        assert!(host_name(json!("a \u{FDD2}0\u{FDD3}")).is_ok());
    }

    #[test]
    fn what_it_would_refuse_is_refused() {
        assert!(host_name(json!("a b")).is_err());
        assert!(host_name(json!("a".repeat(65))).is_err());
        assert!(a_signal(json!("SIGFOO")).is_err());
        assert!(processors(json!("a")).is_err() && processors(json!("2-1")).is_err());
        assert!(hardware_address(json!("zz")).is_err());
        let error = capabilities(json!(["NET_ADMN"])).unwrap_err().to_string();
        assert!(error.contains("`NET_ADMIN`"), "{error}");
        assert!(addresses(json!(["notip"])).is_err());
        assert!(folders(json!("run")).is_err());
    }
}
