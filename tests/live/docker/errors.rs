//! What a person reads when the engine says no.

use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::Scope;
use dollop_engine::value::Value;
use dollop_tests::conformance::STACK;
use serde_json::json;

use super::support::{
    BUSYBOX, Lab, Object, container_removed, docker, network_removed, registry_address, unique,
    volume_removed,
};

#[tokio::test]
async fn a_taken_port_names_its_holder() {
    let lab = Lab::open().await;
    let (first, second) = (unique("first"), unique("second"));
    let _removed = (container_removed(&first), container_removed(&second));
    docker(&["run", "-d", "--name", &first, "-p", "127.0.0.1::80", BUSYBOX, "sleep", "600"]);
    let shown = docker(&["port", &first, "80/tcp"]);
    let port = shown.trim_start_matches("127.0.0.1:");
    let ports = json!([format!("127.0.0.1:{port}:81")]);
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "ports": ports });
    let object = lab.object("docker::container", &second, spec);
    let error = object.refused().await;
    assert_eq!(
        shown_as(&error),
        format!(
            "starting container `{second}` failed: host port {port} is taken by container \
             `{first}` (not made by dollop)\n\
             hint: stop `{first}`, or publish another port instead of `127.0.0.1:{port}:81`"
        )
    );
    // Nothing half-made stays.
    assert!(object.read(None).await.is_none());
}

#[tokio::test]
async fn a_port_taken_outside_docker_says_so() {
    let lab = Lab::open().await;
    let name = unique("outside");
    let _removed = container_removed(&name);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let ports = json!([format!("127.0.0.1:{port}:81")]);
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "ports": ports });
    let error = lab.object("docker::container", &name, spec).refused().await;
    assert_eq!(
        error.message,
        format!(
            "starting container `{name}` failed: host port {port} is taken by a program \
             outside Docker"
        )
    );
}

#[tokio::test]
async fn a_missing_image_is_explained() {
    let lab = Lab::open().await;
    let image = format!("{}/lab/nothing:1", registry_address());
    let registry = registry_address();
    for (kind, name) in [("docker::image", image.clone()), ("docker::container", unique("c"))] {
        let spec = match kind {
            "docker::image" => json!({}),
            _ => json!({ "image": image }),
        };
        let error = lab.object(kind, &name, spec).refused().await;
        assert_eq!(error.failure, Failure::Refused);
        assert_eq!(
            error.message,
            format!(
                "image `{image}` is not there and cannot be pulled: registry `{registry}` has \
                 no `{registry}/lab/nothing` in version `1`"
            )
        );
    }
    let error = lab.object("docker::image", &image, json!({ "pull": "never" })).refused().await;
    assert_eq!(error.message, format!("image `{image}` is not there, and `pull` is `never`"));
    // Nothing listens on this port.
    let error = lab.object("docker::image", "127.0.0.1:9/app:1", json!({})).refused().await;
    assert_eq!(error.failure, Failure::Unreachable);
    assert_eq!(
        error.message,
        "image `127.0.0.1:9/app:1` is not there and cannot be pulled: no answer from registry \
         `127.0.0.1:9`"
    );
}

#[tokio::test]
async fn a_container_that_stays_unhealthy_shows_why_and_keeps_secrets() {
    let lab = Lab::open().await;
    let name = unique("unhealthy");
    let _removed = container_removed(&name);
    let secret = "correct-horse-battery";
    let spec = json!({
        "image": BUSYBOX,
        "command": ["sh", "-c", "echo starting with $PASSWORD; sleep 600"],
        "env": { "PASSWORD": secret },
        "healthcheck": {
            "test": "echo no answer for $PASSWORD; exit 7",
            "interval": "200ms",
            "retries": 2,
        },
        "wait": "healthy",
        "wait_timeout": "3s",
    });
    let object = lab.object("docker::container", &name, spec);
    let error = object.refused().await;
    assert_eq!(
        shown_as(&error),
        format!(
            "container `{name}` did not get healthy: its health check still fails after 3s\n\
             note: the last health check ended with code 7:\n\
             no answer for ${{PASSWORD}}\n\
             note: the end of its log:\n\
             starting with ${{PASSWORD}}\n\
             hint: the container is still there to look at: `docker logs {name}`\n\
             hint: give it longer with `wait_timeout`, if it only is slow"
        )
    );
    assert!(!format!("{error:?}").contains(secret));
    assert!(object.read(None).await.is_some());
}

