//! Data that may hold references to values nobody knows yet.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::ephemeral::Secrecy;
use crate::map::Map;
use crate::path::Path;
use crate::value::Value;

/// A value of a resource by name: filled in by the plan or during apply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// Whose value.
    pub address: Address,
    /// Which one, from the attribute's name inwards.
    pub path: Path,
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.address, self.path)
    }
}

/// What can be computed from values that are not known yet. The set is closed, so a plan
/// can be saved, compared and printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// All arguments as one text.
    Concat,
    /// The first argument between the items of the second, a list.
    Join,
    /// The argument as compact JSON text.
    Json,
    /// The argument as text in standard base64.
    Base64,
    /// The argument as text, percent-encoded for use inside a URL.
    UrlEncode,
    /// The argument as indented JSON text.
    JsonPretty,
    /// The argument as YAML text.
    Yaml,
    /// The argument as text in base64 for URLs, without padding.
    Base64Url,
    /// The bytes of the argument as text, in hexadecimal.
    Hex,
    /// The digest of the argument as text, in hexadecimal.
    Sha256,
    /// Likewise.
    Sha512,
    /// Likewise.
    Sha1,
    /// Likewise.
    Md5,
    /// The SHA-256 of the argument as text, in standard base64.
    Sha256Base64,
    /// The SHA-256 of the second argument as text, keyed by the first, in hexadecimal.
    HmacSha256,
    /// The first argument as text, a password, as bcrypt keeps it, with a salt made from the
    /// second.
    Bcrypt,
    /// The first argument as text, with the third in the place of the second.
    Replace,
    /// The argument as text without blanks around it.
    Trim,
    /// The argument as text in capital letters.
    ToUpper,
    /// The argument as text in small letters.
    ToLower,
    /// The argument, a map, as TOML text.
    Toml,
    /// The first argument as text, with the second, a number, of spaces before every line
    /// but the first and empty ones.
    Indent,
    /// The argument as text, as one word for a POSIX shell.
    ShellQuote,
    /// The argument as text, as a name in SQL.
    SqlName,
    /// The argument as text, as a text in SQL.
    SqlText,
    /// The first argument as text, a password, as PostgreSQL stores it, with a salt made from
    /// the second.
    ScramVerifier,
    /// Whether both arguments are the same.
    Eq,
    /// Whether they differ.
    Ne,
    /// Whether the first is less than the second: two numbers or two texts.
    Lt,
    /// Less or the same.
    Le,
    /// More.
    Gt,
    /// More or the same.
    Ge,
    /// Whether a text has a part, a list an item, a map a key.
    Holds,
    /// Whether the second argument, a regular expression, is found in the first.
    Matches,
    /// Whether both arguments are true.
    And,
    /// Whether one is.
    Or,
    /// Whether the argument is false.
    Not,
    /// The first argument that is not nothing.
    Coalesce,
    /// The second argument when the first is true, the third otherwise.
    Choose,
    /// A secret kept elsewhere that nobody looked up: it is there, and nothing is known of it.
    Withheld,
}

/// A value that may hold references.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    /// Known already; never a list or map with unknown parts.
    Value(Value),
    /// A list, some item of which is not known; copies share it, as those of a map do.
    List(Arc<[Expr]>),
    /// A map, some entry of which is not known.
    Map(Map<Expr>),
    /// Not known, and secret once it is.
    Secret(Box<Expr>),
    /// A resource's value.
    Reference(Reference),
    /// Computed from others.
    Call(Function, Arc<[Expr]>),
}

impl Expr {
    /// Nothing.
    pub const NULL: Self = Self::Value(Value::Null);

    /// A reference to one attribute.
    pub fn reference(address: Address, path: Path) -> Self {
        Self::Reference(Reference { address, path })
    }

    /// A secret kept elsewhere, a text, that was not looked up.
    pub(crate) fn withheld() -> Self {
        Self::Call(Function::Withheld, [].into()).secret()
    }

    /// What is made of such secrets, of any type.
    pub(crate) fn made_of_withheld() -> Self {
        Self::Call(Function::Withheld, [Self::NULL].into()).secret()
    }

    /// Whether a part of it is a secret that was not looked up.
    pub(crate) fn is_withheld(&self) -> bool {
        match self {
            Self::Value(_) | Self::Reference(_) => false,
            Self::List(items) => items.iter().any(Self::is_withheld),
            Self::Map(entries) => entries.values().any(Self::is_withheld),
            Self::Secret(inner) => inner.is_withheld(),
            Self::Call(function, arguments) => {
                *function == Function::Withheld || arguments.iter().any(Self::is_withheld)
            }
        }
    }

