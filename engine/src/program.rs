//! What a script declares: plain data, nothing looked up, nothing decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Sources, Span, did_you_mean};
use crate::expr::{Expr, Reference};
use crate::files::SecretSource;
use crate::limit::Timeouts;
use crate::map::Map;
use crate::normals::Normals;
use crate::path::Path;
use crate::plain_type::PlainType;
use crate::value::Value;

/// A whole stack as declared, in the order of the script.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The stack's name, part of default names and ownership marks.
    pub stack: String,
    /// The environment it was evaluated for; `default` when none was chosen.
    pub environment: String,
    /// Resources and connections, in the order they were declared.
    pub declarations: Vec<Declaration>,
    /// What profiles that are off hold.
    pub dormant: Dormant,
    /// Every profile of the script, and whether it is on.
    pub profiles: BTreeMap<String, bool>,
    /// Parameters the script asked for, in order.
    pub parameters: Vec<Parameter>,
    /// The values of secret parameters. What is declared may hold them only as parts of
    /// longer texts, and a service may repeat just the part.
    pub secrets: Vec<Value>,
    /// Outputs, in order.
    pub outputs: Vec<Output>,
    /// What it discovers, in order.
    pub discoveries: Vec<Discovery>,
    /// Conditions that must hold, in order.
    pub checks: Vec<Check>,
    /// Records that belong to other addresses now, in order.
    pub moves: Vec<Move>,
    /// Records to let go of, with where the script says so.
    pub forgets: BTreeMap<Address, Span>,
    /// The variables of the script that hold connections, or ways into one (`broker.server`).
    pub handles: BTreeMap<Address, String>,
    /// Commands it publishes under names of its own, in order.
    pub commands: Vec<NamedCommand>,
    /// Warnings found on the way.
    pub warnings: Vec<Diagnostic>,
    /// What the script printed, in order; secrets masked, references by name.
    pub messages: Vec<String>,
    /// The text of every script that took part.
    pub sources: Sources,
    /// SHA-256, in hex, of every file read, by path: scripts, imports, data.
    pub digests: BTreeMap<String, String>,
    /// The specs of what it declares in normal form, as far as anybody looked at them.
    pub normals: Normals,
}

/// Resources and connections of profiles that are off: checked, but not planned.
#[derive(Clone, Debug, Default)]
pub struct Dormant {
    /// In the order they were declared.
    pub declarations: Vec<Declaration>,
    /// What they discover while they are on, in order.
    pub discoveries: Vec<Discovery>,
    /// What becomes of what exists of them.
    pub fate: Fate,
}

/// What becomes of resources whose profile is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// They are removed.
    #[default]
    Delete,
    /// They stay as they are, in the state.
    Keep,
    /// They stay, and what runs is stopped.
    Stop,
}

/// Which profiles somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// Every one.
    pub all: bool,
    /// These.
    pub names: BTreeSet<String>,
    /// What becomes of what exists of the others.
    pub dormant: Fate,
}

impl Profiles {
    /// Whether a profile, or one of several alternatives, is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.all || alternatives(name).any(|name| self.names.contains(name))
    }
}

/// Stands between the names of profiles of which one is enough.
pub const OR: char = '|';

/// The profiles of which one is enough.
pub fn alternatives(names: &str) -> impl Iterator<Item = &str> {
    names.split(OR)
}

/// What is said where somebody names a profile that a script does not have.
pub(crate) fn unknown_profile(name: &str, known: &BTreeMap<String, bool>) -> Diagnostic {
    let message = format!("the script has no profile `{name}`");
    let found = Diagnostic::new(Code::UnknownProfile, message);
    match did_you_mean(name, known.keys().map(String::as_str)) {
        Some(meant) => found.hint(format!("did you mean `{meant}`?")),
        None if known.is_empty() => found.note("it has no profiles at all"),
        None => {
            let names: Vec<_> = known.keys().map(|name| format!("`{name}`")).collect();
            found.hint(format!("there are {}", names.join(", ")))
        }
    }
}

