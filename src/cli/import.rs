//! `meta-catalog import FILE`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;

use super::{Done, Failed};
use catalog_sync::admin::dry_run::{Found, Judge, What};
use catalog_sync::clock::{self, Clock as _, SystemClock};
use catalog_sync::config::Config;
use catalog_sync::intake::import::Refusal;
use catalog_sync::intake::import::formats::table::Names;
use catalog_sync::intake::import::formats::{GoogleMerchant, Ndjson, Shopify, WooCommerce};
use catalog_sync::intake::import::kinds::Kinds;
use catalog_sync::intake::import::run::{Import, ImportError, Mode, Progress, Tally, Unnamed};
use catalog_sync::report::{chain, clip, for_a_terminal};
use catalog_sync::startup;
use catalog_sync::store::source::SourceBatch;
use catalog_sync::store::{Db, settings};
use mapper_core::minor_units;

#[derive(Debug, Args)]
#[command(after_help = "A file for the first time, step by step:
  meta-catalog import --dry-run products.ndjson      what would be refused, skipped and warned of?
  meta-catalog import products.ndjson                writes what differs
  meta-catalog import --complete products.ndjson     also deletes what the file does not name

In the format ndjson each line is one product with its variants:
  {\"id\":\"p1\",\"title\":\"Belt\",\"slug\":\"belt\",\"status\":\"active\",\"visibility\":\"public\",
   \"variants\":[{\"id\":\"v1\",\"sku\":\"B-1\",\"price\":29900,\"inventory\":{\"quantityOnHand\":5}}]}
Prices are whole subunits (paise, cents). A variant that a line leaves out is kept; \"deletedAt\" deletes.

In the other formats prices are decimals, in the currency of the settings or of the feed.
  meta-catalog import --format shopify-csv products_export.csv
  meta-catalog import --format woocommerce-csv --map \"Artikelnummer=SKU\" wc-product-export.csv
  meta-catalog import --format google-merchant-xml feed.xml
--map names columns and options as the format knows them: --map \"Färg=color\" --map \"Storlek=size\".
Dates without a time are whole days in the setting time_zone. docs/import.md tells what becomes which field.

Exit code: 0 every product was imported, 2 some were refused, 1 nothing was written.
Refusals are printed on stderr, each with its line number and field; after many, what to fix comes last, most frequent
first. Running the import again is safe: equal records are not changed.")]
pub(super) struct ImportArgs {
    /// The file; - reads from stdin
    file: PathBuf,
    /// The shape of the file
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Reads a column or an option of a CSV file under another name, such as "Färg=color"; may be given several times
    #[arg(long = "map", value_name = "NAME=NAME", value_parser = renamed)]
    names: Vec<(String, String)>,
    /// All or nothing: if one product is refused, nothing is written
    #[arg(long)]
    strict: bool,
    /// Write nothing; say what would be refused, skipped and warned of, most frequent first
    #[arg(long, conflicts_with = "strict")]
    dry_run: bool,
    /// The file is the whole shop: variants that it does not name are deleted
    #[arg(long)]
    complete: bool,
    /// With --complete: delete them even when they are more than 100 and more than a tenth of the shop
    #[arg(long, requires = "complete")]
    allow_mass_delete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object per line
    Ndjson,
    /// The product export of Shopify
    ShopifyCsv,
    /// The product export of WooCommerce
    WoocommerceCsv,
    /// A product feed for Google Merchant Center
    GoogleMerchantXml,
}

/// The most kinds of refusals that fit one screen.
const SHOWN_KINDS: usize = 10;

/// Up to this number of refusals, the lines above already fit one screen.
const FEW_REFUSALS: u64 = 20;

fn renamed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').map(|(from, to)| (from.trim(), to.trim())) {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.to_lowercase(), to.to_owned())),
        _ => Err("must be two names with = between them, such as Färg=color".into()),
    }
}

