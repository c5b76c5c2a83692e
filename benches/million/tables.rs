//! What is printed of an outcome.

use crate::Outcome;
use crate::bars::{Pair, blinds, growths};
use crate::measure::Measured;
use crate::run::PUSH;

/// Prints one outcome.
pub(crate) fn print(one: &Outcome) {
    println!("\n{}", one.name());
    phases(&one.measured);
    let Measured { bootstrap_answer, bytes_a_variant, bytes_an_intent, baseline, reads, .. } = &one.measured;
    println!("bootstrap answers in {bootstrap_answer:.3} s");
    println!(
        "database {bytes_a_variant:.0} bytes a variant after the first push, {bytes_an_intent:.0} more for each further intent"
    );
    if let (Some(baseline), Some(push)) = (baseline, one.measured.phase(PUSH)) {
        println!("baseline in Node {baseline:.0} rows/s; first push is {:.2} × that", push.rate() / baseline);
    }
    println!("{:<32}{:>10}{:>12}{:>20}{:>10}", "reads, ms", "idle", "draining", "64 clients, median", "p99");
    for read in reads {
        let cell = |number: Option<f64>| number.map(|number| format!("{number:.1}")).unwrap_or_default();
        let [median, p99] = [0, 1].map(|at| cell(read.crowd.map(|crowd| crowd[at])));
        println!("{:<32}{:>10.1}{:>12}{median:>20}{p99:>10}", read.name, read.idle, cell(read.draining));
    }
}

fn phases(measured: &Measured) {
    println!(
        "{:<24}{:>9}{:>9}{:>10}{:>9}{:>10}{:>8}{:>9}{:>9}",
        "", "rows", "s", "rows/s", "floor s", "ratio", "CPU s", "DB CPU s", "peak MB"
    );
    for phase in &measured.phases {
        let floor = phase.floor.map(|floor| format!("{floor:.2}")).unwrap_or_default();
        let ratio = phase.ratio.map(|ratio| format!("{ratio:.2} ×")).unwrap_or_default();
        println!(
            "{:<24}{:>9.0}{:>9.2}{:>10.0}{floor:>9}{ratio:>10}{:>8.1}{:>9.1}{:>9.0}",
            phase.name,
            phase.rows,
            phase.seconds,
            phase.rate(),
            phase.service,
            phase.database,
            phase.peak
        );
    }
}

/// Prints how the cost of a row grows with the shop, and what missing statistics cost.
pub(crate) fn compare(outcomes: &[Outcome]) {
    growths(outcomes).iter().for_each(costs);
    blinds(outcomes).iter().for_each(costs);
}

fn costs(pair: &Pair<'_>) {
    println!("\ncost of a row, {}", pair.name());
    for (name, cost) in pair.costs() {
        println!("{name:<24}{cost:>9.2} ×");
    }
}
