//! What is known of well-known images: what they bring along, and what they do not read.
//!
//! Sources: the README of each image on Docker Hub, the release notes named below.

use dollop_engine::analysis::Lint;
use dollop_engine::diagnostic::Code;
use dollop_engine::path::Path;
use dollop_engine::resource::Problem;

use super::container::ContainerSpec;
use super::reference;

/// What `postgresql-contrib` holds: all that the official image has, in order.
const CONTRIB: &[&str] = &[
    "adminpack",
    "amcheck",
    "autoinc",
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dblink",
    "dict_int",
    "dict_xsyn",
    "earthdistance",
    "file_fdw",
    "fuzzystrmatch",
    "hstore",
    "hstore_plperl",
    "hstore_plpython3u",
    "insert_username",
    "intagg",
    "intarray",
    "isn",
    "jsonb_plperl",
    "jsonb_plpython3u",
    "lo",
    "ltree",
    "ltree_plpython3u",
    "moddatetime",
    "old_snapshot",
    "pageinspect",
    "pg_buffercache",
    "pg_freespacemap",
    "pg_logicalinspect",
    "pg_overexplain",
    "pg_prewarm",
    "pg_stat_statements",
    "pg_surgery",
    "pg_trgm",
    "pg_visibility",
    "pg_walinspect",
    "pgcrypto",
    "pgrowlocks",
    "pgstattuple",
    "plperl",
    "plperlu",
    "plpgsql",
    "plpython3u",
    "pltcl",
    "pltclu",
    "postgres_fdw",
    "refint",
    "seg",
    "sslinfo",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "uuid-ossp",
    "xml2",
];

/// The PostgreSQL extensions an image has, when they are known: the official image's.
pub(super) fn extensions(image: &str) -> Option<&'static [&'static str]> {
    (reference::split(image).0 == "postgres").then_some(CONTRIB)
}

/// Variables an image does not read, by the end of its name: since when, and what to do.
const UNREAD: [(&str, &str, u64, &str); 3] = [
    (
        "minio/minio",
        "MINIO_DEFAULT_BUCKETS",
        0,
        "make buckets with `std/minio`, or a job of the client `mc`",
    ),
    // Release notes of Keycloak 26: the proxy option is gone.
    ("keycloak/keycloak", "KC_PROXY", 26, "say `KC_PROXY_HEADERS: \"xforwarded\"`"),
    ("keycloak/keycloak", "DB_VENDOR", 17, "say `KC_DB`, and `KC_DB_URL` for its address"),
];

/// Exporters of the OpenTelemetry collector that are gone, and since which minor version.
/// Release notes of 0.86 (`jaeger`) and 0.111 (`logging`).
const EXPORTERS_GONE: [(&str, u64, &str); 2] = [
    ("jaeger", 86, "Jaeger takes OTLP on port 4317: use the exporter `otlp`"),
    ("logging", 111, "it is called `debug` now"),
];

/// Variables that are read when the data is made, and never again, by the end of an image's
/// name: and what changes what the data remembers.
const REMEMBERED: [(&str, &str, &str); 9] = [
    ("postgres", "POSTGRES_PASSWORD", "ALTER ROLE"),
    ("pgvector", "POSTGRES_PASSWORD", "ALTER ROLE"),
    ("timescaledb", "POSTGRES_PASSWORD", "ALTER ROLE"),
    ("postgis", "POSTGRES_PASSWORD", "ALTER ROLE"),
    ("mysql", "MYSQL_ROOT_PASSWORD", "ALTER USER"),
    ("mariadb", "MARIADB_ROOT_PASSWORD", "ALTER USER"),
    ("mongo", "MONGO_INITDB_ROOT_PASSWORD", "db.changeUserPassword()"),
    ("rabbitmq", "RABBITMQ_DEFAULT_PASS", "rabbitmqctl change_password"),
    ("influxdb", "DOCKER_INFLUXDB_INIT_PASSWORD", "influx user password"),
];

/// Passwords that change in the environment and not in the data, where that stays.
pub(super) fn remembered(from: &ContainerSpec, to: &ContainerSpec) -> Vec<Problem> {
    let repository = reference::split(&to.image).0;
    let last = repository.rsplit('/').next().unwrap_or_default();
    let changed = REMEMBERED.iter().filter(|(image, variable, _)| {
        let (before, after) = (told(from, variable), told(to, variable));
        *image == last && before.is_some() && after.is_some() && before != after
    });
    changed
        .map(|(_, variable, tool)| Problem {
            attribute: "env".to_owned(),
            message: format!(
                "`{variable}` is read when the data is made: what is there keeps the old one"
            ),
            hint: Some(format!(
                "change it there first (`{tool}`), or let applications log in as roles of \
                 their own, whose passwords dollop changes"
            )),
        })
        .collect()
}

