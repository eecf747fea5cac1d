//! A provider's typed calls behind the erased ones of [`Calls`] and [`Dial`].

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::plain::Plain;
use super::written::Written;
use super::{
    Address, BTreeMap, Backup, Beside, CallError, Calls, Claimed, Concurrency, Connection,
    Created, Declared, Dial, Found, FoundObject, Held, Host, Lint, ListedObject, ListedObjects,
    Migration, Moment, Name, OpenConnection, Planned, Preview, Problem, Proposed, Resource,
    Rolling, Scope, Script, SpecError, Taking, Territory, Value, Wanted, opened,
};
use crate::files::Look;
use crate::redact::Hidden;

pub(super) struct Adapter<R>(pub(super) PhantomData<fn() -> R>);
pub(super) struct Dialer<C>(pub(super) PhantomData<fn() -> C>);

/// A spec as the provider's struct. `name` is the engine's, so it is left out.
fn typed<T: DeserializeOwned>(value: &Value, natural: bool) -> Result<T, SpecError> {
    T::deserialize(Plain::Spec { value, without_name: natural }).map_err(|misfit| {
        let mut error = SpecError::from(misfit);
        let at = error.path.first().and_then(|name| value.get(name)).unwrap_or(value);
        error.message = Hidden::in_specs([at]).or_nothing(error.message);
        error
    })
}

/// What a provider says about specs, in words that tell nothing of what is secret in them.
fn discreet<const N: usize>(mut problems: Vec<Problem>, specs: [&Value; N]) -> Vec<Problem> {
    if !problems.is_empty() {
        let hidden = Hidden::in_specs(specs);
        for Problem { message, hint, .. } in &mut problems {
            *message = hidden.or_nothing(std::mem::take(message));
            hint.take_if(|hint| hidden.is_told_by(hint));
        }
    }
    problems
}

/// A provider's struct as a value, `name` put back.
fn erased<T: Serialize>(typed: &T, name: Option<&str>) -> Value {
    let value = typed.serialize(Written);
    let mut value = value
        .unwrap_or_else(|error| panic!("BUG: a spec or its facts cannot be a value: {error}"));
    if let (Some(name), Value::Map(entries)) = (name, &mut value) {
        entries.insert("name".to_owned(), Value::string(name));
    }
    value
}

impl<R: Resource> Adapter<R> {
    fn natural() -> bool {
        R::traits().naming == crate::resource::Naming::Natural
    }

    /// A spec that was checked before it came here.
    fn spec(value: &Value) -> Result<R::Spec, CallError> {
        typed(value, Self::natural()).map_err(|error| {
            let message = format!("`{}` does not fit: {}", error.path, error.message);
            CallError::refused(message)
        })
    }

    /// One that does not fit its struct (an old record) must not hide the others.
    fn sort(wanted: Vec<Wanted<Value>>) -> Sorted<R> {
        let mut refused = BTreeMap::new();
        let mut good = Vec::with_capacity(wanted.len());
        let total = wanted.len();
        for (index, item) in wanted.into_iter().enumerate() {
            match Self::spec(&item.spec) {
                Ok(spec) => {
                    let Wanted { id, name, facts, .. } = item;
                    good.push(Wanted { id, name, spec, facts });
                }
                Err(error) => {
                    refused.insert(index, error);
                }
            }
        }
        Sorted { good, refused, total }
    }

    fn facts(facts: &R::Facts) -> Value {
        // The schema was built once at registration; here only the flags are needed.
        erased(facts, None)
    }

    fn found(found: Found<R::Spec, R::Facts>) -> FoundObject {
        let mut spec = found.spec;
        R::normalize(&mut spec);
        let name = Self::natural().then_some(found.natural.as_str());
        FoundObject {
            id: found.id,
            spec: erased(&spec, name),
            facts: Self::facts(&found.facts),
            owner: found.owner,
        }
    }
}

