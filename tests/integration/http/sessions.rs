//! People who sign in: every recorded session, and what surrounds the verdict.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use testkit::better_auth::{AuthDb, Deployment, Scenario, config, vectors};
use testkit::{Engine, PATIENCE};

use super::installation::{Answer, Installation, Plan, answer, assert_told};

const VIEW: (Method, &str) = (Method::GET, "/admin/meta/status");
const MANAGE: (Method, &str) = (Method::POST, "/admin/meta/items/bulk/resync-failed");

async fn ask(shop: &Installation, (method, path): (Method, &str), headers: &BTreeMap<String, String>) -> Answer {
    answer(dressed(shop.anonymous(method, path), headers).header("origin", shop.base())).await
}

fn dressed(request: RequestBuilder, headers: &BTreeMap<String, String>) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// The status, where any success counts as 200.
fn verdict(answer: &Answer) -> u16 {
    if answer.status.is_success() { 200 } else { answer.failure().0 }
}

/// Runs every recorded request whose tables are on this database; one service for each way to deploy Better-Auth.
async fn every_vector(database: &str) {
    let vectors = vectors();
    let mut deployments: BTreeMap<(&str, &Deployment), Vec<&Scenario>> = BTreeMap::new();
    for scenario in vectors.scenarios.iter().filter(|scenario| scenario.schema.starts_with(database)) {
        deployments.entry((&scenario.schema, &scenario.deployment)).or_default().push(scenario);
    }
    let mut asked = 0;
    for ((schema, deployment), scenarios) in deployments {
        let db = AuthDb::new(schema).await;
        let shop = Plan::with_config(config(deployment, &db.url, "impersonation_may_manage = true")).start().await;
        for scenario in scenarios {
            db.hold(scenario).await;
            shop.stand_at(scenario.now());
            for request in &scenario.requests {
                let expected = &vectors.verdicts[&request.expect];
                let view = verdict(&ask(&shop, VIEW, &request.headers).await);
                let manage = verdict(&ask(&shop, MANAGE, &request.headers).await);
                let what = format!("{} {}", scenario.id, request.id);
                assert_eq!((view, manage), (expected["view"], expected["manage"]), "{what}");
                asked += 1;
            }
        }
        shop.stop().await;
    }
    assert_eq!(asked, 111, "of 222 on both databases");
}

#[tokio::test]
async fn every_recorded_session_gets_its_verdict_on_sqlite() {
    every_vector("sqlite").await;
}

#[tokio::test]
async fn every_recorded_session_gets_its_verdict_on_postgres() {
    every_vector("postgresql").await;
}

/// A service that knows the session of a scenario.
async fn knowing(scenario: &Scenario, more: &str) -> (Installation, AuthDb) {
    let db = AuthDb::new(&scenario.schema).await;
    db.hold(scenario).await;
    let shop = Plan::with_config(config(&scenario.deployment, &db.url, more)).start().await;
    shop.stand_at(scenario.now());
    (shop, db)
}

