//! The dialog, codes, tokens.

use serde_json::json;
use url::Url;

use crate::support::*;

const BACK: &str = "https://api.shop.example/callback?a=b";

fn dialog() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", APP),
        ("redirect_uri", BACK),
        ("state", "s t&1"),
        ("response_type", "code"),
        ("scope", "catalog_management,business_management"),
    ]
}

async fn consent(sim: &Sim, more: &[(&str, &str)]) -> Url {
    let form: Vec<_> = dialog().into_iter().chain(more.iter().copied()).collect();
    let reply = sim.send(sim.http.post(sim.url("dialog/consent")).form(&form)).await;
    assert_eq!(reply.status, 302, "{}", reply.text);
    Url::parse(reply.headers["location"].to_str().expect("text")).expect("a URL")
}

fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn exchange(sim: &Sim, change: &[(&str, &str)]) -> Reply {
    let mut query = vec![("client_id", APP), ("client_secret", SECRET), ("redirect_uri", BACK)];
    for (name, value) in change {
        query.retain(|(key, _)| key != name);
        query.push((name, value));
    }
    sim.send(sim.http.get(sim.url("v25.0/oauth/access_token")).query(&query)).await
}

async fn code(sim: &Sim) -> String {
    param(&consent(sim, &[]).await, "code").expect("a code")
}

#[tokio::test]
async fn the_consent_page_has_forms_that_carry_the_request() {
    let sim = Sim::start().await;
    let page = sim.send(sim.http.get(sim.url("v25.0/dialog/oauth")).query(&dialog())).await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().expect("text").starts_with("text/html"));
    for part in [
        "action=\"/dialog/consent\"",
        "value=\"allow\"",
        "value=\"deny\"",
        "name=\"state\" value=\"s t&amp;1\"",
        "Catalog Sync",
        "Alex Admin",
        "catalog_management",
    ] {
        assert!(page.text.contains(part), "{part} is missing in {}", page.text);
    }
}

#[tokio::test]
async fn allowing_leads_back_with_code_and_state_and_the_code_buys_a_token() {
    let sim = Sim::start().await;
    let back = consent(&sim, &[("decision", "allow")]).await;
    assert!(back.as_str().starts_with("https://api.shop.example/callback?a=b&code="), "{back}");
    assert_eq!((param(&back, "state").as_deref(), back.fragment()), (Some("s t&1"), Some("_=_")));
    let body = exchange(&sim, &[("code", &param(&back, "code").expect("a code"))]).await.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(7_200)));
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(sim.get_as(token, "me", &[]).await.json()["id"], USER);
    let granted = sim.get_as(token, "me/permissions", &[]).await.json();
    assert!(
        granted["data"]
            .as_array()
            .expect("a list")
            .contains(&json!({"permission": "catalog_management", "status": "granted"}))
    );
}

#[tokio::test]
async fn denying_leads_back_with_the_captured_error() {
    let sim = Sim::start().await;
    let back = consent(&sim, &[("decision", "deny")]).await;
    let query = "a=b&error=access_denied&error_code=200&error_description=Permissions+error&error_reason=user_denied&state=s+t%261";
    assert_eq!(back.query(), Some(query));
}

#[tokio::test]
async fn a_declined_scope_is_not_in_the_token() {
    for answer in
        [[("decline", "catalog_management"), ("user", "")], [("asked", "true"), ("grant.business_management", "true")]]
    {
        declined(&answer).await;
    }
}

async fn declined(answer: &[(&str, &str)]) {
    let sim = Sim::start().await;
    let back = consent(&sim, answer).await;
    let body = exchange(&sim, &[("code", &param(&back, "code").expect("a code"))]).await.json();
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(sim.get_as(token, CATALOG, &[]).await.code().0, 200);
    assert!(sim.get_as(token, "me/permissions", &[]).await.text.contains("declined"));
}

#[tokio::test]
async fn a_configuration_of_login_for_business_stands_for_the_scopes() {
    let sim = Sim::start().await;
    let query = [("client_id", APP), ("redirect_uri", BACK), ("config_id", "77"), ("response_type", "code")];
    let page = sim.send(sim.http.get(sim.url("v25.0/dialog/oauth")).query(&query)).await;
    assert!(page.text.contains("name=\"config_id\" value=\"77\""), "{}", page.text);
    let reply = sim.send(sim.http.post(sim.url("dialog/consent")).form(&query)).await;
    let back = Url::parse(reply.headers["location"].to_str().expect("text")).expect("a URL");
    let body = exchange(&sim, &[("code", &param(&back, "code").expect("a code"))]).await.json();
    assert_eq!(sim.get_as(body["access_token"].as_str().expect("a token"), CATALOG, &[]).await.status, 200);
}

#[tokio::test]
async fn a_bad_dialog_request_gets_a_page_and_no_redirect() {
    let sim = Sim::with(|config| config.app.redirect_uris = vec![BACK.into()]).await;
    for (name, value) in [
        ("client_id", "5"),
        ("redirect_uri", "https://api.shop.example/callback"),
        ("redirect_uri", "https://evil.example/"),
        ("scope", "catalog_management,everything"),
        ("response_type", "token"),
    ] {
        let query: Vec<_> =
            dialog().into_iter().map(|(key, old)| (key, if key == name { value } else { old })).collect();
        let reply = sim.send(sim.http.get(sim.url("v25.0/dialog/oauth")).query(&query)).await;
        assert_eq!(reply.status, 400, "{name}={value}");
        assert!(reply.headers.get("location").is_none());
    }
}

