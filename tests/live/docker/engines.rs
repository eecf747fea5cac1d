//! Engines that are restarted, far away, or behind a login.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dollop_tests::certificates::{ENDED, authority, certificate, expired};
use dollop_tests::cli::{Project, Run, binary};

use super::second::SecondEngine;
use super::support::{BUSYBOX, container_removed, docker, image_removed, unique};
use crate::live::quickstart::Stack;

/// Six containers, one after the other.
const CHAIN: &str = r#"
    let before = [];
    for n in 0..6 {
        let one = docker::container(`c${n}`, #{ image: "busybox:1.35", command: "sleep 600",
            stop_signal: "SIGKILL", depends_on: before,
            healthcheck: #{ test: "true", interval: "300ms" }, wait: "healthy" });
        before = [one];
    }
"#;

#[test]
fn an_engine_restarted_in_the_middle_of_an_apply_loses_nothing() {
    // Without a network for containers that are in no other, which is no drift.
    let mut engine = SecondEngine::start(&["--bridge=none"]);
    for (name, signal) in [("restarted", "TERM"), ("crashed", "KILL")] {
        let project = Project::new(name, CHAIN).env("DOCKER_HOST", &engine.host());
        let running = project.start(&["apply", "--auto-approve"]);
        let names = |engine: &SecondEngine| {
            let filter = format!("label=dollop.stack={name}");
            let format = ["--format", "{{.Names}}", "--filter", &filter];
            let listed = engine.docker(&[&["ps", "--all"], &format[..]].concat());
            let mut listed: Vec<String> = listed.lines().map(str::to_owned).collect();
            listed.sort();
            listed
        };
        let begun = Instant::now();
        while names(&engine).len() < 2 {
            assert!(begun.elapsed() < Duration::from_mins(1), "nothing is made");
            std::thread::sleep(Duration::from_millis(20));
        }
        engine.end(signal);
        engine.go_on();
        let run = running.end();
        println!("{name}:\n{}", run.text());
        // It went on, or said what happened.
        if run.code != Some(0) {
            assert_eq!(run.code, Some(1), "{}", run.text());
            assert!(run.stderr.contains("Docker engine at"), "{}", run.stderr);
        }
        drop(project.run(&["apply", "--auto-approve"]).expect(0));
        let again = project.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(again.code, Some(0), "{}", again.text());
        let all: Vec<_> = (0..6).map(|n| format!("{name}-c{n}")).collect();
        assert_eq!(names(&engine), all, "each is there once");
        drop(project.run(&["destroy", "--auto-approve"]).expect(0));
    }
}

/// Runs a program to its end.
fn tool(program: &str, arguments: &[&str], folder: &Path) {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
}

/// An authority, and certificates of a server and a client by it.
fn certificates(folder: &Path) {
    for ca in ["ca", "other"] {
        authority(folder, ca);
    }
    let client = "extendedKeyUsage=clientAuth";
    certificate(folder, "server", "server", FOR_SERVERS, "ca");
    certificate(folder, "cert", "cert", client, "ca");
    certificate(folder, "stranger", "stranger", client, "other");
    expired(folder, "over", "over", client, "ca");
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    std::fs::write(folder.join("bundle.pem"), [file("over.pem"), file("ca.pem")].concat())
        .expect("a bundle");
    // Without extensions it is one of the first version.
    let sign = "x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out first.pem";
    tool("openssl", &sign.split(' ').collect::<Vec<_>>(), folder);
    std::fs::copy(folder.join("cert.key"), folder.join("first.key")).expect("its key");
    let weak =
        "req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -keyout weak.key -out weak.pem";
    tool("openssl", &weak.split(' ').collect::<Vec<_>>(), folder);
}

/// What a server's certificate says beside its name.
const FOR_SERVERS: &str = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth";

#[test]
fn an_engine_is_reached_over_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    std::fs::copy(file("cert.key"), file("none.pem")).expect("no certificate");
    let mut engine = SecondEngine::start(&[
        "--host",
        "tcp://127.0.0.1:2376",
        "--tlsverify",
        "--tlscacert",
        &ca,
        "--tlscert",
        &cert,
        "--tlskey",
        &key,
    ]);
    let at = |host: &str, tls: &str, more: &str| {
        format!(
            r#"let far = docker::engine("far", #{{ host: "tcp://{host}:2376", {tls} }});
            let built = far.image("dollop-test/far:1", #{{ build: #{{ context: ".",
                dockerfile_inline: "FROM {BUSYBOX}\nRUN --mount=type=secret,id=s,required=true cp /run/secrets/s /s", secrets: #{{ s: "secret-word" }} }} }});
            let box = far.container("box", #{{ image: built, command: "sleep 600",
                stop_signal: "SIGKILL", {more} }});
            output("state", box.state);"#
        )
    };
    let tls = |ca: &str, cert: &str, key: &str| {
        let [ca, cert] = [ca, cert].map(|name| file(&format!("{name}.pem")));
        let key = file(&format!("{key}.key"));
        format!(r#"tls: #{{ ca: "{ca}", cert: "{cert}", key: "{key}" }}"#)
    };
    let good = tls("ca", "cert", "cert");
    let script = at("127.0.0.1", &good, "");
    let project = Project::new("tls", &script);
    let run = |arguments: &[&str]| engine.inside(&project.folder(), arguments);
    drop(run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(engine.docker(&["ps", "--format", "{{.Names}}"]), "tls-box");
    assert_eq!(engine.docker(&["exec", "tls-box", "cat", "/s"]), "secret-word");
    drop(run(&["plan", "--detailed-exitcode"]).expect(0));
    let (here, stranger) = ("127.0.0.1", tls("ca", "stranger", "stranger"));
    let over = format!("over.pem` {ENDED}");
    for (host, tls, says) in [
        (here, stranger, "the engine refuses our certificate, `cert`"),
        (here, tls("ca", "over", "over"), over.as_str()),
        (here, tls("other", "cert", "cert"), "is not by the authority in `ca`"),
        ("localhost", good.clone(), "the engine's certificate is for another name"),
        (here, tls("ca", "cert", "server"), "server.key` is not the key of"),
        (here, tls("ca", "first", "first"), "first.pem` is a version 1 certificate"),
        (here, tls("ca", "weak", "weak"), "weak.key` is of a kind that cannot be used"),
        (here, tls("over", "cert", "cert"), over.as_str()),
        (here, tls("none", "cert", "cert"), "none.pem` holds no certificate"),
        (here, String::new(), "it wants TLS"),
    ] {
        project.write("stack.rhai", &at(host, &tls, ""));
        let refused = run(&["plan"]).expect(1);
        println!("{}", refused.stderr);
        let said = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(says), "{}", refused.stderr);
    }
    // Of several authorities one that can still vouch is enough.
    project.write("stack.rhai", &at(here, &tls("bundle", "cert", "cert"), ""));
    drop(run(&["plan"]).expect(0));
    // At a socket nobody needs them.
    let socket = at(here, &tls("ca", "cert", "server"), "");
    project.write("stack.rhai", &socket.replace("tcp://127.0.0.1:2376", "unix:///x.sock"));
    drop(run(&["check"]).expect(0));
    // Its files are not on this machine.
    let tracked = r#"volumes: ["/etc:/conf:ro"], track: #{ "/conf": "none" }"#;
    project.write("stack.rhai", &at(here, &good, tracked));
    let refused = run(&["apply", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains("`track` cannot look into"), "{}", refused.stderr);
    project.write("stack.rhai", &script);
    drop(run(&["destroy", "--auto-approve"]).expect(0));
    assert_eq!(engine.docker(&["ps", "--all", "--quiet"]), "");

    // Its own has ended.
    expired(folder.path(), "server", "server", FOR_SERVERS, "ca");
    engine.end("TERM");
    engine.go_on();
    let refused = engine.inside(&project.folder(), &["plan"]).expect(1).stderr;
    let said = refused.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&format!("the engine's certificate {ENDED}")), "{refused}");
}

