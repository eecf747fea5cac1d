//! How much a template may take, read from its syntax tree before it runs: a text joined to
//! itself by `set` again and again would fill memory before it is printed, and one step may
//! copy or compare a long value.

use std::collections::BTreeMap;
use std::rc::Rc;

use minijinja::Value as Jinja;
use minijinja::machinery::ast::{
    BinOpKind, Call, CallArg, CompareOpKind, Expr as Node, Filter, Stmt, UnaryOpKind,
};
use minijinja::value::ValueKind;

use super::guesses::{Guess, Looking, Part};

/// Bytes the largest value of a template may take, estimated from above.
const LARGEST: u64 = 128 << 20;
/// Bytes of a number that is written out: the largest has 309 digits.
const WRITTEN: u64 = 330;
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

/// What a template may come to.
pub(super) struct Bounds {
    /// Whether every value stays within bounds.
    pub(super) within: bool,
    /// Whether the values it is given could all be looked at.
    pub(super) is_seen: bool,
    /// Bytes that one step may read or write, filters excepted.
    pub(super) heaviest: u64,
    /// How many values were looked at to find out.
    pub(super) visits: u64,
    /// Whether a loop may begin again with what it is called with: nobody can tell how large
    /// that gets.
    pub(super) recurses: bool,
}

/// Reads them from the template and the values it is given.
pub(super) fn of(tree: &Stmt<'_>, values: &BTreeMap<String, Jinja>) -> Bounds {
    let mut looking = Looking::default();
    let given =
        values.iter().map(|(name, value)| (name.clone(), looking.values(vec![value.clone()])));
    let names = given.collect();
    let mut sizes =
        Sizes { names, looking, rounds: Vec::new(), worst: 0, heaviest: 0, recurses: false };
    sizes.statement(tree);
    Bounds {
        within: sizes.worst <= LARGEST,
        is_seen: !sizes.looking.is_over(),
        heaviest: sizes.heaviest,
        visits: sizes.looking.visits(),
        recurses: sizes.recurses,
    }
}

/// The sizes of names.
struct Sizes {
    names: BTreeMap<String, Guess>,
    looking: Looking,
    /// How often each loop that is open may go round.
    rounds: Vec<u64>,
    worst: u64,
    heaviest: u64,
    recurses: bool,
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
                let rounds = self.loop_over(&each.iter, &each.target);
                // The filter is no part of the loop: there, `loop` is the one around it.
                each.filter_expr.iter().for_each(|filter| {
                    self.guess(filter);
                });
                self.recurses |= each.recursive;
                self.rounds.push(rounds);
                self.statements(&each.body);
                self.rounds.pop();
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

