use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::*;
use crate::clock::ManualClock;
use crate::runtime::jitter;
use crate::runtime::tree::Tree;
use crate::runtime::vitals::VitalsBoard;

const NOW: Millis = 1_764_000_000_000;
const DAY: Millis = 86_400_000;

fn token(version: i64, ends_in: Millis) -> StoredToken {
    StoredToken {
        token: format!("token-{version}").into(),
        kind: TokenKind::User,
        expires_at: Some(NOW + ends_in),
        version,
        account_id: Some("17".into()),
    }
}

fn down(reason: &str) -> TokenFault {
    TokenFault::Unavailable { reason: reason.into() }
}

enum Exchange {
    /// Writes the next version, which expires this long after [`NOW`].
    Gives(Millis),
    Fails(TokenFault),
    Panics,
    Hangs,
}

/// A credential row, and a Meta that follows a plan. Work waits at a gate, so that tests can observe it under way.
struct Source {
    stored: Mutex<Result<Option<StoredToken>, TokenFault>>,
    plan: Mutex<VecDeque<Exchange>>,
    loads: AtomicUsize,
    exchanges: AtomicUsize,
    load_gate: Semaphore,
    exchange_gate: Semaphore,
}

impl Source {
    fn count(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::SeqCst)
    }

    fn store(&self, stored: Result<Option<StoredToken>, TokenFault>) {
        *self.stored.lock().unwrap() = stored;
    }
}

#[ractor::async_trait]
impl TokenSource for Source {
    async fn load(&self) -> Result<Option<StoredToken>, TokenFault> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.load_gate.acquire().await.expect("open").forget();
        self.stored.lock().unwrap().clone()
    }

    async fn refresh(&self, current: &StoredToken) -> Result<StoredToken, TokenFault> {
        self.exchanges.fetch_add(1, Ordering::SeqCst);
        self.exchange_gate.acquire().await.expect("open").forget();
        let step = self.plan.lock().unwrap().pop_front().expect("an exchange that the plan contains");
        match step {
            Exchange::Gives(ends_in) => {
                let mut stored = self.stored.lock().unwrap();
                // As in the store: WHERE version = current.version.
                let same = matches!(&*stored, Ok(Some(now)) if now.version == current.version);
                if !same {
                    return Err(TokenFault::Superseded);
                }
                let new = token(current.version + 1, ends_in);
                *stored = Ok(Some(new.clone()));
                Ok(new)
            }
            Exchange::Fails(fault) => Err(fault),
            Exchange::Panics => panic!("the exchange blew up"),
            Exchange::Hangs => std::future::pending().await,
        }
    }
}

struct Bench {
    source: Arc<Source>,
    tokens: Tokens,
    clock: Arc<ManualClock>,
    board: VitalsBoard,
    _tree: Tree,
}

const OPEN: usize = 1_000_000;

async fn run(
    instance: &str,
    stored: Option<StoredToken>,
    plan: impl IntoIterator<Item = Exchange>,
    exchange_permits: usize,
) -> Bench {
    let source = Arc::new(Source {
        stored: Mutex::new(Ok(stored)),
        plan: Mutex::new(plan.into_iter().collect()),
        loads: AtomicUsize::new(0),
        exchanges: AtomicUsize::new(0),
        load_gate: Semaphore::new(OPEN),
        exchange_gate: Semaphore::new(exchange_permits),
    });
    let clock = ManualClock::at(NOW);
    let board = VitalsBoard::new(clock.clone());
    let tokens = Tokens::new();
    let child = tokens.child(source.clone(), clock.clone(), jitter::fixed(0.0));
    let tree = Tree::spawn(instance, &board, vec![child]).await.expect("starts");
    Bench { source, tokens, clock, board, _tree: tree }
}

impl Bench {
    fn loads(&self) -> usize {
        Source::count(&self.source.loads)
    }

    fn exchanges(&self) -> usize {
        Source::count(&self.source.exchanges)
    }

    /// Returns the version of the token that is handed out.
    async fn version(&self) -> Result<i64, TokenFault> {
        self.tokens.get().await.map(|token| token.version)
    }

    fn ask_by(&self, askers: usize) -> JoinSet<Result<i64, TokenFault>> {
        let mut set = JoinSet::new();
        for _ in 0..askers {
            let tokens = self.tokens.clone();
            set.spawn(async move { tokens.get().await.map(|token| token.version) });
        }
        set
    }
}

