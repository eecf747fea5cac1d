//! Digests of text, in hexadecimal.

use uuid::Uuid;

use super::arguments::{string, text};
use super::{Entry, Fault, Outcome, Run};
use crate::expr::Function;
use crate::value::Value;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "sha256(text: text) -> string",
        doc: "The SHA-256 of the text, in hexadecimal. Works on values that are not known yet.",
        examples: &[(
            r#"sha256("abc")"#,
            r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#,
        )],
        run: Run::Later(Function::Sha256),
    },
    Entry {
        signature: "sha512(text: text) -> string",
        doc: "The SHA-512 of the text, in hexadecimal. Works on values that are not known yet.",
        examples: &[(
            r#"sha512("abc")"#,
            r#""ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f""#,
        )],
        run: Run::Later(Function::Sha512),
    },
    Entry {
        signature: "sha1(text: text) -> string",
        doc: "The SHA-1 of the text, in hexadecimal, for systems that ask for it; it is broken as a seal. Works on values that are not known yet.",
        examples: &[(r#"sha1("abc")"#, r#""a9993e364706816aba3e25717850c26c9cd0d89d""#)],
        run: Run::Later(Function::Sha1),
    },
    Entry {
        signature: "md5(text: text) -> string",
        doc: "The MD5 of the text, in hexadecimal, for systems that ask for it; it is broken as a seal. Works on values that are not known yet.",
        examples: &[(r#"md5("abc")"#, r#""900150983cd24fb0d6963f7d28e17f72""#)],
        run: Run::Later(Function::Md5),
    },
    Entry {
        signature: "sha256_base64(text: text) -> string",
        doc: "The SHA-256 of the text, in standard base64. Works on values that are not known yet.",
        examples: &[(
            r#"sha256_base64("abc")"#,
            r#""ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=""#,
        )],
        run: Run::Later(Function::Sha256Base64),
    },
    Entry {
        signature: "hmac_sha256(key: text, text: text) -> string",
        doc: "The HMAC with SHA-256 of the text, in hexadecimal: a seal that only who has the key can make. Works on values that are not known yet.",
        examples: &[(
            r#"hmac_sha256("key", "The quick brown fox jumps over the lazy dog")"#,
            r#""f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8""#,
        )],
        run: Run::Later(Function::HmacSha256),
    },
    Entry {
        signature: "bcrypt(password: text, salt: text) -> string",
        doc: "The password as `htpasswd -B`, nginx, Grafana and registries keep it: its bcrypt hash of cost 10. The salt is made from the second text, such as the user's name, so that the plan stays the same; a random one would change it every time. Works on values that are not known yet.",
        examples: &[(r#"bcrypt("s3cret", "ada").starts_with("$2b$10$")"#, "true")],
        run: Run::Later(Function::Bcrypt),
    },
    Entry {
        signature: "uuid_v5(namespace: string, name: string) -> string",
        doc: "The UUID of a name: the same name gives the same UUID. The namespace is `dns`, `url`, `oid`, `x500` or a UUID.",
        examples: &[(
            r#"uuid_v5("dns", "www.example.com")"#,
            r#""2ed6657d-e927-568b-95e1-2665a8aea6a2""#,
        )],
        run: Run::Known(uuid_v5),
    },
];

fn uuid_v5(arguments: &[Value]) -> Outcome {
    let namespace = match text(arguments, 0) {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        other => Uuid::parse_str(other).map_err(|_| {
            Fault::new(format!("`{other}` is no namespace"))
                .hint("write `dns`, `url`, `oid`, `x500` or a UUID")
        })?,
    };
    Ok(string(Uuid::new_v5(&namespace, text(arguments, 1).as_bytes()).to_string()))
}
