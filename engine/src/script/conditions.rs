//! Compose's long form of `depends_on`, a map from names to conditions: what to write instead.

use rhai::Map;

/// What is wrong with one.
pub(super) fn message(key: &str) -> String {
    format!("`{key}` takes resources, and its conditions are keys of their own")
}

/// The same in keys of dollop, and what else there is to it.
pub(super) fn hints(conditions: &Map) -> Vec<String> {
    let mut keys: [(&str, Vec<&str>); 3] = [
        ("depends_on", Vec::new()),
        ("after_healthy", Vec::new()),
        ("replace_triggered_by", Vec::new()),
    ];
    let (mut ends, mut optional) = (Vec::new(), Vec::new());
    for (name, about) in conditions {
        let about = about.read_lock::<Map>();
        let part = |part: &str| about.as_ref().and_then(|about| about.get(part).cloned());
        let condition = part("condition").and_then(|text| text.into_string().ok());
        let waits = match condition.as_deref() {
            Some("service_healthy") => 1,
            Some("service_completed_successfully") => {
                ends.push(name.as_str());
                1
            }
            _ => 0,
        };
        keys[waits].1.push(name);
        let is = |name: &str| part(name).and_then(|value| value.as_bool().ok());
        if is("restart") == Some(true) {
            keys[2].1.push(name);
        }
        if is("required") == Some(false) {
            optional.push(name.as_str());
        }
    }
    let keys = keys.iter().filter(|(_, names)| !names.is_empty());
    let keys: Vec<_> =
        keys.map(|(key, names)| format!("{key}: [{}]", names.join(", "))).collect();
    let mut hints = Vec::new();
    if !keys.is_empty() {
        hints.push(format!(
            "write `{}`, with what the calls that declare them returned",
            keys.join(", ")
        ));
    }
    for name in ends {
        hints.push(format!(
            "a container that ends, as `{name}`, has `wait: \"exited\"`; a `docker::job` has ended \
             when its turn is over, so that `depends_on` is enough"
        ));
    }
    for name in optional {
        hints.push(format!(
            "nothing depends on what is not declared: name `{name}` only where it is"
        ));
    }
    hints
}
