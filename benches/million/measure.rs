//! Times, processor times and memory of phases.

use std::fs;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reads::Read;

/// What one run measured, or the medians of several.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) phases: Vec<Phase>,
    pub(crate) reads: Vec<Read>,
    /// Seconds until the bootstrap answered.
    pub(crate) bootstrap_answer: f64,
    /// Bytes of the database for a variant, after the first push.
    pub(crate) bytes_a_variant: f64,
    /// Bytes that each further intent left behind.
    pub(crate) bytes_an_intent: f64,
    /// Rows that the baseline synced in a second.
    pub(crate) baseline: Option<f64>,
}

/// A phase of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) rows: f64,
    pub(crate) seconds: f64,
    /// Processor time of this process, in seconds.
    pub(crate) service: f64,
    /// Processor time of everything else but the sink, in seconds.
    pub(crate) database: f64,
    pub(crate) floor: Option<f64>,
    /// Seconds of the phase by seconds of its floor, in the same run.
    pub(crate) ratio: Option<f64>,
    /// Peak of the resident memory, in MB.
    pub(crate) peak: f64,
}

impl Phase {
    pub(crate) fn rate(&self) -> f64 {
        self.rows / self.seconds
    }
}

impl Measured {
    pub(crate) fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// Returns the median of each figure of several runs.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let values: Vec<Value> = runs.iter().map(|run| serde_json::to_value(run).expect("JSON")).collect();
        serde_json::from_value(median_of(&values.iter().collect::<Vec<_>>())).expect("the same shape")
    }
}

/// Takes the median of each number; lists and objects go member by member.
fn median_of(values: &[&Value]) -> Value {
    let Some(first) = values.first() else { return Value::Null };
    match first {
        Value::Array(list) => {
            let at = |at: usize| median_of(&values.iter().filter_map(|value| value.get(at)).collect::<Vec<_>>());
            (0..list.len()).map(at).collect()
        }
        Value::Object(object) => {
            let of = |key: &String| median_of(&values.iter().filter_map(|value| value.get(key)).collect::<Vec<_>>());
            Value::Object(object.keys().map(|key| (key.clone(), of(key))).collect())
        }
        Value::Number(_) => median(values.iter().filter_map(|value| value.as_f64()).collect()).into(),
        other => (*other).clone(),
    }
}

/// Returns the median, or the mean of the two in the middle.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    if numbers.len().is_multiple_of(2) { f64::midpoint(numbers[half - 1], numbers[half]) } else { numbers[half] }
}

/// Measures the phases of a run and says on the standard error what runs.
pub(crate) struct Report {
    run: String,
    rows: usize,
    sink: u32,
    pub(crate) phases: Vec<Phase>,
}

impl Report {
    pub(crate) fn new(run: String, rows: usize, sink: u32) -> Self {
        Self { run, rows, sink, phases: Vec::new() }
    }

    /// Says what happens beside the phases.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{}: {what}", self.run);
    }

    /// Runs a phase over all rows.
    pub(crate) async fn phase(&mut self, name: &str, work: impl Future<Output = ()>) {
        self.phase_of(name, self.rows, work).await;
    }

    /// Runs a phase over this number of rows.
    pub(crate) async fn phase_of(&mut self, name: &str, rows: usize, work: impl Future<Output = ()>) {
        self.say(name);
        // Resets the peak of the memory.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let (before, began) = (self.cpu(), Instant::now());
        work.await;
        let (seconds, after) = (began.elapsed().as_secs_f64(), self.cpu());
        let spent = |part: fn(&Cpu) -> f64| part(&after) - part(&before);
        let service = spent(|cpu| cpu.own);
        let database = spent(|cpu| cpu.all) - service - spent(|cpu| cpu.sink);
        self.phases.push(Phase {
            name: name.to_owned(),
            rows: rows as f64,
            seconds,
            service,
            database,
            floor: None,
            ratio: None,
            peak: peak_mb(),
        });
    }

    /// Gives the last phase its floor, in seconds, if it was measured.
    pub(crate) fn floor(&mut self, floor: Option<f64>) {
        let phase = self.phases.last_mut().expect("a phase");
        let Some(floor) = floor else {
            eprintln!("{}: {} took {:.2} s", self.run, phase.name, phase.seconds);
            return;
        };
        phase.floor = Some(floor);
        phase.ratio = Some(phase.seconds / floor);
        eprintln!("{}: {} took {:.2} s, its floor {floor:.2} s", self.run, phase.name, phase.seconds);
    }

    fn cpu(&self) -> Cpu {
        let of = |path: &str, fields: std::ops::Range<usize>| -> f64 {
            let text = fs::read_to_string(path).unwrap_or_default();
            // The name of a program may hold blanks; it ends with the last parenthesis.
            let rest = text.lines().next().unwrap_or_default();
            let rest = rest.rsplit_once(')').map_or(rest, |(_, rest)| rest);
            let ticks = rest.split_whitespace().skip(fields.start).take(fields.len());
            ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
        };
        Cpu {
            own: of("/proc/self/stat", 11..13),
            sink: of(&format!("/proc/{}/stat", self.sink), 11..13),
            // User, nice and system.
            all: of("/proc/stat", 1..4),
        }
    }
}

/// Ticks of Linux's clock in a second.
const TICKS: f64 = 100.0;

struct Cpu {
    own: f64,
    sink: f64,
    all: f64,
}

fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
}
