//! Connecting through Facebook Login, and disconnecting.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;

use testkit::{CATALOG, Engine};

use super::installation::{Installation, Plan, answer, assert_told};

async fn the_whole_way(database: Engine) {
    let shop = Installation::start(database).await;
    assert_told!("status-fresh", shop.get("/admin/meta/status").await);
    assert_told!("oauth-start-unset", shop.get("/admin/meta/oauth/start").await);
    assert_told!("businesses-unset", shop.get("/admin/meta/businesses").await);
    shop.set_app().await;
    assert_told!("businesses-not-connected", shop.get("/admin/meta/businesses").await);
    assert_told!("select-not-connected", shop.select(CATALOG).await);
    shop.connect().await;
    assert_told!("status-connected", shop.get("/admin/meta/status").await);
    assert_told!("businesses", shop.get("/admin/meta/businesses").await);
    assert_told!("select", shop.select(CATALOG).await);
    assert_told!("status-selected", shop.get("/admin/meta/status").await);
    assert_told!("businesses", shop.get("/admin/meta/businesses").await);
    assert_told!("disconnect", shop.delete("/admin/meta/oauth").await);
    assert_told!("status-disconnected", shop.get("/admin/meta/status").await);
    assert_told!("disconnect", shop.delete("/admin/meta/oauth").await);
    shop.stop().await;
}

#[tokio::test]
async fn the_whole_way_on_sqlite() {
    the_whole_way(Engine::Sqlite).await;
}

#[tokio::test]
async fn the_whole_way_on_postgres() {
    the_whole_way(Engine::Postgres).await;
}

#[tokio::test]
async fn the_consent_page_is_asked_for_what_is_needed() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.set_app().await;
    let started = shop.get("/admin/meta/oauth/start").await.data();
    let url = url::Url::parse(started["authUrl"].as_str().expect("a URL")).expect("a URL");
    let mut query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(url.path(), "/v26.0/dialog/oauth");
    assert_eq!(query.remove("state").map(|state| state.len()), Some(43));
    let redirect = shop.url("/admin/meta/oauth/callback");
    assert_eq!(query.remove("redirect_uri"), Some(redirect));
    let rest: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(rest, ["client_id=1000000001", "response_type=code", "scope=catalog_management,business_management"]);

    shop.set(json!({"redirect_uri": "https://api.shop.example/back?from=meta"})).await.data();
    let started = shop.get("/admin/meta/oauth/start").await.data();
    let url = url::Url::parse(started["authUrl"].as_str().expect("a URL")).expect("a URL");
    let redirect = url.query_pairs().find(|(name, _)| name == "redirect_uri").map(|(_, value)| value.into_owned());
    assert_eq!(redirect.as_deref(), Some("https://api.shop.example/back?from=meta"));
    shop.stop().await;
}

#[tokio::test]
async fn a_state_is_good_once_and_for_ten_minutes() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.set_app().await;
    let callback = "/admin/meta/oauth/callback";
    assert_told!("callback-without-state", shop.come_back(&format!("{callback}?code=c")).await);
    assert_told!("callback-unknown-state", shop.come_back(&format!("{callback}?code=c&state=nobody")).await);

    let in_time = shop.consent().await;
    shop.clock.advance(10 * 60_000 - 1);
    // What only looks at the address uses nothing up.
    let head = answer(shop.anonymous(Method::HEAD, &in_time)).await;
    assert_eq!(head.status, 405);
    for (name, value) in [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")] {
        let ahead = answer(shop.anonymous(Method::GET, &in_time).header(name, value)).await;
        assert_eq!(ahead.failure(), (503, "SERVICE_UNAVAILABLE".into()), "{name}");
    }
    assert_told!("callback", shop.come_back(&in_time).await);
    // A browser that loads the page again sees the same, for a while.
    shop.clock.advance(5 * 60_000 - 1);
    assert_told!("callback", shop.come_back(&in_time).await);
    shop.clock.advance(1);
    assert_told!("callback-replayed-state", shop.come_back(&in_time).await);

    let late = shop.consent().await;
    shop.clock.advance(10 * 60_000);
    assert_told!("callback-expired-state", shop.come_back(&late).await);
    assert_eq!(shop.called("GET oauth"), 2, "one exchange, one extension, both of the callback in time");
    shop.stop().await;
}

