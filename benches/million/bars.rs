//! The bars of `--check`: what each figure may be at most or must be at least.

use crate::measure::Phase;
use crate::reads::{FIRST, FREQUENT, RARE, Read, SKU, STATUS, THOUSAND};
use crate::run::{BOOTSTRAP, IMPORT, PASS, POLL, PUSH};
use crate::{Databases, Outcome};

/// The phases with a bar, and the most that each may cost as a multiple of its floor.
const RATIOS: [(&str, f64); 5] = [(IMPORT, 1.6), (BOOTSTRAP, 1.5), (PUSH, 1.5), (PASS, 1.5), (POLL, 1.3)];
const BOOTSTRAP_ANSWER_S: f64 = 1.0;
/// Rows that the first push must take in a second, if the floor allows it.
const PUSH_SQLITE: f64 = 14_000.0;
const PUSH_POSTGRES: f64 = 12_000.0;
const AGAINST_BASELINE: f64 = 5.0;
/// The cost of a row in the largest shop, as a multiple of that in the smallest.
const GROWTH: f64 = 1.15;
/// The time without statistics, as a multiple of that with them.
const BLIND: f64 = 1.3;
/// Medians of reads while a push drains, in milliseconds.
const READS: [(&str, f64); 6] =
    [(STATUS, 5.0), (FIRST, 5.0), (THOUSAND, 50.0), (RARE, 100.0), (FREQUENT, 100.0), (SKU, 100.0)];
/// The 99th percentile of many clients, as a multiple of their median.
const CROWD: f64 = 5.0;
const PEAK_MB: f64 = 120.0;

/// A bar and what was measured.
struct Bar {
    what: String,
    bar: String,
    measured: String,
    held: bool,
}

/// Prints every bar and returns whether all are held.
pub(crate) fn print(outcomes: &[Outcome]) -> bool {
    let mut all_held = true;
    for (of, bars) in all(outcomes) {
        println!("\nbars: {of}");
        for Bar { what, bar, measured, held } in bars {
            all_held &= held;
            let word = if held { "held" } else { "missed" };
            println!("{what:<46}{bar:>18}{measured:>22}   {word}");
        }
    }
    all_held
}

fn all(outcomes: &[Outcome]) -> Vec<(String, Vec<Bar>)> {
    let blinds = blinds(outcomes);
    // Without statistics, only the comparison has bars, if there is one.
    let has_bars = |one: &&Outcome| !one.blind || blinds.is_empty();
    let mut bars: Vec<_> = outcomes.iter().filter(has_bars).map(|one| (one.name(), of_one(one))).collect();
    for pair in growths(outcomes) {
        bars.push((pair.name(), pair.bars("cost of a row", GROWTH)));
    }
    for pair in blinds {
        bars.push((pair.name(), pair.bars("time", BLIND)));
    }
    bars
}

fn at_most(what: impl Into<String>, measured: f64, bar: f64, unit: &str) -> Bar {
    let figure = |number: f64| if number < 10.0 { format!("{number:.2}{unit}") } else { format!("{number:.0}{unit}") };
    Bar { what: what.into(), bar: format!("≤ {}", figure(bar)), measured: figure(measured), held: measured <= bar }
}

