//! One run of a script: what it may look at, and what it has said so far.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rhai::{Dynamic, EvalAltResult, NativeCallContext, Position};
use sha2::{Digest, Sha256};

use super::budget::Clock;
use super::discover::Answers;
use super::growth::Growth;
use super::onward::{Alone, Behind, Loop};
use super::ours::Reading;
use super::parameters::Asked;
use super::sources::{Call, Source};
use super::symbol::{Answer, Refusal};
use super::{Request, known_secrets, marks};
use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic, Severity, Span};
use crate::expr::Expr;
use crate::files::{FileDigest, FileError, SecretSource};
use crate::kind::Registry;
use crate::normals::Normals;
use crate::program::{
    Check, Declaration, Discovery, Given, Move, NamedCommand, Output, Profiles, Program,
    SecretInput,
};
use crate::redact::{Redactor, Secrets};
use crate::value::Value;

/// The way to the project's files: asks the thread that holds them.
pub(super) struct Door {
    /// Carries questions there.
    pub(super) ask: Box<dyn Fn(Ask) + Send>,
    /// Carries text back, or the paths of a folder.
    pub(super) answers: Receiver<Result<Found, FileError>>,
}

/// A question about the project's files, or about the world.
pub(super) enum Ask {
    /// The text of a file.
    Read(String),
    /// The bytes of a file, whatever they are.
    Bytes(String),
    /// The digest of a file, of whatever bytes.
    Digest(String),
    /// The files of a folder.
    List(String),
    /// A secret kept elsewhere.
    Secret(SecretSource),
    /// What the world has, of a script that declared this much.
    Discover(Box<(Discovery, Program)>),
    /// What the world had when somebody last asked.
    Recorded(Box<Discovery>),
    /// No question: a connection that something lives behind, and its spec.
    Connects(Box<(Address, Value)>),
}

/// The answer to one.
pub(super) enum Found {
    /// To [`Ask::Read`].
    Text(Arc<str>),
    /// To [`Ask::Bytes`].
    Bytes(Arc<[u8]>),
    /// To [`Ask::Digest`].
    Digest(FileDigest),
    /// To [`Ask::List`].
    Paths(Vec<String>),
    /// To [`Ask::Secret`].
    Secret(Option<Arc<str>>),
    /// To [`Ask::Discover`] and [`Ask::Recorded`].
    Names(Option<Vec<String>>),
}

impl Ask {
    /// Puts the question to the files, or to whoever asks the world; what is none has no answer.
    pub(super) fn answer(self, request: &Request<'_>) -> Option<Result<Found, FileError>> {
        let Request { files, discoverer, .. } = request;
        Some(match self {
            Self::Connects(connection) => {
                let (address, spec) = *connection;
                request.told.inspect(|told| told(address, spec));
                return None;
            }
            Self::Read(path) => files.read(&path).map(Found::Text),
            Self::Bytes(path) => files.bytes(&path).map(Found::Bytes),
            Self::Digest(path) => files.digest(&path).map(Found::Digest),
            Self::List(folder) => files.list(&folder).map(Found::Paths),
            Self::Secret(source) => files.secret(&source).map(Found::Secret),
            Self::Discover(asked) => {
                let (discovery, so_far) = *asked;
                let names = discoverer.and_then(|one| one.discover(&discovery, so_far));
                Ok(Found::Names(names))
            }
            Self::Recorded(discovery) => {
                Ok(Found::Names(discoverer.and_then(|one| one.recorded(&discovery))))
            }
        })
    }
}

impl Door {
    fn ask(&self, path: &str, ask: Ask) -> Result<Found, FileError> {
        let gone = || FileError::Unreadable {
            path: path.to_owned(),
            cause: "the files are gone".to_owned(),
        };
        (self.ask)(ask);
        self.answers.recv().map_err(|_| gone())?
    }

    /// Says something that has no answer; whoever is gone need not hear it.
    fn tell(&self, what: Ask) {
        (self.ask)(what);
    }
}

