//! What changes in place, what is built, and what runs once.

use dollop_engine::kind::OpenConnection;
use dollop_engine::value::Value;
use serde_json::{Value as Json, json};

use super::support::{
    BUSYBOX, Lab, Object, container_removed, docker, image_removed, network_removed,
    registry_address, unique, volume_removed,
};

fn fact(facts: &Value, name: &str) -> Json {
    facts.get(name).unwrap_or(&Value::Null).to_json()
}

async fn attributes(object: &Object<'_>, id: &str) -> Vec<String> {
    object.differences(id).await.into_iter().map(|(attribute, ..)| attribute).collect()
}

#[tokio::test]
async fn a_container_is_renamed_in_place() {
    let lab = Lab::open().await;
    let (name, next, app) = (unique("before"), unique("after"), unique("app"));
    let _network = network_removed(&app);
    let _removed = (container_removed(&name), container_removed(&next));
    docker(&["network", "create", &app]);
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL",
        "networks": [app] });
    let mut object = lab.object("docker::container", &name, spec);
    assert!(!object.kind.schema.spec["name"].replace);
    let id = object.made().await.id;
    let started = docker(&["inspect", "--format", "{{.State.StartedAt}}", &name]);

    object.name.natural.clone_from(&next);
    assert_eq!(attributes(&object, &id).await, ["name"]);
    object.repair(&id).await.expect("it is renamed");
    assert_eq!(object.differences(&id).await, []);
    assert_eq!(
        docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", &next]),
        format!("{id} {started}")
    );

    // A name somebody else has.
    let taken = unique("taken");
    let _taken = container_removed(&taken);
    docker(&["create", "--name", &taken, BUSYBOX]);
    object.name.natural.clone_from(&taken);
    let error = object.repair(&id).await.expect_err("the name is taken");
    assert_eq!(
        error.message,
        format!("a container named `{taken}` exists already (not made by dollop)")
    );
}

#[tokio::test]
async fn a_file_edited_by_hand_shows_and_is_repaired() {
    let lab = Lab::open().await;
    let name = unique("files");
    let _removed = container_removed(&name);
    let trap = "trap 'echo got HUP' HUP; while true; do sleep 0.1; done";
    let spec = |text: &str, on_change: &str| {
        json!({
            "image": BUSYBOX,
            "command": ["sh", "-c", trap],
            "stop_signal": "SIGKILL",
            "files": { "/etc/app.conf": {
                "content": text, "mode": "0640", "uid": 70, "on_change": on_change } },
        })
    };
    let mut object = lab.object("docker::container", &name, spec("a = 1\n", "signal:HUP"));
    let id = object.made().await.id;
    assert_eq!(object.differences(&id).await, []);
    let stat = ["exec", &name, "stat", "-c", "%a %u", "/etc/app.conf"];
    assert_eq!(docker(&stat), "640 70");
    let started = || docker(&["inspect", "--format", "{{.State.StartedAt}}", &name]);
    let first = started();

    docker(&["exec", &name, "sh", "-c", "echo b > /etc/app.conf; chmod 666 /etc/app.conf"]);
    assert_eq!(attributes(&object, &id).await, ["files"]);
    object.repair(&id).await.expect("it is repaired");
    assert_eq!(object.differences(&id).await, []);
    assert_eq!(docker(&stat), "640 70");
    docker(&["exec", &name, "rm", "/etc/app.conf"]);
    assert_eq!(attributes(&object, &id).await, ["files"]);
    object.repair(&id).await.expect("it is put back");
    assert_eq!(started(), first, "a signal is no restart");
    for _ in 0..50 {
        if docker(&["logs", &name]).contains("got HUP") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(docker(&["logs", &name]).contains("got HUP"));

    object.spec = spec("a = 2\n", "restart");
    object.repair(&id).await.expect("it is changed");
    assert_eq!(object.differences(&id).await, []);
    assert_ne!(started(), first);
    assert_eq!(docker(&["exec", &name, "cat", "/etc/app.conf"]), "a = 2");
}

#[tokio::test]
async fn a_file_where_a_folder_is_leaves_the_folder_alone() {
    let lab = Lab::open().await;
    let (name, never) = (unique("folder"), unique("never"));
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("conf/data");
    std::fs::create_dir(folder.path().join("conf")).expect("a folder");
    std::fs::write(&data, "rows").expect("a file");
    let _removed = (container_removed(&name), container_removed(&never));
    let bind = format!("{}:/bound", folder.path().display());
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL",
        "volumes": [bind], "files": { "/bound/conf": "a file" } });
    let object = lab.object("docker::container", &never, spec.clone());
    let error = object.refused().await;
    assert!(error.hints.join(" ").contains("a folder is where"), "{error:?}");
    assert_eq!(std::fs::read_to_string(&data).expect("it is there"), "rows");
    // One that is made later shows, and comes to no harm either.
    let mut object = lab.object("docker::container", &name, spec);
    object.spec["files"] = json!({ "/bound/other": "a file" });
    let id = object.made().await.id;
    docker(&[
        "exec",
        &name,
        "sh",
        "-c",
        "rm /bound/other; mkdir /bound/other; touch /bound/other/x",
    ]);
    let found = object.differences(&id).await;
    assert_eq!(found[0].2["/bound/other"]["content"], json!("(a folder)"));
    let error = object.repair(&id).await.expect_err("a folder is there");
    assert!(error.hints.join(" ").contains("a folder is where"), "{error:?}");
    assert_eq!(docker(&["exec", &name, "ls", "/bound/other"]), "x");
}

