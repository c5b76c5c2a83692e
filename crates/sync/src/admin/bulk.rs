//! Actions on many variants: on everything that a filter selects, or on chosen ones.
//!
//! Promises: [`count`] returns the exact number of variants that [`apply`] touches at that moment, and `apply` refuses when
//! it grew beyond what was confirmed. Everything that is selected at the beginning is touched once, whatever changes
//! meanwhile: the walk sees one moment. Each chunk is a transaction of its own, so nothing else waits for long. An action
//! that was cut off can be repeated: what is asked for already is not asked for twice.
//! Left out on purpose: actions on single variants ([`super::intents`]).

use serde_json::{Map, Value};

use super::AdminError;
use super::audit::{self, Act, recorded};
use super::intents;
use crate::app::App;
use crate::clock::Millis;
use crate::domain::intent::{Intent, Lane, Origin};
use crate::store::items::walk::{From, Known, walk};
use crate::store::items::{self, Filter};
use crate::store::{StoreError, bulk, outbox, sync_state};

/// The number of variants of one transaction.
const CHUNK: usize = 2_000;
/// The number of ids that the audit trail keeps of a list.
const SHOWN: usize = 20;

/// What an operator does with many variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Decides again.
    Resync,
    /// Decides again, and sends the payload even when it is the one that Meta confirmed.
    Push,
    /// Removes the items from Meta. The next change of the shop brings one back.
    Delete,
    /// Removes the items from Meta and keeps them out.
    Exclude,
    /// Takes exclusions back.
    Include,
    /// Releases deletes that the mass-delete guard holds.
    Release,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] = [Self::Resync, Self::Push, Self::Delete, Self::Exclude, Self::Include, Self::Release];

    /// Returns its word in the API and on the page.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resync => "resync",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Exclude => "exclude",
            Self::Include => "include",
            Self::Release => "release",
        }
    }

    /// Returns the action with this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Whether items are removed from Meta.
    #[must_use]
    pub fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::Exclude | Self::Release)
    }

    /// Returns how many more variants than were confirmed it may touch: none where items are removed.
    fn leeway(self, confirmed: u64) -> u64 {
        if self.removes() { 0 } else { (confirmed / 10).max(10) }
    }
}

/// Returns the part of a filter that an action touches: what is excluded is not excluded again. `None`: nothing of it.
fn touched(filter: &Filter, action: Action) -> Option<Filter> {
    let excluded = |wanted| match filter.excluded {
        Some(asked) if asked != wanted => None,
        _ => Some(Filter { excluded: Some(wanted), ..filter.clone() }),
    };
    match action {
        Action::Resync | Action::Push | Action::Delete => Some(filter.clone()),
        Action::Exclude => excluded(false),
        Action::Include => excluded(true),
        Action::Release => Some(Filter { held: true, ..filter.clone() }),
    }
}

/// Returns the number of variants that an action on what the filter selects would touch now. Of a whole large shop it is up
/// to half a minute old; [`apply`] counts again before it changes anything.
///
/// # Errors
/// When the database query fails.
pub async fn count(app: &App, filter: &Filter, action: Action) -> Result<u64, AdminError> {
    let Some(filter) = touched(filter, action) else { return Ok(0) };
    if filter.is_by_state() {
        return Ok(whole(app.totals().await?.of(filter.status)));
    }
    let mut tx = app.db.snapshot().await?;
    Ok(whole(items::count(&mut tx, &filter).await?))
}

