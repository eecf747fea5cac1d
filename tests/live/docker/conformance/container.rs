//! Containers: one sample for most attributes, and one for each state in which others are
//! tried.

use dollop_tests::conformance::{Sample, conform, conform_with_parts};
use serde_json::json;

use super::super::support::{
    BUSYBOX, Lab, container_removed, docker, docker_with_input, image_removed, network_removed,
    unique, volume_removed,
};

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
    let six = unique("six");
    let _six = network_removed(&six);
    docker(&["network", "create", "--ipv6", "--subnet", "fd00:213:9::/64", &six]);
    docker(&["volume", "create", &data]);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("its path");
    let neighbour = unique("neighbour");
    let _neighbour = container_removed(&neighbour);
    docker(&[
        "run",
        "--detach",
        "--name",
        &neighbour,
        "--ipc",
        "shareable",
        "--volume",
        "/shared",
        BUSYBOX,
        "sleep",
        "1000",
    ]);

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
            ("env", json!(["A=text", "B=x=y", "C="])),
            ("env", json!({ "A": "text", "B": 5, "C": true, "D": "", "PATH": "/bin" })),
            ("ports", json!(["127.0.0.1::80", "127.0.0.1::53/udp"])),
            ("ports", json!([81, "8000-8002", "[::1]::90"])),
            (
                "ports",
                json!([
                    { "target": 80, "host_ip": "127.0.0.1", "protocol": "udp" },
                    { "target": 90, "published": "18700-18720", "mode": "host" },
                ]),
            ),
            ("expose", json!(["80", "53/udp", "8000-8002"])),
            ("volumes", json!([format!("{data}:/data"), "/anonymous"])),
            ("volumes", json!([format!("{folder}:/conf:ro,z"), format!("{data}:/d:nocopy")])),
            (
                "volumes",
                json!([
                    { "type": "tmpfs", "target": "/t", "tmpfs": { "size": "1m", "mode": 0o1777 } },
                    { "type": "bind", "source": format!("{folder}/new"), "target": "/n",
                      "bind": { "create_host_path": true, "propagation": "private" } },
                    { "type": "bind", "source": folder, "target": "/p", "read_only": true,
                      "bind": { "propagation": "private" } },
                    { "type": "volume", "source": data, "target": "/v",
                      "volume": { "nocopy": true } },
                    { "type": "volume", "target": "/own", "volume": { "labels": ["team=shop"] } },
                    { "type": "bind", "source": folder, "target": "/q",
                      "bind": { "recursive": "disabled" } },
                ]),
            ),
            ("volumes_from", json!([format!("{neighbour}:ro")])),
            ("volumes", json!([format!("{folder}:/conf:ro"), ".:/here:ro"])),
            (
                "volumes",
                json!([
                    { "type": "tmpfs", "target": "/t" },
                    { "type": "volume", "source": data, "target": "/d", "read_only": true },
                    { "type": "bind", "source": folder, "target": "/b" },
                ]),
            ),
            ("files", json!({ "/etc/app/x.conf": "a = 1\n" })),
            (
                "files",
                json!({
                    "/etc/x.conf": { "content": "a = 2\n", "mode": "0600", "uid": 7, "gid": 8,
                                     "on_change": "none" },
                    "/etc/x.bin": { "content_base64": "AP8A", "on_change": "signal:WINCH" },
                }),
            ),
            ("networks", json!([app])),
            ("networks", json!([app, other])),
            (
                "networks",
                json!([other, { "network": app, "aliases": ["store"], "ipv4_address": "10.213.8.29" }]),
            ),
            ("networks", json!({ (app.as_str()): null })),
            (
                "networks",
                json!({ (app.as_str()): { "aliases": ["b", "a"], "ipv4_address": "10.213.8.9" } }),
            ),
            (
                "networks",
                json!({
                    (app.as_str()): {
                        "ipv4_address": "10.213.8.19",
                        "link_local_ips": ["169.254.34.68"],
                        "driver_opts": { "com.docker.network.endpoint.x": 1 },
                    },
                    (six.as_str()): { "ipv6_address": "fd00:213:0009:0::7" },
                }),
            ),
            ("network_mode", json!("none")),
            ("network_mode", json!(format!("container:{neighbour}"))),
            ("network_mode", json!("host")),
            ("labels", json!({ "team": "shop", "tier": 1 })),
            ("labels", json!(["team=shop", "bare"])),
            ("healthcheck", json!({ "test": "true", "interval": "90s", "retries": "5" })),
            (
                "healthcheck",
                json!({ "test": ["CMD", "true"], "timeout": "2s", "start_period": "1s" }),
            ),
            // Forgotten by engines before 25.0, and no difference for that.
            (
                "healthcheck",
                json!({ "test": "true", "start_period": "1m", "start_interval": "1s" }),
            ),
            ("healthcheck", json!({ "disable": true })),
            ("restart", json!("always")),
            ("restart", json!("unless-stopped")),
            ("restart", json!("on-failure:3")),
            ("user", json!("65534:65534")),
            ("user", json!(1000)),
            ("working_dir", json!("/tmp")),
            ("hostname", json!("box")),
            ("domainname", json!("example.test")),
            ("group_add", json!(["root", 1234])),
            ("tty", json!(true)),
            ("stdin_open", json!(true)),
            ("platform", json!("linux/amd64")),
            ("runtime", json!("io.containerd.runc.v2")),
            ("init", json!(true)),
            ("init", json!(false)),
            ("read_only", json!(true)),
            ("stop_signal", json!("9")),
            ("stop_signal", json!(null)),
            ("stop_grace_period", json!("1500ms")),
            ("shm_size", json!("32m")),
            ("shm_size", json!("64m")),
            ("mem_limit", json!("64m")),
            ("mem_reservation", json!("32m")),
            ("mem_swappiness", json!(10)),
            ("oom_kill_disable", json!(true)),
            ("oom_score_adj", json!(100)),
            ("cpus", json!(0.5)),
            ("cpus", json!("1")),
            ("cpuset", json!("0")),
            ("cpu_shares", json!(512)),
            ("cpu_period", json!("50ms")),
            ("cpu_quota", json!("20ms")),
            ("cpu_quota", json!(30000)),
            ("cpu_rt_period", json!("5s")),
            ("pids_limit", json!("50")),
            (
                "blkio_config",
                json!({
                    "device_read_bps": [{ "path": "/dev/vda", "rate": "10m" }],
                    "device_write_bps": [{ "path": "/dev/vda", "rate": "20m" }],
                    "device_read_iops": [{ "path": "/dev/vda", "rate": 1000 }],
                    "device_write_iops": [{ "path": "/dev/vda", "rate": 2000 }],
                }),
            ),
            ("ulimits", json!({ "nofile": 1024, "core": { "soft": 0, "hard": -1 } })),
            ("sysctls", json!({ "net.core.somaxconn": 1024 })),
            ("sysctls", json!(["net.core.somaxconn=512"])),
            ("security_opt", json!(["no-new-privileges:true", "seccomp:unconfined"])),
            ("devices", json!(["/dev/zero:/dev/nothing:wr"])),
            (
                "devices",
                json!([{ "source": "/dev/zero", "target": "/dev/none", "permissions": "r" }]),
            ),
            ("device_cgroup_rules", json!(["c 1:3 mr"])),
            ("ipc", json!("host")),
            ("ipc", json!("shareable")),
            ("ipc", json!(format!("container:{neighbour}"))),
            ("pid", json!("host")),
            ("pid", json!(format!("container:{neighbour}"))),
            ("uts", json!("host")),
            ("userns_mode", json!("host")),
            ("cgroup", json!("private")),
            ("cgroup", json!("host")),
            ("cgroup_parent", json!("/dollop-test")),
            ("dns", json!(["10.213.8.53", "fd00::53"])),
            ("dns", json!("10.213.8.54")),
            ("dns_opt", json!(["ndots:2"])),
            ("dns_search", json!("example.test")),
            // First: to its own driver the engine adds options of its own.
            ("logging", json!({ "driver": "local", "options": { "max-size": "1m" } })),
            ("logging", json!({ "options": { "max-size": "1m" } })),
            ("logging", json!({ "driver": "none" })),
            ("cap_add", json!(["NET_ADMIN", "cap_sys_time"])),
            ("cap_drop", json!(["ALL"])),
            ("tmpfs", json!(["/run", "/tmp:size=1m,mode=1777"])),
            ("extra_hosts", json!(["db:10.0.0.5", "host.docker.internal:host-gateway"])),
            ("running", json!(false)),
            ("wait", json!("healthy")),
            ("wait_timeout", json!("30s")),
            (
                "post_start",
                json!([{ "command": "true", "user": "nobody", "working_dir": "/tmp",
                         "environment": { "A": 1 } }]),
            ),
            (
                "pre_stop",
                json!([{ "command": "true", "environment": { "A": 1 }, "user": "nobody",
                         "working_dir": "/tmp" }]),
            ),
            ("replica_of", json!("boxes")),
            (
                "update_config",
                json!({ "order": "start-first", "monitor": "1s", "failure_action": "rollback",
                        "parallelism": 2, "delay": "1s" }),
            ),
        ],
        fixed: &[
            // Where the engine itself lacks a right of the kernel, such a container cannot
            // start: see `a_container_that_does_not_run_conforms`.
            "privileged",
            // Means something beside a `mem_limit` only, see
            // `container_from_an_image_with_settings_conforms`.
            "memswap_limit",
            // Needs a mount of the machine in the base; in the same place.
            "track",
            // What a plan shows, see `a_program_is_told_of_a_file_by_the_apply_after_one_that_failed`.
            "files.up_to_date",
            // Needs a driver the lab's engine lacks: `what_this_machine_cannot_do_is_refused`,
            // which is also where the next three are.
            "gpus",
            // Needs a newer engine.
            "annotations",
            // Needs a storage driver with quotas.
            "storage_opt",
            // Needs a kernel with real-time groups.
            "cpu_rt_runtime",
            // Declares several resources, none of which has it.
            "replicas",
            // Where the engine itself lacks a right of the kernel, so do these.
            "post_start.privileged",
            "pre_stop.privileged",
            // They need a newer engine, or kernel: refused here, in the same place.
            "blkio_config.weight",
            "blkio_config.weight_device",
            "networks.gw_priority",
            "networks.mac_address",
            "volumes.image",
            "volumes.volume.subpath",
        ],
    };
    let unseen = [
        // What dollop does when the file changes; the engine does not keep it.
        "files.on_change",
        // Without it there is nothing to compare the other with.
        "files.content",
        "files.content_base64",
        // That mattered when the container was made.
        "volumes.bind.create_host_path",
        // There is only one.
        "ports.mode",
        // Engines before 25.0 forget it.
        "healthcheck.start_interval",
        // How long dollop waits, and for what, the engine does not keep.
        "wait",
        "wait_timeout",
        // A file nobody declared is nobody's business; one that is declared is compared, see
        // `a_file_edited_by_hand_shows_and_is_repaired`.
        "files",
        // dollop runs them; the engine does not keep them.
        "post_start",
        "pre_stop",
        // How dollop replaces it; the engine does not keep it.
        "update_config",
        // Shows as an alias in each network, and the base is in none.
        "replica_of",
    ];
    conform_with_parts(&lab.registry, &lab.engine, &sample, &unseen).await;
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
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("app.conf"), "a = 1").expect("a file");
    let mounted = format!("{}:/conf:ro", folder.path().display());

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
        "mem_reservation",
        "memswap_limit",
        "cpus",
        "cpuset",
        "cpu_shares",
        "pids_limit",
        "restart",
        "volumes",
        "expose",
        "track",
    ];
    let sample = Sample {
        kind: "docker::container",
        name,
        base: json!({
            "image": image,
            "networks": { (app.as_str()): { "aliases": ["x"] } },
            "mem_limit": "64m",
            "mem_reservation": "32m",
            "memswap_limit": "100m",
            "cpus": 1,
            "cpuset": "1",
            "cpu_shares": 100,
            "pids_limit": 50,
            "restart": "always",
            "volumes": [mounted],
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
            ("mem_limit", json!("80m")),
            ("mem_reservation", json!(null)),
            ("memswap_limit", json!("90m")),
            ("memswap_limit", json!(-1)),
            ("memswap_limit", json!(null)),
            ("cpuset", json!(null)),
            ("cpuset", json!("0-1")),
            ("cpu_shares", json!(null)),
            ("expose", json!([80, 81])),
            ("cpus", json!(null)),
            ("pids_limit", json!(null)),
            ("restart", json!("no")),
            ("volumes", json!([mounted, "/data"])),
            ("volumes", json!(null)),
            ("track", json!({ "/conf/": "signal:WINCH" })),
            ("track", json!({ "/conf": { "on_change": "none" } })),
        ],
        // `container_conforms` has them.
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
        // `container_conforms` has them.
        fixed: all_but(
            &lab,
            &["privileged", "mem_limit", "cpus", "pids_limit", "restart", "networks"],
        ),
    };
    conform(&lab.registry, &lab.engine, &sample).await;
}

