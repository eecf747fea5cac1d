//! What is to happen to one declared resource.

use std::sync::Arc;

use crate::address::Address;
use crate::diagnostic::{Code, Diagnostic};
use crate::ephemeral::told_again;
use crate::error::Failure;
use crate::expr::Expr;
use crate::kind::{FoundObject, Kind};
use crate::normals::Normal;
use crate::observed::Observation;
use crate::path::Path;
use crate::plan::Standing;
use crate::plan::change::{Action, Change, Difference, Reason};
use crate::plan::decide::{Facts, Presence, Resolved, Walk};
use crate::plan::desired::Desired;
use crate::plan::diff::{Sides, all_set, differences};
use crate::plan::following::migration;
use crate::plan::renaming::carried;
use crate::plan::seen::{Question, Seen};
use crate::plan::switch::as_left;
use crate::plan::undeclared::as_recorded;
use crate::program::Declaration;
use crate::resource::{Migration, Owner};
use crate::schema::Disruption;
use crate::store::Record;
use crate::value::Value;

/// What is known of the object while planning.
enum Now<'a> {
    /// It is there, like this.
    There(FoundObject),
    /// It is not there, or nobody looked.
    Absent,
    /// Its server is away and keeps its data: as recorded.
    Away(&'a Record),
    /// Its server is away and loses its data with this object.
    Lost(Address),
}

