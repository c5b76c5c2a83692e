//! The world the simulator starts with, and how it behaves.
//!
//! Everything has a default, so `Config::default()` is one working world: an app, a user who administers one business, and
//! two catalogs. Unknown keys are refused, so a typo in a test's world is an error and not a silently different world.

use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The one app that may log in here.
    pub app: App,
    /// People who can log in. The first one is chosen by default on the consent page.
    pub users: Vec<User>,
    /// Businesses with their catalogs.
    pub businesses: Vec<Business>,
    /// System users that exist from the start.
    pub system_users: Vec<SystemUser>,
    /// Tokens that are valid from the start, so a test need not walk through the dialog.
    pub tokens: Vec<Token>,
    /// Call allowances.
    pub quotas: Quotas,
    /// How long things take and live.
    pub times: Times,
    /// What a catalog accepts.
    pub rules: Rules,
    /// Answers Meta gives in more than one shape.
    pub switches: Switches,
    /// Requests kept for `/_sim/calls/log`.
    pub log_size: usize,
    /// Seed of ids, handles and tokens. When left out: the start time, so that tokens of an earlier run are not valid
    /// here.
    pub seed: Option<u64>,
}

/// The app.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct App {
    /// App id (`client_id`).
    pub id: String,
    /// App name, shown on the consent page.
    pub name: String,
    /// App secret.
    pub secret: String,
    /// "Require App Secret": every call needs `appsecret_proof`.
    pub require_proof: bool,
    /// Registered redirect URIs, compared exactly. Empty: any.
    pub redirect_uris: Vec<String>,
    /// Businesses that the app belongs to; system users of others result in 104001. Empty: all.
    pub businesses: Vec<String>,
    /// Redirects at once with a code instead of showing the consent page.
    pub auto_consent: bool,
}

/// A person.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// User id.
    pub id: String,
    /// Name.
    pub name: String,
}

/// A business.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Business {
    /// Business id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Ids of the people who administer it.
    #[serde(default)]
    pub admins: Vec<String>,
    /// Catalogs it owns.
    #[serde(default)]
    pub owned_catalogs: Vec<Catalog>,
    /// Catalogs others share with it. One that another business owns is named by the same id.
    #[serde(default)]
    pub client_catalogs: Vec<Catalog>,
}

/// A catalog.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// Catalog id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Vertical, `commerce` for products.
    #[serde(default = "commerce")]
    pub vertical: String,
}

/// A system user that exists from the start.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SystemUser {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Business it belongs to.
    pub business: String,
    /// `ADMIN` or `EMPLOYEE`.
    #[serde(default = "employee")]
    pub role: String,
    /// The app is installed for it.
    #[serde(default)]
    pub installed: bool,
    /// Catalogs assigned to it with the task `MANAGE`.
    #[serde(default)]
    pub catalogs: Vec<String>,
}

/// A token that is valid from the start.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token text.
    pub token: String,
    /// Id of the user or system user it stands for.
    pub owner: String,
    /// Permissions.
    #[serde(default = "all_scopes")]
    pub scopes: Vec<String>,
    /// Lifetime in seconds; never expires when left out.
    #[serde(default)]
    pub expires_in_s: Option<i64>,
}

/// Call allowances. The two of a catalog are counted per catalog.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Calls of `items_batch` in a rolling minute (error 80014).
    pub batch_per_minute: u32,
    /// All other calls of a catalog in a rolling hour (error 80009).
    pub management_per_hour: u32,
    /// Calls that concern no catalog, in a rolling hour (error 4).
    pub app_per_hour: u32,
    /// A refused call counts too, so further calls while blocked extend the block, as Meta's documentation says.
    pub blocked_calls_count: bool,
    /// Usage headers are sent from this percentage on.
    pub usage_header_from_percent: u32,
    /// Keys `X-Business-Use-Case-Usage` by the owning business instead of the catalog.
    pub usage_keyed_by_business: bool,
}

/// Durations.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// Milliseconds from taking a batch to `finished`; `scheduled`, `dispatched` and `started` share it.
    pub processing_ms: i64,
    /// Milliseconds from `finished` until `/products` shows the change.
    pub visible_after_ms: i64,
    /// Milliseconds from being visible until `review_status` turns from `pending` to `approved`.
    pub review_after_ms: i64,
    /// Milliseconds a handle can be polled.
    pub handle_lifetime_ms: i64,
    /// Seconds an authorization code lives.
    pub code_lifetime_s: i64,
    /// Seconds a user token of the code exchange lives.
    pub short_token_s: i64,
    /// Seconds an exchanged (long-lived) user token lives.
    pub long_token_s: i64,
}

