//! `dollop backup`: save everything people stored in the stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use dollop_engine::address::Address;
use dollop_engine::backup::{Inventory, Part, Present, Quiet, Site, Wishes, present, sites};
use dollop_engine::error::CallError;
use dollop_engine::store::{State, Store as _};
use dollop_state::SledStore;

use crate::args::{BackupArgs, BackupCommand, BackupListArgs, BackupVerifyArgs};
use crate::backup::chosen::Chosen;
use crate::backup::manifest::{Entry, FORMAT, Manifest};
use crate::backup::quiet::{self, Hush};
use crate::backup::shelf::{Shelf, Unfinished};
use crate::backup::stream::{Recipients, Writer};
use crate::error::{CommandError, DONE};
use crate::hook::Hook;
use crate::render::{backup as render, json};
use crate::session::{Session, block_on};
use crate::terminal;

/// How long a server that was started a moment ago may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

/// Makes a backup, or looks at those there are.
pub fn run(args: &BackupArgs) -> Result<u8, CommandError> {
    match &args.command {
        Some(BackupCommand::List(args)) => list(args),
        Some(BackupCommand::Verify(args)) => verify(args),
        None => make(args),
    }
}

fn make(args: &BackupArgs) -> Result<u8, CommandError> {
    let chosen = Chosen::new(&args.only)?;
    let recipients = Recipients::new(&args.encrypt_to)?;
    let session = Session::new(args.place.project()?);
    let shelf = Shelf::of(&args.place, &args.shelf)?;
    let store = SledStore::open(&session.state_folder(), &Session::holder("backup"))?;
    let state = store.state()?;
    refuse_empty(&state)?;
    let (manifest, folder) = block_on(until_stopped(async {
        let work =
            Work { session: &session, state: &state, shelf: &shelf, recipients: &recipients };
        work.save(args, &chosen).await
    }))?;
    // What is done with a backup that is whole takes as long as it likes: others may work on
    // the stack meanwhile.
    drop(store);
    if let Some(command) = &args.then {
        block_on(then(command, &folder))?;
    }
    for name in shelf.prune(&manifest, args.keep, args.keep_for)? {
        terminal::say(&format!("removed `{name}`\n"));
    }
    terminal::print(&format!("{}\n", folder.display()))?;
    Ok(DONE)
}

/// Ctrl-C ends the work where it is; who was stopped for it goes on by the next run.
pub(super) async fn until_stopped<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => {
            Err(CommandError::failed("stopped").hint("run it again: it cleans up first"))
        }
    }
}

pub(super) fn refuse_empty(state: &State) -> Result<(), CommandError> {
    if state.records.is_empty() {
        return Err(CommandError::failed("the stack has nothing: it was never applied")
            .hint("make it first: `dollop apply`"));
    }
    Ok(())
}

/// What can be reached of the stack, with what a run left that died put right.
pub(super) async fn look(
    session: &Session,
    state: &State,
) -> Result<(Present, Vec<Site>, Vec<(Address, CallError)>), CommandError> {
    let present = present(state, &session.pool, PATIENCE).await;
    let (sites, failed) = sites(state, &present, &session.pool).await;
    for what in quiet::recover(&session.state_folder(), &sites).await? {
        terminal::say(&format!("{what} goes on: a run that died had stopped it\n"));
    }
    for site in &sites {
        site.backup().sweep().await?;
    }
    Ok((present, sites, failed))
}

struct Work<'a> {
    session: &'a Session,
    state: &'a State,
    shelf: &'a Shelf,
    recipients: &'a Recipients,
}

