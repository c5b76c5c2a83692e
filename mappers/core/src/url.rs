//! URLs as Meta takes them: the percent-encoding of keys and slugs, and the cleaning of whole URLs.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode_byte};

use crate::trace::branch;

/// All but `A–Z a–z 0–9 - _ . ! ~ * ' ( )`: the encoding of JavaScript's `encodeURIComponent`.
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

/// Whether a URL is `http` or `https`, in any case, and names a host. Letters beyond ASCII may stand in a host; blanks and
/// other characters that no host has may not.
pub(crate) fn is_absolute(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let names_host = host.starts_with(|c: char| c.is_alphanumeric() || c == '[');
    let is_host =
        host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']') || !c.is_ascii());
    let port = if host.starts_with('[') { None } else { host.split_once(':').map(|(_, port)| port) };
    is_web && names_host && is_host && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether the host of an absolute URL is ASCII, as it must be on the wire.
pub(crate) fn has_ascii_host(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest).is_ascii()
}

/// An absolute URL with scheme and host in lower case, and percent-encoded where RFC 3986 does not allow a character.
/// What is encoded already and reserved characters stay as the shop wrote them. The host is only put into lower case.
pub(crate) fn clean(url: &str) -> Cow<'_, str> {
    let authority_at = url.find("://").map_or(0, |at| at + 3);
    let path_at = url[authority_at..].find(['/', '?', '#']).map_or(url.len(), |at| authority_at + at);
    let (head, rest) = url.split_at(path_at);
    let host_at = head.rfind('@').map_or(authority_at, |at| at + 1);
    let is_lower = |text: &str| !text.chars().any(char::is_uppercase);
    if is_lower(&head[..authority_at]) && is_lower(&head[host_at..]) && is_clean(rest) {
        return Cow::Borrowed(url);
    }
    branch!("url.cleaned");
    let mut out = String::with_capacity(url.len() + 16);
    out.push_str(&head[..authority_at].to_ascii_lowercase());
    out.push_str(&head[authority_at..host_at]);
    out.push_str(&head[host_at..].to_lowercase());
    let mut in_fragment = false;
    for (at, byte) in rest.bytes().enumerate() {
        if is_allowed(rest.as_bytes(), at, in_fragment) {
            in_fragment |= byte == b'#';
            out.push(char::from(byte));
        } else {
            out.push_str(percent_encode_byte(byte));
        }
    }
    Cow::Owned(out)
}

fn is_clean(rest: &str) -> bool {
    let mut in_fragment = false;
    rest.bytes().enumerate().all(|(at, byte)| {
        let is_allowed = is_allowed(rest.as_bytes(), at, in_fragment);
        in_fragment |= byte == b'#';
        is_allowed
    })
}

/// Whether the byte at `at` may stand in path, query or fragment.
fn is_allowed(bytes: &[u8], at: usize, in_fragment: bool) -> bool {
    match bytes[at] {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => true,
        b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        | b':' | b'@' | b'/' | b'?' => true,
        b'#' => !in_fragment,
        b'%' => {
            matches!(bytes.get(at + 1..at + 3), Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_rfc_3986_forbids_is_encoded_and_the_rest_stays() {
        for (raw, expected) in [
            (
                "http://site.example/картинка.jpg",
                "http://site.example/%D0%BA%D0%B0%D1%80%D1%82%D0%B8%D0%BD%D0%BA%D0%B0.jpg",
            ),
            ("https://c.example/a|b\"c<d>.jpg", "https://c.example/a%7Cb%22c%3Cd%3E.jpg"),
            ("HTTPS://CDN.Example/A%20b.JPG?x=[1]&Y=%zz", "https://cdn.example/A%20b.JPG?x=%5B1%5D&Y=%25zz"),
            ("https://User@Host.example:8080/a", "https://User@host.example:8080/a"),
            ("https://c.example/a#b#c", "https://c.example/a#b%23c"),
            ("https://c.example", "https://c.example"),
            ("https://c.example/a b\u{7f}", "https://c.example/a%20b%7F"),
        ] {
            assert_eq!(clean(raw), expected);
        }
    }

    #[test]
    fn a_host_is_judged() {
        for good in [
            "http://a",
            "https://a.example:80/x y",
            "HTTPS://BÜCHER.example",
            "https://[::1]:8/",
            "https://u@a.example",
        ] {
            assert!(is_absolute(good), "{good}");
        }
        for bad in [
            "https://exa mple.com",
            "https://ex<a>.com/",
            "https://c.example\\a.jpg",
            "https://a:80:x/",
            "ftp://a",
            "//a",
            "https://",
        ] {
            assert!(!is_absolute(bad), "{bad}");
        }
        assert!(!has_ascii_host("https://bücher.example/a") && has_ascii_host("https://a.example/ü"));
    }

    proptest! {
        #[test]
        fn a_clean_url_parses_and_is_clean(path in "\\PC{0,20}") {
            let raw = format!("https://c.example/{path}");
            let once = clean(&raw);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(once.is_ascii());
            prop_assert!(url::Url::parse(&once).is_ok());
        }
    }
}
