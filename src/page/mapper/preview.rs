//! `/mapper/preview…`: what a module would change, before it is active.

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::report::{Report, in_report};
use super::{Chosen, Question, Upload, asked, changed, duration_fact, everything, named, refused, retried_fact};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use crate::http::extract::PreviewId;
use crate::page::flash;
use crate::page::frame::{Frame, Place, Visit};
use crate::page::shell::{page, see_other};
use crate::page::words;
use catalog_sync::admin::mapper;
use catalog_sync::admin::preview::{self, PreviewState, PreviewView};
use catalog_sync::domain::advice;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        // The page of a refused file has this address; loading it again shows the page without the refusal.
        .route("/mapper/preview", get(async || see_other("/mapper")).post(start))
        // The form's own extractor sets the limit.
        .layer(DefaultBodyLimit::disable())
        .route("/mapper/preview/{id}", get(show))
        .route("/mapper/preview/{id}/cancel", post(cancel))
        .route("/mapper/preview/{id}/activate", get(ask).post(activate))
}

#[derive(Template)]
#[template(path = "mapper_preview.html")]
struct Show {
    frame: Frame,
    preview: PreviewView,
    report: Option<Report>,
    /// The active mapper, when it is no longer the one that the report compares with.
    changed_since: Option<String>,
    is_active: bool,
}

impl Show {
    fn may_activate(&self) -> bool {
        self.frame.may_manage && self.report.is_some() && self.preview.file_stored && !self.is_active
    }
}

fn path(id: &str) -> String {
    format!("/mapper/preview/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

async fn start(_: Manage, State(api): State<Api>, visit: Visit, sent: Upload) -> Result<Response, ApiError> {
    let Upload { file, bytes } = sent;
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return refused(&api, visit, file, error).await,
    };
    match preview::start(&api.app, &api.previewing, bytes).await {
        Ok(begun) => Ok(see_other(&path(&begun.id))),
        Err(error) => refused(&api, visit, file, error.into()).await,
    }
}

async fn show(State(api): State<Api>, visit: Visit, PreviewId(id): PreviewId) -> Result<Response, ApiError> {
    let mut preview = preview::find(&api.app, &id).await?;
    let active = mapper::state(&api.app).await?.active;
    let title = format!("Preview of {}", named(&preview.module.name, &preview.module.version, &preview.module.digest));
    let frame = Frame::load(&api, visit, Place::Mapper, title).await?;
    let report = preview.report.take();
    let is_active = active.digest == preview.module.digest;
    let is_other = report.as_ref().is_some_and(|report| report.active.digest != active.digest);
    let changed_since = (is_other && !is_active).then(|| super::named_view(&active));
    page(&Show { frame, report: report.map(in_report), changed_since, is_active, preview })
}

async fn cancel(_: Manage, State(api): State<Api>, PreviewId(id): PreviewId) -> Result<Response, ApiError> {
    preview::cancel(&api.app, &id).await?;
    Ok(see_other(&flash::with(&path(&id), "cancelled", 0)))
}

async fn ask(_: Manage, State(api): State<Api>, visit: Visit, PreviewId(id): PreviewId) -> Result<Response, ApiError> {
    let preview = preview::find(&api.app, &id).await?;
    let Some(report) = &preview.report else { return Ok(see_other(&path(&id))) };
    let active = mapper::state(&api.app).await?.active;
    let mut facts = vec![
        format!("It takes the place of {}. A rollback restores that one.", super::named_view(&active)),
        retried_fact(&api, &preview.module.digest).await?,
    ];
    if report.active.digest != active.digest {
        facts.push(
            "Another mapper was activated since this preview, so its numbers no longer tell the difference.".into(),
        );
    }
    let effect = &report.effect;
    let sent = i64::try_from(effect.pushes.saturating_add(effect.deletes)).unwrap_or(i64::MAX);
    let remap = format!(
        "{} mapped again, behind what the shop changes. By the preview {} sent and {} removed from Meta because of it. {}",
        words::counted(everything(&api).await?, "variant is", "variants are"),
        words::counted(effect.pushes, "payload is", "payloads are"),
        words::counted(effect.deletes, "item is", "items are"),
        duration_fact(&api, sent, "By these numbers").await?,
    );
    let question = Question {
        title: format!("Activate {}?", named(&preview.module.name, &preview.module.version, &preview.module.digest)),
        facts,
        action: format!("{}/activate", path(&id)),
        button: "Activate",
        remap: Some(remap),
        active: None,
        back: path(&id),
    };
    asked(&api, visit, question).await
}

async fn activate(
    _: Manage,
    State(api): State<Api>,
    PreviewId(id): PreviewId,
    Form(Chosen { remap, .. }): Form<Chosen>,
) -> Result<Response, ApiError> {
    let done = mapper::activate_previewed(&api.app, &id, remap).await?;
    Ok(changed(&done))
}