#[tokio::test]
async fn a_denial_is_told_and_uses_the_state_up() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.set_app().await;
    let back = shop.consent().await;
    let state = back.split("state=").nth(1).expect("a state").split('&').next().expect("a state");
    let denied = format!(
        "/admin/meta/oauth/callback?error=access_denied&error_code=200&error_description=Permissions+error\
         &error_reason=user_denied&state={state}"
    );
    assert_told!("callback-denied", shop.come_back(&denied).await);
    assert_told!("callback-replayed-state", shop.come_back(&back).await);
    // Anybody can send an operator here with words of their own.
    let forged = ["error", "error_reason", "error_description", "error_message", "error_code"];
    let forged: Vec<_> = forged.iter().map(|name| format!("{name}=Call+0900-PHISHING")).collect();
    let told = shop.come_back(&format!("/admin/meta/oauth/callback?{}&errorPHISHING=1", forged.join("&"))).await;
    assert!(!told.text.contains("PHISHING"), "{}", told.text);
    assert_told!("callback-unknown-error", told);
    let unfit = "/admin/meta/oauth/callback?error=invalid_scope&error_description=PHISHING";
    assert_told!("callback-invalid-scope", shop.come_back(unfit).await);

    let back = shop.consent().await;
    let state = back.split("state=").nth(1).expect("a state").split('&').next().expect("a state");
    let nothing = format!("/admin/meta/oauth/callback?state={state}&anything=else");
    assert_told!("callback-without-code", shop.come_back(&nothing).await);
    assert_eq!(shop.get("/admin/meta/status").await.data()["connected"], false);
    shop.stop().await;
}

#[tokio::test]
async fn a_refused_code_is_the_logins_fault_and_trouble_is_metas() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.set_app().await;
    let back = shop.consent().await;
    let (before, after) = back.split_once("code=").expect("a code");
    let rest = after.split_once('&').map(|(_, rest)| format!("&{rest}")).unwrap_or_default();
    assert_told!("callback-refused-code", shop.come_back(&format!("{before}code=made-up{rest}")).await);

    let back = shop.consent().await;
    shop.plan(json!({"on": "oauth", "kind": "status_5xx"}));
    assert_told!("callback-meta-down", shop.come_back(&back).await);
    assert_eq!(shop.get("/admin/meta/status").await.data()["connected"], false);
    shop.stop().await;
}

#[tokio::test]
async fn the_browser_lands_on_the_admin_page_where_there_is_one() {
    let config = "public_admin_url = \"https://admin.shop.example/\"".into();
    let shop = Plan { config, ..Plan::on(Engine::Sqlite) }.start().await;
    shop.set_app().await;
    let back = shop.consent().await;
    let landed = shop.come_back(&back).await;
    assert_eq!(landed.status, 303);
    assert_eq!(landed.headers["location"], "https://admin.shop.example/settings/meta?connected=1");
    assert_eq!(landed.text, "");
    // The admin page must not learn the code from where the browser came from.
    assert_eq!(landed.headers["referrer-policy"], "no-referrer");
    assert_eq!(landed.headers["cache-control"], "no-store");

    // A login that fails lands there too, in a browser; a program is told.
    let denied = "/admin/meta/oauth/callback?error=access_denied&error_description=PHISHING";
    let unknown = "/admin/meta/oauth/callback?code=c&state=nobody";
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (path, code) in [(denied, "access_denied"), (unknown, "meta_oauth_state_invalid")] {
        let landed = answer(shop.anonymous(Method::GET, path).header("accept", browser)).await;
        assert_eq!(landed.status, 303);
        let location = format!("https://admin.shop.example/settings/meta?error={code}");
        assert_eq!((landed.headers["location"].to_str().expect("text"), &*landed.text), (&*location, ""));
        for program in ["*/*", "application/json"] {
            let told = answer(shop.anonymous(Method::GET, path).header("accept", program)).await;
            assert_eq!(told.status, 400, "{path}");
        }
    }
    let back = shop.consent().await;
    let (before, after) = back.split_once("code=").expect("a code");
    let rest = after.split_once('&').map(|(_, rest)| format!("&{rest}")).unwrap_or_default();
    let refused = shop.anonymous(Method::GET, &format!("{before}code=made-up{rest}")).header("accept", browser);
    let landed = answer(refused).await;
    assert_eq!(landed.headers["location"], "https://admin.shop.example/settings/meta?error=meta_oauth_exchange_failed");
    shop.stop().await;
}

/// A service that listens on every address does not know where browsers reach it.
#[tokio::test]
async fn facebook_is_not_told_to_come_back_to_every_address() {
    for address in ["http://0.0.0.0:8080", "http://[::]:8080"] {
        let shop = Plan { config: format!("public_api_url = \"{address}\""), ..Plan::on(Engine::Sqlite) }.start().await;
        shop.set_app().await;
        let refused = shop.get("/admin/meta/oauth/start").await;
        assert_eq!(refused.failure(), (400, "meta_misconfigured".into()));
        assert!(refused.text.contains("PUBLIC_API_URL") && refused.text.contains("redirect_uri"), "{}", refused.text);
        shop.set(json!({"redirect_uri": "https://api.shop.example/admin/meta/oauth/callback"})).await.data();
        assert_eq!(shop.get("/admin/meta/oauth/start").await.status, 200);
        shop.stop().await;
    }
}

