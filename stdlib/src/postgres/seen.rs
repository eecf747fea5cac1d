//! What the server kept in words of its own when it was last looked at: what changed between a
//! plan and its apply is not taken for what the plan saw.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dollop_engine::error::CallError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

/// Texts in the server's words, by what each is of.
pub(super) type Words = Map<String, Json>;

/// The words of each object, by its kind and id.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<(&'static str, String), Words>>);

/// The words among facts.
fn words(facts: &impl Serialize) -> Words {
    match serde_json::to_value(facts) {
        Ok(Json::Object(mut facts)) => match facts.remove("words") {
            Some(Json::Object(words)) => words,
            _ => Words::new(),
        },
        _ => Words::new(),
    }
}

impl Seen {
    /// Notes what was seen, or written, last.
    pub(super) fn note(&self, kind: &'static str, id: &str, facts: &impl Serialize) {
        let words = words(facts);
        if !words.is_empty() {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert((kind, id.to_owned()), words);
        }
    }

    /// Puts what was seen in the facts after a change, where somebody else changed it since and
    /// the change left that alone: so the next plan shows it. `from` and `to` are what the
    /// change was from and to, in the script's words.
    pub(super) fn told<F: Serialize + DeserializeOwned>(
        &self,
        (kind, id): (&'static str, &str),
        (from, to): (&Words, &Words),
        before: &F,
        after: F,
    ) -> Result<F, CallError> {
        let known = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&(kind, id.to_owned())).cloned()
        };
        let Some(known) = known else { return Ok(after) };
        let (then, mut now) = (words(before), words(&after));
        let mut is_other = false;
        for (name, seen) in known {
            let is_planned = from.get(&name) != to.get(&name);
            let stays = then.get(&name).is_some() && then.get(&name) == now.get(&name);
            if !is_planned && stays && now.get(&name) != Some(&seen) {
                now.insert(name, seen);
                is_other = true;
            }
        }
        if !is_other {
            return Ok(after);
        }
        let unknown = |error: serde_json::Error| {
            CallError::refused(format!("the facts of `{id}` have a form of their own: {error}"))
        };
        let mut after = serde_json::to_value(after).map_err(unknown)?;
        after["words"] = Json::Object(now);
        serde_json::from_value(after).map_err(unknown)
    }
}
