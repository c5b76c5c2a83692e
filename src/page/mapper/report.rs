//! The report of a preview, made ready to be shown: pure.

use catalog_sync::admin::preview::{
    Compared, FieldDifference, FieldSample, Group, GroupSample, PreviewReport, WarningDifference,
};

/// Most fields whose samples are shown; the histogram shows all.
const SAMPLED: usize = 20;
/// Most samples of a field.
const SAMPLES: usize = 3;

/// A number of variants, with what it means.
pub(super) struct Stat {
    pub(super) name: &'static str,
    pub(super) count: u64,
    /// `good`, `warn`, `bad` or `plain`; what is zero is plain.
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) means: &'static str,
}

/// A field with how often it differs.
pub(super) struct Bar {
    pub(super) field: String,
    pub(super) all: u64,
    pub(super) changed: u64,
    pub(super) added: u64,
    pub(super) removed: u64,
}

/// A value before and after, split where they differ.
pub(super) struct Sample {
    pub(super) field: String,
    pub(super) variant_id: String,
    /// `None`: there is no value.
    pub(super) before: Option<Parts>,
    pub(super) after: Option<Parts>,
}

/// What two texts share at their ends, and what lies between.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) head: String,
    pub(super) middle: String,
    pub(super) tail: String,
}

/// Variants of one kind, with samples.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) count: u64,
    pub(super) samples: Vec<GroupSample>,
}

