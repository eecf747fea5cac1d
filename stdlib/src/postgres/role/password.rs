//! When a role that is changed gets a password.

use dollop_engine::value::NOT_KEPT;

use crate::postgres::scram;

/// The password that a change has to set, of those the role was and is declared with;
/// `stored` is the verifier that the server has, `lost` whether it forgets that with the name.
pub(super) fn to_set<'a>(
    (from, to): (Option<&str>, Option<&'a str>),
    stored: Option<&str>,
    lost: bool,
    is_seen: bool,
) -> Option<&'a str> {
    // One that an earlier run had and nobody gave again: a role that only makes way for
    // another has it, and keeps the one that the server knows.
    let new = to.filter(|new| *new != NOT_KEPT)?;
    if lost {
        return Some(new);
    }
    if stored.is_some_and(|stored| scram::verifies(stored, new)) {
        return None;
    }
    (is_seen || from != to).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_was_not_kept_is_never_set() {
        let stored = scram::verifier("letmein");
        for stored in [None, Some(stored.as_str())] {
            for (lost, is_seen) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let from = [None, Some("letmein"), Some(NOT_KEPT)];
                for from in from {
                    let passwords = (from, Some(NOT_KEPT));
                    assert_eq!(to_set(passwords, stored, lost, is_seen), None);
                }
            }
        }
    }

    #[test]
    fn a_password_is_set_where_the_server_has_another() {
        let stored = scram::verifier("letmein");
        let set = |from, to, lost, is_seen| to_set((from, to), Some(&stored), lost, is_seen);
        assert_eq!(set(None, Some("letmein"), false, true), None);
        assert_eq!(set(None, Some("letmein"), true, true), Some("letmein"));
        assert_eq!(set(Some("new"), Some("new"), false, true), Some("new"));
        // Where nobody may look, only what changed is told.
        assert_eq!(set(Some("new"), Some("new"), false, false), None);
        assert_eq!(set(Some("old"), Some("new"), false, false), Some("new"));
        assert_eq!(set(Some(NOT_KEPT), Some("new"), false, false), Some("new"));
        assert_eq!(set(Some("old"), None, false, true), None);
    }
}
