//! Previews: what would change on the real catalog if a module were activated.
//!
//! Promises: nothing is changed but that the module's file is kept with the preview, so that a done preview can be activated
//! without it; the whole catalog is walked in chunks with bounded memory, one chunk at a time, in
//! turn with the drain's chunks; the progress and, at the end, the report are in the database, so any replica can
//! return them, and any replica can cancel them. A preview whose process died is reported as lost.
//! Left out on purpose: the comparison itself ([`crate::mapping::preview`]).

mod view;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use super::AdminError;
use super::audit::{Act, Action, recorded};
use super::time::iso;
use crate::app::App;
use crate::ids;
use crate::mapping::active::NotFollowed;
pub use crate::mapping::preview::{
    Compared, FieldDifference, FieldSample, Group, GroupSample, PreviewReport, WarningDifference,
};
use crate::mapping::preview::{Pair, Tally};
use crate::mapping::{LoadedMapper, digest};
use crate::report::chain;
use crate::store::mapper::StoredModule;
use crate::store::source::SourceBatch;
use crate::store::{self, StoreError};
use view::view;
pub use view::{PreviewState, PreviewView};
use wasm_host::Batch;

/// Variants mapped at once, as in the drain.
const CHUNK: usize = 1_000;
/// How often progress is recorded.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Admits one preview at a time in this process; clones share the permission.
#[derive(Clone, Debug, Default)]
pub struct Previewing(Arc<Mutex<Option<String>>>);

/// The permission to run a preview, returned when dropped.
struct Turn(Previewing);

