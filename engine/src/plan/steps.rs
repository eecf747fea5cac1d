//! Changes to ordered steps. A replacement is two: a delete and a create; only the latter of
//! what goes by itself with another.

mod number;
mod rolling;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use smallvec::SmallVec;

use crate::address::Address;
use crate::expr::Expr;
use crate::plan::change::{Action, Change, Reason};
use crate::plan::{ConnectionPlan, LookupOutcome, LookupPlan, Operation, Standing, Step};
use crate::store::{Record, State};

/// What steps are made of.
pub(crate) struct Work<'a> {
    pub(crate) changes: &'a [Change],
    pub(crate) connections: &'a [ConnectionPlan],
    pub(crate) lookups: &'a [LookupPlan],
    pub(crate) declared: &'a dyn Fn(&Address) -> bool,
    pub(crate) state: &'a State,
    pub(crate) renamed: &'a [(Address, Address)],
    /// What gets another name in place, and who is named after it.
    pub(crate) followers: &'a [(Address, Address)],
    /// What had better be changed before what: a name is left before something else takes it, a
    /// password is kept before others are told it.
    pub(crate) orders: &'a [(Address, Address)],
    /// What leaves its name before it can have its new one.
    pub(crate) ways: &'a BTreeSet<Address>,
    /// What is made, and what is about it without naming it.
    pub(crate) covered: &'a [(Address, Address)],
    /// What is replaced and goes by itself with what it stands for.
    pub(crate) goes_along: &'a dyn Fn(&Change) -> bool,
}

/// The work for a set of decisions, numbered so that everything comes after what it needs.
///
/// # Errors
/// The steps of these addresses wait for each other, which would be a bug.
pub(crate) fn steps(work: &Work<'_>) -> Result<Vec<Step>, Vec<Address>> {
    let Work { changes, connections, lookups, declared, state, renamed, .. } = *work;
    let mut draft = Draft::for_about(changes.len() + connections.len());
    let used: HashSet<&Address> = changes
        .iter()
        .filter(|change| change.action.touches_world() && change.action != Action::Cascade)
        .filter_map(|change| change.connection.as_ref())
        .collect();
    let moved: HashSet<&Address> = renamed.iter().map(|(_, to)| to).collect();
    for connection in connections {
        let address = &connection.address;
        draft.connection(connection, used.contains(address), moved.contains(address), state);
    }
    for change in changes {
        draft.change(change, work);
    }
    // A connection nobody declares any more and nothing needed.
    for record in state.records.values() {
        let address = &record.address;
        let known = draft.forward.contains_key(address) || draft.backward.contains_key(address);
        let listed = connections.iter().any(|connection| &connection.address == address);
        if record.connection.is_none() && !declared(address) && !known && !listed {
            let step = draft.add(address, Operation::Record);
            draft.backward.insert(address.clone(), step);
        }
    }
    // A connection under another address now: the old record goes once the new one is there.
    for (from, to) in renamed {
        if draft.backward.contains_key(from) {
            continue;
        }
        let step = draft.add(from, Operation::Record);
        draft.backward.insert(from.clone(), step);
        draft.needs[step].extend(draft.forward.get(to).copied());
    }
    let later = lookups.iter().filter(|lookup| lookup.outcome == LookupOutcome::Later);
    for lookup in later.clone() {
        let step = draft.add(&lookup.address, Operation::Read);
        draft.forward.insert(lookup.address.clone(), step);
    }
    draft.name_first(work);
    draft.wire(changes, connections, state);
    for lookup in later {
        if let Some(step) = draft.forward.get(&lookup.address).copied() {
            draft.after_forward(step, &lookup.dependencies);
        }
    }
    draft.grant_wishes();
    draft.covered_first(work.covered);
    draft.roll(changes);
    draft.number()
}

/// Beyond so many, making room first is not worth the pairs.
const MOST_ROOM: usize = 50;

/// Steps to come before another, some perhaps more than once; most have only a few.
type Before = SmallVec<[usize; 4]>;

