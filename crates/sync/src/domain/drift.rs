//! Drift: what Meta shows of an item is not what we hold to be true of it.
//!
//! Promises: pure. An item is judged only while nothing of ours is in motion ([`Candidate::fitness`]), and a finding is
//! confirmed only by a second look a grace later, so neither a push nor Meta's delay makes one. What cannot be read for
//! certain is told as such and never repaired. Only fields that we send count, and the special price, which shoppers pay.
//! Left out on purpose: repairing ([`crate::pipeline::drift`] asks the drain), and items that Meta has and we do not.

pub mod repair;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::comparison::{Agreement, Fields, Sides, compare};
use super::state::{SyncState, SyncStatus};
use crate::clock::Millis;
use crate::report::clip;

/// What is wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Meta does not have it.
    Missing,
    /// The price or the special price differs.
    Price,
    /// The availability differs.
    Availability,
    /// A text or another property differs.
    Text,
    /// The address of its page differs.
    Url,
    /// An image's address differs.
    Image,
    /// The shop says something else than what was sent last, and nothing is queued: a change came without an event.
    StaleLocal,
    /// The shop does not sell it any more, and nothing is queued. To send it again would delete it, which a broken source must
    /// not bring about.
    NotSold,
    /// Meta does not show it to shoppers.
    Hidden,
    /// Meta's review rejected it.
    Rejected,
    /// Meta could not fetch its images.
    ImageFailed,
    /// The price that Meta shows cannot be read for certain.
    Unparseable,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 12] = [
        Self::Missing,
        Self::Price,
        Self::Availability,
        Self::Text,
        Self::Url,
        Self::Image,
        Self::StaleLocal,
        Self::NotSold,
        Self::Hidden,
        Self::Rejected,
        Self::ImageFailed,
        Self::Unparseable,
    ];

    /// The words of the classes that sending the item again can repair.
    pub const REPAIRABLE: &[&str] = &["missing", "price", "availability", "text", "url", "image", "stale_local"];

    /// Returns its word in the store and in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Price => "price",
            Self::Availability => "availability",
            Self::Text => "text",
            Self::Url => "url",
            Self::Image => "image",
            Self::StaleLocal => "stale_local",
            Self::NotSold => "not_sold",
            Self::Hidden => "hidden",
            Self::Rejected => "rejected",
            Self::ImageFailed => "image_failed",
            Self::Unparseable => "unparseable",
        }
    }

    /// Returns whether sending the item again can repair it. Meta would hide or reject it again.
    #[must_use]
    pub fn is_repairable(self) -> bool {
        Self::REPAIRABLE.contains(&self.as_str())
    }

    /// Returns the class of a field that we send.
    fn of_field(field: &str) -> Self {
        match field {
            "price" | "sale_price" => Self::Price,
            "availability" => Self::Availability,
            "link" => Self::Url,
            "image_link" | "additional_image_link" => Self::Image,
            _ => Self::Text,
        }
    }
}

impl std::str::FromStr for Class {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|class| class.as_str() == word).ok_or_else(|| super::state::unknown_word(word))
    }
}

/// The fields to ask Meta for, besides those that are compared.
pub const STATE_FIELDS: [&str; 4] = ["currency", "visibility", "review_status", "image_fetch_status"];

/// A field with what we sent and what Meta shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The name under which it is sent, or the name of Meta's own field.
    pub field: String,
    /// What was sent; `None` when nothing was.
    pub ours: Option<String>,
    /// What Meta shows; `None` when it shows nothing.
    pub meta: Option<String>,
}

/// What is wrong with an item, by class.
pub type Findings = BTreeMap<Class, Vec<Difference>>;

/// The longest value that is kept of a difference, in characters.
const KEPT: usize = 300;

