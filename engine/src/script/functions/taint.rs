//! Whether a template only prints what is not known yet.
//!
//! Read from its syntax tree: a name is *tainted* when it may hold something that is not
//! known. A tainted value may be printed, put into lists and maps, passed on by `set` and
//! looped over when only items are not known; anything else looks into it.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{self, Expr as Node, Stmt};
use minijinja::machinery::parse;

use super::Fault;
use super::jinja::{syntax, word};
use crate::expr::Expr;
use crate::map::Map;

/// Filters that give the items of a list or map as a list, without looking at them.
const ORDERING: [&str; 4] = ["dictsort", "items", "list", "reverse"];

/// Whether a filter hands on what it is given.
fn hands_on(filter: &ast::Filter<'_>) -> bool {
    match (filter.name, filter.args.as_slice()) {
        ("length", []) | ("join" | "default", [ast::CallArg::Pos(_)]) => true,
        (name, []) => ORDERING.contains(&name),
        _ => false,
    }
}

/// The template gives a value itself.
struct Computed;

/// Names given by the template itself which may hold something that is not known.
struct Taint<'v> {
    values: &'v Map<Expr>,
    given: BTreeSet<String>,
    looked: Option<String>,
}

/// The first name the template looks into although it is not known, as the inner error.
pub(super) fn check(text: &str, values: &Map<Expr>) -> Result<Result<(), String>, Fault> {
    let tree = parse(text, "template", syntax()?).map_err(|error| word(&error))?;
    let mut taint = Taint { values, given: BTreeSet::new(), looked: None };
    // Names flow backwards too, in loops: until nothing is added.
    loop {
        let before = taint.given.len();
        taint.looked = None;
        taint.statement(&tree);
        if taint.given.len() == before {
            break;
        }
    }
    Ok(match taint.looked {
        None => Ok(()),
        Some(name) => Err(name),
    })
}

