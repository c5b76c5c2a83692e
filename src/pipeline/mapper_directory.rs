//! The MapperDirectoryActor: a folder into which an operator puts mapper modules.
//!
//! Promises: a file is processed only when it has not changed for a while, so a half-written file or a rename in
//! progress does not count; a file that does not load is treated as half-written a little longer before it is refused;
//! a module that could not be tried because the machine was busy is tried again later, and a module that is always too
//! slow is refused in the end. A digest that was ever offered, from any source, is never processed again: a restart
//! does not undo a choice, and of several replicas one processes the file. Of several new files the newest is activated
//! last. Files are only read.
//!
//! File system events only wake the actor: swapped links, changes by other machines and a recreated folder are detected
//! by a check every two seconds.
//! Left out on purpose: deactivating a module when its file is deleted (`rollback` and `reset` do that).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::app::App;
use crate::mapping::MODULE_BYTES;
use crate::mapping::activation::{ActivationError, Found, Standing, found};
use crate::runtime::periodic::{Job, JobError, Nudger, Rest};
use crate::store::StoreError;

/// How often the folder is checked without an event.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that has not changed for this long is tried.
const STILL: Duration = Duration::from_millis(200);
/// A file that has not changed for this long is complete.
const WHOLE: Duration = Duration::from_secs(2);

/// How long to wait before a module that could not be tried is tried again.
const LATER: Duration = Duration::from_secs(60);
/// A module that is too slow this often is refused.
const MOST_TRIES: u32 = 5;

/// The job of the MapperDirectoryActor.
#[derive(Debug)]
pub struct MapperDirectoryJob {
    app: Arc<App>,
    directory: PathBuf,
    watch: Option<Watch>,
    files: HashMap<PathBuf, Seen>,
    /// The last problem of the folder itself that was logged.
    told: Option<String>,
}

/// The watcher of the folder, valid for this folder only.
#[derive(Debug)]
struct Watch {
    folder: FileId,
    /// `None` when the system gives no events.
    _watcher: Option<RecommendedWatcher>,
}

/// Identifies a file, also after another file was renamed over it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileId {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

/// Changes when the file changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    id: FileId,
    size: u64,
    modified: SystemTime,
}

/// A file, since its last change.
#[derive(Clone, Debug)]
struct Seen {
    stamp: Stamp,
    since: Instant,
    /// Nothing more to do with the file.
    is_done: bool,
    /// The module did not load, and its file may be incomplete: it is tried again when it is [`WHOLE`].
    is_torn: bool,
    /// How often the module was too slow.
    tries: u32,
    /// The module could not be tried: it is not tried again before this instant.
    rests_until: Option<Instant>,
    /// The last message that was logged about the file.
    told: Option<String>,
}

impl MapperDirectoryJob {
    /// Creates a watch over this folder, which need not exist yet.
    #[must_use]
    pub fn new(app: Arc<App>, directory: PathBuf) -> Self {
        Self { app, directory, watch: None, files: HashMap::new(), told: None }
    }

    /// Returns the files in the folder now.
    async fn look(&mut self) -> io::Result<Vec<(PathBuf, Stamp)>> {
        let directory = self.directory.clone();
        let (folder, files) = blocking(move || {
            fs::create_dir_all(&directory)?;
            Ok((FileId::of(&fs::metadata(&directory)?), modules(&directory)?))
        })
        .await?;
        // The watcher of a deleted folder gets no events of a folder that replaces it.
        if self.watch.as_ref().is_none_or(|watch| watch.folder != folder) {
            let watcher = watch(&self.directory, self.app.wake.mapper_directory.clone());
            if let Err(error) = &watcher {
                info!(folder = %self.directory.display(), %error, "no file system events for the mapper folder; checked every 2 s");
            }
            self.watch = Some(Watch { folder, _watcher: watcher.ok() });
        }
        Ok(files)
    }

    async fn run(&mut self) -> Result<Rest, StoreError> {
        let found = match self.look().await {
            Ok(found) => found,
            Err(error) => {
                let problem = error.to_string();
                if self.told.as_ref() != Some(&problem) {
                    let folder = self.directory.display();
                    warn!(%folder, problem, "mapper folder cannot be read; make it readable, or set mapper_dir");
                    self.told = Some(problem);
                }
                return Ok(Rest::Interval);
            }
        };
        self.told = None;
        self.notice(found);
        let mut ready: Vec<(PathBuf, Seen)> = self
            .files
            .iter()
            .filter(|(_, seen)| seen.is_ready())
            .map(|(path, seen)| (path.clone(), seen.clone()))
            .collect();
        ready.sort_by(|(a_path, a), (b_path, b)| (a.stamp.modified, a_path).cmp(&(b.stamp.modified, b_path)));
        for (path, seen) in ready {
            self.act(&path, seen).await?;
        }
        // Files that changed too recently are checked again as soon as they may be tried.
        let waits = self.files.values().filter(|seen| !seen.is_done && seen.told.is_none());
        Ok(waits.map(Seen::wait).min().map_or(Rest::Interval, Rest::For))
    }

    /// Compares the files with those of the last check.
    fn notice(&mut self, found: Vec<(PathBuf, Stamp)>) {
        let mut before = std::mem::take(&mut self.files);
        self.files = found
            .into_iter()
            .map(|(path, stamp)| {
                let seen = before.remove(&path).filter(|seen| seen.stamp == stamp);
                let new = || Seen {
                    stamp,
                    since: Instant::now(),
                    is_done: false,
                    is_torn: false,
                    tries: 0,
                    rests_until: None,
                    told: None,
                };
                let seen = seen.unwrap_or_else(new);
                (path, seen)
            })
            .collect();
    }

