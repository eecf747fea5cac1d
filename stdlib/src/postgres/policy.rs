//! `postgres::policy`: which rows whom row-level security shows.
//!
//! Catalog: `pg_policy`.

use dollop_engine::resource::{Problem, Traits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::{PUBLIC, normalize_grantee};
use super::object::{Object, Worded};
use super::place::on_table;
use super::server::Server;
use super::sql;

/// A policy of row-level security, which `row_security` of the table turns on.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The database it is in.
    #[schemars(extend("x-handle" = "postgres::database"))]
    pub database: String,
    /// The schema its table is in.
    #[serde(default = "sql::public")]
    #[schemars(extend("x-handle" = "postgres::schema"))]
    pub schema: String,
    /// The table it is on.
    #[schemars(extend("x-handle" = "postgres::table"))]
    pub table: String,
    /// What it is about.
    #[serde(default)]
    pub command: Command,
    /// Whether it shows more rows; otherwise it is one that all rows must meet.
    #[serde(default = "yes")]
    pub permissive: bool,
    /// Whom it is about: roles, or `PUBLIC` for everybody.
    #[serde(default = "everybody")]
    #[schemars(extend("x-handle" = "postgres::role"))]
    pub roles: Vec<String>,
    /// Which rows they see: `owner = current_user`.
    #[serde(default)]
    pub using: Option<String>,
    /// Which rows they may make; what `using` says when left out.
    #[serde(default)]
    pub check: Option<String>,
    /// What it is for, kept in the server.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What a policy is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Command {
    /// Everything.
    #[default]
    All,
    /// Reading.
    Select,
    /// Making rows.
    Insert,
    /// Changing rows.
    Update,
    /// Deleting rows.
    Delete,
}

impl Command {
    fn sql(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// Words for a role that the server replaces by its name when it makes a policy.
const WHO_ASKS: [&str; 3] = ["current_user", "current_role", "session_user"];

fn yes() -> bool {
    true
}

fn everybody() -> Vec<String> {
    vec![PUBLIC.to_owned()]
}

/// The kind.
pub struct Policy;

impl Object for Policy {
    const KIND: &'static str = "postgres::policy";
    const NEEDS: &'static str = "ownership of the table";
    type Spec = Spec;
    type Facts = Worded;

    on_table!("policy");

    fn normalize(spec: &mut Spec) {
        spec.roles.iter_mut().for_each(normalize_grantee);
        spec.roles.sort();
        spec.roles.dedup();
        sql::none_when_empty(&mut spec.comment);
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let problem = |attribute: &str, message: String, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let word = spec.command.sql();
        let mut problems = Vec::new();
        if spec.roles.is_empty() {
            let message = "a policy is about somebody".to_owned();
            problems.push(problem("roles", message, "leave `roles` out for everybody"));
        }
        for role in spec.roles.iter().filter(|role| WHO_ASKS.contains(&role.as_str())) {
            let message = format!("`{role}` would be who makes the policy, not who asks");
            let hint =
                format!("name the roles, or leave `roles` out and ask for `{role}` in `using`");
            problems.push(problem("roles", message, &hint));
        }
        if spec.command == Command::Insert && spec.using.is_some() {
            let message = "there is no row to look at before an INSERT".to_owned();
            problems.push(problem("using", message, "say with `check` which rows may be made"));
        }
        if matches!(spec.command, Command::Select | Command::Delete) && spec.check.is_some() {
            let message = format!("a {word} makes no rows");
            problems.push(problem("check", message, "say with `using` which rows are seen"));
        }
        problems
    }

    fn cautions(_: &str, _: Option<&Spec>, to: &Spec) -> Vec<Problem> {
        let open = to.using.is_none() && to.command != Command::Insert;
        let none = open && to.check.is_none();
        let caution = |message: &str, hint: &str| Problem {
            attribute: "using".to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        none.then(|| caution("without `using` it shows no rows", "give it one, `true` for all"))
            .into_iter()
            .collect()
    }

    fn query(_: &Server) -> String {
        format!(
            r#"select array[n.nspname, c.relname, p.polname] "key",
                case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT'
                    when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end command,
                p.polpermissive permissive,
                array(select coalesce(r.rolname, '{PUBLIC}') from unnest(p.polroles) u("role")
                    left join pg_roles r on r.oid = u."role") roles,
                pg_get_expr(p.polqual, p.polrelid) "using",
                pg_get_expr(p.polwithcheck, p.polrelid) "check",
                obj_description(p.oid, 'pg_policy') "comment"
            from pg_policy p join pg_class c on c.oid = p.polrelid
                join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = any($1) and c.relname = any($2) and p.polname = any($3)"#
        )
    }

    const OPTIONAL: &'static [&'static str] = &[];
    const WORDS: &'static [&'static str] = &["using", "check"];

    fn statements(key: &[String], from: Option<&Spec>, to: Option<&Spec>) -> Vec<String> {
        let table = sql::in_schema(&key[0], &key[1]);
        let on = format!("POLICY {} ON {table}", sql::name(&key[2]));
        let Some(to) = to else { return vec![format!("DROP {on}")] };
        let roles: Vec<_> = to
            .roles
            .iter()
            .map(|role| if role == PUBLIC { PUBLIC.to_owned() } else { sql::name(role) })
            .collect();
        let roles = roles.join(", ");
        let mut all = Vec::new();
        // An expression can be changed, not taken away.
        let fits = from.is_some_and(|from| {
            from.command == to.command
                && from.permissive == to.permissive
                && !(from.using.is_some() && to.using.is_none())
                && !(from.check.is_some() && to.check.is_none())
        });
        let mut now = from.filter(|_| fits);
        if now.is_none() {
            all.extend(from.map(|_| format!("DROP {on}")));
            let form = if to.permissive { "PERMISSIVE" } else { "RESTRICTIVE" };
            let mut create =
                format!("CREATE {on} AS {form} FOR {} TO {roles}", to.command.sql());
            create.extend(to.using.iter().map(|text| format!(" USING ({text})")));
            create.extend(to.check.iter().map(|text| format!(" WITH CHECK ({text})")));
            all.push(create);
        }
        if let Some(from) = now.take() {
            let mut actions = Vec::new();
            actions.extend((from.roles != to.roles).then(|| format!(" TO {roles}")));
            let changed =
                |was: &Option<String>, is: &Option<String>| is.clone().filter(|_| was != is);
            actions
                .extend(changed(&from.using, &to.using).map(|text| format!(" USING ({text})")));
            actions.extend(
                changed(&from.check, &to.check).map(|text| format!(" WITH CHECK ({text})")),
            );
            if !actions.is_empty() {
                all.push(format!("ALTER {on}{}", actions.concat()));
            }
        }
        let was = from.filter(|_| fits).and_then(|from| from.comment.as_ref());
        if was != to.comment.as_ref() {
            let comment = sql::text_or_null(to.comment.as_deref());
            all.push(format!("COMMENT ON {on} IS {comment}"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_no_role() {
        let roles = |role: &str| {
            let spec = serde_json::json!({ "database": "d", "table": "t", "roles": [role] });
            Policy::check(&serde_json::from_value(spec).unwrap())
        };
        let [problem] = roles("current_user").try_into().unwrap();
        assert!(problem.message.contains("not who asks"), "{problem:?}");
        assert_eq!(roles("app"), []);
    }
}
