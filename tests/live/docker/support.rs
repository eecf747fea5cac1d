//! What the Docker tests share: the command line beside the provider, and tidying up.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use dollop_engine::address::Address;
use dollop_engine::error::CallError;
use dollop_engine::kind::{FoundObject, Kind, OpenConnection, Registry};
use dollop_engine::resource::{Beside, Created, Name, Preview, Proposed, Wanted};
use dollop_engine::value::Value;
use dollop_tests::conformance::{STACK, open};
use serde_json::{Value as Json, json};

/// A small image every lab has.
pub(super) const BUSYBOX: &str = "busybox:1.35";

/// A name nothing else uses.
pub(super) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("dollop-test-docker-{what}-{}-{next}", std::process::id())
}

/// Runs `docker` and returns what it prints.
pub(super) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the docker program");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {error}");
    text
}

/// Runs `docker` with text on its standard input.
pub(super) fn docker_with_input(arguments: &[&str], input: &str) {
    let mut child = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the docker program");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("docker reads");
    drop(pipe);
    let output = child.wait_with_output().expect("docker ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {error}");
}

/// The lab's registry, `127.0.0.1:5000`.
pub(super) fn registry_address() -> String {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/lab");
    let output = Command::new(&lab).arg("env").output().expect("tests/lab/lab");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("export DOLLOP_LAB_REGISTRY="));
    line.expect("the lab's registry").to_owned()
}

/// Removes what a test leaves behind, also when it fails. Guards run in reverse order, so
/// that of a container is made after those of what it uses.
pub(super) struct Removed(&'static [&'static str], String);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(self.0).arg(&self.1).output();
    }
}

/// Removes the container of that name in the end.
pub(super) fn container_removed(name: &str) -> Removed {
    Removed(&["container", "rm", "--force", "--volumes"], name.to_owned())
}

/// Removes the network of that name in the end.
pub(super) fn network_removed(name: &str) -> Removed {
    Removed(&["network", "rm"], name.to_owned())
}

/// Removes the volume of that name in the end.
pub(super) fn volume_removed(name: &str) -> Removed {
    Removed(&["volume", "rm"], name.to_owned())
}

/// Removes the image of that name in the end.
pub(super) fn image_removed(name: &str) -> Removed {
    Removed(&["image", "rm"], name.to_owned())
}

/// The provider with an open engine.
pub(super) struct Lab {
    pub(super) registry: Registry,
    pub(super) engine: OpenConnection,
}

impl Lab {
    pub(super) async fn open() -> Self {
        let registry = dollop_stdlib::registry();
        let engine = open(&registry, "docker::engine", json!({})).await;
        Self { registry, engine }
    }

    /// One object of a kind, called the same here and in the world.
    pub(super) fn object(&self, kind: &'static str, name: &str, spec: Json) -> Object<'_> {
        let kind = self.registry.kind(kind).expect("a registered kind");
        let address = Address::new(Vec::new(), kind.name, vec![name.to_owned()]);
        let name = Name { stack: STACK.to_owned(), address, natural: name.to_owned() };
        Object { lab: self, kind, name, spec }
    }
}

/// One object of a test.
pub(super) struct Object<'a> {
    lab: &'a Lab,
    pub(super) kind: &'a Kind,
    pub(super) name: Name,
    pub(super) spec: Json,
}

impl Object<'_> {
    /// The normal form of a spec.
    pub(super) fn normal(&self, spec: &Json) -> Value {
        let mut spec = spec.clone();
        spec["name"] = json!(self.name.natural);
        let normal = self.kind.calls.normalize(&Value::from(spec));
        normal.unwrap_or_else(|error| panic!("`{}`: {}", error.path, error.message))
    }

    pub(super) async fn create(&self) -> Result<Created<Value>, CallError> {
        let spec = self.normal(&self.spec);
        self.kind.calls.create(&self.lab.engine, &self.name, &spec).await
    }

    pub(super) async fn made(&self) -> Created<Value> {
        self.create().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.name.natural))
    }

    pub(super) async fn refused(&self) -> CallError {
        match self.create().await {
            Ok(_) => panic!("{} was made", self.name.natural),
            Err(error) => error,
        }
    }

    pub(super) async fn read(&self, id: Option<&str>) -> Option<FoundObject> {
        self.read_knowing(id, None).await
    }

    /// The same with what is recorded of its facts.
    pub(super) async fn read_knowing(
        &self,
        id: Option<&str>,
        facts: Option<Json>,
    ) -> Option<FoundObject> {
        let (spec, id) = (self.normal(&self.spec), id.map(str::to_owned));
        let wanted = Wanted { id, name: self.name.clone(), facts, spec };
        let mut answers = self.kind.calls.read(&self.lab.engine, vec![wanted]).await;
        answers.remove(0).expect("an answer")
    }

    /// Reads it and returns the attributes that differ from what was asked, as JSON pairs.
    pub(super) async fn differences(&self, id: &str) -> Vec<(String, Json, Json)> {
        let found = self.read(Some(id)).await.expect("it is there").spec.to_json();
        let wanted = self.normal(&self.spec).to_json();
        let wanted = wanted.as_object().expect("a map");
        let differing = wanted.iter().filter(|(key, value)| found[*key] != **value);
        differing.map(|(key, value)| (key.clone(), value.clone(), found[key].clone())).collect()
    }

    /// Brings it from what it is to what the spec says, as an apply would.
    pub(super) async fn repair(&self, id: &str) -> Result<Value, CallError> {
        let found = self.read(Some(id)).await.expect("it is there").spec;
        let to = self.normal(&self.spec);
        self.kind.calls.update(&self.lab.engine, &self.name, id, &found, &to).await
    }

    /// What the service says of the change from what it is to what the spec says.
    pub(super) async fn preview(&self, id: &str) -> Preview {
        let found = self.read(Some(id)).await.expect("it is there").spec;
        let to = self.normal(&self.spec);
        let (name, id) = (self.name.clone(), Some(id.to_owned()));
        let proposed = Proposed { name, id, from: Some(found), to, anew: false };
        let told =
            self.kind.calls.preview(&self.lab.engine, vec![proposed], Beside::default()).await;
        told.expect("an answer").remove(0)
    }

    pub(super) async fn delete(&self, id: &str) -> Result<(), CallError> {
        let spec = self.normal(&self.spec);
        self.kind.calls.delete(&self.lab.engine, &self.name, id, &spec).await
    }
}
