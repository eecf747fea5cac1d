//! `postgres::database`: databases of a server.
//!
//! Catalogs: `pg_database`, `pg_db_role_setting`.

mod encoding;
mod locale;

use std::collections::{BTreeMap, HashMap};

use dollop_engine::analysis::{Claim, Claimed, Known};
use dollop_engine::error::CallError;
use dollop_engine::path::Path;
use dollop_engine::resource::{
    Created, Found, Held, Listing, Moment, Name, Owner, Problem, ReadResult, Resource, Script,
    Traits, Wanted,
};
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use self::encoding::{ENCODINGS, encoding};
pub use self::locale::{Provider, Strategy};
use super::error::Task;
use super::instead;
use super::server::{Lane, Server};
use super::version;
use super::{held, imported, names, review, sql};
use crate::text::Text;

/// A database.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// How text is stored.
    #[serde(default = "utf8")]
    #[schemars(extend("x-replace" = true))]
    pub encoding: String,
    /// The locale that sorts text, `C` or `en_US.utf8`; the server's own when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub lc_collate: Option<String>,
    /// The locale that says what a letter is; the server's own when left out.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub lc_ctype: Option<String>,
    /// The ICU locale that sorts text in place of `lc_collate`: `de-DE`; needs PostgreSQL 15.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub icu_locale: Option<String>,
    /// Rules for sorting beside those of `icu_locale`: `"&V << w <<< W"`; needs PostgreSQL 16.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub icu_rules: Option<String>,
    /// What sorts text; needs PostgreSQL 15. When left out, what the locale that is given is of,
    /// or else the server's choice, and it is not looked at.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub locale_provider: Option<Provider>,
    /// The locale of PostgreSQL's own that sorts text: `C`, `C.UTF-8`; needs PostgreSQL 17.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub builtin_locale: Option<String>,
    /// The database it starts as a copy of; the server does not remember it.
    #[serde(default = "template0")]
    #[schemars(extend("x-replace" = true))]
    pub template: String,
    /// How the template is copied: through the log, or file by file, which is quicker for a
    /// large one; needs PostgreSQL 15. The server's choice when left out, and forgotten once the
    /// database is made.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// The most connections to it at once; -1 for no limit.
    #[serde(default = "no_limit")]
    pub connection_limit: i32,
    /// Whether anybody can connect to it.
    #[serde(default = "yes")]
    pub allow_connections: bool,
    /// Whether everybody who may create databases may copy it.
    #[serde(default)]
    pub is_template: bool,
    /// Where its files are; when left out, the server chooses and it is not looked at. Moving
    /// it needs that nobody uses it, and takes as long as copying its files.
    #[serde(default)]
    #[schemars(extend("x-disruption" = "reconnect"))]
    pub tablespace: Option<String>,
    /// Settings of the sessions in it: `#{timezone: "UTC"}`.
    #[serde(default)]
    pub settings: BTreeMap<String, Text>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
    /// Whether dropping it first ends the sessions of others that use it.
    #[serde(default)]
    pub force_drop: bool,
}

fn utf8() -> String {
    "UTF8".to_owned()
}

fn template0() -> String {
    "template0".to_owned()
}

fn no_limit() -> i32 {
    -1
}

fn yes() -> bool {
    true
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The server's number for it.
    #[schemars(extend("x-stable" = true))]
    pub oid: i64,
    /// The role that owns it now.
    pub owned_by: String,
    /// The locale that sorts its text.
    #[schemars(extend("x-stable" = true))]
    pub collate: String,
    /// The locale that says what a letter is.
    #[schemars(extend("x-stable" = true))]
    pub ctype: String,
}

