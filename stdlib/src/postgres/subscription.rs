//! `postgres::subscription`: changes taken from another server's publications.
//!
//! Catalog: `pg_subscription`; see "CREATE SUBSCRIPTION" in the PostgreSQL manual.

use std::collections::BTreeSet;

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::imported::Around;
use super::instead;
use super::object::{Nothing, Object, comment_and_owner};
use super::server::Server;
use super::version::Since;
use super::{names, sql};
use crate::text::Text;

/// A subscription to publications of another server. Where to, what and how change in place.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the server has that many")]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// How this server reaches the other: `host=db1 dbname=shop user=replicator password=..`.
    #[schemars(extend("x-secret" = true))]
    pub connection: String,
    /// The publications there.
    #[schemars(extend("x-handle" = "postgres::publication"))]
    pub publications: BTreeSet<String>,
    /// Whether it takes changes now.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The replication slot over there, `none` for none; when left out, it has the
    /// subscription's name and is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::replication_slot"))]
    pub slot: Option<String>,
    /// Whether the slot is made and dropped with the subscription. Otherwise it is there
    /// already, and stays.
    #[serde(default = "yes")]
    pub create_slot: bool,
    /// Whether rows that are there already are copied when it begins, and those of tables that
    /// are published later.
    #[serde(default = "yes")]
    pub copy_data: bool,
    /// Whether values are sent in binary form; needs PostgreSQL 14.
    #[serde(default)]
    pub binary: bool,
    /// Whether large transactions are sent before they end, and `"parallel"` where several
    /// processes here make their changes at once (PostgreSQL 16); needs PostgreSQL 14. The
    /// server's choice when left out: no before PostgreSQL 18.
    #[serde(default)]
    pub streaming: Option<Text>,
    /// Whether what is prepared over there (`PREPARE TRANSACTION`) is prepared here, too; needs
    /// PostgreSQL 15. When left out, no, and it is not looked at.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub two_phase: Option<bool>,
    /// Whether servers that follow the other one keep the slot as well, so that this one goes on
    /// with one of them after a fail-over; needs PostgreSQL 17. When left out, no, or as a slot
    /// that is there already was made, and it is not looked at. It is changed while the
    /// subscription is off for a moment.
    #[serde(default)]
    pub failover: Option<bool>,
    /// Which changes are taken: `any`, or `none` that came to the other server by a subscription
    /// of its own; needs PostgreSQL 16. When left out, `any`, and it is not looked at.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// Whether changes are made with the rights of the subscription's owner, and not those of
    /// the tables' owners; needs PostgreSQL 16. When left out, no, and it is not looked at.
    #[serde(default)]
    pub run_as_owner: Option<bool>,
    /// Whether an owner who is no superuser must give a password in `connection`; needs
    /// PostgreSQL 16. When left out, yes, and it is not looked at.
    #[serde(default)]
    pub password_required: Option<bool>,
    /// `synchronous_commit` of what is applied.
    #[serde(default = "off")]
    pub synchronous_commit: String,
    /// Whether it stops at the first change that cannot be applied, instead of trying again;
    /// needs PostgreSQL 15.
    #[serde(default)]
    pub disable_on_error: bool,
    /// The role that owns it; when left out, the user dollop works as owns a new one, and the
    /// owner is not looked at.
    #[serde(default)]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub owner: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Which changes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// All.
    Any,
    /// Those that were made over there.
    None,
}

impl Origin {
    fn sql(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::None => "none",
        }
    }
}

fn yes() -> bool {
    true
}

fn off() -> String {
    "off".to_owned()
}

/// The name of a slot that stands for none.
const NO_SLOT: &str = "none";

/// The way of streaming that makes changes by several processes.
const PARALLEL: &str = "parallel";

/// The kind.
pub struct Subscription;

impl Object for Subscription {
    const KIND: &'static str = "postgres::subscription";
    const NEEDS: &'static str =
        "a superuser, from PostgreSQL 16 on also pg_create_subscription";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits { within: &["database"], instead: instead::SUBSCRIPTION, ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        sql::none_when_empty(&mut spec.comment);
        if let Some(slot) = spec.slot.as_mut().filter(|slot| slot.eq_ignore_ascii_case(NO_SLOT))
        {
            NO_SLOT.clone_into(slot);
        }
        if let Some(Text(streaming)) = &mut spec.streaming {
            *streaming = match streaming.to_lowercase().as_str() {
                "on" => "true".to_owned(),
                "off" => "false".to_owned(),
                other => other.to_owned(),
            };
        }
    }

