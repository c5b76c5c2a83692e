//! Drift, as an operator reads it and decides on it: the sweeps, what they found, and what is repaired.
//!
//! Promises: a repair that an operator asks for is a mark on confirmed findings; the DriftActor carries it out under the
//! lease, within the budget of the hour. Nothing here calls Meta.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminError;
use super::audit::{Act, Action, recorded};
use super::time::iso;
use crate::app::App;
use crate::domain::drift::repair::{HOUR_MS, allowance, covered, is_too_many, most_by_itself};
use crate::domain::drift::{Class, Difference};
use crate::domain::settings::Settings;
use crate::store::drift::findings::{self, Chosen, Finding};
use crate::store::drift::repairs::{self, ByItself};
use crate::store::drift::{self, Sweep};

/// Most findings of one response.
pub const MOST: i64 = 200;
/// Most variants of one request.
pub const MOST_VARIANTS: usize = 1_000;
/// Most ids of several variants in the audit trail.
const SHOWN: usize = 20;

/// What Meta shows differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftView {
    /// The sweep under way, or the last one; null before the first.
    pub sweep: Option<SweepView>,
    /// The sweep before it.
    pub previous: Option<SweepView>,
    /// When the next sweep begins by itself, ISO 8601; null when none does, or one is under way.
    pub next_sweep_at: Option<String>,
    /// Every class, with the number of its findings.
    pub classes: Vec<ClassView>,
    /// What was repaired, and what may be.
    pub repairs: RepairsView,
    /// The findings of the class that was asked for, in the order of their variants; empty when no class was asked for.
    pub findings: Vec<FindingView>,
    /// What to send as `after` for the next findings; null when there are none.
    pub next: Option<String>,
}

/// A walk over the items that we claim to be at Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepView {
    /// Its number.
    pub number: i64,
    /// When it began, ISO 8601.
    pub started_at: Option<String>,
    /// When it ended, ISO 8601; null while it is under way.
    pub finished_at: Option<String>,
    /// Items that were compared with what Meta shows.
    pub looked: i64,
    /// Items that were in motion: queued, with Meta, or confirmed a moment ago.
    pub passed: i64,
    /// Items of which Meta gave no certain answer.
    pub unknown: i64,
    /// The share of the items that was compared, in percent; null before the first item.
    pub coverage_percent: Option<i64>,
    /// Calls to Meta that it spent, second looks included.
    pub calls: i64,
}

impl From<&Sweep> for SweepView {
    fn from(sweep: &Sweep) -> Self {
        let all = sweep.looked + sweep.passed + sweep.unknown;
        Self {
            number: sweep.number,
            started_at: iso(sweep.started_at),
            finished_at: sweep.finished_at.and_then(iso),
            looked: sweep.looked,
            passed: sweep.passed,
            unknown: sweep.unknown,
            coverage_percent: (all > 0).then(|| sweep.looked * 100 / all),
            calls: sweep.calls,
        }
    }
}

/// A class of findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClassView {
    /// Its word.
    #[schema(schema_with = super::schema::drift_class)]
    pub class: &'static str,
    /// Whether sending the item again can repair it.
    pub repairable: bool,
    /// Whether the settings have it repaired without an operator.
    pub automatic: bool,
    /// Findings that were seen once. A second look confirms them or lets them go.
    pub suspected: i64,
    /// Confirmed findings that are neither ignored nor repaired.
    pub confirmed: i64,
    /// Findings that an operator ignores.
    pub ignored: i64,
    /// Findings that were repaired, and are looked at again.
    pub repaired: i64,
    /// Findings that came back after three repairs within a week: something else writes these items.
    pub flapping: i64,
}

impl ClassView {
    /// Returns how many findings a repair would take.
    #[must_use]
    pub fn open(&self) -> i64 {
        self.confirmed + self.flapping
    }
}

/// Returns whether a word is that of a class.
#[must_use]
pub fn is_class(word: &str) -> bool {
    word.parse::<Class>().is_ok()
}

/// What was repaired, and what may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairsView {
    /// Variants repaired within the last hour.
    pub last_hour: i64,
    /// Variants that may still be repaired within this hour: a hundredth of the items, at least a hundred.
    pub left: i64,
    /// Whether repairs wait for the first sweep to end, which only reports.
    pub dry_run: bool,
    /// Whether more than a tenth of the items differs, so that nothing is repaired until an operator asks for it.
    pub held: bool,
}