/// What a variable says, itself or by the file that `.._FILE` names.
fn told<'s>(spec: &'s ContainerSpec, variable: &str) -> Option<&'s str> {
    if let Some(value) = spec.env.0.get(variable) {
        return Some(&value.0);
    }
    let path = &spec.env.0.get(&format!("{variable}_FILE"))?.0;
    spec.files.0.get(path)?.content.as_deref()
}

/// Settings that an image of this version does not know.
pub(super) fn unfit(spec: &ContainerSpec) -> Vec<Lint> {
    let (repository, tag, _) = reference::split(&spec.image);
    let version = tag.and_then(version);
    let mut found = Vec::new();
    let mut add = |at: Path, message: String, hint: &str| {
        found.push(Lint { code: Code::UnfitSetting, at, message, hint: hint.to_owned() });
    };
    for (image, variable, since, hint) in UNREAD {
        let is_new = since == 0 || version.is_some_and(|(major, _)| major >= since);
        if repository.ends_with(image) && is_new && spec.env.0.contains_key(variable) {
            let message = format!("the image `{repository}` does not read `{variable}`");
            add(Path::attribute("env").key(variable), message, hint);
        }
    }
    // Without the kind of start, Keycloak's script explains itself and ends.
    let has_command = spec.command.is_some() || spec.entrypoint.is_some();
    if repository.ends_with("keycloak/keycloak")
        && version.is_some_and(|(major, _)| major >= 17)
        && !has_command
    {
        let message = "the image needs to be told how to start".to_owned();
        add(Path::attribute("image"), message, "say `command: \"start\"`, or `start-dev`");
    }
    if repository.ends_with("keycloak/keycloak") && starts_without_address(spec) {
        let message = "`start` ends when it knows no address of its own".to_owned();
        let hint = "say `KC_HOSTNAME`, or `KC_HOSTNAME_STRICT: false` for any name";
        add(Path::attribute("command"), message, hint);
    }
    if repository == "traefik" {
        for (path, entry) in &spec.files.0 {
            if path.ends_with("acme.json") && entry.mode.0 & 0o077 != 0 {
                let message = "Traefik refuses certificates that others may read".to_owned();
                add(Path::attribute("files").key(path), message, "say `mode: \"0600\"`");
            }
        }
    }
    let is_collector = repository.ends_with("opentelemetry-collector")
        || repository.ends_with("opentelemetry-collector-contrib");
    if let Some((0, minor)) = version.filter(|_| is_collector) {
        for (path, entry) in &spec.files.0 {
            let Some(content) = &entry.content else { continue };
            for (exporter, since, hint) in EXPORTERS_GONE {
                if minor >= since && names_exporter(content, exporter) {
                    let message =
                        format!("the collector 0.{minor} has no exporter `{exporter}`");
                    add(Path::attribute("files").key(path), message, hint);
                }
            }
        }
    }
    found
}

/// Whether Keycloak starts for production and nothing says under which name: no variable, no
/// option, no file that might.
fn starts_without_address(spec: &ContainerSpec) -> bool {
    let words = spec.command.as_ref().map_or(&[][..], |command| command.0.as_slice());
    let is_configured = |path: &str| path.starts_with("/opt/keycloak/conf");
    words.iter().any(|word| word == "start")
        && !words.iter().any(|word| word.starts_with("--hostname"))
        && !spec.env.0.keys().any(|variable| variable.starts_with("KC_HOSTNAME"))
        && !spec.files.0.keys().any(|path| is_configured(path))
        && !spec.volumes.0.iter().any(|mount| is_configured(&mount.target))
}

/// A server in a network of the stack that listens to its own container alone.
pub(super) fn loopback(spec: &ContainerSpec) -> Option<Lint> {
    if spec.networks.0.is_empty() {
        return None;
    }
    let software = super::lint::database(&spec.image)?;
    let words = spec.command.iter().flat_map(|command| command.0.iter().map(String::as_str));
    let line = words.collect::<Vec<_>>().join(" ");
    let bound = |text: &str| {
        let rest =
            text.strip_prefix("bind").filter(|rest| rest.starts_with(char::is_whitespace))?;
        let local =
            |at: &str| matches!(at.trim_start_matches('-'), "127.0.0.1" | "::1" | "localhost");
        rest.split_whitespace().all(local).then_some(())
    };
    let file = match software {
        "Redis" | "Valkey" => spec.files.0.iter().find(|(_, entry)| {
            let content = entry.content.as_deref().unwrap_or_default();
            content.lines().any(|line| bound(line.trim()).is_some())
        }),
        _ => None,
    };
    let by_command = match software {
        "Redis" | "Valkey" => {
            line.contains("--bind 127.0.0.1") || line.contains("--bind localhost")
        }
        "PostgreSQL" => {
            line.contains("listen_addresses=localhost")
                || line.contains("listen_addresses=127.0.0.1")
        }
        _ => false,
    };
    let at = match file {
        Some((path, _)) => Path::attribute("files").key(path),
        None if by_command => Path::attribute("command"),
        None => return None,
    };
    Some(Lint {
        code: Code::LoopbackOnly,
        at,
        message: format!("{software} listens to its own container alone, and is in a network"),
        hint: "let it listen on all addresses of the container, `0.0.0.0`: who reaches it is said \
               by `networks` and `ports`"
            .to_owned(),
    })
}

