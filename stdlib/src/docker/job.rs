//! Jobs: commands that run once, and again when what they depend on changes.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use dollop_engine::address::Address;
use dollop_engine::error::{CallError, Failure};
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::container::{
    Bytes, ContainerSpec, Files, Gpus, Hosts, Logging, Mounts, NetworkMode, Networks, Pairs,
    Several, Span, Ulimits, Words, create, inspect, last_lines, pairs, rules, without_env,
};
use super::engine::{Engine, status};
use super::exec::{self, Command, Ended, OUTPUT_LINES};
use super::{helper, image, labels, reference, unended};
use crate::text::Text;

/// Attributes that only a job has.
const OF_JOBS: [&str; 4] = ["container", "check", "inputs", "timeout"];
/// What a command may be told wherever it runs; `image` is a container of its own.
const IN_ANY: [&str; 5] = ["command", "env", "user", "working_dir", "image"];

/// What the engine adds to a job's own time: making and removing a container.
const MARGIN: Duration = Duration::from_secs(30);

/// A command that runs once, in a container of its own or in one that runs: a migration, the
/// making of a bucket. It runs again when any of its attributes changes, when its image is
/// another one under the same name (it was built or pulled again), and when the container it
/// runs in is made anew. It must end with code 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The command: a list, or a string split as a shell would.
    pub command: Words,
    /// The image of a container made for it, and removed when it has ended well.
    #[serde(default, deserialize_with = "reference::read_optional")]
    #[schemars(extend("x-handle" = "docker::image", "x-by-name" = true))]
    pub image: Option<String>,
    /// The running container it runs in instead.
    #[serde(default)]
    #[schemars(extend("x-replace" = true, "x-handle" = "docker::container"))]
    pub container: Option<String>,
    /// A command that tells, with code 0, that there is nothing left to do; then `command`
    /// is not run.
    #[serde(default)]
    pub check: Option<Words>,
    /// What else it depends on, `#{ schema: file_sha256("schema.sql") }`.
    #[serde(default)]
    pub inputs: Pairs,
    /// Environment variables.
    #[serde(default)]
    pub env: Pairs,
    /// The user it runs as.
    #[serde(default)]
    pub user: Option<Text>,
    /// The folder it starts in.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// The program of its own container, instead of the image's.
    #[serde(default)]
    pub entrypoint: Option<Words>,
    /// What lies elsewhere in its own container, `["./sql:/sql:ro"]`.
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::volume"))]
    pub volumes: Mounts,
    /// Networks its own container is in.
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::network"))]
    pub networks: Networks,
    /// `host`, `none` or `container:${db}` for its own container, instead of networks.
    #[serde(default)]
    #[schemars(extend("x-handle" = "docker::container"))]
    pub network_mode: Option<NetworkMode>,
    /// Files put into its own container, as those of a `docker::container`.
    #[serde(default)]
    pub files: Files,
    /// Folders in memory in its own container, `["/tmp"]`.
    #[serde(default, deserialize_with = "rules::folders")]
    pub tmpfs: Several,
    /// Lines for the hosts file of its own container.
    #[serde(default)]
    pub extra_hosts: Hosts,
    /// Servers its own container asks for names.
    #[serde(default, deserialize_with = "rules::addresses")]
    pub dns: Several,
    /// The platform of its image, `linux/arm64`; the engine's own when left out.
    #[serde(default)]
    pub platform: Option<String>,
    /// The most memory its own container may use, `512m`.
    #[serde(default)]
    pub mem_limit: Option<Bytes>,
    /// The size of `/dev/shm` in its own container.
    #[serde(default)]
    pub shm_size: Option<Bytes>,
    /// What processes of its own container may use each, `#{ nofile: 65536 }`.
    #[serde(default)]
    pub ulimits: Ulimits,
    /// Graphics processors for its own container: `all`, how many, or a list.
    #[serde(default)]
    pub gpus: Gpus,
    /// Rights of the kernel its own container has beside the usual ones.
    #[serde(default, deserialize_with = "rules::capabilities")]
    pub cap_add: Vec<String>,
    /// All rights on the machine for its own container. Rarely needed.
    #[serde(default)]
    pub privileged: bool,
    /// The image's files cannot be changed in its own container.
    #[serde(default)]
    pub read_only: bool,
    /// A small init process in its own container.
    #[serde(default)]
    pub init: Option<bool>,
    /// Labels of its own container.
    #[serde(default, deserialize_with = "pairs::labels")]
    pub labels: Pairs,
    /// Where the output of its own container goes; its end is read from there.
    #[serde(default)]
    pub logging: Option<Logging>,
    /// The longest time it may take, `5m`.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
}

