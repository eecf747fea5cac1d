//! The rows of `docs/platforms.md`: what declares a system, and what became of that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::platform::Platform;
use crate::live::quickstart::docker;
use crate::platforms::{Document, matches, tell};

impl Platform {
    /// A row for every system of the document (`tests/platforms`): what declares it, and what
    /// became of that.
    fn rows(&self) -> Vec<String> {
        let there = self.addresses();
        let containers: BTreeMap<String, Json> = self
            .inspect()
            .into_iter()
            .map(|container| {
                let address = container["Config"]["Labels"]["dollop.address"].as_str();
                (address.unwrap_or_default().to_owned(), container)
            })
            .collect();
        let mut seen = BTreeSet::new();
        let mut rows = Vec::new();
        for system in Document::read(self.name).systems {
            let mut found = Vec::new();
            for pattern in &system.addresses {
                let matching: Vec<_> =
                    there.iter().filter(|address| matches(pattern, address)).collect();
                assert!(!matching.is_empty(), "{}: nothing is `{pattern}`", self.name);
                found.extend(matching.into_iter().cloned());
            }
            let (mut health, mut what) = (BTreeSet::new(), BTreeSet::new());
            for address in &found {
                let container = containers.get(address);
                health.extend(self.health(address, container, &there));
                what.extend(container.map(software));
            }
            seen.extend(found);
            let list =
                |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join("; ");
            let declared: Vec<_> =
                system.addresses.iter().map(|pattern| format!("`{pattern}`")).collect();
            rows.push(format!(
                "| {} | {} | yes | {} | {} |",
                system.title,
                declared.join(", "),
                list(health),
                list(what)
            ));
        }
        let missing: Vec<_> =
            containers.keys().filter(|address| !seen.contains(*address)).collect();
        assert!(missing.is_empty(), "{}: no row for {missing:?}", self.name);
        rows
    }

    /// What is known of how something is, and from whom.
    fn health(
        &self,
        address: &str,
        container: Option<&Json>,
        there: &[String],
    ) -> Option<String> {
        let (kind, path) = address.split_once('.').expect("an address");
        let words: Vec<_> = path.split('/').collect();
        let sql = |database: &str, sql: &str| {
            let found = self.sql(self.server(words[0]), database, sql);
            assert_eq!(found, "1", "{address} in psql");
            Some("found by psql".to_owned())
        };
        let last = words.last().expect("a name").replace("%20", " ");
        match kind {
            "docker::container" => {
                let container = container.expect("its container");
                Some(if container["State"]["Health"].is_object() {
                    "healthy".to_owned()
                } else if there.contains(&format!("docker::job.{path}-ready")) {
                    "answers, asked from outside".to_owned()
                } else {
                    "runs; its image has nothing to ask with".to_owned()
                })
            }
            "docker::job" => Some("job done".to_owned()),
            "docker::volume" | "docker::network" => {
                let (_, what) = kind.split_once("::").expect("a kind");
                let stack = format!("label=dollop.stack=dt-{}", self.name);
                let address = format!("label=dollop.address={address}");
                let found =
                    docker(&[what, "ls", "-q", "--filter", &stack, "--filter", &address]);
                assert_eq!(found.lines().count(), 1, "{address}");
                Some("found by docker".to_owned())
            }
            "local::random" if words[0].starts_with("mosquitto-") => {
                self.mqtt_login("mosquitto", &words[0]["mosquitto-".len()..]);
                Some("logs in, and not with another password".to_owned())
            }
            // Seen in the containers that are made of it, or know it.
            "docker::image" | "local::random" => None,
            "postgres::database" => sql(
                "postgres",
                &format!("select count(*) from pg_database where datname = '{last}'"),
            ),
            "postgres::role" => sql(
                "postgres",
                &format!("select count(*) from pg_roles where rolname = '{last}'"),
            ),
            "postgres::schema" => sql(
                words[1],
                &format!("select count(*) from pg_namespace where nspname = '{last}'"),
            ),
            "postgres::extension" => sql(
                words[1],
                &format!("select count(*) from pg_extension where extname = '{last}'"),
            ),
            "postgres::migrations" => sql(
                words[1],
                &format!(
                    "select bool_and(finished_at is not null)::int from dollop_migrations \
                     where \"set\" = '{last}'"
                ),
            ),
            "rabbitmq::vhost" => {
                assert!(self.rabbit(&["list_vhosts", "name"]).contains(&last), "{address}");
                Some("found by rabbitmqctl".to_owned())
            }
            "rabbitmq::user" => {
                let users = self.rabbit(&["list_users"]);
                assert!(users.iter().any(|user| user.starts_with(&last)), "{address}");
                Some("found by rabbitmqctl".to_owned())
            }
            "rabbitmq::queue" | "rabbitmq::exchange" => {
                let command =
                    if kind.ends_with("queue") { "list_queues" } else { "list_exchanges" };
                assert!(
                    self.rabbit(&[command, "-p", words[1], "name"]).contains(&last),
                    "{address}"
                );
                Some("found by rabbitmqctl".to_owned())
            }
            _ => panic!("{address}: say how it is seen from outside"),
        }
    }

    /// The container in which a declared server is asked.
    fn server<'n>(&self, connection: &'n str) -> &'n str {
        // Of the cluster, the one that leads.
        if connection != "pg" {
            return connection;
        }
        let leads = |node: &&str| {
            let roles = "select count(*) from pg_roles where rolname = 'cluster_app'";
            self.sql(node, "postgres", roles) == "1"
        };
        ["pg-0", "pg-1", "pg-2"].into_iter().find(leads).expect("a leader")
    }

    /// Compares the platform's section of the page with what is there, or writes it.
    pub(super) fn tell(&self) {
        let mut section =
            "| system | declared | applied | seen | in the lab |\n|---|---|---|---|---|\n"
                .to_owned();
        for row in self.rows() {
            section.push_str(&row);
            section.push('\n');
        }
        tell(self.name, &section);
    }
}

/// What runs in a container under the image's name.
fn software(container: &Json) -> String {
    let labels = &container["Config"]["Labels"];
    let software = labels["dollop.lab.software"].as_str().unwrap_or_default();
    // Without its version, which is Debian's.
    let plain = software
        .rsplit_once(' ')
        .filter(|(_, last)| last.starts_with(|c: char| c.is_ascii_digit()))
        .map_or(software, |(software, _)| software);
    match labels["dollop.lab"].as_str() {
        Some("stand-in") => "stand-in".to_owned(),
        // Built from the stack over BusyBox, where the platform's own program is to be.
        Some(_) if plain == "busybox" => "stand-in for the platform's own".to_owned(),
        Some(_) => format!("real: {plain}"),
        None => "official".to_owned(),
    }
}
