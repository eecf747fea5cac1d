//! `postgres::role`: users and groups.
//!
//! Catalogs: `pg_roles`, `pg_authid` (passwords), `pg_auth_members`, `pg_db_role_setting`.

mod check;
mod flags;
mod password;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, FixedOffset, NaiveDate, SecondsFormat, Utc};
use dollop_engine::analysis::{Claim, Claimed, Known};
use dollop_engine::error::CallError;
use dollop_engine::path::Path;
use dollop_engine::resource::{
    Created, Found, Held, Listing, Moment, Name, Owner, Preview, Problem, Proposed, ReadResult,
    Resource, Script, Territory, Traits, Wanted,
};
use dollop_engine::value::NOT_KEPT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use self::flags::{Flags, SERVER_DEFAULTS, flags};
use super::error::Task;
use super::instead;
use super::server::{Lane, Server};
use super::{held, imported, names, review, scram, sql};
use crate::text::Text;

/// A role: a user that logs in, or a group that others are members of.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the server has that many")]
pub struct Spec {
    /// Whether it can log in.
    #[serde(default = "yes")]
    pub login: bool,
    /// Whether it may do everything.
    #[serde(default)]
    pub superuser: bool,
    /// Whether it may create databases.
    #[serde(default)]
    pub createdb: bool,
    /// Whether it may create and change roles.
    #[serde(default)]
    pub createrole: bool,
    /// Whether it has the privileges of the roles it is a member of without `SET ROLE`.
    #[serde(default = "yes")]
    pub inherit: bool,
    /// Whether it may start streaming replication.
    #[serde(default)]
    pub replication: bool,
    /// Whether row-level security does not apply to it.
    #[serde(default)]
    pub bypassrls: bool,
    /// The most connections it may have at once; -1 for no limit.
    #[serde(default = "no_limit")]
    pub connection_limit: i32,
    /// Its password, or a SCRAM-SHA-256 verifier of it. The server only ever gets a verifier,
    /// computed by dollop; a password changed by hand shows as a change. When left out, a
    /// password that the role has is not looked at.
    #[serde(default)]
    #[schemars(extend("x-secret" = true, "x-write-only" = true))]
    pub password: Option<String>,
    /// Until when the password is valid: `2027-01-31`, `2027-01-31T12:00:00+01:00`; for ever
    /// when left out.
    #[serde(default)]
    pub valid_until: Option<String>,
    /// The roles it is a member of, all of them; when left out, they are the business of
    /// `postgres::membership` and not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub member_of: Option<Vec<String>>,
    /// Settings of its sessions, in every database: `#{search_path: "app, public"}`.
    #[serde(default)]
    pub settings: BTreeMap<String, Text>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
    /// Who gets what it owns, in every database, when it is dropped; what it was granted is
    /// taken away.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub reassign_owned_to: Option<String>,
    /// Whether what it owns is dropped with it, in every database, with all the data in it.
    #[serde(default)]
    pub drop_owned: bool,
}

fn yes() -> bool {
    true
}

fn no_limit() -> i32 {
    -1
}

/// What the server reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The server's number for it.
    #[schemars(extend("x-stable" = true))]
    pub oid: i64,
}

/// A row of the introspection query.
#[derive(Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the server has that many")]
pub(super) struct Row {
    name: String,
    oid: i64,
    login: bool,
    superuser: bool,
    createdb: bool,
    createrole: bool,
    inherit: bool,
    replication: bool,
    bypassrls: bool,
    connection_limit: i32,
    valid_until: Option<String>,
    member_of: Vec<String>,
    settings: Vec<String>,
    comment: Option<String>,
    pub(super) verifier: Option<String>,
}

/// The kind.
pub struct Role;

impl Resource for Role {
    const KIND: &'static str = "postgres::role";
    const TERRITORIAL: bool = true;
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn traits() -> Traits {
        Traits { holds_data: true, renames: true, instead: instead::ROLE, ..Traits::default() }
    }

    fn id_of(name: &Name, _: &Spec) -> Option<String> {
        Some(name.natural.clone())
    }

