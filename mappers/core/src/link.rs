//! The link to the storefront page.
//!
//! The variant's own link wins, then the product's. Else it is `storefront_base_url` without trailing slashes, then
//! `storefront_product_path` with a leading slash, every placeholder in it replaced by the encoded value. Encoding is that
//! of JavaScript's `encodeURIComponent` (a slash in a slug is `%2F`), so the slug decodes to what the shop holds.
//!
//! Left out on purpose: the base is not judged beyond "is it http(s)"; settings are checked when written.

use percent_encoding::utf8_percent_encode;

use crate::given::Given;
use crate::item::{MapSettings, Product, Variant};
use crate::text;
use crate::trace::branch;
use crate::url::{COMPONENT, clean, has_ascii_host, is_absolute};
use crate::warnings::{WarningCode, Warnings};

/// What `storefront_product_path` may hold.
pub const PLACEHOLDERS: [&str; 4] = ["{slug}", "{variantId}", "{productId}", "{sku}"];

/// Checks a template of a path.
///
/// # Errors
/// What is wrong with it: it does not begin with a slash, has no placeholder, or has a brace of anything else.
pub fn check_template(path: &str) -> Result<(), String> {
    let known = PLACEHOLDERS.join(", ");
    if !path.starts_with('/') {
        return Err(format!("a path that begins with / and contains one of {known}"));
    }
    let (mut rest, mut count) = (path, 0);
    while let Some(at) = rest.find(['{', '}']) {
        rest = &rest[at..];
        let Some(found) = PLACEHOLDERS.iter().find(|placeholder| rest.starts_with(*placeholder)) else {
            return Err(format!("a path whose only placeholders are {known}"));
        };
        rest = &rest[found.len()..];
        count += 1;
    }
    if count == 0 {
        return Err(format!("a path that contains one of {known}: otherwise all products share one page"));
    }
    Ok(())
}

/// Whether the link of an item is made of its slug.
pub(crate) fn needs_slug(settings: &MapSettings, given: &Given) -> bool {
    given.link.is_none() && text::line(&settings.storefront_product_path).contains("{slug}")
}

/// The page of an item.
pub(crate) fn of(
    settings: &MapSettings,
    slug: &str,
    product: &Product,
    variant: &Variant,
    given: &Given,
    warnings: &mut Warnings,
) -> String {
    if given.has_unusable_link {
        let message = "a link that the item brings is no http(s) address, so it is not sent; correct it";
        warnings.add(WarningCode::OwnLinkUnusable, Some("link"), message);
    }
    let link = match &given.link {
        Some(own) => {
            branch!("link.own");
            clean(own).into_owned()
        }
        None => {
            let sku = text::unquoted(variant.sku.as_deref().unwrap_or_default());
            build(settings, [slug, &variant.id, &product.id, sku], warnings)
        }
    };
    if !has_ascii_host(&link) {
        let message = "the link's host has letters beyond ASCII, which Meta may refuse; write it in Punycode (xn--…)";
        warnings.add(WarningCode::HostNotAscii, Some("link"), message);
    }
    link
}

/// The page that the template makes of the values of [`PLACEHOLDERS`].
pub(crate) fn build(settings: &MapSettings, values: [&str; 4], warnings: &mut Warnings) -> String {
    let base = text::line(&settings.storefront_base_url);
    let base = base.trim_end_matches('/');
    let path = text::line(&settings.storefront_product_path);
    if !is_absolute(base) {
        let message = "the link is no http(s) address; set `storefront_base_url`";
        warnings.add(WarningCode::LinkNotAbsolute, Some("link"), message);
    }
    let mut link = String::with_capacity(base.len() + path.len() + values[0].len() + 1);
    link.push_str(base);
    if !path.starts_with('/') {
        link.push('/');
    }
    let mut rest: &str = &path;
    while let Some(at) = rest.find('{') {
        link.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(index) = PLACEHOLDERS.iter().position(|placeholder| rest.starts_with(placeholder)) else {
            link.push('{');
            rest = &rest[1..];
            continue;
        };
        link.extend(utf8_percent_encode(values[index], COMPONENT));
        rest = &rest[PLACEHOLDERS[index].len()..];
        if index > 0 && values[index].is_empty() {
            let message = format!(
                "the item has nothing for {} in `storefront_product_path`; give it a value or use another placeholder",
                PLACEHOLDERS[index]
            );
            warnings.add(WarningCode::LinkPlaceholderEmpty, Some("link"), message);
        }
    }
    link.push_str(rest);
    if path.contains(PLACEHOLDERS[0]) {
        judge_slug(values[0], warnings);
    }
    if !PLACEHOLDERS.iter().any(|placeholder| path.contains(placeholder)) {
        let message = "all products share one link; put {slug} into `storefront_product_path`";
        warnings.add(WarningCode::LinkWithoutSlug, Some("link"), message);
    }
    if is_absolute(base) { clean(&link).into_owned() } else { link }
}

/// Warns of a slug whose page is not likely to exist. It is sent as it is.
fn judge_slug(slug: &str, warnings: &mut Warnings) {
    let slug = slug.trim();
    let (code, what) = if is_absolute(slug) || slug.starts_with("//") {
        (WarningCode::SlugIsUrl, "is a whole URL; give it as the product's `link` instead")
    } else if slug.contains('/') {
        (WarningCode::SlugWithSlash, "has a slash, which is encoded as %2F; give one segment of the path")
    } else if slug.contains('%') && clean_percent(slug) {
        (WarningCode::SlugEncoded, "is percent-encoded already and is encoded once more; give it as plain text")
    } else if !slug.chars().any(char::is_alphanumeric) {
        (WarningCode::SlugWithoutText, "has neither letter nor digit; give the product a slug")
    } else {
        return;
    };
    warnings.add(code, Some("link"), format!("the slug “{}” {what}", text::cut(slug, 100)));
}

/// Whether every percent sign begins an encoded byte.
fn clean_percent(slug: &str) -> bool {
    slug.match_indices('%')
        .all(|(at, _)| slug.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_its_placeholders_and_no_other_brace() {
        for good in ["/product/{slug}", "/p/{productId}?variant={variantId}&sku={sku}", "/{slug}{slug}"] {
            assert_eq!(check_template(good), Ok(()), "{good}");
        }
        for bad in ["/p", "p/{slug}", "/p/{slug}?variant={id}", "/p/{s{slug}ku}", "/p/{slug", "/p/{slug}}", "/{Slug}"] {
            assert!(check_template(bad).is_err(), "{bad}");
        }
    }
}
