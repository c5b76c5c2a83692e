//! The meaning of a Graph error code for the caller.
//!
//! Purpose: map `code`, `error_subcode` and `is_transient` to a class, and a class to the operator's next step.
//! Promises: pure; every decision is an exhaustive match, so a new class cannot be forgotten.
//! Left out on purpose: what pauses or is tried again. The caller decides that, by a match over the class.

use super::GraphError;

/// The class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Meta or the connection to it is unavailable; the failure is transient.
    Transient,
    /// The call was too big or too slow for Meta (code 1, "reduce the amount of data"): the caller halves it.
    ReduceData,
    /// An allowance is used up; its window expires by itself.
    Throttled(Bucket),
    /// Code 368: Meta blocked the account for a breach of policy.
    PolicyBlocked,
    /// Codes 190 and 102: the token is no longer valid.
    TokenDead(TokenCause),
    /// Codes 3, 10 and 200–299: the token lacks the permission.
    Permission,
    /// Code 100 with subcode 33: the catalog (or other object) is gone or hidden from this token.
    CatalogGone,
    /// The business account needs a manual fix first.
    AccountState(AccountCause),
    /// Codes 101 and 104, and a 100 about `appsecret_proof`: Meta does not know the app, or the app secret is wrong.
    AppRejected,
    /// Code 100 and every other known refusal: the same call will fail again.
    BadRequest,
    /// An error without a readable code.
    Unknown,
}

/// The allowance that a throttle concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Code 80014: item batches of one catalog.
    CatalogBatch,
    /// Code 80009: all other calls on one catalog, the poll among them.
    CatalogManagement,
    /// Other codes from 80000 to 80014: a business use case that is not the catalog's.
    Business,
    /// Codes 4 and 341: the whole app.
    App,
    /// Code 17: the user behind the token.
    User,
    /// Code 32: a page.
    Page,
    /// Code 613: a limit specific to the call.
    Custom,
}

/// The reason why a token died, from the subcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenCause {
    /// 458: the app was removed from the account.
    AppNotInstalled,
    /// 459: Facebook requires the account holder to confirm something first.
    Checkpointed,
    /// 460: the password was changed.
    PasswordChanged,
    /// 463: the token has expired.
    Expired,
    /// 464: the account is not confirmed.
    Unconfirmed,
    /// 452, 461, 462, 465–468: the session was logged out, revoked or ended otherwise.
    Invalidated,
    /// 492: the account holder lost the role that the token depended on.
    RoleLost,
    /// 456, 457: the text is not a token, or was issued elsewhere.
    Malformed,
    /// No subcode, or an unknown one.
    Unspecified,
}

/// The state of the business account that blocks the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountCause {
    /// 415: two-factor authentication is required.
    TwoFactorRequired,
    /// 3949: the business has reached its limit of system users.
    TooManySystemUsers,
    /// 3965: the business has reached its limit of admin system users.
    TooManyAdminSystemUsers,
    /// 104001: the app does not belong to this business.
    AppOutsideBusiness,
}

impl ErrorClass {
    /// Classifies an error object. `http_status` decides only what no code decides.
    #[must_use]
    pub fn of(error: &GraphError, http_status: u16) -> Self {
        let Some(code) = error.code else {
            return Self::Unknown;
        };
        match (code, error.subcode) {
            (4 | 341, _) => Self::Throttled(Bucket::App),
            (17, _) => Self::Throttled(Bucket::User),
            (32, _) => Self::Throttled(Bucket::Page),
            (613, _) => Self::Throttled(Bucket::Custom),
            (80_009, _) => Self::Throttled(Bucket::CatalogManagement),
            (80_014, _) => Self::Throttled(Bucket::CatalogBatch),
            (80_000..=80_014, _) => Self::Throttled(Bucket::Business),
            (190 | 102, subcode) => Self::TokenDead(TokenCause::of(subcode)),
            (368, _) => Self::PolicyBlocked,
            // Only the wording distinguishes this from any other code 1.
            (1, _) if asks_for_less(&error.message) => Self::ReduceData,
            _ if error.is_transient => Self::Transient,
            (1 | 2, _) => Self::Transient,
            (3 | 10 | 200..=299, _) => Self::Permission,
            (100, Some(33)) => Self::CatalogGone,
            (101 | 104, _) => Self::AppRejected,
            // The proof is missing or was made with a wrong app secret. Only the wording distinguishes this from a bad
            // parameter.
            (100, _) if error.message.contains("appsecret_proof") => Self::AppRejected,
            (415, _) => Self::AccountState(AccountCause::TwoFactorRequired),
            (3949, _) => Self::AccountState(AccountCause::TooManySystemUsers),
            (3965, _) => Self::AccountState(AccountCause::TooManyAdminSystemUsers),
            (104_001, _) => Self::AccountState(AccountCause::AppOutsideBusiness),
            (100, _) => Self::BadRequest,
            _ if http_status >= 500 => Self::Transient,
            _ => Self::BadRequest,
        }
    }

