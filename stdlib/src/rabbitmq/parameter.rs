//! Runtime parameters: <https://www.rabbitmq.com/docs/parameters>.

use dollop_engine::error::CallError;
use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::item::{Item, Place, Whose, in_vhost};
use super::server::Server;
use super::{federation, shovel, unbound};

/// A parameter of the whole server, for plugins. What has a kind of its own (the name of the
/// cluster) is better said there.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalSpec {
    /// The value: anything JSON can say.
    value: Json,
}

/// The kind `rabbitmq::global_parameter`.
pub struct GlobalParameter;

/// A global parameter as the server lists it.
#[derive(Deserialize)]
pub struct GlobalRow {
    name: String,
    value: Json,
}

impl Item for GlobalParameter {
    const KIND: &'static str = "rabbitmq::global_parameter";
    type Spec = GlobalSpec;
    type Row = GlobalRow;

    fn traits() -> Traits {
        Traits::default()
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<GlobalRow>, CallError> {
        server.definitions().await?.rows("global_parameters")
    }

    fn row_place(row: &GlobalRow) -> Place {
        in_vhost("", &row.name)
    }

    fn place(name: &str, _: &GlobalSpec) -> Place {
        in_vhost("", name)
    }

    fn found(wanted: Option<&GlobalSpec>, row: &GlobalRow) -> Result<GlobalSpec, CallError> {
        Ok(GlobalSpec { value: kept(wanted.map(|wanted| &wanted.value), &row.value) })
    }

    fn whose(_: &Server, row: &GlobalRow) -> Whose {
        let name = row.name.as_str();
        let own = OWN_GLOBAL.contains(&name)
            || name.starts_with(INTERNAL)
            || name.starts_with(unbound::PREFIX);
        if own { Whose::Hidden } else { Whose::Theirs }
    }

    fn words(name: &str, _: &GlobalSpec) -> String {
        format!("global parameter `{name}`")
    }

    fn path<'a>(name: &'a str, _: &'a GlobalSpec) -> Vec<&'a str> {
        vec!["global-parameters", name]
    }

    fn body(name: &str, spec: &GlobalSpec) -> Json {
        json!({ "name": name, "value": spec.value })
    }
}

/// A parameter of a component in a vhost, as plugins define them. Shovels, upstreams and
/// limits have kinds of their own.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The vhost.
    #[schemars(extend("x-handle" = "rabbitmq::vhost"))]
    vhost: String,
    /// Whose parameter, as the plugin calls itself. Example: `"federation-upstream"`.
    #[schemars(extend("x-replace" = true))]
    component: String,
    /// The value: anything JSON can say. It may hold passwords, so it is never shown.
    #[schemars(extend("x-secret" = true))]
    value: Json,
}

/// A runtime parameter as the server lists it.
#[derive(Deserialize)]
pub struct Row {
    pub(super) vhost: String,
    pub(super) component: String,
    pub(super) name: String,
    pub(super) value: Json,
}

/// The kind `rabbitmq::parameter`.
pub struct Parameter;

/// Global parameters that the server keeps for itself, or that have a kind of their own.
const OWN_GLOBAL: [&str; 3] =
    ["cluster_name", "cluster_tags", "imported_definition_hash_value"];

/// How the others begin that the server keeps for itself.
pub(super) const INTERNAL: &str = "internal";

/// Components that the API does not let through as parameters.
const OWN_KIND: [(&str, &str); 3] = [
    ("operator_policy", "rabbitmq::operator_policy"),
    ("policy", "rabbitmq::policy"),
    ("vhost-limits", "rabbitmq::vhost"),
];

impl Item for Parameter {
    const KIND: &'static str = "rabbitmq::parameter";
    type Spec = Spec;
    type Row = Row;

    fn check(spec: &Spec) -> Vec<Problem> {
        let own = OWN_KIND.iter().filter(|(component, _)| *component == spec.component);
        own.map(|(component, kind)| {
            Problem::new("component", format!("`{component}` is not set through parameters"))
                .hint(format!("declare `{kind}`"))
        })
        .collect()
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        server.definitions().await?.rows("parameters")
    }

    fn row_place(row: &Row) -> Place {
        place(&row.vhost, &row.component, &row.name)
    }

    fn place(name: &str, spec: &Spec) -> Place {
        place(&spec.vhost, &spec.component, name)
    }

    fn found(wanted: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        Ok(Spec {
            vhost: row.vhost.clone(),
            component: row.component.clone(),
            value: kept(wanted.map(|wanted| &wanted.value), &row.value),
        })
    }

    /// What has a kind of its own is listed there.
    fn whose(_: &Server, row: &Row) -> Whose {
        let typed = [shovel::COMPONENT, federation::UPSTREAM, federation::SET];
        let own = OWN_KIND.iter().any(|(component, _)| *component == row.component);
        let own = own || typed.contains(&row.component.as_str());
        if own { Whose::Hidden } else { Whose::Theirs }
    }

    fn words(name: &str, spec: &Spec) -> String {
        format!("parameter `{name}` of `{}` in vhost `{}`", spec.component, spec.vhost)
    }

    fn path<'a>(name: &'a str, spec: &'a Spec) -> Vec<&'a str> {
        vec!["parameters", &spec.component, &spec.vhost, name]
    }

    fn body(name: &str, spec: &Spec) -> Json {
        json!({
            "component": spec.component, "vhost": spec.vhost, "name": name, "value": spec.value,
        })
    }
}

/// The names of one component are none of another's business.
fn place(vhost: &str, component: &str, name: &str) -> Place {
    (format!("{vhost}\0{component}"), name.to_owned())
}

/// What is stored, as it was written: an empty map comes back as an empty list.
fn kept(wanted: Option<&Json>, stored: &Json) -> Json {
    let empty_map = wanted.and_then(Json::as_object).is_some_and(Map::is_empty);
    let empty_list = stored.as_array().is_some_and(Vec::is_empty);
    if empty_map && empty_list { json!({}) } else { stored.clone() }
}
