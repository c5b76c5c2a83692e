//! The MapperDirectoryActor: a folder into which an operator drops mapper modules.
//!
//! Promises: a file is acted on when it has stood still, so neither a half-written file nor a rename half-way counts; a
//! file that does not load is taken for half-written a while longer before it is refused; one that could not be tried,
//! since the machine was busy, is tried again later, and one that is always too slow is refused in the end. A digest that was ever
//! offered, from anywhere, is never acted on again: a restart does not undo a choice, and of several replicas one
//! acts. Of several new files the newest is activated last. Files are only read.
//!
//! Events of the file system only wake it: links that are swapped, other machines' changes and a folder that is made
//! anew are seen by looking, every two seconds.
//! Left out on purpose: taking a module back when its file is deleted (`rollback` and `reset` do that).

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

/// How often it looks when nothing wakes it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that stood still for so long is tried.
const STILL: Duration = Duration::from_millis(200);
/// A file that stood still for so long is whole.
const WHOLE: Duration = Duration::from_secs(2);

/// A file that could not be tried is tried again after this.
const LATER: Duration = Duration::from_secs(60);
/// One that is too slow so often is refused.
const MOST_TRIES: u32 = 5;

/// The job of the MapperDirectoryActor.
#[derive(Debug)]
pub struct MapperDirectoryJob {
    app: Arc<App>,
    directory: PathBuf,
    watch: Option<Watch>,
    files: HashMap<PathBuf, Seen>,
    /// What was told last of the folder itself.
    told: Option<String>,
}

/// Events of the folder, as long as it is this one.
#[derive(Debug)]
struct Watch {
    folder: FileId,
    /// None when the system gives no events.
    _watcher: Option<RecommendedWatcher>,
}

/// What tells one file from another, also after a rename over it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileId {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    id: FileId,
    size: u64,
    modified: SystemTime,
}

/// A file, since it looks as it does.
#[derive(Clone, Debug)]
struct Seen {
    stamp: Stamp,
    since: Instant,
    /// Nothing more to do with it.
    is_done: bool,
    /// It did not load, and may not be whole: tried again when it is [`WHOLE`].
    is_torn: bool,
    /// How often it was too slow.
    tries: u32,
    /// It could not be tried: not before this instant again.
    rests_until: Option<Instant>,
    /// What was told of it.
    told: Option<String>,
}

impl MapperDirectoryJob {
    /// A watch over this folder; it need not exist yet.
    #[must_use]
    pub fn new(app: Arc<App>, directory: PathBuf) -> Self {
        Self { app, directory, watch: None, files: HashMap::new(), told: None }
    }

    /// The files that are there now.
    async fn look(&mut self) -> io::Result<Vec<(PathBuf, Stamp)>> {
        let directory = self.directory.clone();
        let (folder, files) = blocking(move || {
            fs::create_dir_all(&directory)?;
            Ok((FileId::of(&fs::metadata(&directory)?), modules(&directory)?))
        })
        .await?;
        // Events of a folder that was made anew are those of the old one: none.
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
                    warn!(%folder, problem, "the mapper folder cannot be read; make it readable, or set mapper_dir");
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
        // Files that do not stand still long enough yet are looked at as soon as they may.
        let waits = self.files.values().filter(|seen| !seen.is_done && seen.told.is_none());
        Ok(waits.map(Seen::wait).min().map_or(Rest::Interval, Rest::For))
    }

    /// Compares with what was there before.
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

    /// Does what is to be done with a file that stood still.
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
                    Ok(Found::Known) => seen.is_done = true,
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
                    // Perhaps not the file's fault, so it is tried again, but not for ever.
                    Ok(Found::Slow(why)) => {
                        seen.tries += 1;
                        seen.rests_until = Some(Instant::now() + LATER);
                        // The sentence differs from time to time by how far the module came.
                        seen.tell_once("slow", || warn!(%file, why, most = MOST_TRIES, "mapper module in the folder not tried; it is retried later"));
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
            // Changed while it was read: the next look sees it.
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
    /// How long it has to stand still from now on before something is done with it.
    fn wait(&self) -> Duration {
        let needs = if self.is_torn { WHOLE } else { STILL };
        let rests = self.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        needs.saturating_sub(self.since.elapsed()).max(rests)
    }

    /// What a refusal of it would mean now.
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

    /// Tells it unless it was told before.
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
    /// Of what a path leads to, through links.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        let about = fs::metadata(path)?;
        let stamp = || Ok(Self { id: FileId::of(&about), size: about.len(), modified: about.modified()? });
        if about.is_file() { stamp().map(Some) } else { Ok(None) }
    }
}

/// The modules in a folder.
fn modules(directory: &Path) -> io::Result<Vec<(PathBuf, Stamp)>> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // Gone since it was listed, or a link to nowhere: not there.
        if let Ok(Some(stamp)) = Stamp::of(&path) {
            modules.push((path, stamp));
        }
    }
    Ok(modules)
}

/// A file's bytes, at most one more than a module may have; none when it is not what it was.
fn read(path: &Path, expected: &Stamp) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MODULE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((Stamp::of(path)?.as_ref() == Some(expected)).then_some(bytes))
}

fn watch(directory: &Path, nudger: Nudger) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Our own looks are events as well.
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