pub(super) async fn run(config: &Config, args: ImportArgs) -> Done {
    let is_csv = matches!(args.format, Format::ShopifyCsv | Format::WoocommerceCsv);
    if !is_csv && !args.names.is_empty() {
        let message = "--map is for CSV files; say --format shopify-csv or woocommerce-csv too";
        return Err(Failed { message: message.into(), code: 1 });
    }
    let (input, size) = Input::open(&args.file)
        .map_err(|error| Failed { message: format!("cannot read {}: {error}", args.file.display()), code: 1 })?;
    let (db, judge) = if args.dry_run {
        let app = startup::build(config, clock::of_the_process()).await?;
        let judge = Judge::new(&app).await.map_err(|error| Failed { message: chain(&error), code: 1 })?;
        (app.db.clone(), Some(judge))
    } else {
        (startup::open_store(config).await?, None)
    };
    let bar = bar(size);
    let mut progress = BarProgress { bar: bar.clone(), kinds: Kinds::default(), refusals: 0, judge };
    let done = import(&db, &args, input, &mut progress).await;
    bar.finish_and_clear();
    db.close().await;
    let (tally, error) = match done {
        Ok(tally) => (tally, None),
        Err((tally, error)) => (tally, Some(error)),
    };
    if progress.refusals > FEW_REFUSALS || args.dry_run && progress.refusals > 0 {
        eprint!("{}", to_fix(progress.kinds));
    }
    if let Some(judge) = progress.judge {
        eprint!("{}", for_a_terminal(&found(judge)));
    }
    if args.complete && tally.deleted > 0 {
        eprintln!("{} variants deleted that the file does not name", tally.deleted);
    }
    let what = if args.dry_run { "dry run, nothing is written: " } else { "" };
    eprintln!(
        "{what}{} products {}imported ({} products and {} variants changed, {} intents queued), {} {} refused",
        tally.taken,
        if args.dry_run { "would be " } else { "" },
        tally.written.products,
        tally.written.variants,
        tally.written.intents,
        tally.refused,
        if args.format == Format::Ndjson { "lines" } else { "products" },
    );
    if let Some(error) = error {
        use ImportError::{Empty, Refused, TooManyDeletes};
        let message = if tally.taken == 0 {
            format!("nothing was imported: {}", chain(&error))
        } else if let Empty | Refused { .. } | TooManyDeletes { .. } = error {
            chain(&error)
        } else if args.dry_run {
            format!("stopped: {}", chain(&error))
        } else {
            format!("stopped: {}; what was imported before is kept, so run the import again", chain(&error))
        };
        return Err(Failed { message, code: if tally.taken == 0 { 1 } else { 2 } });
    }
    Ok(match (tally.taken, tally.refused) {
        (_, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(1),
        _ => ExitCode::from(2),
    })
}

async fn import(
    db: &Db,
    args: &ImportArgs,
    input: Input,
    progress: &mut BarProgress,
) -> Result<Tally, (Tally, ImportError)> {
    let mode = match (args.strict, args.dry_run) {
        (_, true) => Mode::Dry,
        (true, false) => Mode::Strict,
        (false, false) => Mode::Lenient,
    };
    let unnamed = match (args.complete, args.allow_mass_delete) {
        (false, _) => Unnamed::Keep,
        (true, false) => Unnamed::Delete,
        (true, true) => Unnamed::DeleteAll,
    };
    // Shopify and ndjson come from a pipe as they are written.
    let reads_ahead = !matches!(input, Input::Stdin);
    let import = Import { db, mode, now: SystemClock.now(), unnamed, reads_ahead };
    let early = |error: ImportError| (Tally::default(), error);
    let names: Names = args.names.iter().cloned().collect();
    match args.format {
        Format::Ndjson => {
            let zone = zone(db).await.map_err(early)?;
            import.run(Ndjson::new(BufReader::with_capacity(1 << 20, input), zone), progress).await
        }
        Format::ShopifyCsv => {
            let decimals = decimals(db).await.map_err(early)?;
            let input = BufReader::with_capacity(1 << 20, input);
            let source = Shopify::open(input, names, decimals).map_err(|error| early(error.into()))?;
            import.run(source, progress).await
        }
        Format::WoocommerceCsv => {
            let (decimals, zone) = (decimals(db).await.map_err(early)?, zone(db).await.map_err(early)?);
            progress.looks_for_parts();
            let source = input.twice().and_then(|file| WooCommerce::open(file, names, decimals, zone));
            import.run(source.map_err(|error| early(error.into()))?, progress).await
        }
        Format::GoogleMerchantXml => {
            let zone = zone(db).await.map_err(early)?;
            progress.looks_for_parts();
            let source = input.twice().and_then(|file| GoogleMerchant::open(file, zone));
            import.run(source.map_err(|error| early(error.into()))?, progress).await
        }
    }
}

/// Where the products come from.
enum Input {
    Stdin,
    File(File),
}

impl Input {
    /// Returns the input, and its size in bytes; 0 when it is not known.
    fn open(path: &Path) -> io::Result<(Self, u64)> {
        if path.as_os_str() == "-" {
            return Ok((Self::Stdin, 0));
        }
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((Self::File(file), size))
    }

    /// Returns a file that can be read twice: stdin is copied to a temporary one.
    fn twice(self) -> io::Result<BufReader<File>> {
        let file = match self {
            Self::File(file) => file,
            Self::Stdin => {
                let mut file = tempfile::tempfile()?;
                io::copy(&mut io::stdin().lock(), &mut file)?;
                file.rewind()?;
                file
            }
        };
        // Small, since each product that lies apart is sought.
        Ok(BufReader::with_capacity(64 * 1024, file))
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stdin => io::stdin().read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

/// Returns the time zone of dates without a time.
async fn zone(db: &Db) -> Result<TimeZone, ImportError> {
    let mut tx = db.read().await?;
    let name = settings::load(&mut tx).await?.time_zone;
    TimeZone::get(&name).map_err(|error| {
        let message = format!("the setting `time_zone` is {name:?}: {error}; correct it first");
        io::Error::new(io::ErrorKind::InvalidInput, message).into()
    })
}

/// Returns the number of decimals of the shop's currency.
async fn decimals(db: &Db) -> Result<u32, ImportError> {
    let mut tx = db.read().await?;
    let currency = settings::load(&mut tx).await?.mapper.currency.to_ascii_uppercase();
    minor_units(&currency).ok_or_else(|| {
        let message =
            format!("the setting `currency` is {currency:?}, which is no currency of ISO 4217; correct it first");
        io::Error::new(io::ErrorKind::InvalidInput, message).into()
    })
}

/// What an operator has to fix, in one screen, most frequent first.
fn to_fix(kinds: Kinds) -> String {
    let (kinds, mut others) = kinds.sorted();
    let mut text = String::from("What to fix, most frequent first:\n");
    for kind in kinds.iter().take(SHOWN_KINDS) {
        let example = clip(&kind.example.to_string(), 150).to_string();
        text.push_str(&format!("  {}× such as line {}: {example}\n", kind.count, kind.line));
    }
    others += kinds.iter().skip(SHOWN_KINDS).map(|kind| kind.count).sum::<u64>();
    if others > 0 {
        text.push_str(&format!("  {others}× of other kinds\n"));
    }
    text
}

/// What a dry run found in the products that would be imported.
fn found(judge: Judge) -> String {
    let (variants, found) = judge.into_found();
    let mut text = String::new();
    for (what, title) in [
        (What::Fails, "Variants that would fail"),
        (What::Skipped, "Variants that would be skipped"),
        (What::Warned, "Variants that would be sent with a warning"),
    ] {
        let found: Vec<_> = found.iter().filter(|found| found.what == what).collect();
        if !found.is_empty() {
            text.push_str(&format!("{title}, of {variants}:\n"));
        }
        for Found { code, count, example, advice, .. } in found.iter().take(SHOWN_KINDS) {
            text.push_str(&format!("  {count}× {code}, such as {}: {advice}\n", clip(example, 60)));
        }
        if found.len() > SHOWN_KINDS {
            text.push_str(&format!("  and {} other kinds\n", found.len() - SHOWN_KINDS));
        }
    }
    text
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
    kinds: Kinds,
    refusals: u64,
    /// Only in a dry run.
    judge: Option<Judge>,
}

impl BarProgress {
    /// Shows that the file is read for the first time of two.
    fn looks_for_parts(&self) {
        self.bar.set_message("finding what belongs together");
        self.bar.tick();
    }
}

impl Progress for BarProgress {
    fn at(&mut self, bytes: u64, products: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{products} products"));
    }

    fn deletes(&mut self, unnamed: u64, live: u64) {
        let end = if self.judge.is_some() { "would be" } else { "are" };
        self.bar.suspend(|| eprintln!("the file does not name {unnamed} of {live} variants; they {end} deleted"));
    }

    async fn judge(&mut self, variants: SourceBatch) {
        if let Some(judge) = &mut self.judge {
            judge.judge(variants).await;
        }
    }

    fn refused(&mut self, line: u64, refusal: &Refusal) {
        self.kinds.add(line, refusal);
        self.refusals += 1;
        // A dry run ends with its kinds: one screen.
        if self.judge.is_none() {
            self.bar.suspend(|| eprintln!("line {line}: {refusal}"));
        }
    }
}
