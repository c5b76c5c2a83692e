//! The built-in field mapping of `meta-catalog`.
//!
//! Purpose: turn a shop's variant into the `data` object of Meta's `items_batch`.
//! Promises: pure (same input, same bytes), no clock, no randomness, no I/O, no panic on any input.
//! Left out on purpose: whether a payload is pushed, cleared or deleted; that is the drain's decision.

mod item;
mod outcome;

pub use item::{Inventory, MapSettings, OptionValue, Product, Variant};
pub use outcome::{EligibilityReason, Mapped, Outcome, Warning};

/// Maps one variant as of `now` (milliseconds since the Unix epoch).
#[must_use]
pub fn map(_settings: &MapSettings, _now: i64, _product: &Product, _variant: &Variant) -> Outcome {
    Outcome::Rejected(EligibilityReason::ProductDeleted)
}
/// stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind { /// t
 Text, /// l
 List }
/// stub
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec { /// n
 pub name: &'static str, /// k
 pub kind: FieldKind, /// c
 pub clearable: bool }
/// stub
pub fn field_spec(_name: &str) -> Option<&'static FieldSpec> { None }
/// stub
pub fn sha256_hex(data: &str) -> String { use sha2::Digest; format!("{:?}", sha2::Sha256::digest(data.as_bytes())) }
