//! A make-believe apply, for a look at the live view: `cargo run --example progress`.

use std::thread::sleep;
use std::time::Duration;

use dollop_cli::render::progress::{Progress, Reporter};
use dollop_cli::terminal;
use dollop_engine::address::Address;
use dollop_engine::error::CallError;
use dollop_engine::plan::Operation;
use dollop_engine::pool::Wait;

fn main() {
    let containers: Vec<Address> = (0..14)
        .map(|number| Address::new(vec![], "docker::container", vec![format!("web-{number}")]))
        .collect();
    let server = Address::new(vec![], "postgres::server", vec!["main".to_owned()]);
    let reporter = Reporter::stderr(containers.len() + 1);
    for address in containers.iter().cloned() {
        reporter.report(Progress::Started { address, operation: Operation::Create });
    }
    reporter
        .report(Progress::Started { address: server.clone(), operation: Operation::Connect });
    for (number, address) in containers.iter().cloned().enumerate() {
        sleep(Duration::from_millis(400));
        let (operation, took) = (Operation::Create, Duration::from_millis(400));
        reporter.report(if number == 9 {
            let error = CallError::refused("port `8080` is already taken")
                .note("last lines of its log:\n  bind: address in use")
                .hint("choose another port");
            Progress::Failed { address, operation, error, took }
        } else {
            Progress::Finished { address, operation, took, note: None }
        });
        let (elapsed, patience) = (Duration::from_secs(number as u64), Duration::from_mins(1));
        let wait = Wait { tries: number + 1, elapsed, patience };
        let (address, server) = (server.clone(), server.clone());
        reporter.report(Progress::Waiting { address, server, wait });
    }
    reporter.report(Progress::Skipped { address: server, because: containers[9].clone() });
    let summary = reporter.finish().summary(false, Duration::from_secs(6), 80);
    terminal::say(&summary);
}