/// A row of the introspection query.
#[derive(Clone, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) oid: i64,
    pub(super) owner: String,
    pub(super) encoding: String,
    pub(super) collate: String,
    pub(super) ctype: String,
    pub(super) icu_locale: Option<String>,
    pub(super) icu_rules: Option<String>,
    pub(super) locale_provider: Option<Provider>,
    /// The locale of PostgreSQL's own that it has.
    pub(super) builtin_locale: Option<String>,
    pub(super) connection_limit: i32,
    pub(super) allow_connections: bool,
    pub(super) is_template: bool,
    pub(super) tablespace: String,
    pub(super) settings: Vec<String>,
    pub(super) comment: Option<String>,
}

/// The kind.
pub struct Database;

impl Resource for Database {
    const KIND: &'static str = "postgres::database";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits {
            holds_data: true,
            renames: true,
            instead: instead::DATABASE,
            ..Traits::default()
        }
    }

    fn cautions(natural: &str, from: Option<&Spec>, _: &Spec) -> Vec<Problem> {
        names::caution(natural, false).filter(|_| from.is_none()).into_iter().collect()
    }

    fn check_named(natural: &str, _: &Spec) -> Vec<Problem> {
        names::problem(natural, "name").into_iter().collect()
    }

    fn id_of(name: &Name, _: &Spec) -> Option<String> {
        Some(name.natural.clone())
    }

    fn rename_statement(from: &str, to: &str) -> Option<String> {
        Some(sql::rename("DATABASE", from, to))
    }

    fn normalize(spec: &mut Spec) {
        if let Some(known) = encoding(&spec.encoding) {
            known.clone_into(&mut spec.encoding);
        }
        sql::none_when_empty(&mut spec.comment);
        sql::normalize_settings(&mut spec.settings);
    }

    fn claims(name: &Name, _: &Spec) -> Vec<Claimed> {
        let claim = Claim::Knows { what: Known::Place, name: name.natural.clone() };
        vec![Claimed::new(Path::attribute("name"), claim)]
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = names::problems_in(spec);
        if encoding(&spec.encoding).is_none() {
            problems.push(Problem {
                attribute: "encoding".to_owned(),
                message: format!("`{}` is no encoding of a database", spec.encoding),
                hint: Some(format!("one of {}", ENCODINGS.join(", "))),
            });
        }
        problems.extend(locale::check(spec));
        if spec.connection_limit < -1 {
            problems.push(Problem {
                attribute: "connection_limit".to_owned(),
                message: format!("`{}` is no number of connections", spec.connection_limit),
                hint: Some("-1 means no limit".to_owned()),
            });
        }
        problems
    }

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let database = sql::name(&name.natural);
        let statements = match (from, to) {
            (None, Some(to)) => {
                let mut statements = vec![locale::create_statement(&name.natural, to, true)];
                statements.extend(around(&database, &BTreeMap::new(), None, to));
                statements
            }
            (Some(from), Some(to)) => {
                let now = from.tablespace.as_deref().unwrap_or_default();
                let mut statements: Vec<_> =
                    move_statement(&name.natural, now, to).into_iter().collect();
                let owner = from.owner.as_deref();
                statements.extend(change_statements(&name.natural, from, owner, to));
                statements
            }
            (from, None) => {
                vec![drop_statement(&name.natural, from.is_some_and(|from| from.force_drop))]
            }
        };
        // Nobody may be in one that goes, moves or gets another name.
        let place = from.map(|_| review::beside(&name.natural));
        Some(review::script(name, place, statements))
    }

    fn keeps_data(_: &Spec, _: Option<&Spec>) -> bool {
        false
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = sql::on_server(wanted, |names| rows(server, names), |row: &Row| row.oid);
        let found = |(row, wanted): (Result<Option<Row>, CallError>, &Wanted<Spec>)| {
            let Some(row) = row? else {
                version::expect(server, locale::since(&wanted.spec))?;
                return Ok(None);
            };
            Ok(Some(found(&row, &wanted.spec)))
        };
        rows.await.into_iter().zip(wanted).map(found).collect()
    }

    async fn held(
        server: &Server,
        wanted: &[Wanted<Spec>],
        _: Moment,
    ) -> Vec<Result<Held, CallError>> {
        let asked = wanted.iter().map(|wanted| {
            let name = wanted.id.clone().unwrap_or_else(|| wanted.name.natural.clone());
            async move { held::in_database(server, &name).await }
        });
        let asked: Vec<_> = asked.collect();
        futures::stream::iter(asked).buffered(sql::DATABASES).collect().await
    }

    const LISTS: bool = true;

    async fn list(server: &Server) -> Result<Listing<Spec, Facts>, CallError> {
        imported::databases(server).await
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        let natural = &name.natural;
        names::expect(natural)?;
        version::expect(server, locale::since(&spec))?;
        let database = sql::name(natural);
        let names_provider = server.version >= 150_000;
        let create = locale::create_statement(natural, &spec, names_provider);
        let task = task("create", natural).hint(
            SqlState::OBJECT_IN_USE,
            format!("a database can be copied while nobody uses `{}`", spec.template),
        );
        let around = around(&database, &BTreeMap::new(), None, &spec);
        {
            let _alone = server.databases.lock().await;
            server.close(&spec.template);
            server.write(server.database(), Lane::Long, &[create], &task).await?;
        }
        // CREATE DATABASE stands in no transaction: what fails after it must undo it.
        let rest = server.write(server.database(), Lane::Short, &around, &task).await;
        if let Err(error) = rest {
            let undone = drop_database(server, natural, false, spec.is_template).await;
            return Err(match undone {
                Ok(()) => error,
                Err(_) => error.note(format!("the empty database `{natural}` was left behind")),
            });
        }
        let facts = facts(server, natural).await?;
        Ok(Created { id: natural.clone(), facts })
    }

    async fn update(
        server: &Server,
        name: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        let natural = &name.natural;
        let mut rows = rows(server, vec![id.to_owned()]).await?;
        let Some(row) = rows.remove(id) else { return Err(gone(server, id)) };
        let current = found(&row, &to).spec;
        if let Some(statement) = move_statement(id, &row.tablespace, &to) {
            let task = task("move", id).hint(
                SqlState::OBJECT_IN_USE,
                "a database is moved while nobody is connected to it",
            );
            let _alone = server.databases.lock().await;
            server.close(id);
            server.write(server.database(), Lane::Long, &[statement], &task).await?;
        }
        let mut statements = change_statements(natural, &current, Some(&row.owner), &to);
        if natural == id {
            let task = task("change", id);
            server.write(server.database(), Lane::Short, &statements, &task).await?;
        } else {
            names::expect(natural)?;
            statements.insert(0, sql::rename("DATABASE", id, natural));
            rename(server, id, &statements).await?;
        }
        let facts = facts_of(&row);
        Ok(Facts { owned_by: to.owner.unwrap_or(row.owner), ..facts })
    }

    async fn delete(server: &Server, _: &Name, id: &str, spec: Spec) -> Result<(), CallError> {
        drop_database(server, id, spec.force_drop, spec.is_template).await
    }
}

