//! The places of what belongs to one product, in files where it may lie apart.
//!
//! A first pass over the file notes places, a second one reads each product as a whole. Memory grows by 24 bytes for each
//! place and about 24 for each name of a group.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// Where a part of a product begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    group: u32,
    /// The offset in bytes.
    pub(super) at: u64,
    /// The line, counted from 1.
    pub(super) line: u64,
}

/// The places of all products, by product.
#[derive(Debug, Default)]
pub(super) struct Parts {
    places: Vec<Place>,
    groups: HashMap<u64, u32>,
    count: u32,
    hasher: RandomState,
    next: usize,
}

impl Parts {
    /// Returns the group of this name, if a part was named so.
    pub(super) fn known(&self, name: &str) -> Option<u32> {
        self.groups.get(&self.hasher.hash_one(name)).copied()
    }

    /// Returns the group of this name; a new one for a new name.
    pub(super) fn group(&mut self, name: &str) -> u32 {
        if let Some(group) = self.known(name) {
            return group;
        }
        let group = self.count;
        self.count += 1;
        self.name(name, group);
        group
    }

    /// Gives a group one more name.
    pub(super) fn name(&mut self, name: &str, group: u32) {
        self.groups.insert(self.hasher.hash_one(name), group);
    }

    /// Adds a part.
    pub(super) fn add(&mut self, group: u32, at: u64, line: u64) {
        self.places.push(Place { group, at, line });
    }

    /// Ends the first pass. The products come in the order in which their groups were first named.
    pub(super) fn noted(&mut self) {
        self.groups = HashMap::new();
        self.places.sort_unstable();
    }

    /// Returns the places of the next product, in the order of the file; `None` at the end.
    pub(super) fn next_product(&mut self) -> Option<Vec<Place>> {
        let rest = &self.places[self.next..];
        let group = rest.first()?.group;
        let count = rest.iter().take_while(|place| place.group == group).count();
        self.next += count;
        Some(rest[..count].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_lie_apart_come_together() {
        let mut parts = Parts::default();
        for (name, at) in [("b", 0), ("a", 10), ("b", 20), ("alias", 30)] {
            let group = parts.group(name);
            parts.add(group, at, at + 1);
            if name == "a" {
                parts.name("alias", group);
            }
        }
        parts.noted();
        let places: Vec<Vec<u64>> =
            std::iter::from_fn(|| Some(parts.next_product()?.iter().map(|place| place.at).collect())).collect();
        assert_eq!(places, [vec![0, 20], vec![10, 30]]);
    }
}
