//! Providers that exist for these tests only.
#![expect(unreachable_pub, reason = "associated types of a public trait must be public")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::CallError;
use crate::kind::Registry;
use crate::resource::{
    Connection, Created, Name, Naming, Problem, ReadResult, Resource, Scope, Traits, Wanted,
};

/// A kind of connection without behaviour.
macro_rules! connection {
    ($name:ident, $kind:literal, $implicit:literal, $(#[$doc:meta])* { $($body:tt)* }) => {
        pub struct $name;
        paste_spec!($name, $(#[$doc])* { $($body)* });
        impl Connection for $name {
            const KIND: &'static str = $kind;
            const IMPLICIT: bool = $implicit;
            type Spec = <$name as HasSpec>::Spec;
            async fn open(_: Self::Spec, _: Scope) -> Result<Self, CallError> {
                Ok(Self)
            }
            fn describe(_: &Self::Spec) -> String {
                String::new()
            }
        }
    };
}

pub trait HasSpec {
    type Spec;
}

/// A spec inside a scope of its own, so that every kind's can be called `Spec`.
macro_rules! paste_spec {
    ($name:ident, $(#[$doc:meta])* { $($body:tt)* }) => {
        const _: () = {
            $(#[$doc])*
            #[derive(Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub struct Spec { $($body)* }
            impl HasSpec for $name {
                type Spec = Spec;
            }
        };
    };
}

pub trait HasFacts {
    type Facts;
}

/// A kind of resource without behaviour.
macro_rules! resource {
    ($name:ident, $kind:literal, $connection:ident, $naming:ident, $within:expr,
     $(#[$doc:meta])* { $($spec:tt)* }, { $($facts:tt)* } $(, $check:item)?) => {
        pub struct $name;
        paste_spec!($name, $(#[$doc])* { $($spec)* });
        const _: () = {
            #[derive(Serialize, Deserialize, JsonSchema)]
            pub struct Facts { $($facts)* }
            impl HasFacts for $name {
                type Facts = Facts;
            }
        };
        impl Resource for $name {
            const KIND: &'static str = $kind;
            type Connection = $connection;
            type Spec = <$name as HasSpec>::Spec;
            type Facts = <$name as HasFacts>::Facts;
            fn traits() -> Traits {
                Traits {
                    naming: Naming::$naming,
                    within: $within,
                    ..Traits::default()
                }
            }
            $($check)?
            async fn read(_: &$connection, _: &[Wanted<Self::Spec>]) -> Vec<ReadResult<Self>> {
                Vec::new()
            }
            async fn create(
                _: &$connection,
                _: &Name,
                _: Self::Spec,
            ) -> Result<Created<Self::Facts>, CallError> {
                Err(CallError::refused("no"))
            }
            async fn update(
                _: &$connection,
                _: &Name,
                _: &str,
                _: Self::Spec,
                _: Self::Spec,
            ) -> Result<Self::Facts, CallError> {
                Err(CallError::refused("no"))
            }
            async fn delete(
                _: &$connection,
                _: &Name,
                _: &str,
                _: Self::Spec,
            ) -> Result<(), CallError> {
                Ok(())
            }
        }
    };
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    Bridge,
    Overlay,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    Select,
    Insert,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    test: String,
    #[serde(default)]
    interval: f64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    ip: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    Line(String),
    Words(Vec<String>),
}

connection!(Engine, "docker::engine", true, /** A Docker engine. */ {
    #[serde(default)]
    host: Option<String>,
});

connection!(Server, "postgres::server", false, /** A server. */ {
    /// Where it listens.
    host: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    user: String,
    #[schemars(extend("x-secret" = true))]
    #[serde(default)]
    password: Option<String>,
});

connection!(Host, "local::host", true, /** This machine. */ {});

resource!(Network, "docker::network", Engine, Natural, &[],
/** A network that containers join. */ {
    /// Driver that backs the network.
    #[serde(default)]
    driver: Option<Driver>,
    #[serde(default)]
    attachable: bool,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}, {
    #[schemars(extend("x-stable" = true))]
    id: String,
    tag: String,
});

resource!(Volume, "docker::volume", Engine, Natural, &[], /** A volume. */ {}, {});

resource!(Container, "docker::container", Engine, Natural, &[],
/** A container. */ {
    /// The image it runs.
    image: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::network"))]
    networks: Vec<String>,
    #[serde(default)]
    healthcheck: Option<Check>,
    #[serde(default)]
    command: Option<Command>,
    #[serde(default)]
    cpus: f64,
    #[serde(default)]
    replicas: i64,
}, {
    host_ip: String,
    host_ports: BTreeMap<String, u16>,
    endpoints: Vec<Endpoint>,
},
fn check(spec: &Self::Spec) -> Vec<Problem> {
    if spec.image.contains(' ') {
        return vec![Problem {
            attribute: "image".to_owned(),
            message: "an image has no spaces".to_owned(),
            hint: Some("write `name:tag`".to_owned()),
        }];
    }
    Vec::new()
});

resource!(Role, "postgres::role", Server, Natural, &[], /** A role. */ {
        #[serde(default)]
        #[schemars(extend("x-secret" = true))]
        password: Option<String>,
    }, {});

resource!(Database, "postgres::database", Server, Natural, &[], /** A database. */ {
        #[serde(default)]
        #[schemars(extend("x-handle" = "postgres::role"))]
        owner: Option<String>,
    }, {});

resource!(SchemaKind, "postgres::schema", Server, Natural, &["database"], /** A schema. */ {
        #[schemars(extend("x-handle" = "postgres::database"))]
        database: String,
        #[serde(default)]
        #[schemars(extend("x-handle" = "postgres::role"))]
        owner: Option<String>,
    }, {});

resource!(Table, "postgres::table", Server, Natural, &["database", "schema"], /** A table. */ {
        #[schemars(extend("x-handle" = "postgres::database"))]
        database: String,
        #[schemars(extend("x-handle" = "postgres::schema"))]
        schema: String,
    }, {});

resource!(Grant, "postgres::grant", Server, Label, &["database"], /** Rights. */ {
        #[schemars(extend("x-handle" = "postgres::database"))]
        database: String,
        #[schemars(extend("x-handle" = "postgres::role"))]
        role: String,
        #[serde(default)]
        #[schemars(extend("x-handle" = "postgres::schema"))]
        schema: Option<String>,
        privileges: Vec<Privilege>,
    }, {});

resource!(Membership, "postgres::membership", Server, Natural, &[], /** Rights. */ {}, {});

resource!(Random, "local::random", Host, Label, &[], /** Random text. */ {
    #[serde(default)]
    length: i64,
}, {
    #[schemars(extend("x-secret" = true))]
    result: String,
});

/// All of them.
pub(super) fn registry() -> Registry {
    Registry::new()
        .provider("docker", "Containers.")
        .provider("postgres", "PostgreSQL.")
        .provider("local", "This machine.")
        .module(
            "lab",
            r#"
fn net(name) { net(name, #{}) }
fn net(name, given) {
    let o = options(given, #{ driver: "bridge" });
    docker::network(name, #{ driver: o.driver })
}
"#,
        )
        .connection::<Engine>()
        .connection::<Server>()
        .connection::<Host>()
        .resource::<Network>()
        .resource::<Volume>()
        .resource::<Container>()
        .resource::<Role>()
        .resource::<Database>()
        .resource::<SchemaKind>()
        .resource::<Table>()
        .resource::<Grant>()
        .resource::<Membership>()
        .resource::<Random>()
}
