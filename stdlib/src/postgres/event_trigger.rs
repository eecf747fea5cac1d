//! `postgres::event_trigger`: functions that run when the catalog changes.
//!
//! Catalog: `pg_event_trigger`.

use std::collections::BTreeSet;

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::object::{Nothing, Object, comment_and_owner};
use super::server::Server;
use super::sql;
use super::trigger::Enabled;
use super::version::Since;

/// A trigger on what is made, changed and dropped in a database. It runs for what dollop does as
/// well: one that refuses, or fails, stops that too. Another definition takes its place in one
/// transaction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// What it runs for.
    pub event: Event,
    /// The commands it runs for, `["CREATE TABLE", "DROP TABLE"]`; all when empty.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The function it calls, `audit` (of the schema `public`) or `app.audit`; it returns
    /// `event_trigger`.
    #[schemars(extend("x-handle" = "postgres::function"))]
    pub function: String,
    /// Whether it runs.
    #[serde(default)]
    pub enabled: Enabled,
    /// The superuser that owns it; when left out, the user dollop works as owns a new one, and
    /// the owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What an event trigger runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Before something is made, changed or dropped.
    DdlCommandStart,
    /// After it.
    DdlCommandEnd,
    /// After something was dropped.
    SqlDrop,
    /// Before a table is written anew.
    TableRewrite,
    /// When somebody has logged in; needs PostgreSQL 17.
    Login,
}

impl Event {
    fn sql(self) -> &'static str {
        match self {
            Self::DdlCommandStart => "ddl_command_start",
            Self::DdlCommandEnd => "ddl_command_end",
            Self::SqlDrop => "sql_drop",
            Self::TableRewrite => "table_rewrite",
            Self::Login => "login",
        }
    }
}

/// The kind.
pub struct EventTrigger;

impl Object for EventTrigger {
    const KIND: &'static str = "postgres::event_trigger";
    const NEEDS: &'static str = "a superuser";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits { within: &["database"], ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        let words = |tag: &String| tag.split_whitespace().collect::<Vec<_>>().join(" ");
        spec.tags = spec.tags.iter().map(|tag| words(tag).to_uppercase()).collect();
        sql::without_public(&mut spec.function);
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let logs_in = spec.event == Event::Login && !spec.tags.is_empty();
        let problem = || Problem {
            attribute: "tags".to_owned(),
            message: "logging in is no command".to_owned(),
            hint: Some("leave `tags` out".to_owned()),
        };
        logs_in.then(problem).into_iter().collect()
    }

    fn cautions(_: &str, from: Option<&Spec>, to: &Spec) -> Vec<Problem> {
        let runs =
            |spec: &Spec| spec.event == Event::Login && spec.enabled != Enabled::Disabled;
        let caution = || Problem {
            attribute: "event".to_owned(),
            message: "nobody can log in to the database while its function fails".to_owned(),
            hint: Some(
                "try it in another database first; the way back in is \
                 `PGOPTIONS='-c event_triggers=off'` as a superuser"
                    .to_owned(),
            ),
        };
        let begins = runs(to) && !from.is_some_and(runs);
        begins.then(caution).into_iter().collect()
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.to_owned()]
    }

    fn describe(key: &[String]) -> String {
        format!("event trigger `{}`", key[0])
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        let returns = "the function must be there already, take no arguments, and return \
                       `event_trigger`";
        vec![
            (SqlState::UNDEFINED_FUNCTION, returns),
            (SqlState::INVALID_OBJECT_DEFINITION, returns),
        ]
    }

    fn since(spec: &Spec) -> Option<Since> {
        (spec.event == Event::Login).then_some((17, "the event `login` of an event trigger"))
    }

    fn query(_: &Server) -> String {
        let function = sql::bare("n.nspname", "f.proname");
        format!(
            r#"select array[t.evtname] "key", t.evtevent "event", coalesce(t.evttags, '{{}}') "tags",
            {function} "function",
            case t.evtenabled when 'O' then 'origin' when 'A' then 'always' when 'R' then 'replica'
                else 'disabled' end "enabled",
            pg_get_userbyid(t.evtowner) "owner", obj_description(t.oid, 'pg_event_trigger') "comment"
        from pg_event_trigger t join pg_proc f on f.oid = t.evtfoid
            join pg_namespace n on n.oid = f.pronamespace
        where t.evtname = any($1)"#
        )
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::name(&key[0]);
        let drop = format!("DROP EVENT TRIGGER {name}");
        let Some(to) = to else { return vec![drop] };
        let mut all = Vec::new();
        let same = from.is_some_and(|from| {
            from.event == to.event && from.tags == to.tags && from.function == to.function
        });
        if !same {
            let owned = from.is_none() || to.owner.is_some();
            all.extend(match from {
                Some(_) if !owned => vec![anew(&key[0], &drop, &create(&name, to))],
                Some(_) => vec![drop, create(&name, to)],
                None => vec![create(&name, to)],
            });
        }
        // One that is made anew has the rest to get again.
        let from = from.filter(|_| same);
        if from.map_or(Enabled::Origin, |from| from.enabled) != to.enabled {
            all.push(format!("ALTER EVENT TRIGGER {name} {}", to.enabled.sql()));
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("EVENT TRIGGER {name}"), was, of(to)));
        all
    }
}

/// Makes one anew whose owner nobody says: whoever owns it goes on.
fn anew(name: &str, drop: &str, create: &str) -> String {
    let body = format!(
        "DECLARE its_owner name;
BEGIN
    SELECT pg_get_userbyid(evtowner) INTO its_owner FROM pg_event_trigger WHERE evtname = {0};
    {drop};
    {create};
    EXECUTE format('ALTER EVENT TRIGGER %I OWNER TO %I', {0}, its_owner);
END",
        sql::text(name)
    );
    let tag = sql::tag(&body);
    format!("DO {tag}{body}{tag}")
}

fn create(name: &str, to: &Spec) -> String {
    let tags: Vec<_> = to.tags.iter().map(|tag| sql::text(tag)).collect();
    let when = if tags.is_empty() {
        String::new()
    } else {
        format!(" WHEN TAG IN ({})", tags.join(", "))
    };
    let (event, function) = (to.event.sql(), sql::whole(&to.function));
    format!("CREATE EVENT TRIGGER {name} ON {event}{when} EXECUTE FUNCTION {function}()")
}
