//! What an operator does about a warning or a cause: one table by code.

use mapper_core::WarningCode;

use super::lint::Finding;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The item is not at Meta as it should be.
    Error,
    /// The item is at Meta, and Meta or a shopper may mind something.
    Warning,
    /// The shop itself keeps the variant out.
    Info,
}

impl Weight {
    /// Returns its word in the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What to do about a warning of the mapper or of the lint pass.
#[must_use]
pub fn of_warning(code: &str) -> &'static str {
    match code {
        "missing_title" => "Give the product a title.",
        "missing_description" => "Give the product a description.",
        "missing_image" => "Give the variant or the product a picture that Meta can fetch.",
        "missing_brand" => "Give the product a brand or a vendor, or switch on identifier_exists_fallback.",
        "missing_identifiers" => "Give the variant a SKU or a valid EAN, or switch on identifier_exists_fallback.",
        "title_cut" => "Shorten the title.",
        "description_cut" => "Shorten the description.",
        "over_meta_limit" => "Shorten the field that the item's page names.",
        "title_all_caps" => "Write the title in normal case.",
        "markup_in_title" | "markup_in_description" => "Write the text as plain text.",
        "description_equals_title" => "Write a description.",
        "unknown_currency" | "currency_without_hundredths" => "Correct the setting currency.",
        "unknown_condition" => "Correct the condition of the item, or the setting default_condition.",
        "link_not_absolute" => "Set storefront_base_url.",
        "link_without_slug" | "link_placeholder_empty" => "Correct storefront_product_path, or give the missing value.",
        "own_link_unusable" => "Correct the link of the product or variant.",
        "slug_is_url" | "slug_with_slash" | "slug_encoded" | "slug_without_text" => {
            "Give the product a slug of one segment, or its own link."
        }
        "host_not_ascii" => "Write the host in Punycode (xn--…).",
        "entity_in_text" => "Write the character itself instead of the HTML entity.",
        "invalid_gtin" => "Correct the EAN, UPC or barcode, or leave it out.",
        "restricted_gtin" => "Give the maker's number or none.",
        "sale_price_not_positive" | "sale_price_not_below_price" => "Correct or clear the special price.",
        "sale_window_inverted" | "sale_window_too_short" => "Correct the start and the end of the sale.",
        "image_unusable" => "Upload the picture, or set S3_PUBLIC_URL.",
        "image_format" => "Offer the picture as JPEG or PNG.",
        "image_is_page" => "Give the address of a picture instead of a page.",
        "additional_images_cut" => "Nothing, or put the best pictures first.",
        "not_google_category" => "Name the categories as Google does, or give googleProductCategory.",
        "category_cut" => "Set category_levels to 0.",
        "option_not_sent" => "Map the option with option_synonyms, or switch on additional_variant_attributes.",
        "attribute_unusable" => "Correct the attribute that the item's page names.",
        "group_id_is_item_id" => "Give product and variant distinct ids.",
        _ => Finding::of_code(code)
            .map_or("Read the item's page; the mapper module that gives this warning explains it.", Finding::advice),
    }
}

/// The setting that helps against a warning of the built-in mapper or of the lint pass, if one does.
#[must_use]
pub fn setting_for(code: &str) -> Option<&'static str> {
    match WarningCode::ALL.iter().find(|known| known.as_str() == code) {
        Some(known) => known.setting(),
        None => Finding::of_code(code)?.setting(),
    }
}

/// How much a cause matters, and what to do about it.
#[must_use]
pub fn of_cause(cause: &str) -> (Weight, &'static str) {
    let (source, code) = cause.split_once(':').unwrap_or(("service", cause));
    match (source, code) {
        ("eligibility", "missing_price") => (Weight::Error, "Give the variant a price above zero."),
        ("eligibility", "missing_storefront_slug") => (Weight::Error, "Give the product a slug or a link."),
        ("eligibility", "currency_mismatch") => {
            (Weight::Error, "Give the price in the currency of the setting currency, or change that setting.")
        }
        ("eligibility", "product_not_active" | "product_not_public" | "product_deleted" | "variant_deleted") => {
            (Weight::Info, "Nothing, if the product should not be sold; else activate and publish it.")
        }
        ("eligibility", super::plan::EXCLUDED) => (Weight::Info, "Nothing, or include the item again."),
        ("eligibility", _) => (Weight::Info, "Read the item's page; the mapper module rejects the variant."),
        ("meta", "no_message") => {
            (Weight::Error, "Meta gave no message. Correct the warnings of the item; Commerce Manager may say more.")
        }
        ("meta", missing) if missing.starts_with("missing_") => (Weight::Error, of_warning(missing)),
        ("meta", _) => (Weight::Error, "Correct the data that Meta's message names; the change sends the item again."),
        ("mapper", _) => (Weight::Error, "Correct the data or the mapper module; then resync the failed items."),
        ("service", "outcome_unknown" | "canceled" | "error" | "poll_timeout") => {
            (Weight::Error, "Nothing: the items are sent again. If it lasts, look at the status.")
        }
        ("service", _) => (Weight::Error, "Resync the failed items."),
        _ => (Weight::Error, "Read the item's page."),
    }
}

#[cfg(test)]
mod tests {
    use mapper_core::EligibilityReason;

    use super::*;

    #[test]
    fn every_code_of_the_built_in_mapper_has_advice() {
        let other = of_warning("a module's own");
        for code in WarningCode::ALL {
            assert_ne!(of_warning(code.as_str()), other, "{code}");
        }
        let other = of_cause("eligibility:a module's own").1;
        for reason in EligibilityReason::ALL {
            assert_ne!(of_cause(&format!("eligibility:{}", reason.as_str())).1, other, "{reason:?}");
        }
        assert_eq!(setting_for("category_cut"), Some("category_levels"));
        assert_eq!(of_cause("meta:missing_brand").1, of_warning("missing_brand"));
    }
}