#[tokio::test]
async fn a_changed_file_restarts_in_one_call() {
    let lab = Lab::open().await;
    let name = unique("restarted");
    let _removed = container_removed(&name);
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL",
        "files": { "/conf": "1" }, "pre_stop": [{ "command": "touch /stopping" }],
        "post_start": [{ "command": "touch /started" }] });
    let mut object = lab.object("docker::container", &name, spec);
    let made = object.made().await;
    docker(&["exec", &name, "rm", "/started"]);
    let since = docker(&["inspect", "--format", "{{.State.StartedAt}}", &name]);
    object.spec["files"] = json!({ "/conf": "2" });
    object.repair(&made.id).await.expect("it is restarted");
    docker(&["exec", &name, "ls", "/stopping", "/started"]);
    let now = docker(&["info", "--format", "{{.SystemTime}}"]);
    let events = ["events", "--since", &since, "--until", &now, "--format", "{{.Action}}"];
    let only = format!("container={name}");
    let events =
        docker(&[&events[..], &["--filter", &only, "--filter", "event=restart"]].concat());
    assert_eq!(events, "restart");
}

#[tokio::test]
async fn a_container_may_get_healthy_after_it_was_unhealthy() {
    let lab = Lab::open().await;
    let name = unique("late");
    let _removed = container_removed(&name);
    let spec = json!({
        "image": BUSYBOX,
        "command": ["sh", "-c", "sleep 3; touch /ready; sleep 600"],
        "stop_signal": "SIGKILL",
        "healthcheck": { "test": "test -e /ready", "interval": "200ms", "retries": 1 },
        "wait": "healthy",
    });
    let made = lab.object("docker::container", &name, spec).made().await;
    assert_eq!(fact(&made.facts, "health"), json!("healthy"));
}

