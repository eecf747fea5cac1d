//! What kinds that have a name and an address in the API share: one list to be read from,
//! `PUT` to be written by, `DELETE` to be removed by.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use dollop_engine::analysis::{Claim, Claimed, Known, Lint};
use dollop_engine::error::CallError;
use dollop_engine::path::Path;
use dollop_engine::resource::{
    Beside, Created, Found, Held, Listed, Listing, Migration, Moment, Name, Owner, Preview,
    Problem, Proposed, ReadResult, Resource, Traits, Wanted,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::binding::End;
use super::server::Server;
use super::unbound;

/// The longest name, in bytes.
pub(super) const LONGEST: usize = 255;

/// How the names begin that the server gives to exchanges and queues of its own.
pub(super) const RESERVED: &str = "amq.";

/// Nothing is reported beside the attributes.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct NoFacts {}

/// Where an object is: its vhost (empty when it is in none) and its name.
pub type Place = (String, String);

/// Whose an object is that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Somebody made it.
    Theirs,
    /// The server's own, which others may refer to.
    BuiltIn,
    /// The server's own, and nobody's business.
    Hidden,
}

/// A kind of named object. [`Kept`] makes a [`Resource`] of it.
pub trait Item: Send + Sync + 'static {
    /// The name in scripts: `rabbitmq::policy`.
    const KIND: &'static str;
    /// What users set.
    type Spec: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// An object as the server lists it.
    type Row: Send + Sync;

    /// What those who connect use its name for.
    const KNOWN: Option<Known> = None;

    /// What the engine must know beside the attributes.
    fn traits() -> Traits {
        Traits { within: &["vhost"], ..Traits::default() }
    }

    /// See [`Resource::normalize`].
    fn normalize(_spec: &mut Self::Spec) {}

    /// See [`Resource::check`].
    fn check(_spec: &Self::Spec) -> Vec<Problem> {
        Vec::new()
    }

    /// Whether the server keeps a name for itself.
    fn is_reserved(_name: &str) -> bool {
        false
    }

    /// See [`Resource::lint`].
    fn lint(_spec: &Self::Spec) -> Vec<Lint> {
        Vec::new()
    }

    /// See [`Resource::holds`].
    fn holds(_spec: &Self::Spec) -> bool {
        true
    }

    /// See [`Resource::migrates`].
    fn migrates(_from: &Self::Spec, _to: &Self::Spec) -> Migration {
        Migration::None
    }

    /// See [`Resource::protection`].
    fn protection(_spec: &Self::Spec) -> Option<Problem> {
        None
    }

    /// What bindings call it, when they lead from or to it: those that nobody declares come
    /// back when it is made anew.
    const END: Option<End> = None;

    /// Whose a found object is: of those that always exist nobody need take over one.
    const OWNER: Owner = Owner::Unmarked;

    /// All objects of the kind; `wanted` are the places that are asked about.
    fn rows(
        server: &Server,
        wanted: &[Place],
    ) -> impl Future<Output = Result<Vec<Self::Row>, CallError>> + Send;

    /// Why an object that is not listed cannot be made either, where the list tells.
    fn absent(
        _server: &Server,
        _name: &str,
        _spec: &Self::Spec,
        _rows: &BTreeMap<Place, Self::Row>,
    ) -> Result<(), CallError> {
        Ok(())
    }

    /// An object that is not listed and is there all the same, under another name, by what was
    /// recorded of it.
    fn found_elsewhere(
        _rows: &BTreeMap<Place, Self::Row>,
        _place: &Place,
        _recorded: &Self::Spec,
    ) -> Option<Self::Spec> {
        None
    }

    /// Where a listed object is.
    fn row_place(row: &Self::Row) -> Place;

    /// Where a declared object is.
    fn place(name: &str, spec: &Self::Spec) -> Place;

    /// A listed object as it would be declared. `wanted` tells what the server cannot;
    /// without it, everything the server tells is part of the declaration.
    fn found(wanted: Option<&Self::Spec>, row: &Self::Row) -> Result<Self::Spec, CallError>;

    /// See [`Resource::LISTS`].
    const LISTS: bool = true;

    /// Whose a listed object is.
    fn whose(_server: &Server, _row: &Self::Row) -> Whose {
        Whose::Theirs
    }

    /// The object in words: ``policy `p` in vhost `v` ``.
    fn words(name: &str, spec: &Self::Spec) -> String;

    /// Its address in the API, part by part.
    fn path<'a>(name: &'a str, spec: &'a Self::Spec) -> Vec<&'a str>;

    /// What is sent to it.
    fn body(name: &str, spec: &Self::Spec) -> Json;

    /// Makes it (`from` is `None`) or changes it. `what` completes "cannot …".
    fn write(
        server: &Server,
        what: &str,
        name: &str,
        from: Option<&Self::Spec>,
        to: &Self::Spec,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        let _ = from;
        async move { server.api.put(what, &Self::path(name, to), &Self::body(name, to)).await }
    }

    /// Removes it; fine when it is gone.
    fn remove(
        server: &Server,
        what: &str,
        name: &str,
        spec: &Self::Spec,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        async move { server.api.delete(what, &Self::path(name, spec)).await }
    }

    /// Removes it to make room for one of the same name; fine when it is gone.
    fn remove_for_successor(
        server: &Server,
        what: &str,
        name: &str,
        spec: &Self::Spec,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        Self::remove(server, what, name, spec)
    }

    /// Whether [`preview`](Self::preview) says anything.
    const PREVIEWS: bool = false;

    /// See [`Resource::PREVIEWED_WITH`].
    const PREVIEWED_WITH: &'static [&'static str] = &[];

    /// See [`Resource::preview_with`].
    fn preview(
        _server: &Server,
        proposed: &[Proposed<Self::Spec>],
        _beside: &Beside,
    ) -> impl Future<Output = Result<Vec<Preview>, CallError>> + Send {
        let many = proposed.len();
        async move { Ok(vec![Preview::default(); many]) }
    }

    /// See [`Resource::held`].
    fn held(
        _server: &Server,
        wanted: &[Place],
        _moment: Moment,
    ) -> impl Future<Output = Vec<Result<Held, CallError>>> + Send {
        let many = wanted.len();
        async move { vec![Ok(Held::Unknown); many] }
    }
}