fn of_one(one: &Outcome) -> Vec<Bar> {
    let measured = &one.measured;
    let mut bars = Vec::new();
    for (name, bar) in RATIOS {
        let ratio = measured.phase(name).and_then(|phase| phase.ratio).unwrap_or(f64::NAN);
        bars.push(at_most(format!("{name}, to its floor"), ratio, bar, " ×"));
    }
    bars.push(at_most("bootstrap, its answer", measured.bootstrap_answer, BOOTSTRAP_ANSWER_S, " s"));
    if let Some(push) = measured.phase(PUSH) {
        bars.push(push_rate(push, one.engine));
        if let Some(baseline) = measured.baseline {
            let factor = push.rate() / baseline;
            bars.push(Bar {
                what: "first push, to the baseline in Node".into(),
                bar: format!("≥ {AGAINST_BASELINE:.0} ×"),
                measured: format!("{factor:.2} ×"),
                held: factor >= AGAINST_BASELINE,
            });
        }
    }
    let read = |name| measured.reads.iter().find(|read: &&Read| read.name == name);
    for (name, bar) in READS {
        let median = read(name).and_then(|read| read.draining).unwrap_or(f64::NAN);
        bars.push(at_most(format!("{name}, while draining"), median, bar, " ms"));
    }
    for name in [STATUS, FIRST] {
        let [median, p99] = read(name).and_then(|read| read.crowd).unwrap_or([f64::NAN; 2]);
        bars.push(at_most(format!("{name}, p99 of 64 clients to median"), p99 / median, CROWD, " ×"));
    }
    let peak = measured.phases.iter().map(|phase| phase.peak).fold(0.0, f64::max);
    bars.push(at_most("peak memory", peak, PEAK_MB, " MB"));
    bars
}

/// A floor below the bar makes the bar unreachable; then the ratio counts.
fn push_rate(push: &Phase, engine: Databases) -> Bar {
    let bar = if engine == Databases::Sqlite { PUSH_SQLITE } else { PUSH_POSTGRES };
    let floor = push.floor.map_or(f64::INFINITY, |floor| push.rows / floor);
    let is_near = push.ratio.is_some_and(|ratio| ratio <= 1.5);
    let measured =
        if floor < bar { format!("{:.0} (floor {floor:.0})", push.rate()) } else { format!("{:.0}", push.rate()) };
    Bar {
        what: "first push, rows/s".into(),
        bar: format!("≥ {bar:.0}"),
        measured,
        held: push.rate() >= bar || (floor < bar && is_near),
    }
}

/// Two outcomes that are compared phase by phase.
pub(crate) struct Pair<'o> {
    base: &'o Outcome,
    other: &'o Outcome,
}

impl Pair<'_> {
    pub(crate) fn name(&self) -> String {
        format!("{} to {}", self.other.name(), self.base.name())
    }

    /// Returns each phase with the cost of a row as a multiple of that in the base.
    pub(crate) fn costs(&self) -> Vec<(&str, f64)> {
        let phases = self.base.measured.phases.iter();
        let cost = |base: &Phase| {
            let other = self.other.measured.phase(&base.name)?;
            Some(base.rate() / other.rate())
        };
        phases.filter_map(|base| Some((base.name.as_str(), cost(base)?))).collect()
    }

    fn bars(&self, what: &str, bar: f64) -> Vec<Bar> {
        let has_bar = |name: &str| RATIOS.iter().any(|(other, _)| *other == name);
        let costs = self.costs().into_iter().filter(|(name, _)| has_bar(name));
        costs.map(|(name, cost)| at_most(format!("{name}, {what}"), cost, bar, " ×")).collect()
    }
}

/// Returns the largest shop beside the smallest one on each database.
pub(crate) fn growths(outcomes: &[Outcome]) -> Vec<Pair<'_>> {
    let of = |engine: Databases| {
        let sighted = || outcomes.iter().filter(|one| one.engine == engine && !one.blind);
        let base = sighted().min_by_key(|one| one.variants)?;
        let other = sighted().max_by_key(|one| one.variants)?;
        (base.variants < other.variants).then_some(Pair { base, other })
    };
    [Databases::Sqlite, Databases::Postgres].into_iter().filter_map(of).collect()
}

/// Returns each shop without statistics beside the same one with them.
pub(crate) fn blinds(outcomes: &[Outcome]) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    for other in outcomes.iter().filter(|one| one.blind) {
        let is_base = |one: &&Outcome| !one.blind && one.engine == other.engine && one.variants == other.variants;
        pairs.extend(outcomes.iter().find(is_base).map(|base| Pair { base, other }));
    }
    pairs
}
