//! A command inside something, connected to this terminal.

use std::io::{IsTerminal as _, Read as _, Write as _};

use dollop_engine::error::CallError;
use dollop_engine::operate::{Attached, Command, Stream};
use tokio::sync::{mpsc, watch};

use crate::args::AttachArgs;
use crate::error::CommandError;
use crate::live::{Live, Target};
use crate::session::block_on;

/// How many bytes are passed on at once.
const CHUNK: usize = 16 << 10;
/// What a terminal is taken for that does not tell its size.
const SIZE: (u16, u16) = (80, 24);

/// Runs a command and answers with its exit code.
pub fn run(
    live: &Live,
    target: &Target<'_>,
    mut command: Command,
    how: AttachArgs,
) -> Result<u8, CommandError> {
    let both = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    command.terminal = both && !how.no_tty && !how.no_stdin;
    if command.terminal
        && let Ok(term) = std::env::var("TERM")
    {
        command.env.push(("TERM".to_owned(), term));
    }
    let object = live.object(target.record);
    let code = block_on(async {
        let way = live.line_of(target).await.map_err(|error| live.explain(&error))?;
        let (send, mut printed) = mpsc::channel(16);
        let (resized, size) = watch::channel(size());
        let raw = command.terminal.then(Raw::on).transpose()?;
        let attached = Attached { input: (!how.no_stdin).then(typed), size, output: send };
        let running = target.operations.exec(&way.connection, &object, command, attached);
        let printing = async {
            while let Some((stream, bytes)) = printed.recv().await {
                if !write(stream, &bytes) {
                    // Nobody reads: the command finds out by its closed output.
                    printed.close();
                }
            }
        };
        let resizing = follow_size(resized);
        let ended: Result<i64, CallError> = tokio::select! {
            (ended, ()) = async { tokio::join!(running, printing) } => ended,
            () = resizing => Ok(0),
        };
        drop(raw);
        ended.map_err(|error| live.explain(&error))
    })?;
    // What was killed by a signal or has a code no shell knows is a failure all the same.
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// What is typed, read on a thread of its own: reading cannot be given up, and must not keep
/// the program from ending.
fn typed() -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        let mut input = std::io::stdin().lock();
        while let Ok(count @ 1..) = input.read(&mut buffer) {
            if send.blocking_send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receive
}

/// Passes bytes on as they are; `false` when nobody reads them.
fn write(stream: Stream, bytes: &[u8]) -> bool {
    match stream {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush()).is_ok()
        }
        Stream::Err => {
            let mut out = std::io::stderr().lock();
            out.write_all(bytes).and_then(|()| out.flush()).is_ok()
        }
    }
}

fn size() -> (u16, u16) {
    terminal_size::terminal_size().map_or(SIZE, |(columns, rows)| (columns.0, rows.0))
}

/// Tells the new size whenever the window changes; never ends.
#[cfg(unix)]
async fn follow_size(told: watch::Sender<(u16, u16)>) {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut changes) = signal(SignalKind::window_change()) {
        while changes.recv().await.is_some() {
            told.send_replace(size());
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(not(unix))]
async fn follow_size(told: watch::Sender<(u16, u16)>) {
    std::future::pending::<()>().await;
    drop(told);
}

/// A terminal that passes on every key; as it was once this is dropped.
struct Raw;

impl Raw {
    fn on() -> Result<Self, CommandError> {
        crossterm::terminal::enable_raw_mode().map_err(|error| {
            CommandError::failed(format!("this terminal cannot pass on every key: {error}"))
                .hint("`--no-tty` goes without")
        })?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}
