//! `postgres::sql`: statements for what has no kind of its own.

use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Listed, Listing, Name, Naming, Owner, Problem, ReadResult, Resource,
    Script, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Task;
use super::server::{Lane, Server};
use super::{imported, migrations, names, review, sql};

/// Statements that are run when a query says that they are needed.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database they are run in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// A query whose first value is true when there is nothing to do: `SELECT EXISTS (...)`.
    /// It is asked for every plan, in a transaction that cannot write.
    pub unless: String,
    /// The statements, run in one transaction. Different ones are run at once where `unless`
    /// does not hold.
    pub run: String,
    /// What undoes it when it is removed; when left out, what was done stays.
    #[serde(default)]
    pub undo: Option<String>,
}

/// What the server reports: nothing that is not asked for.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind.
pub struct Statement;

impl Resource for Statement {
    const KIND: &'static str = "postgres::sql";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { naming: Naming::Label, within: &["database"], ..Traits::default() }
    }

    fn id_of(_: &Name, spec: &Spec) -> Option<String> {
        Some(id(&spec.database, &spec.unless))
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        names::problem(&spec.database, "database").into_iter().collect()
    }

    fn normalize(spec: &mut Spec) {
        for text in [Some(&mut spec.unless), Some(&mut spec.run), spec.undo.as_mut()] {
            let Some(text) = text else { continue };
            *text = text.trim().trim_end_matches(';').trim_end().replace("\r\n", "\n");
        }
    }

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let spec = to.or(from)?;
        let (when, run) = match to {
            Some(to) => ("unless", Some(&to.run)),
            None => ("where", spec.undo.as_ref()),
        };
        let mut statements = vec![format!("-- {when}: {}", one_line(&spec.unless))];
        // What is one message to the server is one transaction.
        let run = run.map_or_else(Vec::new, |run| {
            migrations::split(run).unwrap_or_else(|_| vec![run.clone()])
        });
        statements.extend(review::whole(run));
        Some(review::script(name, Some(&spec.database), statements))
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let mut answers = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let spec = &wanted.spec;
            let task = Task::new(format!("ask whether `{}` is needed", wanted.name.address));
            let holds = server.holds(&spec.database, &spec.unless, &task).await;
            answers.push(holds.map(|holds| {
                holds.then(|| Found {
                    id: wanted.id.clone().unwrap_or_else(|| id(&spec.database, &spec.unless)),
                    natural: wanted.name.natural.clone(),
                    spec: spec.clone(),
                    facts: Facts {},
                    // What holds already needs nobody's leave.
                    owner: Owner::Ours,
                })
            }));
        }
        answers
    }

    const LISTS: bool = true;

    /// What no kind is for and one statement makes.
    async fn list(server: &Server) -> Result<Listing<Spec, Facts>, CallError> {
        let inventory = server.inventory().await?;
        let mut listing = Listing::default();
        for (database, contents) in inventory.databases() {
            for (key, made) in contents.statements() {
                let mut spec = Spec {
                    database: database.to_owned(),
                    unless: made.unless.clone(),
                    run: made.run.clone(),
                    undo: Some(made.undo.clone()),
                };
                Self::normalize(&mut spec);
                let found = Found {
                    id: id(database, &spec.unless),
                    natural: String::new(),
                    spec,
                    facts: Facts {},
                    owner: Owner::Unmarked,
                };
                listing.objects.push(Listed {
                    needs: contents.needs(database, "sql", key),
                    remarks: vec![imported::words_of(key)],
                    ..imported::plainly(found, false)
                });
            }
        }
        Ok(listing)
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        bring_about(server, name, &spec).await?;
        Ok(Created { id: id(&spec.database, &spec.unless), facts: Facts {} })
    }

    async fn update(
        server: &Server,
        name: &Name,
        _: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        bring_about(server, name, &to).await?;
        Ok(Facts {})
    }

    async fn delete(
        server: &Server,
        name: &Name,
        _: &str,
        spec: Spec,
    ) -> Result<(), CallError> {
        let Some(undo) = &spec.undo else { return Ok(()) };
        let task = Task::new(format!("undo `{}`", name.address));
        if server.holds(&spec.database, &spec.unless, &task).await? {
            server.remove(&spec.database, std::slice::from_ref(undo), &task).await?;
        }
        Ok(())
    }
}

/// Runs what is needed, and makes sure that it helped.
async fn bring_about(server: &Server, name: &Name, spec: &Spec) -> Result<(), CallError> {
    let task = Task::new(format!("run `{}`", name.address));
    if server.holds(&spec.database, &spec.unless, &task).await? {
        return Ok(());
    }
    let run = server
        .write(&spec.database, Lane::Scripts, std::slice::from_ref(&spec.run), &task)
        .await;
    server.hang_up(&spec.database, Lane::Scripts);
    run?;
    if server.holds(&spec.database, &spec.unless, &task).await? {
        return Ok(());
    }
    Err(CallError::refused(format!(
        "`{}` ran, and its `unless` does not hold still",
        name.address
    ))
    .hint("let `unless` ask for what `run` brings about"))
}

/// What is asked for tells one from another.
pub(super) fn id(database: &str, unless: &str) -> String {
    sql::id(&[database, unless])
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
