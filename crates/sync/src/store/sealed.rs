//! Every lasting sealed value of the database at once: which key sealed it, whether it opens, and how another key takes over.
//!
//! Each key that sealed has a check value in `key_check`, so that a start with another key is refused even where nothing
//! else is sealed yet. A check value goes when nothing else is sealed with its key.
//!
//! Promises: a value is written only while it is still what was read, so a change that comes in between is never lost.
//! One statement reads all values. Their number is small: three, and one for each key.
//! Left out on purpose: the session token of a login under way. It is gone within an hour after
//! its ten minutes, and without its key the login
//! is begun again.

use std::fmt;

use super::seal::{Keyring, Place, SealError};
use super::{Db, Result, StoreError, Tx, credential, execute, fetch_all, fetch_one, lease, settings};

/// What every check value says.
const PROOF: &str = "meta-catalog";

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The secret of the Meta app.
    AppSecret,
    /// The token that calls to Meta are made with.
    AccessToken,
    /// The operator's own token.
    UserToken,
    /// The check value of a key.
    Check,
}

impl Kind {
    fn of(stored: &str) -> Result<Self> {
        Ok(match stored {
            "app_secret" => Self::AppSecret,
            "access_token" => Self::AccessToken,
            "user_token" => Self::UserToken,
            "check" => Self::Check,
            other => {
                return Err(StoreError::Corrupt { table: "(query)", column: "kind", found: other.to_owned() });
            }
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppSecret => "the app secret (setting meta.app_secret)",
            Self::AccessToken => "the access token for Meta (integration_credentials.access_token)",
            Self::UserToken => "the operator's token for Meta (integration_credentials.user_token)",
            Self::Check => "the check value of a key (table key_check)",
        })
    }
}

/// A sealed value as it is stored.
#[derive(Clone)]
pub struct Sealed {
    /// What it is.
    pub kind: Kind,
    row: String,
    text: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("kind", &self.kind).field("key", &self.key()).finish_non_exhaustive()
    }
}

impl Sealed {
    fn place(&self) -> Place<'_> {
        match self.kind {
            Kind::AppSecret => settings::PLACE,
            Kind::AccessToken => credential::ACCESS,
            Kind::UserToken => credential::USER,
            Kind::Check => check_place(&self.row),
        }
    }

    /// Returns the name of the key that sealed it. `None` when it is not a sealed value at all.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.text.strip_prefix("v1:")?.split_once(':').map(|(kid, _)| kid)
    }

    /// Returns whether the keyring opens it.
    #[must_use]
    pub fn opens(&self, keyring: &Keyring) -> bool {
        keyring.open(self.place(), &self.text).is_ok()
    }

    fn is_of(&self, kid: &str) -> bool {
        self.key() == Some(kid)
    }
}

fn check_place(kid: &str) -> Place<'_> {
    Place { table: "key_check", row: kid, column: "sealed" }
}

/// What a keyring does not open, and how to go on. Its text names every value and shows none.
#[derive(Clone, Debug)]
pub struct Unopened {
    values: Vec<Sealed>,
    keyring: Keyring,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = self.keyring.names().collect();
        writeln!(f, "the configured keys do not open everything that is sealed in this database:")?;
        for value in &self.values {
            write!(f, "  {}: ", value.kind)?;
            match value.key() {
                Some(kid) if known.contains(&kid) => {
                    writeln!(f, "sealed with another key of the name {kid:?}, or altered since")?;
                }
                Some(kid) => writeln!(f, "sealed with the key {kid:?}")?,
                None => writeln!(f, "not a value that this version seals")?,
            }
        }
        writeln!(f, "Configured: {known:?}, by META_CATALOG_KEY or the key file beside the SQLite database.")?;
        writeln!(
            f,
            "If you have the missing key, put it behind the one that is to seal: META_CATALOG_KEY=<new>,<old>. Then \
             `meta-catalog keys rotate` seals everything with the new one, after which the old one can go."
        )?;
        write!(f, "If the key is lost, `meta-catalog keys forget` removes what it sealed. {}", after(&self.values))
    }
}

/// Returns what an operator has to do when these values are gone.
#[must_use]
pub fn after(gone: &[Sealed]) -> String {
    let has = |kinds: &[Kind]| gone.iter().any(|value| kinds.contains(&value.kind));
    match (has(&[Kind::AppSecret]), has(&[Kind::AccessToken, Kind::UserToken])) {
        (true, true) => "Then enter the app secret again and connect to Meta again.".into(),
        (true, false) => "Then enter the app secret again.".into(),
        (false, true) => "Then connect to Meta again.".into(),
        (false, false) => "Nothing has to be entered again.".into(),
    }
}

/// Returns every sealed value.
///
/// # Errors
/// When the database query fails.
pub async fn load(tx: &mut Tx) -> Result<Vec<Sealed>> {
    let rows: Vec<(String, String, String)> = fetch_all!(
        tx,
        (String, String, String),
        "SELECT 'check', kid, sealed FROM key_check
         UNION ALL SELECT 'app_secret', '', value FROM setting WHERE grp = 'meta' AND key = 'app_secret'
         UNION ALL SELECT 'access_token', '', access_token FROM integration_credentials
             WHERE provider = $1 AND access_token IS NOT NULL
         UNION ALL SELECT 'user_token', '', user_token FROM integration_credentials
             WHERE provider = $1 AND user_token IS NOT NULL",
        credential::PROVIDER
    )?;
    let read = |(kind, row, text): (String, String, String)| Ok(Sealed { kind: Kind::of(&kind)?, row, text });
    let mut all: Vec<Sealed> = rows.into_iter().map(read).collect::<Result<_>>()?;
    all.sort_by(|a, b| (a.kind, &a.row).cmp(&(b.kind, &b.row)));
    Ok(all)
}

