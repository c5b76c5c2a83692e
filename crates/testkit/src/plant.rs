//! An installation whose service is a separate process: the files, the database, the local Meta, and the actions of a
//! shop and an operator on the store. Kills and restarts of the process leave them unchanged.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_sync::clock::{Clock as _, SystemClock};
use catalog_sync::config::Config;
use catalog_sync::startup;
use catalog_sync::store::settings::Changes;
use catalog_sync::store::{Db, outbox, settings, submission, sync_state};
use secrecy::SecretString;
use serde_json::json;

use crate::process::{PATIENCE, Program, Serve};
use crate::site::{Engine, KEY, PICTURES, Site, quick_meta};

/// The installation. Its [`Site::app`] has no actors: this process acts as a shop, not as a replica.
pub struct Plant {
    /// The program that runs the service.
    pub program: Program,
    /// The configuration file.
    pub config: PathBuf,
    clock: PathBuf,
    site: Site,
}

impl Deref for Plant {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Plant {
    /// Opens a connected shop with an empty catalog and no process. `database` is a PostgreSQL URL; `None` means
    /// SQLite.
    pub async fn open(binary: &Path, database: Option<String>) -> Self {
        Self::open_with(binary, database, Duration::from_secs(6)).await
    }

    /// Works like [`Plant::open`], with a lease of whole seconds.
    pub async fn open_with(binary: &Path, database: Option<String>, lease: Duration) -> Self {
        let plant = Self::bare(binary, database, lease).await;
        plant.connect().await;
        plant.set_up(json!({"sync_interval_seconds": 10, "poll_interval_seconds": 10})).await;
        plant
    }

    /// Opens an empty installation as it is on its first day: no product, no connection, no setting.
    pub async fn bare(binary: &Path, database: Option<String>, lease: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let meta = quick_meta().await;
        meta.configure(|world| {
            world.quotas.batch_per_minute = 1_000_000;
            world.quotas.management_per_hour = 10_000_000;
            world.quotas.app_per_hour = 10_000_000;
        });
        let file = folder.path().join("meta-catalog.toml");
        let url = match database {
            Some(url) => url,
            None => Engine::Sqlite.url(folder.path()).await,
        };
        let text = format!(
            "listen = '127.0.0.1:0'\ndatabase_url = '{url}'\nkey = '{KEY}'\nlease_seconds = {lease}\n\
             s3_public_url = '{PICTURES}'\n\
             [graph]\nbase_url = '{meta}'\ndialog_base_url = '{meta}'\nrequest_timeout_seconds = 2\n\
             [limiter]\nbatch_calls_per_minute = 60000\nmanagement_calls_per_hour = 60000000\n",
            meta = meta.base_url(),
            lease = lease.as_secs(),
        );
        std::fs::write(&file, text).expect("written");
        let mut config = Config::load(Some(&file), |_| None).expect("a configuration");
        config.trial_program = Some(crate::process::trial_program());
        let app = startup::build(&config, Arc::new(SystemClock)).await.expect("a store");
        let clock = folder.path().join("clock");
        let program = Program::new(binary).with("META_CATALOG_TEST_CLOCK", &clock);
        let site = Site { meta, app: Arc::new(app), folder };
        Self { program, config: file, clock, site }
    }

    /// Uses another configuration file from now on.
    pub async fn use_config(&mut self, file: PathBuf) {
        let config = Config::load(Some(&file), |_| None).expect("a configuration");
        self.site.app.db.close().await;
        self.site.app = Arc::new(startup::build(&config, Arc::new(SystemClock)).await.expect("a store"));
        self.config = file;
    }

    /// Starts `serve` and waits until it listens.
    pub async fn serve(&self) -> Serve {
        let mut serve = self.program.serve(&self.config);
        serve.listening().await;
        assert!(serve.ended().is_none(), "{}", serve.log.text());
        serve
    }

    /// Starts `serve` with failpoints.
    pub fn serve_with(&self, failpoints: &str) -> Serve {
        self.program.with("FAILPOINTS", failpoints).serve(&self.config)
    }

    /// Works like [`Plant::serve_with`], with one more failpoint, at which a task waits until [`Plant::go_on`].
    pub fn serve_waiting_at(&self, failpoint: &str, others: &str) -> Serve {
        let go = self.folder().join("go");
        // The file may be left over from an earlier process.
        let _ = std::fs::remove_file(&go);
        self.serve_with(&format!("{failpoint}=wait:{},{others}", go.display()))
    }