/// Everything one run shares between its functions.
pub(super) struct Session {
    /// The stack's name.
    pub(super) stack: String,
    /// The environment that is chosen.
    pub(super) environment: String,
    /// What can be declared.
    pub(super) registry: Registry,
    /// Parameters from outside.
    pub(super) given: BTreeMap<String, Given>,
    /// The project's files.
    pub(super) files: Rc<Door>,
    /// Scripts read so far, by path.
    pub(super) sources: RefCell<BTreeMap<Arc<str>, Rc<Source>>>,
    /// SHA-256 of every file read.
    pub(super) digests: RefCell<BTreeMap<String, String>>,
    /// What markers in text stand for.
    marks: RefCell<Vec<Rc<Expr>>>,
    /// Everything found wrong.
    pub(super) ledger: RefCell<Vec<Diagnostic>>,
    /// How many findings there were when the first parameter was bad.
    pub(super) sound: Cell<Option<usize>>,
    /// Findings that are about parameters.
    pub(super) about_parameters: RefCell<Vec<usize>>,
    /// Those of them that only say that one is not set.
    pub(super) not_set: RefCell<Vec<usize>>,
    /// A finding to stop at, to learn the calls that led to it.
    pub(super) stop_at: Option<usize>,
    /// Declarations in order, and where each address is among them.
    pub(super) declarations: RefCell<Vec<Declaration>>,
    /// Their specs in normal form, of those that are known as a whole.
    pub(super) normals: Normals,
    /// Where each address stands in `declarations`.
    pub(super) positions: RefCell<HashMap<Address, usize>>,
    /// Whether somebody is told of connections.
    pub(super) telling: bool,
    /// The connections that may be told of once something lives behind them, with their specs.
    pub(super) untold: RefCell<BTreeMap<Address, Value>>,
    /// The components the script is in, outermost first.
    pub(super) components: RefCell<Vec<String>>,
    /// The profiles somebody asks for.
    pub(super) chosen: Profiles,
    /// The profiles the script is in, outermost first.
    pub(super) inside: RefCell<Vec<String>>,
    /// Every profile met, and whether it is on.
    pub(super) profiles: RefCell<BTreeMap<String, bool>>,
    /// Whether a profile that is off goes on with a placeholder for a parameter.
    pub(super) guessing: Cell<bool>,
    /// Parameters asked for, in order.
    pub(super) parameters: RefCell<Vec<Asked>>,
    /// Secrets kept elsewhere that were asked for, in order, each once, with its value.
    pub(super) secrets: RefCell<Vec<(SecretInput, Option<Value>)>>,
    /// Takes them out of findings, with the number of those it knows.
    redactor: RefCell<(usize, Redactor)>,
    /// Outputs, in order.
    pub(super) outputs: RefCell<Vec<Output>>,
    /// Where each output is among them.
    pub(super) output_places: RefCell<HashMap<String, usize>>,
    /// Conditions that must hold, in order.
    pub(super) checks: RefCell<Vec<Check>>,
    /// Records that belong to other addresses now.
    pub(super) moves: RefCell<Vec<Move>>,
    /// Records to let go of.
    pub(super) forgets: RefCell<BTreeMap<Address, Span>>,
    /// The variables that hold connections at the end.
    pub(super) handles: RefCell<BTreeMap<Address, String>>,
    /// Commands it publishes, in order.
    pub(super) commands: RefCell<Vec<NamedCommand>>,
    /// What the script printed.
    pub(super) messages: RefCell<Vec<String>>,
    /// The script that is being read.
    pub(super) reading: RefCell<Option<Reading>>,
    /// The functions that the scripts read so far define.
    pub(super) defined: RefCell<BTreeSet<String>>,
    /// The last function that was not found, with the kind it was called on.
    pub(super) missing: RefCell<Option<(String, &'static str)>>,
    /// What was last called in vain with a value that is not known, or secret, and the value.
    pub(super) looked_into: RefCell<Option<(String, Dynamic)>>,
    /// What the script discovers, in order.
    pub(super) discoveries: RefCell<Vec<Discovery>>,
    /// What profiles that are off would discover.
    pub(super) dormant_discoveries: RefCell<Vec<Discovery>>,
    /// The answers that are recorded, once they are read.
    pub(super) answers: RefCell<Option<Answers>>,
    /// Whether somebody asks the world what the script discovers.
    pub(super) discovering: bool,
    /// Whether the run ended at a question without an answer.
    pub(super) stopped: Cell<bool>,
    /// Whether parts of the script were not run, or not to their end.
    pub(super) left_out: Cell<bool>,
    /// The last finding of a run that has found enough.
    pub(super) enough: Cell<Option<usize>>,
    /// Whether this run goes on inside blocks, behind errors the first one met.
    pub(super) going_on: bool,
    /// The imported scripts at the top of which the first one met them.
    pub(super) failing: BTreeSet<String>,
    /// The imported scripts at the top of which this run meets errors.
    pub(super) failed_modules: RefCell<BTreeSet<String>>,
    /// The loops such a run is in, outermost first.
    pub(super) loops: RefCell<Vec<Loop>>,
    /// What failed in blocks that were left by `continue`, for whatever is around them.
    pub(super) carried: RefCell<Option<Behind>>,
    /// The statements of blocks that were run one by one.
    pub(super) alone: Alone,
    /// How many statements are running that try something.
    pub(super) trying: Cell<usize>,
    /// How many findings there were when the last statement of the top ended.
    pub(super) closed: Cell<usize>,
    /// Lists and maps that grow by assigning to their entries.
    pub(super) growth: Growth,
    /// Bytes of what the script printed.
    printed: Cell<usize>,
    /// Bytes the function library read and wrote.
    pub(super) work: Cell<u64>,
    /// The same when the clock was last looked at.
    pub(super) looked: Cell<u64>,
    /// How long the run takes.
    pub(super) clock: Clock,
}

/// Printed lines beyond these are dropped: nobody reads them, and a loop must not fill
/// memory with them.
const MOST_MESSAGES: usize = 10_000;
/// Bytes of all printed lines; what goes beyond is dropped as well.
const MOST_PRINTED: usize = 1 << 20;
/// Resources and connections of a run: state and plans are made for a tenth of that.
pub(super) const MOST_DECLARED: usize = 100_000;
/// Outputs of a run.
pub(super) const MOST_OUTPUTS: usize = 10_000;
/// Parameters of a run.
pub(super) const MOST_PARAMETERS: usize = 1_000;
/// After so many findings the run ends.
const MOST_FINDINGS: usize = 1_000;

impl Session {
    /// A run that has said nothing yet.
    pub(super) fn new(
        stack: String,
        environment: String,
        registry: Registry,
        given: BTreeMap<String, Given>,
        chosen: Profiles,
        files: Rc<Door>,
        stop_at: Option<usize>,
    ) -> Self {
        Self {
            stack,
            environment,
            registry,
            given,
            files,
            sources: RefCell::default(),
            digests: RefCell::default(),
            marks: RefCell::default(),
            ledger: RefCell::default(),
            sound: Cell::default(),
            about_parameters: RefCell::default(),
            not_set: RefCell::default(),
            stop_at,
            declarations: RefCell::default(),
            normals: Normals::default(),
            positions: RefCell::default(),
            telling: false,
            untold: RefCell::default(),
            components: RefCell::default(),
            chosen,
            inside: RefCell::default(),
            profiles: RefCell::default(),
            guessing: Cell::default(),
            parameters: RefCell::default(),
            secrets: RefCell::default(),
            redactor: RefCell::default(),
            outputs: RefCell::default(),
            output_places: RefCell::default(),
            checks: RefCell::default(),
            moves: RefCell::default(),
            forgets: RefCell::default(),
            handles: RefCell::default(),
            commands: RefCell::default(),
            messages: RefCell::default(),
            reading: RefCell::default(),
            defined: RefCell::default(),
            missing: RefCell::default(),
            looked_into: RefCell::default(),
            discoveries: RefCell::default(),
            dormant_discoveries: RefCell::default(),
            answers: RefCell::default(),
            discovering: false,
            stopped: Cell::default(),
            left_out: Cell::default(),
            enough: Cell::default(),
            going_on: false,
            failing: BTreeSet::new(),
            failed_modules: RefCell::default(),
            loops: RefCell::default(),
            carried: RefCell::default(),
            alone: Alone::default(),
            trying: Cell::default(),
            closed: Cell::default(),
            growth: Growth::default(),
            printed: Cell::default(),
            work: Cell::default(),
            looked: Cell::default(),
            clock: Clock::start(),
        }
    }

