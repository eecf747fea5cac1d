//! What a migration does to those who use the database meanwhile, and to their data.
//!
//! Sources: "ALTER TABLE", "CREATE INDEX" and "13.3. Explicit Locking" of the PostgreSQL
//! manual.

use std::collections::BTreeSet;

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, Expr,
    ObjectType, Statement as Ast, TableConstraint,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::script::Statement;

/// Something worth knowing before a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hazard {
    /// What it does: lower case, no full stop.
    pub(super) what: String,
    /// What to do instead.
    pub(super) instead: &'static str,
    /// The table it is about, as it is written.
    pub(super) table: Option<String>,
}

/// Tables that are new: nobody uses them, and there is nothing in them.
#[derive(Default)]
pub(super) struct New(BTreeSet<String>);

fn plain(name: &impl ToString) -> String {
    let name = name.to_string().replace('"', "");
    name.strip_prefix("public.").unwrap_or(&name).to_owned()
}

/// The hazards of a statement. What the parser does not understand has none that are known.
pub(super) fn hazards(statement: &Statement, new: &mut New) -> Vec<Hazard> {
    let mut found = Found { hazards: Vec::new() };
    if statement.starts(&["VACUUM", "FULL"]) || statement.starts(&["CLUSTER"]) {
        found.add(
            "rewrites tables under an ACCESS EXCLUSIVE lock: nobody reads them meanwhile",
            "run it while nobody uses them",
        );
        return found.hazards;
    }
    let Ok(parsed) = Parser::parse_sql(&PostgreSqlDialect {}, &statement.text) else {
        return found.hazards;
    };
    for ast in &parsed {
        found.look(ast, new);
    }
    found.hazards
}

struct Found {
    hazards: Vec<Hazard>,
}

impl Found {
    fn add(&mut self, what: impl Into<String>, instead: &'static str) {
        self.hazards.push(Hazard { what: what.into(), instead, table: None });
    }

    /// Says which table the last one is about.
    fn about(&mut self, table: &impl ToString) {
        if let Some(last) = self.hazards.last_mut() {
            last.table = Some(table.to_string());
        }
    }

    fn look(&mut self, ast: &Ast, new: &mut New) {
        match ast {
            Ast::CreateTable(table) => {
                new.0.insert(plain(&table.name));
            }
            Ast::Drop { object_type, names, .. } => {
                let what = match object_type {
                    ObjectType::Table => "table",
                    ObjectType::Schema => "schema",
                    ObjectType::MaterializedView => "materialized view",
                    ObjectType::Sequence => "sequence",
                    _ => return,
                };
                for name in names.iter().filter(|name| !new.0.contains(&plain(name))) {
                    let what = format!("drops {what} {name} with what is in it");
                    self.add(
                        what,
                        "make sure that nobody needs it, and that there is a backup",
                    );
                    self.about(name);
                }
            }
            Ast::Truncate(truncate) => {
                for table in &truncate.table_names {
                    if !new.0.contains(&plain(&table.name)) {
                        let what = format!("removes all rows of {}", table.name);
                        self.add(what, "make sure that there is a backup");
                        self.about(&table.name);
                    }
                }
            }
            Ast::Delete(delete) if delete.selection.is_none() => {
                self.add(
                    "deletes all rows: it has no WHERE",
                    "make sure that there is a backup",
                );
            }
            Ast::Update(update) if update.selection.is_none() => {
                self.add(
                    "changes all rows at once, and holds locks on them until the file ends",
                    "change a large table in parts",
                );
                self.about(&update.table.relation);
            }
            Ast::CreateIndex(index)
                if !index.concurrently && !new.0.contains(&plain(&index.table_name)) =>
            {
                let what =
                    format!("blocks writes to {} while the index is built", index.table_name);
                self.add(what, "write `CREATE INDEX CONCURRENTLY`");
                self.about(&index.table_name);
            }
            Ast::AlterTable(alter) if !new.0.contains(&plain(&alter.name)) => {
                let known = self.hazards.len();
                for operation in &alter.operations {
                    self.alter(alter, operation);
                }
                for hazard in &mut self.hazards[known..] {
                    hazard.table = Some(alter.name.to_string());
                }
            }
            _ => {}
        }
    }

    fn alter(&mut self, alter: &AlterTable, operation: &AlterTableOperation) {
        let table = &alter.name;
        match operation {
            AlterTableOperation::DropColumn { column_names, .. } => {
                for column in column_names {
                    let what = format!("drops column {column} of {table} with its data");
                    self.add(what, "make sure that nobody reads it any more");
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
        if has(|option| matches!(option, ColumnOption::Unique(_) | ColumnOption::PrimaryKey(_)))
        {
            let what = format!("builds an index on {table} under an ACCESS EXCLUSIVE lock");
            self.add(what, "`CREATE UNIQUE INDEX CONCURRENTLY`, then add it `USING INDEX`");
        }
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
            let name = plain(&function.name).to_lowercase();
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
        let mut new = New::default();
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
            "this is no sql at all",
        ] {
            assert_eq!(said(sql), Vec::<String>::new(), "{sql}");
        }
    }
}
