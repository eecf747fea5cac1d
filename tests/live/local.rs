//! The local provider against the real thing.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use dollop_engine::error::Failure;
use dollop_engine::kind::{OpenConnection, Registry};
use dollop_engine::resource::{Scope, Wanted};
use dollop_engine::value::Value;
use dollop_tests::conformance::{STACK, Sample, conform, name_of};
use serde_json::{Value as Json, json};

async fn host(registry: &Registry, folder: &Path) -> OpenConnection {
    let kind = registry.connection_kind("local::host").unwrap();
    let spec = kind.dial.normalize(&Value::from(json!({}))).unwrap();
    let scope = Scope { stack: STACK.to_owned(), folder: folder.to_owned() };
    kind.dial.open(&spec, scope).await.unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// One kind in a project folder of its own.
struct Bench {
    registry: Registry,
    host: OpenConnection,
    folder: tempfile::TempDir,
    kind: &'static str,
}

impl Bench {
    async fn of(kind: &'static str) -> Self {
        let registry = dollop_stdlib::registry();
        let folder = tempfile::tempdir().unwrap();
        let host = host(&registry, folder.path()).await;
        Self { registry, host, folder, kind }
    }

    fn spec(&self, spec: Json) -> Value {
        let kind = self.registry.kind(self.kind).unwrap();
        kind.calls.normalize(&Value::from(spec)).unwrap()
    }

    fn problems(&self, spec: Json) -> Vec<String> {
        let kind = self.registry.kind(self.kind).unwrap();
        let problems = kind.calls.check(&self.spec(spec));
        problems.into_iter().map(|p| format!("{}: {}", p.attribute, p.message)).collect()
    }

    async fn create(
        &self,
        spec: &Value,
    ) -> Result<(String, Json), dollop_engine::error::CallError> {
        let kind = self.registry.kind(self.kind).unwrap();
        let name = name_of(kind, "it");
        let created = kind.calls.create(&self.host, &name, spec).await?;
        Ok((created.id, created.facts.to_json()))
    }

    async fn read(&self, spec: &Value) -> Option<dollop_engine::kind::FoundObject> {
        let kind = self.registry.kind(self.kind).unwrap();
        let name = name_of(kind, "it");
        let wanted = Wanted { id: None, name, spec: spec.clone(), facts: None };
        kind.calls.read(&self.host, vec![wanted]).await.remove(0).unwrap()
    }
}

#[tokio::test]
async fn file_conforms() {
    let bench = Bench::of("local::file").await;
    let sample = Sample {
        kind: "local::file",
        name: "conf".to_owned(),
        base: json!({ "path": "made/on/the/way/app.conf", "content": "a = 1\n" }),
        changes: vec![
            ("content", json!("ü and \u{0} too")),
            ("content", json!("")),
            ("mode", json!("600")),
            ("path", json!("./made/other.conf")),
            ("path", json!(bench.folder.path().join("absolute.conf"))),
        ],
        fixed: &[],
    };
    conform(&bench.registry, &bench.host, &sample).await;
    assert!(bench.folder.path().join("made/on/the/way").is_dir());
    let left = std::fs::read_dir(bench.folder.path().join("made/on/the/way")).unwrap().count();
    assert_eq!(left, 0, "no draft stays behind");
}

#[tokio::test]
async fn random_conforms() {
    let bench = Bench::of("local::random").await;
    let sample = Sample {
        kind: "local::random",
        name: "password".to_owned(),
        base: json!({ "special": true }),
        changes: vec![
            ("length", json!(64)),
            ("lower", json!(false)),
            ("upper", json!(false)),
            ("digits", json!(false)),
            ("special", json!(false)),
            ("special_chars", json!("_-")),
            ("keepers", json!({ "year": 2026 })),
        ],
        fixed: &[],
    };
    conform(&bench.registry, &bench.host, &sample).await;
}

#[tokio::test]
async fn data_conforms() {
    let bench = Bench::of("local::data").await;
    let sample = Sample {
        kind: "local::data",
        name: "marker".to_owned(),
        base: json!({ "input": { "a": [1, null, "x"] } }),
        changes: vec![
            ("input", json!("text")),
            ("input", json!(null)),
            ("triggers", json!([1, { "b": false }])),
        ],
        fixed: &[],
    };
    conform(&bench.registry, &bench.host, &sample).await;
}

#[tokio::test]
async fn a_file_is_written_with_its_mode_and_facts() {
    let bench = Bench::of("local::file").await;
    let spec =
        bench.spec(json!({ "path": "x/../deep/secret", "content": "hello", "mode": "640" }));
    let (id, facts) = bench.create(&spec).await.unwrap();
    let path = bench.folder.path().join("deep/secret");
    assert_eq!(id, "deep/secret");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "hello");
    assert_eq!(mode(&path), 0o640);
    assert_eq!(
        facts,
        json!({
            "location": path,
            "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "size": 5,
        })
    );

    let error = bench.create(&spec).await.unwrap_err();
    assert_eq!(error.failure, Failure::Exists);
    let location = path.display();
    assert_eq!(error.message, format!("`local::file.it`: `{location}` exists already"));
}

