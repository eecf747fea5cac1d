//! The Rhai engine a script runs in: its packages, its limits, the functions of every kind.

use std::rc::Rc;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage,
    BasicMapPackage, BasicMathPackage, BasicStringPackage, LanguageCorePackage, LogicPackage,
    Package,
};
use rhai::{Dynamic, Engine, FuncRegistration, Module, NativeCallContext, OptimizationLevel};

use super::loader::Loader;
use super::session::Session;
use super::symbol::{Answer, Handle};
use super::{
    budget, closures, component, declare, discover, functions, growth, guards, lookup, onward,
    operators, ours, overrides, prelude, profile, secrets, statements, text,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::kind::{Kind, Registry, lookup_of, short_name};
use crate::schema::{Schema, summary};

/// Steps a script may take; a stack of 10,000 resources takes well below a million.
pub(super) const MOST_OPERATIONS: u64 = 50_000_000;
/// Functions calling functions.
pub(super) const DEEPEST_CALLS: usize = 64;
/// Expressions inside expressions.
pub(super) const DEEPEST_EXPRESSIONS: usize = 128;
/// Bytes of one text.
pub(super) const LONGEST_TEXT: usize = 16 << 20;
/// Items of a list and entries of a map, inner ones counted too. Rhai counts them again
/// after every change, so a higher limit would let a short script run for hours.
pub(super) const MOST_ITEMS: usize = 100_000;
/// Imports of a run.
pub(super) const MOST_MODULES: usize = 256;

/// Words Rhai keeps for a future that is not ours: as keys and attributes they are useful
/// (`default: 5`), so they are plain names. `null` and its like stay refused, since nothing
/// is written `()`.
pub(super) const PLAIN_WORDS: [&str; 20] = [
    "async",
    "await",
    "case",
    "default",
    "is",
    "match",
    "new",
    "package",
    "protected",
    "public",
    "shared",
    "spawn",
    "static",
    "super",
    "sync",
    "thread",
    "use",
    "var",
    "with",
    "yield",
];

/// Builds the engine of one run.
pub(super) fn engine(session: &Rc<Session>, entry: &str) -> Engine {
    build(session, entry, Documented::No)
}

/// The same, with what is said about each function of a provider.
pub(super) fn documented(session: &Rc<Session>, entry: &str) -> Engine {
    build(session, entry, Documented::Yes)
}

/// Whether functions are documented: the texts of all kinds are more than a run has to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Documented {
    Yes,
    No,
}

fn build(session: &Rc<Session>, entry: &str, documented: Documented) -> Engine {
    let mut engine = with_packages();
    settings(&mut engine);

    operators::register(&mut engine, session);
    guards::register(&mut engine, session);
    closures::register(&mut engine, session);
    text::register(&mut engine, session);
    prelude::register(&mut engine, session);
    component::register(&mut engine, session);
    profile::register(&mut engine, session);
    overrides::register(&mut engine, session);
    secrets::register(&mut engine, session);
    discover::register(&mut engine, session);
    statements::register(&mut engine, session);
    functions::register(&mut engine, session);
    register_modules(&mut engine, session, documented);
    register_methods(&mut engine, session);
    ours::register(&mut engine, session);
    budget::register(&mut engine, session);
    growth::register(&mut engine, session);
    if session.going_on {
        onward::register(&mut engine, session);
    }

    let here = Rc::clone(session);
    engine.on_print(move |text| here.print(text));
    let here = Rc::clone(session);
    engine.on_debug(move |text, _, _| here.print(text));
    engine.set_module_resolver(Loader::new(Rc::clone(session), entry));
    engine
}

/// An engine with the parts of Rhai's own library that scripts have.
pub(super) fn with_packages() -> Engine {
    let mut engine = Engine::new_raw();
    // Left out: `MoreStringPackage`, which looks into text, clocks, and blobs.
    LanguageCorePackage::new().register_into_engine(&mut engine);
    ArithmeticPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    engine
}

/// An engine that only reads: it says what is well-formed.
pub(super) fn reader() -> Engine {
    let mut engine = Engine::new_raw();
    settings(&mut engine);
    engine
}

fn settings(engine: &mut Engine) {
    engine
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        // Otherwise texts and characters would be compared without asking `operators`.
        .set_fast_operators(false)
        .set_max_operations(MOST_OPERATIONS)
        .set_max_call_levels(DEEPEST_CALLS)
        .set_max_expr_depths(DEEPEST_EXPRESSIONS, DEEPEST_EXPRESSIONS)
        .set_max_string_size(LONGEST_TEXT)
        .set_max_array_size(MOST_ITEMS)
        .set_max_map_size(MOST_ITEMS)
        .set_max_modules(MOST_MODULES)
        .set_max_variables(10_000)
        .set_max_functions(10_000);
    // Folding constants would lose the map literals, and with them attribute positions.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.disable_symbol("eval");
}

/// `docker::container(..)`, one module for each provider.
fn register_modules(engine: &mut Engine, session: &Rc<Session>, documented: Documented) {
    let registry = &session.registry;
    let text = |comments: &dyn Fn() -> Vec<String>| {
        if documented == Documented::Yes { comments() } else { Vec::new() }
    };
    let mut modules = std::collections::BTreeMap::<&str, Module>::new();
    for kind in registry.kinds() {
        let module = modules.entry(provider(kind.name)).or_default();
        let mut resource = |function: &str, said: &[String], declares: Declares| {
            let call = of_kind(
                session,
                kind.name,
                Registry::kind,
                move |here, context, kind, name, attributes| {
                    declares(here, context, kind, None, name, attributes)
                },
            );
            register(module, function, said, call);
        };
        resource(kind.name, &text(&|| comments(&kind.schema)), declare::resource);
        if !kind.traits.only_recorded {
            let said = text(&|| vec![format!("/// {}", looks_up(kind.name))]);
            resource(&lookup_of(kind.name), &said, lookup::lookup);
        }
    }
    for kind in registry.connections() {
        let module = modules.entry(provider(kind.name)).or_default();
        let said = text(&|| comments(&kind.schema));
        let call = of_kind(session, kind.name, Registry::connection_kind, declare::connection);
        register(module, kind.name, &said, call);
    }
    let docs: std::collections::BTreeMap<_, _> = registry.providers().collect();
    for (name, mut module) in modules {
        if let Some(doc) = docs.get(name) {
            module.set_doc(*doc);
        }
        engine.register_static_module(name, module.into());
    }
}

