//! What a migration does to those who use the database meanwhile, and to their data.
//!
//! Sources: "ALTER TABLE", "CREATE INDEX" and "13.3. Explicit Locking" of the PostgreSQL
//! manual.

mod actions;
mod known;
mod words;

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption,
    DropBehavior, Expr, FromTable, ObjectName, ObjectType, Statement as Ast, TableConstraint,
    TableFactor, TableWithJoins, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

pub(super) use self::known::Known;
use super::script::Statement;
use crate::postgres::held::Sizes;

/// Something worth knowing before a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hazard {
    /// What it does: lower case, no full stop.
    pub(super) what: String,
    /// What to do instead.
    pub(super) instead: &'static str,
    /// The table it is about, as it is written; `app.*` for all of a schema.
    pub(super) table: Option<String>,
    /// What that is called before any of the files is run: the first of these that there is.
    pub(super) places: Vec<String>,
    /// Whether nothing is lost for certain where none of these is there.
    pub(super) may_be_missing: bool,
    /// Whether what people stored there goes for good.
    pub(super) loses: bool,
}

/// How much is in a table into which nobody could look.
const UNKNOWN: &str = "an unknown number of rows";

impl Hazard {
    /// How much is in what it is about: nothing where that is nothing, or not asked for.
    pub(super) fn size(&self, sizes: &Sizes) -> Option<String> {
        let found = match sizes {
            Sizes::NoDatabase => return None,
            Sizes::Unseen if self.table.is_none() && !self.loses => return None,
            Sizes::Unseen => return Some(UNKNOWN.to_owned()),
            Sizes::Of(found) => self.places.iter().find_map(|place| found.get(place)),
        };
        match found {
            Some(size) => size.clone(),
            // What dollop cannot find may be there when its turn comes.
            None => (self.loses && !self.may_be_missing).then(|| UNKNOWN.to_owned()),
        }
    }
}

const BACKUP: &str = "make sure that nobody needs it, and that there is a backup";

/// The hazards of a statement. Of what is not understood it is said that it is not.
pub(super) fn hazards(statement: &Statement, known: &mut Known) -> Vec<Hazard> {
    let mut found = look(statement, known);
    let only_if_there = statement.says("EXISTS");
    for hazard in &mut found.hazards {
        if let Some(table) = &hazard.table {
            hazard.places = known.places(table);
            hazard.may_be_missing =
                known.may_be_new(table) || (only_if_there && known.is_certain(table));
        }
    }
    known.learn(statement);
    found.hazards
}

fn look(statement: &Statement, new: &mut Known) -> Found {
    let mut found = Found { hazards: Vec::new() };
    if words::look(statement, &mut found) {
        return found;
    }
    match Parser::parse_sql(&PostgreSqlDialect {}, &statement.text) {
        Ok(parsed) => parsed.iter().for_each(|ast| found.look(ast, new)),
        Err(_) if statement.starts(&["ALTER", "TABLE"]) => {
            actions::look(&statement.text, new, &mut found);
        }
        Err(_) if words::is_harmless(statement) => {}
        Err(_) => found.not_understood("it"),
    }
    found
}

struct Found {
    hazards: Vec<Hazard>,
}

impl Found {
    fn add(&mut self, what: impl Into<String>, instead: &'static str) {
        let what = what.into();
        self.hazards.push(Hazard {
            what,
            instead,
            table: None,
            places: Vec::new(),
            may_be_missing: false,
            loses: false,
        });
    }

    /// Says which table the last one is about.
    fn about(&mut self, table: &impl ToString) {
        if let Some(last) = self.hazards.last_mut() {
            last.table = Some(table.to_string());
        }
    }

    /// Something that takes away what is in a table.
    fn lose(&mut self, what: impl Into<String>, table: &impl ToString) {
        self.add(what, BACKUP);
        self.about(table);
        self.takes_away();
    }

