//! `/products` and the item node.

use serde_json::{Value, json};

use crate::support::*;

async fn read(sim: &Sim, query: &[(&str, &str)]) -> Value {
    let reply = sim.get(&format!("{CATALOG}/products"), query).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

fn ids(body: &Value) -> Vec<&str> {
    let data = body["data"].as_array().expect("data");
    data.iter().map(|item| item["retailer_id"].as_str().expect("retailer_id")).collect()
}

#[tokio::test]
async fn an_item_shows_up_only_some_time_after_finished() {
    let sim = Sim::with(|config| {
        (config.times.processing_ms, config.times.visible_after_ms) = (1_000, 5_000);
    })
    .await;
    let handle = sim.submit(json!([update(item("a"))])).await;
    sim.handle.advance(1_000);
    assert_eq!(sim.poll(&handle).await["status"], "finished");
    assert_eq!(read(&sim, &[]).await, json!({"data": []}));
    sim.handle.advance(5_000);
    assert_eq!(ids(&read(&sim, &[]).await), ["a"]);
}

#[tokio::test]
async fn a_change_and_a_delete_are_old_on_the_read_side_for_a_while() {
    let sim = Sim::with(|config| {
        (config.times.processing_ms, config.times.visible_after_ms) = (1_000, 5_000);
    })
    .await;
    sim.settle(json!([update(item("a")), update(item("b"))])).await;
    sim.submit(json!([update(json!({"id": "a", "price": "1.00 INR"})), delete("b")])).await;
    sim.handle.advance(1_000);
    let query = [("fields", "retailer_id,price")];
    let old = read(&sim, &query).await;
    assert_eq!((ids(&old), &old["data"][0]["price"]), (vec!["a", "b"], &json!("₹299.00")));
    assert_eq!(sim.saved("b"), None);
    sim.handle.advance(5_000);
    let new = read(&sim, &query).await;
    assert_eq!((ids(&new), &new["data"][0]["price"]), (vec!["a"], &json!("₹1.00")));
}

#[tokio::test]
async fn the_read_side_has_its_own_names_and_display_prices() {
    let sim = Sim::start().await;
    let sent = item_with(
        "a",
        json!({"item_group_id": "g", "mpn": "M", "google_product_category": "A > B",
        "sale_price": "199.00 INR", "additional_image_link": ["https://cdn.example/2.jpg"], "custom_number_0": 7,
        "sale_price_effective_date": "2026-01-01T00:00+0000/2026-02-01T00:00+0000"}),
    );
    sim.settle(json!([update(sent)])).await;
    let fields = "retailer_id,name,url,image_url,additional_image_urls,retailer_product_group_id,manufacturer_part_number,\
                  category,price,sale_price,currency,availability,condition,review_status,visibility,errors,custom_number_0,\
                  sale_price_start_date,color,product_catalog{name}";
    let mut item = read(&sim, &[("fields", fields)]).await["data"][0].clone();
    let id = item.as_object_mut().expect("an item").remove("id").expect("Meta's id comes along");
    assert!(id.is_string());
    assert_eq!(
        item,
        json!({"retailer_id": "a", "name": "Belt", "url": "https://shop.example/p/belt",
            "image_url": "https://cdn.example/1.jpg", "additional_image_urls": ["https://cdn.example/2.jpg"],
            "retailer_product_group_id": "g", "manufacturer_part_number": "M", "category": "A > B", "price": "₹299.00",
            "sale_price": "₹199.00", "currency": "INR", "availability": "in stock", "condition": "new",
            "review_status": "approved", "visibility": "published", "errors": [], "custom_number_0": "7",
            "sale_price_start_date": "2026-01-01T00:00+0000",
            "product_catalog": {"id": CATALOG, "name": "Acme Master Catalog"}})
    );
}

#[tokio::test]
async fn names_of_the_write_side_are_unknown_here() {
    let sim = Sim::start().await;
    for field in ["title", "link", "errors_summary"] {
        let reply = sim.get(&format!("{CATALOG}/products"), &[("fields", field)]).await;
        assert_eq!(reply.code().0, 100);
        assert!(reply.text.contains("on node type (ProductItem)"), "{}", reply.text);
    }
}

#[tokio::test]
async fn default_fields_are_id_name_and_retailer_id() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a"))])).await;
    let body = read(&sim, &[]).await;
    let item = body["data"][0].as_object().expect("an item");
    assert_eq!(item.keys().collect::<Vec<_>>(), ["id", "name", "retailer_id"]);
}

