//! Containers.
//!
//! [`spec`] is what can be said, [`read`] turns what the engine reports into the same form,
//! [`create`], [`change`] and [`remove`] make it so. The other files are one form of value each.

mod absent;
mod beyond;
mod blkio;
mod calls;
mod change;
mod claims;
mod create;
mod devices;
mod facts;
mod files;
mod filler;
mod health;
mod hooks;
mod hosts;
mod inherit;
mod inject;
mod limits;
mod listeners;
mod modes;
mod mounts;
mod networks;
mod options;
pub(crate) mod pairs;
mod ports;
mod read;
mod remove;
pub(crate) mod rules;
mod security;
mod spec;
mod start;
mod succession;
mod supported;
mod survey;
mod taken;
mod track;
mod trial;
mod ulimits;
mod units;
mod wait;
mod words;

use std::collections::BTreeMap;

use dollop_engine::address::Address;
use dollop_engine::analysis::{Claimed, Lint};
use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Declared, Held, Moment, Name, Planned, Problem, ReadResult, Resource, Rolling,
    Scope, Traits, Wanted,
};

pub(crate) use create::create;
pub(crate) use devices::Gpus;
pub(crate) use facts::facts;
pub(crate) use files::Files;
pub(crate) use hosts::Hosts;
pub(crate) use modes::NetworkMode;
pub(crate) use mounts::Mounts;
pub(crate) use networks::{BRIDGE, Networks};
pub(crate) use pairs::{Pairs, labels};
pub(crate) use read::inspect;
pub(crate) use rules::is_open;
pub(crate) use spec::{ContainerSpec, Logging};
pub(crate) use ulimits::Ulimits;
pub(crate) use units::{Bytes, Span};
pub(crate) use wait::{last_lines, without_env};
pub(crate) use words::{Several, Words};

use super::engine::Engine;
use super::images;
use super::instead;
use super::versions;
use super::{labels, stored};
use spec::ContainerFacts;
use succession::Order;

/// `docker::container`; the API's `/containers`. Its id is the engine's.
pub struct Container;

impl Resource for Container {
    const KIND: &'static str = "docker::container";
    type Connection = Engine;
    type Spec = ContainerSpec;
    type Facts = ContainerFacts;

    fn traits() -> Traits {
        Traits {
            renames: true,
            gets_ready: true,
            replicas: true,
            may_hold_data: true,
            instead: instead::CONTAINER,
            ..Traits::default()
        }
    }

    fn default_name(stack: &str, address: &Address) -> String {
        labels::default_name(stack, address)
    }

    fn normalize(spec: &mut ContainerSpec) {
        spec.normalize();
    }

    fn check_named(natural: &str, _spec: &ContainerSpec) -> Vec<Problem> {
        labels::check_natural("container", natural).into_iter().collect()
    }

    fn check(spec: &ContainerSpec) -> Vec<Problem> {
        spec.check()
    }

    fn claims(name: &Name, spec: &ContainerSpec) -> Vec<Claimed> {
        claims::claims(name, spec)
    }

    fn lint(spec: &ContainerSpec) -> Vec<Lint> {
        claims::lints(spec)
    }

    fn cautions(_: &str, from: Option<&ContainerSpec>, to: &ContainerSpec) -> Vec<Problem> {
        from.map_or_else(Vec::new, |from| images::remembered(from, to))
    }

    fn replace_cautions(from: &ContainerSpec, to: &ContainerSpec) -> Vec<Problem> {
        if !Self::keeps_data(from, Some(to)) {
            return Vec::new();
        }
        images::remembered(from, to)
    }

    fn replace_refusals(from: &ContainerSpec, to: &ContainerSpec) -> Vec<Problem> {
        if !Self::keeps_data(from, Some(to)) {
            return Vec::new();
        }
        versions::other_version(&from.image, &to.image).into_iter().collect()
    }

    fn keeps_data(spec: &ContainerSpec, next: Option<&ContainerSpec>) -> bool {
        spec.volumes.keep_data(next.map(|next| &next.volumes))
    }

    fn stand_in(natural: &str) -> Option<String> {
        Some(succession::stand_in(natural))
    }

    fn creates_first(spec: &ContainerSpec) -> bool {
        spec.update_config.as_ref().is_some_and(|config| config.order == Order::StartFirst)
    }

    fn rolling(spec: &ContainerSpec) -> Rolling {
        spec.update_config.clone().unwrap_or_default().rolling()
    }

    fn check_beside(now: &ContainerSpec, next: &ContainerSpec) -> Vec<Problem> {
        succession::check_beside(now, next)
    }

    const READS_FILES: bool = true;

    async fn sources(
        scope: &Scope,
        spec: &ContainerSpec,
    ) -> Result<BTreeMap<String, String>, CallError> {
        track::sources(scope, spec).await
    }

    async fn create_beside(
        engine: &Engine,
        name: &Name,
        spec: ContainerSpec,
    ) -> Result<Created<ContainerFacts>, CallError> {
        succession::create_beside(engine, name, &spec).await
    }

    async fn take_over(
        engine: &Engine,
        name: &Name,
        id: &str,
        from: ContainerSpec,
        to: ContainerSpec,
        old: &str,
    ) -> Result<ContainerFacts, CallError> {
        succession::take_over(engine, name, id, (&from, &to), old).await
    }

    async fn read(engine: &Engine, wanted: &[Wanted<ContainerSpec>]) -> Vec<ReadResult<Self>> {
        read::read(engine, wanted).await
    }

    /// What is in its volumes without a name goes with it.
    async fn held(
        engine: &Engine,
        wanted: &[Wanted<ContainerSpec>],
        _moment: Moment,
    ) -> Vec<Result<Held, CallError>> {
        let ids = wanted.iter().map(|wanted| wanted.id.as_deref().unwrap_or_default());
        stored::without_a_name(engine, &ids.collect::<Vec<_>>()).await
    }

    const SURVEYS: bool = true;

    async fn survey(
        engine: &Engine,
        planned: &[Planned<ContainerSpec>],
        declared: &Declared,
    ) -> Vec<(Address, Lint)> {
        survey::survey(engine, planned, declared).await
    }

    async fn create(
        engine: &Engine,
        name: &Name,
        spec: ContainerSpec,
    ) -> Result<Created<ContainerFacts>, CallError> {
        create(engine, name, &spec).await
    }

    async fn prepare(
        engine: &Engine,
        name: &Name,
        spec: &ContainerSpec,
    ) -> Result<(), CallError> {
        trial::prepare(engine, name, spec).await
    }

    async fn update(
        engine: &Engine,
        name: &Name,
        id: &str,
        from: ContainerSpec,
        to: ContainerSpec,
    ) -> Result<ContainerFacts, CallError> {
        change::update(engine, name, id, &from, &to).await
    }

    async fn delete(
        engine: &Engine,
        name: &Name,
        id: &str,
        spec: ContainerSpec,
    ) -> Result<(), CallError> {
        remove::remove(engine, name, id, &spec).await
    }

    async fn ready(
        engine: &Engine,
        name: &Name,
        id: &str,
        spec: ContainerSpec,
    ) -> Result<(), CallError> {
        wait::ready(engine, name, id, spec).await
    }
}