#[test]
fn what_an_engine_fills_in_by_its_configuration_is_no_drift() {
    let filled = ["--default-shm-size", "96m", "--default-ipc-mode", "shareable"];
    let more = ["--log-opt", "max-size=5m", "--bridge=none"];
    let limits = ["--default-ulimit", "nofile=2048:4096"];
    let engine = SecondEngine::start(&[&filled[..], &more[..], &limits[..]].concat());
    let script = |more: &str| {
        format!(
            r#"docker::container("box", #{{ image: "{BUSYBOX}", command: "sleep 600",
                stop_signal: "SIGKILL", {more} }});"#
        )
    };
    let project = Project::new("filled", &script("")).env("DOCKER_HOST", &engine.host());
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let format = "{{.HostConfig.ShmSize}} {{.HostConfig.IpcMode}}";
    assert_eq!(
        engine.docker(&["inspect", "--format", format, "filled-box"]),
        "100663296 shareable"
    );
    drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
    // What was asked for and is not any more shows.
    let log = "logging: #{ options: #{ \"max-file\": \"2\" } },";
    let limits = "ulimits: #{ nofile: 1024, core: 0 },";
    for more in ["shm_size: \"32m\",", "ipc: \"private\",", "cgroup: \"host\",", log, limits] {
        project.write("stack.rhai", &script(more));
        drop(project.run(&["apply", "--auto-approve"]).expect(0));
        drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
        project.write("stack.rhai", &script(""));
        drop(project.run(&["plan", "--detailed-exitcode"]).expect(2));
        drop(project.run(&["apply", "--auto-approve"]).expect(0));
        drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
    }
    drop(project.run(&["destroy", "--auto-approve"]).expect(0));
}

