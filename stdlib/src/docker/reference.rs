//! Names of images in registries.

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
    fn the_registry_is_the_part_that_looks_like_a_host() {
        assert_eq!(registry("postgres:15"), "docker.io");
        assert_eq!(registry("bitnami/redis"), "docker.io");
        assert_eq!(registry("localhost:5000/app:1"), "localhost:5000");
        assert_eq!(registry("quay.io/x/y"), "quay.io");
    }
}
