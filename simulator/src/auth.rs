//! Authentication of a call: the access token and `appsecret_proof`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Millis;
use crate::errors::{GraphError, Result};
use crate::params::Params;
use crate::world::{Owner, World};

/// The caller of one call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: String,
    pub(crate) owner: Owner,
    pub(crate) scopes: Vec<String>,
}

impl Caller {
    /// # Errors
    /// Code 200 when the token lacks the scope.
    pub(crate) fn needs(&self, scope: &str) -> Result<()> {
        if self.scopes.iter().any(|held| held == scope) { Ok(()) } else { Err(GraphError::missing_permission(scope)) }
    }
}

/// Minutes a timed proof is good for, in seconds.
const PROOF_SECONDS: i64 = 300;

/// Finds the caller by the token in query, form, JSON body or Bearer header.
pub(crate) fn authenticate(
    world: &World,
    now: Millis,
    params: &Params,
    bearer: Option<&str>,
    me: bool,
) -> Result<Caller> {
    let token = params.text("access_token").or_else(|| bearer.map(str::to_owned));
    let Some(token) = token else {
        return Err(if me {
            GraphError::new(2500, "An active access token must be used to query information about the current user.")
        } else {
            GraphError::new(104, "An access token is required to request this resource.")
        });
    };
    let caller = identify(world, now, token)?;
    check_proof(world, now, params, &caller.token)?;
    Ok(caller)
}

/// Returns the identity that a token represents.
///
/// # Errors
/// Code 190 when the token is unknown or no longer valid.
pub(crate) fn identify(world: &World, now: Millis, token: String) -> Result<Caller> {
    let app = &world.config.app;
    if token.split_once('|') == Some((&app.id, &app.secret)) {
        return Ok(Caller { token, owner: Owner::App, scopes: Vec::new() });
    }
    match world.tokens.get(&token) {
        Some(known) => match known.ended(now) {
            Some(subcode) => Err(GraphError::dead_token(subcode)),
            None => Ok(Caller { owner: known.owner.clone(), scopes: known.scopes.clone(), token }),
        },
        None if token.starts_with("EA") => Err(GraphError::malformed_token("The access token could not be decrypted")),
        None => Err(GraphError::malformed_token("Invalid OAuth access token - Cannot parse access token")),
    }
}

fn check_proof(world: &World, now: Millis, params: &Params, token: &str) -> Result<()> {
    let app = &world.config.app;
    let Some(proof) = params.text("appsecret_proof") else {
        if app.require_proof {
            return Err(GraphError::proof("API calls from the server require an appsecret_proof argument"));
        }
        return Ok(());
    };
    let good = match params.text("appsecret_time") {
        None => proof_of(&app.secret, token.as_bytes()) == proof,
        Some(time) => {
            let fresh = time.parse::<i64>().is_ok_and(|at| (now / 1_000 - at).abs() <= PROOF_SECONDS);
            fresh && proof_of(&app.secret, format!("{token}|{time}").as_bytes()) == proof
        }
    };
    if good { Ok(()) } else { Err(GraphError::proof("Invalid appsecret_proof provided in the API argument")) }
}

/// Lower-case hex of HMAC-SHA256.
pub(crate) fn proof_of(secret: &str, message: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}