/// Compares what was sent with what Meta shows. Fields named in `ignored` do not count.
#[must_use]
pub fn judge(sent: &Fields, meta: &Fields, ignored: &[String]) -> Findings {
    let mut findings = Findings::new();
    let mut add = |class: Class, field: &str, ours: Option<&str>, meta: Option<&str>| {
        let kept = |text: Option<&str>| text.map(|text| clip(text, KEPT).into_owned());
        let difference = Difference { field: field.to_owned(), ours: kept(ours), meta: kept(meta) };
        findings.entry(class).or_default().push(difference);
    };
    let shown = |field: &str| meta.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is_unfetched = shown("image_fetch_status").is_some_and(|word| matches!(word, "FETCH_FAILED" | "PARTIAL_FETCH"));
    if is_unfetched {
        add(Class::ImageFailed, "image_fetch_status", None, shown("image_fetch_status"));
    }
    if shown("review_status").is_some_and(|word| word.eq_ignore_ascii_case("rejected")) {
        add(Class::Rejected, "review_status", None, shown("review_status"));
    }
    let hides_itself = ["visibility", "status"].iter().any(|field| {
        sent.get(*field).and_then(Value::as_str).is_some_and(|word| matches!(word, "staging" | "hidden" | "archived"))
    });
    if !hides_itself && shown("visibility").is_some_and(|word| !word.eq_ignore_ascii_case("published")) {
        add(Class::Hidden, "visibility", None, shown("visibility"));
    }
    for row in compare(Sides { now: None, sent: Some(sent), meta: Some(meta) }) {
        let class = Class::of_field(&row.field);
        let counts = match row.agreement {
            Agreement::Differs => !(is_unfetched && class == Class::Image),
            // Meta fills fields in by itself. A special price that we did not send is one that a shopper pays.
            Agreement::NotSent => row.field == "sale_price",
            Agreement::Unclear if class == Class::Price => {
                if !ignored.contains(&row.field) {
                    add(Class::Unparseable, &row.field, row.sent.as_deref(), row.meta.as_deref());
                }
                false
            }
            Agreement::Unclear | Agreement::Same | Agreement::NotTold => false,
        };
        if counts && !ignored.contains(&row.field) {
            add(class, &row.field, row.sent.as_deref(), row.meta.as_deref());
        }
    }
    findings
}

/// A variant that may be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The variant.
    pub variant_id: String,
    /// Its state.
    pub state: SyncState,
    /// When the state was written last: by a verdict, while it is synced.
    pub written_at: Millis,
    /// When its payload changes by time alone.
    pub reeval_at: Option<Millis>,
    /// Whether it has an open intent, also one that is parked or held.
    pub waits: bool,
}

/// Whether an item can be judged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// Meta confirmed what was sent, and nothing has moved since.
    Ready,
    /// It is in motion, or was a moment ago.
    Moving,
    /// We claim nothing of it.
    NotClaimed,
}

impl Candidate {
    /// Returns whether it can be judged in this catalog. Meta shows a verdict's effect after a while, at most `grace`.
    #[must_use]
    pub fn fitness(&self, catalog: &str, now: Millis, grace: Millis) -> Fitness {
        let state = &self.state;
        let is_claimed = state.at_meta
            && state.catalog_id.as_deref() == Some(catalog)
            && matches!(state.status, SyncStatus::Synced | SyncStatus::Submitted);
        let is_moving = self.waits
            || state.status == SyncStatus::Submitted
            || state.hash.is_none()
            || self.written_at > now - grace
            || self.reeval_at.is_some_and(|at| at <= now);
        match () {
            () if !is_claimed => Fitness::NotClaimed,
            () if is_moving => Fitness::Moving,
            () => Fitness::Ready,
        }
    }
}

/// Returns whether the next sweep is due. `every` is the time between two beginnings; zero means that none begins by itself. A
/// sweep that looked at nothing came while everything was in motion, so the next one follows after the grace.
#[must_use]
pub fn is_due(latest: Option<&Past>, every: Millis, grace: Millis, now: Millis) -> bool {
    let Some(latest) = latest else { return every > 0 };
    let wait = if latest.looked == 0 { every.min(grace) } else { every };
    every > 0 && latest.is_over && latest.started_at + wait <= now
}

/// The latest sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it began.
    pub started_at: Millis,
    /// Whether it has ended.
    pub is_over: bool,
    /// The number of items that it compared.
    pub looked: i64,
}

/// The share of the management allowance that the sweep leaves to others while pushes wait: it slows down by this factor.
const BUSY_FACTOR: u32 = 4;

/// Returns the time from one call of the sweep to the next. `period` is the time between two calls at the whole
/// allowance, `percent` the sweep's share of it. While pushes wait, it makes a fourth of the calls.
#[must_use]
pub fn pace(period: std::time::Duration, percent: u32, pushes_wait: bool) -> std::time::Duration {
    let spaced = period.saturating_mul(100) / percent.clamp(1, 100);
    if pushes_wait { spaced.saturating_mul(BUSY_FACTOR) } else { spaced }
}

#[cfg(test)]
mod tests;