impl Previewing {
    fn begin(&self, id: &str) -> Result<Turn, AdminError> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            return Err(AdminError::PreviewRunning(running.clone()));
        }
        *running = Some(id.to_owned());
        Ok(Turn(self.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Starts a preview and returns its id and state.
///
/// # Errors
/// [`AdminError::Module`] and [`AdminError::NotTried`] as in [`load`]; [`AdminError::PreviewRunning`] when another
/// preview is running.
pub async fn start(app: &Arc<App>, previewing: &Previewing, bytes: Vec<u8>) -> Result<PreviewView, AdminError> {
    let id = ids::row();
    let act = Act::new(Action::PreviewStarted).on(&id);
    recorded(app, act, begin(app, previewing, id, bytes), |view, details| {
        details.add("module", format!("{} {}", view.module.name, view.module.version));
        details.add("digest", view.module.digest.as_str());
    })
    .await
}

async fn begin(app: &Arc<App>, previewing: &Previewing, id: String, bytes: Vec<u8>) -> Result<PreviewView, AdminError> {
    let turn = previewing.begin(&id)?;
    let file = bytes.clone();
    let candidate = load(app, bytes).await?;
    let now = app.now();
    let module = Compared::of(&candidate);
    let Compared { digest, name, version } = &module;
    let mut tx = app.db.write().await?;
    store::mapper::keep(&mut tx, &StoredModule { digest, name, version, bytes: &file }, now).await?;
    let total = store::preview::begin(&mut tx, &id, digest, name, version, now).await?;
    store::mapper::files::forget(&mut tx).await?;
    tx.commit().await?;
    drop(file);
    let view = PreviewView {
        id: id.clone(),
        state: PreviewState::Running,
        module,
        total,
        done: 0,
        file_stored: true,
        started_at: iso(now),
        finished_at: None,
        error: None,
        report: None,
    };
    tokio::spawn(run(Arc::clone(app), turn, id, candidate));
    Ok(view)
}

/// Loads a module that could become active.
///
/// # Errors
/// [`AdminError::Module`] when it could not become active; [`AdminError::NotTried`] when this machine cannot try it.
pub async fn load(app: &App, bytes: Vec<u8>) -> Result<Arc<LoadedMapper>, AdminError> {
    Ok(Arc::new(app.active.load_rehearsed(bytes).await??))
}

/// Returns a preview: its progress, or its report.
///
/// # Errors
/// [`AdminError::NotFound`] when there is no preview with this id, or it is no longer stored.
pub async fn find(app: &App, id: &str) -> Result<PreviewView, AdminError> {
    let mut tx = app.db.read().await?;
    let row = store::preview::load(&mut tx, id).await?.ok_or_else(|| unknown(id))?;
    let report = if row.is_reported { store::preview::report(&mut tx, id).await? } else { None };
    drop(tx);
    let report = report.as_deref().map(serde_json::from_str).transpose().map_err(|error| StoreError::Corrupt {
        table: "mapper_preview",
        column: "report",
        found: error.to_string(),
    })?;
    Ok(view(row, report, app.now()))
}

fn unknown(id: &str) -> AdminError {
    AdminError::NotFound(format!("no preview {id:?}; only the last 20 are kept"))
}

/// Returns the stored previews without their reports, the latest first.
///
/// # Errors
/// When the database query fails.
pub async fn list(app: &App) -> Result<Vec<PreviewView>, AdminError> {
    let mut tx = app.db.read().await?;
    let rows = store::preview::list(&mut tx).await?;
    let now = app.now();
    Ok(rows.into_iter().map(|row| view(row, None, now)).collect())
}

/// Returns the file of a module whose preview is done, in whichever process it was.
///
/// # Errors
/// [`AdminError::NotFound`] when the preview or its file is no longer stored; [`AdminError::Invalid`] when the preview has
/// no report; [`AdminError::Module`] when the stored file is damaged.
pub(super) async fn file(app: &App, id: &str) -> Result<Vec<u8>, AdminError> {
    let mut tx = app.db.read().await?;
    let row = store::preview::load(&mut tx, id).await?.ok_or_else(|| unknown(id))?;
    if !row.is_reported {
        let message = "this preview has no report, so nothing is known of the module; wait until it is done, or start another one";
        return Err(AdminError::invalid(message));
    }
    let bytes = store::mapper::bytes(&mut tx, &row.digest).await?.ok_or_else(|| {
        let kept = store::mapper::files::PREVIEWED;
        AdminError::NotFound(format!(
            "the file of this preview is no longer stored, because only those of the last {kept} previews are; preview the \
             module again from its file"
        ))
    })?;
    if digest(&bytes) != row.digest {
        let message = "the stored file of this preview is damaged; preview the module again from its file";
        return Err(AdminError::Module(message.into()));
    }
    Ok(bytes)
}

/// Cancels a preview, in whichever process it runs, and returns it. Its walk ends after the current chunk. A preview that
/// has ended is unchanged.
///
/// # Errors
/// [`AdminError::NotFound`] when there is no preview with this id, or it is no longer stored.
pub async fn cancel(app: &App, id: &str) -> Result<PreviewView, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        store::preview::cancel(&mut tx, id, app.now()).await?;
        tx.commit().await?;
        find(app, id).await
    };
    recorded(app, Act::new(Action::PreviewCancelled).on(id), work, |_, _| ()).await
}

/// Runs the walk, and records its progress and its result.
async fn run(app: Arc<App>, turn: Turn, id: String, candidate: Arc<LoadedMapper>) {
    let mut notes = Notes { app: Arc::clone(&app), id: id.clone(), done: 0, noted: Instant::now() };
    let walked = compare(&app, &candidate, &mut notes).await;
    let ended = match walked {
        Ok(Some(report)) => serde_json::to_string(&report).map_err(|error| error.to_string()),
        Ok(None) => {
            info!(preview = id, module = candidate.name(), variants = notes.done, "preview cancelled");
            return;
        }
        Err(fault) => {
            error!(preview = id, cause = chain(&fault), "preview failed");
            Err(format!("{fault}; start it again"))
        }
    };
    let finish = async {
        let mut tx = app.db.write().await?;
        let end = ended.as_deref().map_err(String::as_str);
        store::preview::finish(&mut tx, &id, notes.done, end, app.now()).await?;
        tx.commit().await
    };
    if let Err(error) = finish.await {
        error!(preview = id, cause = chain(&error), "end of the preview not recorded");
    }
    info!(preview = id, module = candidate.name(), variants = notes.done, "preview ended");
    drop(turn);
}

