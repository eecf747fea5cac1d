//! `dollop drift`: what was changed outside dollop, once or again and again.

use std::process::Stdio;
use std::time::SystemTime;

use dollop_engine::plan::{Options, Plan};
use dollop_state::read_state;
use dollop_stdlib::http;
use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command as Process;

use crate::args::{DriftArgs, ListFormat};
use crate::error::{CHANGES, CommandError, DONE};
use crate::live::profiles;
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::text::{clean, count};
use crate::render::words;
use crate::session::{Session, block_on};
use crate::terminal;

/// Looks, tells, and ends with 2 when something was changed.
pub fn run(args: &DriftArgs) -> Result<u8, CommandError> {
    if args.watch {
        return block_on(async {
            tokio::select! {
                ended = watch(args) => ended,
                _ = tokio::signal::ctrl_c() => Ok(DONE),
            }
        });
    }
    block_on(async {
        let Look::Found(found) = look(args).await? else {
            return Err(CommandError::failed("another dollop is changing the stack right now")
                .hint("look again when it has ended"));
        };
        terminal::print(&told(&found, args))?;
        if found.is_drift() {
            notify(&found, args).await?;
            return Ok(CHANGES);
        }
        Ok(DONE)
    })
}

/// What one look gave.
enum Look {
    /// It was compared with the world.
    Found(Found),
    /// An apply is under way: what it has made is not recorded yet.
    Busy,
}

/// What was found, ready to be told.
#[derive(Clone)]
struct Found {
    /// What is told, without what changes from one look to the next.
    resources: Vec<Json>,
    /// The same in words, a line each.
    lines: Vec<String>,
    /// Why nothing could be compared.
    error: Option<String>,
    stack: String,
    environment: String,
}

impl Found {
    fn is_drift(&self) -> bool {
        !self.resources.is_empty()
    }

    /// Whether somebody who was told the one need not be told the other.
    fn says(&self, other: &Self) -> bool {
        self.resources == other.resources && self.error == other.error
    }

    /// In one sentence.
    fn sentence(&self) -> String {
        let stack = &self.stack;
        match (&self.error, self.resources.len()) {
            (Some(error), _) => format!("stack `{stack}` cannot be compared: {error}"),
            (None, 0) => format!("stack `{stack}` is as it was made"),
            (None, many) => {
                format!("{} of stack `{stack}` changed outside dollop", count(many, "resource"))
            }
        }
    }

    fn document(&self) -> Json {
        let text = std::iter::once(self.sentence()).chain(self.lines.iter().cloned());
        json!({
            "format_version": FORMAT_VERSION,
            "stack": self.stack,
            "environment": self.environment,
            "when": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            "drift": self.is_drift(),
            "error": self.error,
            "resources": self.resources,
            // What chats show.
            "text": text.collect::<Vec<_>>().join("\n"),
        })
    }
}

/// Compares what was applied with what is there.
async fn look(args: &DriftArgs) -> Result<Look, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    let snapshot = read_state(&session.state_folder())?;
    if snapshot.changing {
        return Ok(Look::Busy);
    }
    let state = snapshot.state;
    if state.records.is_empty() {
        let stack = clean(&session.project.stack).into_owned();
        return Err(CommandError::failed(format!("nothing of stack `{stack}` is applied"))
            .hint("`dollop apply` makes what it declares"));
    }
    let mut stack = args.stack.clone();
    if stack.profiles.is_empty() {
        stack.profiles = profiles(&state);
    }
    let graph = session.declared(&stack)?;
    let plan = session.plan(&graph, &state, &Options::default()).await?;
    Ok(Look::Found(found(&session, &plan)))
}

fn found(session: &Session, plan: &Plan) -> Found {
    let whole = json::plan(plan);
    let changes = whole["changes"].as_array().into_iter().flatten();
    let resources = changes.filter(|change| change["drift"] == true).map(|change| {
        let differences = change["differences"].as_array().into_iter().flatten();
        let differences: Vec<_> = differences.filter(|one| one["drift"] == true).collect();
        json!({
            "address": change["address"],
            "action": change["action"],
            "reasons": change["reasons"],
            "differences": differences,
        })
    });
    let lines = words::drift(plan).into_iter().map(|(change, paths)| {
        let what = if paths.is_empty() { "gone".to_owned() } else { paths.join(", ") };
        clean(&format!("{}: {what}", change.address)).into_owned()
    });
    Found {
        resources: resources.collect(),
        lines: lines.collect(),
        error: None,
        stack: session.project.stack.clone(),
        environment: session.project.environment.name().to_owned(),
    }
}

/// Looks until somebody ends it; tells what is new only.
async fn watch(args: &DriftArgs) -> Result<u8, CommandError> {
    let project = args.stack.project()?;
    let nothing = Found {
        resources: Vec::new(),
        lines: Vec::new(),
        error: None,
        stack: project.stack.clone(),
        environment: project.environment.name().to_owned(),
    };
    terminal::say(&format!(
        "looking every {}; Ctrl-C ends it\n",
        humantime::format_duration(args.every)
    ));
    // What was shown here, and what others were told: those may not have been reached.
    let (mut shown, mut sent) = (None::<Found>, nothing.clone());
    loop {
        let now = match look(args).await {
            Ok(Look::Found(now)) => Some(now),
            Ok(Look::Busy) => None,
            Err(error) => {
                let why = clean(&error.message).into_owned();
                Some(Found { error: Some(why), ..nothing.clone() })
            }
        };
        if let Some(now) = now {
            if !shown.as_ref().is_some_and(|shown| shown.says(&now)) {
                if !terminal::write(&told(&now, args))? {
                    return Ok(DONE);
                }
                shown = Some(now.clone());
            }
            if !sent.says(&now) {
                match notify(&now, args).await {
                    Ok(()) => sent = now,
                    Err(error) => terminal::say(&error.render(terminal::stderr_width())),
                }
            }
        }
        tokio::time::sleep(args.every).await;
    }
}

/// As it is shown on stdout.
fn told(found: &Found, args: &DriftArgs) -> String {
    if args.format == ListFormat::Json {
        let document = found.document();
        // A program reads line by line as they come.
        return if args.watch { format!("{document}\n") } else { json::text(&document) };
    }
    let mut text = format!("{}\n", found.sentence());
    for line in &found.lines {
        text = format!("{text}  {line}\n");
    }
    if found.is_drift() {
        text.push_str("`dollop plan` shows what an apply would do about it\n");
    }
    text
}

/// Tells whoever wants to know, in both ways before one that failed is complained about.
async fn notify(found: &Found, args: &DriftArgs) -> Result<(), CommandError> {
    let document = found.document();
    let sent = match &args.webhook {
        Some(url) => http::post(url, &document).await.map_err(CommandError::from),
        None => Ok(()),
    };
    let ran = match &args.then {
        Some(command) => shell(command, &document).await,
        None => Ok(()),
    };
    sent.and(ran)
}

/// Runs a command, to which the document is piped; what it prints is talk.
async fn shell(command: &str, document: &Json) -> Result<(), CommandError> {
    let failed = |why: String| CommandError::failed(format!("`--then` failed: {why}"));
    let mut process = Process::new("sh");
    process.args(["-c", command]).stdin(Stdio::piped()).stdout(std::io::stderr());
    let mut child = process.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // A command that reads nothing has ended before it was given all.
        let _ = input.write_all(format!("{document}\n").as_bytes()).await;
    }
    let ended = child.wait().await.map_err(|error| failed(error.to_string()))?;
    if ended.success() { Ok(()) } else { Err(failed(format!("it ended with {ended}"))) }
}
