//! Which version of a server can use the files of which other.
//!
//! Sources: "18.6. Upgrading a PostgreSQL Cluster" of the PostgreSQL manual, "Upgrading
//! RabbitMQ" of the RabbitMQ documentation.

use dollop_engine::resource::Problem;

use super::images::version;
use super::lint::database;
use super::reference;

/// Why a server made from one image could not use the files that one made from another left
/// behind, as far as the names tell.
pub(super) fn other_version(from: &str, to: &str) -> Option<Problem> {
    let server = database(from).filter(|server| database(to) == Some(*server))?;
    let (old, new) = (tagged(from)?, tagged(to)?);
    let why = match server {
        "PostgreSQL" if old.0 != new.0 => {
            format!("PostgreSQL {} does not read the files of PostgreSQL {}", new.0, old.0)
        }
        "RabbitMQ" if new < old => {
            let ((new, minor), (old, old_minor)) = (new, old);
            format!(
                "RabbitMQ {new}.{minor} does not read the files of RabbitMQ {old}.{old_minor}"
            )
        }
        "RabbitMQ" if new.0 > old.0 && old < (3, 13) => {
            format!(
                "RabbitMQ {} reads the files of 3.13, not those of {}.{}",
                new.0, old.0, old.1
            )
        }
        _ => return None,
    };
    let hint = if server == "RabbitMQ" && new > old {
        "go to 3.13 first, enable all feature flags, and from there on".to_owned()
    } else {
        "as long as the old one runs: `dollop backup`; then give the new one a volume of another \
         name, apply, and `dollop restore latest`; the old volume stays until it is removed \
         from the script"
            .to_owned()
    };
    Some(Problem { attribute: "image".to_owned(), message: why, hint: Some(hint) })
}

/// The version in the name of an image; `pg16` is how extensions of PostgreSQL say it.
fn tagged(image: &str) -> Option<(u64, u64)> {
    let tag = reference::split(image).1?;
    let server = tag.rsplit('-').find_map(|part| version(part.strip_prefix("pg")?));
    server.or_else(|| version(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_another_major_version_are_refused() {
        let refused = |from: &str, to: &str| {
            other_version(&reference::familiar(from), &reference::familiar(to)).is_some()
        };
        assert!(refused("postgres:15", "postgres:16-alpine"));
        assert!(refused("postgres:16.2", "postgres:15.9"));
        assert!(refused("pgvector/pgvector:pg15", "pgvector/pgvector:pg16"));
        assert!(refused(
            "timescale/timescaledb:2.17.2-pg15",
            "timescale/timescaledb:2.17.2-pg16"
        ));
        assert!(!refused(
            "timescale/timescaledb:2.16.0-pg15",
            "timescale/timescaledb:2.17.2-pg15"
        ));
        assert!(!refused("postgres:15.3", "postgres:15.7-bookworm"));
        assert!(refused("rabbitmq:3.10-management", "rabbitmq:4.0-management"));
        assert!(refused("rabbitmq:3.13", "rabbitmq:3.12"));
        assert!(!refused("rabbitmq:3.10", "rabbitmq:3.11"));
        assert!(!refused("rabbitmq:3.13", "rabbitmq:4.0"));
        // What the name does not tell.
        assert!(!refused("postgres:latest", "postgres:16"));
        assert!(!refused("postgres:15", "redis:7"));
        assert!(!refused("nginx:1.25", "nginx:1.27"));
    }
}
