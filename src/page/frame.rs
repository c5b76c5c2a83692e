//! What every page shows around its content: navigation, the caller, health, banners.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use catalog_sync::admin::status::{self, ConnectionStatus};
use catalog_sync::clock::Millis;
use catalog_sync::domain::access::Permission;
use serde::Deserialize;

use super::assets::{ASSETS, Assets};
use super::flash;
use super::health::{Health, health};
use super::words::{counted, sentence};
use crate::http::Api;
use crate::http::auth::{Principal, Subject, View};
use crate::http::error::ApiError;

/// A place of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Counts, age, budgets.
    Overview,
    /// The list of variants, and one of them.
    Items,
    /// Findings in groups.
    Issues,
    /// What Meta shows differently.
    Drift,
    /// The mapper and its modules.
    Mapper,
    /// Submissions and the audit trail.
    Activity,
    /// The settings.
    Settings,
    /// The connection and the way to a first sync.
    Setup,
    /// Actors, lease, limiter, database.
    System,
}

/// A link of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The place.
    pub place: Place,
    /// What it is called; also the name of its icon, in lower case.
    pub name: &'static str,
    /// The name of its icon, which scripts know the link by.
    pub icon: &'static str,
    /// Its path.
    pub path: &'static str,
}

const LINKS: [Link; 9] = [
    Link { place: Place::Overview, name: "Overview", icon: "overview", path: "/" },
    Link { place: Place::Items, name: "Items", icon: "items", path: "/items" },
    Link { place: Place::Issues, name: "Issues", icon: "issues", path: "/issues" },
    Link { place: Place::Drift, name: "Drift", icon: "refresh", path: "/drift" },
    Link { place: Place::Mapper, name: "Mapper", icon: "mapper", path: "/mapper" },
    Link { place: Place::Activity, name: "Activity", icon: "activity", path: "/activity" },
    Link { place: Place::Setup, name: "Set-up", icon: "setup", path: "/setup" },
    Link { place: Place::Settings, name: "Settings", icon: "settings", path: "/settings" },
    Link { place: Place::System, name: "System", icon: "system", path: "/system" },
];

/// The request behind a page: its caller, its address, and what the action before it said.
#[derive(Debug)]
pub struct Visit {
    /// The caller, who may view.
    pub principal: Principal,
    /// The path with its query.
    pub address: String,
    /// See [`flash`].
    said: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    done: Option<String>,
    n: Option<u64>,
}

impl FromRequestParts<Api> for Visit {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let View(principal) = View::from_request_parts(parts, api).await?;
        let said = Query::<Said>::try_from_uri(&parts.uri).ok();
        let said = said.and_then(|Query(said)| flash::said(said.done.as_deref()?, said.n));
        let address = parts.uri.path_and_query().map_or("/", |known| known.as_str());
        Ok(Self { principal, address: flash::without(address), said })
    }
}

/// A message above the content, with the one thing to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// `bad` or `warn`.
    pub tone: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// Where to do it.
    pub action: Option<(&'static str, &'static str)>,
}

/// What surrounds a page.
#[derive(Debug)]
pub struct Frame {
    /// The files of the page.
    pub assets: &'static Assets,
    /// The page's title.
    pub title: String,
    /// Its place in the navigation.
    pub here: Place,
    /// The page's own address, from which it is refreshed.
    pub address: String,
    /// The caller, for people.
    pub who: String,
    /// Whether the caller may change something.
    pub may_manage: bool,
    /// Whether the session is one of this page, which it can end.
    pub may_sign_out: bool,
    /// The state of everything in one sentence.
    pub health: Health,
    /// What an operator should know, the most urgent first.
    pub banners: Vec<Banner>,
    /// What the action before said.
    pub said: Option<String>,
    /// The name of the catalog, or its id.
    pub catalog: Option<String>,
    /// The complete status, which pages show parts of.
    pub status: ConnectionStatus,
    /// Now.
    pub now: Millis,
}

impl Frame {
    /// Loads what surrounds the page.
    ///
    /// # Errors
    /// When the database query fails.
    pub async fn load(api: &Api, visit: Visit, here: Place, title: impl Into<String>) -> Result<Self, ApiError> {
        let status = status::status(&api.app).await?;
        let now = api.app.now();
        let Visit { principal, address, said } = visit;
        let (who, may_sign_out) = match &principal.subject {
            Subject::ApiToken { name, .. } => (name.clone(), true),
            Subject::Session { user_id, .. } => (user_id.clone(), false),
        };
        let catalog = status.selection.as_ref().map(|selection| match &*selection.catalog_name {
            "" => selection.catalog_id.clone(),
            name => name.to_owned(),
        });
        Ok(Self {
            assets: &ASSETS,
            title: title.into(),
            here,
            address,
            who,
            may_manage: principal.may(Permission::Manage),
            may_sign_out,
            health: health(&status, now),
            banners: banners(&status),
            said,
            catalog,
            status,
            now,
        })
    }

    /// The navigation.
    #[must_use]
    pub fn links(&self) -> &'static [Link] {
        &LINKS
    }
}

fn banners(status: &ConnectionStatus) -> Vec<Banner> {
    let banner = |problem: &status::ListedProblem| Banner {
        tone: if problem.severity == "stops" { "bad" } else { "warn" },
        message: message(problem, status),
        action: action(&problem.code),
    };
    // Before the first connection the list of steps says everything.
    match status.connected || status.sync_enabled {
        true => status.problems.iter().map(banner).collect(),
        false => Vec::new(),
    }
}

/// What is wrong, in the words of the page where those of the API name its paths.
fn message(problem: &status::ListedProblem, status: &ConnectionStatus) -> String {
    match &*problem.code {
        "meta_not_connected" => {
            "The sync is switched on, and no Facebook account is connected, so nothing is sent.".to_owned()
        }
        "mass_delete_held" => format!(
            "{} stopped being eligible at once and are still at Meta. Their deletion is held until you release it. If it is \
             not intended, correct the shop's data instead.",
            counted(status.held_deletes, "variant", "variants")
        ),
        "nothing_queued" => format!(
            "{} are known and were never sent to the selected catalog, and none of them is queued.",
            counted(status.counts.pending, "variant", "variants")
        ),
        "meta_personal_token" => "Calls are made with the personal token of the person who connected. It ends after 60 days \
                                  and with that person's access. Select the catalog again, so that a system user's token \
                                  takes its place."
            .to_owned(),
        _ => sentence(&problem.message),
    }
}

/// Where the operator does something about a problem.
fn action(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "meta_not_connected" | "meta_token_expired" | "meta_token_dead" | "meta_token_ends" | "meta_permission"
        | "meta_scope_missing" => ("Connect again", "/setup"),
        "meta_personal_token" | "meta_catalog_gone" => ("Select the catalog", "/setup"),
        "nothing_queued" => ("Queue everything", "/setup"),
        "mapper_unusable" => ("Open the mapper", "/mapper"),
        "mass_delete_held" => ("Review the held deletes", "/items?held=true"),
        "meta_throttled" | "meta_unreachable" | "meta_calls_cut" => ("Open the system page", "/system"),
        _ => return None,
    })
}