/// Something that Meta shows differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingView {
    /// The variant.
    pub variant_id: String,
    /// Its class.
    #[schema(schema_with = super::schema::drift_class)]
    pub class: &'static str,
    /// `suspected`, `confirmed`, `ignored`, `asked` (an operator asked for the repair), `repaired` or `flapping`.
    #[schema(schema_with = super::schema::drift_standing)]
    pub standing: &'static str,
    /// What differs.
    pub differences: Vec<DifferenceView>,
    /// When it was seen first, ISO 8601.
    pub first_seen_at: Option<String>,
    /// When it was seen last, ISO 8601.
    pub last_seen_at: Option<String>,
    /// When it was repaired, ISO 8601.
    pub repaired_at: Option<String>,
}

/// A field with both values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DifferenceView {
    /// Its name.
    pub field: String,
    /// What was sent; null when nothing was.
    pub ours: Option<String>,
    /// What Meta shows; null when it shows nothing.
    pub meta: Option<String>,
}

/// The standings of a finding.
pub const STANDINGS: [&str; 6] = ["suspected", "confirmed", "ignored", "asked", "repaired", "flapping"];

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        let standing = match &finding {
            Finding { ignored_at: Some(_), .. } => "ignored",
            Finding { repaired_at: Some(_), .. } => "repaired",
            Finding { confirmed_at: None, .. } => "suspected",
            Finding { stopped_at: Some(_), .. } => "flapping",
            Finding { asked_at: Some(_), .. } => "asked",
            _ => "confirmed",
        };
        let view = |one: Difference| DifferenceView { field: one.field, ours: one.ours, meta: one.meta };
        Self {
            variant_id: finding.variant_id,
            class: finding.class.as_str(),
            standing,
            differences: finding.details.into_iter().map(view).collect(),
            first_seen_at: iso(finding.first_seen_at),
            last_seen_at: iso(finding.last_seen_at),
            repaired_at: finding.repaired_at.and_then(iso),
        }
    }
}

/// The query as it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriftAsked<'q> {
    /// The word of a class.
    pub class: Option<&'q str>,
    /// Only findings of later variants.
    pub after: Option<&'q str>,
    /// Most findings.
    pub limit: Option<&'q str>,
}

/// Returns what the sweeps found in the selected catalog.
///
/// # Errors
/// [`AdminError::Invalid`] names each parameter that is not valid.
pub async fn drift(app: &App, asked: DriftAsked<'_>) -> Result<DriftView, AdminError> {
    let (class, after, limit) = read(asked)?;
    let settings = app.load_settings().await?;
    let at_meta = app.items_at_meta().await?;
    let (catalog, now) = (settings.catalog_id.as_str(), app.now());
    let mut tx = app.db.read().await?;
    let sweeps = drift::latest(&mut tx, catalog, 2).await?;
    let dry_run = drift::dry_run(&mut tx, catalog, covered(at_meta)).await?;
    let counts = findings::counts(&mut tx, catalog).await?;
    let done = repairs::count_since(&mut tx, now - HOUR_MS).await?;
    let by_itself = ByItself { classes: &settings.drift_repair, since: 0 };
    let waiting = repairs::count_by_itself(&mut tx, catalog, by_itself, most_by_itself(at_meta) + 1).await?;
    let mut found = match class {
        Some(class) => findings::of_class(&mut tx, catalog, class, after, limit + 1).await?,
        None => Vec::new(),
    };
    drop(tx);
    let whole = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > whole;
    found.truncate(whole);
    let next = found.last().map(|last| last.variant_id.clone()).filter(|_| has_more);
    let classes = Class::ALL.map(|class| {
        let count = counts.iter().find(|count| count.class == class.as_str()).cloned().unwrap_or_default();
        ClassView {
            class: class.as_str(),
            repairable: class.is_repairable(),
            automatic: settings.drift_repair.iter().any(|word| word == class.as_str()),
            suspected: count.suspected,
            confirmed: count.confirmed,
            ignored: count.ignored,
            repaired: count.repaired,
            flapping: count.flapping,
        }
    });
    Ok(DriftView {
        next_sweep_at: next_sweep(&settings, sweeps.first()).and_then(iso),
        sweep: sweeps.first().map(Into::into),
        previous: sweeps.get(1).map(Into::into),
        classes: classes.into(),
        repairs: RepairsView {
            last_hour: done,
            left: allowance(at_meta, done),
            dry_run: dry_run.is_none(),
            held: is_too_many(waiting, at_meta),
        },
        findings: found.into_iter().map(Into::into).collect(),
        next,
    })
}

