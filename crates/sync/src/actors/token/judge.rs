//! The decisions about a token: hand it out, exchange it first, or return a fault. Pure.

use std::time::Duration;

use super::{StoredToken, TokenFault};
use crate::clock::Millis;
use crate::domain::backoff::Backoff;

/// A token that expires is exchanged from this long before its expiry, because an expired token cannot be exchanged.
const REFRESH_BEFORE: Millis = 7 * 24 * 60 * 60 * 1_000;

/// Waits between failed exchanges.
const BACKOFF: Backoff = Backoff { start: Duration::from_secs(30), cap: Duration::from_secs(15 * 60) };

/// When an exchange returns a token that is due for renewal at once, the next exchange waits this long.
const SHORT_TOKEN_PAUSE: Millis = 60 * 60 * 1_000;

/// The decision about a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Hand,
    Refresh,
    Fault(TokenFault),
}

/// What is known about the current credential from earlier calls.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The version that Meta refused, with the fault.
    refused: Option<(i64, TokenFault)>,
    pause: Option<Pause>,
}

#[derive(Debug)]
struct Pause {
    /// The version that it applies to. A newer credential starts without a pause.
    version: i64,
    failures: u32,
    until: Millis,
}

impl Memory {
    pub(super) fn judge(&self, token: &StoredToken, now: Millis) -> Judgement {
        match self.usable(token, now) {
            Err(fault) => Judgement::Fault(fault),
            Ok(()) if self.paused(token, now) || !wants_refresh(token, now) => Judgement::Hand,
            Ok(()) => Judgement::Refresh,
        }
    }

    /// Returns whether Meta would accept the token, as far as known.
    pub(super) fn usable(&self, token: &StoredToken, now: Millis) -> Result<(), TokenFault> {
        if let Some((version, fault)) = &self.refused
            && *version == token.version
        {
            return Err(fault.clone());
        }
        match token.expires_at {
            Some(at) if at <= now => Err(TokenFault::Expired { at }),
            _ => Ok(()),
        }
    }

    /// Records that Meta refused this version.
    pub(super) fn refused(&mut self, version: i64, fault: TokenFault) {
        // A late report about an older token says nothing about the current one.
        if self.refused.as_ref().is_none_or(|(known, _)| *known <= version) {
            self.refused = Some((version, fault));
        }
    }

    /// Records that an exchange of this version failed temporarily.
    pub(super) fn refresh_failed(&mut self, version: i64, now: Millis, jitter: f64) {
        let before = self.pause.as_ref().filter(|pause| pause.version == version);
        let failures = before.map_or(0, |pause| pause.failures).saturating_add(1);
        self.pause =
            Some(Pause { version, failures, until: now.saturating_add(BACKOFF.wait_millis(failures, jitter)) });
    }

    /// Records that an exchange returned this token.
    pub(super) fn refreshed(&mut self, token: &StoredToken, now: Millis) {
        self.pause = wants_refresh(token, now).then(|| Pause {
            version: token.version,
            failures: 0,
            until: now.saturating_add(SHORT_TOKEN_PAUSE),
        });
    }

    fn paused(&self, token: &StoredToken, now: Millis) -> bool {
        let pause = self.pause.as_ref();
        pause.is_some_and(|pause| pause.version == token.version && now < pause.until)
    }
}

fn wants_refresh(token: &StoredToken, now: Millis) -> bool {
    token.expires_at.is_some_and(|at| at.saturating_sub(now) <= REFRESH_BEFORE)
}

#[cfg(test)]
mod tests {
    use super::super::TokenKind;
    use super::*;

    const NOW: Millis = 1_764_000_000_000;
    const DAY: Millis = 86_400_000;

    fn token(kind: TokenKind, ends_in: Option<Millis>) -> StoredToken {
        StoredToken {
            token: "secret".into(),
            kind,
            expires_at: ends_in.map(|left| NOW + left),
            version: 3,
            account_id: None,
        }
    }

    #[test]
    fn kind_and_time_left_decide() {
        use Judgement::{Fault, Hand, Refresh};
        use TokenKind::{SystemUser, User};
        let expired = || Fault(TokenFault::Expired { at: NOW });
        let cases = [
            (User, None, Hand),
            (User, Some(7 * DAY + 1), Hand),
            (User, Some(7 * DAY), Refresh),
            (User, Some(1), Refresh),
            (User, Some(0), expired()),
            (SystemUser, None, Hand),
            (SystemUser, Some(7 * DAY + 1), Hand),
            (SystemUser, Some(1), Refresh),
            (SystemUser, Some(0), expired()),
        ];
        for (kind, ends_in, expected) in cases {
            let judged = Memory::default().judge(&token(kind, ends_in), NOW);
            assert_eq!(judged, expected, "{kind:?} {ends_in:?}");
        }
    }

    #[test]
    fn a_refused_version_stays_refused_and_only_that_one() {
        let mut memory = Memory::default();
        let dead = |problem: &str| TokenFault::Dead { problem: problem.into() };
        let mut token = token(TokenKind::SystemUser, None);
        memory.refused(3, dead("password changed"));
        memory.refused(2, dead("late word"));
        let fault = Judgement::Fault(dead("password changed"));
        assert_eq!(memory.judge(&token, NOW), fault);
        token.version = 4;
        assert_eq!(memory.judge(&token, NOW), Judgement::Hand);
    }

    #[test]
    fn failures_pause_longer_and_longer_per_version() {
        let mut memory = Memory::default();
        let mut token = token(TokenKind::User, Some(DAY));
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..7 {
            memory.refresh_failed(token.version, now, 0.0);
            let until = memory.pause.as_ref().expect("paused").until;
            assert_eq!(memory.judge(&token, until - 1), Judgement::Hand);
            assert_eq!(memory.judge(&token, until), Judgement::Refresh);
            waits.push((until - now) / 1_000);
            now = until;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
        memory.refresh_failed(token.version, now, 0.0);
        token.version += 1;
        assert_eq!(memory.judge(&token, now), Judgement::Refresh, "a new credential has no pause");
    }

    #[test]
    fn a_short_new_token_is_not_exchanged_at_once_again() {
        let mut memory = Memory::default();
        let short = token(TokenKind::User, Some(DAY));
        memory.refreshed(&short, NOW);
        assert_eq!(memory.judge(&short, NOW), Judgement::Hand);
        assert_eq!(memory.judge(&short, NOW + SHORT_TOKEN_PAUSE), Judgement::Refresh);
    }
}
