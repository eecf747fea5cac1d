//! `dollop restore`: take a backup back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use dollop_engine::address::Address;
use dollop_engine::backup::{Quiet, Site};
use dollop_engine::plan::Loss;
use dollop_engine::resource::Held;
use dollop_engine::store::{State, Store as _};
use dollop_state::SledStore;
use serde::{Deserialize, Serialize};

use crate::args::RestoreArgs;
use crate::backup::chosen::Chosen;
use crate::backup::manifest::Entry;
use crate::backup::quiet::Hush;
use crate::backup::shelf::{Backup, Shelf};
use crate::backup::stream::Reader;
use crate::commands::backup::{look, refuse_damage, refuse_empty, until_stopped};
use crate::commands::consent;
use crate::error::{CommandError, DONE};
use crate::render::backup as render;
use crate::render::text::count;
use crate::saved::write_private;
use crate::session::{Session, block_on};
use crate::terminal;

/// The file, in the folder of the state, that says which restore is under way.
const BEGUN: &str = "restoring.json";

/// Restores, or only tries whether it could.
pub fn run(args: &RestoreArgs) -> Result<u8, CommandError> {
    let chosen = Chosen::new(&args.only)?;
    let session = Session::new(args.place.project()?);
    let shelf = Shelf::of(&args.place, &args.shelf)?;
    let backup = shelf.find(&args.backup, &session.project.stack)?;
    let parts = backup.manifest.parts.iter();
    let all = parts.clone().map(|entry| (&entry.part.address, &entry.part.connection));
    chosen.refuse_idle("the backup", all)?;
    let entries: Vec<&Entry> =
        parts.filter(|entry| chosen.has(&entry.part.address, &entry.part.connection)).collect();
    let damaged: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some(format!("`{}` {}", entry.file, backup.damage(entry)?)))
        .collect();
    if !damaged.is_empty() {
        return Err(refuse_damage(&backup.name(), damaged));
    }
    // Whether there is a key is best known before anything happens.
    for entry in &entries {
        open(&backup, entry)?;
    }
    let store = SledStore::open(&session.state_folder(), &Session::holder("restore"))?;
    let state = store.state()?;
    refuse_empty(&state)?;
    let work = Work { session: &session, state: &state, backup: &backup, entries };
    block_on(until_stopped(async {
        if args.verify { work.rehearse().await } else { work.restore(args).await }
    }))
}

fn open(backup: &Backup, entry: &Entry) -> Result<Reader, CommandError> {
    let encrypted = !backup.manifest.encrypted_to.is_empty();
    Reader::open(&backup.path(entry), entry.zstd, encrypted)
}

struct Work<'a> {
    session: &'a Session,
    state: &'a State,
    backup: &'a Backup,
    entries: Vec<&'a Entry>,
}

