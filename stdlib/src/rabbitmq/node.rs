//! What belongs to the server itself and is never removed: feature flags
//! (<https://www.rabbitmq.com/docs/feature-flags>), plugins
//! (<https://www.rabbitmq.com/docs/plugins>) and the name of the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{Beside, Owner, Preview, Problem, Proposed, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::item::{Item, Place, Whose, in_vhost};
use super::server::Server;

/// How often nodes are asked for what they tell about themselves every five seconds.
const TOLD: usize = 30;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(500);

/// A feature flag, enabled. RabbitMQ cannot disable one, so it stays when it is not declared
/// any more. Example: `mq.feature_flag("stream_queue")`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureFlagSpec {}

/// The kind `rabbitmq::feature_flag`.
pub struct FeatureFlag;

/// A feature flag as the server lists it.
#[derive(Deserialize)]
pub struct FeatureFlagRow {
    name: String,
    state: String,
}

impl Item for FeatureFlag {
    const KIND: &'static str = "rabbitmq::feature_flag";
    const OWNER: Owner = Owner::Ours;
    type Spec = FeatureFlagSpec;
    type Row = FeatureFlagRow;

    fn traits() -> Traits {
        Traits::default()
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<FeatureFlagRow>, CallError> {
        server.api.list("list the feature flags", "feature-flags").await
    }

    fn absent(
        server: &Server,
        name: &str,
        _: &FeatureFlagSpec,
        rows: &BTreeMap<Place, FeatureFlagRow>,
    ) -> Result<(), CallError> {
        let names: Vec<_> = rows.values().map(|row| row.name.as_str()).collect();
        if names.contains(&name) {
            return Ok(());
        }
        let error = CallError::impossible(format!(
            "RabbitMQ {} has no feature flag `{name}`",
            server.version
        ))
        .about("name");
        Err(match did_you_mean(name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("it has: {}", names.join(", "))),
        })
    }

    /// What is not enabled is not there, and stands elsewhere.
    fn row_place(row: &FeatureFlagRow) -> Place {
        in_vhost(if row.state == "enabled" { "" } else { &row.state }, &row.name)
    }

    fn place(name: &str, _: &FeatureFlagSpec) -> Place {
        in_vhost("", name)
    }

    fn found(
        _: Option<&FeatureFlagSpec>,
        _: &FeatureFlagRow,
    ) -> Result<FeatureFlagSpec, CallError> {
        Ok(FeatureFlagSpec {})
    }

    /// Every server has its own, enabled for good.
    const LISTS: bool = false;

    fn words(name: &str, _: &FeatureFlagSpec) -> String {
        format!("feature flag `{name}`")
    }

    fn path<'a>(name: &'a str, _: &'a FeatureFlagSpec) -> Vec<&'a str> {
        vec!["feature-flags", name, "enable"]
    }

    fn body(name: &str, _: &FeatureFlagSpec) -> Json {
        json!({ "name": name })
    }

    async fn remove(
        _: &Server,
        _: &str,
        _: &str,
        _: &FeatureFlagSpec,
    ) -> Result<(), CallError> {
        Ok(())
    }
}

/// A plugin that must be enabled on every node. The API cannot enable one: this refuses the
/// plan when it is not, unless `enabled_by` says what enables it in the same run. Otherwise
/// enable it with `rabbitmq-plugins enable`, or by the file
/// `/etc/rabbitmq/enabled_plugins`, for example as one of the `files` of a
/// `docker::container`. Example: `mq.plugin("rabbitmq_shovel")`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginSpec {
    /// The job that enables it in the server's container; dollop waits until every node has it.
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::job"))]
    enabled_by: Option<String>,
}

/// The kind `rabbitmq::plugin`.
pub struct Plugin;

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    running: bool,
    /// Nothing until a node that starts has told about itself.
    enabled_plugins: Option<Vec<String>>,
}

impl Item for Plugin {
    const KIND: &'static str = "rabbitmq::plugin";
    const OWNER: Owner = Owner::Ours;
    type Spec = PluginSpec;
    type Row = String;

    fn traits() -> Traits {
        Traits::default()
    }

    const PREVIEWS: bool = true;

