//! Users: <https://www.rabbitmq.com/docs/access-control>, and how passwords are hashed:
//! <https://www.rabbitmq.com/docs/passwords>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dollop_engine::analysis::Known;
use dollop_engine::error::CallError;
use dollop_engine::resource::{Problem, Traits};
use md5::Md5;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256, Sha512};

use super::instead;
use super::item::{Item, Place, Whose, in_vhost};
use super::limits;
use super::server::Server;

const SALT: usize = 4;

/// Somebody who may log in. What they may do there is said by `rabbitmq::permission`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The password. Only a salted hash of it goes to the server; one that was changed
    /// there is noticed. Without it and without a hash, nobody can log in by password (but
    /// by certificate, for example).
    #[serde(default)]
    #[schemars(extend("x-secret" = true, "x-write-only" = true))]
    password: Option<String>,
    /// The hash of the password instead of the password, as `rabbitmqctl hash_password`
    /// prints it: base64 of the salt and the digest.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    password_hash: Option<String>,
    /// How the password is hashed, or was.
    #[serde(default)]
    hashing_algorithm: Hashing,
    /// What they may do in the management UI and API: `"administrator"`, `"monitoring"`,
    /// `"policymaker"`, `"management"`. The order does not matter.
    #[serde(default)]
    tags: Vec<String>,
    /// The most connections at once. Left out, there is no limit.
    #[serde(default)]
    max_connections: Option<u32>,
    /// The most channels in all connections together. Left out, there is no limit.
    #[serde(default)]
    max_channels: Option<u32>,
}

/// How a password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hashing {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
    /// MD5: for hashes that a server of old made.
    Md5,
}

impl Hashing {
    /// What the server calls it.
    fn module(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
            Self::Md5 => "rabbit_password_hashing_md5",
        }
    }

    fn of(module: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512, Self::Md5].into_iter().find(|one| one.module() == module)
    }

    fn digest(self, salted: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(salted).to_vec(),
            Self::Sha512 => Sha512::digest(salted).to_vec(),
            Self::Md5 => Md5::digest(salted).to_vec(),
        }
    }
}

/// The kind `rabbitmq::user`.
pub struct User;

/// A user as the server lists it.
#[derive(Deserialize)]
pub struct Row {
    name: String,
    #[serde(default)]
    password_hash: Option<String>,
    #[serde(default)]
    hashing_algorithm: Option<String>,
    /// A list, or text with commas from older servers.
    #[serde(default)]
    tags: Json,
    #[serde(default)]
    limits: Json,
}

impl Row {
    /// How the password is hashed; `None` in a way dollop does not know.
    fn algorithm(&self) -> Option<Hashing> {
        self.hashing_algorithm.as_deref().map_or(Some(Hashing::Sha256), Hashing::of)
    }
}

/// The limits the API knows, by attribute.
const LIMITS: limits::Names<2> =
    [("max_connections", "max-connections"), ("max_channels", "max-channels")];

impl Item for User {
    const KIND: &'static str = "rabbitmq::user";
    type Spec = Spec;
    type Row = Row;

    const KNOWN: Option<Known> = Some(Known::Login);

    fn traits() -> Traits {
        Traits { instead: instead::USER, ..Traits::default() }
    }

    fn normalize(spec: &mut Spec) {
        spec.tags.sort();
        spec.tags.dedup();
    }

    fn check(spec: &Spec) -> Vec<Problem> {
        let mut problems = check_tags(&spec.tags);
        let mut problem = |attribute: &str, message: &str, hint: &str| {
            problems.push(Problem::new(attribute, message).hint(hint));
        };
        if spec.password.as_deref() == Some("") {
            let message = "the password is empty: RabbitMQ lets nobody in with it";
            problem("password", message, "make one with `local::random`");
        }
        if spec.password.is_some() && spec.password_hash.is_some() {
            problem("password_hash", "there is a password too", "keep one of them");
        }
        if let Some(hash) = &spec.password_hash {
            let bytes = BASE64.decode(hash).map(|bytes| bytes.len());
            let digest = spec.hashing_algorithm.digest(b"").len();
            if bytes != Ok(SALT + digest) {
                let message = "this is no hash of a password";
                let hint = "`rabbitmqctl hash_password` prints one; it depends on \
                            `hashing_algorithm`";
                problem("password_hash", message, hint);
            }
        }
        problems
    }

    async fn rows(server: &Server, _: &[Place]) -> Result<Vec<Row>, CallError> {
        server.definitions().await?.rows("users")
    }

    fn row_place(row: &Row) -> Place {
        in_vhost("", &row.name)
    }

    fn place(name: &str, _: &Spec) -> Place {
        in_vhost("", name)
    }

    fn found(wanted: Option<&Spec>, row: &Row) -> Result<Spec, CallError> {
        Ok(found(wanted, row))
    }

    /// The one every server begins with, as long as it has that password.
    fn whose(_: &Server, row: &Row) -> Whose {
        let stored = row.password_hash.as_deref().unwrap_or_default();
        let algorithm = row.algorithm().unwrap_or_default();
        let as_made = row.name == "guest" && verifies(stored, algorithm, "guest");
        if as_made { Whose::BuiltIn } else { Whose::Theirs }
    }

