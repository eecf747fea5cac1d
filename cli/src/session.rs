//! What every command that looks at state or the world shares.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use dollop_engine::analysis::analyse;
use dollop_engine::diagnostic::{Code, Diagnostic, Findings, Severity};
use dollop_engine::ephemeral::Recall;
use dollop_engine::files::Files;
use dollop_engine::graph::{self, Graph};
use dollop_engine::kind::Registry;
use dollop_engine::observed::Observed;
use dollop_engine::plan::{Options, Plan, pin, plan, preview, weigh};
use dollop_engine::pool::Pool;
use dollop_engine::program::{Given, Profiles, Program};
use dollop_engine::redact::{Redactor, Secrets};
use dollop_engine::refresh::refreshed_plan;
use dollop_engine::resource::Scope;
use dollop_engine::script::{self, Discoverer, Inputs, Request, Told};
use dollop_engine::store::{RunInfo, State};
use dollop_state::{Holder, Snapshot, read_state_telling};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::ahead::Ahead;
use crate::args::StackArgs;
use crate::error::{CommandError, Kind};
use crate::parameters::{self, Places};
use crate::project::{Environment, Project, SCRIPT};
use crate::render::json;
use crate::render::text::clean;
use crate::terminal;

/// The folder of a stack's state, beside its script.
pub const STATE: &str = dollop_engine::resource::STATE_FOLDER;

/// The folder of the environments in it.
pub const ENVIRONMENTS: &str = "environments";

/// A stack, what can be declared in it, and the connections opened for it.
pub struct Session {
    /// The stack on disk.
    pub project: Project,
    /// Connections, each opened once.
    pub pool: Arc<Pool>,
    registry: Arc<Registry>,
}

impl Session {
    /// A session for the stack a command line names.
    pub fn new(project: Project) -> Self {
        let registry = Arc::new(dollop_stdlib::registry());
        let scope = Scope { stack: project.stack.clone(), folder: project.folder.clone() };
        let pool = Arc::new(Pool::new(registry.clone(), scope));
        Self { project, pool, registry }
    }

    /// Evaluates the script and orders what it declares; resources may be in each other's way.
    pub fn declared(&self, args: &StackArgs) -> Result<Graph, CommandError> {
        let program = self.with_request(args, script::evaluate)??;
        built(program)
    }

    /// The same while something else runs; `told` is told of connections.
    async fn declared_beside(
        &self,
        args: &StackArgs,
        told: Option<&Told<'_>>,
    ) -> Result<Graph, CommandError> {
        let (given, profiles) = (self.given(args)?, args.profiles());
        let request = self.request(&self.project.files, &given, &profiles);
        built(script::evaluate_beside(&Request { told, ..request }).await?)
    }

    /// What the script wants from outside.
    pub fn inputs(&self, args: &StackArgs) -> Result<Inputs, CommandError> {
        Ok(self.with_request(args, script::inputs)??)
    }

    /// What the script declares when its files are these. It may not know all parameters.
    pub fn evaluated(
        &self,
        args: &StackArgs,
        files: &dyn Files,
    ) -> Result<Program, CommandError> {
        let mut given = self.given(args)?;
        for given in given.values_mut() {
            given.incidental = true;
        }
        Ok(script::evaluate(&self.request(files, &given, &args.profiles()))?)
    }

    /// What the script declares with the answers of whoever asks what it discovers.
    pub fn discovering(
        &self,
        args: &StackArgs,
        discoverer: &dyn Discoverer,
    ) -> Result<Graph, CommandError> {
        let program = self.with_request(args, |request| {
            script::evaluate(&Request { discoverer: Some(discoverer), ..*request })
        })??;
        Ok(graph::build(program)?)
    }

