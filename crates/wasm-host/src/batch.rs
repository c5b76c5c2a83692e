//! Maps a batch: splits it, runs each part in a new store, and finds the rows that cause a fault.
//!
//! `search` decides the order of the parts, `limits` the time for them. Rows for which the time did not suffice get a
//! fault that does not blame them. At least one other row of the batch then has a fault that does, unless the host
//! failed: no slot became free, or it panicked.

mod search;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use mapper_core::{Item, MapSettings, Product};

use super::call;
use mapper_core::word::{FaultKind, MapperFault};

use super::fault::Cause;
use super::load::{Module, panic_text};
use mapper_core::word::Word;
use search::{Part, Search};

/// The batch to map. Shared, because a module may ask for any item's built-in word at any time of its run.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Settings of the mapper.
    pub settings: Arc<MapSettings>,
    /// The time to map for.
    pub now: i64,
    /// Each product once.
    pub products: Vec<Product>,
    /// The variants.
    pub items: Vec<Item>,
}

impl Module {
    /// Maps a batch: one answer per item, in order. Blocks for a bounded time (see the limits); never panics.
    #[must_use]
    pub fn map(&self, batch: &Arc<Batch>) -> Vec<Result<Word, MapperFault>> {
        let label = &self.inner.label;
        let mut answers: Vec<Option<Result<Word, MapperFault>>> = Vec::new();
        answers.resize_with(batch.items.len(), || None);
        let mut search = Search::new(&self.inner.shared.limits, batch.items.len());
        let mut left_over = Cause::new(FaultKind::Host, "returned no answer for this item");

        while let Some(part) = search.next() {
            let items = part.items.clone();
            let Some(_place) = self.inner.shared.place() else {
                left_over = Cause::new(FaultKind::Busy, "found no free slot to run in");
                answers[items].fill_with(|| Some(Err(left_over.of(label))));
                break;
            };
            let begun = Instant::now();
            let answer = self.try_part(batch, &part, &search);
            let took = begun.elapsed();
            match answer {
                Ok(rows) => {
                    search.succeeded(&part, took);
                    for (answer, row) in answers[items].iter_mut().zip(rows) {
                        *answer = Some(row.map_err(|cause| cause.of(label)));
                    }
                }
                Err(cause) => {
                    search.failed(&part, took);
                    left_over = not_tried(&cause);
                    if let [alone] = &mut answers[items] {
                        *alone = Some(Err(cause.of(label)));
                    }
                }
            }
        }
        for items in search.rest() {
            answers[items].fill_with(|| Some(Err(left_over.of(label))));
        }
        let unanswered = || Err(Cause::new(FaultKind::Host, "returned no answer for this item").of(label));
        answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }

    /// Runs a part. Converts a panic of the host into an answer.
    fn try_part(
        &self,
        batch: &Arc<Batch>,
        part: &Part,
        search: &Search<'_>,
    ) -> Result<Vec<Result<Word, Cause>>, Cause> {
        let (time, is_quiet) = (search.time(part), !part.is_first);
        let run = AssertUnwindSafe(|| call::run(&self.inner, batch, part.items.clone(), time, is_quiet));
        catch_unwind(run).unwrap_or_else(|panic| {
            let what = format!("caused the host to fail ({}); please report it", panic_text(&*panic));
            Err(Cause::new(FaultKind::Host, what))
        })
    }
}

fn not_tried(last: &Cause) -> Cause {
    let what =
        format!("was not run on this item: other items used up the time of the batch; on one of them it {}", last.what);
    Cause::new(FaultKind::NotTried, what)
}