#[tokio::test]
async fn files_reach_a_container_that_is_read_only() {
    let lab = Lab::open().await;
    let (name, data) = (unique("closed"), unique("closed"));
    let _volume = volume_removed(&data);
    let _removed = container_removed(&name);
    docker(&["volume", "create", &data]);
    let spec = |key: &str, more: &[(&str, &str)]| {
        let mut files = json!({
            "/run/secrets/key": { "content": key, "mode": "0400", "uid": 65534,
                                  "on_change": "none" },
            "/etc/app/a.conf": { "content": "a", "on_change": "none" },
            "/data/b": { "content": "b", "on_change": "none" },
        });
        for (path, content) in more {
            files[*path] = json!({ "content": content, "on_change": "none" });
        }
        json!({
            "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL",
            "user": "65534", "read_only": true,
            "tmpfs": ["/run:mode=1777", "/etc/app/cache:mode=1777"],
            "volumes": [format!("{data}:/data")], "files": files,
        })
    };
    let first = lab.object("docker::container", &name, spec("one", &[("/etc/app/more", "2")]));
    let made = first.made().await;
    assert_eq!(first.differences(&made.id).await, []);
    let inside = |command: &str| docker(&["exec", &name, "sh", "-c", command]);
    assert_eq!(inside("cat /run/secrets/key /etc/app/a.conf /etc/app/more /data/b"), "onea2b");
    // What is in memory is written to; by root, as the engine may give it the folder's own mode.
    docker(&["exec", "--user", "0", &name, "touch", "/run/x", "/etc/app/cache/x"]);
    let volumes = || {
        let format = "{{range .Mounts}}{{if not .RW}}{{.Name}} {{end}}{{end}}";
        let names = docker(&["inspect", "--format", format, &name]);
        names.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let own = volumes();
    assert_eq!(own.len(), 2, "{own:?}");
    // Root in it cannot write there either.
    let write = ["exec", "--user", "0", &name, "sh", "-c", "! echo x > /etc/app/x 2>/dev/null"];
    docker(&write);

    // Changed, taken out and put back without another container.
    let second = lab.object("docker::container", &name, spec("two", &[]));
    let (from, to) = (first.normal(&first.spec), second.normal(&second.spec));
    let calls = &second.kind.calls;
    let changed = calls.update(&lab.engine, &second.name, &made.id, &from, &to).await;
    changed.expect("its files change");
    assert_eq!(second.differences(&made.id).await, []);
    assert_eq!(inside("cat /run/secrets/key; ls /etc/app"), "twoa.conf\ncache");
    assert_eq!(docker(&["inspect", "--format", "{{.Id}}", &name]), made.id);
    // A file in a folder nothing was put into yet makes another one.
    let third = lab.object("docker::container", &name, spec("two", &[("/opt/c", "3")]));
    let differing: Vec<_> =
        third.differences(&made.id).await.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(differing, ["files", "volumes"]);

    second.delete(&made.id).await.expect("it goes");
    for volume in own {
        assert_eq!(
            docker(&["volume", "ls", "--quiet", "--filter", &format!("name={volume}")]),
            ""
        );
    }
    // Its own: other tests look into volumes at the same time.
    let mark = format!("label=dollop.address={}", second.name.address);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &mark]), "");
}

