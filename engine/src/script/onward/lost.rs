//! What nobody can count on behind an error: what a statement that gave nothing would have
//! named or changed.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTFlags, ASTNode, Dynamic, Expr as Syntax, FnPtr, Position, Scope, Stmt};

use crate::script::loader::Compiled;
use crate::script::session::Session;
use crate::script::sources::Source;
use crate::script::spans::is_closure;
use crate::script::symbol::{Handle, Symbol};

/// What Rhai calls the constants of the top inside functions.
const GLOBAL: &str = "global";
/// The function by which Rhai hands a closure what it captures.
const CURRY: &str = "curry";
/// What a method is called on, among names.
pub(in crate::script) const THIS: &str = "this";

/// What nobody can count on any more.
#[derive(Default)]
pub(super) struct Lost {
    pub(super) variables: BTreeSet<String>,
    pub(super) modules: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
    /// Constants of the top, which functions see as `global::NAME`.
    pub(super) constants: BTreeSet<String>,
    /// Names that nothing gives, which functions cannot have either.
    pub(super) missing: BTreeSet<String>,
    /// Statements of the top, by place.
    pub(super) statements: BTreeSet<usize>,
}

impl Lost {
    pub(super) fn is_empty(&self) -> bool {
        self.variables.is_empty()
            && self.modules.is_empty()
            && self.functions.is_empty()
            && self.statements.is_empty()
    }

    /// What the text alone speaks against.
    pub(super) fn begin(&mut self, session: &Session, source: &Source, compiled: &Compiled) {
        self.missing.extend(compiled.missing.iter().cloned());
        self.variables.extend(compiled.missing.iter().cloned());
        let ledger = session.ledger.borrow();
        let places =
            compiled.broken.iter().filter_map(|index| ledger.get(*index)?.span.clone());
        let outline = Outline::of(&compiled.syntax);
        for span in places {
            let clip = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
            let place = Position::new(clip(span.line), clip(span.column));
            self.at(&outline, source.shift.read(place));
        }
        drop(ledger);
        self.follow(&compiled.syntax);
    }

    /// Loses the function, or the statement of the top, that a place belongs to. Closures
    /// belong to what they stand in. Gives the function when that is new.
    fn at(&mut self, outline: &Outline, place: Position) -> Option<String> {
        if let Some(function) = outline.function(place) {
            return self.functions.insert(function.to_owned()).then(|| function.to_owned());
        }
        let before = outline.starts.partition_point(|start| *start <= place);
        self.statements.insert(before.saturating_sub(1));
        None
    }

    /// Loses the functions that mention what is lost, and what stands around closures that
    /// do, until there is no more. Statements of the top are looked at when their turn comes.
    fn follow(&mut self, syntax: &AST) {
        let tops: BTreeSet<*const Stmt> =
            syntax.statements().iter().map(std::ptr::from_ref).collect();
        let outline = Outline::of(syntax);
        let mut places = Vec::new();
        let mut callers: BTreeMap<String, Vec<Position>> = BTreeMap::new();
        syntax.walk(&mut |path| {
            let is_top = |node: &ASTNode| {
                matches!(node, ASTNode::Stmt(one) if tops.contains(&std::ptr::from_ref(*one)))
            };
            if let Some(node) = path.last()
                && !path.first().is_some_and(is_top)
            {
                if self.finds(node, &self.missing) {
                    places.push(node.position());
                } else if let Some(called) = called(node) {
                    callers.entry(called).or_default().push(node.position());
                }
            }
            true
        });
        while let Some(place) = places.pop() {
            if let Some(function) = self.at(&outline, place) {
                places.extend(callers.remove(&function).unwrap_or_default());
            }
        }
    }

    pub(super) fn mentions(&self, statement: &Stmt) -> bool {
        let mut found = false;
        if !self.is_empty() {
            statement.walk(&mut Vec::new(), &mut |path| {
                found |= path.last().is_some_and(|node| self.finds(node, &self.variables));
                !found
            });
        }
        found
    }

