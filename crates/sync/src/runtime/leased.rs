//! What only the holder of the lease may do: the lease as this process knows it, and jobs that run under it.
//!
//! Promises: a [`LeasedJob`] runs only while this process holds the lease. Every transaction that it begins with the
//! fence fails once the lease is lost ([`crate::store::lease`]). Then [`Leased`] gives up the lease, wakes the
//! LeaseActor and runs nothing until there is a new lease. A job implements only its tick.
//! Left out on purpose: taking and renewing the lease ([`crate::pipeline::lease`]).

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tracing::warn;

use super::periodic::{Job, JobError, Nudger, Rest};
use crate::clock::Millis;
use crate::store::lease::Fence;
use crate::store::{Deposed, StoreError};

/// The lease while this process holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The fence of every pipeline transaction.
    pub fence: Fence,
    /// The end by our clock, counted from before the lease was requested, so it is never later than the end on the
    /// server.
    pub until: Millis,
}

/// The lease of this process, and a handle that wakes the LeaseActor. Clones share both.
#[derive(Clone, Debug)]
pub struct LeaseCell {
    current: Arc<RwLock<Option<Lease>>>,
    keeper: Nudger,
}

impl LeaseCell {
    /// Returns a cell without a lease. `keeper` wakes the LeaseActor.
    #[must_use]
    pub fn new(keeper: Nudger) -> Self {
        Self { current: Arc::default(), keeper }
    }

    /// Returns the handle that wakes the LeaseActor.
    #[must_use]
    pub fn keeper(&self) -> &Nudger {
        &self.keeper
    }

    /// Returns the lease if this process holds it.
    #[must_use]
    pub fn current(&self) -> Option<Lease> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the lease. Only the LeaseActor and the shutdown of the service call this.
    pub fn put(&self, lease: Option<Lease>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    /// Removes the lease with this fence. A lease that was taken since has another fence, and stays.
    pub fn give_up(&self, fence: &Fence) {
        let mut cell = self.current.write().unwrap_or_else(PoisonError::into_inner);
        cell.take_if(|lease| lease.fence == *fence);
    }
}

/// A job that runs only while this process holds the lease.
pub trait LeasedJob: Send + 'static {
    /// As [`Job::interval`].
    fn interval(&self) -> Duration;

    /// Runs one tick under the lease. [`StoreError::Deposed`] means that its last transaction was not
    /// committed; earlier ones stand. [`Leased`] handles it.
    fn tick(&mut self, lease: Lease) -> impl Future<Output = Result<Rest, StoreError>> + Send;

    /// Called when there is no lease, or it is lost: discards what one tick keeps for the next, and returns how long to
    /// rest.
    fn idle(&mut self) -> Rest {
        Rest::Interval
    }
}

/// Runs a [`LeasedJob`] while this process holds the lease.
#[derive(Debug)]
pub struct Leased<J> {
    cell: LeaseCell,
    job: J,
}

impl<J: LeasedJob> Leased<J> {
    /// Returns the job under the lease of this cell.
    #[must_use]
    pub fn new(cell: LeaseCell, job: J) -> Self {
        Self { cell, job }
    }
}

impl<J: LeasedJob> Job for Leased<J> {
    fn interval(&self) -> Duration {
        self.job.interval()
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        let Some(lease) = self.cell.current() else { return Ok(self.job.idle()) };
        let fence = lease.fence.clone();
        match self.job.tick(lease).await {
            Ok(rest) => Ok(rest),
            Err(StoreError::Deposed(deposed)) => {
                warn!(%deposed, "tick stopped: its transaction was not committed");
                match deposed {
                    Deposed::Lease => {
                        self.cell.give_up(&fence);
                        self.cell.keeper().nudge();
                        Ok(self.job.idle())
                    }
                    Deposed::Catalog => Ok(Rest::Interval),
                    // The decision was based on old data, so it is made again at once.
                    Deposed::Settings | Deposed::Credential | Deposed::Mapper => Ok(Rest::Again),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}