#[tokio::test]
async fn a_change_by_hand_is_seen() {
    let bench = Bench::of("local::file").await;
    let spec = bench.spec(json!({ "path": "f", "content": "one" }));
    bench.create(&spec).await.unwrap();
    let path = bench.folder.path().join("f");

    std::fs::write(&path, "two").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let found = bench.read(&spec).await.unwrap().spec.to_json();
    assert_eq!(found, json!({ "path": "f", "content": "two", "mode": "0755" }));

    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    let found = bench.read(&spec).await.unwrap().spec;
    assert!(
        found.get("content").unwrap().as_str().unwrap().starts_with("(2 bytes that are not")
    );

    std::fs::remove_file(&path).unwrap();
    assert!(bench.read(&spec).await.is_none());
}

#[tokio::test]
async fn an_update_replaces_the_file_as_a_whole() {
    let bench = Bench::of("local::file").await;
    let from = bench.spec(json!({ "path": "f", "content": "one" }));
    let to = bench.spec(json!({ "path": "f", "content": "a secret", "mode": "0400" }));
    let (id, _) = bench.create(&from).await.unwrap();
    let path = bench.folder.path().join("f");
    let mut before = std::fs::File::open(&path).unwrap();

    let kind = bench.registry.kind("local::file").unwrap();
    let name = name_of(kind, "it");
    kind.calls.update(&bench.host, &name, &id, &from, &to).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a secret");
    assert_eq!(mode(&path), 0o400);
    let mut seen = String::new();
    std::io::Read::read_to_string(&mut before, &mut seen).unwrap();
    assert_eq!(seen, "one", "who had it open keeps the old text");
}

