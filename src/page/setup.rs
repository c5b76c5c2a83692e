//! `/setup`: the way from an empty installation to a catalog in step with the shop, and then the connection.
//!
//! Promises: each step has its form in place and explains itself; what it shows of the future costs no call to Meta; what is
//! done is read from the installation itself, so the way can be left and taken up anywhere.
//! Left out on purpose: what the steps do ([`catalog_sync::admin`]).

mod catalog;
mod connect;
mod products;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use catalog_sync::admin::connection::{self, Connected};
use catalog_sync::admin::dry_run::What;
use catalog_sync::admin::forecast::{Forecast, Forecasts};
use catalog_sync::admin::{self, AdminError, bootstrap};
use catalog_sync::domain::advice;
use catalog_sync::domain::credential::TokenKind;
use catalog_sync::domain::settings::key;

use self::steps::{Facts, Mark, Step, steps};
use super::flash;
use super::frame::{Frame, Place, Visit};
use super::settings::form::{Control, Field, GROUPS, Reading, Sent, controls};
use super::settings::{Taken, status_of, take};
use super::shell::{page, see_other, with_status};
use super::words::{self, sentence};
use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;

/// How long a look at what would be sent may take. It is kept for half a minute, so most visits do not wait for it.
const LOOK: Duration = Duration::from_millis(400);
/// Most findings that are shown.
const FINDINGS: usize = 12;

/// Settings of the first step.
const OF_APP: [&str; 2] = [key::app_id, key::app_secret];
/// Settings without which items are not eligible, or are wrong.
const OF_SHOP: [&str; 2] = [key::storefront_base_url, key::currency];
/// Settings of the shop whose defaults are right for most.
const MORE_OF_SHOP: [&str; 3] = [key::storefront_product_path, key::default_condition, key::identifier_exists_fallback];

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/setup", get(read))
        .route("/setup/settings", post(save))
        .route("/setup/connect", get(connect::before).post(connect::begin))
        .route("/setup/disconnect", get(connect::ask_to_disconnect).post(connect::disconnect))
        .route("/setup/catalog", get(catalog::choose).post(catalog::select))
        .route(
            "/setup/import",
            get(products::ask).post(products::import).layer(DefaultBodyLimit::max(products::READ_ON)),
        )
        .route("/setup/bootstrap", get(ask_to_bootstrap).post(begin_bootstrap))
        .layer(Extension(Arc::new(Forecasts::default())))
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup {
    frame: Frame,
    steps: [Step; 7],
    facts: Facts,
    is_complete: bool,
    connected: Option<Connected>,
    /// The URI that the app has to allow, or what is missing to know it.
    redirect_uri: Result<String, String>,
    app: Vec<Control>,
    shop: Vec<Control>,
    /// Settings of the shop whose defaults are right for most.
    shop_more: Vec<Control>,
    forecast: Option<Result<Arc<Forecast>, String>>,
    api_url: String,
    products_mib: usize,
    /// Where pictures without an address of their own are; empty when that is not configured.
    pictures: String,
    /// Whether a sent form has something wrong in it.
    is_wrong: bool,
    /// Whether a form is shown as it was sent.
    is_given: bool,
}

impl Setup {
    /// Whether a step is shown with its content at first.
    fn is_open(&self, step: &Step) -> bool {
        match step.id {
            "app" if has_wrong(&self.app) => true,
            "shop" if has_wrong(&self.shop) || has_wrong(&self.shop_more) => true,
            _ => step.mark == Mark::Now,
        }
    }

    /// The findings that are shown.
    fn shown<'f>(&self, forecast: &'f Forecast) -> &'f [catalog_sync::admin::dry_run::Found] {
        &forecast.found[..forecast.found.len().min(FINDINGS)]
    }
}

/// Whether something is wrong with what was typed.
fn has_wrong(controls: &[Control]) -> bool {
    controls.iter().any(|control| control.wrong.is_some())
}

/// How a finding is called by its word in the use cases, with its tone.
fn called(what: &str) -> (&'static str, &'static str) {
    match What::ALL.into_iter().find(|known| known.as_str() == what) {
        Some(What::Fails) => ("would fail", "bad"),
        Some(What::Refused) => ("Meta will refuse it", "bad"),
        Some(What::Skipped) => ("not eligible", "plain"),
        Some(What::Warned) | None => ("sent with a warning", "warn"),
    }
}

/// Who the token belongs to.
fn token_of(connected: &Connected) -> &'static str {
    match connected.token_kind {
        TokenKind::User => "the person who connected",
        TokenKind::SystemUser => "a system user of the business",
    }
}

