//! An import of products that come with a request.

use std::io;

use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::audit::{Act, Action, recorded};
use super::dry_run::Judge;
use crate::app::App;
use crate::domain::advice;
use crate::intake::import::Refusal;
use crate::intake::import::formats::Ndjson;
use crate::intake::import::kinds::Kinds;
use crate::intake::import::run::{Import, ImportError, Mode, Progress, Unnamed};
use crate::report::clip;
use crate::store::source::SourceBatch;

/// Most kinds of refusals and of findings in a report.
const SHOWN: usize = 50;

/// How products are imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportAsked {
    /// Nothing is written when a product is refused.
    pub strict: bool,
    /// Nothing is written at all.
    pub dry_run: bool,
    /// Variants that are not named are deleted.
    pub complete: bool,
    /// They are deleted, however many they are.
    pub allow_mass_delete: bool,
}

/// What became of an import, or would become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Whether nothing was written: the numbers are what an import would bring.
    pub dry_run: bool,
    /// Products that were written or found unchanged.
    pub products: u64,
    /// Products that differed.
    pub products_changed: u64,
    /// Variants that differed.
    pub variants_changed: u64,
    /// Intents that were queued.
    pub intents_queued: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// What to fix in the refused lines, by kind, the most frequent first; up to 50 kinds.
    pub to_fix: Vec<ToFix>,
    /// With `complete`: the variants that the file does not name; null otherwise.
    pub unnamed: Option<UnnamedReport>,
    /// In a dry run: what the mapper would fail at, skip or warn of, the most frequent first; up to 50. Null otherwise.
    pub found: Option<Vec<FindingReport>>,
}

/// Refused lines of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ToFix {
    /// Number of refusals.
    pub count: u64,
    /// The line of the first one.
    pub line: u64,
    /// The first one: the path in the line, and what is wrong.
    pub message: String,
}

/// The variants that a complete file does not name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnnamedReport {
    /// How many; null when it was not counted.
    pub count: Option<u64>,
    /// How many variants there were; null when they were not counted.
    pub of: Option<u64>,
    /// How many were deleted.
    pub deleted: u64,
    /// Why none was deleted, and what to do; null when they were.
    pub refused: Option<String>,
}

/// What the mapper says of variants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingReport {
    /// `fails` (the mapper or the source is at fault), `refused` (it would be sent, and Meta would refuse it), `skipped` (it
    /// is not eligible) or `warned`.
    #[schema(schema_with = super::schema::finding_kind)]
    pub what: &'static str,
    /// The code of the reason or of the warning.
    pub code: String,
    /// What the code is called.
    pub title: String,
    /// Number of variants.
    pub count: u64,
    /// One of them.
    pub example: String,
    /// The title of its product; empty when it has none.
    pub example_title: String,
    /// What to do.
    pub what_to_do: &'static str,
}

/// Imports products, one JSON object per line.
///
/// # Errors
/// [`AdminError::Invalid`] when options exclude each other; otherwise when the database query fails.
pub async fn import(app: &App, file: &[u8], asked: ImportAsked) -> Result<ImportReport, AdminError> {
    let ImportAsked { strict, dry_run, complete, allow_mass_delete } = asked;
    let options =
        [("strict", strict), ("dryRun", dry_run), ("complete", complete), ("allowMassDelete", allow_mass_delete)];
    let act = options
        .into_iter()
        .filter(|(_, is_on)| *is_on)
        .fold(Act::new(Action::Imported), |act, (name, _)| act.with(name, true));
    recorded(app, act, run(app, file, asked), |report, details| {
        details.add("products", report.products);
        details.add("productsChanged", report.products_changed);
        details.add("variantsChanged", report.variants_changed);
        details.add("linesRefused", report.refused);
        if let Some(unnamed) = &report.unnamed {
            details.add("deleted", unnamed.deleted);
        }
    })
    .await
}

async fn run(app: &App, file: &[u8], asked: ImportAsked) -> Result<ImportReport, AdminError> {
    let mode = match (asked.strict, asked.dry_run) {
        (true, true) => return Err(AdminError::invalid("strict and dryRun exclude each other")),
        (false, true) => Mode::Dry,
        (true, false) => Mode::Strict,
        (false, false) => Mode::Lenient,
    };
    let unnamed = match (asked.complete, asked.allow_mass_delete) {
        (false, true) => return Err(AdminError::invalid("allowMassDelete needs complete")),
        (false, false) => Unnamed::Keep,
        (true, false) => Unnamed::Delete,
        (true, true) => Unnamed::DeleteAll,
    };
    let settings = app.load_settings().await?;
    let zone = TimeZone::get(&settings.time_zone)
        .map_err(|error| AdminError::Misconfigured(format!("the setting time_zone is unusable: {error}")))?;
    let judge = if asked.dry_run { Some(Judge::new(app).await?) } else { None };
    let mut watched = Watched { kinds: Kinds::default(), deletes: None, judge };
    let import = Import { db: &app.db, mode, now: app.now(), unnamed, reads_ahead: true };
    let done = import.run(Ndjson::new(io::Cursor::new(file), zone), &mut watched).await;
    app.work_arrived();
    let (tally, refused) = match done {
        Ok(tally) => (tally, None),
        Err((tally, why @ (ImportError::Empty | ImportError::Refused { .. } | ImportError::TooManyDeletes { .. }))) => {
            if let ImportError::TooManyDeletes { unnamed, live, .. } = why {
                watched.deletes = Some((unnamed, live));
            }
            (tally, Some(why.to_string()))
        }
        Err((_, ImportError::Store(error))) => return Err(error.into()),
        Err((_, ImportError::Read(error))) => return Err(AdminError::Internal(error.to_string())),
    };
    let Watched { kinds, deletes, judge } = watched;
    let (kinds, _) = kinds.sorted();
    let to_fix = kinds.into_iter().take(SHOWN).map(|kind| ToFix {
        count: kind.count,
        line: kind.line,
        message: clip(&kind.example.to_string(), 300).into_owned(),
    });
    Ok(ImportReport {
        dry_run: asked.dry_run,
        products: tally.taken,
        products_changed: tally.written.products,
        variants_changed: tally.written.variants,
        intents_queued: tally.written.intents,
        refused: tally.refused,
        to_fix: to_fix.collect(),
        unnamed: asked.complete.then(|| UnnamedReport {
            count: deletes.map(|(count, _)| count),
            of: deletes.map(|(_, of)| of),
            deleted: tally.deleted,
            refused,
        }),
        found: judge.map(found),
    })
}

fn found(judge: Judge) -> Vec<FindingReport> {
    let (_, found) = judge.into_found();
    let found = found.into_iter().take(SHOWN).map(|found| FindingReport {
        what: found.what.as_str(),
        title: advice::title(&found.code).into_owned(),
        code: found.code,
        count: found.count,
        example: found.example,
        example_title: found.example_title,
        what_to_do: found.advice,
    });
    found.collect()
}

/// What is seen of an import while it runs.
struct Watched {
    kinds: Kinds,
    deletes: Option<(u64, u64)>,
    judge: Option<Judge>,
}

impl Progress for Watched {
    fn at(&mut self, _: u64, _: u64) {}

    fn deletes(&mut self, unnamed: u64, live: u64) {
        self.deletes = Some((unnamed, live));
    }

    async fn judge(&mut self, variants: SourceBatch) {
        if let Some(judge) = &mut self.judge {
            judge.judge(variants).await;
        }
    }

    fn refused(&mut self, line: u64, refusal: &Refusal) {
        self.kinds.add(line, refusal);
    }
}
