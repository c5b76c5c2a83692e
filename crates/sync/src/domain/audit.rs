//! The audit trail: what an operator can do, the caller that did it, and what is kept of it.
//!
//! Promises: actions, callers and outcomes are closed lists with stable words; what is kept of one action is bounded,
//! whatever the request held ([`Details`]).
//! Left out on purpose: secrets. The use case that adds a detail gives none ([`crate::admin::audit`]).

use serde_json::{Map, Value};

use crate::report::clip;

/// Makes an enum with a stable word for each case.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $case:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $case,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$case),+];

            /// Returns its word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$case => $word,)+ }
            }

            /// Returns the one with this word.
            #[must_use]
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

words! {
    /// What an operator did.
    Action {
        /// Settings were changed.
        SettingsChanged = "settings_changed",
        /// The sync was switched on or off, and nothing else.
        SyncSwitched = "sync_switched",
        /// A login through Facebook was begun.
        ConnectStarted = "connect_started",
        /// A login through Facebook was completed.
        Connected = "connected",
        /// The connection was ended.
        Disconnected = "disconnected",
        /// A catalog was selected.
        CatalogSelected = "catalog_selected",
        /// Every eligible variant was asked for.
        Bootstrap = "bootstrap",
        /// Chosen variants were queued to be decided again.
        Resync = "resync",
        /// Chosen variants were queued to be sent again, whatever Meta confirmed.
        Push = "push",
        /// Chosen variants were queued for removal from Meta.
        Delete = "delete",
        /// Chosen variants were excluded.
        Exclude = "exclude",
        /// Chosen variants were included again.
        Include = "include",
        /// Every failed variant was queued again.
        ResyncFailed = "resync_failed",
        /// Every skipped variant was queued again.
        ResyncSkipped = "resync_skipped",
        /// Held deletes were released.
        HeldReleased = "held_released",
        /// A mapper module was activated.
        MapperActivated = "mapper_activated",
        /// The built-in mapper was activated.
        MapperReset = "mapper_reset",
        /// The mapper before the active one was activated.
        MapperRolledBack = "mapper_rolled_back",
        /// Every variant was asked to be mapped again.
        Remap = "remap",
        /// A preview of a module was begun.
        PreviewStarted = "preview_started",
        /// A preview of a module was cancelled.
        PreviewCancelled = "preview_cancelled",
        /// The verdicts of open submissions were asked for at once.
        VerdictsAsked = "verdicts_asked",
        /// A drift sweep was begun.
        DriftSweep = "drift_sweep",
        /// Drift was asked to be repaired.
        DriftRepair = "drift_repair",
        /// Drift was marked to be ignored, or not to be ignored any more.
        DriftIgnore = "drift_ignore",
        /// Products were imported.
        Imported = "imported",
    }
}

words! {
    /// How an action ended.
    Outcome {
        /// It has begun; its end is not known.
        Open = "open",
        /// It was done.
        Ok = "ok",
        /// It failed or was refused; the error's code is kept.
        Refused = "refused",
    }
}

words! {
    /// What kind of caller it was.
    CallerKind {
        /// A program, or a person who signed in with an API token.
        ApiToken = "api_token",
        /// A signed-in user of the shop.
        User = "user",
        /// A command on the server, or the service itself: no request was made.
        Command = "command",
    }
}

/// The caller that did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its kind.
    pub kind: CallerKind,
    /// The id of the token or of the user.
    pub id: String,
    /// The name of the token.
    pub name: Option<String>,
    /// The user who impersonates that user.
    pub impersonator: Option<String>,
}

impl Caller {
    /// The caller where no request was made.
    #[must_use]
    pub fn command() -> Self {
        Self { kind: CallerKind::Command, id: "command".into(), name: None, impersonator: None }
    }
}

/// Most characters of a text within the details, and of the subject.
const TEXT: usize = 200;
/// Most ids of a list.
const LISTED: usize = 20;
/// Most bytes of the details. More than the settings need when all of them change.
const BYTES: usize = 16 * 1024;

/// What is kept of an action besides its subject: a bounded JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(Map<String, Value>);

impl Details {
    /// Adds a detail. Long texts and lists are cut.
    pub fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), cut(value.into()));
    }

    /// Returns them with one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.add(name, value);
        self
    }

    /// Returns the JSON text to store.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = Value::Object(self.0.clone()).to_string();
        if text.len() <= BYTES { text } else { r#"{"leftOut":true}"#.to_owned() }
    }
}

fn cut(value: Value) -> Value {
    match value {
        Value::String(text) => bounded(&text).into(),
        Value::Array(list) => list.into_iter().take(LISTED).map(cut).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, cut(value))).collect(),
        other => other,
    }
}

/// Returns a text that may be kept.
#[must_use]
pub fn bounded(text: &str) -> String {
    clip(text, TEXT).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_unique_and_are_read_back() {
        for (at, action) in Action::ALL.iter().enumerate() {
            assert_eq!(Action::of(action.as_str()), Some(*action));
            assert!(Action::ALL[..at].iter().all(|other| other.as_str() != action.as_str()));
        }
        assert_eq!(Outcome::of("open"), Some(Outcome::Open));
        assert_eq!(CallerKind::of("nobody"), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = "x".repeat(10_000);
        let details = Details::default()
            .with("text", long.clone())
            .with("ids", vec![json!("v"); 1_000])
            .with("changes", json!({"a": {"old": long, "new": 1}}))
            .with("count", 7);
        let kept: Value = serde_json::from_str(&details.to_json()).expect("JSON");
        assert!(kept["text"].as_str().expect("text").chars().count() <= TEXT + 1);
        assert!(kept["changes"]["a"]["old"].as_str().expect("text").chars().count() <= TEXT + 1);
        assert_eq!(kept["ids"].as_array().map(Vec::len), Some(LISTED));
        assert_eq!(kept["count"], 7);
        let many = (0..1_000).fold(Details::default(), |all, n| all.with(&format!("{n:0>50}"), "x".repeat(100)));
        assert_eq!(many.to_json(), r#"{"leftOut":true}"#);
    }
}
