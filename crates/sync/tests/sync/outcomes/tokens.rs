//! The access token is renewed in time through Meta's exchange, and a renewal never overwrites a newer credential.

use std::sync::Arc;

use catalog_sync::actors::token::{StoredToken, TokenFault, TokenSource as _};
use catalog_sync::domain::credential::TokenKind;
use catalog_sync::pipeline::token_source::CredentialSource;
use catalog_sync::store::credential::{self, Credential, Metadata};
use graph_simulator::Kind;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;

use super::on_both;
use testkit::{Stage, graph_error};

const DAY: i64 = 86_400_000;

/// Connects with a user's token that expires in `ms` milliseconds. Returns the token.
async fn connect_for(stage: &Stage, ms: i64) -> String {
    connect_as(stage, TokenKind::User, ms).await
}

async fn connect_as(stage: &Stage, token_kind: TokenKind, ms: i64) -> String {
    let text = stage.meta.mint_token("2000000001", Some(ms / 1_000));
    let app = &stage.service.app;
    let (token, end) = (SecretString::from(text.clone()), Some(app.clock.now() + ms));
    let new = Credential {
        account_id: "2000000001".into(),
        access_token: token.clone(),
        access_token_expires_at: end,
        user_token: Some(token),
        user_token_expires_at: end,
        scope: None,
        metadata: Metadata { token_kind, account_name: None },
        version: 0,
        connected_at: app.now(),
    };
    let mut tx = stage.db().write().await.expect("a transaction");
    credential::replace(&mut tx, &app.keyring, &new, app.now()).await.expect("connected");
    tx.commit().await.expect("committed");
    app.tokens.forget();
    text
}

async fn stored(stage: &Stage) -> Option<Credential> {
    let mut tx = stage.db().read().await.expect("a connection");
    credential::load(&mut tx, &stage.service.app.keyring).await.expect("loaded")
}

fn exchanges(stage: &Stage) -> u64 {
    stage.meta.calls().by_edge.iter().filter(|(edge, _)| edge.ends_with(" oauth")).map(|(_, calls)| calls).sum()
}

/// Turns sync off, so that the drain does not request the token and start a renewal.
async fn only_we_ask(stage: &Stage) {
    stage.set(serde_json::json!({"sync_enabled": false})).await;
}

/// Starts a refresh of the stored credential and waits until its exchange has reached Meta. It calls the actor's source
/// directly, so that no newer generation hides a late success.
async fn refresh_under_way(stage: &Stage) -> JoinHandle<Result<i64, TokenFault>> {
    let known = stored(stage).await.expect("a credential");
    let current = StoredToken {
        token: known.access_token,
        kind: TokenKind::User,
        expires_at: known.access_token_expires_at,
        version: known.version,
        account_id: None,
    };
    let before = exchanges(stage);
    let source = CredentialSource(Arc::clone(&stage.service.app));
    let refreshed = tokio::spawn(async move { source.refresh(&current).await.map(|token| token.version) });
    stage.wait("the exchange is under way", async || exchanges(stage) > before).await;
    refreshed
}