/// Mounts of other kinds lie in a folder of files, and a run that is killed leaves nothing.
#[tokio::test]
async fn what_a_folder_of_files_holds_besides() {
    let lab = Lab::open().await;
    let (name, image) = (unique("within"), format!("{}:1", unique("within")));
    let _image = image_removed(&image);
    let _removed = container_removed(&name);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("bound.conf"), "bound").expect("a file");
    std::fs::create_dir(path("bound")).expect("a folder");
    let dockerfile = format!(
        "FROM {BUSYBOX}\nRUN mkdir -p /etc/app/kept && chmod 0710 /etc/app/kept\nVOLUME /other\n"
    );
    super::support::docker_with_input(&["build", "--quiet", "--tag", &image, "-"], &dockerfile);
    let spec = |files: Json| {
        json!({
            "image": image, "command": "sleep 600", "stop_signal": "SIGKILL", "read_only": true,
            "tmpfs": ["/etc/app/open", "/etc/app/closed:mode=0700", "/etc/app/kept"],
            "volumes": [format!("{}:/etc/app/bound.conf:ro", path("bound.conf")),
                format!("{}:/etc/app/bound:ro", path("bound"))],
            "files": files,
        })
    };
    let object = lab.object(
        "docker::container",
        &name,
        spec(json!({ "/etc/app/a": { "content": "a", "on_change": "none" },
            "/etc/app/b": { "content": "b", "on_change": "none" } })),
    );
    let id = object.made().await.id;
    assert_eq!(object.differences(&id).await, []);
    let inside = |command: &str| docker(&["exec", &name, "sh", "-c", command]);
    assert_eq!(
        inside("cat /etc/app/a /etc/app/bound.conf; ls -d /etc/app/bound"),
        "abound/etc/app/bound"
    );
    assert_eq!(
        inside("cd /etc/app; stat -c '%a' open closed kept"),
        "1777\n700\n710",
        "memory is as it was asked for, or as the image has it"
    );

    // What runs left that were killed: by its marks it is known whose it is, and it goes with
    // its volume whatever is done next.
    let leftover = || {
        let (stack, address) = (
            format!("dollop.momentary={}", object.name.stack),
            format!("dollop.address={}", object.name.address),
        );
        let left = docker(&[
            "create", "--label", &stack, "--label", &address, "--volume", "/secrets", BUSYBOX,
        ]);
        let format = "{{range .Mounts}}{{.Name}}{{end}}";
        let volume = docker(&["inspect", "--format", format, &left]);
        (left, volume)
    };
    let is_gone = |(left, volume): (String, String)| {
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("id={left}")]), "");
        let volume = format!("name={volume}");
        assert_eq!(docker(&["volume", "ls", "--quiet", "--filter", &volume]), "");
    };
    let left = leftover();
    let other = lab.object(
        "docker::container",
        &name,
        spec(json!({ "/etc/app/a": { "content": "2", "on_change": "none" } })),
    );
    let (from, to) = (object.normal(&object.spec), other.normal(&other.spec));
    let changed = other.kind.calls.update(&lab.engine, &other.name, &id, &from, &to).await;
    changed.expect("its files change");
    assert_eq!(other.differences(&id).await, []);
    assert_eq!(
        inside("cat /etc/app/a; ls /etc/app"),
        "2a\nbound\nbound.conf\nclosed\nkept\nopen"
    );
    is_gone(left);
    let left = leftover();
    other.delete(&id).await.expect("it goes");
    is_gone(left);
    let left = leftover();
    let again = other.made().await.id;
    is_gone(left);
    // One that was killed when the container already had the volumes.
    let (stack, address) = (
        format!("dollop.momentary={}", object.name.stack),
        format!("dollop.address={}", object.name.address),
    );
    let from = format!("{name}:ro");
    docker(&[
        "create",
        "--label",
        &stack,
        "--label",
        &address,
        "--volumes-from",
        &from,
        BUSYBOX,
    ]);
    docker(&["stop", &name]);
    other.repair(&again).await.expect("it goes on");
    assert_eq!(other.differences(&again).await, []);
    other.delete(&again).await.expect("it goes");
    let mark = format!("label=dollop.address={}", object.name.address);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &mark]), "");
}

#[tokio::test]
async fn a_network_joined_by_hand_shows_and_is_left() {
    let lab = Lab::open().await;
    let (name, own, other) = (unique("joined"), unique("own"), unique("other"));
    let _networks = (network_removed(&own), network_removed(&other));
    let _removed = container_removed(&name);
    for network in [&own, &other] {
        docker(&["network", "create", network]);
    }
    let joined = || {
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        docker(&["inspect", "--format", format, &name])
    };
    for networks in [vec![own.as_str()], Vec::new()] {
        let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL",
            "networks": networks });
        let object = lab.object("docker::container", &name, spec);
        let id = object.made().await.id;
        assert_eq!(object.differences(&id).await, []);
        let before = joined();
        let by_hand: &[&str] =
            if networks.is_empty() { &[&other] } else { &[&other, "bridge"] };
        for network in by_hand {
            docker(&["network", "connect", network, &name]);
            assert_eq!(attributes(&object, &id).await, ["networks"], "in {network}");
        }
        object.repair(&id).await.expect("it is repaired");
        assert_eq!(object.differences(&id).await, []);
        assert_eq!(joined(), before);
        object.delete(&id).await.expect("it goes");
    }
}

