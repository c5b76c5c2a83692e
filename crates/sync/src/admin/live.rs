//! One variant as Meta returns it now.
//!
//! Meta's view may lag behind a push by minutes. Everything that an operator has to set or fix is reported inside the
//! answer, so the page that shows it need not know error codes. The rest is an error: Meta fails, Meta refuses the call
//! itself, or the token cannot be read or renewed.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::AdminError;
use super::error::sentence;
use super::intents::not_found;
use crate::actors::token::TokenFault;
use crate::app::App;
use crate::store::items;
use meta_graph::{Caller, ErrorClass, ItemError, LiveItem};

/// One variant as Meta returns it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveStatus {
    /// Whether Meta has the item.
    pub found: bool,
    /// Meta's own id of the item.
    pub meta_id: Option<String>,
    /// The id that this service gave the item.
    pub retailer_id: Option<String>,
    /// The availability, such as `in stock`.
    pub availability: Option<String>,
    /// The price, for display only.
    pub price: Option<String>,
    /// Meta's review verdict.
    pub review_status: Option<String>,
    /// What is wrong with the item at Meta, or why Meta was not asked.
    pub errors: Vec<LiveError>,
}

/// Something to fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveError {
    /// Text for people.
    pub message: String,
}

/// Returns Meta's current view of a variant.
///
/// # Errors
/// [`AdminError::NotFound`] when the variant is neither in the source nor has a state row; [`AdminError::Graph`] when
/// the call to Meta fails.
pub async fn live_status(app: &App, variant_id: &str) -> Result<LiveStatus, AdminError> {
    Ok(ask(app, variant_id, &[]).await?.status)
}

/// What Meta shows of a variant.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// The item, or why there is none.
    pub(super) status: LiveStatus,
    /// The fields that were asked for besides, with the price and the currency; `None` when Meta was not asked.
    pub(super) fields: Option<Map<String, Value>>,
}

/// Asks Meta for a variant, with more fields than those of [`LiveStatus`].
///
/// # Errors
/// As [`live_status`].
pub(super) async fn ask(app: &App, variant_id: &str, more: &[&str]) -> Result<Asked, AdminError> {
    let mut tx = app.db.read().await?;
    if !items::unknown(&mut tx, &[variant_id.to_owned()]).await?.is_empty() {
        return Err(not_found(variant_id));
    }
    drop(tx);
    let settings = app.load_settings().await?;
    if !settings.feed_configured() {
        let missing: Vec<&str> = settings.missing_keys().into_iter().filter(|key| !key.starts_with("app_")).collect();
        return Ok(not_asked(format!("the feed settings are incomplete; set {}", missing.join(", "))));
    }
    let Some(credentials) = app.app_credentials(&settings).await? else {
        return Ok(not_asked("app_id or app_secret is blank; set both".into()));
    };
    let token = match app.tokens.get().await {
        Ok(token) => token,
        Err(fault @ (TokenFault::NotConnected | TokenFault::Expired { .. } | TokenFault::Dead { .. })) => {
            return Ok(not_asked(fault.to_string()));
        }
        Err(fault @ (TokenFault::Superseded | TokenFault::Unavailable { .. })) => return Err(fault.into()),
    };
    let caller = Caller { app: &credentials, token: &token.token };
    match app.graph.live_item(caller, &settings.catalog_id, variant_id, more).await {
        Ok(Some(mut item)) => {
            let mut fields = std::mem::take(&mut item.more.0);
            for (name, value) in [
                ("retailer_id", &item.retailer_id),
                ("availability", &item.availability),
                ("price", &item.price),
                ("currency", &item.currency),
            ] {
                fields.extend(value.clone().map(|value| (name.to_owned(), Value::String(value))));
            }
            Ok(Asked { status: shown(item), fields: Some(fields) })
        }
        Ok(None) => Ok(Asked { fields: Some(Map::new()), ..Asked::default() }),
        Err(failure) => match failure.class() {
            ErrorClass::CatalogGone
            | ErrorClass::Permission
            | ErrorClass::TokenDead(_)
            | ErrorClass::AppRejected
            | ErrorClass::AccountState(_) => {
                Ok(not_asked(format!("{} {}", sentence(&failure), failure.operator_hint())))
            }
            ErrorClass::Transient
            | ErrorClass::ReduceData
            | ErrorClass::Throttled(_)
            | ErrorClass::PolicyBlocked
            | ErrorClass::BadRequest
            | ErrorClass::Unknown => Err(AdminError::Graph(failure)),
        },
    }
}

fn not_asked(message: String) -> Asked {
    Asked { status: LiveStatus { errors: vec![LiveError { message }], ..LiveStatus::default() }, fields: None }
}

fn shown(item: LiveItem) -> LiveStatus {
    LiveStatus {
        found: true,
        meta_id: Some(item.id),
        retailer_id: item.retailer_id,
        availability: item.availability,
        price: item.price,
        review_status: item.review_status.filter(|verdict| !verdict.is_empty()),
        errors: item.errors.into_iter().map(|error| LiveError { message: told(error) }).collect(),
    }
}

/// Returns "title: description", or the one that is present.
fn told(error: ItemError) -> String {
    let texts = [error.title, error.description].into_iter().flatten().filter(|text| !text.is_empty());
    let text = texts.collect::<Vec<_>>().join(": ");
    if text.is_empty() { error.error_type.unwrap_or_else(|| "Meta gives no reason".into()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_whatever_there_is() {
        let error = |title: &str, description: &str, kind: &str| ItemError {
            title: Some(title.into()).filter(|text: &String| !text.is_empty()),
            description: Some(description.into()),
            error_type: Some(kind.into()).filter(|text: &String| !text.is_empty()),
            error_priority: None,
        };
        assert_eq!(told(error("No image", "Add one.", "IMAGE")), "No image: Add one.");
        assert_eq!(told(error("", "Add one.", "IMAGE")), "Add one.");
        assert_eq!(told(error("", "", "IMAGE")), "IMAGE");
        assert_eq!(told(error("", "", "")), "Meta gives no reason");
    }
}
