//! Times, processor times and memory of phases, and the times of reads.

use std::fs;
use std::time::{Duration, Instant};

use catalog_sync::admin::items::{self, ItemsAsked};
use catalog_sync::admin::status;
use testkit::Shop;

/// A phase of the report, to give it its floor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase(usize);

struct Line {
    name: &'static str,
    wall: Duration,
    /// Processor time of this process, in seconds.
    service: f64,
    /// Processor time of everything else but the sink, in seconds.
    database: f64,
    floor: Option<Duration>,
    /// Peak of the resident memory, in MB.
    peak: f64,
}

pub(crate) struct Report {
    rows: usize,
    sink: u32,
    lines: Vec<Line>,
}

impl Report {
    pub(crate) fn new(rows: usize, sink: u32) -> Self {
        Self { rows, sink, lines: Vec::new() }
    }

    /// Runs a phase.
    pub(crate) async fn phase(&mut self, name: &'static str, work: impl Future<Output = ()>) -> Phase {
        // Resets the peak of the memory.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let (before, began) = (self.cpu(), Instant::now());
        work.await;
        let (wall, after) = (began.elapsed(), self.cpu());
        let spent = |part: fn(&Cpu) -> f64| part(&after) - part(&before);
        let service = spent(|cpu| cpu.own);
        let database = spent(|cpu| cpu.all) - service - spent(|cpu| cpu.sink);
        let peak = peak_mb();
        self.lines.push(Line { name, wall, service, database, floor: None, peak });
        Phase(self.lines.len() - 1)
    }

    /// Measures the floor of a phase.
    pub(crate) async fn floor(&mut self, Phase(at): Phase, work: impl Future<Output = ()>) {
        let began = Instant::now();
        work.await;
        self.lines[at].floor = Some(began.elapsed());
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<24}{:>9}{:>10}{:>9}{:>10}{:>8}{:>9}{:>10}",
            "", "s", "rows/s", "floor s", "ratio", "CPU s", "DB CPU s", "peak MB"
        );
        for line in &self.lines {
            let seconds = line.wall.as_secs_f64();
            let (floor, ratio) = line.floor.map_or((String::new(), String::new()), |floor| {
                (format!("{:.2}", floor.as_secs_f64()), format!("{:.2} ×", seconds / floor.as_secs_f64()))
            });
            println!(
                "{:<24}{seconds:>9.2}{:>10.0}{floor:>9}{ratio:>10}{:>8.1}{:>9.1}{:>10.0}",
                line.name,
                self.rows as f64 / seconds,
                line.service,
                line.database,
                line.peak
            );
        }
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

/// Prints the median times of what an operator reads, on an idle service.
pub(crate) async fn reads(shop: &Shop, variants: usize) {
    let page = |number: usize| number.clamp(1, variants / 50).to_string();
    let (thousand, deep) = (page(1_000), page(20_000));
    let listed = |name, asked| (name, Some(asked));
    for (name, asked) in [
        ("status", None),
        listed("items, first page", ItemsAsked::default()),
        listed("items, page 1,000", ItemsAsked { page: Some(&thousand), ..ItemsAsked::default() }),
        listed("items, page 20,000", ItemsAsked { page: Some(&deep), ..ItemsAsked::default() }),
        listed("items, synced", ItemsAsked { status: Some("synced"), ..ItemsAsked::default() }),
        listed("items, failed", ItemsAsked { status: Some("failed"), ..ItemsAsked::default() }),
        listed("items, search", ItemsAsked { search: Some("number 4711"), ..ItemsAsked::default() }),
    ] {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            match asked {
                None => drop(status::status(&shop.app).await.expect("a status")),
                Some(asked) => drop(items::list(&shop.app, asked).await.expect("a list")),
            }
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("{name:<24}{:>9.1} ms", times[times.len() / 2]);
    }
}
