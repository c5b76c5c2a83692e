//! The tab of what operators did: the audit trail in words.

use askama::Template;
use axum::response::Response;
use serde_json::{Map, Value};

use super::{Asked, encoded, item};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::page::frame::Frame;
use crate::page::shell::page;
use crate::page::words::{self, Look};
use catalog_sync::admin::audit::{self, Action, AuditAsked, AuditEntry};
use catalog_sync::clock::Millis;
use catalog_sync::report::clip;

/// An action that began this long ago is not under way any more: no request takes as long.
const LONGEST_MS: Millis = 15 * 60 * 1_000;
/// More details are folded.
const OPEN_FACTS: usize = 4;

/// An action of the list.
struct Deed {
    entry: AuditEntry,
    what: &'static str,
    /// What it was done to, with the page of it.
    on: Option<(String, Option<String>)>,
    facts: Vec<String>,
    look: Look,
    who: String,
    /// The list of what the same caller did.
    same: String,
}

impl Deed {
    fn of(entry: AuditEntry, now: Millis) -> Self {
        let action = Action::of(&entry.action);
        let details = entry.details.as_object().cloned().unwrap_or_default();
        let on = match &entry.subject {
            Some(subject) if action == Some(Action::SettingsChanged) => {
                Some((short(subject), Some("/settings".to_owned())))
            }
            Some(subject) => Some((subject.clone(), action.and_then(|action| place(action, subject)))),
            None => details.get("variants").and_then(Value::as_u64).map(|n| (words::counted(n, "item", "items"), None)),
        };
        let began = entry.at.as_deref().and_then(words::millis).unwrap_or_default();
        let principal = &entry.principal;
        let who = match &*principal.kind {
            "command" => "a command on the server".to_owned(),
            _ => clip(principal.name.as_deref().unwrap_or(&principal.id), 30).into_owned(),
        };
        Self {
            what: action.map_or("Something that this version does not know", |action| said(action, &details)),
            on,
            // The switch is told by the action's name.
            facts: if action == Some(Action::SyncSwitched) { Vec::new() } else { facts(&details) },
            look: look(&entry.outcome, now - began),
            who,
            same: format!("/activity?tab=audit&principal={}", encoded(&principal.id)),
            entry,
        }
    }

    fn is_folded(&self) -> bool {
        self.facts.len() > OPEN_FACTS
    }
}

/// What an action was done to; of many settings, their number, as the details name them.
fn short(subject: &str) -> String {
    match subject.split(", ").count() {
        several @ 3.. => words::counted(several, "setting", "settings"),
        _ => subject.to_owned(),
    }
}

/// What was to be done: the outcome says whether it was.
fn said(action: Action, details: &Map<String, Value>) -> &'static str {
    match action {
        Action::SettingsChanged => "Change settings",
        Action::SyncSwitched => match details.get("changes").map(|changes| &changes["sync_enabled"]["new"]) {
            Some(Value::Bool(true)) => "Switch the sync on",
            Some(Value::Bool(false)) => "Pause the sync",
            _ => "Switch the sync, as it was already",
        },
        Action::ConnectStarted => "Begin to connect Facebook",
        Action::Connected => "Connect Facebook",
        Action::Disconnected => "Disconnect Facebook",
        Action::CatalogSelected => "Select the catalog",
        Action::Bootstrap => "Queue everything eligible",
        Action::Resync => "Decide again",
        Action::Push => "Send again",
        Action::Delete => "Remove from Meta",
        Action::Exclude => "Exclude",
        Action::Include => "Include again",
        Action::ResyncFailed => "Try everything refused again",
        Action::ResyncSkipped => "Decide everything not eligible again",
        Action::HeldReleased => "Release held deletes",
        Action::MapperActivated => "Activate a mapper",
        Action::MapperReset => "Go back to the built-in mapper",
        Action::MapperRolledBack => "Roll the mapper back",
        Action::Remap => "Map every variant again",
        Action::PreviewStarted => "Preview a mapper",
        Action::PreviewCancelled => "Cancel a preview",
        Action::VerdictsAsked => "Ask for open verdicts",
        Action::DriftSweep => "Compare with Meta",
        Action::DriftRepair => "Repair drift",
        Action::DriftIgnore => "Ignore drift",
        Action::Imported => "Import products",
    }
}

/// The page of what an action was done to.
fn place(action: Action, subject: &str) -> Option<String> {
    Some(match action {
        Action::Resync | Action::Push | Action::Delete | Action::Exclude | Action::Include => item(subject),
        Action::DriftRepair | Action::DriftIgnore => item(subject),
        Action::SyncSwitched => "/settings".into(),
        Action::CatalogSelected => "/setup".into(),
        Action::PreviewStarted | Action::PreviewCancelled => "/mapper".into(),
        _ => return None,
    })
}

fn look(outcome: &str, since: Millis) -> Look {
    let (name, icon, tone, means) = match outcome {
        "ok" => ("Done", "ok", "good", "It was done."),
        "refused" => ("Refused", "fail", "bad", "It failed or was refused; the code says why."),
        _ if since < LONGEST_MS => ("Under way", "clock", "busy", "It has begun."),
        _ => {
            ("End unknown", "clock", "warn", "The service stopped before the end was recorded: it may have been done.")
        }
    };
    Look { name, icon, tone, means }
}

