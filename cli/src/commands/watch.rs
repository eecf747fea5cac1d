//! `dollop watch`: apply what changes while somebody works on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use dollop_engine::plan::Options;
use dollop_engine::store::Store as _;
use dollop_state::SledStore;
use notify_debouncer_mini::notify::RecursiveMode;
use notify_debouncer_mini::{DebounceEventResult, new_debouncer};
use walkdir::WalkDir;

use super::apply::{Go, perform};
use super::switch::{self, Switch};
use crate::args::{Format, SelectArgs, SwitchArgs, WatchArgs};
use crate::commands::show_plan;
use crate::error::{CommandError, DONE};
use crate::session::{Session, block_on};
use crate::terminal;

/// How long a folder must be quiet: editors write several files at once.
const QUIET: Duration = Duration::from_millis(300);

/// How long it is waited for at most: a log never is.
const YOUNG: Duration = Duration::from_secs(2);

/// How long a file that has lost all it had is taken for one that is being written.
const EMPTY: Duration = Duration::from_secs(10);

/// Files with when they were changed and how long they are.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Applies, waits for a file of the project to change, applies again.
pub fn run(args: &WatchArgs) -> Result<u8, CommandError> {
    let folder = args.stack.project()?.folder;
    let (told, woken) = mpsc::channel();
    let failed = |error: notify_debouncer_mini::notify::Error| {
        CommandError::failed(format!("`{}` cannot be watched: {error}", folder.display()))
    };
    end_with_ctrl_c(told.clone());
    let wake = move |_: DebounceEventResult| {
        // A watch that missed something looks at everything anyway.
        let _ = told.send(Wake::Changed);
    };
    let mut debouncer = new_debouncer(QUIET, wake).map_err(failed)?;
    debouncer.watcher().watch(&folder, RecursiveMode::Recursive).map_err(failed)?;
    let mut known = files(&folder);
    let mut idle = Idle::default();
    tell(once(args));
    terminal::say(&format!("watching {}; Ctrl-C ends it\n", folder.display()));
    while woken.recv() == Ok(Wake::Changed) {
        let Some(now) = written(&folder, &known, &idle, &woken) else { break };
        // To read a file is an event too, but no change.
        let changed: Vec<_> =
            idle.differing(&known, &now).into_iter().map(Path::to_owned).collect();
        known = now;
        if changed.is_empty() {
            continue;
        }
        for path in &changed {
            terminal::say(&format!("changed {}\n", path.display()));
        }
        match tell(once(args)) {
            Some(true) => idle = Idle::default(),
            Some(false) if args.restart.is_empty() => idle.count(changed),
            _ => {}
        }
        tell(restart(args));
    }
    Ok(DONE)
}

/// Why somebody who waits is woken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// Something in the folder was touched.
    Changed,
    /// It is enough.
    End,
}

/// Files that change again and again and change nothing: logs, what a program writes beside
/// its sources. They are left alone until something else has an effect.
#[derive(Default)]
struct Idle(BTreeMap<PathBuf, u32>);

impl Idle {
    /// So often a change may have no effect: a file may be saved as it was.
    const OFTEN: u32 = 3;

    /// What differs between two looks and is not left alone.
    fn differing<'a>(&self, known: &'a Files, found: &'a Files) -> Vec<&'a Path> {
        let mut all = differing(known, found);
        all.retain(|path| !self.holds(path));
        all
    }

    fn holds(&self, path: &Path) -> bool {
        self.0.get(path).is_some_and(|times| *times >= Self::OFTEN)
    }

    fn count(&mut self, paths: Vec<PathBuf>) {
        for path in paths {
            // A script is never beside the point.
            if path.extension().is_some_and(|end| end == "rhai") {
                continue;
            }
            let times = self.0.entry(path.clone()).or_default();
            *times += 1;
            if *times == Self::OFTEN {
                terminal::say(&format!("{} changes nothing: left alone\n", path.display()));
            }
        }
    }
}

/// Listens all the time: a signal that comes while nobody does would be lost.
fn end_with_ctrl_c(told: mpsc::Sender<Wake>) {
    std::thread::spawn(move || {
        block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() && told.send(Wake::End).is_ok() {}
            Ok(())
        })
    });
}

/// A mistake in the script is said; the next change may mend it.
fn tell<T>(ended: Result<T, CommandError>) -> Option<T> {
    let said = ended.map_err(|error| {
        terminal::say(&error.render(terminal::stderr_width()));
    });
    said.ok()
}

