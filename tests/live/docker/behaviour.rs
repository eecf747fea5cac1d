//! What happens to objects behind dollop's back, and what it makes of it.

use dollop_engine::resource::Owner;
use dollop_engine::value::Value;
use dollop_tests::cli::Project;
use serde_json::json;

use super::support::{
    BUSYBOX, Lab, container_removed, docker, image_removed, network_removed, registry_address,
    unique, volume_removed,
};
use crate::live::quickstart::Stack;

#[tokio::test]
async fn a_stopped_container_shows_and_is_started() {
    let lab = Lab::open().await;
    let name = unique("stopped");
    let _removed = container_removed(&name);
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL" });
    let object = lab.object("docker::container", &name, spec);
    let id = object.made().await.id;
    assert_eq!(object.differences(&id).await, []);

    docker(&["stop", &name]);
    let stopped = [("running".to_owned(), json!(true), json!(false))];
    assert_eq!(object.differences(&id).await, stopped);
    let facts = object.repair(&id).await.expect("it starts");
    assert_eq!(facts.get("state").and_then(Value::as_str), Some("running"));
    assert_eq!(object.differences(&id).await, []);

    docker(&["pause", &name]);
    assert_eq!(object.differences(&id).await, stopped);
    object.repair(&id).await.expect("it goes on");
    assert_eq!(object.differences(&id).await, []);

    docker(&["rm", "--force", &name]);
    assert!(object.read(Some(&id)).await.is_none());
    object.delete(&id).await.expect("deleting what is gone is fine");
}

#[tokio::test]
async fn a_container_edited_by_hand_shows_and_is_repaired() {
    let lab = Lab::open().await;
    let (name, app, other) = (unique("edited"), unique("app"), unique("other"));
    let _networks = (network_removed(&app), network_removed(&other));
    let _container = container_removed(&name);
    docker(&["network", "create", &app]);
    docker(&["network", "create", &other]);
    let spec = json!({
        "image": BUSYBOX,
        "command": "sleep 600",
        "stop_signal": "SIGKILL",
        "networks": [app],
        "mem_limit": "64m",
    });
    let object = lab.object("docker::container", &name, spec);
    let id = object.made().await.id;

    docker(&["network", "disconnect", &app, &name]);
    docker(&["network", "connect", &other, &name]);
    docker(&[
        "update",
        "--memory",
        "32m",
        "--memory-swap",
        "64m",
        "--restart",
        "always",
        &name,
    ]);
    let found = object.differences(&id).await;
    let attributes: Vec<_> = found.iter().map(|(attribute, ..)| attribute.as_str()).collect();
    assert_eq!(attributes, ["mem_limit", "networks", "restart"], "{found:?}");
    object.repair(&id).await.expect("it is repaired");
    assert_eq!(object.differences(&id).await, []);
    let networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    assert_eq!(docker(&["inspect", "--format", networks, &name]), app);

    // Joined again by hand it lacks its short name, so others could not find it.
    docker(&["network", "disconnect", &app, &name]);
    docker(&["network", "connect", &app, &name]);
    assert_eq!(object.differences(&id).await.len(), 1);
    object.repair(&id).await.expect("it is repaired");
    assert_eq!(object.differences(&id).await, []);

    let renamed = unique("renamed");
    let _renamed = container_removed(&renamed);
    docker(&["rename", &name, &renamed]);
    assert_eq!(
        object.differences(&id).await,
        [("name".to_owned(), json!(name), json!(renamed))]
    );
    assert!(object.read(None).await.is_none());
}

#[tokio::test]
async fn a_variable_added_by_hand_shows() {
    let lab = Lab::open().await;
    let name = unique("env");
    let _removed = container_removed(&name);
    let spec = json!({ "image": "redis:7", "env": { "A": "1" }, "running": false });
    let object = lab.object("docker::container", &name, spec);
    let made = object.made().await;
    assert_eq!(object.differences(&made.id).await, []);
    object.delete(&made.id).await.expect("it goes");
    // Nothing can be added to a container that exists, but somebody can make another.
    docker(&["create", "--name", &name, "--env", "A=1", "--env", "B=2", "redis:7"]);
    let found = object.read(None).await.expect("it is there");
    assert_eq!(found.spec.get("env"), Some(&Value::from(json!({ "A": "1", "B": "2" }))));
    assert_eq!(found.owner, Owner::Other("it was not made by dollop".into()));
}

