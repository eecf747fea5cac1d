//! Going on inside blocks. For the second run, a script is read as if its blocks were calls:
//! `{ a(); b(); }` as `{KEY{ a(); b(); }}`, where what `KEY` stands for runs the inner block
//! statement by statement. Places are those of the text as it was written
//! ([`Shift`](crate::script::shift::Shift)).

use std::collections::BTreeSet;
use std::rc::Rc;

use rhai::{
    AST, ASTNode, Dynamic, Engine, EvalAltResult, EvalContext, Expr as Syntax, Expression,
    Position, Stmt, StmtBlock,
};

use super::alone::{Traits, Turns};
use super::lost::{Lost, THIS};
use super::{Behind, contains, is_end};
use crate::script::errors;
use crate::script::session::Session;
use crate::script::shift::Shift;
use crate::script::sources::Source;
use crate::script::symbol::Answer;

/// Stands before a block that is run statement by statement. A script with this word in it is
/// read as it is.
const KEY: &str = "dollop_goes_on";

/// After so many turns that failed, a loop has said what there is to say.
pub(super) const MOST_TURNS: usize = 20;

/// A loop that goes round: its turns go on one after the other, whatever fails in them.
pub(in crate::script) struct Loop {
    /// Where its body begins.
    body: Position,
    /// How many calls are around it; nothing when its body is a closure.
    level: Option<usize>,
    /// What its condition names.
    decide: Rc<[String]>,
    lost: Lost,
    behind: BTreeSet<usize>,
    /// How many turns failed.
    failed: usize,
}

impl Loop {
    /// One whose turns are calls of a closure with that body.
    pub(super) fn over(body: Position) -> Self {
        Self {
            body,
            level: None,
            decide: Rc::new([]),
            lost: Lost::default(),
            behind: BTreeSet::new(),
            failed: 0,
        }
    }

    /// Whether it is what such a block is the body of. While a turn is running its loop is not
    /// among those that are open, so a closure is not asked how many calls are around it.
    fn is_of(&self, body: Position, level: usize) -> bool {
        self.body == body && self.level.is_none_or(|own| own == level)
    }
}

/// The text of a script with its blocks opened, and what was added where.
pub(in crate::script) fn opened(syntax: &AST, source: &Source) -> Option<(Shift, String)> {
    let text = &source.text;
    if text.contains(KEY) {
        return None;
    }
    let mut additions = Vec::new();
    for (from, to) in blocks(syntax) {
        let places = source.offset(from).zip(source.offset(to));
        let Some((open, close)) = places.filter(|(open, close)| {
            // What stands in `${..}` is no block of statements.
            text[*open..].starts_with('{')
                && !text[..*open].ends_with('$')
                && text[*close..].starts_with('}')
        }) else {
            continue;
        };
        let after = Position::new(line(from)?, column(from)?.checked_add(1)?);
        additions.push((open + 1, after, format!("{KEY}{{")));
        additions.push((close, to, "}".to_owned()));
    }
    additions.sort_by_key(|(at, ..)| *at);
    let (mut shift, mut read, mut done) = (Shift::default(), String::new(), 0);
    for (at, place, added) in additions {
        shift.add(place.line()?, place.position()?, added.len());
        read.push_str(&text[done..at]);
        read.push_str(&added);
        done = at;
    }
    read.push_str(&text[done..]);
    (done > 0).then_some((shift, read))
}

/// Where the block begins that was put into one which begins there.
pub(super) fn inner(outer: Position) -> Option<Position> {
    let behind = u16::try_from(KEY.len() + 1).ok()?;
    Some(Position::new(line(outer)?, column(outer)?.checked_add(behind)?))
}

fn line(place: Position) -> Option<u16> {
    u16::try_from(place.line()?).ok()
}

fn column(place: Position) -> Option<u16> {
    u16::try_from(place.position()?).ok()
}

