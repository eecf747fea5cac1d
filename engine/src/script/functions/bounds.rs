//! How much a template may take, read from its syntax tree before it runs: a text joined to
//! itself by `set` again and again would fill memory before it is printed, and one step may
//! copy or compare a long value.

use std::collections::BTreeMap;
use std::rc::Rc;

use minijinja::Value as Jinja;
use minijinja::machinery::ast::{
    BinOpKind, CallArg, CompareOpKind, Expr as Node, Filter, Stmt,
};
use minijinja::value::ValueKind;

/// Bytes the largest value of a template may take, estimated from above.
const LARGEST: u64 = 128 << 20;
/// Values a name may stand for that are told apart.
const MOST_CANDIDATES: usize = 10_000;
/// Bytes of a list made of one byte of a text: one item for each character.
const TAKEN_APART: u64 = 40;
/// Items of the longest `range`.
const LONGEST_RANGE: u64 = 100_000;

/// Filters that give the items of what they are given, or some of them, in some order.
const SOME_OF: [&str; 8] =
    ["list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"];
/// Filters that give a list, whatever they are given.
const LISTS: [&str; 12] = [
    "dictsort",
    "groupby",
    "items",
    "lines",
    "list",
    "map",
    "reject",
    "rejectattr",
    "select",
    "selectattr",
    "sort",
    "split",
];
/// What a part of a template may be.
#[derive(Clone)]
struct Guess {
    /// Bytes it takes at most.
    size: u64,
    /// Which values, where that is known.
    values: Option<Rc<[Jinja]>>,
    /// Whether it is a number in any case.
    is_number: bool,
    /// The largest number it may be, where that is known.
    most: Option<u64>,
}

impl Guess {
    fn size(size: u64) -> Self {
        Self { size, values: None, is_number: false, most: None }
    }

    /// A number, up to the largest where that is known.
    fn number(most: Option<u64>) -> Self {
        Self { size: 16, values: None, is_number: true, most }
    }

    fn values(values: Vec<Jinja>) -> Self {
        let size = values.iter().map(size).max().unwrap_or(16);
        if values.len() > MOST_CANDIDATES {
            return Self::size(size);
        }
        let is_number = values.iter().all(Jinja::is_number);
        let most = values.iter().filter_map(Jinja::as_usize).max().unwrap_or(0);
        let most = is_number.then(|| u64::try_from(most).unwrap_or(u64::MAX));
        Self { size, values: Some(values.into()), is_number, most }
    }

    /// Each of the values, changed; of values that are not known the size stays.
    fn each(&self, change: impl Fn(&Jinja) -> Vec<Jinja>) -> Self {
        match &self.values {
            Some(values) => Self::values(values.iter().flat_map(change).collect()),
            None => self.clone(),
        }
    }

    /// What a loop over it is given: items, or keys.
    fn items(&self) -> Self {
        self.each(|value| value.try_iter().map(Iterator::collect).unwrap_or_default())
    }

    /// What stands in it: items, or the values of keys.
    fn inside(&self) -> Self {
        self.each(|value| {
            if value.kind() != ValueKind::Map {
                return value.try_iter().map(Iterator::collect).unwrap_or_default();
            }
            let keys = value.try_iter().into_iter().flatten();
            keys.filter_map(|key| value.get_item(&key).ok()).collect()
        })
    }
}

/// What a template may come to.
pub(super) struct Bounds {
    /// Whether every value stays within bounds.
    pub(super) within: bool,
    /// Bytes that one step may read or write, filters excepted.
    pub(super) heaviest: u64,
}

/// Reads them from the template and the values it is given.
pub(super) fn of(tree: &Stmt<'_>, values: &BTreeMap<String, Jinja>) -> Bounds {
    let given =
        values.iter().map(|(name, value)| (name.clone(), Guess::values(vec![value.clone()])));
    let mut sizes = Sizes { names: given.collect(), worst: 0, heaviest: 0 };
    sizes.statement(tree);
    Bounds { within: sizes.worst <= LARGEST, heaviest: sizes.heaviest }
}

