//! Which tags a registry has for an image, and which of them stand for later versions.
//!
//! The engine looks up one tag at a time and lists none, so the registry itself is asked
//! (<https://distribution.github.io/distribution/spec/api/#listing-image-tags>).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;

use dollop_engine::error::{CallError, Failure};
use reqwest::header::{LINK, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::engine::Engine;
use super::{reference, registry};
use crate::http;

/// How many tags are asked for at once; registries give fewer if they like.
const PAGE: usize = 1000;
/// How many pages are read: a registry that has more is not read to its end.
const PAGES: usize = 50;

/// Where the images of no other registry are.
const HUB: &str = "registry-1.docker.io";

#[derive(Deserialize)]
struct Page {
    /// `null` where there are none.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

/// Tags for later versions than an image's own: the latest of its major version, then the
/// latest of all. Nothing where its tag is no version.
pub(super) async fn newer(engine: &Engine, image: &str) -> Result<Newer, CallError> {
    let (repository, tag, _) = reference::split(image);
    let Some(own) = tag.filter(|tag| Version::of(tag).is_some()) else {
        return Ok(Newer::default());
    };
    let (listed, whole) = listed(engine, image, repository).await?;
    let cut = (!whole).then(|| {
        format!(
            "only the first {} tags of `{repository}` were read: there may be later versions",
            listed.len()
        )
    });
    Ok(Newer { tags: later(own, listed.iter().map(String::as_str)), cut })
}

/// Tags for later versions.
#[derive(Default)]
pub(super) struct Newer {
    /// The nearest first.
    pub(super) tags: Vec<String>,
    /// Why there may be more.
    pub(super) cut: Option<String>,
}

/// All tags of a repository, and whether these are all.
async fn listed(
    engine: &Engine,
    image: &str,
    repository: &str,
) -> Result<(Vec<String>, bool), CallError> {
    let host = reference::registry(image);
    if is_loopback(host) && !is_loopback(&engine.reached_at) {
        let message = format!(
            "the tags of `{repository}` are not known: registry `{host}` is on the engine's machine"
        );
        return Err(CallError::unreachable(message));
    }
    let path = repository.strip_prefix(&format!("{host}/")).unwrap_or(repository);
    let (server, path) = match host {
        "docker.io" if path.contains('/') => (HUB, path.to_owned()),
        "docker.io" => (HUB, format!("library/{path}")),
        _ => (host, path.to_owned()),
    };
    let scheme = if is_plain(engine, host).await { "http" } else { "https" };
    let failed = |why: &str| {
        CallError::unreachable(format!("the tags of `{repository}` are not known: {why}"))
    };
    let login = registry::credentials(&engine.logins, image).await?;
    let login = login.and_then(|login| Some((login.username?, login.password?)));
    let client = http::client()?;
    let mut way = Way { client: &client, login, token: None };
    let first = format!("{scheme}://{server}/v2/{path}/tags/list?n={PAGE}");
    let mut next = Url::parse(&first).ok();
    let (mut tags, mut leads_on) = (Vec::new(), false);
    for _ in 0..PAGES {
        let Some(url) = next.take() else { break };
        let answer = way.get(&url).await.map_err(|why| failed(&why))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let message =
                    format!("registry `{host}` does not show the tags of `{repository}`");
                return Err(CallError::new(Failure::Denied, message));
            }
            other => return Err(failed(&format!("it answers with status {}", other.as_u16()))),
        }
        let more = answer.headers().get(LINK).and_then(|link| link.to_str().ok());
        next = more.and_then(|link| following(&url, link));
        leads_on = more.is_some_and(|link| link.contains("next"));
        let page: Page = answer.json().await.map_err(|error| failed(http::why(&error)))?;
        tags.extend(page.tags.unwrap_or_default());
    }
    Ok((tags, !leads_on))
}

