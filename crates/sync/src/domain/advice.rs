//! What a warning or a cause is called, and what an operator does about it: tables by code.

use std::borrow::Cow;

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

/// What a code is called. A code that is not known, such as one of a mapper module, is its own title without underscores;
/// Meta's message stays as it is.
#[must_use]
pub fn title(code: &str) -> Cow<'_, str> {
    let known = match code {
        "missing_title" => "No title",
        "missing_description" => "No description",
        "missing_image" => "No picture",
        "missing_brand" => "No brand",
        "missing_identifiers" => "No brand, GTIN or part number",
        "title_cut" => "Title is cut",
        "description_cut" => "Description is cut",
        "over_meta_limit" => "A field is longer than Meta takes",
        "title_all_caps" => "Title in capitals",
        "markup_in_title" => "HTML in the title",
        "markup_in_description" => "HTML in the description",
        "description_equals_title" => "Description repeats the title",
        "unknown_currency" => "Unknown currency",
        "currency_without_hundredths" => "Currency without hundredths",
        "unknown_condition" => "Unknown condition",
        "link_not_absolute" => "Link without the storefront's address",
        "link_without_slug" => "All links are the same",
        "link_placeholder_empty" => "Link with a gap",
        "own_link_unusable" => "The item's own link cannot be used",
        "slug_is_url" => "Slug is a whole address",
        "slug_with_slash" => "Slug with a slash",
        "slug_encoded" => "Slug is encoded already",
        "slug_without_text" => "Slug without letters or digits",
        "host_not_ascii" => "Address with letters beyond ASCII",
        "entity_in_text" => "HTML entity in a text",
        "invalid_gtin" => "Barcode is not valid",
        "restricted_gtin" => "Barcode for use inside a shop only",
        "sale_price_not_positive" => "Sale price is not above zero",
        "sale_price_not_below_price" => "Sale price is not below the price",
        "sale_window_inverted" => "Sale ends before it begins",
        "sale_window_too_short" => "Sale is too short",
        "image_unusable" => "Picture's address cannot be used",
        "image_format" => "Picture is neither JPEG nor PNG",
        "image_is_page" => "Picture's address is a page",
        "additional_images_cut" => "More pictures than Meta takes",
        "not_google_category" => "Category is not one of Google's",
        "category_cut" => "Category is cut",
        "option_not_sent" => "An option is not sent",
        "attribute_unusable" => "Attribute cannot be used",
        "group_id_is_item_id" => "Product and variant have the same id",
        "missing_price" => "No price",
        "missing_storefront_slug" => "No page in the storefront",
        "currency_mismatch" => "Price in another currency",
        "product_not_active" => "Product is not active",
        "product_not_public" => "Product is not public",
        "product_deleted" => "Product is deleted in the shop",
        "variant_deleted" => "Variant is deleted in the shop",
        super::plan::EXCLUDED => "Kept out by an operator",
        "mapper_error" => "The mapper failed",
        "no_message" => "Refused without a message",
        "outcome_unknown" => "Meta's answer did not arrive",
        "verdict_incomplete" => "Meta's verdict is incomplete",
        "canceled" => "Meta cancelled the call",
        "error" => "Meta failed on the call",
        "poll_timeout" => "No verdict in time",
        "not_taken" => "Meta did not take the item",
        "unreadable" => "The row cannot be read",
        "not_tried" => "The mapper was too slow",
        "other_codes" => "Other findings",
        _ => match Finding::of_code(code) {
            Some(finding) => finding.title(),
            None => return spelled(code),
        },
    };
    Cow::Borrowed(known)
}

/// Writes a code as words.
fn spelled(code: &str) -> Cow<'_, str> {
    let is_code = code.contains('_') && code.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
    if !is_code {
        return Cow::Borrowed(code);
    }
    let words = code.replace('_', " ");
    let words = words.trim();
    let mut chars = words.chars();
    chars
        .next()
        .map_or(Cow::Borrowed(code), |first| Cow::Owned(format!("{}{}", first.to_ascii_uppercase(), chars.as_str())))
}

/// Whether Meta refuses an item that was sent with this warning: a field that Meta requires is missing.
#[must_use]
pub fn is_refused(warning: &str) -> bool {
    matches!(warning, "missing_title" | "missing_description" | "missing_image")
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
        ("eligibility", "product_not_active" | "product_not_public") => {
            (Weight::Info, "Nothing, if the product should not be sold; else activate and publish it.")
        }
        ("eligibility", "product_deleted" | "variant_deleted") => {
            (Weight::Info, "Nothing: the shop sells it no longer.")
        }
        ("eligibility", super::plan::EXCLUDED) => (Weight::Info, "Nothing, or include the item again."),
        ("eligibility", _) => (Weight::Info, "Read the item's page; the mapper module rejects the variant."),
        ("meta", "no_message") => {
            (Weight::Error, "Meta gave no message. Correct the warnings of the item; Commerce Manager may say more.")
        }
        ("meta", missing) if missing.starts_with("missing_") => (Weight::Error, of_warning(missing)),
        ("meta", message) if message.starts_with("A required field is missing") => {
            let missing =
                [("image", "missing_image"), ("description", "missing_description"), ("brand", "missing_brand")];
            let advice = missing.into_iter().find(|(word, _)| message.contains(word)).map(|(_, code)| of_warning(code));
            (
                Weight::Error,
                advice.unwrap_or("Give the field that Meta's message names; the change sends the item again."),
            )
        }
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
    fn every_code_has_a_title() {
        let warnings = WarningCode::ALL.iter().map(|code| code.as_str());
        let reasons = EligibilityReason::ALL.iter().map(|reason| reason.as_str());
        let findings = Finding::ALL.iter().map(|finding| finding.code());
        for code in warnings.chain(reasons).chain(findings) {
            assert!(matches!(title(code), Cow::Borrowed(title) if title != code), "{code}");
            assert!(!title(code).contains('_') && !title(code).ends_with('.'), "{code}");
        }
        for (code, told) in [
            ("own_margin_too_low", "Own margin too low"),
            ("Products need to have prices", "Products need to have prices"),
            ("Field a_b is wrong", "Field a_b is wrong"),
            ("_", "_"),
            ("", ""),
        ] {
            assert_eq!(title(code), told);
        }
    }

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
        assert_eq!(of_cause("meta:A required field is missing: image_link").1, of_warning("missing_image"));
    }
}
