//! The state of the simulated Meta, and its changes with the clock.
//!
//! One value behind one lock: a call reads and changes the world in one go, so calls are serial, as rules need them to be.
//! Nothing runs in the background: [`World::settle`] brings batches and publications up to the present before each call.

use std::collections::{BTreeMap, HashMap};

use crate::batch::Batches;
use crate::calls::Calls;
use crate::clock::{Clock, Millis};
use crate::config::{self, Config};
use crate::faults::Plan;
use crate::ids::Ids;
use crate::items::Items;
use crate::quota::Window;
use crate::webhook::Webhooks;

/// The whole state.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) businesses: BTreeMap<String, Business>,
    pub(crate) catalogs: BTreeMap<String, Catalog>,
    pub(crate) system_users: BTreeMap<String, SystemUser>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) batches: Batches,
    pub(crate) app_window: Window,
    pub(crate) faults: Plan,
    pub(crate) calls: Calls,
    /// Rows of these retailer ids fail at processing, with this text.
    pub(crate) rejects: HashMap<String, String>,
    pub(crate) webhooks: Webhooks,
}

/// A person.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    /// What the person granted (true) or declined (false) to the app.
    pub(crate) permissions: BTreeMap<String, bool>,
}

/// A business.
#[derive(Debug)]
pub(crate) struct Business {
    pub(crate) name: String,
    pub(crate) admins: Vec<String>,
    pub(crate) owned: Vec<String>,
    pub(crate) clients: Vec<String>,
}

/// A catalog.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) name: String,
    pub(crate) vertical: String,
    /// The business that owns it; `None` when the owner is not in this world.
    pub(crate) owner: Option<String>,
    pub(crate) items: Items,
    /// Tasks of assigned users and system users.
    pub(crate) assigned: BTreeMap<String, Vec<String>>,
    pub(crate) batch_window: Window,
    pub(crate) management_window: Window,
}

/// A system user.
#[derive(Debug)]
pub(crate) struct SystemUser {
    pub(crate) name: String,
    pub(crate) business: String,
    pub(crate) role: String,
    pub(crate) installed: bool,
    pub(crate) created_at: Millis,
    pub(crate) created_by: Option<String>,
}

/// The identity that a token represents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    User(String),
    SystemUser(String),
    App,
}

impl Owner {
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::User(id) | Self::SystemUser(id) => Some(id),
            Self::App => None,
        }
    }
}

/// An access token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) owner: Owner,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued_at: Millis,
    /// `None` means never.
    pub(crate) expires_at: Option<Millis>,
    /// Revoked before its expiry, with this subcode of code 190.
    pub(crate) dead: Option<i64>,
}

impl Token {
    /// The subcode of code 190 when the token is no longer good.
    pub(crate) fn ended(&self, now: Millis) -> Option<i64> {
        self.dead.or_else(|| self.expires_at.filter(|&at| at <= now).map(|_| 463))
    }
}

