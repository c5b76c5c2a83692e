//! `meta-catalog mapper diff`: the preview of a module on the real catalog, in this process.

use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::ModuleArg;
use super::swap::failed;
use crate::cli::Done;
use catalog_sync::admin::AdminError;
use catalog_sync::admin::preview::{self, Progress};
use catalog_sync::app::App;
use catalog_sync::clock;
use catalog_sync::config::Config;
use catalog_sync::mapping::preview::{Compared, Effect, FieldDifference, Group, PreviewReport, WarningDifference};
use catalog_sync::report::for_a_terminal;
use catalog_sync::startup;
use catalog_sync::store::{self, StoreError};

#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    #[command(flatten)]
    module: ModuleArg,
    /// Print the API's report as one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    module: &'a Compared,
    report: &'a PreviewReport,
}

pub(super) async fn run(config: &Config, args: DiffArgs) -> Done {
    let bytes = super::read(&args.module.file)?;
    let app = startup::build(config, clock::of_the_process()).await?;
    let compared = compare(&app, bytes).await;
    app.db.close().await;
    let (module, report) = compared.map_err(|fault| failed(&fault))?;
    if args.json {
        println!("{}", serde_json::to_string(&Told { module: &module, report: &report })?);
    } else {
        print!("{}", for_a_terminal(&describe(&module, &report)));
        println!("\nNothing was changed. `meta-catalog mapper activate {}` activates it.", args.module.file.display());
    }
    Ok(ExitCode::SUCCESS)
}

async fn compare(app: &App, bytes: Vec<u8>) -> Result<(Compared, PreviewReport), AdminError> {
    let candidate = preview::load(app, bytes).await?;
    let mut tx = app.db.read().await?;
    let total = store::variants::count(&mut tx).await?;
    drop(tx);
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or_default());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} variants {eta}") {
        bar.set_style(style);
    }
    let report = preview::compare(app, &candidate, &mut Bar(bar.clone())).await;
    bar.finish_and_clear();
    // The bar ends no walk.
    let report = report?.ok_or_else(|| AdminError::Internal("the walk ended early".into()))?;
    Ok((Compared::of(&candidate), report))
}

struct Bar(ProgressBar);

impl Progress for Bar {
    async fn at(&mut self, done: u64) -> Result<ControlFlow<()>, StoreError> {
        self.0.set_position(done);
        Ok(ControlFlow::Continue(()))
    }
}

/// The report as text.
fn describe(module: &Compared, report: &PreviewReport) -> String {
    let PreviewReport {
        active,
        variants,
        unchanged,
        changed,
        fields,
        fields_left_out,
        not_tried,
        warnings,
        effect,
        ..
    } = report;
    let named = |mapper: &Compared| format!("{} {}", mapper.name, mapper.version);
    let mut text = format!("{} instead of {}, on {variants} variants\n\n", named(module), named(active));
    text.push_str(&format!("{changed} would get another payload, {unchanged} would stay unchanged\n"));
    for FieldDifference { field, changed, added, removed, samples } in fields {
        let counts: Vec<String> = [(changed, "changed"), (added, "added"), (removed, "removed")]
            .into_iter()
            .filter(|(count, _)| **count > 0)
            .map(|(count, what)| format!("{what} {count}"))
            .collect();
        text.push_str(&format!("  {field}: {}\n", counts.join(", ")));
        for sample in samples {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".into());
            text.push_str(&format!(
                "    {}: {} → {}\n",
                sample.variant_id,
                shown(&sample.before),
                shown(&sample.after)
            ));
        }
    }
    if *fields_left_out > 0 {
        text.push_str(&format!("  other fields, not listed because there are too many: {fields_left_out}\n"));
    }
    let groups: [(&str, &Group); 6] = [
        ("would be rejected and get a payload today", &report.newly_rejected),
        ("would get a payload and are rejected today", &report.newly_eligible),
        ("would be rejected for another reason than today", &report.rejected_otherwise),
        ("would fail and do not fail today", &report.newly_failing),
        ("would no longer fail", &report.no_longer_failing),
        ("fail with both mappers", &report.failing_anyway),
    ];
    for (what, Group { count, samples }) in groups.into_iter().filter(|(_, group)| group.count > 0) {
        text.push_str(&format!("\n{count} {what}\n"));
        for sample in samples {
            text.push_str(&format!("    {}: {}\n", sample.variant_id, sample.reason));
        }
    }
    if *not_tried > 0 {
        text.push_str(&format!(
            "\n{not_tried} were not tried: other variants used up the time, or this machine was too busy. They say nothing about the \
             module; run this again\n"
        ));
    }
    if !warnings.is_empty() {
        text.push_str("\nWarnings\n");
    }
    for WarningDifference { code, before, after } in warnings {
        text.push_str(&format!("  {code}: {before} → {after}\n"));
    }
    let Effect { pushes, pushes_anyway, deletes, deletes_anyway, skips, skips_anyway, in_place, waiting, undecided } =
        effect;
    text.push_str(&format!(
        "\nIf every variant is asked for again (--remap)\n  \
         {pushes} payloads are sent because of the module, {pushes_anyway} anyway\n  \
         {deletes} items are deleted because of the module, {deletes_anyway} anyway\n  \
         {skips} variants are marked as not eligible because of the module, {skips_anyway} anyway\n  \
         {in_place} are already at Meta with this payload\n"
    ));
    if waiting + undecided > 0 {
        text.push_str(&format!("  {waiting} wait for Meta's verdict, {undecided} have no answer\n"));
    }
    text
}