/// The engine does not note when an image was pulled, so that dollop does.
#[tokio::test]
async fn a_network_that_cannot_be_joined_otherwise_is_joined_as_before() {
    let lab = Lab::open().await;
    let (name, guest, net, more) =
        (unique("in"), unique("guest"), unique("net"), unique("more"));
    let _networks = (network_removed(&net), network_removed(&more));
    let _removed = (container_removed(&name), container_removed(&guest));
    docker(&["network", "create", "--subnet", "10.231.7.0/24", &net]);
    docker(&["network", "create", &more]);
    let run = ["run", "--detach", "--name", &guest, "--network", &net, "--ip", "10.231.7.9"];
    docker(&[&run[..], &[BUSYBOX, "sleep", "600"]].concat());
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL",
        "networks": [{ "network": net, "aliases": ["store"] }, more] });
    let mut object = lab.object("docker::container", &name, spec);
    let id = object.made().await.id;
    object.spec["networks"] =
        json!([{ "network": net, "aliases": ["shop"], "ipv4_address": "10.231.7.9" }]);
    let error = object.repair(&id).await.expect_err("the address is taken");
    assert!(error.notes.iter().any(|note| note.contains("as it was before")), "{error:?}");
    let ping = ["exec", &guest, "ping", "-c1", "-W2", "store"];
    docker(&ping);
    // Nor did it leave the other one for nothing.
    let format = "{{range $name, $end := .NetworkSettings.Networks}}{{$name}} {{end}}";
    assert!(docker(&["inspect", "--format", format, &name]).contains(&more));
    object.spec["networks"] = json!([{ "network": net, "aliases": ["shop"] }]);
    object.repair(&id).await.expect("it joins");
    assert_eq!(object.differences(&id).await, []);
}

#[tokio::test]
async fn what_an_engine_writes_in_another_way_comes_to_rest() {
    let lab = Lab::open().await;
    let name = unique("written");
    let _removed = container_removed(&name);
    let spec = json!({ "image": BUSYBOX, "command": "sleep 600", "stop_signal": "SIGKILL",
        "working_dir": "/tmp/./app/",
        "security_opt": ["systempaths=unconfined", "no-new-privileges:true"] });
    let mut object = lab.object("docker::container", &name, spec);
    let id = object.made().await.id;
    assert_eq!(object.differences(&id).await, []);
    let format = "{{json .HostConfig.MaskedPaths}} {{json .HostConfig.ReadonlyPaths}}";
    assert_eq!(docker(&["inspect", "--format", format, &name]), "[] []");
    object.spec["security_opt"] = json!(["no-new-privileges"]);
    assert_eq!(attributes(&object, &id).await, ["security_opt"]);
}

#[tokio::test]
async fn a_registry_is_asked_once_a_day() {
    let lab = Lab::open().await;
    let (address, path) = (registry_address(), format!("dollop-test/{}:1", unique("daily")));
    let image = format!("{address}/{path}");
    let _image = image_removed(&image);
    // One that was never there: the engine notes by id when an image was tagged.
    let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {path} > /path\n");
    super::support::docker_with_input(&["build", "--quiet", "--tag", &image, "-"], &dockerfile);
    docker(&["push", "--quiet", &image]);
    docker(&["image", "rm", &image]);
    let daily = lab.object("docker::image", &image, json!({ "pull": "daily" }));
    let made = daily.made().await;
    let asked_at = fact(&made.facts, "asked_at");
    assert!(asked_at.is_string(), "{:?}", made.facts);
    let read = async |asked_at: &Json| {
        let facts = json!({ "asked_at": asked_at });
        let found = daily.read_knowing(Some(&made.id), Some(facts)).await.expect("it is there");
        (
            found.spec.get("up_to_date") == Some(&Value::Bool(true)),
            fact(&found.facts, "asked_at"),
        )
    };
    let long_ago = json!("2020-01-01T00:00:00Z");
    let (up_to_date, now) = read(&long_ago).await;
    assert!(up_to_date && now != long_ago, "it is what it was, and was asked: {now}");
    // Somebody pushes another, to the same registry by another name.
    let (_, port) = address.rsplit_once(':').expect("a port");
    let elsewhere = format!("localhost:{port}/{path}");
    docker(&["tag", "redis:7", &elsewhere]);
    docker(&["push", "--quiet", &elsewhere]);
    docker(&["image", "rm", &elsewhere]);
    assert_eq!(read(&asked_at).await, (true, asked_at.clone()), "it is not asked");
    assert_eq!(read(&long_ago).await, (false, long_ago.clone()), "it was moved");
}