    // Where nobody says what the slot is called, it is called like the subscription.
    fn check_named(natural: &str, spec: &Spec) -> Vec<Problem> {
        let slot = match &spec.slot {
            Some(slot) => names::problem_of_slot(slot, "slot"),
            // One that is not made is there, or nobody needs it.
            None if !spec.create_slot => None,
            None => names::problem_of_slot(natural, "slot").map(|found| Problem {
                hint: Some("give a `slot` that is called otherwise".to_owned()),
                ..found
            }),
        };
        names::problem(natural, "name").into_iter().chain(slot).collect()
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |attribute: &str, message: String, hint: Option<&str>| Problem {
            attribute: attribute.to_owned(),
            message,
            hint: hint.map(str::to_owned),
        };
        let mut problems = Vec::new();
        if spec.publications.is_empty() {
            let message = "a subscription has a publication".to_owned();
            problems.push(problem("publications", message, None));
        }
        if spec.slot.as_deref() == Some(NO_SLOT) && (spec.create_slot || spec.enabled) {
            let message = "a subscription without a slot takes no changes".to_owned();
            let hint = "set `create_slot: false` and `enabled: false`, or name a slot";
            problems.push(problem("slot", message, Some(hint)));
        }
        let known = ["true", "false", PARALLEL];
        if let Some(Text(odd)) =
            spec.streaming.as_ref().filter(|is| !known.contains(&is.0.as_str()))
        {
            let message = format!("`{odd}` is no way of streaming");
            problems.push(problem("streaming", message, Some("true, false or `\"parallel\"`")));
        }
        problems
    }

    fn cautions(_: &str, from: Option<&Spec>, to: &Spec) -> Vec<Problem> {
        let anew = |from: &Spec| {
            from.database != to.database
                || (to.two_phase.is_some() && from.two_phase != to.two_phase)
        };
        let caution = Problem {
            attribute: "copy_data".to_owned(),
            message: "made anew, it copies all rows again, on top of those that are there"
                .to_owned(),
            hint: Some("set `copy_data: false`, or empty the tables first".to_owned()),
        };
        (to.copy_data && from.is_some_and(anew)).then_some(caution).into_iter().collect()
    }

    fn database(spec: &Spec) -> Option<&str> {
        Some(&spec.database)
    }

    fn key(natural: &str, _: &Spec) -> Vec<String> {
        vec![natural.to_owned()]
    }

    fn describe(key: &[String]) -> String {
        format!("subscription `{}`", key[0])
    }

    fn hints() -> Vec<(SqlState, &'static str)> {
        vec![
            (
                SqlState::CONNECTION_FAILURE,
                "this server must reach the other: check `connection`, the network and the \
                 other's `pg_hba.conf`",
            ),
            (
                SqlState::DUPLICATE_OBJECT,
                "a slot that is there already is used with `create_slot: false`",
            ),
        ]
    }

    fn since(spec: &Spec) -> Option<Since> {
        if spec.failover.is_some() {
            return Some((17, "`failover` of a subscription"));
        }
        if spec.streaming.as_ref().is_some_and(|is| is.0 == PARALLEL) {
            return Some((16, "`streaming: \"parallel\"` of a subscription"));
        }
        let newer = spec.origin.is_some()
            || spec.run_as_owner.is_some()
            || spec.password_required.is_some();
        if newer {
            let what = "`origin`, `run_as_owner` or `password_required` of a subscription";
            return Some((16, what));
        }
        if spec.disable_on_error || spec.two_phase == Some(true) {
            return Some((15, "`disable_on_error` or `two_phase` of a subscription"));
        }
        let new = spec.binary || spec.streaming.is_some();
        new.then_some((14, "`binary` or `streaming` of a subscription"))
    }

    fn stands_alone(_: &Spec) -> bool {
        // It makes and drops slots elsewhere, which no transaction here takes back.
        true
    }

    fn mend(statements: &[String], failed: usize) -> Option<(&str, &'static str)> {
        // It was turned off for this statement alone.
        let next = statements.get(failed + 1)?;
        let was_off = failed.checked_sub(1).map(|before| statements[before].as_str())?;
        let is_between = was_off.ends_with(" DISABLE") && next.ends_with(" ENABLE");
        is_between.then_some((next.as_str(), "the subscription takes changes"))
    }

