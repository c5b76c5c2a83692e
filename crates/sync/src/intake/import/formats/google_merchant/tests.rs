use proptest::prelude::*;

use super::*;
use crate::intake::import::formats::shown;

const FEED: &str = include_str!("tests/feed.xml");

fn open(file: &[u8]) -> io::Result<GoogleMerchant<impl BufRead + Seek>> {
    let zone = TimeZone::get("Europe/Berlin").expect("bundled");
    // A small buffer makes markup span several reads.
    GoogleMerchant::open(io::BufReader::with_capacity(64, io::Cursor::new(file.to_vec())), zone)
}

/// Returns each product as JSON, or its refusals.
fn read(file: &[u8]) -> Vec<Value> {
    shown(open(file).expect("a feed"))
}

fn error(file: &[u8]) -> String {
    match open(file) {
        Ok(_) => "it was taken".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_feed_becomes_records() {
    let items = read(FEED.as_bytes());
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots/import");
    insta::with_settings!({ snapshot_path => snapshots, prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!("google_merchant_feed", items);
    });
}

#[test]
fn atom_and_other_prefixes_are_the_same_feed() {
    let rss = "<rss xmlns:g='x'><channel><item><g:id>1</g:id><g:title>A</g:title>\
        <g:link>https://a.example/?a=1&amp;b=2</g:link><g:price>5.00 EUR</g:price></item></channel></rss>";
    let atom = "\u{feff}<feed xmlns='http://www.w3.org/2005/Atom' xmlns:q='x'>\n<entry><q:id>1</q:id><title>A</title>\
        <link href='https://a.example/?a=1&amp;b=2'/><q:price>5.00 eur</q:price></entry></feed>";
    let (rss, mut atom) = (read(rss.as_bytes()), read(atom.as_bytes()));
    assert_eq!(atom[0]["line"], 2);
    atom[0]["line"] = json!(1);
    assert_eq!(rss, atom);
    assert_eq!(rss[0]["record"]["variants"][0]["price"], 500);
}

#[test]
fn what_is_wrong_with_an_item_is_told_with_its_line_and_remedy() {
    for (fields, expected) in [
        ("<title>A</title>", "id: is required (line 1)"),
        (
            "<id>1</id><price>5</price>",
            r#"price: must be an amount with its currency, such as 12.50 EUR, got "5" (line 1)"#,
        ),
        (
            "<id>1</id><price>5.123 EUR</price>",
            r#"price: could mean thousands or decimals; write 1234.00 or 1.23, got "5.123" (line 1)"#,
        ),
        ("<id>1</id><price>5.00 ZZZ</price>", "price: ZZZ is no currency of ISO 4217 (line 1)"),
        (
            "<id>1</id><price>5.00 EUR</price><sale_price>4 USD</sale_price>",
            "sale_price: is in USD, and the product has a price in EUR; one currency a product (line 1)",
        ),
        (
            "<id>1</id><availability>maybe</availability>",
            r#"availability: must be in_stock, out_of_stock, preorder or backorder, got "maybe" (line 1)"#,
        ),
        (
            "<id>1</id><sale_price_effective_date>soon</sale_price_effective_date>",
            "sale_price_effective_date: must be two times with / between them (line 1)",
        ),
        (
            "<id>1</id><sale_price_effective_date>a/b</sale_price_effective_date>",
            r#"sale_price_effective_date: must be times such as 2026-11-01T00:00+0100, got "a" (line 1)"#,
        ),
    ] {
        let items = read(format!("<rss><item>{fields}</item></rss>").as_bytes());
        assert_eq!(items[0]["refused"][0], expected, "{fields}");
    }
}

#[test]
fn what_is_no_feed_ends_the_import_with_its_place() {
    let deep = format!("<rss>\n{}", "<a>".repeat(100));
    let within = format!("<rss>\n<item>{}", "<a>".repeat(100));
    for (file, expected) in [
        ("", "the file has no element"),
        ("plain text", "the file has no element"),
        ("<rss></rss>", "the file has no <item> or <entry>"),
        ("<rss>\n<item><id>1</id>\n", "line 3: the file ends within an item"),
        ("<rss><item></item>\n", "line 2: the file ends within an element"),
        ("<rss>\n<item><id>1</title></item></rss>", "line 2: not well-formed XML"),
        ("<!DOCTYPE rss [<!ENTITY a \"b\">]>\n<rss><item><id>&a;</id></item></rss>", "document type"),
        (
            "<rss>\n<item><id>&nbsp;</id></item></rss>",
            "line 2: XML does not know the entity &nbsp;. Write the character itself",
        ),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><rss/>", "ISO-8859-1; save it as UTF-8"),
        (&deep, "line 2: elements are nested too deeply"),
        (&within, "line 2: elements are nested too deeply"),
    ] {
        let told = error(file.as_bytes());
        assert!(told.contains(expected), "{file:.60}: {told}");
    }
    assert!(error(&[0xff, 0xfe, b'<', 0]).contains("UTF-16"));
    assert!(
        error(b"<rss><item><id>\xff</id></item></rss>").contains("not well-formed XML"),
        "{}",
        error(b"<rss><item><id>\xff</id></item></rss>")
    );
}

#[test]
fn the_field_of_google_counts() {
    let entry =
        "<id>tag:shop.example,2026:41</id><q:id>SKU-41</q:id><c:size>3</c:size><q:size>M</q:size><title>A</title>";
    let feed = |namespace: &str| {
        format!("<feed xmlns='http://www.w3.org/2005/Atom' xmlns:q='{namespace}'><entry>{entry}</entry></feed>")
    };
    let read_of = |file: String| {
        let variant = &read(file.as_bytes())[0]["record"]["variants"][0];
        (variant["id"].clone(), variant["options"][0]["value"].clone())
    };
    assert_eq!(read_of(feed("http://base.google.com/ns/1.0")), (json!("SKU-41"), json!("M")));
    let by_custom = format!("<rss><item>{}</item></rss>", entry.replace("q:", "g:"));
    assert_eq!(read_of(by_custom), (json!("SKU-41"), json!("M")));
}

#[test]
fn a_parent_is_in_its_group() {
    let items = "<item><id>17</id><title>Mug</title></item><item><id>17-1</id><item_group_id>17</item_group_id></item>\
        <item><id>18</id><title>Cup</title></item>";
    let read = read(format!("<rss>{items}</rss>").as_bytes());
    let ids = |at: usize| {
        let variants = read[at]["record"]["variants"].as_array().expect("taken").iter();
        (read[at]["record"]["id"].clone(), variants.map(|variant| variant["id"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(ids(0), (json!("17"), vec![json!("17"), json!("17-1")]));
    assert_eq!(ids(1), (json!("18"), vec![json!("18")]));
}

#[test]
fn titles_of_a_group_are_told_apart_by_what_follows() {
    for (titles, expected) in [
        (&["Linen Shirt - Blue / M", "Linen Shirt - Red / L"][..], "Linen Shirt"),
        (&["Linen Shirt (S)", "Linen Shirt (M)"], "Linen Shirt"),
        (&["Shirt Mint", "Shirt Mauve"], "Shirt"),
        (&["Shirt", "Shirt XL"], "Shirt"),
        (&["Shirt", "Shirts"], "Shirt"),
        (&["Red shirt of linen", "Blue shirt of linen"], "Red shirt of linen"),
        (&["Größe S", "Größe M"], "Größe"),
        (&["Same", "Same"], "Same"),
    ] {
        assert_eq!(common_title(titles.iter().copied()), Some(expected), "{titles:?}");
    }
    assert_eq!(common_title(std::iter::empty()), None);
}

#[test]
fn what_meta_would_not_take_does_not_keep_an_item_away() {
    let item = "<id>1</id><title>A</title><price>5.00 EUR</price><availability>out of stock</availability>\
        <quantity_to_sell_on_facebook>0</quantity_to_sell_on_facebook><shipping_weight>.5 lbs</shipping_weight>\
        <additional_image_link>https://a.example/w_800,h_800/1.jpg,https://a.example/2.jpg</additional_image_link>\
        <custom_label_2>LONG</custom_label_2>\
        <shipping><country>IN</country><price>1,250.00 INR</price></shipping>"
        .replace("LONG", &"x".repeat(200));
    let read = read(format!("<rss><item>{item}</item></rss>").as_bytes());
    let variant = &read[0]["record"]["variants"][0];
    assert_eq!(
        variant["images"],
        json!(["https://a.example/w_800,h_800/1.jpg", "https://a.example/2.jpg"]),
        "{read:?}"
    );
    let attributes = &variant["attributes"];
    assert_eq!(attributes["shipping_weight"], "0.5 lb");
    assert_eq!(attributes["shipping"][0]["shipping_price_value"], "1250.00");
    assert_eq!(attributes["quantity_to_sell_on_facebook"], Value::Null);
    assert_eq!(attributes["custom_label_2"].as_str().map(str::len), Some(200), "the mapper leaves it out and warns");
    let off = super::tests::read(b"<rss><item><id>1</id><title>A</title><status>archived</status></item></rss>");
    assert_eq!(off[0]["record"]["variants"][0]["deletedAt"], 0);
}

#[test]
fn memory_is_bounded() {
    let long = format!("<rss><item><id>1</id><title>{}</title></item></rss>", "x".repeat(MAX_LINE_BYTES + 1_000));
    let told = error(long.as_bytes());
    assert!(told.contains("is a tag not closed?"), "{told}");
    let title = "<title>x</title>".repeat(MAX_LINE_BYTES / 16 + 1_000);
    let many =
        read(format!("<rss><item><id>1</id>{title}</item><item><id>2</id><title>B</title></item></rss>").as_bytes());
    assert!(many[0]["refused"][0].as_str().is_some_and(|text| text.contains("more than")), "{:?}", many[0]);
    assert!(many[1].get("record").is_some());
}

proptest! {
    #[test]
    fn no_file_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[<>/a-c&;'= !\\[\\]?-]{0,120}") {
        for file in [bytes.clone(), text.into_bytes(), [b"<rss><item>", &bytes[..]].concat()] {
            if let Ok(mut source) = open(&file) {
                while let Ok(Some(_)) = source.next_item() {}
            }
        }
    }

    /// What is read of a whole file is what was written, whatever characters it has.
    #[test]
    fn texts_come_back(title in "[^\\p{C}]{1,40}") {
        let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let items = read(format!("<rss><item><id>1</id><title>{escaped}</title></item></rss>").as_bytes());
        if !title.trim().is_empty() {
            prop_assert_eq!(items[0]["record"]["title"].as_str().unwrap_or_default(), title.trim());
        }
    }
}
