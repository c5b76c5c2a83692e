//! The file of a form.
//!
//! Promises: at most a module's length is kept in memory. A longer file is read on for a while without being kept, because a
//! browser shows an answer only after it has sent everything.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use catalog_sync::report::clip;

use crate::http::Api;
use crate::http::code::Code;
use crate::http::error::ApiError;

/// The name of the form's field.
const FIELD: &str = "module";
/// How much of a request is read.
const READ_ON: usize = 64 * 1024 * 1024;
/// Longest name of a file, in characters.
const LONGEST_NAME: usize = 100;

/// What was sent: the name of the file, and its bytes or what is wrong with it.
pub(super) struct Upload {
    /// The name, for people.
    pub(super) file: String,
    /// The bytes.
    pub(super) bytes: Result<Vec<u8>, ApiError>,
}

impl FromRequest<Api> for Upload {
    type Rejection = ApiError;
    async fn from_request(mut request: Request, api: &Api) -> Result<Self, ApiError> {
        DefaultBodyLimit::max(READ_ON).apply(&mut request);
        let time = api.limits.time;
        let read = async {
            let mut form = Multipart::from_request(request, api).await.map_err(|_| {
                ApiError::new(Code::UnsupportedMediaType, "send the form of the page Mapper, with a file in it")
            })?;
            while let Some(field) = form.next_field().await.map_err(|error| incomplete(&error))? {
                if field.name() == Some(FIELD) {
                    let file = clip(field.file_name().unwrap_or_default(), LONGEST_NAME).into_owned();
                    return Ok(Self { file, bytes: bytes(field, api.limits.module).await });
                }
            }
            Err(ApiError::bad_request("the form has no file in it"))
        };
        tokio::time::timeout(time, read)
            .await
            .unwrap_or_else(|_| Err(ApiError::late(format!("the file did not arrive within {} s", time.as_secs()))))
    }
}

async fn bytes(mut field: Field<'_>, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    while let Some(chunk) = field.chunk().await.map_err(|error| incomplete(&error))? {
        length += chunk.len();
        if length <= most {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
    }
    match length {
        0 => Err(ApiError::bad_request("choose a file: the form was sent without one, or the file is empty")),
        _ if length > most => Err(too_long(length, most)),
        _ => Ok(bytes),
    }
}

fn too_long(length: usize, most: usize) -> ApiError {
    let message = format!(
        "the file has {length} bytes, and a mapper module has at most {most}; build it with optimisation and without debug \
         sections"
    );
    ApiError::new(Code::PayloadTooLarge, message)
}

fn incomplete(error: &MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(Code::PayloadTooLarge, "the file is far longer than a mapper module may be")
        }
        _ => ApiError::bad_request("the file did not arrive completely; send it again"),
    }
}
