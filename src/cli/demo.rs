//! `meta-catalog demo`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret as _;

use super::ending::Ending;
use super::{Done, Failed, token};
use crate::demo::local_meta::LocalMeta;
use crate::demo::run::{self, Show};
use catalog_sync::config::Config;
use catalog_sync::startup;
use catalog_sync::store::connect;
use catalog_sync::store::seal::Keyring;

#[derive(Debug, Args)]
#[command(
    after_help = "The demo starts a local Meta in a separate process, imports a sample catalog, gives consent, selects a business and a\ncatalog, bootstraps, drains and polls until every row is settled. Then it changes a price, archives a product and lets a\nsale end, settles again and compares Meta's items with the mapper's word, field by field.\n\nWithout --exit-when-synced the demo keeps running, so that you can look around; Ctrl-C ends it."
)]
pub(super) struct DemoArgs {
    /// Number of variants
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    variants: u32,
    /// Exit when everything is settled; exit code 0 only if Meta's items equal the mapper's word
    #[arg(long)]
    exit_when_synced: bool,
    /// Print a report as the last line of stdout, as JSON
    #[arg(long)]
    json: bool,
    /// Empty the database given with --database-url first (only the tables of this service)
    #[arg(long)]
    reset: bool,
}

pub(super) async fn run(mut config: Config, args: DemoArgs, own_database: bool) -> Done {
    // Without --database-url the user's own database is not touched, whatever is configured.
    let folder = tempfile::Builder::new().prefix("meta-catalog-demo").tempdir()?;
    if !own_database {
        config.set_database_url(format!("sqlite://{}", folder.path().join("demo.db").display()));
    }
    if connect::sqlite_path(&config.database_url()).is_none() {
        config.set_key_if_missing(Keyring::generate()?.expose_secret());
    }
    if args.reset {
        connect::reset(&config.database_url()).await?;
    } else if !connect::is_empty(&config.database_url(), &startup::store_options(&config)).await? {
        let message =
            "the database is not empty; give another one, or --reset to empty it (only the tables of this service)"
                .into();
        return Err(Failed { message, code: 1 });
    }
    let meta = LocalMeta::start().await?;
    run::configure(&mut config, &meta);
    let mut screen = Screen::default();
    let make_token = async |db: &_| token::create(db, "catalog-admin", "demo", None).await;
    let (report, running) =
        run::run(&config, meta, args.variants as usize, make_token, &mut screen).await.inspect_err(|_| {
            screen.done();
        })?;
    screen.done();
    for told in &report.told {
        eprintln!("differs: {told}");
    }
    let verdict = if report.ok { "Meta's items equal the mapper's word" } else { "NOT settled" };
    eprintln!(
        "{verdict}: {} variants · {} · {} calls of items_batch · {:.1} s",
        report.variants,
        report.outcomes,
        report.calls["itemsBatch"],
        Duration::from_millis(report.elapsed_ms).as_secs_f64()
    );
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    if !args.exit_when_synced {
        eprintln!(
            "\nStill running:\n  page         http://{} (sign in with the token)\n  API token    {}\n  local Meta   {}\n\n  curl -H 'Authorization: Bearer {}' http://{}/admin/meta/status\n\nCtrl-C ends it.",
            running.server.address, running.token, running.meta.base_url, running.token, running.server.address
        );
        Ending::watch(config.stop_within().whole)?.asked().await;
    }
    let stopped = running.server.shutdown().await;
    Ok(if report.ok && stopped.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Prints steps and a progress bar on stderr.
#[derive(Default)]
struct Screen {
    bar: Option<ProgressBar>,
}

impl Screen {
    fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Show for Screen {
    fn step(&mut self, what: &str) {
        self.done();
        eprintln!("· {what}");
    }

    fn progress(&mut self, done: u64, of: u64, note: &str) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(of);
            if let Ok(style) = ProgressStyle::with_template("  {bar:30} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        bar.set_length(of);
        bar.set_position(done);
        bar.set_message(note.to_owned());
    }
}
