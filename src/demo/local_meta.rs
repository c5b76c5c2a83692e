//! The simulator as a separate process: the binary starts itself again, so that memory and crashes are isolated.

use std::process::Stdio;

use catalog_sync::verify::Page;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The world of the demonstration: the simulator's default with quotas that are never reached and quick verdicts.
const WORLD: &str = "
[quotas]
batch_per_minute = 100000
management_per_hour = 10000000
app_per_hour = 1000000

[times]
processing_ms = 1500
visible_after_ms = 0
";

/// Why there is no local Meta.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalMetaError {
    /// The process did not start.
    #[error("the simulator did not start")]
    Start(#[from] std::io::Error),
    /// The process printed something else than its address.
    #[error("the simulator printed {0:?} instead of its address")]
    NoAddress(String),
    /// A control call failed.
    #[error("no answer from the simulator")]
    Call(#[from] reqwest::Error),
}

/// A running simulator; it ends with this process, whatever ends this process.
#[derive(Debug)]
pub(crate) struct LocalMeta {
    /// The base URL of the simulator.
    pub(crate) base_url: String,
    client: reqwest::Client,
    // Kept alive: its stdin closes when this process ends, and then the simulator ends.
    _process: (Child, tempfile::NamedTempFile),
}

/// Calls that the simulator has counted.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Calls {
    /// Batches.
    pub(crate) items_batch: u64,
    /// Polls.
    pub(crate) check_batch: u64,
    /// Everything else.
    pub(crate) other: u64,
}

/// A page of items, as the simulator sends it.
#[derive(Deserialize)]
struct ItemPage {
    items: Vec<StoredItem>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct StoredItem {
    id: String,
    data: Value,
}

impl LocalMeta {
    /// Starts the simulator on a free port.
    ///
    /// # Errors
    /// When the process does not start.
    pub(crate) async fn start() -> Result<Self, LocalMetaError> {
        let world = tempfile::Builder::new().prefix("meta-catalog-world").suffix(".toml").tempfile()?;
        std::fs::write(world.path(), WORLD)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["graph-simulator", "--port", "0", "--until-stdin-closes", "--config"])
            .arg(world.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).await?;
        }
        let base_url = match line.trim().strip_prefix("listening ") {
            Some(url) => url.to_owned(),
            None => return Err(LocalMetaError::NoAddress(line)),
        };
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { base_url, client, _process: (child, world) })
    }

    /// Returns the number of calls so far.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub(crate) async fn calls(&self) -> Result<Calls, LocalMetaError> {
        let url = format!("{}/_sim/calls", self.base_url);
        Ok(self.client.get(url).send().await?.error_for_status()?.json().await?)
    }

    /// Returns a page of a catalog's items after an id.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub(crate) async fn items(&self, catalog: &str, after: &str, limit: usize) -> Result<Page, LocalMetaError> {
        let url = format!("{}/_sim/catalogs/{catalog}/items", self.base_url);
        let query = [("after", after.to_owned()), ("limit", limit.to_string())];
        let page: ItemPage = self.client.get(url).query(&query).send().await?.error_for_status()?.json().await?;
        let items = page.items.into_iter().map(|item| (item.id, item.data)).collect();
        Ok(Page { items, next: page.next })
    }
}
