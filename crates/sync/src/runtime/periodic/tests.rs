use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize};

use super::*;
use crate::clock::ManualClock;
use crate::runtime::tree::Tree;
use crate::runtime::vitals::VitalsBoard;

/// The state through which tests observe and control a job.
struct Probe {
    interval_ms: AtomicI64,
    starts: Mutex<Vec<Instant>>,
    ends: AtomicUsize,
    running: AtomicBool,
    /// Duration of a tick.
    takes: Mutex<Duration>,
    /// The results of the next ticks. The interval once it is empty.
    rests: Mutex<Vec<Rest>>,
}

impl Probe {
    fn every(interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            interval_ms: AtomicI64::new(i64::try_from(interval.as_millis()).unwrap()),
            starts: Mutex::default(),
            ends: AtomicUsize::new(0),
            running: AtomicBool::new(false),
            takes: Mutex::default(),
            rests: Mutex::default(),
        })
    }

    fn starts(&self) -> usize {
        self.starts.lock().unwrap().len()
    }

    /// Returns the seconds between the starts, rounded down.
    fn gaps(&self) -> Vec<u64> {
        let starts = self.starts.lock().unwrap();
        starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect()
    }
}

struct Probed(Arc<Probe>);

impl Job for Probed {
    fn interval(&self) -> Duration {
        Duration::from_millis(self.0.interval_ms.load(Ordering::SeqCst).try_into().unwrap())
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        assert!(!self.0.running.swap(true, Ordering::SeqCst), "two ticks at once");
        self.0.starts.lock().unwrap().push(Instant::now());
        let takes = *self.0.takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        self.0.running.store(false, Ordering::SeqCst);
        self.0.ends.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.rests.lock().unwrap().pop().unwrap_or(Rest::Interval))
    }
}

struct Bench {
    tree: Tree,
    board: VitalsBoard,
    clock: Arc<ManualClock>,
    nudger: Nudger,
}

async fn run(instance: &str, probe: &Arc<Probe>) -> Bench {
    let clock = ManualClock::at(1_000);
    let board = VitalsBoard::new(clock.clone());
    let nudger = Nudger::new("job");
    let probe = Arc::clone(probe);
    let child = periodic(&nudger, clock.clone(), move || Probed(Arc::clone(&probe)));
    let tree = Tree::spawn(instance, &board, vec![child]).await.expect("starts");
    Bench { tree, board, clock, nudger }
}

