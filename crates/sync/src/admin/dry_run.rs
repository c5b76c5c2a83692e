//! What the active mapper makes of variants that are only looked at: the skips and warnings of a dry run, counted by kind.
//!
//! Left out on purpose: what shows only when variants are compared ([`crate::domain::lint`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use mapper_core::word::{MapperFault, Word};
use wasm_host::Batch;

use super::AdminError;
use crate::actors::mapper::Mapper;
use crate::app::App;
use crate::clock::Millis;
use crate::domain::advice;
use crate::domain::cause::{Source, of_skip};
use crate::mapping::LoadedMapper;
use crate::mapping::active::NotFollowed;
use crate::store::source::SourceBatch;

/// What is found of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The mapper or the source is at fault: it would fail.
    Fails,
    /// It would be sent, and Meta would refuse it.
    Refused,
    /// It would be skipped.
    Skipped,
    /// It would be sent with a warning.
    Warned,
}

impl What {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] = [Self::Fails, Self::Refused, Self::Skipped, Self::Warned];

    /// Returns its word in the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
            Self::Warned => "warned",
        }
    }
}

/// Variants with the same finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is found.
    pub what: What,
    /// Its code.
    pub code: String,
    /// How many variants.
    pub count: u64,
    /// The first of them.
    pub example: String,
    /// The title of its product; empty when it has none.
    pub example_title: String,
    /// What to do.
    pub advice: &'static str,
}

/// Bounds memory; what comes after it counts as one.
const MAX_KINDS: usize = 1_000;

/// Counts what the active mapper says.
#[derive(Debug)]
pub struct Judge {
    threads: Mapper,
    mapper: Arc<LoadedMapper>,
    settings: Arc<mapper_core::MapSettings>,
    now: Millis,
    variants: u64,
    found: BTreeMap<(What, String), Found>,
}

impl Judge {
    /// Returns a judge with the active mapper and the current settings.
    ///
    /// # Errors
    /// When the database query fails, or the active module cannot run here.
    pub async fn new(app: &App) -> Result<Self, AdminError> {
        let mapper = app.active.follow().await.map_err(|fault| match fault {
            NotFollowed::Store(error) => error.into(),
            unusable @ NotFollowed::Unusable(_) => AdminError::Internal(unusable.to_string()),
        })?;
        let settings = app.load_settings().await?.mapper.with(&app.config.s3_public_url);
        Ok(Self {
            threads: app.mapper.clone(),
            mapper,
            settings: Arc::new(settings),
            now: app.now(),
            variants: 0,
            found: BTreeMap::new(),
        })
    }

    /// Maps these variants, on a thread of its own: a module may be slow.
    pub async fn judge(&mut self, SourceBatch { products, items, unreadable }: SourceBatch) {
        self.variants += (items.len() + unreadable.len()) as u64;
        for (variant_id, _) in &unreadable {
            let example = (variant_id.as_str(), "");
            self.add(What::Fails, "unreadable", example, "Correct the row in the view variant_source.");
        }
        let batch = Arc::new(Batch { settings: Arc::clone(&self.settings), now: self.now, products, items });
        let mapper = Arc::clone(&self.mapper);
        let mapped = Arc::clone(&batch);
        // Without a thread nothing is known of them.
        let words = self.threads.apart(move || mapper.map(&mapped)).await.unwrap_or_default();
        let words = words.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        for (item, word) in batch.items.iter().zip(words) {
            let title = usize::try_from(item.product_index)
                .ok()
                .and_then(|at| batch.products.get(at))
                .and_then(|product| product.title.as_deref());
            self.word((&item.variant.id, title.unwrap_or_default()), word);
        }
    }

    /// `example` is the variant's id, and the title of its product.
    fn word(&mut self, example: (&str, &str), word: Option<Result<Word, MapperFault>>) {
        match word {
            Some(Ok(Word::Mapped(payload))) => {
                let mut codes: Vec<&str> = payload.warnings.iter().map(|warning| warning.code.as_str()).collect();
                codes.sort_unstable();
                codes.dedup();
                for code in codes {
                    let what = if advice::is_refused(code) { What::Refused } else { What::Warned };
                    self.add(what, code, example, advice::of_warning(code));
                }
            }
            Some(Ok(Word::Rejected(why))) => {
                let (_, advice) = advice::of_cause(&of_skip(&why.code));
                self.add(What::Skipped, &why.code, example, advice);
            }
            Some(Err(fault)) if fault.kind.blames_the_row() => {
                let (_, advice) = advice::of_cause(&Source::Mapper.cause("mapper_error"));
                self.add(What::Fails, "mapper_error", example, advice);
            }
            // The sync would try again, and so may the operator.
            Some(Err(_)) | None => self.add(What::Fails, "not_tried", example, "The mapper is slow; try again."),
        }
    }

    fn add(&mut self, what: What, code: &str, example: (&str, &str), advice: &'static str) {
        let mut key = (what, code.to_owned());
        // A module may have as many codes as variants.
        if self.found.len() >= MAX_KINDS && !self.found.contains_key(&key) {
            key.1 = "other_codes".into();
        }
        let found = self.found.entry(key).or_insert_with_key(|(what, code)| Found {
            what: *what,
            code: code.clone(),
            count: 0,
            example: example.0.to_owned(),
            example_title: example.1.to_owned(),
            advice,
        });
        found.count += 1;
    }

    /// Returns the number of variants, and what was found: the worst first, then the most frequent.
    #[must_use]
    pub fn into_found(self) -> (u64, Vec<Found>) {
        let mut found: Vec<Found> = self.found.into_values().collect();
        found.sort_by(|a, b| (a.what, b.count, &a.code).cmp(&(b.what, a.count, &b.code)));
        (self.variants, found)
    }
}
