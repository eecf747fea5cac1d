//! What clients of a service are told: its address as a URL, a password as it stores it.

use std::collections::BTreeMap;

use rhai::Dynamic;

use super::super::convert::list_words;
use super::super::symbol::{Answer, to_dynamic};
use super::call::Hand;
use super::{Entry, Fault, Run};
use crate::diagnostic::did_you_mean;
use crate::expr::{Expr, Function};
use crate::value::Value;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "postgres_url(parts: map) -> string",
        doc: "The URL of a PostgreSQL database, every part encoded as it has to be: `host`, and, where needed, `port`, `user`, `password`, `database` and `options`, a map such as `#{ sslmode: \"require\" }`. Works on values that are not known yet; with a secret in it it is secret.",
        examples: &[(
            r#"postgres_url(#{ host: "db", user: "app", database: "shop", options: #{ sslmode: "require" } })"#,
            r#""postgres://app@db/shop?sslmode=require""#,
        )],
        run: Run::Items(postgres_url),
    },
    Entry {
        signature: "amqp_url(parts: map) -> string",
        doc: "The URL of a RabbitMQ virtual host, every part encoded as it has to be: `host`, and, where needed, `port`, `user`, `password`, `vhost`, `tls: true` and `options`. Works on values that are not known yet; with a secret in it it is secret.",
        examples: &[(
            r#"amqp_url(#{ host: "mq", port: 5672, user: "app", vhost: "/" })"#,
            r#""amqp://app@mq:5672/%2F""#,
        )],
        run: Run::Items(amqp_url),
    },
    Entry {
        signature: "scram_verifier(password: text, salt: text) -> string",
        doc: "The password as PostgreSQL stores it, SCRAM-SHA-256: for `postgres::role` and for the user list of a pooler. The same salt gives the same verifier; take the name of the role. Works on values that are not known yet; of a secret it is secret.",
        examples: &[(
            r#"scram_verifier("pencil", "app")"#,
            r#""SCRAM-SHA-256$4096:oXLO3K5HR0thXFTVEKXYSg==$PaencvVyLF0SK37/VQCb676Hgm6V7HjGVTW6qRTjEGY=:ewYx2QlHisoT7i5XPvOGCl92qvPjKwAZ30xWa6PgG+U=""#,
        )],
        run: Run::Later(Function::ScramVerifier),
    },
];

fn postgres_url(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    url(hand, arguments, "postgres", "database")
}

fn amqp_url(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    url(hand, arguments, "amqp", "vhost")
}

/// A URL whose path is the part called `path`.
fn url(hand: &Hand<'_>, arguments: Vec<Dynamic>, scheme: &str, path: &str) -> Answer<Dynamic> {
    let mut parts = BTreeMap::new();
    for (name, value) in
        arguments.into_iter().next().map(super::call::as_map).unwrap_or_default()
    {
        let known = ["host", "options", "password", "port", "tls", "user", path];
        let known = known.iter().filter(|known| **known != "tls" || scheme == "amqp");
        let known: Vec<&str> = known.copied().collect();
        if !known.contains(&name.as_str()) {
            let fault = Fault::new(format!("a URL has no part `{name}`"));
            return Err(hand.fault(match did_you_mean(&name, known.iter().copied()) {
                Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
                None => fault.hint(format!("there are {}", list_words(&known))),
            }));
        }
        let expr = hand.expr(value)?;
        if expr != Expr::NULL {
            parts.insert(name.to_string(), expr);
        }
    }
    let plain = |text: &str| Expr::Value(Value::string(text));
    let encoded = |expr: Expr| Expr::call(Function::UrlEncode, vec![expr]);
    let mut take = |name: &str| parts.remove(name);
    let tls = match take("tls") {
        None => false,
        Some(Expr::Value(Value::Bool(tls))) => tls,
        Some(_) => return Err(hand.fault(Fault::new("`tls` must be true or false"))),
    };
    let scheme = if tls { format!("{scheme}s://") } else { format!("{scheme}://") };
    let mut url = vec![plain(&scheme)];
    match (take("user"), take("password")) {
        (Some(user), None) => url.extend([encoded(user), plain("@")]),
        (Some(user), Some(password)) => {
            url.extend([encoded(user), plain(":"), encoded(password), plain("@")]);
        }
        (None, Some(_)) => {
            return Err(hand.fault(Fault::new("a URL with a `password` needs a `user`")));
        }
        (None, None) => {}
    }
    let Some(host) = take("host") else {
        return Err(hand.fault(Fault::new("a URL needs a `host`")));
    };
    // An address of version 6 stands in brackets.
    let is_v6 = host.known().and_then(Value::as_str).is_some_and(|host| host.contains(':'));
    if is_v6 {
        url.extend([plain("["), host, plain("]")]);
    } else {
        url.push(host);
    }
    if let Some(port) = take("port") {
        url.extend([plain(":"), port]);
    }
    if let Some(path) = take(path) {
        url.extend([plain("/"), encoded(path)]);
    }
    match take("options") {
        None => {}
        Some(Expr::Value(Value::Map(options))) => {
            for (index, (name, value)) in options.into_iter().enumerate() {
                url.push(plain(if index == 0 { "?" } else { "&" }));
                url.extend([encoded(plain(&name)), plain("="), encoded(Expr::Value(value))]);
            }
        }
        Some(Expr::Map(options)) => {
            for (index, (name, value)) in options.into_iter().enumerate() {
                url.push(plain(if index == 0 { "?" } else { "&" }));
                url.extend([encoded(plain(&name)), plain("="), encoded(value)]);
            }
        }
        Some(_) => return Err(hand.fault(Fault::new("`options` must be a map"))),
    }
    Ok(to_dynamic(Expr::call(Function::Concat, url)))
}