/// Wanted objects, those whose spec fits apart from the others.
struct Sorted<R: Resource> {
    good: Vec<Wanted<R::Spec>>,
    /// Why the others cannot be asked about, by position.
    refused: BTreeMap<usize, CallError>,
    total: usize,
}

impl<R: Resource> Sorted<R> {
    /// The answers about the good ones and the refusals, in the order of asking.
    fn merge<T, U>(
        mut self,
        answers: Vec<T>,
        convert: impl Fn(T) -> Result<U, CallError>,
    ) -> Vec<Result<U, CallError>> {
        let mut answers = answers.into_iter();
        (0..self.total)
            .map(|index| match self.refused.remove(&index) {
                Some(error) => Err(error),
                None => match answers.next() {
                    Some(answer) => convert(answer),
                    None => panic!("BUG: `{}` answered for too few objects", R::KIND),
                },
            })
            .collect()
    }
}

#[async_trait]
impl<R: Resource> Calls for Adapter<R> {
    fn default_name(&self, stack: &str, address: &Address) -> String {
        R::default_name(stack, address)
    }

    fn normalize(&self, spec: &Value) -> Result<Value, SpecError> {
        let mut typed_spec: R::Spec = typed(spec, Self::natural())?;
        R::normalize(&mut typed_spec);
        let name = spec.get("name").and_then(Value::as_str);
        Ok(erased(&typed_spec, name.filter(|_| Self::natural())).marked_like(spec))
    }

    fn check(&self, spec: &Value) -> Vec<Problem> {
        let natural = spec.get("name").and_then(Value::as_str).filter(|_| Self::natural());
        let Ok(typed) = typed(spec, Self::natural()) else { return Vec::new() };
        let named = natural.map_or_else(Vec::new, |natural| R::check_named(natural, &typed));
        discreet(named.into_iter().chain(R::check(&typed)).collect(), [spec])
    }

    fn claims(&self, name: &Name, spec: &Value) -> Vec<Claimed> {
        typed(spec, Self::natural()).map_or_else(|_| Vec::new(), |spec| R::claims(name, &spec))
    }

    fn lint(&self, spec: &Value) -> Vec<Lint> {
        let Ok(typed) = typed(spec, Self::natural()) else { return Vec::new() };
        let mut lints = R::lint(&typed);
        if !lints.is_empty() {
            let hidden = Hidden::in_specs([spec]);
            // A warning about a secret that cannot say what it means is none.
            lints.retain(|lint| !hidden.is_told_by(&lint.message));
            lints.retain(|lint| !hidden.is_told_by(&lint.hint));
        }
        lints
    }

    fn territory(&self, spec: &Value) -> Vec<Territory> {
        if !R::TERRITORIAL {
            return Vec::new();
        }
        let natural = spec.get("name").and_then(Value::as_str).unwrap_or_default();
        let territory = |spec| R::territory(natural, &spec);
        typed(spec, Self::natural()).map_or_else(|_| Vec::new(), territory)
    }

    fn covers(&self, spec: &Value) -> Option<Vec<String>> {
        R::covers(&typed(spec, Self::natural()).ok()?)
    }

    fn makes(&self, from: Option<&Value>, to: &Value) -> Vec<Vec<String>> {
        let from = from.and_then(|from| typed(from, Self::natural()).ok());
        typed(to, Self::natural())
            .map_or_else(|_| Vec::new(), |to| R::makes(from.as_ref(), &to))
    }

    fn check_update(&self, from: &Value, to: &Value) -> Vec<Problem> {
        match (typed(from, Self::natural()), typed(to, Self::natural())) {
            (Ok(was), Ok(next)) => discreet(R::check_update(&was, &next), [from, to]),
            _ => Vec::new(),
        }
    }

    fn cautions(&self, from: Option<&Value>, to: &Value) -> Vec<Problem> {
        let natural = to.get("name").and_then(Value::as_str).unwrap_or_default();
        let Ok(next) = typed(to, Self::natural()) else { return Vec::new() };
        let was = from.and_then(|from| typed(from, Self::natural()).ok());
        let cautions = R::cautions(natural, was.as_ref(), &next);
        discreet(cautions, [from.unwrap_or(&Value::Null), to])
    }

