//! The audit trail: every action of an operator, with its caller and its outcome.
//!
//! Promises: the row of an action is committed before the action begins and closed after it, so a process that ends in
//! between leaves a row that says "begun, end unknown", and an action that cannot be recorded is not done. The use cases
//! of this room record themselves (`recorded`), so neither an endpoint nor a page can forget it. The caller is the one
//! that the request around them authenticated ([`request`], [`caller_is`]); without a request it is a command on the
//! server. No secret is kept, and no text of an error: it may quote the request.
//! Left out on purpose: what the shop's own machine reports (`POST /events`), which is no action of an operator; the
//! commands that do their work without a use case (`import`, `token`, `keys`), which need access to the machine; requests
//! whose values are refused before anything is done.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::Value;
use tracing::warn;
use utoipa::ToSchema;

use super::AdminError;
use super::error::Coded;
use super::time::iso;
use crate::app::App;
use crate::domain::audit::bounded;
pub use crate::domain::audit::{Action, Caller, CallerKind, Details, Outcome};
use crate::report::chain;
use crate::store::StoreError;
use crate::store::audit::{self, Begun, Entry, Wanted};

tokio::task_local! {
    static CALLER: Arc<OnceLock<Caller>>;
}

/// Runs the work of one request. What it does is recorded as done by the caller that [`caller_is`] names in it.
pub async fn request<T>(work: impl Future<Output = T>) -> T {
    CALLER.scope(Arc::default(), work).await
}

/// Names the caller of the request under way, once it is authenticated. Returns whether it was not known before.
pub fn caller_is(caller: Caller) -> bool {
    CALLER.try_with(|known| known.set(caller).is_ok()).unwrap_or(true)
}

/// Lets work in a task of its own belong to the request under way.
pub fn within_this_request<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = CALLER.try_with(Arc::clone).unwrap_or_default();
    CALLER.scope(caller, work)
}

fn caller() -> Caller {
    CALLER.try_with(|known| known.get().cloned()).ok().flatten().unwrap_or_else(Caller::command)
}

/// An action that is about to begin.
#[derive(Clone, Debug)]
pub(super) struct Act {
    action: Action,
    subject: Option<String>,
    details: Details,
}

impl Act {
    pub(super) fn new(action: Action) -> Self {
        Self { action, subject: None, details: Details::default() }
    }

    /// Names what it is done to.
    pub(super) fn on(mut self, subject: &str) -> Self {
        self.subject = Some(bounded(subject));
        self
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.add(name, value);
        self
    }
}

/// Does an action and records it. `tell` adds what is known after a success.
pub(super) async fn recorded<T, E: Coded + From<StoreError>>(
    app: &App,
    act: Act,
    work: impl Future<Output = Result<T, E>>,
    tell: impl FnOnce(&T, &mut Details),
) -> Result<T, E> {
    let Act { action, subject, mut details } = act;
    let begun = Begun { action, subject: subject.as_deref(), details: &details.to_json() };
    let mut tx = app.db.write().await?;
    let id = audit::begin(&mut tx, &caller(), begun, app.now()).await?;
    tx.commit().await?;
    let done = work.await;
    let error = match &done {
        Ok(done) => {
            tell(done, &mut details);
            None
        }
        Err(error) => Some(error.code()),
    };
    if let Err(error) = finish(app, id, &details, error).await {
        warn!(action = action.as_str(), cause = chain(&error), "the end of an action was not recorded");
    }
    done
}

async fn finish(app: &App, id: i64, details: &Details, error: Option<&str>) -> Result<(), StoreError> {
    let mut tx = app.db.write().await?;
    audit::finish(&mut tx, id, &details.to_json(), error, app.now()).await?;
    tx.commit().await
}

/// An action of an operator.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number; later actions have higher ones.
    pub id: i64,
    /// When it began, ISO 8601.
    pub at: Option<String>,
    /// The caller.
    pub principal: AuditPrincipal,
    /// What was done.
    #[schema(schema_with = super::schema::audit_action)]
    pub action: String,
    /// What it was done to: a variant's id, names of settings, a catalog, a preview; null when it was done to no single thing.
    pub subject: Option<String>,
    /// What is known of it, by name; without secrets, long texts and lists cut.
    #[schema(value_type = Object)]
    pub details: Value,
    /// `open` (begun, end unknown), `ok` or `refused`.
    #[schema(schema_with = super::schema::audit_outcome)]
    pub outcome: String,
    /// The code of the error when it was refused or failed.
    pub error_code: Option<String>,
    /// When it ended, ISO 8601.
    pub finished_at: Option<String>,
}

