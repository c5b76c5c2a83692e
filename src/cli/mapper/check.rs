//! `meta-catalog mapper check`: a module's answers to every sample, compared with those of the built-in mapper.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use mapper_core::Warning;
use serde::Serialize;
use serde_json::Value;

use super::ModuleArg;
use super::map::line_of;
use crate::cli::{Done, Failed};
use catalog_sync::clock::Millis;
use catalog_sync::mapping::changes::{Change, changes};
use catalog_sync::mapping::corpus::{self, Sample};
use catalog_sync::mapping::preview::Compared;
use catalog_sync::mapping::{LoadedMapper, Refused};
use catalog_sync::report::{clip, for_a_terminal};
use mapper_core::word::Word;

/// Longest value that is shown, in characters.
const LONGEST: usize = 200;

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    #[command(flatten)]
    module: ModuleArg,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Write the module's answers to this folder, one JSON file per sample
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How much later, in milliseconds, every sample is asked for a second time.
const LATER: Millis = 60 * 60 * 1_000;

/// The result of the check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    module: Compared,
    can_be_activated: bool,
    /// Why the module is refused even if it answers every sample: it takes too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    samples: usize,
    differing: usize,
    failing: usize,
    differences: Vec<Difference<'a>>,
    /// Samples whose answer is different one hour later, which the module did not announce (`reevaluate-at`).
    unannounced: Vec<&'a str>,
    /// Samples that are rejected now and get a payload one hour later.
    accepted_later: Vec<&'a str>,
}

/// A sample for which the two mappers give different answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference<'a> {
    sample: &'a str,
    purpose: &'a str,
    /// The module's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Why each mapper rejects the sample; `None` for a mapper that makes a payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejected>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    /// Warnings that the built-in mapper does not give.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Rejected {
    builtin: Option<String>,
    module: Option<String>,
}

#[derive(Debug, Serialize)]
struct Field {
    field: String,
    builtin: Option<String>,
    module: Option<String>,
}

pub(super) fn run(args: &CheckArgs) -> Done {
    let module = super::load(&args.module.file)?;
    let builtin = LoadedMapper::builtin();
    let samples = corpus::samples();
    let (mut differences, mut unannounced, mut accepted_later) = (Vec::new(), Vec::new(), Vec::new());
    // The time for the samples is measured in the same way as during an activation.
    let (mut spent, mut slow) = (Duration::ZERO, None);
    for (answered, sample) in samples.iter().enumerate() {
        slow = slow.or_else(|| Refused::if_slow(spent, answered, samples.len()));
        let begun = Instant::now();
        let answer = sample.ask(&module).map_err(|fault| fault.message);
        spent += begun.elapsed();
        if let Some(folder) = &args.out {
            write(folder, sample, &answer)?;
        }
        if let (Ok(now), Ok(later)) = (&answer, sample.ask_later(&module, LATER)) {
            match change(now, &later, sample.at().saturating_add(LATER)) {
                TimeChange::Unannounced => unannounced.push(sample.name.as_str()),
                TimeChange::Accepted => accepted_later.push(sample.name.as_str()),
                TimeChange::None => {}
            }
        }
        differences.extend(compare(sample, &sample.ask(&builtin).map_err(|fault| fault.message), &answer));
    }
    let failing = differences.iter().filter(|difference| difference.error.is_some()).count();
    let checked = Checked {
        module: Compared::of(&module),
        can_be_activated: failing == 0 && slow.is_none(),
        refused: slow.map(|slow| slow.to_string()),
        samples: samples.len(),
        differing: differences.len() - failing,
        failing,
        differences,
        unannounced,
        accepted_later,
    };
    if args.json {
        println!("{}", serde_json::to_string(&checked)?);
    } else {
        print!("{}", for_a_terminal(&describe(&checked, &args.module.file)));
    }
    Ok(ExitCode::from(u8::from(!checked.can_be_activated)))
}

/// How an answer changes by time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeChange {
    /// No change, an announced change, or another reason of a rejection, for which nothing is sent.
    None,
    /// Another answer, which the module could have announced.
    Unannounced,
    /// A payload instead of a rejection. A rejection cannot announce anything.
    Accepted,
}

