use std::time::Duration;

use serde_json::json;

use super::*;

fn fields(value: Value) -> Fields {
    value.as_object().expect("an object").clone()
}

#[test]
fn words_are_read_back_and_name_what_is_repairable() {
    for class in Class::ALL {
        assert_eq!(class.as_str().parse(), Ok(class));
    }
    let repairable: Vec<&str> = Class::ALL.iter().filter(|one| one.is_repairable()).map(|one| one.as_str()).collect();
    assert_eq!(repairable, Class::REPAIRABLE);
    assert!("drift".parse::<Class>().is_err());
}

#[test]
fn every_class_is_judged_by_what_both_sides_mean() {
    let sent = json!({
        "id": "a", "title": "Blue shirt", "price": "299.00 INR", "availability": "in stock",
        "link": "https://s.example/a", "image_link": "https://s.example/1", "color": "blue",
    });
    let meta = json!({
        "retailer_id": "a", "name": "Blue  shirt", "price": "₹299.00", "currency": "INR", "availability": "IN_STOCK",
        "url": "https://S.example/a", "image_url": "https://s.example/1", "visibility": "published",
        "review_status": "approved", "image_fetch_status": "NO_STATUS", "brand": "filled in by Meta",
    });
    let judged = |changes: Value, ignored: &[&str]| -> Vec<String> {
        let mut meta = fields(meta.clone());
        meta.extend(fields(changes));
        let ignored: Vec<String> = ignored.iter().map(|field| (*field).to_owned()).collect();
        let found = judge(&fields(sent.clone()), &meta, &ignored);
        let told = |(class, of): (&Class, &Vec<Difference>)| {
            format!("{}: {}", class.as_str(), of.iter().map(|one| &*one.field).collect::<Vec<_>>().join(" "))
        };
        found.iter().map(told).collect()
    };
    for (changes, expected) in [
        (json!({}), vec![]),
        (json!({"price": "₹199.00"}), vec!["price: price"]),
        (json!({"sale_price": "₹9.00"}), vec!["price: sale_price"]),
        (json!({"price": "ask us"}), vec!["unparseable: price"]),
        (json!({"availability": "out of stock"}), vec!["availability: availability"]),
        (json!({"name": "Red shirt", "color": "red"}), vec!["text: color title"]),
        (json!({"url": "https://s.example/b"}), vec!["url: link"]),
        (json!({"image_url": "https://s.example/2"}), vec!["image: image_link"]),
        // Fetch failures alone: what Meta shows of such images says nothing.
        (
            json!({"image_url": "https://s.example/2", "image_fetch_status": "FETCH_FAILED"}),
            vec!["image_failed: image_fetch_status"],
        ),
        (json!({"image_fetch_status": "PARTIAL_FETCH"}), vec!["image_failed: image_fetch_status"]),
        (json!({"image_fetch_status": "OUTDATED"}), vec![]),
        (json!({"visibility": "staging"}), vec!["hidden: visibility"]),
        (json!({"visibility": ""}), vec![]),
        (json!({"review_status": "rejected"}), vec!["rejected: review_status"]),
        (json!({"review_status": "pending"}), vec![]),
        // Meta does not tell it, so nothing is known of it.
        (json!({"availability": ""}), vec![]),
    ] {
        assert_eq!(judged(changes.clone(), &[]), expected, "{changes}");
    }
    let both = json!({"name": "Red shirt", "price": "ask us"});
    assert_eq!(judged(both.clone(), &["title", "price"]), [] as [&str; 0]);
    assert_eq!(judged(both, &["title"]), ["unparseable: price"]);
}

#[test]
fn a_payload_that_hides_its_item_is_not_hidden_by_meta() {
    let meta = fields(json!({"visibility": "staging"}));
    for sent in [json!({"visibility": "staging"}), json!({"status": "archived"})] {
        assert!(judge(&fields(sent), &meta, &[]).is_empty());
    }
}

#[test]
fn only_what_is_at_rest_is_judged() {
    const NOW: Millis = 1_000_000;
    const GRACE: Millis = 1_000;
    let still = Candidate {
        variant_id: "a".into(),
        state: SyncState {
            status: SyncStatus::Synced,
            catalog_id: Some("cat".into()),
            hash: Some("hash".into()),
            at_meta: true,
            fields_at_meta: None,
            attempts: 0,
            excluded: false,
            version: 3,
        },
        written_at: NOW - GRACE,
        reeval_at: Some(NOW + 1),
        waits: false,
    };
    type Change = fn(&mut Candidate);
    let table: [(&str, Change, Fitness); 10] = [
        ("at rest", |_| (), Fitness::Ready),
        ("an open intent", |one| one.waits = true, Fitness::Moving),
        ("a young verdict", |one| one.written_at += 1, Fitness::Moving),
        ("its sale is about to change", |one| one.reeval_at = Some(NOW), Fitness::Moving),
        ("in flight", |one| one.state.status = SyncStatus::Submitted, Fitness::Moving),
        ("it is to be sent again", |one| one.state.hash = None, Fitness::Moving),
        ("another catalog", |one| one.state.catalog_id = Some("other".into()), Fitness::NotClaimed),
        ("not at Meta", |one| one.state.at_meta = false, Fitness::NotClaimed),
        ("failed", |one| one.state.status = SyncStatus::Failed, Fitness::NotClaimed),
        ("deleted", |one| one.state.status = SyncStatus::Deleted, Fitness::NotClaimed),
    ];
    for (name, change, expected) in table {
        let mut candidate = still.clone();
        change(&mut candidate);
        assert_eq!(candidate.fitness("cat", NOW, GRACE), expected, "{name}");
    }
}

#[test]
fn the_pace_is_the_share_and_a_fourth_of_it_while_pushes_wait() {
    // 20,000 calls an hour are one in 180 ms.
    let period = Duration::from_millis(180);
    assert_eq!(pace(period, 10, false), Duration::from_millis(1_800));
    assert_eq!(pace(period, 50, false), Duration::from_millis(360));
    assert_eq!(pace(period, 10, true), Duration::from_millis(7_200));
    assert_eq!(pace(period, 0, false), Duration::from_secs(18), "a share of nothing is the smallest");
}

#[test]
fn a_sweep_is_due_after_its_time_and_sooner_when_it_saw_nothing() {
    let past = |started_at, is_over, looked| Some(Past { started_at, is_over, looked });
    let table = [
        ("the first one", None, 100, true),
        ("none by itself", None, 0, false),
        ("under way", past(0, false, 0), 100, false),
        ("over, and its time is not", past(950, true, 7), 100, false),
        ("over for so long", past(900, true, 7), 100, true),
        ("it saw nothing, and the grace is not over", past(995, true, 0), 100, false),
        ("it saw nothing", past(990, true, 0), 100, true),
        ("it saw nothing, and none begins by itself", past(0, true, 0), 0, false),
    ];
    for (name, latest, every, expected) in table {
        assert_eq!(is_due(latest.as_ref(), every, 10, 1_000), expected, "{name}");
    }
}
