//! `postgres::migrations`: SQL files that are run once, in order.
//!
//! - `script`: the statements of a file;
//! - `hazards`: what they do to others;
//! - `ledger`: the table in which the database remembers what was run;
//! - `run`: running a file so that a crash leaves it whole or undone;
//! - `byhand`: the same as a script for `psql`.

mod byhand;
mod hazards;
mod ledger;
mod run;
mod script;

pub(super) use script::texts as split;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Preview, Problem, Proposed, ReadResult, Resource, Script,
    Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::ledger::Ledger;
use super::held::{self, Sizes};
use super::server::Server;
use super::sql::Place;
use super::{names, review};

/// SQL files that are run once each, in the order of the numbers their names begin with. Which
/// were run is written down in the table `dollop_migrations` of the database, with their text.
///
/// A file is one transaction, unless a statement in it cannot stand in one (`CREATE INDEX
/// CONCURRENTLY`): then it goes on, after a crash, with the statement it had come to. A file
/// that was run is not changed any more; what changes is a new file. Seeds are a second
/// `migrations` with a name of its own.
///
/// Destroying it runs nothing and leaves the tables; declared again, it goes on where it was.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database they are run in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The files, text by name: `folder("migrations")`. Those that do not end in `.sql`, and
    /// those that end in `.down.sql`, are left out.
    pub files: BTreeMap<String, String>,
    /// The last file that a database which is older than its migrations has already: that and
    /// all before it count as run.
    #[serde(default)]
    pub baseline: Option<String>,
    /// The schema of the table `dollop_migrations`.
    #[serde(default = "public")]
    pub schema: String,
}

fn public() -> String {
    "public".to_owned()
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// How many files were run.
    pub applied: usize,
    /// The last of them.
    pub latest: Option<String>,
}

/// The kind.
pub struct Migrations;

/// What a file is ordered by: the number its name begins with, then the name.
fn order(a: &str, b: &str) -> Ordering {
    version(a).cmp(&version(b)).then_with(|| a.cmp(b))
}

/// The number a file's name begins with, as text without leading zeros: shorter is smaller.
/// Files without one come last.
fn version(file: &str) -> (bool, usize, &str) {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.trim_start_matches(['V', 'v']);
    let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    let digits = name[..end].trim_start_matches('0');
    (end == 0, digits.len(), digits)
}

impl Spec {
    /// The files in the order in which they are run.
    fn in_order(&self) -> Vec<(&str, &str)> {
        let mut files: Vec<_> =
            self.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        files.sort_by(|a, b| order(a.0, b.0));
        files
    }

    fn is_in_baseline(&self, file: &str) -> bool {
        self.baseline.as_deref().is_some_and(|last| order(file, last) != Ordering::Greater)
    }
}

/// The files that are to be run to get from one spec to another.
fn pending<'a>(from: Option<&'a Spec>, to: &'a Spec) -> Vec<(&'a str, &'a str)> {
    let mut files = to.in_order();
    files.retain(|(name, _)| {
        !from.is_some_and(|from| from.files.contains_key(*name)) && !to.is_in_baseline(name)
    });
    files
}

/// A statement that is to be run and does something to others.
struct Hazardous<'a> {
    file: &'a str,
    line: u64,
    hazard: hazards::Hazard,
}

/// What the files that are to be run do to others.
fn hazards_of<'a>(from: Option<&'a Spec>, to: &'a Spec) -> Vec<Hazardous<'a>> {
    let mut known = hazards::Known::default();
    let mut found = Vec::new();
    for (file, text) in pending(from, to) {
        known.begin_file();
        for statement in &script::statements(text).unwrap_or_default() {
            let line = statement.line;
            let hazards = hazards::hazards(statement, &mut known);
            found.extend(hazards.into_iter().map(|hazard| Hazardous { file, line, hazard }));
        }
    }
    found
}

fn problem(message: String, hint: &str) -> Problem {
    Problem { attribute: "files".to_owned(), message, hint: Some(hint.to_owned()) }
}

