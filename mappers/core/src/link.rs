//! The link to the storefront page, and the percent-encoding shared with object keys.
//!
//! `storefront_base_url` without trailing slashes, then `storefront_product_path` with a leading slash,
//! every `{slug}` in it replaced by the encoded slug. Encoding is that of JavaScript's
//! `encodeURIComponent` (a slash in a slug is `%2F`), so the slug decodes to what the shop holds.
//!
//! Left out on purpose: the base is not judged beyond "is it http(s)"; settings are checked when written.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::item::MapSettings;
use crate::text;
use crate::warnings::{WarningCode, Warnings};

/// All but `A–Z a–z 0–9 - _ . ! ~ * ' ( )`.
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

const SLUG: &str = "{slug}";

/// The storefront page of a slug.
pub(crate) fn build(settings: &MapSettings, slug: &str, warnings: &mut Warnings) -> String {
    let base = text::line(&settings.storefront_base_url);
    let base = base.trim_end_matches('/');
    let path = text::line(&settings.storefront_product_path);
    if !is_absolute(base) {
        let message = "the link is no http(s) address; set `storefront_base_url`";
        warnings.add(WarningCode::LinkNotAbsolute, Some("link"), message);
    }
    if !path.contains(SLUG) {
        let message = "all products share one link; put {slug} into `storefront_product_path`";
        warnings.add(WarningCode::LinkWithoutSlug, Some("link"), message);
    }

    let mut link = String::with_capacity(base.len() + path.len() + slug.len() + 1);
    link.push_str(base);
    if !path.starts_with('/') {
        link.push('/');
    }
    for (index, part) in path.split(SLUG).enumerate() {
        if index > 0 {
            link.extend(utf8_percent_encode(slug, COMPONENT));
        }
        link.push_str(part);
    }
    link
}

/// Whether a URL is `http` or `https`, in any case, and names a host.
pub(crate) fn is_absolute(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let names_host = rest.starts_with(|c: char| c.is_alphanumeric() || c == '[');
    names_host && (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
}
