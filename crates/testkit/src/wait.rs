//! Waiting on a condition.

use std::time::{Duration, Instant};

use crate::process::PATIENCE;

/// Waits until a condition holds, and asks again every 20 ms.
///
/// # Panics
/// When it does not hold within [`PATIENCE`]; the message has `seen`, what there is instead.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool, seen: impl Fn() -> String) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "never came true: {what}; {}", seen());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
