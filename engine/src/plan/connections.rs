//! Whether a connection can be used while planning, and what to look for behind it.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::ephemeral::holds_digest;
use crate::error::{CallError, Failure};
use crate::expr::Expr;
use crate::kind::ConnectionKind;
use crate::map::Map;
use crate::observed::Answer;
use crate::path::Path;
use crate::plan::change::Action;
use crate::plan::decide::{Decisions, Facts, Presence, Reads, Resolved, Walk, first_unknown};
use crate::plan::desired::desired;
use crate::plan::{ConnectionPlan, DeferredBy, Standing};
use crate::program::Declaration;
use crate::schema::Disruption;
use crate::store::Record;
use crate::value::Value;

impl Walk<'_> {
    /// Decides on a declared connection.
    pub(crate) fn connection(&mut self, declaration: &Declaration) {
        let address = &declaration.address;
        let attributes = self.resolve(declaration);
        let Some(kind) = self.inputs.registry.connection_kind(address.kind()) else {
            let message = format!("`{}` is not a kind of connection", address.kind());
            self.decisions.diagnostics.push(Diagnostic::new(Code::KindGone, message));
            return;
        };
        let dependencies = self.inputs.graph.dependencies(address);
        let normal = desired(&kind.schema, &attributes, &|spec| kind.dial.normalize(spec));
        let spec = match normal {
            Ok(normal) => normal.spec,
            Err(error) => {
                let message = format!("`{address}`: `{}` {}", error.path, error.message);
                let span = declaration.span_of(&error.path).clone();
                self.decisions
                    .diagnostics
                    .push(Diagnostic::new(Code::AttributeType, message).at(span));
                Expr::map(attributes)
            }
        };
        let settled = self.settled(&dependencies);
        let standing = self
            .upstream(&dependencies)
            .or_else(|| {
                let attribute = first_unknown(&spec, &kind.schema)?;
                Some(DeferredBy::Unknown { attribute })
            })
            .map_or(Standing::Unused, Standing::Deferred);
        let known = spec.known().cloned();
        let target = known.as_ref().map(|spec| kind.dial.describe(spec)).unwrap_or_default();
        let implicit = kind.implicit && address.name() == "default";
        let standing = match (standing, known) {
            (Standing::Unused, Some(spec)) => {
                let span = Some(&declaration.span);
                let managed = !dependencies.is_empty();
                self.usable(address, &spec, &target, settled, managed, span)
            }
            (standing, _) => standing,
        };
        if dependencies.is_empty()
            && let Some(now) = spec.known()
        {
            self.warn_of_another_server(declaration, now, &target);
        }
        let plan = ConnectionPlan {
            address: address.clone(),
            spec: spec.clone(),
            arguments: Some(Expr::map(declaration.attributes.clone())),
            dependencies,
            target,
            standing,
            implicit,
            declared: true,
        };
        self.push_connection(plan);
        let facts = Facts::All(Value::Map(Map::new()));
        let presence = Presence::Here;
        self.keep(address, Resolved { spec, facts, settled, presence });
    }

    /// A server at another place is another server: what was made on the old one stays there.
    fn warn_of_another_server(&mut self, declaration: &Declaration, now: &Value, target: &str) {
        let address = &declaration.address;
        let Some(kind) = self.inputs.registry.connection_kind(address.kind()) else { return };
        let Some(record) = self.inputs.state.records.get(address) else { return };
        let moved = kind.schema.spec.iter().find(|(name, attribute)| {
            let (was, is) = (record.spec.get(name), now.get(name));
            attribute.replace && was.zip(is).is_some_and(|(was, is)| !was.same(is))
        });
        let Some((name, _)) = moved else { return };
        let was = kind.dial.describe(&record.spec);
        let span = declaration.span_of(&Path::attribute(name)).clone();
        let message = format!("`{address}` leads to another server now");
        let found = Diagnostic::new(Code::AnotherServer, message)
            .at(span)
            .note(format!(
                "it was {was}, it is {target}; what was made there stays there, unmanaged"
            ))
            .hint(
                "to move, declare the new server under another name first, then remove the old",
            );
        self.decisions.warnings.push(found);
    }

    /// A connection the script does not declare any more, as it was recorded.
    pub(crate) fn undeclared_connection(&mut self, address: &Address) {
        if self.decisions.connection_index.contains_key(address) {
            return;
        }
        let Some(kind) = self.inputs.registry.connection_kind(address.kind()) else { return };
        let implied;
        let record = match self.inputs.state.records.get(address) {
            Some(record) => record,
            // The default one needs no record: it has no arguments.
            None if kind.implicit && address.name() == "default" => {
                let spec = kind.dial.normalize(&Value::Map(Map::new()));
                implied =
                    Record { spec: spec.unwrap_or_default(), ..Record::of(address.clone()) };
                &implied
            }
            None => return,
        };
        let spec = self.recorded_arguments(record, kind);
        let known = spec.known().cloned();
        let target = known.as_ref().map(|spec| kind.dial.describe(spec)).unwrap_or_default();
        let settled = self.settled(&record.dependencies);
        let standing = match (self.upstream(&record.dependencies), known) {
            (Some(by), _) => Standing::Deferred(by),
            (None, Some(_)) if self.inputs.refresh && self.is_forgotten(record) => {
                self.decisions.diagnostics.push(forgotten(address, &record.spec));
                Standing::Unused
            }
            (None, Some(spec)) => {
                let managed = !record.dependencies.is_empty();
                self.usable(address, &spec, &target, settled, managed, None)
            }
            (None, None) => {
                let attribute = first_unknown(&spec, &kind.schema).unwrap_or_default();
                Standing::Deferred(DeferredBy::Unknown { attribute })
            }
        };
        let plan = ConnectionPlan {
            address: address.clone(),
            spec,
            arguments: record.arguments.clone(),
            dependencies: record.dependencies.clone(),
            target,
            standing,
            implicit: kind.implicit && address.name() == "default",
            // One that a profile left stays in the state.
            declared: self.is_kept_dormant(address),
        };
        self.push_connection(plan);
    }

    /// The arguments of an undeclared connection: as declared once, filled in with what is
    /// known now (the port of a restarted container), or else as they were last.
    fn recorded_arguments(&self, record: &Record, kind: &ConnectionKind) -> Expr {
        let Some(arguments) = &record.arguments else {
            return Expr::Value(record.spec.clone());
        };
        let resolved = arguments.resolve(&|reference| {
            if self.resolved(&reference.address).is_some() {
                return self.look_up(reference).ok().flatten();
            }
            // Not declared either: as it was found, or as it was recorded.
            let change = self.change(&reference.address)?;
            let found = reference.path.follow(&change.facts);
            let found = found.or_else(|| reference.path.follow(change.before.as_ref()?));
            found.map(Expr::Value)
        });
        let Expr::Map(_) = &resolved else {
            let normal = resolved.known().and_then(|known| kind.dial.normalize(known).ok());
            return Expr::Value(
                normal.map_or_else(|| record.spec.clone(), |spec| kind.mark_spec(spec)),
            );
        };
        resolved
    }

    /// Whether something that lives in a server is still there, and what the server was told
    /// is not.
    fn is_forgotten(&self, record: &Record) -> bool {
        holds_digest(&record.spec)
            && self
                .inputs
                .state
                .records
                .values()
                .any(|inner| inner.connection.as_ref() == Some(&record.address))
    }

    fn settled(&self, dependencies: &[Address]) -> bool {
        dependencies
            .iter()
            .all(|address| self.resolved(address).is_none_or(|resolved| resolved.settled))
    }

    /// What stands under a connection and is not there, or not for long.
    fn upstream(&self, dependencies: &[Address]) -> Option<DeferredBy> {
        dependencies.iter().find_map(|address| {
            let change = self.change(address)?;
            let away = match change.action {
                Action::Create | Action::Replace | Action::Verify | Action::Forget => true,
                Action::Update => change.disruption >= Disruption::Reconnect,
                _ => false,
            };
            let action = change.action;
            away.then(|| DeferredBy::Upstream { address: address.clone(), action })
        })
    }

    /// How a connection with known arguments stands.
    fn usable(
        &mut self,
        address: &Address,
        spec: &Value,
        target: &str,
        settled: bool,
        managed: bool,
        span: Option<&crate::diagnostic::Span>,
    ) -> Standing {
        if !self.inputs.refresh {
            return Standing::Unrefreshed;
        }
        match self.inputs.observed.connections.get(address) {
            Some(Answer::Open) => Standing::Open,
            Some(Answer::Failed(error)) => {
                let recorded = self.inputs.state.records.contains_key(address);
                let found = unusable(address, target, error, recorded).at(span.cloned());
                self.decisions.diagnostics.push(found);
                Standing::Unused
            }
            None => {
                self.pending.insert(address.clone());
                if settled {
                    let reads = Reads {
                        spec: spec.clone(),
                        managed,
                        wanted: BTreeMap::new(),
                        unchecked: Vec::new(),
                    };
                    self.decisions.reads.insert(address.clone(), reads);
                }
                Standing::Unused
            }
        }
    }

    /// Takes what nothing is asked of for open: another walk would say the same as this one.
    pub(crate) fn leave_unasked(&mut self) {
        let Decisions { reads, connections, connection_index, .. } = &mut self.decisions;
        let unasked = reads
            .extract_if(.., |_, reads| reads.wanted.is_empty() && reads.unchecked.is_empty());
        for (connection, _) in unasked {
            if let Some(index) = connection_index.get(&connection) {
                connections[*index].standing = Standing::Open;
            }
        }
    }

    /// Whether a connection is about to be opened: there is another walk after that, and nobody
    /// looks at what this one says about what is behind it.
    pub(crate) fn will_be_read(&self, connection: Option<&Address>) -> bool {
        connection.is_some_and(|connection| self.decisions.reads.contains_key(connection))
    }
}

