//! Plans made by hand for the tests of all renders.

use dollop_engine::address::Address;
use dollop_engine::diagnostic::{Code, Diagnostic, Span};
use dollop_engine::expr::{Expr, Function};
use dollop_engine::map::Map;
use dollop_engine::path::Path;
use dollop_engine::plan::{
    Action, Change, ConnectionPlan, DeferredBy, Difference, OutputChange, Plan, Reason,
    Standing,
};
use dollop_engine::schema::Disruption;
use dollop_engine::value::Value;

/// What no render may ever show.
pub(crate) const SECRET: &str = "hunter2-never-shown";

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn at(line: u32, column: u32) -> Span {
    Span { file: "stack.rhai".into(), line, column, length: 6 }
}

pub(crate) fn json(text: &str) -> Value {
    Value::from(serde_json::from_str::<serde_json::Value>(text).unwrap())
}

#[expect(clippy::unnecessary_wraps, reason = "what differences hold")]
pub(crate) fn now(text: &str) -> Option<Expr> {
    Some(Value::string(text).into())
}

pub(crate) fn reference(of: &str, attribute: &str) -> Expr {
    Expr::reference(address(of), Path::attribute(attribute))
}

pub(crate) fn empty() -> Plan {
    Plan { environment: "default".to_owned(), serial: 7, ..Plan::empty("shop") }
}

pub(crate) fn change(of: &str, action: Action) -> Change {
    Change {
        address: address(of),
        connection: None,
        action,
        reasons: Vec::new(),
        differences: Vec::new(),
        disruption: Disruption::None,
        before: None,
        after: None,
        id: None,
        facts: Value::Null,
        dependencies: Vec::new(),
        lifecycle: dollop_engine::program::Lifecycle::plain(),
        succession: None,
        rolling: None,
        span: None,
    }
}

pub(crate) enum Was {
    Text(String),
    Value(Value),
}

