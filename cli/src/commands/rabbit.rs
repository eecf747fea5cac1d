//! `dollop rabbit`: look into a RabbitMQ of the stack, and run its own tools.

use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::operate::{Ability, Command};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::args::{ListFormat, RabbitArgs};
use crate::attach;
use crate::error::{CommandError, DONE};
use crate::live::{Live, Target};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::table::{Column, Tone, cell, number, plain, table, text};
use crate::render::text::{clean, count};
use crate::session::block_on;
use crate::terminal;

/// What is asked for the list of queues.
const QUEUES: &str = "queues?columns=vhost,name,type,state,messages_ready,\
                      messages_unacknowledged,consumers,policy,operator_policy";

/// What is asked to know whether there is a vhost.
const VHOSTS: &str = "vhosts?columns=name";

/// What stands where something is that lets people in.
const MASKED: &str = "(sensitive)";

const COLUMNS: [Column; 8] = [
    text("VHOST", 0),
    text("QUEUE", 0),
    text("TYPE", 1),
    text("STATE", 2),
    number("READY", 0),
    number("UNACKED", 0),
    number("CONSUMERS", 0),
    text("POLICIES", 3),
];

/// A queue as the server lists it; what it has not counted yet is missing.
#[derive(Deserialize, Serialize)]
struct Queue {
    vhost: String,
    name: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    messages_ready: Option<u64>,
    #[serde(default)]
    messages_unacknowledged: Option<u64>,
    #[serde(default)]
    consumers: Option<u64>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    operator_policy: Option<String>,
}

/// Runs one of the server's tools in its container, or asks its API; without either it lists
/// the queues.
pub fn run(args: &RabbitArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.place)?;
    let none = CommandError::failed("nothing in this stack is a RabbitMQ")
        .hint("`rabbitmq::server` declares a connection to a server");
    let what = args.what.as_ref();
    let target = live.only(what, &args.place, Ability::Answer, ("rabbit", none))?;
    if !args.arguments.is_empty() {
        return tool(&live, &target, args);
    }
    let object = live.object(target.record);
    let (answer, vhosts) = block_on(async {
        let through = live.line_of(&target).await.map_err(|error| live.explain(&error))?;
        let ask = async |question: &str| {
            let answer = target.operations.answer(&through.connection, &object, question).await;
            answer.map_err(|error| live.explain(&error))
        };
        let vhosts = match &args.vhost {
            Some(_) => Some(ask(VHOSTS).await?),
            None => None,
        };
        Ok((ask(args.api.as_deref().unwrap_or(QUEUES)).await?, vhosts))
    })?;
    if args.api.is_some() {
        let mut answer = answer;
        mask(&mut answer);
        terminal::print(&live.redactor.clean(&json::text(&answer)))?;
        return Ok(DONE);
    }
    if let (Some(wanted), Some(vhosts)) = (&args.vhost, vhosts) {
        is_one(wanted, &vhosts)?;
    }
    let mut queues: Vec<Queue> = serde_json::from_value(answer).map_err(|error| {
        CommandError::failed(format!("the list of queues has another form: {error}"))
    })?;
    queues.retain(|queue| args.vhost.as_ref().is_none_or(|vhost| *vhost == queue.vhost));
    queues.sort_by(|one, other| (&one.vhost, &one.name).cmp(&(&other.vhost, &other.name)));
    terminal::print(&match args.format {
        ListFormat::Json => json::text(&document(&live, &target, &queues)),
        ListFormat::Text => shown(&queues),
    })?;
    Ok(DONE)
}

/// # Errors
/// The server has no such vhost.
fn is_one(wanted: &str, vhosts: &Json) -> Result<(), CommandError> {
    let vhosts = vhosts.as_array().into_iter().flatten();
    let names: Vec<&str> = vhosts.filter_map(|vhost| vhost["name"].as_str()).collect();
    if names.contains(&wanted) {
        return Ok(());
    }
    let wanted = clean(wanted);
    let error = CommandError::failed(format!("the server has no vhost `{wanted}`"));
    Err(match did_you_mean(&wanted, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`--api vhosts` lists them"),
    })
}