/// One declared resource or connection.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Its name in the stack.
    pub address: Address,
    /// The connection it is reached through; `None` for a connection itself.
    pub connection: Option<Address>,
    /// What the script set, `name` and parents included; defaults are not filled in.
    pub attributes: Map<Expr>,
    /// How it is treated.
    pub lifecycle: Arc<Lifecycle>,
    /// Warnings that are meant here and not shown.
    pub allow: BTreeSet<Code>,
    /// Secret attributes, or parts of them, that the script holds in clear, with their text.
    pub clear: Vec<(Path, String)>,
    /// Set when it is only looked up: read, never written, never recorded.
    pub lookup: Option<Lookup>,
    /// Whether it is a connection nobody wrote down, made for those who use it.
    pub implicit: bool,
    /// The outermost profile around it that is off.
    pub off: Option<String>,
    /// The call that declared it.
    pub span: Span,
    /// Where each attribute, or part of one, was written; shared by all that one call made.
    pub spans: Arc<BTreeMap<Path, Span>>,
}

impl Declaration {
    /// Where a part of an attribute was written, or the nearest thing around it.
    pub fn span_of(&self, path: &Path) -> &Span {
        let mut path = path.clone();
        while !path.0.is_empty() {
            if let Some(span) = self.spans.get(&path) {
                return span;
            }
            path.0.pop();
        }
        &self.span
    }
}

/// How something is looked up that is not managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Whether there need be none; its attributes are nothing then.
    pub optional: bool,
}

/// How a resource is treated, whatever its kind.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch people set by name")]
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifecycle {
    /// Declarations it waits for without using a value of theirs.
    pub depends_on: BTreeSet<Address>,
    /// Declarations it waits for until they work: a container until it is healthy.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub after_healthy: BTreeSet<Address>,
    /// When it must be replaced, its successor is made first and takes its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_before_destroy: bool,
    /// A plan that would delete or replace it is an error.
    pub prevent_destroy: bool,
    /// An object of this name that exists already is taken over instead of refused.
    pub adopt: bool,
    /// Parts of the spec that others change: left as they are once the object exists.
    pub ignore_changes: Vec<Path>,
    /// It is made anew when one of these is updated or made anew; a path narrows that to
    /// one attribute.
    pub replace_triggered_by: Vec<Reference>,
    /// When it would be deleted, it is let go of instead.
    pub retain_on_destroy: bool,
    /// The profiles it belongs to, outermost first; where one of several is enough, their
    /// names with [`OR`] between them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Set when it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<Replica>,
    /// How long calls about it may take.
    #[serde(skip_serializing_if = "Timeouts::is_empty")]
    pub timeouts: Timeouts,
}

/// What most resources have.
static PLAIN: LazyLock<Arc<Lifecycle>> = LazyLock::new(Arc::default);

impl Lifecycle {
    /// The same, to be shared by all that carry it: the declaration, its change, the record.
    pub fn shared(self) -> Arc<Self> {
        if self == **PLAIN { PLAIN.clone() } else { Arc::new(self) }
    }

    /// Nothing said: how most resources are treated.
    pub fn plain() -> Arc<Self> {
        PLAIN.clone()
    }

    /// Reads one that may be shared.
    ///
    /// # Errors
    /// What is read is no lifecycle.
    pub(crate) fn read_shared<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Self>, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(Self::shared)
    }
}

/// One of several resources that `replicas` declared together.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Replica {
    /// What the script calls them all.
    pub of: String,
    /// Which one it is, from 1.
    pub number: u32,
}

/// A condition that must hold.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What must be true.
    pub condition: Expr,
    /// What it means when it is not.
    pub message: Expr,
    /// Whether it only warns.
    pub warn: bool,
    /// Where it was declared.
    pub span: Span,
}

/// Names of what exists, asked for before the script runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Its name.
    pub name: String,
    /// What is asked.
    pub question: Question,
    /// The names that stand in until somebody asked.
    pub default: Option<Vec<String>>,
    /// The names that were found; `None` when nobody asked, or asked something else.
    pub known: Option<Vec<String>>,
    /// Where it is asked for first.
    pub span: Span,
}

impl Discovery {
    /// What the script is given.
    pub fn names(&self) -> &[String] {
        self.known.as_ref().or(self.default.as_ref()).map_or(&[], Vec::as_slice)
    }
}

/// What a discovery asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The connection it asks through.
    pub connection: Address,
    /// The kind whose objects are listed.
    pub kind: String,
    /// What they live in: attributes that say so, and the names, from the outside in.
    pub inside: Vec<(String, String)>,
}

impl std::fmt::Display for Question {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} in {}", self.kind, self.connection)?;
        self.inside.iter().try_for_each(|(_, name)| write!(out, "/{name}"))
    }
}

