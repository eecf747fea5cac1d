//! A RabbitMQ topology of some size: 10 vhosts, 20 users, 200 queues, 200 bindings and
//! 50 policies, as a script and as bare requests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;

use serde_json::{Value as Json, json};

const VHOSTS: usize = ALL as usize;
const USERS: [&str; 2] = ["a", "b"];
const POLICIES: usize = 5;
const QUEUES: usize = 20;

/// The stack that declares it through a port of the management API, as guest.
pub fn script(port: u16, prefix: &str) -> String {
    let mut script = format!(
        "let mq = rabbitmq::server(\"broker\", #{{\n    \
             host: \"127.0.0.1\", port: {port}, password: \"guest\",\n\
         }});\n"
    );
    for vhost in 0..VHOSTS {
        script.push_str(&format!(
            "let v = mq.vhost(\"{prefix}{vhost}\", #{{ max_queues: 1000 }});\n\
             let x = v.exchange(\"x\", #{{ \"type\": \"topic\" }});\n\
             for user in {USERS:?} {{\n    \
                 let user = mq.user(\"{prefix}{vhost}\" + user, \
                 #{{ password: \"pw\" + user, max_connections: 9 }});\n    \
                 v.permission(user, #{{ read: \".*\" }});\n\
             }}\n\
             for policy in 0..{POLICIES} {{\n    \
                 v.policy(\"p\" + policy, #{{ pattern: \"^p\" + policy, \
                 definition: #{{ \"max-length\": 10 }} }});\n\
             }}\n\
             for queue in 0..{QUEUES} {{\n    \
                 let q = v.queue(\"q\" + queue);\n    \
                 v.binding(\"b\" + queue, #{{ source: x, destination: q, \
                 routing_key: \"k.\" + queue }});\n\
             }}\n"
        ));
    }
    script
}

/// The same as a playbook for Ansible's `community.rabbitmq`, with so many of everything that
/// belongs to a vhost: `vhosts` of them, each with its queues, bindings, users and policies.
/// Queues, exchanges and bindings go through the management API; vhosts, users and policies
/// through `rabbitmqctl` (`on_path` is the folder of one that reaches the broker).
pub fn playbook(port: u16, prefix: &str, vhosts: u32, on_path: &str) -> String {
    let login = json!({ "login_host": "127.0.0.1", "login_port": port.to_string() });
    let through = |module: &str, arguments: Json| {
        let mut arguments = arguments;
        for (key, value) in login.as_object().into_iter().flatten() {
            arguments[key] = value.clone();
        }
        json!({ module: arguments })
    };
    let names: Vec<String> = (0..vhosts).map(|vhost| format!("{prefix}{vhost}")).collect();
    let vhost =
        |name: &String| json!({ "community.rabbitmq.rabbitmq_vhost": { "name": name } });
    let mut tasks: Vec<Json> = names.iter().map(vhost).collect();
    // Who makes a vhost by `rabbitmqctl` may not do anything in it yet.
    let may = |name: &str| json!({ "vhost": name, "configure_priv": ".*", "write_priv": ".*", "read_priv": ".*" });
    let everywhere = names.iter().map(String::as_str).chain(["/"]).map(may);
    tasks.push(json!({ "community.rabbitmq.rabbitmq_user": {
        "user": "guest", "tags": "administrator", "update_password": "on_create",
        "permissions": everywhere.collect::<Json>(),
    }}));
    for name in names {
        let exchange = json!({ "name": "x", "type": "topic", "vhost": name });
        tasks.push(through("community.rabbitmq.rabbitmq_exchange", exchange));
        for user in USERS {
            tasks.push(json!({ "community.rabbitmq.rabbitmq_user": {
                "user": format!("{name}{user}"), "password": format!("pw{user}"),
                "update_password": "always", "state": "present",
                "permissions": [{
                    "vhost": name, "configure_priv": "", "write_priv": "", "read_priv": ".*",
                }],
            }}));
        }
        for policy in 0..POLICIES {
            tasks.push(json!({ "community.rabbitmq.rabbitmq_policy": {
                "name": format!("p{policy}"), "vhost": name, "pattern": format!("^p{policy}"),
                "tags": { "max-length": 10 },
            }}));
        }
        for queue in 0..QUEUES {
            let queue_of = json!({ "name": format!("q{queue}"), "vhost": name });
            tasks.push(through("community.rabbitmq.rabbitmq_queue", queue_of));
            let binding = json!({
                "name": "x", "destination": format!("q{queue}"), "destination_type": "queue",
                "routing_key": format!("k.{queue}"), "vhost": name,
            });
            tasks.push(through("community.rabbitmq.rabbitmq_binding", binding));
        }
    }
    // JSON is YAML.
    let path = format!("{on_path}:{{{{ ansible_env_path }}}}");
    json!([{
        "hosts": "localhost", "connection": "local", "gather_facts": false,
        "vars": { "ansible_env_path": "{{ lookup('env', 'PATH') }}" },
        "environment": { "PATH": path },
        "tasks": tasks,
    }])
    .to_string()
}