    fn replace_cautions(&self, from: &Value, to: &Value) -> Vec<Problem> {
        match (typed(from, Self::natural()), typed(to, Self::natural())) {
            (Ok(was), Ok(next)) => discreet(R::replace_cautions(&was, &next), [from, to]),
            _ => Vec::new(),
        }
    }

    fn replace_refusals(&self, from: &Value, to: &Value) -> Vec<Problem> {
        match (typed(from, Self::natural()), typed(to, Self::natural())) {
            (Ok(was), Ok(next)) => discreet(R::replace_refusals(&was, &next), [from, to]),
            _ => Vec::new(),
        }
    }

    fn protection(&self, spec: &Value) -> Option<Problem> {
        let typed = typed(spec, Self::natural()).ok()?;
        discreet(R::protection(&typed).into_iter().collect(), [spec]).pop()
    }

    fn script(&self, name: &Name, from: Option<&Value>, to: Option<&Value>) -> Option<Script> {
        let mut same = Vec::new();
        if let Some(known) = to.or(from) {
            known.each_secret(&mut |text| same.push(text));
        }
        let read = |value: &Value| typed::<R::Spec>(&value.masked(&same), Self::natural());
        let old = from.and_then(|from| from.get("name")).and_then(Value::as_str);
        let old = old.filter(|old| to.is_some() && *old != name.natural);
        let from = from.map(read).transpose().ok()?;
        let to = to.map(read).transpose().ok()?;
        let mut script = R::script(name, from.as_ref(), to.as_ref())?;
        if let Some(rename) = old.and_then(|old| R::rename_statement(old, &name.natural)) {
            script.statements.insert(0, rename);
        }
        Some(script)
    }

    fn keeps_data(&self, spec: &Value, next: Option<&Value>) -> bool {
        let next = next.and_then(|next| typed(next, Self::natural()).ok());
        typed(spec, Self::natural()).is_ok_and(|spec| R::keeps_data(&spec, next.as_ref()))
    }

    // What is not understood may well hold something.
    fn holds(&self, spec: &Value) -> bool {
        typed(spec, Self::natural()).map_or(true, |spec| R::holds(&spec))
    }

    fn takes_along(&self, spec: &Value) -> bool {
        typed(spec, Self::natural()).map_or(true, |spec| R::takes_along(&spec))
    }

    fn id_of(&self, name: &Name, spec: &Value) -> Option<String> {
        typed(spec, Self::natural()).ok().and_then(|spec| R::id_of(name, &spec))
    }

    fn stand_in(&self, natural: &str) -> Option<String> {
        R::stand_in(natural)
    }

    fn creates_first(&self, spec: &Value) -> bool {
        typed(spec, Self::natural()).is_ok_and(|spec| R::creates_first(&spec))
    }

    fn rolling(&self, spec: &Value) -> Rolling {
        typed(spec, Self::natural())
            .map_or_else(|_| Rolling::default(), |spec| R::rolling(&spec))
    }

    fn check_beside(&self, now: &Value, next: &Value) -> Vec<Problem> {
        match (typed(now, Self::natural()), typed(next, Self::natural())) {
            (Ok(one), Ok(other)) => discreet(R::check_beside(&one, &other), [now, next]),
            _ => Vec::new(),
        }
    }

    async fn read(
        &self,
        connection: &OpenConnection,
        wanted: Vec<Wanted<Value>>,
    ) -> Vec<Result<Option<FoundObject>, CallError>> {
        let connection = opened::<R::Connection>(connection);
        let sorted = Self::sort(wanted);
        let answers = R::read(connection, &sorted.good).await;
        sorted.merge(answers, |answer| answer.map(|found| found.map(Self::found)))
    }

    fn lists(&self) -> bool {
        R::LISTS
    }

