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
    match EligibilityReason::ALL.into_iter().find(|reason| !passes(*reason, settings, product, variant, given)) {
        Some(reason) => Err(reason),
        None => {
            Ok(Eligible { price: variant.price.unwrap_or_default(), slug: product.slug.as_deref().unwrap_or_default() })
        }
    }
}

/// Whether an item passes the check that rejects with this reason.
pub(crate) fn passes(
    reason: EligibilityReason,
    settings: &MapSettings,
    product: &Product,
    variant: &Variant,
    given: &Given,
) -> bool {
    match reason {
        EligibilityReason::ProductDeleted => product.deleted_at.is_none(),
        EligibilityReason::VariantDeleted => variant.deleted_at.is_none(),
        EligibilityReason::ProductNotActive => product.status.as_deref() == Some("active"),
        EligibilityReason::ProductNotPublic => product.visibility.as_deref() == Some("public"),
        EligibilityReason::MissingPrice => variant.price.is_some_and(|price| price > 0),
        EligibilityReason::MissingStorefrontSlug => {
            let is_blank = product.slug.as_deref().unwrap_or_default().trim().is_empty();
            !(is_blank && link::needs_slug(settings, given))
        }
        // There is no exchange rate here, and a price with another currency's code would be a wrong price.
        EligibilityReason::CurrencyMismatch => {
            let stamped = text::line(&settings.currency);
            given.currency.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(&stamped))
        }
    }
}

/// What that check looks at.
pub(crate) fn saw(
    reason: EligibilityReason,
    settings: &MapSettings,
    product: &Product,
    variant: &Variant,
    given: &Given,
) -> Option<String> {
    match reason {
        EligibilityReason::ProductDeleted => product.deleted_at.map(|at| at.to_string()),
        EligibilityReason::VariantDeleted => variant.deleted_at.map(|at| at.to_string()),
        EligibilityReason::ProductNotActive => product.status.clone(),
        EligibilityReason::ProductNotPublic => product.visibility.clone(),
        EligibilityReason::MissingPrice => variant.price.map(|price| price.to_string()),
        EligibilityReason::MissingStorefrontSlug => product.slug.clone(),
        EligibilityReason::CurrencyMismatch => given.currency.clone().or_else(|| Some(settings.currency.clone())),
    }
}
