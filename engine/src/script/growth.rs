//! How large a list or map may grow by assigning to its entries, as in `map[key] = value`.
//! Rhai counts what such a statement puts in, and not what it is put into.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{AST, ASTNode, Array, Dynamic, Engine, Expr as Syntax, Map, Stmt};

use super::host::MOST_ITEMS;
use super::onward::{THIS, root};
use super::session::Session;
use super::symbol::Answer;

/// All of it is counted once in so many uses: a loop that fills a map would take forever when that
/// were done at each turn. No more than that many values are put in meanwhile.
const USES: usize = 64;

/// The variables whose entries a script assigns, and how often each was used since it was last
/// counted.
#[derive(Default)]
pub(super) struct Growth(RefCell<BTreeMap<String, usize>>);

impl Growth {
    /// Learns the names from a script.
    pub(super) fn watch(&self, syntax: &AST) {
        syntax.walk(&mut |path| {
            if let Some(ASTNode::Stmt(Stmt::Assignment(parts))) = path.last() {
                let place = &parts.1.lhs;
                let is_entry = !matches!(place, Syntax::Variable(..) | Syntax::ThisPtr(_));
                let name = root(place).filter(|_| is_entry);
                self.0.borrow_mut().extend(name.map(|name| (name, 0)));
            }
            true
        });
    }

    /// Whether what a name stands for is within limits, as far as it is time to look.
    fn look(&self, engine: &Engine, name: &str, value: &Dynamic) -> Answer<()> {
        let mut uses = self.0.borrow_mut();
        let Some(uses) = uses.get_mut(name) else { return Ok(()) };
        let list = value.read_lock::<Array>().map(|list| list.len());
        let Some(items) = list.or_else(|| value.read_lock::<Map>().map(|map| map.len())) else {
            return Ok(());
        };
        *uses += 1;
        if *uses < USES && items <= MOST_ITEMS {
            return Ok(());
        }
        *uses = 0;
        engine.ensure_data_size_within_limits(value)
    }
}

/// Looks at such variables wherever a script names them.
pub(super) fn register(engine: &mut Engine, session: &Rc<Session>) {
    let here = Rc::clone(session);
    #[expect(deprecated, reason = "marked volatile, not deprecated; Rhai is pinned exactly")]
    engine.on_var(move |name, _, context| {
        let watched = &here.growth.0;
        if watched.borrow().is_empty() {
            return Ok(None);
        }
        let is_watched = watched.borrow().contains_key(name);
        if is_watched && let Some(value) = context.scope().get(name) {
            here.growth.look(context.engine(), name, value)?;
        }
        // What a function was called on has no name there.
        if let Some(this) = context.this_ptr() {
            here.growth.look(context.engine(), THIS, this)?;
        }
        Ok(None)
    });
}
