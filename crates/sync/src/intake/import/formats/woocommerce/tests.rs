use proptest::prelude::*;

use super::*;
use crate::intake::import::formats::shown;

const EXPORT: &str = include_str!("tests/export.csv");

fn open(file: &[u8], names: &[(&str, &str)], zone: &str) -> io::Result<WooCommerce<impl BufRead + Seek>> {
    let names = names.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let zone = TimeZone::get(zone).expect("bundled");
    WooCommerce::open(io::BufReader::with_capacity(256, io::Cursor::new(file.to_vec())), names, 2, zone)
}

/// Returns each product as JSON, or its refusals.
fn items(file: &[u8], names: &[(&str, &str)], zone: &str) -> Vec<Value> {
    shown(open(file, names, zone).expect("a header line"))
}

#[test]
fn an_export_becomes_records() {
    let items = items(EXPORT.as_bytes(), &[("färg", "color")], "Europe/Stockholm");
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots/import");
    insta::with_settings!({ snapshot_path => snapshots, prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!("woocommerce_export", items);
    });
}

const HEAD: &str = "ID,Type,SKU,Name,Published,Regular price,Stock,Parent,Date sale price ends,Sale price\n";

fn told(rows: &str) -> Vec<Value> {
    items(format!("{HEAD}{rows}").as_bytes(), &[], "UTC")
}

