//! What was set on a container beyond what its image and others add.

use std::collections::HashMap;

use bollard::models::{ContainerConfig, ImageConfig};

use super::super::labels;
use super::pairs::Pairs;
use super::spec::ContainerSpec;
use crate::text::Text;

/// How labels begin that Docker Desktop adds by itself.
const DESKTOP: &str = "desktop.docker.io/";

/// Variables that are not the image's.
pub(super) fn env(
    config: &ContainerConfig,
    image: Option<&ImageConfig>,
    asked: &ContainerSpec,
) -> Pairs {
    let entries = config.env.iter().flatten();
    let own = entries
        .filter(|entry| {
            let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
            let from_image = match image {
                Some(image) => image.env.iter().flatten().any(|other| other == *entry),
                None => true,
            };
            asked.env.0.contains_key(name) || !from_image
        })
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), Text(value.to_owned())));
    Pairs(own.collect())
}

/// Labels that are neither the image's nor marks of dollop or of Docker Desktop, which adds them
/// to what is mounted from the machine.
pub(super) fn labels(
    config: &ContainerConfig,
    image: Option<&ImageConfig>,
    asked: &ContainerSpec,
) -> Pairs {
    let none = HashMap::new();
    let mut found = labels::unmarked(config.labels.as_ref().unwrap_or(&none));
    found.retain(|key, value| {
        let from_image = match image {
            Some(image) => {
                image.labels.as_ref().and_then(|labels| labels.get(key)) == Some(&value.0)
            }
            None => true,
        };
        asked.labels.0.contains_key(key) || !(from_image || key.starts_with(DESKTOP))
    });
    Pairs(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn labels_of_docker_desktop_are_no_difference() {
        let bind = "desktop.docker.io/binds/0/Source";
        let there: ContainerConfig =
            from_value(json!({ "Labels": { bind: "C:/conf", "tier": "1" } })).unwrap();
        let image = ImageConfig::default();
        let keys = |asked: serde_json::Value| {
            let asked = from_value(json!({ "image": "x", "labels": asked })).unwrap();
            labels(&there, Some(&image), &asked).0.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(keys(json!({})), ["tier"]);
        assert_eq!(keys(json!({ bind: "x" })), [bind, "tier"]);
    }
}