impl Taint<'_> {
    fn statements(&mut self, all: &[Stmt<'_>]) {
        for statement in all {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => {
                self.print(&emit.expr);
            }
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(each) => {
                // What is looped over must have a known length.
                self.open(&each.iter);
                if self.print(&each.iter) {
                    self.bind(&each.target);
                }
                if let Some(filter) = &each.filter_expr {
                    self.look(filter);
                }
                self.statements(&each.body);
                self.statements(&each.else_body);
            }
            Stmt::IfCond(condition) => {
                self.look(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    self.assign(target, value);
                }
                self.statements(&with.body);
            }
            Stmt::Set(set) => self.assign(&set.target, &set.expr),
            // Captured text, as everything else, cannot be told apart from known text.
            _ => self.note("a block"),
        }
    }

    fn assign(&mut self, target: &Node<'_>, value: &Node<'_>) {
        if self.print(value) {
            self.bind(target);
        }
    }

    /// Marks the names of a target.
    fn bind(&mut self, target: &Node<'_>) {
        match target {
            Node::Var(name) => {
                self.given.insert(name.id.to_owned());
            }
            Node::List(list) => list.items.iter().for_each(|item| self.bind(item)),
            Node::Tuple(tuple) => tuple.items.iter().for_each(|item| self.bind(item)),
            // An object of the template may have other names.
            _ => self.note(&name_of(target)),
        }
    }

    fn note(&mut self, name: &str) {
        self.looked.get_or_insert_with(|| name.to_owned());
    }

    /// An expression whose value decides something: refused when it is tainted.
    fn look(&mut self, node: &Node<'_>) {
        if self.print(node) {
            let name = name_of(node);
            self.note(&name);
        }
    }

    /// A list or map whose size is asked, not its items: refused when all of it is unknown.
    fn open(&mut self, node: &Node<'_>) {
        match self.resolve(node) {
            Ok(Some(Expr::Value(_) | Expr::List(_) | Expr::Map(_)) | None) => {}
            Ok(Some(_)) => self.note(&name_of(node)),
            Err(Computed) => match node {
                Node::List(_) | Node::Tuple(_) | Node::Map(_) => {}
                Node::Filter(filter) if ORDERING.contains(&filter.name) => {
                    if let Some(inner) = &filter.expr {
                        self.open(inner);
                    }
                }
                _ => self.look(node),
            },
        }
    }

    /// Whether an expression that is only handed on may be something not known; notes what
    /// is looked into on the way.
    fn print(&mut self, node: &Node<'_>) -> bool {
        if let Ok(found) = self.resolve(node) {
            return found.is_some_and(|expr| expr.known().is_none());
        }
        match node {
            Node::Var(name) => self.given.contains(name.id),
            Node::Const(_) => false,
            Node::List(list) => self.any(&list.items),
            Node::Tuple(tuple) => self.any(&tuple.items),
            Node::Map(map) => {
                for key in &map.keys {
                    self.look(key);
                }
                self.any(&map.values)
            }
            // Picking from a value is fine, and tainted when that is.
            Node::GetAttr(attribute) => self.print(&attribute.expr),
            Node::GetItem(item) => {
                self.look(&item.subscript_expr);
                self.print(&item.expr)
            }
            Node::IfExpr(choice) => {
                self.look(&choice.test_expr);
                let otherwise = match &choice.false_expr {
                    Some(other) => self.print(other),
                    None => false,
                };
                self.print(&choice.true_expr) || otherwise
            }
            Node::UnaryOp(operation) => self.looked_at(&operation.expr),
            Node::BinOp(operation) => {
                self.looked_at(&operation.left) | self.looked_at(&operation.right)
            }
            Node::Filter(filter) if hands_on(filter) => {
                let Some(inner) = &filter.expr else { return false };
                if filter.name != "default" {
                    self.open(inner);
                }
                if filter.name == "join" {
                    self.arguments(&filter.args);
                }
                let otherwise = match filter.args.first() {
                    Some(ast::CallArg::Pos(other)) => self.print(other),
                    _ => false,
                };
                filter.name != "length" && (self.print(inner) || otherwise)
            }
            Node::Compare(_)
            | Node::Slice(_)
            | Node::Filter(_)
            | Node::Test(_)
            | Node::Call(_) => self.compound(node),
        }
    }

    fn any(&mut self, nodes: &[Node<'_>]) -> bool {
        nodes.iter().fold(false, |tainted, node| self.print(node) | tainted)
    }

    /// Looks at an operand; what comes out is known, or the template is refused.
    fn looked_at(&mut self, node: &Node<'_>) -> bool {
        self.look(node);
        false
    }

    fn compound(&mut self, node: &Node<'_>) -> bool {
        match node {
            Node::Compare(compare) => {
                self.look(&compare.expr);
                for operand in &compare.ops {
                    self.look(&operand.expr);
                }
            }
            Node::Slice(slice) => {
                self.look(&slice.expr);
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.look(bound);
                }
            }
            Node::Filter(filter) => {
                if let Some(inner) = &filter.expr {
                    self.look(inner);
                }
                self.arguments(&filter.args);
            }
            Node::Test(test) => {
                // Whether a value is given is known.
                if !matches!(test.name, "defined" | "undefined") {
                    self.look(&test.expr);
                }
                self.arguments(&test.args);
            }
            Node::Call(call) => {
                self.look(&call.expr);
                self.arguments(&call.args);
            }
            _ => self.note("an expression"),
        }
        false
    }

    fn arguments(&mut self, all: &[ast::CallArg<'_>]) {
        for argument in all {
            match argument {
                ast::CallArg::Pos(node)
                | ast::CallArg::Kwarg(_, node)
                | ast::CallArg::PosSplat(node)
                | ast::CallArg::KwargSplat(node) => self.look(node),
            }
        }
    }

    /// What a path of names stands for; `None` when nothing is there.
    fn resolve(&self, node: &Node<'_>) -> Result<Option<Expr>, Computed> {
        match node {
            Node::Var(name) if !self.given.contains(name.id) => {
                Ok(self.values.get(name.id).cloned())
            }
            Node::GetAttr(attribute) => {
                let Some(on) = self.resolve(&attribute.expr)? else { return Ok(None) };
                Ok(entry(on, attribute.name))
            }
            Node::GetItem(item) => {
                let key = item.subscript_expr.as_const().ok_or(Computed)?;
                let Some(on) = self.resolve(&item.expr)? else { return Ok(None) };
                match (key.as_str(), key.as_usize()) {
                    (Some(key), _) => Ok(entry(on, key)),
                    (None, Some(index)) => Ok(match on {
                        Expr::List(items) => items.get(index).cloned(),
                        Expr::Value(value) => Some(Expr::Value(value)),
                        Expr::Map(_) => None,
                        other => Some(other),
                    }),
                    _ => Err(Computed),
                }
            }
            _ => Err(Computed),
        }
    }
}

/// An entry of a value; of what is not known, itself.
fn entry(on: Expr, key: &str) -> Option<Expr> {
    match on {
        Expr::Map(mut entries) => entries.remove(key),
        Expr::Value(value) => Some(Expr::Value(value)),
        Expr::List(_) => None,
        other => Some(other),
    }
}

/// How a template writes an expression, for messages.
fn name_of(node: &Node<'_>) -> String {
    match node {
        Node::Var(name) => name.id.to_owned(),
        Node::GetAttr(attribute) => format!("{}.{}", name_of(&attribute.expr), attribute.name),
        Node::GetItem(item) => format!("{}[..]", name_of(&item.expr)),
        Node::Filter(filter) => filter.expr.as_ref().map_or_else(String::new, name_of),
        other => other.description().to_owned(),
    }
}
