//! What the page of a variant says: its words for codes of the service. Pure.

use catalog_sync::admin::item_detail::Next;
use catalog_sync::admin::timeline::TimelineEvent;
use catalog_sync::domain::advice;
use catalog_sync::domain::plan::EXCLUDED;

/// What happens to a variant next, in one or two sentences.
pub(super) fn next_sentence(next: &Next, is_queued: bool, is_enabled: bool) -> String {
    let reason = &*next.reason;
    let what = match (next.action, reason) {
        ("upsert", "changed") => "the changed fields are sent to Meta".to_owned(),
        ("upsert", "failed_before") => "it is sent again, since the last try failed".to_owned(),
        ("upsert", "deleted_before") => "it is sent again, since it was deleted before".to_owned(),
        ("upsert", _) => "it is sent to Meta, which does not have it".to_owned(),
        ("delete", "delete_asked") => "it is removed from Meta, as an operator asked".to_owned(),
        ("delete", EXCLUDED) => "it is removed from Meta, since an operator excluded it".to_owned(),
        ("delete", "gone") => "it is removed from Meta, since the shop no longer has it".to_owned(),
        ("delete", rule) => format!("it is removed from Meta, since it is no longer eligible ({rule})"),
        ("noop", "being_judged") => "nothing is sent, since Meta is judging exactly this payload".to_owned(),
        ("noop", _) => "nothing is sent, since Meta has exactly this payload".to_owned(),
        ("skip", EXCLUDED) => "nothing is sent, since an operator keeps it out".to_owned(),
        ("skip", rule) => format!("nothing is sent, since it is not eligible ({rule})"),
        ("drop", _) => "nothing is sent, since Meta has no item to remove".to_owned(),
        ("hold", _) => {
            return "Its removal waits until you release it: too many items stopped being eligible at once.".into();
        }
        ("wait", "submission_open") => return "It waits for Meta's verdict on the last call.".into(),
        ("wait", "parked") => return "It failed too often and is set aside until you decide again.".into(),
        ("wait", _) => return "It waits for the mapper, which did not answer.".into(),
        _ => "it is tried again, since the mapper made no payload".to_owned(),
    };
    let sends = matches!(next.action, "upsert" | "delete");
    match is_queued {
        true if sends && !is_enabled => {
            format!("Next, {what}. The sync is paused, so that waits until it is switched on.")
        }
        true => format!("Next, {what}."),
        false => match what.strip_prefix("nothing is sent") {
            Some(since) => format!("Nothing is queued, and nothing has to be sent{since}."),
            None => format!("Nothing is queued. If it were decided now, this would follow: {what}."),
        },
    }
}

/// A rule of eligibility as the sentence that holds when it passes.
pub(super) fn rule_name(rule: &str) -> &str {
    match rule {
        EXCLUDED => "No operator keeps it out",
        "product_deleted" => "The product is not deleted",
        "variant_deleted" => "The variant is not deleted",
        "product_not_active" => "The product is active",
        "product_not_public" => "The product is public",
        "missing_price" => "It has a price above zero",
        "missing_storefront_slug" => "Its page in the shop has an address",
        "currency_mismatch" => "Its price is in the currency of the catalog",
        other => other,
    }
}

/// What to do about a rule that fails.
pub(super) fn todo_of_rule(rule: &str) -> &'static str {
    todo_of_cause(&format!("eligibility:{rule}"))
}

/// What to do about a cause, in terms of this page where the API's are others.
pub(in crate::page) fn todo_of_cause(cause: &str) -> &'static str {
    match cause.split_once(':') {
        Some(("eligibility", EXCLUDED)) => "Nothing, or include it again.",
        Some(("mapper", _)) => "Correct the data or the mapper module, then decide again.",
        Some(("service", "outcome_unknown" | "canceled" | "error" | "poll_timeout")) => {
            "Nothing: it is sent again by itself. If it lasts, open the system page."
        }
        Some(("service", _)) => "Push it again.",
        _ => advice::of_cause(cause).1,
    }
}

/// Where the column of the last push comes from.
pub(super) fn source_note(source: &str) -> &'static str {
    match source {
        "body" => "“Last sent” is the last call as it was made.",
        "same" => "“Last sent” is known by its hash, which is that of what would be sent now.",
        "delete" => "The last call removed the item.",
        "nothing" => "Meta has taken no call with this item yet.",
        "other_catalog" => "The last call was for another catalog.",
        _ => "The last call is too old: its body is no longer kept, so what it said is not known any more.",
    }
}

/// An event of the timeline for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) icon: &'static str,
    pub(super) tone: &'static str,
    pub(super) text: String,
    pub(super) message: Option<String>,
    pub(super) at: Option<String>,
    pub(super) submission: Option<String>,
}

