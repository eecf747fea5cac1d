//! Saved plans: secrets sealed, any alteration noticed.

use std::fs::Permissions;
use std::path::Path;

use dollop_engine::ephemeral::Recall;
use dollop_engine::files::Files as _;
use dollop_engine::plan::{FORMAT, Plan, edited};
use dollop_engine::store::State;
use dollop_engine::value::SECRET_KEY;
use dollop_state::Keyring;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tempfile::Builder;

use crate::args::StackArgs;
use crate::error::CommandError;
use crate::render::text::clean;
use crate::session::Session;

/// A plan on disk. `seal` is the digest of `plan`, sealed with the state's key, so that it
/// cannot be made to fit an altered plan.
#[derive(Serialize, Deserialize)]
struct Saved {
    dollop_plan: u32,
    plan: Json,
    seal: Json,
}

/// Writes a plan to a file readable by its owner only.
pub fn save(plan: &Plan, file: &Path, keyring: &Keyring) -> Result<(), CommandError> {
    let plan = serde_json::to_value(plan)
        .map_err(|error| CommandError::failed(format!("cannot save the plan: {error}")))?;
    let plan = keyring.seal(plan);
    let seal = keyring.seal(json!({ SECRET_KEY: digest(&plan) }));
    let saved = json!(Saved { dollop_plan: FORMAT, plan, seal });
    write_private(file, saved.to_string().as_bytes()).map_err(|error| {
        CommandError::failed(format!("cannot write `{}`: {error}", file.display()))
    })
}

/// Whether a file is a saved plan, of whatever version.
pub fn is_one(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.starts_with("{\"dollop_plan\":")
}

/// Reads a plan back.
///
/// # Errors
/// It is no plan, of another version, altered, or sealed with another key.
pub fn read(file: &Path, keyring: &Keyring) -> Result<Plan, CommandError> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::failed(format!("cannot read `{shown}`: {error}")))?;
    let saved: Saved = serde_json::from_str(&text).map_err(|_| {
        CommandError::failed(format!("`{shown}` is not a saved plan"))
            .hint("make one with `dollop plan --out FILE`")
    })?;
    if saved.dollop_plan != FORMAT {
        return Err(CommandError::failed(format!(
            "`{shown}` was made by another version of dollop"
        ))
        .note(format!("its format is {}, this dollop knows {FORMAT}", saved.dollop_plan))
        .hint("make the plan again"));
    }
    // A seal that cannot be opened was altered, or made with the key of another state.
    let seal = keyring.open(saved.seal).unwrap_or_default();
    if seal[SECRET_KEY].as_str() != Some(digest(&saved.plan).as_str()) {
        let message =
            format!("`{shown}` was altered after it was made, or belongs to another state");
        return Err(CommandError::failed(message).hint("make the plan again, and review it"));
    }
    serde_json::from_value(keyring.open(saved.plan)?)
        .map_err(|error| CommandError::failed(format!("cannot read `{shown}`: {error}")))
}

/// Refuses a plan that the state, the scripts or other files have left behind, and says what
/// moved.
pub async fn refuse_stale(
    plan: &Plan,
    state: &State,
    session: &Session,
) -> Result<(), CommandError> {
    let project = &session.project;
    let mut moved = Vec::new();
    if plan.stack != project.stack {
        moved.push(format!("it was made for stack `{}`", plan.stack));
    }
    if plan.serial != state.serial {
        moved.push(format!(
            "the state has moved on from serial {} to {}",
            plan.serial, state.serial
        ));
    }
    for (path, was) in &plan.digests {
        // As the scripts saw it: a folder by its names, a file by its bytes, which need not
        // be text, or nothing there.
        let now = match path.strip_suffix('/') {
            Some(folder) => {
                let names = project.files.list(folder).ok();
                names.map(|names| Sha256::digest(names.join("\n")).into())
            }
            None => project.files.digest(path).ok().map(|found| found.sha256),
        };
        match now.map(|now: [u8; 32]| hex::encode(now)) {
            Some(now) if now == *was => {}
            None if was == "absent" => {}
            Some(_) => moved.push(format!("`{path}` has changed")),
            None => moved.push(format!("`{path}` cannot be read any more")),
        }
    }
    moved.extend(moved_files(plan, session).await);
    stale(moved)
}

