//! The source of the TokenActor's token: the sealed credential, and Meta's token exchange.

use std::sync::Arc;

use crate::actors::token::{StoredToken, TokenFault, TokenSource};
use crate::app::App;
use crate::clock::Millis;
use crate::domain::credential::TokenKind;
use crate::failpoints::{Point, at};
use crate::report::chain;
use crate::runtime::exclusive::{Exclusive, Work};
use crate::store::credential::{self, Credential};
use crate::store::{StoreError, channel};
use meta_graph::{ErrorClass, GraphFailure, TokenGrant};

/// The pipeline's token source: its stored credential.
#[derive(Debug)]
pub struct CredentialSource(pub Arc<App>);

#[ractor::async_trait]
impl TokenSource for CredentialSource {
    async fn load(&self) -> Result<Option<StoredToken>, TokenFault> {
        let mut tx = self.0.db.read().await.map_err(unavailable)?;
        let credential = credential::load(&mut tx, &self.0.keyring).await.map_err(unavailable)?;
        let channel = channel::load(&mut tx).await.map_err(unavailable)?;
        let Some(credential) = credential else { return Ok(None) };
        // Meta's answer about exactly this credential is stored across restarts.
        match channel.problem {
            Some(problem)
                if problem.code == "meta_token_dead" && channel.problem_credential == Some(credential.version) =>
            {
                Err(TokenFault::Dead { problem: problem.message })
            }
            _ => Ok(Some(stored(&credential))),
        }
    }

    async fn refresh(&self, current: &StoredToken) -> Result<StoredToken, TokenFault> {
        let Some(right) = Exclusive::take(&self.0.db, &self.0.clock, Work::TokenRenewal).await.map_err(unavailable)?
        else {
            return Err(TokenFault::Unavailable { reason: "another replica is renewing the token".into() });
        };
        let outcome = self.exchange(current).await;
        right.end().await;
        outcome
    }
}

impl CredentialSource {
    /// Exchanges the token, and writes the new token if the stored credential is still the same version.
    async fn exchange(&self, current: &StoredToken) -> Result<StoredToken, TokenFault> {
        let app = &self.0;
        let mut tx = app.db.read().await.map_err(unavailable)?;
        // Another replica may have renewed the token since this process read it.
        if credential::version(&mut tx).await.map_err(unavailable)? != Some(current.version) {
            return Err(TokenFault::Superseded);
        }
        drop(tx);
        let settings = app.load_settings().await.map_err(unavailable)?;
        let Some(credentials) = app.app_credentials(&settings).await.map_err(unavailable)? else {
            let reason = "app_id or app_secret is blank; the token exchange needs both".into();
            return Err(TokenFault::Unavailable { reason });
        };
        // Most system user tokens do not expire and are never exchanged; some businesses only receive tokens that last
        // 60 days.
        let grant = match current.kind {
            TokenKind::User => app.graph.extend_user_token(&credentials, &current.token).await,
            TokenKind::SystemUser => app.graph.renew_system_user_token(&credentials, &current.token).await,
        }
        .map_err(refused)?;
        at(Point::TokenExchanged).await;
        let now = app.now();
        let mut tx = app.db.write().await.map_err(unavailable)?;
        let Some(known) = credential::load(&mut tx, &app.keyring).await.map_err(unavailable)? else {
            return Err(TokenFault::Superseded);
        };
        let renewed = Credential {
            access_token: grant.access_token.clone(),
            access_token_expires_at: expires_at(&grant, now),
            version: current.version,
            ..known
        };
        // For a user credential, the operator's token and the access token are the same token.
        let renewed = match current.kind {
            TokenKind::SystemUser => renewed,
            TokenKind::User => Credential {
                user_token: Some(grant.access_token.clone()),
                user_token_expires_at: expires_at(&grant, now),
                ..renewed
            },
        };
        let written =
            credential::replace_if_current(&mut tx, &app.keyring, &renewed, now).await.map_err(unavailable)?;
        let Some(version) = written else { return Err(TokenFault::Superseded) };
        tx.commit().await.map_err(unavailable)?;
        at(Point::TokenWritten).await;
        Ok(stored(&Credential { version, ..renewed }))
    }
}

fn stored(credential: &Credential) -> StoredToken {
    StoredToken {
        token: credential.access_token.clone(),
        kind: credential.metadata.token_kind,
        expires_at: credential.access_token_expires_at,
        version: credential.version,
        account_id: Some(credential.account_id.clone()),
    }
}

/// Returns when a grant expires by this process's clock; `None` when it does not expire.
#[must_use]
pub fn expires_at(grant: &TokenGrant, now: Millis) -> Option<Millis> {
    grant.expires_in.map(|span| now.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn unavailable(error: StoreError) -> TokenFault {
    TokenFault::Unavailable { reason: chain(&error) }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn refused(failure: GraphFailure) -> TokenFault {
    match failure.class() {
        ErrorClass::TokenDead(_) => TokenFault::Dead { problem: format!("{} ({failure})", failure.operator_hint()) },
        _ => TokenFault::Unavailable { reason: failure.to_string() },
    }
}
