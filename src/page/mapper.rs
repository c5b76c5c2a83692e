//! `/mapper`: which mapper is active and how it does, other modules, and the way back.
//!
//! Promises: a module becomes active only after a preview and a question that tells the numbers; rolling back, going back to
//! the built-in mapper and mapping again ask first, too.
//! Left out on purpose: activating a file without a preview. The API and the command line can.

mod preview;
mod report;
mod upload;

use std::borrow::Borrow;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use self::upload::Upload;
use super::flash;
use super::frame::{Frame, Place, Visit};
use super::shell::{page, see_other, with_status};
use super::words;
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use catalog_sync::admin::effect;
use catalog_sync::admin::mapper::{
    self, Activated, KnownModule, MapperState, MapperView, RunningMapper, Source, is_builtin,
};
use catalog_sync::admin::preview::{PreviewState, PreviewView, list as previews};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/mapper", get(show))
        .route("/mapper/rollback", get(ask_rollback).post(rollback))
        .route("/mapper/reset", get(ask_reset).post(reset))
        .route("/mapper/remap", get(ask_remap).post(remap))
        .merge(preview::routes())
}

/// A file that was not taken.
struct Refusal {
    file: String,
    why: String,
}

#[derive(Template)]
#[template(path = "mapper.html")]
struct Show {
    frame: Frame,
    state: MapperState,
    running: RunningMapper,
    previews: Vec<PreviewView>,
    modules: Vec<KnownModule>,
    refusal: Option<Refusal>,
    /// The largest module, in MiB.
    most: usize,
}

impl Show {
    async fn load(api: &Api, visit: Visit, refusal: Option<Refusal>) -> Result<Self, ApiError> {
        let mut frame = Frame::load(api, visit, Place::Mapper, "Mapper").await?;
        // The page of a refused upload is refreshed from here, too; what was wrong stands outside the refreshed part.
        "/mapper".clone_into(&mut frame.address);
        Ok(Self {
            frame,
            state: mapper::state(&api.app).await?,
            running: mapper::running(&api.app),
            previews: previews(&api.app).await?,
            modules: mapper::known(&api.app).await?,
            refusal,
            most: api.limits.module / (1024 * 1024),
        })
    }

    fn is_builtin(&self) -> bool {
        is_builtin(&self.state.active.digest)
    }

    /// Whether what is measured belongs to the active mapper: another one runs while that one cannot.
    fn is_running(&self) -> bool {
        self.running.digest == self.state.active.digest
    }

    fn is_active(&self, digest: &str) -> bool {
        self.state.active.digest == digest
    }
}

async fn show(State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    page(&Show::load(&api, visit, None).await?)
}

/// The page with what is wrong with a file. The browser does not send a page the path of a file, so it is chosen again.
async fn refused(api: &Api, visit: Visit, file: String, error: ApiError) -> Result<Response, ApiError> {
    let status = error.code().status();
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        return Err(error);
    }
    let why = error.for_people().to_owned();
    with_status(StatusCode::UNPROCESSABLE_ENTITY, &Show::load(api, visit, Some(Refusal { file, why })).await?)
}

/// A mapper as a person names it.
fn named(name: &str, version: &str, digest: &str) -> String {
    match name {
        _ if is_builtin(digest) => "the built-in mapper".to_owned(),
        // Its file, and with it the name, is no longer stored.
        "" => format!("the module {}", short(digest)),
        name => format!("{name} {version}"),
    }
}

fn named_view(view: &MapperView) -> String {
    named(&view.name, &view.version, &view.digest)
}

/// The beginning of a digest, which tells modules apart.
fn short(digest: &str) -> &str {
    digest.get(..12).filter(|_| !is_builtin(digest)).unwrap_or(digest)
}

/// Where a mapper came from.
fn source(word: &str) -> &'static str {
    match word {
        "api" => "upload or API",
        "cli" => "command line",
        "directory" => "watched folder",
        "rollback" => "rollback",
        _ => "part of this service",
    }
}

/// How a preview stands: words and tone.
fn standing(state: PreviewState) -> (&'static str, &'static str) {
    match state {
        PreviewState::Running => ("running", "busy"),
        PreviewState::Done => ("done", "good"),
        PreviewState::Failed => ("failed", "bad"),
        PreviewState::Cancelled => ("cancelled", "plain"),
        PreviewState::Lost => ("lost", "bad"),
    }
}

/// A time per variant.
fn each(time: impl Borrow<Duration>) -> String {
    match time.borrow().as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
    }
}

/// A memory size.
fn mebibytes(bytes: impl Borrow<usize>) -> String {
    let bytes = *bytes.borrow();
    format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
}

/// What an operator is asked before a change.
struct Question {
    title: String,
    /// What is done.
    facts: Vec<String>,
    /// Where the answer goes.
    action: String,
    /// What the button says.
    button: &'static str,
    /// Whether the operator chooses between mapping again now and later; with what mapping again means.
    remap: Option<String>,
    /// The digest of the mapper that was active when this was asked, where the answer depends on it.
    active: Option<String>,
    back: String,
}

#[derive(Template)]
#[template(path = "mapper_confirm.html")]
struct Confirm {
    frame: Frame,
    question: Question,
}

async fn asked(api: &Api, visit: Visit, question: Question) -> Result<Response, ApiError> {
    let frame = Frame::load(api, visit, Place::Mapper, "Mapper").await?;
    page(&Confirm { frame, question })
}

/// How many variants mapping everything again walks.
async fn everything(api: &Api) -> Result<i64, ApiError> {
    let totals = api.app.totals().await?;
    Ok((totals.variants - totals.gone).max(0))
}