impl Work<'_> {
    /// Saves everything; what is in the backup, and where it is.
    async fn save(
        &self,
        args: &BackupArgs,
        chosen: &Chosen,
    ) -> Result<(Manifest, PathBuf), CommandError> {
        let run = self.session.run_info("backup", "");
        let (_, mut sites, failed) = look(self.session, self.state).await?;
        for (address, error) in failed {
            if chosen.has(&address, &address) {
                let message = format!("`{address}` cannot be saved: {}", error.message);
                return Err(CommandError { message, ..error.into() });
            }
        }
        let wishes = Wishes { messages: args.messages };
        let inventories = take_inventory(&mut sites, wishes).await?;
        let all = inventories.iter().flat_map(|inventory| {
            let parts = inventory.parts.iter().map(|part| (&part.address, &part.connection));
            parts.chain(inventory.left_out.iter().map(|left| (&left.address, &left.address)))
        });
        chosen.refuse_idle("the stack", all)?;
        let mut manifest = Manifest {
            dollop_backup: FORMAT,
            dollop: env!("CARGO_PKG_VERSION").to_owned(),
            stack: self.session.project.stack.clone(),
            environment: self.session.project.environment.name().to_owned(),
            serial: self.state.serial,
            who: run.who,
            begun: run.when,
            ended: String::new(),
            only: chosen.patterns().to_vec(),
            encrypted_to: args.encrypt_to.clone(),
            services: BTreeMap::new(),
            parts: Vec::new(),
            left_out: Vec::new(),
        };
        let unfinished = self.shelf.begin(&manifest.stack, &manifest.begun)?;
        let how = match (args.stop, args.pause) {
            (true, _) => Some(Quiet::Stop),
            (_, true) => Some(Quiet::Pause),
            _ => None,
        };
        let mut work: Vec<_> = sites.iter().zip(inventories).collect();
        // Servers before volumes: `--stop` starts who uses them anew, and a server among these is
        // to be found elsewhere then.
        work.sort_by_key(|(site, _)| site.host.is_none());
        for (site, inventory) in work {
            let parts: Vec<Part> = inventory
                .parts
                .into_iter()
                .filter(|part| chosen.has(&part.address, &part.connection))
                .collect();
            if !parts.is_empty() {
                manifest.services.insert(site.address.clone(), inventory.service);
            }
            let left = inventory.left_out.into_iter();
            let left = left.filter(|left| chosen.has(&left.address, &left.address));
            manifest.left_out.extend(left);
            self.save_all(site, &parts, how, &unfinished, &mut manifest).await?;
        }
        if manifest.parts.is_empty() {
            return Err(CommandError::failed("there is nothing to save"));
        }
        manifest.ended = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let folder = unfinished.finish(&manifest)?;
        terminal::say(&render::left_out(&manifest));
        terminal::say(&render::summary(&manifest));
        Ok((manifest, folder))
    }

    /// Saves the parts of one site, its programs quiet meanwhile if that is wanted.
    async fn save_all(
        &self,
        site: &Site,
        parts: &[Part],
        how: Option<Quiet>,
        unfinished: &Unfinished,
        manifest: &mut Manifest,
    ) -> Result<(), CommandError> {
        let writers = site.backup().writers(site, parts).await?;
        let hush = match how {
            Some(how) if !writers.is_empty() => {
                terminal::say(&render::quiet(how, &writers));
                let folder = self.session.state_folder();
                Some(Hush::begin(&folder, site, writers, how).await?)
            }
            _ => {
                if !writers.is_empty() {
                    terminal::say(&render::live(&writers));
                }
                None
            }
        };
        let mut saved = Ok(());
        for part in parts {
            let number = manifest.parts.len() + 1;
            match self.save_one(site, part, number, unfinished.folder()).await {
                Ok(entry) => manifest.parts.push(entry),
                Err(error) => {
                    saved = Err(error);
                    break;
                }
            }
        }
        match hush {
            Some(hush) => hush.end(saved).await,
            None => saved,
        }
    }

    async fn save_one(
        &self,
        site: &Site,
        part: &Part,
        number: usize,
        folder: &Path,
    ) -> Result<Entry, CommandError> {
        let begun = Instant::now();
        let zstd = !part.compressed;
        let mut file = format!("parts/{number:03}-{}.{}", render::slug(part), part.ending);
        if zstd {
            file.push_str(".zst");
        }
        if !self.recipients.is_everybody() {
            file.push_str(".age");
        }
        let failed = |error: std::io::Error| {
            CommandError::failed(error.to_string())
                .hint("give it room, or say where backups are to go: `--out FOLDER`")
        };
        let writer = Writer::create(&folder.join(&file), zstd, self.recipients);
        let mut writer = writer.map_err(failed)?;
        let saved = site.backup().save(site, part, &mut writer).await;
        let saved = saved.map_err(|error| {
            let message = format!("`{}`: {}", part.address, error.message);
            CommandError { message, ..error.into() }
        })?;
        let written = writer.finish().map_err(failed)?;
        let entry = Entry {
            part: part.clone(),
            file,
            bytes: written.bytes,
            sha256: written.sha256,
            zstd,
            saved,
        };
        terminal::say(&render::saved(&entry, begun.elapsed()));
        Ok(entry)
    }
}