    /// Whether this part of the text names something lost.
    fn finds(&self, node: &ASTNode, variables: &BTreeSet<String>) -> bool {
        match node {
            ASTNode::Expr(Syntax::Variable(parts, ..)) => {
                let name = parts.1.as_str();
                let root = if parts.2.is_empty() { "" } else { parts.2.root() };
                variables.contains(name)
                    || self.modules.contains(root)
                    || root == GLOBAL && self.constants.contains(name)
            }
            ASTNode::Expr(Syntax::FnCall(call, _) | Syntax::MethodCall(call, _))
            | ASTNode::Stmt(Stmt::FnCall(call, _)) => {
                if call.is_qualified() {
                    self.modules.contains(call.namespace.root())
                } else {
                    self.functions.contains(call.name.as_str())
                }
            }
            // A function that is handed on by its name.
            ASTNode::Expr(Syntax::DynamicConstant(value, _)) => value
                .read_lock::<FnPtr>()
                .is_some_and(|function| self.functions.contains(function.fn_name())),
            ASTNode::Stmt(Stmt::Export(names, _)) => variables.contains(names.0.name.as_str()),
            ASTNode::Expr(Syntax::ThisPtr(_)) => variables.contains(THIS),
            _ => false,
        }
    }

    /// A statement gave what it names.
    pub(super) fn given(&mut self, statement: &Stmt) {
        if let Stmt::Var(parts, ..) = statement
            && !self.variables.is_empty()
        {
            self.variables.remove(parts.0.name.as_str());
        }
    }

    /// A statement gave nothing: what it names, and what it may have changed, is lost. At the
    /// top of a script, its functions follow.
    pub(super) fn lose(&mut self, statement: &Stmt, scope: &mut Scope, top: Option<&AST>) {
        for name in changed(statement, scope) {
            self.variables.insert(name);
        }
        match statement {
            Stmt::Var(parts, flags, _) => {
                let name = &parts.0.name;
                self.variables.insert(name.to_string());
                if flags.intersects(ASTFlags::CONSTANT) {
                    self.constants.insert(name.to_string());
                    if let Some(syntax) = top {
                        self.follow(syntax);
                    }
                }
                // It has its place, so that the others keep theirs.
                if parts.2.is_none() {
                    scope.push(name.as_str(), ());
                }
            }
            Stmt::Import(parts, _) if !parts.1.name.is_empty() => {
                self.modules.insert(parts.1.name.to_string());
                if let Some(syntax) = top {
                    self.follow(syntax);
                }
            }
            _ => {}
        }
    }
}

/// The function of the script that a part of the text calls, or hands on.
fn called(node: &ASTNode) -> Option<String> {
    match node {
        ASTNode::Expr(Syntax::FnCall(call, _) | Syntax::MethodCall(call, _))
        | ASTNode::Stmt(Stmt::FnCall(call, _))
            if !call.is_qualified() =>
        {
            Some(call.name.to_string())
        }
        ASTNode::Expr(Syntax::DynamicConstant(value, _)) => {
            value.read_lock::<FnPtr>().map(|function| function.fn_name().to_owned())
        }
        _ => None,
    }
}

/// Where functions and the statements of the top stand.
struct Outline {
    /// The functions, closures left out: from where to where, in the order of the text.
    functions: Vec<(Position, Position, String)>,
    starts: Vec<Position>,
}

impl Outline {
    fn of(syntax: &AST) -> Self {
        let functions = syntax.iter_fn_def().filter(|function| !is_closure(&function.name));
        let mut functions: Vec<_> = functions
            .map(|function| {
                let (from, to) = (function.body.start_position(), function.body.end_position());
                (from, to, function.name.to_string())
            })
            .collect();
        functions.sort();
        Self { functions, starts: syntax.statements().iter().map(start).collect() }
    }

    /// The function around a place; none is inside another.
    fn function(&self, place: Position) -> Option<&str> {
        let before = self.functions.partition_point(|(from, ..)| *from <= place);
        let (_, to, name) = self.functions.get(before.checked_sub(1)?)?;
        (place <= *to).then_some(name)
    }
}

