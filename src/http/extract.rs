//! Reading requests: axum's extractors, with refusals in the error envelope.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, JsonRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{header, request::Parts};
use percent_encoding::percent_decode_str;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::code::Code;
use super::error::ApiError;
use catalog_sync::report::clip;

/// A JSON body, which is an object.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        // A separate limit: the time of a long request must not be available to a client that sends its body slowly.
        let limit = api.limits.time;
        match tokio::time::timeout(limit, Json::<Object<T>>::from_request(request, api)).await {
            Ok(Ok(Json(Object(body)))) => Ok(Self(body)),
            Ok(Err(rejection)) => Err(refused_body(&rejection, api.limits.body)),
            Err(_) => Err(late_body(limit)),
        }
    }
}

/// Reads a body as it is, within the limits of length and time.
///
/// # Errors
/// When it is too long, too slow or breaks off.
pub async fn read_bytes(request: Request, api: &Api) -> Result<Bytes, ApiError> {
    let limit = api.limits.time;
    match tokio::time::timeout(limit, Bytes::from_request(request, api)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)))) => {
            Err(ApiError::new(Code::PayloadTooLarge, format!("the body is longer than {} bytes", api.limits.body)))
        }
        Ok(Err(_)) => Err(ApiError::bad_request("the body is incomplete")),
        Err(_) => Err(late_body(limit)),
    }
}

fn refused_body(rejection: &JsonRejection, most: usize) -> ApiError {
    match rejection {
        JsonRejection::JsonDataError(error) => ApiError::validation(innermost(error)),
        JsonRejection::JsonSyntaxError(error) => {
            ApiError::bad_request(format!("the body is not JSON: {}", innermost(error)))
        }
        JsonRejection::MissingJsonContentType(_) => {
            ApiError::new(Code::UnsupportedMediaType, "send the body as JSON, with `Content-Type: application/json`")
        }
        JsonRejection::BytesRejection(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
            ApiError::new(Code::PayloadTooLarge, format!("the body is longer than {most} bytes"))
        }
        _ => ApiError::bad_request("the body is incomplete"),
    }
}

/// The bytes of a mapper module.
#[derive(Clone, Debug)]
pub struct ModuleFile(pub Vec<u8>);

impl FromRequest<Api> for ModuleFile {
    type Rejection = ApiError;
    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let rules = FileRules {
            types: &["application/wasm", "application/octet-stream"],
            types_hint: "send the module's file as it is, with `Content-Type: application/wasm` (or application/octet-stream)",
            most: api.limits.module,
            most_hint: "a mapper module has at most {most} bytes; build it with optimisation and without debug sections",
            empty_hint: "the body is empty: send the bytes of a mapper module's .wasm file",
        };
        Ok(Self(rules.read(request, api).await?.into()))
    }
}

/// A file of products, and the turn to import it.
#[derive(Debug)]
pub struct ProductFile(pub Bytes, pub OwnedSemaphorePermit);

impl FromRequest<Api> for ProductFile {
    type Rejection = ApiError;
    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let rules = FileRules {
            types: &["application/x-ndjson", "application/octet-stream"],
            types_hint: "send one JSON object per line, with `Content-Type: application/x-ndjson` (or application/octet-stream)",
            most: api.limits.products,
            most_hint: "a file of products has at most {most} bytes here; import it with the command meta-catalog import",
            empty_hint: "the body is empty: send one product per line",
        };
        rules.check_type(&request)?;
        let Ok(turn) = Arc::clone(&api.importing).try_acquire_owned() else {
            return Err(ApiError::new(Code::ImportRunning, "another import is running; try again when it has ended"));
        };
        Ok(Self(rules.read(request, api).await?, turn))
    }
}

/// What a body that is a file must be like.
struct FileRules {
    types: &'static [&'static str],
    types_hint: &'static str,
    /// The largest number of bytes.
    most: usize,
    /// `{most}` stands for that number.
    most_hint: &'static str,
    empty_hint: &'static str,
}