    const PREVIEWED_WITH: &'static [&'static str] = &[JOB];

    /// A job that ran already will not enable it: waiting for that would be in vain.
    async fn preview(
        _: &Server,
        proposed: &[Proposed<PluginSpec>],
        beside: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let preview = |one: &Proposed<PluginSpec>| Preview {
            problems: idle_job(one, beside).into_iter().collect(),
            ..Preview::default()
        };
        Ok(proposed.iter().map(preview).collect())
    }

    /// Those that every running node has.
    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<String>, CallError> {
        let path = "nodes?columns=name,running,enabled_plugins";
        // A node tells about itself every five seconds, the first time after its start.
        let ask = || async {
            let nodes: Vec<Node> =
                server.api.list("list the plugins", path).await.map_err(Some)?;
            let silent =
                nodes.iter().any(|node| node.running && node.enabled_plugins.is_none());
            if silent { Err(None) } else { Ok(nodes) }
        };
        let often = ConstantBuilder::default().with_delay(PAUSE).with_max_times(TOLD);
        let nodes = ask.retry(often).when(Option::is_none).await.map_err(|error| {
            error.unwrap_or_else(|| {
                let message = "a node of RabbitMQ does not say which plugins it has";
                CallError::new(Failure::Unreachable, message)
                    .hint("if it started just now, try again")
            })
        })?;
        // A node that is down tells nothing.
        let enabled: Vec<_> =
            nodes.into_iter().filter_map(|node| node.enabled_plugins).collect();
        let Some((first, others)) = enabled.split_first() else { return Ok(Vec::new()) };
        let everywhere = |name: &&String| others.iter().all(|names| names.contains(name));
        Ok(first.iter().filter(everywhere).cloned().collect())
    }

    fn absent(
        _: &Server,
        name: &str,
        spec: &PluginSpec,
        _: &BTreeMap<Place, String>,
    ) -> Result<(), CallError> {
        if spec.enabled_by.is_some() { Ok(()) } else { Err(missing_plugin(name)) }
    }

    fn row_place(row: &String) -> Place {
        in_vhost("", row)
    }

    fn place(name: &str, _: &PluginSpec) -> Place {
        in_vhost("", name)
    }

    fn found(wanted: Option<&PluginSpec>, _: &String) -> Result<PluginSpec, CallError> {
        Ok(PluginSpec { enabled_by: wanted.and_then(|wanted| wanted.enabled_by.clone()) })
    }

    /// They are what a server comes with, not what is in it.
    const LISTS: bool = false;

    fn words(name: &str, _: &PluginSpec) -> String {
        format!("plugin `{name}`")
    }

    fn path<'a>(_: &'a str, _: &'a PluginSpec) -> Vec<&'a str> {
        Vec::new()
    }

    fn body(_: &str, _: &PluginSpec) -> Json {
        Json::Null
    }

    async fn write(
        server: &Server,
        _: &str,
        name: &str,
        _: Option<&PluginSpec>,
        to: &PluginSpec,
    ) -> Result<(), CallError> {
        // What a job enabled a moment ago, nodes tell some seconds later.
        let patience = if to.enabled_by.is_some() { TOLD } else { 0 };
        let often = ConstantBuilder::default().with_delay(PAUSE).with_max_times(patience);
        let ask = || async {
            let enabled = Self::rows(server, &[]).await.map_err(Some)?;
            if enabled.iter().any(|enabled| enabled == name) { Ok(()) } else { Err(None) }
        };
        ask.retry(often)
            .when(Option::is_none)
            .await
            .map_err(|error| error.unwrap_or_else(|| missing_plugin(name)))
    }

    async fn remove(_: &Server, _: &str, _: &str, _: &PluginSpec) -> Result<(), CallError> {
        Ok(())
    }
}

/// The kind of what may enable a plugin.
const JOB: &str = "docker::job";

