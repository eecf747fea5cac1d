//! Every `sslmode` against a server that speaks TLS, with certificates made for the test.

use dollop_engine::error::{CallError, Failure};
use dollop_tests::certificates::{ENDED, authority, certificate, expired};
use serde_json::{Value as Json, json};

use super::container::{Container, PASSWORD};
use super::world::open;

async fn tried(spec: Json) -> Result<bool, CallError> {
    let registry = dollop_stdlib::registry();
    let connection = open(&registry, spec).await?;
    // Whether the session is encrypted, as the server sees it.
    let kind = registry.kind("postgres::sql").unwrap();
    let name = dollop_tests::conformance::name_of(kind, "q");
    let ask = json!({
        "database": "postgres", "run": "select 1",
        "unless": "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
    });
    let wanted = dollop_engine::resource::Wanted {
        id: None,
        name,
        spec: kind.calls.normalize(&ask.into()).unwrap(),
        facts: None,
    };
    let found = kind.calls.read(&connection, vec![wanted]).await.remove(0)?;
    Ok(found.is_some())
}

#[tokio::test]
async fn modes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    authority(at, "ca");
    authority(at, "stranger");
    certificate(at, "server", "localhost", "subjectAltName=DNS:localhost", "ca");
    certificate(at, "client", "dt_tls", "", "ca");
    expired(at, "over", "dt_tls", "", "ca");
    expired(at, "server_over", "localhost", "subjectAltName=DNS:localhost", "ca");
    let text = |name: &str| std::fs::read_to_string(at.join(name)).unwrap();

    let container = Container::start();
    let spec = |host: &str, more: Json| {
        let mut spec = json!({ "host": host, "port": container.port, "password": PASSWORD });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    // Before the server can.
    assert!(
        !tried(spec("127.0.0.1", json!({}))).await.unwrap(),
        "`prefer` takes what there is"
    );
    let error = tried(spec("127.0.0.1", json!({ "sslmode": "require" }))).await.unwrap_err();
    assert_eq!(error.failure, Failure::Denied);
    assert!(
        error.message.ends_with("by TLS as `sslmode` demands: server does not support TLS"),
        "{error}"
    );

    for (file, name) in
        [("server.pem", "server.crt"), ("server.key", "server.key"), ("ca.pem", "root.crt")]
    {
        container.inside(&format!("umask 077; cat > \"$PGDATA/{name}\""), &text(file));
    }
    container.psql("postgres", "create role dt_tls superuser login");
    container.psql("postgres", "alter system set ssl_ca_file = 'root.crt'");
    container.psql("postgres", "alter system set ssl = on");
    let rules = "{ echo 'hostssl all dt_tls all cert'; echo 'hostnossl all dt_tls all reject'; \
                 cat \"$PGDATA/pg_hba.conf\"; } > /tmp/hba; cat /tmp/hba > \"$PGDATA/pg_hba.conf\"";
    container.inside(rules, "");
    container.psql("postgres", "select pg_reload_conf()");
    while !tried(spec("127.0.0.1", json!({}))).await.unwrap() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    binding(&container, &spec).await;

    let (ca, stranger) = (text("ca.pem"), text("stranger.pem"));
    for (host, more, encrypted) in [
        ("127.0.0.1", json!({ "sslmode": "disable" }), false),
        ("127.0.0.1", json!({ "sslmode": "prefer" }), true),
        ("127.0.0.1", json!({ "sslmode": "require" }), true),
        ("127.0.0.1", json!({ "sslmode": "require", "sslrootcert": ca }), true),
        ("127.0.0.1", json!({ "sslmode": "verify-ca", "sslrootcert": ca }), true),
        ("localhost", json!({ "sslmode": "verify-full", "sslrootcert": ca }), true),
        (
            "localhost",
            json!({
                "sslmode": "verify-full", "sslrootcert": ca, "user": "dt_tls", "password": null,
                "sslcert": text("client.pem"), "sslkey": text("client.key"),
            }),
            true,
        ),
    ] {
        let got = tried(spec(host, more.clone())).await;
        assert_eq!(
            got.unwrap_or_else(|error| panic!("{more}: {error:?}")),
            encrypted,
            "{more}"
        );
    }
    for (host, more, message, hint) in [
        (
            "127.0.0.1",
            json!({ "sslmode": "verify-full", "sslrootcert": ca }),
            "certificate not valid for name",
            "use the name the certificate is for",
        ),
        (
            "localhost",
            json!({ "sslmode": "verify-ca", "sslrootcert": stranger }),
            "UnknownIssuer",
            "give the authority",
        ),
        (
            "localhost",
            json!({ "sslmode": "verify-full" }),
            "UnknownIssuer",
            "give the authority",
        ),
        (
            "localhost",
            json!({ "sslmode": "verify-ca", "sslrootcert": "no PEM" }),
            "`sslrootcert` of the `postgres::server` holds no certificate",
            "give the text of a PEM file",
        ),
        (
            "localhost",
            json!({ "sslcert": text("client.pem") }),
            "a client certificate needs `sslcert` and `sslkey`",
            "give both",
        ),
        (
            "localhost",
            json!({ "user": "dt_tls", "password": null }),
            "client certificate",
            "sslcert",
        ),
    ] {
        let error = tried(spec(host, more.clone())).await.unwrap_err();
        assert!(error.message.contains(message), "{more}: {error:?}");
        assert!(error.hints.iter().any(|said| said.contains(hint)), "{more}: {error:?}");
    }

    // Certificates of a time that is over, first ours and then the server's.
    let over = json!({
        "sslmode": "verify-full", "sslrootcert": ca, "user": "dt_tls", "password": null,
        "sslcert": text("over.pem"), "sslkey": text("over.key"),
    });
    let error = tried(spec("localhost", over)).await.unwrap_err();
    let when = format!("the certificate in `sslcert` {ENDED}");
    assert!(error.message.contains("refuses the certificate in `sslcert`"), "{error:?}");
    assert!(error.notes.contains(&when), "{error:?}");
    for (file, name) in [("server_over.pem", "server.crt"), ("server_over.key", "server.key")] {
        container.inside(&format!("umask 077; cat > \"$PGDATA/{name}\""), &text(file));
    }
    container.psql("postgres", "select pg_reload_conf()");
    let full = json!({ "sslmode": "verify-full", "sslrootcert": ca });
    let error = loop {
        if let Err(error) = tried(spec("localhost", full.clone())).await {
            break error;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(error.message.ends_with(&format!("the server's certificate {ENDED}")), "{error:?}");
    assert_eq!(error.failure, Failure::Denied);
}

/// The proof of a password is tied to the TLS session, and where it cannot be, who demands it
/// is told.
async fn binding(container: &Container, spec: &impl Fn(&str, Json) -> Json) {
    let with = |mode: &str, more: Json| {
        let mut more = more;
        more["sslmode"] = json!(mode);
        spec("127.0.0.1", more)
    };
    for binding in ["disable", "prefer", "require"] {
        let got = tried(with("require", json!({ "channel_binding": binding }))).await;
        assert!(got.unwrap_or_else(|error| panic!("{binding}: {error:?}")), "{binding}");
    }
    container.psql(
        "postgres",
        "set password_encryption = md5; create role dt_old login password 'x'",
    );
    let rules = "{ echo 'host all dt_old all md5'; cat \"$PGDATA/pg_hba.conf\"; } > /tmp/hba
                 cat /tmp/hba > \"$PGDATA/pg_hba.conf\"";
    container.inside(rules, "");
    container.psql("postgres", "select pg_reload_conf()");
    let old = json!({ "user": "dt_old", "password": "x" });
    assert!(tried(with("require", old.clone())).await.unwrap(), "an MD5 password by TLS");
    let mut tied = old;
    tied["channel_binding"] = json!("require");
    for refused in
        [with("require", tied), with("disable", json!({ "channel_binding": "require" }))]
    {
        let error = tried(refused).await.unwrap_err();
        assert_eq!(error.failure, Failure::Denied, "{error:?}");
        assert!(error.message.ends_with("which `channel_binding` demands"), "{error:?}");
        assert!(error.hints.iter().any(|said| said.contains("scram-sha-256")), "{error:?}");
    }
}