    /// A list; known when every item is.
    pub fn list(items: Vec<Self>) -> Self {
        match all_known(items) {
            Ok(values) => Self::Value(Value::List(values)),
            Err(items) => Self::List(items.into()),
        }
    }

    /// A map; known when every entry is.
    pub fn map(entries: Map<Self>) -> Self {
        if entries.values().all(|entry| matches!(entry, Self::Value(_))) {
            let known = entries.into_iter().filter_map(|(key, entry)| match entry {
                Self::Value(value) => Some((key, value)),
                _ => None,
            });
            return Self::Value(Value::Map(known.collect()));
        }
        Self::Map(entries)
    }

    /// The same, marked secret.
    pub fn secret(self) -> Self {
        match self {
            Self::Value(value) => Self::Value(value.secret()),
            Self::Secret(_) => self,
            other => Self::Secret(Box::new(other)),
        }
    }

    /// The same with that mark. What is computed later takes it from what is known of it.
    pub fn marked(self, secrecy: Secrecy) -> Self {
        match (self, secrecy) {
            (expr, Secrecy::Open) => expr,
            (expr, Secrecy::Secret) => expr.secret(),
            (Self::Value(value), Secrecy::Ephemeral) => Self::Value(value.ephemeral()),
            (Self::List(items), Secrecy::Ephemeral) => {
                Self::list(items.iter().map(|item| item.clone().marked(secrecy)).collect())
            }
            (Self::Map(entries), Secrecy::Ephemeral) => {
                let entries = entries.into_iter();
                Self::map(entries.map(|(key, item)| (key, item.marked(secrecy))).collect())
            }
            (Self::Call(function, arguments), Secrecy::Ephemeral) => {
                let arguments = arguments.iter().map(|item| item.clone().marked(secrecy));
                Self::call(function, arguments.collect()).secret()
            }
            (Self::Secret(inner), Secrecy::Ephemeral) => inner.marked(secrecy).secret(),
            (reference @ Self::Reference(_), Secrecy::Ephemeral) => reference.secret(),
        }
    }

    /// How far it, or a part of it, may travel, as far as is known.
    pub fn secrecy(&self) -> Secrecy {
        let most = |items: &mut dyn Iterator<Item = &Self>| {
            items.map(Self::secrecy).max().unwrap_or_default()
        };
        match self {
            Self::Value(value) => value.secrecy(),
            Self::List(items) | Self::Call(_, items) => most(&mut items.iter()),
            Self::Map(entries) => most(&mut entries.values()),
            Self::Secret(inner) => inner.secrecy().max(Secrecy::Secret),
            Self::Reference(_) => Secrecy::Open,
        }
    }

    /// A computed value; computed at once when the arguments are known. What they say nothing
    /// about stays a call, and [`undecided`](Self::undecided).
    pub fn call(function: Function, arguments: Vec<Self>) -> Self {
        let arguments = match function.picked(arguments) {
            Ok(picked) => return picked,
            Err(arguments) => arguments,
        };
        match all_known(arguments) {
            Ok(values) => match function.apply(&values) {
                Some(value) => Self::Value(value),
                None => Self::Call(function, values.into_iter().map(Self::Value).collect()),
            },
            Err(arguments) => Self::Call(function, arguments.into()),
        }
    }

    /// The value, when nothing in it is unknown.
    pub fn known(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it may turn out to be nothing.
    pub(crate) fn may_be_nothing(&self) -> bool {
        match self {
            Self::Value(value) => *value.reveal() == Value::Null,
            Self::List(_) | Self::Map(_) => false,
            Self::Secret(inner) => inner.may_be_nothing(),
            Self::Reference(_) => true,
            Self::Call(function, arguments) => function
                .alternatives(arguments)
                .is_some_and(|among| among.iter().any(Self::may_be_nothing)),
        }
    }

    /// Calls `visit` with every reference in it.
    pub fn each_reference<'a>(&'a self, visit: &mut impl FnMut(&'a Reference)) {
        match self {
            Self::Value(_) => {}
            Self::List(items) | Self::Call(_, items) => {
                for item in items.iter() {
                    item.each_reference(visit);
                }
            }
            Self::Map(entries) => {
                for item in entries.values() {
                    item.each_reference(visit);
                }
            }
            Self::Secret(inner) => inner.each_reference(visit),
            Self::Reference(reference) => visit(reference),
        }
    }

    /// Calls `visit` with every reference in it and the item or entry it stands in; `at` is
    /// where the expression itself stands.
    pub fn each_reference_at<'a>(
        &'a self,
        at: &Path,
        visit: &mut impl FnMut(&Path, &'a Reference),
    ) {
        // Most entries are plain values, which are not worth a path.
        let is_plain = |entry: &Self| matches!(entry, Self::Value(_));
        match self {
            Self::Map(entries) => {
                for (key, entry) in entries.iter().filter(|(_, entry)| !is_plain(entry)) {
                    entry.each_reference_at(&at.key(key), visit);
                }
            }
            Self::List(items) => {
                let items = items.iter().enumerate().filter(|(_, item)| !is_plain(item));
                for (index, item) in items {
                    item.each_reference_at(&at.index(index), visit);
                }
            }
            other => other.each_reference(&mut |reference| visit(at, reference)),
        }
    }

    /// The references in it, each once, in order.
    pub fn references(&self) -> BTreeSet<&Reference> {
        let mut found = BTreeSet::new();
        self.each_reference(&mut |reference| {
            found.insert(reference);
        });
        found
    }

    /// Calls `visit` with every secret text in it.
    pub fn each_secret<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        match self {
            Self::Value(value) => value.each_secret(visit),
            Self::List(items) | Self::Call(_, items) => {
                for item in items.iter() {
                    item.each_secret(visit);
                }
            }
            Self::Map(entries) => {
                for item in entries.values() {
                    item.each_secret(visit);
                }
            }
            Self::Secret(inner) => inner.each_secret(visit),
            Self::Reference(_) => {}
        }
    }

