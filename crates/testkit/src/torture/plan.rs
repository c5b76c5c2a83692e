//! The plan of a torture run, made from a seed before the run begins. The same seed gives the same plan.

use catalog_sync::failpoints::Point;
use fastrand::Rng;
use graph_simulator::{Fault, Kind};
use serde_json::{Value, json};

/// The number of products of the shop.
pub(crate) const PRODUCTS: usize = 12;
/// The number of variants of a product.
pub(crate) const VARIANTS: usize = 4;

/// A single action of the plan.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A price changes.
    Price { variant: usize, price: i64 },
    /// A sale begins and ends this many milliseconds later.
    Sale { variant: usize, lasts: i64 },
    /// An option is set or removed.
    Colour { variant: usize, colour: Option<&'static str> },
    /// A product is archived or activated.
    Status { product: usize, active: bool },
    /// A variant is soft-deleted or restored.
    Deleted { variant: usize, deleted: bool },
    /// An event without a change.
    Event { variant: usize },
    /// An operator removes an item.
    OperatorDelete { variant: usize },
    /// An operator queues an item.
    Resync { variant: usize },
    /// Settings change.
    Settings(Value),
    /// Meta returns a fault.
    Fault(Fault),
    /// Meta refuses a variant from now on.
    Reject { variant: usize },
    /// Meta refuses no variant any more.
    ClearRejects,
    /// The operator disconnects.
    Disconnect,
    /// The operator connects.
    Connect,
    /// Time passes, in milliseconds.
    Ahead { ms: i64 },
    /// `kill -9` and a new start. The lease may expire at once. The new process may carry a failpoint.
    Kill { replica: usize, lease_ends: bool, failpoint: Option<String> },
    /// `SIGSTOP` for this many milliseconds.
    Stop { replica: usize, ms: u64 },
}

/// An action and the wait after it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) act: Act,
    pub(crate) then_ms: u64,
}

/// Returns the whole plan.
pub(crate) fn plan(seed: u64, kills: usize) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let mut steps = Vec::new();
    for _ in 0..kills {
        for _ in 0..rng.usize(3..14) {
            let act = any(&mut rng);
            // An action that stops the pipeline is followed by the action that resumes it.
            let follow = match &act {
                Act::Disconnect => Some(Act::Connect),
                Act::Fault(Fault { kind: Kind::GraphError { code: 190 | 200 | 368, .. }, .. }) => Some(Act::Connect),
                Act::Settings(values) if values["sync_enabled"] == json!(false) => {
                    Some(Act::Settings(json!({"sync_enabled": true})))
                }
                Act::Settings(values) if values["feed_mode"] == json!("preview") => {
                    Some(Act::Settings(json!({"feed_mode": "live"})))
                }
                _ => None,
            };
            steps.push(step(&mut rng, act));
            if let Some(follow) = follow {
                for _ in 0..rng.usize(1..4) {
                    let between = edit(&mut rng);
                    steps.push(step(&mut rng, between));
                }
                steps.push(step(&mut rng, follow));
            }
        }
        let failpoint = (rng.u8(0..10) < 8).then(|| failpoint(&mut rng));
        let act = Act::Kill { replica: rng.usize(0..2), lease_ends: rng.u8(0..10) < 8, failpoint };
        steps.push(Step { act, then_ms: rng.u64(0..900) });
    }
    steps
}

fn step(rng: &mut Rng, act: Act) -> Step {
    Step { act, then_ms: rng.u64(0..90) }
}

/// Returns an edit of the shop's daily business.
fn edit(rng: &mut Rng) -> Act {
    let variant = rng.usize(0..PRODUCTS * VARIANTS);
    match rng.u8(0..20) {
        0..7 => Act::Price { variant, price: rng.i64(1..6) * 100 },
        7..9 => Act::Sale { variant, lasts: rng.i64(1..1_800) * 1_000 },
        9..12 => Act::Colour { variant, colour: rng.choice([None, Some("Red"), Some("Blue")]).flatten() },
        12..14 => Act::Status { product: rng.usize(0..PRODUCTS), active: rng.bool() },
        14..17 => Act::Deleted { variant, deleted: rng.bool() },
        _ => Act::Event { variant },
    }
}

fn any(rng: &mut Rng) -> Act {
    let variant = rng.usize(0..PRODUCTS * VARIANTS);
    match rng.u8(0..100) {
        0..52 => edit(rng),
        52..56 => Act::OperatorDelete { variant },
        56..60 => Act::Resync { variant },
        60..66 => Act::Settings(settings(rng)),
        66..78 => Act::Fault(fault(rng)),
        78..80 => Act::Reject { variant },
        80..82 => Act::ClearRejects,
        82..84 => Act::Disconnect,
        84..96 => Act::Ahead { ms: rng.i64(5..240) * 1_000 },
        _ => Act::Stop { replica: rng.usize(0..2), ms: rng.u64(50..5_000) },
    }
}

fn settings(rng: &mut Rng) -> Value {
    match rng.u8(0..6) {
        0 => json!({"feed_mode": "preview"}),
        1 => json!({"sync_enabled": false}),
        2 => json!({"default_condition": rng.choice(["new", "used", "refurbished"])}),
        3 => json!({"drain_pacing": rng.choice(["budget", "interval"])}),
        _ => json!({"batch_size": rng.i64(1..30)}),
    }
}

fn fault(rng: &mut Rng) -> Fault {
    let on = rng.choice(["items_batch", "items_batch", "items_batch", "check_batch_request_status", "products"]);
    let after_accept = rng.bool();
    let error = |code| Kind::GraphError {
        code,
        subcode: None,
        message: None,
        is_transient: None,
        error_data: None,
        status: None,
        after_accept: false,
    };
    let kind = match rng.u8(0..24) {
        0 => Kind::DropBefore {},
        1 | 2 => Kind::DropAfterAccept {},
        3 => Kind::Truncated {},
        4 => Kind::Status5xx { status: 503, after_accept },
        5 => Kind::Html502 { after_accept },
        6 => Kind::TextServiceUnavailable { after_accept },
        7..10 => Kind::SlowMs { ms: rng.u64(100..2_600) },
        10 => error(2),
        11 => error(1),
        12 => error(100),
        13 => error(rng.choice([190, 200, 368]).unwrap_or(190)),
        14 => Kind::Throttle { regain_minutes: 0 },
        15 => Kind::HandlesEmpty {},
        16 => Kind::ValidationErrors { ids: vec![variant_id(rng.usize(0..PRODUCTS * VARIANTS))], message: "No".into() },
        17 => Kind::HandleNeverEnds {},
        18 => Kind::HandleError {},
        19 => Kind::HandleCanceled {},
        20 => Kind::HandleSlow { ms: rng.i64(100..1_500) },
        21 => Kind::StatusUppercase {},
        22 => Kind::StatusUnknown { word: "in_progress".into() },
        _ => Kind::IncompleteErrors { keep: 0 },
    };
    Fault { on: on.unwrap_or("items_batch").into(), skip: rng.u32(0..2), times: 1, kind }
}

fn failpoint(rng: &mut Rng) -> String {
    let points: Vec<&str> = Point::ALL
        .iter()
        .map(|point| point.name())
        .filter(|name| !name.starts_with("import.") && !name.starts_with("selection."))
        .collect();
    let point = points[rng.usize(0..points.len())];
    let action = rng.choice(["kill", "kill", "panic"]).unwrap_or("kill");
    format!("{point}={action}@{}", rng.u32(1..4))
}

/// Returns the id of a variant by its number.
pub(crate) fn variant_id(variant: usize) -> String {
    format!("v{variant:02}")
}