    fn with_request<T>(
        &self,
        args: &StackArgs,
        work: impl FnOnce(&Request<'_>) -> T,
    ) -> Result<T, CommandError> {
        let given = self.given(args)?;
        Ok(work(&self.request(&self.project.files, &given, &args.profiles())))
    }

    fn given(&self, args: &StackArgs) -> Result<BTreeMap<String, Given>, CommandError> {
        parameters::gather(&Places {
            folder: &self.project.folder,
            environment: self.project.environment.name(),
            files: &args.params,
            flags: &args.param,
            variables: std::env::vars_os().collect(),
        })
    }

    fn request<'a>(
        &'a self,
        files: &'a dyn Files,
        parameters: &'a BTreeMap<String, Given>,
        profiles: &'a Profiles,
    ) -> Request<'a> {
        Request {
            stack: &self.project.stack,
            environment: self.project.environment.name(),
            entry: &self.project.entry,
            files,
            registry: &self.registry,
            parameters,
            profiles,
            discoverer: None,
            told: None,
        }
    }

    /// The same, with the analysis: what would surely fail is an error.
    pub fn graph(&self, args: &StackArgs) -> Result<Graph, CommandError> {
        let mut graph = self.declared(args)?;
        let warnings = judged(&graph, self.findings(&graph))?;
        graph.warn(warnings);
        Ok(graph)
    }

    /// The graph without the analysis, and the state: neither needs the other. `opens` has
    /// connections opened meanwhile, on the runtime that is planned on.
    pub fn declared_with_state(
        &self,
        args: &StackArgs,
        runtime: &Runtime,
        opens: bool,
    ) -> Result<(Graph, Snapshot), CommandError> {
        let folder = self.state_folder();
        let (ahead, teller) = Ahead::new(self.pool.clone());
        let telling = teller.clone();
        let declared = async {
            let told = move |address, spec| telling.declared(address, spec);
            let told: Option<&Told<'_>> = if opens { Some(&told) } else { None };
            let graph = self.declared_beside(args, told).await?;
            if opens {
                drop(tokio::spawn(self.pool.clone().open_ahead(&graph)));
            }
            Ok::<_, CommandError>(graph)
        };
        thread::scope(|scope| {
            let (found, snapshot) = oneshot::channel();
            let read = async {
                scope.spawn(|| {
                    let teller = teller;
                    let snapshot = read_state_telling(&folder, &mut |one| teller.recorded(one));
                    if let Ok(snapshot) = &snapshot
                        && opens
                    {
                        teller.remembered(&snapshot.state);
                    }
                    found.send(snapshot).map_err(drop)
                });
                snapshot.await
            };
            runtime.block_on(async {
                let ahead = async {
                    if opens {
                        ahead.run().await;
                    }
                };
                // The script begins first: everything else waits for it.
                let (graph, snapshot, ()) = tokio::join!(declared, read, ahead);
                // Without an answer the reader panicked, which ends this as well.
                let snapshot = snapshot.map_err(|_| CommandError::reported());
                Ok((graph?, snapshot??))
            })
        })
    }

    /// Plans, and analyses while the plan waits for the services; what would surely fail is an
    /// error, whatever is planned.
    pub fn analysed_plan(
        &self,
        runtime: &Runtime,
        graph: &Graph,
        state: &State,
        options: &Options,
    ) -> Result<Plan, CommandError> {
        thread::scope(|scope| {
            let (tell, told) = oneshot::channel();
            // It begins when it is first asked for, and that is when the plan first waits: both
            // work out the same normal forms, and would wait for each other.
            let analysed = async {
                scope.spawn(|| tell.send(self.findings(graph)).map_err(drop));
                told.await.unwrap_or_default()
            };
            runtime.block_on(async {
                let (mut planned, mut analysed) =
                    (pin!(self.plan(graph, state, options)), pin!(analysed));
                let (made, warnings) = tokio::select! {
                    biased;
                    made = &mut planned => (made, judged(graph, analysed.await)?),
                    found = &mut analysed => {
                        let warnings = judged(graph, found)?;
                        (planned.await, warnings)
                    }
                };
                match made {
                    Ok(mut plan) => {
                        // Where the others of the script are.
                        let at = graph.program().warnings.len();
                        plan.warnings.splice(at..at, warnings);
                        Ok(plan)
                    }
                    Err(mut error) => {
                        if let Kind::Findings(findings) = &mut error.kind {
                            findings.diagnostics.extend(warnings);
                        }
                        Err(error)
                    }
                }
            })
        })
    }

    fn findings(&self, graph: &Graph) -> Vec<Diagnostic> {
        let found = analyse(graph, &self.registry, &self.project.files);
        if found.is_empty() {
            return found;
        }
        let redactor = redactor(graph, &State::default());
        found.into_iter().map(|found| redactor.clean_finding(found)).collect()
    }

    /// What a plan would refuse, whatever the world is like: what refers to others is known as
    /// a whole only there.
    ///
    /// # Errors
    /// These findings, and the warnings of the graph.
    pub fn unplannable(&self, graph: &Graph) -> Result<(), CommandError> {
        let options = Options { unrefreshed: true, ..Options::default() };
        let (state, seen) = (State::default(), Observed::default());
        let Err(mut findings) = plan(graph, &state, &seen, &self.registry, &options) else {
            return Ok(());
        };
        findings.diagnostics.extend(graph.program().warnings.iter().cloned());
        Err(redactor(graph, &state).clean_findings(findings).into())
    }

    /// A graph that declares nothing, for a destroy.
    pub fn nothing(&self) -> Result<Graph, CommandError> {
        let program = Program {
            stack: self.project.stack.clone(),
            environment: self.project.environment.name().to_owned(),
            ..Program::default()
        };
        Ok(graph::build(program)?)
    }

    /// Fills in what servers were told and nobody keeps, for a destroy, which asks the script
    /// for nothing else: without it what lives in them cannot be reached.
    pub fn remember(&self, args: &StackArgs, state: &mut State) -> Result<(), CommandError> {
        if Recall::forgets(state) {
            self.project.files.look_up_secrets(true);
            let graph = self.declared(args)?;
            Recall::of(&graph, &self.registry, state).fill_state(state);
        }
        Ok(())
    }

    /// What can be declared.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Where the state is kept.
    pub fn state_folder(&self) -> PathBuf {
        state_folder(&self.project)
    }

    /// Reads the world and plans.
    pub async fn plan(
        &self,
        graph: &Graph,
        state: &State,
        options: &Options,
    ) -> Result<Plan, CommandError> {
        let recall = Recall::of(graph, &self.registry, state);
        let mut recalled = Cow::Borrowed(state);
        if !recall.is_empty() {
            recall.fill_state(recalled.to_mut());
        }
        let state = &*recalled;
        let redactor = redactor(graph, state);
        let refused = |mut findings: Findings| {
            findings.diagnostics.extend(graph.program().warnings.iter().cloned());
            redactor.clean_findings(findings)
        };
        let made = refreshed_plan(graph, state, &self.pool, options).await;
        let mut made = made.map_err(refused)?;
        if !options.unrefreshed {
            let weighed = weigh(&mut made, &self.pool).await;
            weighed.map_err(refused)?;
            let previewed = preview(&mut made, &self.pool).await;
            previewed.map_err(refused)?;
            for note in made.notes.values_mut().flatten() {
                *note = redactor.clean(note);
            }
        }
        pin(&mut made, &self.pool).await;
        if !state.stack.is_empty() && state.stack != self.project.stack {
            made.warnings.push(
                Diagnostic::new(Code::StackRenamed, format!(
                    "the state was made by stack `{}`, which is called `{}` now",
                    state.stack, self.project.stack
                ))
                .hint("objects named after the stack are made anew; rename the folder back to keep them"),
            );
        }
        made.warnings = made.warnings.into_iter().map(|w| redactor.clean_finding(w)).collect();
        Ok(made)
    }

    /// Who runs a command, for the lock.
    pub fn holder(command: &str) -> Holder {
        Holder {
            who: user(),
            host: hostname(),
            pid: std::process::id(),
            command: format!("dollop {command}"),
        }
    }

    /// Who runs what, for the journal and the revision; `plan` is the digest of a plan.
    pub fn run_info(&self, command: &str, plan: &str) -> RunInfo {
        RunInfo {
            stack: self.project.stack.clone(),
            command: command.to_owned(),
            plan: plan.to_owned(),
            who: format!("{}@{}", user(), hostname()),
            when: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        }
    }
}