#[tokio::test]
async fn a_moved_tag_shows_where_it_counts() {
    let lab = Lab::open().await;
    let image = format!("{}/dollop-test/{}:1", registry_address(), unique("moving"));
    let name = unique("moved");
    let _image = image_removed(&image);
    let _container = container_removed(&name);
    docker(&["tag", BUSYBOX, &image]);
    docker(&["push", "--quiet", &image]);

    let always = lab.object("docker::image", &image, json!({ "pull": "always" }));
    let made = always.made().await;
    assert_eq!(always.differences(&made.id).await, []);
    let spec = json!({ "image": image, "command": "sleep 600", "stop_signal": "SIGKILL" });
    let container = lab.object("docker::container", &name, spec);
    let running = container.made().await;
    assert_eq!(container.differences(&running.id).await, []);
    assert_eq!(fact(&running.facts, "image_digest"), fact(&made.facts, "repo_digest"));

    // Somebody pushes another image under that tag; here, nobody pulled it.
    docker(&["tag", "redis:7", &image]);
    docker(&["push", "--quiet", &image]);
    docker(&["tag", BUSYBOX, &image]);
    let stale = [("up_to_date".to_owned(), json!(true), json!(false))];
    assert_eq!(always.differences(&made.id).await, stale);
    assert_eq!(container.differences(&running.id).await, []);
    let short = |facts: &Value| {
        let pinned = fact(facts, "repo_digest");
        let (_, digest) = pinned.as_str().and_then(|text| text.split_once('@')).expect("it is");
        digest[..19].to_owned()
    };
    let notes = always.preview(&made.id).await.notes;

    let facts = always.repair(&made.id).await.expect("it is pulled");
    assert_eq!(always.differences(&made.id).await, []);
    assert_ne!(fact(&facts, "id"), fact(&made.facts, "id"));
    let moved = format!("{} → {}", short(&made.facts), short(&facts));
    assert_eq!(notes, [format!("`{image}` was moved in its registry: {moved}")]);
    assert!(always.preview(&made.id).await.notes.is_empty());
    // The container was made from what the tag meant before.
    let old = fact(&made.facts, "id");
    let differs = [("image".to_owned(), json!(image), old)];
    assert_eq!(container.differences(&running.id).await, differs);
}

#[tokio::test]
async fn an_image_is_built_again_when_its_files_change() {
    let lab = Lab::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write("Dockerfile", &format!("FROM {BUSYBOX}\nCOPY . /app\n"));
    write(".dockerignore", "*.log\n");
    write("main", "1");
    let image = unique("built");
    let _image = image_removed(&format!("{image}:latest"));
    let context = folder.path().to_str().expect("its path");
    let spec = json!({ "build": { "context": context }, "keep": false });
    let object = lab.object("docker::image", &image, spec);
    let made = object.made().await;
    assert_eq!(object.differences(&made.id).await, []);

    write("debug.log", "noise");
    assert_eq!(object.differences(&made.id).await, []);
    write("main", "2");
    let stale = [("up_to_date".to_owned(), json!(true), json!(false))];
    assert_eq!(object.differences(&made.id).await, stale);
    let facts = object.repair(&made.id).await.expect("it is built");
    assert_eq!(object.differences(&made.id).await, []);
    assert_ne!(fact(&facts, "id"), fact(&made.facts, "id"));
    assert_eq!(docker(&["run", "--rm", &image, "ls", "/app"]), "Dockerfile\nmain");

    write(
        "Dockerfile",
        &format!("FROM {BUSYBOX}\nRUN echo compiling; echo no such file; exit 3\n"),
    );
    let error = object.repair(&made.id).await.expect_err("it fails");
    assert!(error.message.ends_with("exit code: 3"), "{}", error.message);
    assert!(error.notes[0].ends_with("compiling\nno such file"), "{:?}", error.notes);

    std::fs::remove_file(folder.path().join("Dockerfile")).expect("it goes");
    let error = object.repair(&made.id).await.expect_err("it fails");
    assert!(error.message.contains("No such file or directory"), "{}", error.message);

    // One that a container uses stays.
    let name = unique("user");
    let _container = container_removed(&name);
    docker(&["create", "--name", &name, &image]);
    object.delete(&made.id).await.expect("it is left");
    docker(&["image", "inspect", &image]);
    docker(&["rm", &name]);
    object.delete(&made.id).await.expect("it goes");
    assert!(object.read(None).await.is_none());
}

