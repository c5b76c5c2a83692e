//! `meta-catalog serve`.

use std::io::Write as _;
use std::process::ExitCode;

use tracing::{error, info, warn};

use super::{Done, asked_to_end};
use crate::clock;
use crate::config::Config;
use crate::startup::Service;

/// The exit code when the actors' supervisor ended unasked.
const SUPERVISOR_ENDED: u8 = 70;

pub(super) async fn run(config: &Config) -> Done {
    let service = Service::start(config, clock::of_the_process()).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening http://{}", service.address)?;
    stdout.flush()?;
    let unasked = tokio::select! {
        () = asked_to_end() => None,
        ended = service.ended() => Some(ended),
    };
    info!("stopping; the call in flight ends first");
    if let Err(overdue) = service.shutdown().await {
        warn!(%overdue, "not everything ended in time; the next start sorts it out");
    }
    match unasked {
        None => Ok(ExitCode::SUCCESS),
        Some(ended) => {
            error!(%ended, "restart the process; if it ends again, its log says why");
            Ok(ExitCode::from(SUPERVISOR_ENDED))
        }
    }
}
