//! The addresses a container is told: URLs in its environment, its command and its files; and
//! the names under which callers log in to the software it runs.

use std::collections::BTreeSet;

use dollop_engine::analysis::{ANY, Asked, Call, Claim, Claimed, Known};
use dollop_engine::path::Path;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::super::lint;
use super::super::reference;
use super::spec::ContainerSpec;

/// Beginnings of variables that programs hand on to browsers, which are elsewhere.
const FOR_BROWSERS: [&str; 6] =
    ["NEXT_PUBLIC_", "PUBLIC_", "VITE_", "REACT_APP_", "NUXT_PUBLIC_", "EXPO_PUBLIC_"];

/// Every address once for each place that holds it.
pub(super) fn claims(spec: &ContainerSpec, claims: &mut Vec<Claimed>) {
    // In another's network, names are found as that one finds them.
    if spec.network_mode.is_some() {
        return;
    }
    // What its own hosts file has.
    let added = spec.extra_hosts.0.iter().filter_map(|entry| Some(entry.split_once(':')?.0));
    let own: BTreeSet<&str> = added.chain(spec.hostname.as_deref()).collect();
    let mut add = |at: &Path, calls: &mut dyn Iterator<Item = Call>| {
        let calls = calls.filter(|call| !own.contains(call.host.as_str()));
        claims.extend(calls.map(|call| Claimed::new(at.clone(), Claim::Calls(call))));
    };
    for (variable, value) in &spec.env.0 {
        let by_browsers = FOR_BROWSERS.iter().any(|start| variable.starts_with(start));
        let mut calls = urls(&value.0).map(|call| Call { by_browsers, ..call });
        add(&Path::attribute("env").key(variable), &mut calls);
    }
    for word in spec.command.iter().flat_map(|command| &command.0) {
        add(&Path::attribute("command"), &mut urls(word));
    }
    let scrapes = reference::split(&spec.image).0.ends_with("prom/prometheus");
    for (path, entry) in &spec.files.0 {
        let Some(content) = &entry.content else { continue };
        let at = Path::attribute("files").key(path);
        add(&at, &mut urls(content));
        if scrapes {
            add(&at, &mut targets(content));
        }
    }
    logins(spec, claims);
}

/// The URLs in a text.
fn urls(text: &str) -> impl Iterator<Item = Call> + '_ {
    let apart = |c: char| c.is_whitespace() || "\"'`,;=()[]{}<>|".contains(c);
    text.split(apart).filter(|word| word.contains("://")).filter_map(|word| {
        let word = word.strip_prefix("jdbc:").unwrap_or(word);
        let url = Url::parse(word).ok()?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = (!url.username().is_empty()).then(|| decoded(url.username()));
        let path = decoded(url.path().strip_prefix('/').unwrap_or_default());
        let (login, place) = match url.scheme() {
            "postgres" | "postgresql" => {
                let place = (!path.is_empty()).then(|| asked("database", path));
                (user.map(|user| asked("role", user)), place)
            }
            // Without a user, it is `guest`; without a vhost, `/`.
            "amqp" | "amqps" => {
                let mut user = asked("user", user.unwrap_or_else(|| "guest".to_owned()));
                user.note = (user.name == "guest").then_some(
                    "RabbitMQ lets its own user `guest` in from its own machine only",
                );
                let path = if path.is_empty() { "/".to_owned() } else { path };
                (Some(user), Some(asked("vhost", path)))
            }
            _ => (None, None),
        };
        Some(Call {
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default(),
            login,
            place,
            by_browsers: false,
        })
    })
}

fn asked(noun: &'static str, name: String) -> Asked {
    Asked { noun, name, note: None }
}

/// What Prometheus is told to ask: `name:port`.
fn targets(config: &str) -> impl Iterator<Item = Call> + '_ {
    let apart = |c: char| c.is_whitespace() || "\"',[]".contains(c);
    config.split(apart).filter_map(|word| {
        let (host, port) = word.split_once(':')?;
        let named = host.starts_with(|c: char| c.is_ascii_alphabetic());
        Some(Call {
            host: host.to_lowercase(),
            port: Some(port.parse().ok().filter(|_| named)?),
            login: None,
            place: None,
            by_browsers: false,
        })
    })
}

/// What the image itself makes at its first start; scripts for that may make more.
fn logins(spec: &ContainerSpec, claims: &mut Vec<Claimed>) {
    let env = |name: &str| spec.env.0.get(name).map(|value| value.0.as_str());
    let at = Path::attribute("image");
    let mut add = |what, name: &str| {
        let claim = Claim::Knows { what, name: name.to_owned() };
        claims.push(Claimed::new(at.clone(), claim));
    };
    let scripted = spec.volumes.0.iter().map(|mount| mount.target.as_str());
    let mut scripted = scripted.chain(spec.files.0.keys().map(String::as_str));
    let is_scripted = |path: &str| {
        path.starts_with("/docker-entrypoint-initdb.d") || path.starts_with("/etc/rabbitmq")
    };
    if scripted.any(is_scripted) {
        add(Known::Login, ANY);
        add(Known::Place, ANY);
        return;
    }
    match lint::database(&spec.image) {
        Some("PostgreSQL") => {
            let user = env("POSTGRES_USER").unwrap_or("postgres");
            add(Known::Login, user);
            add(Known::Place, env("POSTGRES_DB").unwrap_or(user));
            add(Known::Place, "postgres");
        }
        Some("RabbitMQ") => {
            // Left out it is `guest`, whom nobody in another container can be.
            add(Known::Login, env("RABBITMQ_DEFAULT_USER").unwrap_or(""));
            add(Known::Place, env("RABBITMQ_DEFAULT_VHOST").unwrap_or("/"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_found_in_texts() {
        let text = "url: 'amqp://app:pw@mq:5672/shop%2Fa' # see https://example.com/\n\
                    jdbc=jdbc:postgresql://db:5432/keycloak?ssl=false, x://";
        let name = |asked: Option<Asked>| asked.map(|asked| asked.name).unwrap_or_default();
        let found: Vec<_> =
            urls(text).map(|c| (c.host, name(c.login), name(c.place))).collect();
        let one = |host: &str, login: &str, place: &str| {
            (host.to_owned(), login.to_owned(), place.to_owned())
        };
        assert_eq!(
            found,
            [one("mq", "app", "shop/a"), one("example.com", "", ""), one("db", "", "keycloak"),]
        );
    }

    #[test]
    fn targets_are_names_with_ports() {
        let config = "global:\n  scrape_interval: 15s\nscrape_configs:\n- static_configs:\n  \
                      - targets: ['backend:3000', \"10.0.0.1:80\"]\n";
        let found: Vec<_> = targets(config).map(|call| (call.host, call.port)).collect();
        assert_eq!(found, [("backend".to_owned(), Some(3000))]);
    }
}