#[tokio::test]
async fn a_job_runs_when_it_must_and_says_what_went_wrong() {
    let lab = Lab::open().await;
    let (name, host) = (unique("migrate"), unique("host"));
    let _removed = (container_removed(&name), container_removed(&host));
    docker(&["run", "--detach", "--name", &host, BUSYBOX, "sleep", "1000"]);

    let count = "echo run >> /runs; wc -l < /runs";
    let spec = json!({ "container": host, "command": ["sh", "-c", count] });
    let mut object = lab.object("docker::job", &name, spec);
    let made = object.made().await;
    assert_eq!(fact(&made.facts, "output"), json!("1"));
    object.spec["inputs"] = json!({ "schema": "2" });
    let to = object.normal(&object.spec);
    let facts = object.kind.calls.update(&lab.engine, &object.name, &made.id, &to, &to).await;
    assert_eq!(fact(&facts.expect("it runs"), "output"), json!("2"));
    object.spec["check"] = json!("test -s /runs");
    let to = object.normal(&object.spec);
    let facts = object.kind.calls.update(&lab.engine, &object.name, &made.id, &to, &to).await;
    assert_eq!(fact(&facts.expect("it is done"), "was_done"), json!(true));
    assert_eq!(docker(&["exec", &host, "cat", "/runs"]), "run\nrun");

    let spec = json!({
        "image": BUSYBOX,
        "command": "sh -c 'echo no table for $PASSWORD; exit 4'",
        "env": { "PASSWORD": "hunter2-in-tests" },
    });
    let object = lab.object("docker::job", &name, spec);
    for _ in 0..2 {
        // The second one clears away what the first left.
        let error = object.refused().await;
        assert_eq!(error.message, format!("job `{name}` ended with code 4"));
        assert_eq!(error.notes, ["the end of its output:\nno table for ${PASSWORD}"]);
    }
    docker(&["inspect", &name]);
    object.delete(&name).await.expect("it goes");
    assert!(
        docker(&["ps", "--all", "--quiet", "--filter", &format!("name={name}")]).is_empty()
    );

    // A container of somebody else is no job of ours, however it ended.
    docker(&["create", "--name", &name, BUSYBOX, "nothing"]);
    let error = object.refused().await;
    assert!(error.message.contains("exists already"), "{}", error.message);
}

#[tokio::test]
async fn a_job_that_takes_too_long_goes_on_and_is_waited_for() {
    let lab = Lab::open().await;
    let (name, other, host) = (unique("slow"), unique("within"), unique("host"));
    let _removed = (container_removed(&name), container_removed(&host));
    docker(&["run", "--detach", "--name", &host, BUSYBOX, "sleep", "1000"]);
    let slow = "echo began | tee -a /ends; sleep 8; echo ended | tee -a /ends";
    let jobs = [
        (&name, json!({ "image": BUSYBOX, "check": "test -e /done" })),
        (&other, json!({ "container": host })),
    ];
    for (name, mut spec) in jobs {
        spec["command"] = json!(["sh", "-c", slow]);
        spec["timeout"] = json!("1s");
        let mut object = lab.object("docker::job", name, spec);
        // The engine's own time is added for a command in another container.
        if object.spec["container"] == json!(null) {
            for _ in 0..2 {
                let error = object.refused().await;
                assert!(error.message.contains("has not ended"), "{}", error.message);
                let hints = error.hints.join(" ");
                assert!(hints.contains(&format!("`docker rm --force {name}`")), "{hints}");
            }
            // Declared otherwise, it would be another command beside it.
            object.spec["env"] = json!({ "A": "1" });
            let error = object.refused().await;
            assert!(error.message.contains("declared otherwise"), "{}", error.message);
            object.spec["env"] = json!({});
            // So would it be with other inputs.
            object.spec["inputs"] = json!({ "schema": "2" });
            let error = object.refused().await;
            assert!(error.message.contains("declared otherwise"), "{}", error.message);
            object.spec["inputs"] = json!({});
        } else {
            let command = ["exec", "--detach", &host, "sh", "-c", slow];
            docker(&command);
        }
        object.spec["timeout"] = json!("30s");
        let made = object.made().await;
        if object.spec["container"] == json!(null) {
            assert_eq!(fact(&made.facts, "output"), json!("began\nended"));
        } else {
            // Nobody knows whose the other one was.
            assert_eq!(fact(&made.facts, "output"), json!("began\nended"));
            let runs = docker(&["exec", &host, "cat", "/ends"]);
            assert_eq!(runs, "began\nended\nbegan\nended", "one after the other");
        }
    }
}