/// What the engine or the machine of the lab cannot do: dollop says it all, and the refusal
/// names the attribute or is the engine's own.
#[tokio::test]
async fn what_this_machine_cannot_do_is_refused() {
    let lab = Lab::open().await;
    let net = unique("net");
    let _network = network_removed(&net);
    docker(&["network", "create", &net]);
    let cases = [
        ("gpus", json!("all"), "could not select device driver"),
        (
            "gpus",
            json!([{ "driver": "nvidia", "device_ids": ["0"], "options": { "a": 1 } }]),
            "could not select device driver",
        ),
        ("storage_opt", json!({ "size": "1g" }), "storage"),
        ("cpu_rt_runtime", json!("10ms"), "cpu.rt_runtime_us"),
        ("blkio_config", json!({ "weight": 300 }), "would leave out"),
        (
            "blkio_config",
            json!({ "weight_device": [{ "path": "/dev/vda", "weight": 200 }] }),
            "would leave out",
        ),
        (
            "annotations",
            json!({ "a": "b" }),
            "`annotations` needs an engine with API version 1.43",
        ),
        (
            "volumes",
            json!([{ "type": "volume", "source": "v", "target": "/v",
                     "volume": { "subpath": "a" } }]),
            "1.45",
        ),
        ("volumes", json!([{ "type": "image", "source": BUSYBOX, "target": "/i" }]), "1.48"),
        ("networks", json!({ (net.as_str()): { "mac_address": "02:42:0A:D5:08:09" } }), "1.44"),
        ("networks", json!({ (net.as_str()): { "gw_priority": 1 } }), "1.48"),
        ("devices", json!(["vendor1.com/device=gpu"]), "1.44"),
        (
            "volumes",
            json!([{ "type": "bind", "source": "/etc", "target": "/e", "read_only": true,
                     "bind": { "recursive": "readonly" } }]),
            "1.44",
        ),
        ("platform", json!("linux/s390x"), "for linux/s390x"),
        ("runtime", json!("runsc"), "runsc"),
    ];
    for (attribute, value, says) in cases {
        let name = unique("refused");
        let _container = container_removed(&name);
        let spec = json!({ "image": BUSYBOX, "command": "sleep 600", (attribute): value });
        let object = lab.object("docker::container", &name, spec);
        let error = object.refused().await;
        let text = format!("{} {:?}", error.message, error.notes);
        assert!(text.contains(says), "`{attribute}`: {text}");
        println!("`{attribute}`: {}", error.message);
        assert!(object.read(None).await.is_none(), "`{attribute}`: something is left");
    }
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