/// What mapping everything again means.
async fn remap_fact(api: &Api) -> Result<String, ApiError> {
    let variants = everything(api).await?;
    Ok(format!(
        "{} mapped again, behind what the shop changes, and each payload that differs from what Meta has is sent. {}",
        words::counted(variants, "variant is", "variants are"),
        duration_fact(api, variants, "If all differ").await?,
    ))
}

/// How long it takes to send so many items.
async fn duration_fact(api: &Api, items: i64, which: &str) -> Result<String, ApiError> {
    let settings = api.app.load_settings().await?;
    let minutes = effect::minutes_for(&api.app, &settings, items).await?;
    let about = match minutes {
        0 | 1 => "a minute at most".to_owned(),
        minutes => format!("about {} minutes", words::number(minutes)),
    };
    Ok(format!("{which}, that takes {about} at the present budget."))
}

/// What an activation of the mapper with this digest does at once.
async fn retried_fact(api: &Api, digest: &str) -> Result<String, ApiError> {
    let retried = mapper::retried(&api.app, digest).await?;
    let count = match retried {
        mapper::MOST_COUNTED.. => format!("{} or more variants", words::number(mapper::MOST_COUNTED)),
        _ => words::counted(retried, "variant", "variants"),
    };
    Ok(match retried {
        0 => "No variant failed under another mapper, so none is tried again.".to_owned(),
        1 => "1 variant that failed under another mapper is tried again.".to_owned(),
        _ => format!("{count} that failed under another mapper are tried again."),
    })
}

async fn ask_rollback(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    let state = mapper::state(&api.app).await?;
    let Some(previous) = state.previous else { return Ok(see_other("/mapper")) };
    let question = Question {
        title: format!("Roll back to {}?", named_view(&previous)),
        facts: vec![
            format!("It takes the place of {}. Rolling back again restores that one.", named_view(&state.active)),
            retried_fact(&api, &previous.digest).await?,
        ],
        action: "/mapper/rollback".into(),
        button: "Roll back",
        remap: Some(remap_fact(&api).await?),
        active: Some(state.active.digest),
        back: "/mapper".into(),
    };
    asked(&api, visit, question).await
}

async fn ask_reset(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    let active = mapper::state(&api.app).await?.active;
    if is_builtin(&active.digest) {
        return Ok(see_other("/mapper"));
    }
    let question = Question {
        title: "Go back to the built-in mapper?".into(),
        facts: vec![
            format!("It takes the place of {}. A rollback restores that one.", named_view(&active)),
            retried_fact(&api, "builtin").await?,
        ],
        action: "/mapper/reset".into(),
        button: "Use the built-in mapper",
        remap: Some(remap_fact(&api).await?),
        active: None,
        back: "/mapper".into(),
    };
    asked(&api, visit, question).await
}

async fn ask_remap(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    let active = mapper::state(&api.app).await?.active;
    let question = Question {
        title: "Map everything again?".into(),
        facts: vec![format!("With {}: {}", named_view(&active), remap_fact(&api).await?)],
        action: "/mapper/remap".into(),
        button: "Map everything again",
        remap: None,
        active: None,
        back: "/mapper".into(),
    };
    asked(&api, visit, question).await
}

/// The answer to a [`Question`] with a choice.
#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    remap: bool,
    /// See [`Question::active`].
    active: Option<String>,
}

async fn rollback(
    manage: Manage,
    State(api): State<Api>,
    visit: Visit,
    Form(Chosen { remap, active }): Form<Chosen>,
) -> Result<Response, ApiError> {
    // Two people who confirm the same rollback must not undo each other.
    if active.is_some() && active != Some(mapper::state(&api.app).await?.active.digest) {
        return ask_rollback(manage, State(api), visit).await;
    }
    let done = mapper::rollback(&api.app, remap).await?;
    Ok(changed(&done))
}

async fn reset(
    _: Manage,
    State(api): State<Api>,
    Form(Chosen { remap, .. }): Form<Chosen>,
) -> Result<Response, ApiError> {
    let done = mapper::reset(&api.app, Source::Api, remap).await?;
    Ok(changed(&done))
}

async fn remap(_: Manage, State(api): State<Api>) -> Result<Response, ApiError> {
    mapper::remap(&api.app).await?;
    Ok(see_other(&flash::with("/mapper", "remap", 0)))
}

fn changed(done: &Activated) -> Response {
    let code = if done.changed { "activated" } else { "unchanged" };
    see_other(&flash::with("/mapper", code, done.requeued))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_told_in_one_unit() {
        assert_eq!(each(Duration::from_nanos(42_900)), "42 µs");
        assert_eq!(each(Duration::from_micros(1_390)), "1.3 ms");
        assert_eq!(mebibytes(1 << 20), "1.0 MiB");
        assert_eq!(mebibytes((3 << 20) + (1 << 19)), "3.5 MiB");
    }

    #[test]
    fn mappers_have_names_for_people() {
        assert_eq!(named("builtin", "0.1.0", "builtin-0.1.0-5965baac7b8b"), "the built-in mapper");
        assert_eq!(named("builtin", "1", "64aa1ee420e3cc6da199"), "builtin 1", "a module names itself");
        assert_eq!(named("margin-label", "1.2.0", "64aa1ee420e3cc6da199"), "margin-label 1.2.0");
        assert_eq!(named("", "", "64aa1ee420e3cc6da199"), "the module 64aa1ee420e3");
        assert_eq!(short("64aa1ee420e3cc6da199"), "64aa1ee420e3");
        assert_eq!(short("builtin-0.1.0-5965baac7b8b"), "builtin-0.1.0-5965baac7b8b");
        assert_eq!(short("é"), "é");
    }
}
