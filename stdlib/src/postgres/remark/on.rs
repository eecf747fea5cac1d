//! What can be said something about, and what each sort of it is called.

use dollop_engine::resource::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{names, sql};

/// What kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// A way to keep tables or indexes.
    AccessMethod,
    /// An aggregate, with the types of its arguments.
    Aggregate,
    /// A cast: the type it is from, with the one it is to as the argument.
    Cast,
    /// A collation.
    Collation,
    /// A column: schema, table, column.
    Column,
    /// A conversion between encodings.
    Conversion,
    /// A database of the server.
    Database,
    /// A domain.
    Domain,
    /// A constraint of a domain: schema, domain, constraint.
    DomainConstraint,
    /// An event trigger.
    EventTrigger,
    /// An extension.
    Extension,
    /// A foreign-data wrapper.
    ForeignDataWrapper,
    /// A foreign table.
    ForeignTable,
    /// A function, with the types of its arguments.
    Function,
    /// An index.
    Index,
    /// A procedural language.
    Language,
    /// A materialized view.
    MaterializedView,
    /// An operator, with the types of what is on its left and on its right, or that of the
    /// right alone.
    Operator,
    /// An operator class: access method, schema, name.
    OperatorClass,
    /// An operator family: access method, schema, name.
    OperatorFamily,
    /// A policy of a table: schema, table, policy.
    Policy,
    /// A procedure, with the types of its arguments.
    Procedure,
    /// A publication.
    Publication,
    /// A role of the server.
    Role,
    /// A rule of a table or view: schema, table, rule.
    Rule,
    /// A schema.
    Schema,
    /// A sequence.
    Sequence,
    /// A foreign server.
    Server,
    /// Extended statistics.
    Statistics,
    /// A subscription.
    Subscription,
    /// A constraint of a table: schema, table, constraint.
    TableConstraint,
    /// A table.
    Table,
    /// A tablespace of the server.
    Tablespace,
    /// A dictionary of text search.
    TextSearchDictionary,
    /// A configuration of text search.
    TextSearchConfiguration,
    /// A parser of text search.
    TextSearchParser,
    /// A template of text search.
    TextSearchTemplate,
    /// A trigger of a table or view: schema, table, trigger.
    Trigger,
    /// A type.
    Type,
    /// A view.
    View,
}

/// The signs that the name of an operator is made of.
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?";

/// Whether this can be the name of an operator: `--` and `/*` begin comments.
fn is_operator(name: &str) -> bool {
    let is_comment = name.contains("--") || name.contains("/*");
    !name.is_empty() && !is_comment && name.chars().all(|c| OPERATOR.contains(c))
}

impl On {
    /// All of them; a domain is a type by its first word.
    pub(super) const ALL: [Self; 40] = [
        Self::AccessMethod,
        Self::Aggregate,
        Self::Cast,
        Self::Collation,
        Self::Column,
        Self::Conversion,
        Self::Database,
        Self::DomainConstraint,
        Self::EventTrigger,
        Self::Extension,
        Self::ForeignDataWrapper,
        Self::ForeignTable,
        Self::Function,
        Self::Index,
        Self::Language,
        Self::MaterializedView,
        Self::Operator,
        Self::OperatorClass,
        Self::OperatorFamily,
        Self::Policy,
        Self::Procedure,
        Self::Publication,
        Self::Role,
        Self::Rule,
        Self::Schema,
        Self::Sequence,
        Self::Server,
        Self::Statistics,
        Self::Subscription,
        Self::TableConstraint,
        Self::Table,
        Self::Tablespace,
        Self::TextSearchDictionary,
        Self::TextSearchConfiguration,
        Self::TextSearchParser,
        Self::TextSearchTemplate,
        Self::Trigger,
        Self::Type,
        Self::View,
        Self::Domain,
    ];

