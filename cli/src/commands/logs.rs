//! `dollop logs`: what everything logs, as one log.

use std::ops::ControlFlow;
use std::time::SystemTime;

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use dollop_engine::error::CallError;
use dollop_engine::operate::{Ability, LogLine, LogRequest, Stream};
use futures::StreamExt as _;
use regex::Regex;
use serde_json::json;

use crate::args::LogsArgs;
use crate::error::{CommandError, DONE};
use crate::live::{Live, Target};
use crate::merge::merged;
use crate::render::style::{DIM, paint};
use crate::render::text::{clean, pad, width};
use crate::session::block_on;
use crate::terminal;

/// The colours that tell resources apart; none of them means anything.
const COLOURS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Yellow,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightGreen,
    AnsiColor::BrightYellow,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// Merges the logs of everything that is meant, line by line.
pub fn run(args: &LogsArgs) -> Result<u8, CommandError> {
    let pattern = args.grep.as_deref().map(Regex::new).transpose().map_err(|error| {
        CommandError::usage(format!("`--grep` is no regular expression: {error}"))
    })?;
    let live = Live::open(&args.select.place)?;
    let targets = live.select(&args.select, Ability::Logs)?;
    let request = LogRequest {
        follow: args.follow,
        tail: args.tail,
        since: args.since.map(|moment| moment.0),
        until: args.until.map(|moment| moment.0),
    };
    let objects: Vec<_> = targets.iter().map(|target| live.object(target.record)).collect();
    let column = targets.iter().map(|target| width(&target.label)).max().unwrap_or(0);
    let shape = Shape { column: (targets.len() > 1).then_some(column), pattern, args };
    block_on(async {
        let mut lines = Vec::new();
        for target in &targets {
            lines.push(live.line_of(target).await.map_err(|error| live.explain(&error))?);
        }
        let streams = targets.iter().zip(&lines).zip(&objects);
        let streams = streams.map(|((target, line), object)| {
            target.operations.logs(&line.connection, object, &request).boxed()
        });
        let mut failed = Vec::new();
        let end = merged(streams.collect(), args.follow, moment, |index, line| {
            match (line, targets.get(index)) {
                (Ok(entry), Some(target)) => show(&live, &shape, index, target, entry),
                (Err(error), _) => {
                    failed.push(error);
                    ControlFlow::Continue(())
                }
                (_, None) => ControlFlow::Continue(()),
            }
        });
        if let Some(Err(error)) = end.await {
            return Err(error);
        }
        for error in &failed {
            terminal::say(&live.explain(error).render(terminal::stderr_width()));
        }
        if failed.is_empty() { Ok(DONE) } else { Err(CommandError::reported()) }
    })
}

/// How lines are shown.
struct Shape<'a> {
    /// How wide the names are, where there are several.
    column: Option<usize>,
    pattern: Option<Regex>,
    args: &'a LogsArgs,
}

fn moment(line: &Result<LogLine, CallError>) -> SystemTime {
    line.as_ref().map_or(SystemTime::UNIX_EPOCH, |line| line.when)
}

/// Prints a line, when it is wanted; breaks off when nobody reads any more.
fn show(
    live: &Live,
    shape: &Shape<'_>,
    index: usize,
    target: &Target<'_>,
    entry: LogLine,
) -> ControlFlow<Result<(), CommandError>> {
    let text = live.redactor.clean(&strip_str(&entry.text).to_string());
    if shape.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
        return ControlFlow::Continue(());
    }
    let shown = if shape.args.json {
        let stream = match entry.stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        };
        json!({
            "address": target.record.address,
            "time": humantime::format_rfc3339_nanos(entry.when).to_string(),
            "stream": stream,
            "text": text,
        })
        .to_string()
    } else {
        let mut shown = String::new();
        if let Some(column) = shape.column {
            let colour = COLOURS[index % COLOURS.len()];
            let style = Style::new().fg_color(Some(colour.into()));
            shown.push_str(&paint(style, pad(&target.label, column) + " |"));
            shown.push(' ');
        }
        if shape.args.timestamps {
            let when = humantime::format_rfc3339_millis(entry.when);
            shown.push_str(&paint(DIM, when));
            shown.push(' ');
        }
        // A tab only moves to the right, which is what it is meant for.
        let parts: Vec<_> = text.split('\t').map(clean).collect();
        shown.push_str(&parts.join("\t"));
        shown
    };
    match terminal::write(&(shown + "\n")) {
        Ok(true) => ControlFlow::Continue(()),
        Ok(false) => ControlFlow::Break(Ok(())),
        Err(error) => ControlFlow::Break(Err(error)),
    }
}
