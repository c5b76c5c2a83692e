//! `/setup/import`: a file of products from the browser.

use askama::Template;
use axum::body::Bytes;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::response::Response;
use catalog_sync::admin::import::{self, ImportAsked, ImportReport};

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::shell::to_the_end;
use crate::page::frame::{Frame, Place, Visit};
use crate::page::shell::with_status;
use crate::page::words::{self, sentence};

#[derive(Template)]
#[template(path = "setup_import.html")]
struct Imported {
    frame: Frame,
    /// The report, or why there is none.
    outcome: Result<ImportReport, String>,
}

/// What the form sends.
#[derive(Default)]
struct Upload {
    file: Bytes,
    is_tried: bool,
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
    let Upload { file, is_tried } = read?;
    if file.is_empty() {
        return Err(ApiError::bad_request("choose a file first: one product a line, as JSON"));
    }
    let app = std::sync::Arc::clone(&api.app);
    let asked = ImportAsked { dry_run: is_tried, ..ImportAsked::default() };
    let work = async move {
        let report = import::import(&app, &file, asked).await;
        drop(turn);
        report
    };
    Ok(to_the_end(work).await?)
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
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("file") => upload.file = field.bytes().await.map_err(broken)?,
            Some("try") => upload.is_tried = true,
            _ => {}
        }
    }
    if upload.file.len() > most {
        return Err(too_long());
    }
    Ok(upload)
}
