//! `/setup/catalog`: the businesses and catalogs of the connected account, to choose from.
//!
//! Meta is asked once for each visit; the page is not refreshed.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_sync::admin::businesses::{self, BusinessSummary, CatalogSummary};
use catalog_sync::admin::select::{self, Selection};
use catalog_sync::admin::{AdminError, bootstrap};
use serde::Deserialize;
use serde_json::json;

use crate::http::Api;
use crate::http::auth::Manage;
use crate::http::error::ApiError;
use crate::page::flash;
use crate::page::frame::{Frame, Place, Visit};
use crate::page::shell::{page, see_other, with_status};
use crate::page::words::{self, sentence};

/// A catalog to choose.
struct Choice {
    catalog: CatalogSummary,
    /// What the form sends: the ids with the names, which are kept for display.
    value: String,
    is_shared: bool,
    is_selected: bool,
}

struct Business {
    id: String,
    name: String,
    choices: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "setup_catalog.html")]
struct Choose {
    frame: Frame,
    businesses: Vec<Business>,
    /// Why there is no list.
    unknown: Option<String>,
    /// Why a catalog was not selected.
    refused: Option<String>,
}

/// `GET /setup/catalog`.
pub(super) async fn choose(_: Manage, State(api): State<Api>, visit: Visit) -> Result<Response, ApiError> {
    shown(&api, visit, StatusCode::OK, None).await
}

async fn shown(api: &Api, visit: Visit, status: StatusCode, refused: Option<String>) -> Result<Response, ApiError> {
    let mut frame = Frame::load(api, visit, Place::Setup, "Choose the catalog").await?;
    frame.address = "/setup/catalog".to_owned();
    let (businesses, unknown) = match businesses::list(&api.app).await {
        Ok(found) => (found, None),
        Err(error @ (AdminError::Store(_) | AdminError::Internal(_))) => return Err(error.into()),
        Err(error) => (Vec::new(), Some(of_page(&error.to_string()))),
    };
    let selected = frame.status.selection.as_ref().map(|selection| selection.catalog_id.clone());
    let businesses = businesses.into_iter().map(|business| listed(business, selected.as_deref())).collect();
    with_status(status, &Choose { frame, businesses, unknown, refused })
}

fn listed(business: BusinessSummary, selected: Option<&str>) -> Business {
    let named = |name: &str, id: &str| if name.is_empty() { id.to_owned() } else { name.to_owned() };
    let (id, name) = (business.id, business.name);
    let choice = |catalog: CatalogSummary, is_shared| Choice {
        value: json!({
            "businessId": id, "businessName": named(&name, &id),
            "catalogId": catalog.id, "catalogName": named(&catalog.name, &catalog.id),
        })
        .to_string(),
        is_selected: selected == Some(&*catalog.id),
        is_shared,
        catalog,
    };
    let owned = business.owned_catalogs.into_iter().map(|catalog| choice(catalog, false));
    let shared = business.client_catalogs.into_iter().map(|catalog| choice(catalog, true));
    Business { choices: owned.chain(shared).collect(), name: named(&name, &id), id }
}

/// A text of the use cases, in which the paths of the API are those of the page.
pub(super) fn of_page(text: &str) -> String {
    let text = text
        .replace("; start with GET /admin/meta/oauth/start", ": connect Facebook first")
        .replace("with GET /admin/meta/oauth/start", "in the set-up")
        .replace("PATCH /admin/settings/admin", "the settings")
        .replace("GET /admin/meta/businesses", "this page");
    sentence(&text)
}

#[derive(Deserialize)]
pub(super) struct Picked {
    /// A [`Selection`] as JSON.
    pick: Option<String>,
    confirmed: Option<String>,
}

#[derive(Template)]
#[template(path = "setup_catalog_confirm.html")]
struct Confirm {
    frame: Frame,
    selection: Selection,
    pick: String,
    eligible: i64,
}

/// `POST /setup/catalog`. Another catalog than before has to be confirmed.
pub(super) async fn select(
    _: Manage,
    State(api): State<Api>,
    visit: Visit,
    Form(Picked { pick, confirmed }): Form<Picked>,
) -> Result<Response, ApiError> {
    let pick = pick.unwrap_or_default();
    let selection = serde_json::from_str::<Selection>(&pick).ok().and_then(|selection| selection.checked().ok());
    let Some(selection) = selection else {
        let wrong = Some("Choose one of the catalogs.".to_owned());
        return shown(&api, visit, StatusCode::UNPROCESSABLE_ENTITY, wrong).await;
    };
    if confirmed.is_none() {
        let settings = api.app.load_settings().await?;
        if !settings.catalog_id.is_empty() && settings.catalog_id != selection.catalog_id {
            let mut frame = Frame::load(&api, visit, Place::Setup, "Select another catalog?").await?;
            frame.address = "/setup/catalog".to_owned();
            let eligible = bootstrap::count(&api.app).await?;
            return page(&Confirm { frame, selection, pick, eligible });
        }
    }
    match select::select(&api.app, selection).await {
        Ok(_) => Ok(see_other(&flash::with("/setup", "catalog", 0))),
        Err(error @ (AdminError::Store(_) | AdminError::Internal(_))) => Err(error.into()),
        Err(error) => {
            let status = match error {
                AdminError::Changed(_) => StatusCode::CONFLICT,
                AdminError::Graph(_) => StatusCode::BAD_GATEWAY,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            shown(&api, visit, status, Some(of_page(&error.to_string()))).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_of_the_api_is_shown() {
        let told = of_page("not connected to Meta; start with GET /admin/meta/oauth/start");
        assert_eq!(told, "Not connected to Meta: connect Facebook first.");
        let told = of_page("the access token has expired; connect again with GET /admin/meta/oauth/start");
        assert_eq!(told, "The access token has expired; connect again in the set-up.");
    }

    #[test]
    fn a_choice_without_a_name_is_selected_by_its_id() {
        let catalog = CatalogSummary { id: "4".into(), name: String::new(), product_count: None, vertical: None };
        let business = BusinessSummary {
            id: "3".into(),
            name: "Acme".into(),
            owned_catalogs: Vec::new(),
            client_catalogs: vec![catalog],
        };
        let listed = listed(business, Some("4"));
        let choice = &listed.choices[0];
        assert!(choice.is_shared && choice.is_selected);
        let selection: Selection = serde_json::from_str(&choice.value).expect("a selection");
        assert_eq!(selection.checked().expect("complete").catalog_name, "4");
    }
}