fn five_minutes() -> Span {
    Span(Duration::from_mins(5))
}

/// What came of its last run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobFacts {
    /// Whether `check` found nothing left to do the last time.
    pub was_done: bool,
    /// The end of what it printed.
    pub output: String,
    /// Id of the image it ran in; empty for one in a container that is not its own.
    #[serde(default)]
    pub image_id: String,
}

/// `docker::job`. The engine keeps nothing of it, so it lives in the state alone.
pub struct Job;

impl Resource for Job {
    const KIND: &'static str = "docker::job";
    type Connection = Engine;
    type Spec = JobSpec;
    type Facts = JobFacts;

    fn default_name(stack: &str, address: &Address) -> String {
        labels::default_name(stack, address)
    }

    fn normalize(spec: &mut JobSpec) {
        if let Some(normal) = normal(spec) {
            *spec = normal;
        }
        spec.check = spec.check.take().filter(|words| !words.0.is_empty());
        spec.user = spec.user.take().filter(|user| !user.0.is_empty());
        spec.working_dir = spec.working_dir.take().filter(|folder| !folder.is_empty());
    }

    fn check(spec: &JobSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &str, message: &str, hint: &str| {
            problems.push(Problem {
                attribute: attribute.to_owned(),
                message: message.to_owned(),
                hint: Some(hint.to_owned()),
            });
        };
        match (&spec.image, &spec.container) {
            (None, None) => problem(
                "image",
                "it runs nowhere",
                "say `image` for a container of its own, or `container` for one that runs",
            ),
            (Some(_), Some(_)) => problem(
                "container",
                "it cannot run in a container of its own and in another one",
                "leave out `image` or `container`",
            ),
            (None, Some(_)) => {
                for attribute in only_its_own(spec) {
                    let message = "the container it runs in is there already";
                    problem(&attribute, message, "set it on that container");
                }
            }
            (Some(_), None) => {}
        }
        if spec.command.0.is_empty() {
            problem("command", "it has no command", "one looks like `\"migrate up\"`");
        }
        if spec.container.is_none()
            && let Ok(own) = own_container(spec, &spec.command)
        {
            problems.extend(own.check().into_iter().filter(|found| found.attribute != "image"));
        }
        problems
    }

