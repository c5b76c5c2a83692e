//! What identifies an item: brand, GTIN, MPN.
//!
//! Brand: the brand's title, else the vendor's name, else (only with `identifier_exists_fallback`) the
//! name of the business. MPN: the SKU, without the apostrophe of a spreadsheet. Meta wants at least one of the three, and its batch reference
//! lists the brand as required, so both gaps are warned of.

use std::borrow::Cow;

use crate::gtin;
use crate::item::{MapSettings, Product, Variant};
use crate::text;
use crate::trace::branch;
use crate::warnings::{WarningCode, Warnings};

/// The identifiers of a variant, and the two names they are drawn from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub(crate) brand: Option<Cow<'a, str>>,
    pub(crate) gtin: Option<String>,
    pub(crate) mpn: Option<Cow<'a, str>>,
    pub(crate) vendor_name: Option<Cow<'a, str>>,
    pub(crate) brand_title: Option<Cow<'a, str>>,
}

impl<'a> Identity<'a> {
    /// Gathers the identifiers.
    pub(crate) fn of(
        settings: &'a MapSettings,
        product: &'a Product,
        variant: &'a Variant,
        warnings: &mut Warnings,
    ) -> Self {
        let brand_title = text::optional_line(product.brand_title.as_deref());
        let vendor_name = text::optional_line(product.vendor_name.as_deref());
        let mpn = text::optional_line(variant.sku.as_deref().map(text::unquoted));
        let gtin = gtin::pick(variant, warnings);
        let brand = brand_title.clone().or_else(|| vendor_name.clone()).or_else(|| business(settings));
        branch!(match (&brand_title, &vendor_name, &brand) {
            (Some(_), _, _) => "brand.from_brand",
            (None, Some(_), _) => "brand.from_vendor",
            (None, None, Some(_)) => "brand.from_business",
            (None, None, None) => "brand.none",
        });
        if mpn.is_some() {
            branch!("mpn.from_sku");
        }

        if brand.is_none() {
            let message = "Meta lists the brand as required; give the product a brand or a vendor, or switch on `identifier_exists_fallback`";
            warnings.add(WarningCode::MissingBrand, Some("brand"), message);
            if gtin.is_none() && mpn.is_none() {
                let message = "Meta wants at least one of brand, gtin and mpn; give the variant a SKU or a valid EAN, or switch on `identifier_exists_fallback`";
                warnings.add(WarningCode::MissingIdentifiers, None, message);
            }
        }
        Self { brand, gtin, mpn, vendor_name, brand_title }
    }
}

/// The name of the business, where the settings let it stand in.
fn business(settings: &MapSettings) -> Option<Cow<'_, str>> {
    settings.identifier_exists_fallback.then(|| text::line(&settings.business_name)).filter(|name| !name.is_empty())
}