/// From what it is, and the owner it has.
fn change_statements(name: &str, from: &Spec, owner: Option<&str>, to: &Spec) -> Vec<String> {
    let database = sql::name(name);
    let mut statements = around(&database, &from.settings, from.comment.as_deref(), to);
    let on = format!("ALTER DATABASE {database}");
    if let Some(limit) = limit(from.connection_limit, to.connection_limit) {
        statements.push(format!("{on} CONNECTION LIMIT {limit}"));
    }
    if let Some(allow) = allow(from.allow_connections, to.allow_connections) {
        statements.push(format!("{on} ALLOW_CONNECTIONS {allow}"));
    }
    if let Some(allow) = allow(from.is_template, to.is_template) {
        statements.push(format!("{on} IS_TEMPLATE {allow}"));
    }
    // The owner last: after that the right to do the rest may be gone.
    if let Some(new) = to.owner.as_deref().filter(|new| Some(*new) != owner) {
        statements.push(format!("{on} OWNER TO {}", sql::name(new)));
    }
    statements
}

/// Moves its files, when they are elsewhere; stands in no transaction.
fn move_statement(name: &str, now: &str, to: &Spec) -> Option<String> {
    let new = to.tablespace.as_deref().filter(|new| *new != now)?;
    Some(format!("ALTER DATABASE {} SET TABLESPACE {}", sql::name(name), sql::name(new)))
}