/// An [`Item`] as a resource.
pub struct Kept<I>(PhantomData<fn() -> I>);

impl<I: Item> Resource for Kept<I> {
    const KIND: &'static str = I::KIND;
    type Connection = Server;
    type Spec = I::Spec;
    type Facts = NoFacts;

    fn traits() -> Traits {
        I::traits()
    }

    fn normalize(spec: &mut I::Spec) {
        I::normalize(spec);
    }

    fn check(spec: &I::Spec) -> Vec<Problem> {
        I::check(spec)
    }

    fn check_named(name: &str, spec: &I::Spec) -> Vec<Problem> {
        let in_path = I::path(name, spec).contains(&name);
        let (message, hint) = if name.is_empty() {
            ("the name is empty".to_owned(), "give it a name")
        } else if in_path && matches!(name, "." | "..") {
            (format!("the API cannot address the name `{name}`"), "give it another name")
        } else if name.len() > LONGEST {
            let many = name.len();
            let message = format!("the name has {many} bytes, RabbitMQ takes {LONGEST} bytes");
            (message, "give it a shorter name")
        } else if I::is_reserved(name) {
            let message =
                format!("`{name}`: names that begin with `{RESERVED}` are the server's own");
            (message, "give it another name")
        } else {
            return Vec::new();
        };
        let hint = Some(hint.to_owned());
        vec![Problem { attribute: "name".to_owned(), message, hint }]
    }

    fn claims(name: &Name, _: &I::Spec) -> Vec<Claimed> {
        let known = I::KNOWN.map(|what| Claim::Knows { what, name: name.natural.clone() });
        known.into_iter().map(|claim| Claimed::new(Path::attribute("name"), claim)).collect()
    }

    fn lint(spec: &I::Spec) -> Vec<Lint> {
        I::lint(spec)
    }

    fn keeps_data(spec: &I::Spec, _: Option<&I::Spec>) -> bool {
        !(I::traits().holds_data && I::holds(spec))
    }

    fn holds(spec: &I::Spec) -> bool {
        I::holds(spec)
    }

    fn migrates(from: &I::Spec, to: &I::Spec) -> Migration {
        I::migrates(from, to)
    }

    fn protection(spec: &I::Spec) -> Option<Problem> {
        I::protection(spec)
    }

