//! The MapperActor: runs mappers, and holds the active one.
//!
//! Promises: mapping runs on blocking threads, never on the runtime's; at most one batch per core at a time, the permit
//! moved into the thread. A batch is mapped by the one mapper that its asker names, so a swap meanwhile mixes nothing
//! and stops nothing: batches under way end on theirs. Modules are loaded one at a time, on one thread.
//! Left out on purpose: reading the source, deciding what to do with the answer, and which mapper should be active
//! ([`crate::mapping::follow`]).

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use mapper_core::MapSettings;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::slots::{CallError, Slot};
use super::tree::Child;
use crate::clock::Millis;
use crate::domain::word::Word;
use crate::mapping::follow::Unusable;
use crate::mapping::{Batch, Refused, Running};
use crate::store::source::SourceBatch;
use crate::wasm::{Fault, Host, HostError, Limits};

/// A batch takes milliseconds natively; what a module may take is bounded below this ([`Limits`]).
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// What to map.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// The mapper to ask.
    pub mapper: Arc<Running>,
    /// Settings of the mapper.
    pub settings: Arc<MapSettings>,
    /// The instant to map for.
    pub now: Millis,
    /// Products and variants.
    pub batch: SourceBatch,
}

/// One variant's answer.
#[derive(Clone, Debug)]
pub struct MapItem {
    /// The variant.
    pub variant_id: String,
    /// Its product.
    pub product_id: String,
    /// The mapper's word, or why there is none.
    pub outcome: Result<Word, Fault>,
}

/// The answers of a mapper, one a readable variant, in order.
pub type MapAnswer = Vec<MapItem>;

/// Nothing came of a load.
#[derive(Debug, thiserror::Error)]
pub enum MapperGone {
    /// No module can run in this process at all.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The thread was lost.
    #[error("a thread that runs mappers was lost; please report it")]
    Thread,
}

/// Asks the actor, and holds the active mapper; clones share both. Exists before the tree, and outlives restarts of the
/// actor.
#[derive(Clone, Debug)]
pub struct Mapper {
    slot: Slot<MapperMsg>,
    running: Arc<ArcSwap<Running>>,
    unusable: Arc<Mutex<Option<Unusable>>>,
    /// Made with the first module: an installation without modules pays nothing for it.
    host: Arc<OnceLock<Host>>,
    loading: Arc<Semaphore>,
    /// One for each core: batches that are mapped at once.
    permits: Arc<Semaphore>,
}

impl Default for Mapper {
    fn default() -> Self {
        Self::new()
    }
}

impl Mapper {
    /// A handle to the child called `mapper`, once it exists. The built-in mapper is active.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            slot: Slot::new("mapper"),
            running: Arc::new(ArcSwap::from_pointee(Running::builtin())),
            unusable: Arc::default(),
            host: Arc::default(),
            loading: Arc::new(Semaphore::new(1)),
            permits: Arc::new(Semaphore::new(cores)),
        }
    }

    /// The actor behind this handle.
    pub fn child(&self) -> Child {
        let permits = Arc::clone(&self.permits);
        Child::new(&self.slot, move || (MapperActor { permits: Arc::clone(&permits) }, ()))
    }

    /// The mapper that runs now.
    #[must_use]
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Swaps the mapper that runs; batches under way end on theirs.
    pub fn swap(&self, mapper: Arc<Running>) {
        self.running.store(mapper);
    }

    /// The active mapper that this process cannot run, if there is one.
    #[must_use]
    pub fn unusable(&self) -> Option<Unusable> {
        self.unusable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers it, or that there is none.
    pub fn set_unusable(&self, unusable: Option<Unusable>) {
        *self.unusable.lock().unwrap_or_else(PoisonError::into_inner) = unusable;
    }

    /// Maps a batch.
    ///
    /// # Errors
    /// When the actor is down or a thread was lost.
    pub async fn map(&self, request: MapRequest) -> Result<MapAnswer, CallError> {
        self.slot.call(|reply| MapperMsg::Map(Box::new(request), reply), ANSWER_WITHIN).await
    }

    /// Runs something that asks mappers, in its turn with the actor's batches, but without the actor: for commands,
    /// and for what must not stand in the drain's way.
    ///
    /// # Errors
    /// When the thread was lost.
    pub async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, MapperGone> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| MapperGone::Thread)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| MapperGone::Thread)
    }

    /// Loads a module and asks it for every sample; works without the actor.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub async fn load_rehearsed(&self, bytes: Vec<u8>) -> Result<Result<Running, Refused>, MapperGone> {
        let rehearsed = move |host: &Host| {
            let mapper = Running::load(host, &bytes)?;
            mapper.rehearse()?;
            Ok(mapper)
        };
        self.loader().await?.run(rehearsed).await
    }

    /// A turn with the loader. Whoever waits for one must not hold what others need who have it, such as a connection
    /// to the database.
    ///
    /// # Errors
    /// When it is lost.
    pub async fn loader(&self) -> Result<Loader, MapperGone> {
        let permit = Arc::clone(&self.loading).acquire_owned().await.map_err(|_| MapperGone::Thread)?;
        Ok(Loader { host: Arc::clone(&self.host), permit })
    }
}

