//! What BuildKit tells while it builds: steps, and what each of them prints.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::buildkit::v1::StatusResponse;
use prost::Message as _;
use serde::Deserialize;

use super::build::LOG_LINES;

/// The most of a line that is kept: a step may print megabytes without an end of line.
const LONGEST_LINE: usize = 4 << 10;
/// How BuildKit's trace is called among what the engine answers.
const TRACE: &str = "moby.buildkit.trace";

/// One line of the engine's answer.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: String,
    #[serde(default)]
    aux: serde_json::Value,
    #[serde(default)]
    stream: String,
    error: Option<String>,
    #[serde(rename = "errorDetail")]
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    message: Option<String>,
}

/// All steps so far.
#[derive(Default)]
pub(super) struct Progress {
    /// What came in and is no whole line yet.
    open: Vec<u8>,
    steps: HashMap<String, Step>,
    /// Steps in the order they were begun.
    begun: Vec<String>,
    /// The step that failed.
    failed: Option<String>,
}

#[derive(Default)]
struct Step {
    name: String,
    log: Log,
}

impl Progress {
    /// Takes in the next part of the answer; what the engine says when the build failed.
    pub(super) fn add(&mut self, part: &[u8]) -> Option<String> {
        let mut failure = None;
        self.open.extend_from_slice(part);
        while let Some(end) = self.open.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.open.drain(..=end).collect();
            failure = self.line(&line).or(failure);
        }
        failure
    }

    /// The same for what came last, with or without an end of line.
    pub(super) fn end(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.open);
        self.line(&rest)
    }

    fn line(&mut self, line: &[u8]) -> Option<String> {
        let line: Line = serde_json::from_slice(line).ok()?;
        if line.id == TRACE
            && let Some(text) = line.aux.as_str()
            && let Ok(bytes) = STANDARD.decode(text)
            && let Ok(status) = StatusResponse::decode(bytes.as_slice())
        {
            self.status(status);
        }
        if !line.stream.is_empty() {
            self.step("").log.add(&line.stream);
        }
        line.detail.and_then(|detail| detail.message).or(line.error)
    }

    fn status(&mut self, status: StatusResponse) {
        for vertex in status.vertexes {
            // Others are given up because of the first.
            let given_up = vertex.error.contains("context canceled");
            if !vertex.error.is_empty() && !given_up && self.failed.is_none() {
                self.failed = Some(vertex.digest.clone());
            }
            self.step(&vertex.digest).name = vertex.name;
        }
        for log in status.logs {
            self.step(&log.vertex).log.add(&String::from_utf8_lossy(&log.msg));
        }
    }

    fn step(&mut self, digest: &str) -> &mut Step {
        if !self.steps.contains_key(digest) {
            self.begun.push(digest.to_owned());
        }
        self.steps.entry(digest.to_owned()).or_default()
    }

    /// The name of the step that failed, and the end of what it printed.
    pub(super) fn failed(mut self) -> Option<(String, Option<String>)> {
        let step = self.steps.remove(&self.failed?)?;
        Some((step.name, step.log.text()))
    }

    /// Whether some step is called so.
    pub(super) fn has_step(&self, name: impl Fn(&str) -> bool) -> bool {
        self.begun.iter().any(|digest| name(&self.steps[digest].name))
    }
}

/// The end of what is printed.
#[derive(Default)]
pub(super) struct Log {
    lines: VecDeque<String>,
    /// The engine cuts the text anywhere.
    open: String,
}

impl Log {
    pub(super) fn add(&mut self, text: &str) {
        for piece in text.split_inclusive('\n') {
            if self.open.len() < LONGEST_LINE {
                self.open.push_str(piece);
            }
            if piece.ends_with('\n') {
                let line = std::mem::take(&mut self.open);
                self.push(&line);
            }
        }
    }

    fn push(&mut self, line: &str) {
        // A bar that is drawn again and again on one line.
        let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
        // The engine's own book-keeping says nothing.
        let noise = ["--->", "Removing intermediate container"];
        if line.is_empty() || noise.iter().any(|words| line.trim_start().starts_with(words)) {
            return;
        }
        if self.lines.len() == LOG_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    pub(super) fn text(mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.open);
        self.push(&rest);
        let lines: Vec<_> = self.lines.into();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::buildkit::v1::{Vertex, VertexLog};

    use super::*;

    #[test]
    fn the_log_keeps_its_end() {
        let mut log = Log::default();
        for n in 0..100 {
            log.add(&format!("line {n}\n\n"));
        }
        log.add("not yet ");
        log.add("ended");
        let text = log.text().unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), LOG_LINES);
        assert_eq!(lines.first(), Some(&"line 76"));
        assert_eq!(lines.last(), Some(&"not yet ended"));
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let mut log = Log::default();
        for _ in 0..1000 {
            log.add(&"x".repeat(1 << 10));
        }
        assert!(log.text().unwrap().len() <= 2 * LONGEST_LINE);
    }

    fn trace(status: &StatusResponse) -> Vec<u8> {
        let aux = STANDARD.encode(status.encode_to_vec());
        format!("{{\"id\":\"{TRACE}\",\"aux\":\"{aux}\"}}\r\n").into_bytes()
    }

    #[test]
    fn the_step_that_failed_is_shown_with_what_it_printed() {
        let vertex = |digest: &str, name: &str, error: &str| Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            error: error.to_owned(),
            ..Vertex::default()
        };
        let log = |digest: &str, text: &str| VertexLog {
            vertex: digest.to_owned(),
            msg: text.as_bytes().to_vec(),
            ..VertexLog::default()
        };
        let mut progress = Progress::default();
        let begun = StatusResponse {
            vertexes: vec![vertex("a", "[1/2] RUN one", ""), vertex("b", "[2/2] RUN two", "")],
            logs: vec![log("a", "fine\n"), log("b", "what is wr")],
            ..StatusResponse::default()
        };
        // Cut anywhere.
        let bytes = trace(&begun);
        let (first, second) = bytes.split_at(40);
        assert_eq!(progress.add(first), None);
        assert_eq!(progress.add(second), None);
        let ended = StatusResponse {
            vertexes: vec![
                vertex("b", "[2/2] RUN two", "exit code: 1"),
                vertex("a", "[1/2] RUN one", "context canceled"),
            ],
            logs: vec![log("b", "ong\n")],
            ..StatusResponse::default()
        };
        assert_eq!(progress.add(&trace(&ended)), None);
        let said = br#"{"errorDetail":{"message":"exit code: 1"},"error":"exit code: 1"}"#;
        assert_eq!(progress.add(said), None);
        assert_eq!(progress.end().as_deref(), Some("exit code: 1"));
        assert!(progress.has_step(|name| name.contains("RUN one")));
        let (name, log) = progress.failed().unwrap();
        assert_eq!((name.as_str(), log.as_deref()), ("[2/2] RUN two", Some("what is wrong")));
    }
}
