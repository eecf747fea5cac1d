//! RabbitMQ in a container that ends with the test process.

use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::Value as Json;

const IMAGE: &str = "rabbitmq:3.10-management";

/// A running server.
pub(crate) struct Broker {
    /// The `docker run` in front of it. While it holds the pipe open, the container lives:
    /// when the test process ends, however it ends, the container is removed.
    front: Child,
    name: String,
    /// Where the management API is.
    pub(crate) port: u16,
    /// Where messages go.
    pub(super) amqp_port: u16,
}

impl Broker {
    /// The server all tests use, ready.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| Self::ready("shared"))
    }

    /// A server of its own that answers.
    pub(super) fn ready(role: &str) -> Self {
        let broker = Self::start(role);
        let start = Instant::now();
        while broker.get("overview")["rabbitmq_version"].is_null() {
            assert!(start.elapsed() < Duration::from_mins(2), "RabbitMQ does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        broker
    }

    /// A server of its own, perhaps still starting.
    pub(super) fn start(role: &str) -> Self {
        let name = format!("dollop-test-rabbitmq-{role}-{}", std::process::id());
        let until_the_pipe_closes = "echo '[rabbitmq_management,rabbitmq_shovel,\
             rabbitmq_shovel_management,rabbitmq_federation,\
             rabbitmq_consistent_hash_exchange].' >/etc/rabbitmq/enabled_plugins; \
             docker-entrypoint.sh rabbitmq-server & cat";
        let front = Command::new("docker")
            .args(["run", "--rm", "--interactive", "--init", "--name", &name])
            .args(["--publish", "127.0.0.1::15672", "--publish", "127.0.0.1::5672"])
            .args(["--entrypoint", "sh", IMAGE, "-c", until_the_pipe_closes])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the docker CLI runs");
        let port = published(&name, "15672");
        let amqp_port = published(&name, "5672");
        Self { front, name, port, amqp_port }
    }

    /// The name of its container.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `rabbitmqctl` in it.
    pub(super) fn control(&self, arguments: &[&str]) {
        let output = Command::new("docker")
            .args(["exec", &self.name, "rabbitmqctl"])
            .args(arguments)
            .output()
            .expect("docker runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {error}");
    }

    /// The definitions as `rabbitmqctl` exports them.
    pub(super) fn exported(&self) -> Json {
        let output = Command::new("docker")
            .args(["exec", &self.name, "rabbitmqctl", "-q", "export_definitions", "-"])
            .output()
            .expect("docker runs");
        serde_json::from_slice(&output.stdout).expect("definitions")
    }

    /// What the API says, asked from outside of the provider.
    pub(crate) fn get(&self, path: &str) -> Json {
        self.get_as("guest", "guest", path)
    }

    /// The same as somebody else.
    pub(super) fn get_as(&self, user: &str, password: &str, path: &str) -> Json {
        let output = self.curl(&format!("{user}:{password}"), path, &[]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Writes past the provider.
    pub(crate) fn put(&self, path: &str, body: &Json) {
        let body = body.to_string();
        let output = self.curl("guest:guest", path, &["--fail", "-X", "PUT", "--data", &body]);
        assert!(output.status.success(), "PUT {path}");
    }

    /// Does something past the provider.
    pub(super) fn post(&self, path: &str, body: &Json) {
        let body = body.to_string();
        let output = self.curl("guest:guest", path, &["--fail", "-X", "POST", "--data", &body]);
        assert!(output.status.success(), "POST {path}");
    }

    /// Does something past the provider that has an answer.
    pub(super) fn ask(&self, path: &str, body: &Json) -> Json {
        let body = body.to_string();
        let output = self.curl("guest:guest", path, &["--fail", "-X", "POST", "--data", &body]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Deletes past the provider.
    pub(crate) fn delete(&self, path: &str) {
        let output = self.curl("guest:guest", path, &["--fail", "-X", "DELETE"]);
        assert!(output.status.success(), "DELETE {path}");
    }

    fn curl(&self, login: &str, path: &str, more: &[&str]) -> Output {
        Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--user", login])
            .args(["--header", "content-type: application/json"])
            .args(more)
            .arg(format!("http://127.0.0.1:{}/api/{path}", self.port))
            .output()
            .expect("curl runs")
    }
}

/// A channel of a client in a vhost.
pub(super) async fn channel(broker: &Broker, vhost: &str) -> Channel {
    let port = broker.amqp_port;
    let address = format!("amqp://guest:guest@127.0.0.1:{port}/{vhost}");
    let connection =
        Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
    // A channel outlives the handle of its connection.
    let channel = connection.create_channel().await.unwrap();
    std::mem::forget(connection);
    channel
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", &self.name]).output();
        let _ = self.front.wait();
    }
}

fn published(name: &str, port: &str) -> u16 {
    let start = Instant::now();
    loop {
        let output =
            Command::new("docker").args(["port", name, port]).output().expect("docker runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let found = text.lines().next().and_then(|line| line.rsplit(':').next()?.parse().ok());
        if let Some(port) = found {
            return port;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "{name} does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
}