/// Whether a registry, or a host, is the machine itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
        None => host,
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the engine goes to a registry without TLS.
async fn is_plain(engine: &Engine, host: &str) -> bool {
    if is_loopback(host) {
        return true;
    }
    let Ok(info) = engine.docker.info().await else { return false };
    let known = info.registry_config.and_then(|config| config.index_configs);
    let known = known.and_then(|known| known.get(host).and_then(|one| one.secure));
    known == Some(false)
}

/// The next page, which must be of the same server: with it goes what lets us in.
fn following(url: &Url, link: &str) -> Option<Url> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    let next = url.join(target).ok().filter(|_| rest.contains("next"))?;
    (next.origin() == url.origin()).then_some(next)
}

/// How a registry is asked.
struct Way<'a> {
    client: &'a Client,
    login: Option<(String, String)>,
    token: Option<String>,
}

impl Way<'_> {
    /// Asks, and once more with what the registry wants to see.
    async fn get(&mut self, url: &Url) -> Result<Response, String> {
        let answer = self.send(self.client.get(url.clone())).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let wanted = answer.headers().get(WWW_AUTHENTICATE).and_then(|text| text.to_str().ok());
        let Some(wanted) = wanted.map(str::to_owned) else { return Ok(answer) };
        let scheme = wanted.split(' ').next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") {
            self.token = self.fetch(&parameters(&wanted)).await?;
            if self.token.is_none() {
                return Ok(answer);
            }
            self.send(self.client.get(url.clone())).await
        } else if scheme.eq_ignore_ascii_case("basic")
            && let Some((user, password)) = &self.login
        {
            let asked = self.client.get(url.clone()).basic_auth(user, Some(password));
            asked.send().await.map_err(|error| http::why(&error).to_owned())
        } else {
            Ok(answer)
        }
    }

    async fn send(&self, asked: RequestBuilder) -> Result<Response, String> {
        let asked = match &self.token {
            Some(token) => asked.bearer_auth(token),
            None => asked,
        };
        asked.send().await.map_err(|error| http::why(&error).to_owned())
    }

    /// A token from whoever the registry sends us to. A login goes there by TLS only.
    async fn fetch(&self, wanted: &BTreeMap<String, String>) -> Result<Option<String>, String> {
        let realm = wanted.get("realm").and_then(|realm| Url::parse(realm).ok());
        let Some(mut realm) = realm else { return Ok(None) };
        for name in ["service", "scope"] {
            if let Some(value) = wanted.get(name) {
                realm.query_pairs_mut().append_pair(name, value);
            }
        }
        let by_tls = realm.scheme() == "https";
        let mut asked = self.client.get(realm);
        if let Some((user, password)) = self.login.as_ref().filter(|_| by_tls) {
            asked = asked.basic_auth(user, Some(password));
        }
        let answer = asked.send().await.map_err(|error| http::why(&error).to_owned())?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let token: Token = answer.json().await.map_err(|error| http::why(&error).to_owned())?;
        Ok(token.token.or(token.access_token))
    }
}

/// `realm`, `service` and `scope` of a challenge: `Bearer realm="..",service=".."`.
fn parameters(challenge: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = challenge.split_once(' ').map_or("", |(_, rest)| rest);
    // A scope has commas in it, inside its quotes.
    while let Some((name, more)) = rest.split_once("=\"") {
        let Some((value, more)) = more.split_once('"') else { break };
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        found.insert(name, value.to_owned());
        rest = more;
    }
    found
}

/// A tag as a version: numbers between dots, with what stands before and after them.
#[derive(Debug, PartialEq, Eq)]
struct Version<'a> {
    before: &'a str,
    numbers: Vec<u64>,
    after: &'a str,
}

