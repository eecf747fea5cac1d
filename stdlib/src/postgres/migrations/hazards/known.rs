//! What the statements of files that are yet to be run have made of the tables until one of them
//! comes: which are new, which have another name, and where a name without a schema is looked for.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    AlterTableOperation, CreateTable, CreateView, Query, RenameTableNameKind, SetExpr,
    Statement as Ast,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::super::script::Statement;
use super::words::name_after;
use crate::postgres::sql;

/// Where a name without a schema is looked for.
#[derive(Clone, Default, PartialEq, Eq)]
enum Path {
    /// Where every session looks first.
    #[default]
    Usual,
    /// In these schemas.
    In(Vec<String>),
    /// Nobody can tell.
    Unknown,
}

/// What is known of tables.
#[derive(Default)]
pub(in super::super) struct Known {
    /// Those that are new: nobody uses them, and there is nothing in them.
    new: BTreeSet<String>,
    /// Those that are new unless they are there already.
    maybe_new: BTreeSet<String>,
    /// What those with another name were called before any file is run.
    renamed: BTreeMap<String, Vec<String>>,
    path: Path,
    /// Whether sessions that begin later may look elsewhere than those that began already.
    usual_is_changed: bool,
}

/// A name without quotes, and without the schema that none means.
fn plain(name: &str) -> String {
    let name = name.replace('"', "");
    name.strip_prefix("public.").unwrap_or(&name).to_owned()
}

/// The schema in front of a name and the rest, as they are written.
fn parts(name: &str) -> (Option<&str>, &str) {
    let mut quoted = false;
    let dot = name.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '.' && !quoted
    });
    dot.map_or((None, name), |(at, _)| (Some(&name[..at]), &name[at + 1..]))
}

impl Known {
    /// Every file has a session of its own.
    pub(in super::super) fn begin_file(&mut self) {
        self.path = if self.usual_is_changed { Path::Unknown } else { Path::Usual };
    }

    /// Whether a table is new.
    pub(super) fn is_new(&self, name: &impl ToString) -> bool {
        self.new.contains(&self.whole(&name.to_string()))
    }

    /// Whether a table is new unless it is there already.
    pub(super) fn may_be_new(&self, name: &str) -> bool {
        self.maybe_new.contains(&self.whole(name))
    }

    /// Whether a name means one table and no other.
    pub(super) fn is_certain(&self, name: &str) -> bool {
        parts(name).0.is_some() || self.path != Path::Unknown
    }

    /// What a table is called before any file is run: the first of these that there is.
    pub(super) fn places(&self, name: &str) -> Vec<String> {
        if let Some(places) = self.renamed.get(&self.whole(name)) {
            return places.clone();
        }
        match (&self.path, parts(name).0) {
            (Path::In(schemas), None) => {
                schemas.iter().map(|schema| format!("{}.{name}", sql::name(schema))).collect()
            }
            _ => vec![name.to_owned()],
        }
    }

    /// What a name is kept under, with its schema where that is known.
    fn whole(&self, name: &str) -> String {
        match (&self.path, parts(name).0) {
            (Path::In(schemas), None) => match schemas.first() {
                Some(schema) => plain(&format!("{schema}.{name}")),
                None => plain(name),
            },
            _ => plain(name),
        }
    }

