//! A proxy in front of a real service: it writes down what was asked, and can lose a reply.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Runtime;

/// What went through, and what is to go wrong.
#[derive(Default)]
struct Tape {
    /// What the client of each connection sent.
    sent: Vec<Vec<u8>>,
    /// The first request with this text reaches the service, but its reply is lost.
    losing: Option<String>,
    lost: usize,
}

/// A running proxy; it ends when it is dropped.
pub struct Proxy {
    tape: Arc<Mutex<Tape>>,
    port: u16,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Listens on a socket in front of another one.
    pub fn unix(listen: &Path, target: PathBuf) -> Self {
        let target = if target.metadata().is_ok_and(|found| found.file_type().is_socket()) {
            target
        } else {
            panic!("`{}` is no socket", target.display())
        };
        let (runtime, tape) = (runtime(), Arc::<Mutex<Tape>>::default());
        let entered = runtime.enter();
        let listener = UnixListener::bind(listen).expect("a socket of one's own");
        drop(entered);
        let shared = tape.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tape, target) = (shared.clone(), target.clone());
                tokio::spawn(async move {
                    let at = begin(&tape);
                    if let Ok(server) = UnixStream::connect(&target).await {
                        pass(client.into_split(), server.into_split(), &tape, at).await;
                    }
                });
            }
        });
        Self { tape, port: 0, runtime: Some(runtime) }
    }

    /// Listens on a port in front of one that may only come to be later.
    pub fn tcp(target: impl Fn() -> Option<u16> + Send + Sync + 'static) -> Self {
        let (runtime, tape) = (runtime(), Arc::<Mutex<Tape>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let (shared, target) = (tape.clone(), Arc::new(target));
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tape, target) = (shared.clone(), target.clone());
                tokio::spawn(async move {
                    let at = begin(&tape);
                    let target = tokio::task::spawn_blocking(move || target()).await;
                    let Ok(Some(port)) = target else { return };
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                        pass(client.into_split(), server.into_split(), &tape, at).await;
                    }
                });
            }
        });
        Self { tape, port, runtime: Some(runtime) }
    }

    /// Where a TCP proxy listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was sent since this was last asked, by connection.
    pub fn take(&self) -> Vec<Vec<u8>> {
        let mut tape = lock(&self.tape);
        // Connections that are still open go on writing at their place.
        let taken: Vec<_> = tape.sent.iter_mut().map(std::mem::take).collect();
        taken.into_iter().filter(|sent| !sent.is_empty()).collect()
    }

    /// Lets the first request with this text happen and loses the reply.
    pub fn lose_reply_to(&self, text: &str) {
        lock(&self.tape).losing = Some(text.to_owned());
    }

    /// How many replies were lost.
    pub fn lost(&self) -> usize {
        lock(&self.tape).lost
    }

    /// The requests since this was last asked, `GET /v1.43/info`.
    pub fn requests(&self) -> Vec<String> {
        let mut requests = Vec::new();
        for sent in self.take() {
            for line in String::from_utf8_lossy(&sent).lines() {
                if let Some(request) = line.strip_suffix(" HTTP/1.1") {
                    requests.push(request.to_owned());
                }
            }
        }
        requests
    }

    /// The SQL since this was last asked, text in quotes left out. Connections must have
    /// begun since then, too.
    pub fn statements(&self) -> Vec<String> {
        self.take().iter().flat_map(|sent| statements(sent)).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

fn lock(tape: &Mutex<Tape>) -> MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

fn begin(tape: &Mutex<Tape>) -> usize {
    let mut tape = lock(tape);
    tape.sent.push(Vec::new());
    tape.sent.len() - 1
}

/// Carries bytes both ways until one side ends, or a reply is to be lost.
async fn pass(
    client: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    server: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    tape: &Mutex<Tape>,
    at: usize,
) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client, server);
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut losing = false;
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                {
                    let mut tape = lock(tape);
                    tape.sent[at].extend_from_slice(&asked[..length]);
                    let text = String::from_utf8_lossy(&asked[..length]);
                    if tape.losing.as_ref().is_some_and(|losing| text.contains(losing)) {
                        tape.losing = None;
                        tape.lost += 1;
                        losing = true;
                    }
                }
                if to_server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = from_server.read(&mut answered) => {
                // The service has answered, so it has done it; nobody is told.
                let Ok(length @ 1..) = read else { return };
                if losing || to_client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The statements in what a PostgreSQL client sent.
fn statements(sent: &[u8]) -> Vec<String> {
    let length = |at: usize| {
        let bytes = sent.get(at..at + 4)?;
        usize::try_from(i32::from_be_bytes(bytes.try_into().ok()?)).ok()
    };
    let mut found = Vec::new();
    // The first message has no kind, nor has one before it that asks for TLS.
    let Some(mut at) = length(0) else { return found };
    if sent.get(4..8) == Some(&80_877_103_u32.to_be_bytes()) {
        let Some(first) = length(at) else { return found };
        at += first;
    }
    while let Some(size) = length(at + 1) {
        let body = sent.get(at + 5..at + 1 + size).unwrap_or_default();
        let mut texts = body.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        match sent[at] {
            b'Q' => found.extend(texts.next().map(|text| unquoted(&text))),
            b'P' => found.extend(texts.nth(1).map(|text| unquoted(&text))),
            _ => {}
        }
        at += 1 + size;
    }
    found
}

/// A statement without what stands between single quotes.
fn unquoted(text: &str) -> String {
    text.split('\'').step_by(2).collect::<Vec<_>>().join("''")
}
