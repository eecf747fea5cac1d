//! Which of a stack's resources somebody means: the one rule of every command that takes
//! names, addresses or patterns.

use std::collections::BTreeSet;

use dollop_engine::diagnostic::did_you_mean;
use dollop_engine::store::Record;
use globset::{Glob, GlobMatcher};

use crate::error::CommandError;

/// One word of a command line.
pub struct Selector {
    text: String,
    matcher: GlobMatcher,
}

impl Selector {
    /// A name, an address, a component (`data/`) or a pattern.
    pub fn new(text: &str) -> Result<Self, CommandError> {
        let pattern = if text.ends_with('/') { format!("{text}*") } else { text.to_owned() };
        let glob = Glob::new(&pattern).map_err(|error| {
            CommandError::usage(format!("`{text}` is no pattern: {}", error.kind()))
        })?;
        Ok(Self { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    /// Whether a record is meant: by its address, its kind, its name with or without the
    /// components around it, what the world calls it, or what its replicas share.
    pub fn matches(&self, record: &Record) -> bool {
        names(record).iter().any(|name| self.matcher.is_match(name))
    }
}

/// Everything a record can be called, the shortest first.
fn names(record: &Record) -> Vec<String> {
    let address = &record.address;
    let mut names = vec![address.name().to_owned()];
    if let Some(replica) = &record.lifecycle.replica {
        names.push(replica.of.clone());
    }
    names.push(short(record));
    names.push(record.natural().to_owned());
    names.push(address.kind().to_owned());
    names.push(address.to_string());
    names
}

/// The name with the components around it, as it can be typed: `data/db`.
pub fn short(record: &Record) -> String {
    let address = &record.address;
    let mut parts: Vec<&str> = address.components().iter().map(String::as_str).collect();
    parts.push(address.name());
    parts.join("/")
}

/// Where a record stands in a list: by its address, replicas by their number.
fn place(record: &Record) -> (Vec<String>, String, Vec<String>, u32) {
    let address = &record.address;
    let mut path = address.path().to_vec();
    let mut number = 0;
    if let (Some(replica), Some(name)) = (&record.lifecycle.replica, path.last_mut()) {
        name.clone_from(&replica.of);
        number = replica.number;
    }
    (address.components().to_vec(), address.kind().to_owned(), path, number)
}

/// The records that are meant, in the order of their addresses; everything without a word.
///
/// # Errors
/// A word that means nothing.
pub fn select<'a>(
    records: impl Iterator<Item = &'a Record> + Clone,
    what: &[String],
    profiles: &[String],
) -> Result<Vec<&'a Record>, CommandError> {
    let selectors: Vec<_> =
        what.iter().map(|text| Selector::new(text)).collect::<Result<_, _>>()?;
    for selector in &selectors {
        if !records.clone().any(|record| selector.matches(record)) {
            return Err(unknown(records, &selector.text));
        }
    }
    for profile in profiles {
        let known: BTreeSet<_> =
            records.clone().flat_map(|record| &record.lifecycle.profiles).collect();
        if !known.contains(profile) {
            let error =
                CommandError::failed(format!("nothing of profile `{profile}` was applied"));
            return Err(match did_you_mean(profile, known.iter().map(|name| name.as_str())) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("`dollop apply --profile {profile}` turns it on")),
            });
        }
    }
    let chosen = records.filter(|record| {
        let named = selectors.is_empty() || selectors.iter().any(|one| one.matches(record));
        let own = &record.lifecycle.profiles;
        named && (profiles.is_empty() || profiles.iter().any(|profile| own.contains(profile)))
    });
    let mut chosen: Vec<_> = chosen.collect();
    chosen.sort_by_cached_key(|record| place(record));
    Ok(chosen)
}

fn unknown<'a>(records: impl Iterator<Item = &'a Record>, text: &str) -> CommandError {
    let error = CommandError::failed(format!("nothing that was applied is called `{text}`"));
    let known: BTreeSet<String> = records.flat_map(names).collect();
    match did_you_mean(text, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`dollop state list` shows every address"),
    }
}

#[cfg(test)]
mod tests {
    use dollop_engine::program::{Lifecycle, Replica};

    use super::*;

    fn record(address: &str, profiles: &[&str], of: Option<&str>) -> Record {
        Record {
            lifecycle: Lifecycle {
                profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
                replica: of.map(|of| Replica { of: of.to_owned(), number: 1 }),
                ..Lifecycle::default()
            }
            .shared(),
            ..Record::of(address.parse().unwrap())
        }
    }

    #[test]
    fn a_word_means_names_addresses_and_patterns() {
        let all = [
            record("data/docker::container.db", &["debug"], None),
            record("docker::container.web-1", &[], Some("web")),
            record("docker::container.web-2", &[], Some("web")),
            record("docker::volume.db", &[], None),
        ];
        let chosen = |what: &[&str], profiles: &[&str]| {
            let what: Vec<_> = what.iter().map(|word| (*word).to_owned()).collect();
            let profiles: Vec<_> = profiles.iter().map(|word| (*word).to_owned()).collect();
            select(all.iter(), &what, &profiles).map(|found| found.len())
        };
        assert_eq!(chosen(&[], &[]).unwrap(), 4);
        assert_eq!(chosen(&["db"], &[]).unwrap(), 2);
        assert_eq!(chosen(&["web"], &[]).unwrap(), 2, "replicas by what they share");
        assert_eq!(chosen(&["web-*", "docker::volume.db"], &[]).unwrap(), 3);
        assert_eq!(chosen(&["data/"], &[]).unwrap(), 1);
        assert_eq!(chosen(&["docker::container"], &[]).unwrap(), 3);
        assert_eq!(chosen(&[], &["debug"]).unwrap(), 1);
        let error = chosen(&["web-7"], &[]).unwrap_err();
        assert!(error.hints[0].starts_with("did you mean `web-"), "{:?}", error.hints);
        assert!(chosen(&[], &["debgu"]).unwrap_err().hints[0].contains("`debug`"));
    }
}