    fn query(server: &Server) -> String {
        let newer = |version: u32, column: &'static str, older: &'static str| {
            if server.version >= version { column } else { older }
        };
        let (binary, stream) = (
            newer(140_000, "s.subbinary", "false"),
            newer(
                140_000,
                "case s.substream::text when 'p' then 'parallel' when 't' then 'true'
                    when 'true' then 'true' else 'false' end",
                "null::text",
            ),
        );
        let stop = newer(150_000, "s.subdisableonerr", "false");
        let two_phase = newer(150_000, "s.subtwophasestate <> 'd'", "false");
        let (origin, as_owner, password) = (
            newer(160_000, "s.suborigin", "null"),
            newer(160_000, "s.subrunasowner", "null::bool"),
            newer(160_000, "s.subpasswordrequired", "null::bool"),
        );
        let failover = newer(170_000, "s.subfailover", "false");
        format!(
            r#"select array[s.subname] "key", s.subconninfo "connection",
            s.subpublications publications, s.subenabled enabled,
            coalesce(s.subslotname, '{NO_SLOT}') slot,
            {binary} "binary", {stream} streaming, {stop} disable_on_error,
            {two_phase} two_phase, {origin} origin, {as_owner} run_as_owner,
            {password} password_required, {failover} failover,
            s.subsynccommit synchronous_commit, pg_get_userbyid(s.subowner) "owner",
            obj_description(s.oid, 'pg_subscription') "comment"
        from pg_subscription s join pg_database d on d.oid = s.subdbid
        where d.datname = current_database() and s.subname = any($1)"#
        )
    }

