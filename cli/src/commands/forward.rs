//! `dollop forward`: a port of this machine that leads to one that is not published.

use std::net::SocketAddr;

use dollop_engine::operate::{Ability, Object};
use futures::future::try_join_all;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::args::{ForwardArgs, Ports};
use crate::error::{CommandError, DONE};
use crate::live::{Live, Target};
use crate::session::block_on;
use crate::terminal;

/// Listens until somebody presses Ctrl-C.
pub fn run(args: &ForwardArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.one.place)?;
    let target = live.one(&args.one, Ability::Reach)?;
    let object = live.object(target.record);
    block_on(async {
        let mut doors = Vec::new();
        for ports in &args.ports {
            // Nothing is promised that leads nowhere.
            reach(&live, &target, &object, ports.there).await?;
            doors.push((listen(SocketAddr::new(args.address, ports.here)).await?, *ports));
        }
        for (door, ports) in &doors {
            let here = door.local_addr().map_err(|error| {
                CommandError::failed(format!("cannot tell where it listens: {error}"))
            })?;
            terminal::print(&format!("{here} -> {} port {}\n", target.label, ports.there))?;
        }
        terminal::say("Ctrl-C ends it\n");
        let all =
            doors.into_iter().map(|(door, ports)| serve(&live, &target, &object, door, ports));
        tokio::select! {
            ended = try_join_all(all) => ended.map(|_| DONE),
            _ = tokio::signal::ctrl_c() => Ok(DONE),
        }
    })
}

async fn listen(at: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(at).await.map_err(|error| {
        CommandError::failed(format!("cannot listen at {at}: {error}"))
            .hint("name another port of this machine before it: `0:6379` takes any free one")
    })
}

/// The way is looked up for every connection: what it leads to may have been made anew.
async fn reach(
    live: &Live,
    target: &Target<'_>,
    object: &Object,
    port: u16,
) -> Result<Box<dyn dollop_engine::operate::Duplex>, CommandError> {
    let way = async {
        let inner = live.line_of(target).await?;
        target.operations.reach(&inner.connection, object, port).await
    };
    way.await.map_err(|error| live.explain(&error))
}

async fn serve(
    live: &Live,
    target: &Target<'_>,
    object: &Object,
    door: TcpListener,
    ports: Ports,
) -> Result<(), CommandError> {
    loop {
        let (guest, _) = door.accept().await.map_err(|error| {
            CommandError::failed(format!("cannot take a connection: {error}"))
        })?;
        match reach(live, target, object, ports.there).await {
            Ok(inside) => {
                tokio::spawn(join(guest, inside));
            }
            // The next one may find it there again.
            Err(error) => terminal::say(&error.render(terminal::stderr_width())),
        }
    }
}

/// Copies until one side hangs up; how it does is its own business.
async fn join(mut guest: TcpStream, mut inside: Box<dyn dollop_engine::operate::Duplex>) {
    let _ = copy_bidirectional(&mut guest, &mut inside).await;
}