/// Advances paused time. Every timer on the way expires at its own instant.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Lets the actors handle their mailboxes. Paused time advances by at most a millisecond.
async fn settle() {
    pass(Duration::from_millis(1)).await;
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn ticks_at_once_then_from_start_to_start() {
    let probe = Probe::every(10 * SECOND);
    *probe.takes.lock().unwrap() = 4 * SECOND;
    let _bench = run("rt-interval", &probe).await;
    pass(35 * SECOND).await;
    assert_eq!(probe.gaps(), [10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn ticks_never_pile_up_behind_a_slow_one() {
    let probe = Probe::every(SECOND);
    *probe.takes.lock().unwrap() = 60 * SECOND;
    let bench = run("rt-slow", &probe).await;
    pass(30 * SECOND).await;
    for _ in 0..1_000 {
        bench.nudger.nudge();
    }
    // Later ticks are quick. If any were queued, they would all start at second 60.
    *probe.takes.lock().unwrap() = Duration::ZERO;
    pass(34 * SECOND + SECOND / 2).await;
    assert_eq!(probe.gaps(), [60, 1, 1, 1, 1], "one tick for the missed ones, then the interval");
}

#[tokio::test(start_paused = true)]
async fn a_shorter_interval_applies_within_a_second() {
    let probe = Probe::every(3_600 * SECOND);
    let _bench = run("rt-shorter", &probe).await;
    pass(100 * SECOND).await;
    assert_eq!(probe.starts(), 1);
    probe.interval_ms.store(10_000, Ordering::SeqCst);
    pass(SECOND + SECOND / 100).await;
    assert_eq!(probe.starts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_longer_interval_applies_at_once() {
    let probe = Probe::every(SECOND / 2);
    let _bench = run("rt-longer", &probe).await;
    settle().await;
    probe.interval_ms.store(60_000, Ordering::SeqCst);
    pass(59 * SECOND).await;
    assert_eq!(probe.starts(), 1);
    pass(2 * SECOND).await;
    assert_eq!(probe.gaps(), [60]);
}

#[tokio::test(start_paused = true)]
async fn senseless_settings_neither_spin_nor_overflow() {
    let probe = Probe::every(Duration::ZERO);
    let bench = run("rt-zero", &probe).await;
    pass(SECOND).await;
    // Timers have a resolution of one millisecond.
    assert!((80..=101).contains(&probe.starts()), "{}", probe.starts());
    bench.tree.shutdown(SECOND).await.expect("in time");

    let probe = Probe::every(Duration::ZERO);
    probe.rests.lock().unwrap().push(Rest::Hold(Duration::MAX));
    let bench = run("rt-max", &probe).await;
    pass(3_600 * SECOND).await;
    assert_eq!(probe.starts(), 1);
    assert_eq!(bench.board.get("job").expect("registered").last_error, None);
}

#[tokio::test(start_paused = true)]
async fn time_that_passed_on_the_injected_clock_counts() {
    let probe = Probe::every(3_600 * SECOND);
    let bench = run("rt-clock", &probe).await;
    settle().await;
    bench.clock.advance(3_600_000);
    pass(SECOND).await;
    assert_eq!(probe.starts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_cuts_the_rest_short_once() {
    let probe = Probe::every(3_600 * SECOND);
    probe.rests.lock().unwrap().push(Rest::For(600 * SECOND));
    let bench = run("rt-nudge", &probe).await;
    pass(5 * SECOND).await;
    for _ in 0..100 {
        bench.nudger.nudge();
    }
    pass(30 * SECOND).await;
    assert_eq!(probe.gaps(), [5]);
}

#[tokio::test(start_paused = true)]
async fn nudges_during_a_tick_cause_one_more() {
    let probe = Probe::every(3_600 * SECOND);
    *probe.takes.lock().unwrap() = 20 * SECOND;
    let bench = run("rt-nudged", &probe).await;
    pass(SECOND).await;
    for _ in 0..1_000 {
        bench.nudger.nudge();
    }
    pass(600 * SECOND).await;
    assert_eq!(probe.gaps(), [20]);
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_deaf_to_nudges_and_intervals() {
    let probe = Probe::every(SECOND);
    probe.rests.lock().unwrap().push(Rest::Hold(60 * SECOND));
    let bench = run("rt-hold", &probe).await;
    pass(5 * SECOND).await;
    bench.nudger.nudge();
    pass(54 * SECOND).await;
    assert_eq!(probe.starts(), 1);
    pass(SECOND + SECOND / 2).await;
    assert_eq!(probe.gaps(), [60]);
}

#[tokio::test(start_paused = true)]
async fn more_work_runs_at_once_and_vitals_tell() {
    let probe = Probe::every(3_600 * SECOND);
    *probe.rests.lock().unwrap() = vec![Rest::Again, Rest::Again];
    let bench = run("rt-again", &probe).await;
    settle().await;
    assert_eq!(probe.gaps(), [0, 0]);
    let vitals = bench.board.get("job").expect("registered");
    assert!(vitals.running);
    assert_eq!(vitals.ticks, 3);
    assert_eq!(vitals.last_started_at, Some(1_000));
    assert_eq!(vitals.last_finished_at, Some(1_000));
    assert_eq!((vitals.restarts, vitals.last_error), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_the_running_tick_end_and_starts_no_other() {
    let probe = Probe::every(SECOND);
    *probe.takes.lock().unwrap() = 20 * SECOND;
    *probe.rests.lock().unwrap() = vec![Rest::Again];
    let bench = run("rt-stop", &probe).await;
    pass(SECOND).await;
    bench.nudger.nudge();
    assert_eq!((probe.starts(), probe.ends.load(Ordering::SeqCst)), (1, 0));
    bench.tree.shutdown(30 * SECOND).await.expect("in time");
    assert_eq!((probe.starts(), probe.ends.load(Ordering::SeqCst)), (1, 1));
    assert!(!bench.board.get("job").expect("registered").running);
    bench.nudger.nudge();
    pass(60 * SECOND).await;
    assert_eq!(probe.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_outlasts_the_deadline_is_killed_and_named() {
    let probe = Probe::every(SECOND);
    *probe.takes.lock().unwrap() = 3_600 * SECOND;
    let bench = run("rt-kill", &probe).await;
    pass(SECOND).await;
    let started = Instant::now();
    let overdue = bench.tree.shutdown(5 * SECOND).await.expect_err("late");
    assert_eq!(overdue.killed, ["job"]);
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(probe.ends.load(Ordering::SeqCst), 0);
}