/// What a function does for a kind, on a handle when it is a method.
type Declares = fn(
    &Session,
    &NativeCallContext,
    &Kind,
    Option<&Handle>,
    &Dynamic,
    Dynamic,
) -> Answer<Dynamic>;

/// A function of a module, for the kind of that name.
fn of_kind<K: 'static>(
    session: &Rc<Session>,
    name: &'static str,
    find: for<'r> fn(&'r Registry, &str) -> Option<&'r K>,
    declares: impl Fn(&Session, &NativeCallContext, &K, &Dynamic, Dynamic) -> Answer<Dynamic>
    + Copy
    + 'static,
) -> impl Fn(NativeCallContext, Dynamic, Dynamic) -> Answer<Dynamic> + Clone + 'static {
    let here = Rc::clone(session);
    move |context, first, attributes| match find(&here.registry, name) {
        Some(kind) => declares(&here, &context, kind, &first, attributes),
        None => Err(here.refuse(Diagnostic::new(Code::Internal, format!("`{name}` is gone")))),
    }
}

/// What the documentation of a look-up says.
fn looks_up(kind: &str) -> String {
    format!(
        "Looks up a `{kind}` that exists and is not managed here; with `optional: true` there \
         need be none."
    )
}

fn provider(kind: &str) -> &str {
    kind.split("::").next().unwrap_or(kind)
}

/// Registers the two forms of a function: with attributes and without.
fn register(
    module: &mut Module,
    kind: &str,
    comments: &[String],
    call: impl Fn(NativeCallContext, Dynamic, Dynamic) -> Answer<Dynamic> + Clone + 'static,
) {
    let short = short_name(kind);
    let with = call.clone();
    FuncRegistration::new(short)
        .with_params_info(["name: string", "attributes: map", "resource"])
        .with_comments(comments)
        .set_into_module(
            module,
            move |context: NativeCallContext, name: Dynamic, attributes: Dynamic| {
                with(context, name, attributes)
            },
        );
    FuncRegistration::new(short)
        .with_params_info(["name: string", "resource"])
        .with_comments(comments)
        .set_into_module(module, move |context: NativeCallContext, name: Dynamic| {
            call(context, name, Dynamic::UNIT)
        });
}

/// The documentation of a kind as Rhai keeps it: for editors and the reference.
fn comments(schema: &Schema) -> Vec<String> {
    let mut lines: Vec<String> = schema.doc.lines().map(|line| format!("/// {line}")).collect();
    if !schema.spec.is_empty() {
        lines.extend(["///".to_owned(), "/// Attributes:".to_owned()]);
    }
    for (name, attribute) in &schema.spec {
        let needed = if attribute.required { ", required" } else { "" };
        let words = summary(&attribute.doc);
        lines.push(format!("/// - `{name}` ({}{needed}): {words}", attribute.ty));
    }
    vec![lines.join("\n")]
}

/// `db.role(..)` and `db.role_lookup(..)`: one function for each short name; the handle's
/// kind decides.
fn register_methods(engine: &mut Engine, session: &Rc<Session>) {
    let shorts: std::collections::BTreeSet<&'static str> =
        session.registry.kinds().map(|kind| short_name(kind.name)).collect();
    for short in shorts {
        register_method(engine, session, short, short, declare::resource);
        register_method(engine, session, &lookup_of(short), short, lookup::lookup);
    }
}

/// Registers both forms of a method, under its own name and the one calls are read under.
fn register_method(
    engine: &mut Engine,
    session: &Rc<Session>,
    name: &str,
    short: &'static str,
    declares: Declares,
) {
    let call = move |session: &Session,
                     context: &NativeCallContext,
                     on: &Handle,
                     name: &Dynamic,
                     attributes: Dynamic| {
        let kind = declare::kind_on(session, context, on, short)?;
        declares(session, context, kind, Some(on), name, attributes)
    };
    for name in [name.to_owned(), ours::ours(name)] {
        let here = Rc::clone(session);
        FuncRegistration::new(name.as_str())
            .with_params_info(["on: resource", "name: string", "attributes: map", "resource"])
            .register_into_engine(
                engine,
                move |context: NativeCallContext,
                      on: Handle,
                      name: Dynamic,
                      attributes: Dynamic| {
                    call(&here, &context, &on, &name, attributes)
                },
            );
        let here = Rc::clone(session);
        FuncRegistration::new(name.as_str())
            .with_params_info(["on: resource", "name: string", "resource"])
            .register_into_engine(
                engine,
                move |context: NativeCallContext, on: Handle, name: Dynamic| {
                    call(&here, &context, &on, &name, Dynamic::UNIT)
                },
            );
    }
}

/// Why a script cannot define a function of that name.
pub(super) fn taken(name: &str) -> Option<Diagnostic> {
    prelude::NAMES.contains(&name).then(|| {
        let message = format!("`{name}` is a function of dollop and cannot be defined anew");
        Diagnostic::new(Code::Reserved, message).hint("give yours another name")
    })
}