impl<'a> Version<'a> {
    /// `None` for a tag that is no version: `latest`, a commit, a day.
    fn of(tag: &'a str) -> Option<Self> {
        let before = if tag.starts_with(['v', 'V']) { &tag[..1] } else { "" };
        let rest = &tag[before.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let numbers: Option<Vec<u64>> =
            digits.split('.').map(|number| number.parse().ok()).collect();
        let numbers = numbers.filter(|_| after.is_empty() || after.starts_with('-'))?;
        // What counts days or builds has no major version to compare by.
        (numbers.first()? < &10_000 || numbers.len() > 1).then_some(Self {
            before,
            numbers,
            after,
        })
    }

    /// Whether it is written alike: what is not, is another edition, or no release.
    fn is_like(&self, other: &Self) -> bool {
        self.before == other.before
            && self.after == other.after
            && self.numbers.len() == other.numbers.len()
    }
}

/// The latest of the same major version and the latest of all, where they are later.
fn later<'a>(own: &str, tags: impl Iterator<Item = &'a str>) -> Vec<String> {
    let Some(version) = Version::of(own) else { return Vec::new() };
    let found = tags.filter_map(|tag| Some((Version::of(tag)?, tag)));
    let found: Vec<_> = found
        .filter(|(other, _)| other.is_like(&version))
        .filter(|(other, _)| other.numbers.cmp(&version.numbers) == Ordering::Greater)
        .collect();
    let latest = |same_major: bool| {
        let fits = found.iter().filter(|(other, _)| {
            !same_major || other.numbers.first() == version.numbers.first()
        });
        fits.max_by(|one, other| one.0.numbers.cmp(&other.0.numbers)).map(|(_, tag)| *tag)
    };
    let mut newer: Vec<String> =
        [latest(true), latest(false)].into_iter().flatten().map(str::to_owned).collect();
    newer.dedup();
    newer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_versions_are_written_alike() {
        let tags = [
            "latest",
            "15",
            "15-alpine",
            "15.4",
            "15.13",
            "16",
            "16.9",
            "17",
            "17-alpine",
            "18beta1",
            "18-rc1",
            "v17",
            "17.5",
            "17.5-alpine",
            "20240101",
            "3.15",
        ];
        let newer = |own| later(own, tags.into_iter());
        assert_eq!(newer("15"), ["17"]);
        assert_eq!(newer("15.4"), ["15.13", "17.5"]);
        assert_eq!(newer("15.13"), ["17.5"]);
        assert_eq!(newer("15-alpine"), ["17-alpine"]);
        assert_eq!(newer("17.5"), Vec::<String>::new());
        assert_eq!(newer("latest"), Vec::<String>::new());
        assert_eq!(newer("v16"), ["v17"]);
    }

    #[test]
    fn what_is_no_version_is_none() {
        for tag in ["latest", "alpine", "RELEASE.2025-09-07T16-13-09Z", "20240101", "1..2", ""]
        {
            assert_eq!(Version::of(tag), None, "{tag}");
        }
        let version = Version::of("v2.48.1-alpine").unwrap();
        assert_eq!((version.before, version.after), ("v", "-alpine"));
        assert_eq!(version.numbers, [2, 48, 1]);
    }

    #[test]
    fn a_challenge_is_taken_apart() {
        let found = parameters(
            "Bearer realm=\"https://auth.example/token\",service=\"r\",\
             scope=\"repository:a/b:pull,push\"",
        );
        assert_eq!(found["realm"], "https://auth.example/token");
        assert_eq!(found["scope"], "repository:a/b:pull,push");
    }

    #[test]
    fn the_machine_itself_is_known_by_its_names() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["docker.io", "10.0.0.5:5000", "localhost.example.org"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn the_next_page_is_of_the_same_server() {
        let url = Url::parse("https://r.example/v2/a/tags/list?n=2").unwrap();
        let next = following(&url, "</v2/a/tags/list?last=b&n=2>; rel=\"next\"").unwrap();
        assert_eq!(next.as_str(), "https://r.example/v2/a/tags/list?last=b&n=2");
        assert_eq!(following(&url, "<https://other.example/x>; rel=\"next\""), None);
    }
}