    const OPTIONAL: &'static [&'static str] = &[
        "owner",
        "slot",
        "streaming",
        "two_phase",
        "failover",
        "origin",
        "run_as_owner",
        "password_required",
    ];

    fn goes_without_saying(spec: &mut Spec, around: &Around<'_>) {
        spec.failover = spec.failover.filter(|failover| *failover);
        spec.origin = spec.origin.filter(|origin| *origin != Origin::Any);
        spec.run_as_owner = spec.run_as_owner.filter(|as_owner| *as_owner);
        spec.password_required = spec.password_required.filter(|required| !required);
        spec.slot = spec.slot.take().filter(|slot| around.key.first() != Some(slot));
        spec.create_slot &= spec.slot.as_deref() != Some(NO_SLOT);
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let name = sql::name(&key[0]);
        let on = format!("ALTER SUBSCRIPTION {name}");
        let Some(to) = to else {
            let mut all = Vec::new();
            if from.is_some_and(|from| !from.create_slot) {
                // Otherwise the slot, which is not its own, would go with it.
                all.extend([format!("{on} DISABLE"), format!("{on} SET (slot_name = NONE)")]);
            }
            all.push(format!("DROP SUBSCRIPTION {name}"));
            return all;
        };
        let publications = sql::names(&to.publications);
        let mut options = Vec::new();
        let mut option = |word: &str, was: Option<String>, is: String| {
            if was.as_ref() != Some(&is) {
                options.push(format!("{word} = {is}"));
            }
        };
        let was = |pick: fn(&Spec) -> bool| Some(from.is_some_and(pick).to_string());
        option("binary", was(|spec| spec.binary), to.binary.to_string());
        if let Some(Text(streaming)) = &to.streaming {
            let was = from.and_then(|from| from.streaming.clone()).map(|was| was.0);
            option("streaming", was, streaming.clone());
        }
        if let Some(origin) = to.origin {
            let was = from.and_then(|from| from.origin).map(|was| was.sql().to_owned());
            option("origin", was, origin.sql().to_owned());
        }
        for (word, pick) in [
            ("run_as_owner", (|spec: &Spec| spec.run_as_owner) as fn(&Spec) -> Option<bool>),
            ("password_required", |spec: &Spec| spec.password_required),
        ] {
            if let Some(is) = pick(to) {
                option(word, from.and_then(pick).map(|was| was.to_string()), is.to_string());
            }
        }
        option(
            "disable_on_error",
            was(|spec| spec.disable_on_error),
            to.disable_on_error.to_string(),
        );
        let commit = |spec: &Spec| sql::text(&spec.synchronous_commit);
        option(
            "synchronous_commit",
            Some(from.map_or_else(|| sql::text("off"), commit)),
            commit(to),
        );
        if let Some(slot) = &to.slot {
            let was = from.and_then(|from| from.slot.as_deref()).map(sql::text);
            option("slot_name", was, sql::text(slot));
        }
        let mut all = Vec::new();
        match from {
            None => {
                options.extend(
                    (to.two_phase == Some(true)).then(|| "two_phase = true".to_owned()),
                );
                // A slot that is there already stays as it is, unless that is said once more.
                let taken = to.failover.filter(|_| !to.create_slot);
                let made = to.failover.filter(|_| to.create_slot);
                options.extend(made.map(|failover| format!("failover = {failover}")));
                options.push(format!("create_slot = {}", to.create_slot));
                options.push(format!("copy_data = {}", to.copy_data));
                options.push(format!("enabled = {}", to.enabled && taken.is_none()));
                all.push(format!(
                    "CREATE SUBSCRIPTION {name} CONNECTION {} PUBLICATION {publications} WITH ({})",
                    sql::text(&to.connection),
                    options.join(", ")
                ));
                if let Some(failover) = taken {
                    all.push(format!("{on} SET (failover = {failover})"));
                    all.extend(to.enabled.then(|| format!("{on} ENABLE")));
                }
            }
            Some(from) => {
                if from.enabled && !to.enabled {
                    all.push(format!("{on} DISABLE"));
                }
                if from.connection != to.connection {
                    all.push(format!("{on} CONNECTION {}", sql::text(&to.connection)));
                }
                if !options.is_empty() {
                    all.push(format!("{on} SET ({})", options.join(", ")));
                }
                // The server changes this one of no subscription that is on.
                let is_on = from.enabled && to.enabled;
                if let Some(new) = to.failover.filter(|new| from.failover != Some(*new)) {
                    all.extend(is_on.then(|| format!("{on} DISABLE")));
                    all.push(format!("{on} SET (failover = {new})"));
                    all.extend(is_on.then(|| format!("{on} ENABLE")));
                }
                if !from.enabled && to.enabled {
                    all.push(format!("{on} ENABLE"));
                }
                if from.publications != to.publications {
                    // A subscription that is off cannot look what is published.
                    let refresh = if to.enabled {
                        format!("copy_data = {}", to.copy_data)
                    } else {
                        "refresh = false".to_owned()
                    };
                    all.push(format!("{on} SET PUBLICATION {publications} WITH ({refresh})"));
                }
            }
        }
        let of = |spec: &Spec| (spec.comment.clone(), spec.owner.clone());
        let was = from.map(of).unwrap_or_default();
        all.extend(comment_and_owner(&format!("SUBSCRIPTION {name}"), was, of(to)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: serde_json::Value) -> Spec {
        let mut spec = serde_json::json!({
            "database": "d", "connection": "host=a", "publications": ["p"],
        });
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let mut spec: Spec = serde_json::from_value(spec).unwrap();
        Subscription::normalize(&mut spec);
        spec
    }

    #[test]
    fn what_was_off_for_a_moment_is_on_again() {
        let (from, to) =
            (spec(serde_json::json!({})), spec(serde_json::json!({ "failover": true })));
        let all = Subscription::statements(&["s".to_owned()], Some(&from), Some(&to));
        let on = r#"ALTER SUBSCRIPTION "s""#;
        let expected = ["DISABLE", "SET (failover = true)", "ENABLE"];
        assert_eq!(all, expected.map(|action| format!("{on} {action}")));
        assert_eq!(Subscription::mend(&all, 0), None);
        assert_eq!(Subscription::mend(&all, 2), None);
        let mended = Subscription::mend(&all, 1).map(|(statement, _)| statement);
        assert_eq!(mended, Some(all[2].as_str()));
    }

    #[test]
    fn the_name_of_a_slot_counts_where_there_is_one() {
        let said = |spec: &Spec| Subscription::check_named("No Slot", spec).len();
        assert_eq!(said(&spec(serde_json::json!({}))), 1);
        assert_eq!(said(&spec(serde_json::json!({ "create_slot": false }))), 0);
        let none = spec(serde_json::json!({ "slot": "None", "create_slot": false }));
        assert_eq!(said(&none), 0);
        assert_eq!(Subscription::check(&none).len(), 1, "it cannot be on");
    }
}