/// From where to where the blocks stand in which going on may find more. What a script tries
/// is its own business.
fn blocks(syntax: &AST) -> BTreeSet<(Position, Position)> {
    let mut found = BTreeSet::new();
    let mut tried = BTreeSet::new();
    let mut add = |block: &StmtBlock| {
        found.insert((block.position(), block.end_position()));
    };
    syntax.walk(&mut |path| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::If(parts, _))) => {
                add(&parts.body);
                add(&parts.branch);
            }
            Some(ASTNode::Stmt(Stmt::While(parts, _) | Stmt::Do(parts, ..))) => {
                add(&parts.body);
            }
            Some(ASTNode::Stmt(Stmt::For(parts, _))) => add(&parts.2.body),
            Some(ASTNode::Stmt(Stmt::Block(block)) | ASTNode::Expr(Syntax::Stmt(block))) => {
                add(block);
            }
            Some(ASTNode::Stmt(Stmt::TryCatch(parts, _))) => {
                tried.insert((parts.body.position(), parts.branch.end_position()));
            }
            _ => {}
        }
        true
    });
    for function in syntax.iter_fn_def() {
        found.insert((function.body.start_position(), function.body.end_position()));
    }
    found.retain(|(from, to)| {
        !tried.iter().any(|(first, last)| first <= from && (last.is_none() || to <= last))
    });
    found
}

/// Lets an engine read scripts with opened blocks.
pub(in crate::script) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    let syntax = engine.register_custom_syntax(
        [KEY, "$block$"],
        false,
        move |context: &mut EvalContext, inputs: &[Expression]| match inputs.first() {
            Some(body) => block(&here, context, body),
            None => Ok(Dynamic::UNIT),
        },
    );
    // It is only ever refused for a word that has a meaning already.
    debug_assert!(syntax.is_ok(), "{KEY} is a word of its own");
}

/// Evaluates a statement, around which are so many calls; when it is a loop, with its turns.
pub(super) fn one(
    session: &Session,
    traits: &Traits,
    level: usize,
    evaluate: impl FnOnce() -> Answer<Dynamic>,
) -> Answer<Dynamic> {
    if !session.going_on {
        return evaluate();
    }
    if traits.tries {
        session.trying.set(session.trying.get() + 1);
        let result = evaluate();
        session.trying.set(session.trying.get() - 1);
        return result;
    }
    let Some(Turns { body, decide }) = traits.turns.clone() else {
        return with_carried(session, evaluate());
    };
    let turns = Loop { level: Some(level), decide, ..Loop::over(body) };
    session.loops.borrow_mut().push(turns);
    let result = evaluate();
    let ended = session.loops.borrow_mut().pop();
    match (result, ended) {
        (Err(error), _) if !error.is_pseudo_error() => Err(error),
        (_, Some(ended)) if ended.failed > 0 => Err(Behind(ended.behind).into_error()),
        (result, _) => result,
    }
}

/// The result of a statement; when an error in it was left behind by `continue`, it gave
/// nothing.
fn with_carried(session: &Session, result: Answer<Dynamic>) -> Answer<Dynamic> {
    match result {
        Ok(value) => match session.carried.take() {
            Some(behind) => Err(behind.into_error()),
            None => Ok(value),
        },
        error => error,
    }
}

/// Runs a block to its end, whatever fails in it; then it fails.
fn block(session: &Session, context: &mut EvalContext, body: &Expression) -> Answer<Dynamic> {
    // What an earlier turn left behind is for whatever is around the loop.
    let earlier = session.carried.take();
    let result = to_its_end(session, context, body);
    if let Some(Behind(mut all)) = earlier {
        let mut carried = session.carried.borrow_mut();
        all.extend(carried.take().map(|Behind(more)| more).unwrap_or_default());
        *carried = Some(Behind(all));
    }
    result
}