#[tokio::test]
async fn filters_choose_items_and_no_match_is_an_empty_list_without_paging() {
    let sim = Sim::start().await;
    let rows = json!([
        update(item("a")),
        update(item_with("b", json!({"price": "50.00 INR"}))),
        update(item_with("c", json!({"title": "Scarf", "item_group_id": "g"}))),
    ]);
    sim.settle(rows).await;
    for (filter, expected) in [
        (json!({"retailer_id": {"eq": "a"}}), vec!["a"]),
        (json!({"or": [{"retailer_id": {"eq": "c"}}, {"retailer_id": {"eq": "a"}}]}), vec!["a", "c"]),
        (json!({"retailer_id": {"is_any": ["b", "c", "x"]}}), vec!["b", "c"]),
        (json!({"name": {"i_contains": "SCARF"}}), vec!["c"]),
        (json!({"price_amount": {"lt": 10_000}}), vec!["b"]),
        (json!({"retailer_product_group_id": {"eq": "g"}}), vec!["c"]),
        (json!({"and": [{"availability": {"eq": "in stock"}}, {"retailer_id": {"neq": "a"}}]}), vec!["b", "c"]),
    ] {
        assert_eq!(ids(&read(&sim, &[("filter", &filter.to_string())]).await), expected, "{filter}");
    }
    let none = read(&sim, &[("filter", r#"{"retailer_id":{"eq":"x"}}"#), ("limit", "1")]).await;
    assert_eq!(none, json!({"data": []}));
    for bad in [r#"{"sku":{"eq":"x"}}"#, "{"] {
        assert_eq!(sim.get(&format!("{CATALOG}/products"), &[("filter", bad)]).await.code().0, 100, "{bad}");
    }
}

#[tokio::test]
async fn review_moves_later_and_tests_can_plant_its_outcome() {
    let sim = Sim::start().await;
    sim.submit(json!([update(item("a"))])).await;
    sim.handle.advance(10_000);
    let query = [("fields", "retailer_id,review_status,errors")];
    assert_eq!(read(&sim, &query).await["data"][0]["review_status"], "pending");
    sim.handle.advance(60_000);
    assert_eq!(read(&sim, &query).await["data"][0]["review_status"], "approved");
    let errors = json!([{"title": "Image", "description": "Could not be fetched", "error_type": "IMAGE_FETCH_FAILED", "error_priority": "HIGH"}]);
    let path = format!("catalogs/{CATALOG}/items/a/review");
    sim.control(&path, json!({"review_status": "rejected", "errors": errors})).await;
    let item = read(&sim, &query).await["data"][0].clone();
    assert_eq!((&item["review_status"], &item["errors"]), (&json!("rejected"), &errors));
}

#[tokio::test]
async fn items_can_be_chosen_by_their_errors_and_review() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a")), update(item("b"))])).await;
    let error = json!({"title": "T", "description": "D", "error_type": "INVALID_SALE_PRICE", "error_priority": "LOW"});
    let path = format!("catalogs/{CATALOG}/items/b/review");
    sim.control(&path, json!({"review_status": "rejected", "errors": [error]})).await;
    for (query, expected) in [
        (("error_type", "INVALID_SALE_PRICE"), vec!["b"]),
        (("error_type", "EMPTY_PRICE"), vec![]),
        (("error_priority", "LOW"), vec!["b"]),
        (("return_only_approved_products", "true"), vec!["a"]),
        (("bulk_pagination", "true"), vec!["a", "b"]),
    ] {
        assert_eq!(ids(&read(&sim, &[query]).await), expected, "{query:?}");
    }
    assert_eq!(sim.get(&format!("{CATALOG}/products"), &[("error_priority", "URGENT")]).await.code().0, 100);
}

#[tokio::test]
async fn errors_of_a_clean_item_can_be_left_out() {
    let sim = Sim::with(|config| config.switches.omit_empty_errors = true).await;
    sim.settle(json!([update(item("a"))])).await;
    assert!(read(&sim, &[("fields", "errors")]).await["data"][0].get("errors").is_none());
}

#[tokio::test]
async fn an_item_can_be_read_by_metas_own_id() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a"))])).await;
    let id = read(&sim, &[]).await["data"][0]["id"].as_str().expect("an id").to_owned();
    let item = sim.get(&id, &[("fields", "retailer_id,product_catalog{id}")]).await.json();
    assert_eq!(item, json!({"id": id, "retailer_id": "a", "product_catalog": {"id": CATALOG}}));
}

#[tokio::test]
async fn the_catalog_node_counts_its_items() {
    let sim = Sim::start().await;
    sim.settle(json!([update(item("a")), update(item("b"))])).await;
    let node = sim.get(CATALOG, &[("fields", "name,vertical,product_count,business{name}")]).await.json();
    assert_eq!(
        node,
        json!({"id": CATALOG, "name": "Acme Master Catalog", "vertical": "commerce", "product_count": 2,
            "business": {"id": BUSINESS, "name": "Acme Holdings"}})
    );
    let nested = sim.get(CATALOG, &[("fields", "products.limit(1){retailer_id}")]).await.json();
    assert_eq!(nested["products"]["data"][0]["retailer_id"], "a");
    assert!(nested["products"]["paging"]["next"].is_string());
}