/// Returns every sealed value, each of which the keyring opens.
///
/// # Errors
/// [`SealError::Unopened`] when the keyring does not open one; otherwise when the database query fails.
pub async fn open_all(tx: &mut Tx, keyring: &Keyring) -> Result<Vec<Sealed>> {
    let all = load(tx).await?;
    let values: Vec<Sealed> = all.iter().filter(|value| !value.opens(keyring)).cloned().collect();
    if values.is_empty() {
        return Ok(all);
    }
    let keyring = keyring.clone();
    Err(SealError::Unopened(Box::new(Unopened { values, keyring })).into())
}

/// Checks that the keyring opens every sealed value, and stores the check value of its first key. For the start of a
/// process that may seal.
///
/// # Errors
/// See [`open_all`].
pub async fn check_key(db: &Db, keyring: &Keyring) -> Result<()> {
    let mut tx = db.write().await?;
    // One at a time: when two replicas start for the first time with different keys, the second must see the check
    // value of the first.
    lease::hold_pipeline(&mut tx).await?;
    let all = open_all(&mut tx, keyring).await?;
    store_check(&mut tx, keyring, &all).await?;
    tx.commit().await
}

/// Returns whether a process has started with the first key of this keyring in front.
#[must_use]
pub fn has_started(all: &[Sealed], keyring: &Keyring) -> bool {
    all.iter().any(|value| value.kind == Kind::Check && value.row == keyring.sealing_key())
}

async fn store_check(tx: &mut Tx, keyring: &Keyring, all: &[Sealed]) -> Result<()> {
    if has_started(all, keyring) {
        return Ok(());
    }
    let kid = keyring.sealing_key();
    let sealed = keyring.seal(check_place(kid), &PROOF.to_owned().into())?;
    execute!(tx, "INSERT INTO key_check (kid, sealed) VALUES ($1, $2)", kid, sealed)?;
    Ok(())
}

/// Returns those values, other than check values, that the first key of the keyring did not seal.
pub fn of_other_keys<'a>(all: &'a [Sealed], keyring: &Keyring) -> impl Iterator<Item = &'a Sealed> {
    let kid = keyring.sealing_key().to_owned();
    all.iter().filter(move |value| value.kind != Kind::Check && !value.is_of(&kid))
}

/// Seals a value again with the keyring's first key. Returns `false` when the value has changed since it was read; then
/// nothing is written. No version is counted up, since the secret is the same.
///
/// # Errors
/// When the keyring does not open the value, or the database query fails.
pub async fn reseal(tx: &mut Tx, keyring: &Keyring, value: &Sealed) -> Result<bool> {
    let again = keyring.seal(value.place(), &keyring.open(value.place(), &value.text)?)?;
    let written = match value.kind {
        Kind::AppSecret => execute!(
            tx,
            "UPDATE setting SET value = $2 WHERE grp = 'meta' AND key = 'app_secret' AND value = $1",
            &value.text,
            again
        )?,
        Kind::AccessToken => execute!(
            tx,
            "UPDATE integration_credentials SET access_token = $2 WHERE provider = $3 AND access_token = $1",
            &value.text,
            again,
            credential::PROVIDER
        )?,
        Kind::UserToken => execute!(
            tx,
            "UPDATE integration_credentials SET user_token = $2 WHERE provider = $3 AND user_token = $1",
            &value.text,
            again,
            credential::PROVIDER
        )?,
        // A check value is bound to its own key.
        Kind::Check => 0,
    };
    Ok(written > 0)
}

/// Removes the check values of all keys but the first, so that a start without them is possible. Returns the names of
/// those keys; `None` when something is sealed with another key still, and then nothing is changed.
///
/// # Errors
/// When the database query fails.
pub async fn retire(tx: &mut Tx, keyring: &Keyring) -> Result<Option<Vec<String>>> {
    // A replica that starts with another first key comes before or after this transaction.
    lease::hold_pipeline(tx).await?;
    let all = open_all(tx, keyring).await?;
    if of_other_keys(&all, keyring).next().is_some() {
        return Ok(None);
    }
    store_check(tx, keyring, &all).await?;
    let kid = keyring.sealing_key();
    execute!(tx, "DELETE FROM key_check WHERE kid <> $1", kid)?;
    let others = all.into_iter().filter(|value| value.kind == Kind::Check && value.row != kid);
    Ok(Some(others.map(|value| value.row).collect()))
}

/// Removes what the keyring does not open, and returns it. A connection to Meta goes as a whole.
///
/// # Errors
/// When the database query fails.
pub async fn forget(tx: &mut Tx, keyring: &Keyring) -> Result<Vec<Sealed>> {
    lease::hold_pipeline(tx).await?;
    let mut gone = load(tx).await?;
    gone.retain(|value| !value.opens(keyring));
    for value in &gone {
        match value.kind {
            Kind::AppSecret => {
                execute!(
                    tx,
                    "DELETE FROM setting WHERE grp = 'meta' AND key = 'app_secret' AND value = $1",
                    &value.text
                )?;
                let _: (i64,) = fetch_one!(
                    tx,
                    (i64,),
                    "UPDATE revision SET value = value + 1 WHERE name = 'settings' RETURNING value"
                )?;
            }
            Kind::AccessToken | Kind::UserToken => {
                credential::delete(tx).await?;
            }
            Kind::Check => {
                execute!(tx, "DELETE FROM key_check WHERE kid = $1 AND sealed = $2", &value.row, &value.text)?;
            }
        }
    }
    Ok(gone)
}
