//! A server that speaks TLS only and wants to know who asks, in a network of its own and
//! without a published port.

use dollop_tests::certificates::{ENDED, authority, certificate, expired};
use dollop_tests::cli::Project;
use serde_json::{Value as Json, json};

use super::bench::open;

/// Where the broker is, in a range nobody else uses.
const ADDRESS: &str = "10.209.77.2";

/// The management API by TLS alone.
const CONFIG: &str = "\
management.ssl.port = 15671
management.ssl.cacertfile = /certs/ca.pem
management.ssl.certfile = /certs/server.pem
management.ssl.keyfile = /certs/server.key
management.ssl.verify = verify_peer
management.ssl.fail_if_no_peer_cert = true
";

const STACK: &str = r#"
let net = docker::network("net", #{ subnet: "10.209.77.0/24" });
let broker = docker::container("broker", #{
    image: "rabbitmq:3.10-management",
    hostname: "broker",
    networks: #{ "NET": #{ ipv4_address: "10.209.77.2" } },
    depends_on: net,
    files: #{
        "/etc/rabbitmq/conf.d/20-tls.conf": file("tls.conf"),
        "/certs/ca.pem": file("ca.pem"),
        "/certs/server.pem": file("server.pem"),
        "/certs/server.key": file("server.key"),
    },
    healthcheck: #{
        test: "bash -c ': </dev/tcp/127.0.0.1/15671'", interval: "2s", timeout: "10s", retries: 90,
    },
    wait: "healthy",
});
let mq = rabbitmq::server("mq", #{
    host: broker.addresses["NET"],
    port: 15671,
    scheme: "https",
    ca: file("ca.pem"),
    client_certificate: file("client.pem"),
    client_key: secret_file("client.key"),
    password: "guest",
});
let shop = mq.vhost("shop");
shop.queue("orders", #{ type: "quorum" });
"#;

#[tokio::test]
async fn a_server_by_tls_through_a_private_network() {
    let project = Project::new("mq-tls", &STACK.replace("NET", "mq-tls-net"));
    let at = project.folder();
    authority(&at, "ca");
    authority(&at, "stranger");
    certificate(&at, "server", "broker", &format!("subjectAltName=IP:{ADDRESS}"), "ca");
    certificate(&at, "client", "dollop", "", "ca");
    certificate(&at, "unknown", "nobody", "", "stranger");
    expired(&at, "over", "dollop", "", "ca");
    project.write("tls.conf", CONFIG);
    let run = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    // The key is nowhere to be seen.
    let key = project.read("client.key");
    let line = key.lines().nth(1).unwrap();
    assert!(!run.text().contains(line), "{}", run.text());

    let registry = dollop_stdlib::registry();
    let spec = |more: Json| {
        let mut spec = json!({
            "host": ADDRESS, "port": 15671, "scheme": "https", "ca": project.read("ca.pem"),
            "client_certificate": project.read("client.pem"),
            "client_key": project.read("client.key"),
        });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    assert!(open(&registry, spec(json!({})), "guest").await.is_ok());
    // Whoever it is, when nobody is to be checked; who asks is checked all the same.
    let anyone = json!({ "ca": null, "insecure": true });
    assert!(open(&registry, spec(anyone), "guest").await.is_ok());
    let without = json!({ "client_certificate": null, "client_key": null });
    for (what, more, message, hint) in [
        (
            "a stranger's authority",
            json!({ "ca": project.read("stranger.pem") }),
            "certificate",
            "`ca`",
        ),
        ("the system's authorities", json!({ "ca": null }), "certificate", "`ca`"),
        ("no client certificate", without, "no answer", "client certificate"),
        (
            "an unknown client",
            json!({
                "client_certificate": project.read("unknown.pem"),
                "client_key": project.read("unknown.key"),
            }),
            "no answer",
            "client certificate",
        ),
        (
            "a client of a time that is over",
            json!({
                "client_certificate": project.read("over.pem"),
                "client_key": project.read("over.key"),
            }),
            ENDED,
            "a new `client_certificate`",
        ),
        (
            "half of a pair",
            json!({ "client_key": null }),
            "a client certificate needs",
            "give both",
        ),
        (
            "no PEM",
            json!({ "ca": "x" }),
            "`ca` of the `rabbitmq::server` holds no certificate",
            "PEM",
        ),
        ("in clear", json!({ "scheme": "http" }), "`ca` is for TLS", "scheme"),
        (
            "unchecked in clear",
            json!({
                "scheme": "http", "insecure": true, "ca": null, "client_certificate": null,
                "client_key": null,
            }),
            "`insecure` is for TLS",
            "scheme",
        ),
        (
            "in clear to a port of TLS",
            json!({ "scheme": "http", "ca": null, "client_certificate": null, "client_key": null }),
            "no answer",
            "",
        ),
    ] {
        let error = open(&registry, spec(more), "guest").await.err();
        let error = error.unwrap_or_else(|| panic!("{what} is taken"));
        let shown = format!("{error:?}");
        assert!(error.message.contains(message), "{what}: {shown}");
        assert!(error.hints.iter().any(|said| said.contains(hint)), "{what}: {shown}");
        assert!(!shown.contains(line), "{what}: the key is shown");
    }
    // Its own certificate is of a time that is over, once it is started again with that.
    let server = format!("subjectAltName=IP:{ADDRESS}");
    expired(&at, "server", "broker", &server, "ca");
    let late = project.run(&["apply", "--auto-approve"]).expect(1).text();
    let late = late.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(late.contains(&format!("the server's certificate {ENDED}")), "{late}");
    certificate(&at, "server", "broker", &server, "ca");
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}