/// A program that ends with this value.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

fn wait_for_port(port: u16) {
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_engine_is_reached_over_ssh() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let port = free_port();
    for key in ["host", "own", "stranger"] {
        let new = ["-q", "-t", "ed25519", "-N", "", "-f", &file(key)];
        tool("ssh-keygen", &new, folder.path());
    }
    std::fs::copy(file("own.pub"), file("authorized")).expect("a copy");
    let host = std::fs::read_to_string(file("host.pub")).expect("the key");
    // The client reads what root's folder says, whatever HOME is.
    let home = folder.path().join("ssh");
    std::fs::create_dir(&home).expect("a folder");
    std::fs::write(home.join("known_hosts"), format!("[127.0.0.1]:{port} {host}"))
        .expect("a file");
    let nickname = format!("Host far\nHostName 127.0.0.1\nPort {port}\nUser root\n");
    std::fs::write(home.join("config"), nickname).expect("a file");
    let configuration = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n\
         AcceptEnv DOCKER_HOST\n",
        file("host"),
        file("authorized"),
    );
    std::fs::write(file("config"), configuration).expect("a file");
    std::fs::create_dir_all("/run/sshd").expect("the folder of the server");
    let server = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f", &file("config")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(file("log")).expect("a log"))
        .spawn();
    let _server = Ending(server.expect("the server of `openssh-server`"));
    wait_for_port(port);

    let name = unique("ssh");
    let image = format!("{name}:1");
    let _image = image_removed(&image);
    let _container = container_removed(&format!("{name}-box"));
    let script = |key: &str| {
        format!(
            r#"let far = docker::engine("far", #{{ host: "ssh://root@far",
                ssh_key: "{}" }});
            let built = far.image("{image}", #{{ keep: false, build: #{{ context: ".",
                dockerfile_inline: "FROM {BUSYBOX}\nRUN --mount=type=secret,id=s,required=true cp /run/secrets/s /s", secrets: #{{ s: "secret-word" }} }} }});
            far.container("box", #{{ image: built, command: "sleep 600",
                stop_signal: "SIGKILL", ports: ["127.0.0.1::80"],
                files: #{{ "/etc/far": "away" }} }});"#,
            file(key)
        )
    };
    let project = Project::new(&name, &script("own"));
    let run = |arguments: &[&str]| {
        let line = "mkdir -p /root/.ssh; mount --bind \"$1\" /root/.ssh; shift; exec \"$@\"";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", line, "sh", &home.to_string_lossy()])
            .arg(binary())
            .args(arguments)
            .current_dir(project.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .env("COLUMNS", "100")
            .output();
        Run::of(&output.expect("unshare of util-linux, as root"))
    };
    drop(run(&["apply", "--auto-approve"]).expect(0));
    assert_eq!(docker(&["exec", &format!("{name}-box"), "cat", "/etc/far"]), "away");
    assert_eq!(docker(&["exec", &format!("{name}-box"), "cat", "/s"]), "secret-word");
    drop(run(&["plan", "--detailed-exitcode"]).expect(0));
    project.write("stack.rhai", &script("stranger"));
    let refused = run(&["plan"]).expect(1);
    assert!(refused.stderr.contains("no Docker engine answers at"), "{}", refused.stderr);
    println!("{}", refused.stderr);
    project.write("stack.rhai", &script("own"));
    drop(run(&["destroy", "--auto-approve"]).expect(0));
    let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("name={name}-box")]);
    assert_eq!(left, "");
}