fn to_its_end(
    session: &Session,
    context: &mut EvalContext,
    body: &Expression,
) -> Answer<Dynamic> {
    let inner = match &**body {
        Syntax::Stmt(inner) if session.trying.get() == 0 => inner,
        _ => return body.eval_with_context(context),
    };
    let (here, level) = (body.start_position(), context.call_level());
    // While a turn is running, its loop is on the stack for nobody else.
    let mut turn = session.loops.borrow_mut().pop_if(|turn| turn.is_of(here, level));
    let is_call = turn.as_ref().is_some_and(|turn| turn.level.is_none());
    let mut lost = turn.as_mut().map(|turn| std::mem::take(&mut turn.lost)).unwrap_or_default();
    // What an earlier turn named is gone, and so is what it was called on.
    lost.variables.retain(
        |name| {
            if name == THIS { !is_call } else { context.scope().contains(name) }
        },
    );
    let (mut behind, mut failed) = (BTreeSet::new(), false);
    let end = run(session, context, inner, &mut lost, &mut behind, &mut failed);
    let Some(mut turn) = turn else {
        return match end {
            End::With(Err(error)) if failed && error.is_pseudo_error() => {
                *session.carried.borrow_mut() = Some(Behind(behind));
                Err(error)
            }
            End::With(result) => result,
            End::Reached(value) if !failed => Ok(value),
            _ => Err(Behind(behind).into_error()),
        };
    };
    let own = is_call.then(|| behind.clone());
    turn.behind.append(&mut behind);
    turn.failed += usize::from(failed);
    let is_enough = turn.failed >= MOST_TURNS
        || failed && turn.decide.iter().any(|name| lost.variables.contains(name));
    turn.lost = lost;
    // A call fails with what went wrong in it; what did before is known already.
    let all = own.unwrap_or_else(|| turn.behind.clone());
    session.loops.borrow_mut().push(turn);
    let goes_on = |error: &EvalAltResult| matches!(error, EvalAltResult::LoopBreak(false, ..));
    match end {
        // What a call gives somebody may count on; a loop goes on by itself.
        End::Reached(value) if is_call && !failed => Ok(value),
        End::Reached(_) if !is_call && !is_enough => Ok(Dynamic::UNIT),
        End::With(Err(error)) if is_enough && goes_on(&error) => Err(Behind(all).into_error()),
        End::With(result) => result,
        _ => Err(Behind(all).into_error()),
    }
}

/// How the run of a block ended.
enum End {
    /// All of it was run; what its last statement gave.
    Reached(Dynamic),
    /// It was left, or nothing more can be said.
    With(Answer<Dynamic>),
    /// It may have been left, which an error keeps from knowing.
    Unsure,
}

fn run(
    session: &Session,
    context: &mut EvalContext,
    block: &StmtBlock,
    lost: &mut Lost,
    behind: &mut BTreeSet<usize>,
    failed: &mut bool,
) -> End {
    let mut value = Dynamic::UNIT;
    let global = context.global_runtime_state();
    let (source, lib) = (global.source.clone(), global.lib.clone());
    let (level, scope_level) = (global.level, global.scope_level);
    let file = source.clone().unwrap_or_default();
    let apart = session.alone.of(&file, block);
    for (statement, alone) in apart.iter().filter_map(|one| Some((one.statement()?, one))) {
        if lost.mentions(statement) {
            session.left_out.set(true);
            *failed = true;
        } else {
            let result = one(session, &alone.traits, level, || {
                #[expect(
                    deprecated,
                    reason = "marked volatile, not deprecated; Rhai is pinned"
                )]
                let result = context.eval_expression_tree_raw(&alone.expression(), false);
                result
            });
            let error = match result {
                Ok(given) => {
                    lost.given(statement);
                    value = given;
                    continue;
                }
                Err(error) => error,
            };
            // It was left behind an error in it: the turn goes on to its end, no further.
            if let Some(Behind(more)) = session.carried.take() {
                *failed = true;
                behind.extend(more);
                lost.lose(statement, context.scope_mut(), None);
            }
            if error.is_pseudo_error() {
                let is_sure = matches!(
                    *error,
                    EvalAltResult::LoopBreak(false, ..) | EvalAltResult::Exit(..)
                );
                // What it gives back may follow from what is lost.
                return if *failed && !is_sure { End::Unsure } else { End::With(Err(error)) };
            }
            session.left_out.set(true);
            if session.stopped.get() || is_end(session, &error) {
                return End::With(Err(error));
            }
            *failed = true;
            behind.extend(errors::explain(session, context.engine(), &error, &file));
            let global = context.global_runtime_state_mut();
            (global.source, global.lib) = (source.clone(), lib.clone());
            (global.level, global.scope_level) = (level, scope_level);
            global.always_search_scope = true;
        }
        value = Dynamic::UNIT;
        lost.lose(statement, context.scope_mut(), None);
        let leaves = |inner: &Stmt| matches!(inner, Stmt::Return(..) | Stmt::BreakLoop(..));
        if contains(statement, leaves) {
            return End::Unsure;
        }
    }
    End::Reached(value)
}
