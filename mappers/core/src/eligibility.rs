//! Whether a variant belongs into the catalog at all.
//!
//! The checks run in the order of [`EligibilityReason`] and the first that fails answers. Status and
//! visibility are compared exactly: a text we do not know is no permission to sell. A slug of blanks is
//! an empty slug.

use crate::item::{Product, Variant};
use crate::outcome::EligibilityReason;
use crate::trace::branch;

/// What an eligible variant is known to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eligible<'a> {
    /// Price in hundredths, above zero.
    pub(crate) price: i64,
    /// Slug, not blank.
    pub(crate) slug: &'a str,
}

/// Runs the checks.
pub(crate) fn check<'a>(product: &'a Product, variant: &Variant) -> Result<Eligible<'a>, EligibilityReason> {
    let judged = judge(product, variant);
    if let Err(reason) = judged {
        branch!(format!("eligibility.{}", reason.as_str()));
    }
    judged
}

fn judge<'a>(product: &'a Product, variant: &Variant) -> Result<Eligible<'a>, EligibilityReason> {
    if product.deleted_at.is_some() {
        return Err(EligibilityReason::ProductDeleted);
    }
    if variant.deleted_at.is_some() {
        return Err(EligibilityReason::VariantDeleted);
    }
    if product.status.as_deref() != Some("active") {
        return Err(EligibilityReason::ProductNotActive);
    }
    if product.visibility.as_deref() != Some("public") {
        return Err(EligibilityReason::ProductNotPublic);
    }
    let price = variant.price.filter(|price| *price > 0).ok_or(EligibilityReason::MissingPrice)?;
    let slug = product.slug.as_deref().filter(|slug| !slug.trim().is_empty());
    let slug = slug.ok_or(EligibilityReason::MissingStorefrontSlug)?;
    Ok(Eligible { price, slug })
}