fn drop_statement(name: &str, force: bool) -> String {
    let force = if force { " WITH (FORCE)" } else { "" };
    format!("DROP DATABASE IF EXISTS {}{force}", sql::name(name))
}

fn task(verb: &str, name: &str) -> Task {
    Task::new(format!("{verb} database `{name}`"))
        .needs("CREATEDB for a new one, its ownership for an existing one, or a superuser")
}

fn gone(server: &Server, name: &str) -> CallError {
    CallError::refused(format!("database `{name}` is not at {} any more", server.address()))
        .hint("plan again")
}

async fn drop_database(
    server: &Server,
    name: &str,
    force: bool,
    template: bool,
) -> Result<(), CallError> {
    let task = task("drop", name).hint(
        SqlState::OBJECT_IN_USE,
        "stop what is connected to it, or set `force_drop: true` and apply that first",
    );
    let statement = drop_statement(name, force);
    let _alone = server.databases.lock().await;
    server.close(name);
    if template && !rows(server, vec![name.to_owned()]).await?.is_empty() {
        let open = format!("ALTER DATABASE {} IS_TEMPLATE false", sql::name(name));
        server.write(server.database(), Lane::Short, &[open], &task).await?;
    }
    let dropped = server.write(server.database(), Lane::Long, &[statement], &task).await;
    named(server, name, dropped).await
}

/// Gives a database another name, and changes what else there is to change. Nobody may be
/// connected to it.
async fn rename(server: &Server, id: &str, statements: &[String]) -> Result<(), CallError> {
    let task = task("rename", id)
        .hint(
            SqlState::OBJECT_IN_USE,
            "a database gets another name while nobody is connected to it: stop who is",
        )
        .hint(
            SqlState::FEATURE_NOT_SUPPORTED,
            "let the `postgres::server` connect to another one first: `database`",
        );
    let _alone = server.databases.lock().await;
    server.close(id);
    let written = server.write(server.database(), Lane::Long, statements, &task).await;
    server.close(id);
    named(server, id, written).await
}

/// Says who uses a database where that is why something failed.
async fn named<T>(
    server: &Server,
    name: &str,
    done: Result<T, CallError>,
) -> Result<T, CallError> {
    match done {
        Err(error) if error.message.contains("being accessed") => {
            let sessions = sessions(server, name).await;
            Err(sessions.into_iter().fold(error, CallError::note))
        }
        other => other,
    }
}

/// Who is connected to a database, in words; nothing where that cannot be seen.
async fn sessions(server: &Server, name: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Session {
        said: String,
    }
    let sql = "select concat('session ', pid, ' of `', usename, '`', ' with ' || nullif(
            application_name, ''), ' from ' || host(client_addr), ', ' || state) said
        from pg_stat_activity where datname = any($1) order by pid limit 10";
    let names = vec![name.to_owned()];
    let task = Task::new("read sessions");
    let sessions: Result<Vec<Session>, _> =
        server.rows(server.database(), sql, &[names], &task).await;
    sessions.unwrap_or_default().into_iter().map(|session| session.said).collect()
}

/// The limit, when it changes.
fn limit(from: i32, to: i32) -> Option<String> {
    (from != to).then(|| to.to_string())
}

/// Whether connections are allowed, when it changes.
fn allow(from: bool, to: bool) -> Option<String> {
    (from != to).then(|| to.to_string())
}

