//! Names of variables: short where that is clear, longer where it is not.

use std::collections::{HashMap, HashSet};

/// The names an object could have, from the short to the sure.
pub(super) struct Wanted {
    /// Its own.
    pub(super) plain: String,
    /// With its kind.
    pub(super) by_kind: String,
    /// With what it lives in.
    pub(super) by_parent: String,
    /// With both.
    pub(super) whole: String,
    /// Which object.
    pub(super) index: usize,
}

/// Gives each the shortest name that no other wants; objects of one name are told apart in
/// the same way, so that none of them looks like the main one. `reserved` is in use.
pub(super) fn unique(wanted: Vec<Wanted>, reserved: &str) -> HashMap<usize, String> {
    let forms: [fn(&Wanted) -> &String; 4] =
        [|one| &one.plain, |one| &one.by_kind, |one| &one.by_parent, |one| &one.whole];
    let mut taken: HashSet<String> = HashSet::from([reserved.to_owned()]);
    let mut given = HashMap::new();
    let mut left = wanted;
    for form in forms {
        let mut count: HashMap<&String, usize> = HashMap::new();
        for one in &left {
            *count.entry(form(one)).or_default() += 1;
        }
        let clear: HashSet<String> = count
            .into_iter()
            .filter(|(name, many)| *many == 1 && !taken.contains(*name))
            .map(|(name, _)| name.clone())
            .collect();
        left.retain(|one| {
            let name = form(one);
            let is_clear = clear.contains(name);
            if is_clear {
                taken.insert(name.clone());
                given.insert(one.index, name.clone());
            }
            !is_clear
        });
    }
    for one in left {
        let mut numbers = (2..).map(|number| format!("{}_{number}", one.whole));
        let name = numbers.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(name.clone());
        given.insert(one.index, name);
    }
    given
}