/// Runs everything until it waits. Paused time advances by a millisecond only.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_answered_without_an_exchange_and_read_anew_each_time() {
    let bench = run("token-valid", Some(token(1, 60 * DAY)), [], OPEN).await;
    let got = bench.tokens.get().await.expect("valid");
    assert_eq!(got.token.expose_secret(), "token-1");
    assert_eq!(got.account_id.as_deref(), Some("17"));
    assert!(!format!("{got:?}").contains("token-1"), "{got:?}");
    bench.source.store(Ok(None));
    assert_eq!(bench.version().await, Err(TokenFault::NotConnected));
    bench.source.store(Err(down("the database is locked")));
    assert_eq!(bench.version().await, Err(down("the database is locked")));
    bench.source.store(Ok(Some(token(7, 0))));
    assert_eq!(bench.version().await, Err(TokenFault::Expired { at: NOW }));
    assert_eq!((bench.loads(), bench.exchanges()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_askers_cost_one_exchange() {
    let bench = run("token-1000", Some(token(1, DAY)), [Exchange::Gives(60 * DAY)], 0).await;
    let early = bench.ask_by(500);
    settle().await;
    assert_eq!((bench.loads(), bench.exchanges()), (1, 1));
    let late = bench.ask_by(500);
    settle().await;
    bench.source.exchange_gate.add_permits(OPEN);
    let answers = [early.join_all().await, late.join_all().await].concat();
    assert_eq!(answers, vec![Ok(2); 1_000]);
    assert_eq!((bench.loads(), bench.exchanges()), (1, 1));
    assert_eq!(bench.version().await, Ok(2));
    assert_eq!(bench.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_answers_all_with_the_token_still_valid_and_backs_off() {
    let plan = [Exchange::Fails(down("reset")), Exchange::Fails(down("reset")), Exchange::Gives(60 * DAY)];
    let bench = run("token-fails", Some(token(1, DAY)), plan, 0).await;
    let askers = bench.ask_by(100);
    settle().await;
    bench.source.exchange_gate.add_permits(OPEN);
    assert_eq!(askers.join_all().await, vec![Ok(1); 100]);
    assert_eq!(bench.version().await, Ok(1));
    assert_eq!(bench.exchanges(), 1, "30 s of rest");
    bench.clock.advance(30_000);
    assert_eq!(bench.version().await, Ok(1));
    bench.clock.advance(59_999);
    assert_eq!(bench.version().await, Ok(1));
    assert_eq!(bench.exchanges(), 2, "60 s of rest");
    bench.clock.advance(1);
    assert_eq!(bench.version().await, Ok(2));
    assert_eq!(bench.exchanges(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_answers_all_with_the_fault_when_the_token_ran_out_meanwhile() {
    let bench = run("token-ranout", Some(token(1, 1_000)), [Exchange::Fails(down("reset"))], 0).await;
    let askers = bench.ask_by(100);
    settle().await;
    bench.clock.advance(1_000);
    bench.source.exchange_gate.add_permits(1);
    let expired = Err(TokenFault::Expired { at: NOW + 1_000 });
    assert_eq!(askers.join_all().await, vec![expired; 100]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_or_a_hang_in_the_exchange_still_answers() {
    let plan = [Exchange::Panics, Exchange::Hangs];
    let bench = run("token-panics", Some(token(1, DAY)), plan, OPEN).await;
    assert_eq!(bench.ask_by(100).join_all().await, vec![Ok(1); 100]);
    bench.clock.advance(30_000);
    let started = tokio::time::Instant::now();
    assert_eq!(bench.ask_by(100).join_all().await, vec![Ok(1); 100]);
    assert_eq!(started.elapsed().as_secs(), REFRESH_WITHIN.as_secs());
    assert_eq!(bench.exchanges(), 2);
    assert_eq!(bench.board.get("token").expect("registered").restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_said_is_in_the_fault() {
    struct Broken;
    #[ractor::async_trait]
    impl TokenSource for Broken {
        async fn load(&self) -> Result<Option<StoredToken>, TokenFault> {
            panic!("no such column")
        }
        async fn refresh(&self, _: &StoredToken) -> Result<StoredToken, TokenFault> {
            Err(TokenFault::NotConnected)
        }
    }
    let clock = ManualClock::at(NOW);
    let tokens = Tokens::new();
    assert_eq!(
        tokens.get().await.expect_err("not started").to_string(),
        "the access token is currently not available: the token actor is down; it restarts automatically, \
         and its vitals hold the reason"
    );
    let child = tokens.child(Arc::new(Broken), clock.clone(), jitter::fixed(0.0));
    let board = VitalsBoard::new(clock);
    let _tree = Tree::spawn("token-broken", &board, vec![child]).await.expect("starts");
    let fault = tokens.get().await.expect_err("broken");
    assert_eq!(fault, down("reading the credential: panicked: no such column"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_handed_out_again() {
    let dead = || TokenFault::Dead { problem: "password changed; connect again".into() };
    let bench = run("token-dead", Some(token(1, DAY)), [Exchange::Fails(dead())], OPEN).await;
    assert_eq!(bench.version().await, Err(dead()));
    assert_eq!(bench.version().await, Err(dead()));
    assert_eq!(bench.exchanges(), 1);

    bench.source.store(Ok(Some(token(2, 60 * DAY))));
    assert_eq!(bench.version().await, Ok(2));
    let TokenFault::Dead { problem } = dead() else { unreachable!() };
    bench.tokens.dead(1, "a late word about the old one".into());
    assert_eq!(bench.version().await, Ok(2));
    bench.tokens.dead(2, problem);
    assert_eq!(bench.version().await, Err(dead()));
}

#[tokio::test(start_paused = true)]
async fn a_credential_changed_elsewhere_during_the_exchange_wins() {
    let plan = [Exchange::Gives(60 * DAY)];
    let bench = run("token-superseded", Some(token(1, DAY)), plan, 0).await;
    let askers = bench.ask_by(10);
    settle().await;
    bench.source.store(Ok(Some(token(9, 60 * DAY))));
    bench.source.exchange_gate.add_permits(1);
    assert_eq!(askers.join_all().await, vec![Ok(9); 10]);

    // A disconnect during the exchange is not undone.
    bench.source.store(Ok(Some(token(10, DAY))));
    bench.source.plan.lock().unwrap().push_back(Exchange::Gives(60 * DAY));
    let askers = bench.ask_by(10);
    settle().await;
    bench.source.store(Ok(None));
    bench.source.exchange_gate.add_permits(1);
    assert_eq!(askers.join_all().await, vec![Err(TokenFault::NotConnected); 10]);
}

#[tokio::test(start_paused = true)]
async fn endless_change_ends_in_an_answer() {
    let plan = (0..4).map(|_| Exchange::Fails(TokenFault::Superseded));
    let bench = run("token-endless", Some(token(1, DAY)), plan, OPEN).await;
    assert_eq!(bench.version().await, Ok(1));
    assert_eq!((bench.loads(), bench.exchanges()), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_report_of_an_older_generation_is_ignored() {
    let plan = [Exchange::Fails(TokenFault::Dead { problem: "of the old credential".into() })];
    let bench = run("token-generation", Some(token(1, DAY)), plan, 0).await;
    let askers = bench.ask_by(10);
    settle().await;
    assert_eq!(bench.exchanges(), 1);
    // The version is the same on purpose: only the generation distinguishes the reports.
    bench.source.store(Ok(Some(token(1, 60 * DAY))));
    bench.tokens.forget();
    assert_eq!(askers.join_all().await, vec![Ok(1); 10], "the waiters do not wait for the old exchange");
    bench.source.exchange_gate.add_permits(1);
    settle().await;
    assert!(bench.source.plan.lock().unwrap().is_empty(), "the old exchange reported");
    assert_eq!(bench.version().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_older_report_does_not_answer_for_the_exchange_under_way() {
    let dead = TokenFault::Dead { problem: "of the old credential".into() };
    let plan = [Exchange::Fails(dead), Exchange::Gives(60 * DAY)];
    let bench = run("token-overtaken", Some(token(1, DAY)), plan, 0).await;
    let mut askers = bench.ask_by(10);
    settle().await;
    bench.source.store(Ok(Some(token(5, DAY))));
    bench.tokens.forget();
    settle().await;
    assert_eq!(bench.exchanges(), 2);
    bench.source.exchange_gate.add_permits(1);
    settle().await;
    assert_eq!(bench.source.plan.lock().unwrap().len(), 1, "the old exchange reported");
    assert!(askers.try_join_next().is_none());
    bench.source.exchange_gate.add_permits(1);
    assert_eq!(askers.join_all().await, vec![Ok(6); 10]);
}

#[tokio::test(start_paused = true)]
async fn a_new_token_as_short_as_the_old_is_not_exchanged_on_each_request() {
    let plan = [Exchange::Gives(DAY), Exchange::Gives(60 * DAY)];
    let bench = run("token-short", Some(token(1, DAY)), plan, OPEN).await;
    for _ in 0..5 {
        assert_eq!(bench.version().await, Ok(2));
    }
    bench.clock.advance(60 * 60 * 1_000);
    assert_eq!(bench.version().await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn forget_ends_the_back_off() {
    let plan = [Exchange::Fails(down("reset")), Exchange::Gives(60 * DAY)];
    let bench = run("token-forget", Some(token(1, DAY)), plan, OPEN).await;
    assert_eq!(bench.version().await, Ok(1));
    bench.tokens.forget();
    assert_eq!(bench.version().await, Ok(2));
}
