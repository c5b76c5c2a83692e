//! A value that is dear to compute: computed anew at most a hundredth of the time, or each half minute.
//!
//! Promises: cheap values are computed for each call, and callers that come together share a computation that began after
//! they came. While a dear value is computed anew, other callers get the one before. No value is older than half a minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A value that takes no longer than this is computed at each call.
const CHEAP: Duration = Duration::from_millis(50);
/// How many times the duration of the computation a value is kept.
const KEPT: u32 = 100;
/// The oldest value.
const OLDEST: Duration = Duration::from_secs(30);

/// Keeps the last value.
#[derive(Debug)]
pub struct Cached<T> {
    kept: Mutex<Option<Kept<T>>>,
    computing: tokio::sync::Mutex<()>,
    /// The number of computations that have begun.
    begun: AtomicU64,
}

#[derive(Clone, Debug)]
struct Kept<T> {
    value: T,
    cost: Duration,
    at: Instant,
    /// The number of its computation.
    number: u64,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { kept: Mutex::default(), computing: tokio::sync::Mutex::default(), begun: AtomicU64::new(0) }
    }
}

impl<T: Clone> Cached<T> {
    /// Returns the kept value, or computes it; the computation says what it cost.
    ///
    /// # Errors
    /// Those of the computation; nothing is kept then.
    pub async fn get<E>(&self, compute: impl Future<Output = Result<(T, Duration), E>>) -> Result<T, E> {
        let before = self.begun.load(Ordering::SeqCst);
        let is_usable = |known: &Kept<T>, within: Duration| known.cost > CHEAP && known.at.elapsed() < within;
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _computing = match kept() {
            Some(known) if is_usable(&known, (known.cost * KEPT).min(OLDEST)) => return Ok(known.value),
            Some(known) if is_usable(&known, OLDEST) => match self.computing.try_lock() {
                Ok(computing) => computing,
                Err(_) => return Ok(known.value),
            },
            _ => self.computing.lock().await,
        };
        if let Some(known) = kept().filter(|known| known.number > before) {
            return Ok(known.value);
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let (value, cost) = compute.await?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Kept { value: value.clone(), cost, at: Instant::now(), number });
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn at_cost(cached: &Cached<u32>, value: u32, cost: Duration) -> u32 {
        cached.get(async { Ok::<_, ()>((value, cost)) }).await.expect("computed")
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_dear_value_is_kept_and_for_a_multiple_of_its_cost() {
        let cached = Cached::default();
        let (cheap, dear) = (CHEAP, CHEAP * 2);
        assert_eq!(at_cost(&cached, 1, cheap).await, 1);
        assert_eq!(at_cost(&cached, 2, dear).await, 2, "a cheap value is not kept");
        tokio::time::advance(dear * KEPT - Duration::from_millis(1)).await;
        assert_eq!(at_cost(&cached, 3, cheap).await, 2);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(at_cost(&cached, 4, cheap).await, 4);
        assert!(cached.get(async { Err(()) }).await.is_err(), "a failure is not kept");
        assert_eq!(at_cost(&cached, 5, OLDEST).await, 5);
        tokio::time::advance(OLDEST - Duration::from_millis(1)).await;
        assert_eq!(at_cost(&cached, 6, cheap).await, 5);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(at_cost(&cached, 6, cheap).await, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_come_together_share_a_computation() {
        let cached = Cached::default();
        let slowly = async |value: u32, cost: Duration| {
            let compute = async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok::<_, ()>((value, cost))
            };
            cached.get(compute).await.expect("computed")
        };
        // The second comes while the first is computed, which may have begun before what it asks about; the third comes
        // together with the second.
        let all = tokio::join!(slowly(1, CHEAP), slowly(2, CHEAP), slowly(3, CHEAP));
        assert_eq!(all, (1, 2, 2));

        // A dear value that is computed anew costs one caller, and the others get the one before.
        let dear = CHEAP * 2;
        assert_eq!(slowly(4, dear).await, 4);
        tokio::time::advance(dear * KEPT).await;
        assert_eq!(tokio::join!(slowly(5, dear), slowly(6, dear)), (5, 4));
        tokio::time::advance(OLDEST).await;
        assert_eq!(tokio::join!(slowly(7, dear), slowly(8, dear)), (7, 8), "none is older than half a minute");
    }
}