/// A turn with the loader: nobody else loads a module while it lasts.
#[derive(Debug)]
pub struct Loader {
    host: Arc<OnceLock<Host>>,
    permit: OwnedSemaphorePermit,
}

impl Loader {
    /// Loads a module, which takes from a tenth of a second to several.
    ///
    /// # Errors
    /// When no module can run here. The inner error says what is wrong with the file.
    pub async fn load(self, bytes: Vec<u8>) -> Result<Result<Running, Refused>, MapperGone> {
        self.run(move |host| Ok(Running::load(host, &bytes)?)).await
    }

    async fn run<T: Send + 'static>(self, work: impl FnOnce(&Host) -> T + Send + 'static) -> Result<T, MapperGone> {
        let Self { host: shared, permit } = self;
        let done = tokio::task::spawn_blocking(move || {
            let host = match shared.get() {
                Some(host) => host,
                None => {
                    let host = Host::new(Limits::default())?;
                    // One thread at a time is here.
                    shared.get_or_init(|| host)
                }
            };
            let done = work(host);
            drop(permit);
            Ok(done)
        });
        done.await.map_err(|_| MapperGone::Thread)?
    }
}

/// The actor's messages; sent through [`Mapper`].
#[derive(Debug)]
pub enum MapperMsg {
    /// See [`Mapper::map`].
    Map(Box<MapRequest>, RpcReplyPort<MapAnswer>),
}

struct MapperActor {
    permits: Arc<Semaphore>,
}

#[ractor::async_trait]
impl Actor for MapperActor {
    type Msg = MapperMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<MapperMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<MapperMsg>,
        MapperMsg::Map(request, reply): MapperMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        crate::failpoints::at(crate::failpoints::Point::MapperAsked).await;
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        tokio::task::spawn_blocking(move || {
            let answer = map(*request);
            drop(permit);
            // The asker may have given up; mapping has no effect of its own.
            let _ = reply.send(answer);
        });
        Ok(())
    }
}

fn map(request: MapRequest) -> MapAnswer {
    let MapRequest { mapper, settings, now, batch: SourceBatch { products, items, .. } } = request;
    let batch = Arc::new(Batch { settings, now, products, items });
    let product = |index: u32| batch.products.get(index as usize).map(|product| product.id.clone());
    mapper
        .map(&batch)
        .into_iter()
        .zip(&batch.items)
        .map(|(outcome, item)| MapItem {
            variant_id: item.variant.id.clone(),
            product_id: product(item.product_index).unwrap_or_default(),
            outcome,
        })
        .collect()
}
