//! A login through Facebook belongs to the caller that began it: the callback completes it only while that caller may
//! still do so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, RequestBuilder};
use sha2::Sha256;
use testkit::Engine;
use testkit::better_auth::{AuthDb, Scenario, config};

use super::installation::{Answer, Installation, Plan, answer, assert_told};

const START: &str = "/admin/meta/oauth/start";

/// Nothing was exchanged, and the state is used up.
async fn nothing_came_of(shop: &Installation, back: &str) {
    assert_eq!(shop.called("GET oauth"), 0, "nothing is exchanged");
    assert_eq!(shop.get("/admin/meta/status").await.data()["connected"], false);
    assert_eq!(shop.come_back(back).await.failure(), (400, "meta_oauth_state_invalid".into()), "the login is over");
}

async fn of_a_token(database: Engine) {
    let shop = Installation::start(database).await;
    shop.set_app().await;
    let role = async |role: &str| {
        shop.sql(&format!("UPDATE api_token SET role = '{role}' WHERE id = 'token-of-catalog-admin'")).await;
    };
    let back = shop.consent().await;
    role("catalog-viewer").await;
    assert_told!("callback-of-a-lowered-role", shop.come_back(&back).await);
    role("catalog-admin").await;
    nothing_came_of(&shop, &back).await;

    let back = shop.consent().await;
    let revoked = |at: &str| format!("UPDATE api_token SET revoked_at = {at} WHERE id = 'token-of-catalog-admin'");
    shop.sql(&revoked("1")).await;
    assert_told!("callback-of-a-revoked-token", shop.come_back(&back).await);
    shop.sql(&revoked("NULL")).await;
    nothing_came_of(&shop, &back).await;

    // A callback that carries credentials carries those of the caller that began it.
    let back = shop.consent().await;
    let carried = answer(shop.request_as("catalog-viewer", Method::GET, &back)).await;
    assert_eq!(carried.failure(), (403, "FORBIDDEN".into()));
    nothing_came_of(&shop, &back).await;
    let back = shop.consent().await;
    assert_eq!(answer(shop.request_as("catalog-admin", Method::GET, &back)).await.status, 200);
    // So does the same callback once more, while it answers as the first time.
    assert_eq!(answer(shop.request_as("catalog-admin", Method::GET, &back)).await.status, 200);
    assert_eq!(answer(shop.request_as("catalog-viewer", Method::GET, &back)).await.status, 403);
    shop.stop().await;
}

#[tokio::test]
async fn a_login_of_an_api_token_ends_with_the_token_on_sqlite() {
    of_a_token(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_login_of_an_api_token_ends_with_the_token_on_postgres() {
    of_a_token(Engine::Postgres).await;
}

/// A user in a browser.
struct Browser<'a> {
    shop: &'a Installation,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn with(shop: &'a Installation, scenario: &Scenario, token: &str) -> Self {
        let deployment = &scenario.deployment;
        let mut mac = Hmac::<Sha256>::new_from_slice(deployment.secret.as_bytes()).expect("any length");
        mac.update(token.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        Self { shop, cookie: format!("{}={token}.{signature}", deployment.cookie_name) }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.shop.anonymous(Method::GET, path).header("cookie", &self.cookie)
    }

    async fn consent(&self) -> String {
        self.shop.consent_of(answer(self.get(START)).await).await
    }

    async fn come_back(&self, path: &str) -> Answer {
        answer(self.get(path)).await
    }
}

async fn of_a_session(scenario: &str, statements: &[(&str, u16)]) {
    let scenario = Scenario::named(scenario);
    let db = AuthDb::new(&scenario.schema).await;
    db.hold(&scenario).await;
    let shop = Plan::with_config(config(&scenario.deployment, &db.url, "")).start().await;
    shop.set_app().await;
    shop.stand_at(scenario.now());
    let token = |row: &serde_json::Map<String, serde_json::Value>| row["token"].as_str().expect("a token").to_owned();
    let own = token(scenario.session.as_ref().expect("a session"));
    let other = token(&scenario.others.as_ref().expect("another user").session);
    let (user, stranger) = (Browser::with(&shop, &scenario, &own), Browser::with(&shop, &scenario, &other));
    let nobody = Browser { shop: &shop, cookie: "better-auth.session_token=made-up.made-up".into() };

    for (statement, status) in statements {
        for browser in [&user, &nobody] {
            let back = user.consent().await;
            db.run(&statement.replace("{token}", &own)).await;
            let code = if *status == 401 { "UNAUTHORIZED" } else { "FORBIDDEN" };
            assert_eq!(browser.come_back(&back).await.failure(), (*status, code.to_owned()), "{statement}");
            db.hold(&scenario).await;
            nothing_came_of(&shop, &back).await;
        }
    }

    let back = user.consent().await;
    assert_told!("callback-of-another-user", stranger.come_back(&back).await);
    nothing_came_of(&shop, &back).await;
    let back = user.consent().await;
    let token = answer(shop.request_as("catalog-admin", Method::GET, &back)).await;
    assert_eq!(token.failure(), (403, "FORBIDDEN".into()));
    nothing_came_of(&shop, &back).await;
    // An API token began it, and a user brings it back.
    let back = shop.consent().await;
    assert_eq!(user.come_back(&back).await.failure(), (403, "FORBIDDEN".into()));
    nothing_came_of(&shop, &back).await;

    // As long as Better-Auth's database does not answer, nobody can say; the login is not over.
    let back = user.consent().await;
    db.run("ALTER TABLE \"session\" RENAME TO elsewhere").await;
    assert_eq!(user.come_back(&back).await.failure(), (503, "SERVICE_UNAVAILABLE".into()));
    db.run("ALTER TABLE elsewhere RENAME TO \"session\"").await;
    assert_eq!(shop.called("GET oauth"), 0);
    assert_eq!(user.come_back(&back).await.status, 200);
    // Browsers may leave the cookie out.
    let back = user.consent().await;
    assert_eq!(shop.come_back(&back).await.status, 200);
    let back = user.consent().await;
    assert_eq!(nobody.come_back(&back).await.status, 200);
    shop.stop().await;
}

const OF_BOTH: [(&str, u16); 4] = [
    ("DELETE FROM \"session\" WHERE token = '{token}'", 401),
    ("UPDATE \"user\" SET role = 'catalog-viewer'", 403),
    ("UPDATE \"user\" SET role = NULL", 403),
    // The token of a session that is now another user's.
    ("UPDATE \"session\" SET \"userId\" = (SELECT id FROM \"user\" WHERE role = 'catalog-viewer')", 401),
];

#[tokio::test]
async fn a_login_of_a_user_ends_with_the_session_on_sqlite() {
    let more = [
        ("UPDATE \"user\" SET banned = 1", 401),
        ("UPDATE \"session\" SET \"expiresAt\" = '2020-01-01T00:00:00.000Z'", 401),
    ];
    of_a_session("sqlite/presentation", &[OF_BOTH.as_slice(), &more].concat()).await;
}

#[tokio::test]
async fn a_login_of_a_user_ends_with_the_session_on_postgres() {
    let more = [
        ("UPDATE \"user\" SET banned = TRUE", 401),
        ("UPDATE \"session\" SET \"expiresAt\" = '2020-01-01T00:00:00.000Z'", 401),
    ];
    of_a_session("postgresql/presentation", &[OF_BOTH.as_slice(), &more].concat()).await;
}
