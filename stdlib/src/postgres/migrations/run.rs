//! Running files so that a crash leaves each of them whole or undone.

use dollop_engine::error::CallError;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::super::error::{Excerpt, Task};
use super::super::server::{Lane, Server};
use super::super::sql::Place;
use super::ledger::{self, Ledger};
use super::script::{Statement, statements};
use super::{Facts, Spec, facts};

/// Runs every file that was not run yet, in order.
pub(super) async fn all(
    server: &Server,
    place: &Place,
    spec: &Spec,
) -> Result<Facts, CallError> {
    let Place { database, name: set } = place;
    let schema = &spec.schema;
    let task = Task::new(format!("prepare the migrations `{set}` in database `{database}`"))
        .needs(format!("CREATE on schema `{schema}`, or `schema` set to one of one's own"));
    server.write(database, Lane::Short, &ledger::prepare(schema, set), &task).await?;

    let known = Ledger::read(server, database, schema).await?;
    let known = known.any_set(set);
    let done = known.files();
    // The plan refused edited files; what is declared again after a pause comes here unseen.
    for (name, text) in &done {
        if spec.files.get(name).is_some_and(|new| new != text) {
            return Err(CallError::refused(format!("`{name}` was run and is different now"))
                .hint("undo the edit, and write what should change as a new file"));
        }
    }
    let gone = known.rows().filter(|row| !spec.files.contains_key(&row.file));
    let forgotten: Vec<_> = gone
        .filter(|row| spec.is_in_baseline(&row.file))
        .map(|row| ledger::forget(schema, set, &row.file))
        .collect();
    server.write(database, Lane::Short, &forgotten, &task).await?;

    let mut finished = Vec::new();
    for (name, text) in spec.in_order() {
        if done.contains_key(name) {
            continue;
        }
        let file = File { server, place, schema, name, text, begun: known.row(name) };
        let result = if spec.is_in_baseline(name) {
            file.count_as_run().await
        } else {
            file.run().await
        };
        // What a file sets for its session is not for the next one.
        server.hang_up(database, Lane::Scripts);
        if let Err(error) = result {
            return Err(match finished.as_slice() {
                [] => error,
                names => error.note(format!("run before it, and done: {}", names.join(", "))),
            });
        }
        finished.push(format!("`{name}`"));
    }
    Ok(facts(&Ledger::read(server, database, schema).await?.any_set(set).files()))
}

struct File<'a> {
    server: &'a Server,
    place: &'a Place,
    schema: &'a str,
    name: &'a str,
    text: &'a str,
    /// What is known of it from a run that did not end.
    begun: Option<&'a ledger::Row>,
}

