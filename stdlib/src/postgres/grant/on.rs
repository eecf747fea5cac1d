//! What privileges are granted on, and which there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::version::Since;

/// What newer servers let a role do with a table, as VACUUM; not part of ALL, which older ones
/// know too.
const MAINTAIN: &str = "MAINTAIN";

/// What a grant is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The database itself.
    Database,
    /// The schema itself.
    Schema,
    /// Tables and views in the schema, or some of their columns.
    Tables,
    /// Sequences in the schema.
    Sequences,
    /// Functions in the schema.
    Functions,
    /// Procedures in the schema.
    Procedures,
    /// Types and domains in the schema.
    Types,
    /// Languages of the database.
    Languages,
    /// Foreign-data wrappers of the database.
    ForeignDataWrappers,
    /// Foreign servers of the database.
    ForeignServers,
}

impl On {
    pub(super) const ALL: [Self; 10] = [
        Self::Database,
        Self::Schema,
        Self::Tables,
        Self::Sequences,
        Self::Functions,
        Self::Procedures,
        Self::Types,
        Self::Languages,
        Self::ForeignDataWrappers,
        Self::ForeignServers,
    ];

    /// As in scripts.
    pub(in super::super) fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Tables => "tables",
            Self::Sequences => "sequences",
            Self::Functions => "functions",
            Self::Procedures => "procedures",
            Self::Types => "types",
            Self::Languages => "languages",
            Self::ForeignDataWrappers => "foreign_data_wrappers",
            Self::ForeignServers => "foreign_servers",
        }
    }

    /// One of them, in a sentence.
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Tables => "table",
            Self::Sequences => "sequence",
            Self::Functions => "function",
            Self::Procedures => "procedure",
            Self::Types => "type",
            Self::Languages => "language",
            Self::ForeignDataWrappers => "foreign-data wrapper",
            Self::ForeignServers => "foreign server",
        }
    }

    /// As in GRANT.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Database => "DATABASE",
            Self::Schema => "SCHEMA",
            Self::Tables => "TABLE",
            Self::Sequences => "SEQUENCE",
            Self::Functions => "FUNCTION",
            Self::Procedures => "PROCEDURE",
            Self::Types => "TYPE",
            Self::Languages => "LANGUAGE",
            Self::ForeignDataWrappers => "FOREIGN DATA WRAPPER",
            Self::ForeignServers => "FOREIGN SERVER",
        }
    }

    /// What ALL means, sorted ("Table 5.2. Summary of Access Privileges").
    pub(in super::super) fn all(self) -> &'static [&'static str] {
        match self {
            Self::Database => &["CONNECT", "CREATE", "TEMPORARY"],
            Self::Schema => &["CREATE", "USAGE"],
            Self::Tables => {
                &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"]
            }
            Self::Sequences => &["SELECT", "UPDATE", "USAGE"],
            Self::Functions | Self::Procedures => &["EXECUTE"],
            Self::Types
            | Self::Languages
            | Self::ForeignDataWrappers
            | Self::ForeignServers => &["USAGE"],
        }
    }

    /// What everybody may do with one that is new ("5.7. Privileges"); `schema` is its name
    /// where it is one.
    pub(in super::super) fn of_everybody(
        self,
        schema: Option<&str>,
    ) -> &'static [&'static str] {
        match self {
            Self::Database => &["CONNECT", "TEMPORARY"],
            Self::Schema if schema == Some("public") => &["USAGE"],
            Self::Functions | Self::Procedures => &["EXECUTE"],
            Self::Types | Self::Languages => &["USAGE"],
            Self::Schema
            | Self::Tables
            | Self::Sequences
            | Self::ForeignDataWrappers
            | Self::ForeignServers => &[],
        }
    }

    /// Whether there is such a privilege.
    pub(in super::super) fn knows(self, privilege: &str) -> bool {
        self.all().contains(&privilege) || (self == Self::Tables && privilege == MAINTAIN)
    }

    /// The oldest server that knows these privileges.
    pub(in super::super) fn since(self, privileges: &[String]) -> Option<Since> {
        let newer = self == Self::Tables && privileges.iter().any(|word| word == MAINTAIN);
        newer.then_some((17, "the privilege MAINTAIN"))
    }

    /// Whether these are in a schema.
    pub(super) fn is_in_schema(self) -> bool {
        matches!(
            self,
            Self::Tables | Self::Sequences | Self::Functions | Self::Procedures | Self::Types
        )
    }

    /// Whether these are named one by one: there is no "all of them" in GRANT.
    pub(super) fn is_named(self) -> bool {
        matches!(self, Self::Languages | Self::ForeignDataWrappers | Self::ForeignServers)
    }
}

/// The privileges there are on columns.
pub(super) const ON_COLUMNS: [&str; 4] = ["INSERT", "REFERENCES", "SELECT", "UPDATE"];