    /// Ends the wait of [`Plant::serve_waiting_at`].
    pub fn go_on(&self) {
        std::fs::write(self.folder().join("go"), "").expect("written");
    }

    /// Sets the offset of the services' clock from the machine's clock.
    pub fn ahead(&self, ms: i64) {
        std::fs::write(&self.clock, ms.to_string()).expect("written");
    }

    /// Expires the lease of a process that has ended, as the passage of time does.
    pub async fn lease_ends(&self) {
        if let Db::Postgres { pool, .. } = self.db() {
            let sql = "UPDATE lease SET expires_at = to_timestamp(0)";
            sqlx::query(sql).execute(pool).await.expect("updated");
        }
    }

    /// Creates an API token with every permission.
    pub async fn token(&self) -> SecretString {
        self.token_of("catalog-admin").await
    }

    /// Creates an API token of a role.
    pub async fn token_of(&self, role: &str) -> SecretString {
        let made = self.program.run(&["token", "create", "--role", role], &self.config).await;
        SecretString::from(String::from_utf8(made.stdout).expect("text").trim())
    }

    /// Bumps the revision of the settings. A running service sees it at its next lease renewal and works at once
    /// instead of at its interval.
    pub async fn nudge(&self) {
        let mut tx = self.db().write().await.expect("a transaction");
        settings::write(&mut tx, &self.app.keyring, &Changes::default(), SystemClock.now()).await.expect("written");
        tx.commit().await.expect("committed");
    }

    /// Returns the services' time.
    pub fn now(&self) -> i64 {
        let ahead = std::fs::read_to_string(&self.clock).ok().and_then(|text| text.parse::<i64>().ok());
        SystemClock.now() + ahead.unwrap_or(0)
    }

    /// Returns whether no live intent, no open submission and no expired sale remains. Releases held deletes.
    pub async fn settled(&self) -> bool {
        let mut tx = self.db().read().await.expect("a connection");
        if sync_state::windows_due(&mut tx, self.now()).await.expect("read") {
            return false;
        }
        let backlog = outbox::backlog(&mut tx).await.expect("counted");
        if backlog.held > 0 {
            // A long run deletes more rows within an hour than the mass-delete guard lets pass without confirmation.
            drop(tx);
            let mut tx = self.db().write().await.expect("a transaction");
            outbox::release_held(&mut tx, self.now()).await.expect("released");
            tx.commit().await.expect("committed");
            return false;
        }
        backlog.live == 0 && submission::open_counts(&mut tx).await.expect("counted") == (0, 0)
    }

    /// Waits until [`Plant::settled`].
    pub async fn settle(&self, serve: &Serve) {
        self.until("everything is settled", serve, async || self.settled().await).await;
    }

    /// Polls until a condition is true. Fails after [`PATIENCE`] with the output of the process.
    pub async fn until(&self, what: &str, serve: &Serve, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        let mut nudged = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}\n{}", serve.log.text());
            if nudged.elapsed() > Duration::from_secs(1) {
                self.nudge().await;
                nudged = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the number of variants with more than one open submission.
    pub async fn twice_open(&self) -> i64 {
        self.count(match self.db() {
            Db::Sqlite { .. } => {
                "SELECT COUNT(*) FROM (SELECT 1 FROM meta_batch_handles h, json_each(h.rows) r
                     WHERE h.state IN ('sending', 'pending')
                     GROUP BY json_extract(r.value, '$[0]') HAVING COUNT(*) > 1)"
            }
            Db::Postgres { .. } => {
                "SELECT COUNT(*) FROM (SELECT 1 FROM meta_batch_handles h, jsonb_array_elements(h.rows) r
                     WHERE h.state IN ('sending', 'pending') GROUP BY r.value ->> 0 HAVING COUNT(*) > 1) AS twice"
            }
        })
        .await
    }

    /// Returns the differences between Meta's items and the mapper's word.
    pub async fn differences(&self) -> Vec<String> {
        self.differences_at(self.now()).await
    }

    /// Checks the invariants of a settled installation.
    pub async fn check(&self) {
        self.check_at(self.now()).await;
    }
}
