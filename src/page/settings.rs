//! `/settings`: every setting with its help, its bounds and its default.
//!
//! Promises: what is wrong is told beside its field, and what was typed is kept; what a change leads to besides itself is
//! said on a page before it is saved; only what was changed is saved, and a change by somebody else meanwhile is told.
//! Left out on purpose: the settings that the selection of a catalog sets; they are shown.

pub mod form;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Form, Router};
use catalog_sync::admin::{self, effect};
use catalog_sync::domain::settings::find;
use serde_json::{Map, Value};

use self::form::{Control, GROUPS, Group, Reading, Sent, compare, controls, name_of, text_of, was};
use super::flash;
use super::frame::{Frame, Place, Visit};
use super::shell::{page, see_other, with_status};
use super::words::{self, counted};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/settings", get(read).post(save))
}

/// A group with its fields.
struct Shown {
    group: &'static Group,
    controls: Vec<Control>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    groups: Vec<Shown>,
    /// How many fields are wrong.
    wrong: usize,
}

async fn read(State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    shown(&api, visit, StatusCode::OK, &Sent::new(), &Reading::default()).await
}

/// The page, with what was typed where something was.
async fn shown(
    api: &Api,
    visit: Visit,
    status: StatusCode,
    sent: &Sent,
    reading: &Reading,
) -> Result<Response, ApiError> {
    let mut frame = Frame::load(api, visit, Place::Settings, "Settings").await?;
    frame.address = "/settings".to_owned();
    let current = admin::settings::read(&api.app).await?;
    let groups = GROUPS.iter().map(|group| Shown { group, controls: controls(group.fields, &current, sent, reading) });
    let groups = groups.collect();
    with_status(status, &SettingsPage { frame, groups, wrong: reading.wrong.len() + reading.theirs.len() })
}

async fn save(
    _: Manage,
    State(api): State<Api>,
    visit: Visit,
    Form(sent): Form<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let sent: Sent = sent.into_iter().collect();
    match take(&api, &sent).await? {
        Taken::Saved(count) => Ok(see_other(&flash::with("/settings", "saved", count))),
        Taken::Refused(reading) => shown(&api, visit, status_of(&reading), &sent, &reading).await,
        Taken::Edited(reading) => shown(&api, visit, StatusCode::OK, &sent, &reading).await,
        Taken::Asked(question) => question.shown(&api, visit, Place::Settings, "/settings").await,
    }
}

/// The status of a form with something wrong in it.
pub(super) fn status_of(reading: &Reading) -> StatusCode {
    if reading.wrong.is_empty() { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY }
}

/// What became of a sent form.
pub(super) enum Taken {
    /// So many settings are saved.
    Saved(u64),
    /// Something is wrong, or somebody else changed the same meanwhile. Nothing is saved.
    Refused(Reading),
    /// The operator goes back from the question to the form.
    Edited(Reading),
    /// It leads to more than itself: the operator has to confirm it.
    Asked(Question),
}

/// Reads a sent form and saves what it changes.
pub(super) async fn take(api: &Api, sent: &Sent) -> Result<Taken, ApiError> {
    let current = admin::settings::read(&api.app).await?;
    let reading = compare(sent, &current);
    if sent.contains_key("edit") {
        return Ok(Taken::Edited(reading));
    }
    if !reading.is_good() {
        return Ok(Taken::Refused(reading));
    }
    let count = reading.changes.len() as u64;
    if count == 0 {
        return Ok(Taken::Saved(0));
    }
    if !sent.contains_key("confirmed") {
        let effect = effect::of(&api.app, &reading.changes).await?;
        if !effect.is_nothing() {
            return Ok(Taken::Asked(Question::new(&effect, &reading.changes, &current)));
        }
    }
    admin::settings::patch(&api.app, &reading.changes).await?;
    Ok(Taken::Saved(count))
}

/// A changed setting, as it is now and as it will be.
struct Changed {
    name: &'static str,
    from: String,
    to: String,
}

/// What a change leads to, to be confirmed.
pub(super) struct Question {
    effects: Vec<String>,
    changed: Vec<Changed>,
    /// What the form of the answer sends.
    fields: BTreeMap<String, String>,
}

#[derive(Template)]
#[template(path = "settings_confirm.html")]
struct QuestionPage {
    frame: Frame,
    question: Question,
    action: &'static str,
}

impl Question {
    fn new(effect: &effect::Effect, changes: &Map<String, Value>, current: &Map<String, Value>) -> Self {
        let mut question = Self { effects: effects(effect), changed: Vec::new(), fields: BTreeMap::new() };
        for (key, value) in changes {
            let Some(spec) = find(key) else { continue };
            let from = text_of(spec, current.get(key).unwrap_or(&Value::Null));
            let to = text_of(spec, value);
            question.fields.extend([(was(key), from.clone()), (key.clone(), to.clone())]);
            question.changed.push(Changed { name: name_of(spec.key), from, to });
        }
        question
    }

    /// The page, whose form is sent to the same address again.
    pub(super) async fn shown(
        self,
        api: &Api,
        visit: Visit,
        here: Place,
        action: &'static str,
    ) -> Result<Response, ApiError> {
        let mut frame = Frame::load(api, visit, here, "Save these changes?").await?;
        frame.address = action.to_owned();
        page(&QuestionPage { frame, question: self, action })
    }
}

fn effects(effect: &effect::Effect) -> Vec<String> {
    let mut said = Vec::new();
    if effect.asked_again > 0 {
        let (verb, it) = if effect.mapped.len() == 1 { ("is", "it") } else { ("are", "them") };
        let names: Vec<&str> = effect.mapped.iter().map(|key| name_of(key)).collect();
        said.push(format!(
            "“{}” {verb} read by the mapper, so {} asked again because of {it}. Only items whose result changes are sent, \
             in {} at most at the present pace.",
            names.join("”, “"),
            counted(effect.asked_again, "variant is", "variants are"),
            counted(effect.minutes, "minute", "minutes"),
        ));
    }
    if effect.sends_previewed {
        said.push("What was only previewed so far is queued again and sent to Meta.".to_owned());
    }
    if effect.only_previews {
        said.push("From now on nothing is sent to Meta. What would be sent is written to the log only.".to_owned());
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_change_leads_to_is_said_with_its_number() {
        let effect = effect::Effect {
            mapped: vec!["currency", "title_max_length"],
            asked_again: 12_000,
            minutes: 12,
            sends_previewed: true,
            only_previews: false,
        };
        assert_eq!(
            effects(&effect),
            [
                "“Currency”, “Longest title (characters)” are read by the mapper, so 12,000 variants are asked again because \
                 of them. Only items whose result changes are sent, in 12 minutes at most at the present pace.",
                "What was only previewed so far is queued again and sent to Meta.",
            ]
        );
        assert!(effects(&effect::Effect::default()).is_empty());
    }
}