/// Tells an event.
pub(super) fn happened(event: &TimelineEvent) -> Told {
    let is_delete = event.intent == "delete";
    let (icon, tone, text) = match (event.kind, event.outcome.as_deref().unwrap_or_default()) {
        ("queued", _) => {
            let by = match event.origin.as_deref().unwrap_or_default() {
                "event" => "by a change of the shop",
                "operator" => "by an operator",
                "import" => "by an import",
                "window" => "by the begin or end of a sale",
                _ => "by the service, to try again",
            };
            ("clock", "plain", format!("Queued {by}{}", if is_delete { ", to be removed" } else { "" }))
        }
        ("held", _) => ("pause", "warn", "Held back: too many items stopped being eligible at once".into()),
        ("released", _) => ("play", "plain", "Released by an operator".into()),
        ("parked", _) => ("ban", "bad", "Set aside after too many faults".into()),
        ("decided", "noop") => ("check", "plain", "Decided: Meta has exactly this already".into()),
        ("decided", "skipped") => ("dashed", "plain", "Decided: not eligible".into()),
        ("decided", "dropped") => ("check", "plain", "Decided: nothing to remove at Meta".into()),
        ("decided", "previewed") => ("info", "plain", "Decided, and not sent: feed_mode is preview".into()),
        ("decided", "requeued") => ("refresh", "plain", "Queued again when feed_mode became live".into()),
        ("decided", _) => ("fail", "bad", "Refused".into()),
        ("sent", "refused") => ("fail", "bad", "Refused by Meta at once".into()),
        ("sent", "nothing_taken") => ("fail", "bad", "Sent, and Meta took nothing of the call".into()),
        ("sent", _) if is_delete => ("send", "busy", "Removal sent to Meta".into()),
        ("sent", _) => ("send", "busy", "Sent to Meta".into()),
        ("verdict", "synced") => ("ok", "good", "Meta confirmed it".into()),
        ("verdict", "deleted") => ("trash", "good", "Meta confirmed the removal".into()),
        ("verdict", "unknown") => ("info", "warn", "Meta did not say what became of it".into()),
        _ => ("fail", "bad", "Meta refused it".into()),
    };
    Told {
        icon,
        tone,
        text,
        message: event.message.clone(),
        at: event.at.clone(),
        submission: event.submission.clone(),
    }
}

#[cfg(test)]
mod tests {
    use catalog_sync::admin::compare::SOURCES;
    use catalog_sync::admin::timeline::KINDS;
    use catalog_sync::domain::plan::Action;

    use super::*;

    #[test]
    fn the_next_step_is_told_in_sentences() {
        let next = |action, reason: &str| Next { action, reason: reason.into() };
        for (known, is_queued, is_enabled, expected) in [
            (next("upsert", "changed"), true, true, "Next, the changed fields are sent to Meta."),
            (
                next("upsert", "not_at_meta"),
                true,
                false,
                "Next, it is sent to Meta, which does not have it. The sync is paused, so that waits until it is switched on.",
            ),
            (
                next("noop", "unchanged"),
                false,
                true,
                "Nothing is queued, and nothing has to be sent, since Meta has exactly this payload.",
            ),
            (
                next("upsert", "failed_before"),
                false,
                true,
                "Nothing is queued. If it were decided now, this would follow: it is sent again, since the last try failed.",
            ),
            (
                next("skip", "missing_price"),
                true,
                false,
                "Next, nothing is sent, since it is not eligible (missing_price).",
            ),
            (next("wait", "submission_open"), true, true, "It waits for Meta's verdict on the last call."),
        ] {
            assert_eq!(next_sentence(&known, is_queued, is_enabled), expected);
        }
        for action in Action::WORDS {
            assert!(next_sentence(&next(action, "x"), true, true).ends_with('.'), "{action}");
        }
    }

    #[test]
    fn advice_of_the_page_names_no_path_of_the_api() {
        let known =
            ["mapper:fault", "service:canceled", "service:not_taken", "meta:no image", "eligibility:missing_price"];
        for cause in known {
            assert!(!todo_of_cause(cause).contains("/admin"), "{cause}");
        }
        assert!(!todo_of_rule(EXCLUDED).contains("/admin"));
        assert_eq!(rule_name("a module's own"), "a module's own");
    }

    #[test]
    fn every_code_has_words() {
        for source in SOURCES {
            assert!(source_note(source).ends_with('.'), "{source}");
        }
        for kind in KINDS {
            let event = TimelineEvent {
                at: None,
                kind,
                intent: "upsert".into(),
                origin: None,
                open: false,
                outcome: Some("noop".into()),
                message: None,
                submission: None,
            };
            assert!(!happened(&event).text.is_empty(), "{kind}");
        }
    }
}
