//! What may stand between dollop and a server.

use serde_json::json;

use super::bench::open;
use super::broker::Broker;
use super::counter;

#[tokio::test]
async fn a_server_behind_a_path() {
    let front = counter::behind(Broker::shared().port, "/mq/one/api").await;
    let registry = dollop_stdlib::registry();
    for path in ["/mq/one", "mq/one/"] {
        let at = json!({ "host": "127.0.0.1", "port": front.port, "path": path });
        assert!(open(&registry, at, "guest").await.is_ok(), "{path}");
    }
    assert!(front.sent().contains("GET /mq/one/api/definitions"), "{}", front.sent());
}

#[tokio::test]
async fn headers_are_sent_and_not_shown() {
    let front = counter::start(Broker::shared().port).await;
    let registry = dollop_stdlib::registry();
    let headers = json!({ "X-Tenant": "shop", "X-Pass": "s3cret" });
    let at = json!({ "host": "127.0.0.1", "port": front.port, "headers": headers });
    assert!(open(&registry, at.clone(), "guest").await.is_ok());
    for line in ["x-tenant: shop\r\n", "x-pass: s3cret\r\n"] {
        assert!(front.sent().contains(line), "{}", front.sent());
    }
    let error = open(&registry, at, "wrong").await.err().unwrap();
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    for (name, value, message) in [
        ("no name", "x", "`headers`: this is no name for HTTP: `no name`"),
        ("X-Pass", "s3cret\ntwo", "`headers`: there is no value for HTTP: `X-Pass`"),
    ] {
        let headers = json!({ name: value });
        let at = json!({ "host": "127.0.0.1", "port": front.port, "headers": headers });
        let error = open(&registry, at, "guest").await.err().unwrap();
        assert_eq!(error.message, message);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked() {
    let proxy = counter::start(Broker::shared().port).await;
    let registry = dollop_stdlib::registry();
    // Nobody has this name: only the proxy knows where it leads.
    let at = |proxy: String| json!({ "host": "mq.invalid", "port": 80, "proxy": proxy });
    let through = at(format!("http://someone:pr0xy@127.0.0.1:{}", proxy.port));
    assert!(open(&registry, through, "guest").await.is_ok());
    let sent = proxy.sent();
    assert!(sent.contains("GET http://mq.invalid/api/definitions"), "{sent}");
    assert!(sent.contains("proxy-authorization: Basic"), "{sent}");
    let error = open(&registry, at("http://someone:pr0xy@:x".to_owned()), "guest").await;
    let error = error.err().unwrap();
    assert_eq!(error.message, "`proxy` is no address");
    assert!(!format!("{error:?}").contains("pr0xy"), "{error:?}");
}
