//! What containers log.

use std::time::SystemTime;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use dollop_engine::error::CallError;
use dollop_engine::operate::{LogLine, LogRequest, Object, Stream};
use futures::stream::{self, BoxStream, StreamExt as _};

use super::super::engine::{Engine, said};
use super::{find, gone};

/// The log of one container, line by line.
pub(super) fn logs<'a>(
    engine: &'a Engine,
    object: &'a Object,
    request: LogRequest,
) -> BoxStream<'a, Result<LogLine, CallError>> {
    let found = stream::once(find(engine, object));
    let lines = found.flat_map(move |found| match found {
        Err(error) => stream::once(async { Err(error) }).boxed(),
        Ok(None) => stream::once(async { Err(gone(object)) }).boxed(),
        Ok(Some(container)) => {
            let id = container.id.unwrap_or_default();
            lines(engine, object, &id, &request)
        }
    });
    lines.boxed()
}

fn lines<'a>(
    engine: &'a Engine,
    object: &'a Object,
    id: &str,
    request: &LogRequest,
) -> BoxStream<'a, Result<LogLine, CallError>> {
    let (since, until) = (request.since, request.until);
    let tail = request.tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string());
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .follow(request.follow)
        .tail(&tail)
        // Whole seconds is all it takes; the rest is left out below.
        .since(since.map_or(0, seconds))
        .until(until.map_or(0, |until| seconds(until).saturating_add(1)))
        .build();
    let found = engine.docker.logs(id, Some(options)).flat_map(move |part| {
        let lines = match part {
            Ok(part) => split(part),
            Err(error) => vec![Err(explain(engine, object, &error))],
        };
        stream::iter(lines)
    });
    let wanted = found.filter(move |line| {
        let inside = match line {
            Ok(line) => {
                since.is_none_or(|since| line.when >= since)
                    && until.is_none_or(|until| line.when <= until)
            }
            Err(_) => true,
        };
        futures::future::ready(inside)
    });
    wanted.boxed()
}

/// Drivers such as `none` and `syslog` keep nothing the engine could show.
fn explain(engine: &Engine, object: &Object, error: &bollard::errors::Error) -> CallError {
    let address = &object.name.address;
    if said(error).contains("does not support reading") {
        let message = format!("the logging driver of `{address}` keeps nothing to read");
        return CallError::refused(message).hint(
            "its `logging` says where its output goes; `json-file` and `local` are readable",
        );
    }
    engine.failed(&format!("reading the log of `{address}`"), error)
}

/// One part is one line, or for a program with a terminal several.
fn split(part: LogOutput) -> Vec<Result<LogLine, CallError>> {
    let stream =
        if matches!(part, LogOutput::StdErr { .. }) { Stream::Err } else { Stream::Out };
    let (LogOutput::StdErr { message }
    | LogOutput::StdOut { message }
    | LogOutput::StdIn { message }
    | LogOutput::Console { message }) = part;
    let text = String::from_utf8_lossy(&message);
    let lines = text.lines().map(|line| {
        let stamp = line.split_once(' ').unwrap_or((line, ""));
        let (when, text) = match humantime::parse_rfc3339(stamp.0) {
            Ok(when) => (when, stamp.1),
            Err(_) => (SystemTime::UNIX_EPOCH, line),
        };
        Ok(LogLine { when, stream, text: text.trim_end_matches('\r').to_owned() })
    });
    lines.collect()
}

fn seconds(when: SystemTime) -> i32 {
    let since = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i32::try_from(since.as_secs()).unwrap_or(i32::MAX)
}
