//! `meta-catalog graph-simulator`.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::ending::Ending;
use super::{Done, Failed};

/// The longest time that a stop takes. Nothing is lost with it.
const STOP_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(
    after_help = "For this command, --config FILE is the initial world of the simulator (TOML): app, businesses, catalogs, quotas, switches.\n\nThe simulator answers Graph calls, the login dialog (/v25.0/dialog/oauth) and control calls (/_sim/…) on one port. Point a\nservice at it with META_GRAPH_BASE_URL and META_DIALOG_BASE_URL. simulator/README.md lists the control calls."
)]
pub(super) struct SimulatorArgs {
    /// Port on 127.0.0.1; 0 selects a free port
    #[arg(long, default_value_t = 9090)]
    port: u16,
    /// Exit when stdin closes: for a parent process that starts the simulator and may be killed
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs the simulator. `world` is the file given with `--config`: app, businesses, catalogs, quotas, switches (TOML).
pub(super) async fn run(args: SimulatorArgs, world: Option<PathBuf>) -> Done {
    let config = match &world {
        None => graph_simulator::Config::default(),
        Some(path) => {
            let failed =
                |error: &dyn std::fmt::Display| Failed { message: format!("{}: {error}", path.display()), code: 1 };
            let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
            graph_simulator::Config::from_toml(&text).map_err(|error| failed(&error))?
        }
    };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    let mut ending = Ending::watch(STOP_WITHIN)?;
    let watch = args.until_stdin_closes;
    graph_simulator::serve(listener, config, async move {
        tokio::select! {
            () = ending.asked() => {}
            () = stdin_closed(), if watch => {}
        }
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut byte = [0];
    while matches!(stdin.read(&mut byte).await, Ok(read) if read > 0) {}
}