/// `user` with the password `correct horse`.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";

/// The program of the lab's registry.
fn registry_program() -> String {
    let unpacked = std::env::var("DOLLOP_LAB_DIR").unwrap_or_else(|_| {
        let home = std::env::var("HOME").unwrap_or_default();
        let state = std::env::var("XDG_STATE_HOME").unwrap_or(format!("{home}/.local/state"));
        format!("{state}/dollop-lab")
    });
    let unpacked = format!("{unpacked}/registry/program/usr/bin/docker-registry");
    if Path::new(&unpacked).exists() { unpacked } else { "docker-registry".to_owned() }
}

#[test]
fn a_registry_with_a_password_is_logged_in_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let port = free_port();
    std::fs::write(file("htpasswd"), HTPASSWD).expect("a file");
    let configuration = format!(
        "version: 0.1\nlog: {{ level: warn }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
         http: {{ addr: \"127.0.0.1:{port}\" }}\n\
         auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n",
        file("data"),
        file("htpasswd"),
    );
    std::fs::write(file("config.yml"), configuration).expect("a file");
    let server = Command::new(registry_program())
        .args(["serve", &file("config.yml")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(file("log")).expect("a log"))
        .spawn();
    let _server = Ending(server.expect("the lab's registry program"));
    wait_for_port(port);

    let name = unique("login");
    let registry = format!("127.0.0.1:{port}");
    let image = format!("{registry}/team/app:1");
    let base = format!("{registry}/team/base:1");
    let _images = [image_removed(&image), image_removed(&base)];
    let script = |engine: &str| {
        format!(
            r#"{engine}
            let base = far.image("{base}", #{{ keep: false,
                build: #{{ context: ".", dockerfile_inline: "FROM {BUSYBOX}\nRUN true" }},
                push: true }});
            let app = far.image("{image}", #{{ keep: false, push: true, depends_on: base,
                build: #{{ context: ".", dockerfile_inline: "FROM {base}\nRUN echo 1 > /v",
                    pull: true }} }});
            far.container("app", #{{ image: app, command: "sleep 600", stop_signal: "SIGKILL",
                depends_on: app }});"#
        )
    };
    let login = format!(
        r#"let far = docker::engine("far", #{{ registries: #{{
            "{registry}": #{{ username: "user", password: "PASSWORD" }} }} }});"#
    );
    // Nobody: says whose login is missing. The wrong one: the same, without telling it.
    let project = Project::new(&name, &script("let far = docker::engine(\"far\", #{});"));
    let stack = Stack::of(project, &name);
    let refused = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains(&format!("docker login {registry}")), "{}", refused.stderr);
    let wrong = login.replace("PASSWORD", "hunter2-is-wrong");
    stack.project.write("stack.rhai", &script(&wrong));
    let refused = stack.project.run(&["apply", "--auto-approve"]).expect(1);
    assert!(refused.stderr.contains(&registry), "{}", refused.stderr);
    assert!(!refused.text().contains("hunter2-is-wrong"), "{}", refused.text());

    // Declared.
    stack.project.write("stack.rhai", &script(&login.replace("PASSWORD", "correct horse")));
    stack.apply();
    stack.expect_no_changes();
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));

    // What `docker login` left, also for a pull: nothing is here any more.
    let config = folder.path().join("docker");
    let ran = Command::new("docker")
        .args(["--config", &config.to_string_lossy(), "login", "--username", "user"])
        .args(["--password", "correct horse", &registry])
        .output();
    let ran = ran.expect("the docker program");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let pulled = format!(
        r#"docker::image("{image}", #{{ keep: false, pull: "always" }});
        docker::container("app", #{{ image: "{image}", command: "sleep 600",
            stop_signal: "SIGKILL" }});"#
    );
    let name = unique("pulled");
    let project = Project::new(&name, &pulled);
    let project = project.env("DOCKER_CONFIG", &config.to_string_lossy());
    let stack = Stack::of(project, &name);
    stack.apply();
    stack.expect_no_changes();
    assert_eq!(docker(&["exec", &stack.container("app"), "cat", "/v"]), "1");
    drop(stack.project.run(&["destroy", "--auto-approve"]).expect(0));
}