#[derive(Default)]
struct Draft {
    steps: Vec<(Address, Operation)>,
    needs: Vec<Before>,
    /// The step after which a resource is as it shall be.
    forward: HashMap<Address, usize>,
    /// The first of several steps that lead there, where there are several.
    begins: HashMap<Address, usize>,
    /// The step that takes a resource away.
    backward: HashMap<Address, usize>,
    /// Steps to come after, whatever becomes of them.
    after: Vec<Vec<usize>>,
    /// Wishes: a step, and one that had better be done before, unless that waits for it.
    wishes: Vec<(usize, usize)>,
}

impl Draft {
    fn for_about(steps: usize) -> Self {
        Self {
            steps: Vec::with_capacity(steps),
            needs: Vec::with_capacity(steps),
            after: Vec::with_capacity(steps),
            forward: HashMap::with_capacity(steps),
            ..Self::default()
        }
    }

    fn add(&mut self, address: &Address, operation: Operation) -> usize {
        self.steps.push((address.clone(), operation));
        self.needs.push(Before::new());
        self.after.push(Vec::new());
        self.steps.len() - 1
    }

    /// `used` says whether a step goes through it, `moved` that it was recorded elsewhere.
    fn connection(
        &mut self,
        connection: &ConnectionPlan,
        used: bool,
        moved: bool,
        state: &State,
    ) {
        let address = &connection.address;
        if !connection.declared {
            if used && matches!(connection.standing, Standing::Deferred(_)) {
                let step = self.add(address, Operation::Connect);
                self.forward.insert(address.clone(), step);
            }
            let step = self.add(address, Operation::Record);
            self.backward.insert(address.clone(), step);
            return;
        }
        let operation = if let Standing::Deferred(_) = connection.standing {
            Some(Operation::Connect)
        } else {
            let same = state.records.get(address).is_some_and(|record| {
                record.dependencies == connection.dependencies
                    && connection.spec.known().is_some_and(|spec| spec == &record.spec)
            });
            (moved || !same).then_some(Operation::Record)
        };
        if let Some(operation) = operation {
            let step = self.add(address, operation);
            self.forward.insert(address.clone(), step);
        }
    }

    fn change(&mut self, change: &Change, work: &Work<'_>) {
        let Work { state, ways, .. } = *work;
        let address = &change.address;
        let stands_in = change.succession.is_some_and(|succession| succession.stand_in);
        let forward = match change.action {
            Action::Create => Some(Operation::Create),
            Action::Update | Action::Verify if stands_in => Some(Operation::TakeOver),
            Action::Update => Some(Operation::Update),
            Action::Verify => Some(Operation::Verify),
            Action::Adopt => Some(Operation::Record),
            Action::Replace if (work.goes_along)(change) => Some(Operation::Create),
            Action::Replace => {
                let step = self.add(address, Operation::Delete);
                self.backward.insert(address.clone(), step);
                Some(Operation::Create)
            }
            Action::Keep => {
                let outdated =
                    state.records.get(address).is_none_or(|record| stale(record, change));
                outdated.then_some(Operation::Record)
            }
            Action::Delete | Action::Cascade | Action::Forget => {
                let operation = if change.action == Action::Delete {
                    Operation::Delete
                } else {
                    Operation::Record
                };
                let step = self.add(address, operation);
                self.backward.insert(address.clone(), step);
                None
            }
        };
        if let Some(operation) = forward {
            let after = match operation {
                Operation::Create if stands_in => Some((operation, Operation::TakeOver)),
                Operation::Update if ways.contains(address) => {
                    Some((Operation::MakeWay, operation))
                }
                _ => None,
            };
            let step = if let Some((first, then)) = after {
                let first = self.add(address, first);
                self.begins.insert(address.clone(), first);
                let step = self.add(address, then);
                self.needs[step].push(first);
                step
            } else {
                self.add(address, operation)
            };
            self.forward.insert(address.clone(), step);
        }
    }

