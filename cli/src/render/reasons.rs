//! Why a plan does what it does, as sentences.

use std::collections::{BTreeSet, HashMap};

use dollop_engine::address::Address;
use dollop_engine::plan::{Change, Plan, Reason};
use dollop_engine::program::alternatives;

use crate::render::words::{Sentence, passive, say};

/// The changes of a plan by their addresses: a reason often leads to another change, and a
/// large plan has many reasons.
#[derive(Debug)]
pub struct Reasons<'a> {
    changes: HashMap<&'a Address, &'a Change>,
}

impl<'a> Reasons<'a> {
    /// Those of a plan.
    pub fn of(plan: &'a Plan) -> Self {
        Self { changes: plan.changes.iter().map(|change| (&change.address, change)).collect() }
    }

    /// The change of an address, when it has one.
    pub fn change(&self, address: &Address) -> Option<&'a Change> {
        self.changes.get(address).copied()
    }

    /// Why a change happens, one sentence a reason; what goes without saying is left out.
    pub fn sentences(&self, change: &Change) -> Vec<Sentence> {
        change.reasons.iter().filter_map(|reason| self.sentence(reason)).collect()
    }

    /// One reason as a sentence; `None` when it goes without saying.
    pub fn sentence(&self, reason: &Reason) -> Option<Sentence> {
        self.unless_seen(reason, &mut BTreeSet::new())
    }

    fn unless_seen(&self, reason: &Reason, seen: &mut BTreeSet<Address>) -> Option<Sentence> {
        Some(match reason {
            // The sign says it, or the differences do.
            Reason::New | Reason::Changed | Reason::Destroy => return None,
            Reason::Gone => say("was removed outside dollop"),
            Reason::CannotUpdate(paths) => {
                let mut sentence = Sentence::default();
                for (index, path) in paths.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    sentence = sentence.words(comma).name(path);
                }
                sentence.words(" cannot be changed in place")
            }
            Reason::Migrates { paths, offline } => {
                let mut sentence = say("is made anew for ");
                for (index, path) in paths.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    sentence = sentence.words(comma).name(path);
                }
                sentence.words(if *offline {
                    "; what it holds is copied while nothing uses it"
                } else {
                    "; what it holds moves to the new one"
                })
            }
            Reason::Follows { via, address } => Sentence::default()
                .name(via)
                .words(" stands for ")
                .name(address)
                .then(self.chain(address, seen)),
            Reason::Covers { address, others } => {
                let sentence = say("covers ").name(address);
                match others {
                    0 => sentence.words(", which is made"),
                    others => sentence.words(&format!(" and {others} more, which are made")),
                }
            }
            Reason::DataLost { with } => {
                say("its data is lost with ").name(with).then(self.chain(with, seen))
            }
            Reason::Triggered { by } => {
                let sentence = say("is made anew because ").name(by);
                let how = self.change(by).map_or("changes", |change| passive(change.action));
                sentence.words(" ").words(how)
            }
            Reason::Renamed { from } => say("was ").name(from),
            Reason::RenamedTo(to) => say("is ").name(to).words(" now"),
            Reason::Forgotten => say("stays as it is: the script lets go of it"),
            Reason::Requested => say("asked for with `--replace`"),
            Reason::Tainted => say("marked as broken with `dollop taint`"),
            Reason::Retained => say("stays as it is: `retain_on_destroy`"),
            Reason::Undeclared => say("not declared any more"),
            Reason::ProfileOff(profile) => profile_off("", profile),
            Reason::GoesWith(address) => say("goes along with ").name(address),
            Reason::Interrupted => say("was interrupted; what is there is finished"),
            Reason::Failed => say("the last apply failed here; what is there is finished"),
            Reason::Deposed => say("another has taken its place"),
            Reason::Adopted => say("exists already and is taken over"),
            Reason::Deferred(connection) => {
                say("can only be looked at during apply, through ").name(connection)
            }
        })
    }

    /// `, which is replaced because …`, as far back as the plan tells.
    fn chain(&self, address: &Address, seen: &mut BTreeSet<Address>) -> Sentence {
        let Some(change) = self.change(address).filter(|_| seen.insert(address.clone())) else {
            return Sentence::default();
        };
        let which = say(", which ").words(passive(change.action));
        let because = change.reasons.iter().find_map(|reason| match reason {
            Reason::CannotUpdate(_) | Reason::Follows { .. } => {
                let sentence = self.unless_seen(reason, seen)?;
                Some(say(" because its ").then(sentence))
            }
            Reason::Gone => Some(say(" because it was removed outside dollop")),
            Reason::Undeclared => Some(say(" because it is not declared any more")),
            Reason::ProfileOff(profile) => Some(profile_off(" because ", profile)),
            Reason::DataLost { .. } => {
                let sentence = self.unless_seen(reason, seen)?;
                Some(say(" because ").then(sentence))
            }
            Reason::GoesWith(with) => Some(say(" along with ").name(with)),
            _ => None,
        });
        which.then(because.unwrap_or_default())
    }
}

/// `profile a is off`, or `profiles a and b are off` where one of them would do.
fn profile_off(before: &str, names: &str) -> Sentence {
    let names: Vec<_> = alternatives(names).collect();
    let (word, are) =
        if names.len() == 1 { ("profile ", " is off") } else { ("profiles ", " are off") };
    let mut sentence = say(before).words(word);
    for (index, name) in names.iter().enumerate() {
        sentence = sentence.words(if index == 0 { "" } else { " and " }).name(name);
    }
    sentence.words(are)
}