    fn words(name: &str, _: &Spec) -> String {
        format!("user `{name}`")
    }

    fn path<'a>(name: &'a str, _: &'a Spec) -> Vec<&'a str> {
        vec!["users", name]
    }

    fn body(_: &str, spec: &Spec) -> Json {
        let hash = match (&spec.password, &spec.password_hash) {
            (Some(password), _) => hash(spec.hashing_algorithm, rand::random(), password),
            (None, Some(hash)) => hash.clone(),
            (None, None) => String::new(),
        };
        json!({
            "password_hash": hash,
            "hashing_algorithm": spec.hashing_algorithm.module(),
            "tags": spec.tags.join(","),
        })
    }

    async fn write(
        server: &Server,
        what: &str,
        name: &str,
        from: Option<&Spec>,
        to: &Spec,
    ) -> Result<(), CallError> {
        let mut body = Self::body(name, to);
        if to.password.as_deref() == Some(ANOTHER) {
            // Somebody else's (`ignore_changes`): it stays, and only the server knows it.
            let row: Option<Row> = server.api.get_at(what, &Self::path(name, to)).await?;
            let row = row.ok_or_else(|| {
                CallError::refused(format!("cannot {what}: there is no such user any more"))
            })?;
            body["password_hash"] = json!(row.password_hash);
            body["hashing_algorithm"] = json!(row.hashing_algorithm);
        }
        server.api.put(what, &Self::path(name, to), &body).await?;
        let path = ["user-limits", name];
        limits::write(server, what, &path, &LIMITS, from.map(limits_of), limits_of(to)).await
    }
}

/// Tags travel as text with commas.
pub(super) fn check_tags(tags: &[String]) -> Vec<Problem> {
    let bad = tags.iter().filter(|tag| tag.trim() != tag.as_str() || tag.is_empty());
    let bad = bad.chain(tags.iter().filter(|tag| tag.contains(',')));
    bad.map(|tag| {
        Problem::new("tags", format!("`{tag}` is no tag"))
            .hint("write each tag as an item of its own, without commas")
    })
    .collect()
}

/// Tags as the server writes them: a list, or text with commas.
pub(super) fn tags(value: &Json) -> Vec<String> {
    match value {
        Json::Array(tags) => tags.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        Json::String(tags) => {
            tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn limits_of(spec: &Spec) -> [Option<u32>; 2] {
    [spec.max_connections, spec.max_channels]
}

/// What stands for a password that is not the one that was asked for.
const ANOTHER: &str = "(another password)";

fn found(wanted: Option<&Spec>, row: &Row) -> Spec {
    let stored = row.password_hash.as_deref().unwrap_or_default();
    let algorithm = row.algorithm();
    let (mut password, mut password_hash) = (None, None);
    if let Some(wanted) = wanted.and_then(|wanted| wanted.password.as_ref()) {
        let same = algorithm.is_some_and(|algorithm| verifies(stored, algorithm, wanted));
        password = match stored {
            _ if same => Some(wanted.clone()),
            "" => None,
            _ => Some(ANOTHER.to_owned()),
        };
    } else if !stored.is_empty() {
        password_hash = Some(stored.to_owned());
    }
    let [max_connections, max_channels] = limits::read(&LIMITS, &row.limits);
    Spec {
        password,
        password_hash,
        // One that is unknown hashes no password of ours.
        hashing_algorithm: algorithm.unwrap_or_default(),
        tags: tags(&row.tags),
        max_connections,
        max_channels,
    }
}

/// Whether what definitions say of a user is a hash of this password.
pub(super) fn is_password(hash: &Json, algorithm: &Json, password: &str) -> bool {
    let algorithm = algorithm.as_str().map_or(Some(Hashing::Sha256), Hashing::of);
    algorithm.is_some_and(|algorithm| {
        verifies(hash.as_str().unwrap_or_default(), algorithm, password)
    })
}

/// Whether a stored hash is one of this password: base64 of the salt, then the digest of
/// salt and password.
fn verifies(hash: &str, algorithm: Hashing, password: &str) -> bool {
    let Ok(stored) = BASE64.decode(hash) else {
        return false;
    };
    let Some((salt, digest)) = stored.split_at_checked(SALT) else {
        return false;
    };
    digest == algorithm.digest(&[salt, password.as_bytes()].concat())
}

fn hash(algorithm: Hashing, salt: [u8; SALT], password: &str) -> String {
    let digest = algorithm.digest(&[&salt[..], password.as_bytes()].concat());
    BASE64.encode([&salt[..], digest.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_what_the_server_documents() {
        // The example of <https://www.rabbitmq.com/docs/passwords#computing-password-hash>.
        let hash = hash(Hashing::Sha256, [0x90, 0x8D, 0xC6, 0x0A], "test12");
        assert_eq!(hash, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
        assert!(verifies(&hash, Hashing::Sha256, "test12"));
        assert!(!verifies(&hash, Hashing::Sha256, "test13"));
        assert!(!verifies("", Hashing::Sha256, ""));
    }
}