impl Resource for Migrations {
    const KIND: &'static str = "postgres::migrations";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { within: &["database"], ..Traits::default() }
    }

    // Files may make anything anywhere in the database.
    fn makes(from: Option<&Spec>, to: &Spec) -> Vec<Vec<String>> {
        let has_new = from.is_none_or(|from| from.files != to.files);
        has_new.then(|| vec![to.database.clone()]).into_iter().collect()
    }

    fn id_of(name: &Name, spec: &Spec) -> Option<String> {
        Some(place_of(None, name, spec).id())
    }

    fn normalize(spec: &mut Spec) {
        spec.files.retain(|name, _| {
            let name = name.to_lowercase();
            let stem = name.strip_suffix(".sql");
            stem.is_some_and(|stem| stem.strip_suffix(".down").is_none())
        });
        for text in spec.files.values_mut() {
            // The same file, however it was checked out.
            *text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        }
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let named = [(&spec.database, "database"), (&spec.schema, "schema")];
        let named = named.map(|(name, attribute)| names::problem(name, attribute));
        let mut problems: Vec<_> = named.into_iter().flatten().collect();
        for (name, text) in spec.in_order() {
            if let Err(fault) = script::statements(text) {
                let message = format!("`{name}`, line {}: {}", fault.line, fault.message);
                problems.push(problem(message, fault.hint));
            }
        }
        for pair in spec.in_order().windows(2) {
            let [(first, _), (second, _)] = pair else { continue };
            let (number, other) = (version(first), version(second));
            if number == other && !number.0 {
                let message = format!("`{first}` and `{second}` have the same number");
                problems.push(problem(message, "give the later one the next number"));
            }
        }
        if let Some(last) = &spec.baseline
            && !spec.files.keys().any(|file| order(file, last) != Ordering::Greater)
        {
            problems.push(Problem {
                attribute: "baseline".to_owned(),
                message: format!("no file is `{last}` or comes before it"),
                hint: Some("name the last file whose changes the database has".to_owned()),
            });
        }
        problems
    }

    fn check_update(from: &Spec, to: &Spec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if from.schema != to.schema {
            problems.push(Problem {
                attribute: "schema".to_owned(),
                message: "the record of what was run cannot be moved".to_owned(),
                hint: Some(format!("leave it in `{}`", from.schema)),
            });
        }
        for (name, text) in from.in_order() {
            match to.files.get(name) {
                Some(new) if new != text => {
                    let diff = similar::TextDiff::from_lines(text, new);
                    let diff = diff.unified_diff().context_radius(1).to_string();
                    let message = format!("`{name}` was run and is different now\n{diff}");
                    let hint = "undo the edit, and write what should change as a new file";
                    problems.push(problem(message.trim_end().to_owned(), hint));
                }
                None if !to.is_in_baseline(name) => {
                    let message = format!("`{name}` was run and is not there any more");
                    let hint = "bring the file back; for files that were merged into a later \
                                one, set `baseline`";
                    problems.push(problem(message, hint));
                }
                _ => {}
            }
        }
        let last = from.in_order().last().map(|(name, _)| (*name).to_owned());
        for (name, _) in pending(Some(from), to) {
            if let Some(last) = last.as_deref().filter(|last| order(name, last).is_lt()) {
                let message = format!("`{name}` comes before `{last}`, which was run already");
                problems.push(problem(message, "give it a number behind that"));
            }
        }
        problems
    }

    fn cautions(_: &str, from: Option<&Spec>, to: &Spec) -> Vec<Problem> {
        let caution = |found: Hazardous<'_>| {
            let message =
                format!("`{}`, line {}: {}", found.file, found.line, found.hazard.what);
            problem(message, found.hazard.instead)
        };
        hazards_of(from, to).into_iter().map(caution).collect()
    }

    const PREVIEWS: bool = true;

    // How much there is in the tables that the warnings are about, and what was run already of
    // a set that nobody declared for a while.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
    ) -> Result<Vec<Preview>, CallError> {
        let mut all = Vec::with_capacity(proposed.len());
        for Proposed { name, from, to, .. } in proposed {
            let place = place_of(None, name, to);
            let known = match from {
                Some(from) => Some(from.files.clone()),
                None => Ledger::read(server, &to.database, &to.schema)
                    .await
                    .ok()
                    .map(|ledger| ledger.any_set(&place.name).files()),
            };
            let found = hazards_of(from.as_ref(), to);
            let places = found.iter().flat_map(|found| found.hazard.places.clone());
            let sizes = match held::sizes(server, &to.database, places.collect()).await {
                Ok(sizes) => sizes,
                // A database that is not there yet holds nothing.
                Err(_) if from.is_none() => Sizes::NoDatabase,
                // Nobody could look: whoever agrees must know that.
                Err(_) => Sizes::Unseen,
            };
            let mut notes: Vec<String> = Vec::new();
            let mut stored: Vec<String> = Vec::new();
            for Hazardous { file, line, hazard } in found {
                let Some(size) = hazard.size(&sizes) else { continue };
                let held = match &hazard.table {
                    Some(table) => {
                        let note = format!("`{file}`, line {line}: {table} holds {size}");
                        if !notes.contains(&note) {
                            notes.push(note);
                        }
                        format!("{size} in {table}")
                    }
                    None => format!("{size}: `{file}`, line {line}, {}", hazard.what),
                };
                if hazard.loses && !stored.contains(&held) {
                    stored.push(held);
                }
            }
            let known = known.unwrap_or_default();
            let statements = byhand::statements(&place, &known, from.is_some(), to);
            all.push(Preview {
                notes,
                loses: (!stored.is_empty()).then(|| stored.join(", ")),
                script: Some(review::script(name, Some(&to.database), statements)),
                ..Preview::default()
            });
        }
        Ok(all)
    }

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let place = place_of(None, name, spec);
        let statements = match to {
            Some(to) => {
                let known = from.map(|from| from.files.clone()).unwrap_or_default();
                byhand::statements(&place, &known, from.is_some(), to)
            }
            None => vec![ledger::let_go(&place, &spec.schema)],
        };
        Some(review::script(name, Some(&spec.database), statements))
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        // One query for each database and schema, whatever the number of sets.
        let mut ledgers: BTreeMap<(String, String), Result<Ledger, CallError>> =
            BTreeMap::new();
        let mut answers = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let place = place_of(wanted.id.as_deref(), &wanted.name, &wanted.spec);
            let key = (place.database.clone(), wanted.spec.schema.clone());
            if !ledgers.contains_key(&key) {
                let ledger = Ledger::read(server, &key.0, &key.1).await;
                ledgers.insert(key.clone(), ledger);
            }
            answers.push(match &ledgers[&key] {
                Err(error) => Err(error.clone()),
                Ok(ledger) => Ok(ledger.set(&place.name).map(|set| Found {
                    id: place.id(),
                    natural: wanted.name.natural.clone(),
                    spec: Spec {
                        database: place.database.clone(),
                        files: set.files(),
                        baseline: wanted.spec.baseline.clone(),
                        schema: wanted.spec.schema.clone(),
                    },
                    facts: facts(&set.files()),
                    // The table is dollop's own, and so is the name in it.
                    owner: Owner::Ours,
                })),
            });
        }
        answers
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        let place = place_of(None, name, &spec);
        let facts = run::all(server, &place, &spec).await?;
        Ok(Created { id: place.id(), facts })
    }

    async fn update(
        server: &Server,
        name: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        run::all(server, &place_of(Some(id), name, &to), &to).await
    }

    async fn delete(
        server: &Server,
        name: &Name,
        id: &str,
        spec: Spec,
    ) -> Result<(), CallError> {
        let place = place_of(Some(id), name, &spec);
        ledger::release(server, &place, &spec.schema).await
    }
}