#[tokio::test]
async fn a_cookie_changes_something_only_from_a_page_of_ours() {
    let scenario = Scenario::named("sqlite/presentation");
    let db = AuthDb::new(&scenario.schema).await;
    db.hold(&scenario).await;
    let mut text = "public_admin_url = \"https://admin.shop.example\"\n".to_owned();
    text.push_str(&config(&scenario.deployment, &db.url, ""));
    let shop = Plan::with_config(text).start().await;
    shop.stand_at(scenario.now());
    let post = async |headers: &BTreeMap<String, String>, more: (&str, &str)| {
        answer(dressed(shop.anonymous(MANAGE.0, MANAGE.1), headers).header(more.0, more.1)).await
    };
    let cookie = scenario.headers("cookie-percent-encoded");
    assert_told!("foreign-page", post(cookie, ("origin", "https://evil.example")).await);
    for (refused, value) in [("origin", "null"), ("x-nothing", "said"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(post(cookie, (refused, value)).await.failure(), (403, "FORBIDDEN".into()), "{refused}: {value}");
        let beside = scenario.headers("bad-bearer-good-cookie");
        assert_eq!(post(beside, (refused, value)).await.failure(), (403, "FORBIDDEN".into()), "{refused}: {value}");
        assert_eq!(post(scenario.headers("bearer-signed"), (refused, value)).await.status, 202, "{refused}: {value}");
    }
    for (taken, value) in
        [("origin", shop.base()), ("origin", "https://admin.shop.example"), ("sec-fetch-site", "same-origin")]
    {
        assert_eq!(post(cookie, (taken, value)).await.status, 202, "{taken}: {value}");
    }
    let looks = dressed(shop.anonymous(VIEW.0, VIEW.1), cookie).header("origin", "https://evil.example");
    assert_eq!(answer(looks).await.status, 200, "looking changes nothing");
    shop.stop().await;
}

#[tokio::test]
async fn whoever_took_on_a_user_only_looks_unless_configured_and_must_stand() {
    let scenario = Scenario::named("postgresql/impersonated");
    let (shop, db) = knowing(&scenario, "").await;
    let headers = scenario.headers("cookie");
    assert_eq!(ask(&shop, VIEW, headers).await.status, 200);
    assert_eq!(ask(&shop, MANAGE, headers).await.failure(), (403, "FORBIDDEN".into()));
    db.run("UPDATE \"user\" SET banned = TRUE WHERE role = 'admin'").await;
    assert_eq!(ask(&shop, VIEW, headers).await.failure(), (401, "UNAUTHORIZED".into()));
    db.run("DELETE FROM \"user\" WHERE role = 'admin'").await;
    assert_eq!(ask(&shop, VIEW, headers).await.failure(), (401, "UNAUTHORIZED".into()));
    shop.stop().await;
}

/// Without its database nobody is let in, nobody is told to sign in again, and programs go on.
async fn away(url: &str) {
    let scenario = Scenario::named("sqlite/presentation");
    let shop = Plan::with_config(config(&scenario.deployment, url, "")).start().await;
    for request in ["cookie-percent-encoded", "bearer-signed", "bearer-raw", "bearer-raw-unknown"] {
        assert_told!("sessions-away", ask(&shop, VIEW, scenario.headers(request)).await);
    }
    assert_eq!(shop.get("/admin/meta/status").await.status, 200);
    for nobody in ["cookie-flipped-signature", "nothing"] {
        assert_eq!(ask(&shop, VIEW, scenario.headers(nobody)).await.failure(), (401, "UNAUTHORIZED".into()));
    }
    assert_eq!(answer(shop.anonymous(Method::GET, "/ready")).await.status, 200);
    shop.stop().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_503() {
    away("sqlite:/nowhere/at/all.db").await;
}

#[tokio::test]
async fn a_database_that_never_answers_is_503_within_seconds() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("postgres://u@{}/d", silent.local_addr().expect("an address"));
    let began = std::time::Instant::now();
    away(&url).await;
    assert!(began.elapsed() < PATIENCE, "four look-ups of two seconds each");
}

#[tokio::test]
async fn a_database_that_comes_back_serves_again() {
    let scenario = Scenario::named("postgresql/presentation");
    let (shop, db) = knowing(&scenario, "").await;
    let headers = scenario.headers("bearer-raw");
    db.run("ALTER TABLE \"user\" RENAME TO elsewhere").await;
    assert_eq!(ask(&shop, VIEW, headers).await.failure(), (503, "SERVICE_UNAVAILABLE".into()));
    db.run("ALTER TABLE elsewhere RENAME TO \"user\"").await;
    assert_eq!(ask(&shop, VIEW, headers).await.status, 200);
    shop.stop().await;
}

#[tokio::test]
async fn roles_and_names_are_what_the_configuration_says() {
    let scenario = Scenario::named("postgresql/presentation");
    let more = "[sessions.roles]\ncatalog-admin = [\"manage\"]\n[sessions.names]\nuser_table = \"auth.users\"\n\
                session_table = \"auth.sessions\"\nsession_user_id = \"user_id\"\nexpires_at = \"expires_at\"\n\
                ban_expires = \"ban_expires\"\nimpersonated_by = \"impersonated_by\"";
    let (shop, db) = knowing(&scenario, more).await;
    db.run(
        "CREATE SCHEMA auth; ALTER TABLE \"user\" SET SCHEMA auth; ALTER TABLE session SET SCHEMA auth;
         ALTER TABLE auth.\"user\" RENAME TO users; ALTER TABLE auth.session RENAME TO sessions;
         ALTER TABLE auth.sessions RENAME \"userId\" TO user_id; ALTER TABLE auth.sessions RENAME \"expiresAt\" TO expires_at;
         ALTER TABLE auth.users RENAME \"banExpires\" TO ban_expires;
         ALTER TABLE auth.sessions RENAME \"impersonatedBy\" TO impersonated_by;
         ALTER TABLE auth.sessions ALTER expires_at TYPE timestamp USING expires_at AT TIME ZONE 'UTC'",
    )
    .await;
    let headers = scenario.headers("bearer-raw");
    assert_eq!(ask(&shop, VIEW, headers).await.failure(), (403, "FORBIDDEN".into()), "manage does not imply view");
    assert_eq!(ask(&shop, MANAGE, headers).await.status, 202);
    shop.stop().await;
}

#[tokio::test]
async fn without_better_auth_only_api_tokens_count() {
    let scenario = Scenario::named("sqlite/presentation");
    let shop = Installation::start(Engine::Sqlite).await;
    assert_eq!(ask(&shop, VIEW, scenario.headers("cookie-percent-encoded")).await.failure().0, 401);
    assert_eq!(ask(&shop, VIEW, scenario.headers("bearer-raw")).await.failure().0, 401);
    assert_eq!(shop.get("/admin/settings/admin").await.data()["meta"]["app_id"], json!(""));
    shop.stop().await;
}