/// Whether a configuration in YAML declares an exporter, `jaeger:` or `jaeger/two:`, in its
/// section.
fn names_exporter(config: &str, exporter: &str) -> bool {
    let mut inside = None;
    for line in config.lines() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if depth == 0 {
            inside = text.starts_with("exporters:").then_some(None);
            continue;
        }
        let Some(first) = &mut inside else { continue };
        if depth != *first.get_or_insert(depth) {
            continue;
        }
        let name = text.split(':').next().unwrap_or_default().trim_matches(['"', '\'']);
        if name.split('/').next() == Some(exporter) {
            return true;
        }
    }
    false
}

/// Major and minor version of a tag: `26.0.8`, `v0.91.0`.
pub(super) fn version(tag: &str) -> Option<(u64, u64)> {
    let mut parts = tag.trim_start_matches('v').split(['.', '-']);
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_image_has_contrib_and_nothing_else() {
        let official = extensions("postgres:16-alpine").unwrap();
        assert!(official.is_sorted());
        assert!(official.contains(&"pg_trgm") && !official.contains(&"vector"));
        assert_eq!(extensions("pgvector/pgvector:pg16"), None);
    }

    fn container(image: &str, password: &str) -> ContainerSpec {
        let spec =
            serde_json::json!({ "image": image, "env": { "POSTGRES_PASSWORD": password } });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_password_that_data_remembers_is_named() {
        let (old, new) = (container("postgres:15", "a"), container("postgres:15", "b"));
        assert_eq!(remembered(&old, &new).len(), 1);
        assert_eq!(remembered(&old, &old).len(), 0);
        let other = container("acme/app:1", "b");
        assert_eq!(remembered(&container("acme/app:1", "a"), &other).len(), 0);
    }

    #[test]
    fn a_password_in_a_file_is_named_as_well() {
        let spec = |password: &str| -> ContainerSpec {
            let spec = serde_json::json!({
                "image": "postgres:15",
                "env": { "POSTGRES_PASSWORD_FILE": "/run/secrets/pw" },
                "files": { "/run/secrets/pw": password },
            });
            serde_json::from_value(spec).unwrap()
        };
        assert_eq!(remembered(&spec("a"), &spec("b")).len(), 1);
        assert_eq!(remembered(&spec("a"), &spec("a")).len(), 0);
    }

    #[test]
    fn keycloak_must_be_told_how_to_start() {
        let said = |image: &str| unfit(&container(image, "a")).len();
        assert_eq!(said("quay.io/keycloak/keycloak:22.0"), 1);
        assert_eq!(said("postgres:15"), 0);
    }

    #[test]
    fn keycloak_must_be_told_its_address() {
        let said = |more: serde_json::Value| {
            let mut spec = serde_json::json!({
                "image": "quay.io/keycloak/keycloak:22.0", "command": ["start"],
            });
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            unfit(&serde_json::from_value(spec).unwrap()).len()
        };
        assert_eq!(said(serde_json::json!({})), 1);
        for told in [
            serde_json::json!({ "command": ["start-dev"] }),
            serde_json::json!({ "command": ["start", "--hostname=sso.example.com"] }),
            serde_json::json!({ "env": { "KC_HOSTNAME_STRICT": "false" } }),
            serde_json::json!({ "files": { "/opt/keycloak/conf/keycloak.conf": "hostname=a" } }),
        ] {
            assert_eq!(said(told.clone()), 0, "{told}");
        }
    }

    #[test]
    fn exporters_are_found_in_their_section_alone() {
        let config = "receivers:\n  jaeger:\n    protocols: {}\nexporters:\n  otlp/jaeger:\n    \
                      endpoint: x\n  jaeger/2:\n    endpoint: y\n";
        assert!(names_exporter(config, "jaeger"));
        assert!(!names_exporter(config, "logging"));
        let without = config.replace("  jaeger/2:", "  otlp/2:");
        assert!(!names_exporter(&without, "jaeger"));
    }

    #[test]
    fn versions_are_read_from_tags() {
        assert_eq!(version("26.0.8"), Some((26, 0)));
        assert_eq!(version("v0.91.0"), Some((0, 91)));
        assert_eq!(version("22.0"), Some((22, 0)));
        assert_eq!(version("nightly"), None);
    }
}