    async fn read(server: &Server, wanted: &[Wanted<I::Spec>]) -> Vec<ReadResult<Self>> {
        let places = places::<I>(wanted);
        if let Some(end) = I::END {
            server.unbound.has(end, &places).await;
        }
        let rows = match I::rows(server, &places).await {
            Ok(rows) => rows,
            Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
        };
        // Whoever reads beside it sends its requests first: they are answered meanwhile.
        tokio::task::yield_now().await;
        let rows: BTreeMap<Place, I::Row> =
            rows.into_iter().map(|row| (I::row_place(&row), row)).collect();
        let look = |(wanted, place): (&Wanted<I::Spec>, Place)| {
            let Some(row) = rows.get(&place) else {
                I::absent(server, &place.1, &wanted.spec, &rows)?;
                let recorded = wanted.id.as_ref().map(|_| &wanted.spec);
                let found = recorded.and_then(|spec| I::found_elsewhere(&rows, &place, spec));
                return Ok(found.map(|spec| as_found::<I>(place.1, spec)));
            };
            let spec = I::found(Some(&wanted.spec), row)?;
            Ok(Some(as_found::<I>(place.1, spec)))
        };
        wanted.iter().zip(places).map(look).collect()
    }

    const LISTS: bool = I::LISTS;

    async fn list(server: &Server) -> Result<Listing<I::Spec, NoFacts>, CallError> {
        let mut listing = Listing::default();
        for row in I::rows(server, &[]).await? {
            let whose = I::whose(server, &row);
            if whose == Whose::Hidden {
                continue;
            }
            match I::found(None, &row) {
                Ok(spec) => listing.objects.push(Listed {
                    found: as_found::<I>(I::row_place(&row).1, spec),
                    built_in: whose == Whose::BuiltIn,
                    remarks: Vec::new(),
                    needs: Vec::new(),
                }),
                Err(error) => listing.left_out.push(error.message),
            }
        }
        Ok(listing)
    }

    const PREVIEWS: bool = I::PREVIEWS;

    const PREVIEWED_WITH: &'static [&'static str] = I::PREVIEWED_WITH;

    async fn preview_with(
        server: &Server,
        proposed: &[Proposed<I::Spec>],
        beside: &Beside,
    ) -> Result<Vec<Preview>, CallError> {
        I::preview(server, proposed, beside).await
    }

    async fn held(
        server: &Server,
        wanted: &[Wanted<I::Spec>],
        moment: Moment,
    ) -> Vec<Result<Held, CallError>> {
        I::held(server, &places::<I>(wanted), moment).await
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: I::Spec,
    ) -> Result<Created<NoFacts>, CallError> {
        let id = I::place(&name.natural, &spec).1;
        let what = format!("create {}", I::words(&id, &spec));
        I::write(server, &what, &id, None, &spec).await?;
        if let Some(end) = I::END {
            unbound::restore(server, &what, end, &I::place(&id, &spec)).await?;
        }
        Ok(Created { id, facts: NoFacts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        id: &str,
        from: I::Spec,
        to: I::Spec,
    ) -> Result<NoFacts, CallError> {
        let what = format!("change {}", I::words(id, &to));
        I::write(server, &what, id, Some(&from), &to).await?;
        // A create that was cut off is finished so.
        if let Some(end) = I::END {
            unbound::restore(server, &what, end, &I::place(id, &to)).await?;
        }
        Ok(NoFacts {})
    }

    async fn delete(
        server: &Server,
        _: &Name,
        id: &str,
        spec: I::Spec,
    ) -> Result<(), CallError> {
        let what = format!("delete {}", I::words(id, &spec));
        I::remove(server, &what, id, &spec).await?;
        match I::END {
            Some(end) => unbound::forget(server, &what, end, &I::place(id, &spec)).await,
            None => Ok(()),
        }
    }

    async fn delete_for_successor(
        server: &Server,
        _: &Name,
        id: &str,
        spec: I::Spec,
    ) -> Result<(), CallError> {
        let what = format!("delete {}", I::words(id, &spec));
        let removal = I::remove_for_successor(server, &what, id, &spec);
        match I::END {
            Some(end) => {
                unbound::make_room(server, &what, end, &I::place(id, &spec), removal).await
            }
            None => removal.await,
        }
    }
}

fn as_found<I: Item>(name: String, spec: I::Spec) -> Found<I::Spec, NoFacts> {
    Found { id: name.clone(), natural: name, spec, facts: NoFacts {}, owner: I::OWNER }
}

/// Where the wanted objects are: under the name they were made with.
fn places<I: Item>(wanted: &[Wanted<I::Spec>]) -> Vec<Place> {
    let place = |wanted: &Wanted<I::Spec>| {
        I::place(wanted.id.as_deref().unwrap_or(&wanted.name.natural), &wanted.spec)
    };
    wanted.iter().map(place).collect()
}

/// The place of an object in a vhost.
pub(super) fn in_vhost(vhost: &str, name: &str) -> Place {
    (vhost.to_owned(), name.to_owned())
}
