//! `dollop urls`: where everything can be reached from this machine.

use dollop_engine::operate::{Ability, Condition, Endpoint};
use dollop_engine::value::Value;
use serde_json::{Value as Json, json};

use crate::args::{ListFormat, UrlsArgs};
use crate::error::{CommandError, DONE};
use crate::live::{Live, Target};
use crate::render::json::{self, FORMAT_VERSION};
use crate::render::table::{Column, Tone, cell, plain, table, text};
use crate::session::block_on;
use crate::terminal;

const COLUMNS: [Column; 3] = [text("NAME", 0), text("URL", 0), text("LEADS TO", 1)];

/// One place.
struct Place {
    name: String,
    url: String,
    leads_to: String,
}

/// Published ports as they are now, then outputs that are URLs.
pub fn run(args: &UrlsArgs) -> Result<u8, CommandError> {
    let live = Live::open(&args.select.place)?;
    let targets = live.select(&args.select, Ability::Condition)?;
    let conditions = block_on(async {
        let asked = live.ask(
            &targets,
            async |operations, connection, objects| {
                operations.conditions(connection, objects).await
            },
            |error| Err(error.clone()),
        );
        asked.await.into_iter().collect::<Result<Vec<_>, _>>().map_err(|e| live.explain(&e))
    })?;
    let mut places = places(&targets, &conditions);
    let everything = args.select.what.is_empty() && args.select.profiles.is_empty();
    if everything {
        places.extend(outputs(&live));
    }
    if args.open {
        let Some(place) = places.iter().find(|place| place.url.starts_with("http")) else {
            return Err(CommandError::failed(
                "nothing of this speaks HTTP on a published port",
            )
            .hint("`dollop urls` lists what is published"));
        };
        open::that_detached(&place.url).map_err(|error| {
            CommandError::failed(format!("`{}` cannot be opened: {error}", place.url))
        })?;
        terminal::say(&format!("opened {}\n", place.url));
        return Ok(DONE);
    }
    if places.is_empty() && args.format == ListFormat::Text {
        return Err(CommandError::failed("nothing of this publishes a port")
            .hint("`dollop forward NAME PORT` leads to one that is not published"));
    }
    terminal::print(&match args.format {
        ListFormat::Json => json::text(&document(&live, &places)),
        ListFormat::Text => {
            let rows: Vec<_> = places
                .iter()
                .map(|place| {
                    vec![
                        cell(&place.name, Tone::Name),
                        plain(&place.url),
                        cell(&place.leads_to, Tone::Dim),
                    ]
                })
                .collect();
            table(&COLUMNS, &rows, terminal::stdout_width())
        }
    })?;
    Ok(DONE)
}

fn places(targets: &[Target<'_>], conditions: &[Option<Condition>]) -> Vec<Place> {
    let all = targets.iter().zip(conditions).flat_map(|(target, condition)| {
        let ends = condition.iter().flat_map(|condition| &condition.endpoints);
        ends.map(move |end| Place {
            name: target.label.clone(),
            url: url(end),
            leads_to: end.inner.clone(),
        })
    });
    all.collect()
}

/// `http://127.0.0.1:8080`, or without a scheme where it is not known.
fn url(end: &Endpoint) -> String {
    let host =
        if end.host.contains(':') { format!("[{}]", end.host) } else { end.host.clone() };
    match &end.scheme {
        Some(scheme) => format!("{scheme}://{host}:{}", end.port),
        None => format!("{host}:{}", end.port),
    }
}

/// Outputs that are URLs, as of the last apply; secret ones are only named.
fn outputs(live: &Live) -> Vec<Place> {
    let found = live.state.outputs.iter().filter_map(|(name, value)| {
        let url = match value {
            Value::String(text) if text.contains("://") => text.clone(),
            Value::Secret(_) if value.reveal().as_str().is_some_and(|t| t.contains("://")) => {
                format!("(sensitive: `dollop output {name} --raw`)")
            }
            _ => return None,
        };
        Some(Place { name: name.clone(), url, leads_to: "output".to_owned() })
    });
    found.collect()
}

fn document(live: &Live, places: &[Place]) -> Json {
    let all = places.iter().map(
        |place| json!({ "name": place.name, "url": place.url, "leads_to": place.leads_to }),
    );
    json!({
        "format_version": FORMAT_VERSION,
        "stack": live.session.project.stack,
        "urls": all.collect::<Vec<_>>(),
    })
}