#[tokio::test]
async fn a_job_that_ended_well_is_done() {
    let lab = Lab::open().await;
    let name = unique("job");
    let _removed = container_removed(&name);
    let spec = json!({ "image": BUSYBOX, "command": "sh -c 'sleep 1'", "wait": "exited" });
    let object = lab.object("docker::container", &name, spec);
    let made = object.made().await;
    assert_eq!(made.facts.get("exit_code"), Some(&Value::Int(0)));
    assert_eq!(made.facts.get("state").and_then(Value::as_str), Some("exited"));
    assert_eq!(object.differences(&made.id).await, []);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &name]), "false");
}

#[tokio::test]
async fn objects_of_others_are_theirs() {
    let lab = Lab::open().await;
    let (name, volume, network) = (unique("foreign"), unique("foreign"), unique("foreign"));
    let _volume = volume_removed(&volume);
    let _network = network_removed(&network);
    let _container = container_removed(&name);
    docker(&["create", "--name", &name, "--label", "dollop.stack=shop", BUSYBOX]);
    docker(&["volume", "create", &volume]);
    let address = format!("dollop.address=docker::network.{network}");
    let stack = "dollop.stack=conformance";
    docker(&["network", "create", "--label", stack, "--label", &address, &network]);

    let container = lab.object("docker::container", &name, json!({ "image": BUSYBOX }));
    let found = container.read(None).await.expect("it is there");
    assert_eq!(found.owner, Owner::Other("it belongs to stack `shop`".into()));
    let volume = lab.object("docker::volume", &volume, json!({}));
    let found = volume.read(None).await.expect("it is there");
    assert_eq!(found.owner, Owner::Other("it was not made by dollop".into()));
    let network = lab.object("docker::network", &network, json!({}));
    let found = network.read(None).await.expect("it is there");
    assert_eq!(found.owner, Owner::Ours);
    assert_eq!(found.spec.get("labels"), Some(&Value::from(json!({}))));
}

#[tokio::test]
async fn everything_carries_its_marks() {
    let lab = Lab::open().await;
    let name = unique("marked");
    let _network = network_removed(&name);
    let _volume = volume_removed(&name);
    let _container = container_removed(&name);
    for kind in ["docker::network", "docker::volume", "docker::container"] {
        let spec = match kind {
            "docker::container" => json!({ "image": BUSYBOX, "running": false }),
            _ => json!({}),
        };
        let object = lab.object(kind, &name, spec);
        let id = object.made().await.id;
        let noun = kind.trim_start_matches("docker::");
        let labels = match noun {
            "container" => {
                "{{index .Config.Labels \"dollop.stack\"}} {{index .Config.Labels \"dollop.address\"}}"
            }
            _ => "{{index .Labels \"dollop.stack\"}} {{index .Labels \"dollop.address\"}}",
        };
        let shown = docker(&[noun, "inspect", "--format", labels, &id]);
        assert_eq!(shown, format!("conformance {kind}.{name}"));
    }
}

#[tokio::test]
async fn published_ports_are_reported() {
    let lab = Lab::open().await;
    let name = unique("ports");
    let _removed = container_removed(&name);
    let spec = json!({
        "image": BUSYBOX,
        "command": "httpd -f -p 80",
        "ports": ["127.0.0.1::80"],
        "healthcheck": { "test": "wget -q -O /dev/null 127.0.0.1/bin/true", "interval": "200ms" },
        "wait": "healthy",
        "stop_signal": "SIGKILL",
        // Its root folder serves its programs.
        "working_dir": "/",
    });
    let object = lab.object("docker::container", &name, spec);
    let facts = object.made().await.facts;
    assert_eq!(facts.get("health").and_then(Value::as_str), Some("healthy"));
    let host = facts.get("host_ip").and_then(Value::as_str).expect("an address");
    let port = facts.get("host_ports").and_then(|ports| ports.get("80/tcp"));
    let Some(Value::Int(port)) = port else { panic!("no port: {facts}") };
    let connected = tokio::net::TcpStream::connect(format!("{host}:{port}")).await;
    connected.expect("the port answers");
    let address = facts.get("addresses").and_then(|all| all.get("bridge"));
    assert!(address.and_then(Value::as_str).is_some(), "{facts}");
}

