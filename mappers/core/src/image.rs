//! Pictures: which, in which order, under which URL.
//!
//! Order: the variant's thumbnail, the variant's images, the product's thumbnail, the product's images;
//! blanks are skipped. The first is the main picture, the next ten distinct ones are additional.
//! A reference is resolved first and compared after, so a key and its full URL are one picture:
//! - `http://` or `https://` in any case passes through, percent-encoded where RFC 3986 does not allow a character, with
//!   scheme and host in lower case; `//host/…` gets `https:`.
//! - Another scheme (`data:`, `s3://` …) or a film (`.mp4` …) is no picture that Meta could fetch: skipped.
//! - Anything else is an object key: `S3_PUBLIC_URL`, a slash, the key percent-encoded as stored (no
//!   normalisation, its slashes kept, leading ones dropped). Without a usable `S3_PUBLIC_URL` it is skipped.
//!
//! Left out on purpose: nothing is fetched, and no version token is added to a URL.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::explain::Candidates;
use crate::item::{Product, Variant};
use crate::text;
use crate::trace::branch;
use crate::url::{COMPONENT, clean, has_ascii_host, is_absolute};
use crate::warnings::{WarningCode, Warnings};

/// How many additional pictures are sent.
const MAX_ADDITIONAL: usize = 10;
/// A key is a path: its slashes separate.
const KEY: &AsciiSet = &COMPONENT.remove(b'/');
const FILMS: [&str; 8] = ["mp4", "m4v", "mov", "webm", "avi", "mkv", "ogv", "mpg"];
const UNREAD_FORMATS: [&str; 10] = ["webp", "gif", "svg", "avif", "bmp", "tif", "tiff", "heic", "heif", "pdf"];
const PAGES: [&str; 5] = ["html", "htm", "php", "aspx", "jsp"];
/// A film site has pictures of its films too.
const PICTURES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
const FILM_SITES: [&str; 5] = ["youtube.com", "youtu.be", "vimeo.com", "tiktok.com", "dailymotion.com"];

/// The pictures of a variant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Images<'a> {
    /// The main picture.
    pub(crate) main: Option<Cow<'a, str>>,
    /// Up to ten others.
    pub(crate) additional: Vec<Cow<'a, str>>,
}

/// Why a reference cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unusable {
    NoBase,
    NoHost,
    Scheme,
    Film,
}

impl Unusable {
    fn advice(self) -> &'static str {
        match self {
            Self::NoBase => "is an object key, but S3_PUBLIC_URL is no http(s) address; set it",
            Self::NoHost => "is a URL without a host; correct it",
            Self::Scheme => "is neither an http(s) URL nor an object key; upload the picture",
            Self::Film => "is a film; keep films out of the images",
        }
    }
}

/// Resolves, deduplicates and caps the pictures. `base` is the public URL of the object store.
pub(crate) fn collect<'a>(
    base: &str,
    product: &'a Product,
    variant: &'a Variant,
    warnings: &mut Warnings,
) -> Images<'a> {
    let base = text::line(base);
    let base = clean(base.trim_end_matches('/'));
    let base: &str = &base;
    let of_variant = sources(variant.thumbnail.as_deref(), &variant.images).map(|raw| (raw, true));
    let of_product = sources(product.thumbnail.as_deref(), &product.images).map(|raw| (raw, false));

    let mut images = Images::default();
    let mut refused: Option<(&str, Unusable)> = None;
    for (raw, is_variants) in of_variant.chain(of_product) {
        let url = match resolve(base, raw) {
            Ok(url) => url,
            Err(reason) => {
                refused = refused.or(Some((raw, reason)));
                continue;
            }
        };
        let Some(main) = &images.main else {
            branch!(if is_variants { "image.main_from_variant" } else { "image.main_from_product" });
            images.main = Some(url);
            continue;
        };
        if *main == url || images.additional.contains(&url) {
            branch!("image.duplicate");
        } else if images.additional.len() == MAX_ADDITIONAL {
            let message = format!("only the first {MAX_ADDITIONAL} additional images are sent");
            warnings.add(WarningCode::AdditionalImagesCut, Some("additional_image_link"), message);
            break;
        } else {
            branch!("image.additional");
            images.additional.push(url);
        }
    }

    if let Some((raw, reason)) = refused {
        let message = format!("image “{}” {}", text::cut(raw, 100), reason.advice());
        warnings.add(WarningCode::ImageUnusable, None, message);
    }
    match &images.main {
        None => {
            let message = "there is no usable image; give the variant or the product one";
            warnings.add(WarningCode::MissingImage, Some("image_link"), message);
        }
        Some(main) => judge(main, "image_link", warnings),
    }
    let is_doubtful = |url: &&Cow<'_, str>| !has_ascii_host(url) || is_page(url) || has_extension(url, &UNREAD_FORMATS);
    if let Some(first) = images.additional.iter().find(is_doubtful) {
        judge(first, "additional_image_link", warnings);
    }
    images
}

