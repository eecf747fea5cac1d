//! What is known of images and of the commands of health checks.

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::Code;
use dollop_engine::path::Path;

use super::reference;

/// Images of databases that must be alone with their files, by the last part of the name.
const DATABASES: [(&str, &str); 16] = [
    ("postgres", "PostgreSQL"),
    ("postgis", "PostgreSQL"),
    ("pgvector", "PostgreSQL"),
    ("timescaledb", "PostgreSQL"),
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("mongo", "MongoDB"),
    ("mongodb", "MongoDB"),
    ("redis", "Redis"),
    ("valkey", "Valkey"),
    ("rabbitmq", "RabbitMQ"),
    ("elasticsearch", "Elasticsearch"),
    ("opensearch", "OpenSearch"),
    ("influxdb", "InfluxDB"),
    ("clickhouse-server", "ClickHouse"),
    ("neo4j", "Neo4j"),
];

/// The database an image holds, as far as its name tells.
pub(super) fn database(image: &str) -> Option<&'static str> {
    let (repository, ..) = reference::split(image);
    let last = repository.rsplit('/').next().unwrap_or_default();
    DATABASES.iter().find(|(name, _)| *name == last).map(|(_, title)| *title)
}

/// The warning for an image whose name does not say which version, in normal form.
pub(super) fn floating(attribute: &str, image: &str) -> Option<Lint> {
    if reference::is_id(image) {
        return None;
    }
    let (repository, tag, digest) = reference::split(image);
    // `latest`, `main`, `alpine`: no version is without a digit.
    let tag = tag.filter(|tag| !tag.contains(|c: char| c.is_ascii_digit()));
    let tag = tag.filter(|_| digest.is_none())?;
    Some(Lint {
        code: Code::FloatingImage,
        at: Path::attribute(attribute),
        message: format!(
            "`{repository}` has no fixed version: `{tag}` is another one on another day"
        ),
        hint: format!("name one, as in `{repository}:1.2`, or a digest"),
    })
}

/// Whether a health check ends with success whatever happens.
pub(super) fn cannot_fail(test: &[String]) -> bool {
    match test {
        [shell, line] if shell == "CMD-SHELL" => {
            let last = line.rsplit(['\n', ';']).map(str::trim).find(|part| !part.is_empty());
            let last = last.unwrap_or(line.as_str());
            // `a || b` fails only when `b` does.
            let last = last.rsplit("||").next().unwrap_or(last).trim();
            matches!(last, "true" | ":" | "/bin/true" | "exit 0" | "exit")
        }
        [cmd, program, ..] if cmd == "CMD" => {
            matches!(program.as_str(), "true" | "/bin/true" | ":")
        }
        _ => false,
    }
}

/// Whether a health check asks Redis and is content with any answer: `redis-cli` ends with 0
/// when it is told to log in first.
pub(super) fn passes_when_refused(test: &[String]) -> bool {
    let line = test.get(1..).unwrap_or_default().join(" ");
    let asks = ["redis-cli", "valkey-cli"].iter().any(|tool| line.contains(tool));
    asks && line.ends_with("ping") && !line.contains(" -e") && !line.contains('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_that_cannot_fail_are_known() {
        let shell = |line: &str| cannot_fail(&["CMD-SHELL".to_owned(), line.to_owned()]);
        for line in
            ["true", "exit 0", "curl -f http://x || true", "a; exit 0", "a || :", "a\ntrue"]
        {
            assert!(shell(line), "{line}");
        }
        for line in ["pg_isready", "curl -f http://x || exit 1", "true && pg_isready", "false"]
        {
            assert!(!shell(line), "{line}");
        }
        assert!(cannot_fail(&["CMD".to_owned(), "true".to_owned()]));
        assert!(!cannot_fail(&["CMD".to_owned(), "redis-cli".to_owned(), "ping".to_owned()]));
    }

    #[test]
    fn a_ping_that_is_refused_passes() {
        let shell =
            |line: &str| passes_when_refused(&["CMD-SHELL".to_owned(), line.to_owned()]);
        assert!(shell("redis-cli ping"));
        assert!(shell("valkey-cli -h 127.0.0.1 ping"));
        for line in ["redis-cli -e ping", "redis-cli ping | grep PONG", "pg_isready"] {
            assert!(!shell(line), "{line}");
        }
    }

    #[test]
    fn versions_that_float_are_known() {
        for image in ["nginx:latest", "registry:5000/a/b:latest", "nginx:alpine", "a/b:main"] {
            assert!(floating("image", &reference::familiar(image)).is_some(), "{image}");
        }
        assert!(floating("image", &reference::familiar("nginx")).is_some());
        for image in ["nginx:1.27", "nginx@sha256:abc", "nginx:latest@sha256:abc", "sha256:abc"]
        {
            assert!(floating("image", &reference::familiar(image)).is_none(), "{image}");
        }
    }

    #[test]
    fn databases_are_known_by_their_image() {
        assert_eq!(database("postgres:15"), Some("PostgreSQL"));
        assert_eq!(database("ghcr.io/acme/timescaledb:2"), Some("PostgreSQL"));
        assert_eq!(database("nginx:1"), None);
        assert_eq!(database("postgres-exporter:1"), None);
    }
}