#[tokio::test]
async fn relative_paths_stay_in_the_project() {
    let bench = Bench::of("local::file").await;
    let path = |path: &str| bench.problems(json!({ "path": path, "content": "" }));
    assert_eq!(path("a/../../b"), ["path: `../b` leaves the project folder"]);
    assert_eq!(path("conf/"), ["path: `conf/` names no file"]);
    assert_eq!(path(""), ["path: `` names no file"]);
    assert_eq!(path("."), ["path: `` names no file"]);
    assert!(path("/etc/app.conf").is_empty());
    let problems = bench.problems(json!({ "path": "f", "content": "", "mode": "rw-r--r--" }));
    assert_eq!(problems, ["mode: `rw-r--r--` is no file mode"]);

    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), bench.folder.path().join("link")).unwrap();
    let spec = bench.spec(json!({ "path": "link/f", "content": "" }));
    let error = bench.create(&spec).await.unwrap_err();
    let real = std::fs::canonicalize(outside.path()).unwrap();
    assert_eq!(
        error.message,
        format!(
            "`link/f` leaves the project folder: a symbolic link leads to `{}`",
            real.display()
        )
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn random_text_has_every_class_and_no_other() {
    let bench = Bench::of("local::random").await;
    for _ in 0..200 {
        let spec = bench.spec(json!({ "length": 4, "special": true, "special_chars": "ü€" }));
        let (id, facts) = bench.create(&spec).await.unwrap();
        let result = facts["result"].as_str().unwrap();
        assert_eq!(result.chars().count(), 4, "{result}");
        assert!(result.contains(|c: char| c.is_ascii_lowercase()), "{result}");
        assert!(result.contains(|c: char| c.is_ascii_uppercase()), "{result}");
        assert!(result.contains(|c: char| c.is_ascii_digit()), "{result}");
        assert!(result.contains(['ü', '€']), "{result}");
        assert!(!id.contains(result));
    }
    let kind = bench.registry.kind("local::random").unwrap();
    let (_, facts) = bench.create(&bench.spec(json!({}))).await.unwrap();
    let marked = kind.mark_facts(Value::from(facts), &Value::Null);
    assert!(marked.get("result").unwrap().is_secret());
}

#[tokio::test]
async fn impossible_random_text_is_refused_before_it_is_made() {
    let bench = Bench::of("local::random").await;
    let problems = |spec| bench.problems(spec);
    assert_eq!(
        problems(json!({ "length": 0 })),
        ["length: the length 0 is not between 1 and 4096"]
    );
    assert_eq!(
        problems(json!({ "length": 2 })),
        ["length: 2 characters cannot hold one of each of 3 classes"]
    );
    assert_eq!(
        problems(json!({ "lower": false, "upper": false, "digits": false })),
        ["lower: there is no character to choose from"]
    );
    assert_eq!(
        problems(json!({ "special": true, "special_chars": "" })),
        ["special_chars: there is no special character to choose from"]
    );
    assert!(problems(json!({ "length": 4096 })).is_empty());
}

#[tokio::test]
async fn a_probe_waits_for_what_answers_and_says_what_does_not() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let bench = Bench::of("local::probe").await;
    let host = &bench.host;
    let kind = bench.registry.kind("local::probe").expect("a kind");
    let name = dollop_engine::resource::Name {
        stack: STACK.to_owned(),
        natural: "p".to_owned(),
        address: dollop_engine::address::Address::new(vec![], kind.name, vec!["p".to_owned()]),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 512];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let answer: &[u8] = if asked[..read].starts_with(b"AMQP") {
                &[1, 0, 0]
            } else {
                b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            };
            drop(stream.write_all(answer).await);
        }
    });
    let ask = async |spec: serde_json::Value| {
        let spec = kind.calls.normalize(&Value::from(spec)).expect("a good spec");
        assert_eq!(kind.calls.check(&spec), []);
        kind.calls.ready(host, &name, "id", &spec).await
    };
    let url = format!("http://{place}/health");
    for good in [
        json!({ "tcp": place }),
        json!({ "amqp": place }),
        json!({ "http": url, "status": 503 }),
    ] {
        ask(good.clone()).await.unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    let nobody = "127.0.0.1:1";
    for (bad, says) in [
        (json!({ "tcp": nobody, "timeout": "200ms" }), "connection refused, after 200ms"),
        (json!({ "http": url, "timeout": "200ms" }), "answers with status 503, after 200ms"),
    ] {
        let error = ask(bad).await.expect_err("it does not answer");
        assert!(error.message.ends_with(says), "{}", error.message);
    }
    for (wrong, attribute) in [
        (json!({}), "tcp"),
        (json!({ "tcp": "nowhere" }), "tcp"),
        (json!({ "http": "nowhere" }), "http"),
        (json!({ "tcp": nobody, "status": 200 }), "status"),
        (json!({ "tcp": nobody, "timeout": "soon" }), "timeout"),
    ] {
        let spec = kind.calls.normalize(&Value::from(wrong)).expect("it fits");
        assert_eq!(kind.calls.check(&spec)[0].attribute, attribute);
    }
}

#[test]
fn a_file_with_a_secret_is_its_owners_alone() {
    let script = "local::file(\"open\", #{ path: \"open.txt\", content: \"x\" });\n\
         local::file(\"told\", #{ path: \"told.txt\", content: secret(\"hunter2\") });\n\
         let random = local::random(\"pw\");\n\
         local::file(\"made\", #{ path: \"made.txt\", content: `word=${random.result}` });\n\
         local::file(\"inside\", #{ path: \"inside.txt\", \
         content: json(#{ word: random.result }) });\n\
         local::file(\"shared\", #{ path: \"shared.txt\", content: secret(\"x\"), mode: \"0640\" });\n";
    let project = dollop_tests::cli::Project::new("dt-secret-file", script);
    drop(project.run(&["apply", "--auto-approve"]).expect(0));
    let of = |name: &str| format!("{:04o}", mode(&project.folder().join(name)));
    let modes = ["open.txt", "told.txt", "made.txt", "inside.txt", "shared.txt"].map(of);
    assert_eq!(modes, ["0644", "0600", "0600", "0600", "0640"]);
    drop(project.run(&["plan", "--detailed-exitcode"]).expect(0));
}
