//! What privileges are granted on, and which there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::sql;
use super::super::version::Since;

/// What newer servers let a role do with a table, as VACUUM; not part of ALL, which older ones
/// know too.
pub(super) const MAINTAIN: &str = "MAINTAIN";

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
    /// Functions and procedures in the schema.
    Routines,
    /// Types and domains in the schema.
    Types,
    /// Languages of the database.
    Languages,
    /// Foreign-data wrappers of the database.
    ForeignDataWrappers,
    /// Foreign servers of the database.
    ForeignServers,
    /// Tablespaces of the server, whatever the database.
    Tablespaces,
    /// Settings of the server, whatever the database; needs PostgreSQL 15.
    Parameters,
}

impl On {
    pub(in super::super) const ALL: [Self; 13] = [
        Self::Database,
        Self::Schema,
        Self::Tables,
        Self::Sequences,
        Self::Functions,
        Self::Procedures,
        Self::Routines,
        Self::Types,
        Self::Languages,
        Self::ForeignDataWrappers,
        Self::ForeignServers,
        Self::Tablespaces,
        Self::Parameters,
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
            Self::Routines => "routines",
            Self::Types => "types",
            Self::Languages => "languages",
            Self::ForeignDataWrappers => "foreign_data_wrappers",
            Self::ForeignServers => "foreign_servers",
            Self::Tablespaces => "tablespaces",
            Self::Parameters => "parameters",
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
            Self::Routines => "routine",
            Self::Types => "type",
            Self::Languages => "language",
            Self::ForeignDataWrappers => "foreign-data wrapper",
            Self::ForeignServers => "foreign server",
            Self::Tablespaces => "tablespace",
            Self::Parameters => "parameter",
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
            Self::Routines => "ROUTINE",
            Self::Types => "TYPE",
            Self::Languages => "LANGUAGE",
            Self::ForeignDataWrappers => "FOREIGN DATA WRAPPER",
            Self::ForeignServers => "FOREIGN SERVER",
            Self::Tablespaces => "TABLESPACE",
            Self::Parameters => "PARAMETER",
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
            Self::Functions | Self::Procedures | Self::Routines => &["EXECUTE"],
            Self::Types
            | Self::Languages
            | Self::ForeignDataWrappers
            | Self::ForeignServers => &["USAGE"],
            Self::Tablespaces => &["CREATE"],
            Self::Parameters => &["ALTER SYSTEM", "SET"],
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
            Self::Functions | Self::Procedures | Self::Routines => &["EXECUTE"],
            Self::Types | Self::Languages => &["USAGE"],
            Self::Schema
            | Self::Tables
            | Self::Sequences
            | Self::ForeignDataWrappers
            | Self::ForeignServers
            | Self::Tablespaces
            | Self::Parameters => &[],
        }
    }

    /// Whether there is such a privilege.
    pub(in super::super) fn knows(self, privilege: &str) -> bool {
        self.all().contains(&privilege) || (self == Self::Tables && privilege == MAINTAIN)
    }

    /// The oldest server that knows these privileges.
    pub(in super::super) fn since(self, privileges: &[String]) -> Option<Since> {
        if self == Self::Parameters {
            return Some((15, "privileges on parameters"));
        }
        let newer = self == Self::Tables && privileges.iter().any(|word| word == MAINTAIN);
        newer.then_some((17, "the privilege MAINTAIN"))
    }

    /// Whether these are in a schema.
    pub(super) fn is_in_schema(self) -> bool {
        matches!(
            self,
            Self::Tables
                | Self::Sequences
                | Self::Functions
                | Self::Procedures
                | Self::Routines
                | Self::Types
        )
    }

    /// Whether these are named one by one: there is no "all of them" in GRANT.
    pub(super) fn is_named(self) -> bool {
        matches!(
            self,
            Self::Languages
                | Self::ForeignDataWrappers
                | Self::ForeignServers
                | Self::Tablespaces
                | Self::Parameters
        )
    }

    /// Whether these belong to the whole server, so that every database knows the same.
    pub(super) fn is_of_server(self) -> bool {
        matches!(self, Self::Tablespaces | Self::Parameters)
    }

    /// The words of the sorts of things these are, as other grants name them.
    pub(super) fn sorts(self) -> Vec<&'static str> {
        match self {
            Self::Routines => vec![Self::Functions.word(), Self::Procedures.word()],
            other => vec![other.word()],
        }
    }

    /// The name of one in a statement, after that of its schema where it is in one.
    pub(super) fn name(self, name: &str) -> String {
        // What stands before a dot in the name of a setting is a name of its own.
        if self == Self::Parameters { sql::setting(name) } else { sql::name(name) }
    }
}

/// The privileges there are on columns.
pub(super) const ON_COLUMNS: [&str; 4] = ["INSERT", "REFERENCES", "SELECT", "UPDATE"];