    fn rename_statement(from: &str, to: &str) -> Option<String> {
        Some(sql::rename("ROLE", from, to))
    }

    // What it owns goes with it only when it is told to, and nobody else gets it.
    fn holds(spec: &Spec) -> bool {
        spec.drop_owned && spec.reassign_owned_to.is_none()
    }

    async fn held(
        server: &Server,
        wanted: &[Wanted<Spec>],
        _: Moment,
    ) -> Vec<Result<Held, CallError>> {
        let mut answers = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let name = wanted.id.as_deref().unwrap_or(&wanted.name.natural);
            answers.push(match places(server, name).await {
                Ok(places) => held::owned_by(server, name, &places).await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    fn normalize(spec: &mut Spec) {
        if let Some(groups) = &mut spec.member_of {
            groups.sort();
            groups.dedup();
        }
        sql::none_when_empty(&mut spec.comment);
        sql::normalize_settings(&mut spec.settings);
        spec.valid_until = spec.valid_until.take().and_then(|text| match text.trim() {
            "infinity" => None,
            trimmed => Some(moment(trimmed).map_or(text.clone(), |moment| {
                moment.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
            })),
        });
    }

    // A role has one password: between the change and the restart of its users nobody new gets
    // in with the one they know.
    fn cautions(natural: &str, from: Option<&Spec>, to: &Spec) -> Vec<Problem> {
        let old = from.and_then(|from| from.password.as_ref());
        let changes =
            to.login && old.is_some() && to.password.is_some() && old != to.password.as_ref();
        let caution = || {
            Problem {
            attribute: "password".to_owned(),
            message: format!(
                "who uses `{natural}` cannot log in from here on until they have the new password; \
                 sessions that are open stay"
            ),
            hint: Some(
                "without a gap: make a second role with `member_of` this one, move its users over, \
                 then take this one's `login`"
                    .to_owned(),
            ),
        }
        };
        let named = names::caution(natural, false).filter(|_| from.is_none());
        changes.then(caution).into_iter().chain(named).collect()
    }

    fn territory(natural: &str, spec: &Spec) -> Vec<Territory> {
        let all = |_| Territory {
            path: vec!["membership".to_owned(), natural.to_owned()],
            what: format!("the roles that `{natural}` is a member of"),
        };
        spec.member_of.iter().map(all).collect()
    }

    fn script(name: &Name, from: Option<&Spec>, to: Option<&Spec>) -> Option<Script> {
        let role = sql::name(&name.natural);
        let statements = match (from, to) {
            (None, Some(to)) => create_statements(&role, to),
            (Some(from), Some(to)) => {
                let secret = to.password.as_deref().filter(|_| to.password != from.password);
                change_statements(&role, from, from, to, secret.map(password_is))
            }
            (from, None) => {
                let leave = from.map(|from| leave_statements(&name.natural, from));
                let mut statements = leave.unwrap_or_default();
                if !statements.is_empty() {
                    let where_to = "-- in each database where it owns or may do something";
                    statements.insert(0, where_to.to_owned());
                }
                statements.push(drop_statement(&name.natural));
                return Some(review::script(name, None, statements));
            }
        };
        Some(review::script(name, None, review::whole(statements)))
    }

    fn claims(name: &Name, _: &Spec) -> Vec<Claimed> {
        let claim = Claim::Knows { what: Known::Login, name: name.natural.clone() };
        vec![Claimed::new(Path::attribute("name"), claim)]
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        check::attributes(spec)
    }

    fn check_named(natural: &str, spec: &Spec) -> Vec<Problem> {
        check::name(natural, spec)
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = sql::on_server(wanted, |names| rows(server, names), |row: &Row| row.oid);
        let found = |(row, wanted): (Result<Option<Row>, CallError>, &Wanted<Spec>)| {
            Ok(row?.map(|row| found(server, &row, wanted)))
        };
        rows.await.into_iter().zip(wanted).map(found).collect()
    }

    const LISTS: bool = true;

    async fn list(server: &Server) -> Result<Listing<Spec, Facts>, CallError> {
        imported::roles(server).await
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        names::expect(&name.natural)?;
        let mut hashed = spec.clone();
        hashed.password = spec.password.as_deref().map(scram::verifier);
        let statements = create_statements(&sql::name(&name.natural), &hashed);
        let task = task("create", &name.natural);
        let number = format!(
            "select oid::int8 oid from pg_roles where rolname = {}",
            sql::text(&name.natural)
        );
        let facts =
            server.write_and_ask(server.database(), &statements, &number, &task).await?;
        Ok(Created { id: name.natural.clone(), facts })
    }

    const PREVIEWS: bool = true;

    // What the server forgets with a name, nobody can give back but who knows the password.
    async fn preview(
        server: &Server,
        proposed: &[Proposed<Spec>],
    ) -> Result<Vec<Preview>, CallError> {
        let old = |one: &Proposed<Spec>| one.id.clone().filter(|id| *id != one.name.natural);
        let renamed: Vec<String> = proposed.iter().filter_map(old).collect();
        let rows =
            if renamed.is_empty() { HashMap::new() } else { rows(server, renamed).await? };
        let preview = |one: &Proposed<Spec>| {
            let stored = old(one).and_then(|id| rows.get(&id)?.verifier.as_deref());
            let is_known = one.to.password.as_deref().is_some_and(|known| known != NOT_KEPT);
            let notes = if stored.is_some_and(is_md5) && !is_known {
                vec![
                    "its password is kept as an MD5 hash, which the server forgets with the \
                      name: nobody logs in as it until it has a new one"
                        .to_owned(),
                ]
            } else {
                Vec::new()
            };
            Preview { notes, ..Preview::default() }
        };
        Ok(proposed.iter().map(preview).collect())
    }

    async fn update(
        server: &Server,
        name: &Name,
        id: &str,
        from: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        let mut rows = rows(server, vec![id.to_owned()]).await?;
        let Some(row) = rows.remove(id) else { return Err(gone(server, id)) };
        // What it is now counts, not what it was when the plan was made.
        let current = spec_of(&row);
        let renamed = name.natural != id;
        let lost = renamed && row.verifier.as_deref().is_none_or(is_md5);
        let passwords = (from.password.as_deref(), to.password.as_deref());
        let password =
            password::to_set(passwords, row.verifier.as_deref(), lost, server.sees_passwords)
                .map(|new| password_is(&scram::verifier(new)));
        let role = sql::name(&name.natural);
        let mut statements = change_statements(&role, &from, &current, &to, password);
        if renamed {
            names::expect(&name.natural)?;
            statements.insert(0, sql::rename("ROLE", id, &name.natural));
        }
        let task = task("change", id).hint(
            SqlState::FEATURE_NOT_SUPPORTED,
            "a role cannot rename itself: let the `postgres::server` work as another `user`",
        );
        server.write(server.database(), Lane::Short, &statements, &task).await?;
        Ok(Facts { oid: row.oid })
    }

    async fn delete(server: &Server, _: &Name, id: &str, spec: Spec) -> Result<(), CallError> {
        let task = task("drop", id).hint(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            "say who gets what it owns with `reassign_owned_to`, or that it goes too with \
             `drop_owned: true`, and apply that first",
        );
        let leave = leave_statements(id, &spec);
        if !leave.is_empty() {
            for place in places(server, id).await? {
                server.remove(&place, &leave, &task).await?;
            }
        }
        server.remove(server.database(), &[drop_statement(id)], &task).await
    }
}

/// The statements that make a role; its password is taken as it is.
fn create_statements(role: &str, spec: &Spec) -> Vec<String> {
    let mut options = flags(&SERVER_DEFAULTS, spec);
    options.extend(spec.password.as_deref().map(password_is));
    if let Some(until) = &spec.valid_until {
        options.push(format!("VALID UNTIL {}", sql::text(until)));
    }
    let mut statements = vec![format!("CREATE ROLE {role} {}", options.join(" "))];
    let nothing = Around::default();
    statements.extend(nothing.change(role, &Around::of(spec)));
    statements
}

/// The statements from what a role is to what it shall be; `from` is what it was declared as,
/// `password` the option that sets a new one.
fn change_statements(
    role: &str,
    from: &Spec,
    current: &Spec,
    to: &Spec,
    password: Option<String>,
) -> Vec<String> {
    let mut options = flags(&Flags::of(current), to);
    options.extend(password);
    if to.password.is_none() && from.password.is_some() {
        options.push("PASSWORD NULL".to_owned());
    }
    if current.valid_until != to.valid_until {
        // There is no way back to none; for ever is the same.
        let until = to.valid_until.as_deref().unwrap_or("infinity");
        options.push(format!("VALID UNTIL {}", sql::text(until)));
    }
    let mut statements = Vec::new();
    if !options.is_empty() {
        statements.push(format!("ALTER ROLE {role} {}", options.join(" ")));
    }
    let mut wanted = Around::of(to);
    let before = current.member_of.as_deref().unwrap_or_default();
    let kept: Vec<String>;
    if to.member_of.is_none() {
        // Only what it was declared with is taken back.
        let given = from.member_of.as_deref().unwrap_or_default();
        kept = before.iter().filter(|group| !given.contains(group)).cloned().collect();
        wanted.member_of = &kept;
    }
    statements.extend(Around::of(current).change(role, &wanted));
    statements
}

/// What rids a role of all it has in one database.
fn leave_statements(name: &str, spec: &Spec) -> Vec<String> {
    let role = sql::name(name);
    let heir = spec.reassign_owned_to.as_deref().map(sql::name);
    let give = heir.map(|heir| format!("REASSIGN OWNED BY {role} TO {heir}"));
    // What is left after that are privileges.
    let drop = (give.is_some() || spec.drop_owned).then(|| format!("DROP OWNED BY {role}"));
    give.into_iter().chain(drop).collect()
}

/// The databases where a role owns something or was granted something.
async fn places(server: &Server, name: &str) -> Result<Vec<String>, CallError> {
    #[derive(Deserialize)]
    struct Place {
        name: String,
    }
    // What belongs to the whole server can be given away from anywhere.
    let sql = "select distinct coalesce(d.datname, current_database()) name from pg_shdepend s
        join pg_roles r on r.oid = s.refobjid and r.rolname = any($1)
        left join pg_database d on d.oid = case s.classid
            when 'pg_database'::regclass then 0 else s.dbid end
        where s.refclassid = 'pg_authid'::regclass";
    let names = vec![name.to_owned()];
    let task = task("look for what is owned by", name);
    let places: Vec<Place> = server.rows(server.database(), sql, &[names], &task).await?;
    Ok(places.into_iter().map(|place| place.name).collect())
}

fn drop_statement(name: &str) -> String {
    format!("DROP ROLE IF EXISTS {}", sql::name(name))
}

fn task(verb: &str, name: &str) -> Task {
    Task::new(format!("{verb} role `{name}`")).needs(
        "CREATEROLE; for superusers and for `superuser`, `replication` and `bypassrls` a \
         superuser",
    )
}

fn gone(server: &Server, name: &str) -> CallError {
    CallError::refused(format!("role `{name}` is not at {} any more", server.address()))
        .hint("plan again")
}

/// Whether a stored password has the role's name in it, so that it goes with the name.
fn is_md5(stored: &str) -> bool {
    stored.starts_with("md5")
}

pub(super) async fn rows(
    server: &Server,
    names: Vec<String>,
) -> Result<HashMap<String, Row>, CallError> {
    let (verifier, join) = if server.sees_passwords {
        ("a.rolpassword", "join pg_authid a on a.oid = r.oid")
    } else {
        ("null", "")
    };
    let sql = format!(
        r#"select r.rolname name, r.oid::int8 oid, r.rolcanlogin login, r.rolsuper superuser,
            r.rolcreatedb createdb, r.rolcreaterole createrole, r.rolinherit "inherit",
            r.rolreplication replication, r.rolbypassrls bypassrls,
            r.rolconnlimit connection_limit,
            case when isfinite(r.rolvaliduntil) then to_char(
                r.rolvaliduntil at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            ) end valid_until,
            array(
                select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid
                where m.member = r.oid
            ) member_of,
            array(
                select unnest(s.setconfig) from pg_db_role_setting s
                where s.setrole = r.oid and s.setdatabase = 0
            ) settings,
            shobj_description(r.oid, 'pg_authid') "comment",
            {verifier} verifier
        from pg_roles r {join} where r.rolname = any($1)"#
    );
    let task = Task::new("read roles");
    let rows: Vec<Row> = server.rows(server.database(), &sql, &[names], &task).await?;
    Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
}

pub(super) fn found(server: &Server, row: &Row, wanted: &Wanted<Spec>) -> Found<Spec, Facts> {
    let mut spec = spec_of(row);
    spec.reassign_owned_to.clone_from(&wanted.spec.reassign_owned_to);
    spec.drop_owned = wanted.spec.drop_owned;
    spec.member_of = spec.member_of.filter(|_| wanted.spec.member_of.is_some());
    spec.password = wanted.spec.password.clone().filter(|password| {
        // Without the right to look, the last known password is the best knowledge.
        !server.sees_passwords
            || row.verifier.as_ref().is_some_and(|stored| scram::verifies(stored, password))
    });
    Found {
        id: row.name.clone(),
        natural: row.name.clone(),
        spec,
        facts: Facts { oid: row.oid },
        owner: Owner::Unmarked,
    }
}

/// The spec of a role without its password.
pub(super) fn spec_of(row: &Row) -> Spec {
    let mut spec = Spec {
        login: row.login,
        superuser: row.superuser,
        createdb: row.createdb,
        createrole: row.createrole,
        inherit: row.inherit,
        replication: row.replication,
        bypassrls: row.bypassrls,
        connection_limit: row.connection_limit,
        password: None,
        valid_until: row.valid_until.clone(),
        member_of: Some(row.member_of.clone()),
        settings: sql::read_settings(&row.settings),
        comment: row.comment.clone(),
        reassign_owned_to: None,
        drop_owned: false,
    };
    Role::normalize(&mut spec);
    spec
}

/// The option that sets a password, which is taken as it is.
fn password_is(stored: &str) -> String {
    format!("PASSWORD {}", sql::text(stored))
}

/// A moment; a date alone is its first instant in UTC.
fn moment(text: &str) -> Option<DateTime<FixedOffset>> {
    let date = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
    text.parse()
        .ok()
        .or_else(|| date().map(|naive| naive.and_utc().with_timezone(&Utc).fixed_offset()))
}

/// What is set by statements beside `CREATE ROLE` and `ALTER ROLE ... <options>`.
#[derive(Default)]
struct Around<'a> {
    member_of: &'a [String],
    settings: BTreeMap<String, Text>,
    comment: Option<&'a str>,
}

impl<'a> Around<'a> {
    fn of(spec: &'a Spec) -> Self {
        Self {
            member_of: spec.member_of.as_deref().unwrap_or_default(),
            settings: spec.settings.clone(),
            comment: spec.comment.as_deref(),
        }
    }

    /// The statements that turn this into another; `role` is quoted.
    fn change(&self, role: &str, to: &Self) -> Vec<String> {
        let missing = |in_list: &[String], group: &String| !in_list.contains(group);
        let left = self.member_of.iter().filter(|group| missing(to.member_of, group));
        let joined = to.member_of.iter().filter(|group| missing(self.member_of, group));
        let mut statements: Vec<_> = left.map(|group| leave(&sql::name(group), role)).collect();
        statements.extend(joined.map(|group| format!("GRANT {} TO {role}", sql::name(group))));
        let on = format!("ALTER ROLE {role}");
        statements.extend(sql::change_settings(&on, &self.settings, &to.settings));
        if self.comment != to.comment {
            let comment = sql::text_or_null(to.comment);
            statements.push(format!("COMMENT ON ROLE {role} IS {comment}"));
        }
        statements
    }
}

/// Takes a role out of a group; both are names as they stand in a statement.
fn leave(group: &str, role: &str) -> String {
    sql::of_each_grantor(group, role, &format!("REVOKE {group} FROM {role}"))
}