    /// Processes a file that has not changed for long enough.
    async fn act(&mut self, path: &Path, mut seen: Seen) -> Result<(), StoreError> {
        let file = path.display();
        let expected = seen.stamp.clone();
        let from = path.to_owned();
        match blocking(move || read(&from, &expected)).await {
            Ok(Some(bytes)) if bytes.len() > MODULE_BYTES => {
                seen.is_done = true;
                warn!(%file, most = MODULE_BYTES, "file too large for a mapper module; ignored");
            }
            Ok(Some(bytes)) => {
                match found(&self.app.active, bytes, seen.standing()).await {
                    Ok(Found::Known) => seen.is_done = true,
                    Ok(Found::Activated(activated)) => {
                        let digest = activated.state.active.map(|active| active.mapper);
                        info!(%file, digest, "mapper module from the folder activated");
                        self.app.work_arrived();
                        seen.is_done = true;
                    }
                    Ok(Found::Refused(why)) => {
                        warn!(%file, why, "mapper module from the folder refused; nothing changed");
                        seen.is_done = true;
                    }
                    Ok(Found::Torn(_)) => seen.is_torn = true,
                    Err(ActivationError::Store(error)) => return Err(error),
                    // The file may not be at fault, so it is tried again, but not forever.
                    Ok(Found::Slow(why)) => {
                        seen.tries += 1;
                        seen.rests_until = Some(Instant::now() + LATER);
                        // The message changes with the number of samples that the module answered.
                        seen.tell_once("slow", || warn!(%file, why, most = MOST_TRIES, "mapper module from the folder not tried; tried again later"));
                    }
                    Ok(Found::NotTried(why)) => {
                        seen.rests_until = Some(Instant::now() + LATER);
                        seen.tell_once(
                            "not tried",
                            || warn!(%file, why, "mapper module from the folder not tried; tried again later"),
                        );
                    }
                    Err(fault) => {
                        seen.rests_until = Some(Instant::now() + LATER);
                        seen.tell_once(
                            &fault.to_string(),
                            || warn!(%file, %fault, "mapper module cannot be tried in this process; tried again later"),
                        );
                    }
                }
            }
            // The file changed while it was read: the next check sees it.
            Ok(None) => return Ok(()),
            Err(error) => seen.tell_once(&error.to_string(), || warn!(%file, %error, "file cannot be read; ignored")),
        }
        self.files.insert(path.to_owned(), seen);
        Ok(())
    }
}

impl Seen {
    /// Returns how long the file must stay unchanged from now on before it is processed.
    fn wait(&self) -> Duration {
        let needs = if self.is_torn { WHOLE } else { STILL };
        let rests = self.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        needs.saturating_sub(self.since.elapsed()).max(rests)
    }

    /// Returns what a refusal of the file would mean now.
    fn standing(&self) -> Standing {
        if self.tries + 1 >= MOST_TRIES {
            Standing::LastTry
        } else if self.since.elapsed() >= WHOLE {
            Standing::Whole
        } else {
            Standing::Young
        }
    }

    fn is_ready(&self) -> bool {
        !self.is_done && self.wait().is_zero()
    }

    /// Logs a message unless it was the last one logged.
    fn tell_once(&mut self, what: &str, tell: impl FnOnce()) {
        if self.told.as_deref() != Some(what) {
            tell();
            self.told = Some(what.to_owned());
        }
    }
}

impl FileId {
    fn of(about: &fs::Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Self { device: about.dev(), inode: about.ino() }
        }
        #[cfg(not(unix))]
        {
            let _ = about;
            Self {}
        }
    }
}

impl Stamp {
    /// Returns the stamp of the file to which a path leads, through links; `None` when it is not a file.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        let about = fs::metadata(path)?;
        let stamp = || Ok(Self { id: FileId::of(&about), size: about.len(), modified: about.modified()? });
        if about.is_file() { stamp().map(Some) } else { Ok(None) }
    }
}

/// Returns the modules in a folder.
fn modules(directory: &Path) -> io::Result<Vec<(PathBuf, Stamp)>> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // Deleted since the listing, or a dangling link: ignored.
        if let Ok(Some(stamp)) = Stamp::of(&path) {
            modules.push((path, stamp));
        }
    }
    Ok(modules)
}

/// Returns a file's bytes, at most one more than a module may have; `None` when the file has changed.
fn read(path: &Path, expected: &Stamp) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MODULE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((Stamp::of(path)?.as_ref() == Some(expected)).then_some(bytes))
}

fn watch(directory: &Path, nudger: Nudger) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // The checks of this actor cause events as well.
        let is_look = |kind: &EventKind| matches!(kind, EventKind::Access(kind) if !matches!(kind, AccessKind::Close(AccessMode::Write)));
        if !event.is_ok_and(|event| is_look(&event.kind)) {
            nudger.nudge();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl Job for MapperDirectoryJob {
    fn interval(&self) -> Duration {
        LOOK_EVERY
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        Ok(self.run().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_always_too_slow_has_a_last_try() {
        let mut about = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut about, b"x").expect("written");
        let stamp = Stamp::of(about.path()).expect("read").expect("a file");
        let since = Instant::now();
        let mut seen = Seen { stamp, since, is_done: false, is_torn: false, tries: 0, rests_until: None, told: None };
        let mut tries = Vec::new();
        for _ in 0..MOST_TRIES {
            tries.push(seen.standing());
            seen.tries += 1;
        }
        assert_eq!(tries.pop(), Some(Standing::LastTry));
        assert!(tries.iter().all(|standing| *standing != Standing::LastTry), "{tries:?}");

        let mut told = 0;
        for _ in 0..3 {
            seen.tell_once("slow", || told += 1);
        }
        assert_eq!(told, 1);
    }
}
