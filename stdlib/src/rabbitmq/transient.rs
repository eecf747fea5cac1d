//! Queues that are neither durable nor exclusive: RabbitMQ is letting go of them
//! (<https://www.rabbitmq.com/docs/deprecated-features>). From 4.3 on it refuses to make one
//! unless its configuration says otherwise, and any since 3.13 may be told to refuse.

use dollop_engine::resource::Problem;
use serde::Deserialize;

use super::server::Server;

/// What the server calls them.
const FEATURE: &str = "transient_nonexcl_queues";

/// A deprecated feature as the server lists it.
#[derive(Deserialize)]
struct Feature {
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    deprecation_phase: String,
}

/// Why the server makes no such queue, when it does not. Where it cannot be asked, making one
/// will tell.
pub(super) async fn refused(server: &Server) -> Option<Problem> {
    // Before 3.13 there is no such list, and no such refusal.
    let path = ["deprecated-features"];
    let what = "list the deprecated features";
    let features: Option<Vec<Feature>> = server.api.get_at(what, &path).await.ok()?;
    why(&server.version, &features?)
}

fn why(version: &str, features: &[Feature]) -> Option<Problem> {
    let feature = features.iter().find(|feature| feature.name == FEATURE)?;
    let gone = ["removed", "disconnected"].contains(&feature.deprecation_phase.as_str());
    let hint = match feature.state.as_str() {
        _ if gone => "leave `durable` out".to_owned(),
        "denied" => format!(
            "leave `durable` out; `deprecated_features.permit.{FEATURE} = true` in the \
             `rabbitmq.conf` of every node still allows it"
        ),
        _ => return None,
    };
    Some(
        Problem::new(
            "durable",
            format!("RabbitMQ {version} makes no queue that is not durable"),
        )
        .hint(hint),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_server_decides_about_queues_that_are_not_durable() {
        // As `GET /api/deprecated-features` answers.
        let hint = |state: &str, phase: &str| {
            let features = json!([
                { "name": "global_qos", "state": "denied", "deprecation_phase": "removed" },
                { "name": FEATURE, "state": state, "deprecation_phase": phase, "desc": "" },
            ]);
            let features: Vec<Feature> = serde_json::from_value(features).unwrap();
            why("4.3.0", &features).and_then(|problem| problem.hint)
        };
        assert_eq!(hint("permitted", "permitted_by_default"), None);
        assert_eq!(hint("permitted", "denied_by_default"), None);
        let denied = hint("denied", "denied_by_default").unwrap();
        assert!(
            denied.contains("deprecated_features.permit.transient_nonexcl_queues"),
            "{denied}"
        );
        assert_eq!(hint("denied", "removed").as_deref(), Some("leave `durable` out"));
        assert!(why("4.9.0", &[]).is_none());
    }
}