#[tokio::test]
async fn auto_consent_leads_straight_back() {
    let sim = Sim::with(|config| config.app.auto_consent = true).await;
    let reply = sim.send(sim.http.get(sim.url("v25.0/dialog/oauth")).query(&dialog())).await;
    assert_eq!(reply.status, 302);
    assert!(reply.headers["location"].to_str().expect("text").contains("code="));
}

#[tokio::test]
async fn a_code_works_once_in_time_and_with_its_redirect_uri() {
    let sim = Sim::start().await;
    let good = code(&sim).await;
    assert_eq!(exchange(&sim, &[("code", &good)]).await.status, 200);
    let again = exchange(&sim, &[("code", &good)]).await;
    assert_eq!((again.status, again.code()), (400, (100, Some(36009))));
    let other = code(&sim).await;
    assert_eq!(
        exchange(&sim, &[("code", &other), ("redirect_uri", "https://x.example/")]).await.code(),
        (100, Some(36008))
    );
    sim.handle.advance(600_000);
    assert_eq!(exchange(&sim, &[("code", &other)]).await.code(), (100, Some(36007)));
    assert_eq!(exchange(&sim, &[("code", "nonsense")]).await.code(), (100, None));
}

#[tokio::test]
async fn app_and_secret_are_checked() {
    let sim = Sim::start().await;
    let code = code(&sim).await;
    let reply = exchange(&sim, &[("code", &code), ("client_secret", "wrong")]).await;
    assert_eq!((reply.status, reply.code().0), (400, 1));
    assert_eq!(reply.json()["error"]["message"], "Error validating client secret.");
    assert_eq!(exchange(&sim, &[("code", &code), ("client_id", "5")]).await.code().0, 101);
    assert_eq!(exchange(&sim, &[("code", &code)]).await.status, 200, "a failed try does not use the code up");
}

#[tokio::test]
async fn a_long_lived_token_is_a_new_string_for_60_days_and_an_expired_one_buys_nothing() {
    let sim = Sim::start().await;
    let short = sim.handle.mint_token(USER, Some(60));
    let query = [("grant_type", "fb_exchange_token"), ("fb_exchange_token", short.as_str())];
    let body = exchange(&sim, &query).await.json();
    assert_eq!(body["expires_in"], 60 * 86_400);
    let long = body["access_token"].as_str().expect("a token");
    assert_ne!(long, short);
    sim.handle.advance(60_000);
    assert_eq!(exchange(&sim, &query).await.code(), (190, Some(463)));
    assert_eq!(sim.get_as(long, "me", &[]).await.status, 200);
}

#[tokio::test]
async fn expires_in_can_be_missing() {
    let sim = Sim::with(|config| config.switches.omit_expires_in = true).await;
    let code = code(&sim).await;
    let body = exchange(&sim, &[("code", &code)]).await.json();
    assert!(body.get("expires_in").is_none() && body["access_token"].is_string(), "{body}");
}

#[tokio::test]
async fn debug_token_tells_of_good_and_bad_tokens() {
    let sim = Sim::start().await;
    let app_token = format!("{APP}|{SECRET}");
    let token = sim.handle.mint_token(USER, Some(60));
    let look = async |input: &str| {
        sim.get_as(&app_token, "debug_token", &[("input_token", input)]).await.json()["data"].clone()
    };
    let good = look(&token).await;
    let now = sim.handle.now_ms() / 1_000;
    assert_eq!(
        good,
        json!({"app_id": APP, "type": "USER", "application": "Catalog Sync", "data_access_expires_at": 0,
            "expires_at": now + 60, "is_valid": true, "issued_at": now, "user_id": USER,
            "scopes": ["catalog_management", "business_management"],
            "granular_scopes": [{"scope": "catalog_management"}, {"scope": "business_management"}]})
    );
    sim.handle.advance(60_000);
    let ended = look(&token).await;
    assert_eq!(
        (&ended["is_valid"], &ended["error"]["subcode"], &ended["scopes"]),
        (&json!(false), &json!(463), &json!([]))
    );
    assert_eq!(look("nonsense").await["is_valid"], false);
    assert_eq!(look(&sim.handle.mint_token(USER, None)).await["expires_at"], 0);
}

#[tokio::test]
async fn revoking_ends_one_token_and_removing_permissions_ends_all() {
    let sim = Sim::start().await;
    let (one, two) = (sim.handle.mint_token(USER, None), sim.handle.mint_token(USER, None));
    let query = [("client_id", APP), ("client_secret", SECRET), ("revoke_token", &one), ("access_token", &sim.token)];
    let reply = sim.send(sim.http.get(sim.url("v25.0/oauth/revoke")).query(&query)).await;
    assert_eq!(reply.json(), json!({"success": true}));
    assert_eq!(sim.get_as(&one, "me", &[]).await.code(), (190, Some(467)));
    assert_eq!(sim.get_as(&two, "me", &[]).await.status, 200);
    assert_eq!(sim.delete(&format!("{USER}/permissions")).await.json(), json!({"success": true}));
    assert_eq!(sim.get_as(&two, "me", &[]).await.code(), (190, Some(458)));
}