/// A command a stack publishes: `dollop run NAME`.
#[derive(Clone, Debug)]
pub struct NamedCommand {
    /// Its name, after the components it was published in.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// What it runs in.
    pub target: Option<Address>,
    /// Program and arguments; never secret.
    pub words: Vec<Expr>,
    /// Variables beside those of what it runs in.
    pub env: Map<Expr>,
    /// Who runs it; whoever runs everything there when left out.
    pub user: Option<String>,
    /// The folder it starts in.
    pub folder: Option<String>,
    /// Where it is published.
    pub span: Span,
}

impl NamedCommand {
    /// A command of which nothing but its name is known.
    pub fn new(name: String, span: Span) -> Self {
        Self {
            name,
            doc: String::new(),
            target: None,
            words: Vec::new(),
            env: Map::new(),
            user: None,
            folder: None,
            span,
        }
    }
}

/// Records that belong to other addresses now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which ones.
    pub what: Moved,
    /// Where the script says so.
    pub span: Span,
}

/// What is moved, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// One resource or connection, with what lives in it.
    One {
        /// What it was called.
        from: Address,
        /// What it is called.
        to: Address,
    },
    /// Everything in a component, by the names of components from the outermost in; no name
    /// is the top of the stack.
    Component {
        /// What it was called.
        from: Vec<String>,
        /// What it is called.
        to: Vec<String>,
    },
}

impl Move {
    /// What an address is called after this move; `None` when it is another's business.
    pub fn apply(&self, address: &Address) -> Option<Address> {
        match &self.what {
            Moved::One { from, to } => (from == address).then(|| to.clone()),
            Moved::Component { from, to } => {
                let rest = address.components().strip_prefix(from.as_slice())?;
                let components = to.iter().chain(rest).cloned().collect();
                Some(Address::new(components, address.kind(), address.path().to_vec()))
            }
        }
    }
}

/// A parameter a script asked for.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// `string`, `int`, `float`, `bool`, `list`, `map`.
    pub ty: String,
    /// The values allowed; empty when any is.
    pub choices: Vec<Value>,
    /// Whether it is never shown.
    pub secret: bool,
    /// The value when none is given; `None` when it must be given. Marked when secret.
    pub default: Option<Value>,
    /// What to use instead of it; `None` when it is current.
    pub deprecated: Option<String>,
    /// Its value, marked when secret; `None` when it is not set or does not fit.
    pub value: Option<Value>,
    /// Where its value came from: `default`, what [`Given::source`] said, or `not set`.
    pub source: String,
    /// Who else gave a value and was outranked, strongest first.
    pub outranked: Vec<String>,
    /// Where it is asked for.
    pub span: Span,
}

/// A secret kept elsewhere that a script asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInput {
    /// Where it is kept.
    pub source: SecretSource,
    /// Where it is asked for first.
    pub span: Span,
}

/// A value handed to a script from outside.
#[derive(Clone, Debug)]
pub struct Given {
    /// The value; text from a command line or environment is parsed by the declared type.
    pub value: GivenValue,
    /// Where it came from, for messages: ``flag `--param` ``.
    pub source: String,
    /// Who else gave a value and was outranked, strongest first.
    pub outranked: Vec<String>,
    /// Whether it comes from a place that others use too, such as a `.env` file: then it is
    /// no mistake that nobody asks for it.
    pub incidental: bool,
}

impl Given {
    /// A value meant for this script, from one place only.
    pub fn new(value: GivenValue, source: impl Into<String>) -> Self {
        Self { value, source: source.into(), outranked: Vec::new(), incidental: false }
    }
}

/// Text still to be parsed, or a value with a type already.
#[derive(Clone)]
pub enum GivenValue {
    /// From a command line, an environment variable or a `.env` file.
    Text(String),
    /// From a TOML or JSON file.
    Typed(crate::value::Value),
}

/// Never prints the value: it may be secret.
impl std::fmt::Debug for GivenValue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("(given)")
    }
}

/// A value the stack hands out.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// The value; secret when it holds a secret.
    pub value: Expr,
    /// What its value must be, when the script says so.
    pub ty: Option<PlainType>,
    /// What it is.
    pub doc: String,
    /// Why it should not be read any more, which may be empty; `None` when it may.
    pub deprecated: Option<String>,
    /// Where it was declared.
    pub span: Span,
}