/// Every reference in the order of the choice, by its place in an import line, with the URL that it stands for.
pub(crate) fn candidates(base: &str, product: &Product, variant: &Variant) -> Candidates {
    let base = text::line(base);
    let base = clean(base.trim_end_matches('/'));
    let of = |owner: &str, thumbnail: Option<&str>, images: &[String]| -> Candidates {
        let places = std::iter::once(format!("{owner}.thumbnail"))
            .chain((0..images.len()).map(|at| format!("{owner}.images[{at}]")));
        let raws = std::iter::once(thumbnail.unwrap_or_default()).chain(images.iter().map(String::as_str));
        let used = places.zip(raws).filter(|(_, raw)| sources(Some(raw), &[]).next().is_some());
        let urls = used.map(|(place, raw)| {
            let raw = sources(Some(raw), &[]).next().unwrap_or_default();
            (place, resolve(&base, raw).ok().map(Cow::into_owned))
        });
        urls.take(MAX_ADDITIONAL).collect()
    };
    let mut all = of("variant", variant.thumbnail.as_deref(), &variant.images);
    all.extend(of("product", product.thumbnail.as_deref(), &product.images));
    all
}

/// Warns of a picture that Meta is not likely to show.
fn judge(url: &str, field: &'static str, warnings: &mut Warnings) {
    if !has_ascii_host(url) {
        let message = "the image's host has letters beyond ASCII, which Meta may refuse; write it in Punycode (xn--…)";
        warnings.add(WarningCode::HostNotAscii, Some(field), message);
    }
    if is_page(url) {
        let message = format!("“{}” is a page, not a picture; give the address of a JPEG or PNG", text::cut(url, 100));
        warnings.add(WarningCode::ImageIsPage, Some(field), message);
    } else if has_extension(url, &UNREAD_FORMATS) {
        let message = if field == "image_link" {
            "Meta reads JPEG and PNG; offer the main image in one of them".to_owned()
        } else {
            format!("Meta reads JPEG and PNG; offer “{}” in one of them", text::cut(url, 100))
        };
        warnings.add(WarningCode::ImageFormat, Some(field), message);
    }
}

/// Whether a URL leads to a page: one of a film site, or one with the extension of a page.
fn is_page(url: &str) -> bool {
    let host = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#', ':']).next().unwrap_or(rest));
    let is_film_site = FILM_SITES
        .iter()
        .any(|site| host.strip_suffix(site).is_some_and(|before| before.is_empty() || before.ends_with('.')));
    (is_film_site && !has_extension(url, &PICTURES)) || has_extension(url, &PAGES)
}

/// A thumbnail and then the images, ends trimmed, blanks skipped.
fn sources<'a>(thumbnail: Option<&'a str>, images: &'a [String]) -> impl Iterator<Item = &'a str> {
    let all = thumbnail.into_iter().chain(images.iter().map(String::as_str));
    all.map(|raw| raw.trim_matches(|c: char| c.is_whitespace() || text::is_dropped(c))).filter(|raw| !raw.is_empty())
}

/// The URL that a reference stands for.
fn resolve<'a>(base: &str, raw: &'a str) -> Result<Cow<'a, str>, Unusable> {
    if has_extension(raw, &FILMS) {
        branch!("image.film");
        return Err(Unusable::Film);
    }
    if is_absolute(raw) {
        branch!("image.absolute");
        return Ok(clean(raw));
    }
    if let Some(rest) = raw.strip_prefix("//") {
        branch!("image.scheme_relative");
        let url = format!("https://{rest}");
        return if is_absolute(&url) { Ok(Cow::Owned(clean(&url).into_owned())) } else { Err(Unusable::NoHost) };
    }
    if let Some(scheme) = scheme(raw) {
        branch!("image.other_scheme");
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        return Err(if is_web { Unusable::NoHost } else { Unusable::Scheme });
    }
    if !is_absolute(base) {
        branch!("image.key_without_base");
        return Err(Unusable::NoBase);
    }
    branch!("image.key");
    let key = raw.trim_start_matches('/');
    let mut url = String::with_capacity(base.len() + 1 + key.len());
    url.push_str(base);
    url.push('/');
    url.extend(utf8_percent_encode(key, KEY));
    Ok(Cow::Owned(url))
}

/// The scheme of a URL that is not an object key: `name://…` or `data:…`.
fn scheme(raw: &str) -> Option<&str> {
    let (scheme, rest) = raw.split_once(':')?;
    let well_formed = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let is_url = rest.starts_with("//") || scheme.eq_ignore_ascii_case("data");
    (well_formed && is_url).then_some(scheme)
}

/// Whether the path of a URL or key ends in one of the extensions, in any case.
fn has_extension(url: &str, extensions: &[&str]) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').is_some_and(|(_, ext)| extensions.iter().any(|known| ext.eq_ignore_ascii_case(known)))
}
