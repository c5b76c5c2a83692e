//! `/setup/import`: a file of products from the browser.
//!
//! A file that is too long is read on for a while without being kept, because a browser shows an answer only after it has
//! sent everything.

use askama::Template;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::response::Response;
use catalog_sync::admin::import::{self, ImportAsked, ImportReport};

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::page::frame::{Frame, Place, Visit};
use crate::page::shell::{page, with_status};
use crate::page::words::{self, sentence};

use super::called;

/// How much of a request is read.
pub(super) const READ_ON: usize = 64 * 1024 * 1024;

#[derive(Template)]
#[template(path = "setup_import.html")]
struct Imported {
    frame: Frame,
    /// The report, or why there is none.
    outcome: Result<ImportReport, String>,
}

#[derive(Template)]
#[template(path = "import_ask.html")]
struct Ask {
    frame: Frame,
}

/// `GET /setup/import`: the form alone, for those who are set up.
pub(super) async fn ask(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    page(&Ask { frame: Frame::load(&api, visit, Place::Items, "Import products").await? })
}

/// What the form sends.
#[derive(Default)]
struct Upload {
    file: Vec<u8>,
    is_tried: bool,
    is_complete: bool,
}

/// `POST /setup/import`.
pub(super) async fn import(
    _: Manage,
    State(api): State<Api>,
    visit: Visit,
    upload: Result<Multipart, MultipartRejection>,
) -> Result<Response, ApiError> {
    let (status, outcome) = match take(&api, upload).await {
        Ok(report) => (StatusCode::OK, Ok(report)),
        Err(error) if error.code().status().is_client_error() => {
            (error.code().status(), Err(sentence(error.for_people())))
        }
        Err(error) => return Err(error),
    };
    let title = match &outcome {
        Err(_) => "The file was not imported",
        Ok(report) if report.dry_run => "What an import would bring",
        Ok(_) => "The file is imported",
    };
    let mut frame = Frame::load(&api, visit, Place::Setup, title).await?;
    frame.address = "/setup".to_owned();
    with_status(status, &Imported { frame, outcome })
}

async fn take(api: &Api, upload: Result<Multipart, MultipartRejection>) -> Result<ImportReport, ApiError> {
    let upload = upload.map_err(|_| ApiError::bad_request("send the form with a file"))?;
    // Before the file is read: each import keeps its file in memory.
    let Ok(turn) = std::sync::Arc::clone(&api.importing).try_acquire_owned() else {
        return Err(ApiError::new(Code::ImportRunning, "another import is running; try again when it has ended"));
    };
    let time = api.limits.time;
    let Ok(read) = tokio::time::timeout(time, read(upload, api.limits.products)).await else {
        return Err(ApiError::late(format!("the file did not arrive within {} s", time.as_secs())));
    };
    let Upload { file, is_tried, is_complete } = read?;
    if file.is_empty() {
        return Err(ApiError::bad_request("choose a file first: one product a line, as JSON"));
    }
    let asked = ImportAsked { dry_run: is_tried, complete: is_complete, ..ImportAsked::default() };
    let report = import::import(&api.app, &file, asked).await;
    drop(turn);
    Ok(report?)
}

async fn read(mut form: Multipart, most: usize) -> Result<Upload, ApiError> {
    let too_long = || {
        let most = most / 1024 / 1024;
        let hint = format!("the file is longer than {most} MiB; import it on the server: meta-catalog import FILE");
        ApiError::new(Code::PayloadTooLarge, hint)
    };
    let broken = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_long(),
        _ => ApiError::bad_request("the form is incomplete"),
    };
    let mut upload = Upload::default();
    let mut length = 0_usize;
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("file") => {
                while let Some(chunk) = field.chunk().await.map_err(broken)? {
                    length = length.saturating_add(chunk.len());
                    if length <= most {
                        upload.file.extend_from_slice(&chunk);
                    }
                }
            }
            Some("try") => upload.is_tried = true,
            Some("complete") => upload.is_complete = true,
            _ => {}
        }
    }
    if length > most { Err(too_long()) } else { Ok(upload) }
}