fn next_sweep(settings: &Settings, latest: Option<&Sweep>) -> Option<i64> {
    let latest = latest.filter(|sweep| sweep.finished_at.is_some() && settings.drift_sweep_hours > 0)?;
    Some(latest.started_at + settings.drift_sweep_hours * HOUR_MS)
}

fn read(asked: DriftAsked<'_>) -> Result<(Option<Class>, &str, i64), AdminError> {
    let mut wrong = BTreeMap::new();
    let given = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let class = given(asked.class).and_then(|word| {
        word.parse().ok().or_else(|| {
            wrong.insert("class".to_owned(), format!("takes one of {}", Class::ALL.map(Class::as_str).join(", ")));
            None
        })
    });
    let limit =
        given(asked.limit).map_or(Some(50), |text| text.parse().ok().filter(|limit| (1..=MOST).contains(limit)));
    if limit.is_none() {
        wrong.insert("limit".to_owned(), format!("takes a whole number from 1 to {MOST}"));
    }
    let after = asked.after.unwrap_or_default();
    if after.contains('\0') || after.len() > 1_000 {
        wrong.insert("after".to_owned(), "takes the id of a variant".to_owned());
    }
    if wrong.is_empty() {
        Ok((class, after, limit.unwrap_or(MOST)))
    } else {
        Err(AdminError::invalid_parts("some query parameters are not valid", wrong))
    }
}

/// Begins a sweep of the selected catalog. Returns false when one is under way.
///
/// # Errors
/// [`AdminError::Misconfigured`] when no catalog is selected; when the database query fails.
pub async fn sweep(app: &App) -> Result<bool, AdminError> {
    let begin = async {
        let catalog = selected(app).await?;
        let mut tx = app.db.write().await?;
        let begun = drift::begin(&mut tx, &catalog, app.now()).await?;
        tx.commit().await?;
        app.wake.drift.nudge();
        Ok(begun)
    };
    recorded(app, Act::new(Action::DriftSweep), begin, |begun, details| details.add("begun", *begun)).await
}

async fn selected(app: &App) -> Result<String, AdminError> {
    let catalog = app.load_settings().await?.catalog_id.clone();
    if catalog.is_empty() {
        return Err(AdminError::Misconfigured("no catalog is selected; select one first".into()));
    }
    Ok(catalog)
}

/// Which findings an operator means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Words of classes. `None` means every one.
    pub classes: Option<Vec<String>>,
    /// Variants. `None` means all.
    pub variant_ids: Option<Vec<String>>,
}

impl Choice {
    /// # Errors
    /// [`AdminError::Invalid`] names each part that is not valid.
    fn read(&self, is_allowed: impl Fn(Class) -> bool) -> Result<Vec<Class>, AdminError> {
        let allowed: Vec<Class> = Class::ALL.into_iter().filter(|class| is_allowed(*class)).collect();
        let mut wrong = BTreeMap::new();
        let known = |word: &String| word.parse().ok().filter(|class| allowed.contains(class));
        let classes = match &self.classes {
            Some(words) => words.iter().map(known).collect::<Option<Vec<Class>>>().filter(|all| !all.is_empty()),
            None => Some(allowed.clone()),
        };
        if classes.is_none() {
            let words: Vec<&str> = allowed.iter().map(|class| class.as_str()).collect();
            wrong.insert("classes".to_owned(), format!("takes one or more of {}", words.join(", ")));
        }
        let is_wrong =
            |ids: &Vec<String>| ids.is_empty() || ids.len() > MOST_VARIANTS || ids.iter().any(|id| id.contains('\0'));
        if self.variant_ids.as_ref().is_some_and(is_wrong) {
            wrong.insert("variantIds".to_owned(), format!("takes 1 to {MOST_VARIANTS} ids"));
        }
        if self.classes.is_none() && self.variant_ids.is_none() {
            wrong.insert("classes".to_owned(), "give classes, variantIds or both".to_owned());
        }
        match classes {
            Some(classes) if wrong.is_empty() => Ok(classes),
            _ => Err(AdminError::invalid_parts("the request is not valid", wrong)),
        }
    }

