//! Secrets planted wherever one can stand, and every byte that comes out searched for them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use dollop_tests::cli::{Project, Run};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::postgres::container;
use super::quickstart::Stack;
use super::rabbitmq::broker::Broker;

/// What URLs leave as it is.
const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A password with everything that is quoted somewhere.
const NASTY: &str = "n4sty \"q\" 'a' %41 \\n <&> $HOME `id` {{.}} ü\tend";
/// A key as it stands in a file.
const KEY: &str = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIJw\nqqTw8Zc0ZRBgUXbI3V2Lw0q\n-----END KEY-----\n";
const COMPOSED: &str = "c0mp0sed-In.A_Url~4711";
const PLAIN: &str = "pl4in-word-8472";
const REGEX: &str = "((r3gex-that-is-none";

const STACK: &str = r#"
let nasty = param("nasty", #{ secret: true });
let key = param("key", #{ secret: true });
let composed = param("composed", #{ secret: true });
let plain = param("plain", #{ secret: true });
let token = local::random("token", #{ length: 24 }).result;

let db = postgres::server("main", #{ host: "127.0.0.1", port: POSTGRES, password: param("root", #{ secret: true }) });
db.role("dt_secret", #{ password: nasty });
let mq = rabbitmq::server("broker", #{ host: "127.0.0.1", port: RABBITMQ, password: "guest" });
let vhost = mq.vhost("dt-secret");
let user = mq.user("dt-secret", #{ password: nasty });

let env = #{ NASTY: nasty, KEY: key, URL: `pg://u:${composed}@h`, TOKEN: token, PLAIN: plain };
docker::container("c", #{ image: "busybox:1.35", command: "sleep 600", stop_signal: "SIGKILL", env: env });
local::file("key", #{ path: "out/key", content: key, mode: "0600" });
local::data("d", #{ input: #{ url: `pg://u:${urlencode(nasty)}@h`, encoded: base64(nasty), json: json(#{ a: key }) } });
print(`the token is ${token}, the password ${nasty}`);
output("nasty", nasty);
output("url", `pg://u:${urlencode(nasty)}@h`);
output("token", token);
"#;

/// A container that tells all it knows, in all the ways it can, and never gets healthy.
const TALKS: &str = r#"
let tell = "echo \"it is $NASTY\"; printf '%s' \"$KEY\"; echo; echo ${URL} | sed 's,.*u:,only ,; s,@h,,'; \
            printf '%s' \"$NASTY\" | base64 -w 0; echo; printf 'user:%s' \"$PLAIN\" | base64 -w 0; echo; echo $TOKEN $PLAIN";
docker::container("talks", #{
    image: "busybox:1.35",
    command: ["sh", "-c", `${tell}; sleep 600`],
    stop_signal: "SIGKILL",
    env: env,
    healthcheck: #{ test: `${tell}; exit 1`, interval: "300ms", retries: 1 },
    wait: "healthy", wait_timeout: "5s",
});
"#;

/// What services repeat in their errors.
const ECHOES: &str = r#"
docker::container("user", #{ image: "busybox:1.35", user: plain });
docker::container("program", #{ image: "busybox:1.35", command: [plain, nasty] });
docker::container("image", #{ image: `127.0.0.1:5000/${plain}` });
docker::container("folder", #{ image: "busybox:1.35", working_dir: plain });
db.role("dt_settings", #{ settings: #{ work_mem: plain, "plpgsql.x": nasty } });
db.role("dt_nasty", #{ settings: #{ work_mem: nasty } });
db.database("dt_template", #{ template: plain });
db.database("dt_versions").extension("pg_trgm", #{ version: plain });
vhost.permission(user, #{ configure: param("regex", #{ secret: true }) });
local::file("nowhere", #{ path: `/proc/${plain}/file`, content: "x" });
"#;

/// The ways a secret can be written; what is only part of it is found as well.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.trim().to_owned(),
        json.trim_matches('"').to_owned(),
        format!("{secret:?}").trim_matches('"').to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(secret, UNRESERVED).to_string(),
        utf8_percent_encode(secret, UNRESERVED).to_string().replace("%20", "+"),
        secret.replace('\'', "''"),
        secret.replace('"', "`"),
        secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
    ];
    forms.extend(secret.lines().filter(|line| line.len() >= 8).map(str::to_owned));
    for before in 0..3 {
        let text = [vec![b'.'; before], secret.trim().as_bytes().to_vec()].concat();
        let encoded = STANDARD_NO_PAD.encode(text);
        // The first and last characters hold bits of what stands beside it.
        let from = if before == 0 { 0 } else { before + 1 };
        forms.push(encoded[from..encoded.len() - 2].to_owned());
    }
    forms.sort();
    forms.dedup();
    forms
}

struct Watched {
    stack: Stack,
    secrets: BTreeMap<&'static str, String>,
    leaks: Vec<String>,
}

impl Watched {
    fn run(&mut self, arguments: &[&str]) -> Run {
        let run = self.stack.project.run(arguments);
        self.search(&format!("dollop {}", arguments.join(" ")), run.text().as_bytes());
        run
    }

    fn search(&mut self, place: &str, bytes: &[u8]) {
        for (name, secret) in &self.secrets {
            for form in forms(secret) {
                if let Some(at) =
                    bytes.windows(form.len()).position(|part| part == form.as_bytes())
                {
                    let from = bytes[..at].iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
                    let to = (at + form.len() + 40).min(bytes.len());
                    let around =
                        String::from_utf8_lossy(&bytes[from.max(at.saturating_sub(200))..to]);
                    self.leaks.push(format!("{place}: {name} as `{form}` in\n    {around}"));
                }
            }
        }
    }

    /// Searches everything dollop wrote, except what is made to hold a secret.
    fn search_files(&mut self) -> usize {
        let files = self.stack.project.files();
        let mut searched = 0;
        for (name, content) in files {
            let Some(content) = content.filter(|_| name != "out/key") else { continue };
            searched += 1;
            self.search(&name, &content);
            if std::path::Path::new(&name).extension().is_some_and(|end| end == "zst") {
                let unpacked = zstd::decode_all(content.as_slice()).expect("a revision");
                assert!(unpacked.starts_with(b"{"), "{name} is JSON");
                self.search(&format!("{name}, unpacked"), &unpacked);
            }
        }
        searched
    }
}

#[test]
fn no_secret_comes_out() {
    let name = "dt-secrets";
    let (postgres, rabbitmq) = (container::shared(), Broker::shared());
    let script = STACK
        .replace("POSTGRES", &postgres.port.to_string())
        .replace("RABBITMQ", &rabbitmq.port.to_string());
    let project = Project::new(name, &script)
        .env("DOLLOP_PARAM_nasty", NASTY)
        .env("DOLLOP_PARAM_key", KEY)
        .env("DOLLOP_PARAM_composed", COMPOSED)
        .env("DOLLOP_PARAM_plain", PLAIN)
        .env("DOLLOP_PARAM_regex", REGEX)
        .env("DOLLOP_PARAM_root", container::PASSWORD);
    let stack = Stack::of(project, name);
    let secrets = BTreeMap::from([
        ("nasty", NASTY.to_owned()),
        ("key", KEY.to_owned()),
        ("composed", COMPOSED.to_owned()),
        ("plain", PLAIN.to_owned()),
        ("regex", REGEX.to_owned()),
        ("root", container::PASSWORD.to_owned()),
    ]);
    let mut watched = Watched { stack, secrets, leaks: Vec::new() };

    drop(watched.run(&["check"]).expect(0));
    drop(watched.run(&["plan", "--out", "first.plan"]).expect(0));
    drop(watched.run(&["apply", "--auto-approve"]).expect(0));
    let token = watched.stack.project.run(&["output", "token", "--raw"]).expect(0).stdout;
    watched.secrets.insert("token", token);
    // Only these two may tell.
    let told = watched.stack.project.run(&["output", "nasty", "--raw"]).expect(0).stdout;
    assert_eq!(told, NASTY);
    let told = watched.stack.project.run(&["output", "nasty", "--json"]).expect(0).stdout;
    assert_eq!(serde_json::from_str::<String>(&told).expect("JSON"), NASTY);
    for arguments in [
        &["plan"][..],
        &["plan", "--verbose", "--destroy"],
        &["plan", "--param", "nasty=0ther-nasty-word", "--verbose"],
        &["plan", "--param", "key=0ther-key", "--format", "json"],
        &["plan", "--param", "plain=0ther-plain", "--format", "markdown"],
        &["plan", "--no-refresh", "--format", "json", "--verbose"],
        &["plan", "--out", "second.plan", "--param", "composed=0ther-composed"],
        &["show", "--plan", "second.plan", "--format", "json"],
        &["show", "--plan", "second.plan", "--verbose"],
        &["show", "--verbose"],
        &["show", "--format", "json"],
        &["output"],
        &["output", "--json"],
        &["output", "url"],
        &["graph"],
        &["graph", "--format", "mermaid"],
        &["check"],
        &["state", "list"],
    ] {
        let run = watched.run(arguments).expect(0);
        assert!(!run.text().contains("0ther-"), "{arguments:?}: {}", run.text());
    }
    for address in watched.run(&["state", "list"]).stdout.lines() {
        drop(watched.run(&["state", "show", address]).expect(0));
        drop(watched.run(&["state", "show", address, "--json"]).expect(0));
    }
    assert!(watched.search_files() > 8, "files were searched");

    // Errors of services repeat what they were told.
    watched.stack.project.write("stack.rhai", &format!("{script}{ECHOES}"));
    let run = watched.run(&["apply", "--auto-approve"]).expect(1);
    println!("{}", run.stderr);
    drop(watched.run(&["plan", "--param", "root=0ther-root"]).expect(1));
    watched.search_files();

    // A container tells all, in its log and its health check.
    watched.stack.project.write("stack.rhai", &format!("{script}{TALKS}"));
    let run = watched.run(&["apply", "--auto-approve"]).expect(1);
    assert!(run.stderr.contains("the end of its log"), "{}", run.stderr);
    println!("{}", run.stderr);
    drop(watched.run(&["plan", "--out", "talks.plan"]).expect(0));
    let run = watched.run(&["apply", "--plan", "talks.plan", "--auto-approve"]).expect(1);
    assert!(run.stderr.contains("the end of its log"), "{}", run.stderr);
    println!("{}", run.stderr);
    drop(watched.run(&["destroy", "--auto-approve"]).expect(0));
    watched.search_files();
    assert!(watched.leaks.is_empty(), "{}", watched.leaks.join("\n"));
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let found = |text: &str| forms(NASTY).iter().any(|form| text.contains(form.as_str()));
    assert!(found(&format!("x{NASTY}x")));
    assert!(found(&serde_json::json!({ "a": NASTY }).to_string()));
    for prefix in ["", "u:", "user:", "user4:"] {
        assert!(found(&STANDARD_NO_PAD.encode(format!("{prefix}{NASTY}@h"))), "{prefix}");
    }
    assert!(found(&format!("pg://u:{}@h", utf8_percent_encode(NASTY, UNRESERVED))));
    assert!(!found("nothing"));
}
