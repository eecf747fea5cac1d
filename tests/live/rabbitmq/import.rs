//! A whole broker becomes a script that plans to nothing, and makes the same broker again.

use std::path::Path;

use dollop_tests::cli::{Project, Run};
use serde_json::{Value as Json, json};

use super::broker::Broker;

/// The stack that knows nothing but where the broker is.
fn stack(name: &str, broker: &Broker) -> Project {
    let script = format!(
        "// A broker.\nlet mq = rabbitmq::server(\"mq\", #{{ host: \"127.0.0.1\", port: {}, \
         password: \"guest\" }});\n",
        broker.port
    );
    Project::new(name, &script)
}

/// All that is there goes into a script of its own, and into the state.
fn taken_over(project: &Project) -> Run {
    let import = ["import", "rabbitmq::server.mq", "--out", "topology.rhai", "--append"];
    project.run(&[&import[..], &["--secrets", "default.params.toml"]].concat()).expect(0)
}

/// Somebody's broker, made without dollop: every kind of thing, with the names and values
/// people use and some they should not.
fn furnish(broker: &Broker) {
    let put = |path: &str, body: Json| broker.put(path, &body);
    put("vhosts/shop", json!({ "description": "Orders – ü", "tags": "eu,prod" }));
    put("vhosts/a%2Fb%20100%25", json!({ "tracing": true }));
    put("vhosts/by-pattern", json!({}));
    put(
        "vhosts/quorate",
        json!({ "defaultqueuetype": "quorum", "default_queue_type": "quorum" }),
    );
    put("vhost-limits/shop/max-connections", json!({ "value": 500 }));
    put("vhost-limits/shop/max-queues", json!({ "value": 100 }));
    put("users/worker", json!({ "password": "w0rker", "tags": "monitoring,management" }));
    let old = json!({
        "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbY=", "tags": "",
        "hashing_algorithm": "rabbit_password_hashing_md5",
    });
    put("users/old", old);
    put("users/certified", json!({ "password_hash": "", "tags": "" }));
    put("users/%E6%BC%A2%E5%AD%97", json!({ "password": "x", "tags": "" }));
    put("user-limits/worker/max-channels", json!({ "value": 12 }));
    put(
        "permissions/shop/worker",
        json!({ "configure": "", "write": "^orders\\.", "read": ".*" }),
    );
    put("permissions/%2F/worker", json!({ "configure": ".*", "write": ".*", "read": ".*" }));
    let topic = json!({ "exchange": "orders", "write": "^eu\\.", "read": ".*" });
    put("topic-permissions/shop/worker", topic);
    let exchange = |kind: &str, arguments: Json| json!({ "type": kind, "durable": true, "arguments": arguments });
    put("exchanges/shop/orders", exchange("topic", json!({ "alternate-exchange": "lost" })));
    // They name each other.
    put("exchanges/shop/lost", exchange("fanout", json!({ "alternate-exchange": "orders" })));
    put(
        "exchanges/shop/by%20hash",
        exchange("x-consistent-hash", json!({ "hash-header": "id" })),
    );
    put("exchanges/shop/headers", exchange("headers", json!({})));
    let internal =
        json!({ "type": "direct", "internal": true, "durable": false, "auto_delete": false });
    put("exchanges/%2F/inside", internal);
    let queue = |kind: &str, arguments: Json| {
        let mut arguments = arguments;
        arguments["x-queue-type"] = json!(kind);
        json!({ "durable": true, "arguments": arguments })
    };
    let limits =
        json!({ "x-dead-letter-exchange": "lost", "x-delivery-limit": 5, "x-max-length": 10 });
    put("queues/shop/orders", queue("quorum", limits));
    put(
        "queues/shop/let",
        queue("classic", json!({ "x-max-priority": 3, "x-queue-mode": "lazy" })),
    );
    put("queues/shop/orders.log", queue("stream", json!({ "x-max-age": "7D" })));
    put("queues/shop/led", queue("quorum", json!({ "x-queue-leader-locator": "random" })));
    put(
        "queues/a%2Fb%20100%25/orders",
        queue("classic", json!({ "x-custom": { "deep": [1, "ü"] } })),
    );
    put("queues/%2F/plain", queue("classic", json!({})));
    let bind = |path: &str, key: &str, arguments: Json| {
        broker.post(
            &format!("bindings/{path}"),
            &json!({ "routing_key": key, "arguments": arguments }),
        );
    };
    bind("shop/e/orders/q/orders", "order.*", json!({}));
    bind("shop/e/orders/q/orders", "order.#", json!({}));
    bind("shop/e/orders/q/let", "", json!({}));
    bind("shop/e/headers/q/orders", "", json!({ "x-match": "all", "kind": "invoice" }));
    bind("shop/e/headers/q/orders", "", json!({ "x-match": "any", "kind": "note", "n": 7 }));
    bind("shop/e/orders/e/lost", "*", json!({}));
    bind("shop/e/amq.topic/q/orders.log", "a.b", json!({}));
    let policy = json!({
        "pattern": "^orders\\.", "apply-to": "queues", "priority": 7,
        "definition": { "max-length": 1000, "dead-letter-exchange": "lost" },
    });
    put("policies/shop/limits", policy);
    for (name, pattern) in [("bracket", "^[[]x"), ("set", r"^[\d-x]"), ("lines", r"^\V+$")] {
        let policy = json!({ "pattern": pattern, "definition": { "expires": 3_600_000 } });
        put(&format!("policies/by-pattern/{name}"), policy);
    }
    let operator = json!({
        "pattern": ".*", "apply-to": "queues", "definition": { "message-ttl": 60000 },
    });
    put("operator-policies/shop/ttl", operator);
    let shovel = json!({ "value": {
        "src-protocol": "amqp091", "src-uri": "amqp://worker:w0rker@localhost/shop",
        "src-queue": "let", "dest-protocol": "amqp091", "dest-uri": "amqp:///%2F",
        "dest-queue": "plain", "ack-mode": "on-confirm", "reconnect-delay": 3600.5,
    }});
    put("parameters/shovel/shop/mover", shovel);
    for name in ["east", "west"] {
        let upstream = json!({ "value": {
            "uri": format!("amqp://fed:s3cret-{name}@{name}.invalid"), "max-hops": 2,
            "reconnect-delay": 0.5,
        }});
        put(&format!("parameters/federation-upstream/shop/{name}"), upstream);
    }
    // One of several, with what no attribute says.
    let several = json!({ "value": {
        "uri": ["amqp://fed:s3cret-north@a.invalid", "amqp://b.invalid"], "ha-policy": "all",
    }});
    put("parameters/federation-upstream/shop/north", several);
    let set = json!({ "value": [{ "upstream": "east" }, { "upstream": "west" }] });
    put("parameters/federation-upstream-set/shop/both", set);
    put(
        "global-parameters/motd",
        json!({ "name": "motd", "value": { "text": "hello", "n": [1, 2] } }),
    );
    put("cluster-name", json!({ "name": "somebody's" }));
}

