//! Graph's error object: texts, codes and HTTP statuses of the cases the simulator produces.
//!
//! The wording follows captures of the real API where there are any; a client must still judge by `code`.

use std::ops::{Deref, DerefMut};

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// One failed call. Boxed, so that a `Result` stays small.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GraphError(Box<Details>);

/// The parts of an error object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Details {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    pub(crate) message: String,
    pub(crate) is_transient: Option<bool>,
    pub(crate) user: Option<(String, String)>,
    pub(crate) data: Option<Value>,
}

pub(crate) type Result<T> = std::result::Result<T, GraphError>;

impl Deref for GraphError {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for GraphError {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl GraphError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            status: StatusCode::BAD_REQUEST,
            kind: "OAuthException",
            code,
            subcode: None,
            message: message.into(),
            is_transient: None,
            user: None,
            data: None,
        }))
    }

    pub(crate) fn subcode(mut self, subcode: i64) -> Self {
        self.subcode = Some(subcode);
        self
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn method(mut self) -> Self {
        self.kind = "GraphMethodException";
        self
    }

    /// A parameter that is missing.
    pub(crate) fn required(name: &str) -> Self {
        Self::parameter(name, format!("(#100) The parameter {name} is required"))
    }

    /// A parameter that is wrong; the message gives the reason.
    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        let mut error = Self::new(100, message);
        error.data = Some(json!({"blame_field_specs": [[name]]}));
        error
    }

    pub(crate) fn unknown_field(field: &str, node_type: &str) -> Self {
        Self::new(100, format!("(#100) Tried accessing nonexisting field ({field}) on node type ({node_type})"))
    }

    /// An object that does not exist, is hidden, or does not support the operation: Graph does not distinguish these.
    pub(crate) fn unsupported(method: &str, id: &str) -> Self {
        let verb = method.to_ascii_lowercase();
        Self::new(
            100,
            format!(
                "Unsupported {verb} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
                 permissions, or does not support this operation. Please read the Graph API documentation at \
                 https://developers.facebook.com/docs/graph-api"
            ),
        )
        .subcode(33)
        .method()
    }

    pub(crate) fn missing_permission(scope: &str) -> Self {
        Self::new(200, format!("(#200) Requires {scope} permission to manage the object"))
    }

    pub(crate) fn malformed_token(message: &str) -> Self {
        Self::new(190, message).status(StatusCode::UNAUTHORIZED)
    }

    pub(crate) fn dead_token(subcode: i64) -> Self {
        let message = match subcode {
            458 => "Error validating access token: The user has not authorized application.",
            460 => {
                "Error validating access token: The session has been invalidated because the user changed their \
                 password or Facebook has changed the session for security reasons."
            }
            463 => "Error validating access token: Session has expired. The current time is after its end.",
            _ => "Error validating access token: The session is invalid because the user logged out.",
        };
        let mut error = Self::new(190, message).subcode(subcode);
        error.user = Some(("Session Expired".into(), "Please log in again".into()));
        error
    }

    pub(crate) fn proof(message: &str) -> Self {
        Self::new(100, message).method()
    }

    pub(crate) fn too_much_data() -> Self {
        Self::new(1, "Please reduce the amount of data you're asking for, then retry your request")
            .status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn throttled(code: i64) -> Self {
        const MORE: &str = "Wait a bit and try again. For more info, please refer to \
                            https://developers.facebook.com/docs/graph-api/overview/rate-limiting#catalog.";
        let message = match code {
            80014 => {
                format!("(#80014) There have been too many calls for the batch uploads to this catalog account. {MORE}")
            }
            80009 => {
                format!("(#80009) There have been too many calls to this Catalog account. {MORE}")
            }
            _ => format!("(#{code}) Application request limit reached"),
        };
        Self::new(code, message)
    }

    /// The answer's body. `data_as_string` sends `error_data` as JSON text, the other form Meta uses.
    pub(crate) fn body(&self, trace_id: &str, data_as_string: bool) -> Value {
        let mut error = Map::new();
        error.insert("message".into(), self.message.clone().into());
        error.insert("type".into(), self.kind.into());
        error.insert("code".into(), self.code.into());
        if let Some(subcode) = self.subcode {
            error.insert("error_subcode".into(), subcode.into());
        }
        if let Some(transient) = self.is_transient {
            error.insert("is_transient".into(), transient.into());
        }
        if let Some((title, text)) = &self.user {
            error.insert("error_user_title".into(), title.clone().into());
            error.insert("error_user_msg".into(), text.clone().into());
        }
        if let Some(data) = &self.data {
            let data = if data_as_string { Value::String(data.to_string()) } else { data.clone() };
            error.insert("error_data".into(), data);
        }
        error.insert("fbtrace_id".into(), trace_id.into());
        json!({ "error": error })
    }
}