    async fn list(&self, connection: &OpenConnection) -> Result<ListedObjects, CallError> {
        let listing = R::list(opened::<R::Connection>(connection)).await?;
        let objects = listing.objects.into_iter().map(|listed| ListedObject {
            found: Self::found(listed.found),
            built_in: listed.built_in,
            remarks: listed.remarks,
            needs: listed.needs,
        });
        Ok(ListedObjects { objects: objects.collect(), left_out: listing.left_out })
    }

    async fn held(
        &self,
        connection: &OpenConnection,
        wanted: Vec<Wanted<Value>>,
        moment: Moment,
    ) -> Vec<Result<Held, CallError>> {
        let connection = opened::<R::Connection>(connection);
        let sorted = Self::sort(wanted);
        let answers = R::held(connection, &sorted.good, moment).await;
        sorted.merge(answers, |answer| answer)
    }

    fn previews(&self) -> bool {
        R::PREVIEWS
    }

    fn previewed_with(&self) -> &'static [&'static str] {
        R::PREVIEWED_WITH
    }

    async fn preview(
        &self,
        connection: &OpenConnection,
        proposed: Vec<Proposed<Value>>,
        beside: Beside,
    ) -> Result<Vec<Preview>, CallError> {
        let connection = opened::<R::Connection>(connection);
        let typed = proposed.into_iter().map(|Proposed { name, id, from, to, anew }| {
            let from = from.as_ref().map(Self::spec).transpose()?;
            Ok(Proposed { name, id, from, to: Self::spec(&to)?, anew })
        });
        let typed = typed.collect::<Result<Vec<_>, CallError>>()?;
        R::preview_with(connection, &typed, &beside).await
    }

    fn migrates(&self, from: &Value, to: &Value) -> Migration {
        match (typed(from, Self::natural()), typed(to, Self::natural())) {
            (Ok(from), Ok(to)) => R::migrates(&from, &to),
            _ => Migration::None,
        }
    }

    fn renews(&self, from: &Value, to: &Value) -> bool {
        match (typed(from, Self::natural()), typed(to, Self::natural())) {
            (Ok(from), Ok(to)) => R::renews(&from, &to),
            _ => false,
        }
    }

    fn reads_files(&self) -> bool {
        R::READS_FILES
    }

    async fn sources(
        &self,
        scope: &Scope,
        spec: &Value,
    ) -> Result<BTreeMap<String, String>, CallError> {
        R::sources(scope, &Self::spec(spec)?).await
    }

    fn surveys(&self) -> bool {
        R::SURVEYS
    }

    async fn survey(
        &self,
        connection: &OpenConnection,
        planned: Vec<Planned<Value>>,
        declared: &Declared,
    ) -> Vec<(Address, Lint)> {
        let connection = opened::<R::Connection>(connection);
        let planned = planned.into_iter().filter_map(|planned| {
            let spec = Self::spec(&planned.spec).ok()?;
            let Planned { name, id, made, .. } = planned;
            Some(Planned { name, spec, id, made })
        });
        R::survey(connection, &planned.collect::<Vec<_>>(), declared).await
    }

    async fn create(
        &self,
        connection: &OpenConnection,
        name: &Name,
        spec: &Value,
    ) -> Result<Created<Value>, CallError> {
        let connection = opened::<R::Connection>(connection);
        let created = R::create(connection, name, Self::spec(spec)?).await?;
        Ok(Created { id: created.id, facts: Self::facts(&created.facts) })
    }

    async fn prepare(
        &self,
        connection: &OpenConnection,
        name: &Name,
        spec: &Value,
    ) -> Result<(), CallError> {
        R::prepare(opened::<R::Connection>(connection), name, &Self::spec(spec)?).await
    }

    async fn update(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        from: &Value,
        to: &Value,
    ) -> Result<Value, CallError> {
        let connection = opened::<R::Connection>(connection);
        let (from, to) = (Self::spec(from)?, Self::spec(to)?);
        let facts = R::update(connection, name, id, from, to).await?;
        Ok(Self::facts(&facts))
    }

    async fn create_beside(
        &self,
        connection: &OpenConnection,
        name: &Name,
        spec: &Value,
    ) -> Result<Created<Value>, CallError> {
        let connection = opened::<R::Connection>(connection);
        let created = R::create_beside(connection, name, Self::spec(spec)?).await?;
        Ok(Created { id: created.id, facts: Self::facts(&created.facts) })
    }

    async fn take_over(
        &self,
        connection: &OpenConnection,
        name: &Name,
        taking: Taking<'_>,
    ) -> Result<Value, CallError> {
        let connection = opened::<R::Connection>(connection);
        let (from, to) = (Self::spec(taking.from)?, Self::spec(taking.to)?);
        let facts = R::take_over(connection, name, taking.id, from, to, taking.old).await?;
        Ok(Self::facts(&facts))
    }

    async fn delete(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        spec: &Value,
    ) -> Result<(), CallError> {
        let connection = opened::<R::Connection>(connection);
        R::delete(connection, name, id, Self::spec(spec)?).await
    }

    async fn delete_for_successor(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        spec: &Value,
    ) -> Result<(), CallError> {
        let connection = opened::<R::Connection>(connection);
        R::delete_for_successor(connection, name, id, Self::spec(spec)?).await
    }

    async fn ready(
        &self,
        connection: &OpenConnection,
        name: &Name,
        id: &str,
        spec: &Value,
    ) -> Result<(), CallError> {
        let connection = opened::<R::Connection>(connection);
        R::ready(connection, name, id, Self::spec(spec)?).await
    }
}

