use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicUsize;

use ractor::RpcReplyPort;

use super::*;
use crate::clock::ManualClock;
use crate::runtime::periodic::{Job, JobError, Nudger, Rest, periodic};
use crate::runtime::slots::CallError;

const SECOND: Duration = Duration::from_secs(1);

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

fn board() -> (Arc<ManualClock>, VitalsBoard) {
    let clock = ManualClock::at(1_000);
    (clock.clone(), VitalsBoard::new(clock))
}

/// Returns its word, and fails in the ways an actor can.
struct Echo(&'static str);

enum Ask {
    Who(RpcReplyPort<&'static str>),
    Err,
    Panic,
    Forget(RpcReplyPort<()>),
    Hang(RpcReplyPort<()>),
}

#[ractor::async_trait]
impl Actor for Echo {
    type Msg = Ask;
    type State = Vec<RpcReplyPort<()>>;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Ask>, (): ()) -> Result<Self::State, JobError> {
        Ok(Vec::new())
    }

    async fn handle(&self, _: ActorRef<Ask>, ask: Ask, hung: &mut Self::State) -> Result<(), JobError> {
        match ask {
            Ask::Who(reply) => reply.send(self.0)?,
            Ask::Err => {
                let cause = std::io::Error::other("the disk is full");
                return Err(Box::new(ractor_supervisor::core::SupervisorError::Meltdown { reason: cause.to_string() }));
            }
            Ask::Panic => panic!("lost the {}", "plot"),
            Ask::Forget(reply) => drop(reply),
            Ask::Hang(reply) => hung.push(reply),
        }
        Ok(())
    }
}

fn echo(slot: &Slot<Ask>, word: &'static str) -> Child {
    Child::new(slot, move || (Echo(word), ()))
}

/// Fails every tick in the given way. Records when each began.
struct Failing {
    panics: bool,
    starts: Arc<StdMutex<Vec<Instant>>>,
}

impl Job for Failing {
    fn interval(&self) -> Duration {
        3_600 * SECOND
    }

    async fn tick(&mut self) -> Result<Rest, JobError> {
        self.starts.lock().unwrap().push(Instant::now());
        assert!(!self.panics, "tick panic");
        Err("tick error".into())
    }
}

fn failing(name: &str, panics: bool) -> (Child, Arc<StdMutex<Vec<Instant>>>) {
    let starts = Arc::new(StdMutex::new(Vec::new()));
    let seen = Arc::clone(&starts);
    let child =
        periodic(&Nudger::new(name), ManualClock::at(0), move || Failing { panics, starts: Arc::clone(&starts) });
    (child, seen)
}

#[tokio::test(start_paused = true)]
async fn a_panicking_job_restarts_with_growing_backoff_for_ever() {
    let (clock, board) = board();
    let (panicking, starts) = failing("panicking", true);
    let (erring, err_starts) = failing("erring", false);
    let slot = Slot::new("echo");
    let tree =
        Tree::spawn("tree-backoff", &board, vec![echo(&slot, "alive"), panicking, erring]).await.expect("starts");

    pass(20 * SECOND).await;
    assert!(!board.ready(), "seven restarts within the reset window");
    pass(3_600 * SECOND).await;

    let starts = starts.lock().unwrap().clone();
    let gaps: Vec<u128> = starts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    let rounded: Vec<u128> = gaps.iter().take(9).map(|gap| (gap + 5) / 250 * 250).collect();
    assert_eq!(rounded, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    assert!(gaps.iter().skip(7).all(|gap| (30_000..30_100).contains(gap)));
    assert!(starts.len() > 100, "no meltdown: {}", starts.len());
    assert!(err_starts.lock().unwrap().len() > 100);

    let vitals = board.get("panicking").expect("registered");
    assert_eq!(vitals.restarts as usize, starts.len() - 1);
    assert_eq!(vitals.ticks, 0);
    assert!(!vitals.running);
    assert_eq!(vitals.last_error.expect("kept").message, "tick panic");
    assert_eq!(board.get("erring").unwrap().last_error.unwrap().message, "tick error");
    let calm = board.get("echo").expect("registered");
    assert_eq!((calm.running, calm.restarts), (true, 0));
    assert_eq!(slot.call(Ask::Who, SECOND).await, Ok("alive"));

    // The board's clock did not advance. After the window, old restarts no longer count.
    tree.shutdown(SECOND).await.expect("in time");
    clock.advance(5 * 60 * 1_000);
    assert!(board.ready());
}

#[tokio::test(start_paused = true)]
async fn slots_follow_restarts_and_name_who_is_down() {
    let (_, board) = board();
    let slot = Slot::new("echo");
    assert_eq!(slot.call(Ask::Who, SECOND).await, Err(CallError::Down("echo".into())));
    let tree = Tree::spawn("tree-slots", &board, vec![echo(&slot, "hello")]).await.expect("starts");
    assert_eq!(slot.call(Ask::Who, SECOND).await, Ok("hello"));
    assert_eq!(slot.call(Ask::Forget, SECOND).await, Err(CallError::NoAnswer("echo".into())));
    let timeout = slot.call(Ask::Hang, SECOND).await.expect_err("hangs");
    assert_eq!(timeout.to_string(), "the echo actor did not answer within 1s");

    slot.cast(Ask::Panic).expect("up");
    pass(SECOND / 10).await;
    assert_eq!(slot.call(Ask::Who, SECOND).await, Err(CallError::Down("echo".into())));
    let vitals = board.get("echo").expect("registered");
    assert_eq!(vitals.last_error.expect("kept").message, "lost the plot");
    assert!(!vitals.running);

    pass(SECOND).await;
    assert_eq!(slot.call(Ask::Who, SECOND).await, Ok("hello"));
    slot.cast(Ask::Err).expect("up");
    pass(2 * SECOND).await;
    let vitals = board.get("echo").expect("registered");
    assert_eq!(vitals.last_error.expect("kept").message, "Meltdown: the disk is full");
    assert_eq!((vitals.running, vitals.restarts, vitals.recent_restarts), (true, 2, 2));
    assert!(board.ready());
    tree.shutdown(SECOND).await.expect("in time");
}

#[tokio::test(start_paused = true)]
async fn a_failing_factory_is_a_failed_start() {
    let (_, board) = board();
    let slot = Slot::new("late");
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let child = Child::new(&slot, move || {
        assert!(count.fetch_add(1, Ordering::SeqCst) >= 2, "not yet");
        (Echo("late"), ())
    });
    let tree = Tree::spawn("tree-factory", &board, vec![child]).await.expect("starts");
    assert!(board.get("late").unwrap().last_error.unwrap().message.contains("not yet"));
    pass(2 * SECOND).await;
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    assert_eq!(slot.call(Ask::Who, SECOND).await, Ok("late"));
    tree.shutdown(SECOND).await.expect("in time");
}

#[tokio::test(start_paused = true)]
async fn two_trees_in_one_process_do_not_meet() {
    let ((_, board_a), (_, board_b)) = (board(), board());
    let (slot_a, slot_b) = (Slot::new("echo"), Slot::new("echo"));
    let a = Tree::spawn("tree-a", &board_a, vec![echo(&slot_a, "a")]).await.expect("starts");
    let b = Tree::spawn("tree-b", &board_b, vec![echo(&slot_b, "b")]).await.expect("starts");
    assert_eq!(slot_a.call(Ask::Who, SECOND).await, Ok("a"));
    assert_eq!(slot_b.call(Ask::Who, SECOND).await, Ok("b"));
    a.shutdown(SECOND).await.expect("in time");
    assert_eq!(slot_a.get().map(|actor| actor.get_id()), None);
    assert_eq!(slot_b.call(Ask::Who, SECOND).await, Ok("b"));

    let taken = Tree::spawn("tree-b", &board_a, vec![echo(&slot_a, "a")]).await.err();
    assert!(matches!(taken, Some(TreeError::Root { instance, .. }) if instance == "tree-b"));
    let twice = vec![echo(&slot_a, "a"), echo(&slot_b, "b")];
    let twice = Tree::spawn("tree-c", &board_a, twice).await.err();
    assert!(matches!(twice, Some(TreeError::DuplicateChild(name)) if name == "echo"));

    b.shutdown(SECOND).await.expect("in time");
    let again = Tree::spawn("tree-b", &board_b, vec![echo(&slot_b, "again")]).await.expect("free");
    assert_eq!(slot_b.call(Ask::Who, SECOND).await, Ok("again"));
    again.shutdown(SECOND).await.expect("in time");
}

#[tokio::test(start_paused = true)]
async fn a_root_that_ends_unasked_is_reported_a_shutdown_is_not() {
    let (_, board) = board();
    let slot = Slot::new("echo");
    let tree = Tree::spawn("tree-end", &board, vec![echo(&slot, "x")]).await.expect("starts");
    let ended = tree.ended();
    tree.root.kill();
    assert_eq!(ended.await.reason, "no reason was given");

    let tree = Tree::spawn("tree-end", &board, vec![echo(&slot, "x")]).await.expect("starts");
    let ended = tree.ended();
    tree.shutdown(SECOND).await.expect("in time");
    assert!(tokio::time::timeout(60 * SECOND, ended).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_meltdown_says_why() {
    let (_, board) = board();
    let slot = Slot::new("echo");
    let tree = Tree::spawn("tree-meltdown", &board, vec![echo(&slot, "x")]).await.expect("starts");
    let ended = tree.ended();
    // Back-off cannot cause a meltdown; respawns from outside can.
    for _ in 0..=MELTDOWN_RESTARTS_PER_CHILD {
        let child_id = "tree-meltdown/none".to_owned();
        tree.root.cast(SupervisorMsg::OneForOneSpawn { child_id }).expect("up");
    }
    assert_eq!(ended.await.reason, "Meltdown: max_restarts exceeded");
}

#[tokio::test(start_paused = true)]
async fn children_stop_last_started_first_and_none_restarts_meanwhile() {
    struct Slow(&'static str, Arc<StdMutex<Vec<&'static str>>>);
    impl Job for Slow {
        fn interval(&self) -> Duration {
            3_600 * SECOND
        }
        async fn tick(&mut self) -> Result<Rest, JobError> {
            pass(10 * SECOND).await;
            self.1.lock().unwrap().push(self.0);
            if self.0 == "second" { Err("failed at the end".into()) } else { Ok(Rest::Again) }
        }
    }
    let (_, board) = board();
    let log = Arc::new(StdMutex::new(Vec::new()));
    let slow = |name: &'static str| {
        let log = Arc::clone(&log);
        periodic(&Nudger::new(name), ManualClock::at(0), move || Slow(name, Arc::clone(&log)))
    };
    let (down, starts) = failing("down", true);
    let children = vec![slow("first"), slow("second"), down];
    let tree = Tree::spawn("tree-order", &board, children).await.expect("starts");
    pass(SECOND / 2).await;
    let before = starts.lock().unwrap().len();
    tree.shutdown(60 * SECOND).await.expect("in time");
    pass(600 * SECOND).await;
    assert_eq!(starts.lock().unwrap().len(), before, "a child in back-off stays down");
    // "first" is stopped only after "second" has ended, so it runs one more round.
    let log = log.lock().unwrap().clone();
    assert_eq!(log.iter().filter(|name| **name == "second").count(), 1);
    assert_eq!(log.last(), Some(&"first"));
    assert_eq!(board.get("second").unwrap().last_error.unwrap().message, "failed at the end");
}

#[test]
fn backoff_cannot_reach_the_meltdown() {
    let mut at = Duration::ZERO;
    let mut restarts = 0;
    while at < MELTDOWN_WINDOW {
        restarts += 1;
        at += backoff(restarts);
    }
    assert!(restarts * 2 <= MELTDOWN_RESTARTS_PER_CHILD, "{restarts}");
    assert!(
        RESET_WINDOW > MELTDOWN_WINDOW + BACKOFF_CAP,
        "otherwise a reset could restart the count within the window"
    );
    assert_eq!(backoff(usize::MAX), BACKOFF_CAP);
}