#[test]
fn a_variation_is_found_wherever_it_stands() {
    let rows = [
        "1,variable,A,One,1,,,,,",
        "2,variation,A-1,One,1,5,1,A,,",
        "3,simple,C,Two,1,5,1,,,",
        "4,variation,A-2,One,1,5,1,A,,",
        "5,variation,,Three,1,5,1,id:6,,",
        "6,variable,,Three,1,,,,,",
    ];
    let ids = |rows: &[&str]| {
        let mut ids: Vec<(String, Vec<String>)> = told(&format!("{}\n", rows.join("\n")))
            .iter()
            .map(|item| {
                let variants = item["record"]["variants"].as_array().expect("taken");
                let of = |value: &Value| value["id"].as_str().expect("an id").to_owned();
                let mut variants: Vec<String> = variants.iter().map(of).collect();
                variants.sort();
                (of(&item["record"]), variants)
            })
            .collect();
        ids.sort();
        ids
    };
    let expected: Vec<(String, Vec<String>)> = [("1", vec!["2", "4"]), ("3", vec!["3"]), ("6", vec!["5"])]
        .map(|(id, of)| (id.into(), of.into_iter().map(Into::into).collect()))
        .into();
    assert_eq!(ids(&rows), expected);
    let backwards: Vec<&str> = rows.into_iter().rev().collect();
    assert_eq!(ids(&backwards), expected);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_remedy() {
    for (rows, expected) in [
        ("2,variation,,V,1,5,1,id:9,,", r#"Parent: the file has no product "id:9"; export it too (line 2)"#),
        ("2,variation,,V,1,5,1,,,", "Parent: is required for a variation (line 2)"),
        (",simple,A,One,1,5,1,,,", "ID: is required (line 2)"),
        (
            "1,simple,A,One,yes,5,1,,,",
            r#"Published: must be 1, 0 (private), -1 (draft) or 2 (pending), got "yes" (line 2)"#,
        ),
        (
            "1,simple,A,One,1,5 €,1,,,",
            r#"Regular price: must be a price such as 12.34, without a sign, currency or blank, got "5 €" (line 2)"#,
        ),
        ("1,simple,A,One,1,5,many,,,", r#"Stock: must be a number of units, got "many" (line 2)"#),
        (
            "1,simple,A,One,1,5,1,,2026-11-31 25:00,4",
            r#"Date sale price ends: must be a date or a time such as 2026-01-31 09:00:00, got "2026-11-31 25:00" (line 2)"#,
        ),
    ] {
        let items = told(&format!("{rows}\n"));
        assert_eq!(items[0]["refused"][0], expected, "{rows}");
    }
    let twice = told("1,simple,A,One,1,5,1,,,\n1,simple,B,Two,1,5,1,,,\n");
    assert!(twice[0]["refused"][0].as_str().is_some_and(|text| text.contains("the product on line 2")), "{twice:?}");
    let same_sku = told("1,simple,A,One,1,5,1,,,\n2,simple,A,Two,1,5,1,,,\n");
    assert!(same_sku.iter().all(|item| item.get("record").is_some()), "{same_sku:?}");
}

#[test]
fn a_file_in_another_language_has_every_column_named() {
    let german =
        "ID;Typ;Name;Veröffentlicht;Vorrätig?;Lager;Angebotspreis;Regulärer Preis;Bilder;Übergeordnetes Produkt\n";
    let file = [german.as_bytes(), b"1;simple;Tasse;-1;1;3;4,5;5,50;;\n"].concat();
    let told = |names: &[(&str, &str)]| open(&file, names, "UTC").err().expect("refused").to_string();
    assert!(
        told(&[]).starts_with("the file has no column Type, Published, In stock?, Stock, Regular price; export all")
    );
    let mut names = vec![
        ("typ", "Type"),
        ("veröffentlicht", "Published"),
        ("regulärer preis", "Regular price"),
        ("lager", "Stock"),
        ("vorrätig?", "In stock?"),
    ];
    assert!(
        told(&names).starts_with("the file has no column Sale price, Images, Parent; export all"),
        "{}",
        told(&names)
    );
    names.extend([("angebotspreis", "Sale price"), ("bilder", "Images"), ("übergeordnetes produkt", "Parent")]);
    let read = items(&file, &names, "UTC");
    assert_eq!(read[0]["record"]["status"], "draft");
    assert_eq!(read[0]["record"]["variants"][0]["specialPrice"], 450);
}

#[test]
fn net_prices_are_rounded_by_the_mark_of_the_file() {
    let price = |rows: &str| {
        let read = told(rows);
        read.iter().map(|item| item["record"]["variants"][0]["price"].clone()).collect::<Vec<_>>()
    };
    let comma = "1,simple,A,One,1,\"16,7983\",1,,,\n2,simple,B,Two,1,\"8,264\",1,,,\n3,simple,C,Three,1,12,1,,,\n";
    assert_eq!(price(comma), [1_680, 826, 1_200]);
    assert_eq!(price("1,simple,A,One,1,\"8,264\",1,,,\n"), [Value::Null], "alone it could mean thousands");
    let both = "1,simple,A,One,1,\"1,50\",1,,,\n2,simple,B,Two,1,1.50,1,,,\n3,simple,C,Three,1,8.264,1,,,\n";
    assert_eq!(price(both), [json!(150), json!(150), Value::Null]);
}

#[test]
fn what_a_shop_may_have_does_not_keep_a_product_away() {
    let file = format!(
        "ID,Type,SKU,Name,Published,Short description,Description,Stock,Regular price,Parent,Weight (lbs),Images,\
         Attribute 1 name,Attribute 1 value(s),Attribute 2 name,Attribute 2 value(s),Meta: _Size,Meta: _size\n\
         1,variable,P,Salt &amp; Pepper &#8217;,2,Short,<p>&nbsp;</p>,,,,.5,,Size,\"S, M\",Color,Red,x,y\n\
         2,variation,P-S,,1,,,4,5,P,,,Size,S,,,,\n\
         3,simple,Q,Soap,1,,,4,5,,1,,Ingredients,{},Color,Red,x,y\n\
         4,simple,R,Cap,1,,,4,5,,1,,Color,Red,Color,Blue,x,y\n",
        "x".repeat(800)
    );
    let read = items(file.as_bytes(), &[], "UTC");
    let record = |at: usize| &read[at]["record"];
    assert_eq!(record(0)["title"], "Salt & Pepper ’");
    assert_eq!((&record(0)["status"], &record(0)["subtitle"]), (&json!("draft"), &json!("Short")));
    let variant = &record(0)["variants"][0];
    assert_eq!(variant["options"], json!([{ "name": "Size", "value": "S" }, { "name": "Color", "value": "Red" }]));
    assert_eq!(variant["attributes"]["shipping_weight"], "0.5 lb");
    assert_eq!(record(1)["variants"][0]["options"], json!([{ "name": "Color", "value": "Red" }]));
    assert_eq!(record(2)["variants"][0]["options"], json!([{ "name": "Color", "value": "Red" }]));
}

#[test]
fn lists_are_split_at_commas_that_are_not_escaped() {
    assert_eq!(listed(r"a, b\, c,, d\e "), ["a", "b, c", r"d\e"]);
    assert_eq!(deepest("Sale, Clothing > Hoodies, Kids > Warm"), ["Clothing", "Hoodies"]);
    assert_eq!(deepest(""), Vec::<String>::new());
}

#[test]
fn units_are_whole() {
    for (text, expected) in
        [("3", Some(3)), ("2.75", Some(2)), ("2,5", Some(2)), ("-4", Some(-4)), ("x", None), ("1.x", None), ("", None)]
    {
        assert_eq!(quantity(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_file_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), with_head in any::<bool>()) {
        let file = if with_head { [HEAD.as_bytes(), &bytes].concat() } else { bytes };
        if let Ok(mut source) = open(&file, &[], "UTC") {
            while let Ok(Some(_)) = source.next_item() {}
        }
    }
}
