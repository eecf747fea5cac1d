//! What backups look like to a person.

use std::fmt::Write as _;
use std::time::Duration;

use dollop_engine::backup::{Part, Quiet, Rehearsed, Writer};
use indicatif::HumanBytes;
use serde_json::{Value as Json, json};

use crate::backup::manifest::{Entry, Manifest};
use crate::backup::shelf::Backup;
use crate::render::style::{BOLD, CARE, DANGER, DIM, NEW, paint};
use crate::render::text::{clean, count, pad, took, width};

/// A part as the name of a file.
pub fn slug(part: &Part) -> String {
    let text = format!("{}-{}", part.form, part.address.path().join("-"));
    let text = if part.name.is_empty() || text.ends_with(&part.name) {
        text
    } else {
        format!("{text}-{}", part.name)
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    text.chars().map(plain).take(100).collect()
}

/// One part is saved.
pub fn saved(entry: &Entry, duration: Duration) -> String {
    let (what, size) = (clean(&entry.part.what), HumanBytes(entry.bytes));
    let address = paint(DIM, &entry.part.address);
    format!("{} {what}  {size} in {}  {address}\n", paint(NEW, "saved"), took(duration))
}

/// One file is as it was.
pub fn intact(entry: &Entry) -> String {
    let size = HumanBytes(entry.bytes);
    format!(
        "{} {}  {size}  {}\n",
        paint(NEW, "intact"),
        clean(&entry.part.what),
        paint(DIM, &entry.file)
    )
}

/// One part is back.
pub fn restored(entry: &Entry, duration: Duration) -> String {
    let address = paint(DIM, &entry.part.address);
    format!(
        "{} {} in {}  {address}\n",
        paint(NEW, "restored"),
        clean(&entry.part.what),
        took(duration)
    )
}

/// A trial of one part.
pub fn rehearsed(entry: &Entry, rehearsed: &Rehearsed, duration: Duration) -> String {
    let what = clean(&entry.part.what);
    if rehearsed.differences.is_empty() {
        let compared = clean(&rehearsed.compared);
        return format!(
            "{} {what}: {compared}  {}\n",
            paint(NEW, "the same"),
            paint(DIM, took(duration))
        );
    }
    let mut text = format!("{} {what}\n", paint(DANGER, "differs"));
    for difference in &rehearsed.differences {
        let _ = writeln!(text, "  {}", clean(difference));
    }
    text
}

/// Who is quiet for a while.
pub fn quiet(how: Quiet, writers: &[Writer]) -> String {
    let how = match how {
        Quiet::Pause => "pausing",
        Quiet::Stop => "stopping",
    };
    format!("{how} {} meanwhile\n", names(writers))
}

/// Who goes on writing while files are copied.
pub fn live(writers: &[Writer]) -> String {
    let verb = if writers.len() == 1 { "writes" } else { "write" };
    format!(
        "{} {} {verb} while volumes are copied, so that a copy may not be whole: `--stop` or \
         `--pause` prevents that\n",
        paint(CARE, "note:"),
        names(writers)
    )
}

fn names(writers: &[Writer]) -> String {
    match writers {
        [one] => clean(&one.what).into_owned(),
        many if many.len() > 4 => count(many.len(), "container"),
        many => {
            many.iter().map(|one| clean(&one.what).into_owned()).collect::<Vec<_>>().join(", ")
        }
    }
}

/// What is not in a backup.
pub fn left_out(manifest: &Manifest) -> String {
    let mut text = String::new();
    for left in &manifest.left_out {
        let (what, why) = (clean(&left.what), clean(&left.why));
        let mark =
            if left.missed { paint(CARE, "not saved") } else { paint(DIM, "not needed") };
        let _ = writeln!(text, "{mark} {what}: {why}  {}", paint(DIM, &left.address));
    }
    text
}

/// What a backup came to.
pub fn summary(manifest: &Manifest) -> String {
    let bytes = manifest.parts.iter().map(|entry| entry.bytes).sum();
    let readable = if manifest.encrypted_to.is_empty() { "" } else { ", encrypted" };
    format!("{}, {}{readable}\n", count(manifest.parts.len(), "part"), HumanBytes(bytes))
}

/// The backups there are.
pub fn list(backups: &[Backup]) -> String {
    let names = backups.iter().map(|backup| width(&backup.name())).max().unwrap_or(0);
    let mut text = String::new();
    for backup in backups {
        let manifest = &backup.manifest;
        let name = paint(BOLD, pad(&backup.name(), names));
        let only = match manifest.only.as_slice() {
            [] => String::new(),
            some => format!("  only {}", clean(&some.join(" "))),
        };
        let _ = writeln!(
            text,
            "{name}  {}  {}  by {}{only}",
            manifest.begun,
            summary(manifest).trim_end(),
            clean(&manifest.who)
        );
    }
    text
}

/// A backup, for programs.
pub fn row_json(backup: &Backup) -> Json {
    let manifest = &backup.manifest;
    json!({
        "name": backup.name(),
        "folder": backup.folder,
        "stack": manifest.stack,
        "environment": manifest.environment,
        "serial": manifest.serial,
        "begun": manifest.begun,
        "ended": manifest.ended,
        "who": manifest.who,
        "only": manifest.only,
        "encrypted": !manifest.encrypted_to.is_empty(),
        "bytes": manifest.parts.iter().map(|entry| entry.bytes).sum::<u64>(),
        "parts": manifest.parts.iter().map(|entry| json!({
            "address": entry.part.address,
            "what": entry.part.what,
            "form": entry.part.form,
            "file": entry.file,
            "bytes": entry.bytes,
            "sha256": entry.sha256,
        })).collect::<Vec<_>>(),
        "left_out": manifest.left_out,
    })
}

/// What a restore will do: each part with what is there now.
pub fn plan(backup: &Backup, stack: &str, rows: &[(&Entry, String, bool)]) -> String {
    let manifest = &backup.manifest;
    let mut text = format!(
        "Restore of {} ({} by {}) to stack `{}`\n",
        paint(BOLD, backup.name()),
        manifest.begun,
        clean(&manifest.who),
        clean(stack)
    );
    if manifest.stack != stack {
        let _ = writeln!(
            text,
            "{} it was made of another stack, `{}`",
            paint(CARE, "note:"),
            clean(&manifest.stack)
        );
    }
    text.push('\n');
    let whats = rows.iter().map(|row| width(&row.0.part.what)).max().unwrap_or(0);
    for (entry, now, loses) in rows {
        let part = &entry.part;
        let now = if *loses {
            paint(DANGER, format!("replaces {now}"))
        } else {
            clean(now).into_owned()
        };
        let _ = writeln!(text, "  {}  {}  {now}", pad(&clean(&part.what), whats), part.address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain() {
        let part = Part {
            address: "data/postgres::database.main/%C3%BC".parse().unwrap(),
            connection: "data/postgres::server.main".parse().unwrap(),
            form: "postgres-database".to_owned(),
            name: "a/../ü".to_owned(),
            what: String::new(),
            ending: "dump".to_owned(),
            compressed: true,
        };
        assert_eq!(slug(&part), "postgres-database-main-_-a_..__");
    }
}