#[tokio::test]
async fn a_failed_job_and_a_slow_one_are_explained() {
    let lab = Lab::open().await;
    let (failed, slow) = (unique("failed"), unique("slow"));
    let _removed = (container_removed(&failed), container_removed(&slow));
    let spec = json!({
        "image": BUSYBOX,
        "command": "sh -c 'echo no such table; exit 4'",
        "wait": "exited",
    });
    let object = lab.object("docker::container", &failed, spec);
    let error = object.refused().await;
    let message = format!("container `{failed}` did not finish: it ended with code 4");
    assert_eq!(error.message, message);
    assert_eq!(error.notes, ["the end of its log:\nno such table"]);
    // The next plan shows that it has not done its job.
    let found = object.read(None).await.expect("it is there");
    assert_eq!(found.spec.get("running"), Some(&Value::Bool(false)));

    let spec = json!({
        "image": BUSYBOX,
        "command": "sleep 600",
        "wait": "exited",
        "wait_timeout": "1s",
    });
    let error = lab.object("docker::container", &slow, spec).refused().await;
    assert_eq!(
        error.message,
        format!("container `{slow}` did not finish: it has not ended after 1s")
    );
}

#[tokio::test]
async fn what_is_missing_for_a_container_is_named() {
    let lab = Lab::open().await;
    let name = unique("missing");
    let _removed = container_removed(&name);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nothing");
    let path = path.to_str().expect("its path");
    let cases = [
        (
            json!({ "networks": ["nowhere"] }),
            format!("starting container `{name}` failed: there is no network `nowhere`"),
        ),
        (
            json!({ "volumes": ["nothing-at-all:/data"] }),
            format!("creating container `{name}` failed: there is no volume `nothing-at-all`"),
        ),
        (
            json!({ "volumes": [format!("{path}:/data")] }),
            format!(
                "creating container `{name}` failed: there is no `{path}` on the machine of \
                 the engine"
            ),
        ),
        (
            json!({ "command": "no-such-program --really" }),
            format!(
                "starting container `{name}` failed: image `{BUSYBOX}` has no program \
                 `no-such-program`"
            ),
        ),
        (
            json!({ "wait": "healthy" }),
            format!(
                "container `{name}` can never be healthy: neither it nor image `{BUSYBOX}` \
                 has a health check"
            ),
        ),
    ];
    for (mut spec, message) in cases {
        spec["image"] = json!(BUSYBOX);
        let object = lab.object("docker::container", &name, spec);
        assert_eq!(object.refused().await.message, message);
        assert!(object.read(None).await.is_none(), "it stayed after: {message}");
    }
}

#[tokio::test]
async fn names_that_are_taken_say_by_whom() {
    let lab = Lab::open().await;
    let name = unique("taken");
    let _network = network_removed(&name);
    let _volume = volume_removed(&name);
    let _container = container_removed(&name);
    docker(&["create", "--name", &name, "--label", "dollop.stack=shop", BUSYBOX]);
    docker(&["network", "create", &name]);
    docker(&["volume", "create", &name]);
    for (noun, whose) in [
        ("container", "stack `shop`"),
        ("network", "not made by dollop"),
        ("volume", "not made by dollop"),
    ] {
        let kind: &'static str = match noun {
            "container" => "docker::container",
            "network" => "docker::network",
            _ => "docker::volume",
        };
        let spec = if noun == "container" { json!({ "image": BUSYBOX }) } else { json!({}) };
        let error = lab.object(kind, &name, spec).refused().await;
        assert_eq!(error.failure, Failure::Exists);
        let message = format!("a {noun} named `{name}` exists already ({whose})");
        assert_eq!(error.message, message);
    }
}

