use proptest::prelude::*;

use super::*;

/// A realistic instant, so that the arithmetic is tested in its real range.
const NOW: Millis = 1_764_000_000_000;
const PERIOD: Millis = 7_650;

fn quota(calls: u32) -> Quota {
    Quota { calls: NonZeroU32::new(calls).expect("not zero"), per: Duration::from_secs(60) }
}

fn budget() -> Budget {
    Budget::new(quota(8))
}

fn throttled(budget: &mut Budget, now: Millis, regain: Option<Duration>, jitter: f64) {
    budget.report(now, None, CallReport::Throttled { regain }, jitter);
}

/// Requests a call until there is a permit. Returns when it was granted.
fn next_permit(budget: &mut Budget, mut now: Millis) -> Millis {
    while let Admission::ClosedUntil(until) = budget.ask(now) {
        assert!(until > now, "an answer that is not in the future");
        now = until;
    }
    now
}

#[test]
fn one_call_per_period_without_a_burst() {
    let mut budget = budget();
    assert_eq!(budget.ask(NOW), Admission::Permit);
    assert_eq!(budget.ask(NOW), Admission::ClosedUntil(NOW + PERIOD));
    assert_eq!(budget.ask(NOW + PERIOD - 1), Admission::ClosedUntil(NOW + PERIOD));
    assert_eq!(budget.ask(NOW + PERIOD), Admission::Permit);
    // A long pause saves up no permits.
    let later = NOW + 3_600_000;
    assert_eq!(budget.ask(later), Admission::Permit);
    assert_eq!(budget.ask(later), Admission::ClosedUntil(later + PERIOD));
}

/// Meta counts the arrival of calls. If each call takes up to a second, no minute contains a ninth call.
#[test]
fn late_calls_do_not_put_a_ninth_into_the_minute() {
    let mut budget = budget();
    let mut left = vec![next_permit(&mut budget, NOW)];
    for _ in 0..100 {
        let last = left[left.len() - 1];
        left.push(next_permit(&mut budget, last));
    }
    for window in left.windows(9) {
        let (latest_first, earliest_last) = (window[0] + 1_000, window[8]);
        assert!(earliest_last - latest_first >= 60_000, "{window:?}");
    }
    let used = 100.0 * 100.0 / ((left[100] - NOW) as f64 / 60_000.0 * 8.0);
    assert!(used > 97.0, "{used} % of the allowance");
}

#[test]
fn metas_own_time_closes_exactly_that_long() {
    let mut budget = budget();
    assert_eq!(budget.ask(NOW), Admission::Permit);
    throttled(&mut budget, NOW, Some(Duration::from_secs(300)), 0.9);
    assert_eq!(budget.closed_until(), Some(NOW + 300_000));
    assert_eq!(budget.ask(NOW + 299_999), Admission::ClosedUntil(NOW + 300_000));
    assert_eq!(budget.ask(NOW + 300_000), Admission::Permit);
    // A wait of more than a day is capped.
    throttled(&mut budget, NOW, Some(Duration::MAX), 0.0);
    assert_eq!(budget.closed_until(), Some(NOW + 86_400_000));
}

#[test]
fn throttles_double_to_a_quarter_hour_until_a_success() {
    let mut budget = budget();
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..6 {
        throttled(&mut budget, now, None, 0.0);
        let until = budget.closed_until().expect("closed");
        waits.push((until - now) / 1_000);
        now = until;
    }
    assert_eq!(waits, [60, 120, 240, 480, 900, 900]);
    budget.report(now, None, CallReport::Success, 0.0);
    // Jitter only lengthens. A wait of zero counts as none.
    throttled(&mut budget, now, Some(Duration::ZERO), 0.5);
    assert_eq!(budget.closed_until(), Some(now + 67_500));
}

