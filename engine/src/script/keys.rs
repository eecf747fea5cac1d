//! What the keys mean that every resource understands beside its own attributes.

/// A key of a resource that says how it is treated, not what it is.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What it means, in Markdown.
    pub doc: &'static str,
}

/// All of them, by name.
pub const KEYS: &[Key] = &[
    Key {
        name: "adopt",
        takes: "bool",
        doc: "Take over an object of that name which exists already, instead of refusing.",
    },
    Key {
        name: "after",
        takes: "resource, address or list of them",
        doc: "The same as `depends_on`.",
    },
    Key {
        name: "after_healthy",
        takes: "resource, address or list of them",
        doc: "Wait until others are ready: a container is healthy, a job has ended well.",
    },
    Key {
        name: "allow",
        takes: "code or list of codes",
        doc: "Do not show these warnings here: `\"W0105\"`.",
    },
    Key {
        name: "create_before_destroy",
        takes: "bool",
        doc: "When it must be replaced, make the new one first, let what needs it switch over, \
              then remove the old one. Refused where the two cannot stand side by side.",
    },
    Key {
        name: "depends_on",
        takes: "resource, address or list of them",
        doc: "Wait for others without using a value of theirs. An address as text names what \
              is declared further down.",
    },
    Key {
        name: "ignore_changes",
        takes: "path or list of paths",
        doc: "Leave these parts as they are once the object exists: `\"labels.team\"`.",
    },
    Key {
        name: "prevent_destroy",
        takes: "bool",
        doc: "A plan that would remove or replace it is an error. Kept in the state, so it \
              guards when its script is gone.",
    },
    Key {
        name: "replace_triggered_by",
        takes: "resource, attribute or list of them",
        doc: "Make it anew when one of these is updated or made anew.",
    },
    Key {
        name: "retain_on_destroy",
        takes: "bool",
        doc: "When it would be removed, let go of it instead: it stays as it is and is no \
              longer dollop's.",
    },
    Key {
        name: "timeouts",
        takes: "map of durations",
        doc: "How long each call may take: `#{ create: \"5m\", read: \"10s\" }`, with `update`, \
              `delete` and `ready`, the time others wait for it in `after_healthy`. Kept in the \
              state, so it holds for a delete when its script is gone.",
    },
];

#[cfg(test)]
mod tests {
    use super::super::lifecycle;
    use super::KEYS;

    #[test]
    fn every_key_is_documented() {
        let documented: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        let mut known = lifecycle::KEYS.to_vec();
        known.sort_unstable();
        assert_eq!(documented, known);
    }
}
