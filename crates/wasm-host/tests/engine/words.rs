//! What well-behaved modules say.

use super::{HOST, batch, bytes, labelled, load, native, payload};
use mapper_core::word::Word;

#[test]
fn a_patch_is_the_builtin_payload_with_the_change() {
    let module = load("margin-label");
    assert_eq!((module.name(), module.digest().len()), ("margin-label", 64));
    assert_eq!(**module.digest(), hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes("margin-label"))));

    let costs = [Some(5_000), Some(9_999), Some(10_001), None];
    let batch = batch(10, |n| costs[n % 4].map(|cost| format!(r#"{{"cost":{cost}}}"#)));
    let words = module.map(&batch);
    assert_eq!(words.len(), 10);
    for (n, word) in words.iter().enumerate() {
        let payload = payload(word);
        let label = ["margin-high", "margin-low", "margin-negative"].get(n % 4);
        match label {
            Some(label) => {
                assert_eq!(payload.data, labelled(&batch, n, "custom_label_2", label));
                assert!(payload.fields.iter().any(|field| field == "custom_label_2"));
            }
            None => assert_eq!(word.as_ref().expect("a word"), &native(&batch, n)),
        }
        assert_eq!(payload.reevaluate_at, Some(batch.now + 86_400_000), "the sale's end still counts");
    }
}

#[test]
fn what_the_builtin_mapper_rejects_a_patch_rejects() {
    let module = load("margin-label");
    let mut batch = (*batch(3, |_| Some(r#"{"cost":1}"#.into()))).clone();
    batch.items[1].variant.price = None;
    let words = module.map(&batch.into());
    assert!(matches!(&words[1], Ok(Word::Rejected(rejection)) if rejection.code == "missing_price"), "{:?}", words[1]);
    assert!(words[0].is_ok() && words[2].is_ok());
}

#[test]
fn a_large_batch_keeps_its_order_across_runs() {
    let module = load("margin-label");
    let batch = batch(HOST.limits().chunk * 2 + 7, |_| Some(r#"{"cost":5000}"#.into()));
    let words = module.map(&batch);
    assert_eq!(words.len(), batch.items.len());
    for (n, word) in words.iter().enumerate() {
        assert_eq!(payload(word).data, labelled(&batch, n, "custom_label_2", "margin-high"));
    }
    assert_eq!(module.map(&super::batch(0, |_| None)), []);
}

#[test]
fn the_builtin_mapping_as_a_module_says_what_it_says_natively() {
    let module = load("builtin");
    let mut batch = (*batch(50, |n| (n % 2 == 0).then(|| r#"{"cost":1}"#.into()))).clone();
    batch.items[7].variant.price = None;
    batch.items[8].variant.special_price = Some(20_000);
    batch.products[2].title = Some("SHOUTING \u{1F600} \"quoted\"\u{7}".into());
    batch.products[3].thumbnail = None;
    batch.products[4].deleted_at = Some(1);
    let batch = batch.into();
    for (n, word) in module.map(&batch).into_iter().enumerate() {
        let word = word.expect("a word");
        assert_eq!(word, native(&batch, n), "row {n}");
    }
}

#[test]
fn a_module_of_another_language_runs_under_the_same_limits() {
    let module = load("seasonal-label");
    let batch = batch(20, |_| None);
    for (n, word) in module.map(&batch).iter().enumerate() {
        let payload = payload(word);
        let Word::Mapped(builtin) = native(&batch, n) else { panic!("the sample is eligible") };
        assert!(builtin.fields.iter().all(|field| payload.fields.contains(field)), "{:?}", payload.fields);
    }
}

#[test]
fn a_module_can_read_what_it_patches() {
    let module = load("price-rounding");
    let batch = batch(12, |_| None);
    for (n, word) in module.map(&batch).iter().enumerate() {
        let Word::Mapped(builtin) = native(&batch, n) else { panic!("the sample is eligible") };
        let patched = payload(word);
        assert_ne!(patched.data, builtin.data, "the prices are rounded");
        assert_eq!(patched.fields, builtin.fields);
        assert_eq!(without_prices(&patched.data), without_prices(&builtin.data));
    }
}

fn without_prices(data: &str) -> serde_json::Map<String, serde_json::Value> {
    let mut data: serde_json::Map<String, serde_json::Value> = serde_json::from_str(data).expect("JSON");
    data.retain(|name, _| !name.contains("price"));
    data
}