async fn read(
    State(api): State<Api>,
    visit: Visit,
    Extension(forecasts): Extension<Arc<Forecasts>>,
) -> Result<Response, ApiError> {
    shown(&api, visit, &forecasts, StatusCode::OK, &Sent::new(), &Reading::default()).await
}

async fn shown(
    api: &Api,
    visit: Visit,
    forecasts: &Forecasts,
    status: StatusCode,
    sent: &Sent,
    reading: &Reading,
) -> Result<Response, ApiError> {
    let mut frame = Frame::load(api, visit, Place::Setup, "Set-up").await?;
    frame.address = "/setup".to_owned();
    let settings = api.app.load_settings().await?;
    let connected = connection::find(&api.app).await?;
    let missing = connected.as_ref().map(Connected::missing).unwrap_or_default();
    let variants = api.app.totals().await.map(|totals| totals.variants - totals.gone)?;
    let facts = Facts::of(&frame.status, missing, settings.mapper.storefront_base_url.clone(), variants);
    let steps = steps(&facts);
    let is_complete = steps.iter().all(|step| step.mark == Mark::Done);
    let forecast = if facts.variants > 0 && !is_complete {
        Some(match forecasts.get(&api.app, LOOK).await {
            Ok(forecast) => Ok(forecast),
            Err(AdminError::Store(error)) => return Err(error.into()),
            Err(error) => Err(sentence(&error.to_string())),
        })
    } else {
        None
    };
    let values = settings.values();
    let fields = |keys: &[&str]| {
        let all = GROUPS.iter().flat_map(|group| group.fields);
        let listed = |key: &&str| all.clone().find(|field| field.key == *key).copied();
        let fields: Vec<Field> = keys.iter().filter_map(listed).collect();
        let mut controls = controls(&fields, &values, sent, reading);
        // Nothing is mapped yet that would be asked for again.
        controls.iter_mut().for_each(|control| control.is_mapped &= is_complete);
        controls
    };
    let redirect_uri = admin::connect::redirect_uri(&settings, &api.site.api_url);
    let setup = Setup {
        app: fields(&OF_APP),
        shop: fields(&OF_SHOP),
        shop_more: fields(&MORE_OF_SHOP),
        is_wrong: !reading.is_good(),
        is_given: !sent.is_empty(),
        redirect_uri: redirect_uri.map_err(|error| sentence(&error.to_string())),
        api_url: api.site.api_url.trim_end_matches('/').to_owned(),
        pictures: api.app.config.s3_public_url.clone(),
        products_mib: api.limits.products / 1024 / 1024,
        frame,
        steps,
        facts,
        is_complete,
        connected,
        forecast,
    };
    with_status(status, &setup)
}

/// `POST /setup/settings`: the settings of a step.
async fn save(
    _: Manage,
    State(api): State<Api>,
    visit: Visit,
    Extension(forecasts): Extension<Arc<Forecasts>>,
    Form(sent): Form<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let sent: Sent = sent.into_iter().collect();
    match take(&api, &sent).await? {
        Taken::Saved(count) => Ok(see_other(&flash::with("/setup", "saved", count))),
        Taken::Refused(reading) => shown(&api, visit, &forecasts, status_of(&reading), &sent, &reading).await,
        Taken::Edited(reading) => shown(&api, visit, &forecasts, StatusCode::OK, &sent, &reading).await,
        Taken::Asked(question) => question.shown(&api, visit, Place::Setup, "/setup/settings").await,
    }
}

#[derive(Template)]
#[template(path = "setup_bootstrap.html")]
struct Bootstrap {
    frame: Frame,
    eligible: i64,
    minutes: u64,
}

/// `GET /setup/bootstrap`: the number before the action.
async fn ask_to_bootstrap(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    let frame = Frame::load(&api, visit, Place::Setup, "Queue everything?").await?;
    let eligible = bootstrap::count(&api.app).await?;
    let settings = api.app.load_settings().await?;
    let minutes = admin::effect::minutes_for(&api.app, &settings, eligible).await?;
    page(&Bootstrap { frame, eligible, minutes })
}

/// `POST /setup/bootstrap`.
async fn begin_bootstrap(_: Manage, State(api): State<Api>) -> Result<Response, ApiError> {
    let queued = bootstrap::bootstrap(&api.app, false).await?;
    Ok(see_other(&flash::with("/setup", "bootstrap", queued)))
}
