//! The statements of blocks, each as a block of its own. A loop runs the same ones again and
//! again, so they are taken apart once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{ASTNode, Expr as Syntax, Expression, ImmutableString, Position, Stmt, StmtBlock};

use super::contains;

/// What a statement is, as far as running it is concerned.
pub(super) struct Traits {
    /// It tries something.
    pub(super) tries: bool,
    /// How its turns are told apart, when it is a loop.
    pub(super) turns: Option<Turns>,
}

/// The turns of a loop.
#[derive(Clone)]
pub(super) struct Turns {
    /// Where the inner block of its body stands.
    pub(super) body: Position,
    /// The variables its condition names: once one of them is lost, nobody knows whether
    /// there is another turn.
    pub(super) decide: Rc<[String]>,
}

impl Traits {
    pub(super) fn of(statement: &Stmt) -> Self {
        Self {
            tries: contains(statement, |inner| matches!(inner, Stmt::TryCatch(..))),
            turns: turns(statement),
        }
    }
}

/// One statement of a block.
pub(super) struct One {
    syntax: Syntax,
    pub(super) traits: Traits,
}

impl One {
    /// As it is evaluated.
    pub(super) fn expression(&self) -> Expression<'_> {
        Expression::from(&self.syntax)
    }

    pub(super) fn statement(&self) -> Option<&Stmt> {
        match &self.syntax {
            Syntax::Stmt(block) => block.statements().first(),
            _ => None,
        }
    }
}

/// A block, by its file and from where to where it stands there.
type Place = (ImmutableString, Position, Position);

/// The blocks that were taken apart so far.
#[derive(Default)]
pub(in crate::script) struct Alone(RefCell<BTreeMap<Place, Rc<[One]>>>);

impl Alone {
    /// The statements of a block of a file.
    pub(super) fn of(&self, file: &ImmutableString, block: &StmtBlock) -> Rc<[One]> {
        let (from, to) = (block.position(), block.end_position());
        let place = (file.clone(), from, to);
        let mut known = self.0.borrow_mut();
        let apart = known.entry(place).or_insert_with(|| {
            let statements = block.statements().iter();
            let apart = statements.map(|statement| {
                let traits = Traits::of(statement);
                let alone = StmtBlock::new([statement.clone()], from, to);
                One { syntax: Syntax::Stmt(Box::new(alone)), traits }
            });
            apart.collect()
        });
        Rc::clone(apart)
    }
}

fn turns(statement: &Stmt) -> Option<Turns> {
    let (body, condition) = match statement {
        Stmt::For(parts, _) => (&parts.2.body, None),
        Stmt::While(parts, _) | Stmt::Do(parts, ..) => (&parts.body, Some(&parts.expr)),
        _ => return None,
    };
    let body = match body.statements() {
        [Stmt::Expr(only)] => match &**only {
            Syntax::Custom(call, _) => call.inputs.first().map(Syntax::start_position)?,
            _ => return None,
        },
        _ => return None,
    };
    let mut decide = Vec::new();
    if let Some(condition) = condition {
        condition.walk(&mut Vec::new(), &mut |path| {
            if let Some(ASTNode::Expr(Syntax::Variable(parts, ..))) = path.last() {
                decide.push(parts.1.to_string());
            }
            true
        });
    }
    Some(Turns { body, decide: decide.into() })
}