/// An authorization code.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) user: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Millis,
    pub(crate) used: bool,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self::at(Clock::default(), config)
    }

    /// Restarts the world; the clock continues.
    pub(crate) fn reset(&mut self) {
        *self = Self::at(std::mem::take(&mut self.clock), self.config.clone());
    }

    fn at(clock: Clock, config: Config) -> Self {
        let seed = config.seed.unwrap_or_else(|| clock.now().unsigned_abs());
        let mut world = Self {
            ids: Ids::new(seed),
            clock,
            users: BTreeMap::new(),
            businesses: BTreeMap::new(),
            catalogs: BTreeMap::new(),
            system_users: BTreeMap::new(),
            tokens: HashMap::new(),
            codes: HashMap::new(),
            batches: Batches::default(),
            app_window: Window::default(),
            faults: Plan::default(),
            calls: Calls::new(config.log_size),
            rejects: HashMap::new(),
            webhooks: Webhooks::default(),
            config,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        let now = self.clock.now();
        let config = self.config.clone();
        for user in config.users {
            self.users.insert(user.id, User { name: user.name, permissions: BTreeMap::new() });
        }
        for business in config.businesses {
            let ids = |catalogs: &[config::Catalog]| catalogs.iter().map(|c| c.id.clone()).collect();
            let (owned, clients) = (ids(&business.owned_catalogs), ids(&business.client_catalogs));
            for catalog in business.owned_catalogs {
                self.add_catalog(catalog, Some(&business.id));
            }
            for catalog in business.client_catalogs {
                self.add_catalog(catalog, None);
            }
            let business_state = Business { name: business.name, admins: business.admins, owned, clients };
            self.businesses.insert(business.id, business_state);
        }
        for user in config.system_users {
            for catalog in &user.catalogs {
                if let Some(catalog) = self.catalogs.get_mut(catalog) {
                    catalog.assigned.insert(user.id.clone(), vec!["MANAGE".into()]);
                }
            }
            let (name, business, role, installed) = (user.name, user.business, user.role, user.installed);
            let state = SystemUser { name, business, role, installed, created_at: now, created_by: None };
            self.system_users.insert(user.id, state);
        }
        for token in config.tokens {
            self.mint(Some(token.token), &token.owner, token.scopes, token.expires_in_s);
        }
    }

    /// Adds a catalog, or tells one that is known who owns it.
    fn add_catalog(&mut self, catalog: config::Catalog, owner: Option<&str>) {
        let state = self.catalogs.entry(catalog.id).or_insert_with(|| Catalog::new(catalog.name, catalog.vertical));
        if owner.is_some() {
            state.owner = owner.map(str::to_owned);
        }
    }

    /// Makes a token for a user or system user; a user's permissions are granted with it.
    pub(crate) fn mint(
        &mut self,
        text: Option<String>,
        owner: &str,
        scopes: Vec<String>,
        expires_in_s: Option<i64>,
    ) -> String {
        let now = self.clock.now();
        let text = text.unwrap_or_else(|| self.ids.opaque("EAAB", 180));
        let owner = if self.system_users.contains_key(owner) {
            Owner::SystemUser(owner.to_owned())
        } else {
            if let Some(user) = self.users.get_mut(owner) {
                user.permissions.extend(scopes.iter().map(|scope| (scope.clone(), true)));
            }
            Owner::User(owner.to_owned())
        };
        let expires_at = expires_in_s.map(|seconds| now.saturating_add(seconds.saturating_mul(1_000)));
        self.tokens.insert(text.clone(), Token { owner, scopes, issued_at: now, expires_at, dead: None });
        text
    }

    /// Brings batches and publications up to date, and returns the current time.
    pub(crate) fn settle(&mut self) -> Millis {
        let now = self.clock.now();
        crate::processing::settle(self, now);
        now
    }

    /// Changes an item behind the shop's back. Returns false when the catalog does not exist.
    pub(crate) fn tamper(&mut self, catalog: &str, id: &str, changes: crate::items::Fields) -> bool {
        let now = self.settle();
        let Self { catalogs, ids, .. } = self;
        let Some(state) = catalogs.get_mut(catalog) else { return false };
        state.items.tamper(id, changes, || ids.item(), now);
        true
    }

    /// Deletes items, as somebody does by hand. Returns how many there were; `None` when the catalog does not exist.
    pub(crate) fn lose(&mut self, catalog: &str, retailer_ids: &[&str]) -> Option<usize> {
        let now = self.settle();
        let items = &mut self.catalogs.get_mut(catalog)?.items;
        let lost = retailer_ids.iter().filter(|id| items.delete(id)).count();
        retailer_ids.iter().for_each(|id| items.publish(id, now));
        Some(lost)
    }

    /// Whether the business is administered by this user or holds this system user.
    pub(crate) fn sees_business(&self, owner: &Owner, business: &str) -> bool {
        match owner {
            Owner::User(id) => self.businesses.get(business).is_some_and(|b| b.admins.contains(id)),
            Owner::SystemUser(id) => self.system_users.get(id).is_some_and(|s| s.business == business),
            Owner::App => false,
        }
    }

    /// Whether the token's owner may use the catalog: people through their business, system users by assignment only.
    pub(crate) fn sees_catalog(&self, owner: &Owner, catalog: &str) -> bool {
        match owner {
            Owner::User(id) => {
                let listed = |b: &Business| b.owned.iter().chain(&b.clients).any(|c| c == catalog);
                self.businesses.values().any(|b| b.admins.contains(id) && listed(b))
                    || self.catalogs.get(catalog).is_some_and(|c| c.assigned.contains_key(id))
            }
            Owner::SystemUser(id) => self.catalogs.get(catalog).is_some_and(|c| c.assigned.contains_key(id)),
            Owner::App => false,
        }
    }
}

impl Catalog {
    pub(crate) fn new(name: String, vertical: String) -> Self {
        Self {
            name,
            vertical,
            owner: None,
            items: Items::default(),
            assigned: BTreeMap::new(),
            batch_window: Window::default(),
            management_window: Window::default(),
        }
    }
}
