//! One run: some items of a batch, a separate store, one call of `map-items`.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wasmtime::{ResourceLimiter, Store};

use super::batch::Batch;
use mapper_core::word::FaultKind;

use super::fault::{BuiltinFailed, Cause, NoSuchItem, OverLimit, explain};
use super::host::{MOST_ELEMENTS, MOST_INSTANCES, MOST_MEMORIES, MOST_TABLES, Shared};
use super::load::{Inner, typed};
use super::log::ModuleLog;
use super::output;
use super::wire::{self, Context, MapItems, Outcome};
use mapper_core::word::Word;

/// The data of a store about its run.
pub(super) struct Guest {
    limiter: Limiter,
    pub(super) log: ModuleLog,
    work: Work,
}

/// The items of the run, and the built-in mapper's words on them.
#[derive(Default)]
struct Work {
    batch: Arc<Batch>,
    items: Range<usize>,
    /// By position in `items`; computed on request.
    builtins: Vec<Option<Word>>,
}

impl Guest {
    /// Without items, for a call of `describe`.
    pub(super) fn idle(shared: &Shared, label: &Arc<str>) -> Self {
        let limiter = Limiter { memory_limit: shared.limits.memory_bytes, memory: 0 };
        Self { limiter, log: ModuleLog::new(Arc::clone(label), false), work: Work::default() }
    }

    fn new(module: &Inner, batch: &Arc<Batch>, items: Range<usize>, quiet: bool) -> Self {
        let mut builtins = Vec::new();
        builtins.resize_with(items.len(), || None);
        Self {
            log: ModuleLog::new(Arc::clone(&module.label), quiet),
            work: Work { batch: Arc::clone(batch), items, builtins },
            ..Self::idle(&module.shared, &module.label)
        }
    }

    /// Returns the built-in word on an item of the run, for the module.
    pub(super) fn builtin(&mut self, index: u32) -> wasmtime::Result<Outcome> {
        let items = self.work.items.len();
        let position = usize::try_from(index).ok().filter(|position| *position < items);
        let position = position.ok_or(NoSuchItem { index, items })?;
        let word = match self.work.builtins[position].take() {
            Some(word) => word,
            None => self.work.map(position)?,
        };
        let outcome = wire::outcome(&word, self.work.id(position));
        self.work.builtins[position] = Some(word);
        Ok(outcome)
    }
}

impl Work {
    fn id(&self, position: usize) -> &str {
        &self.batch.items[self.items.start + position].variant.id
    }

    fn map(&self, position: usize) -> Result<Word, BuiltinFailed> {
        let item = &self.batch.items[self.items.start + position];
        // Items without a product never reach this point: see `lend`.
        let product = usize::try_from(item.product_index).ok().and_then(|index| self.batch.products.get(index));
        let product = product.ok_or(BuiltinFailed)?;
        let map = || mapper_core::map(&self.batch.settings, self.batch.now, product, &item.variant);
        catch_unwind(AssertUnwindSafe(map)).map(Word::from).map_err(|_| BuiltinFailed)
    }

    /// Returns the built-in word to patch; a word that the module has requested is not computed again.
    fn take(&mut self, position: usize) -> Result<Word, Cause> {
        match self.builtins[position].take() {
            Some(word) => Ok(word),
            None => self.map(position).map_err(Cause::from),
        }
    }
}

/// Returns a store with all limits set.
pub(super) fn store(shared: &Shared, guest: Guest, items: usize, time: Duration) -> Store<Guest> {
    let mut store = Store::new(&shared.engine, guest);
    store.limiter(|guest| &mut guest.limiter);
    store.set_epoch_deadline(Shared::ticks(time));
    store.set_hostcall_fuel(shared.limits.output(items));
    store
}

/// Runs some items of a batch. The caller holds a slot.
///
/// # Errors
/// When the whole run failed; faults of single answers are in their rows.
pub(super) fn run(
    module: &Inner,
    batch: &Arc<Batch>,
    items: Range<usize>,
    time: Duration,
    quiet: bool,
) -> Result<Vec<Result<Word, Cause>>, Cause> {
    let expected = items.len();
    let (products, wire_items) = lend(batch, items.clone())?;
    let guest = Guest::new(module, batch, items, quiet);
    let mut store = store(&module.shared, guest, expected, time);
    let called = call(module, &mut store, batch, &products, &wire_items);
    module.most_memory.fetch_max(store.data().limiter.memory, Ordering::Relaxed);
    let outcomes = called.map_err(|error| explain(&error, store.data().log.last_words()))?;
    if outcomes.len() != expected {
        let what = format!("returned {} outcomes for {expected} items", outcomes.len());
        return Err(Cause::new(FaultKind::Answer, what));
    }
    let Guest { work, .. } = store.data_mut();
    let rows = outcomes.into_iter().enumerate().map(|(position, outcome)| {
        let id = &wire_items[position].variant.id;
        output::check(outcome, id, batch.now, || work.take(position))
    });
    Ok(rows.collect())
}

fn call(
    module: &Inner,
    store: &mut Store<Guest>,
    batch: &Batch,
    products: &[&mapper_core::Product],
    items: &[wire::Item<'_>],
) -> wasmtime::Result<Vec<Outcome>> {
    let instance = module.pre.instantiate(&mut *store)?;
    let map_items = typed::<MapItems<'_>, (Vec<Outcome>,)>(&instance, store, &module.exports.map_items)?;
    let extra = batch.settings.extra_json();
    let context = Context { now: batch.now, settings: (&*batch.settings).into(), extra_json: extra.as_deref() };
    let (outcomes,) = map_items.call(&mut *store, (context, products, items))?;
    Ok(outcomes)
}

/// The items and their products, each product once.
fn lend(batch: &Batch, items: Range<usize>) -> Result<(Vec<&mapper_core::Product>, Vec<wire::Item<'_>>), Cause> {
    const UNSEEN: u32 = u32::MAX;
    let mut seen = vec![UNSEEN; batch.products.len()];
    let mut products = Vec::new();
    let mut lent = Vec::with_capacity(items.len());
    for item in &batch.items[items] {
        let index = usize::try_from(item.product_index).ok().filter(|index| *index < seen.len());
        let Some(index) = index else {
            let what = format!("was asked to map `{}` without its product; please report it", item.variant.id);
            return Err(Cause::new(FaultKind::Host, what));
        };
        if seen[index] == UNSEEN {
            seen[index] = u32::try_from(products.len()).unwrap_or(UNSEEN);
            products.push(&batch.products[index]);
        }
        lent.push(wire::Item { product_index: seen[index], variant: &item.variant });
    }
    Ok((products, lent))
}

/// Limits an instance's memories together, and each of its tables. Exceeding a limit ends the run with a clear error;
/// WebAssembly's `-1` would result in a panic of the guest's allocator without a reason.
#[derive(Debug)]
struct Limiter {
    memory_limit: usize,
    memory: usize,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        if memory > self.memory_limit {
            return Err(OverLimit { what: "too much memory", limit: self.memory_limit, unit: "bytes" }.into());
        }
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > MOST_ELEMENTS {
            return Err(OverLimit { what: "too large a table", limit: MOST_ELEMENTS, unit: "elements" }.into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        to_usize(MOST_INSTANCES)
    }

    fn memories(&self) -> usize {
        to_usize(MOST_MEMORIES)
    }

    fn tables(&self) -> usize {
        to_usize(MOST_TABLES)
    }
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
