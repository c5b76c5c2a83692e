//! `meta-catalog serve`.

use std::io::Write as _;
use std::process::ExitCode;

use tracing::{error, info, warn};

use super::Done;
use super::ending::Ending;
use catalog_sync::clock;
use catalog_sync::config::Config;
use catalog_sync::mapping::trial;

use meta_catalog::server::Server;

/// The exit code when the actors' supervisor ended without a request to stop.
const SUPERVISOR_ENDED: u8 = 70;

pub(super) async fn run(config: &Config) -> Done {
    if let Some(unlimited) = trial::unlimited_here() {
        warn!("{unlimited}; activate only modules that you trust");
    }
    // First of all: a signal during the start ends the process in order, too.
    let mut ending = Ending::watch(config.stop_within().whole)?;
    let server = Server::start(config, clock::of_the_process()).await?;
    let mut stdout = std::io::stdout();
    let told = writeln!(stdout, "listening http://{}", server.address).and_then(|()| stdout.flush());
    if let Err(error) = told {
        warn!(%error, address = %server.address, "the address cannot be told on standard output");
    }
    let unasked = tokio::select! {
        () = ending.asked() => None,
        ended = server.ended() => Some(ended),
    };
    ending.begin();
    info!("stopping; waiting for the call in flight");
    if let Err(overdue) = server.shutdown().await {
        warn!(%overdue, "shutdown not complete in time; the next start resolves the rest");
    }
    match unasked {
        None => Ok(ExitCode::SUCCESS),
        Some(ended) => {
            error!(%ended, "actors' supervisor ended; restart the process, and see its log if it ends again");
            Ok(ExitCode::from(SUPERVISOR_ENDED))
        }
    }
}