#[test]
fn answers_to_calls_under_way_neither_lengthen_nor_end_a_throttle() {
    let mut budget = budget();
    throttled(&mut budget, NOW, None, 0.0);
    throttled(&mut budget, NOW + 1_000, None, 0.0);
    assert_eq!(budget.closed_until(), Some(NOW + 60_000));
    budget.report(NOW + 2_000, None, CallReport::Success, 0.0);
    assert_eq!(budget.ask(NOW + 2_000), Admission::ClosedUntil(NOW + 60_000));
    throttled(&mut budget, NOW + 60_000, None, 0.0);
    assert_eq!(budget.closed_until(), Some(NOW + 180_000), "the second in a row");
    // A shorter wait from Meta does not shorten the current one.
    throttled(&mut budget, NOW + 60_000, Some(Duration::from_secs(1)), 0.0);
    assert_eq!(budget.closed_until(), Some(NOW + 180_000));
}

#[test]
fn usage_slows_down_from_80_percent_and_speeds_back() {
    let mut budget = budget();
    assert_eq!(budget.ask(NOW), Admission::Permit);
    let mut at = |percent: Option<f64>| {
        budget.report(NOW, percent, CallReport::Success, 0.0);
        let Admission::ClosedUntil(until) = budget.ask(NOW) else { panic!("just called") };
        until - NOW
    };
    assert_eq!(at(Some(0.0)), PERIOD);
    assert_eq!(at(Some(80.0)), PERIOD);
    assert_eq!(at(Some(90.0)), PERIOD * 5 / 2);
    assert_eq!(at(Some(100.0)), PERIOD * 4);
    assert_eq!(at(Some(250.0)), PERIOD * 4);
    assert_eq!(at(Some(85.0)), (PERIOD * 7 + 3) / 4);
    assert_eq!(at(Some(f64::NAN)), PERIOD);
    assert_eq!(at(Some(100.0)), PERIOD * 4);
    assert_eq!(at(None), PERIOD * 5 / 2, "no header: halfway back");
    for _ in 0..5 {
        at(None);
    }
    assert_eq!(at(None), PERIOD);
}

/// When our own steady calls use the whole allowance, Meta reports 100 %, which is no reason to slow down. The same
/// header with fewer calls of ours is one.
#[test]
fn our_own_calls_at_the_allowed_pace_do_not_slow_us_down() {
    let mut budget = budget();
    let mut now = NOW;
    for call in 1..=40 {
        assert_eq!(budget.peek(now), Admission::Permit);
        assert_eq!(budget.ask(now), Admission::Permit, "call {call}");
        let percent = f64::from(call.min(8)) * 100.0 / 8.0;
        budget.report(now, Some(percent), CallReport::Success, 0.0);
        assert_eq!(budget.peek(now), Admission::ClosedUntil(now + PERIOD));
        now += PERIOD;
    }
    // A minute of silence, then one call: other callers use the allowance now.
    now += 60_000;
    assert_eq!(budget.ask(now), Admission::Permit);
    budget.report(now, Some(100.0), CallReport::Success, 0.0);
    assert_eq!(budget.peek(now), Admission::ClosedUntil(now + 4 * PERIOD));
    assert_eq!(budget.ask(now), Admission::ClosedUntil(now + 4 * PERIOD), "`ask` agrees with `peek`");
}

#[test]
fn a_loaded_last_call_and_closure_are_respected() {
    let mut fresh = budget();
    fresh.load(None, Some(NOW));
    assert_eq!(fresh.ask(NOW + 1), Admission::ClosedUntil(NOW + PERIOD));
    assert_eq!(fresh.ask(NOW + PERIOD), Admission::Permit);

    let mut closed = budget();
    closed.load(Some(NOW + 60_000), Some(NOW));
    assert_eq!(closed.ask(NOW + PERIOD), Admission::ClosedUntil(NOW + 60_000));

    // A stricter known state is kept.
    let mut known = budget();
    throttled(&mut known, NOW, None, 0.0);
    assert_eq!(next_permit(&mut known, NOW), NOW + 60_000);
    known.load(Some(NOW + 1), Some(NOW));
    assert_eq!(known.closed_until(), Some(NOW + 60_000));
    assert_eq!(known.ask(NOW + 60_001), Admission::ClosedUntil(NOW + 60_000 + PERIOD));
}

