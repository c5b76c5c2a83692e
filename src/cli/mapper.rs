//! `meta-catalog mapper …`: trying mappers without a database, and swapping the active mapper of an installation.

mod check;
mod diff;
mod map;
mod swap;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Done, Failed};
use catalog_sync::config::Config;
use catalog_sync::mapping::loader::Loaders;
use catalog_sync::mapping::trial::Program;
use catalog_sync::mapping::{LoadedMapper, MODULE_BYTES};

#[derive(Debug, Subcommand)]
#[command(
    after_help = "A new module, step by step:\n  meta-catalog mapper check my.wasm       does it run, and where does it differ from the built-in mapper?\n  meta-catalog mapper diff my.wasm        what would change on this installation's catalog?\n  meta-catalog mapper activate my.wasm    make it the active mapper (--remap: send what it maps differently)\n  meta-catalog mapper rollback            restore the mapper before\n\ncheck and map need no database. A running service applies the other commands without a restart, within seconds."
)]
pub(super) enum MapperCommand {
    /// Map items from stdin, one JSON object per line, to stdout: try a mapper without a database
    #[command(
        long_about = "Map items from stdin to stdout, line by line, without a database.\n\nEach input line is {\"now\", \"settings\", \"env\": {\"S3_PUBLIC_URL\"}, \"product\", \"variant\", \"inventory\", \"brand\": {\"title\"}, \"vendor\": {\"name\"}, \"categories\": [title, …], \"options\": [{\"name\", \"value\"}, …]}; missing settings are the defaults. Each output line, in the same order, is {\"data\": {…}, \"warnings\": […]}, {\"rejected\": \"<reason>\"} or {\"error\": \"…\"}."
    )]
    Map(map::MapArgs),
    /// Ask a module for every sample, and show where it differs from the built-in mapper
    #[command(
        long_about = "Ask a module for every sample, and show where it differs from the built-in mapper. Needs no database.\n\nThe samples are the built-in mapper's own test items: each covers a case that occurs in a shop's data sooner or later. A module that fails on a sample cannot be activated; a module may return another payload, or reject a sample.\n\nIn the output, + is a field that only the module gives, - a field that only the built-in mapper gives, ~ a field with another value. With --out DIR the module's answers are written to one file per sample, so that they can be reviewed and compared between versions.",
        after_help = "Exit code: 0 when the module can be activated, 1 when it cannot."
    )]
    Check(check::CheckArgs),
    /// Show what a module would change on this installation's catalog; changes nothing
    #[command(
        long_about = "Show what a module would change on this installation's catalog; changes nothing.\n\nEvery variant is mapped by the active mapper and by the module. The report states for each field how many variants change, shows samples, and counts what would be sent to Meta with --remap. A running service is not disturbed."
    )]
    Diff(diff::DiffArgs),
    /// Make a module the active mapper
    #[command(
        long_about = "Make a module the active mapper of this installation.\n\nThe module is loaded and asked for every sample of `mapper check`; a module that fails on a sample is refused, and nothing is changed. Then the module is stored in the database and becomes the active mapper: a running service and every replica switch to it without a restart. Variants that had failed under another mapper are tried again. The other variants are mapped again when they change, or all at once with --remap, or later with `mapper remap` (only a payload that differs is sent).\n\n`mapper rollback` restores the mapper before."
    )]
    Activate(swap::ActivateArgs),
    /// Restore the mapper before the active one; rolling back twice restores the current mapper
    Rollback(swap::SwapArgs),
    /// Activate the built-in mapper again
    Reset(swap::SwapArgs),
    /// Ask for every variant again: what the active mapper maps differently is sent
    #[command(
        long_about = "Ask for every variant again, with the active mapper.\n\nA running service maps them in chunks, behind what the shop changes; only a payload that differs from the one at Meta is sent. `mapper status` shows the progress. A running re-map starts again from the beginning."
    )]
    Remap(swap::ShownArgs),
    /// Show the active mapper, the one before it, and the re-map
    Status(swap::ShownArgs),
}

/// The file of a module.
#[derive(Debug, Args)]
pub(super) struct ModuleArg {
    /// The module: a component of the world catalog:mapper@1, or a core module built with the SDK
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
}

/// Runs the commands that need no installation; `None` for the other commands.
pub(super) fn run_alone(command: &MapperCommand) -> Option<Done> {
    match command {
        MapperCommand::Map(args) => Some(map::run(args)),
        MapperCommand::Check(args) => Some(check::run(args)),
        _ => None,
    }
}

/// Runs the commands that need an installation.
pub(super) async fn run(config: &Config, command: MapperCommand) -> Done {
    match command {
        MapperCommand::Map(args) => map::run(&args),
        MapperCommand::Check(args) => check::run(&args),
        MapperCommand::Diff(args) => diff::run(config, args).await,
        MapperCommand::Activate(args) => swap::activate(config, args).await,
        MapperCommand::Rollback(args) => swap::rollback(config, args).await,
        MapperCommand::Reset(args) => swap::reset(config, args).await,
        MapperCommand::Remap(args) => swap::remap(config, args).await,
        MapperCommand::Status(args) => swap::status(config, args).await,
    }
}

/// Returns the bytes of a module's file.
fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    let failed = |message| Failed { message, code: 1 };
    let shown = path.display();
    let mut bytes = Vec::new();
    // One byte more than allowed: a file that is too large is detected without reading it to its end.
    let limit = MODULE_BYTES as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| failed(format!("cannot read {shown}: {error}")))?;
    if bytes.len() > MODULE_BYTES {
        return Err(failed(format!(
            "{shown} is larger than {MODULE_BYTES} bytes; build it with optimisation and without debug sections"
        )));
    }
    Ok(bytes)
}

/// Loads a mapper from a file, without a rehearsal.
fn load(path: &Path) -> Result<LoadedMapper, Failed> {
    let bytes = read(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let loaded = runtime.block_on(Loaders::new(Program::itself()).load(bytes))?;
    loaded.map_err(|why| Failed { message: format!("{}: {why}", path.display()), code: 1 })
}
