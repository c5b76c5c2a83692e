//! `meta-catalog mapper activate|rollback|reset|remap|status`: these work on the database, with or without a running
//! service.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::ModuleArg;
use crate::cli::{Done, Failed};
use catalog_sync::admin::AdminError;
use catalog_sync::admin::mapper::{self, Activated, MapperState, MapperView, RemapView, Source};
use catalog_sync::app::App;
use catalog_sync::clock;
use catalog_sync::clock::SystemClock;
use catalog_sync::config::Config;
use catalog_sync::report::{for_a_terminal, one_line};
use catalog_sync::startup;

#[derive(Debug, Args)]
pub(in crate::cli) struct ActivateArgs {
    #[command(flatten)]
    module: ModuleArg,
    #[command(flatten)]
    swap: SwapArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SwapArgs {
    /// Ask for every variant again: what the mapper maps differently is sent
    #[arg(long)]
    remap: bool,
    /// Print the API's answer as JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShownArgs {
    /// Print the API's answer as JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn activate(config: &Config, args: ActivateArgs) -> Done {
    let bytes = super::read(&args.module.file)?;
    let app = startup::build(config, clock::of_the_process()).await?;
    let done = mapper::activate(&app, bytes, Source::Cli, args.swap.remap).await;
    told(&app, &args.swap, done).await
}

pub(super) async fn rollback(config: &Config, args: SwapArgs) -> Done {
    let app = startup::build(config, clock::of_the_process()).await?;
    let done = mapper::rollback(&app, args.remap).await;
    told(&app, &args, done).await
}

pub(super) async fn reset(config: &Config, args: SwapArgs) -> Done {
    let app = startup::build(config, clock::of_the_process()).await?;
    let done = mapper::reset(&app, Source::Cli, args.remap).await;
    told(&app, &args, done).await
}

pub(super) async fn status(config: &Config, args: ShownArgs) -> Done {
    let app = startup::build(config, Arc::new(SystemClock)).await?;
    let state = mapper::state(&app).await;
    app.db.close().await;
    shown(&args, state)
}

pub(super) async fn remap(config: &Config, args: ShownArgs) -> Done {
    let app = startup::build(config, clock::of_the_process()).await?;
    let state = mapper::remap(&app).await;
    app.db.close().await;
    shown(&args, state)
}

fn shown(args: &ShownArgs, state: Result<MapperState, AdminError>) -> Done {
    let state = state.map_err(|fault| failed(&fault))?;
    if args.json {
        print_json(&state)?;
    } else {
        print!("{}", for_a_terminal(&describe(&state)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn told(app: &App, args: &SwapArgs, done: Result<Activated, AdminError>) -> Done {
    app.db.close().await;
    let activated = done.map_err(|fault| failed(&fault))?;
    if args.json {
        print_json(&activated)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Activated { state, changed, requeued } = activated;
    let active = &state.active;
    let (name, version) = (one_line(&active.name), one_line(&active.version));
    match (changed, args.remap) {
        (true, _) => println!("{name} {version} is now the active mapper"),
        (false, true) => println!("{name} {version} was already the active mapper; every variant is asked for again"),
        (false, false) => println!("{name} {version} was already the active mapper; nothing was changed"),
    }
    if requeued > 0 {
        println!("{requeued} variants that had failed under another mapper are tried again");
    }
    if !args.remap && changed {
        // Not "again with --remap": a second rollback restores the other mapper.
        println!("Variants are mapped again when they change; `meta-catalog mapper remap` asks for all of them");
    }
    print!("{}", for_a_terminal(&describe(&state)));
    Ok(ExitCode::SUCCESS)
}

/// The state as text.
fn describe(state: &MapperState) -> String {
    let MapperState { active, previous, remap, refused } = state;
    let mut text = line("active", active);
    match previous {
        Some(previous) => text.push_str(&line("previous", previous)),
        None => text.push_str("previous  none: the built-in mapper was always active\n"),
    }
    if let Some(RemapView { running, total, queued, .. }) = remap {
        let state = if *running { "running" } else { "done" };
        text.push_str(&format!("re-map    {state}: {queued} of {total} variants asked for again\n"));
    }
    if let Some(refused) = refused {
        let digest = short(&refused.digest);
        text.push_str(&format!("refused   {digest} ({}): {}\n", refused.source, refused.reason));
    }
    text
}

fn line(what: &str, mapper: &MapperView) -> String {
    let MapperView { name, version, digest, source, activated_at } = mapper;
    let since = activated_at.as_deref().map_or_else(String::new, |at| format!(", {source}, {at}"));
    format!("{what:<9} {name} {version} ({}{since})\n", short(digest))
}

/// A module's digest is shortened to the part that operators compare; the built-in mapper's name is not a digest and is
/// kept.
fn short(digest: &str) -> &str {
    if digest.len() == 64 { digest.get(..12).unwrap_or(digest) } else { digest }
}

fn print_json(answer: &impl Serialize) -> Result<(), Failed> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}

/// Prints the error with its causes, because no log has them.
pub(super) fn failed(fault: &AdminError) -> Failed {
    Failed { message: catalog_sync::report::chain(fault), code: 1 }
}