    fn told(&self, act: Act) -> Act {
        let act = match &self.classes {
            Some(classes) => act.with("classes", classes.iter().take(Class::ALL.len()).cloned().collect::<Vec<_>>()),
            None => act,
        };
        match self.variant_ids.as_deref() {
            Some([one]) => act.on(one),
            Some(several) => act.with("variantIds", several.iter().take(SHOWN).cloned().collect::<Vec<_>>()),
            None => act,
        }
    }
}

/// Asks for the repair of confirmed findings. Returns their number.
///
/// # Errors
/// [`AdminError::Invalid`] when the choice is not valid, or names a class that sending again cannot repair;
/// [`AdminError::Misconfigured`] when no catalog is selected.
pub async fn repair(app: &App, choice: &Choice) -> Result<u64, AdminError> {
    let ask = async {
        let classes = choice.read(Class::is_repairable)?;
        let catalog = selected(app).await?;
        let chosen = Chosen { catalog: &catalog, classes: &classes, variants: choice.variant_ids.as_deref() };
        let mut tx = app.db.write().await?;
        let asked = repairs::ask(&mut tx, chosen, app.now()).await?;
        tx.commit().await?;
        app.wake.drift.nudge();
        Ok(asked)
    };
    let act = choice.told(Act::new(Action::DriftRepair));
    recorded(app, act, ask, |asked, details| details.add("findings", *asked)).await
}

/// Ignores findings, or no longer ignores them. An ignored finding is neither counted as open nor repaired; it goes when
/// Meta shows what was sent. Returns the number of findings.
///
/// # Errors
/// [`AdminError::Invalid`] when the choice is not valid; [`AdminError::Misconfigured`] when no catalog is selected.
pub async fn ignore(app: &App, choice: &Choice, is_ignored: bool) -> Result<u64, AdminError> {
    let mark = async {
        let classes = choice.read(|_| true)?;
        let catalog = selected(app).await?;
        let chosen = Chosen { catalog: &catalog, classes: &classes, variants: choice.variant_ids.as_deref() };
        let mut tx = app.db.write().await?;
        let marked = findings::ignore(&mut tx, chosen, is_ignored, app.now()).await?;
        tx.commit().await?;
        Ok(marked)
    };
    let act = choice.told(Act::new(Action::DriftIgnore)).with("ignored", is_ignored);
    recorded(app, act, mark, |marked, details| details.add("findings", *marked)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_or_refused_part_by_part() {
        let words = |list: &[&str]| Some(list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let read = |classes, variant_ids| Choice { classes, variant_ids }.read(Class::is_repairable);
        assert_eq!(read(words(&["price"]), None).expect("taken"), [Class::Price]);
        assert_eq!(read(None, words(&["a"])).expect("taken").len(), Class::REPAIRABLE.len());
        for (classes, ids, parts) in [
            (None, None, vec!["classes"]),
            (words(&["hidden"]), None, vec!["classes"]),
            (words(&[]), words(&[]), vec!["classes", "variantIds"]),
            (words(&["price"]), words(&["\0"]), vec!["variantIds"]),
        ] {
            let Err(AdminError::Invalid { details, .. }) = read(classes, ids) else { panic!("refused") };
            assert_eq!(details.keys().collect::<Vec<_>>(), parts);
        }
    }

    #[test]
    fn a_query_is_read_or_refused_part_by_part() {
        let asked = DriftAsked { class: Some("price"), after: Some("v"), limit: Some("7") };
        assert_eq!(read(asked).expect("taken"), (Some(Class::Price), "v", 7));
        let asked = DriftAsked { class: Some(""), after: None, limit: Some("") };
        assert_eq!(read(asked).expect("taken"), (None, "", 50));
        let asked = DriftAsked { class: Some("x"), after: Some("\0"), limit: Some("201") };
        let Err(AdminError::Invalid { details, .. }) = read(asked) else { panic!("refused") };
        assert_eq!(details.keys().collect::<Vec<_>>(), ["after", "class", "limit"]);
    }
}
