//! Files of the project, and paths as text.

use base64::Engine as _;
use globset::{GlobBuilder, GlobMatcher};
use rhai::Dynamic;
use sha2::{Digest, Sha256};

use super::super::host::LONGEST_TEXT;
use super::super::loader;
use super::super::marks;
use super::super::symbol::Answer;
use super::arguments::{string, text, texts};
use super::{Entry, Fault, Hand, Run};
use crate::diagnostic::{Code, Diagnostic};
use crate::files::FileError;

/// What it takes to open a file or a folder, as bytes that are read: otherwise a loop over
/// empty ones would go on for hours.
const OPENED: usize = 1024;

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        signature: "file(path: string) -> string",
        doc: "The text of a file of the project, relative to the script. Its digest is kept in the plan.",
        examples: &[(r#"file("motd.txt")"#, r#""Hello.\n""#)],
        run: Run::Elsewhere,
    },
    Entry {
        signature: "file_base64(path: string) -> string",
        doc: "A file of the project, text or not, in standard base64: for `content_base64`. Its digest is kept in the plan.",
        examples: &[(r#"file_base64("motd.txt") == base64(file("motd.txt"))"#, "true")],
        run: Run::Items(|hand, a| {
            let path = path(hand, &a)?;
            hand.spend(OPENED)?;
            let bytes = hand.session.bytes(&path).map_err(|error| unreadable(hand, &error))?;
            hand.spend(bytes.len())?;
            if bytes.len() > LONGEST_TEXT / 4 * 3 {
                let message = format!("`{path}` is too large for a text in base64");
                return Err(hand.fault(Fault::new(message)));
            }
            Ok(base64::prelude::BASE64_STANDARD.encode(bytes).into())
        }),
    },
    Entry {
        signature: "file_exists(path: string) -> bool",
        doc: "Whether the project has a file at that path, relative to the script.",
        examples: &[
            (r#"file_exists("motd.txt")"#, "true"),
            (r#"file_exists("other.txt")"#, "false"),
        ],
        run: Run::Items(exists),
    },
    Entry {
        signature: "file_sha256(path: string) -> string",
        doc: "The SHA-256 of a file of the project, text or not, in hexadecimal.",
        examples: &[(r#"file_sha256("motd.txt") == sha256(file("motd.txt"))"#, "true")],
        run: Run::Items(|hand, a| {
            let path = path(hand, &a)?;
            Ok(hex::encode(digest(hand, &path)?).into())
        }),
    },
    Entry {
        signature: "files(folder: string, pattern?: string) -> list",
        doc: "The paths of all files in a folder of the project and in the folders within, relative to it, in order; with a pattern, those that match it: `*` is anything but `/`, `**/` any folders, `{a,b}` one or the other. Files and folders whose names begin with a dot are left out.",
        examples: &[
            (r#"files("conf")"#, r#"["app.toml", "db/pg.conf"]"#),
            (r#"files("conf", "**/*.conf")"#, r#"["db/pg.conf"]"#),
            (r#"files("conf", "*.{toml,conf}")"#, r#"["app.toml"]"#),
        ],
        run: Run::Items(|hand, a| {
            let folder = path(hand, &a)?;
            let mut found = listed(hand, &folder)?;
            if let Some(pattern) = a.get(1) {
                let pattern = glob(hand, &hand.text(pattern, "a pattern")?)?;
                found.retain(|path| pattern.is_match(path));
            }
            Ok(Dynamic::from_array(found.into_iter().map(Into::into).collect()))
        }),
    },
    Entry {
        signature: "folder(path: string) -> map",
        doc: "The texts of all files in a folder of the project and in the folders within, by their paths relative to it, as `files` finds them. The digest of each is kept in the plan.",
        examples: &[(r#"folder("conf").keys()"#, r#"["app.toml", "db/pg.conf"]"#)],
        run: Run::Items(folder),
    },
    Entry {
        signature: "dir_hash(folder: string) -> string",
        doc: "A digest of the names and contents of all files in a folder, text or not, as `files` finds them: it changes when one of them does.",
        examples: &[(r#"dir_hash("conf") == dir_hash("./conf")"#, "true")],
        run: Run::Items(dir_hash),
    },
    Entry {
        signature: "path_join(parts: list) -> string",
        doc: "The parts as one path, without `.`, and without `..` where it can be; an absolute part starts anew.",
        examples: &[
            (r#"path_join(["etc", "./app", "../web.conf"])"#, r#""etc/web.conf""#),
            (r#"path_join(["a", "/b"])"#, r#""/b""#),
        ],
        run: Run::Known(|a| Ok(string(join(&texts(a, 0, "parts")?)))),
    },
    Entry {
        signature: "base_name(path: string) -> string",
        doc: "The last part of a path.",
        examples: &[(r#"base_name("/etc/app.conf")"#, r#""app.conf""#)],
        run: Run::Known(|a| Ok(string(split(text(a, 0)).1))),
    },
    Entry {
        signature: "dir_name(path: string) -> string",
        doc: "A path without its last part; `.` when there is no other.",
        examples: &[
            (r#"dir_name("/etc/app.conf")"#, r#""/etc""#),
            (r#"dir_name("app.conf")"#, r#"".""#),
        ],
        run: Run::Known(|a| Ok(string(split(text(a, 0)).0))),
    },
    Entry {
        signature: "extension(path: string) -> string",
        doc: "What follows the last dot of a file's name; empty when there is none.",
        examples: &[
            (r#"extension("a/b.tar.gz")"#, r#""gz""#),
            (r#"extension(".env")"#, r#""""#),
        ],
        run: Run::Known(|a| Ok(string(cut(split(text(a, 0)).1).1))),
    },
    Entry {
        signature: "file_stem(path: string) -> string",
        doc: "A file's name without its extension.",
        examples: &[(r#"file_stem("a/b.tar.gz")"#, r#""b.tar""#)],
        run: Run::Known(|a| Ok(string(cut(split(text(a, 0)).1).0))),
    },
];

/// The first argument as a path of the project.
pub(super) fn path(hand: &Hand<'_>, arguments: &[Dynamic]) -> Answer<String> {
    let written = hand.text(arguments.first().unwrap_or(&Dynamic::UNIT), "a path")?;
    let from = hand.context.call_source().unwrap_or_default();
    loader::join(from, &written).ok_or_else(|| hand.refuse(loader::outside(&written)))
}

/// A pattern of paths.
fn glob(hand: &Hand<'_>, text: &str) -> Answer<GlobMatcher> {
    let pattern = GlobBuilder::new(text).literal_separator(true).build();
    pattern.map(|pattern| pattern.compile_matcher()).map_err(|error| {
        let fault = Fault::new(format!("`{text}` is no pattern of paths: {}", error.kind()));
        hand.fault(fault.hint("write `*.sql`, `**/*.conf` or `*.{yml,yaml}`"))
    })
}

fn unreadable(hand: &Hand<'_>, error: &FileError) -> Box<rhai::EvalAltResult> {
    let from = hand.context.call_source().unwrap_or_default();
    hand.refuse(loader::unreadable(error, from))
}

/// The text of the file the first argument names.
pub(super) fn read(hand: &Hand<'_>, arguments: &[Dynamic]) -> Answer<String> {
    let path = path(hand, arguments)?;
    read_at(hand, &path)
}

fn read_at(hand: &Hand<'_>, path: &str) -> Answer<String> {
    let text = hand.session.read(path).map_err(|error| unreadable(hand, &error))?;
    hand.spend(text.len())?;
    if marks::is_marked(&text) {
        let message = format!("`{path}` holds Unicode noncharacters U+FDD0 to U+FDEF");
        return Err(hand.refuse(Diagnostic::new(Code::FileUnreadable, message)));
    }
    Ok(text.to_string())
}

fn digest(hand: &Hand<'_>, path: &str) -> Answer<[u8; 32]> {
    hand.spend(OPENED)?;
    let found = hand.session.digest(path).map_err(|error| unreadable(hand, &error))?;
    hand.spend(usize::try_from(found.length).unwrap_or(usize::MAX))?;
    Ok(found.sha256)
}

fn exists(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let path = path(hand, &arguments)?;
    match hand.session.read(&path) {
        Ok(_) | Err(FileError::NotText(_)) => Ok(true.into()),
        Err(FileError::Missing(_)) => {
            // That it is not there is part of what the plan was made from.
            hand.session.digests.borrow_mut().insert(path, "absent".to_owned());
            Ok(false.into())
        }
        Err(error) => Err(unreadable(hand, &error)),
    }
}

fn listed(hand: &Hand<'_>, folder: &str) -> Answer<Vec<String>> {
    hand.spend(OPENED)?;
    let found = hand.session.list(folder).map_err(|error| unreadable(hand, &error))?;
    hand.room(found.len())?;
    hand.spend(found.iter().map(String::len).sum())?;
    Ok(found)
}

fn folder(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let folder = path(hand, &arguments)?;
    let mut found = rhai::Map::new();
    for name in listed(hand, &folder)? {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let text = read_at(hand, &path)?;
        found.insert(name.into(), text.into());
    }
    Ok(Dynamic::from_map(found))
}

fn dir_hash(hand: &Hand<'_>, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
    let folder = path(hand, &arguments)?;
    let mut whole = Sha256::new();
    for name in listed(hand, &folder)? {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        // Of names and digests: a name holds no zero byte.
        whole.update(name.as_bytes());
        whole.update([0]);
        whole.update(digest(hand, &path)?);
    }
    Ok(hex::encode(whole.finalize()).into())
}

fn join(parts: &[&str]) -> String {
    let mut absolute = false;
    let mut all: Vec<&str> = Vec::new();
    for part in parts {
        if part.starts_with('/') {
            absolute = true;
            all.clear();
        }
        for step in part.split('/') {
            match (step, all.last()) {
                ("" | ".", _) => {}
                ("..", Some(last)) if *last != ".." => {
                    all.pop();
                }
                ("..", _) if absolute => {}
                (step, _) => all.push(step),
            }
        }
    }
    match (absolute, all.is_empty()) {
        (true, _) => format!("/{}", all.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => all.join("/"),
    }
}

/// A path's folder and last part.
fn split(path: &str) -> (&str, &str) {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return (if path.is_empty() { "." } else { "/" }, "");
    }
    match trimmed.rsplit_once('/') {
        None => (".", trimmed),
        Some((folder, name)) => {
            let folder = folder.trim_end_matches('/');
            (if folder.is_empty() { "/" } else { folder }, name)
        }
    }
}

/// A name's stem and extension.
fn cut(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (name, ""),
    }
}

/// Refuses a fault found in a file, with its name.
pub(super) fn in_file(path: &str, fault: Fault) -> Fault {
    Fault { message: format!("in `{path}`: {}", fault.message), hint: fault.hint }
}
