//! The steps from nothing to a catalog in step with the shop, and how far they are.
//!
//! Promises: pure. Nothing is remembered: a step is done when what it leads to is there, so a step that comes undone shows
//! again.

use catalog_sync::admin::status::ConnectionStatus;

use crate::page::words::{counted, number};

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// What it leads to is there.
    Done,
    /// It can be done, and everything before it is done.
    Now,
    /// Another step comes first.
    Later,
}

impl Mark {
    /// What it is called.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Now => "Now",
            Self::Later => "Later",
        }
    }

    /// Its class in the style sheet.
    #[must_use]
    pub(super) fn tone(self) -> &'static str {
        match self {
            Self::Done => "good",
            Self::Now => "busy",
            Self::Later => "plain",
        }
    }
}

/// What the steps depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether the app's id and secret are set.
    pub(super) has_app: bool,
    /// Whether an account is connected.
    pub(super) connected: bool,
    /// Permissions that it did not grant.
    pub(super) missing_scopes: Vec<&'static str>,
    /// The selected catalog.
    pub(super) catalog: Option<String>,
    /// The address of the storefront.
    pub(super) storefront: String,
    /// Variants of the shop.
    pub(super) variants: i64,
    /// Changes that wait to be decided.
    pub(super) queued: i64,
    /// Items that were sent.
    pub(super) sent: i64,
    /// Whether everything was asked for once, and not for another catalog.
    pub(super) asked_for_all: bool,
    /// Whether nothing is queued although there is something to send.
    pub(super) nothing_queued: bool,
    /// The switch.
    pub(super) sync_enabled: bool,
}

impl Facts {
    /// Reads them from the status.
    #[must_use]
    pub(super) fn of(
        status: &ConnectionStatus,
        missing_scopes: Vec<&'static str>,
        storefront: String,
        variants: i64,
    ) -> Self {
        Self {
            has_app: matches!(status.configuration.oauth_client, catalog_sync::admin::status::Presence::Configured),
            connected: status.connected,
            missing_scopes,
            catalog: status.selection.as_ref().map(|selection| match &*selection.catalog_name {
                "" => selection.catalog_id.clone(),
                name => name.to_owned(),
            }),
            storefront,
            variants,
            queued: status.counts.outbox_pending,
            sent: status.counts.synced + status.counts.submitted,
            asked_for_all: status.reasks.iter().any(|reask| reask.reason == "bootstrap"),
            nothing_queued: status.problems.iter().any(|problem| problem.code == "nothing_queued"),
            sync_enabled: status.sync_enabled,
        }
    }

    /// Whether there is something on its way to the selected catalog, or there already.
    #[must_use]
    pub(super) fn is_begun(&self) -> bool {
        !self.nothing_queued && (self.asked_for_all || self.queued > 0 || self.sent > 0)
    }
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Its number.
    pub(super) number: usize,
    /// Its name in addresses, and that of its template.
    pub(super) id: &'static str,
    /// What it is called.
    pub(super) title: &'static str,
    /// How far it is.
    pub(super) mark: Mark,
    /// How it stands, in a few words.
    pub(super) told: String,
}

/// Returns the steps.
#[must_use]
pub(super) fn steps(facts: &Facts) -> [Step; 7] {
    let is_connected = facts.connected && facts.missing_scopes.is_empty();
    let has_shop = !facts.storefront.is_empty();
    let begun = facts.is_begun();
    // Done, and what comes first.
    let done = [
        (facts.has_app, true),
        (is_connected, facts.has_app),
        (facts.catalog.is_some(), is_connected),
        (has_shop, facts.catalog.is_some()),
        (facts.variants > 0, has_shop),
        // It stays open until something is sent: an import queues by itself, and nobody has looked then.
        (begun && (facts.sync_enabled || facts.sent > 0), facts.catalog.is_some() && has_shop && facts.variants > 0),
        (begun && facts.sync_enabled, facts.catalog.is_some() && has_shop && facts.variants > 0),
    ];
    let said = |is: bool, what: &dyn Fn() -> String| if is { what() } else { String::new() };
    let told = [
        said(facts.has_app, &|| "ID and secret are set".to_owned()),
        match (facts.connected, facts.missing_scopes.is_empty()) {
            (true, true) => "An account is connected".to_owned(),
            (true, false) => format!("Not granted: {}", facts.missing_scopes.join(", ")),
            (false, _) => String::new(),
        },
        facts.catalog.clone().unwrap_or_default(),
        facts.storefront.clone(),
        said(facts.variants > 0, &|| format!("{} known", counted(facts.variants, "variant is", "variants are"))),
        String::new(),
        match (begun, facts.sync_enabled) {
            (true, true) => "The sync is switched on".to_owned(),
            (true, false) if facts.queued > 0 => format!("{} queued, and the sync is off", number(facts.queued)),
            (false, true) => "The sync is switched on, and nothing is queued".to_owned(),
            _ => String::new(),
        },
    ];
    let names = [
        ("app", "Register an app at Meta"),
        ("connect", "Connect Facebook"),
        ("catalog", "Choose the catalog"),
        ("shop", "Describe the shop"),
        ("products", "Bring the products in"),
        ("preview", "Look at what would be sent"),
        ("start", "Start the sync"),
    ];
    let mut told = told.into_iter();
    std::array::from_fn(|at| {
        let (is_done, comes_first) = done[at];
        let mark = match (is_done, comes_first) {
            (true, _) => Mark::Done,
            (false, true) => Mark::Now,
            (false, false) => Mark::Later,
        };
        Step { number: at + 1, id: names[at].0, title: names[at].1, mark, told: told.next().unwrap_or_default() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(facts: &Facts) -> String {
        steps(facts).iter().map(|step| step.mark.name().chars().next().unwrap_or_default()).collect()
    }

    #[test]
    fn one_step_leads_to_the_next() {
        let mut facts = Facts::default();
        let mut went = vec![marks(&facts)];
        let mut go = |change: fn(&mut Facts)| {
            change(&mut facts);
            went.push(marks(&facts));
        };
        go(|facts| facts.has_app = true);
        go(|facts| {
            facts.connected = true;
            facts.missing_scopes = vec!["business_management"];
        });
        go(|facts| facts.missing_scopes.clear());
        go(|facts| facts.catalog = Some("Acme".into()));
        go(|facts| facts.storefront = "https://shop.example".into());
        go(|facts| facts.variants = 3);
        go(|facts| facts.queued = 3);
        go(|facts| facts.sync_enabled = true);
        // Another catalog: nothing is queued for it.
        go(|facts| {
            facts.queued = 0;
            facts.nothing_queued = true;
        });
        assert_eq!(
            went,
            [
                "NLLLLLL", "DNLLLLL", "DNLLLLL", "DDNLLLL", "DDDNLLL", "DDDDNLL", "DDDDDNN", "DDDDDNN", "DDDDDDD",
                "DDDDDNN"
            ]
        );
    }

    #[test]
    fn a_step_says_how_it_stands() {
        let facts =
            Facts { connected: true, missing_scopes: vec!["catalog_management"], variants: 1_200, ..Facts::default() };
        let told: Vec<String> = steps(&facts).into_iter().map(|step| step.told).collect();
        assert_eq!((&*told[1], &*told[4]), ("Not granted: catalog_management", "1,200 variants are known"));
    }
}
