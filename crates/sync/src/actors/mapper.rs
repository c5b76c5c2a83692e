//! The MapperActor: runs mappers.
//!
//! Promises: mapping runs on blocking threads, never on the runtime's threads. At most one batch per core runs at a
//! time; the permit is moved into the thread. The mapper that the request names maps the whole batch, so a swap
//! meanwhile neither mixes mappers nor stops a batch: batches under way finish with their own mapper.
//! Left out on purpose: reading the source, using the answer, and which mapper is active ([`crate::mapping::active`]).

use std::sync::Arc;
use std::time::Duration;

use mapper_core::MapSettings;
use mapper_core::word::{MapperFault, Word};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::Semaphore;

use crate::clock::Millis;
use crate::mapping::loader::MapperGone;
use crate::mapping::{Batch, LoadedMapper};
use crate::runtime::slots::{CallError, Slot};
use crate::runtime::tree::Child;
use crate::store::source::SourceBatch;

/// A native batch takes milliseconds. The time limit of a module is below this (`Limits`).
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// A request to map a batch.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// The mapper to run.
    pub mapper: Arc<LoadedMapper>,
    /// Settings of the mapper.
    pub settings: Arc<MapSettings>,
    /// The instant to map for.
    pub now: Millis,
    /// Products and variants.
    pub batch: SourceBatch,
}

/// The answer for one variant.
#[derive(Clone, Debug)]
pub struct MapItem {
    /// The variant.
    pub variant_id: String,
    /// Its product.
    pub product_id: String,
    /// The mapper's word, or the fault.
    pub outcome: Result<Word, MapperFault>,
}

/// The answers of a mapper, one per readable variant, in order.
pub type MapAnswer = Vec<MapItem>;

/// A handle to the actor. Clones share it. It exists before the tree and stays valid over restarts of the actor.
#[derive(Clone, Debug)]
pub struct Mapper {
    slot: Slot<MapperMsg>,
    /// One permit per core limits how many batches are mapped at the same time.
    permits: Arc<Semaphore>,
}

impl Default for Mapper {
    fn default() -> Self {
        Self::new()
    }
}

impl Mapper {
    /// Returns a handle to the child `mapper`, which may start later.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { slot: Slot::new("mapper"), permits: Arc::new(Semaphore::new(cores)) }
    }

    /// Returns the actor behind this handle.
    pub fn child(&self) -> Child {
        let permits = Arc::clone(&self.permits);
        Child::new(&self.slot, move || (MapperActor { permits: Arc::clone(&permits) }, ()))
    }

    /// Maps a batch.
    ///
    /// # Errors
    /// When the actor is down or does not answer, or its thread is lost.
    pub async fn map(&self, request: MapRequest) -> Result<MapAnswer, CallError> {
        self.slot.call(|reply| MapperMsg::Map(Box::new(request), reply), ANSWER_WITHIN).await
    }

    /// Runs work that calls mappers. It shares the permits of the actor's batches, but does not use the actor: for
    /// commands, and for work that must not delay the drain.
    ///
    /// # Errors
    /// When the thread is lost.
    pub async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, MapperGone> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| MapperGone::Thread)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| MapperGone::Thread)
    }
}

/// The actor's messages, sent through [`Mapper`].
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
            // The caller may have stopped waiting. Mapping has no side effects.
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
