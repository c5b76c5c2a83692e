//! The OutboxCoalescer: reads the outbox, a fair share of each lane, and folds it per variant.
//!
//! Promises: a batch contains every open intent of its variants, by exact id, and their states of the same moment.
//! While the drain works on batch N, batch N + 1 is read ahead, without the variants of N, whose rows may be marked
//! meanwhile. The first batch of a pass is an exception: it usually fills a call, and then no other is wanted. Data that is read ahead can be stale in two ways only. Intents that were committed since are missing;
//! they stay open and are read later. A state may still be `submitted` although its verdict came meanwhile; that
//! variant waits for the next tick.
//! Left out on purpose: deciding and marking. A restart loses nothing, since the outbox is in the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::JoinHandle;

use crate::domain::intent::{Folded, fold};
use crate::domain::state::SyncState;
use crate::failpoints::{Point, at};
use crate::runtime::slots::{CallError, Slot};
use crate::runtime::tree::Child;
use crate::store::outbox::{self, Cursor};
use crate::store::{Db, Result as StoreResult, StoreError};

/// Reading a window takes milliseconds. A longer time means that the database has a problem.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A window of the outbox, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoalescedBatch {
    /// One entry per variant, in the order in which they have their turn.
    pub folded: Vec<Folded>,
    /// Their stored states, as of the same moment.
    pub states: HashMap<String, SyncState>,
    /// Where the next window begins.
    pub cursor: Cursor,
    /// Whether the window was full, so that there may be more rows.
    pub full: bool,
}

/// Why there is no batch.
#[derive(Debug, thiserror::Error)]
pub enum CoalesceError {
    /// The actor is down.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The database query failed.
    #[error("the outbox cannot be read")]
    Store(#[from] StoreError),
}

/// A handle to the actor. Clones share it. It exists before the tree.
#[derive(Clone, Debug)]
pub struct Coalescer {
    slot: Slot<CoalescerMsg>,
}

impl Default for Coalescer {
    fn default() -> Self {
        Self::new()
    }
}

impl Coalescer {
    /// Returns a handle to the child `coalescer`, which may start later.
    #[must_use]
    pub fn new() -> Self {
        Self { slot: Slot::new("coalescer") }
    }

    /// Returns the actor behind this handle.
    pub fn child(&self, db: Db) -> Child {
        Child::new(&self.slot, move || (CoalescerActor { db: db.clone() }, ()))
    }

    /// Returns the batch of at most `limit` intents after `cursor`, or `None` at the end. A pass begins at the default cursor.
    ///
    /// # Errors
    /// When the actor is down or the database query fails.
    pub async fn next(&self, cursor: Cursor, limit: usize) -> Result<Option<CoalescedBatch>, CoalesceError> {
        let ask = |reply| CoalescerMsg::Next { cursor, limit, reply };
        Ok(self.slot.call(ask, ANSWER_WITHIN).await??)
    }
}

/// The actor's messages, sent through [`Coalescer`].
#[derive(Debug)]
pub enum CoalescerMsg {
    /// See [`Coalescer::next`].
    Next {
        /// Where the window begins.
        cursor: Cursor,
        /// The largest number of rows of the window.
        limit: usize,
        /// The reply port.
        reply: RpcReplyPort<StoreResult<Option<CoalescedBatch>>>,
    },
}

struct CoalescerActor {
    db: Db,
}

/// A read that is under way.
struct Ahead {
    cursor: Cursor,
    limit: usize,
    read: JoinHandle<StoreResult<Option<CoalescedBatch>>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.read.abort();
    }
}

#[ractor::async_trait]
impl Actor for CoalescerActor {
    type Msg = CoalescerMsg;
    type State = Option<Ahead>;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<CoalescerMsg>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        Ok(None)
    }

    async fn handle(
        &self,
        _: ActorRef<CoalescerMsg>,
        CoalescerMsg::Next { cursor, limit, reply }: CoalescerMsg,
        ahead: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        at(Point::CoalescerAsked).await;
        let batch = match ahead.take().filter(|read| (read.cursor, read.limit) == (cursor, limit)) {
            Some(mut read) => (&mut read.read).await?,
            None => read(&self.db, cursor, limit, None).await,
        };
        let is_first = cursor == Cursor::default();
        if let Ok(Some(CoalescedBatch { folded, cursor, full: true, .. })) = &batch
            && !is_first
        {
            let (db, cursor) = (self.db.clone(), *cursor);
            let without: Arc<HashSet<String>> = Arc::new(folded.iter().map(|f| f.variant_id.clone()).collect());
            let read = tokio::spawn(async move { read(&db, cursor, limit, Some(&without)).await });
            *ahead = Some(Ahead { cursor, limit, read });
        }
        // The caller may have stopped waiting. Reading changes nothing in the outbox.
        let _ = reply.send(batch);
        Ok(())
    }
}

async fn read(
    db: &Db,
    cursor: Cursor,
    limit: usize,
    without: Option<&HashSet<String>>,
) -> StoreResult<Option<CoalescedBatch>> {
    let mut tx = db.read().await?;
    let Some(window) = outbox::read_window(&mut tx, cursor, i64::try_from(limit).unwrap_or(i64::MAX)).await? else {
        return Ok(None);
    };
    let full = window.live >= limit;
    let mut rows = window.rows;
    if let Some(without) = without {
        rows.retain(|row| !without.contains(&row.variant_id));
    }
    Ok(Some(CoalescedBatch { folded: fold(rows), states: window.states, cursor: window.cursor, full }))
}