on_both! {
    /// A user's token is exchanged from seven days before its expiry, and not a day earlier.
    async fn renewed_from_seven_days_before_the_end(stage) {
        let first = connect_for(&stage, 8 * DAY).await;
        let tokens = &stage.service.app.tokens;
        assert_eq!(tokens.get().await.expect("a token").token.expose_secret(), first);
        assert_eq!(exchanges(&stage), 0);
        stage.pass(DAY);
        let second = tokens.get().await.expect("a token");
        assert_ne!(second.token.expose_secret(), first);
        assert_eq!(exchanges(&stage), 1);
        let known = stored(&stage).await.expect("a credential");
        assert_eq!(known.access_token.expose_secret(), second.token.expose_secret());
        assert_eq!(known.user_token.expect("kept").expose_secret(), second.token.expose_secret());
        assert_eq!(known.access_token_expires_at, Some(stage.now() + 60 * DAY));
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        assert_eq!(exchanges(&stage), 1, "the new one is good for long");
        stage.check().await;
        stage.close().await;
    }

    /// A system user's token with an expiry is renewed before it. The operator's own token is kept beside it.
    async fn a_system_users_token_with_an_end_is_renewed(stage) {
        let first = connect_as(&stage, TokenKind::SystemUser, 3 * DAY).await;
        let second = stage.service.app.tokens.get().await.expect("a token");
        assert_ne!(second.token.expose_secret(), first);
        let known = stored(&stage).await.expect("a credential");
        assert_eq!(known.access_token.expose_secret(), second.token.expose_secret());
        assert_eq!(known.user_token.expect("kept").expose_secret(), first);
        assert_eq!(known.metadata.token_kind, TokenKind::SystemUser);
        stage.close().await;
    }

    /// A thousand concurrent requests for the token cost one exchange and get the same result.
    async fn a_thousand_askers_cost_one_exchange(stage) {
        only_we_ask(&stage).await;
        let before = exchanges(&stage);
        stage.strike("oauth", Kind::Held {});
        connect_for(&stage, 3 * DAY).await;
        let asks = (0..1_000).map(|_| {
            let tokens = stage.service.app.tokens.clone();
            tokio::spawn(async move { tokens.get().await.expect("a token").token.expose_secret().to_owned() })
        });
        let asks: Vec<_> = asks.collect();
        stage.wait("the exchange is under way", async || exchanges(&stage) > before).await;
        stage.meta.clear_faults();
        let mut heard = std::collections::HashSet::new();
        for ask in asks {
            heard.insert(ask.await.expect("an answer"));
        }
        assert_eq!((heard.len(), exchanges(&stage) - before), (1, 1));
        stage.close().await;
    }

    /// Only one renewal runs at a time, and callers get the old token meanwhile. A renewal that ends late and finds a
    /// changed credential overwrites nothing, and callers get the newer token.
    async fn a_late_refresh_overwrites_nothing(stage) {
        only_we_ask(&stage).await;
        let before = exchanges(&stage);
        stage.strike("oauth", Kind::Held {});
        let old = connect_for(&stage, 3 * DAY).await;
        let refreshed = refresh_under_way(&stage).await;
        let tokens = stage.service.app.tokens.clone();
        assert_eq!(tokens.get().await.expect("a token").token.expose_secret(), old);
        let newer = connect_for(&stage, 50 * DAY).await;
        assert_eq!(tokens.get().await.expect("a token").token.expose_secret(), newer);
        let version = stored(&stage).await.expect("a credential").version;
        stage.meta.clear_faults();
        assert_eq!(refreshed.await.expect("an answer"), Err(TokenFault::Superseded));
        let known = stored(&stage).await.expect("a credential");
        assert_eq!((known.access_token.expose_secret(), known.version), (newer.as_str(), version));
        assert_eq!(exchanges(&stage) - before, 1);
        stage.close().await;
    }

    /// A renewal that starts after another one has renewed the token does not renew it again.
    async fn what_another_renewed_is_not_renewed_again(stage) {
        only_we_ask(&stage).await;
        connect_for(&stage, 3 * DAY).await;
        let read_before = refresh_under_way(&stage).await;
        read_before.await.expect("an answer").expect("renewed");
        let renewed = exchanges(&stage);
        let stale = StoredToken {
            token: SecretString::from("old"),
            kind: TokenKind::User,
            expires_at: Some(stage.now() + DAY),
            version: stored(&stage).await.expect("a credential").version - 1,
            account_id: None,
        };
        let source = CredentialSource(Arc::clone(&stage.service.app));
        assert_eq!(source.refresh(&stale).await.err(), Some(TokenFault::Superseded));
        assert_eq!(exchanges(&stage), renewed);
        stage.close().await;
    }

    /// A late renewal does not restore a connection that was removed meanwhile.
    async fn a_late_refresh_revives_nothing(stage) {
        only_we_ask(&stage).await;
        stage.strike("oauth", Kind::Held {});
        connect_for(&stage, 3 * DAY).await;
        let refreshed = refresh_under_way(&stage).await;
        stage.disconnect().await;
        stage.meta.clear_faults();
        assert_eq!(refreshed.await.expect("an answer"), Err(TokenFault::Superseded));
        assert!(stored(&stage).await.is_none());
        assert_eq!(stage.service.app.tokens.get().await.err(), Some(TokenFault::NotConnected));
        stage.close().await;
    }

    /// One failure ends all waiting requests: with the old token while it is valid, with the fault when Meta calls it
    /// dead.
    async fn a_failed_refresh_answers_all(stage) {
        only_we_ask(&stage).await;
        for (kind, usable) in [(Kind::Html502 { after_accept: false }, true), (graph_error(190, Some(463)), false)] {
            let before = exchanges(&stage);
            stage.strike("oauth", kind);
            let old = connect_for(&stage, 3 * DAY).await;
            let asks = (0..50).map(|_| {
                let tokens = stage.service.app.tokens.clone();
                tokio::spawn(async move { tokens.get().await })
            });
            for ask in asks.collect::<Vec<_>>() {
                match ask.await.expect("an answer") {
                    Ok(token) => assert!(usable && token.token.expose_secret() == old),
                    Err(fault) => assert!(!usable && matches!(fault, TokenFault::Dead { .. }), "{fault}"),
                }
            }
            assert_eq!(exchanges(&stage) - before, 1, "and the next one waits");
        }
        stage.close().await;
    }

    /// The token expires with work left, and the exchange fails. The drain stops, reports the reason, counts no further
    /// attempt, and resumes after a reconnect.
    async fn a_token_that_ends_mid_drain(stage) {
        connect_for(&stage, DAY).await;
        stage.strikes("oauth", 0, 1_000, Kind::Html502 { after_accept: false });
        stage.sell(&["a"], 100).await;
        stage.settle().await;
        stage.pass(2 * DAY);
        stage.sell(&["b"], 100).await;
        stage.until("the problem is recorded", async || stage.problem().await.is_some()).await;
        let told = stage.problem().await.expect("a problem");
        assert_eq!(told.code, "meta_token_expired");
        assert!(told.message.contains("connect the account again"), "{}", told.message);
        stage.look_twice(600_000).await;
        assert_eq!((stage.batches(), stage.last_asked("b").await.attempts), (1, 0));
        stage.meta.clear_faults();
        stage.connect().await;
        stage.settle().await;
        assert_eq!(stage.problem().await, None);
        stage.check().await;
        stage.close().await;
    }

    /// Meta invalidates the token between two calls. The next call detects it, and nothing is lost.
    async fn a_token_that_meta_ends_mid_drain(stage) {
        stage.set(serde_json::json!({"batch_size": 1})).await;
        stage.strikes("items_batch", 1, 1, graph_error(190, Some(463)));
        stage.sell(&["a", "b", "c"], 100).await;
        stage.until("the problem is recorded", async || stage.problem().await.is_some()).await;
        assert_eq!(stage.batches(), 2);
        stage.look_twice(600_000).await;
        assert_eq!(stage.batches(), 2);
        stage.connect().await;
        stage.settle().await;
        assert_eq!(stage.batches(), 4);
        stage.check().await;
        stage.close().await;
    }
}