    /// What is different once a statement has run.
    pub(super) fn learn(&mut self, statement: &Statement) {
        let starts = |words: &[&str]| statement.starts(words);
        let text = statement.text.as_str();
        if starts(&["SET"]) || starts(&["RESET"]) || starts(&["DISCARD"]) {
            return self.set(statement);
        }
        let speaks_of_path = text.to_lowercase().contains("search_path");
        if speaks_of_path && (starts(&["SELECT"]) || starts(&["DO"]) || starts(&["CALL"])) {
            self.path = Path::Unknown;
        }
        if speaks_of_path && starts(&["ALTER"]) {
            self.usual_is_changed = true;
        }
        if starts(&["ALTER", "SCHEMA"]) && statement.says("RENAME") {
            let old = name_after(text, &["SCHEMA"]);
            let new = name_after(text, &["RENAME", "TO"]);
            if let (Some(old), Some(new)) = (old, new) {
                self.renamed.insert(plain(&format!("{new}.*")), vec![format!("{old}.*")]);
            }
            return;
        }
        match Parser::parse_sql(&PostgreSqlDialect {}, text) {
            Ok(parsed) => parsed.iter().for_each(|ast| self.learn_from(ast)),
            Err(_) if starts(&["CREATE"]) => {
                let made = name_after(text, &["TABLE"]);
                self.maybe_new.extend(made.map(|name| self.whole(&name)));
            }
            Err(_) if starts(&["ALTER", "TABLE"]) && statement.says("SCHEMA") => {
                let name = name_after(text, &["TABLE"]);
                let schema = name_after(text, &["SET", "SCHEMA"]);
                if let (Some(name), Some(schema)) = (name, schema) {
                    let new = format!("{schema}.{}", parts(&name).1);
                    self.rename(&name, &new);
                }
            }
            Err(_) => {}
        }
    }

    fn learn_from(&mut self, ast: &Ast) {
        match ast {
            Ast::CreateTable(CreateTable { name, if_not_exists, .. }) => {
                let name = self.whole(&name.to_string());
                // What may be there already may hold something.
                if *if_not_exists {
                    self.maybe_new.insert(name);
                } else {
                    self.new.insert(name);
                }
            }
            Ast::CreateView(CreateView { name, materialized: true, .. }) => {
                let name = self.whole(&name.to_string());
                self.maybe_new.insert(name);
            }
            Ast::Query(query) => {
                if let Query { body, .. } = query.as_ref()
                    && let SetExpr::Select(select) = body.as_ref()
                    && let Some(into) = &select.into
                {
                    let names = into.targets.iter().map(|name| self.whole(&name.to_string()));
                    let names: Vec<_> = names.collect();
                    self.new.extend(names);
                }
            }
            Ast::AlterTable(alter) => {
                for operation in &alter.operations {
                    if let AlterTableOperation::RenameTable { table_name } = operation {
                        let (RenameTableNameKind::To(new) | RenameTableNameKind::As(new)) =
                            table_name;
                        let old = alter.name.to_string();
                        // It stays in its schema.
                        let new = match parts(&old).0 {
                            Some(schema) => format!("{schema}.{new}"),
                            None => new.to_string(),
                        };
                        self.rename(&old, &new);
                    }
                }
            }
            _ => {}
        }
    }

    fn rename(&mut self, old: &str, new: &str) {
        let places = self.places(old);
        let (was, is) = (self.whole(old), self.whole(new));
        if self.new.remove(&was) {
            self.new.insert(is);
        } else {
            self.new.remove(&is);
            self.renamed.remove(&was);
            self.renamed.insert(is, places);
        }
    }

    /// `SET search_path = a, b`, `SET SCHEMA 'a'`, `RESET ALL` and the like.
    fn set(&mut self, statement: &Statement) {
        let text = statement.text.as_str();
        let of_path = text.to_lowercase().contains("search_path");
        let schema = statement.starts(&["SET"]) && text.to_lowercase().contains(" schema ");
        if statement.starts(&["RESET"]) || statement.starts(&["DISCARD"]) {
            if of_path || statement.says("ALL") {
                self.begin_file();
            }
            return;
        }
        // Another user may look elsewhere: `$user` is another one then.
        if !of_path && !schema {
            return;
        }
        let lower = text.to_lowercase();
        let value = if of_path {
            let after =
                lower.find("search_path").map_or("", |at| &text[at + 11..]).trim_start();
            let after = after.strip_prefix('=').unwrap_or(after);
            let to = after.get(..3).filter(|word| word.eq_ignore_ascii_case("to "));
            to.map_or(after, |_| &after[3..])
        } else {
            lower.find(" schema ").map_or("", |at| &text[at + 8..])
        };
        let value = value.trim().replace('\'', "\"");
        if value.eq_ignore_ascii_case("default") {
            return self.begin_file();
        }
        let schemas = sql::names_in(&value);
        let is_odd = |name: &String| name.starts_with('$') || name.starts_with("pg_temp");
        self.path = if schemas.iter().any(is_odd) { Path::Unknown } else { Path::In(schemas) };
    }
}