/// Returns how an answer changes until a later instant.
fn change(now: &Word, later: &Word, until: Millis) -> TimeChange {
    let is_unannounced = match (now, later) {
        (Word::Mapped(now), _) if now.reevaluate_at.is_some_and(|at| at <= until) => false,
        (Word::Mapped(now), Word::Mapped(later)) => now.data != later.data,
        (Word::Mapped(_), Word::Rejected(_)) => true,
        (Word::Rejected(_), Word::Mapped(_)) => return TimeChange::Accepted,
        (Word::Rejected(_), Word::Rejected(_)) => false,
    };
    if is_unannounced { TimeChange::Unannounced } else { TimeChange::None }
}

/// Returns the differences between the module's answer and the built-in mapper's; `None` when they are equal.
fn compare<'a>(
    sample: &'a Sample,
    builtin: &Result<Word, String>,
    module: &Result<Word, String>,
) -> Option<Difference<'a>> {
    let mut difference = Difference {
        sample: &sample.name,
        purpose: &sample.purpose,
        error: None,
        rejected: None,
        fields: Vec::new(),
        warnings: Vec::new(),
    };
    let reason = |word: &Result<Word, String>| match word {
        Ok(Word::Rejected(why)) => Some(why.text()),
        Ok(Word::Mapped(_)) => None,
        Err(fault) => Some(fault.clone()),
    };
    match (builtin, module) {
        (_, Err(fault)) => difference.error = Some(fault.clone()),
        (Ok(Word::Mapped(before)), Ok(Word::Mapped(after))) => {
            let owned = |Change { field, before, after }: Change<'_>| Field {
                field,
                builtin: before.map(Into::into),
                module: after.map(Into::into),
            };
            difference.fields = changes(&before.data, &after.data).into_iter().map(owned).collect();
            let new = after.warnings.iter().filter(|warning| !before.warnings.contains(warning));
            difference.warnings = new.cloned().collect();
        }
        (before, after) => {
            let (before, after) = (reason(before), reason(after));
            if before != after {
                difference.rejected = Some(Rejected { builtin: before, module: after });
            }
        }
    }
    let Difference { error, rejected, fields, warnings, .. } = &difference;
    let equal = error.is_none() && rejected.is_none() && fields.is_empty() && warnings.is_empty();
    (!equal).then_some(difference)
}

/// Writes a sample's answer to its own file.
fn write(folder: &Path, sample: &Sample, answer: &Result<Word, String>) -> Result<(), Failed> {
    let line = match answer {
        Ok(word) => line_of(word),
        Err(fault) => serde_json::json!({ "error": fault }).to_string(),
    };
    let mut value: Value = serde_json::from_str(&line)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("purpose".into(), Value::from(sample.purpose.as_str()));
    }
    let file = folder.join(&sample.name).with_extension("json");
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, format!("{value:#}\n")));
    written.map_err(|error| Failed { message: format!("cannot write {}: {error}", file.display()), code: 1 })
}

