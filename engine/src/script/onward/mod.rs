//! Going on behind an error, so that one run finds as much as it can.
//!
//! A script is run statement by statement. One that fails, or that its text alone speaks
//! against, gives nothing: what it would have named or changed is *lost* from there on. A
//! statement that mentions what is lost is left out, and what it would have given is lost as
//! well: whatever it could say may follow from the first error. What is said of the others
//! holds whatever becomes of the faulty ones.
//!
//! The first run goes on at the top of the entry only. When that fails, a second one goes on
//! inside functions, closures, loops and imported scripts as well ([`blocks`]): a block with
//! an error in it is run to its end and then fails, so that to whatever is around it, it gave
//! nothing.

mod alone;
mod blocks;
mod each;
mod lost;

use std::collections::BTreeSet;

use rhai::{
    AST, ASTFlags, ASTNode, Caches, Dynamic, Engine, EvalAltResult, GlobalRuntimeState,
    Position, Scope, Stmt,
};

pub(super) use alone::Alone;
use alone::Traits;
pub(super) use blocks::{Loop, opened, register};
pub(super) use each::{bodies, each};
use lost::Lost;
pub(super) use lost::{THIS, root};

use super::errors;
use super::loader::Compiled;
use super::session::Session;
use super::symbol::Refusal;

/// What a statement gives in which the script ended itself, by `exit()`.
#[derive(Clone)]
pub(super) struct Ended;

/// What unwinds a block that was run to its end behind errors: their places in the ledger,
/// which learn the calls it passes through.
#[derive(Clone, Debug, Default)]
pub(super) struct Behind(pub(super) BTreeSet<usize>);

impl Behind {
    fn into_error(self) -> Box<EvalAltResult> {
        EvalAltResult::ErrorRuntime(Dynamic::from(self), Position::NONE).into()
    }
}

/// Runs the entry; what goes wrong is written down. Gives the variables of its top.
pub(super) fn run(
    engine: &Engine,
    session: &Session,
    entry: &str,
    compiled: &Compiled,
    modules: &BTreeSet<String>,
) -> Scope<'static> {
    let mut scope = Scope::new();
    let syntax = &compiled.syntax;
    let mut lost = Lost { modules: modules.clone(), ..Lost::default() };
    if let Some(source) = session.source(entry) {
        lost.begin(session, &source, compiled);
    }
    if may_return(syntax) {
        // Which statements come after a `return` only running tells.
        if !lost.is_empty() {
            session.left_out.set(true);
        } else if let Err(error) = engine.run_ast_with_scope(&mut scope, syntax) {
            session.left_out.set(true);
            if !session.stopped.get() {
                errors::explain(session, engine, &error, entry);
            }
        }
        return scope;
    }
    let mut caches = Caches::new();
    caches.push_fn_resolution_cache();
    let mut global = engine.new_global_runtime_state();
    begin(&mut global, syntax);
    let mut top = Top {
        engine,
        session,
        file: entry,
        syntax,
        global: &mut global,
        caches: &mut caches,
        is_entry: true,
    };
    top.go_on(&mut scope, lost);
    scope
}

/// Runs the top of an imported script that failed in the first run, and gives what its import
/// fails with.
pub(super) fn module(
    engine: &Engine,
    session: &Session,
    global: &mut GlobalRuntimeState,
    file: &str,
    compiled: &Compiled,
) -> Box<EvalAltResult> {
    let syntax = &compiled.syntax;
    let mut caches = Caches::new();
    caches.push_fn_resolution_cache();
    let imports = global.num_imports();
    let constants = global.constants.take();
    let (source, level, scope_level) =
        (global.source.clone(), global.level, global.scope_level);
    begin(global, syntax);
    let mut top =
        Top { engine, session, file, syntax, global, caches: &mut caches, is_entry: false };
    let behind = top.go_on(&mut Scope::new(), Lost::default());
    global.truncate_imports(imports);
    global.constants = constants;
    (global.source, global.level, global.scope_level) = (source, level, scope_level);
    Behind(behind).into_error()
}

/// The top of a script that is run.
struct Top<'r> {
    engine: &'r Engine,
    session: &'r Session,
    file: &'r str,
    syntax: &'r AST,
    global: &'r mut GlobalRuntimeState,
    caches: &'r mut Caches,
    is_entry: bool,
}

impl Top<'_> {
    /// Runs its statements. Gives where in the ledger what went wrong is.
    fn go_on(&mut self, scope: &mut Scope<'static>, mut lost: Lost) -> BTreeSet<usize> {
        let Self { engine, session, syntax, .. } = *self;
        let mut behind = BTreeSet::new();
        for (index, statement) in syntax.statements().iter().enumerate() {
            if lost.statements.contains(&index) || lost.mentions(statement) {
                session.left_out.set(true);
                lost.lose(statement, scope, Some(syntax));
                continue;
            }
            let alone = std::slice::from_ref(statement);
            let result = blocks::one(session, &Traits::of(statement), 0, || {
                #[expect(deprecated, reason = "the only way to run some of the statements")]
                let result = engine.eval_statements_raw(self.global, self.caches, scope, alone);
                result
            });
            match result {
                Ok(value) if value.is::<Ended>() => break,
                Ok(_) => lost.given(statement),
                Err(error) => {
                    session.left_out.set(true);
                    if session.stopped.get() {
                        break;
                    }
                    behind.extend(errors::explain(session, engine, &error, self.file));
                    if is_end(session, &error) {
                        break;
                    }
                    begin(self.global, syntax);
                    // A module that was not imported has no place among those that were.
                    self.global.always_search_scope = true;
                    lost.lose(statement, scope, Some(syntax));
                }
            }
            if self.is_entry {
                // No more calls are around what was found so far.
                session.closed.set(session.ledger.borrow().len());
            }
        }
        behind
    }
}

/// As at the top of a script.
fn begin(global: &mut GlobalRuntimeState, syntax: &AST) {
    global.source = syntax.source().map(Into::into);
    global.lib.clear();
    global.lib.push(syntax.shared_lib().clone());
    global.level = 0;
    global.scope_level = 0;
}

/// Whether a script may return from its top.
pub(super) fn may_return(syntax: &AST) -> bool {
    syntax.statements().iter().any(|statement| {
        contains(statement, |inner| match inner {
            Stmt::Return(_, flags, _) => !flags.intersects(ASTFlags::BREAK),
            _ => false,
        })
    })
}

/// Whether one of the statements in a statement is so; those of closures are not looked at.
fn contains(statement: &Stmt, is_so: impl Fn(&Stmt) -> bool) -> bool {
    let mut found = false;
    statement.walk(&mut Vec::new(), &mut |path| {
        found |= matches!(path.last(), Some(ASTNode::Stmt(inner)) if is_so(inner));
        !found
    });
    found
}

/// Whether nothing more can be said behind an error: a limit was met, there is enough, the
/// finding the run is there for was met, or the script gave up by itself, which what follows
/// may count on.
fn is_end(session: &Session, mut error: &EvalAltResult) -> bool {
    use EvalAltResult as E;
    while let E::ErrorInFunctionCall(_, _, inner, _) | E::ErrorInModule(_, inner, _) = error {
        error = inner;
    }
    let thrown = match error {
        E::ErrorRuntime(value, _) => !value.is::<Refusal>() && !value.is::<Behind>(),
        _ => false,
    };
    thrown
        || error.is_system_exception()
        || session.stop_at.is_some_and(|wanted| session.ledger.borrow().len() > wanted)
        || session.enough.get().is_some()
}