    /// Gives the names of a loop what they may stand for; says how often it may go round.
    fn loop_over(&mut self, over: &Node<'_>, target: &Node<'_>) -> u64 {
        let whole = self.guess(over);
        let rounds = match self.range(over) {
            Some((rounds, _)) => rounds,
            None => self.looking.rounds(&whole),
        };
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
            let items = self.looking.part(&inner, Part::Items);
            self.bind(key, items);
            let inside = self.looking.part(&inner, Part::Inside);
            self.bind(value, inside);
            return rounds;
        }
        let items = self.items_of(over).unwrap_or(whole);
        self.bind(target, items);
        rounds
    }

    /// How many numbers a `range` gives at most, and the largest of them where it is known.
    fn range(&mut self, node: &Node<'_>) -> Option<(u64, Option<u64>)> {
        let Node::Call(call) = node else { return None };
        if !self.is_range(call) {
            return None;
        }
        let (mut count, mut most) = (0_u64, Some(0));
        for argument in &call.args {
            let limit = match argument {
                CallArg::Pos(node) => self.guess(node).most,
                _ => None,
            };
            count = count.saturating_add(limit.unwrap_or(LONGEST_RANGE));
            most = most.zip(limit).map(|(one, two): (u64, u64)| one.max(two));
        }
        Some((count.min(LONGEST_RANGE), most))
    }

    fn is_range(&self, call: &Call<'_>) -> bool {
        matches!(&call.expr, Node::Var(name)
            if name.id == "range" && !self.names.contains_key("range"))
    }

    /// The items of what hands on items it is given.
    fn items_of(&mut self, node: &Node<'_>) -> Option<Guess> {
        match node {
            Node::Filter(filter) if SOME_OF.contains(&filter.name) => {
                self.items_of(filter.expr.as_ref()?)
            }
            Node::Filter(_) => None,
            _ => Some(match self.range(node) {
                Some((_, most)) => Guess::number(most),
                None => {
                    let whole = self.guess(node);
                    self.looking.part(&whole, Part::Items)
                }
            }),
        }
    }

    /// What a name may hold is anything it is given.
    fn bind(&mut self, target: &Node<'_>, guess: Guess) {
        match target {
            Node::Var(name) => {
                let merged = match self.names.remove(name.id) {
                    None => guess,
                    Some(known) => self.looking.either(&known, &guess),
                };
                self.names.insert(name.id.to_owned(), merged);
            }
            Node::List(list) => self.bind_each(&list.items, &guess),
            Node::Tuple(tuple) => self.bind_each(&tuple.items, &guess),
            _ => self.worst = u64::MAX,
        }
    }

    fn bind_each(&mut self, targets: &[Node<'_>], guess: &Guess) {
        let inside = self.looking.part(guess, Part::Inside);
        for target in targets {
            self.bind(target, inside.clone());
        }
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
            Node::Const(known) => return self.looking.values(vec![known.value.clone()]),
            Node::List(list) => self.all(&list.items),
            Node::Tuple(tuple) => self.all(&tuple.items),
            Node::Map(map) => self.all(map.keys.iter().chain(&map.values)),
            Node::GetAttr(attribute) => {
                let inner = self.guess(&attribute.expr);
                let part = Part::Attribute(attribute.name.to_owned());
                let found = self.looking.part(&inner, part);
                if !matches!(&attribute.expr, Node::Var(name) if name.id == "loop") {
                    return found;
                }
                // `loop.index` and its like.
                let counted = match attribute.name {
                    "depth" | "depth0" | "index" | "index0" | "length" | "revindex"
                    | "revindex0" => Guess::number(self.rounds.last().copied()),
                    _ => Guess::size(self.worst),
                };
                // A value of that name may be meant, or be hidden by the loop.
                return if self.names.contains_key("loop") {
                    self.looking.either(&found, &counted)
                } else {
                    counted
                };
            }
            Node::GetItem(item) => {
                self.guess(&item.subscript_expr);
                let inner = self.guess(&item.expr);
                if inner.values.is_none() {
                    // One that is computed item by item goes through all before.
                    self.weigh(inner.size);
                }
                return self.looking.part(&inner, Part::Inside);
            }
            Node::IfExpr(choice) => {
                self.guess(&choice.test_expr);
                let yes = self.guess(&choice.true_expr);
                // Without another there is nothing, and nothing can be made of it.
                let Some(no) = &choice.false_expr else { return yes };
                let no = self.guess(no);
                return self.looking.either(&yes, &no);
            }
            Node::UnaryOp(operation) => {
                let inner = self.guess(&operation.expr);
                return match operation.op {
                    UnaryOpKind::Neg => Guess::number(inner.most),
                    UnaryOpKind::Not => Guess::size(16),
                };
            }
            Node::BinOp(operation) => {
                let (left, right) = (self.guess(&operation.left), self.guess(&operation.right));
                let numbers = left.is_number && right.is_number;
                let both = left.size.saturating_add(right.size);
                match operation.op {
                    BinOpKind::ScAnd | BinOpKind::ScOr => {
                        return self.looking.either(&left, &right);
                    }
                    // Numbers are written out.
                    BinOpKind::Concat => self.weigh(both.saturating_add(2 * WRITTEN)),
                    operation if numbers => {
                        return Guess::number(computed(operation, left.most, right.most));
                    }
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
                if self.is_range(call) { 16 * LONGEST_RANGE } else { self.weigh(size) }
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
            "abs" | "float" | "round" => return Guess::number(inner.most),
            // It may be told what to give of something else.
            "int" => {
                return Guess::number(inner.most.filter(|_| filter.args.is_empty()));
            }
            "d" | "default" => {
                if let Some(CallArg::Pos(other)) = filter.args.first() {
                    let other = self.guess(other);
                    let is_missing =
                        |name: &str| name != "loop" && !self.names.contains_key(name);
                    return match &filter.expr {
                        Some(Node::Var(name)) if is_missing(name.id) => other,
                        _ => self.looking.either(&inner, &other),
                    };
                }
            }
            _ => {}
        }
        let is_list = matches!(&filter.expr,
            Some(Node::Filter(before)) if LISTS.contains(&before.name));
        let no_text =
            |values: &Rc<[Jinja]>| values.iter().all(|value| value.as_str().is_none());
        let may_be_text = !is_list && !inner.values.as_ref().is_some_and(no_text);
        let factor = match filter.name {
            // One character is written with up to six.
            "e" | "escape" | "tojson" => 6,
            name if LISTS.contains(&name) && may_be_text => TAKEN_APART,
            _ => 2,
        };
        Guess::size(inner.size.saturating_mul(factor).saturating_add(arguments))
    }
}

/// The largest number that comes of two, without its sign; `None` where nobody can tell, as
/// for what a fraction divides.
fn computed(operation: BinOpKind, left: Option<u64>, right: Option<u64>) -> Option<u64> {
    let (left, right) = left.zip(right)?;
    match operation {
        BinOpKind::Add | BinOpKind::Sub => Some(left.saturating_add(right)),
        BinOpKind::Mul => Some(left.saturating_mul(right)),
        BinOpKind::Rem => Some(right),
        _ => None,
    }
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
