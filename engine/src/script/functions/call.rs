//! What happens around every function of the library: arguments are checked, what is not
//! known yet is refused, secrets stay secret, sizes stay within limits.

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext, Position};

use super::super::budget::{self, Clock};
use super::super::check::{a, accepts};
use super::super::convert::Converter;
use super::super::host::{LONGEST_TEXT, MOST_ITEMS};
use super::super::marks;
use super::super::operators::unknown;
use super::super::parameters::holds_noncharacter;
use super::super::prelude::unknown_inside;
use super::super::session::Session;
use super::super::symbol::{Answer, Handle, Refusal, Symbol, to_dynamic, type_of};
use super::signature::{Kind, Signature};
use super::{Entry, Fault, Run};
use crate::diagnostic::{Code, Diagnostic};
use crate::ephemeral::{Ephemeral, Secrecy};
use crate::expr::{Expr, Function};
use crate::function::holds_secret;
use crate::path::Path;
use crate::schema::Type;
use crate::value::Value;

/// Bytes all calls of a run may read and write. Rhai counts a call as one step, however
/// long it takes.
const MOST_WORK: u64 = 1 << 30;
/// The clock is looked at once in so many bytes.
const LOOK: u64 = 1 << 20;

/// What a function spends beside reading its arguments.
pub(in super::super) struct Meter {
    /// Steps so far, about as long as reading a byte.
    pub(super) steps: usize,
    clock: Clock,
}

impl Meter {
    /// Whether the run has taken all the time it may: what the function gives no longer
    /// matters.
    pub(super) fn is_over(&self) -> bool {
        self.clock.is_over()
    }
}

/// What a function that handles Rhai's values works with.
pub(in super::super) struct Hand<'a> {
    /// The run.
    pub(in super::super) session: &'a Session,
    /// The call.
    pub(in super::super) context: &'a NativeCallContext<'a>,
}

/// Runs one call.
pub(super) fn run(
    session: &Session,
    context: &NativeCallContext<'_>,
    entry: &'static Entry,
    signature: &Signature,
    arguments: Vec<Dynamic>,
) -> Answer<Dynamic> {
    let hand = Hand { session, context };
    let arguments: Vec<Dynamic> = arguments.into_iter().map(Dynamic::flatten).collect();
    match entry.run {
        Run::Items(function) => {
            for (argument, parameter) in arguments.iter().zip(&signature.parameters) {
                hand.shape(argument, parameter.kind, parameter.name)?;
            }
            hand.spend(arguments.iter().map(count).sum::<usize>().saturating_mul(16))?;
            function(&hand, arguments)
        }
        Run::Known(function) => match known(&hand, signature, arguments)? {
            Some(values) => apply(&hand, &values, |values, _| function(values)),
            None => Ok(to_dynamic(Expr::made_of_withheld())),
        },
        Run::Searching(function) => match known(&hand, signature, arguments)? {
            Some(values) => apply(&hand, &values, function),
            None => Ok(to_dynamic(Expr::made_of_withheld())),
        },
        // Which one it is is known: it need not become a value, a resource stays one.
        Run::Later(Function::Choose) if arguments.first().is_some_and(Dynamic::is_bool) => {
            let holds =
                arguments.first().is_some_and(|condition| condition.as_bool() == Ok(true));
            Ok(arguments.into_iter().nth(if holds { 1 } else { 2 }).unwrap_or(Dynamic::UNIT))
        }
        Run::Later(function) => {
            let mut all = Vec::with_capacity(arguments.len());
            for (argument, parameter) in arguments.into_iter().zip(&signature.parameters) {
                let whole = argument.clone();
                let expr = hand.expr(argument)?;
                match (&expr, parameter.kind) {
                    (Expr::Value(value), kind) => hand.fits(value, kind, parameter.name)?,
                    (Expr::List(_), Kind::String | Kind::Text) => {
                        return Err(hand.mismatch(Kind::Text, parameter.name, "a list"));
                    }
                    (Expr::Map(_), Kind::String | Kind::Text) => {
                        return Err(hand.mismatch(Kind::Text, parameter.name, "a map"));
                    }
                    (withheld, Kind::Int | Kind::Number) if withheld.is_withheld() => {}
                    (_, Kind::Int | Kind::Number) => return Err(hand.unknown(&whole)),
                    (Expr::Reference(reference), Kind::Bool) => {
                        let ty = type_of(&hand.session.registry, reference);
                        if let Some(ty) = ty.filter(|ty| !accepts(ty, &Type::Bool)) {
                            return Err(hand.mismatch(Kind::Bool, parameter.name, &a(ty)));
                        }
                    }
                    _ => {}
                }
                all.push(expr);
            }
            let read: usize = all.iter().filter_map(Expr::known).map(bytes).sum();
            hand.spend(read.saturating_add(function.work()))?;
            if let Err(fault) = function.refuses(&all) {
                return Err(hand.fault(Fault::new(fault)));
            }
            Ok(to_dynamic(hand.bounded(Expr::call(function, all))?))
        }
        Run::Elsewhere => Err(hand.fault(Fault::new("BUG: registered elsewhere"))),
    }
}

