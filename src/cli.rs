//! The command line: parsing and exit codes. One file per command.
//!
//! Exit codes: 0 success; 1 failure, also of a stop that took too long; 2 partial success (`import`) or a wrong command
//! line; 70 the supervisor of the actors ended without a request to stop; 130 and 143 a second SIGINT or SIGTERM.

#[cfg(feature = "demo")]
mod demo;
mod ending;
mod import;
mod keys;
mod log;
mod mapper;
mod migrate;
mod openapi;
mod serve;
#[cfg(feature = "demo")]
mod simulator;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use catalog_sync::config::Config;
use catalog_sync::mapping::trial;
use catalog_sync::report::{chain, for_a_terminal};

/// Keeps a Meta Commerce Catalog (Facebook and Instagram shops) equal to a shop's own catalog.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = first_steps()
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Returns the text below the commands in `--help`.
fn first_steps() -> String {
    let demo = if cfg!(feature = "demo") {
        "  meta-catalog demo                     see everything work against a local Meta\n"
    } else {
        ""
    };
    format!(
        "First steps:\n{demo}  meta-catalog serve                    run the service: SQLite in data/, API on http://127.0.0.1:8080\n  meta-catalog token create --role catalog-admin\n                                        create a token for the API\n  meta-catalog import products.ndjson   import a catalog\n\nConfiguration: flags override the environment, which overrides the file given with --config; config/meta-catalog.toml\nlists every key with its default and its variable."
    )
}

/// Flags of every command.
#[derive(Debug, Args)]
struct Global {
    /// Configuration file (TOML); see config/meta-catalog.toml for every key
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database: sqlite://path or postgres://user:password@host/database [env: DATABASE_URL] [default: sqlite://data/meta-catalog.db]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the API and the sync
    Serve,
    /// Show a complete working installation against a local Meta, on a fresh temporary database
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Import products with their variants from a file: JSON lines, or the export of a shop system
    Import(import::ImportArgs),
    /// Try, compare, activate and roll back the mapper that makes the payloads
    #[command(subcommand)]
    Mapper(mapper::MapperCommand),
    /// Create, list and revoke tokens for the API
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Rotate the keys that seal tokens and the app secret
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Print the OpenAPI document of the API
    Openapi,

    /// Run the local Meta on its own
    #[cfg(feature = "demo")]
    GraphSimulator(simulator::SimulatorArgs),
}

/// A command that failed: the message and the exit code.
struct Failed {
    message: String,
    code: u8,
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { message: chain(&error), code: 1 }
    }
}

type Done = Result<ExitCode, Failed>;

/// How long threads that are still busy keep a finished process.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    // Not a command for people: the service starts it to try a mapper module.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == trial::ARGUMENT) {
        return trial::child();
    }
    let cli = Cli::parse();
    match execute(cli) {
        Ok(code) => code,
        Err(failed) => {
            eprintln!("meta-catalog: {}", for_a_terminal(&failed.message));
            ExitCode::from(failed.code)
        }
    }
}

fn execute(cli: Cli) -> Done {
    if let Command::Mapper(command) = &cli.command
        && let Some(done) = mapper::run_alone(command)
    {
        return done;
    }
    catalog_sync::failpoints::check().map_err(|message| Failed { message, code: 2 })?;
    let file = cli.global.config.as_deref();
    // The simulator's --config is its own world, not a configuration of the service.
    #[cfg(feature = "demo")]
    let file = file.filter(|_| !matches!(cli.command, Command::GraphSimulator(_)));
    let mut config = Config::load(file, |name| std::env::var(name).ok())?;
    if let Some(url) = cli.global.database_url.clone() {
        config.set_database_url(url);
    }
    let default_level = match cli.command {
        // The demo shows progress instead of logs.
        #[cfg(feature = "demo")]
        Command::Demo(_) => "error",
        // These commands print their own results.
        Command::Mapper(_) | Command::Keys(_) => "warn",
        _ => "info",
    };
    log::start(config.log_format, default_level);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::run(&config).await,
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(config, args, cli.global.database_url.is_some()).await,
            Command::Import(args) => import::run(&config, args).await,
            Command::Token(command) => token::run(&config, command).await,
            Command::Keys(command) => keys::run(&config, command).await,
            Command::Migrate => migrate::run(&config).await,
            Command::Openapi => openapi::run(&config),
            #[cfg(feature = "demo")]
            Command::GraphSimulator(args) => simulator::run(args, cli.global.config).await,
            Command::Mapper(command) => mapper::run(&config, command).await,
        }
    });
    // Dropped, it would wait without end for a thread that is still busy, such as one that compiles a module.
    runtime.shutdown_timeout(LAST_THREADS);
    done
}