fn describe(checked: &Checked<'_>, file: &Path) -> String {
    let Checked {
        module,
        can_be_activated,
        refused,
        samples,
        differing,
        failing,
        differences,
        unannounced,
        accepted_later,
    } = checked;
    let digest = module.digest.get(..12).unwrap_or(&module.digest);
    let mut text = format!("{} {} ({digest})\n", module.name, module.version);
    for difference in differences {
        let Difference { sample, purpose, error, rejected, fields, warnings } = difference;
        text.push_str(&format!("\n{sample}: {purpose}\n"));
        if let Some(fault) = error {
            text.push_str(&format!("  ! fails: {fault}\n"));
        }
        if let Some(Rejected { builtin, module }) = rejected {
            let word = |reason: &Option<String>| {
                reason.clone().map_or_else(|| "gives a payload".into(), |r| format!("rejects ({r})"))
            };
            text.push_str(&format!("  ! {}; the built-in mapper {}\n", word(module), word(builtin)));
        }
        for Field { field, builtin, module } in fields {
            let line = match (builtin, module) {
                (None, Some(now)) => format!("  + {field}: {}\n", clip(now, LONGEST)),
                (Some(was), None) => format!("  - {field}: {}\n", clip(was, LONGEST)),
                (was, now) => {
                    let [was, now] = [was, now].map(|value| clip(value.as_deref().unwrap_or_default(), LONGEST));
                    format!("  ~ {field}: {was} → {now}\n")
                }
            };
            text.push_str(&line);
        }
        for Warning { code, field, message } in warnings {
            let field = field.as_deref().map_or_else(String::new, |field| format!(" ({field})"));
            text.push_str(&format!("  warning {code}{field}: {message}\n"));
        }
    }
    text.push_str(&format!("\n{samples} samples: {differing} differ from the built-in mapper, {failing} failed\n"));
    if !unannounced.is_empty() {
        text.push_str(&format!(
            "Warning: one hour later the module gives another answer that it did not announce: {}. A variant is mapped again when \
             it changes in the shop and at the `reevaluate-at` of its last answer; set `reevaluate-at` to the instant of the \
             next change, or the change is not sent.\n",
            unannounced.join(", ")
        ));
    }
    if !accepted_later.is_empty() {
        text.push_str(&format!(
            "Warning: the module rejects these samples and accepts them one hour later: {}. A rejection cannot announce its end, so \
             such a variant is mapped again only when it changes in the shop, or by a re-map. If it has to come back without \
             that, return a payload that is out of stock, with a `reevaluate-at`, instead of a rejection.\n",
            accepted_later.join(", ")
        ));
    }
    let shown = file.display();
    text.push_str(&if *can_be_activated {
        format!(
            "The module can be activated. `meta-catalog mapper diff {shown}` shows what it would change on your catalog.\n"
        )
    } else if *failing > 0 {
        "The module cannot be activated: fix the failures above, and check it again.\n".to_owned()
    } else {
        format!("The module cannot be activated: {}.\n", refused.as_deref().unwrap_or("it was refused"))
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapper_core::word::{Payload, Rejection};

    fn mapped(data: &str, reevaluate_at: Option<Millis>) -> Word {
        Word::Mapped(Payload { data: data.into(), fields: Vec::new(), warnings: Vec::new(), reevaluate_at })
    }

    fn rejected(code: &'static str) -> Word {
        Word::Rejected(Rejection { code: code.into(), field: None, message: String::new() })
    }

    #[test]
    fn a_change_by_time_alone_has_to_be_announced() {
        use TimeChange::{Accepted, None as Nothing, Unannounced};

        let cases = [
            (mapped("{}", None), mapped("{}", None), Nothing),
            (mapped("{}", None), mapped("{1}", None), Unannounced),
            (mapped("{}", Some(100)), mapped("{1}", None), Nothing),
            (mapped("{}", Some(101)), mapped("{1}", None), Unannounced),
            (mapped("{}", None), rejected("price_missing"), Unannounced),
            (rejected("price_missing"), mapped("{}", None), Accepted),
            (rejected("price_missing"), rejected("price_missing"), Nothing),
            (rejected("price_missing"), rejected("too_cheap"), Nothing),
        ];
        for (now, later, expected) in cases {
            assert_eq!(change(&now, &later, 100), expected, "{now:?} {later:?}");
        }
    }

    #[test]
    fn the_builtin_mapper_announces_every_change() {
        let builtin = LoadedMapper::builtin();
        for sample in corpus::samples() {
            let (now, later) = (sample.ask(&builtin), sample.ask_later(&builtin, LATER));
            let (now, later) = (now.expect("a word"), later.expect("a word"));
            let until = sample.at().saturating_add(LATER);
            assert_eq!(change(&now, &later, until), TimeChange::None, "{}", sample.name);
        }
    }

    #[test]
    fn what_cannot_be_done_is_not_advised() {
        let checked = Checked {
            module: Compared::default(),
            can_be_activated: true,
            refused: None,
            samples: 3,
            differing: 0,
            failing: 0,
            differences: Vec::new(),
            unannounced: Vec::new(),
            accepted_later: vec!["early"],
        };
        let text = describe(&checked, Path::new("m.wasm"));
        assert!(text.contains("A rejection cannot announce its end") && text.contains(": early."), "{text}");
        assert!(!text.contains("another answer that it did not announce"), "{text}");
    }

    /// The same limit applies to the activation.
    #[test]
    fn a_module_that_is_too_slow_cannot_be_activated() {
        let slow = Refused::if_slow(Duration::from_secs(12), 1, 3).expect("refused");
        assert_eq!(Refused::if_slow(Duration::from_millis(11_999), 1, 3), None);
        let checked = Checked {
            module: Compared::default(),
            can_be_activated: false,
            refused: Some(slow.to_string()),
            samples: 3,
            differing: 0,
            failing: 0,
            differences: Vec::new(),
            unannounced: Vec::new(),
            accepted_later: Vec::new(),
        };
        let text = describe(&checked, Path::new("m.wasm"));
        assert!(text.contains("cannot be activated: the module took more than 12 s for 1 of 3 samples"), "{text}");
        assert!(slow.to_string().contains("mapper check"), "the activation error names the command: {slow}");
    }
}