    async fn read(engine: &Engine, wanted: &[Wanted<JobSpec>]) -> Vec<ReadResult<Self>> {
        let in_own =
            |wanted: &Wanted<JobSpec>| wanted.facts.is_some() && wanted.spec.image.is_some();
        let images = if wanted.iter().any(in_own) {
            image::ids(engine).await
        } else {
            Ok(HashMap::new())
        };
        let images = match images {
            Ok(images) => images,
            Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
        };
        // One that never ended well is known by the container it left.
        let lost = |wanted: &&Wanted<JobSpec>| wanted.facts.is_none() && wanted.id.is_none();
        let mut left = HashMap::new();
        if wanted.iter().any(|wanted| lost(&wanted)) {
            match engine.containers().await {
                Ok(listed) => left.extend(listed.iter().flat_map(leftovers)),
                Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        let found = |wanted: &Wanted<JobSpec>| match left.get(&wanted.name.natural) {
            Some(marks) if lost(&wanted) => left_by(wanted, marks),
            _ => recorded(wanted, &images),
        };
        wanted.iter().map(|wanted| Ok(found(wanted))).collect()
    }

    async fn create(
        engine: &Engine,
        name: &Name,
        spec: JobSpec,
    ) -> Result<Created<JobFacts>, CallError> {
        Ok(Created { facts: run(engine, name, &spec).await?, id: name.natural.clone() })
    }

    async fn update(
        engine: &Engine,
        name: &Name,
        _id: &str,
        _from: JobSpec,
        to: JobSpec,
    ) -> Result<JobFacts, CallError> {
        run(engine, name, &to).await
    }

    async fn delete(
        engine: &Engine,
        name: &Name,
        _id: &str,
        _spec: JobSpec,
    ) -> Result<(), CallError> {
        // Only one that failed has left something.
        leftover_removed(engine, name).await
    }
}

/// The container that is made for a command of a job: what the two have in common has the
/// same name and form.
fn own_container(spec: &JobSpec, command: &Words) -> Result<ContainerSpec, serde_json::Error> {
    let mut container = serde_json::to_value(spec)?;
    if let Some(attributes) = container.as_object_mut() {
        attributes.retain(|name, _| !OF_JOBS.contains(&name.as_str()));
        attributes.insert("command".to_owned(), json!(command));
        attributes.insert("wait".to_owned(), json!("exited"));
        attributes.insert("wait_timeout".to_owned(), json!(spec.timeout));
    }
    serde_json::from_value(container)
}

/// A job with what it has in common with a container in the normal form of that.
fn normal(spec: &JobSpec) -> Option<JobSpec> {
    spec.image.as_ref()?;
    let mut container = own_container(spec, &spec.command).ok()?;
    container.normalize();
    let (container, mut job) =
        (serde_json::to_value(container).ok()?, serde_json::to_value(spec).ok()?);
    for (name, value) in job.as_object_mut()? {
        let other = container.get(name.as_str()).filter(|_| !OF_JOBS.contains(&name.as_str()));
        if let Some(other) = other.filter(|_| name != "command") {
            value.clone_from(other);
        }
    }
    serde_json::from_value(job).ok()
}

/// What a job sets that means something only for a container of its own.
fn only_its_own(spec: &JobSpec) -> Vec<String> {
    let plain = json!({ "command": spec.command });
    let plain = serde_json::from_value::<JobSpec>(plain).map(serde_json::to_value);
    let (Ok(Ok(plain)), Ok(set)) = (plain, serde_json::to_value(spec)) else {
        return Vec::new();
    };
    let set = set.as_object().into_iter().flatten();
    let set = set.filter(|(name, value)| {
        let anywhere = OF_JOBS.contains(&name.as_str()) || IN_ANY.contains(&name.as_str());
        !anywhere && plain.get(name.as_str()) != Some(value)
    });
    set.map(|(name, _)| name.clone()).collect()
}

/// A job as it was when it last ran. Where its image's name stands for another image by now,
/// the id of the one it ran in: then the plan runs it again.
fn recorded(
    wanted: &Wanted<JobSpec>,
    images: &HashMap<String, String>,
) -> Option<Found<JobSpec, JobFacts>> {
    let mut facts: JobFacts = serde_json::from_value(wanted.facts.clone()?).ok()?;
    let mut spec = wanted.spec.clone();
    let named = spec.image.as_deref().map(image::listed_as);
    match named.and_then(|name| images.get(&name)) {
        // It ran before anybody kept in mind where.
        Some(now) if facts.image_id.is_empty() => facts.image_id.clone_from(now),
        Some(now) if *now != facts.image_id => spec.image = Some(facts.image_id.clone()),
        _ => {}
    }
    Some(Found {
        id: wanted.name.natural.clone(),
        natural: wanted.name.natural.clone(),
        spec,
        facts,
        owner: Owner::Ours,
    })
}

/// The names of a container, each with its labels.
fn leftovers(container: &ContainerSummary) -> Vec<(String, HashMap<String, String>)> {
    let names = container.names.iter().flatten().map(|name| name.trim_start_matches('/'));
    let labels = container.labels.clone().unwrap_or_default();
    names.map(|name| (name.to_owned(), labels.clone())).collect()
}

/// A job that left its container and has not done what it is for: it ran no command to its
/// end, so that a plan runs it.
fn left_by(
    wanted: &Wanted<JobSpec>,
    marks: &HashMap<String, String>,
) -> Option<Found<JobSpec, JobFacts>> {
    let is_ours = labels::owner(marks, &wanted.name, false) == Owner::Ours;
    is_ours.then(|| Found {
        id: wanted.name.natural.clone(),
        natural: wanted.name.natural.clone(),
        spec: JobSpec { command: Words(Vec::new()), ..wanted.spec.clone() },
        facts: JobFacts { was_done: false, output: String::new(), image_id: String::new() },
        owner: Owner::Ours,
    })
}

async fn run(engine: &Engine, name: &Name, spec: &JobSpec) -> Result<JobFacts, CallError> {
    if let Some(facts) = begun_before(engine, name, spec).await? {
        return Ok(facts);
    }
    let limit = spec.timeout.0 + MARGIN;
    let all = async {
        if let Some(check) = &spec.check {
            let (ended, image_id) = once(engine, name, spec, check).await?;
            leftover_removed(engine, name).await?;
            if ended.code == 0 {
                return Ok(JobFacts { was_done: true, output: ended.output, image_id });
            }
        }
        let (ended, image_id) = once(engine, name, spec, &spec.command).await?;
        if ended.code != 0 {
            return Err(failed(name, spec, &ended));
        }
        leftover_removed(engine, name).await?;
        Ok(JobFacts { was_done: false, output: ended.output, image_id })
    };
    tokio::time::timeout(limit, all).await.unwrap_or_else(|_| Err(late(name, spec)))
}

/// What came of the command when an earlier run began it and did not see its end.
async fn begun_before(
    engine: &Engine,
    name: &Name,
    spec: &JobSpec,
) -> Result<Option<JobFacts>, CallError> {
    let longest = spec.timeout.0;
    if let Some(within) = &spec.container {
        unended::command(engine, name, within, &spec.command.0, longest).await?;
        return Ok(None);
    }
    let own = made_for(name, spec, &spec.command)?;
    let check = spec.check.as_ref().map(|check| made_for(name, spec, check)).transpose()?;
    let inputs = &spec.inputs;
    if !unended::container(engine, name, &own, check.as_ref(), inputs, longest).await? {
        return Ok(None);
    }
    let Some((ended, image_id)) = how_it_ended(engine, name).await? else { return Ok(None) };
    let ended = Ended { output: without_env(&ended.output, &spec.env), ..ended };
    if ended.code != 0 {
        return Err(failed(name, spec, &ended));
    }
    leftover_removed(engine, name).await?;
    Ok(Some(JobFacts { was_done: false, output: ended.output, image_id }))
}

fn failed(name: &Name, spec: &JobSpec, ended: &Ended) -> CallError {
    let error = exec::ended_badly(&format!("job `{}`", name.natural), ended);
    match &spec.container {
        None => error.hint(format!(
            "its container is still there to look at, `docker logs {}`; it is run again with \
             the next apply",
            name.natural
        )),
        Some(_) => error.hint("it is run again with the next apply"),
    }
}

fn late(name: &Name, spec: &JobSpec) -> CallError {
    let message = format!("job `{}` has not ended after {}", name.natural, spec.timeout);
    let error = CallError::new(Failure::Refused, message)
        .hint("give it longer with `timeout`, if it only is slow");
    match &spec.container {
        Some(within) => unended::in_another(error, within),
        None => unended::still_runs(error, &name.natural),
    }
}

/// How a command ended, and the image of the container made for it.
async fn once(
    engine: &Engine,
    name: &Name,
    spec: &JobSpec,
    command: &Words,
) -> Result<(Ended, String), CallError> {
    let (ended, image) = match &spec.container {
        Some(container) => (within(engine, spec, container, command).await?, String::new()),
        None => alone(engine, name, spec, command).await?,
    };
    Ok((Ended { output: without_env(&ended.output, &spec.env), ..ended }, image))
}

/// In a container made for it, which stays when it did not end well.
async fn alone(
    engine: &Engine,
    name: &Name,
    spec: &JobSpec,
    command: &Words,
) -> Result<(Ended, String), CallError> {
    leftover_removed(engine, name).await?;
    let mut container = made_for(name, spec, command)?;
    unended::mark(&mut container, &spec.inputs);
    let made = create(engine, name, &container).await;
    match (made, how_it_ended(engine, name).await?) {
        // Where making it failed for another reason, it did not come to an end by itself.
        (Ok(_), Some(end)) => Ok(end),
        (Err(_), Some((ended, image))) if ended.code != 0 => Ok((ended, image)),
        (Err(error), _) if runs(engine, name).await? => {
            let late = late(name, spec);
            Err(error.notes.into_iter().fold(late, CallError::note))
        }
        (Err(error), _) => Err(error),
        (Ok(_), None) => Err(CallError::refused(format!(
            "the container of job `{}` is gone before it ended",
            name.natural
        ))),
    }
}

/// The container that a command of a job is run in.
fn made_for(name: &Name, spec: &JobSpec, command: &Words) -> Result<ContainerSpec, CallError> {
    own_container(spec, command).map_err(|error| {
        CallError::refused(format!(
            "no container can be made for job `{}`: {error}",
            name.natural
        ))
    })
}

/// The container of the job; not one of the same name that somebody else has.
async fn its_container(
    engine: &Engine,
    name: &Name,
) -> Result<Option<ContainerInspectResponse>, CallError> {
    let found = inspect(engine, &name.natural).await?;
    Ok(found.filter(|found| {
        let marks = found.config.as_ref().and_then(|config| config.labels.as_ref());
        marks.is_some_and(|marks| labels::owner(marks, name, false) == Owner::Ours)
    }))
}

async fn runs(engine: &Engine, name: &Name) -> Result<bool, CallError> {
    let state = its_container(engine, name).await?.and_then(|found| found.state);
    Ok(state.is_some_and(|state| state.running.unwrap_or(false)))
}

/// How the container of the job ended, and its image; nothing where it runs or never ran.
async fn how_it_ended(
    engine: &Engine,
    name: &Name,
) -> Result<Option<(Ended, String)>, CallError> {
    let found = its_container(engine, name).await?.unwrap_or_default();
    let code = found.state.and_then(|state| {
        let ended = !state.running.unwrap_or(false) && state.started_at.is_some();
        state.exit_code.filter(|_| ended)
    });
    let Some(code) = code else { return Ok(None) };
    let output = last_lines(engine, &name.natural, OUTPUT_LINES).await.join("\n");
    Ok(Some((Ended { code, output }, found.image.unwrap_or_default())))
}

/// In a container that runs.
async fn within(
    engine: &Engine,
    spec: &JobSpec,
    container: &str,
    command: &Words,
) -> Result<Ended, CallError> {
    let doing = format!("running a command in container `{container}`");
    let failed = |error: &bollard::errors::Error| {
        let failed = engine.failed(&doing, error);
        match status(error) {
            Some(404) => failed.hint("check `container`: a `docker::container` of the stack"),
            Some(409) => {
                failed.hint("it must run: let it `wait` until it is started or healthy")
            }
            _ => failed,
        }
    };
    let env = spec.env.0.iter().map(|(key, value)| format!("{key}={value}"));
    let command = Command {
        words: command.0.clone(),
        env: env.collect(),
        user: spec.user.as_ref().map(|user| user.0.clone()),
        working_dir: spec.working_dir.clone(),
        privileged: false,
    };
    exec::run(engine, container, command, spec.timeout.0).await.map_err(|e| failed(&e))
}

/// Removes the container of a run before, when there is one and it is this job's.
async fn leftover_removed(engine: &Engine, name: &Name) -> Result<(), CallError> {
    helper::swept(engine, name).await?;
    if its_container(engine, name).await?.is_none() {
        return Ok(());
    }
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.docker.remove_container(&name.natural, Some(options)).await {
        Ok(()) => Ok(()),
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(error) => {
            Err(engine.failed(&format!("removing container `{}`", name.natural), &error))
        }
    }
}
