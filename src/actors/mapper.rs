//! The MapperActor: runs the active mapper.
//!
//! Promises: mapping runs on blocking threads, never on the runtime's; at most one per core at a time, the permit
//! moved into the thread; a mapper that panics on an item costs that item, nobody else.
//! Left out on purpose: reading the source and deciding what to do with the answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mapper_core::{Item, MapSettings};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::Semaphore;

use super::slots::{CallError, Slot};
use super::tree::Child;
use crate::clock::Millis;
use crate::domain::word::Word;
use crate::store::source::SourceBatch;

/// Digest of the built-in mapper: it is part of the binary, so its version names it.
pub const BUILTIN_DIGEST: &str = concat!("builtin-", env!("CARGO_PKG_VERSION"));

/// A batch takes milliseconds natively; a slow module is bounded on its own.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// What to map.
#[derive(Clone, Debug)]
pub struct MapRequest {
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
    pub outcome: Result<Word, String>,
}

/// The answers, all of one mapper.
#[derive(Clone, Debug)]
pub struct MapAnswer {
    /// The mapper that made them.
    pub digest: Arc<str>,
    /// One a readable variant, in order.
    pub items: Vec<MapItem>,
}

/// Asks the actor; clones ask the same one. Exists before the tree.
#[derive(Clone, Debug)]
pub struct Mapper {
    slot: Slot<MapperMsg>,
}

impl Default for Mapper {
    fn default() -> Self {
        Self::new()
    }
}

impl Mapper {
    /// A handle to the child called `mapper`, once it exists.
    #[must_use]
    pub fn new() -> Self {
        Self { slot: Slot::new("mapper") }
    }

    /// The actor behind this handle.
    pub fn child(&self) -> Child {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let permits = Arc::new(Semaphore::new(threads));
        Child::new(&self.slot, move || (MapperActor { permits: Arc::clone(&permits) }, ()))
    }

    /// Maps a batch.
    ///
    /// # Errors
    /// When the actor is down or a thread was lost.
    pub async fn map(&self, request: MapRequest) -> Result<MapAnswer, CallError> {
        self.slot.call(|reply| MapperMsg::Map(Box::new(request), reply), ANSWER_WITHIN).await
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
            let answer = map_builtin(&request);
            drop(permit);
            // The asker may have given up; mapping has no effect of its own.
            let _ = reply.send(answer);
        });
        Ok(())
    }
}

fn map_builtin(request: &MapRequest) -> MapAnswer {
    let MapRequest { settings, now, batch } = request;
    let items = batch
        .items
        .iter()
        .map(|Item { product_index, variant }| {
            let product = &batch.products[*product_index as usize];
            let outcome = catch_unwind(AssertUnwindSafe(|| mapper_core::map(settings, *now, product, variant).into()))
                .map_err(|_| format!("the mapper {BUILTIN_DIGEST} panicked on this variant; please report it"));
            MapItem { variant_id: variant.id.clone(), product_id: product.id.clone(), outcome }
        })
        .collect();
    MapAnswer { digest: BUILTIN_DIGEST.into(), items }
}