/// The sizes of names.
struct Sizes {
    names: BTreeMap<String, Guess>,
    worst: u64,
    heaviest: u64,
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
                self.guess(&emit.expr);
            }
            Stmt::ForLoop(each) => {
                self.loop_over(&each.iter, &each.target);
                each.filter_expr.iter().for_each(|filter| {
                    self.guess(filter);
                });
                self.statements(&each.body);
                self.statements(&each.else_body);
            }
            Stmt::IfCond(condition) => {
                self.guess(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    let guess = self.guess(value);
                    self.bind(target, guess);
                }
                self.statements(&with.body);
            }
            Stmt::Set(set) => {
                let guess = self.guess(&set.expr);
                self.bind(&set.target, guess);
            }
            Stmt::EmitRaw(_) => {}
            // Captures what loops print, or is not there without a loader.
            _ => self.worst = u64::MAX,
        }
    }

    /// Gives the names of a loop what they may stand for.
    fn loop_over(&mut self, over: &Node<'_>, target: &Node<'_>) {
        let whole = self.guess(over);
        let parts = match target {
            Node::List(list) => list.items.as_slice(),
            Node::Tuple(tuple) => tuple.items.as_slice(),
            _ => &[],
        };
        if let (Node::Filter(filter), [key, value]) = (over, parts)
            && matches!(filter.name, "items" | "dictsort")
            && let Some(inner) = &filter.expr
        {
            let inner = self.guess(inner);
            self.bind(key, inner.items());
            self.bind(value, inner.inside());
            return;
        }
        let items = self.items_of(over).unwrap_or(whole);
        self.bind(target, items);
    }

    /// The items of what hands on items it is given.
    fn items_of(&mut self, node: &Node<'_>) -> Option<Guess> {
        match node {
            Node::Filter(filter) if SOME_OF.contains(&filter.name) => {
                self.items_of(filter.expr.as_ref()?)
            }
            Node::Filter(_) => None,
            _ => Some(self.guess(node).items()),
        }
    }

    /// What a name may hold is anything it is given.
    fn bind(&mut self, target: &Node<'_>, guess: Guess) {
        match target {
            Node::Var(name) => {
                let known = self.names.remove(name.id);
                let merged = match known {
                    None => guess,
                    Some(known) => match (&known.values, &guess.values) {
                        (Some(one), Some(two)) => {
                            Guess::values(one.iter().chain(two.iter()).cloned().collect())
                        }
                        _ => Guess {
                            size: known.size.max(guess.size),
                            values: None,
                            is_number: known.is_number && guess.is_number,
                            most: known.most.zip(guess.most).map(|(one, two)| one.max(two)),
                        },
                    },
                };
                self.names.insert(name.id.to_owned(), merged);
            }
            Node::List(list) => self.bind_each(&list.items, &guess),
            Node::Tuple(tuple) => self.bind_each(&tuple.items, &guess),
            _ => self.worst = u64::MAX,
        }
    }

    fn bind_each(&mut self, targets: &[Node<'_>], guess: &Guess) {
        let inside = guess.inside();
        targets.iter().for_each(|target| self.bind(target, inside.clone()));
    }

    fn all<'n, 'a: 'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node<'a>>) -> u64 {
        nodes.into_iter().fold(16, |sum, node| sum.saturating_add(self.guess(node).size))
    }

    fn arguments(&mut self, all: &[CallArg<'_>]) -> u64 {
        self.all(all.iter().map(|argument| match argument {
            CallArg::Pos(node)
            | CallArg::Kwarg(_, node)
            | CallArg::PosSplat(node)
            | CallArg::KwargSplat(node) => node,
        }))
    }

    fn guess(&mut self, node: &Node<'_>) -> Guess {
        let guess = self.of(node);
        self.worst = guess.size.max(self.worst);
        guess
    }

    /// Counts what one step reads or writes.
    fn weigh(&mut self, bytes: u64) -> u64 {
        self.heaviest = bytes.max(self.heaviest);
        bytes
    }

    fn of(&mut self, node: &Node<'_>) -> Guess {
        let size = match node {
            Node::Var(name) => {
                return self.names.get(name.id).cloned().unwrap_or(Guess::size(16));
            }
            Node::Const(known) => return Guess::values(vec![known.value.clone()]),
            Node::List(list) => self.all(&list.items),
            Node::Tuple(tuple) => self.all(&tuple.items),
            Node::Map(map) => self.all(map.keys.iter().chain(&map.values)),
            // `loop.index` and its like.
            Node::GetAttr(attribute)
                if matches!(&attribute.expr, Node::Var(name) if name.id == "loop")
                    && !self.names.contains_key("loop") =>
            {
                return match attribute.name {
                    "depth" | "depth0" | "index" | "index0" | "length" | "revindex"
                    | "revindex0" => Guess::number(None),
                    _ => Guess::size(self.worst),
                };
            }
            Node::GetAttr(attribute) => {
                let inner = self.guess(&attribute.expr);
                return inner
                    .each(|value| value.get_attr(attribute.name).into_iter().collect());
            }
            Node::GetItem(item) => {
                self.guess(&item.subscript_expr);
                let inner = self.guess(&item.expr);
                if inner.values.is_none() {
                    // One that is computed item by item goes through all before.
                    self.weigh(inner.size);
                }
                return inner.inside();
            }
            Node::IfExpr(choice) => self.all(
                [&choice.test_expr, &choice.true_expr].into_iter().chain(&choice.false_expr),
            ),
            Node::UnaryOp(operation) => return self.guess(&operation.expr),
            Node::BinOp(operation) => {
                let (left, right) = (self.guess(&operation.left), self.guess(&operation.right));
                let numbers = left.is_number && right.is_number;
                let both = left.size.saturating_add(right.size);
                match operation.op {
                    _ if numbers => return Guess::number(None),
                    BinOpKind::ScAnd | BinOpKind::ScOr => both,
                    // A text or list so many times.
                    BinOpKind::Mul => self.weigh(match (left.most, right.most) {
                        (Some(times), _) => right.size.saturating_mul(times.max(1)),
                        (None, Some(times)) => left.size.saturating_mul(times.max(1)),
                        (None, None) => u64::MAX,
                    }),
                    BinOpKind::In => self.weigh(right.size),
                    _ => self.weigh(both),
                }
            }
            Node::Compare(compare) => {
                let mut left = self.guess(&compare.expr).size;
                for operand in &compare.ops {
                    let right = self.guess(&operand.expr).size;
                    self.weigh(match operand.op {
                        CompareOpKind::In | CompareOpKind::NotIn => right,
                        _ => left.min(right),
                    });
                    left = right;
                }
                16
            }
            Node::Slice(slice) => {
                let parts = [&slice.start, &slice.stop, &slice.step];
                self.all(parts.into_iter().flatten());
                let size = self.guess(&slice.expr).size;
                self.weigh(size)
            }
            Node::Filter(filter) => return self.filtered(filter),
            Node::Test(test) => {
                let inner = self.guess(&test.expr).size;
                let arguments = self.arguments(&test.args);
                if !test.args.is_empty() || matches!(test.name, "lower" | "upper") {
                    self.weigh(inner.saturating_add(arguments));
                }
                16
            }
            Node::Call(call) => {
                let size = self.all([&call.expr]).saturating_add(self.arguments(&call.args));
                // It makes its numbers one by one, as a loop asks for them.
                if matches!(&call.expr, Node::Var(name) if name.id == "range") {
                    16 * LONGEST_RANGE
                } else {
                    self.weigh(size)
                }
            }
        };
        Guess::size(size)
    }

    fn filtered(&mut self, filter: &Filter<'_>) -> Guess {
        let inner = filter.expr.as_ref().map(|inner| self.guess(inner));
        let inner = inner.unwrap_or_else(|| Guess::size(16));
        let arguments = self.arguments(&filter.args);
        match filter.name {
            "count" | "length" => return Guess::number(Some(inner.size)),
            "abs" | "float" | "int" | "round" => return Guess::number(inner.most),
            _ => {}
        }
        let is_list = matches!(&filter.expr,
            Some(Node::Filter(before)) if LISTS.contains(&before.name));
        let no_text =
            |values: &Rc<[Jinja]>| values.iter().all(|value| value.as_str().is_none());
        let may_be_text = !is_list && !inner.values.as_ref().is_some_and(no_text);
        let factor = match filter.name {
            // One character is written with up to six.
            "e" | "escape" => 6,
            name if LISTS.contains(&name) && may_be_text => TAKEN_APART,
            _ => 2,
        };
        Guess::size(inner.size.saturating_mul(factor).saturating_add(arguments))
    }
}

/// About how many bytes a value takes.
fn size(value: &Jinja) -> u64 {
    if let Some(text) = value.as_str() {
        return 16 + text.len() as u64;
    }
    let Ok(items) = value.try_iter() else { return 16 };
    let is_map = value.kind() == ValueKind::Map;
    items.fold(16, |sum, item| {
        let inner = is_map.then(|| value.get_item(&item).ok()).flatten();
        sum + size(&item) + inner.map_or(0, |inner| size(&inner))
    })
}

/// About how many bytes it takes to handle values, or a little more than `most`.
pub(super) fn read(values: &[Jinja], most: usize) -> usize {
    let mut sum: usize = 0;
    for value in values {
        if sum > most {
            break;
        }
        sum += 64;
        if let Some(text) = value.as_str() {
            sum += text.len();
            continue;
        }
        let is_map = value.kind() == ValueKind::Map;
        for item in value.try_iter().into_iter().flatten() {
            if sum > most {
                break;
            }
            let inner = is_map.then(|| value.get_item(&item).ok()).flatten();
            sum += read(&[item], most.saturating_sub(sum));
            sum += inner.map_or(0, |inner| read(&[inner], most.saturating_sub(sum)));
        }
    }
    sum
}