    fn wire(&mut self, changes: &[Change], connections: &[ConnectionPlan], state: &State) {
        for connection in connections {
            if let Some(step) = self.forward.get(&connection.address).copied() {
                self.after_forward(step, &connection.dependencies);
            }
        }
        let stops: HashSet<&Address> =
            changes.iter().filter(|change| change.stops()).map(|c| &c.address).collect();
        for change in changes {
            let address = &change.address;
            let first = self.begins.get(address).or_else(|| self.forward.get(address)).copied();
            if let Some(step) = first.filter(|_| change.stops()) {
                self.before_stops(step, &change.dependencies, &stops);
            } else if let Some(step) = first {
                self.after_forward(step, &change.dependencies);
                if let Some(delete) = self.backward.get(address)
                    && !change.creates_first()
                {
                    self.needs[step].push(*delete);
                }
            }
            let Some(delete) = self.backward.get(address).copied() else { continue };
            if matches!(change.action, Action::Cascade | Action::Forget) {
                // It goes with its parent: out of the state once the parent is gone.
                let with = change.reasons.iter().find_map(|reason| match reason {
                    Reason::GoesWith(with) => self.backward.get(with),
                    // Never a moment without a record of it.
                    Reason::RenamedTo(to) => self.forward.get(to),
                    _ => None,
                });
                self.needs[delete].extend(with.copied().filter(|with| *with != delete));
                continue;
            }
            // Deletes behind a deferred connection wait until it is open.
            let connect = change.connection.as_ref().and_then(|c| self.forward.get(c)).copied();
            self.needs[delete].extend(connect);
            if !change.creates_first() {
                self.only_when_known(delete, change);
            }
            // What is replaced stays up until what its successor needs is there.
            if change.action == Action::Replace {
                for needed in &change.dependencies {
                    if let Some(step) = self.forward.get(needed) {
                        self.wishes.push((delete, *step));
                    }
                }
            }
        }
        self.dependents_first(changes, state);
        self.switch_first(changes, connections);
        self.room_first(changes);
    }

    /// What stops goes before what it needs and stops as well.
    fn before_stops(&mut self, step: usize, needed: &[Address], stops: &HashSet<&Address>) {
        for needed in needed.iter().filter(|needed| stops.contains(needed)) {
            if let Some(then) = self.forward.get(needed) {
                self.needs[*then].push(step);
            }
        }
    }

    /// A name is left before something else takes it. What goes is called by the old name,
    /// what stays by the new one.
    fn name_first(&mut self, work: &Work<'_>) {
        let leaves = |draft: &Self, address: &Address| {
            let begins = draft.begins.get(address).filter(|_| work.ways.contains(address));
            begins.or_else(|| draft.forward.get(address)).copied()
        };
        for (first, then) in work.orders {
            // Only a wish: where something else is in its way, the server says that the name
            // is taken.
            let Some(first) = leaves(self, first) else { continue };
            let then = [self.backward.get(then), self.forward.get(then)];
            self.wishes.extend(then.into_iter().flatten().map(|then| (*then, first)));
        }
        for (renamed, follower) in work.followers {
            let Some(rename) = self.forward.get(renamed).copied() else { continue };
            let left = leaves(self, renamed).unwrap_or(rename);
            let gone = self.backward.get(follower).map(|gone| (left, *gone));
            let stays = self.forward.get(follower).map(|stays| (*stays, rename));
            self.wishes.extend(gone.into_iter().chain(stays));
        }
    }

    /// What has a successor goes last: after that is in its place, and after what needs it
    /// has switched over.
    fn switch_first(&mut self, changes: &[Change], connections: &[ConnectionPlan]) {
        let mut users: HashMap<&Address, Vec<&Address>> = HashMap::new();
        if changes.iter().any(|change| change.succession.is_some()) {
            let resources =
                changes.iter().map(|change| (&change.address, &change.dependencies));
            let servers = connections.iter();
            let servers =
                servers.map(|connection| (&connection.address, &connection.dependencies));
            for (address, dependencies) in resources.chain(servers) {
                for needed in dependencies {
                    users.entry(needed).or_default().push(address);
                }
            }
        }
        for change in changes {
            let Some(succession) = change.succession else { continue };
            let address = &change.address;
            let old = if succession.begun { address.deposed() } else { address.clone() };
            let Some(delete) = self.backward.get(&old).copied() else { continue };
            self.needs[delete].extend(self.forward.get(address).copied());
            for user in users.get(address).into_iter().flatten() {
                let switched = self.forward.get(*user).copied();
                self.wishes.extend(switched.map(|switched| (delete, switched)));
            }
        }
    }

