//! One declaration in the making: its attributes, read and checked against the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Dynamic, Map};

use super::check::{Checker, unknown_attribute};
use super::convert::{Converter, Trouble};
use super::lifecycle::KEYS;
use super::marks;
use super::session::Session;
use super::sources::Call;
use super::symbol::{Answer, Handle, Symbol};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::expr::Expr;
use crate::path::Path;
use crate::program::Lifecycle;
use crate::redact::Hidden;
use crate::schema::{Schema, summary};
use crate::value::Value;

/// What the script calls something.
pub(super) struct First {
    /// The last part of the address.
    pub(super) text: String,
    /// The handle it was taken from.
    pub(super) handle: Option<Handle>,
}

/// A declaration that is being read.
pub(super) struct Draft<'a> {
    pub(super) session: &'a Session,
    pub(super) call: Rc<Call>,
    pub(super) kind: &'static str,
    pub(super) schema: &'a Schema,
    pub(super) attributes: crate::map::Map<Expr>,
    pub(super) lifecycle: Lifecycle,
    pub(super) allow: BTreeSet<Code>,
    pub(super) clear: Vec<(Path, String)>,
    /// Attributes the script set, fitting or not.
    given: BTreeSet<String>,
    /// Attributes that advice said to write instead of others: they are not missed as well.
    meant: BTreeSet<String>,
    /// Those that do not fit.
    refused: Vec<(String, Expr)>,
    /// Where a list names which address, beside what the call knows.
    pub(super) places: BTreeMap<Path, Span>,
    /// Whether the kind's own rules were applied to the same attributes already.
    pub(super) examined: bool,
    /// What is wrong so far.
    pub(super) findings: Vec<Diagnostic>,
}

impl<'a> Draft<'a> {
    /// An empty one.
    pub(super) fn new(
        session: &'a Session,
        call: Rc<Call>,
        kind: &'static str,
        schema: &'a Schema,
    ) -> Self {
        Self {
            session,
            call,
            kind,
            schema,
            attributes: crate::map::Map::new(),
            lifecycle: Lifecycle::default(),
            allow: BTreeSet::new(),
            clear: Vec::new(),
            given: BTreeSet::new(),
            meant: BTreeSet::new(),
            refused: Vec::new(),
            places: BTreeMap::new(),
            examined: false,
            findings: Vec::new(),
        }
    }

    /// The same once more, with nothing wrong so far.
    pub(super) fn copy(&self) -> Self {
        Self {
            session: self.session,
            call: Rc::clone(&self.call),
            kind: self.kind,
            schema: self.schema,
            attributes: self.attributes.clone(),
            lifecycle: self.lifecycle.clone(),
            allow: self.allow.clone(),
            clear: self.clear.clone(),
            given: self.given.iter().filter(|name| *name != "name").cloned().collect(),
            meant: self.meant.clone(),
            refused: self.refused.clone(),
            places: self.places.clone(),
            examined: self.examined,
            findings: Vec::new(),
        }
    }