fn whole(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// Carries out an action on what the filter selects; returns the number of variants that it touched. `confirmed` is the
/// number that the operator agreed to, if one was asked for.
///
/// # Errors
/// [`AdminError::Outgrown`] when the filter selects more than that; nothing is changed then. When the database query
/// fails, chunks that were committed stand.
pub async fn apply(app: &App, filter: &Filter, action: Action, confirmed: Option<u64>) -> Result<u64, AdminError> {
    let Some(touched) = touched(filter, action) else { return Ok(0) };
    let act = Act::new(match action {
        Action::Resync => audit::Action::Resync,
        Action::Push => audit::Action::Push,
        Action::Delete => audit::Action::Delete,
        Action::Exclude => audit::Action::Exclude,
        Action::Include => audit::Action::Include,
        Action::Release => audit::Action::HeldReleased,
    });
    let act = act.with("filter", told(filter));
    recorded(app, act, run(app, &touched, action, confirmed), |variants, details| details.add("variants", *variants))
        .await
}

/// What the audit trail keeps of a filter.
fn told(filter: &Filter) -> Value {
    let Filter {
        status,
        contains,
        eligible_only,
        warning,
        cause,
        held,
        parked,
        excluded,
        vendors,
        brands,
        categories,
        ids,
    } = filter;
    let list = |ids: &Option<Vec<String>>| {
        ids.as_ref().map(|ids| Value::from(ids.iter().take(SHOWN).cloned().collect::<Vec<_>>()))
    };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let flag = |is_set: bool| is_set.then_some(Value::Bool(true));
    let parts = [
        ("status", status.map(Value::from)),
        ("search", text(contains)),
        ("eligibleOnly", flag(*eligible_only)),
        ("warning", text(warning)),
        ("cause", text(cause)),
        ("held", flag(*held)),
        ("parked", flag(*parked)),
        ("excluded", excluded.map(Value::Bool)),
        ("vendors", list(vendors)),
        ("brands", list(brands)),
        ("categories", list(categories)),
        ("ids", list(ids)),
    ];
    let given = parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

async fn run(app: &App, filter: &Filter, action: Action, confirmed: Option<u64>) -> Result<u64, AdminError> {
    let _turn = app.bulk.lock().await;
    let mut moment = app.db.snapshot().await?;
    let found = whole(items::count(&mut moment, filter).await?);
    if let Some(confirmed) = confirmed
        && found > confirmed.saturating_add(action.leeway(confirmed))
    {
        return Err(AdminError::Outgrown { confirmed, found });
    }
    // What concerns few goes before the shop's own changes, as for single variants.
    let is_large = found > u64::try_from(intents::MOST).unwrap_or(u64::MAX);
    let now = app.now();
    let known = if is_large { Known::from(&items::totals(&mut moment).await?) } else { Known::NOTHING };
    let mut next = None;
    let mut touched = 0;
    loop {
        let from = next.as_ref().map_or(From::Start, From::After);
        let step = walk(&mut moment, filter, from, CHUNK, known).await?;
        let mut variants: Vec<String> = step.found.into_iter().map(|position| position.id).collect();
        if !variants.is_empty() {
            // Rows are locked in the order of the ids, as everywhere.
            variants.sort_unstable();
            write(app, &variants, action, is_large, now).await?;
            touched += variants.len();
            app.work_arrived();
        }
        next = step.more;
        if next.is_none() {
            return Ok(touched as u64);
        }
    }
}

async fn write(app: &App, variants: &[String], action: Action, is_large: bool, now: Millis) -> Result<(), StoreError> {
    let mut tx = app.db.write().await?;
    let intent = match action {
        Action::Resync => Some(Intent::Upsert),
        Action::Push => {
            sync_state::forget_hashes(&mut tx, variants).await?;
            Some(Intent::Upsert)
        }
        Action::Delete => Some(Intent::Delete),
        Action::Exclude | Action::Include => {
            sync_state::set_excluded(&mut tx, variants, action == Action::Exclude, now).await?;
            Some(Intent::Upsert)
        }
        Action::Release => None,
    };
    match intent {
        Some(intent) => {
            let lane = if is_large { Lane::Bulk } else { Lane::Prompt };
            if matches!(action, Action::Exclude | Action::Include) {
                // The drain may be sending what an open intent asked for before, so an open one says nothing of the change.
                outbox::append_to(&mut tx, lane, variants, intent, Origin::Operator, now).await?;
            } else {
                outbox::append_once(&mut tx, lane, variants, intent, now).await?;
            }
        }
        None => {
            outbox::release(&mut tx, variants, now).await?;
        }
    }
    tx.commit().await
}

/// Queues every failed variant again, with the kind of intent that failed; returns their number.
///
/// # Errors
/// When the database query fails.
pub async fn resync_failed(app: &App) -> Result<u64, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let enqueued = bulk::requeue_failed(&mut tx, app.now()).await?;
        tx.commit().await?;
        app.work_arrived();
        Ok(enqueued)
    };
    recorded(app, Act::new(audit::Action::ResyncFailed), work, |variants, details| details.add("variants", *variants))
        .await
}

/// Queues every skipped variant again; returns their number.
///
/// # Errors
/// When the database query fails.
pub async fn resync_skipped(app: &App) -> Result<u64, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let enqueued = bulk::requeue_skipped(&mut tx, app.now()).await?;
        tx.commit().await?;
        app.work_arrived();
        Ok(enqueued)
    };
    recorded(app, Act::new(audit::Action::ResyncSkipped), work, |variants, details| details.add("variants", *variants))
        .await
}

/// Releases the deletes that the mass-delete guard holds back; returns the number of their variants.
///
/// # Errors
/// When the database query fails.
pub async fn release_held(app: &App) -> Result<i64, AdminError> {
    let work = async {
        let mut tx = app.db.write().await?;
        let released = outbox::release_held(&mut tx, app.now()).await?;
        tx.commit().await?;
        app.work_arrived();
        Ok(released)
    };
    recorded(app, Act::new(audit::Action::HeldReleased), work, |variants, details| details.add("variants", *variants))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_touches_what_it_would_change() {
        let of = |excluded| Filter { excluded, status: Some("failed"), ..Filter::default() };
        for (action, asked, expected) in [
            (Action::Resync, None, Some(of(None))),
            (Action::Delete, Some(true), Some(of(Some(true)))),
            (Action::Exclude, None, Some(of(Some(false)))),
            (Action::Exclude, Some(true), None),
            (Action::Include, None, Some(of(Some(true)))),
            (Action::Include, Some(false), None),
            (Action::Release, None, Some(Filter { held: true, ..of(None) })),
        ] {
            assert_eq!(touched(&of(asked), action), expected, "{action:?} {asked:?}");
        }
    }

    #[test]
    fn what_removes_items_touches_no_more_than_was_confirmed() {
        for (action, confirmed, most) in [
            (Action::Resync, 5, 15),
            (Action::Push, 1_000, 1_100),
            (Action::Include, 0, 10),
            (Action::Delete, 1_000, 1_000),
            (Action::Exclude, 1, 1),
            (Action::Release, 50, 50),
        ] {
            assert_eq!(confirmed + action.leeway(confirmed), most, "{action:?}");
            assert_eq!(Action::named(action.as_str()), Some(action));
        }
        assert_eq!(Action::named("destroy"), None);
    }
}
