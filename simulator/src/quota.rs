//! Rolling windows of calls, and the headers that tell about them.

use std::collections::VecDeque;

use serde_json::json;

use crate::clock::Millis;

/// One allowance: the times of the calls that still count.
#[derive(Debug, Default)]
pub(crate) struct Window {
    calls: VecDeque<Millis>,
}

/// The result of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The call is refused.
    pub(crate) blocked: bool,
    /// Calls in percent of the allowance, this one included.
    pub(crate) percent: u32,
    /// Minutes until calls are accepted again, rounded up; 0 when not blocked.
    pub(crate) regain_minutes: i64,
}

impl Window {
    /// Counts one call at `now` against `allowed` calls in `span` milliseconds.
    pub(crate) fn charge(&mut self, now: Millis, span: Millis, allowed: u32, blocked_counts: bool) -> Usage {
        let allowed = allowed as usize;
        while self.calls.front().is_some_and(|&at| at <= now - span) {
            self.calls.pop_front();
        }
        let blocked = self.calls.len() >= allowed;
        // At most twice the allowance is kept: enough to be blocked for a whole span, and bounded.
        if (!blocked || blocked_counts) && self.calls.len() < allowed.saturating_mul(2).max(1) {
            self.calls.push_back(now);
        }
        let percent = u32::try_from(self.calls.len() * 100 / allowed.max(1)).unwrap_or(u32::MAX);
        let frees = self.calls.len().checked_sub(allowed).and_then(|over| self.calls.get(over)).copied();
        let regain_minutes = match frees {
            Some(at) if blocked => ((at + span - now).max(1) + 59_999) / 60_000,
            _ => 0,
        };
        Usage { blocked, percent, regain_minutes }
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
    }
}

/// The value of `X-Business-Use-Case-Usage`.
pub(crate) fn business_header(key: &str, bucket: &str, usage: Usage) -> String {
    json!({key: [{
        "type": bucket,
        "call_count": usage.percent,
        "total_cputime": usage.percent / 2,
        "total_time": usage.percent / 2,
        "estimated_time_to_regain_access": usage.regain_minutes,
    }]})
    .to_string()
}

/// The value of `X-App-Usage`.
pub(crate) fn app_header(usage: Usage) -> String {
    let half = usage.percent / 2;
    json!({"call_count": usage.percent, "total_time": half, "total_cputime": half}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_rolls() {
        let mut window = Window::default();
        for second in 0..8 {
            assert!(!window.charge(second * 1_000, 60_000, 8, false).blocked);
        }
        let refused = window.charge(8_000, 60_000, 8, false);
        assert_eq!(refused, Usage { blocked: true, percent: 100, regain_minutes: 1 });
        assert!(!window.charge(60_000, 60_000, 8, false).blocked, "the first call left the window");
        assert!(window.charge(60_001, 60_000, 8, false).blocked, "and only the first");
    }

    #[test]
    fn calling_on_while_blocked_makes_the_block_longer() {
        let mut window = Window::default();
        assert!(!window.charge(0, 60_000, 1, true).blocked);
        assert!(window.charge(30_000, 60_000, 1, true).blocked);
        assert!(window.charge(61_000, 60_000, 1, true).blocked, "the refused call counts");
    }
}