/// Receives the progress of a walk.
pub trait Progress: Send {
    /// Called when this many variants are compared. [`ControlFlow::Break`] ends the walk without a report.
    ///
    /// # Errors
    /// Ends the walk.
    fn at(&mut self, done: u64) -> impl Future<Output = Result<ControlFlow<()>, StoreError>> + Send;
}

struct Notes {
    app: Arc<App>,
    id: String,
    done: i64,
    noted: Instant,
}

impl Progress for Notes {
    async fn at(&mut self, done: u64) -> Result<ControlFlow<()>, StoreError> {
        self.done = i64::try_from(done).unwrap_or(i64::MAX);
        if self.noted.elapsed() < NOTE_EVERY {
            return Ok(ControlFlow::Continue(()));
        }
        self.noted = Instant::now();
        let mut tx = self.app.db.write().await?;
        let is_wanted = store::preview::progress(&mut tx, &self.id, self.done, self.app.now()).await?;
        tx.commit().await?;
        Ok(if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }
}

/// Compares a mapper with the active one on the whole catalog. `None` means that `progress` ended the walk.
///
/// # Errors
/// When the database query fails or a thread is lost.
pub async fn compare(
    app: &App,
    candidate: &Arc<LoadedMapper>,
    progress: &mut impl Progress,
) -> Result<Option<PreviewReport>, AdminError> {
    let active = match app.active.follow().await {
        Ok(active) => active,
        Err(NotFollowed::Store(error)) => return Err(error.into()),
        // An operator who looks for a replacement compares with what the built-in mapper would send.
        Err(NotFollowed::Unusable(_)) => Arc::new(LoadedMapper::builtin()),
    };
    let settings = app.load_settings().await?;
    // One instant and one set of settings for the whole walk; otherwise a sale that ends during the walk would look
    // like a change by the module.
    let now = app.now();
    let map_settings = Arc::new(settings.mapper.with(&app.config.s3_public_url));
    let catalog: Arc<str> = settings.catalog_id.as_str().into();
    let mut tally = Tally::default();
    let (mut after, mut done) = (String::new(), 0);
    loop {
        let mut tx = app.db.read().await?;
        let ids = store::variants::page(&mut tx, &after, CHUNK).await?;
        let Some(last) = ids.last() else { break };
        after.clone_from(last);
        let wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
        // As in the drain: the state is read first, so that a variant that changes in between is not counted twice.
        let states = store::sync_state::load(&mut tx, &wanted).await?;
        let mut batch = store::source::load(&mut tx, &wanted).await?;
        drop(tx);
        // The samples are the first variants by id.
        batch.items.sort_by(|a, b| a.variant.id.cmp(&b.variant.id));
        let (active, candidate) = (Arc::clone(&active), Arc::clone(candidate));
        let (map_settings, catalog) = (Arc::clone(&map_settings), Arc::clone(&catalog));
        let chunk = move || {
            let SourceBatch { products, items, unreadable } = batch;
            let batch = Arc::new(Batch { settings: map_settings, now, products, items });
            let (before, after) = (active.map(&batch), candidate.map(&batch));
            for (variant_id, reason) in &unreadable {
                tally.unreadable(variant_id, reason);
            }
            for ((item, before), after) in batch.items.iter().zip(&before).zip(&after) {
                let variant_id = &item.variant.id;
                tally.add(&Pair { variant_id, before, after, state: states.get(variant_id) }, &catalog);
            }
            tally
        };
        tally = app.mapper.apart(chunk).await?;
        done += ids.len() as u64;
        if progress.at(done).await?.is_break() {
            return Ok(None);
        }
    }
    Ok(Some(tally.into_report(Compared::of(&active))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_turn_comes_back() {
        let previewing = Previewing::default();
        let Ok(turn) = previewing.begin("one") else { panic!("no other preview runs") };
        let Err(refused) = previewing.clone().begin("two") else { panic!("one is being made") };
        let refused = refused.to_string();
        assert!(refused.contains("(one)"), "{refused}");
        drop(turn);
        assert!(previewing.begin("two").is_ok());
    }
}
