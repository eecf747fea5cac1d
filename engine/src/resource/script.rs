//! What is sent, for people.

use serde::{Deserialize, Serialize};

/// Statements of a service's own language, for somebody who reads them before they run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The line that leads to where they run (`\connect "shop"`); empty when it does not
    /// matter.
    pub place: String,
    /// The statements in order, without the `;` at the end.
    pub statements: Vec<String>,
    /// The variables that stand in them for secrets, to be given by whoever runs them.
    #[serde(default)]
    pub variables: Vec<String>,
}