impl Work<'_> {
    async fn restore(&self, args: &RestoreArgs) -> Result<u8, CommandError> {
        let sites = self.sites().await?;
        let mut begun = Begun::read(self.session, self.backup);
        let mut losses: BTreeMap<Address, Vec<String>> = BTreeMap::new();
        let mut rows = Vec::new();
        for entry in &self.entries {
            let part = &entry.part;
            let site = site_of(&sites, entry)?;
            let held = site.backup().held(site, part, &entry.saved).await?;
            let (now, lost) = match held {
                _ if begun.parts.contains(&entry.file) => {
                    ("goes on where a run was cut off".to_owned(), false)
                }
                Held::Nothing(words) => (words, false),
                Held::Content(words) => (words, true),
                Held::Unknown => ("what it holds".to_owned(), true),
            };
            if lost {
                let words = format!("{} ({})", now, part.what);
                losses.entry(part.address.clone()).or_default().push(words);
            }
            rows.push((*entry, now, lost));
        }
        let stack = &self.session.project.stack;
        terminal::print(&render::plan(self.backup, stack, &rows))?;
        let consents = args.consent.addresses();
        let losses = losses.into_iter().filter(|(address, _)| !consents.contains(address));
        let losses: Vec<Loss> = losses
            .map(|(address, words)| Loss { address, content: words.join(", "), empty: false })
            .collect();
        consent::approve("restore", "restore this", args.auto_approve, &losses)?;
        // Agreed to once: a run that dies from here on goes on without asking again.
        for (entry, _, _) in rows.iter().filter(|(_, _, lost)| *lost) {
            begun.add(&entry.file)?;
        }
        // What servers run in first: it is stopped while its volumes are written.
        let (below, above): (Vec<&Site>, Vec<&Site>) =
            sites.iter().partition(|site| site.host.is_none());
        for site in below {
            self.restore_site(site, &mut begun).await?;
        }
        // What was started again may have another port now.
        let above: BTreeSet<&Address> = above.into_iter().map(|site| &site.address).collect();
        if !above.is_empty() {
            for site in &self.sites().await? {
                if above.contains(&site.address) {
                    self.restore_site(site, &mut begun).await?;
                }
            }
        }
        begun.end()?;
        terminal::say(&format!("restored {}\n", count(self.entries.len(), "part")));
        Ok(DONE)
    }

    /// The sites that the parts need.
    async fn sites(&self) -> Result<Vec<Site>, CommandError> {
        let (_, mut sites, failed) = look(self.session, self.state).await?;
        let needed: BTreeSet<&Address> =
            self.entries.iter().map(|entry| &entry.part.connection).collect();
        for (address, error) in failed {
            if needed.contains(&address) {
                let message = format!("`{address}` cannot be restored: {}", error.message);
                return Err(CommandError { message, ..error.into() });
            }
        }
        sites.retain(|site| needed.contains(&site.address));
        Ok(sites)
    }

    async fn restore_site(&self, site: &Site, begun: &mut Begun) -> Result<(), CommandError> {
        let mine = self.entries.iter().filter(|entry| entry.part.connection == site.address);
        let mine: Vec<&Entry> = mine.copied().collect();
        let parts: Vec<_> = mine.iter().map(|entry| entry.part.clone()).collect();
        let writers = site.backup().writers(site, &parts).await?;
        let hush = if writers.is_empty() {
            None
        } else {
            terminal::say(&render::quiet(Quiet::Stop, &writers));
            let folder = self.session.state_folder();
            Some(Hush::begin(&folder, site, writers, Quiet::Stop).await?)
        };
        let mut done = Ok(());
        for entry in mine {
            if let Err(error) = self.restore_one(site, entry, begun).await {
                done = Err(error);
                break;
            }
        }
        match hush {
            Some(hush) => hush.end(done).await,
            None => done,
        }
    }

    async fn restore_one(
        &self,
        site: &Site,
        entry: &Entry,
        begun: &mut Begun,
    ) -> Result<(), CommandError> {
        let since = Instant::now();
        let mut reader = open(self.backup, entry)?;
        begun.add(&entry.file)?;
        let loaded = site.backup().load(site, &entry.part, &entry.saved, &mut reader).await;
        let notes = loaded.map_err(|error| {
            let message = format!("`{}`: {}", entry.part.address, error.message);
            CommandError { message, ..error.into() }
                .hint("run it again: it goes on from here, and asks no second time")
        })?;
        terminal::say(&render::restored(entry, since.elapsed()));
        for note in notes {
            terminal::say(&format!("  {note}\n"));
        }
        Ok(())
    }

    /// Takes every part back for a trial.
    async fn rehearse(&self) -> Result<u8, CommandError> {
        let sites = self.sites().await?;
        let mut differs = 0;
        for site in &sites {
            let scratch = site.backup().scratch(site).await?;
            let mut done = Ok(());
            for entry in &self.entries {
                if entry.part.connection != site.address {
                    continue;
                }
                let since = Instant::now();
                let tried = match open(self.backup, entry) {
                    Ok(mut reader) => scratch
                        .rehearse(&entry.part, &entry.saved, &mut reader)
                        .await
                        .map_err(|error| {
                            let message =
                                format!("`{}`: {}", entry.part.address, error.message);
                            CommandError { message, ..error.into() }
                        }),
                    Err(error) => Err(error),
                };
                match tried {
                    Ok(tried) => {
                        differs += usize::from(!tried.differences.is_empty());
                        terminal::say(&render::rehearsed(entry, &tried, since.elapsed()));
                    }
                    Err(error) => {
                        done = Err(error);
                        break;
                    }
                }
            }
            scratch.remove().await?;
            done?;
        }
        for entry in &self.entries {
            site_of(&sites, entry)?;
        }
        if differs > 0 {
            return Err(CommandError::failed(format!(
                "{} of `{}` did not come back as saved",
                count(differs, "part"),
                self.backup.name()
            )));
        }
        terminal::say(&format!("`{}` comes back as it was saved\n", self.backup.name()));
        Ok(DONE)
    }
}

fn site_of<'a>(sites: &'a [Site], entry: &Entry) -> Result<&'a Site, CommandError> {
    let connection = &entry.part.connection;
    sites.iter().find(|site| &site.address == connection).ok_or_else(|| {
        CommandError::failed(format!(
            "{} has no place: the stack has no `{connection}`",
            entry.part.what
        ))
        .hint("make it first: `dollop apply`; or choose other parts: `--only`")
    })
}

/// The restore that is under way. What was agreed to is not asked for a second time.
struct Begun {
    file: PathBuf,
    backup: String,
    parts: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    backup: String,
    parts: BTreeSet<String>,
}

impl Begun {
    fn read(session: &Session, backup: &Backup) -> Self {
        let file = session.state_folder().join(BEGUN);
        let digest = backup.manifest.digest();
        let written = fs::read(&file).ok();
        let written: Option<Written> =
            written.and_then(|text| serde_json::from_slice(&text).ok());
        let parts = written.filter(|written| written.backup == digest);
        let parts = parts.map(|written| written.parts).unwrap_or_default();
        Self { file, backup: digest, parts }
    }

    fn add(&mut self, part: &str) -> Result<(), CommandError> {
        self.parts.insert(part.to_owned());
        let written = Written { backup: self.backup.clone(), parts: self.parts.clone() };
        let text = serde_json::to_vec(&written).unwrap_or_default();
        write_private(&self.file, &text).map_err(|error| {
            CommandError::failed(format!("cannot write `{}`: {error}", self.file.display()))
        })
    }

    fn end(&self) -> Result<(), CommandError> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove `{}`: {error}", self.file.display());
                Err(CommandError::failed(message))
            }
            _ => Ok(()),
        }
    }
}