#[tokio::test]
async fn an_engine_is_found_by_context_and_what_is_wrong_is_said() {
    let lab = Lab::open().await;
    let dial = &lab.registry.connection_kind("docker::engine").expect("a kind").dial;
    let cases = [
        (json!({ "context": "nowhere" }), "there is no docker context `nowhere`"),
        (
            json!({ "host": "tcp://127.0.0.1:1",
                    "tls": { "ca": "no-ca.pem", "cert": "no-cert.pem", "key": "no-key.pem" } }),
            "no-key.pem` cannot be read: no such file or directory",
        ),
        (
            json!({ "host": "ssh://127.0.0.1:1" }),
            "an engine by SSH takes no port: `127.0.0.1:1`",
        ),
    ];
    for (spec, says) in cases {
        let spec = dial.normalize(&Value::from(spec)).expect("a valid spec");
        let scope = dollop_engine::resource::Scope {
            stack: "x".to_owned(),
            folder: std::env::temp_dir(),
        };
        let opened: Result<OpenConnection, _> = dial.open(&spec, scope).await;
        let error = opened.expect_err("no engine is there");
        assert!(error.message.contains(says), "{}", error.message);
        println!("{}\n  {:?}", error.message, error.hints);
    }
    // The default context is the local engine.
    dollop_tests::conformance::open(
        &lab.registry,
        "docker::engine",
        json!({ "context": "default" }),
    )
    .await;
}

/// The engine keeps to `cpus` or to a quota once it was told one of them; either is said by the
/// other from then on.
#[tokio::test]
async fn a_share_of_processors_becomes_a_quota_in_place_and_back() {
    let lab = Lab::open().await;
    for (first, then) in [
        (json!({ "cpus": 0.5 }), json!({ "cpu_quota": "20ms" })),
        (json!({ "cpu_quota": "20ms" }), json!({ "cpus": 0.5 })),
    ] {
        let name = unique("share");
        let _removed = container_removed(&name);
        let spec = |limits: &Json| {
            let mut spec = json!({ "image": BUSYBOX, "command": "sleep 600",
                "stop_signal": "SIGKILL" });
            let all = spec.as_object_mut().expect("a map");
            all.extend(limits.as_object().expect("a map").clone());
            spec
        };
        let mut object = lab.object("docker::container", &name, spec(&first));
        let id = object.made().await.id;
        let nothing = json!({});
        for limits in [&first, &then, &nothing, &then, &first] {
            object.spec = spec(limits);
            object.repair(&id).await.unwrap_or_else(|error| panic!("{limits}: {error:?}"));
            assert_eq!(object.differences(&id).await, [], "{limits}");
            let share = docker(&[
                "exec",
                &name,
                "sh",
                "-c",
                "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us",
            ]);
            let (quota, period) = share.split_once('\n').expect("two numbers");
            let number = |text: &str| text.trim().parse::<f64>().expect("a number");
            let share = number(quota) / number(period);
            let wanted = match (limits.get("cpus"), limits.get("cpu_quota")) {
                (Some(_), _) => 0.5,
                (None, Some(_)) => 0.2,
                // Nothing, or all of the machine.
                (None, None) => {
                    assert!(!(0.0..1.0).contains(&share), "{share}");
                    continue;
                }
            };
            assert!((share - wanted).abs() < 0.001, "{limits}: {share}");
        }
    }
}