/// The report.
pub(super) struct Report {
    /// The mapper that the module is compared with.
    pub(super) active: Compared,
    pub(super) variants: u64,
    pub(super) stats: Vec<Stat>,
    /// What mapping everything again would do, by words.
    pub(super) effects: Vec<(&'static str, u64)>,
    /// Most changed first.
    pub(super) bars: Vec<Bar>,
    pub(super) fields_left_out: u64,
    pub(super) samples: Vec<Sample>,
    /// Without those of no variant.
    pub(super) kinds: Vec<Kind>,
    pub(super) warnings: Vec<WarningDifference>,
    pub(super) not_tried: u64,
}

/// Makes a report ready.
pub(super) fn in_report(report: PreviewReport) -> Report {
    let PreviewReport { active, variants, unchanged, changed, fields, fields_left_out, .. } = report;
    let stat = |name, count, tone, icon, means| Stat {
        name,
        count,
        tone: if count == 0 { "plain" } else { tone },
        icon,
        means,
    };
    let stats = vec![
        stat("Changed", changed, "busy", "refresh", "Both mappers return a payload, and the two differ."),
        stat("Newly refused", report.newly_rejected.count, "warn", "dashed", "Has a payload now and would have none."),
        stat("Newly eligible", report.newly_eligible.count, "good", "ok", "Has no payload now and would have one."),
        stat(
            "Newly failing",
            report.newly_failing.count,
            "bad",
            "fail",
            "The module fails where the active mapper does not.",
        ),
        stat(
            "No longer failing",
            report.no_longer_failing.count,
            "good",
            "ok",
            "The active mapper fails where the module does not.",
        ),
        stat("Unchanged", unchanged, "plain", "check", "Both mappers return the same."),
    ];
    let effect = report.effect;
    let effects = vec![
        ("Sent because of the module", effect.pushes),
        ("Removed from Meta because of the module", effect.deletes),
        ("Kept out because of the module", effect.skips),
        ("Sent anyway", effect.pushes_anyway),
        ("Removed anyway", effect.deletes_anyway),
        ("At Meta already as the module has them", effect.in_place),
        ("Decided after Meta's verdict", effect.waiting),
        ("Undecided, because no mapper answered", effect.undecided),
    ];
    let samples = fields.iter().take(SAMPLED).flat_map(samples_of).collect();
    let kind = |name, group: Group| Kind { name, count: group.count, samples: group.samples };
    let kinds = vec![
        kind("Newly failing", report.newly_failing),
        kind("Newly refused", report.newly_rejected),
        kind("Newly eligible", report.newly_eligible),
        kind("Refused for another reason", report.rejected_otherwise),
        kind("No longer failing", report.no_longer_failing),
        kind("Failing anyway", report.failing_anyway),
    ];
    Report {
        active,
        variants,
        stats,
        effects,
        bars: fields.into_iter().map(bar).collect(),
        fields_left_out,
        samples,
        kinds: kinds.into_iter().filter(|kind| kind.count > 0).collect(),
        warnings: report.warnings,
        not_tried: report.not_tried,
    }
}

fn bar(FieldDifference { field, changed, added, removed, .. }: FieldDifference) -> Bar {
    Bar { field, all: changed + added + removed, changed, added, removed }
}

fn samples_of(field: &FieldDifference) -> impl Iterator<Item = Sample> {
    field.samples.iter().take(SAMPLES).map(|FieldSample { variant_id, before, after }| {
        let (before, after) = match (before, after) {
            (Some(before), Some(after)) => {
                let (before, after) = apart(before, after);
                (Some(before), Some(after))
            }
            (before, after) => {
                let whole = |text: &String| Parts { head: String::new(), middle: text.clone(), tail: String::new() };
                (before.as_ref().map(whole), after.as_ref().map(whole))
            }
        };
        Sample { field: field.field.clone(), variant_id: variant_id.clone(), before, after }
    })
}

/// Splits two texts where they differ.
fn apart(before: &str, after: &str) -> (Parts, Parts) {
    let same = |a: char, b: char| a == b;
    let head: usize =
        before.chars().zip(after.chars()).take_while(|(a, b)| same(*a, *b)).map(|(a, _)| a.len_utf8()).sum();
    let (rest_before, rest_after) = (&before[head..], &after[head..]);
    let tail: usize = rest_before
        .chars()
        .rev()
        .zip(rest_after.chars().rev())
        .take_while(|(a, b)| same(*a, *b))
        .map(|(a, _)| a.len_utf8())
        .sum();
    let parts = |text: &str, rest: &str| Parts {
        head: text[..head].to_owned(),
        middle: rest[..rest.len() - tail].to_owned(),
        tail: rest[rest.len() - tail..].to_owned(),
    };
    (parts(before, rest_before), parts(after, rest_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_where_they_differ() {
        let parts = |head: &str, middle: &str, tail: &str| Parts {
            head: head.into(),
            middle: middle.into(),
            tail: tail.into(),
        };
        let cases = [
            (("\"low\"", "\"high\""), (parts("\"", "low", "\""), parts("\"", "high", "\""))),
            (("100.00 INR", "100.50 INR"), (parts("100.", "0", "0 INR"), parts("100.", "5", "0 INR"))),
            (("aa", "a"), (parts("a", "a", ""), parts("a", "", ""))),
            (("same", "same"), (parts("same", "", ""), parts("same", "", ""))),
            (("größe", "grüße"), (parts("gr", "ö", "ße"), parts("gr", "ü", "ße"))),
            (("", "x"), (parts("", "", ""), parts("", "x", ""))),
        ];
        for ((before, after), expected) in cases {
            assert_eq!(apart(before, after), expected, "{before} {after}");
        }
    }

    #[test]
    fn the_most_changed_fields_are_sampled_and_all_are_counted() {
        let sample = FieldSample { variant_id: "v".into(), before: None, after: Some("1".into()) };
        let field = |n: usize| FieldDifference {
            field: format!("f{n}"),
            added: 1,
            samples: vec![sample.clone(); 5],
            ..FieldDifference::default()
        };
        let report = in_report(PreviewReport { fields: (0..30).map(field).collect(), ..PreviewReport::default() });
        assert_eq!((report.bars.len(), report.samples.len()), (30, SAMPLED * SAMPLES));
        assert!(report.kinds.is_empty() && report.stats.iter().all(|stat| stat.tone == "plain"));
    }
}
