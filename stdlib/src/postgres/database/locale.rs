//! What sorts the text of a database, and the statement that says it: it is chosen when the
//! database is made.

use dollop_engine::resource::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Spec, allow, limit};
use crate::postgres::sql;
use crate::postgres::version::Since;

/// How a template is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Block by block through the write-ahead log.
    WalLog,
    /// File by file, between two checkpoints.
    FileCopy,
}

impl Strategy {
    fn sql(self) -> String {
        match self {
            Self::WalLog => "WAL_LOG".to_owned(),
            Self::FileCopy => "FILE_COPY".to_owned(),
        }
    }
}

/// What sorts text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The C library of the server's machine: `lc_collate` and `lc_ctype`.
    Libc,
    /// ICU: `icu_locale`.
    Icu,
    /// PostgreSQL itself: `builtin_locale`.
    Builtin,
}

impl Provider {
    fn sql(self) -> &'static str {
        match self {
            Self::Libc => "libc",
            Self::Icu => "icu",
            Self::Builtin => "builtin",
        }
    }
}

/// What the locales that are given are of. The template's would be another one on a server that
/// was set up so.
fn provider(spec: &Spec) -> Option<Provider> {
    spec.locale_provider.or_else(|| {
        if spec.icu_locale.is_some() || spec.icu_rules.is_some() {
            Some(Provider::Icu)
        } else if spec.builtin_locale.is_some() {
            Some(Provider::Builtin)
        } else {
            (spec.lc_collate.is_some() || spec.lc_ctype.is_some()).then_some(Provider::Libc)
        }
    })
}

/// The oldest server that can make it so.
pub(super) fn since(spec: &Spec) -> Option<Since> {
    let builtin =
        spec.builtin_locale.is_some() || spec.locale_provider == Some(Provider::Builtin);
    if builtin {
        return Some((17, "a locale of PostgreSQL's own for a database"));
    }
    if spec.icu_rules.is_some() {
        return Some((16, "`icu_rules` of a database"));
    }
    if spec.icu_locale.is_some() {
        return Some((15, "`icu_locale` of a database"));
    }
    if spec.locale_provider.is_some() {
        return Some((15, "`locale_provider` of a database"));
    }
    spec.strategy.map(|_| (15, "`strategy` of a database"))
}

/// What does not go together.
pub(super) fn check(spec: &Spec) -> Vec<Problem> {
    let of = [
        ("icu_locale", spec.icu_locale.is_some(), Provider::Icu),
        ("icu_rules", spec.icu_rules.is_some(), Provider::Icu),
        ("builtin_locale", spec.builtin_locale.is_some(), Provider::Builtin),
    ];
    let others = of.into_iter().filter(|(_, given, of)| *given && provider(spec) != Some(*of));
    let problem = |(attribute, _, of): (&str, bool, Provider)| Problem {
        attribute: attribute.to_owned(),
        message: format!("`{attribute}` is for the locale provider `{}`", of.sql()),
        hint: Some(
            "give one locale, and leave `locale_provider` out or set it to that".to_owned(),
        ),
    };
    others.map(problem).collect()
}

/// The statement that makes a database. `names_provider` says that the server knows more than
/// one (from PostgreSQL 15 on).
pub(super) fn create_statement(name: &str, spec: &Spec, names_provider: bool) -> String {
    let provider = provider(spec).filter(|_| names_provider);
    let options = [
        ("TEMPLATE", Some(sql::name(&spec.template))),
        ("STRATEGY", spec.strategy.map(Strategy::sql)),
        ("ENCODING", Some(sql::text(&spec.encoding))),
        ("OWNER", spec.owner.as_deref().map(sql::name)),
        ("LC_COLLATE", spec.lc_collate.as_deref().map(sql::text)),
        ("LC_CTYPE", spec.lc_ctype.as_deref().map(sql::text)),
        ("LOCALE_PROVIDER", provider.map(|provider| provider.sql().to_owned())),
        ("ICU_LOCALE", spec.icu_locale.as_deref().map(sql::text)),
        ("ICU_RULES", spec.icu_rules.as_deref().map(sql::text)),
        ("BUILTIN_LOCALE", spec.builtin_locale.as_deref().map(sql::text)),
        ("TABLESPACE", spec.tablespace.as_deref().map(sql::name)),
        ("IS_TEMPLATE", allow(false, spec.is_template)),
        ("CONNECTION LIMIT", limit(-1, spec.connection_limit)),
        ("ALLOW_CONNECTIONS", allow(true, spec.allow_connections)),
    ];
    let options = options.iter().filter_map(|(word, value)| Some((word, value.as_ref()?)));
    let options: Vec<_> = options.map(|(word, value)| format!("{word} {value}")).collect();
    format!("CREATE DATABASE {} {}", sql::name(name), options.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(given: serde_json::Value) -> Spec {
        serde_json::from_value(given).unwrap()
    }

    #[test]
    fn a_locale_says_what_sorts() {
        for (given, words) in [
            (serde_json::json!({ "lc_collate": "C" }), "LC_COLLATE 'C' LOCALE_PROVIDER libc"),
            (serde_json::json!({ "icu_locale": "de" }), "LOCALE_PROVIDER icu ICU_LOCALE 'de'"),
            (
                serde_json::json!({ "builtin_locale": "C" }),
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C'",
            ),
            (
                serde_json::json!({ "lc_collate": "C", "icu_locale": "de" }),
                "LOCALE_PROVIDER icu",
            ),
        ] {
            let statement = create_statement("d", &spec(given.clone()), true);
            assert!(statement.contains(words), "{given}: {statement}");
            let older = create_statement("d", &spec(given), false);
            assert!(!older.contains("PROVIDER"), "{older}");
        }
        let plain = create_statement("d", &spec(serde_json::json!({})), true);
        assert!(!plain.contains("PROVIDER"), "{plain}");
    }

    #[test]
    fn locales_of_two_providers_are_refused() {
        let given = serde_json::json!({ "locale_provider": "libc", "icu_locale": "de" });
        let [problem] = check(&spec(given)).try_into().unwrap();
        assert_eq!(problem.message, "`icu_locale` is for the locale provider `icu`");
        let given = serde_json::json!({ "locale_provider": "icu", "icu_locale": "de" });
        assert_eq!(check(&spec(given)), []);
    }
}