impl From<&str> for Was {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Value> for Was {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// A difference at a path like `env.LOG`.
pub(crate) fn differs(path: &str, before: Option<Was>, after: Option<Expr>) -> Difference {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    let parts: Vec<&str> = if plain { path.split('.').collect() } else { vec![path] };
    let mut whole = Path::default();
    for part in parts {
        whole = whole.key(part);
    }
    let before = before.map(|was| match was {
        Was::Text(text) => Value::String(text),
        Was::Value(value) => value,
    });
    Difference { path: whole, before, after, drift: false, replaces: false, span: None }
}

/// One create and one update.
pub(crate) fn small() -> Plan {
    let mut plan = empty();
    plan.kept = 1;
    let mut network = change("docker::network.app", Action::Create);
    network.reasons = vec![Reason::New];
    network.span = Some(at(3, 1));
    network.differences = vec![
        differs("driver", None, now("bridge")),
        differs("labels", None, Some(Value::Map(Map::new()).into())),
    ];
    let mut web = change("docker::container.web", Action::Update);
    web.connection = Some(address("docker::engine.default"));
    web.reasons = vec![Reason::Changed];
    web.disruption = Disruption::Restart;
    web.id = Some("4f1a".to_owned());
    web.span = Some(at(7, 1));
    web.differences = vec![
        Difference {
            span: Some(at(9, 14)),
            drift: true,
            ..differs("env.LOG", Some("info".into()), now("debug"))
        },
        differs(
            "env.PASSWORD",
            Some(Value::string(SECRET).secret().into()),
            Some(Value::string("other").secret().into()),
        ),
        differs(
            "env.DB",
            Some("10.0.0.7".into()),
            Some(reference("docker::container.pg", "ip")),
        ),
    ];
    plan.changes = vec![network, web];
    plan.outputs = vec![OutputChange {
        name: "url".to_owned(),
        before: None,
        after: Some(Value::string("http://localhost:8080").into()),
    }];
    plan
}

/// Every action, reason, disruption and form of value.
pub(crate) fn everything() -> Plan {
    let mut plan = empty();
    plan.kept = 30;
    plan.connections = vec![
        ConnectionPlan {
            address: address("postgres::server.main"),
            spec: Expr::NULL,
            dependencies: Vec::new(),
            target: String::new(),
            standing: Standing::Deferred(DeferredBy::Upstream {
                address: address("docker::container.pg"),
                action: Action::Replace,
            }),
            implicit: false,
            declared: true,
            arguments: None,
        },
        ConnectionPlan {
            address: address("rabbitmq::broker.events"),
            spec: Expr::NULL,
            dependencies: Vec::new(),
            target: String::new(),
            standing: Standing::Deferred(DeferredBy::Unknown { attribute: "port".to_owned() }),
            implicit: false,
            declared: true,
            arguments: None,
        },
        ConnectionPlan {
            address: address("docker::engine.default"),
            spec: Expr::NULL,
            dependencies: Vec::new(),
            target: "unix:///var/run/docker.sock".to_owned(),
            standing: Standing::Open,
            implicit: true,
            declared: true,
            arguments: None,
        },
    ];
    plan.changes = vec![
        volume(),
        network(),
        postgres(),
        web(),
        behind("postgres::database.main/catalog", Action::Create),
        behind("postgres::role.main/app", Action::Verify),
        because("docker::image.tools", Action::Adopt, Reason::Adopted),
        because("docker::container.cache", Action::Create, Reason::Gone),
        because("docker::container.half", Action::Create, Reason::Interrupted),
        because("docker::volume.old", Action::Delete, Reason::Undeclared),
        because(
            "postgres::database.old/orders",
            Action::Delete,
            Reason::GoesWith(address("docker::volume.old")),
        ),
        because("docker::network.legacy", Action::Forget, Reason::Undeclared),
    ];
    plan.changes[9].disruption = Disruption::DataLoss;
    plan.outputs = vec![
        OutputChange {
            name: "dsn".to_owned(),
            before: Some(Value::string(SECRET).secret()),
            after: Some(Expr::Secret(Box::new(reference("docker::container.pg", "ip")))),
        },
        OutputChange {
            name: "port".to_owned(),
            before: Some(Value::Int(5432)),
            after: Some(reference("docker::container.pg", "host_port")),
        },
        OutputChange { name: "gone".to_owned(), before: Some(Value::Int(1)), after: None },
        OutputChange {
            name: "same".to_owned(),
            before: Some(Value::Int(1)),
            after: Some(Value::Int(1).into()),
        },
    ];
    plan.warnings = vec![
        Diagnostic::new(Code::FloatingImage, "`docker::image.tools` has no digest")
            .hint("pin it"),
    ];
    plan
}

fn because(of: &str, action: Action, reason: Reason) -> Change {
    let mut change = change(of, action);
    change.reasons = vec![reason];
    change.span = matches!(action, Action::Create | Action::Adopt).then(|| at(40, 1));
    change
}

fn behind(of: &str, action: Action) -> Change {
    let connection = address("postgres::server.main");
    let mut change = because(of, action, Reason::Deferred(connection.clone()));
    change.connection = Some(connection);
    change.differences = vec![
        differs("owner", None, now("app")),
        differs("password", None, Some(Value::string(SECRET).secret().into())),
        differs("connection_limit", None, Some(Value::Int(-1).into())),
        differs("template", None, Some(Expr::NULL)),
    ];
    change
}

fn volume() -> Change {
    let mut volume = because(
        "docker::volume.data",
        Action::Replace,
        Reason::CannotUpdate(vec![Path::attribute("driver")]),
    );
    volume.disruption = Disruption::DataLoss;
    volume.span = Some(at(5, 12));
    volume.differences = vec![Difference {
        replaces: true,
        span: Some(at(6, 3)),
        ..differs("driver", Some("local".into()), now("nfs"))
    }];
    volume
}

fn network() -> Change {
    let mut network = because(
        "docker::network.app",
        Action::Replace,
        Reason::CannotUpdate(vec![Path::attribute("internal")]),
    );
    network.disruption = Disruption::Reconnect;
    network.differences = vec![Difference {
        replaces: true,
        drift: true,
        span: Some(at(2, 3)),
        ..differs("internal", Some(Value::Bool(true).into()), Some(Value::Bool(false).into()))
    }];
    network
}

fn postgres() -> Change {
    let mut postgres = change("docker::container.pg", Action::Replace);
    postgres.reasons = vec![
        Reason::Follows {
            via: Path::attribute("networks").index(0),
            address: address("docker::network.app"),
        },
        Reason::DataLost { with: address("docker::volume.data") },
    ];
    postgres.disruption = Disruption::Recreate;
    postgres.span = Some(at(12, 10));
    postgres.differences = vec![
        Difference {
            replaces: true,
            span: Some(at(14, 5)),
            ..differs(
                "networks",
                Some(json(r#"["4f1a9c"]"#).into()),
                Some(Expr::list(vec![reference("docker::network.app", "id")])),
            )
        },
        Difference {
            span: Some(at(15, 5)),
            ..differs(
                "env.POSTGRES_PASSWORD",
                Some(Value::string(SECRET).secret().into()),
                Some(Value::string(format!("{SECRET}2")).secret().into()),
            )
        },
        Difference {
            span: Some(at(16, 5)),
            ..differs(
                "command",
                Some(Value::Map(Map::from([("a".to_owned(), Value::Int(1))])).into()),
                Some(
                    Value::List(vec![
                        Value::string("postgres"),
                        Value::string(SECRET).secret(),
                    ])
                    .into(),
                ),
            )
        },
    ];
    postgres
}

fn web() -> Change {
    let mut web = because("docker::container.web", Action::Update, Reason::Changed);
    web.disruption = Disruption::Restart;
    web.span = Some(at(20, 11));
    let config = "server {\n  listen 80;\n  root /srv;\n\n  gzip on;\n  index a;\n  # end\n}\n";
    web.differences = vec![
        Difference {
            span: Some(at(21, 5)),
            ..differs("image", Some("nginx:1.27-alpine".into()), now("nginx:1.28-alpine"))
        },
        Difference {
            drift: true,
            span: Some(at(22, 12)),
            ..differs("env.LOG_LEVEL", Some("info".into()), now("debug"))
        },
        Difference {
            span: Some(at(23, 12)),
            ..differs(
                "env.URL",
                Some("amqp://10.0.0.2/".into()),
                Some(Expr::call(
                    Function::Concat,
                    vec![
                        Value::string("amqp://").into(),
                        reference("docker::container.mq", "ip"),
                        Value::string("/").into(),
                    ],
                )),
            )
        },
        Difference {
            span: Some(at(24, 5)),
            ..differs(
                "files.nginx",
                Some(config.into()),
                now(&config.replace("listen 80", "listen 8080")),
            )
        },
        Difference {
            span: Some(at(34, 5)),
            ..differs(
                "motto",
                Some("早起きは三文の徳".into()),
                now(&"a long text that goes on ".repeat(12)),
            )
        },
        Difference {
            span: Some(at(35, 5)),
            ..differs(
                "ports",
                Some(json(r#"["127.0.0.1:8080:80", "127.0.0.1:8443:443", "9000"]"#).into()),
                Some(json(r#"["127.0.0.1:8080:80", "127.0.0.1:9443:443", "9000"]"#).into()),
            )
        },
        Difference {
            span: Some(at(36, 5)),
            ..differs("mounts", None, Some(json(r#"[{"at": "/srv", "ro": true}]"#).into()))
        },
        differs(
            "labels",
            Some(json(r#"{"a.b": "1", "keep": "2"}"#).into()),
            Some(json(r#"{"keep": "2"}"#).into()),
        ),
    ];
    web
}
