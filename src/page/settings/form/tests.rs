use super::*;
use catalog_sync::domain::settings::{SPECS, Settings};
use serde_json::json;

#[test]
fn every_setting_is_in_one_group() {
    for spec in SPECS {
        let listed = GROUPS.iter().flat_map(|group| group.fields).filter(|field| field.key == spec.key).count();
        assert_eq!(listed, 1, "{}", spec.key);
        assert_ne!(name_of(spec.key), spec.key);
    }
    assert_eq!(GROUPS.iter().map(|group| group.fields.len()).sum::<usize>(), SPECS.len());
}

#[test]
fn what_is_written_is_read_back() {
    for spec in SPECS.iter().filter(|spec| spec.kind != Kind::Secret) {
        let default = spec.default_value();
        assert_eq!(read(spec, &text_of(spec, &default)), Ok(default), "{}", spec.key);
    }
    let spec = find("option_synonyms").expect("a key");
    let value = json!({"Färg": "color", "Storlek": "size"});
    assert_eq!(text_of(spec, &value), "Färg = color\nStorlek = size");
    assert_eq!(read(spec, "Färg = color\r\n\r\n Storlek=size "), Ok(value));
    assert_eq!(text_of(find("app_secret").expect("a key"), &json!("********")), "");
}

/// What was shown, what is there now, what was typed: what comes of it.
#[test]
fn only_what_was_touched_changes() {
    let reading = |key: &str, was_shown: &str, current: Value, typed: Option<&str>| {
        let mut values = Settings::default().values();
        values.insert(key.to_owned(), current);
        let mut sent = Sent::from([(was(key), was_shown.to_owned())]);
        sent.extend(typed.map(|typed| (key.to_owned(), typed.to_owned())));
        compare(&sent, &values)
    };
    let changes = |reading: Reading| {
        assert!(reading.is_good(), "{reading:?}");
        Value::Object(reading.changes)
    };
    assert_eq!(changes(reading("max_attempts", "5", json!(5), Some("5"))), json!({}));
    assert_eq!(changes(reading("max_attempts", "5", json!(5), Some(" 7 "))), json!({"max_attempts": 7}));
    assert_eq!(changes(reading("max_attempts", "7", json!(7), Some(""))), json!({"max_attempts": 5}), "the default");
    assert_eq!(changes(reading("max_attempts", "5", json!(6), Some("5"))), json!({}), "not touched");
    assert_eq!(changes(reading("max_attempts", "5", json!(6), Some("6"))), json!({}), "the same by both");
    assert_eq!(changes(reading("currency", "INR", json!("INR"), Some("usd"))), json!({"currency": "USD"}));
    assert_eq!(changes(reading("sync_enabled", "true", json!(true), None)), json!({"sync_enabled": false}));
    assert_eq!(changes(reading("sync_enabled", "false", json!(false), None)), json!({}));
    assert_eq!(changes(reading("app_secret", "", json!("********"), Some(""))), json!({}), "it stays");
    assert_eq!(changes(reading("app_secret", "", json!("********"), Some("new"))), json!({"app_secret": "new"}));
    assert_eq!(changes(reading("catalog_id", "1", json!("1"), Some("2"))), json!({}), "another page sets it");

    let both = reading("max_attempts", "5", json!(6), Some("7"));
    assert_eq!((both.is_good(), both.theirs["max_attempts"].as_str()), (false, "6"));
    let wrong = reading("max_attempts", "5", json!(5), Some("many"));
    assert_eq!(wrong.wrong["max_attempts"], "takes a whole number from 1 to 20, got \"many\"");
    let wrong = reading("option_synonyms", "", json!({}), Some("Färg"));
    assert_eq!(wrong.wrong["option_synonyms"], "takes one name a line, such as Färg = color");
    assert_eq!(compare(&Sent::from([("max_attempts".into(), "x".into())]), &Map::new()), Reading::default());
}

#[test]
fn a_form_keeps_what_was_typed() {
    let values = Settings::default().values();
    let sent = Sent::from([(was("max_attempts"), "5".into()), ("max_attempts".into(), "many".into())]);
    let control =
        |sent: &Sent, reading: &Reading| controls(&[f("max_attempts", "Attempts")], &values, sent, reading).remove(0);
    let fresh = control(&Sent::new(), &Reading::default());
    assert_eq!((&*fresh.value, &*fresh.was, fresh.bounds, fresh.wrong), ("5", "5", Some((1, 20)), None));
    let kept = control(&sent, &compare(&sent, &values));
    assert_eq!((&*kept.value, &*kept.was), ("many", "5"));
    assert_eq!(kept.wrong.as_deref(), Some("Takes a whole number from 1 to 20, got \"many\"."));
    // After a conflict the next attempt is compared with what is there now.
    let sent = Sent::from([(was("max_attempts"), "4".into()), ("max_attempts".into(), "7".into())]);
    let conflict = control(&sent, &compare(&sent, &values));
    assert_eq!((&*conflict.value, &*conflict.was), ("7", "5"));
    let secret = controls(&[f("app_secret", "App secret")], &values, &Sent::new(), &Reading::default()).remove(0);
    assert_eq!((&*secret.value, secret.kind), ("", "secret"));
}

#[test]
fn help_is_text_with_code() {
    assert_eq!(marked("`live` sends <all> & more").0, "<code>live</code> sends &lt;all&gt; &amp; more");
}

#[test]
fn advice_names_settings_as_the_page_does() {
    for (advice, written) in [
        ("Map the option with option_synonyms, or not.", "Map the option with “The shop's own option names”, or not."),
        ("Set category_levels to 0.", "Set “Levels of categories” to 0."),
        ("Give every price in one currency.", "Give every price in one currency."),
        ("An unknown_key stays: ä_b.", "An unknown_key stays: ä_b."),
        ("", ""),
    ] {
        assert_eq!(with_names(advice), written);
    }
}