/// Masks what lets people in, of whoever it is: the stack knows its own secrets only.
fn mask(answer: &mut Json) {
    match answer {
        Json::Object(entries) => {
            for (key, value) in entries {
                let key = key.to_ascii_lowercase();
                let is_secret = ["password", "passphrase", "secret", "token", "cookie"]
                    .iter()
                    .any(|word| key.contains(word));
                // Which algorithm hashes is none.
                if is_secret && !key.contains("algorithm") && value.is_string() {
                    *value = Json::from(MASKED);
                } else {
                    mask(value);
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(mask),
        Json::String(text) => {
            if let Some(masked) = without_password(text) {
                *text = masked;
            }
        }
        _ => {}
    }
}

/// A text in which addresses have no passwords; `None` when none has.
fn without_password(text: &str) -> Option<String> {
    let (mut masked, mut rest, mut found) = (String::new(), text, false);
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(['/', '?', '#', ' ', ',']).unwrap_or(after.len());
        let (authority, beyond) = after.split_at(end);
        masked.push_str(before);
        masked.push_str("://");
        let parts = authority.rsplit_once('@');
        match parts.and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => {
                found = true;
                masked.extend([user, ":", MASKED, "@", host]);
            }
            None => masked.push_str(authority),
        }
        rest = beyond;
    }
    masked.push_str(rest);
    found.then_some(masked)
}

/// One of the tools that come with the server, where the right version of it is and where it
/// may speak to the node.
fn tool(live: &Live, target: &Target<'_>, args: &RabbitArgs) -> Result<u8, CommandError> {
    let program = args.tool.program();
    let Some((host, _)) = live.host(target.record)? else {
        let address = &target.record.address;
        let message = format!(
            "`{program}` runs beside its server, and `{address}` is in no container of this stack"
        );
        return Err(CommandError::failed(message)
            .hint("`--api PATH` asks the management API: `--api queues`, `--api overview`"));
    };
    let words = std::iter::once(program.to_owned()).chain(args.arguments.iter().cloned());
    let command = Command { words: words.collect(), ..Command::default() };
    attach::run(live, &host, command, args.how)
}

fn shown(queues: &[Queue]) -> String {
    let counted = |number: Option<u64>| number.map(|number| number.to_string());
    let cells = queues.iter().map(|queue| {
        let state = queue.state.as_deref().unwrap_or_default();
        let tone = if matches!(state, "running" | "idle") { Tone::Dim } else { Tone::Care };
        let kind = queue.kind.as_deref().unwrap_or_default();
        let policies = [&queue.policy, &queue.operator_policy];
        let policies: Vec<&str> = policies
            .into_iter()
            .filter_map(|policy| policy.as_deref().filter(|name| !name.is_empty()))
            .collect();
        vec![
            plain(&queue.vhost),
            cell(&queue.name, Tone::Name),
            plain(kind),
            cell(state, tone),
            plain(counted(queue.messages_ready).unwrap_or_default()),
            plain(counted(queue.messages_unacknowledged).unwrap_or_default()),
            plain(counted(queue.consumers).unwrap_or_default()),
            cell(policies.join(", "), Tone::Dim),
        ]
    });
    let cells: Vec<_> = cells.collect();
    if cells.is_empty() {
        return "there are no queues\n".to_owned();
    }
    let all = queues.iter().map(|queue| {
        queue.messages_ready.unwrap_or(0) + queue.messages_unacknowledged.unwrap_or(0)
    });
    let messages = usize::try_from(all.sum::<u64>()).unwrap_or(usize::MAX);
    let table = table(&COLUMNS, &cells, terminal::stdout_width());
    let (queues, messages) = (count(cells.len(), "queue"), count(messages, "message"));
    format!("{table}\n{queues}, {messages}, as the server last counted: some seconds ago\n")
}

fn document(live: &Live, target: &Target<'_>, queues: &[Queue]) -> Json {
    json!({
        "format_version": FORMAT_VERSION,
        "stack": live.session.project.stack,
        "address": target.record.address,
        "queues": queues,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_people_in_is_masked_whoever_it_belongs_to() {
        let mut answer = json!([{
            "name": "ann", "password_hash": "abc", "hashing_algorithm": "sha256",
            "value": { "src-uri": ["amqp://u:p%40x@h/%2F?a=b", "amqp://h"], "dest-uri": "amqps://u@h" },
            "text": "amqp://a:b@c, amqp://d:e@f",
        }]);
        mask(&mut answer);
        assert_eq!(
            answer,
            json!([{
                "name": "ann", "password_hash": "(sensitive)", "hashing_algorithm": "sha256",
                "value": {
                    "src-uri": ["amqp://u:(sensitive)@h/%2F?a=b", "amqp://h"],
                    "dest-uri": "amqps://u@h",
                },
                "text": "amqp://a:(sensitive)@c, amqp://d:(sensitive)@f",
            }])
        );
    }

    #[test]
    fn a_vhost_that_is_not_there_is_said() {
        let vhosts = json!([{ "name": "/" }, { "name": "shop" }]);
        assert!(is_one("shop", &vhosts).is_ok());
        let refused = is_one("shpo", &vhosts).unwrap_err();
        assert_eq!(refused.message, "the server has no vhost `shpo`");
        assert_eq!(refused.hints, ["did you mean `shop`?"]);
    }
}