/// How many vhosts the whole topology has.
pub const ALL: u32 = 10;

/// One request of the management API: method, path and body.
pub type Request = (&'static str, String, Json);

/// The requests that make the same by hand, in waves: what one wave needs is made before it.
pub fn requests(prefix: &str) -> [Vec<Request>; 3] {
    let mut waves = [Vec::new(), Vec::new(), Vec::new()];
    for vhost in 0..VHOSTS {
        let name = format!("{prefix}{vhost}");
        waves[0].push(("PUT", format!("vhosts/{name}"), json!({})));
        let limit = json!({ "value": 1000 });
        waves[1].push(("PUT", format!("vhost-limits/{name}/max-queues"), limit));
        let exchange = json!({ "type": "topic", "durable": true });
        waves[1].push(("PUT", format!("exchanges/{name}/x"), exchange));
        for user in USERS {
            let body = json!({ "password": format!("pw{user}"), "tags": "" });
            waves[0].push(("PUT", format!("users/{name}{user}"), body));
            let limit = json!({ "value": 9 });
            waves[1].push(("PUT", format!("user-limits/{name}{user}/max-connections"), limit));
            let body = json!({ "configure": "", "write": "", "read": ".*" });
            waves[1].push(("PUT", format!("permissions/{name}/{name}{user}"), body));
        }
        for policy in 0..POLICIES {
            let pattern = format!("^p{policy}");
            let body = json!({ "pattern": pattern, "definition": { "max-length": 10 } });
            waves[1].push(("PUT", format!("policies/{name}/p{policy}"), body));
        }
        for queue in 0..QUEUES {
            let body = json!({ "durable": true, "arguments": { "x-queue-type": "classic" } });
            waves[1].push(("PUT", format!("queues/{name}/q{queue}"), body));
            let body = json!({ "routing_key": format!("k.{queue}") });
            waves[2].push(("POST", format!("bindings/{name}/e/x/q/q{queue}"), body));
        }
    }
    waves
}

/// Removes what [`requests`] makes.
pub fn removal(prefix: &str) -> Vec<Request> {
    let vhosts = (0..VHOSTS).map(|vhost| format!("vhosts/{prefix}{vhost}"));
    let users =
        (0..VHOSTS).flat_map(|vhost| USERS.map(|user| format!("users/{prefix}{vhost}{user}")));
    vhosts.chain(users).map(|path| ("DELETE", path, Json::Null)).collect()
}

/// Sends requests over several connections that stay open, as guest.
///
/// # Panics
/// When one is not answered well.
pub fn send(port: u16, requests: Vec<Request>, connections: usize) {
    let queue = Mutex::new(requests.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut line = Line::open(port);
                loop {
                    let next = queue.lock().expect("no panic in between").next();
                    let Some((method, path, body)) = next else { break };
                    drop(line.ask(method, &path, &body));
                }
            });
        }
    });
}

/// One connection to the management API.
pub struct Line(BufReader<TcpStream>);

impl Line {
    /// Connects.
    ///
    /// # Panics
    /// When nothing listens.
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the management API");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// Sends one request, and gives back the body of a good answer.
    ///
    /// # Panics
    /// When the answer is not good.
    pub fn ask(&mut self, method: &str, path: &str, body: &Json) -> Vec<u8> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} /api/{path} HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(head.as_bytes()).expect("the request is sent");
        let mut length = 0;
        let mut chunked = false;
        let mut status = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("an answer");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if status.is_empty() {
                status.clone_from(&line);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
            chunked |= line == "transfer-encoding: chunked";
        }
        assert!(status.contains(" 20"), "{method} {path}: {status}");
        let mut answer = Vec::new();
        if chunked {
            loop {
                let mut size = String::new();
                self.0.read_line(&mut size).expect("a chunk");
                let size = usize::from_str_radix(size.trim(), 16).expect("its size");
                let mut chunk = vec![0; size + 2];
                self.0.read_exact(&mut chunk).expect("the chunk");
                answer.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else if !status.contains(" 204") {
            answer.resize(length, 0);
            self.0.read_exact(&mut answer).expect("the body");
        }
        answer
    }
}