#[tokio::test]
async fn what_is_in_use_names_its_users() {
    let lab = Lab::open().await;
    let (name, user) = (unique("in-use"), unique("user"));
    let _network = network_removed(&name);
    let _volume = volume_removed(&name);
    let network = lab.object("docker::network", &name, json!({}));
    let volume = lab.object("docker::volume", &name, json!({}));
    let network_id = network.made().await.id;
    let volume_id = volume.made().await.id;
    let data = format!("{name}:/data");
    let run = ["run", "-d", "--name", &user, "--network", &name, "--volume", &data, BUSYBOX];
    docker(&[&run[..], &["sleep", "600"]].concat());
    let container = container_removed(&user);
    assert_eq!(
        refused_to_go(&network, &network_id).await,
        format!("network `{name}` cannot be removed: container `{user}` is still in it")
    );
    assert_eq!(
        refused_to_go(&volume, &volume_id).await,
        format!("volume `{name}` cannot be removed: container `{user}` uses it")
    );
    drop(container);
    network.delete(&network_id).await.expect("it goes");
    volume.delete(&volume_id).await.expect("it goes");
}

#[tokio::test]
async fn a_driver_the_machine_lacks_is_explained() {
    let lab = Lab::open().await;
    let name = unique("driver");
    let _network = network_removed(&name);
    let spec = json!({ "driver": "no-such-driver" });
    let error = lab.object("docker::network", &name, spec).refused().await;
    assert_eq!(
        shown_as(&error),
        format!(
            "creating network `{name}` failed: plugin \"no-such-driver\" not found\n\
             hint: the engine has no driver `no-such-driver`; `bridge` is everywhere"
        )
    );
}

#[tokio::test]
async fn a_name_docker_cannot_have_is_refused() {
    let lab = Lab::open().await;
    let error = lab.object("docker::volume", "my data", json!({})).refused().await;
    assert_eq!(
        shown_as(&error),
        "`my data` cannot name a volume: Docker allows letters, digits, `_`, `.` and `-`, at \
         least two and not starting with a sign\n\
         hint: give it another one: `name: \"...\"`"
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let socket = socket.to_str().expect("its path");
    let error = no_engine(json!({ "host": socket })).await;
    assert_eq!(error.failure, Failure::Unreachable);
    assert_eq!(
        shown_as(&error),
        format!(
            "no Docker engine answers at `{socket}`: there is no such socket\n\
             hint: start Docker there, or say where it listens: `host` of `docker::engine`, or \
             DOCKER_HOST"
        )
    );
    // A socket that nobody listens on any more.
    drop(std::os::unix::net::UnixListener::bind(socket).expect("a socket"));
    let error = no_engine(json!({ "host": format!("unix://{socket}") })).await;
    assert_eq!(error.failure, Failure::Unreachable);
    assert_eq!(
        error.message,
        format!("no Docker engine answers at `{socket}`: connection refused")
    );
    let error = no_engine(json!({ "host": "tcp://127.0.0.1:9", "timeout": 5 })).await;
    assert_eq!(
        error.message,
        "no Docker engine answers at `tcp://127.0.0.1:9`: connection refused"
    );
}

async fn no_engine(spec: serde_json::Value) -> CallError {
    let registry = dollop_stdlib::registry();
    let kind = registry.connection_kind("docker::engine").expect("a registered connection");
    let spec = kind.dial.normalize(&Value::from(spec)).expect("a valid spec");
    let scope = Scope { stack: STACK.to_owned(), folder: std::env::temp_dir() };
    match kind.dial.open(&spec, scope).await {
        Ok(_) => panic!("something answers"),
        Err(error) => error,
    }
}

async fn refused_to_go(object: &Object<'_>, id: &str) -> String {
    object.delete(id).await.expect_err("it is in use").message
}

/// Message, notes and hints as lines.
fn shown_as(error: &CallError) -> String {
    let notes = error.notes.iter().map(|note| format!("\nnote: {note}"));
    let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
    let rest: String = notes.chain(hints).collect();
    format!("{}{rest}", error.message)
}