async fn one_of_a_hundred_wins(database: Engine) {
    let shop = Arc::new(Installation::start(database).await);
    shop.set_app().await;
    let back = shop.consent().await;
    let callbacks: Vec<_> = (0..100).map(|_| tokio::spawn(answer(shop.anonymous(Method::GET, &back)))).collect();
    let mut won = 0;
    for callback in callbacks {
        let answer = callback.await.expect("no panic");
        // Those that come after its end answer as it did.
        if answer.status.is_success() {
            won += 1;
        } else {
            assert_eq!(answer.failure(), (400, "meta_oauth_state_invalid".into()), "{}", answer.text);
        }
    }
    assert!(won >= 1);
    assert_eq!(shop.called("GET oauth"), 2, "one exchange, one extension");
    Arc::into_inner(shop).expect("nobody else has it").stop().await;
}

#[tokio::test]
async fn of_a_hundred_callbacks_with_one_state_one_wins_on_sqlite() {
    one_of_a_hundred_wins(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_callbacks_with_one_state_one_wins_on_postgres() {
    one_of_a_hundred_wins(Engine::Postgres).await;
}

/// The facts that the status judges: what is granted, whose token is used, and what waits.
#[tokio::test]
async fn problems_are_told_in_time() {
    let shop = Installation::start(Engine::Sqlite).await;
    let codes = async || -> Vec<String> {
        let problems = shop.get("/admin/meta/status").await.data()["problems"].clone();
        let code = |problem: &serde_json::Value| problem["code"].as_str().expect("a code").to_owned();
        problems.as_array().expect("a list").iter().map(code).collect()
    };
    shop.set_app().await;
    shop.set(json!({"sync_enabled": true, "storefront_base_url": "https://shop.example"})).await.data();
    assert_eq!(codes().await, ["meta_not_connected"]);
    shop.connect().await;
    assert_eq!(codes().await, [""; 0]);
    shop.select(CATALOG).await.data();
    assert_eq!(codes().await, [""; 0]);

    // After a reconnect the same catalog is selected again by itself.
    shop.connect().await;
    let status = shop.get("/admin/meta/status").await.data();
    assert_eq!((&status["selection"]["tokenKind"], &status["problems"]), (&json!("system_user"), &json!([])));
    // Where Meta does not allow it, the personal token is used, and said.
    shop.meta.configure(|meta| meta.rules.max_admin_system_users = 0);
    shop.sql("UPDATE setting SET value = '\"4999999999\"' WHERE key = 'catalog_id'").await;
    shop.set(json!({"max_attempts": 6})).await.data();
    shop.connect().await;
    assert_eq!(codes().await, ["meta_personal_token"]);

    shop.sql("UPDATE integration_credentials SET scope = 'business_management'").await;
    assert_eq!(codes().await, ["meta_scope_missing", "meta_personal_token"]);
    shop.sql("UPDATE integration_credentials SET scope = 'business_management,catalog_management'").await;
    shop.sql("INSERT INTO meta_sync_state (variant_id, status, created_at, updated_at) VALUES ('v', 'pending', 0, 0)")
        .await;
    assert_eq!(codes().await, ["nothing_queued", "meta_personal_token"]);
    shop.stop().await;
}

#[tokio::test]
async fn a_new_connection_clears_what_stopped_the_old_one() {
    let shop = Installation::start(Engine::Sqlite).await;
    shop.connect().await;
    shop.sql(
        "UPDATE channel SET problem_code = 'meta_token_dead', problem_message = 'Connect again.', problem_credential = 1",
    )
    .await;
    let problem = json!({"code": "meta_token_dead", "message": "Connect again."});
    assert_eq!(shop.get("/admin/meta/status").await.data()["problem"], problem);
    shop.connect().await;
    assert_eq!(shop.get("/admin/meta/status").await.data()["problem"], json!(null));
    let left: Vec<(Option<String>,)> = shop.rows("SELECT problem_code FROM channel").await;
    assert_eq!(left, [(None,)]);

    shop.clock.advance(61 * 86_400_000);
    assert_told!("status-expired", shop.get("/admin/meta/status").await);
    assert_told!("businesses-expired", shop.get("/admin/meta/businesses").await);
    shop.stop().await;
}
