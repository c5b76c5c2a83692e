use axum::http::HeaderValue;

use super::*;
use catalog_sync::store::better_auth::Impersonator;

const NOW: Millis = 1_764_000_000_000;

fn rules() -> SessionRules {
    SessionRules {
        secret: "session-secret".into(),
        cookie_name: "better-auth.session_token".into(),
        raw_bearer: true,
        impersonation_may_manage: false,
        roles: Roles::default(),
    }
}

fn signature(token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"session-secret").expect("any length");
    mac.update(token.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (header::HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a header"))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

fn claimed(pairs: &[(&'static str, &str)]) -> Option<(String, Via)> {
    claim(&headers(pairs), &rules()).map(|claim| (claim.token.expose_secret().to_owned(), claim.via))
}

#[test]
fn a_token_may_hold_dots_and_the_cookie_may_be_in_the_second_header() {
    let cookie = format!("better-auth.session_token=a.b.{}", signature("a.b"));
    assert_eq!(claimed(&[("cookie", "theme=dark"), ("cookie", &cookie)]), Some(("a.b".into(), Via::Cookie)));
    assert_eq!(claimed(&[("cookie", &format!("better-auth.session_token=.{}", signature("")))]), None);
}

/// A sibling host can plant a cookie under any name that it may set; a browser sends it under that very name.
#[test]
fn blanks_that_a_browser_would_not_trim_are_part_of_a_name() {
    let good = format!("better-auth.session_token=t.{}", signature("t"));
    let planted = format!("better-auth.session_token=p.{}", signature("p"));
    for blank in ["\u{3000}", "\u{a0}", "\u{feff}", "\u{2028}", "\u{85}", "\u{200b}"] {
        assert_eq!(claimed(&[("cookie", &format!("{blank}{planted}"))]), None, "{blank:?}");
        for both in [format!("{blank}{planted}; {good}"), format!("{blank}{planted};\t {good}\t ; theme=dark")] {
            assert_eq!(claimed(&[("cookie", &both)]), Some(("t".into(), Via::Cookie)), "{blank:?}");
        }
        let apart = planted.replacen('=', &format!("{blank}="), 1);
        assert_eq!(claimed(&[("cookie", &apart)]), None, "{blank:?}");
        // A value with it has no good signature.
        assert_eq!(claimed(&[("cookie", &format!("{good}{blank}"))]), None, "{blank:?}");
    }
}

#[test]
fn of_several_cookies_of_the_name_only_the_first_counts() {
    let [first, second] = ["a", "b"].map(|token| format!("better-auth.session_token={token}.{}", signature(token)));
    assert_eq!(claimed(&[("cookie", &format!("{first}; {second}"))]), Some(("a".into(), Via::Cookie)));
    assert_eq!(claimed(&[("cookie", &first), ("cookie", &second)]), Some(("a".into(), Via::Cookie)));
    let forged = format!("better-auth.session_token=a.{}", signature("another"));
    assert_eq!(claimed(&[("cookie", &format!("{forged}; {second}"))]), None);
}

#[test]
fn a_bad_bearer_beside_a_good_cookie_is_a_cookie_request() {
    let cookie = format!("better-auth.session_token=t.{}", signature("t"));
    let bad = format!("Bearer t.{}", signature("another"));
    assert_eq!(claimed(&[("authorization", &bad), ("cookie", &cookie)]), Some(("t".into(), Via::Cookie)));
    assert_eq!(claimed(&[("authorization", "Bearer raw"), ("cookie", &cookie)]), Some(("raw".into(), Via::Bearer)));
}

#[test]
fn no_secret_shows() {
    let claim = claim(&headers(&[("authorization", "Bearer hunter2")]), &rules()).expect("raw is allowed");
    let shown = format!("{claim:?} {:?}", rules());
    assert!(!shown.contains("hunter2") && !shown.contains("session-secret"), "{shown}");
}

fn session() -> Session {
    Session {
        user_id: "u".into(),
        role: Some("catalog-admin".into()),
        ban: Ban::default(),
        expires_at: NOW,
        impersonator: None,
    }
}

fn decided(change: impl FnOnce(&mut Session)) -> Result<Vec<Permission>, Refusal> {
    let mut session = session();
    change(&mut session);
    decide(Some(session), NOW, &rules()).map(|holder| holder.permissions)
}

#[test]
fn a_session_and_a_ban_hold_up_to_their_last_millisecond() {
    let both = vec![Permission::View, Permission::Manage];
    assert_eq!(decide(None, NOW, &rules()), Err(Refusal::Unknown));
    assert_eq!(decided(|_| ()), Ok(both.clone()));
    assert_eq!(decided(|session| session.expires_at = NOW - 1), Err(Refusal::Expired));
    let banned = |until| decided(|session| session.ban = Ban { banned: true, until });
    assert_eq!(banned(None), Err(Refusal::Banned));
    assert_eq!(banned(Some(NOW)), Err(Refusal::Banned));
    assert_eq!(banned(Some(NOW - 1)), Ok(both));
}

#[test]
fn an_impersonator_may_look_but_not_manage_and_must_stand() {
    let by = |ban| decided(|session| session.impersonator = Some(Impersonator { id: "i".into(), ban }));
    assert_eq!(by(Some(Ban::default())), Ok(vec![Permission::View]));
    assert_eq!(by(Some(Ban { banned: true, until: None })), Err(Refusal::Impersonator));
    assert_eq!(by(None), Err(Refusal::Impersonator));
    let allowed = SessionRules { impersonation_may_manage: true, ..rules() };
    let impersonator = Impersonator { id: "i".into(), ban: Some(Ban::default()) };
    let holder = decide(Some(Session { impersonator: Some(impersonator), ..session() }), NOW, &allowed);
    let holder = holder.expect("it stands");
    assert_eq!((holder.impersonated_by.as_deref(), holder.permissions.len()), (Some("i"), 2));
}

#[test]
fn roles_are_split_at_commas_and_compared_exactly() {
    let roles = Roles(
        [("a", vec![Permission::Manage]), ("user", vec![Permission::View])]
            .map(|(role, permissions)| (role.to_owned(), permissions))
            .into(),
    );
    assert_eq!(granted(Some("a"), &roles), [Permission::Manage]);
    assert_eq!(granted(Some("x,a,user"), &roles), [Permission::View, Permission::Manage]);
    assert_eq!(granted(Some("A, a"), &roles), []);
    assert_eq!(granted(None, &roles), [Permission::View]);
    assert_eq!(granted(Some(""), &roles), [Permission::View]);
    assert_eq!(granted(Some("a"), &Roles::default()), []);
}

#[test]
fn a_cookie_changes_something_only_for_a_page_of_ours() {
    let ours = ["https://admin.shop.example", "http://127.0.0.1:8080"].map(str::to_owned);
    let intended = |method: Method, pairs: &[(&'static str, &str)]| {
        is_intended(&method, &headers(pairs), ours.clone().into_iter())
    };
    assert!(intended(Method::GET, &[]));
    for good in ["https://admin.shop.example", "https://admin.shop.example:443", "http://127.0.0.1:8080"] {
        assert!(intended(Method::POST, &[("origin", good), ("sec-fetch-site", "cross-site")]), "{good}");
    }
    let bad =
        ["null", "", "http://admin.shop.example", "https://shop.example", "https://admin.shop.example.evil.example"];
    for bad in bad {
        assert!(!intended(Method::POST, &[("origin", bad)]), "{bad}");
    }
    assert!(!intended(Method::DELETE, &[]));
    // The host that is asked, but not by http where browsers use https.
    assert!(intended(Method::POST, &[("origin", "https://proxy.example"), ("host", "proxy.example")]));
    assert!(!intended(Method::POST, &[("origin", "http://proxy.example"), ("host", "proxy.example")]));
    let at_home = |pairs: &[(&'static str, &str)]| {
        is_intended(&Method::POST, &headers(pairs), std::iter::once("http://127.0.0.1:8080".to_owned()))
    };
    assert!(at_home(&[("origin", "http://shop.lan:8080"), ("host", "shop.lan:8080")]));
    assert!(!at_home(&[("origin", "http://evil.lan:8080"), ("host", "shop.lan:8080")]));
    assert!(!intended(Method::PATCH, &[("sec-fetch-site", "same-site")]));
    assert!(!intended(Method::PATCH, &[("sec-fetch-site", "none")]));
    assert!(intended(Method::PATCH, &[("sec-fetch-site", "same-origin")]));
}