impl FileRules {
    fn check_type(&self, request: &Request) -> Result<(), ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if self.types.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
            return Ok(());
        }
        Err(ApiError::new(Code::UnsupportedMediaType, self.types_hint))
    }

    async fn read(&self, mut request: Request, api: &Api) -> Result<Bytes, ApiError> {
        self.check_type(&request)?;
        let time = api.limits.time;
        // Instead of the limit of all other bodies.
        DefaultBodyLimit::max(self.most).apply(&mut request);
        match tokio::time::timeout(time, Bytes::from_request(request, api)).await {
            Ok(Ok(bytes)) if bytes.is_empty() => Err(ApiError::bad_request(self.empty_hint)),
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)))) => {
                let hint = self.most_hint.replace("{most}", &self.most.to_string());
                Err(ApiError::new(Code::PayloadTooLarge, hint))
            }
            Ok(Err(_)) => Err(ApiError::bad_request("the body is incomplete")),
            Err(_) => Err(late_body(time)),
        }
    }
}

fn late_body(limit: Duration) -> ApiError {
    ApiError::late(format!("the body did not arrive within {} s", limit.as_secs()))
}

/// The query.
#[derive(Clone, Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        // The parser itself would substitute a replacement character.
        if percent_decode_str(parts.uri.query().unwrap_or_default()).decode_utf8().is_err() {
            return Err(ApiError::bad_request("the query is not UTF-8 text"));
        }
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::validation(innermost(&rejection))),
        }
    }
}

/// The variant in the path.
#[derive(Clone, Debug)]
pub struct VariantId(pub String);

impl FromRequestParts<Api> for VariantId {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        id_in_path(parts, api, "variant").await.map(Self)
    }
}

/// The preview in the path.
#[derive(Clone, Debug)]
pub struct PreviewId(pub String);

impl FromRequestParts<Api> for PreviewId {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        id_in_path(parts, api, "preview").await.map(Self)
    }
}

async fn id_in_path(parts: &mut Parts, api: &Api, of: &str) -> Result<String, ApiError> {
    match Path::<String>::from_request_parts(parts, api).await {
        Ok(Path(id)) if !id.contains('\0') => Ok(id),
        _ => Err(ApiError::bad_request(format!("the {of} id in the path is not UTF-8 text"))),
    }
}

/// Returns the deserializer's own message, without axum's wrapping.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// What a JSON object describes. A derived `Deserialize` also takes a list as the fields in their order.
#[derive(Clone, Debug)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(access)).map(Object)
    }
}

/// A JSON object without repeated keys. Nested objects are not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UniqueMap(pub Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Unique)
    }
}

struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = UniqueMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueMap, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            if map.contains_key(&key) {
                let shown = clip(&key, 100);
                return Err(<A::Error as de::Error>::custom(format_args!("duplicate field `{shown}`")));
            }
            map.insert(key, value);
        }
        Ok(UniqueMap(map))
    }
}

/// For `deserialize_with` beside `default`: the field may be absent, but not `null`.
///
/// # Errors
/// When the value is invalid, `null` included.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        a: u32,
        b: u32,
    }

    #[test]
    fn the_fields_in_their_order_are_no_object() {
        let read = |text: &str| serde_json::from_str::<Object<Pair>>(text).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"b":2,"a":1}"#).expect("taken").0, Pair { a: 1, b: 2 });
        for other in ["[1,2]", r#"[{"a":1,"b":2}]"#, "[]", "1", "null", r#""a""#] {
            let refused = read(other).expect_err("refused");
            assert!(refused.contains("expected a JSON object"), "{other}: {refused}");
        }
        assert!(read(r#"{"a":1,"b":2,"c":3}"#).expect_err("refused").contains("unknown field `c`"));
        assert!(read(r#"{"a":1,"a":1,"b":2}"#).expect_err("refused").contains("duplicate field `a`"));
    }

    #[test]
    fn a_key_that_comes_twice_is_named() {
        let taken: UniqueMap = serde_json::from_str(r#"{"a":1,"b":{"c":null}}"#).expect("taken");
        assert_eq!(taken.0.len(), 2);
        let refused = serde_json::from_str::<UniqueMap>(r#"{"a":1,"a":1}"#).expect_err("refused");
        assert!(refused.to_string().starts_with("duplicate field `a`"), "{refused}");
        assert!(serde_json::from_str::<UniqueMap>("[]").is_err());
    }
}
