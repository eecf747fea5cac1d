//! The server, in front of which its definitions become those of another version, and requests
//! are met otherwise.

use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::broker::Broker;

/// A running disguise; ends with its runtime.
pub(super) struct Disguise {
    /// Where it listens.
    pub(super) port: u16,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Disguise {
    /// The requests so far that change something: method, path, and what is sent.
    pub(super) fn writes(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|request| !request.starts_with("GET ")).cloned().collect()
    }
}

/// How a request is met.
pub(super) enum Met {
    /// By the server.
    Passed,
    /// By nobody: the connection ends.
    Lost,
    /// With this.
    Answered(Json),
}

/// Decides by the line of a request, such as `DELETE /api/queues/shop/orders`.
type Meet = dyn Fn(&str) -> Met + Send + Sync;

/// Passes everything on but the definitions, which are changed.
pub(super) async fn start(change: fn(&mut Json)) -> Disguise {
    meeting(change, |_| Met::Passed).await
}

/// The same, and requests are met otherwise.
pub(super) async fn meeting(
    change: fn(&mut Json),
    meet: impl Fn(&str) -> Met + Send + Sync + 'static,
) -> Disguise {
    let meet: Arc<Meet> = Arc::new(meet);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (kept, meet) = (Arc::clone(&kept), Arc::clone(&meet));
            tokio::spawn(async move { answer(client, change, &*meet, &kept).await });
        }
    });
    Disguise { port, sent }
}

/// One request of a connection, and no more.
async fn answer(
    mut client: TcpStream,
    change: fn(&mut Json),
    meet: &Meet,
    sent: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let (head, line) = loop {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
            sent.lock().unwrap().push(format!("{line} {body}"));
            break (head.to_owned(), line.to_owned());
        }
    };
    let said = match meet(&line) {
        Met::Lost => return Ok(()),
        Met::Answered(said) => Some(said),
        Met::Passed if head.starts_with("GET /api/definitions ") => {
            let all = tokio::task::spawn_blocking(|| Broker::shared().get("definitions"));
            let mut all = all.await.unwrap();
            change(&mut all);
            Some(all)
        }
        Met::Passed => None,
    };
    if let Some(said) = said {
        let body = said.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).await?;
        return client.write_all(body.as_bytes()).await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", Broker::shared().port)).await?;
    let first = request.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
    server.write_all(&request[..first]).await?;
    server.write_all(b"connection: close\r\n").await?;
    server.write_all(&request[first..]).await?;
    let mut reply = Vec::new();
    server.read_to_end(&mut reply).await?;
    client.write_all(&reply).await
}

/// As 4.3.3 and later say it: internal exchanges are left out, of none it is said whether it is
/// one, and bindings of exclusive queues are there.
pub(super) fn as_4_3_3(all: &mut Json) {
    all["rabbitmq_version"] = "4.3.3".into();
    let exchanges = all["exchanges"].as_array_mut().unwrap();
    exchanges.retain(|row| row["internal"] != true);
    for row in exchanges {
        row.as_object_mut().unwrap().remove("internal");
    }
    let bindings = all["bindings"].as_array_mut().unwrap();
    let mut exclusive = bindings.clone();
    exclusive.truncate(1);
    for row in &mut exclusive {
        row["destination"] = "somebody's own".into();
        row["destination_type"] = "queue".into();
    }
    bindings.extend(exclusive);
}
