//! Three nodes with quorum queues, of which one goes while dollop works.

use std::process::Command;
use std::time::{Duration, Instant};

use dollop_tests::cli::{Project, root};
use serde_json::{Value as Json, json};

/// A cluster of three nodes, removed at the end.
struct Cluster {
    name: String,
}

impl Cluster {
    fn up() -> Self {
        let name = format!("dollop-cluster-{}", std::process::id());
        let cluster = Self { name };
        cluster.lab("up");
        cluster
    }

    fn lab(&self, what: &str) {
        let script = root().join("tests/lab/cluster");
        let output = Command::new(script).args([what, &self.name]).output().expect("bash runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cluster {what}: {error}");
    }

    fn docker(&self, what: &str, node: usize) {
        let name = format!("{}-{node}", self.name);
        let done = Command::new("docker").args([what, &name]).output().expect("docker runs");
        assert!(done.status.success(), "docker {what} {name}");
    }

    /// The management port of a node; another one after each start.
    fn port(&self, node: usize) -> String {
        let name = format!("{}-{node}", self.name);
        let port = Command::new("docker").args(["port", &name, "15672"]).output();
        let text = String::from_utf8_lossy(&port.expect("docker runs").stdout).into_owned();
        text.lines().next().unwrap().rsplit(':').next().unwrap().to_owned()
    }

    fn ask(&self, node: usize, path: &str) -> Json {
        let url = format!("http://127.0.0.1:{}/api/{path}", self.port(node));
        let answer = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--user", "guest:guest", &url])
            .output();
        serde_json::from_slice(&answer.expect("curl runs").stdout).unwrap_or_default()
    }

    /// How many messages a node says there are, without what is collected from time to time.
    fn messages(&self, node: usize) -> u64 {
        let path =
            "queues/cluster?disable_stats=true&enable_queue_totals=true&columns=messages";
        let queues = self.ask(node, path);
        queues
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|queue| queue["messages"].as_u64())
            .sum()
    }

    /// Sends a message to the exchange of the test.
    fn publish(&self, key: &str) {
        let url = format!("http://127.0.0.1:{}/api/exchanges/cluster/x/publish", self.port(1));
        let body = json!({
            "properties": {}, "routing_key": key, "payload": "x", "payload_encoding": "string",
        });
        let sent = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--user", "guest:guest"])
            .args(["--header", "content-type: application/json", "--data"])
            .args([&body.to_string(), &url])
            .output();
        let answer = sent.expect("curl runs").stdout;
        assert_eq!(String::from_utf8_lossy(&answer), "{\"routed\":true}");
    }

    /// Waits until a node sees so many others run.
    fn running(&self, node: usize, wanted: usize) {
        let start = Instant::now();
        loop {
            let nodes = self.ask(node, "nodes?columns=name,running");
            let nodes = nodes.as_array().cloned().unwrap_or_default();
            if nodes.iter().filter(|node| node["running"] == true).count() == wanted {
                return;
            }
            assert!(start.elapsed() < Duration::from_mins(3), "never {wanted}: {nodes:?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.lab("down");
    }
}

/// How many queues one apply makes: enough that it is still at it when a node goes.
const QUEUES: usize = 40;

fn script(port: &str, rounds: usize) -> String {
    format!(
        "let mq = rabbitmq::server(\"mq\", #{{ host: \"127.0.0.1\", port: {port}, password: \"guest\" }});\n\
         let v = mq.vhost(\"cluster\");\n\
         let x = v.exchange(\"x\", #{{ type: \"topic\" }});\n\
         for round in 0..{rounds} {{\n\
             for i in 0..{QUEUES} {{\n\
                 let q = v.queue(`q-${{round}}-${{i}}`, #{{ type: \"quorum\" }});\n\
                 v.binding(`b-${{round}}-${{i}}`, #{{ source: x, destination: q, routing_key: `k.${{i}}` }});\n\
             }}\n\
         }}\n"
    )
}

/// Applies, and kills a node once some queues of the round are there.
fn interrupted(cluster: &Cluster, project: &Project, victim: usize, round: usize) {
    let witness = if victim == 3 { 2 } else { 3 };
    let running = project.start(&["apply", "--auto-approve"]);
    let start = Instant::now();
    let begun = format!("q-{round}-");
    loop {
        let queues = cluster.ask(witness, "queues/cluster?disable_stats=true&columns=name");
        let names = queues.as_array().cloned().unwrap_or_default();
        let made = names.iter().filter(|queue| {
            queue["name"].as_str().is_some_and(|name| name.starts_with(&begun))
        });
        if made.count() >= 3 {
            break;
        }
        assert!(start.elapsed() < Duration::from_mins(2), "no queue is made");
    }
    cluster.docker("kill", victim);
    let run = running.end();
    // Whatever came of it, it ends with an exit code and in words.
    assert!(matches!(run.code, Some(0 | 1)), "{}", run.text());
    println!("killed node {victim} in the middle: exit {:?}", run.code);
}

#[test]
fn a_node_goes_while_an_apply_is_under_way() {
    let cluster = Cluster::up();
    cluster.running(1, 3);
    let project = Project::new("mq-cluster", &script(&cluster.port(1), 1));

    // A node dollop does not talk to: two of three go on, and so does the next run.
    interrupted(&cluster, &project, 3, 0);
    cluster.running(1, 2);
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
    cluster.docker("start", 3);
    cluster.running(1, 3);

    // The node it talks to: the next run through another one goes on.
    project.write("stack.rhai", &script(&cluster.port(1), 2));
    interrupted(&cluster, &project, 1, 1);
    cluster.docker("start", 1);
    cluster.running(1, 3);
    project.write("stack.rhai", &script(&cluster.port(1), 2));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);
    let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);

    let queues = cluster.ask(1, "queues/cluster?columns=name,type,members");
    let queues = queues.as_array().unwrap();
    assert_eq!(queues.len(), 2 * QUEUES);
    assert!(queues.iter().all(|queue| queue["type"] == json!("quorum")));
    let bindings = cluster.ask(1, "exchanges/cluster/x/bindings/source");
    assert_eq!(bindings.as_array().unwrap().len(), 2 * QUEUES);

    // Wherever the leaders are, every node knows of a message within six seconds: that is how
    // long the removal of an empty queue waits.
    let many = 6;
    for key in 0..many {
        cluster.publish(&format!("k.{key}"));
    }
    let start = Instant::now();
    let all = |node| cluster.messages(node) == 2 * many;
    while !(all(1) && all(2) && all(3)) {
        assert!(start.elapsed() < Duration::from_secs(6), "a node does not know of all");
        std::thread::sleep(Duration::from_millis(200));
    }
}
