//! What a dollop script finds when it starts: the providers and what they can declare.

pub mod docker;
pub mod http;
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
macro_rules! modules {
    ($($name:literal)+) => {
        &[$(($name, include_str!(concat!("../rhai/", $name, ".rhai")))),+]
    };
}

const MODULES: &[(&str, &str)] = modules! {
    "airflow"
    "bullmq"
    "celery"
    "couchdb"
    "dapr"
    "elastic"
    "grafana"
    "influxdb"
    "kafka"
    "keycloak"
    "kong"
    "mailhog"
    "minio"
    "mosquitto"
    "n8n"
    "nginx"
    "oauth2_proxy"
    "ollama"
    "open_webui"
    "opensearch"
    "postgres"
    "prometheus"
    "qdrant"
    "rabbitmq"
    "redis"
    "sentry"
    "service"
    "sonarqube"
    "spark"
    "telemetry"
    "terrakube"
    "traefik"
    "vault"
};