/// The values of arguments that must be known now; secrets are, unless nobody looked one up:
/// then there is nothing to work on.
fn known(
    hand: &Hand<'_>,
    signature: &Signature,
    arguments: Vec<Dynamic>,
) -> Answer<Option<Vec<Value>>> {
    let mut values = Vec::with_capacity(arguments.len());
    let mut withheld = false;
    for argument in arguments {
        let whole = argument.clone();
        match hand.expr(argument)? {
            Expr::Value(value) => values.push(value),
            expr if expr.is_withheld() && expr.references().is_empty() => withheld = true,
            _ => return Err(hand.unknown(&whole)),
        }
    }
    if withheld {
        return Ok(None);
    }
    for (value, parameter) in values.iter().zip(&signature.parameters) {
        hand.fits(value, parameter.kind, parameter.name)?;
    }
    Ok(Some(values))
}

/// Runs a function on known values. Over a secret its result is secret, and what is wrong
/// is not told in detail.
fn apply(
    hand: &Hand<'_>,
    values: &[Value],
    function: impl Fn(&[Value], &mut Meter) -> Result<Value, Fault>,
) -> Answer<Dynamic> {
    hand.spend(values.iter().map(bytes).sum())?;
    let secrecy = values.iter().map(Value::secrecy).max().unwrap_or_default();
    let mut meter = Meter { steps: 0, clock: hand.session.clock };
    let result = function(values, &mut meter);
    hand.spend(meter.steps)?;
    match result {
        Ok(value) => {
            let value = value.marked(secrecy);
            if holds_noncharacter(&value) {
                let message = "this holds Unicode noncharacters U+FDD0 to U+FDEF";
                return Err(hand.fault(Fault::new(message)));
            }
            hand.spend(bytes(&value))?;
            Ok(to_dynamic(hand.bounded(Expr::Value(value))?))
        }
        Err(_) if secrecy > Secrecy::Open => {
            let message = format!("`{}` does not work on this secret", hand.name());
            Err(hand.refuse(
                Diagnostic::new(Code::LooksIntoSecret, message)
                    .note("why would tell about the secret"),
            ))
        }
        Err(fault) => Err(hand.fault(fault)),
    }
}

/// About how many bytes a value takes.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => 16 + text.len(),
        Value::List(items) => 16 + items.iter().map(bytes).sum::<usize>(),
        Value::Map(entries) => {
            16 + entries.iter().map(|(key, entry)| key.len() + bytes(entry)).sum::<usize>()
        }
        Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => bytes(inner),
        _ => 16,
    }
}

/// Items of a value, inner ones not counted.
fn count(value: &Dynamic) -> usize {
    if let Some(list) = value.read_lock::<Array>() {
        return list.len();
    }
    value.read_lock::<Map>().map_or(1, |map| map.len())
}

/// Items of a value, inner ones counted, and its longest text.
fn extent(value: &Value, items: &mut usize, longest: &mut usize) {
    match value {
        Value::String(text) => *longest = text.len().max(*longest),
        Value::List(list) => {
            *items += list.len();
            for item in list {
                extent(item, items, longest);
            }
        }
        Value::Map(map) => {
            *items += map.len();
            for item in map.values() {
                extent(item, items, longest);
            }
        }
        Value::Secret(inner) | Value::Ephemeral(Ephemeral::Known(inner)) => {
            extent(inner, items, longest);
        }
        _ => {}
    }
}

/// The items of a list; its kind was checked.
pub(super) fn as_list(value: Dynamic) -> Array {
    value.try_cast::<Array>().unwrap_or_default()
}

/// The entries of a map; its kind was checked.
pub(super) fn as_map(value: Dynamic) -> Map {
    value.try_cast::<Map>().unwrap_or_default()
}