impl File<'_> {
    fn task(&self) -> Task {
        let alone = "begin the file with `-- dollop: no transaction`: its statements are run one \
                     by one then";
        Task::new(format!("run `{}` in database `{}`", self.name, self.place.database))
            .hint(SqlState::INVALID_TRANSACTION_TERMINATION, alone)
            .hint(SqlState::ACTIVE_SQL_TRANSACTION, alone)
    }

    async fn write(&self, statements: &[String], task: &Task) -> Result<(), CallError> {
        self.server.write(&self.place.database, Lane::Scripts, statements, task).await
    }

    fn enter(&self, finished: bool) -> String {
        ledger::enter(self.schema, &self.place.name, self.name, self.text, finished)
    }

    fn change(&self, what: &str) -> String {
        ledger::change(self.schema, &self.place.name, self.name, what)
    }

    async fn count_as_run(&self) -> Result<(), CallError> {
        let forget = ledger::forget(self.schema, &self.place.name, self.name);
        self.write(&[forget, self.enter(true)], &self.task()).await
    }

    async fn run(&self) -> Result<(), CallError> {
        let found = statements(self.text).map_err(|fault| {
            CallError::refused(format!(
                "`{}`, line {}: {}",
                self.name, fault.line, fault.message
            ))
            .hint(fault.hint)
        })?;
        if self.begun.is_none() && !found.iter().any(Statement::stands_alone) {
            return self.run_whole(&found).await;
        }
        self.run_in_steps(&found).await
    }

    /// One transaction with the entry that says it was run: both are there, or neither.
    async fn run_whole(&self, found: &[Statement]) -> Result<(), CallError> {
        let entry = self.enter(false);
        let (Some(first), Some(last)) = (found.first(), found.last()) else {
            return self.write(&[self.enter(true)], &self.task()).await;
        };
        // As it was written, so that the server's positions are those of the file.
        let begin = first.offset;
        let end = last.offset + last.text.chars().count();
        let body: String = self.text.chars().skip(begin).take(end - begin).collect();
        let task = self.task().reading(self.excerpt(begin, entry.chars().count() + 2));
        let close = self.change("finished_at = clock_timestamp()");
        let [user, role] = ledger::AS_OURSELVES.map(str::to_owned);
        self.write(&[entry, body, user, role, close], &task).await
    }

    /// A statement together with its entry, written as the user dollop works as, whoever the
    /// file works as (`SET ROLE`); the next statement is run as that one again.
    async fn write_counted(
        &self,
        session: &Client,
        text: String,
        counted: String,
        task: &Task,
    ) -> Result<(), CallError> {
        let [user, role] = ledger::AS_OURSELVES.map(str::to_owned);
        let [leave, back_to_user, back_to_role] = ledger::THERE_AND_BACK.map(str::to_owned);
        let all = [text, leave, user, role, counted, back_to_user, back_to_role];
        self.server.write_in(session, &all, task).await
    }

    /// Statement by statement, each with its entry as far as the server allows.
    async fn run_in_steps(&self, found: &[Statement]) -> Result<(), CallError> {
        let task = self.task();
        let mut done = 0;
        match self.begun {
            None => self.write(&[self.enter(false)], &task).await?,
            Some(row) if row.sql != self.text && (row.done > 0 || row.begun) => {
                return Err(CallError::refused(format!(
                    "`{}` was run up to statement {} and is different now",
                    self.name, row.done
                ))
                .hint("undo the edit, run it to its end, and change the rest in a new file"));
            }
            Some(row) => {
                done = row.done;
                if row.sql != self.text {
                    let forget = ledger::forget(self.schema, &self.place.name, self.name);
                    self.write(&[forget, self.enter(false)], &task).await?;
                }
            }
        }
        // All of them in one session: what a statement sets (`SET ROLE`) is for those behind it.
        let session = self.server.session(&self.place.database, Lane::Scripts, &task).await?;
        // What the part that is done set for its session is not there any more.
        let settings = |one: &&Statement| one.starts(&["SET"]) || one.starts(&["RESET"]);
        for statement in found.iter().take(done).filter(settings) {
            let again = std::slice::from_ref(&statement.text);
            self.server.write_in(&session, again, &task).await?;
        }
        for (index, statement) in found.iter().enumerate().skip(done) {
            let counted = self.change(&format!("done = {}, begun = false", index + 1));
            let text = statement.text.clone();
            if !statement.stands_alone() {
                let task = self.task().reading(self.excerpt(statement.offset, 0));
                self.write_counted(&session, text, counted, &task).await?;
                continue;
            }
            let again = self.begun.is_some_and(|row| row.begun && row.done == index);
            self.note(self.change("begun = true"), &task).await?;
            let task = self.task().reading(self.excerpt(statement.offset, 0));
            let ran = self.server.write_in(&session, &[text], &task).await;
            ran.map_err(|error| {
                if again {
                    let line = statement.line;
                    error.note(format!(
                        "an earlier run ended while line {line} was under way: it may be done \
                         already, or half done (an index that is not valid)"
                    ))
                } else {
                    error
                }
            })?;
            self.note(counted, &task).await?;
        }
        self.note(self.change("finished_at = clock_timestamp()"), &task).await
    }

    /// Writes an entry between two statements, in a session that the file knows nothing of.
    async fn note(&self, entry: String, task: &Task) -> Result<(), CallError> {
        self.server.write(&self.place.database, Lane::Short, &[entry], task).await
    }

    /// The part of the file that is sent, `before` characters into the message.
    fn excerpt(&self, from: usize, before: usize) -> Excerpt {
        Excerpt { file: self.name.to_owned(), text: self.text.to_owned(), from, before }
    }
}
