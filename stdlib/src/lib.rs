//! What a dollop script finds when it starts: the providers and what they can declare.

pub mod docker;
pub mod local;
pub mod postgres;
pub mod rabbitmq;
pub mod text;
mod tls;

use dollop_engine::kind::Registry;

/// Everything scripts can declare.
pub fn registry() -> Registry {
    let registry = Registry::new();
    let registry = local::register(registry);
    let registry = docker::register(registry);
    let registry = postgres::register(registry);
    let registry = rabbitmq::register(registry);
    MODULES.iter().fold(registry, |registry, (name, text)| registry.module(name, text))
}

/// The modules written in the language itself, `import "std/postgres"`: name and text.
const MODULES: [(&str, &str); 14] = [
    ("dapr", include_str!("../rhai/dapr.rhai")),
    ("elastic", include_str!("../rhai/elastic.rhai")),
    ("grafana", include_str!("../rhai/grafana.rhai")),
    ("kafka", include_str!("../rhai/kafka.rhai")),
    ("keycloak", include_str!("../rhai/keycloak.rhai")),
    ("minio", include_str!("../rhai/minio.rhai")),
    ("mosquitto", include_str!("../rhai/mosquitto.rhai")),
    ("postgres", include_str!("../rhai/postgres.rhai")),
    ("prometheus", include_str!("../rhai/prometheus.rhai")),
    ("rabbitmq", include_str!("../rhai/rabbitmq.rhai")),
    ("redis", include_str!("../rhai/redis.rhai")),
    ("service", include_str!("../rhai/service.rhai")),
    ("telemetry", include_str!("../rhai/telemetry.rhai")),
    ("traefik", include_str!("../rhai/traefik.rhai")),
];
