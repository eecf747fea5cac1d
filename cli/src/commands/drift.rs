//! `dollop drift`: what was changed outside dollop, once or again and again.

use std::time::Duration;

use dollop_stdlib::http::Webhook;
use serde_json::Value as Json;

use crate::args::{DriftArgs, ListFormat};
use crate::drift::{Found, Look, look};
use crate::error::{CHANGES, CommandError, DONE, Kind};
use crate::hook::Hook;
use crate::render::json;
use crate::render::text::clean;
use crate::session::block_on;
use crate::terminal;

/// How long `--then` may take: nobody looks meanwhile.
const TELLING: Duration = Duration::from_mins(1);

/// Looks, tells, and ends with 2 when something was changed.
pub fn run(args: &DriftArgs) -> Result<u8, CommandError> {
    let channels = channels(args)?;
    if args.watch {
        return block_on(async {
            tokio::select! {
                ended = watch(args, channels) => ended,
                _ = tokio::signal::ctrl_c() => Ok(DONE),
            }
        });
    }
    block_on(once(args, &channels))
}

/// A way to whoever wants to know.
enum Channel {
    Webhook(Webhook),
    Command(String),
}

impl Channel {
    async fn tell(&self, document: &Json) -> Result<(), CommandError> {
        match self {
            Self::Webhook(webhook) => webhook.post(document).await.map_err(CommandError::from),
            Self::Command(command) => {
                let told = Hook::new(command).tell(&format!("{document}\n"), TELLING).await;
                told.map_err(|how| CommandError::failed(format!("`--then` failed: {how}")))
            }
        }
    }
}

/// # Errors
/// An address that is none: that is known before anything happens.
fn channels(args: &DriftArgs) -> Result<Vec<Channel>, CommandError> {
    let mut channels = Vec::new();
    // A variable that is empty is as good as none.
    if let Some(url) = args.webhook.as_ref().filter(|url| !url.trim().is_empty()) {
        let webhook = Webhook::new(url).map_err(|error| {
            let usage = CommandError::usage(error.message);
            error.hints.into_iter().fold(usage, CommandError::hint)
        })?;
        channels.push(Channel::Webhook(webhook));
    }
    channels.extend(args.then.clone().map(Channel::Command));
    Ok(channels)
}

/// One look. That nothing can be seen is told, too; that somebody is not reached changes
/// nothing about what was found.
async fn once(args: &DriftArgs, channels: &[Channel]) -> Result<u8, CommandError> {
    let found = match look(&args.stack).await {
        Ok(Look::Found(found)) => found,
        Ok(Look::Busy) => {
            return Err(CommandError::failed("another dollop is changing the stack right now")
                .hint("look again when it has ended"));
        }
        Err(error) => {
            // Of a command line that makes no sense only who typed it wants to know.
            if !matches!(error.kind, Kind::Usage)
                && let Ok(nothing) = nothing(args)
            {
                tell_all(&unseen(&error, nothing), channels).await;
            }
            return Err(error);
        }
    };
    terminal::print(&told(&found, args))?;
    if found.is_drift() || found.error.is_some() {
        tell_all(&found, channels).await;
    }
    match (&found.error, found.is_drift()) {
        (_, true) => Ok(CHANGES),
        (Some(_), false) => Err(CommandError::failed("not all of the stack can be compared")
            .hint("`dollop health` shows what does not answer")),
        (None, false) => Ok(DONE),
    }
}

async fn tell_all(found: &Found, channels: &[Channel]) {
    let document = found.document();
    for channel in channels {
        if let Err(error) = channel.tell(&document).await {
            terminal::say(&error.render(terminal::stderr_width()));
        }
    }
}

fn nothing(args: &DriftArgs) -> Result<Found, CommandError> {
    let project = args.stack.project()?;
    Ok(Found::nothing(&project.stack, project.environment.name()))
}

fn unseen(error: &CommandError, nothing: Found) -> Found {
    nothing.without_sight(clean(&error.message).into_owned())
}

/// Looks until somebody ends it; tells what is new only.
async fn watch(args: &DriftArgs, channels: Vec<Channel>) -> Result<u8, CommandError> {
    let nothing = nothing(args)?;
    terminal::say(&format!(
        "looking every {}; Ctrl-C ends it\n",
        humantime::format_duration(args.every)
    ));
    // What was shown here, and what each of the others was told: one may not be reached.
    let mut shown = None::<Found>;
    let mut sent: Vec<_> =
        channels.into_iter().map(|channel| (channel, nothing.clone())).collect();
    loop {
        let now = match look(&args.stack).await {
            Ok(Look::Found(now)) => Some(now),
            Ok(Look::Busy) => None,
            Err(error) => Some(unseen(&error, nothing.clone())),
        };
        if let Some(now) = now {
            if !shown.as_ref().is_some_and(|shown| shown.says(&now)) {
                if !terminal::write(&told(&now, args))? {
                    return Ok(DONE);
                }
                shown = Some(now.clone());
            }
            for (channel, knows) in &mut sent {
                if knows.says(&now) {
                    continue;
                }
                match channel.tell(&now.document()).await {
                    Ok(()) => *knows = now.clone(),
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
