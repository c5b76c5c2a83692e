//! The table of codes, and the consequences of each class.

use serde_json::{Value, json};

use super::*;

fn class(error: Value, http_status: u16) -> ErrorClass {
    ErrorClass::of(&GraphError::from_value(&error), http_status)
}

#[test]
fn codes_fall_into_their_class_whatever_the_http_status() {
    use AccountCause::*;
    use Bucket::*;
    use ErrorClass::*;
    use TokenCause::*;
    let cases: &[(i64, Option<i64>, ErrorClass)] = &[
        (1, None, Transient),
        (2, None, Transient),
        (3, None, Permission),
        (4, None, Throttled(App)),
        (4, Some(1_504_022), Throttled(App)),
        (10, None, Permission),
        (17, Some(2_446_079), Throttled(User)),
        (32, None, Throttled(Page)),
        (100, None, BadRequest),
        (100, Some(33), CatalogGone),
        (100, Some(1_752_129), BadRequest),
        (101, None, AppRejected),
        (102, None, TokenDead(Unspecified)),
        (104, None, AppRejected),
        (190, None, TokenDead(Unspecified)),
        (190, Some(452), TokenDead(Invalidated)),
        (190, Some(456), TokenDead(Malformed)),
        (190, Some(458), TokenDead(AppNotInstalled)),
        (190, Some(459), TokenDead(Checkpointed)),
        (190, Some(460), TokenDead(PasswordChanged)),
        (190, Some(463), TokenDead(Expired)),
        (190, Some(464), TokenDead(Unconfirmed)),
        (190, Some(467), TokenDead(Invalidated)),
        (190, Some(492), TokenDead(RoleLost)),
        (190, Some(9_999), TokenDead(Unspecified)),
        (199, None, BadRequest),
        (200, None, Permission),
        (294, None, Permission),
        (299, None, Permission),
        (300, None, BadRequest),
        (341, None, Throttled(App)),
        (368, None, PolicyBlocked),
        (415, None, AccountState(TwoFactorRequired)),
        (613, Some(1996), Throttled(Custom)),
        (2500, None, BadRequest),
        (3949, None, AccountState(TooManySystemUsers)),
        (3965, None, AccountState(TooManyAdminSystemUsers)),
        (10_800, None, BadRequest),
        (79_999, None, BadRequest),
        (80_000, None, Throttled(Business)),
        (80_008, None, Throttled(Business)),
        (80_009, None, Throttled(CatalogManagement)),
        (80_014, None, Throttled(CatalogBatch)),
        (80_015, None, BadRequest),
        (104_001, None, AccountState(AppOutsideBusiness)),
    ];
    for &(code, subcode, expected) in cases {
        let error = json!({"code": code, "error_subcode": subcode, "message": "any wording"});
        for status in [200, 400, 401, 403, 429] {
            assert_eq!(class(error.clone(), status), expected, "{code}/{subcode:?} with HTTP {status}");
        }
    }
}

#[test]
fn what_no_code_decides_is_decided_by_the_rest() {
    use ErrorClass::*;
    let reduce = "Please reduce the amount of data you're asking for, then retry your request";
    let cases = [
        (json!({"code": 1, "message": reduce}), 500, ReduceData),
        (json!({"code": 1, "message": reduce, "is_transient": true}), 500, ReduceData),
        (json!({"code": "2", "message": "m"}), 200, Transient),
        (json!({"code": 2.0, "message": "m"}), 200, Transient),
        // Meta's `is_transient` takes precedence over the code, except where the fix is known.
        (json!({"code": 100, "is_transient": true}), 400, Transient),
        (json!({"code": 200, "is_transient": true}), 400, Transient),
        (json!({"code": 80_014, "is_transient": true}), 400, Throttled(Bucket::CatalogBatch)),
        (json!({"code": 190, "is_transient": true}), 400, TokenDead(TokenCause::Unspecified)),
        // A documented refusal stays a refusal under a 5xx; an undocumented code does not become one.
        (json!({"code": 100}), 500, BadRequest),
        // A proof made with a wrong secret gives no information about the handle or the batch in the call.
        (json!({"code": 100, "message": "Invalid appsecret_proof provided in the API argument"}), 400, AppRejected),
        (
            json!({"code": 100, "message": "API calls from the server require an appsecret_proof argument"}),
            400,
            AppRejected,
        ),
        (json!({"code": 987_654}), 500, Transient),
        (json!({"code": 987_654}), 400, BadRequest),
        (json!({"message": "no code"}), 400, Unknown),
        (json!("invalid_request"), 400, Unknown),
    ];
    for (error, status, expected) in cases {
        assert_eq!(class(error.clone(), status), expected, "{error} with HTTP {status}");
    }
}

#[test]
fn code_1_means_the_app_secret_only_where_tokens_are_made() {
    let wrong_secret = json!({"code": 1, "message": "any wording"});
    let transient = json!({"code": 1, "is_transient": true});
    let cases = [
        (TOKEN_EDGE, &wrong_secret, 400, ErrorClass::AppRejected),
        (TOKEN_EDGE, &wrong_secret, 500, ErrorClass::Transient),
        (TOKEN_EDGE, &transient, 400, ErrorClass::Transient),
        ("items_batch", &wrong_secret, 400, ErrorClass::Transient),
    ];
    for (edge, error, status, expected) in cases {
        let failure = GraphFailure::refused(edge, status, GraphError::from_value(error));
        assert_eq!(failure.class(), expected, "{edge} {error} HTTP {status}");
    }
}

