//! The MapperDirectoryActor: a folder into which an operator copies mapper modules.
//!
//! Promises: a file is processed only after it has been unchanged for a while, so a half-written file or an unfinished
//! rename has no effect. A file that does not load is treated as half-written for longer before it is refused. A file
//! that could not be tried because the machine was busy is retried later, and a file that is always too slow is refused
//! in the end. A digest that was ever offered, from any source, is never processed again: a restart does not undo a
//! choice, and exactly one of several replicas processes a file. Of several new files, the newest is activated last.
//! Files are only read.
//!
//! File system events only wake the actor: a scan every two seconds detects replaced links, changes by other machines
//! and a recreated folder.
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

/// How often the folder is scanned when no event wakes the actor.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that was unchanged for this long is tried.
const STILL: Duration = Duration::from_millis(200);
/// A file that was unchanged for this long counts as complete.
const WHOLE: Duration = Duration::from_secs(2);

/// The delay before a file that could not be tried is retried.
const LATER: Duration = Duration::from_secs(60);

/// The job of the MapperDirectoryActor.
#[derive(Debug)]
pub struct MapperDirectoryJob {
    app: Arc<App>,
    directory: PathBuf,
    watch: Option<Watch>,
    files: HashMap<PathBuf, Seen>,
    /// The last logged problem of the folder itself.
    told: Option<String>,
}

/// The event watcher of one folder; it is replaced when the folder is recreated.
#[derive(Debug)]
struct Watch {
    folder: FileId,
    /// `None` when the system supplies no events.
    _watcher: Option<RecommendedWatcher>,
}

/// The identity of a file. It changes when another file is renamed over it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileId {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

/// The properties of a file that change with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    id: FileId,
    size: u64,
    modified: SystemTime,
}

/// The state of a file since its stamp last changed.
#[derive(Clone, Debug)]
struct Seen {
    stamp: Stamp,
    since: Instant,
    /// The file needs no further processing.
    is_done: bool,
    /// The file did not load and may be incomplete: it is tried again after [`WHOLE`].
    is_torn: bool,
    /// The file could not be tried: the earliest instant for a retry.
    rests_until: Option<Instant>,
    /// The last logged message about the file.
    told: Option<String>,
}

impl MapperDirectoryJob {
    /// Returns a job that watches this folder. The folder need not exist yet.
    #[must_use]
    pub fn new(app: Arc<App>, directory: PathBuf) -> Self {
        Self { app, directory, watch: None, files: HashMap::new(), told: None }
    }

    /// Returns the modules that are in the folder now.
    async fn look(&mut self) -> io::Result<Vec<(PathBuf, Stamp)>> {
        let directory = self.directory.clone();
        let (folder, files) = blocking(move || {
            fs::create_dir_all(&directory)?;
            Ok((FileId::of(&fs::metadata(&directory)?), modules(&directory)?))
        })
        .await?;
        // A watcher of a recreated folder still watches the old folder and reports nothing.
        if self.watch.as_ref().is_none_or(|watch| watch.folder != folder) {
            let watcher = watch(&self.directory, self.app.wake.mapper_directory.clone());
            if let Err(error) = &watcher {
                info!(folder = %self.directory.display(), %error, "mapper folder cannot be watched; it is scanned every 2 s");
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
        // One a tick: a stop waits for the end of a tick.
        let mut ready = ready.into_iter();
        if let Some((path, seen)) = ready.next() {
            self.act(&path, seen).await?;
        }
        if ready.next().is_some() {
            return Ok(Rest::Again);
        }
        // Files that changed too recently are checked as soon as they have been unchanged for long enough.
        let waits = self.files.values().filter(|seen| !seen.is_done && seen.told.is_none());
        Ok(waits.map(Seen::wait).min().map_or(Rest::Interval, Rest::For))
    }

    /// Compares the found files with the known ones and keeps the state of unchanged files.
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
                    rests_until: None,
                    told: None,
                };
                let seen = seen.unwrap_or_else(new);
                (path, seen)
            })
            .collect();
    }

    /// Processes a file that was unchanged for long enough.
    async fn act(&mut self, path: &Path, mut seen: Seen) -> Result<(), StoreError> {
        let file = path.display();
        let expected = seen.stamp.clone();
        let from = path.to_owned();
        match blocking(move || read(&from, &expected)).await {
            Ok(Some(bytes)) if bytes.len() > MODULE_BYTES => {
                seen.is_done = true;
                warn!(%file, most = MODULE_BYTES, "mapper module ignored: file too large");
            }
            Ok(Some(bytes)) => {
                match found(&self.app.active, bytes, seen.standing()).await {
                    Ok(Found::Known(None)) => seen.is_done = true,
                    Ok(Found::Known(Some(why))) => {
                        info!(%file, why, "mapper module in the folder was refused before; it is not tried again");
                        seen.is_done = true;
                    }
                    Ok(Found::Activated(activated)) => {
                        let digest = activated.state.active.map(|active| active.mapper);
                        info!(%file, digest, "mapper module from the folder activated");
                        self.app.work_arrived();
                        seen.is_done = true;
                    }
                    Ok(Found::Refused(why)) => {
                        warn!(%file, why, "mapper module in the folder refused; the active mapper is unchanged");
                        seen.is_done = true;
                    }
                    Ok(Found::Torn(_)) => seen.is_torn = true,
                    Err(ActivationError::Store(error)) => return Err(error),
                    // The file may not be at fault, so it is retried a limited number of times.
                    Ok(Found::Slow(why)) => {
                        seen.rests_until = Some(Instant::now() + LATER);
                        // The message differs between tries by the number of samples that the module answered.
                        seen.tell_once(
                            "slow",
                            || warn!(%file, why, "mapper module in the folder too slow; it is retried later"),
                        );
                    }
                    Ok(Found::NotTried(why)) => {
                        seen.rests_until = Some(Instant::now() + LATER);
                        seen.tell_once(
                            "not tried",
                            || warn!(%file, why, "mapper module in the folder not tried; it is retried later"),
                        );
                    }
                    Err(fault) => {
                        seen.rests_until = Some(Instant::now() + LATER);
                        seen.tell_once(
                            &fault.to_string(),
                            || warn!(%file, %fault, "mapper module cannot be tried in this process; it is retried later"),
                        );
                    }
                }
            }
            // The file changed during the read: the next scan picks it up.
            Ok(None) => return Ok(()),
            Err(error) => seen.tell_once(
                &error.to_string(),
                || warn!(%file, %error, "file in the mapper folder cannot be read; it is ignored"),
            ),
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
        if self.since.elapsed() >= WHOLE { Standing::Whole } else { Standing::Young }
    }

    fn is_ready(&self) -> bool {
        !self.is_done && self.wait().is_zero()
    }

    /// Logs the message unless it was the last logged one.
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
    /// Returns the stamp of the file that a path leads to through links; `None` when it is not a regular file.
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
        // A file that was deleted since the listing, or a dangling link, counts as absent.
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
        // The scans of this actor cause events as well.
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
    fn a_message_is_told_once() {
        let mut about = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut about, b"x").expect("written");
        let stamp = Stamp::of(about.path()).expect("read").expect("a file");
        let since = Instant::now();
        let mut seen = Seen { stamp, since, is_done: false, is_torn: false, rests_until: None, told: None };
        let mut told = 0;
        for _ in 0..3 {
            seen.tell_once("slow", || told += 1);
        }
        assert_eq!(told, 1);
    }
}