/// What a catalog accepts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Records of one `items_batch` call.
    pub max_records: usize,
    /// Bytes of one request body.
    pub max_body_bytes: usize,
    /// `brand` is required; otherwise one of brand, gtin, mpn is.
    pub require_brand: bool,
    /// Characters a title may have before the row is refused. Over 100 is a warning.
    pub title_limit: usize,
    /// Characters a description may have before the row is refused. Over 5000 is a warning.
    pub description_limit: usize,
    /// Errors and warnings listed by a poll; their counts stay full.
    pub error_sample: usize,
    /// Number of the first row in `errors[].line` (Meta's samples show 0 and 1).
    pub line_base: usize,
    /// Deleting an item that is not there is a row error.
    pub delete_missing_is_error: bool,
    /// System users a business may have (error 3949).
    pub max_system_users: usize,
    /// Admin system users a business may have (error 3965).
    pub max_admin_system_users: usize,
    /// Rows of one page when `limit` is left out.
    pub default_page: usize,
    /// Largest page given.
    pub max_page: usize,
}

/// Shapes in which Meta's answers vary; a client must survive each.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switches {
    /// `error.error_data` is a JSON string of the object.
    pub error_data_as_string: bool,
    /// Token answers leave out `expires_in` (the token still ends).
    pub omit_expires_in: bool,
    /// Lists come without `paging` (then only the first page can be had).
    pub omit_paging: bool,
    /// Nested edges are left out of their parent.
    pub omit_nested_edges: bool,
    /// `items_batch` answers without `validation_status`.
    pub omit_validation_status: bool,
    /// A clean item reads back without `errors` instead of with `[]`.
    pub omit_empty_errors: bool,
    /// A catalog that is not assigned answers code 200 instead of 100/33.
    pub unassigned_is_permission_error: bool,
    /// Missing required fields show up under `warnings` of the poll while they count as errors.
    pub missing_fields_as_warnings: bool,
    /// Minting a system user token needs `set_token_expires_in_60_days`.
    pub only_expiring_system_tokens: bool,
    /// A minted system user token comes with `token_type` and `expires_in`.
    pub mint_tells_expiry: bool,
    /// Prices read back as `299.00 INR` instead of with the currency's symbol.
    pub price_as_code: bool,
}

impl Config {
    /// Reads a configuration; what is left out keeps its default.
    ///
    /// # Errors
    /// Says where the text is no TOML, names an unknown key, or has a value of the wrong type.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

impl Default for Config {
    fn default() -> Self {
        let catalog = |id: &str, name: &str| Catalog { id: id.into(), name: name.into(), vertical: commerce() };
        Self {
            app: App::default(),
            users: vec![User { id: "2000000001".into(), name: "Alex Admin".into() }],
            businesses: vec![Business {
                id: "3000000001".into(),
                name: "Acme Holdings".into(),
                admins: vec!["2000000001".into()],
                owned_catalogs: vec![
                    catalog("4000000001", "Acme Master Catalog"),
                    catalog("4000000002", "Acme Second Catalog"),
                ],
                client_catalogs: Vec::new(),
            }],
            system_users: Vec::new(),
            tokens: Vec::new(),
            quotas: Quotas::default(),
            times: Times::default(),
            rules: Rules::default(),
            switches: Switches::default(),
            log_size: 200,
            seed: None,
        }
    }
}

impl Default for App {
    fn default() -> Self {
        Self {
            id: "1000000001".into(),
            name: "Catalog Sync".into(),
            secret: "simulator-app-secret".into(),
            require_proof: false,
            redirect_uris: Vec::new(),
            businesses: Vec::new(),
            auto_consent: false,
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            batch_per_minute: 8,
            management_per_hour: 20_000,
            app_per_hour: 20_000,
            blocked_calls_count: true,
            usage_header_from_percent: 50,
            usage_keyed_by_business: false,
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            processing_ms: 2_000,
            visible_after_ms: 1_000,
            review_after_ms: 60_000,
            handle_lifetime_ms: 7 * 86_400_000,
            code_lifetime_s: 600,
            short_token_s: 2 * 3_600,
            long_token_s: 60 * 86_400,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_records: 5_000,
            max_body_bytes: 28 * 1024 * 1024,
            require_brand: false,
            title_limit: 200,
            description_limit: 9_999,
            error_sample: 5,
            line_base: 1,
            delete_missing_is_error: false,
            max_system_users: 10,
            max_admin_system_users: 1,
            default_page: 25,
            max_page: 1_000,
        }
    }
}

fn commerce() -> String {
    "commerce".into()
}

fn employee() -> String {
    "EMPLOYEE".into()
}

fn all_scopes() -> Vec<String> {
    vec!["catalog_management".into(), "business_management".into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default_world_and_it_survives_a_round_trip() {
        let read = Config::from_toml("").expect("an empty file is a configuration");
        assert_eq!(read.businesses[0].owned_catalogs[0].name, "Acme Master Catalog");
        let text = toml::to_string(&read).expect("the default world is TOML");
        assert_eq!(Config::from_toml(&text).expect("its own text").quotas.batch_per_minute, 8);
    }

    #[test]
    fn the_annotated_example_spells_out_the_defaults() {
        let example = Config::from_toml(include_str!("../example.toml")).expect("the example is a configuration");
        let text = |config: &Config| toml::to_string(config).expect("TOML");
        assert_eq!(text(&example), text(&Config::default()));
    }

    #[test]
    fn a_typo_is_refused_by_name() {
        let refused = Config::from_toml("[quotas]\nbatch_per_hour = 3").expect_err("unknown key");
        assert!(refused.to_string().contains("batch_per_hour"), "{refused}");
    }
}