/// The definitions, in an order of their own and without what a server makes anew by itself.
fn definitions(broker: &Broker) -> Json {
    let mut all = broker.get("definitions");
    let all = all.as_object_mut().unwrap();
    for (section, rows) in all.iter_mut() {
        let Json::Array(rows) = rows else { continue };
        rows.retain(|row| {
            section != "global_parameters" || row["name"] != "internal_cluster_id"
        });
        // The tags of a user are a set.
        for tags in rows.iter_mut().filter_map(|row| row.get_mut("tags")?.as_array_mut()) {
            tags.sort_by_key(Json::to_string);
        }
        rows.sort_by_key(Json::to_string);
    }
    Json::Object(all.clone())
}

#[test]
fn a_whole_broker_is_imported_and_made_again() {
    let broker = Broker::ready("import");
    furnish(&broker);
    // What that tool makes looks a little different.
    broker.control(&["add_vhost", "by-hand"]);
    broker.control(&["set_permissions", "-p", "by-hand", "guest", ".*", ".*", ".*"]);
    let before = definitions(&broker);
    let project = stack("import", &broker);

    let run = taken_over(&project);
    println!("{}\n{}", run.text(), project.read("topology.rhai"));
    assert_eq!(definitions(&broker), before, "an import changes nothing");

    // No secret in clear, but in the file that was asked for, which is nobody else's.
    let secrets = ["w0rker", "s3cret-east", "s3cret-west", "s3cret-north"];
    for file in ["stack.rhai", "topology.rhai"] {
        for secret in secrets {
            assert!(!project.read(file).contains(secret), "{secret} in {file}");
        }
    }
    for secret in secrets {
        assert!(!run.text().contains(secret), "{secret} on the terminal");
        assert!(project.read("default.params.toml").contains(secret), "{secret} is kept");
    }
    assert_eq!(mode(&project.folder().join("default.params.toml")), 0o600);

    // The next plan is empty, and so is a second import.
    let plan = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(!plan.text().contains("error"), "{}", plan.text());
    let again = project.run(&["import", "rabbitmq::server.mq"]).expect(0);
    assert!(again.stdout.is_empty(), "{}", again.text());
    assert!(again.stderr.contains("nothing that is not declared"), "{}", again.text());

    // What was written is the broker: without it, it is made again, to the last detail.
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
    assert_ne!(definitions(&broker)["queues"], before["queues"]);
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(definitions(&broker), before);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// More secrets than a stack has room for parameters are the entries of one.
#[test]
fn a_broker_of_a_thousand_users_is_imported() {
    let broker = Broker::ready("import-many");
    let user = |index: usize| {
        json!({
            "name": format!("user-{index}"), "tags": [],
            "password_hash": format!("{index:04}{}", "A".repeat(44)),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
        })
    };
    // A command line takes no more at once.
    for first in [1, 551] {
        let users: Vec<Json> = (first..first + 550).map(user).collect();
        broker.post("definitions", &json!({ "users": users }));
    }
    let project = stack("import-many", &broker);
    let run = taken_over(&project).text();
    assert!(run.contains("took 1100 objects into the state"), "{run}");
    let script = project.read("topology.rhai");
    for words in [
        "let secrets = param(\"secrets\", #{ secret: true, type: \"map\" });",
        "password_hash: secrets.user_550_password_hash",
    ] {
        assert!(script.contains(words), "no `{words}` in\n{}", &script[..2000]);
    }
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
}

/// One object at a time: what the script declares goes into the state, what it does not is
/// written.
#[test]
fn one_object_is_imported() {
    let broker = Broker::shared();
    broker.put("vhosts/import-one", &json!({}));
    broker.put(
        "queues/import-one/mails",
        &json!({ "durable": true, "arguments": { "x-queue-type": "quorum" } }),
    );
    broker.put(
        "queues/import-one/logs",
        &json!({ "durable": true, "arguments": { "x-max-length": 5 } }),
    );
    let project = stack("import-one", broker);
    let declared = |more: &str| {
        format!("{}\nlet v = mq.vhost(\"import-one\");\n{more}", project.read("stack.rhai"))
    };
    project.write("stack.rhai", &declared("v.queue(\"mails\", #{ type: \"quorum\" });"));

    // Somebody else's objects are not taken over by accident.
    let refused = project.run(&["plan"]).expect(1);
    assert!(refused.stderr.contains("E0504"), "{}", refused.text());
    for address in ["rabbitmq::vhost.mq/import-one", "rabbitmq::queue.mq/import-one/mails"] {
        let taken = project.run(&["import", address]).expect(0);
        assert!(taken.stderr.contains("took 1 object into the state"), "{}", taken.text());
    }
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    let twice = project.run(&["import", "rabbitmq::vhost.mq/import-one"]).expect(1);
    assert!(
        twice.stderr.contains("knows `rabbitmq::vhost.mq/import-one` already"),
        "{}",
        twice.text()
    );

    // Not declared: the script of it, which refers to what is declared.
    let written = project.run(&["import", "rabbitmq::queue.mq/import-one/logs"]).expect(0);
    let flat: Vec<&str> = written.stdout.split_whitespace().collect();
    let expected = "mq.queue(\"logs\", #{ vhost: \"import-one\", max_length: 5, \
                    depends_on: [\"rabbitmq::vhost.mq/import-one\"], });";
    assert!(flat.join(" ").contains(expected), "{}", written.text());
    let added = project.run(&["import", "rabbitmq::queue.mq/import-one/logs", "--append"]);
    let _ = added.expect(0);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);

    let missing = project.run(&["import", "rabbitmq::queue.mq/import-one/lags"]).expect(1);
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
    assert!(
        missing.stderr.contains("there is no `rabbitmq::queue.mq/import-one/lags`"),
        "{}",
        missing.text()
    );
}

/// What is declared differently than it is stays as it is; the plan shows the difference.
#[test]
fn an_import_changes_nothing() {
    let broker = Broker::shared();
    broker.put("vhosts/import-differs", &json!({ "description": "as it was" }));
    let project = stack("import-differs", broker);
    let script = project.read("stack.rhai");
    project.write(
        "stack.rhai",
        &format!("{script}mq.vhost(\"import-differs\", #{{ description: \"other\" }});\n"),
    );
    let run = project.run(&["import", "rabbitmq::vhost.mq/import-differs"]).expect(0);
    assert!(run.stderr.contains("is not as declared: `description`"), "{}", run.text());
    assert_eq!(broker.get("vhosts/import-differs")["description"], "as it was");
    let plan = project.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("as it was"), "{}", plan.text());
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    assert_eq!(broker.get("vhosts/import-differs")["description"], "other");
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}
