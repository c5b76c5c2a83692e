//! `meta-catalog token …`: bearer tokens for programs.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::{Done, Failed};
use catalog_sync::clock::{Clock as _, SystemClock};
use catalog_sync::config::Config;
use catalog_sync::ids;
use catalog_sync::startup;
use catalog_sync::store::Db;
use catalog_sync::store::api_token::{self, ApiToken};
use catalog_sync::store::seal::SealError;
use meta_catalog::http::auth::API_TOKEN_PREFIX;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Create a token; prints only the token, which is shown once
    Create {
        /// The role of the token
        #[arg(long, value_enum)]
        role: Role,
        /// What the token is for
        #[arg(long, default_value = "unnamed")]
        name: String,
    },
    /// List tokens (never their secrets)
    List,
    /// Revoke a token by its id; takes effect at the next request
    Revoke {
        /// The token's id, as shown by `token list`
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Role {
    /// May read and change everything
    CatalogAdmin,
    /// May read everything
    CatalogViewer,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::CatalogAdmin => "catalog-admin",
            Self::CatalogViewer => "catalog-viewer",
        }
    }
}

pub(super) async fn run(config: &Config, command: TokenCommand) -> Done {
    let db = startup::open_store(config).await?;
    let done = carry_out(&db, command).await;
    db.close().await;
    done
}

async fn carry_out(db: &Db, command: TokenCommand) -> Done {
    let now = SystemClock.now();
    match command {
        TokenCommand::Create { role, name } => {
            let secret = create(db, role.as_str(), &name).await?;
            println!("{secret}");
        }
        TokenCommand::List => {
            let tokens = api_token::list(&mut db.read().await?).await?;
            println!("{:<36}  {:<14}  {:<8}  {:<24}  name", "id", "role", "state", "created");
            for token in tokens {
                let state = if token.revoked_at.is_some() { "revoked" } else { "active" };
                let created = jiff::Timestamp::from_millisecond(token.created_at).unwrap_or_default();
                println!("{:<36}  {:<14}  {state:<8}  {created:<24}  {}", token.id, token.role, token.name);
            }
        }
        TokenCommand::Revoke { id } => {
            let mut tx = db.write().await?;
            let revoked = api_token::revoke(&mut tx, &id, now).await?;
            tx.commit().await?;
            if !revoked {
                let message = format!("there is no active token {id:?}; `meta-catalog token list` shows the ids");
                return Err(Failed { message, code: 1 });
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Creates a token and returns its secret.
pub(super) async fn create(db: &Db, role: &str, name: &str) -> Result<String, catalog_sync::store::StoreError> {
    let secret = ids::secret(API_TOKEN_PREFIX).map_err(SealError::from)?;
    let token = ApiToken {
        id: ids::row(),
        name: name.to_owned(),
        role: role.to_owned(),
        created_at: SystemClock.now(),
        revoked_at: None,
    };
    let mut tx = db.write().await?;
    api_token::create(&mut tx, &token, &secret.clone().into()).await?;
    tx.commit().await?;
    Ok(secret)
}