fn place_of(id: Option<&str>, name: &Name, spec: &Spec) -> Place {
    Place::of(id, &spec.database, &name.natural)
}

fn facts(files: &BTreeMap<String, String>) -> Facts {
    let latest = files.keys().max_by(|a, b| order(a, b)).cloned();
    Facts { applied: files.len(), latest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(files: &[(&str, &str)]) -> Spec {
        let files =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let mut spec =
            Spec { database: "d".to_owned(), files, baseline: None, schema: public() };
        Migrations::normalize(&mut spec);
        spec
    }

    fn said(problems: Vec<Problem>) -> Vec<String> {
        problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn numbers_order_files() {
        let spec = spec(&[
            ("10_b.sql", ""),
            ("9_a.sql", ""),
            ("V2__x.sql", ""),
            ("20240102030405_t.sql", ""),
            ("seed.sql", ""),
            ("README.md", ""),
            ("9_a.down.sql", ""),
        ]);
        let names: Vec<_> = spec.in_order().into_iter().map(|(name, _)| name).collect();
        let sorted = ["V2__x.sql", "9_a.sql", "10_b.sql", "20240102030405_t.sql", "seed.sql"];
        assert_eq!(names, sorted);
    }

    #[test]
    fn files_that_cannot_be_run_are_refused() {
        let spec = spec(&[
            ("1.sql", "select 1;\ncommit; select 2"),
            ("2_a.sql", "select 'x"),
            ("02_b.sql", "\\copy t from x"),
        ]);
        assert_eq!(
            said(Migrations::check(&spec)),
            [
                "`1.sql`, line 2: `COMMIT` in the middle of a file",
                "`02_b.sql`, line 1: a command of `psql`, which the server does not know",
                "`2_a.sql`, line 1: Unterminated string literal",
                "`02_b.sql` and `2_a.sql` have the same number",
            ]
        );
    }

    #[test]
    fn what_was_run_stays_as_it_was() {
        let from = spec(&[("1.sql", "select 1;\n"), ("2.sql", "a\r\nb"), ("3.sql", "")]);
        let to = spec(&[("1.sql", "select 2;\n"), ("2.sql", "a\nb"), ("2_x.sql", "")]);
        assert_eq!(
            said(Migrations::check_update(&from, &to)),
            [
                "`1.sql` was run and is different now\n@@ -1 +1 @@\n-select 1;\n+select 2;",
                "`3.sql` was run and is not there any more",
                "`2_x.sql` comes before `3.sql`, which was run already",
            ]
        );
        let mut squashed = spec(&[("3.sql", ""), ("4.sql", "")]);
        squashed.baseline = Some("3.sql".to_owned());
        assert_eq!(said(Migrations::check_update(&from, &squashed)), Vec::<String>::new());
        let names: Vec<_> = pending(Some(&from), &squashed).into_iter().map(|f| f.0).collect();
        assert_eq!(names, ["4.sql"]);
    }
}