/// One apply that asks nobody, and whether it had anything to do; what would lose data is
/// refused.
fn once(args: &WatchArgs) -> Result<bool, CommandError> {
    let session = Session::new(args.stack.project()?);
    session.project.files.look_up_secrets(true);
    let graph = session.graph(&args.stack)?;
    let store = SledStore::open(&session.state_folder(), &Session::holder("watch"))?;
    let state = store.state()?;
    block_on(async {
        let plan = session.plan(&graph, &state, &Options::default()).await?;
        let changes = plan.has_changes();
        if changes {
            show_plan(&plan, session.pool.registry(), Format::Text, false)?;
        } else {
            terminal::say("nothing to change\n");
        }
        let go =
            Go { command: "apply", approved: true, parallelism: args.parallelism, json: false };
        perform(&session, plan, &state, &store, go).await?;
        Ok(changes)
    })
}

/// Restarts what was named: programs that read their files once.
fn restart(args: &WatchArgs) -> Result<(), CommandError> {
    if args.restart.is_empty() {
        return Ok(());
    }
    let place = crate::args::PlaceArgs {
        stack: args.stack.stack.clone(),
        environment: args.stack.environment.clone(),
    };
    let what = args.restart.clone();
    let select = SelectArgs { what, place, ..SelectArgs::default() };
    let switch = SwitchArgs { select, parallelism: args.parallelism };
    switch::run(&switch, Switch::Restart).map(drop)
}

/// The project's files once nobody writes them; nothing when it is enough. What wakes may be
/// late and about something else: right then a file may be half written, and an empty script
/// would remove everything.
fn written(
    folder: &Path,
    known: &Files,
    idle: &Idle,
    woken: &mpsc::Receiver<Wake>,
) -> Option<Files> {
    let begun = Instant::now();
    loop {
        let found = files(folder);
        let changed = idle.differing(known, &found);
        let Some(more) = unwritten(known, &found, &changed, begun.elapsed()) else {
            return Some(found);
        };
        match woken.recv_timeout(more) {
            Ok(Wake::Changed) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(Wake::End) | Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// How much longer to wait for whoever writes what has changed, after so long.
fn unwritten(
    known: &Files,
    found: &Files,
    changed: &[&Path],
    waited: Duration,
) -> Option<Duration> {
    let length = |files: &Files, path: &Path| files.get(path).map(|(_, length)| *length);
    let is_emptied = |path: &&Path| {
        length(found, path) == Some(0) && length(known, path).is_some_and(|before| before > 0)
    };
    // Most programs empty a file before they write it, and a busy disk may come in between.
    if waited < EMPTY && changed.iter().any(is_emptied) {
        return Some(QUIET);
    }
    // A file from the future says nothing about when it was written.
    let ages = changed.iter().filter_map(|path| {
        let (changed, _) = found.get(*path)?;
        SystemTime::now().duration_since((*changed)?).ok()
    });
    let more = QUIET.checked_sub(ages.min()?)?;
    (waited < YOUNG && !more.is_zero()).then_some(more)
}

/// The project's files; hidden ones, dollop's own among them, excepted.
fn files(folder: &Path) -> Files {
    let walk = WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .filter_entry(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let found = walk.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let found = found.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        let path = entry.path().strip_prefix(folder).ok()?.to_path_buf();
        Some((path, (about.modified().ok(), about.len())))
    });
    found.collect()
}

/// What is new, gone or another.
fn differing<'a>(before: &'a Files, now: &'a Files) -> Vec<&'a Path> {
    let touched = now.iter().filter(|(path, about)| before.get(*path) != Some(about));
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    touched.map(|(path, _)| path).chain(gone).map(PathBuf::as_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where somebody writes all of a file so long after it was made empty.
    fn found_when_written_after(pause: Duration, known: &Files) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stack.rhai");
        std::fs::write(&path, "").unwrap();
        let writes = std::thread::spawn(move || {
            std::thread::sleep(pause);
            std::fs::write(&path, "all of it").unwrap();
        });
        let (_told, woken) = mpsc::channel();
        let found = written(folder.path(), known, &Idle::default(), &woken);
        writes.join().unwrap();
        found.unwrap()
    }

    #[test]
    fn a_file_that_is_being_written_is_waited_for() {
        let lengths = |found: Files| found.values().map(|(_, many)| *many).collect::<Vec<_>>();
        assert_eq!(lengths(found_when_written_after(QUIET / 2, &Files::new())), [9]);
        let known = Files::from([("stack.rhai".into(), (None, 7))]);
        assert_eq!(lengths(found_when_written_after(QUIET * 3, &known)), [9]);
        assert_eq!(lengths(found_when_written_after(QUIET * 3, &Files::new())), [0]);
    }

    #[test]
    fn whoever_waits_for_a_file_ends_when_it_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stack.rhai"), "").unwrap();
        let known = Files::from([("stack.rhai".into(), (None, 7))]);
        let (told, woken) = mpsc::channel();
        told.send(Wake::End).unwrap();
        assert!(written(folder.path(), &known, &Idle::default(), &woken).is_none());
    }
}