    /// Something lives behind that connection: whoever is told of these is, once.
    pub(super) fn reaches(&self, connection: &Address) {
        let mut untold = self.untold.borrow_mut();
        if !untold.is_empty()
            && let Some(told) = untold.remove_entry(connection)
        {
            self.files.tell(Ask::Connects(Box::new(told)));
        }
    }

    /// Reads a project file and records its digest.
    pub(super) fn read(&self, path: &str) -> Result<Arc<str>, FileError> {
        let Found::Text(text) = self.files.ask(path, Ask::Read(path.to_owned()))? else {
            return Err(FileError::NotText(path.to_owned()));
        };
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        self.digests.borrow_mut().insert(path.to_owned(), digest);
        Ok(text)
    }

    /// The bytes of a project file; records their digest.
    pub(super) fn bytes(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        let Found::Bytes(bytes) = self.files.ask(path, Ask::Bytes(path.to_owned()))? else {
            return Err(FileError::Missing(path.to_owned()));
        };
        let digest = hex::encode(Sha256::digest(&bytes));
        self.digests.borrow_mut().insert(path.to_owned(), digest);
        Ok(bytes)
    }

    /// The digest of a project file, which is recorded. Nothing else of it is looked at.
    pub(super) fn digest(&self, path: &str) -> Result<FileDigest, FileError> {
        let Found::Digest(digest) = self.files.ask(path, Ask::Digest(path.to_owned()))? else {
            return Err(FileError::Missing(path.to_owned()));
        };
        self.digests.borrow_mut().insert(path.to_owned(), hex::encode(digest.sha256));
        Ok(digest)
    }