    /// The value of one entry of a map, where that is known.
    pub(crate) fn known_entry(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.get(name)?.known(),
            other => other.known()?.get(name),
        }
    }

    /// Whether it is, or will be, secret as a whole.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Value(value) => value.is_secret(),
            Self::Secret(_) => true,
            // Text made of lists and maps holds what is anywhere in them.
            Self::Call(_, arguments) => {
                arguments.iter().any(|argument| argument.secrecy() > Secrecy::Open)
            }
            _ => false,
        }
    }

    /// Fills in what `lookup` knows.
    ///
    /// `lookup` may answer with another expression (the declared value of an attribute,
    /// itself holding references); it is resolved in turn.
    pub fn resolve(&self, lookup: &impl Fn(&Reference) -> Option<Self>) -> Self {
        self.resolved(lookup).unwrap_or_else(|| self.clone())
    }

    /// The same where a reference in it has a value by now; nothing where it stays as it is, so
    /// that it need not be built again.
    fn resolved(&self, lookup: &impl Fn(&Reference) -> Option<Self>) -> Option<Self> {
        // What comes first and stays is copied only once something else has changed.
        let all = |items: &[Self]| {
            let (first, value) = items
                .iter()
                .enumerate()
                .find_map(|(index, item)| Some((index, item.resolved(lookup)?)))?;
            let rest = items[first + 1..].iter().map(|item| item.resolve(lookup));
            Some(items[..first].iter().cloned().chain([value]).chain(rest).collect())
        };
        match self {
            Self::Value(_) => None,
            Self::List(items) => all(items).map(Self::list),
            Self::Map(entries) => {
                let mut filled: Option<Map<Self>> = None;
                for (key, entry) in entries {
                    if let Some(entry) = entry.resolved(lookup) {
                        let filled = filled.get_or_insert_with(|| entries.clone());
                        filled.insert(key.clone(), entry);
                    }
                }
                filled.map(Self::map)
            }
            Self::Secret(inner) => inner.resolved(lookup).map(Self::secret),
            Self::Reference(reference) => lookup(reference).map(|found| found.resolve(lookup)),
            Self::Call(function, arguments) => {
                all(arguments).map(|arguments| Self::call(*function, arguments))
            }
        }
    }

    /// The entries of a map with what `lookup` knows filled in, which is told for which entry;
    /// where it knows nothing, the very same map.
    pub(crate) fn filled(
        entries: &Map<Self>,
        lookup: &impl Fn(&str, &Reference) -> Option<Self>,
    ) -> Map<Self> {
        let mut filled = entries.clone();
        for (name, entry) in entries.iter().filter(|(_, entry)| entry.known().is_none()) {
            if let Some(value) = entry.resolved(&|reference| lookup(name, reference)) {
                filled.insert(name.clone(), value);
            }
        }
        filled
    }

    /// The same with another value at a path, or without one. Where the way there is not
    /// known, nothing changes.
    pub fn replaced(&self, path: &Path, by: Option<Value>) -> Self {
        use crate::path::Segment;
        let Some((first, rest)) = path.0.split_first() else {
            return by.map_or(Self::NULL, Self::Value);
        };
        let rest = Path(rest.to_vec());
        match (self, first) {
            (Self::Value(Value::Map(_)) | Self::Map(_), Segment::Key(key)) => {
                let mut entries = match self {
                    Self::Map(entries) => entries.clone(),
                    Self::Value(Value::Map(entries)) => entries
                        .iter()
                        .map(|(key, value)| (key.clone(), Self::Value(value.clone())))
                        .collect(),
                    _ => Map::new(),
                };
                match entries.get(key) {
                    Some(inner) if !rest.0.is_empty() => {
                        let inner = inner.replaced(&rest, by);
                        entries.insert(key.clone(), inner);
                    }
                    None if !rest.0.is_empty() => return self.clone(),
                    _ => {
                        match by {
                            Some(value) => entries.insert(key.clone(), Self::Value(value)),
                            None => entries.remove(key),
                        };
                    }
                }
                Self::map(entries)
            }
            (Self::Value(Value::List(items)), Segment::Index(index))
                if *index < items.len() =>
            {
                let items = items.iter().enumerate().map(|(at, item)| {
                    let item = Self::Value(item.clone());
                    if at == *index { item.replaced(&rest, by.clone()) } else { item }
                });
                Self::list(items.collect())
            }
            _ => self.clone(),
        }
    }

    /// Follows a path as far as the structure is known; a reference met on the way is
    /// continued with the rest of the path.
    pub fn follow(&self, path: &Path) -> Option<Self> {
        use crate::path::Segment;
        let Some((first, rest)) = path.0.split_first() else {
            return Some(self.clone());
        };
        let rest = Path(rest.to_vec());
        match (self, first) {
            (Self::Value(value), _) => path.follow(value).map(Self::Value),
            (Self::Map(entries), Segment::Key(key)) => entries.get(key)?.follow(&rest),
            (Self::List(items), Segment::Index(index)) => items.get(*index)?.follow(&rest),
            (Self::Secret(inner), _) => inner.follow(path).map(Self::secret),
            (Self::Reference(reference), _) => {
                let mut longer = reference.clone();
                longer.path.0.extend(path.0.iter().cloned());
                Some(Self::Reference(longer))
            }
            (Self::Call(Function::Choose, arguments), _) => match &**arguments {
                [condition, yes, no] => {
                    let parts = vec![condition.clone(), yes.follow(path)?, no.follow(path)?];
                    Some(Self::call(Function::Choose, parts))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a path may lead somewhere, also where nobody can follow it yet: through one of
    /// several values of which it is not known which one it is.
    pub(crate) fn may_hold(&self, path: &Path) -> bool {
        use crate::path::Segment;
        let Some((first, rest)) = path.0.split_first() else { return true };
        let rest = Path(rest.to_vec());
        match (self, first) {
            (Self::Value(value), _) => path.follow(value).is_some(),
            (Self::Map(entries), Segment::Key(key)) => {
                entries.get(key).is_some_and(|entry| entry.may_hold(&rest))
            }
            (Self::List(items), Segment::Index(index)) => {
                items.get(*index).is_some_and(|item| item.may_hold(&rest))
            }
            (Self::Secret(inner), _) => inner.may_hold(path),
            (Self::Reference(_) | Self::Call(Function::Withheld, _), _) => true,
            (Self::Call(function, arguments), _) => function
                .alternatives(arguments)
                .is_some_and(|among| among.iter().any(|one| one.may_hold(path))),
            _ => false,
        }
    }
}

/// The values, or the expressions back when one is not known.
fn all_known(items: Vec<Expr>) -> Result<Vec<Value>, Vec<Expr>> {
    if items.iter().any(|item| !matches!(item, Expr::Value(_))) {
        return Err(items);
    }
    Ok(items
        .into_iter()
        .filter_map(|item| match item {
            Expr::Value(value) => Some(value),
            _ => None,
        })
        .collect())
}

impl From<Value> for Expr {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// For people and logs: references by name in `<…>`, secrets masked.
impl fmt::Display for Expr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(out, "{value}"),
            Self::Reference(reference) => write!(out, "<{reference}>"),
            Self::Secret(_) => out.write_str("(sensitive)"),
            Self::List(items) => {
                out.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(out, "{comma}{item}")?;
                }
                out.write_str("]")
            }
            Self::Map(entries) => {
                out.write_str("{")?;
                for (index, (key, item)) in entries.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(out, "{comma}{key}: {item}")?;
                }
                out.write_str("}")
            }
            Self::Call(..) if self.is_secret() => out.write_str("(sensitive)"),
            Self::Call(Function::Concat, parts) => {
                for part in parts.iter() {
                    match part {
                        Self::Value(Value::String(text)) => out.write_str(text)?,
                        other => write!(out, "{other}")?,
                    }
                }
                Ok(())
            }
            Self::Call(_, _) => out.write_str("(computed)"),
        }
    }
}

/// The same as `Display`, so that a stray `{:?}` cannot print a secret.
impl fmt::Debug for Expr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