#[test]
fn a_clock_set_back_costs_one_period() {
    let mut budget = budget();
    assert_eq!(budget.ask(NOW), Admission::Permit);
    let back = NOW - 86_400_000;
    assert_eq!(next_permit(&mut budget, back), back + PERIOD);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(Millis),
    Report(Option<f64>),
    Throttle(Option<u64>),
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..20_000_i64).prop_map(Step::Wait),
        2 => proptest::option::of(0.0..120.0_f64).prop_map(Step::Report),
        1 => proptest::option::of(0..100_u64).prop_map(Step::Throttle),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    /// With any sequence of requests, reports, throttles and restores in another process.
    #[test]
    fn no_minute_holds_more_than_the_quota(
        calls in 1..40_u32,
        steps in proptest::collection::vec(step(), 1..300),
        jitter in 0.0..1.0_f64,
    ) {
        let mut budget = Budget::new(quota(calls));
        let mut now = NOW;
        let mut permits: Vec<Millis> = Vec::new();
        let mut closed = None;
        for step in steps {
            match step {
                Step::Wait(wait) => now += wait,
                Step::Report(usage) => budget.report(now, usage, CallReport::Success, jitter),
                Step::Throttle(regain) => {
                    throttled(&mut budget, now, regain.map(Duration::from_secs), jitter);
                    closed = budget.closed_until();
                    prop_assert!(closed > Some(now));
                }
                Step::Reload => {
                    let (closed_until, last_call) = (budget.closed_until(), budget.last_call());
                    budget = Budget::new(quota(calls));
                    budget.load(closed_until, last_call);
                }
            }
            match budget.ask(now) {
                Admission::Permit => {
                    prop_assert!(closed <= Some(now));
                    permits.push(now);
                }
                Admission::ClosedUntil(until) => prop_assert!(until > now),
            }
        }
        for (i, start) in permits.iter().enumerate() {
            let within = permits[i..].iter().take_while(|at| **at <= start + 60_000).count();
            prop_assert!(within <= calls as usize, "{within} of {calls}");
        }
    }
}

#[test]
fn usage_tells_what_is_left_and_when() {
    let unused = Usage {
        quota: quota(8),
        used: 0,
        left: 8,
        told_percent: None,
        next_call_at: None,
        closed_until: None,
        period: Duration::from_millis(7_650),
    };
    let mut budget = budget();
    assert_eq!(budget.usage(NOW), unused);
    let first = next_permit(&mut budget, NOW);
    let second = next_permit(&mut budget, first + 1);
    let told = Usage { used: 2, left: 6, next_call_at: Some(second + PERIOD), ..unused };
    assert_eq!(budget.usage(second), told);
    assert_eq!(budget.usage(second), told, "reading uses nothing");
    assert_eq!(budget.usage(second + PERIOD), Usage { next_call_at: None, ..told });
    assert_eq!(budget.usage(NOW + 60_000), Usage { used: 1, left: 7, ..unused }, "the first call is a minute old");

    throttled(&mut budget, second, Some(Duration::from_secs(300)), 0.0);
    let until = Some(second + 300_000);
    assert_eq!(budget.usage(second), Usage { left: 0, next_call_at: until, closed_until: until, ..told });
    let open = second + 300_000;
    assert_eq!(budget.usage(open), unused);
    budget.report(open, Some(90.0), CallReport::Success, 0.0);
    assert_eq!(budget.usage(open).told_percent, Some(90.0));
    assert!(budget.usage(open).period > unused.period, "calls are slowed down");
    assert_eq!(budget.usage(open + 60_000).told_percent, None, "it was told a minute ago");
    budget.report(open, Some(f64::NAN), CallReport::Success, 0.0);
    assert_eq!(budget.usage(open).told_percent, Some(90.0));
}