    /// What is removed may hold a port, an address or a name that something new of its kind
    /// is about to take.
    fn room_first(&mut self, changes: &[Change]) {
        let gone = changes.iter().filter(|change| change.action == Action::Delete);
        for gone in gone.take(MOST_ROOM) {
            let new = changes.iter().filter(|change| {
                change.action == Action::Create
                    && change.connection == gone.connection
                    && change.address.kind() == gone.address.kind()
            });
            for new in new.take(MOST_ROOM) {
                let steps = (self.forward.get(&new.address), self.backward.get(&gone.address));
                if let (Some(create), Some(delete)) = steps {
                    self.wishes.push((*create, *delete));
                }
            }
        }
    }

    /// A step that brings something up waits for what it needs.
    fn after_forward(&mut self, step: usize, dependencies: &[Address]) {
        let needed = dependencies.iter().filter_map(|address| self.forward.get(address));
        self.needs[step].extend(needed.copied().filter(|needed| *needed != step));
    }

    /// A replacement whose cause is not known yet is decided once it is: its delete waits
    /// for what tells, unless that is itself waiting for this delete.
    fn only_when_known(&mut self, delete: usize, change: &Change) {
        if change.action != Action::Replace || !conditional(change) {
            return;
        }
        let replaced =
            change.dependencies.iter().any(|address| self.backward.contains_key(address));
        if !replaced {
            self.after_forward(delete, &change.dependencies);
        }
    }

    /// What goes, goes after everything that was recorded as needing it: after its delete,
    /// or after the step that makes it need something else.
    fn dependents_first(&mut self, changes: &[Change], state: &State) {
        let elided: HashSet<&Address> = changes
            .iter()
            .filter(|change| {
                matches!(change.action, Action::Cascade | Action::Forget)
                    || change.reasons.iter().any(|r| matches!(r, Reason::DataLost { .. }))
            })
            .map(|change| &change.address)
            .collect();
        let cascading: HashSet<&Address> = changes
            .iter()
            .filter(|change| change.action == Action::Cascade)
            .map(|change| &change.address)
            .collect();
        let made_first: HashSet<&Address> = changes
            .iter()
            .filter(|change| change.creates_first())
            .map(|change| &change.address)
            .collect();
        let undeclared: HashSet<&Address> = changes
            .iter()
            .filter(|change| {
                matches!(change.action, Action::Delete | Action::Cascade | Action::Forget)
            })
            .map(|change| &change.address)
            .collect();
        // What nobody may use while what is stored in it moves waits like what goes.
        let offline: HashMap<&Address, usize> = changes
            .iter()
            .filter(|change| change.migrates_offline())
            .filter_map(|change| {
                Some((&change.address, self.forward.get(&change.address).copied()?))
            })
            .collect();
        // Nothing goes: nothing else waits for that.
        if self.backward.is_empty() && offline.is_empty() {
            return;
        }
        let mut behind: BTreeMap<&Address, Vec<&Record>> = BTreeMap::new();
        for record in state.records.values() {
            for needed in &record.dependencies {
                behind.entry(needed).or_default().push(record);
            }
        }
        for (needed, dependents) in &behind {
            let delete = self.backward.get(*needed).or_else(|| offline.get(*needed));
            let Some(delete) = delete.copied() else { continue };
            let mut queue: Vec<&Record> = dependents.clone();
            let mut seen = BTreeSet::new();
            while let Some(record) = queue.pop() {
                if !seen.insert(&record.address) {
                    continue;
                }
                if elided.contains(&record.address) {
                    // It is gone when what it goes with is: a role is dropped after the
                    // database in which it was granted something.
                    let gone = cascading.contains(&record.address)
                        && record.dependencies.contains(needed);
                    let gone = gone.then(|| self.backward.get(&record.address)).flatten();
                    self.wishes.extend(gone.map(|gone| (delete, *gone)));
                    continue;
                }
                // A connection is no object; what lives behind it needs what is under it.
                if record.connection.is_none() {
                    queue.extend(behind.get(&record.address).into_iter().flatten());
                    continue;
                }
                let backward = self.backward.get(&record.address).copied();
                if let Some(step) = backward
                    && step != delete
                {
                    // What lives behind a deferred connection is removed once that is open
                    // again, which may be after this very delete.
                    let deferred = record
                        .connection
                        .as_ref()
                        .and_then(|connection| self.forward.get(connection))
                        .is_some_and(|step| self.steps[*step].1 == Operation::Connect);
                    // What is made first goes last, perhaps after what it needed.
                    let last = made_first.contains(&record.address);
                    if deferred || last {
                        self.wishes.push((delete, step));
                    } else {
                        self.needs[delete].push(step);
                    }
                }
                // What stays but needed this until now lets go first.
                if undeclared.contains(needed)
                    && backward.is_none()
                    && let Some(step) = self.forward.get(&record.address)
                {
                    self.wishes.push((delete, *step));
                }
            }
        }
        // A connection leaves the state after everything behind it.
        for (address, step) in self.backward.clone() {
            let is_connection =
                state.records.get(&address).is_some_and(|record| record.connection.is_none());
            if !is_connection {
                continue;
            }
            let inner =
                state.records.values().filter(|r| r.connection.as_ref() == Some(&address));
            for record in inner {
                let last = self.backward.get(&record.address).copied();
                self.needs[step].extend(last.filter(|last| *last != step));
            }
        }
    }

