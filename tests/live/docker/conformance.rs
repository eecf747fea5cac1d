//! Every attribute of every kind: make, read back, change, read back, remove.

use dollop_tests::conformance::{Sample, conform};
use serde_json::json;

use super::support::{
    BUSYBOX, Lab, container_removed, docker, docker_with_input, image_removed, network_removed,
    registry_address, unique, volume_removed,
};

#[tokio::test]
async fn network_conforms() {
    let lab = Lab::open().await;
    let name = unique("net");
    let _removed = network_removed(&format!("conformance-{name}"));
    let sample = Sample {
        kind: "docker::network",
        name,
        base: json!({
            "subnet": "10.213.1.0/24",
            "ipv6_subnet": "fd00:213:1::/64",
        }),
        changes: vec![
            ("internal", json!(true)),
            ("attachable", json!(true)),
            ("ipv6", json!(true)),
            ("subnet", json!("10.213.2.0/24")),
            ("subnet", json!(null)),
            ("gateway", json!("10.213.1.77")),
            ("ip_range", json!("10.213.1.128/25")),
            ("ipv6_subnet", json!("fd00:213:2::/64")),
            ("options", json!({ "com.docker.network.driver.mtu": 1400 })),
            ("labels", json!({ "team": "shop", "tier": 1 })),
        ],
        // The other drivers need a kernel module, a swarm or a plugin; see
        // `a_driver_the_machine_lacks_is_explained`.
        fixed: &["driver"],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

#[tokio::test]
async fn volume_conforms() {
    let lab = Lab::open().await;
    let name = unique("vol");
    let _removed = volume_removed(&format!("conformance-{name}"));
    let sample = Sample {
        kind: "docker::volume",
        name,
        base: json!({}),
        changes: vec![
            ("options", json!({ "type": "tmpfs", "device": "tmpfs", "o": "size=1m" })),
            ("labels", json!({ "team": "shop", "tier": 1 })),
        ],
        // The engine has `local` and what plugins are installed: none here.
        fixed: &["driver"],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

#[tokio::test]
async fn image_conforms() {
    let lab = Lab::open().await;
    let name = format!("{}/dollop-test/{}:1", registry_address(), unique("img"));
    let _removed = image_removed(&name);
    docker(&["tag", BUSYBOX, &name]);
    docker(&["push", "--quiet", &name]);
    docker(&["image", "rm", &name]);
    let sample = Sample {
        kind: "docker::image",
        name,
        base: json!({ "keep": false }),
        changes: vec![
            ("pull", json!("always")),
            ("pull", json!("never")),
            ("keep", json!(true)),
        ],
        fixed: &[],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

#[tokio::test]
async fn container_conforms() {
    let lab = Lab::open().await;
    let name = unique("box");
    let (app, other, data) = (unique("app"), unique("other"), unique("data"));
    let _networks = (network_removed(&app), network_removed(&other));
    let _volume = volume_removed(&data);
    let _container = container_removed(&format!("conformance-{name}"));
    docker(&["network", "create", "--subnet", "10.213.8.0/24", &app]);
    docker(&["network", "create", &other]);
    docker(&["volume", "create", &data]);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("its path");

    let sample = Sample {
        kind: "docker::container",
        name,
        base: json!({
            "image": BUSYBOX,
            "command": "sleep 600",
            // Nobody in it answers a signal, and waiting for that takes long.
            "stop_signal": "SIGKILL",
        }),
        changes: vec![
            ("image", json!("redis:7")),
            ("command", json!(["sh", "-c", "sleep 500; exit 3"])),
            ("command", json!("sh -c 'sleep 500; exit 3'")),
            ("entrypoint", json!("env Y=2")),
            ("entrypoint", json!(["env", "X=1"])),
            ("env", json!({ "A": "text", "B": 5, "C": true, "D": "", "PATH": "/bin" })),
            ("ports", json!(["127.0.0.1::80", "127.0.0.1::53/udp"])),
            ("ports", json!([81, "8000-8002", "[::1]::90"])),
            ("volumes", json!([format!("{data}:/data"), "/anonymous"])),
            ("volumes", json!([format!("{folder}:/conf:ro"), ".:/here:ro"])),
            (
                "volumes",
                json!([
                    { "type": "tmpfs", "target": "/t" },
                    { "type": "volume", "source": data, "target": "/d", "read_only": true },
                    { "type": "bind", "source": folder, "target": "/b" },
                ]),
            ),
            ("networks", json!([app])),
            ("networks", json!([app, other])),
            (
                "networks",
                json!({ (app.as_str()): { "aliases": ["b", "a"], "ipv4_address": "10.213.8.9" } }),
            ),
            ("network_mode", json!("none")),
            ("network_mode", json!("host")),
            ("labels", json!({ "team": "shop", "tier": 1 })),
            ("healthcheck", json!({ "test": "true", "interval": "90s", "retries": 5 })),
            (
                "healthcheck",
                json!({ "test": ["CMD", "true"], "timeout": "2s", "start_period": "1s" }),
            ),
            ("healthcheck", json!({ "disable": true })),
            ("restart", json!("always")),
            ("restart", json!("unless-stopped")),
            ("restart", json!("on-failure:3")),
            ("user", json!("65534:65534")),
            ("user", json!(1000)),
            ("working_dir", json!("/tmp")),
            ("hostname", json!("box")),
            ("init", json!(true)),
            ("init", json!(false)),
            ("read_only", json!(true)),
            ("stop_signal", json!("9")),
            ("stop_signal", json!(null)),
            ("stop_grace_period", json!("1500ms")),
            ("shm_size", json!("32m")),
            ("shm_size", json!("64m")),
            ("mem_limit", json!("64m")),
            ("cpus", json!(0.5)),
            ("cpus", json!("1")),
            ("pids_limit", json!(50)),
            ("cap_add", json!(["NET_ADMIN", "cap_sys_time"])),
            ("cap_drop", json!(["ALL"])),
            ("tmpfs", json!(["/run", "/tmp:size=1m,mode=1777"])),
            ("extra_hosts", json!(["db:10.0.0.5", "host.docker.internal:host-gateway"])),
            ("running", json!(false)),
            ("wait", json!("healthy")),
            ("wait_timeout", json!("30s")),
        ],
        // See `a_container_that_does_not_run_conforms`.
        fixed: &["privileged"],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

/// The base of a container is one in networks and with limits, so that taking them away is
/// tried too; made from an image that says a lot itself.
#[tokio::test]
async fn container_from_an_image_with_settings_conforms() {
    let lab = Lab::open().await;
    let image = unique("opinions");
    let name = unique("opinionated");
    let app = unique("app");
    let _image = image_removed(&image);
    let _network = network_removed(&app);
    let _container = container_removed(&format!("conformance-{name}"));
    docker(&["network", "create", &app]);
    build_opinionated(&image);

    let tried = [
        "command",
        "entrypoint",
        "env",
        "labels",
        "user",
        "working_dir",
        "healthcheck",
        "networks",
        "mem_limit",
        "cpus",
        "pids_limit",
        "restart",
        "volumes",
    ];
    let sample = Sample {
        kind: "docker::container",
        name,
        base: json!({
            "image": image,
            "networks": { (app.as_str()): { "aliases": ["x"] } },
            "mem_limit": "64m",
            "cpus": 1,
            "pids_limit": 50,
            "restart": "always",
        }),
        changes: vec![
            ("command", json!(["-c", "sleep 600"])),
            ("command", json!(["-c", "sleep 500"])),
            ("entrypoint", json!(["sleep", "600"])),
            ("env", json!({ "COLOUR": "red" })),
            ("env", json!({ "COLOUR": "blue", "SHAPE": "round" })),
            ("labels", json!({ "maker": "me" })),
            ("labels", json!({ "maker": "you" })),
            ("user", json!("nobody")),
            ("user", json!("root")),
            ("working_dir", json!("/work")),
            ("working_dir", json!("/tmp")),
            ("healthcheck", json!({ "interval": "50s" })),
            ("healthcheck", json!({ "test": "true" })),
            ("healthcheck", json!({ "disable": true })),
            ("networks", json!([])),
            ("networks", json!([app])),
            ("mem_limit", json!(null)),
            ("cpus", json!(null)),
            ("pids_limit", json!(null)),
            ("restart", json!("no")),
            ("volumes", json!(["/data"])),
        ],
        fixed: all_but(&lab, &tried),
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

/// Attributes that need a machine that can do more than the lab's (where the engine itself
/// lacks a right of the kernel, a privileged container cannot start), and limits and
/// networks of a container that is not running.
#[tokio::test]
async fn a_container_that_does_not_run_conforms() {
    let lab = Lab::open().await;
    let (name, app) = (unique("idle"), unique("app"));
    let _network = network_removed(&app);
    let _container = container_removed(&format!("conformance-{name}"));
    docker(&["network", "create", &app]);
    let sample = Sample {
        kind: "docker::container",
        name,
        base: json!({ "image": BUSYBOX, "running": false }),
        changes: vec![
            ("privileged", json!(true)),
            ("mem_limit", json!("64m")),
            ("cpus", json!(0.5)),
            ("pids_limit", json!(50)),
            ("restart", json!("on-failure")),
            ("networks", json!({ (app.as_str()): { "aliases": ["x"] } })),
        ],
        fixed: all_but(
            &lab,
            &["privileged", "mem_limit", "cpus", "pids_limit", "restart", "networks"],
        ),
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

/// The attributes of a container that another sample covers.
fn all_but(lab: &Lab, tried: &[&str]) -> &'static [&'static str] {
    let schema = &lab.registry.kind("docker::container").expect("a registered kind").schema;
    let rest = schema.spec.keys().filter(|name| !tried.contains(&name.as_str()));
    rest.map(|name| &*name.clone().leak()).collect::<Vec<&'static str>>().leak()
}

/// An image with every setting a container inherits.
fn build_opinionated(image: &str) {
    let recipe = format!(
        "FROM {BUSYBOX}\n\
         ENV COLOUR=red SIZE=5\n\
         WORKDIR /work\n\
         ENTRYPOINT [\"/bin/sh\"]\n\
         CMD [\"-c\", \"sleep 600\"]\n\
         LABEL maker=me\n\
         EXPOSE 80 53/udp\n\
         VOLUME /data\n\
         STOPSIGNAL SIGKILL\n\
         HEALTHCHECK --interval=50s --retries=4 CMD true\n\
         USER nobody\n"
    );
    docker_with_input(&["build", "--quiet", "--tag", image, "-"], &recipe);
}
