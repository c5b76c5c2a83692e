//! The headers that say whose session a request has. Without the secret nothing is a session.
#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use meta_catalog::http::session::{SessionRules, bearer, claim};
use secrecy::SecretString;

fuzz_target!(|headers: (&[u8], &[u8], &[u8])| {
    let mut map = HeaderMap::new();
    let names = [header::COOKIE, header::COOKIE, header::AUTHORIZATION];
    for (name, value) in names.into_iter().zip([headers.0, headers.1, headers.2]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            map.append(name, value);
        }
    }
    let rules = SessionRules {
        secret: SecretString::from("a secret that nobody knows of here".to_owned()),
        cookie_name: "better-auth.session_token".into(),
        raw_bearer: false,
        impersonation_may_manage: false,
        roles: Default::default(),
    };
    assert!(bearer(&map).is_none_or(|secret| !secret.is_empty()));
    assert!(claim(&map, &rules).is_none(), "forged");
});