impl Hand<'_> {
    /// The name that was called.
    pub(super) fn name(&self) -> &str {
        self.context.fn_name()
    }

    /// A finding at the call.
    pub(super) fn refuse(&self, finding: Diagnostic) -> Box<EvalAltResult> {
        self.session.refuse(finding.at(self.session.span(self.context)))
    }

    /// A fault at the call.
    pub(super) fn fault(&self, fault: Fault) -> Box<EvalAltResult> {
        let finding = Diagnostic::new(Code::FunctionFailed, fault.message);
        self.refuse(match fault.hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        })
    }

    /// The refusal of a value that is not known, or is secret, itself or deep inside.
    pub(super) fn unknown(&self, value: &Dynamic) -> Box<EvalAltResult> {
        let part = unknown_inside(value, 0).unwrap_or_else(|| value.clone());
        let who = format!("`{}`", self.name());
        self.refuse(unknown(self.session, &part, &who))
    }

    /// The expression of a value.
    pub(super) fn expr(&self, value: Dynamic) -> Answer<Expr> {
        let mut converter = Converter::new(self.session, Path::default());
        let expr = converter.expr(value);
        match converter.troubles.pop() {
            None => Ok(expr),
            Some(trouble) => Err(self.refuse(trouble.finding())),
        }
    }

    /// The value of an argument that is looked into: known and not secret.
    pub(super) fn value(&self, value: &Dynamic) -> Answer<Value> {
        match self.expr(value.clone())? {
            Expr::Value(known) if !holds_secret(&known) => Ok(known),
            _ => Err(self.unknown(value)),
        }
    }

    /// The text of an argument that is looked into.
    pub(super) fn text(&self, value: &Dynamic, what: &str) -> Answer<String> {
        match self.value(value)? {
            Value::String(text) => Ok(text),
            other => {
                let message = format!("{what} must be text, not {}", other.type_name());
                Err(self.fault(Fault::new(message)))
            }
        }
    }

    /// The result of a closure for one item.
    pub(super) fn ask(&self, function: &Dynamic, item: Dynamic) -> Answer<Dynamic> {
        match function.read_lock::<FnPtr>() {
            Some(function) => function.call_within_context(self.context, (item,)),
            None => Err(self.mismatch(Kind::Function, "by", "something else")),
        }
    }

    /// Refuses a list that would have too many items.
    pub(super) fn room(&self, items: usize) -> Answer<()> {
        if items > MOST_ITEMS {
            let message = format!("`{}` would give more than {MOST_ITEMS} items", self.name());
            return Err(self.fault(Fault::new(message)));
        }
        self.spend(items.saturating_mul(16))
    }

    /// Counts what a call reads or writes.
    pub(super) fn spend(&self, bytes: usize) -> Answer<()> {
        let session = self.session;
        let spent = session.work.get().saturating_add(64 + bytes as u64);
        session.work.set(spent);
        if spent > MOST_WORK {
            let words = "functions read and wrote more than";
            let finding = Diagnostic::new(
                Code::Limit,
                format!("{words} {} GiB in this run", MOST_WORK >> 30),
            )
            .hint("a loop may call this one too often: keep its result in a variable");
            return Err(self.end(finding));
        }
        if spent - session.looked.get() >= LOOK {
            session.looked.set(spent);
            if session.clock.is_over() {
                return Err(self.end(budget::too_long()));
            }
        }
        Ok(())
    }

    /// Ends the run here. Not to be caught: a loop would go on.
    fn end(&self, finding: Diagnostic) -> Box<EvalAltResult> {
        let finding = finding.at(self.session.span(self.context));
        let refusal = Dynamic::from(Refusal(self.session.record(finding)));
        EvalAltResult::ErrorTerminated(refusal, Position::NONE).into()
    }

    /// The expression, when it is within the limits of a value.
    fn bounded(&self, expr: Expr) -> Answer<Expr> {
        if let Some(value) = expr.known() {
            let (mut items, mut longest) = (0, 0);
            extent(value, &mut items, &mut longest);
            if longest > LONGEST_TEXT {
                let message = format!("a text is longer than {} MiB", LONGEST_TEXT >> 20);
                return Err(self.fault(Fault::new(message)));
            }
            self.room(items)?;
        }
        Ok(expr)
    }

    fn fits(&self, value: &Value, kind: Kind, name: &str) -> Answer<()> {
        if kind.fits(value) {
            return Ok(());
        }
        let found = match value.reveal() {
            Value::String(_) => "text",
            other => other.type_name(),
        };
        Err(self.mismatch(kind, name, found))
    }

    fn mismatch(&self, kind: Kind, name: &str, found: &str) -> Box<EvalAltResult> {
        let message =
            format!("`{}` takes {} as `{name}`, not {found}", self.name(), kind.words());
        let fault = Fault::new(message);
        self.fault(match kind {
            Kind::String | Kind::Text if found == "a list" || found == "a map" => {
                fault.hint("make text of it first: `json(value)`")
            }
            Kind::String => fault.hint("make text of it first: `value.to_string()`"),
            Kind::List if found != "a map" => fault.hint("put it into a list: `[value]`"),
            _ => fault,
        })
    }

    /// Checks the outermost shape of an argument whose items are not looked at.
    fn shape(&self, value: &Dynamic, kind: Kind, name: &str) -> Answer<()> {
        let is_text =
            || value.as_immutable_string_ref().is_ok_and(|text| !marks::is_marked(&text));
        let fits = match kind {
            Kind::String | Kind::Text => is_text(),
            Kind::Bool => value.is_bool(),
            Kind::Int => value.is_int(),
            Kind::Number => value.is_int() || value.is_float(),
            Kind::List => value.is_array(),
            Kind::Map => value.is_map(),
            Kind::Function => value.is_fnptr(),
            Kind::Any => true,
        };
        if fits {
            return Ok(());
        }
        if value.is::<Symbol>() || value.is::<Handle>() || value.is_string() && !is_text() {
            return Err(self.unknown(value));
        }
        let ty = self.context.engine().map_type_name(value.type_name());
        let found = super::super::errors::type_words(ty);
        Err(self.mismatch(kind, name, if found == "a text" { "text" } else { &found }))
    }
}
