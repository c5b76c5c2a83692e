//! What must hold for every input, checked with generated ones.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;
use url::Url;

use crate::item::{MapSettings, Product, Variant};
use crate::outcome::{Mapped, Outcome};
use crate::warnings::Warnings;
use crate::{FieldSources, explain, input, link, map, price, text};

mod strategies;
use strategies::{product, settings, variant, wild_json, wild_number, wild_text};

/// An eligible pair, to which a test adds what it is about.
fn plain() -> (MapSettings, Product, Variant) {
    let settings = MapSettings { storefront_base_url: "https://shop.example".into(), ..MapSettings::default() };
    let text = |text: &str| Some(text.to_owned());
    let product = Product { status: text("active"), visibility: text("public"), slug: text("s"), ..Product::default() };
    let variant = Variant { id: "v".into(), price: Some(10_000), ..Variant::default() };
    (settings, product, variant)
}

fn mapped(settings: &MapSettings, now: i64, product: &Product, variant: &Variant) -> Mapped {
    match map(settings, now, product, variant) {
        Outcome::Mapped(mapped) => mapped,
        Outcome::Rejected(reason) => panic!("the pair is eligible, but: {reason:?}"),
    }
}

fn is_clean(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || c == '\u{feff}')
}

/// Whether every text in a value is clean.
fn holds_clean_texts(value: &Value) -> bool {
    match value {
        Value::String(text) => is_clean(text),
        Value::Array(list) => list.iter().all(holds_clean_texts),
        Value::Object(fields) => fields.values().all(holds_clean_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

proptest! {
    #[test]
    fn a_cut_ends_between_clusters_and_keeps_the_limit(raw in wild_text(), limit in 0_usize..40) {
        let kept = text::cut(&raw, limit);
        prop_assert!(kept.chars().count() <= limit);
        prop_assert_eq!(text::cut(kept, limit), kept);
        // The longest run of whole clusters within the limit, its end trimmed.
        let (mut characters, mut end) = (0, 0);
        for cluster in raw.graphemes(true) {
            characters += cluster.chars().count();
            if characters > limit {
                break;
            }
            end += cluster.len();
        }
        let whole = raw[..end].len() == raw.len();
        prop_assert_eq!(kept, if whole { raw.as_str() } else { raw[..end].trim_end() });
    }

    #[test]
    fn a_line_is_clean_trimmed_and_stable(raw in wild_text()) {
        let line = text::line(&raw);
        prop_assert!(is_clean(&line), "{line:?}");
        prop_assert_eq!(line.trim(), &*line);
        prop_assert_eq!(text::line(&line), line.clone());
    }

    #[test]
    fn text_from_markup_is_clean_and_collapsed(raw in wild_text()) {
        let plain = text::markup(&raw);
        prop_assert!(is_clean(&plain), "{plain:?}");
        let collapsed = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(&*plain, collapsed);
        // What holds neither a tag nor an entity comes through unchanged the second time.
        if !plain.contains(['<', '&']) {
            prop_assert_eq!(text::markup(&plain), plain.clone());
        }
    }

    #[test]
    fn escaped_text_comes_back_whole(words in "[a-zA-Z0-9<>&\"'; äß]{0,40}") {
        let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let expected = words.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(&*text::markup(&escaped), expected);
    }

    #[test]
    fn a_price_reads_back_to_the_hundredth(hundredths in 1_i64..=i64::MAX, currency in "[A-Z]{3}") {
        let text = price::format(hundredths, &currency);
        let (number, code) = text.split_once(' ').expect("one blank");
        let (major, minor) = number.split_once('.').expect("one point");
        prop_assert_eq!(code, currency);
        prop_assert_eq!(minor.len(), 2);
        prop_assert!(major == "0" || !major.starts_with('0'));
        let back = major.parse::<i128>().expect("digits") * 100 + minor.parse::<i128>().expect("digits");
        prop_assert_eq!(back, i128::from(hundredths));
    }

    #[test]
    fn a_link_parses_and_its_slug_decodes_to_the_input(slug in any::<String>()) {
        // The dots of a path are resolved by whoever reads the URL.
        prop_assume!(!matches!(slug.as_str(), "." | ".."));
        let (settings, _, _) = plain();
        let built = link::build(&settings, [&slug, "v", "p", "s"], &mut Warnings::default());
        let url = Url::parse(&built).expect("a URL");
        prop_assert_eq!(url.as_str(), &built);
        let encoded = url.path().strip_prefix("/product/").expect("the path of the template");
        prop_assert_eq!(percent_decode_str(encoded).decode_utf8().expect("UTF-8"), slug);
    }

    #[test]
    fn the_url_of_a_key_parses_and_decodes_to_it(key in "[a-z][a-z0-9äß %+?#&=\u{308}]{0,8}(/[a-z0-9äß %+?#&=\u{308}]{1,8}){0,2}ß") {
        let (mut settings, product, mut variant) = plain();
        settings.s3_public_url = "https://cdn.example/".into();
        variant.thumbnail = Some(key.clone());
        let data: Value = serde_json::from_str(&mapped(&settings, 0, &product, &variant).data).expect("JSON");
        let url = Url::parse(data["image_link"].as_str().expect("an image")).expect("a URL");
        prop_assert_eq!(Some(url.as_str()), data["image_link"].as_str());
        prop_assert_eq!(percent_decode_str(&url.path()[1..]).decode_utf8().expect("UTF-8"), key);
    }

    #[test]
    fn a_sale_is_sent_iff_now_is_inside_and_the_answer_holds_until_the_next_edge(
        start in prop::option::of(1_600_000_000_000_i64..1_900_000_000_000),
        length in prop::option::of(120_000_i64..200_000_000_000),
        now in 1_500_000_000_000_i64..2_100_000_000_000,
        later in 0.0_f64..1.0,
        special in 1_i64..10_000,
    ) {
        let end = length.map(|length| start.unwrap_or(1_700_000_000_000) + length);
        let (settings, product, mut variant) = plain();
        variant.special_price = Some(special);
        variant.special_price_start = start;
        variant.special_price_end = end;
        let answer = mapped(&settings, now, &product, &variant);
        let inside = start.is_none_or(|start| start <= now) && end.is_none_or(|end| now < end);
        let windowed = inside && (start.is_some() || end.is_some());
        prop_assert_eq!(answer.fields.iter().any(|name| name == "sale_price"), inside);
        prop_assert_eq!(answer.fields.iter().any(|name| name == "sale_price_effective_date"), windowed);
        // The next edge is the first bound after now …
        let edge = [start, end].into_iter().flatten().filter(|edge| *edge > now).min();
        prop_assert_eq!(answer.reevaluate_at, edge);
        // … until it nothing changes, and there something does.
        let until = edge.unwrap_or(i64::MAX);
        let between = now + ((until - 1 - now) as f64 * later) as i64;
        prop_assert_eq!(&mapped(&settings, between.clamp(now, until - 1), &product, &variant), &answer);
        if let Some(edge) = edge {
            prop_assert_ne!(&mapped(&settings, edge, &product, &variant).fields, &answer.fields);
        }
    }

    #[test]
    fn the_window_sent_never_exceeds_the_shops(start in 0_i64..4_000_000_000_000, length in 120_000_i64..200_000_000_000) {
        let (settings, product, mut variant) = plain();
        variant.special_price = Some(1);
        variant.special_price_start = Some(start);
        variant.special_price_end = Some(start + length);
        let data: Value = serde_json::from_str(&mapped(&settings, start, &product, &variant).data).expect("JSON");
        let window = data["sale_price_effective_date"].as_str().expect("a window");
        let (from, to) = window.split_once('/').expect("two ends");
        let millis = |text: &str| text.parse::<jiff::Timestamp>().expect("ISO 8601").as_millisecond();
        prop_assert!(start <= millis(from) && millis(from) < start + 60_000, "{window}");
        prop_assert!(start + length - 60_000 < millis(to) && millis(to) <= start + length, "{window}");
    }

    #[test]
    fn any_input_gives_canonical_json_and_no_panic(
        settings in settings(), now in wild_number(), product in product(), variant in variant(),
    ) {
        let outcome = map(&settings, now, &product, &variant);
        prop_assert_eq!(&map(&settings, now, &product, &variant), &outcome);
        if let Outcome::Mapped(mapped) = outcome {
            let fields: BTreeMap<String, Value> = serde_json::from_str(&mapped.data).expect("an object");
            prop_assert_eq!(serde_json::to_string(&fields).expect("JSON"), mapped.data);
            let listed: Vec<_> = mapped.fields.iter().map(|name| name.trim_end_matches(['[', ']', '{', '}'])).collect();
            prop_assert_eq!(fields.keys().map(String::as_str).collect::<Vec<_>>(), listed);
            prop_assert!(mapped.fields.is_sorted());
            prop_assert!(mapped.reevaluate_at.is_none_or(|at| at > now));
            let is_empty = |value: &Value| value == "" || value.as_array().is_some_and(Vec::is_empty);
            prop_assert!(!fields.iter().any(|(name, value)| name != "id" && is_empty(value)), "{fields:?}");
            let ids = ["id", "item_group_id"];
            for (name, value) in fields.iter().filter(|(name, _)| !ids.contains(&name.as_str())) {
                prop_assert!(holds_clean_texts(value), "{name}: {value}");
            }
        }
    }

    #[test]
    fn an_explanation_never_contradicts_the_mapping(
        settings in settings(), now in wild_number(), product in product(), variant in variant(),
    ) {
        let told = explain(&settings, now, &product, &variant);
        let fails = told.rules.iter().find(|rule| !rule.passed).map(|rule| rule.rule);
        match map(&settings, now, &product, &variant) {
            Outcome::Rejected(reason) => {
                prop_assert_eq!(fails, Some(reason.as_str()));
                prop_assert!(told.fields.is_empty());
            }
            Outcome::Mapped(mapped) => {
                prop_assert_eq!(fails, None);
                let data: Value = serde_json::from_str(&mapped.data).expect("an object");
                for FieldSources { field, sources } in &told.fields {
                    let winners: Vec<_> = sources.iter().filter(|source| source.won).collect();
                    match data.get(*field).and_then(Value::as_str) {
                        Some(value) => {
                            prop_assert_eq!(winners.len(), 1, "{}: {} of {:?}", field, value, sources);
                            prop_assert!(value.starts_with(winners[0].value.as_deref().expect("it won")));
                        }
                        None => prop_assert!(winners.is_empty(), "{}: {:?}", field, sources),
                    }
                }
            }
        }
    }

    #[test]
    fn any_json_gives_one_line_of_json(line in wild_json()) {
        let answer = input::map_line(&line.to_string());
        prop_assert!(!answer.contains('\n'));
        let answer: BTreeMap<String, Value> = serde_json::from_str(&answer).expect("an object");
        let keys: Vec<_> = answer.keys().map(String::as_str).collect();
        prop_assert!(matches!(keys[..], ["data", "warnings"] | ["rejected"] | ["error"]), "{keys:?}");
    }

    #[test]
    fn any_text_gives_one_line_of_json(line in prop_oneof![any::<String>(), "[{}\\[\\]\":,a-z0-9 \\\\]{0,40}"]) {
        let answer = input::map_line(&line);
        prop_assert!(serde_json::from_str::<Value>(&answer).is_ok_and(|answer| answer.is_object()));
    }
}