#[async_trait]
impl<C: Connection> Dial for Dialer<C> {
    fn normalize(&self, spec: &Value) -> Result<Value, SpecError> {
        let typed_spec: C::Spec = typed(spec, false)?;
        Ok(erased(&typed_spec, None).marked_like(spec))
    }

    fn describe(&self, spec: &Value) -> String {
        let mut same = Vec::new();
        spec.each_secret(&mut |text| same.push(text));
        match typed::<C::Spec>(&spec.masked(&same), false) {
            Ok(spec) => C::describe(&spec),
            Err(_) => C::KIND.to_owned(),
        }
    }

    fn is_local(&self, spec: &Value) -> bool {
        typed::<C::Spec>(spec, false).is_ok_and(|spec| C::is_local(&spec))
    }

    fn lint(&self, known: &serde_json::Value) -> Vec<Lint> {
        C::lint(known)
    }

    fn lint_files(&self, known: &serde_json::Value, look: Look<'_>) -> Vec<Lint> {
        C::lint_files(known, look)
    }

    fn backup<'a>(&self, connection: &'a OpenConnection) -> Option<&'a dyn Backup> {
        opened::<C>(connection).backup()
    }

    fn host(
        &self,
        connection: &OpenConnection,
        address: &Address,
        found: &FoundObject,
    ) -> Option<Arc<dyn Host>> {
        let connection = Arc::downcast::<C>(Arc::clone(connection)).ok()?;
        C::host(&connection, address, &found.id, &found.spec.to_json())
    }

    async fn open(&self, spec: &Value, scope: Scope) -> Result<OpenConnection, CallError> {
        let spec = typed(spec, false).map_err(|error| {
            let message = format!("`{}` does not fit: {}", error.path, error.message);
            CallError::refused(message)
        })?;
        Ok(Arc::new(C::open(spec, scope).await?))
    }

    async fn ready(&self, connection: &OpenConnection) -> Result<(), CallError> {
        opened::<C>(connection).ready().await
    }

    fn concurrency(&self, spec: &Value) -> Concurrency {
        typed(spec, false).map_or_else(|_| Concurrency::default(), |spec| C::concurrency(&spec))
    }

    fn exports(&self) -> Option<&'static str> {
        C::EXPORTS
    }

    async fn export(&self, connection: &OpenConnection) -> Result<String, CallError> {
        opened::<C>(connection).export().await
    }
}