    /// Adds the wishes that close no circle, in the order they were made.
    fn grant_wishes(&mut self) {
        for (step, wished) in std::mem::take(&mut self.wishes) {
            if step != wished && !self.waits_for(wished, step) {
                self.needs[step].push(wished);
            }
        }
    }

    /// What is about things without naming them comes after those that are made, also where
    /// some of them fail.
    fn covered_first(&mut self, covered: &[(Address, Address)]) {
        for (made, coverer) in covered {
            let first = self.begins.get(coverer).or_else(|| self.forward.get(coverer)).copied();
            let (Some(first), Some(made)) = (first, self.forward.get(made).copied()) else {
                continue;
            };
            if first != made && !self.waits_for(made, first) {
                self.after[first].push(made);
            }
        }
    }

    /// Whether a step waits, through others, for another.
    fn waits_for(&self, step: usize, other: usize) -> bool {
        let mut queue = vec![step];
        let mut seen = BTreeSet::new();
        while let Some(here) = queue.pop() {
            if here == other {
                return true;
            }
            if seen.insert(here) {
                queue.extend(&self.needs[here]);
                queue.extend(&self.after[here]);
            }
        }
        false
    }
}

/// Whether everything that forces the replacement is a value nobody knows yet.
pub(crate) fn conditional(change: &Change) -> bool {
    let mut forcing = change.differences.iter().filter(|difference| difference.replaces);
    let follows = change.reasons.iter().any(|reason| {
        matches!(
            reason,
            Reason::Follows { .. }
                | Reason::Triggered { .. }
                | Reason::Requested
                | Reason::Tainted
        )
    });
    let unknown = |after: &Option<Expr>| after.as_ref().is_some_and(|a| a.known().is_none());
    !follows && forcing.clone().next().is_some() && forcing.all(|d| unknown(&d.after))
}

/// Whether a record says something else than what is there.
fn stale(record: &Record, change: &Change) -> bool {
    let spec = change.after.as_ref().and_then(Expr::known);
    spec.is_some_and(|spec| spec != &record.spec)
        || record.facts != change.facts
        || record.dependencies != change.dependencies
        || record.lifecycle != change.lifecycle
        || record.unfinished
        || record.stopped.is_some()
        || change.id.as_ref().is_some_and(|id| id != &record.id)
}
