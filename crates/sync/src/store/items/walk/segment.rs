//! The ranges of an index that a step reads one after the other.

use super::From;
use crate::clock::Millis;

/// An id in front of every id.
pub(super) const FIRST: &str = "";
/// An id behind every id.
pub(super) const LAST: &str = "\u{10FFFF}";

/// A range of an index on a time and an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// The time of the position, beyond its id.
    At(Millis, String),
    /// The times beyond this one.
    Beyond(Millis),
    /// Without a time, beyond this id.
    Without(String),
}

/// Returns the ranges in the order in which they are read. Those without a time are at the end of an order. In an order
/// that goes by id alone there is nothing else, and only the last range of a step forwards is read.
pub(super) fn segments(from: From<'_>, first_id: &str) -> Vec<Segment> {
    let without = || Segment::Without(first_id.to_owned());
    match from {
        From::Start => vec![Segment::Beyond(Millis::MAX), without()],
        From::After(position) => match position.at {
            Some(at) => vec![Segment::At(at, position.id.clone()), Segment::Beyond(at), without()],
            None => vec![Segment::Without(position.id.clone())],
        },
        From::Before(position) => match position.at {
            Some(at) => vec![Segment::At(at, position.id.clone()), Segment::Beyond(at)],
            None => vec![Segment::Without(position.id.clone()), Segment::Beyond(Millis::MIN)],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::Position;
    use super::*;

    #[test]
    fn a_step_reads_what_is_beyond_its_position() {
        let dated = Position { at: Some(5), id: "v".into() };
        let undated = Position { at: None, id: "v".into() };
        let at = || Segment::At(5, "v".into());
        let without = |id: &str| Segment::Without(id.into());
        for (from, expected) in [
            (From::Start, vec![Segment::Beyond(Millis::MAX), without(FIRST)]),
            (From::After(&dated), vec![at(), Segment::Beyond(5), without(FIRST)]),
            (From::After(&undated), vec![without("v")]),
            (From::Before(&dated), vec![at(), Segment::Beyond(5)]),
            (From::Before(&undated), vec![without("v"), Segment::Beyond(Millis::MIN)]),
        ] {
            assert_eq!(segments(from, FIRST), expected, "{from:?}");
        }
        assert!(LAST > "\u{10FFFE}zzz" && FIRST < "!");
    }
}