#[test]
fn a_hint_asks_to_reconnect_exactly_when_that_helps() {
    use ErrorClass::*;
    let cases = [
        (Transient, false),
        (ReduceData, false),
        (Throttled(Bucket::CatalogBatch), false),
        (Throttled(Bucket::App), false),
        (PolicyBlocked, true),
        (TokenDead(TokenCause::Expired), true),
        (Permission, true),
        (CatalogGone, false),
        (AccountState(AccountCause::TwoFactorRequired), false),
        (AppRejected, false),
        (BadRequest, false),
        (Unknown, false),
    ];
    for (class, reconnect) in cases {
        let hint = class.operator_hint();
        assert_eq!(reconnect, hint.contains("reconnect"), "{class:?}: {hint}");
    }
}

#[test]
fn every_dead_token_asks_to_reconnect_in_its_own_words() {
    use TokenCause::*;
    let all = [
        AppNotInstalled,
        Checkpointed,
        PasswordChanged,
        Expired,
        Unconfirmed,
        Invalidated,
        RoleLost,
        Malformed,
        Unspecified,
    ];
    let hints: std::collections::BTreeSet<_> = all.iter().map(|cause| cause.operator_hint()).collect();
    assert_eq!(hints.len(), all.len());
    assert!(hints.iter().all(|hint| hint.contains("reconnect")), "{hints:#?}");
}

#[test]
fn error_object_is_read_in_every_form() {
    let spelled = json!({
        "message": "(#100) bad", "type": "OAuthException", "code": "100", "error_subcode": 33.0,
        "is_transient": false, "error_user_title": "Title", "error_user_msg": "Text",
        "error_data": "{\"blame_field_specs\":[[\"requests\",\"0\"],[],[\"item_type\"]]}", "fbtrace_id": "AbC"
    });
    let error = GraphError::from_value(&spelled);
    let expected = GraphError {
        message: "(#100) bad".to_owned(),
        kind: Some("OAuthException".to_owned()),
        code: Some(100),
        subcode: Some(33),
        is_transient: false,
        user_title: Some("Title".to_owned()),
        user_message: Some("Text".to_owned()),
        blamed_fields: vec!["requests.0".to_owned(), "item_type".to_owned()],
        trace_id: Some("AbC".to_owned()),
    };
    assert_eq!(error, expected);

    let as_object = json!({"error_data": {"blame_field_specs": [["requests"]]}});
    assert_eq!(GraphError::from_value(&as_object).blamed_fields, ["requests"]);
    for junk in [json!({"error_data": "not json"}), json!({"error_data": []}), json!({"error_data": null}), json!(7)] {
        assert_eq!(GraphError::from_value(&junk).blamed_fields, Vec::<String>::new(), "{junk}");
    }
}

#[test]
fn outcome_is_unknown_only_when_meta_may_have_acted() {
    let unanswered = |kind, status| GraphFailure::without_error(kind, "items_batch", status, "detail".to_owned());
    let refused = |error: Value| GraphFailure::refused("items_batch", 400, GraphError::from_value(&error));
    let cases = [
        (unanswered(FailureKind::NotSent, None), false),
        (unanswered(FailureKind::Connect, None), false),
        (unanswered(FailureKind::Timeout, None), true),
        (unanswered(FailureKind::Reset, None), true),
        (unanswered(FailureKind::Truncated, Some(200)), true),
        (unanswered(FailureKind::TooLarge, Some(200)), true),
        (unanswered(FailureKind::Redirected, Some(302)), true),
        (unanswered(FailureKind::NotJson, Some(502)), true),
        (unanswered(FailureKind::NotJson, Some(413)), false),
        (unanswered(FailureKind::Unreadable, Some(200)), true),
        (unanswered(FailureKind::SuccessFalse, Some(200)), true),
        (refused(json!({"code": 2})), true),
        (refused(json!({"message": "no code"})), true),
        (refused(json!({"code": 100})), false),
        (refused(json!({"code": 80_014})), false),
        (refused(json!({"code": 190})), false),
        (refused(json!({"code": 1, "message": "reduce the amount of data"})), false),
    ];
    for (failure, expected) in cases {
        assert_eq!(failure.outcome_unknown(), expected, "{failure:?}");
    }
}

#[test]
fn display_names_edge_message_and_codes() {
    let error = json!({"message": "(#80014) too many calls", "code": 80_014, "error_subcode": 5, "fbtrace_id": "AbC"});
    let failure = GraphFailure::refused("items_batch", 400, GraphError::from_value(&error));
    assert_eq!(
        failure.to_string(),
        "items_batch: (#80014) too many calls (HTTP 400, code 80014, subcode 5, fbtrace_id AbC)"
    );
    let failure = GraphFailure::without_error(FailureKind::Timeout, "products", None, "no answer in 60 s".to_owned());
    assert_eq!(failure.to_string(), "products: no answer in 60 s");
}