/// What every site has to save. Servers say which folders their parts cover, so that volumes
/// with these are not saved twice.
pub(super) async fn take_inventory(
    sites: &mut [Site],
    wishes: Wishes,
) -> Result<Vec<Inventory>, CommandError> {
    let mut covered = BTreeMap::new();
    for site in sites.iter().filter(|site| site.host.is_some()) {
        let inventory = site.backup().inventory(site, wishes).await?;
        let Some(host) = &site.host else { continue };
        let mut volumes = host.volumes().await?;
        // The innermost mount has the folder.
        volumes.sort_by_key(|(_, at)| std::cmp::Reverse(at.len()));
        for folder in &inventory.folders {
            let within = |at: &str| Path::new(folder).starts_with(at);
            if let Some((volume, _)) = volumes.iter().find(|(_, at)| within(at)) {
                covered.insert(volume.clone(), site.address.clone());
            }
        }
    }
    let mut all = Vec::with_capacity(sites.len());
    for site in sites {
        site.covered.clone_from(&covered);
        all.push(site.backup().inventory(site, wishes).await?);
    }
    Ok(all)
}

/// Runs a command about a backup that is whole; what it prints is talk.
async fn then(command: &str, folder: &Path) -> Result<(), CommandError> {
    let at = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = at.file_name().map_or(at.as_path(), Path::new);
    let hook = Hook::new(command).env("DOLLOP_BACKUP", &at).env("DOLLOP_BACKUP_NAME", name);
    let message = tokio::select! {
        ended = hook.run() => match ended {
            Ok(()) => return Ok(()),
            Err(how) => format!("`--then` failed: {how}"),
        },
        _ = tokio::signal::ctrl_c() => "`--then` was stopped".to_owned(),
    };
    Err(CommandError::failed(message)
        .note(format!(
            "the backup is whole, in `{}`; no older one was removed",
            folder.display()
        ))
        .hint("copy it by hand, or make another when the command works"))
}

fn list(args: &BackupListArgs) -> Result<u8, CommandError> {
    let stack = args.place.project()?.stack;
    let (found, broken) = Shelf::of(&args.place, &args.shelf)?.list(&stack)?;
    for error in &broken {
        super::note(&error.message);
    }
    if args.json {
        let rows: Vec<_> = found.iter().map(render::row_json).collect();
        terminal::print(&json::text(&serde_json::json!({ "format": 1, "backups": rows })))?;
    } else {
        terminal::print(&render::list(&found))?;
    }
    Ok(DONE)
}

fn verify(args: &BackupVerifyArgs) -> Result<u8, CommandError> {
    let stack = args.place.project()?.stack;
    let backup = Shelf::of(&args.place, &args.shelf)?.find(&args.backup, &stack)?;
    let mut damaged = Vec::new();
    for entry in &backup.manifest.parts {
        match backup.damage(entry) {
            Some(how) => damaged.push(format!("`{}` {how}", entry.file)),
            None => terminal::say(&render::intact(entry)),
        }
    }
    if damaged.is_empty() {
        terminal::say(&format!("`{}` is as it was written\n", backup.name()));
        return Ok(DONE);
    }
    Err(refuse_damage(&backup.name(), damaged))
}

pub(super) fn refuse_damage(name: &str, damaged: Vec<String>) -> CommandError {
    let mut error = CommandError::failed(format!("backup `{name}` is damaged"));
    error.notes = damaged;
    error.hint("use another backup; `--only` still takes the parts that are whole")
}
