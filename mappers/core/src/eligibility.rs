//! Whether a variant belongs into the catalog at all.
//!
//! The checks run in the order of [`EligibilityReason`] and the first that fails answers. Status and
//! visibility are compared exactly: a text we do not know is no permission to sell. A slug of blanks is
//! an empty slug, which counts only where the link is made of it.

use crate::given::Given;
use crate::item::{MapSettings, Product, Variant};
use crate::link;
use crate::outcome::EligibilityReason;
use crate::text;
use crate::trace::branch;

/// What an eligible variant is known to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eligible<'a> {
    /// Price in hundredths, above zero.
    pub(crate) price: i64,
    /// Slug; blank only where the link does not need it.
    pub(crate) slug: &'a str,
}

/// Runs the checks.
pub(crate) fn check<'a>(
    settings: &MapSettings,
    product: &'a Product,
    variant: &Variant,
    given: &Given,
) -> Result<Eligible<'a>, EligibilityReason> {
    let judged = judge(settings, product, variant, given);
    if let Err(reason) = judged {
        branch!(format!("eligibility.{}", reason.as_str()));
    }
    judged
}

fn judge<'a>(
    settings: &MapSettings,
    product: &'a Product,
    variant: &Variant,
    given: &Given,
) -> Result<Eligible<'a>, EligibilityReason> {
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
    let slug = product.slug.as_deref().unwrap_or_default();
    if slug.trim().is_empty() && link::needs_slug(settings, given) {
        return Err(EligibilityReason::MissingStorefrontSlug);
    }
    // There is no exchange rate here, and a price with another currency's code would be a wrong price.
    let stamped = text::line(&settings.currency);
    if given.currency.as_deref().is_some_and(|own| !own.eq_ignore_ascii_case(&stamped)) {
        return Err(EligibilityReason::CurrencyMismatch);
    }
    Ok(Eligible { price, slug })
}