/// The statements for settings and comment; `database` is quoted.
fn around(
    database: &str,
    settings: &BTreeMap<String, Text>,
    comment: Option<&str>,
    to: &Spec,
) -> Vec<String> {
    let on = format!("ALTER DATABASE {database}");
    let mut statements = sql::change_settings(&on, settings, &to.settings);
    if comment != to.comment.as_deref() {
        let comment = sql::text_or_null(to.comment.as_deref());
        statements.push(format!("COMMENT ON DATABASE {database} IS {comment}"));
    }
    statements
}

async fn facts(server: &Server, name: &str) -> Result<Facts, CallError> {
    let rows = rows(server, vec![name.to_owned()]).await?;
    rows.get(name).map(facts_of).ok_or_else(|| gone(server, name))
}

pub(super) async fn rows(
    server: &Server,
    names: Vec<String>,
) -> Result<HashMap<String, Row>, CallError> {
    let of_provider =
        |letter: char| format!("case d.datlocprovider when '{letter}' then d.datlocale end");
    let none = || "null::text".to_owned();
    let (icu, builtin) = match server.version {
        170_000.. => (of_provider('i'), of_provider('b')),
        150_000.. => ("d.daticulocale".to_owned(), none()),
        _ => (none(), none()),
    };
    let rules = if server.version >= 160_000 { "d.daticurules" } else { "null::text" };
    let provider = if server.version >= 150_000 {
        "case d.datlocprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' end"
    } else {
        "'libc'"
    };
    let sql = format!(
        r#"select d.datname name, d.oid::int8 oid, pg_get_userbyid(d.datdba) "owner",
            pg_encoding_to_char(d.encoding) "encoding", d.datcollate "collate",
            d.datctype ctype, {icu} icu_locale, {rules} icu_rules,
            {builtin} builtin_locale,
            {provider} locale_provider,
            d.datconnlimit connection_limit,
            d.datallowconn allow_connections, d.datistemplate is_template,
            t.spcname tablespace,
            array(
                select unnest(s.setconfig) from pg_db_role_setting s
                where s.setdatabase = d.oid and s.setrole = 0
            ) settings,
            shobj_description(d.oid, 'pg_database') "comment"
        from pg_database d join pg_tablespace t on t.oid = d.dattablespace
        where d.datname = any($1)"#
    );
    let task = Task::new("read databases");
    let rows: Vec<Row> = server.rows(server.database(), &sql, &[names], &task).await?;
    Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
}

pub(super) fn found(row: &Row, asked: &Spec) -> Found<Spec, Facts> {
    let mut spec = Spec {
        owner: asked.owner.as_ref().map(|_| row.owner.clone()),
        encoding: row.encoding.clone(),
        lc_collate: asked.lc_collate.as_ref().map(|_| row.collate.clone()),
        lc_ctype: asked.lc_ctype.as_ref().map(|_| row.ctype.clone()),
        icu_locale: asked.icu_locale.as_ref().and(row.icu_locale.clone()),
        icu_rules: asked.icu_rules.as_ref().and(row.icu_rules.clone()),
        locale_provider: asked.locale_provider.and(row.locale_provider),
        builtin_locale: asked.builtin_locale.as_ref().and(row.builtin_locale.clone()),
        template: asked.template.clone(),
        strategy: asked.strategy,
        connection_limit: row.connection_limit,
        allow_connections: row.allow_connections,
        is_template: row.is_template,
        tablespace: asked.tablespace.as_ref().map(|_| row.tablespace.clone()),
        settings: sql::read_settings(&row.settings),
        comment: row.comment.clone(),
        force_drop: asked.force_drop,
    };
    Database::normalize(&mut spec);
    Found {
        id: row.name.clone(),
        natural: row.name.clone(),
        spec,
        facts: facts_of(row),
        owner: Owner::Unmarked,
    }
}

fn facts_of(row: &Row) -> Facts {
    Facts {
        oid: row.oid,
        owned_by: row.owner.clone(),
        collate: row.collate.clone(),
        ctype: row.ctype.clone(),
    }
}