/// The error for a connection that an earlier run told something nobody tells it now.
fn forgotten(address: &Address, spec: &Value) -> Diagnostic {
    let gone = spec.as_map().into_iter().flatten();
    let gone: Vec<_> =
        gone.filter(|(_, value)| holds_digest(value)).map(|(name, _)| name.as_str()).collect();
    let message =
        format!("`{address}` cannot be used: its `{}` is not kept", gone.join("`, `"));
    Diagnostic::new(Code::ConnectionUnusable, message)
        .note("it was given as an ephemeral value, and something made there is still to go")
        .hint("declare it until that is gone, or give the same value again")
        .hint(format!("to leave what is there alone: `dollop state forget {address}`"))
}

/// The one clear error for a connection that cannot be used.
pub(crate) fn unusable(
    address: &Address,
    target: &str,
    error: &CallError,
    recorded: bool,
) -> Diagnostic {
    let what = match error.failure {
        Failure::Denied => format!("`{address}` refuses the login"),
        _ => format!("`{address}` does not answer"),
    };
    let mut found = Diagnostic::new(Code::ConnectionUnusable, what);
    if !target.is_empty() {
        found = found.note(format!("tried {target}"));
    }
    found = found.note(error.message.clone());
    for note in &error.notes {
        found = found.note(note.clone());
    }
    for hint in &error.hints {
        found = found.hint(hint.clone());
    }
    if matches!(error.failure, Failure::Unreachable | Failure::Denied) {
        found = found.hint("to plan from what dollop remembers, add `--no-refresh`");
        if recorded && error.failure == Failure::Unreachable {
            let hint = format!("if it is gone for good: `dollop state forget {address}`");
            found = found.hint(hint);
        }
    }
    found
}
