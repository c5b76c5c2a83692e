//! Which part of a filter gives the candidates. Pure.
//!
//! The narrowest part leads, by an index of its own, and the rest is asked of each candidate. Pages, walks and counts take the
//! same one.

use super::Filter;

/// The part of a filter that gives the candidates: the narrowest one.
pub(super) enum Lead<'f> {
    /// These variants.
    Ids(&'f [String]),
    Held,
    Parked,
    Excluded,
    Cause(&'f str),
    Search(&'f str),
    Vendors(&'f [String]),
    Brands(&'f [String]),
    Categories(&'f [String]),
    Warning(&'f str),
    /// A state that is neither at Meta nor on its way there.
    Idle(&'f str),
    Submitted,
    New,
    Everything,
    /// Everything, in an order that a push does not change.
    ById,
}

impl<'f> Lead<'f> {
    /// Returns the lead of a filter, and the rest of it.
    pub(super) fn of(filter: &'f Filter) -> (Self, Filter) {
        let mut rest = filter.clone();
        let lead = match filter {
            Filter { ids: Some(ids), .. } => {
                rest.ids = None;
                Lead::Ids(ids)
            }
            Filter { held: true, .. } => {
                rest.held = false;
                Lead::Held
            }
            Filter { parked: true, .. } => {
                rest.parked = false;
                Lead::Parked
            }
            Filter { excluded: Some(true), .. } => {
                rest.excluded = None;
                Lead::Excluded
            }
            Filter { cause: Some(cause), .. } => {
                rest.cause = None;
                Lead::Cause(cause)
            }
            Filter { contains: Some(needle), .. } => {
                rest.contains = None;
                Lead::Search(needle)
            }
            Filter { vendors: Some(ids), .. } => {
                rest.vendors = None;
                Lead::Vendors(ids)
            }
            Filter { brands: Some(ids), .. } => {
                rest.brands = None;
                Lead::Brands(ids)
            }
            Filter { categories: Some(ids), .. } => {
                rest.categories = None;
                Lead::Categories(ids)
            }
            Filter { warning: Some(code), .. } => {
                rest.warning = None;
                Lead::Warning(code)
            }
            // What is synced is most of what was sent, and is asked of each candidate.
            Filter { status: None | Some("synced"), .. } => Lead::Everything,
            Filter { status: Some(status), .. } => {
                rest.status = None;
                match *status {
                    "never_synced" => Lead::New,
                    "submitted" => Lead::Submitted,
                    status => Lead::Idle(status),
                }
            }
        };
        (lead, rest)
    }

    /// [`Self::of`], where a variant that is sent meanwhile must not be passed by.
    pub(super) fn stable(filter: &'f Filter) -> (Self, Filter) {
        match Self::of(filter) {
            (Lead::Everything, rest) => (Lead::ById, rest),
            found => found,
        }
    }
}
