use super::*;
use crate::clock::ManualClock;
use crate::runtime::jitter;
use crate::runtime::tree::Tree;
use crate::runtime::vitals::VitalsBoard;

const NOW: crate::clock::Millis = 1_764_000_000_000;

/// Stored rows, returned after this number of failed reads.
struct Stored(std::sync::Mutex<usize>, Vec<LimiterRow>);

#[ractor::async_trait]
impl LimiterMemory for Stored {
    async fn stored(&self) -> Result<Vec<LimiterRow>, StoreError> {
        let mut failures = self.0.lock().expect("not poisoned");
        if *failures > 0 {
            *failures -= 1;
            return Err(StoreError::Url("away".into()));
        }
        Ok(self.1.clone())
    }
}

async fn run(instance: &str, config: LimiterConfig) -> (Tree, Limiter, Arc<ManualClock>) {
    run_with(instance, config, Stored(0.into(), Vec::new())).await
}

async fn run_with(instance: &str, config: LimiterConfig, stored: Stored) -> (Tree, Limiter, Arc<ManualClock>) {
    let clock = ManualClock::at(NOW);
    let limiter = Limiter::new();
    let child = limiter.child(clock.clone(), jitter::fixed(0.0), config, Arc::new(stored));
    let board = VitalsBoard::new(clock.clone());
    let tree = Tree::spawn(instance, &board, vec![child]).await.expect("starts");
    (tree, limiter, clock)
}

#[tokio::test(start_paused = true)]
async fn budgets_are_apart_per_catalog_and_bucket() {
    let (_tree, limiter, clock) = run("limiter-apart", LimiterConfig::default()).await;
    let until = Admission::ClosedUntil(NOW + 7_650);
    assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(Admission::Permit));
    assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(until));
    assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(Admission::Permit));
    assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(Admission::Permit));
    let until = Admission::ClosedUntil(NOW + 183);
    assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(until));

    let throttled = CallReport::Throttled { regain: None };
    limiter.report("a", Bucket::Batch, Some(100.0), throttled).expect("up");
    // The answer proves that the report has been processed.
    assert_eq!(limiter.snapshot().await.map(|rows| rows.len()), Ok(3));
    clock.advance(7_650);
    let until = Admission::ClosedUntil(NOW + 60_000);
    assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(until));
    assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(Admission::Permit), "polls continue");
    assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(Admission::Permit));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_carries_over_to_the_next_holder() {
    let (_first, limiter, _) = run("limiter-first", LimiterConfig::default()).await;
    assert_eq!(limiter.snapshot().await, Ok(Vec::new()));
    assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(Admission::Permit));
    assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(Admission::Permit));
    let regain = Some(Duration::from_secs(120));
    limiter.report("a", Bucket::Management, None, CallReport::Throttled { regain }).expect("up");
    let rows = limiter.snapshot().await.expect("up");
    let row = |catalog_id: &str, bucket, closed_until| LimiterRow {
        catalog_id: catalog_id.into(),
        bucket,
        closed_until,
        last_call_at: Some(NOW),
    };
    let closed = row("a", Bucket::Management, Some(NOW + 120_000));
    assert_eq!(rows, [closed, row("b", Bucket::Batch, None)]);

    let (_second, limiter, _) = run("limiter-second", LimiterConfig::default()).await;
    limiter.load(rows).expect("up");
    let until = Admission::ClosedUntil(NOW + 7_650);
    assert_eq!(limiter.ask("b", Bucket::Batch).await, Ok(until));
    let until = Admission::ClosedUntil(NOW + 120_000);
    assert_eq!(limiter.ask("a", Bucket::Management).await, Ok(until));
}

#[tokio::test(start_paused = true)]
async fn a_fresh_actor_answers_nothing_before_it_knows_what_is_stored() {
    let closed = LimiterRow {
        catalog_id: "a".into(),
        bucket: Bucket::Batch,
        closed_until: Some(NOW + 60_000),
        last_call_at: None,
    };
    let stored = Stored(1.into(), vec![closed]);
    let (_tree, limiter, _) = run_with("limiter-memory", LimiterConfig::default(), stored).await;
    assert!(matches!(limiter.ask("a", Bucket::Batch).await, Err(CallError::NoAnswer(_))), "the store is away");
    let until = Ok(Admission::ClosedUntil(NOW + 60_000));
    assert_eq!(limiter.peek("a", Bucket::Batch).await, until);
    assert_eq!(limiter.ask("a", Bucket::Batch).await, until);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_actor_knows_what_was_stored() {
    /// The rows that the service stores with each submission.
    struct Shared(std::sync::Mutex<Vec<LimiterRow>>);
    #[ractor::async_trait]
    impl LimiterMemory for Shared {
        async fn stored(&self) -> Result<Vec<LimiterRow>, StoreError> {
            Ok(self.0.lock().expect("not poisoned").clone())
        }
    }

    let clock = ManualClock::at(NOW);
    let limiter = Limiter::new();
    let memory = Arc::new(Shared(Vec::new().into()));
    let trip = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let armed = Arc::clone(&trip);
    let jitter: Jitter = Arc::new(move || {
        assert!(!armed.swap(false, std::sync::atomic::Ordering::SeqCst), "a bug");
        0.0
    });
    let shared: Arc<dyn LimiterMemory> = memory.clone();
    let child = limiter.child(clock.clone(), jitter, LimiterConfig::default(), shared);
    let board = VitalsBoard::new(clock.clone());
    let _tree = Tree::spawn("limiter-restart", &board, vec![child]).await.expect("starts");

    assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(Admission::Permit));
    limiter.report("a", Bucket::Batch, None, CallReport::Throttled { regain: None }).expect("up");
    *memory.0.lock().expect("not poisoned") = limiter.snapshot().await.expect("up");
    trip.store(true, std::sync::atomic::Ordering::SeqCst);
    limiter.report("a", Bucket::Batch, None, CallReport::Success).expect("up");
    // Paused time advances during this wait, through the restart's back-off.
    while board.get("limiter").is_none_or(|limiter| limiter.restarts == 0 || !limiter.running) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(limiter.ask("a", Bucket::Batch).await, Ok(Admission::ClosedUntil(NOW + 60_000)));
}

#[test]
fn the_config_defaults_and_refuses_nonsense() {
    let config: LimiterConfig = serde_json::from_str("{}").expect("all optional");
    assert_eq!(config, LimiterConfig::default());
    assert_eq!(config.quota(Bucket::Batch).period(), Duration::from_millis(7_650));
    assert_eq!(config.quota(Bucket::Management).period(), Duration::from_millis(183));
    let zero = serde_json::from_str::<LimiterConfig>(r#"{"batch_calls_per_minute":0}"#);
    assert!(zero.is_err());
}
