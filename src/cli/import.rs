//! `meta-catalog import FILE.ndjson`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Done, Failed};
use catalog_sync::clock::{Clock as _, SystemClock};
use catalog_sync::config::Config;
use catalog_sync::intake::import::run::{Import, Mode, Progress};
use catalog_sync::report::chain;
use catalog_sync::startup;

#[derive(Debug, Args)]
#[command(
    after_help = "Each line is one product with its variants:\n  {\"id\":\"p1\",\"title\":\"Belt\",\"slug\":\"belt\",\"status\":\"active\",\"visibility\":\"public\",\n   \"variants\":[{\"id\":\"v1\",\"sku\":\"B-1\",\"price\":29900,\"inventory\":{\"quantityOnHand\":5}}]}\nPrices are whole subunits (paise, cents). A variant that a line leaves out is kept; \"deletedAt\" deletes.\n\nExit code: 0 every line was imported, 2 some lines were refused, 1 nothing was written.\nRefused lines are printed on stderr, each with its line number and field. Running the import again is safe: equal\nrecords are not changed."
)]
pub(super) struct ImportArgs {
    /// The file; - reads from stdin
    file: PathBuf,
    /// All or nothing: if one line is refused, nothing is written
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(config: &Config, args: ImportArgs) -> Done {
    let (input, size): (Box<dyn Read + Send>, u64) = if args.file.as_os_str() == "-" {
        (Box::new(std::io::stdin()), 0)
    } else {
        let open = File::open(&args.file).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) =
            open.map_err(|error| Failed { message: format!("cannot read {}: {error}", args.file.display()), code: 1 })?;
        (Box::new(file), size)
    };
    let db = startup::open_store(config).await?;
    let bar = bar(size);
    let mut progress = BarProgress { bar: bar.clone() };
    let mode = if args.strict { Mode::Strict } else { Mode::Lenient };
    let import = Import { db: &db, mode, now: SystemClock.now() };
    let done = import.run(BufReader::with_capacity(1 << 20, input), &mut progress).await;
    bar.finish_and_clear();
    db.close().await;
    let (tally, error) = match done {
        Ok(tally) => (tally, None),
        Err((tally, error)) => (tally, Some(error)),
    };
    eprintln!(
        "{} products imported ({} products and {} variants changed, {} intents queued), {} lines refused",
        tally.taken, tally.written.products, tally.written.variants, tally.written.intents, tally.refused
    );
    if let Some(error) = error {
        let message = format!("stopped: {}; what was imported before is kept, so run the import again", chain(&error));
        return Err(Failed { message, code: if tally.taken == 0 { 1 } else { 2 } });
    }
    Ok(match (tally.taken, tally.refused) {
        (_, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(1),
        _ => ExitCode::from(2),
    })
}

fn bar(size: u64) -> ProgressBar {
    let bar = if size == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(size) };
    let template = "{bar:30} {bytes}/{total_bytes} {msg} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

struct BarProgress {
    bar: ProgressBar,
}

impl Progress for BarProgress {
    fn at(&mut self, bytes: u64, products: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{products} products"));
    }

    fn refused(&mut self, line: u64, refusal: &catalog_sync::intake::import::Refusal) {
        self.bar.suspend(|| eprintln!("line {line}: {refusal}"));
    }
}
