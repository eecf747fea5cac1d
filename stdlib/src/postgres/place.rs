//! What kinds of things in one sort of place have in common.

/// What is the same in every kind of thing in a schema.
macro_rules! in_schema {
    ($word:literal) => {
        in_schema!($word, Traits::default());
    };
    ($word:literal, $traits:expr) => {
        fn traits() -> Traits {
            Traits { within: &["database", "schema"], ..$traits }
        }

        fn database(spec: &Spec) -> Option<&str> {
            Some(&spec.database)
        }

        fn key(natural: &str, spec: &Spec) -> Vec<String> {
            vec![spec.schema.clone(), natural.to_owned()]
        }

        fn describe(key: &[String]) -> String {
            format!(concat!($word, " `{}` in schema `{}`"), key[1], key[0])
        }
    };
}

/// What is the same in every kind of thing on a table.
macro_rules! on_table {
    ($word:literal) => {
        fn traits() -> Traits {
            Traits { within: &["database", "schema", "table"], ..Traits::default() }
        }

        fn database(spec: &Spec) -> Option<&str> {
            Some(&spec.database)
        }

        fn key(natural: &str, spec: &Spec) -> Vec<String> {
            vec![spec.schema.clone(), spec.table.clone(), natural.to_owned()]
        }

        fn describe(key: &[String]) -> String {
            format!(
                concat!($word, " `{}` on table `{}` in schema `{}`"),
                key[2], key[1], key[0]
            )
        }
    };
}

pub(super) use {in_schema, on_table};
