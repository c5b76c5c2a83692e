//! The two buckets of a catalog, their headers and errors.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn the_ninth_batch_of_a_minute_is_80014_and_the_window_rolls() {
    let sim = Sim::start().await;
    for second in 0..8 {
        let reply = sim.batch(json!([update(item("a"))])).await;
        let header = reply.header("x-business-use-case-usage");
        let percent = (second + 1) * 100 / 8;
        match header {
            None => assert!(percent < 50, "told from 50 % on"),
            Some(header) => assert_eq!(header[CATALOG][0]["call_count"], percent),
        }
        sim.handle.advance(1_000);
    }
    let refused = sim.batch(json!([update(item("a"))])).await;
    assert_eq!((refused.status, refused.code()), (400, (80014, None)));
    let usage = refused.header("x-business-use-case-usage").expect("told when blocked")[CATALOG][0].clone();
    assert_eq!((&usage["type"], &usage["estimated_time_to_regain_access"]), (&json!("catalog_batch"), &json!(1)));
    sim.handle.advance(60_000);
    assert_eq!(sim.batch(json!([update(item("a"))])).await.status, 200);
}

#[tokio::test]
async fn a_blocked_batch_bucket_does_not_stop_polls_nor_another_catalog() {
    let sim = Sim::with(|config| config.quotas.batch_per_minute = 1).await;
    let handle = sim.submit(json!([update(item("a"))])).await;
    assert_eq!(sim.batch(json!([update(item("a"))])).await.code().0, 80014);
    sim.handle.advance(5_000);
    assert_eq!(sim.poll(&handle).await["status"], "finished");
    let other = json!({"item_type": "PRODUCT_ITEM", "requests": [update(item("a"))]});
    assert_eq!(sim.post(&format!("{OTHER_CATALOG}/items_batch"), other).await.status, 200);
}

#[tokio::test]
async fn polls_and_reads_are_charged_to_the_management_bucket() {
    let sim = Sim::with(|config| config.quotas.management_per_hour = 2).await;
    let handle = sim.submit(json!([update(item("a"))])).await;
    sim.poll(&handle).await;
    sim.get(&format!("{CATALOG}/products"), &[]).await;
    let refused = sim.poll_reply(&handle, &[]).await;
    assert_eq!((refused.status, refused.code().0), (400, 80009));
    let usage = refused.header("x-business-use-case-usage").expect("told")[CATALOG][0].clone();
    assert_eq!((&usage["type"], &usage["estimated_time_to_regain_access"]), (&json!("catalog_management"), &json!(60)));
    assert_eq!(sim.batch(json!([update(item("a"))])).await.status, 200);
}

#[tokio::test]
async fn calling_on_while_blocked_makes_the_block_longer() {
    let sim = Sim::with(|config| config.quotas.batch_per_minute = 1).await;
    sim.submit(json!([update(item("a"))])).await;
    sim.handle.advance(30_000);
    assert_eq!(sim.batch(json!([update(item("a"))])).await.code().0, 80014);
    sim.handle.advance(31_000);
    assert_eq!(sim.batch(json!([update(item("a"))])).await.code().0, 80014, "the refused call counted");
    sim.handle.advance(60_000);
    assert_eq!(sim.batch(json!([update(item("a"))])).await.status, 200);
}

#[tokio::test]
async fn calls_without_a_catalog_have_the_apps_bucket_and_header() {
    let sim = Sim::with(|config| config.quotas.app_per_hour = 2).await;
    let told = sim.get("me", &[]).await.header("x-app-usage").expect("half is used");
    assert_eq!(told, json!({"call_count": 50, "total_time": 25, "total_cputime": 25}));
    sim.get("me", &[]).await;
    assert_eq!(sim.get("me", &[]).await.code().0, 4);
    assert_eq!(sim.get(CATALOG, &[]).await.status, 200);
}

#[tokio::test]
async fn the_header_can_be_keyed_by_the_business() {
    let sim = Sim::with(|config| {
        config.quotas.usage_keyed_by_business = true;
        config.quotas.usage_header_from_percent = 0;
    })
    .await;
    let header = sim.get(CATALOG, &[]).await.header("x-business-use-case-usage").expect("from 0 % on");
    assert_eq!(header[BUSINESS][0]["call_count"], 0);
}
