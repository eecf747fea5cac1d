//! A way through to the server that counts requests and keeps what was sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// A running counter; ends with its runtime.
pub(super) struct Counter {
    /// Where it listens.
    pub(super) port: u16,
    count: Arc<AtomicUsize>,
    sent: Arc<Mutex<String>>,
}

impl Counter {
    /// Requests so far.
    pub(super) fn requests(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// What was sent so far.
    pub(super) fn sent(&self) -> String {
        self.sent.lock().unwrap().clone()
    }
}

/// Passes everything on to a local port.
pub(super) async fn start(to: u16) -> Counter {
    behind(to, "/api").await
}

/// The same, and the server is behind a path.
pub(super) async fn behind(to: u16, path: &'static str) -> Counter {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (count, sent) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let (counted, kept) = (Arc::clone(&count), Arc::clone(&sent));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let counted = (Arc::clone(&counted), Arc::clone(&kept));
            tokio::spawn(pass(client, server, counted, path));
        }
    });
    Counter { port, count, sent }
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    (count, sent): (Arc<AtomicUsize>, Arc<Mutex<String>>),
    path: &'static str,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from_client.read(&mut buffer).await
        && length > 0
    {
        // reqwest writes the head of a request at once.
        let lines = buffer[..length].windows(11).filter(|part| *part == b" HTTP/1.1\r\n");
        count.fetch_add(lines.count(), Ordering::SeqCst);
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        sent.lock().unwrap().push_str(&text);
        let passed = text.replace(path, "/api");
        if to_server.write_all(passed.as_bytes()).await.is_err() {
            break;
        }
    }
    drop(to_server);
    let _ = answers.await;
}