#[tokio::test]
async fn containers_find_each_other_by_their_short_names() {
    let lab = Lab::open().await;
    let (app, server, client) = (unique("app"), unique("server"), unique("client"));
    let _network = network_removed(&app);
    let _containers = (container_removed(&server), container_removed(&client));
    docker(&["network", "create", &app]);
    let mut object = lab.object(
        "docker::container",
        "db",
        json!({
            "image": BUSYBOX,
            "command": "httpd -f -p 80 -h /etc",
            "networks": [app],
            "stop_signal": "SIGKILL",
        }),
    );
    object.name.natural.clone_from(&server);
    object.made().await;
    let spec = json!({
        "image": BUSYBOX,
        "command": "wget -q -O /dev/null http://db/passwd",
        "networks": [app],
        "restart": "on-failure:5",
        "wait": "exited",
    });
    lab.object("docker::container", &client, spec).made().await;
}

/// An alias and an address in a network of the stack: the container waits for the network
/// without being told, and the other one finds it.
#[test]
fn an_alias_in_a_network_of_the_stack_is_found() {
    let name = "dollop-test-alias";
    let script = "let net = docker::network(\"net\", #{ subnet: \"10.214.11.0/24\" });
        let db = docker::container(\"db\", #{
            image: \"busybox:1.35\", command: \"httpd -f -p 80 -h /etc\", stop_signal: \"SIGKILL\",
            networks: [#{ network: net, aliases: [\"store\"], ipv4_address: \"10.214.11.7\" }],
        });
        docker::container(\"asks\", #{
            image: \"busybox:1.35\", networks: [net], wait: \"exited\", depends_on: [db],
            command: [\"sh\", \"-c\", \"nslookup store | grep -q 10.214.11.7 && wget -q -O /dev/null http://store/passwd\"],
            restart: \"on-failure:5\",
        });";
    let stack = Stack::of(Project::new(name, script), name);
    stack.apply();
    stack.expect_no_changes();
}

#[tokio::test]
async fn removing_a_container_leaves_named_volumes() {
    let lab = Lab::open().await;
    let (name, data) = (unique("volumes"), unique("data"));
    let _volume = volume_removed(&data);
    let _container = container_removed(&name);
    docker(&["volume", "create", &data]);
    let spec = json!({
        "image": BUSYBOX,
        "command": "sleep 600",
        "stop_signal": "SIGKILL",
        "volumes": [format!("{data}:/data"), "/scratch"],
    });
    let object = lab.object("docker::container", &name, spec);
    let id = object.made().await.id;
    let sources = "{{range .Mounts}}{{.Name}} {{end}}";
    let mounted = docker(&["inspect", "--format", sources, &name]);
    let anonymous = mounted.split(' ').find(|volume| *volume != data).expect("another volume");
    object.delete(&id).await.expect("it goes");
    let left = docker(&["volume", "ls", "--quiet"]);
    assert!(left.lines().any(|volume| volume == data), "{left}");
    assert!(!left.lines().any(|volume| volume == anonymous), "{left}");
}

#[tokio::test]
async fn an_image_is_pulled_when_it_is_missing() {
    let lab = Lab::open().await;
    let image = format!("{}/dollop-test/{}:1", registry_address(), unique("pulled"));
    let name = unique("pulling");
    let _image = image_removed(&image);
    let _container = container_removed(&name);
    docker(&["tag", BUSYBOX, &image]);
    docker(&["push", "--quiet", &image]);
    docker(&["image", "rm", &image]);
    let object = lab.object("docker::image", &image, json!({}));
    assert!(object.read(None).await.is_none());
    let spec = json!({ "image": image, "command": "true", "wait": "exited" });
    lab.object("docker::container", &name, spec).made().await;
    let found = object.read(None).await.expect("it is there");
    assert_eq!(found.owner, Owner::Ours);
    let digest = found.facts.get("repo_digest").and_then(Value::as_str).expect("a digest");
    let repository = image.trim_end_matches(":1");
    assert!(digest.starts_with(&format!("{repository}@sha256:")), "{digest}");
    // What is there already is fine to make, and stays when it is let go.
    let id = object.made().await.id;
    object.delete(&id).await.expect("it is let go");
    assert!(object.read(Some(&id)).await.is_some());
}

#[tokio::test]
async fn an_image_in_use_is_left_alone() {
    let lab = Lab::open().await;
    let (image, name) = (format!("{}:1", unique("used")), unique("user"));
    let _image = image_removed(&image);
    let _container = container_removed(&name);
    docker(&["tag", BUSYBOX, &image]);
    docker(&["create", "--name", &name, &image]);
    let object = lab.object("docker::image", &image, json!({ "keep": false }));
    let id = object.made().await.id;
    object.delete(&id).await.expect("it is let go");
    docker(&["inspect", &name]);
}