    /// Returns one sentence for the operator: the problem and its fix.
    #[must_use]
    pub const fn operator_hint(self) -> &'static str {
        match self {
            Self::Transient => "Meta does not answer properly; the service retries automatically.",
            Self::ReduceData => "Meta rejected the call as too big; the service sends smaller calls.",
            Self::Throttled(Bucket::CatalogBatch | Bucket::CatalogManagement) => {
                "This catalog's call allowance is used up; the service resumes when Meta allows it."
            }
            Self::Throttled(Bucket::Business | Bucket::App | Bucket::User | Bucket::Page | Bucket::Custom) => {
                "The app's call allowance is used up; the service resumes when Meta allows it."
            }
            Self::PolicyBlocked => {
                "Meta blocked this account for a breach of policy: see Account Quality in Business Manager, then reconnect."
            }
            Self::TokenDead(cause) => cause.operator_hint(),
            Self::Permission => {
                "The token lacks a permission: grant catalog_management and business_management and reconnect with an admin of the business."
            }
            Self::CatalogGone => {
                "Meta does not show this catalog to the service: it was deleted or access was revoked; select the catalog again."
            }
            Self::AccountState(cause) => cause.operator_hint(),
            Self::AppRejected => "Meta does not accept the app: check app_id and app_secret in the settings.",
            Self::BadRequest => "Meta refused the call; Meta's message gives the reason.",
            Self::Unknown => "Meta sent an error without a code; the service retries automatically.",
        }
    }
}

impl TokenCause {
    fn of(subcode: Option<i64>) -> Self {
        match subcode {
            Some(458) => Self::AppNotInstalled,
            Some(459) => Self::Checkpointed,
            Some(460) => Self::PasswordChanged,
            Some(463) => Self::Expired,
            Some(464) => Self::Unconfirmed,
            Some(452 | 461 | 462 | 465..=468) => Self::Invalidated,
            Some(492) => Self::RoleLost,
            Some(456 | 457) => Self::Malformed,
            Some(_) | None => Self::Unspecified,
        }
    }

    /// Returns the operator's next step.
    #[must_use]
    pub const fn operator_hint(self) -> &'static str {
        match self {
            Self::AppNotInstalled => "The app was removed from the Facebook account: reconnect and allow it again.",
            Self::Checkpointed => {
                "Facebook requires the account holder to log in at facebook.com and confirm a prompt; then reconnect."
            }
            Self::PasswordChanged => "The account's password was changed, which invalidated the token: reconnect.",
            Self::Expired => "The token has expired: reconnect.",
            Self::Unconfirmed => "The Facebook account is not confirmed: confirm it at facebook.com, then reconnect.",
            Self::Invalidated => "The token was revoked or its session ended: reconnect.",
            Self::RoleLost => "The account lost its role in the business: restore the role, then reconnect.",
            Self::Malformed => "Meta cannot read the stored token: reconnect.",
            Self::Unspecified => "Meta no longer accepts the token: reconnect.",
        }
    }
}

impl AccountCause {
    /// Returns the operator's next step.
    #[must_use]
    pub const fn operator_hint(self) -> &'static str {
        match self {
            Self::TwoFactorRequired => {
                "The business requires two-factor authentication: turn it on for the account, then try again."
            }
            Self::TooManySystemUsers => {
                "The business has no system user left: remove one or raise the app's access level."
            }
            Self::TooManyAdminSystemUsers => {
                "The business has no admin system user left: free one in Business Settings or raise the app's access level."
            }
            Self::AppOutsideBusiness => {
                "The app does not belong to this business: add it in Business Settings under Apps."
            }
        }
    }
}

fn asks_for_less(message: &str) -> bool {
    message.to_ascii_lowercase().contains("reduce the amount of data")
}
