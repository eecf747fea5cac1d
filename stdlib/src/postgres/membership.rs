//! `postgres::membership`: one role in another.
//!
//! Catalog: `pg_auth_members`.

use dollop_engine::resource::{Naming, Problem, Territory, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::imported::Around;
use super::instead;
use super::object::{Nothing, Object};
use super::server::Server;
use super::sql;
use super::version::Since;

/// The membership of one role in another, with its options. For a role whose memberships are
/// all declared in one place, `member_of` of the role is shorter; a role has one or the other.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The role that is joined, the group.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub role: String,
    /// The role that joins.
    #[schemars(extend("x-handle" = "postgres::role", "x-replace" = true))]
    pub member: String,
    /// Whether the member may let others in.
    #[serde(default)]
    pub admin: bool,
    /// Whether the member has the group's privileges without `SET ROLE`; needs PostgreSQL 16.
    /// When left out, the member's own `inherit` says so.
    #[serde(default)]
    pub inherit: Option<bool>,
    /// Whether the member may become the group by `SET ROLE`; needs PostgreSQL 16. It may
    /// when left out.
    #[serde(default)]
    pub set: Option<bool>,
}

/// The kind.
pub struct Membership;

impl Object for Membership {
    const KIND: &'static str = "postgres::membership";
    const TERRITORIAL: bool = true;
    const NEEDS: &'static str = "the ADMIN OPTION of the group, or a superuser";
    type Spec = Spec;
    type Facts = Nothing;

    fn traits() -> Traits {
        Traits {
            naming: Naming::Label,
            within: &[],
            identity: &["role", "member"],
            instead: instead::MEMBERSHIP,
            ..Traits::default()
        }
    }

    fn territory(_: &str, spec: &Spec) -> Vec<Territory> {
        let Spec { role, member, .. } = spec;
        vec![Territory {
            path: vec!["membership".to_owned(), member.clone(), role.clone()],
            what: format!("whether `{member}` is a member of `{role}`"),
        }]
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let itself = || Problem {
            attribute: "member".to_owned(),
            message: format!("role `{}` would be a member of itself", spec.role),
            hint: Some("name another role".to_owned()),
        };
        (spec.role == spec.member).then(itself).into_iter().collect()
    }

    fn database(_: &Spec) -> Option<&str> {
        None
    }

    fn key(_: &str, spec: &Spec) -> Vec<String> {
        vec![spec.role.clone(), spec.member.clone()]
    }

    fn describe(key: &[String]) -> String {
        format!("membership of `{}` in `{}`", key[1], key[0])
    }

    fn since(spec: &Spec) -> Option<Since> {
        let options = spec.inherit.is_some() || spec.set.is_some();
        options.then_some((16, "the option `inherit` or `set` of a membership"))
    }

    fn query(server: &Server) -> String {
        let options = if server.version >= 160_000 {
            r#"bool_or(m.inherit_option) "inherit", bool_or(m.set_option) "set""#
        } else {
            r#"null::bool "inherit", null::bool "set""#
        };
        // From 16 on several grantors may each have granted it.
        format!(
            r#"select array[g.rolname, r.rolname] "key", bool_or(m.admin_option) "admin", {options}
            from pg_auth_members m join pg_roles g on g.oid = m.roleid
                join pg_roles r on r.oid = m.member
            where g.rolname = any($1) and r.rolname = any($2)
            group by g.rolname, r.rolname"#
        )
    }

    const OPTIONAL: &'static [&'static str] = &["inherit", "set"];

    fn goes_without_saying(spec: &mut Spec, _: &Around<'_>) {
        spec.set = spec.set.filter(|set| !set);
    }

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let (role, member) = (sql::name(&key[0]), sql::name(&key[1]));
        let each = |statement: &str| sql::of_each_grantor(&role, &member, statement);
        let Some(to) = to else { return vec![each(&format!("REVOKE {role} FROM {member}"))] };
        let differs = |now: Option<Option<bool>>, to: Option<bool>| {
            to.filter(|to| now.flatten() != Some(*to))
        };
        let options = [
            ("INHERIT", differs(from.map(|from| from.inherit), to.inherit)),
            ("SET", differs(from.map(|from| from.set), to.set)),
        ];
        let mut statements = Vec::new();
        if from.is_none() {
            statements.push(format!("GRANT {role} TO {member}"));
        }
        let admin = from.is_some_and(|from| from.admin);
        match (admin, to.admin) {
            (false, true) => {
                statements = vec![format!("GRANT {role} TO {member} WITH ADMIN OPTION")];
            }
            (true, false) => {
                statements.push(each(&format!("REVOKE ADMIN OPTION FOR {role} FROM {member}")));
            }
            _ => {}
        }
        // One grant that has it is enough; none may have it otherwise.
        for has in [true, false] {
            let set = options.iter().filter(|(_, value)| *value == Some(has));
            let set: Vec<_> = set.map(|(word, _)| format!("{word} {has}")).collect();
            if !set.is_empty() {
                let grant = format!("GRANT {role} TO {member} WITH {}", set.join(", "));
                statements.push(if has || from.is_none() { grant } else { each(&grant) });
            }
        }
        statements
    }
}