/// SHA-256 of what a plan shows, in hex.
pub fn digest(plan: &Plan) -> String {
    hex::encode(Sha256::digest(json::text(&json::plan(plan)).as_bytes()))
}

/// Where the state of a stack is kept; a script that is not `stack.rhai` has its own, and so
/// has every environment.
pub fn state_folder(project: &Project) -> PathBuf {
    state_folder_of(project, &project.environment)
}

/// Where the state of one of its environments is kept.
pub fn state_folder_of(project: &Project, environment: &Environment) -> PathBuf {
    let folder = state_folder_of_default(project);
    if environment.is_default() {
        folder
    } else {
        folder.join(ENVIRONMENTS).join(environment.name())
    }
}

/// Where the state of a stack's environment without a name is kept.
pub fn state_folder_of_default(project: &Project) -> PathBuf {
    let folder = project.folder.join(STATE);
    if project.entry == SCRIPT { folder } else { folder.join("stacks").join(&project.name) }
}

/// Shows what the script printed, and orders what it declares.
fn built(program: Program) -> Result<Graph, CommandError> {
    for line in &program.messages {
        terminal::say(&format!("{}\n", clean(line)));
    }
    Ok(graph::build(program)?)
}

/// The warnings of the analysis, unless there are errors.
fn judged(graph: &Graph, found: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, CommandError> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| found.severity() == Severity::Error);
    if errors.is_empty() {
        return Ok(warnings);
    }
    let program = graph.program();
    let known = program.warnings.iter().cloned();
    let diagnostics = errors.into_iter().chain(known).chain(warnings).collect();
    Err(Findings { diagnostics, sources: program.sources.clone() }.into())
}

/// Knows every secret of a stack, declared or remembered.
pub fn redactor(graph: &Graph, state: &State) -> Redactor {
    let mut secrets = Secrets::default();
    secrets.add_program(graph.program());
    secrets.add_state(state);
    secrets.redactor()
}

/// Runs a command's async part.
pub fn block_on<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    runtime()?.block_on(work)
}

/// What async parts run on: connections live as long as it does.
pub fn runtime() -> Result<Runtime, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CommandError::failed(format!("cannot start: {error}")))
}

fn user() -> String {
    whoami::username().unwrap_or_else(|_| "unknown".to_owned())
}

fn hostname() -> String {
    whoami::hostname().unwrap_or_else(|_| "unknown".to_owned())
}
