//! What belongs to the whole server.

use dollop_engine::error::{CallError, Failure};
use serde::Deserialize;

use super::super::server::Server;
use super::ask;
use super::contents::{Contents, Thing};

/// What is on the server beside its databases, and the names of these.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) contents: Contents,
    pub(super) databases: Vec<String>,
    /// Those that nobody can connect to.
    pub(super) closed: Vec<String>,
}

#[derive(Deserialize)]
struct Database {
    name: String,
    is_open: bool,
}

#[derive(Deserialize)]
struct Said {
    said: String,
}

/// The databases that people use.
const DATABASES: &str = "select datname name, datallowconn
        and has_database_privilege(datname, 'connect') is_open
    from pg_database where datname not in ('template0', 'template1') order by 1";

const THINGS: &str = "select concat('membership/', g.rolname, '/', m.rolname) node, 'membership' kind,
        array[g.rolname, m.rolname] \"key\", null why
    from pg_auth_members a join pg_roles g on g.oid = a.roleid join pg_roles m on m.oid = a.member
    where a.member >= 16384 or a.roleid >= 16384 group by g.rolname, m.rolname
    union all select concat('tablespace/', spcname), 'tablespace', array[spcname], null
    from pg_tablespace where spcname !~ '^pg_'
    union all select concat('slot/', slot_name), 'replication_slot', array[slot_name], null
    from pg_replication_slots where not temporary
    order by 2, 3";

const SETTINGS: &str = "select distinct concat('setting/', lower(name)) node, 'setting' kind,
        array[lower(name)] \"key\", null why
    from pg_file_settings where sourcefile like '%postgresql.auto.conf' order by 3";

const RULES: &str = r#"select concat('hba_rule/', line) node, 'hba_rule' kind,
        array[substr(line, 16)] "key", null why
    from regexp_split_to_table(pg_read_file(current_setting('hba_file')), E'\n') line
    where line ~ '^# dollop [0-9]{5} ' order by 3"#;

/// The lines that dollop did not write, by their numbers alone: some have passwords in them.
const LINES: &str = r"select format('lines %s of pg_hba.conf: dollop did not write them; they stay where they are, after its own', string_agg(at::text, ', ' order by at)) said
    from (select line, at, lag(line) over (order by at) ~ '^# dollop [0-9]{5} ' is_ours
        from regexp_split_to_table(pg_read_file(current_setting('hba_file')), E'\n')
            with ordinality f(line, at)) l
    where line !~ '^\s*(#|$)' and is_ours is not true having count(*) > 0";

/// Asks for all that is on a server.
pub(super) async fn whole_server(server: &Server) -> Result<Whole, CallError> {
    let place = server.database();
    let mut whole = Whole::default();
    let mut left_out = Vec::new();
    let mut things: Vec<Thing> = ask(server, place, THINGS).await?;
    for (query, what) in [(SETTINGS, "settings of the server"), (RULES, "rules of pg_hba.conf")]
    {
        match ask::<Thing>(server, place, query).await {
            Ok(found) => things.extend(found),
            Err(error) if error.failure == Failure::Denied => {
                left_out.push(format!("{what}: `{}` may not see them", server.user()));
            }
            Err(error) => return Err(error),
        }
    }
    // Who may not see them was told so above.
    match ask::<Said>(server, place, LINES).await {
        Ok(lines) => left_out.extend(lines.into_iter().map(|lines| lines.said)),
        Err(error) if error.failure == Failure::Denied => {}
        Err(error) => return Err(error),
    }
    whole.contents = Contents::of_things(things);
    for database in ask::<Database>(server, place, DATABASES).await? {
        if database.is_open {
            whole.databases.push(database.name);
        } else {
            let name = database.name;
            left_out.push(format!("what is in database `{name}`: it cannot be connected to"));
            whole.closed.push(name);
        }
    }
    whole.contents.left_out = left_out;
    Ok(whole)
}