    /// Says of the last one that what people stored goes with it.
    fn takes_away(&mut self) {
        if let Some(last) = self.hazards.last_mut() {
            last.loses = true;
        }
    }

    fn not_understood(&mut self, what: &str) {
        self.add(
            format!(
                "dollop does not understand {what}, and cannot tell what it does to others"
            ),
            "read it yourself, and look up which locks it takes",
        );
    }

    fn look(&mut self, ast: &Ast, new: &Known) {
        match ast {
            Ast::Drop { object_type, names, cascade, .. } => {
                for name in names.iter().filter(|name| !new.is_new(name)) {
                    self.drop(*object_type, name, *cascade);
                }
            }
            Ast::Truncate(truncate) => {
                for table in &truncate.table_names {
                    if !new.is_new(&table.name) {
                        self.lose(format!("removes all rows of {}", table.name), &table.name);
                    }
                }
            }
            Ast::Delete(delete) if is_for_all(delete.selection.as_ref()) => {
                self.add(
                    "deletes all rows: it has no WHERE that leaves any",
                    "make sure that there is a backup",
                );
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) =
                    &delete.from;
                if let Some(table) = from.first().filter(|table| !is_new(table, new)) {
                    self.about(&name_of(&table.relation));
                    self.hazards.iter_mut().for_each(|hazard| hazard.loses = true);
                }
            }
            Ast::Update(update) if is_for_all(update.selection.as_ref()) => {
                self.add(
                    "changes all rows at once, and holds locks on them until the file ends",
                    "change a large table in parts",
                );
                self.about(&name_of(&update.table.relation));
            }
            Ast::CreateIndex(index)
                if !index.concurrently && !new.is_new(&index.table_name) =>
            {
                let what =
                    format!("blocks writes to {} while the index is built", index.table_name);
                self.add(what, "write `CREATE INDEX CONCURRENTLY`");
                self.about(&index.table_name);
            }
            Ast::AlterTable(alter) if !new.is_new(&alter.name) => {
                let known = self.hazards.len();
                for operation in &alter.operations {
                    self.alter(alter, operation);
                }
                for hazard in &mut self.hazards[known..] {
                    hazard.table.get_or_insert_with(|| alter.name.to_string());
                }
            }
            _ => {}
        }
    }

    fn drop(&mut self, kind: ObjectType, name: &ObjectName, cascade: bool) {
        match kind {
            ObjectType::Table => {
                self.lose(format!("drops table {name} with what is in it"), name);
            }
            ObjectType::MaterializedView => {
                self.lose(format!("drops materialized view {name} with what is in it"), name);
            }
            ObjectType::Schema if cascade => self
                .lose(format!("drops schema {name} with what is in it"), &format!("{name}.*")),
            ObjectType::Sequence => {
                let what = format!("drops sequence {name}, which forgets how far it was");
                self.add(what, BACKUP);
            }
            ObjectType::Database => {
                self.add(format!("drops database {name} with what is in it"), BACKUP);
            }
            ObjectType::Index => self.add(
                format!(
                    "nobody reads or writes the table of {name} while it waits for its lock"
                ),
                "write `DROP INDEX CONCURRENTLY`",
            ),
            _ => {}
        }
        if cascade && kind != ObjectType::Schema {
            self.cascades(name);
        }
    }

    fn cascades(&mut self, name: &impl ToString) {
        let what = format!(
            "drops all that uses {}, columns with their data among it",
            name.to_string()
        );
        self.add(what, "leave `CASCADE` out, and drop what uses it by name");
    }

    fn alter(&mut self, alter: &AlterTable, operation: &AlterTableOperation) {
        let table = &alter.name;
        match operation {
            AlterTableOperation::DropColumn { column_names, drop_behavior, .. } => {
                for column in column_names {
                    self.lose(format!("drops column {column} of {table} with its data"), table);
                }
                if *drop_behavior == Some(DropBehavior::Cascade) {
                    self.cascades(&format!("{table}'s columns"));
                }
            }
            AlterTableOperation::SetUnlogged | AlterTableOperation::SetLogged => {
                self.rewrites(table);
                if matches!(operation, AlterTableOperation::SetUnlogged) {
                    let what = format!("a crash of the server empties {table} from then on");
                    self.add(what, "leave what must last as it is");
                }
            }
            AlterTableOperation::AddColumn { column_def, .. } => self.column(alter, column_def),
            AlterTableOperation::AlterColumn { column_name, op } => match op {
                AlterColumnOperation::SetDataType { .. } => {
                    let what = format!(
                        "may rewrite {table} under an ACCESS EXCLUSIVE lock to change the type \
                         of {column_name}"
                    );
                    self.add(what, "add a column, fill it in parts, then swap the two");
                }
                AlterColumnOperation::SetNotNull => {
                    let what = format!("reads all of {table} under an ACCESS EXCLUSIVE lock");
                    self.add(
                        what,
                        "add `CHECK (... IS NOT NULL) NOT VALID`, `VALIDATE` it, then set it",
                    );
                }
                _ => {}
            },
            AlterTableOperation::AddConstraint { constraint, not_valid } => match constraint {
                TableConstraint::ForeignKey(key) if !not_valid => {
                    let what = format!(
                        "blocks writes to {table} and {} while all rows are checked",
                        key.foreign_table
                    );
                    self.add(what, "add it `NOT VALID`, and `VALIDATE` it in a later file");
                }
                TableConstraint::Check(_) if !not_valid => {
                    let what = format!("reads all of {table} under an ACCESS EXCLUSIVE lock");
                    self.add(what, "add it `NOT VALID`, and `VALIDATE` it in a later file");
                }
                TableConstraint::Exclude(_) => {
                    let what =
                        format!("builds an index on {table} under an ACCESS EXCLUSIVE lock");
                    self.add(what, "run it while nobody uses the table");
                }
                TableConstraint::Unique(_) | TableConstraint::PrimaryKey(_) => {
                    let what =
                        format!("builds an index on {table} under an ACCESS EXCLUSIVE lock");
                    self.add(
                        what,
                        "`CREATE UNIQUE INDEX CONCURRENTLY`, then add it `USING INDEX`",
                    );
                }
                _ => {}
            },
            AlterTableOperation::RenameColumn { old_column_name, .. } => {
                let what =
                    format!("renames column {old_column_name} of {table} under its users");
                self.add(what, "add a column, move its users, drop the old one later");
            }
            AlterTableOperation::RenameTable { .. } => {
                let what = format!("renames {table} under its users");
                self.add(what, "leave a view of the old name behind");
            }
            _ => {}
        }
    }

    fn rewrites(&mut self, table: &impl ToString) {
        let table = table.to_string();
        let what = format!(
            "writes all of {table} anew under an ACCESS EXCLUSIVE lock: nobody reads it meanwhile"
        );
        self.add(what, "run it while nobody uses the table");
    }

    fn column(&mut self, alter: &AlterTable, column: &ColumnDef) {
        let (table, name) = (&alter.name, &column.name);
        let default = column.options.iter().find_map(|option| match &option.option {
            ColumnOption::Default(value) => Some(value),
            _ => None,
        });
        let has = |wanted: fn(&ColumnOption) -> bool| {
            column.options.iter().any(|option| wanted(&option.option))
        };
        let computed = has(|option| matches!(option, ColumnOption::Generated { .. }));
        let serial = column.data_type.to_string().to_lowercase().ends_with("serial");
        if serial || computed || default.is_some_and(|value| !is_constant(value)) {
            let what = format!(
                "rewrites {table} under an ACCESS EXCLUSIVE lock to fill column {name}"
            );
            self.add(what, "add the column without, fill it in parts, then set the default");
        } else if default.is_none() && has(|option| matches!(option, ColumnOption::NotNull)) {
            let what = format!("fails when {table} has rows: column {name} is NOT NULL");
            self.add(what, "give it a DEFAULT");
        }
        if has(|option| matches!(option, ColumnOption::Check(_))) {
            let what = format!("reads all of {table} under an ACCESS EXCLUSIVE lock");
            self.add(what, "add the constraint `NOT VALID`, and `VALIDATE` it in a later file");
        }
        if has(|option| matches!(option, ColumnOption::Unique(_) | ColumnOption::PrimaryKey(_)))
        {
            let what = format!("builds an index on {table} under an ACCESS EXCLUSIVE lock");
            self.add(what, "`CREATE UNIQUE INDEX CONCURRENTLY`, then add it `USING INDEX`");
        }
    }
}

