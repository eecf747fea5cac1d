//! Rows of introspection queries, and what of a spec they say.

use std::collections::BTreeMap;
use std::sync::Arc;

use dollop_engine::error::CallError;
use dollop_engine::resource::Wanted;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::object::{Key, Object};
use super::seen::Words;
use super::{sql, words};

/// A row of an introspection query: its key, and everything else by the name of the attribute
/// or fact that it is.
#[derive(Clone, Deserialize)]
pub struct Row {
    pub(super) key: Key,
    /// Where the session looks for names without a schema.
    #[serde(skip)]
    schemas: Arc<[String]>,
    #[serde(flatten)]
    columns: Map<String, Json>,
}

impl Row {
    /// The same, by a session that looks in certain schemas.
    pub(super) fn seen_from(self, schemas: &Arc<[String]>) -> Self {
        Self { schemas: Arc::clone(schemas), ..self }
    }

    /// Where the session looks for names without a schema.
    pub(super) fn schemas(&self) -> &[String] {
        &self.schemas
    }

    /// Everything else.
    pub(super) fn columns(&self) -> &Map<String, Json> {
        &self.columns
    }

    /// The last part of its key.
    pub(super) fn name(&self) -> &str {
        self.key.last().map_or("", String::as_str)
    }

    /// The facts among the columns, `words` among them.
    pub(super) fn facts<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T, CallError> {
        let word = |name: &&str| Some(((*name).to_owned(), self.columns.get(*name)?.clone()));
        let mut row = self.clone();
        row.columns.insert("words".to_owned(), words.iter().filter_map(word).collect());
        row.read()
    }

    /// The columns as a struct that knows some of them.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_value(Json::Object(self.columns.clone())).map_err(|error| {
            let key = self.key.join(".");
            CallError::refused(format!(
                "the server describes `{key}` in a form of its own: {error}"
            ))
        })
    }
}

/// An object as it is, or that it is not there.
pub(super) type Observed<O> =
    Result<Option<(<O as Object>::Spec, <O as Object>::Facts)>, CallError>;

/// What was asked for, with what the server says in its place.
pub(super) fn overlay<O: Object + ?Sized>(
    row: &Row,
    wanted: &Wanted<O::Spec>,
) -> Result<O::Spec, CallError> {
    let unknown = |error: serde_json::Error| {
        CallError::refused(format!(
            "`{}` is in a form of its own: {error}",
            wanted.name.address
        ))
    };
    let mut found = serde_json::to_value(&wanted.spec).map_err(unknown)?;
    let recorded = wanted.facts.as_ref().and_then(|facts| facts.get("words"));
    let same = |name: &str, theirs: &Json, ours: &Json| match recorded {
        Some(recorded) => recorded.get(name).is_some_and(|then| {
            let by_meaning = !O::TO_THE_LETTER.contains(&name);
            then == theirs || (by_meaning && words::same_values(theirs, then, &row.schemas))
        }),
        None => words::same_values(theirs, ours, &row.schemas),
    };
    if let Some(attributes) = found.as_object_mut() {
        for (name, value) in attributes {
            let ours = O::OPTIONAL.contains(&name.as_str()) && value.is_null();
            if let Some(column) = row.columns.get(name)
                && !ours
                && !(O::WORDS.contains(&name.as_str()) && same(name, column, value))
            {
                *value = column.clone();
            }
        }
    }
    let mut found: O::Spec = serde_json::from_value(found).map_err(unknown)?;
    O::normalize(&mut found);
    Ok(found)
}

/// The attributes of `names` as they are in a spec.
pub(super) fn words(names: &[&str], spec: &impl Serialize) -> Words {
    let Ok(Json::Object(mut spec)) = serde_json::to_value(spec) else { return Words::new() };
    names.iter().filter_map(|name| spec.remove_entry(*name)).collect()
}

/// What something is now, with the attributes of `words` as they shall be where a plan saw no
/// difference in them.
pub(super) fn as_planned<S: Serialize + DeserializeOwned>(
    words: &[&str],
    now: S,
    from: &S,
    to: &S,
) -> Result<S, CallError> {
    if words.is_empty() {
        return Ok(now);
    }
    let unknown =
        |error: serde_json::Error| CallError::refused(format!("no form of this kind: {error}"));
    let json = |spec: &S| serde_json::to_value(spec).map_err(unknown);
    let (mut now, from, to) = (json(&now)?, json(from)?, json(to)?);
    for name in words.iter().filter(|name| from[**name] == to[**name]) {
        now[*name] = to[*name].clone();
    }
    serde_json::from_value(now).map_err(unknown)
}

/// Brings comment and owner of `what` (`VIEW "s"."v"`) from one state to another. An owner
/// that is not asked for stays.
pub(super) fn comment_and_owner(
    what: &str,
    from: (Option<String>, Option<String>),
    to: (Option<String>, Option<String>),
) -> Vec<String> {
    let comment = (from.0 != to.0)
        .then(|| format!("COMMENT ON {what} IS {}", sql::text_or_null(to.0.as_deref())));
    let owner =
        to.1.filter(|new| from.1.as_ref() != Some(new))
            .map(|new| format!("ALTER {what} OWNER TO {}", sql::name(&new)));
    comment.into_iter().chain(owner).collect()
}

/// Puts what was written in the place of what the server made of it, when that is the same:
/// `same` compares the server's words with those of the last write.
pub(super) fn keep_words(
    now: &mut Option<String>,
    written: Option<&String>,
    same: impl Fn(&str, &str) -> bool,
) {
    if let (Some(theirs), Some(ours)) = (now.as_deref(), written)
        && same(theirs, ours)
    {
        *now = Some(ours.clone());
    }
}

/// What the server reports of what it keeps in words of its own.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Worded {
    /// Attributes in the server's words.
    #[serde(default)]
    pub words: BTreeMap<String, Json>,
}

/// What the server reports: nothing that is not asked for.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}
