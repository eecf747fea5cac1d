//! One declaration in the making: its attributes, read and checked against the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rhai::{Array, Dynamic, Map};

use super::check::{Checker, unknown_hint};
use super::convert::{Converter, Trouble};
use super::marks;
use super::session::Session;
use super::sources::Call;
use super::symbol::{Answer, Handle, Symbol};
use crate::address::{Address, ParseAddressError};
use crate::diagnostic::{Code, Diagnostic, Severity, did_you_mean};
use crate::expr::{Expr, Reference};
use crate::path::Path;
use crate::program::Lifecycle;
use crate::schema::{Schema, summary};
use crate::value::Value;

/// Keys every attributes map takes; they say how a resource is treated, not what it is.
pub(super) const LIFECYCLE: [&str; 7] = [
    "adopt",
    "allow",
    "depends_on",
    "ignore_changes",
    "prevent_destroy",
    "replace_triggered_by",
    "retain_on_destroy",
];

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
    pub(super) attributes: BTreeMap<String, Expr>,
    pub(super) lifecycle: Lifecycle,
    pub(super) allow: BTreeSet<Code>,
    pub(super) clear: Vec<(Path, String)>,
    /// Attributes the script set, fitting or not.
    given: BTreeSet<String>,
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
            attributes: BTreeMap::new(),
            lifecycle: Lifecycle::default(),
            allow: BTreeSet::new(),
            clear: Vec::new(),
            given: BTreeSet::new(),
            findings: Vec::new(),
        }
    }

    /// Records something wrong at a part of the call.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        let at = self.call.at(&trouble.path);
        self.findings.push(trouble.finding().at(at));
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
            if LIFECYCLE.contains(&key.as_str()) {
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
                let names: Vec<String> =
                    LIFECYCLE.iter().map(|name| (*name).to_owned()).collect();
                unknown_hint(trouble, key, self.schema.spec.keys().chain(&names))
            };
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
            let mut checker = Checker { registry, handles: &handles, troubles };
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
        }
        for trouble in troubles {
            self.trouble(trouble);
        }
    }

    /// Reads a key that says how a resource is treated.
    pub(super) fn lifecycle(&mut self, key: &str, value: Dynamic, path: Path) {
        match key {
            "allow" => return self.allow(value, &path),
            "depends_on" => return self.depends_on(value, &path),
            "ignore_changes" => return self.ignore_changes(value, &path),
            "replace_triggered_by" => return self.replace_triggered_by(value, &path),
            _ => {}
        }
        match value.as_bool() {
            Ok(value) if key == "adopt" => self.lifecycle.adopt = value,
            Ok(value) if key == "retain_on_destroy" => self.lifecycle.retain_on_destroy = value,
            Ok(value) => self.lifecycle.prevent_destroy = value,
            Err(_) => self.trouble(Trouble::new(
                Code::Lifecycle,
                path,
                format!("`{key}` must be a bool"),
            )),
        }
    }

    fn depends_on(&mut self, value: Dynamic, path: &Path) {
        let value = value.flatten();
        let items = if value.is_array() { value.cast::<Array>() } else { vec![value] };
        for (index, item) in items.into_iter().enumerate() {
            match item.flatten().try_cast_result::<Handle>() {
                Ok(handle) => {
                    self.lifecycle.depends_on.insert(handle.0.address.clone());
                }
                // An address as text may name what is declared further down.
                Err(other) => match other.clone().into_string().ok().map(|text| text.parse()) {
                    Some(Ok(address)) => {
                        self.lifecycle.depends_on.insert(address);
                    }
                    Some(Err(error)) => {
                        let error: ParseAddressError = error;
                        self.trouble(Trouble::new(
                            Code::Lifecycle,
                            path.index(index),
                            error.to_string(),
                        ));
                    }
                    None => {
                        let message =
                            "`depends_on` takes a resource, an address or a list of them";
                        let trouble = Trouble::new(Code::Lifecycle, path.index(index), message);
                        self.trouble(if other.is::<Symbol>() {
                            trouble.hint("write the resource itself, without an attribute")
                        } else {
                            trouble
                        });
                    }
                },
            }
        }
    }

    /// One value or a list of them, each with where it stands.
    fn several(value: Dynamic, path: &Path) -> Vec<(Dynamic, Path)> {
        let value = value.flatten();
        let items = if value.is_array() { value.cast::<Array>() } else { vec![value] };
        let items = items.into_iter().enumerate();
        items.map(|(index, item)| (item.flatten(), path.index(index))).collect()
    }

    fn allow(&mut self, value: Dynamic, path: &Path) {
        for (item, at) in Self::several(value, path) {
            let text = item.into_string().unwrap_or_default();
            match text.parse::<Code>() {
                Ok(code) if code.severity() == Severity::Warning => {
                    self.allow.insert(code);
                }
                Ok(code) => {
                    let message = format!("{code} is an error and cannot be allowed");
                    self.trouble(Trouble::new(Code::Lifecycle, at, message));
                }
                Err(_) => {
                    let message = "`allow` takes codes of warnings, such as \"W0105\"";
                    let trouble = Trouble::new(Code::Lifecycle, at, message);
                    self.trouble(match Code::like(&text) {
                        Some(near) => trouble.hint(format!("did you mean \"{near}\"?")),
                        None => trouble.hint("`dollop explain` lists them"),
                    });
                }
            }
        }
    }

    fn ignore_changes(&mut self, value: Dynamic, path: &Path) {
        for (item, at) in Self::several(value, path) {
            let text = item.into_string().ok().filter(|text| !marks::is_marked(text));
            let Some(text) = text else {
                let message = "`ignore_changes` takes paths as text, such as \"labels.team\"";
                self.trouble(Trouble::new(Code::Lifecycle, at, message));
                continue;
            };
            match text.parse::<Path>() {
                Ok(path) if self.schema.spec.contains_key(path.first().unwrap_or_default()) => {
                    self.lifecycle.ignore_changes.push(path);
                }
                Ok(path) => {
                    let name = path.first().unwrap_or_default().to_owned();
                    let known = self.schema.spec.keys().map(String::as_str);
                    let near = did_you_mean(&name, known).map(str::to_owned);
                    let message = format!("`{}` has no attribute `{name}`", self.kind);
                    let trouble = Trouble::new(Code::Lifecycle, at, message);
                    self.trouble(match near {
                        Some(near) => trouble.hint(format!("did you mean `{near}`?")),
                        None => trouble,
                    });
                }
                Err(error) => {
                    self.trouble(Trouble::new(Code::Lifecycle, at, error.to_string()));
                }
            }
        }
    }

    fn replace_triggered_by(&mut self, value: Dynamic, path: &Path) {
        for (item, at) in Self::several(value, path) {
            let reference = match item.try_cast_result::<Handle>() {
                Ok(handle) => {
                    Some(Reference { address: handle.0.address.clone(), path: Path::default() })
                }
                Err(other) => match other.try_cast::<Symbol>().as_ref().map(|s| &*s.0) {
                    Some(Expr::Reference(reference)) => Some(reference.clone()),
                    _ => None,
                },
            };
            match reference {
                Some(reference) => self.lifecycle.replace_triggered_by.push(reference),
                None => {
                    let message = "`replace_triggered_by` takes resources or their attributes";
                    self.trouble(Trouble::new(Code::Lifecycle, at, message));
                }
            }
        }
    }

    /// Says which attributes are missing.
    pub(super) fn require(&mut self) {
        let schema = self.schema;
        for (name, attribute) in &schema.spec {
            let is_there = self.attributes.contains_key(name) || self.given.contains(name);
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

    /// Every attribute as one known value, when all are.
    pub(super) fn known(&self) -> Option<crate::value::Value> {
        let entries = self
            .attributes
            .iter()
            .map(|(name, expr)| Some((name.clone(), expr.known()?.clone())))
            .collect::<Option<_>>()?;
        Some(crate::value::Value::Map(entries))
    }

    /// Points at two declarations of one address.
    pub(super) fn twice(&mut self, address: &Address, other: crate::diagnostic::Span) {
        let message = format!("`{address}` is declared twice");
        let finding = Diagnostic::new(Code::DeclaredTwice, message)
            .at(self.call.span.clone())
            .related(other, "first declared here")
            .hint("give one of them another name");
        self.findings.push(finding);
    }
}
