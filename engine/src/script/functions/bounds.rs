//! How large what a template computes can become, read from its syntax tree: a text joined
//! to itself by `set` again and again would fill memory before it is printed.

use std::collections::BTreeMap;

use minijinja::machinery::ast::{CallArg, Expr as Node, Stmt};

/// Bytes the largest value of a template may take, estimated from above.
const LARGEST: u64 = 128 << 20;

/// The sizes of names.
struct Sizes {
    names: BTreeMap<String, u64>,
    worst: u64,
}

/// Whether every value of the template stays within bounds, given the sizes of its values.
pub(super) fn within(tree: &Stmt<'_>, values: BTreeMap<String, u64>) -> bool {
    let mut sizes = Sizes { names: values, worst: 0 };
    sizes.statement(tree);
    sizes.worst <= LARGEST
}

impl Sizes {
    fn statements(&mut self, all: &[Stmt<'_>]) {
        for statement in all {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => {
                self.size(&emit.expr);
            }
            Stmt::ForLoop(each) => {
                let size = self.size(&each.iter);
                self.bind(&each.target, size);
                each.filter_expr.iter().for_each(|filter| {
                    self.size(filter);
                });
                self.statements(&each.body);
                self.statements(&each.else_body);
            }
            Stmt::IfCond(condition) => {
                self.size(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    let size = self.size(value);
                    self.bind(target, size);
                }
                self.statements(&with.body);
            }
            Stmt::Set(set) => {
                let size = self.size(&set.expr);
                self.bind(&set.target, size);
            }
            Stmt::EmitRaw(_) => {}
            // Captures what loops print, or is not there without a loader.
            _ => self.worst = u64::MAX,
        }
    }

    /// What a name may hold is the largest of all it is given.
    fn bind(&mut self, target: &Node<'_>, size: u64) {
        match target {
            Node::Var(name) => {
                let known = self.names.entry(name.id.to_owned()).or_default();
                *known = size.max(*known);
            }
            Node::List(list) => list.items.iter().for_each(|item| self.bind(item, size)),
            Node::Tuple(tuple) => tuple.items.iter().for_each(|item| self.bind(item, size)),
            _ => self.worst = u64::MAX,
        }
    }

    fn all<'n, 'a: 'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node<'a>>) -> u64 {
        nodes.into_iter().fold(16, |sum, node| sum.saturating_add(self.size(node)))
    }

    fn arguments(&mut self, all: &[CallArg<'_>]) -> u64 {
        self.all(all.iter().map(|argument| match argument {
            CallArg::Pos(node)
            | CallArg::Kwarg(_, node)
            | CallArg::PosSplat(node)
            | CallArg::KwargSplat(node) => node,
        }))
    }

    fn size(&mut self, node: &Node<'_>) -> u64 {
        let size = match node {
            Node::Var(name) => self.names.get(name.id).copied().unwrap_or(16),
            Node::Const(known) => 16 + known.value.as_str().map_or(0, str::len) as u64,
            Node::List(list) => self.all(&list.items),
            Node::Tuple(tuple) => self.all(&tuple.items),
            Node::Map(map) => self.all(map.keys.iter().chain(&map.values)),
            Node::GetAttr(attribute) => self.size(&attribute.expr),
            Node::GetItem(item) => self.all([&item.subscript_expr, &item.expr]),
            Node::IfExpr(choice) => self.all(
                [&choice.test_expr, &choice.true_expr].into_iter().chain(&choice.false_expr),
            ),
            Node::UnaryOp(operation) => self.size(&operation.expr),
            Node::BinOp(operation) => self.all([&operation.left, &operation.right]),
            Node::Compare(compare) => {
                self.size(&compare.expr);
                self.all(compare.ops.iter().map(|operand| &operand.expr))
            }
            Node::Slice(slice) => self.size(&slice.expr),
            Node::Filter(filter) => {
                let inner = self.all(&filter.expr);
                // `escape` and `tojson` write one character with up to six.
                let factor =
                    if matches!(filter.name, "e" | "escape" | "tojson") { 6 } else { 2 };
                inner.saturating_mul(factor).saturating_add(self.arguments(&filter.args))
            }
            Node::Test(test) => {
                self.size(&test.expr);
                self.arguments(&test.args)
            }
            Node::Call(call) => {
                self.all([&call.expr]).saturating_add(self.arguments(&call.args))
            }
        };
        self.worst = size.max(self.worst);
        size
    }
}