/// Why a plugin that is not there would not come.
fn idle_job(one: &Proposed<PluginSpec>, beside: &Beside) -> Option<Problem> {
    let job = one.to.enabled_by.as_ref().filter(|_| one.from.is_none() && !beside.more)?;
    if beside.proposed.iter().any(|other| other.name.natural == *job) {
        return None;
    }
    let plugin = &one.name.natural;
    Some(Problem {
        attribute: "enabled_by".to_owned(),
        message: format!(
            "the plugin `{plugin}` is not enabled on every node, and job `{job}` does not run in \
             this plan"
        ),
        hint: Some(
            "if it ran just now, try again; else let it run once more, with `--replace` and its \
             address, or enable the plugin with `rabbitmq-plugins enable` on each node"
                .to_owned(),
        ),
    })
}

/// Says that a plugin is not enabled, and how to enable it.
pub(super) fn missing_plugin(name: &str) -> CallError {
    CallError::impossible(format!("the plugin `{name}` is not enabled on every node"))
        .note("the management API cannot enable plugins")
        .hint(format!(
            "run `rabbitmq-plugins enable {name}` on each node, or name it in \
             `/etc/rabbitmq/enabled_plugins`, for example by the `files` of its container, or \
             have a `docker::job` do it: `enabled_by`"
        ))
}

/// The name of the cluster, as other servers and people see it. The argument is the name; it
/// stays when it is not declared any more. Example: `mq.cluster_name("shop@production")`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterNameSpec {}

/// The kind `rabbitmq::cluster_name`.
pub struct ClusterName;

/// The one answer.
#[derive(Deserialize)]
pub struct ClusterNameRow {
    name: String,
}

impl Item for ClusterName {
    const KIND: &'static str = "rabbitmq::cluster_name";
    const OWNER: Owner = Owner::Ours;
    type Spec = ClusterNameSpec;
    type Row = ClusterNameRow;

    fn traits() -> Traits {
        Traits::default()
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<ClusterNameRow>, CallError> {
        let row = server.api.list("read the name of the cluster", "cluster-name").await?;
        Ok(vec![row])
    }

    fn row_place(row: &ClusterNameRow) -> Place {
        in_vhost("", &row.name)
    }

    fn place(name: &str, _: &ClusterNameSpec) -> Place {
        in_vhost("", name)
    }

    fn found(
        _: Option<&ClusterNameSpec>,
        _: &ClusterNameRow,
    ) -> Result<ClusterNameSpec, CallError> {
        Ok(ClusterNameSpec {})
    }

    /// Without one it is called like its first node.
    fn whose(_: &Server, row: &ClusterNameRow) -> Whose {
        if row.name.starts_with("rabbit@") { Whose::Hidden } else { Whose::Theirs }
    }

    fn words(name: &str, _: &ClusterNameSpec) -> String {
        format!("the name of the cluster, `{name}`")
    }

    fn path<'a>(_: &'a str, _: &'a ClusterNameSpec) -> Vec<&'a str> {
        vec!["cluster-name"]
    }

    fn body(name: &str, _: &ClusterNameSpec) -> Json {
        json!({ "name": name })
    }

    async fn remove(
        _: &Server,
        _: &str,
        _: &str,
        _: &ClusterNameSpec,
    ) -> Result<(), CallError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dollop_engine::resource::Name;
    use dollop_engine::value::Value;

    use super::*;

    fn named<T>(address: &str, natural: &str, to: T) -> Proposed<T> {
        let address = address.parse().unwrap();
        let name = Name { stack: "shop".to_owned(), address, natural: natural.to_owned() };
        Proposed { name, id: None, from: None, to, anew: false }
    }

    #[test]
    fn a_plugin_whose_job_does_not_run_is_refused() {
        let spec = || PluginSpec { enabled_by: Some("shop-enable".to_owned()) };
        let plugin = named("rabbitmq::plugin.p", "rabbitmq_shovel", spec());
        let nothing = Beside::default();
        let problem = idle_job(&plugin, &nothing).unwrap();
        assert!(problem.message.contains("job `shop-enable` does not run"), "{problem:?}");
        let job = named("docker::job.enable", "shop-enable", Value::Null);
        let runs = Beside { proposed: vec![job], ..Beside::default() };
        assert!(idle_job(&plugin, &runs).is_none());
        // Of one that may be it nothing is known yet.
        assert!(idle_job(&plugin, &Beside { more: true, ..Beside::default() }).is_none());
        let enabled = Proposed { from: Some(spec()), ..plugin };
        assert!(idle_job(&enabled, &nothing).is_none());
    }
}
