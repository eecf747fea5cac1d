//! Keys every attributes map takes: how a resource is treated, not what it is.

use rhai::{Array, Dynamic, Map};

use super::check::unknown_hint;
use super::conditions;
use super::convert::Trouble;
use super::draft::Draft;
use super::marks;
use super::symbol::{Handle, Symbol};
use crate::address::{Address, ParseAddressError};
use crate::diagnostic::{Code, Severity, did_you_mean};
use crate::expr::{Expr, Reference};
use crate::limit::{Call, Limit};
use crate::path::Path;

/// The keys.
pub(super) const KEYS: [&str; 11] = [
    "adopt",
    "after",
    "after_healthy",
    "allow",
    "create_before_destroy",
    "depends_on",
    "ignore_changes",
    "prevent_destroy",
    "replace_triggered_by",
    "retain_on_destroy",
    "timeouts",
];

/// The keys that mean something for a connection, which is no object.
const OF_CONNECTIONS: [&str; 3] = ["after", "allow", "depends_on"];

impl Draft<'_> {
    /// Reads one of [`KEYS`].
    pub(super) fn lifecycle(&mut self, key: &str, value: Dynamic, path: Path) {
        let is_connection = self.session.registry.connection_kind(self.kind).is_some();
        if is_connection && !OF_CONNECTIONS.contains(&key) {
            let message = format!("`{key}` means nothing for a `{}`", self.kind);
            let hint = "a connection is no object: nothing is made, changed or removed";
            return self.trouble(Trouble::new(Code::Lifecycle, path, message).hint(hint));
        }
        match key {
            "after" | "depends_on" => {
                let found = self.addresses(key, value, &path);
                return self.lifecycle.depends_on.extend(found);
            }
            "after_healthy" => {
                let found = self.addresses(key, value, &path);
                return self.after_healthy(found, &path);
            }
            "allow" => return self.allow(value, &path),
            "ignore_changes" => return self.ignore_changes(value, &path),
            "replace_triggered_by" => return self.replace_triggered_by(value, &path),
            "timeouts" => return self.timeouts(value, &path),
            _ => {}
        }
        let Ok(value) = value.as_bool() else {
            return self.trouble(Trouble::new(
                Code::Lifecycle,
                path,
                format!("`{key}` must be a bool"),
            ));
        };
        match key {
            "adopt" => self.lifecycle.adopt = value,
            "create_before_destroy" => self.lifecycle.create_before_destroy = value,
            "retain_on_destroy" => self.lifecycle.retain_on_destroy = value,
            _ => self.lifecycle.prevent_destroy = value,
        }
    }

    /// Resources, or addresses as text.
    fn addresses(&mut self, key: &str, value: Dynamic, path: &Path) -> Vec<Address> {
        let mut found = Vec::new();
        for (item, at) in several(value, path) {
            if let Some(conditions) = item.read_lock::<Map>() {
                let trouble = Trouble::new(Code::Lifecycle, at, conditions::message(key));
                let hints = conditions::hints(&conditions).into_iter();
                self.trouble(hints.fold(trouble, Trouble::hint));
                continue;
            }
            match item.try_cast_result::<Handle>() {
                Ok(handle) => {
                    let address = handle.0.address.clone();
                    self.stands(path, &address, &at);
                    found.push(address);
                }
                // An address as text may name what is declared further down.
                Err(other) => match other.clone().into_string().ok().map(|text| text.parse()) {
                    Some(Ok(address)) => {
                        let address: Address = address;
                        self.stands(path, &address, &at);
                        found.push(address);
                    }
                    Some(Err(error)) => {
                        let error: ParseAddressError = error;
                        let hint = "write the resource itself, without quotes: what the call \
                                    that declares it returned";
                        let trouble = Trouble::new(Code::Lifecycle, at, error.to_string());
                        self.trouble(trouble.hint(hint));
                    }
                    None => {
                        let message =
                            format!("`{key}` takes a resource, an address or a list of them");
                        let trouble = Trouble::new(Code::Lifecycle, at, message);
                        self.trouble(if other.is::<Symbol>() {
                            trouble.hint("write the resource itself, without an attribute")
                        } else {
                            trouble
                        });
                    }
                },
            }
        }
        found
    }

    /// Waiting needs something to wait for.
    fn after_healthy(&mut self, found: Vec<Address>, path: &Path) {
        for address in found {
            let registry = &self.session.registry;
            if registry.looked_up(address.kind()).is_some() {
                let message = format!("`{address}` is only looked up: nothing is waited for");
                let path = path.key(address.to_string());
                self.trouble(Trouble::new(Code::Lifecycle, path, message));
                continue;
            }
            let kind = registry.kind(address.kind());
            let path = path.key(address.to_string());
            if kind.is_some_and(|kind| !kind.traits.gets_ready) {
                let message = format!("a `{}` is never healthy or unhealthy", address.kind());
                let kinds = registry.kinds().filter(|kind| kind.traits.gets_ready);
                let names: Vec<_> = kinds.map(|kind| format!("`{}`", kind.name)).collect();
                let known = format!(
                    "dollop can wait for the health of {}, and for servers",
                    names.join(", ")
                );
                self.trouble(
                    Trouble::new(Code::Lifecycle, path.clone(), message)
                        .hint(known)
                        .hint("to wait until it is made, use `depends_on`"),
                );
            }
            self.lifecycle.after_healthy.insert(address);
        }
    }

    fn timeouts(&mut self, value: Dynamic, path: &Path) {
        let keys = Call::ALL.map(|call| call.key().to_owned());
        let Some(map) = value.flatten().try_cast::<Map>() else {
            let message = "`timeouts` is a map of limits";
            let hint = "write `timeouts: #{ create: \"5m\", delete: \"1m\" }`";
            return self
                .trouble(Trouble::new(Code::Lifecycle, path.clone(), message).hint(hint));
        };
        for (key, value) in map {
            let at = path.key(key.as_str());
            let Some(call) = Call::ALL.into_iter().find(|call| call.key() == key) else {
                let trouble =
                    Trouble::new(Code::Lifecycle, at, format!("`timeouts` has no `{key}`"));
                self.trouble(unknown_hint(trouble, &key, keys.iter()));
                continue;
            };
            if value.is_unit() {
                continue;
            }
            let text = value.into_string().ok().filter(|text| !marks::is_marked(text));
            let limit = text.as_deref().map(str::parse::<Limit>);
            let kind = self.session.registry.kind(self.kind);
            if call == Call::Ready && kind.is_some_and(|kind| !kind.traits.gets_ready) {
                let message = format!("a `{}` is never waited for", self.kind);
                let hint = "`ready` is for what others name in `after_healthy`";
                self.trouble(Trouble::new(Code::Lifecycle, at, message).hint(hint));
                continue;
            }
            match limit {
                Some(Ok(limit)) => self.lifecycle.timeouts.set(call, limit),
                wrong => {
                    let message = match wrong {
                        Some(Err(error)) => format!("`timeouts.{key}`: {error}"),
                        _ => format!("`timeouts.{key}` is a duration, written as text"),
                    };
                    let hint = "a duration looks like `\"30s\"`, `\"5m\"` or `\"1h30m\"`";
                    self.trouble(Trouble::new(Code::Lifecycle, at, message).hint(hint));
                }
            }
        }
    }

    fn allow(&mut self, value: Dynamic, path: &Path) {
        for (item, at) in several(value, path) {
            let text = item.into_string().unwrap_or_default();
            match text.parse::<Code>() {
                Ok(code) if code.severity() == Severity::Warning => {
                    self.allow.insert(code);
                }
                Ok(code) => {
                    let message = format!("{code} is an error and cannot be allowed");
                    self.trouble(Trouble::new(Code::Lifecycle, at, message));
                }
                Err(_) => {
                    let message = "`allow` takes codes of warnings, such as \"W0105\"";
                    let trouble = Trouble::new(Code::Lifecycle, at, message);
                    self.trouble(match Code::like(&text) {
                        Some(near) => trouble.hint(format!("did you mean \"{near}\"?")),
                        None => trouble.hint("`dollop explain` lists them"),
                    });
                }
            }
        }
    }

    fn ignore_changes(&mut self, value: Dynamic, path: &Path) {
        for (item, at) in several(value, path) {
            let text = item.into_string().ok().filter(|text| !marks::is_marked(text));
            let Some(text) = text else {
                let message = "`ignore_changes` takes paths as text, such as \"labels.team\"";
                self.trouble(Trouble::new(Code::Lifecycle, at, message));
                continue;
            };
            match text.parse::<Path>() {
                Ok(path) if self.schema.spec.contains_key(path.first().unwrap_or_default()) => {
                    self.lifecycle.ignore_changes.push(path);
                }
                Ok(path) => {
                    let name = path.first().unwrap_or_default().to_owned();
                    let known = self.schema.spec.keys().map(String::as_str);
                    let near = did_you_mean(&name, known).map(str::to_owned);
                    let message = format!("`{}` has no attribute `{name}`", self.kind);
                    let trouble = Trouble::new(Code::Lifecycle, at, message);
                    let is_all = matches!(name.as_str(), "all" | "*");
                    self.trouble(match near {
                        _ if is_all => trouble.hint(
                            "no word means all of them: name those that others may change, as in `[\"env\", \"labels.team\"]`",
                        ),
                        Some(near) => trouble.hint(format!("did you mean `{near}`?")),
                        None => trouble,
                    });
                }
                Err(error) => {
                    self.trouble(Trouble::new(Code::Lifecycle, at, error.to_string()));
                }
            }
        }
    }

    fn replace_triggered_by(&mut self, value: Dynamic, path: &Path) {
        for (item, at) in several(value, path) {
            let reference = match item.try_cast_result::<Handle>() {
                Ok(handle) => {
                    Some(Reference { address: handle.0.address.clone(), path: Path::default() })
                }
                Err(other) => match other.try_cast::<Symbol>().as_ref().map(|s| &*s.0) {
                    Some(Expr::Reference(reference)) => Some(reference.clone()),
                    _ => None,
                },
            };
            match reference {
                Some(reference) => {
                    self.stands(path, &reference.address, &at);
                    self.lifecycle.replace_triggered_by.push(reference);
                }
                None => {
                    let message = "`replace_triggered_by` takes resources or their attributes";
                    self.trouble(Trouble::new(Code::Lifecycle, at, message));
                }
            }
        }
    }
}

/// One value or a list of them, each with where it stands.
fn several(value: Dynamic, path: &Path) -> Vec<(Dynamic, Path)> {
    let value = value.flatten();
    let items = if value.is_array() { value.cast::<Array>() } else { vec![value] };
    let items = items.into_iter().enumerate();
    items.map(|(index, item)| (item.flatten(), path.index(index))).collect()
}