    /// `pg_identify_object_as_address` and SQL have a word each.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::AccessMethod => ("access method", "ACCESS METHOD"),
            Self::Aggregate => ("aggregate", "AGGREGATE"),
            Self::Cast => ("cast", "CAST"),
            Self::Collation => ("collation", "COLLATION"),
            Self::Column => ("table column", "COLUMN"),
            Self::Conversion => ("conversion", "CONVERSION"),
            Self::Database => ("database", "DATABASE"),
            Self::Domain => ("type", "DOMAIN"),
            Self::DomainConstraint => ("domain constraint", "DOMAIN CONSTRAINT"),
            Self::EventTrigger => ("event trigger", "EVENT TRIGGER"),
            Self::Extension => ("extension", "EXTENSION"),
            Self::ForeignDataWrapper => ("foreign-data wrapper", "FOREIGN DATA WRAPPER"),
            Self::ForeignTable => ("foreign table", "FOREIGN TABLE"),
            Self::Function => ("function", "FUNCTION"),
            Self::Index => ("index", "INDEX"),
            Self::Language => ("language", "LANGUAGE"),
            Self::MaterializedView => ("materialized view", "MATERIALIZED VIEW"),
            Self::Operator => ("operator", "OPERATOR"),
            Self::OperatorClass => ("operator class", "OPERATOR CLASS"),
            Self::OperatorFamily => ("operator family", "OPERATOR FAMILY"),
            Self::Policy => ("policy", "POLICY"),
            Self::Procedure => ("procedure", "PROCEDURE"),
            Self::Publication => ("publication", "PUBLICATION"),
            Self::Role => ("role", "ROLE"),
            Self::Rule => ("rule", "RULE"),
            Self::Schema => ("schema", "SCHEMA"),
            Self::Sequence => ("sequence", "SEQUENCE"),
            Self::Server => ("server", "SERVER"),
            Self::Statistics => ("statistics object", "STATISTICS"),
            Self::Subscription => ("subscription", "SUBSCRIPTION"),
            Self::TableConstraint => ("table constraint", "CONSTRAINT"),
            Self::Table => ("table", "TABLE"),
            Self::Tablespace => ("tablespace", "TABLESPACE"),
            Self::TextSearchDictionary => ("text search dictionary", "TEXT SEARCH DICTIONARY"),
            Self::TextSearchConfiguration => {
                ("text search configuration", "TEXT SEARCH CONFIGURATION")
            }
            Self::TextSearchParser => ("text search parser", "TEXT SEARCH PARSER"),
            Self::TextSearchTemplate => ("text search template", "TEXT SEARCH TEMPLATE"),
            Self::Trigger => ("trigger", "TRIGGER"),
            Self::Type => ("type", "TYPE"),
            Self::View => ("view", "VIEW"),
        }
    }

    /// The catalog that has them.
    pub(super) fn catalog(self) -> &'static str {
        match self {
            Self::AccessMethod => "pg_am",
            Self::Aggregate | Self::Function | Self::Procedure => "pg_proc",
            Self::Cast => "pg_cast",
            Self::Collation => "pg_collation",
            Self::Conversion => "pg_conversion",
            Self::Database => "pg_database",
            Self::Domain | Self::Type => "pg_type",
            Self::DomainConstraint | Self::TableConstraint => "pg_constraint",
            Self::EventTrigger => "pg_event_trigger",
            Self::Extension => "pg_extension",
            Self::ForeignDataWrapper => "pg_foreign_data_wrapper",
            Self::Column
            | Self::ForeignTable
            | Self::Index
            | Self::MaterializedView
            | Self::Sequence
            | Self::Table
            | Self::View => "pg_class",
            Self::Language => "pg_language",
            Self::Operator => "pg_operator",
            Self::OperatorClass => "pg_opclass",
            Self::OperatorFamily => "pg_opfamily",
            Self::Policy => "pg_policy",
            Self::Publication => "pg_publication",
            Self::Role => "pg_authid",
            Self::Rule => "pg_rewrite",
            Self::Schema => "pg_namespace",
            Self::Server => "pg_foreign_server",
            Self::Statistics => "pg_statistic_ext",
            Self::Subscription => "pg_subscription",
            Self::Tablespace => "pg_tablespace",
            Self::TextSearchDictionary => "pg_ts_dict",
            Self::TextSearchConfiguration => "pg_ts_config",
            Self::TextSearchParser => "pg_ts_parser",
            Self::TextSearchTemplate => "pg_ts_template",
            Self::Trigger => "pg_trigger",
        }
    }

    /// The sort that SQL has this word for.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|on| on.words().1 == word)
    }

    /// How many names say which one, and which they are.
    fn parts(self) -> (usize, &'static str) {
        match self {
            Self::Column
            | Self::Rule
            | Self::TableConstraint
            | Self::Policy
            | Self::Trigger => (3, "the schema, the table, and its name"),
            Self::DomainConstraint => (3, "the schema, the domain, and its name"),
            Self::OperatorClass | Self::OperatorFamily => {
                (3, "the access method, the schema, and its name")
            }
            Self::Cast => (1, "the type it is from; the one it is to is the argument"),
            Self::AccessMethod
            | Self::Database
            | Self::EventTrigger
            | Self::Extension
            | Self::ForeignDataWrapper
            | Self::Language
            | Self::Publication
            | Self::Role
            | Self::Schema
            | Self::Server
            | Self::Subscription
            | Self::Tablespace => (1, "its name alone"),
            _ => (2, "its schema and its name"),
        }
    }

    /// How many arguments tell it from others of its name.
    fn arguments(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Aggregate | Self::Function | Self::Procedure => 0..=usize::MAX,
            Self::Cast => 1..=1,
            Self::Operator => 1..=2,
            _ => 0..=0,
        }
    }

    /// Whether the server takes security labels on it.
    pub(super) fn takes_labels(self) -> bool {
        matches!(
            self,
            Self::Aggregate
                | Self::Column
                | Self::Database
                | Self::Domain
                | Self::EventTrigger
                | Self::ForeignTable
                | Self::Function
                | Self::Language
                | Self::MaterializedView
                | Self::Procedure
                | Self::Publication
                | Self::Role
                | Self::Schema
                | Self::Sequence
                | Self::Subscription
                | Self::Table
                | Self::Tablespace
                | Self::Type
                | Self::View
        )
    }

    /// What is wrong with the names of one.
    pub(super) fn check(self, object: &[String], arguments: &[String]) -> Vec<Problem> {
        let problem = |attribute: &str, message: String, hint: &str| Problem {
            attribute: attribute.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let (word, (parts, named)) = (self.words().1.to_lowercase(), self.parts());
        let mut problems = Vec::new();
        if object.len() != parts {
            let message = format!("a {word} is named by {parts} parts");
            problems.push(problem("object", message, named));
        } else if self == Self::Operator && !is_operator(&object[1]) {
            let message = format!("`{}` is no name of an operator", object[1]);
            let hint = format!("it is made of {OPERATOR}, without `--` and `/*`");
            problems.push(problem("object", message, &hint));
        }
        // The type that a cast is from is no name but a text of SQL.
        let named = object.iter().filter(|_| self != Self::Cast);
        problems.extend(named.filter_map(|name| names::problem(name, "object")));
        if object.iter().any(|text| self == Self::Cast && text.trim().is_empty())
            || arguments.iter().any(|text| text.trim().is_empty())
        {
            let message = "an empty text is no type".to_owned();
            problems.push(problem("arguments", message, "name a type, such as `integer`"));
        }
        if !self.arguments().contains(&arguments.len()) {
            let (message, hint) = match self {
                Self::Cast => ("a cast is to one type".to_owned(), "name it in `arguments`"),
                Self::Operator => (
                    "an operator is told from others by one type or two".to_owned(),
                    "name those on its left and right, or the right one alone, in `arguments`",
                ),
                _ => (format!("a {word} has no arguments"), "leave `arguments` out"),
            };
            problems.push(problem("arguments", message, hint));
        }
        problems
    }

    /// One of them as SQL names it, behind `COMMENT ON`.
    pub(super) fn named(self, names: &[String], arguments: &[String]) -> String {
        let dotted = |names: &[String]| {
            names.iter().map(|name| sql::name(name)).collect::<Vec<_>>().join(".")
        };
        let word = self.words().1;
        match (self, names) {
            (
                Self::TableConstraint | Self::Rule | Self::Policy | Self::Trigger,
                [place @ .., own],
            ) => format!("{word} {} ON {}", sql::name(own), dotted(place)),
            (Self::DomainConstraint, [place @ .., own]) => {
                format!("CONSTRAINT {} ON DOMAIN {}", sql::name(own), dotted(place))
            }
            (Self::OperatorClass | Self::OperatorFamily, [method, place @ ..]) => {
                format!("{word} {} USING {}", dotted(place), sql::name(method))
            }
            (Self::Operator, [schema, own]) => {
                let left = if arguments.len() == 1 { "NONE, " } else { "" };
                format!("{word} {}.{own} ({left}{})", sql::name(schema), arguments.join(", "))
            }
            (Self::Cast, [from]) => format!("{word} ({from} AS {})", arguments.join(", ")),
            (Self::Aggregate | Self::Function | Self::Procedure, _) => {
                format!("{word} {}({})", dotted(names), arguments.join(", "))
            }
            _ => format!("{word} {}", dotted(names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_as_sql_does() {
        let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        for (on, object, arguments, expected) in [
            (On::Table, &["a", "b"][..], &[][..], r#"TABLE "a"."b""#),
            (On::Role, &["a.b"], &[], r#"ROLE "a.b""#),
            (On::Column, &["a", "b", "c"], &[], r#"COLUMN "a"."b"."c""#),
            (On::Policy, &["a", "b", "c"], &[], r#"POLICY "c" ON "a"."b""#),
            (
                On::DomainConstraint,
                &["a", "b", "c"],
                &[],
                r#"CONSTRAINT "c" ON DOMAIN "a"."b""#,
            ),
            (
                On::OperatorClass,
                &["gist", "a", "b"],
                &[],
                r#"OPERATOR CLASS "a"."b" USING "gist""#,
            ),
            (On::Operator, &["a", "@@"], &["int", "text"], r#"OPERATOR "a".@@ (int, text)"#),
            (On::Operator, &["a", "!"], &["int"], r#"OPERATOR "a".! (NONE, int)"#),
            (On::Cast, &["text"], &["app.id"], "CAST (text AS app.id)"),
            (On::Function, &["a", "b"], &["int", "text"], r#"FUNCTION "a"."b"(int, text)"#),
        ] {
            let (object, arguments) = (texts(object), texts(arguments));
            assert_eq!(on.named(&object, &arguments), expected);
            assert_eq!(on.check(&object, &arguments), [], "{expected}");
        }
    }

    #[test]
    fn what_names_nothing_is_told() {
        let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        for (on, object, arguments, expected) in [
            (On::Schema, &["a", "b"][..], &[][..], "a schema is named by 1 parts"),
            (On::Operator, &["a", "x; drop"], &["int"], "`x; drop` is no name of an operator"),
            (
                On::Operator,
                &["a", "+"],
                &[],
                "an operator is told from others by one type or two",
            ),
            (On::Cast, &["text"], &[], "a cast is to one type"),
            (On::Table, &["a", "b"], &["int"], "a table has no arguments"),
            (On::Table, &["", "b"], &[], "a name in PostgreSQL cannot be empty"),
            (On::Operator, &["a", "--"], &["int"], "`--` is no name of an operator"),
            (On::Operator, &["a", "+/*"], &["int"], "`+/*` is no name of an operator"),
            (On::Function, &["a", "b"], &[" "], "an empty text is no type"),
        ] {
            let problems = on.check(&texts(object), &texts(arguments));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].message, expected);
        }
    }

    #[test]
    fn every_sort_has_words_of_its_own() {
        let words: std::collections::BTreeSet<_> = On::ALL.map(|on| on.words().1).into();
        assert_eq!(words.len(), On::ALL.len());
    }
}
