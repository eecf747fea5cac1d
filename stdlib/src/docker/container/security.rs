//! How the kernel guards a container.

use bollard::models::HostConfig;

use super::spec::ContainerSpec;

/// Leaves no part of `/proc` and `/sys` masked. The engine knows it by empty lists of masked
/// paths; the word is one of clients.
const OPEN: &str = "systempaths=unconfined";

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
pub(super) fn request(spec: &ContainerSpec, host: &mut HostConfig) {
    let options = spec.security_opt.iter().filter(|option| *option != OPEN).cloned();
    host.security_opt = Some(options.collect()).filter(|options: &Vec<_>| !options.is_empty());
    if spec.security_opt.iter().any(|option| option == OPEN) {
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
    let mut found: Vec<_> =
        options.filter(|option| !by_itself(option) || asked(option)).cloned().collect();
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
