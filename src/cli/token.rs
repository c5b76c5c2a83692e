//! `meta-catalog token …`: bearer tokens for programs.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::{Done, Failed};
use catalog_sync::clock::{Clock as _, Millis, SystemClock};
use catalog_sync::config::Config;
use catalog_sync::ids;
use catalog_sync::report::{for_a_terminal, one_line};
use catalog_sync::startup;
use catalog_sync::store::Db;
use catalog_sync::store::api_token::{self, ApiToken};
use catalog_sync::store::connect;
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
        /// How long the token is valid, such as 90d, 12h or 2w; without this option it never expires
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        expires_in: Option<Millis>,
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
    let is_new = connect::sqlite_path(&config.database_url()).is_some_and(|path| !path.exists());
    let db = startup::open_store(config).await?;
    let creates = matches!(command, TokenCommand::Create { .. });
    let done = carry_out(&db, command).await;
    db.close().await;
    if creates && done.is_ok() {
        // On stderr: stdout holds the token alone.
        let shown = config.database_shown();
        eprintln!("meta-catalog: the token is valid in the database {}", for_a_terminal(&shown));
        if is_new {
            eprintln!(
                "meta-catalog: warning: this database was just made. If a service runs already, it uses another one: run \
                 this command in the service's folder, or with its --config, --database-url or DATABASE_URL"
            );
        }
    }
    done
}

async fn carry_out(db: &Db, command: TokenCommand) -> Done {
    let now = SystemClock.now();
    match command {
        TokenCommand::Create { role, name, expires_in } => {
            let expires_at = expires_in.map(|time| now.saturating_add(time));
            let secret = create(db, role.as_str(), &name, expires_at).await?;
            println!("{secret}");
        }
        TokenCommand::List => {
            let tokens = api_token::list(&mut db.read().await?).await?;
            println!("{:<36}  {:<14}  {:<8}  {:<24}  {:<24}  name", "id", "role", "state", "created", "expires");
            for token in tokens {
                let state = match &token {
                    token if token.revoked_at.is_some() => "revoked",
                    token if token.has_expired(now) => "expired",
                    _ => "active",
                };
                let shown = |at| jiff::Timestamp::from_millisecond(at).unwrap_or_default().to_string();
                let (created, expires) = (shown(token.created_at), token.expires_at.map_or("never".into(), shown));
                let (ApiToken { id, role, .. }, name) = (&token, one_line(&token.name));
                println!("{id:<36}  {role:<14}  {state:<8}  {created:<24}  {expires:<24}  {name}");
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

/// Reads a time such as `90d`.
fn parse_time(text: &str) -> Result<Millis, String> {
    const MOST_DAYS: i64 = 36_500;
    let span = text.parse::<jiff::Span>().ok();
    let time = span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    let time = time.ok_or("takes a time such as 90d, 12h or 2w; days have 24 hours, and months are not taken")?;
    if time <= jiff::SignedDuration::ZERO {
        return Err("takes a time longer than zero, such as 90d".into());
    }
    if time > jiff::SignedDuration::from_hours(24 * MOST_DAYS) {
        return Err(format!("takes at most {MOST_DAYS}d; leave the option out for a token that never expires"));
    }
    Millis::try_from(time.as_millis()).map_err(|error| error.to_string())
}

/// Creates a token and returns its secret.
pub(super) async fn create(
    db: &Db,
    role: &str,
    name: &str,
    expires_at: Option<Millis>,
) -> Result<String, catalog_sync::store::StoreError> {
    let secret = ids::secret(API_TOKEN_PREFIX).map_err(SealError::from)?;
    let token = ApiToken {
        id: ids::row(),
        name: name.to_owned(),
        role: role.to_owned(),
        created_at: SystemClock.now(),
        revoked_at: None,
        expires_at,
    };
    let mut tx = db.write().await?;
    api_token::create(&mut tx, &token, &secret.clone().into()).await?;
    tx.commit().await?;
    Ok(secret)
}