/// Where a statement begins.
fn start(statement: &Stmt) -> Position {
    match statement {
        Stmt::Assignment(parts) => first(&parts.1.lhs),
        Stmt::FnCall(call, position) if call.is_qualified() => {
            call.namespace.position().min(*position)
        }
        Stmt::Expr(value) => first(value),
        other => other.position(),
    }
}

/// Where an expression begins.
fn first(syntax: &Syntax) -> Position {
    match syntax {
        Syntax::Dot(parts, ..) | Syntax::Index(parts, ..) => first(&parts.lhs),
        Syntax::FnCall(call, position) if call.is_operator_call() => {
            call.args.first().map_or(*position, |left| first(left).min(*position))
        }
        Syntax::FnCall(call, position) if call.is_qualified() => {
            call.namespace.position().min(*position)
        }
        other => other.start_position(),
    }
}

/// The variables a statement may change beside those it names. A method may change what it is
/// called on, a function its first argument, a closure what it captures; numbers and texts
/// are changed by assigning, resources and values not known yet by nothing.
fn changed(statement: &Stmt, scope: &Scope) -> Vec<String> {
    let mut names = Vec::new();
    let mut calls_closure = false;
    let holds = |name: &str, is_changed: &dyn Fn(&Dynamic) -> bool| {
        name == THIS || scope.get(name).is_some_and(|value| is_changed(&value.flatten_clone()))
    };
    let is_container = |value: &Dynamic| value.is_array() || value.is_map();
    let is_open =
        |value: &Dynamic| !(value.is::<Handle>() || value.is::<Symbol>() || value.is_fnptr());
    statement.walk(&mut Vec::new(), &mut |path| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Assignment(parts))) => {
                let is_there = |name: &String| name == THIS || scope.contains(name);
                names.extend(root(&parts.1.lhs).filter(is_there));
            }
            Some(
                ASTNode::Expr(Syntax::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)),
            ) if !call.is_qualified() && !call.is_operator_call() => {
                let captures = call.name == CURRY;
                let count = if captures { call.args.len() } else { 1 };
                let arguments = call.args.iter().take(count).filter_map(root);
                names.extend(arguments.filter(|name| {
                    if captures { holds(name, &is_open) } else { holds(name, &is_container) }
                }));
            }
            Some(ASTNode::Expr(Syntax::Variable(parts, ..))) => {
                let captures = |value: &Dynamic| {
                    value.read_lock::<FnPtr>().is_some_and(|one| one.is_curried())
                };
                calls_closure |= holds(&parts.1, &captures);
            }
            Some(ASTNode::Expr(Syntax::Dot(parts, ..))) if calls(&parts.rhs) => {
                names.extend(root(&parts.lhs).filter(|name| holds(name, &is_container)));
            }
            _ => {}
        }
        true
    });
    if calls_closure {
        // Which of what closures share is its own nobody can tell.
        let shared = scope.iter_raw().filter(|(_, _, value)| value.is_shared());
        let open = shared.filter(|(_, _, value)| is_open(&value.flatten_clone()));
        names.extend(open.map(|(name, ..)| name.to_owned()));
    }
    names
}

/// The variable a place is in: `x` of `x.a[1]`.
pub(in crate::script) fn root(syntax: &Syntax) -> Option<String> {
    match syntax {
        Syntax::Variable(parts, ..) if parts.2.is_empty() => Some(parts.1.to_string()),
        Syntax::ThisPtr(_) => Some(THIS.to_owned()),
        Syntax::Dot(parts, ..) | Syntax::Index(parts, ..) => root(&parts.lhs),
        _ => None,
    }
}

/// Whether a way into a value calls a method.
fn calls(syntax: &Syntax) -> bool {
    match syntax {
        Syntax::MethodCall(..) => true,
        Syntax::Dot(parts, ..) | Syntax::Index(parts, ..) => {
            calls(&parts.lhs) || calls(&parts.rhs)
        }
        _ => false,
    }
}