/// What is known of an action, a line each.
fn facts(details: &Map<String, Value>) -> Vec<String> {
    let mut facts = Vec::new();
    for (name, value) in details {
        match (&**name, value) {
            ("changes", Value::Object(changes)) => {
                facts.extend(
                    changes
                        .iter()
                        .map(|(key, change)| format!("{key}: {} → {}", shown(&change["old"]), shown(&change["new"]))),
                );
            }
            // The number stands beside the action.
            ("variants", _) | (_, Value::Bool(false)) => {}
            (name, Value::Bool(true)) => facts.push(label(name).to_owned()),
            (name, value) => facts.push(format!("{}: {}", label(name), shown(value))),
        }
    }
    facts
}

/// What a detail is called; its own name when it is none of ours.
fn label(name: &str) -> &str {
    match name {
        "force" => "Also what Meta confirmed",
        "variantIds" => "Some of them",
        "filter" => "Those with",
        "classes" => "Classes",
        "findings" => "Findings",
        "ignored" => "Ignored",
        "begun" => "Begun",
        "catalogId" => "Catalog",
        "businessId" => "Business",
        "accountId" => "Account",
        "remap" => "Every variant is mapped again",
        "mapper" => "Mapper",
        "module" => "Module",
        "preview" => "Preview",
        "digest" => "Digest",
        "changed" => "Another mapper than before",
        "requeued" => "Tried again",
        "submissions" => "Calls",
        "products" => "Products",
        "productsChanged" => "Products changed",
        "variantsChanged" => "Variants changed",
        "linesRefused" => "Lines refused",
        "deleted" => "Deleted",
        "strict" => "All or nothing",
        "dryRun" => "Dry run",
        "complete" => "The file is the whole shop",
        "allowMassDelete" => "However many are deleted",
        "leftOut" => "The details were too long to keep",
        other => other,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(is_on) => if *is_on { "on" } else { "off" }.to_owned(),
        Value::Number(number) => number.as_i64().map_or_else(|| number.to_string(), words::number),
        Value::String(text) if text.is_empty() => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            given.map(|(name, value)| format!("{name} {}", shown(value))).collect::<Vec<_>>().join(", ")
        }
    }
}

#[derive(Template)]
#[template(path = "trail.html")]
struct Trail<'a> {
    frame: Frame,
    asked: &'a Asked,
    deeds: Vec<Deed>,
    older: Option<String>,
    latest: Option<String>,
}

impl Trail<'_> {
    /// The choices of the filter: word and name.
    fn actions(&self) -> Vec<(&'static str, &'static str)> {
        let one = |action: &Action| {
            (
                action.as_str(),
                if *action == Action::SyncSwitched { "Switch the sync" } else { said(*action, &Map::new()) },
            )
        };
        Action::ALL.iter().map(one).collect()
    }

    fn is_filtered(&self) -> bool {
        !self.asked.action.is_empty() || !self.asked.principal.is_empty()
    }
}

pub(super) async fn show(api: &Api, frame: Frame, asked: &Asked) -> Result<Response, ApiError> {
    let wanted = AuditAsked {
        before: Some(&asked.after),
        limit: None,
        action: Some(&asked.action),
        principal: Some(&asked.principal),
    };
    let part = audit::list(&api.app, wanted).await?;
    let latest =
        format!("/activity?tab=audit&action={}&principal={}", encoded(&asked.action), encoded(&asked.principal));
    let now = frame.now;
    page(&Trail {
        frame,
        asked,
        deeds: part.entries.into_iter().map(|entry| Deed::of(entry, now)).collect(),
        older: part.next.map(|next| format!("{latest}&after={next}")),
        latest: (!asked.after.is_empty()).then_some(latest),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn details_become_lines() {
        let told = facts(&map(json!({
            "changes": {"batch_size": {"old": 5000, "new": 1000}, "brand": {"old": "", "new": "Acme"}},
            "force": true, "remap": false, "variants": 12_345, "variantIds": ["a", "b"], "later": null,
            "filter": {"status": "failed", "held": null, "excluded": false}
        })));
        let expected = [
            "batch_size: 5,000 → 1,000",
            "brand: nothing → Acme",
            "Also what Meta confirmed",
            "later: nothing",
            "Some of them: a, b",
            "Those with: excluded off, status failed",
        ];
        let (mut told, mut expected) = (told, expected.map(str::to_owned).to_vec());
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
    }

    #[test]
    fn an_open_action_is_under_way_only_for_a_while() {
        for (outcome, since, name) in [
            ("ok", 0, "Done"),
            ("refused", 0, "Refused"),
            ("open", 1_000, "Under way"),
            ("open", LONGEST_MS, "End unknown"),
        ] {
            assert_eq!(look(outcome, since).name, name);
        }
    }

    #[test]
    fn many_settings_are_a_number() {
        assert_eq!([short("a, b"), short("a, b, c")], ["a, b", "3 settings"]);
    }

    #[test]
    fn the_switch_says_which_way() {
        let switched =
            |new: Value| said(Action::SyncSwitched, &map(json!({"changes": {"sync_enabled": {"new": new}}})));
        assert_eq!((switched(json!(true)), switched(json!(false))), ("Switch the sync on", "Pause the sync"));
        assert_eq!(said(Action::SyncSwitched, &map(json!({"changes": {}}))), "Switch the sync, as it was already");
    }
}
