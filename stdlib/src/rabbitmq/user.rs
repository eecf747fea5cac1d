//! Users: <https://www.rabbitmq.com/docs/access-control>, and how passwords are hashed:
//! <https://www.rabbitmq.com/docs/passwords>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dollop_engine::error::CallError;
use dollop_engine::resource::{
    Created, Found, Name, Owner, Problem, ReadResult, Resource, Wanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256, Sha512};

use super::rows::{answer, name_of};
use super::server::Server;

const SALT: usize = 4;
const SHA256: &str = "rabbit_password_hashing_sha256";
const SHA512: &str = "rabbit_password_hashing_sha512";

/// Somebody who may log in. What they may do there is said by `rabbitmq::permission`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The password. Only a salted hash of it goes to the server; one that was changed
    /// there is noticed.
    #[schemars(extend("x-secret" = true))]
    password: String,
    /// What they may do in the management UI and API: `"administrator"`, `"monitoring"`,
    /// `"policymaker"`, `"management"`. The order does not matter.
    #[serde(default)]
    tags: Vec<String>,
}

/// Nothing more is reported.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Facts {}

/// The kind `rabbitmq::user`.
pub struct User;

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    password_hash: Option<String>,
    #[serde(default)]
    hashing_algorithm: Option<String>,
    /// A list, or text with commas from older servers.
    #[serde(default)]
    tags: Json,
}

impl Resource for User {
    const KIND: &'static str = "rabbitmq::user";
    type Connection = Server;
    type Spec = Spec;
    type Facts = Facts;

    fn normalize(spec: &mut Spec) {
        spec.tags.sort();
        spec.tags.dedup();
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check_tags(&spec.tags);
        if spec.password.is_empty() {
            problems.push(Problem {
                attribute: "password".to_owned(),
                message: "the password is empty: RabbitMQ lets nobody in with it".to_owned(),
                hint: Some("make one with `local::random`".to_owned()),
            });
        }
        problems
    }

    async fn read(server: &Server, wanted: &[Wanted<Spec>]) -> Vec<ReadResult<Self>> {
        let rows = server.api.list("list the users", "users").await;
        let row_key = |row: &Row| row.name.clone();
        answer::<Self, _, _>(
            rows,
            row_key,
            wanted,
            |w| name_of(w).to_owned(),
            |wanted, row| Ok(found(&wanted.spec, row)),
        )
    }

    async fn create(
        server: &Server,
        name: &Name,
        spec: Spec,
    ) -> Result<Created<Facts>, CallError> {
        put(server, "create", &name.natural, &spec).await?;
        Ok(Created { id: name.natural.clone(), facts: Facts {} })
    }

    async fn update(
        server: &Server,
        _: &Name,
        id: &str,
        _: Spec,
        to: Spec,
    ) -> Result<Facts, CallError> {
        put(server, "change", id, &to).await?;
        Ok(Facts {})
    }

    async fn delete(server: &Server, _: &Name, id: &str, _: Spec) -> Result<(), CallError> {
        server.api.delete(&format!("delete user `{id}`"), &["users", id]).await
    }
}

/// Tags travel as text with commas.
pub(super) fn check_tags(tags: &[String]) -> Vec<Problem> {
    let bad = tags.iter().filter(|tag| tag.trim() != tag.as_str() || tag.is_empty());
    let bad = bad.chain(tags.iter().filter(|tag| tag.contains(',')));
    bad.map(|tag| Problem {
        attribute: "tags".to_owned(),
        message: format!("`{tag}` is no tag"),
        hint: Some("write each tag as an item of its own, without commas".to_owned()),
    })
    .collect()
}

fn found(wanted: &Spec, row: &Row) -> Found<Spec, Facts> {
    let hash = row.password_hash.as_deref().unwrap_or_default();
    let algorithm = row.hashing_algorithm.as_deref().unwrap_or(SHA256);
    let password = if verifies(hash, algorithm, &wanted.password) {
        wanted.password.clone()
    } else if hash.is_empty() {
        String::new()
    } else {
        "(another password)".to_owned()
    };
    let tags = match &row.tags {
        Json::Array(tags) => tags.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        Json::String(tags) => {
            tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Found {
        id: row.name.clone(),
        natural: row.name.clone(),
        spec: Spec { password, tags },
        facts: Facts {},
        owner: Owner::Unmarked,
    }
}

/// Whether a stored hash is one of this password: base64 of the salt, then the digest of
/// salt and password.
fn verifies(hash: &str, algorithm: &str, password: &str) -> bool {
    let Ok(stored) = BASE64.decode(hash) else {
        return false;
    };
    let Some((salt, digest)) = stored.split_at_checked(SALT) else {
        return false;
    };
    let salted = [salt, password.as_bytes()].concat();
    match algorithm {
        SHA256 => digest == Sha256::digest(&salted).as_slice(),
        SHA512 => digest == Sha512::digest(&salted).as_slice(),
        _ => false,
    }
}

fn hash(salt: [u8; SALT], password: &str) -> String {
    let digest = Sha256::digest([&salt[..], password.as_bytes()].concat());
    BASE64.encode([&salt[..], digest.as_slice()].concat())
}

async fn put(server: &Server, verb: &str, name: &str, spec: &Spec) -> Result<(), CallError> {
    let what = format!("{verb} user `{name}`");
    let body = json!({
        "password_hash": hash(rand::random(), &spec.password),
        "hashing_algorithm": SHA256,
        "tags": spec.tags.join(","),
    });
    server.api.put(&what, &["users", name], &body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_what_the_server_documents() {
        // The example of <https://www.rabbitmq.com/docs/passwords#computing-password-hash>.
        let hash = hash([0x90, 0x8D, 0xC6, 0x0A], "test12");
        assert_eq!(hash, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
        assert!(verifies(&hash, SHA256, "test12"));
        assert!(!verifies(&hash, SHA256, "test13"));
        assert!(!verifies("", SHA256, ""));
    }
}