impl Walk<'_> {
    /// Decides on a declared resource.
    pub(crate) fn resource(&mut self, declaration: &Declaration) {
        let address = &declaration.address;
        let attributes = self.resolve(declaration);
        let Some(kind) = self.inputs.registry.kind(address.kind()) else {
            let message = format!("`{}` is not a kind of resource", address.kind());
            self.decisions.diagnostics.push(Diagnostic::new(Code::KindGone, message));
            return;
        };
        let normal = self.inputs.graph.normals().of(address, kind, &attributes);
        let normal = normal.unwrap_or_else(|error| {
            let message = format!("`{address}`: `{}`: {}", error.path, error.message);
            let span = declaration.span_of(&error.path).clone();
            self.decisions
                .diagnostics
                .push(Diagnostic::new(Code::AttributeType, message).at(span));
            Arc::new(Normal::as_written(attributes))
        });
        for problem in normal.problems(kind) {
            let span = declaration.span_of(&Path::attribute(&problem.attribute)).clone();
            let message = format!("`{address}`: {}", problem.message);
            let mut found = Diagnostic::new(Code::Rule, message).at(span);
            found.hints.extend(problem.hint.clone());
            self.decisions.diagnostics.push(found);
        }
        let normal = &normal.desired;
        self.claim(declaration, kind, normal);
        if let Some(known) = normal.spec.known() {
            self.settle(declaration, kind, known);
        }
        let record = self.records.get(address).copied();
        let (now, settled) = self.now(declaration, kind, record, normal);
        let change = self.decide_change(declaration, kind, normal, record, (now, settled));
        let mut change = self.succession(declaration, kind, change);
        Self::rolling(kind, &mut change);
        let change = self.guard(declaration, change);
        self.refuse_blind_rename(declaration, &change);
        if change.action == Action::Update
            && let (Some(before), Some(after)) =
                (&change.before, change.after.as_ref().and_then(Expr::known))
        {
            self.refuse_update(declaration, kind, before, after);
        }
        self.caution(declaration, kind, &change);
        if let Some(old) = self.old_address(declaration, change.id.as_deref()) {
            self.taken_over.entry(old).or_insert_with(|| address.clone());
        }
        let facts = Facts::usable(&change);
        let presence = Presence::Here;
        let resolved = Resolved { spec: normal.spec.clone(), facts, settled, presence };
        self.keep(address, resolved);
        self.push_change(change);
    }

    /// Refuses two declarations of one real object: each would undo the other.
    fn claim(&mut self, declaration: &Declaration, kind: &Kind, normal: &Desired) {
        let Some(connection) = &declaration.connection else { return };
        let own = kind.traits.telling();
        if own.is_empty() {
            return;
        }
        let names = kind.traits.within.iter().copied().chain(own).map(|name| {
            let value = normal.spec.known_entry(name)?;
            Some(value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned))
        });
        let Some(names) = names.collect::<Option<Vec<String>>>() else { return };
        let name = names[kind.traits.within.len()..].join(" ");
        let key = (connection.clone(), kind.name, names);
        let Some(first) = self.claims.insert(key, declaration.address.clone()) else { return };
        let what = crate::kind::short_name(kind.name);
        let message =
            format!("`{}` and `{first}` are both the {what} `{name}`", declaration.address);
        let span = declaration.span_of(&Path::attribute("name")).clone();
        let mut found = Diagnostic::new(Code::SameObject, message).at(span);
        if let Some(first) = self.inputs.graph.get(&first) {
            found = found.related(first.span.clone(), "declared here first");
        }
        let hint = "give one of them another `name`, or declare it once";
        self.decisions.diagnostics.push(found.hint(hint));
    }

    /// What is known of the object, and whether that will not change any more.
    fn now<'r>(
        &mut self,
        declaration: &Declaration,
        kind: &Kind,
        record: Option<&'r Record>,
        normal: &Desired,
    ) -> (Now<'r>, bool)
    where
        Self: 'r,
    {
        let address = &declaration.address;
        let Some(connection) = &declaration.connection else { return (Now::Absent, true) };
        let unrefreshed = |record: Option<&Record>| match record {
            Some(record) if record.interrupted => Now::Absent,
            Some(record) => Now::There(as_recorded(record)),
            None => Now::Absent,
        };
        match self.standing(connection) {
            Some(Standing::Unrefreshed) => match record {
                // Whether it exists is found out during apply.
                Some(record) if record.interrupted => (Now::Away(record), true),
                _ => (unrefreshed(record), true),
            },
            Some(Standing::Deferred(_)) => {
                let below = self.decisions.connection_index.get(connection);
                let below = below.map(|index| &self.decisions.connections[*index].dependencies);
                let lost = below.and_then(|below| self.data_lost(below));
                match (lost, record) {
                    (_, None) => (Now::Absent, true),
                    (Some(with), Some(_)) => (Now::Lost(with), true),
                    (None, Some(record)) => (Now::Away(record), true),
                }
            }
            // It exists nowhere but in its record.
            _ if record.is_none() && kind.traits.only_recorded => (Now::Absent, true),
            _ => match self.seen(connection, address, || {
                let spec = record.map(|one| told_again(&one.spec, normal.spec.known()));
                let spec = spec.or_else(|| normal.probe.clone());
                Question { spec, ..record.map(Question::of).unwrap_or_default() }
            }) {
                Seen::Later => (unrefreshed(record), false),
                Seen::This(Observation::Found(found)) => (Now::There(found.clone()), true),
                Seen::This(Observation::Gone | Observation::Unchecked) => (Now::Absent, true),
                Seen::This(Observation::Unreadable(error)) => {
                    let found = match error.failure {
                        Failure::Impossible => Diagnostic::new(
                            Code::Impossible,
                            format!("`{address}`: {}", error.message),
                        ),
                        _ => Diagnostic::new(
                            Code::Unreadable,
                            format!("cannot read `{address}`"),
                        )
                        .note(error.message.clone()),
                    };
                    let at = error.attribute.map(Path::attribute).unwrap_or_default();
                    let span = declaration.span_of(&at);
                    let mut found = found.at(span.clone());
                    found.notes.extend(error.notes.iter().cloned());
                    found.hints.extend(error.hints.iter().cloned());
                    self.decisions.diagnostics.push(found);
                    (unrefreshed(record), true)
                }
                Seen::Not => (unrefreshed(record), true),
            },
        }
    }

    fn decide_change(
        &mut self,
        declaration: &Declaration,
        kind: &Kind,
        normal: &Desired,
        record: Option<&Record>,
        (now, settled): (Now<'_>, bool),
    ) -> Change {
        let address = &declaration.address;
        let deferred = match declaration.connection.as_ref().map(|c| (c, self.standing(c))) {
            Some((connection, Some(Standing::Deferred(_)))) => {
                Some(Reason::Deferred(connection.clone()))
            }
            _ => None,
        };
        let mut change = Change {
            address: address.clone(),
            connection: declaration.connection.clone(),
            action: Action::Keep,
            reasons: Vec::new(),
            differences: Vec::new(),
            disruption: Disruption::None,
            before: None,
            after: Some(normal.spec.clone()),
            id: None,
            facts: Value::Null,
            dependencies: self.inputs.graph.dependencies(address),
            lifecycle: declaration.lifecycle.clone(),
            succession: None,
            rolling: None,
            span: Some(declaration.span.clone()),
        };
        let passing = !settled && self.will_be_read(declaration.connection.as_ref());
        let create = |mut change: Change, reason: Reason| {
            change.action = Action::Create;
            change.reasons = vec![reason];
            if passing {
                return change;
            }
            change.differences =
                all_set(&normal.spec, &kind.schema.spec, Some(&declaration.spans));
            // A name that only says the address again is no news.
            change.differences.retain(|difference| {
                difference.path != Path::attribute("name")
                    || difference.after.as_ref().and_then(Expr::known).and_then(Value::as_str)
                        != Some(address.name())
            });
            change.differences.shrink_to_fit();
            change
        };
        // What lives inside another resource goes and comes with it.
        let parent = self.parent_made_anew(declaration, kind);
        match now {
            Now::Absent => {
                let gone = record.is_some_and(|record| !record.interrupted);
                let mut change = create(change, if gone { Reason::Gone } else { Reason::New });
                change.reasons.extend(deferred);
                change
            }
            Now::Lost(with) => {
                let mut change = create(change, Reason::DataLost { with });
                change.disruption = lost_with(kind, record.map(|record| &record.spec));
                change.reasons.extend(deferred);
                change
            }
            Now::There(_) | Now::Away(_) if parent.is_some() && record.is_some() => {
                let with = parent.unwrap_or_else(|| address.clone());
                let mut change = create(change, Reason::DataLost { with });
                change.disruption = lost_with(kind, record.map(|record| &record.spec));
                change
            }
            Now::Away(record) => {
                let spec = record.spec.clone();
                let (spec, stands_in) = self.in_place(&change, kind, spec);
                change.before = Some(spec);
                change.id = Some(record.id.clone());
                change.facts = record.facts.clone();
                self.compare(&mut change, declaration, kind, normal, Some(record));
                let replaced = change.action == Action::Replace;
                if record.unfinished {
                    change.reasons.push(Reason::left(record));
                }
                if change.action == Action::Keep
                    || (record.interrupted && !replaced)
                    || (stands_in && !replaced)
                {
                    change.action = Action::Verify;
                }
                change.reasons.extend(deferred);
                change
            }
            Now::There(found) => {
                let spec = kind.mark_spec(found.spec);
                let spec = match normal.spec.known() {
                    Some(desired) => spec.marked_like(desired),
                    None => spec.marked_like(&normal.probe.clone().unwrap_or_default()),
                };
                let spec = match record {
                    Some(record) => spec.marked_like(&record.spec),
                    None => spec,
                };
                change.facts = kind.mark_facts(found.facts, &spec);
                let (spec, stands_in) = self.in_place(&change, kind, spec);
                self.compare_as_renamed(
                    &mut change,
                    declaration,
                    kind,
                    normal,
                    record,
                    (found.id, spec),
                );
                let old = match record {
                    Some(_) => None,
                    None => self.old_address(declaration, change.id.as_deref()),
                };
                let mine = found.owner == Owner::Ours || declaration.lifecycle.adopt;
                match (record, &found.owner) {
                    // Labels would tell a stranger's object from what a killed run made.
                    (Some(record), Owner::Other(whose))
                        if record.interrupted && !declaration.lifecycle.adopt =>
                    {
                        self.refuse_foreign(declaration, &change, Some(whose));
                    }
                    (Some(record), _) if record.interrupted => {
                        if change.action == Action::Keep {
                            change.action = Action::Update;
                        }
                        // What forces a replacement is said first.
                        change.reasons.push(Reason::left(record));
                    }
                    (Some(record), _)
                        if (record.unfinished || stands_in)
                            && change.action == Action::Keep =>
                    {
                        change.action = Action::Update;
                        change.reasons.push(Reason::left(record));
                    }
                    // What was recorded is ours, whatever marks it carries: it may have been
                    // adopted, and marks cannot always be changed.
                    (Some(_), _) => {}
                    // The same object under a new address: it moves, nothing else.
                    (None, _) if old.is_some() => {
                        if change.action == Action::Keep {
                            change.action = Action::Adopt;
                        }
                        let from = old.unwrap_or_else(|| address.clone());
                        change.reasons.insert(0, Reason::Renamed { from });
                    }
                    (None, Owner::Other(whose)) if !declaration.lifecycle.adopt => {
                        self.refuse_foreign(declaration, &change, Some(whose));
                    }
                    (None, _) if mine => {
                        if change.action == Action::Keep {
                            change.action = Action::Adopt;
                        }
                        change.reasons.insert(0, Reason::Adopted);
                    }
                    (None, _) => self.refuse_foreign(declaration, &change, None),
                }
                change
            }
        }
    }

    /// Compares an object as it is once those have their new names that it is named after.
    fn compare_as_renamed(
        &self,
        change: &mut Change,
        declaration: &Declaration,
        kind: &Kind,
        normal: &Desired,
        record: Option<&Record>,
        (id, spec): (String, Value),
    ) {
        let address = (&declaration.address, id.as_str());
        let carried = match &declaration.connection {
            Some(connection) if record.is_some() => {
                carried(&self.renamings, connection, kind, address, &spec)
            }
            _ => None,
        };
        let now = (id, spec);
        let (id, spec) = carried.clone().unwrap_or_else(|| now.clone());
        (change.id, change.before) = (Some(id), Some(spec));
        self.compare(change, declaration, kind, normal, record);
        // What is made anew is removed before that, under its old name.
        if carried.is_some() && change.action == Action::Replace {
            (change.id, change.before) = (Some(now.0), Some(now.1));
        }
    }

    /// Refuses another name behind a server that nobody can look into yet: whether what is
    /// there has the old or the new one decides what is made.
    fn refuse_blind_rename(&mut self, declaration: &Declaration, change: &Change) {
        let deferred = change.reasons.iter().find_map(|reason| match reason {
            Reason::Deferred(server) => Some(server),
            _ => None,
        });
        let kept = matches!(change.action, Action::Update | Action::Verify);
        let Some(server) = deferred.filter(|_| kept) else { return };
        let address = &declaration.address;
        let renamed = self.renamings.iter().any(|one| one.address == *address);
        let doubtful = self.records.get(address).is_some_and(|one| !one.renaming.is_empty());
        let message = match (renamed, doubtful) {
            (true, _) => {
                format!("`{address}` gets another name while `{server}` cannot be reached")
            }
            (false, true) => format!(
                "a run that was killed may have given `{address}` another name, and `{server}` \
                 cannot be reached"
            ),
            _ => return,
        };
        let span = declaration.span_of(&Path::attribute("name")).clone();
        let found = Diagnostic::new(Code::Rule, message).at(span);
        let hint = "apply what makes the server available first, under the old name";
        self.decisions.diagnostics.push(found.hint(hint));
    }

    /// Fills in what differs, and from that the action.
    fn compare(
        &self,
        change: &mut Change,
        declaration: &Declaration,
        kind: &Kind,
        normal: &Desired,
        record: Option<&Record>,
    ) {
        let Some(before) = &change.before else { return };
        // What others change is desired as it is.
        let mut wanted = normal.spec.clone();
        for path in &declaration.lifecycle.ignore_changes {
            wanted = wanted.replaced(path, path.follow(before));
        }
        change.after = Some(wanted.clone());
        let left = record
            .filter(|record| !record.interrupted)
            .map(|record| as_left(record, self.inputs.registry));
        let sides = Sides {
            desired: &wanted,
            actual: before,
            recorded: left.as_deref(),
            schema: &kind.schema.spec,
            spans: Some(&declaration.spans),
        };
        change.differences = differences(&sides);
        let mut follows = self.follows(declaration, kind);
        follows.extend(self.triggered(declaration).map(|reason| (reason, true)));
        if self.inputs.replace.contains(&declaration.address) {
            follows.push((Reason::Requested, true));
        }
        if record.is_some_and(|record| record.tainted) {
            follows.push((Reason::Tainted, true));
        }
        let moved = follows.iter().any(|(_, replaces)| *replaces);
        let migration = if moved {
            Migration::None
        } else {
            migration(kind, before, change.after.as_ref(), &mut change.differences)
        };
        let replacing: Vec<Path> = change
            .differences
            .iter()
            .filter(|difference| difference.replaces)
            .map(|difference| difference.path.clone())
            .collect();
        if migration != Migration::None {
            for difference in &mut change.differences {
                difference.replaces = false;
            }
            change.action = Action::Update;
            change.disruption = Disruption::Recreate;
            let offline = migration == Migration::Offline;
            change.reasons.push(Reason::Migrates { paths: replacing, offline });
        } else if replacing.is_empty() && !moved {
            if change.differences.is_empty() && follows.is_empty() {
                return;
            }
            change.action = Action::Update;
            let followed = follows.iter().filter_map(|(reason, _)| match reason {
                Reason::Follows { via, .. } => {
                    Some(kind.schema.spec.get(via.first()?)?.disruption)
                }
                _ => None,
            });
            change.disruption = followed
                .chain([disruption(kind, &change.differences)])
                .max()
                .unwrap_or(Disruption::None);
            if !change.differences.is_empty() {
                change.reasons.push(Reason::Changed);
            }
        } else {
            change.action = Action::Replace;
            change.disruption = lost_with(kind, change.before.as_ref());
            if !replacing.is_empty() {
                change.reasons.push(Reason::CannotUpdate(replacing));
            }
        }
        change.reasons.extend(follows.into_iter().map(|(reason, _)| reason));
    }

    /// The resource it lives in, when that is made anew.
    fn parent_made_anew(&self, declaration: &Declaration, kind: &Kind) -> Option<Address> {
        kind.traits.within.iter().find_map(|name| {
            let value = declaration.attributes.get(*name)?;
            value.references().into_iter().find_map(|reference| {
                let action = self.action(&reference.address)?;
                matches!(action, Action::Create | Action::Replace)
                    .then(|| reference.address.clone())
            })
        })
    }

    fn refuse_foreign(
        &mut self,
        declaration: &Declaration,
        change: &Change,
        whose: Option<&str>,
    ) {
        let address = &declaration.address;
        let what = crate::kind::short_name(address.kind());
        let kind = self.inputs.registry.kind(address.kind());
        let identity = kind.map_or(&[][..], |kind| kind.traits.identity);
        let spec = change.before.as_ref();
        let value = |name: &str| spec.and_then(|spec| spec.get(name)).and_then(Value::as_str);
        let message = match (value("name"), identity) {
            (Some(name), _) => format!("`{address}`: a {what} named `{name}` exists already"),
            (None, []) => format!("`{address}`: this {what} exists already"),
            (None, names) => {
                let names: Vec<_> = names
                    .iter()
                    .filter_map(|name| Some(format!("{name} `{}`", value(name)?)))
                    .collect();
                format!("`{address}`: a {what} with {} exists already", names.join(", "))
            }
        };
        let mut found =
            Diagnostic::new(Code::ExistsAlready, message).at(declaration.span.clone());
        if let Some(whose) = whose {
            found = found.note(whose);
        }
        let hint = "to take it over as it is and manage it from here on, add `adopt: true`; \
                    otherwise choose another `name`";
        self.decisions.diagnostics.push(found.hint(hint));
    }

    /// Refuses what the script has forbidden.
    pub(crate) fn guard(&mut self, declaration: &Declaration, change: Change) -> Change {
        let lost = change.reasons.iter().find_map(|reason| match reason {
            Reason::DataLost { with } => Some(with),
            _ => None,
        });
        self.guard_declared(declaration, &change, lost.is_some());
        if declaration.lifecycle.prevent_destroy
            && let Some(with) = lost
        {
            let span = declaration.span_of(&Path::attribute("prevent_destroy")).clone();
            let message = format!(
                "`{}` would be lost with `{with}`, which its `prevent_destroy` forbids",
                change.address
            );
            let hint = "undo the change, or remove `prevent_destroy` if the loss is meant";
            self.decisions
                .diagnostics
                .push(Diagnostic::new(Code::PreventDestroy, message).at(span).hint(hint));
        }
        if declaration.lifecycle.prevent_destroy && change.action == Action::Replace {
            let span = declaration.span_of(&Path::attribute("prevent_destroy")).clone();
            let mut found = Diagnostic::new(
                Code::PreventDestroy,
                format!(
                    "`{}` would be replaced, which its `prevent_destroy` forbids",
                    change.address
                ),
            )
            .at(span);
            for difference in change.differences.iter().filter(|d| d.replaces) {
                found = found.note(format!("`{}` cannot be changed in place", difference.path));
            }
            let hint = "undo the change, or remove `prevent_destroy` if the loss is meant";
            self.decisions.diagnostics.push(found.hint(hint));
        }
        change
    }
}

fn lost_with(kind: &Kind, before: Option<&Value>) -> Disruption {
    let loses = before.map_or(kind.traits.holds_data, |before| kind.loses(before));
    if loses { Disruption::DataLoss } else { Disruption::Recreate }
}

/// The worst of what the changed attributes do.
fn disruption(kind: &Kind, differences: &[Difference]) -> Disruption {
    let of = |difference: &Difference| {
        let attribute = kind.schema.spec.get(difference.path.first()?)?;
        Some(attribute.disruption)
    };
    differences.iter().filter_map(of).max().unwrap_or(Disruption::None)
}
