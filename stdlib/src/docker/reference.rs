//! Names of images in registries.

use serde::{Deserialize, Deserializer, de};

use super::container::is_open;

/// Reads a reference, and says what is wrong with it.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let reference = String::deserialize(from)?;
    match wrong(&reference) {
        None => Ok(reference),
        Some(why) => Err(de::Error::custom(why)),
    }
}

/// The same for one that may be left out.
pub(crate) fn read_optional<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    let reference = Option::<String>::deserialize(from)?;
    match reference.as_deref().and_then(wrong) {
        None => Ok(reference),
        Some(why) => Err(de::Error::custom(why)),
    }
}

/// What no registry and no engine takes for a reference; that there is none is said elsewhere.
pub(crate) fn wrong(reference: &str) -> Option<String> {
    let reference = reference.trim();
    if reference.is_empty() || is_id(reference) || is_open(reference) {
        return None;
    }
    let no = |why: &str| {
        Some(format!("`{reference}` names no image: {why}; one looks like `postgres:15`"))
    };
    let (repository, tag, digest) = split(reference);
    if repository.is_empty() {
        return None;
    }
    let path = match repository.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => repository,
    };
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return no("names of images are in lower case");
    }
    let is_part = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let ends = |c: char| c.is_ascii_alphanumeric();
        part.starts_with(ends) && part.ends_with(ends) && part.chars().all(fits)
    };
    if !path.split('/').all(is_part) {
        return no("its parts are letters, digits, and `.`, `_` and `-` between them");
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_tag = |tag: &str| {
        (1..=128).contains(&tag.len()) && tag.chars().all(fits) && !tag.starts_with(['.', '-'])
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return no("a tag is letters, digits, `.`, `_` and `-`");
    }
    let is_digest = |digest: &str| digest.split_once(':').is_some();
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return no("after `@` comes a digest, `sha256:..`");
    }
    None
}

/// One form for equal names: `docker.io/library/postgres` is `postgres:latest`.
///
/// The form the engine lists tags in (`distribution/reference`, "familiar" names).
pub(crate) fn familiar(reference: &str) -> String {
    let reference = reference.trim();
    // What is not all known yet may turn out to be an id, or have a tag.
    if is_id(reference) || !reference.is_ascii() {
        return reference.to_owned();
    }
    let bare = ["docker.io/", "index.docker.io/"]
        .iter()
        .find_map(|host| reference.strip_prefix(host))
        .unwrap_or(reference);
    let bare = match bare.strip_prefix("library/") {
        Some(official) if !official.contains('/') => official,
        _ => bare,
    };
    let (repository, tag, digest) = split(bare);
    match (tag, digest) {
        (None, None) => format!("{repository}:latest"),
        _ => bare.to_owned(),
    }
}

/// The names an image is found by that an engine lists under one: Podman writes them out, and
/// puts `localhost` before those of no registry.
pub(crate) fn known_as(listed: &str) -> Vec<String> {
    let own = listed.strip_prefix("localhost/").map(str::to_owned);
    std::iter::once(familiar(listed)).chain(own).collect()
}

/// Whether it names an image by its id and no registry has it.
pub(crate) fn is_id(reference: &str) -> bool {
    reference.starts_with("sha256:")
}

/// Repository, tag and digest.
pub(crate) fn split(reference: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    // A colon before the last slash belongs to the port of the registry.
    let name_starts = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[name_starts..].find(':') {
        Some(colon) => {
            let colon = name_starts + colon;
            (&rest[..colon], Some(&rest[colon + 1..]), digest)
        }
        None => (rest, None, digest),
    }
}

/// The registry it is pulled from.
pub(crate) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_get_one_form() {
        let cases = [
            ("postgres", "postgres:latest"),
            ("postgres:15", "postgres:15"),
            ("docker.io/library/postgres:15", "postgres:15"),
            ("docker.io/bitnami/redis", "bitnami/redis:latest"),
            ("library/redis", "redis:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
            ("redis@sha256:ab", "redis@sha256:ab"),
            ("sha256:ab", "sha256:ab"),
            ("\u{FDD0}0\u{FDD1}", "\u{FDD0}0\u{FDD1}"),
        ];
        for (written, expected) in cases {
            assert_eq!(familiar(written), expected, "{written}");
        }
    }

    #[test]
    fn what_names_no_image_is_told() {
        for good in [
            "postgres",
            "postgres:15",
            "localhost:5000/a_b/c-d:1.2",
            "Registry.example:5000/app@sha256:ab",
            "sha256:ab",
            "\u{FDD2}0\u{FDD3}/App",
            "0123456789ab",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
        for bad in ["UPPER/x:1", "a b:1", "app:", "app:a/b:c d", "-app", "app@x", "a//b"] {
            assert!(wrong(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn the_registry_is_the_part_that_looks_like_a_host() {
        assert_eq!(registry("postgres:15"), "docker.io");
        assert_eq!(registry("bitnami/redis"), "docker.io");
        assert_eq!(registry("localhost:5000/app:1"), "localhost:5000");
        assert_eq!(registry("quay.io/x/y"), "quay.io");
    }
}