/// Whether a condition leaves nothing out.
fn is_for_all(condition: Option<&Expr>) -> bool {
    match condition {
        None => true,
        Some(Expr::Nested(inner)) => is_for_all(Some(inner)),
        Some(Expr::Value(value)) => value.value == Value::Boolean(true),
        Some(_) => false,
    }
}

/// What a table is called, without what the statement calls it.
fn name_of(table: &TableFactor) -> String {
    match table {
        TableFactor::Table { name, .. } => name.to_string(),
        other => other.to_string(),
    }
}

fn is_new(table: &TableWithJoins, new: &Known) -> bool {
    match &table.relation {
        TableFactor::Table { name, .. } => new.is_new(name),
        _ => false,
    }
}

/// Whether a default is the same for all rows, so that none need be rewritten: literals, casts
/// of them, and the functions of the transaction's time.
fn is_constant(value: &Expr) -> bool {
    match value {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) | Expr::UnaryOp { expr, .. } => {
            is_constant(expr)
        }
        Expr::Array(array) => array.elem.iter().all(is_constant),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            [
                "now",
                "current_timestamp",
                "current_date",
                "transaction_timestamp",
                "localtimestamp",
            ]
            .contains(&name.as_str())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::statements;
    use super::*;

    fn said(sql: &str) -> Vec<String> {
        let mut new = Known::default();
        let found = statements(sql).unwrap();
        found.iter().flat_map(|one| hazards(one, &mut new)).map(|hazard| hazard.what).collect()
    }

    #[test]
    fn what_hurts_is_said() {
        for (sql, what) in [
            ("drop table shop.orders", "drops table shop.orders with what is in it"),
            ("alter table t drop column a, drop b", "drops column a of t with its data"),
            ("truncate t", "removes all rows of t"),
            ("delete from t", "deletes all rows: it has no WHERE"),
            ("delete from t where (true)", "deletes all rows: it has no WHERE"),
            ("drop index i", "nobody reads or writes the table of i"),
            ("drop database old", "drops database old with what is in it"),
            ("drop type app.c cascade", "drops all that uses app.c"),
            ("drop domain app.d cascade", "drops all that uses app.d"),
            ("drop extension hstore cascade", "drops all that uses hstore"),
            ("drop view v cascade", "drops all that uses v"),
            ("drop schema app cascade", "drops schema app with what is in it"),
            ("drop owned by bob", "drops all that bob owns"),
            ("alter table t set unlogged", "writes all of t anew"),
            ("alter table app.t set tablespace fast", "writes all of app.t anew"),
            ("alter table t set access method heap2", "writes all of t anew"),
            ("refresh materialized view app.m", "nobody reads app.m until"),
            ("reindex table app.t", "blocks writes to app.t"),
            ("lock table app.t in access exclusive mode", "holds a lock on app.t"),
            (
                "alter table app.t add constraint e exclude using gist (r with &&)",
                "builds an index on app.t under",
            ),
            (
                "alter table app.t attach partition app.p for values in (1)",
                "reads all of app.p",
            ),
            ("alter table app.t detach partition app.p", "nobody reads or writes app.t"),
            (
                "alter table app.t alter column id set storage plain, drop column x",
                "drops column x of app.t with its data",
            ),
            ("alter table t add column a text check (a <> '')", "reads all of t under"),
            ("do $$ begin execute 'drop table t'; end $$", "runs a program"),
            ("call p()", "runs a program"),
            ("this is no sql at all", "dollop does not understand it"),
            ("alter table t frobnicate x", "dollop does not understand `frobnicate x`"),
            ("update t set a = 1", "changes all rows at once"),
            ("create index i on t (a)", "blocks writes to t while the index is built"),
            ("alter table t alter column a type bigint", "may rewrite t under an ACCESS"),
            ("alter table t alter a set not null", "reads all of t under an ACCESS"),
            (
                "alter table t add constraint c foreign key (a) references u (id)",
                "blocks writes to t and u while",
            ),
            ("alter table t add constraint c check (a > 0)", "reads all of t under"),
            ("alter table t add unique (a)", "builds an index on t under"),
            ("alter table t add column a int not null", "fails when t has rows"),
            (
                "alter table t add column a uuid default gen_random_uuid()",
                "rewrites t under an ACCESS EXCLUSIVE lock to fill column a",
            ),
            ("alter table t add column a bigserial", "rewrites t under an ACCESS"),
            ("alter table t rename column a to b", "renames column a of t"),
            ("alter table t rename to u", "renames t under its users"),
            ("vacuum full t", "rewrites tables under an ACCESS EXCLUSIVE lock"),
        ] {
            let said = said(sql);
            assert!(
                said.first().is_some_and(|first| first.starts_with(what)),
                "{sql}: {said:?}"
            );
        }
    }

    /// A table that may be there already, and hold something, is not taken for a new one.
    #[test]
    fn what_is_made_only_if_it_is_not_there_may_hold_something() {
        let first = "create table if not exists t (id int); ";
        for (then, what) in [
            ("drop table t", "drops table t with what is in it"),
            ("truncate t", "removes all rows of t"),
            ("alter table t drop column id", "drops column id of t with its data"),
            ("delete from t", "deletes all rows"),
            ("create index i on t (id)", "blocks writes to t while the index is built"),
        ] {
            let mut new = Known::default();
            let found = statements(&format!("{first}{then}")).unwrap();
            let found: Vec<_> = found.iter().flat_map(|one| hazards(one, &mut new)).collect();
            assert!(found.iter().any(|hazard| hazard.what.starts_with(what)), "{found:?}");
            let loses = !then.starts_with("create");
            assert_eq!(found.iter().any(|hazard| hazard.loses), loses, "{then}: {found:?}");
        }
    }

    #[test]
    fn what_does_not_hurt_is_silent() {
        for sql in [
            "create table t (id int); create index i on t (id); alter table t drop column id; \
             drop table t",
            "create index concurrently i on t (a)",
            "alter table t add column a int default 1",
            "alter table t add column a timestamptz not null default now()",
            "alter table t add column a text[] default '{}'::text[]",
            "alter table t add constraint c check (a > 0) not valid",
            "alter table t validate constraint c",
            "delete from t where a = 1",
            "drop view v",
            "create function f() returns int language sql as 'delete from t; select 1'",
            "alter table t alter column id set storage plain, alter column id set statistics 9",
            "alter table t replica identity full, cluster on i",
            "alter table t detach partition p concurrently",
            "drop index concurrently i",
            "refresh materialized view concurrently m",
            "reindex index concurrently i",
            "comment on table t is 'x'",
            "alter default privileges in schema app grant select on tables to app",
            "create publication p for all tables",
            "create statistics s on a, b from t",
            "create event trigger e on ddl_command_end execute function f()",
            "alter function f(int) owner to app",
            "security label on role app is 'x'",
        ] {
            assert_eq!(said(sql), Vec::<String>::new(), "{sql}");
        }
    }
}