/// Refuses a plan when what it is made from on this machine was changed while somebody looked
/// at it: what was approved is not what would be built.
pub async fn refuse_edited(plan: &Plan, session: &Session) -> Result<(), CommandError> {
    stale(moved_files(plan, session).await)
}

/// What of build contexts and mounted configuration is not as it was when the plan was made.
async fn moved_files(plan: &Plan, session: &Session) -> Vec<String> {
    let edited = edited(plan, &session.pool).await.into_iter();
    let moved = edited.map(|(address, path)| {
        let needs = address.to_string();
        format!("`{}`, which `{}` needs, has changed", clean(&path), clean(&needs))
    });
    moved.collect()
}

fn stale(moved: Vec<String>) -> Result<(), CommandError> {
    if moved.is_empty() {
        return Ok(());
    }
    let mut error = CommandError::failed("the plan is stale");
    error.notes = moved;
    Err(error.hint("plan again, and review it"))
}

/// Fills in the ephemeral values of a saved plan, which are not in it: the script is asked
/// again for those it was made with.
pub fn recall(
    plan: &mut Plan,
    session: &Session,
    state: &State,
    args: &StackArgs,
) -> Result<(), CommandError> {
    if Recall::default().fill_plan(plan).is_ok() {
        if args.param.is_empty() && args.params.is_empty() {
            return Ok(());
        }
        return Err(CommandError::usage("a saved plan has its parameters already")
            .hint("only ephemeral ones are given again, and it has none"));
    }
    session.project.files.look_up_secrets(true);
    let mut args = args.clone();
    if !plan.destroy {
        // The script is asked as it was when the plan was made.
        let on = plan.profiles.iter().filter(|(_, on)| **on);
        args.profiles = on.map(|(name, _)| name.clone()).collect();
    }
    let graph = session.declared(&args)?;
    Recall::of(&graph, session.registry(), state).fill_plan(plan).map_err(|missing| {
        let mut error = CommandError::failed(
            "the plan was made with ephemeral values that are not the ones given now",
        );
        error.notes = missing
            .iter()
            .map(|address| format!("`{}` needs one", clean(&address.to_string())))
            .collect();
        error.hint("give the same values again, or plan again")
    })
}

fn digest(plan: &Json) -> String {
    hex::encode(Sha256::digest(plan.to_string().as_bytes()))
}

/// Writes a file durably; never leaves half of it, nor one that others may read.
pub fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write(file, bytes, &Builder::new(), None)
}

/// The same for a file of the project, which whoever works on it may read: as it is by now, or
/// as any new file is.
pub fn write_open(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Not in the place of a link, but where that leads.
    let real = file.canonicalize();
    let file = real.as_deref().unwrap_or(file);
    let kept = std::fs::metadata(file).map(|known| known.permissions()).ok();
    let mut builder = Builder::new();
    // The system takes from that what new files do not get.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    write(file, bytes, &builder, kept)
}

fn write(
    file: &Path,
    bytes: &[u8],
    builder: &Builder<'_, '_>,
    permissions: Option<Permissions>,
) -> std::io::Result<()> {
    use std::io::Write as _;
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut aside = builder.tempfile_in(folder)?;
    aside.write_all(bytes)?;
    if let Some(permissions) = permissions {
        aside.as_file().set_permissions(permissions)?;
    }
    aside.as_file().sync_all()?;
    aside.persist(file)?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_of_the_project_stays_as_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("link"));
        let mode = || file.metadata().unwrap().permissions().mode() & 0o777;
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        write_open(&file, b"one").unwrap();
        assert_eq!(mode(), plain.metadata().unwrap().permissions().mode() & 0o777);
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_open(&link, b"two").unwrap();
        assert_eq!((mode(), std::fs::read(&file).unwrap()), (0o640, b"two".to_vec()));
        assert!(link.is_symlink());
        write_private(&file, b"three").unwrap();
        assert_eq!(mode(), 0o600);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
    }
}
