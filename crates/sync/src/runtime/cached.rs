//! A value that is dear to compute: computed anew at most a twentieth of the time.
//!
//! Promises: cheap values are computed at each call. Callers that come together share one computation. No value is older than
//! half a minute.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// A value that takes no longer than this is computed at each call.
const CHEAP: Duration = Duration::from_millis(50);
/// How many times the duration of the computation a value is kept.
const KEPT: u32 = 20;
/// The oldest value.
const OLDEST: Duration = Duration::from_secs(30);

/// Keeps the last value.
#[derive(Debug)]
pub struct Cached<T>(Mutex<Option<Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    value: T,
    cost: Duration,
    at: Instant,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Cached<T> {
    /// Returns the kept value, or computes it; the computation says what it cost.
    ///
    /// # Errors
    /// Those of the computation; nothing is kept then.
    pub async fn get<E>(&self, compute: impl Future<Output = Result<(T, Duration), E>>) -> Result<T, E> {
        let mut kept = self.0.lock().await;
        if let Some(known) = &*kept
            && known.cost > CHEAP
            && known.at.elapsed() < (known.cost * KEPT).min(OLDEST)
        {
            return Ok(known.value.clone());
        }
        let (value, cost) = compute.await?;
        *kept = Some(Kept { value: value.clone(), cost, at: Instant::now() });
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
    async fn only_a_dear_value_is_kept_and_for_twenty_times_its_cost() {
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
}