/// The caller of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPrincipal {
    /// `api_token`, `user` or `command` (on the server, without a request).
    #[schema(schema_with = super::schema::audit_caller)]
    pub kind: String,
    /// The id of the token or of the user.
    pub id: String,
    /// The name of the token.
    pub name: Option<String>,
    /// The user who impersonates that user.
    pub impersonated_by: Option<String>,
}

impl From<Entry> for AuditEntry {
    fn from(row: Entry) -> Self {
        Self {
            id: row.id,
            at: iso(row.at),
            principal: AuditPrincipal {
                kind: row.principal_kind,
                id: row.principal_id,
                name: row.principal_name,
                impersonated_by: row.impersonator,
            },
            action: row.action,
            subject: row.subject,
            details: serde_json::from_str(&row.details).unwrap_or_default(),
            outcome: row.outcome,
            error_code: row.error_code,
            finished_at: row.finished_at.and_then(iso),
        }
    }
}

/// The query of the trail, not yet parsed.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditAsked<'q> {
    /// Only actions with a lower number.
    pub before: Option<&'q str>,
    /// Most actions of the page.
    pub limit: Option<&'q str>,
    /// The word of an action.
    pub action: Option<&'q str>,
    /// The id of a caller.
    pub principal: Option<&'q str>,
}

/// A part of the trail.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AuditPage {
    /// Actions, the latest first.
    pub entries: Vec<AuditEntry>,
    /// What to send as `before` for the next part; null when there is none.
    pub next: Option<i64>,
}

/// Most actions of one page.
pub const MOST: i64 = 200;
/// Longest id of a caller.
const LONGEST: usize = 200;

/// Lists actions, the latest first.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that is not valid.
pub async fn list(app: &App, asked: AuditAsked<'_>) -> Result<AuditPage, AdminError> {
    let (wanted, limit) = read(asked)?;
    let mut tx = app.db.read().await?;
    let mut rows = audit::list(&mut tx, wanted, limit + 1).await?;
    let whole = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > whole;
    rows.truncate(whole);
    let next = rows.last().map(|row| row.id).filter(|_| has_more);
    Ok(AuditPage { entries: rows.into_iter().map(Into::into).collect(), next })
}

fn read(asked: AuditAsked<'_>) -> Result<(Wanted<'_>, i64), AdminError> {
    let mut wrong = BTreeMap::new();
    let given = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let mut number = |name: &str, text: Option<&str>, most: i64| {
        let number = given(text)?.parse().ok().filter(|number| (1..=most).contains(number));
        if number.is_none() {
            wrong.insert(name.to_owned(), format!("takes a whole number from 1 to {most}"));
        }
        number
    };
    let (before, limit) = (number("before", asked.before, i64::MAX), number("limit", asked.limit, MOST));
    let action = given(asked.action).and_then(|word| {
        let known = Action::of(&word);
        if known.is_none() {
            wrong.insert("action".into(), "takes the word of an action".into());
        }
        known
    });
    let principal = asked.principal.filter(|id| !id.is_empty());
    if principal.is_some_and(|id| id.chars().count() > LONGEST || id.contains('\0')) {
        wrong.insert("principal".into(), format!("takes text of at most {LONGEST} characters"));
    }
    if !wrong.is_empty() {
        return Err(AdminError::invalid_parts("some query parameters are not valid", wrong));
    }
    Ok((Wanted { before, action, principal }, limit.unwrap_or(50)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_part_by_part() {
        let asked = AuditAsked { before: Some("17"), limit: Some(""), action: Some("resync"), principal: Some("u") };
        let wanted = Wanted { before: Some(17), action: Some(Action::Resync), principal: Some("u") };
        assert_eq!(read(asked).expect("taken"), (wanted, 50));
        let asked = AuditAsked { before: Some("0"), limit: Some("201"), action: Some("x"), principal: Some("\0") };
        let Err(AdminError::Invalid { details, .. }) = read(asked) else { panic!("refused") };
        assert_eq!(details.keys().collect::<Vec<_>>(), ["action", "before", "limit", "principal"]);
    }

    #[tokio::test]
    async fn work_in_a_task_of_its_own_has_the_caller_of_the_request() {
        assert_eq!(caller(), Caller::command());
        let known = Caller { kind: CallerKind::User, id: "u".into(), name: None, impersonator: None };
        let apart = request(async {
            caller_is(known.clone());
            tokio::spawn(within_this_request(async { caller() })).await.expect("it ends")
        });
        assert_eq!(apart.await, known);
        assert_eq!(caller(), Caller::command());
    }
}
