//! Every attribute of every kind: make, read back, change, read back, remove.

mod container;

use dollop_tests::conformance::nested::assert_set;
use dollop_tests::conformance::{Sample, conform, conform_with_parts};
use serde_json::json;

use super::support::{
    BUSYBOX, Lab, container_removed, docker, image_removed, network_removed, registry_address,
    unique, volume_removed,
};

#[tokio::test]
async fn ipv6_is_seen_either_way() {
    let lab = Lab::open().await;
    let name = unique("ipv6");
    let _removed = network_removed(&name);
    let with = json!({ "ipv6": true, "ipv6_subnet": "FD00:213:3:0::/64" });
    for (is, asked) in [(json!({}), with.clone()), (with, json!({}))] {
        let mut object = lab.object("docker::network", &name, is);
        let id = object.made().await.id;
        assert_eq!(object.differences(&id).await, []);
        object.spec = asked;
        let differing = object.differences(&id).await;
        assert!(differing.iter().any(|(name, ..)| name == "ipv6"), "{differing:?}");
        assert!(object.kind.schema.spec["ipv6"].replace);
        object.delete(&id).await.expect("it goes");
    }
}

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
            "ipv6": true,
            "ipv6_subnet": "fd00:213:1::/64",
        }),
        changes: vec![
            ("internal", json!(true)),
            ("attachable", json!(true)),
            ("subnet", json!("10.213.2.0/24")),
            ("subnet", json!(null)),
            ("gateway", json!("10.213.1.77")),
            ("ip_range", json!("10.213.1.128/25")),
            ("ipam", json!({ "options": { "a": 1 } })),
            ("ipv6_subnet", json!("fd00:213:2::/64")),
            ("options", json!({ "com.docker.network.driver.mtu": 1400 })),
            ("labels", json!({ "team": "shop", "tier": 1 })),
            ("labels", json!(["team=shop", "bare"])),
        ],
        fixed: &[
            // The other drivers need a kernel module, a swarm or a plugin; see
            // `a_driver_the_machine_lacks_is_explained`.
            "driver",
            // It changes together with its range; see `ipv6_is_seen_either_way`.
            "ipv6",
        ],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
    let schema = &lab.registry.kind("docker::network").expect("a registered kind").schema;
    let others = schema.spec.keys().filter(|name| *name != "ipam");
    let others = others.map(|name| &*name.clone().leak()).chain([
        // There is no plugin for it here.
        "ipam.driver",
    ]);
    let name = unique("ipam");
    let _removed = network_removed(&format!("conformance-{name}"));
    let sample = Sample {
        kind: "docker::network",
        name,
        base: json!({
            "ipv6": true,
            "ipam": { "config": [{ "subnet": "fd00:214:1::/64", "gateway": "fd00:214:1::9" }] },
        }),
        changes: vec![(
            "ipam",
            json!({ "options": { "a": 1 }, "config": [
                { "subnet": "fd00:214:1::/64", "gateway": "fd00:214:1::7" },
                { "subnet": "10.214.1.0/24", "ip_range": "10.214.1.128/25",
                  "aux_addresses": { "printer": "10.214.1.9" } },
            ] }),
        )],
        fixed: others.collect::<Vec<&'static str>>().leak(),
    };
    // What is not asked for the engine chooses.
    let unseen = ["ipam.config", "ipam.config.gateway"];
    conform_with_parts(&lab.registry, &lab.engine, &sample, &unseen).await;
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
            ("labels", json!(["team=shop", "bare"])),
            ("migrate", json!("copy")),
        ],
        fixed: &[
            // The engine has `local` and what plugins are installed: none here.
            "driver",
        ],
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
    let second = format!("{}/dollop-test/{}:2", registry_address(), unique("img"));
    let _second = image_removed(&second);
    let sample = Sample {
        kind: "docker::image",
        name,
        base: json!({ "keep": false }),
        changes: vec![
            ("pull", json!("always")),
            ("pull", json!("daily")),
            ("pull", json!("weekly")),
            ("pull", json!("never")),
            ("platform", json!("linux/amd64")),
            ("up_to_date", json!(false)),
            ("tags", json!([second])),
            ("keep", json!(true)),
        ],
        fixed: &[
            // Not with `pull`; see `a_built_image_conforms`.
            "build",
            // Only what was built here has something to push; in the same place.
            "push",
        ],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

#[tokio::test]
async fn a_built_image_conforms() {
    let lab = Lab::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write("Dockerfile", &format!("FROM {BUSYBOX} AS one\nCOPY . /app\nFROM one\nRUN true\n"));
    write("Other", &format!("FROM {BUSYBOX}\nARG COLOUR\nRUN echo $COLOUR > /colour\n"));
    write("main", "1");
    let context = folder.path().to_str().expect("its path");
    let name = format!("{}/dollop-test/{}:1", registry_address(), unique("built"));
    let _removed = image_removed(&name);
    let sample = Sample {
        kind: "docker::image",
        name,
        base: json!({ "build": { "context": context }, "keep": false }),
        changes: vec![
            ("build", json!({ "context": context, "dockerfile": "Other" })),
            (
                "build",
                json!({
                    "context": context,
                    "dockerfile_inline": format!("FROM {BUSYBOX}\nRUN true\n"),
                    "args": { "COLOUR": "red" },
                    "labels": ["team=shop"],
                    "network": "none",
                    "extra_hosts": ["db:10.0.0.5"],
                    "shm_size": "32m",
                    "cache_from": [BUSYBOX],
                    "no_cache": true,
                }),
            ),
            ("build", json!({ "context": context, "target": "one" })),
            (
                "build",
                json!({
                    "context": context,
                    "dockerfile_inline": format!(
                        "FROM {BUSYBOX}\nRUN --mount=type=secret,id=npm wc /run/secrets/npm\n"
                    ),
                    "secrets": { "npm": "a-t0ken" },
                    "builder": "buildkit",
                }),
            ),
            ("build", json!({ "context": context, "builder": "classic" })),
            ("push", json!(true)),
        ],
        fixed: &[
            // Not with `build`; see `image_conforms`.
            "pull",
            // They mean the same as there.
            "platform",
            "up_to_date",
            "tags",
            "keep",
            // Asks the registry of the image it starts from, which is not in the lab.
            "build.pull",
        ],
    };
    let kind = lab.registry.kind("docker::image").expect("a registered kind");
    assert_set(&kind.schema, &sample);
    conform(&lab.registry, &lab.engine, &sample).await;
}

#[tokio::test]
async fn job_conforms() {
    let lab = Lab::open().await;
    let (name, app) = (unique("job"), unique("app"));
    let _network = network_removed(&app);
    let _container = container_removed(&format!("conformance-{name}"));
    docker(&["network", "create", &app]);
    let neighbour = unique("neighbour");
    let _neighbour = container_removed(&neighbour);
    docker(&["run", "--detach", "--name", &neighbour, BUSYBOX, "sleep", "1000"]);
    let sample = Sample {
        kind: "docker::job",
        name: name.clone(),
        base: json!({ "image": BUSYBOX, "command": "echo done" }),
        changes: vec![
            ("command", json!(["echo", "again"])),
            ("image", json!("redis:7")),
            ("check", json!("false")),
            ("inputs", json!({ "schema": "1" })),
            ("env", json!(["A=1"])),
            ("user", json!("1000")),
            ("working_dir", json!("/tmp")),
            ("entrypoint", json!("env X=1")),
            ("volumes", json!([".:/here:ro"])),
            ("networks", json!([app])),
            ("timeout", json!("1m")),
            ("network_mode", json!("none")),
            ("files", json!({ "/etc/app.conf": "a = 1\n" })),
            ("tmpfs", json!(["/scratch:size=1m"])),
            ("extra_hosts", json!({ "db": ["10.0.0.5", "10.0.0.6"] })),
            ("dns", json!("10.213.8.53")),
            ("platform", json!("linux/amd64")),
            ("mem_limit", json!("64m")),
            ("shm_size", json!("32m")),
            ("ulimits", json!({ "nofile": 1024 })),
            ("cap_add", json!(["cap_net_admin"])),
            ("read_only", json!(true)),
            ("init", json!(true)),
            ("labels", json!(["team=shop", "bare"])),
            ("logging", json!({ "driver": "local" })),
        ],
        fixed: &[
            // Instead of an image: the sample below.
            "container",
            // The lab's engine lacks the driver, and the right to start such a container.
            "gpus",
            "privileged",
        ],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
    let sample = Sample {
        kind: "docker::job",
        name,
        base: json!({ "container": neighbour, "command": "true" }),
        changes: vec![("command", json!("echo")), ("env", json!({ "A": 1 }))],
        fixed: &[
            // Instead of a container: the sample above.
            "image",
            // Only for a container of its own, so there too.
            "entrypoint",
            "volumes",
            "networks",
            "network_mode",
            "files",
            "tmpfs",
            "extra_hosts",
            "dns",
            "platform",
            "mem_limit",
            "shm_size",
            "ulimits",
            "gpus",
            "cap_add",
            "privileged",
            "read_only",
            "init",
            "labels",
            "logging",
            // They mean the same as there.
            "check",
            "inputs",
            "user",
            "working_dir",
            "timeout",
            // Another container is another job: `x-replace`, and none is beside it here.
            "container",
        ],
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}