    /// Records something wrong at a part of the call.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        let trouble = self.without_secrets(trouble);
        let known = self.places.get(&trouble.path).cloned();
        let at = known.unwrap_or_else(|| self.call.at(&trouble.path));
        self.findings.push(trouble.finding().at(at));
    }

    /// What is wrong, in words that give nothing secret away. Those of a kind do not.
    fn without_secrets(&self, mut trouble: Trouble) -> Trouble {
        if !matches!(trouble.code, Code::AttributeType | Code::NotAChoice) {
            return trouble;
        }
        let about = trouble.path.first();
        let refused = self.refused.iter().filter(|(name, _)| Some(name.as_str()) == about);
        let hidden = Hidden::of(refused.map(|(_, value)| value));
        if hidden.is_told_by(&trouble.message) {
            trouble.message =
                format!("`{}`: {}", trouble.path, hidden.or_nothing(trouble.message));
        }
        trouble.hints.retain(|hint| !hidden.is_told_by(hint));
        trouble
    }

    /// Remembers which item of a list names an address; a list is kept as a set of them.
    pub(super) fn stands(&mut self, list: &Path, address: &Address, item: &Path) {
        if let Some(span) = self.call.spans.get(item) {
            self.places.insert(list.key(address.to_string()), span.clone());
        }
    }

    /// Where everything stands, for the declaration.
    pub(super) fn spans(&mut self) -> Arc<BTreeMap<Path, Span>> {
        if self.places.is_empty() {
            return Arc::clone(&self.call.spans);
        }
        let mut spans = (*self.call.spans).clone();
        spans.append(&mut self.places);
        Arc::new(spans)
    }

    /// Reads the first argument.
    pub(super) fn first(&self, name: &Dynamic) -> Answer<First> {
        let kind = self.kind;
        let at = self.call.at(&Path::attribute("name"));
        let refuse = |code: Code, message: String, hint: &str| {
            Err(self.session.refuse(Diagnostic::new(code, message).at(at.clone()).hint(hint)))
        };
        if let Ok(text) = name.as_immutable_string_ref() {
            if marks::is_marked(&text) {
                let message = format!("the name of a `{kind}` must be known text");
                return refuse(
                    Code::NameNotKnown,
                    message,
                    "a name that is known only later goes into `name:`",
                );
            }
            return Ok(First { text: text.to_string(), handle: None });
        }
        if let Some(handle) = name.read_lock::<Handle>() {
            let text = handle.0.address.name().to_owned();
            return Ok(First { text, handle: Some(handle.clone()) });
        }
        if name.is::<Symbol>() {
            let message = format!("the name of a `{kind}` must be known text");
            return refuse(
                Code::NameNotKnown,
                message,
                "a name that is known only later goes into `name:`",
            );
        }
        let message = format!("the first argument of `{kind}` is its name, a text");
        refuse(
            Code::DeclarationForm,
            message,
            "write the name first, then the attributes in `#{ .. }`",
        )
    }

    /// Reads the attributes.
    pub(super) fn read(&mut self, attributes: Dynamic) -> Answer<()> {
        if attributes.is_unit() {
            return Ok(());
        }
        let attributes = attributes.flatten();
        if !attributes.is_map() {
            let message =
                format!("the second argument of `{}` is a map of attributes", self.kind);
            let finding = Diagnostic::new(Code::DeclarationForm, message)
                .at(self.call.span.clone())
                .hint("write `#{ attribute: value }`");
            return Err(self.session.refuse(finding));
        }
        for (key, value) in attributes.cast::<Map>() {
            let path = Path::attribute(key.as_str());
            if KEYS.contains(&key.as_str()) {
                self.lifecycle(&key, value, path);
            } else {
                self.attribute(&key, value, path);
            }
        }
        Ok(())
    }

    fn attribute(&mut self, key: &str, value: Dynamic, path: Path) {
        let kind = self.kind;
        let Some(attribute) = self.schema.spec.get(key) else {
            let trouble = if marks::is_marked(key) {
                Trouble::new(
                    Code::NameNotKnown,
                    Path::default(),
                    "the name of an attribute must be known text",
                )
            } else if self.schema.facts.contains_key(key) {
                Trouble::new(
                    Code::Reported,
                    path,
                    format!("`{key}` of a `{kind}` is reported, not set"),
                )
            } else {
                let trouble = Trouble::new(
                    Code::UnknownAttribute,
                    path,
                    format!("`{kind}` has no attribute `{key}`"),
                );
                let names: Vec<String> = KEYS.iter().map(|name| (*name).to_owned()).collect();
                let names = self.schema.spec.keys().chain(&names);
                unknown_attribute(&self.session.registry, kind, trouble, key, names)
            };
            let meant = self.schema.spec.keys().filter(|name| trouble.means(name));
            self.meant.extend(meant.cloned());
            return self.trouble(trouble);
        };
        let mut converter = Converter::new(self.session, path.clone());
        let expr = converter.expr(value);
        let (mut troubles, handles) = (converter.troubles, converter.handles);
        if expr == Expr::NULL && troubles.is_empty() {
            // An attribute set to nothing is one left out.
            return;
        }
        self.given.insert(key.to_owned());
        if troubles.is_empty() {
            let registry = &self.session.registry;
            let mut checker = Checker { registry, kind, handles: &handles, troubles };
            checker.attribute(&expr, attribute, &path);
            troubles = checker.troubles;
        }
        if troubles.is_empty() {
            if attribute.secret
                && let Expr::Value(Value::String(text)) = &expr
                && !text.is_empty()
            {
                self.clear.push((path, text.clone()));
            }
            let expr = if attribute.secret { expr.secret() } else { expr };
            self.attributes.insert(key.to_owned(), expr);
        } else {
            self.refused.push((key.to_owned(), expr));
        }
        for trouble in troubles {
            self.trouble(trouble);
        }
    }

    /// Says which attributes are missing.
    pub(super) fn require(&mut self) {
        let schema = self.schema;
        for (name, attribute) in &schema.spec {
            let is_there = self.attributes.contains_key(name)
                || self.given.contains(name)
                || self.meant.contains(name);
            if attribute.required && !is_there {
                let message = format!("`{}` needs `{name}`", self.kind);
                let trouble = Trouble::new(Code::MissingAttribute, Path::default(), message);
                let words = summary(&attribute.doc);
                self.trouble(if words.is_empty() {
                    trouble
                } else {
                    trouble.hint(format!("`{name}`: {words}"))
                });
            }
        }
    }

    /// Whether the script set an attribute, fitting or not.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// Whether every attribute is known.
    pub(super) fn is_known(&self) -> bool {
        self.attributes.values().all(|expr| expr.known().is_some())
    }

    /// The spec as a value, when every attribute is known.
    pub(super) fn known(&self) -> Option<crate::value::Value> {
        let entries = self
            .attributes
            .iter()
            .map(|(name, expr)| Some((name.clone(), expr.known()?.clone())))
            .collect::<Option<_>>()?;
        Some(crate::value::Value::Map(entries))
    }

    /// Points at two declarations of one address.
    pub(super) fn twice(&mut self, address: &Address, other: Span) {
        let message = format!("`{address}` is declared twice");
        let finding = Diagnostic::new(Code::DeclaredTwice, message)
            .at(self.call.span.clone())
            .related(other, "first declared here")
            .hint("give one of them another name");
        self.findings.push(finding);
    }
}
