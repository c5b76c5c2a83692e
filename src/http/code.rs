//! The codes of failures: one table of code, status, description and example.
//!
//! [`super::error`] responds with it and the OpenAPI document describes it. Which failure of a use case has which code
//! is in [`super::error`] too. A handler names the codes of its own by word, in `x-error-codes`.

use axum::http::StatusCode;

/// Makes the enum and what belongs to each code from one table.
macro_rules! codes {
    ($($code:ident = $word:literal, $status:ident, $description:literal, $example:literal;)+) => {
        /// Why a request fails, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $description] $code,)+
        }

        impl Code {
            /// Every code, by status.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The word in `errorCode`.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$code => $word,)+ }
            }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)+ }
            }

            /// The human-readable description.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$code => $description,)+ }
            }

            /// A message that comes with it.
            #[must_use]
            pub fn example(self) -> &'static str {
                match self { $(Self::$code => $example,)+ }
            }
        }
    };
}

codes! {
    BadRequest = "BAD_REQUEST", BAD_REQUEST,
        "The request cannot be read.",
        "the body is not JSON: EOF while parsing a value";
    Validation = "VALIDATION_ERROR", BAD_REQUEST,
        "A value in the request is not valid.",
        "unknown field `pages`";
    Misconfigured = "meta_misconfigured", BAD_REQUEST,
        "A setting is missing, or Meta is not connected.",
        "app_id or app_secret is blank; set both with PATCH /admin/settings/admin";
    OAuthState = "meta_oauth_state_invalid", BAD_REQUEST,
        "The OAuth state is missing, unknown, used or expired.",
        "the state of this login was already used; start it again from the settings page";
    OAuthExchange = "meta_oauth_exchange_failed", BAD_REQUEST,
        "Facebook refused the authorization code.",
        "Facebook did not accept the login: This authorization code has expired.";
    Account = "meta_account_error", BAD_REQUEST,
        "Meta refused a step of the setup.",
        "Meta refused to create the system user: Permissions error.";
    MapperRefused = "mapper_refused", BAD_REQUEST,
        "The file is not a mapper module that can be activated.",
        "the module fails on the sample `sale_running` (a sale that is on): the mapper module x 1.0.0 trapped";
    PreviewRunning = "mapper_preview_running", BAD_REQUEST,
        "Another preview is running.",
        "a preview is already running (019ab7d0-0000-7000-8000-000000000000); wait until it ends, or cancel it";
    ImportRunning = "import_running", BAD_REQUEST,
        "Another import is running.",
        "another import is running; try again when it has ended";
    Unauthorized = "UNAUTHORIZED", UNAUTHORIZED,
        "No valid credentials were sent.",
        "sign in, or send an API token";
    Forbidden = "FORBIDDEN", FORBIDDEN,
        "The caller lacks the permission.",
        "this needs the permission metaCatalog:manage";
    NotFound = "NOT_FOUND", NOT_FOUND,
        "The resource does not exist.",
        "no variant \"v-1\" in the catalog";
    MethodNotAllowed = "METHOD_NOT_ALLOWED", METHOD_NOT_ALLOWED,
        "The path does not take this method.",
        "/health does not take POST";
    Outgrown = "OUTGROWN", CONFLICT,
        "More would be changed than was confirmed; nothing was.",
        "12 variants were confirmed, and 4000 are selected now; nothing was changed. Look again and confirm the new number";
    RequestTimeout = "REQUEST_TIMEOUT", REQUEST_TIMEOUT,
        "The request took too long.",
        "no response within 30 s; try again";
    TooManyRequests = "TOO_MANY_REQUESTS", TOO_MANY_REQUESTS,
        "Too many attempts at once.",
        "too many people sign in at once; try again in a moment";
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", PAYLOAD_TOO_LARGE,
        "The body is too long.",
        "the body is longer than 1048576 bytes";
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", UNSUPPORTED_MEDIA_TYPE,
        "The body has a content type that this endpoint does not take.",
        "send the body as JSON";
    Internal = "INTERNAL_SERVER_ERROR", INTERNAL_SERVER_ERROR,
        "A call to Meta failed (the `fb…` fields hold Meta's error), or the service has an internal error.",
        "the call to Meta failed: Service temporarily unavailable.";
    Unavailable = "SERVICE_UNAVAILABLE", SERVICE_UNAVAILABLE,
        "The database does not respond, another process holds a lock on the resource, or this machine could not try the mapper module.",
        "the database does not respond";
}