    /// A secret kept elsewhere. Its digest is not recorded: it would help to guess it.
    pub(super) fn secret(&self, source: &SecretSource) -> Result<Option<Arc<str>>, FileError> {
        let path = source.to_string();
        match self.files.ask(&path, Ask::Secret(source.clone()))? {
            Found::Secret(found) => Ok(found),
            _ => Err(FileError::Missing(path)),
        }
    }

    /// What the world has, as whoever asks it says.
    pub(super) fn discovered_names(
        &self,
        discovery: &Discovery,
        so_far: Program,
    ) -> Option<Vec<String>> {
        self.names(&discovery.name, Ask::Discover(Box::new((discovery.clone(), so_far))))
    }

    /// What the world had when somebody last asked.
    pub(super) fn recorded_names(&self, discovery: &Discovery) -> Option<Vec<String>> {
        self.names(&discovery.name, Ask::Recorded(Box::new(discovery.clone())))
    }

    fn names(&self, name: &str, ask: Ask) -> Option<Vec<String>> {
        match self.files.ask(name, ask) {
            Ok(Found::Names(names)) => names,
            _ => None,
        }
    }

    /// The files of a project folder; records the digest of their names.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let Found::Paths(paths) = self.files.ask(folder, Ask::List(folder.to_owned()))? else {
            return Err(FileError::Missing(folder.to_owned()));
        };
        let digest = hex::encode(Sha256::digest(paths.join("\n").as_bytes()));
        self.digests.borrow_mut().insert(format!("{folder}/"), digest);
        Ok(paths)
    }

    /// The script of that path, when it was read.
    pub(super) fn source(&self, file: &str) -> Option<Rc<Source>> {
        self.sources.borrow().get(file).cloned()
    }

    /// The word at a position of a script.
    pub(super) fn span_at(&self, file: &str, position: Position) -> Option<Span> {
        self.source(file)?.span(position)
    }

    /// Where the script called the function that runs.
    pub(super) fn span(&self, context: &NativeCallContext) -> Option<Span> {
        self.span_at(context.call_source().unwrap_or_default(), context.call_position())
    }

    /// The call in the script's text, with the places of its arguments.
    pub(super) fn call(&self, context: &NativeCallContext) -> Rc<Call> {
        let file = context.call_source().unwrap_or_default();
        let position = context.call_position();
        if let Some(source) = self.source(file) {
            if let Some(call) = source.calls.get(&position) {
                return Rc::clone(call);
            }
            if let Some(span) = source.span(position) {
                return Rc::new(Call { span, spans: Arc::default() });
            }
        }
        // A call without a place in the text: one made by Rhai itself.
        let span = Span { file: file.into(), line: 1, column: 1, length: 1 };
        Rc::new(Call { span, spans: Arc::default() })
    }

    /// Puts a value into the table and returns its marker.
    pub(super) fn mark(&self, expr: Rc<Expr>) -> String {
        marks::mark(self.enter(expr))
    }

    /// The same for a value inside a list or map that is printed.
    pub(super) fn mark_printed(&self, expr: Rc<Expr>) -> String {
        marks::printed(self.enter(expr))
    }

    fn enter(&self, expr: Rc<Expr>) -> usize {
        let mut table = self.marks.borrow_mut();
        // The same value in a row, as in a loop, needs one entry only.
        if !table.last().is_some_and(|last| Rc::ptr_eq(last, &expr)) {
            table.push(expr);
        }
        table.len() - 1
    }

    /// What a marker stands for.
    pub(super) fn marked(&self, index: usize) -> Option<Rc<Expr>> {
        self.marks.borrow().get(index).cloned()
    }

    /// A text for people, markers replaced.
    pub(super) fn show(&self, text: &str) -> String {
        if !marks::is_marked(text) {
            return text.to_owned();
        }
        marks::show(text, &|index| {
            self.marked(index).map_or_else(|| "<?>".to_owned(), |expr| expr.to_string())
        })
    }

    /// Records a finding; the script goes on.
    ///
    /// # Errors
    /// When the run is there to learn which calls led to this one.
    pub(super) fn note(&self, finding: Diagnostic) -> Answer<()> {
        let index = self.record(finding);
        if self.stop_at == Some(index) { Err(Refusal(index).into_error()) } else { Ok(()) }
    }

    /// Refuses one more of something there is a limit for.
    pub(super) fn limit(&self, count: usize, most: usize, what: &str, at: &Span) -> Answer<()> {
        if count < most {
            return Ok(());
        }
        let finding = Diagnostic::new(Code::Limit, format!("more than {most} {what}"))
            .at(at.clone())
            .hint("a loop may never end: check its condition");
        Err(self.refuse(finding))
    }

    /// Records a finding after which the script cannot go on.
    pub(super) fn refuse(&self, finding: Diagnostic) -> Box<EvalAltResult> {
        Refusal(self.record(finding)).into_error()
    }

    /// Records a finding that makes a parameter's value a placeholder; `is_missing` when
    /// there is nothing wrong but that it is not set.
    pub(super) fn note_parameter(&self, finding: Diagnostic, is_missing: bool) -> Answer<()> {
        if self.sound.get().is_none() {
            self.sound.set(Some(self.ledger.borrow().len()));
        }
        let index = self.record(finding);
        self.about_parameters.borrow_mut().push(index);
        if is_missing {
            self.not_set.borrow_mut().push(index);
        }
        if self.stop_at == Some(index) { Err(Refusal(index).into_error()) } else { Ok(()) }
    }

    /// Records a finding about a parameter after which the statement cannot go on.
    pub(super) fn refuse_parameter(&self, finding: Diagnostic) -> Box<EvalAltResult> {
        let index = self.record(finding);
        self.about_parameters.borrow_mut().push(index);
        Refusal(index).into_error()
    }

    /// Writes a finding down and returns its place; the same one twice is one.
    pub(super) fn record(&self, mut finding: Diagnostic) -> usize {
        let texts = finding.notes.iter_mut().chain(&mut finding.hints);
        for text in texts.chain([&mut finding.message, &mut finding.label]) {
            if marks::is_marked(text) {
                *text = self.show(text);
            }
        }
        let finding = self.redactor().clean_finding(finding);
        let mut ledger = self.ledger.borrow_mut();
        let same =
            |known: &Diagnostic| known.span == finding.span && known.message == finding.message;
        // Loops repeat themselves, so the same finding is near the end.
        if let Some(back) = ledger.iter().rev().take(64).position(same) {
            return ledger.len() - 1 - back;
        }
        if ledger.len() < MOST_FINDINGS {
            ledger.push(finding);
        } else {
            self.enough.set(Some(ledger.len() - 1));
        }
        ledger.len() - 1
    }

    /// Knows the secrets that came from outside so far.
    fn redactor(&self) -> Redactor {
        let values = known_secrets(self);
        let mut known = self.redactor.borrow_mut();
        if known.0 != values.len() {
            let mut secrets = Secrets::default();
            for value in &values {
                secrets.add_value(value);
            }
            *known = (values.len(), secrets.redactor());
        }
        known.1.clone()
    }

    /// Whether anything found stops the program.
    pub(super) fn failed(&self) -> bool {
        self.ledger.borrow().iter().any(|finding| finding.severity() == Severity::Error)
    }

    /// Keeps a printed line.
    pub(super) fn print(&self, text: &str) {
        let mut messages = self.messages.borrow_mut();
        let printed = self.printed.get();
        if printed > MOST_PRINTED || messages.len() > MOST_MESSAGES {
            return;
        }
        let shown = self.show(&marks::unescaped(text));
        self.printed.set(printed.saturating_add(shown.len()));
        let fits = self.printed.get() <= MOST_PRINTED && messages.len() < MOST_MESSAGES;
        messages.push(if fits { shown } else { "(more was printed)".to_owned() });
    }
}
