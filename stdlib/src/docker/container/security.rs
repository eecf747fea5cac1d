//! How the kernel guards a container.

use bollard::models::HostConfig;

use super::spec::ContainerSpec;

/// Leaves no part of `/proc` and `/sys` masked. Docker knows it by empty lists of masked paths,
/// and the word is one of its clients; Podman knows the word and not the lists.
const OPEN: &str = "systempaths=unconfined";
/// How Podman writes it down.
const PODMAN_OPEN: &str = "unmask=all";

/// `no-new-privileges` from `no-new-privileges:true`, `seccomp=x` from `seccomp:x`.
pub(super) fn option(text: &str) -> String {
    let text = text.trim();
    let (key, value) = match text.find([':', '=']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => return text.to_owned(),
    };
    if key == "no-new-privileges" && value == "true" {
        return key.to_owned();
    }
    format!("{key}={value}")
}

/// The options as the engine is told, and beside them the lists of paths.
pub(super) fn request(spec: &ContainerSpec, host: &mut HostConfig, podman: bool) {
    let options = spec.security_opt.iter().filter(|option| podman || *option != OPEN).cloned();
    host.security_opt = Some(options.collect()).filter(|options: &Vec<_>| !options.is_empty());
    if !podman && spec.security_opt.iter().any(|option| option == OPEN) {
        host.masked_paths = Some(Vec::new());
        host.readonly_paths = Some(Vec::new());
    }
}

/// The options a container has. The engine writes down what follows from other settings.
pub(super) fn observed(host: &HostConfig, asked: &ContainerSpec) -> Vec<String> {
    let options = host.security_opt.iter().flatten();
    let asked = |option: &str| asked.security_opt.iter().any(|asked| asked == option);
    let shared = |mode: &Option<String>| mode.as_deref() == Some("host");
    let privileged = host.privileged == Some(true);
    let follows = privileged || shared(&host.pid_mode) || shared(&host.ipc_mode);
    let by_itself = |option: &String| follows && option == "label=disable";
    let as_asked = |option: &String| {
        let open = option.eq_ignore_ascii_case(PODMAN_OPEN) && asked(OPEN);
        if open { OPEN.to_owned() } else { option.clone() }
    };
    let options = options.filter(|option| !by_itself(option) || asked(option)).map(as_asked);
    let mut found: Vec<_> = options.collect();
    let empty = |paths: &Option<Vec<String>>| paths.as_ref().is_some_and(Vec::is_empty);
    // A privileged one has none masked in any case.
    let open = if privileged {
        asked(OPEN)
    } else {
        empty(&host.masked_paths) && empty(&host.readonly_paths)
    };
    if open && !found.iter().any(|option| option == OPEN) {
        found.push(OPEN.to_owned());
        found.sort();
    }
    found
}
