//! A way through to the server that counts requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// A running counter; ends with its runtime.
pub(super) struct Counter {
    /// Where it listens.
    pub(super) port: u16,
    count: Arc<AtomicUsize>,
}

impl Counter {
    /// Requests so far.
    pub(super) fn requests(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// Passes everything on to a local port.
pub(super) async fn start(to: u16) -> Counter {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            tokio::spawn(pass(client, server, Arc::clone(&counted)));
        }
    });
    Counter { port, count }
}

async fn pass(client: TcpStream, server: TcpStream, count: Arc<AtomicUsize>) {
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
        if to_server.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    drop(to_server);
    let _ = answers.await;
}
