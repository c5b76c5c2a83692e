use super::*;
use crate::intake::import::formats::shown;

const EXPORT: &str = include_str!("tests/export.csv");

fn open(file: &[u8], names: &[(&str, &str)], decimals: u32) -> io::Result<Shopify<impl BufRead>> {
    let names = names.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    // A small buffer makes cells span several reads.
    Shopify::open(io::BufReader::with_capacity(4096, io::Cursor::new(file.to_vec())), names, decimals)
}

fn snapshot(name: &str, items: &[Value]) {
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots/import");
    insta::with_settings!({ snapshot_path => snapshots, prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!(name, items);
    });
}

/// Returns each product as JSON, or its refusals.
fn items(file: &[u8], names: &[(&str, &str)], decimals: u32) -> Vec<Value> {
    shown(open(file, names, decimals).expect("a header line"))
}

fn refusals(rows: &str, decimals: u32) -> Vec<Value> {
    let head = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Status\n";
    items(format!("{head}{rows}").as_bytes(), &[], decimals)
}

fn error(file: &[u8]) -> String {
    match open(file, &[], 2) {
        Ok(_) => String::from("the header line was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_export_becomes_records() {
    let items = items(EXPORT.as_bytes(), &[("färg", "color")], 2);
    snapshot("shopify_export", &items);
}

#[test]
fn semicolons_decimal_commas_a_mark_and_new_names_make_the_same_record() {
    let old = "Handle,Title,Body (HTML),Variant SKU,Variant Price,Variant Inventory Tracker,Status\nmug,Mug,<b>x</b>,M-1,12.50,,active\n";
    let new = "\u{feff}URL handle;Title;Description;SKU;Price;Inventory tracker;Status\r\nmug;Mug;<b>x</b>;'M-1;\"12,50\";;Active\r\n";
    assert_eq!(items(new.as_bytes(), &[], 2), items(old.as_bytes(), &[], 2));
}

#[test]
fn columns_of_another_language_are_mapped() {
    let file = "Handle,Titel,Preis,Inventory tracker\nmug,Becher,5,\n";
    let read = items(file.as_bytes(), &[("titel", "Title"), ("preis", "Variant Price")], 2);
    assert_eq!(read[0]["record"]["title"], "Becher");
    assert_eq!(read[0]["record"]["variants"][0]["price"], 500);
    assert!(error(file.as_bytes()).contains("no column Title; if it has another name, say --map \"That name=Title\""));
}

#[test]
fn what_is_wrong_names_column_and_line() {
    let read = refusals(
        "a,A,Size,S,,shopify,,1.00,active\na,,,M,,shopify,x,\"1,234\",\n,B,,,b,,,1,active\nc,C,,,c,,,1.5,gone\nd,D,,,d,,,2,active\n",
        2,
    );
    snapshot("shopify_refusals", &read);
}

#[test]
fn yen_have_no_decimals_and_are_kept_in_hundredths() {
    let read = refusals("a,A,,,s,,,1500,active\nb,B,,,t,,,15.50,active\n", 0);
    assert_eq!(read[0]["record"]["variants"][0]["price"], 150_000);
    assert_eq!(
        read[1]["refused"][0],
        "Variant Price: has more decimals than the currency, which has 0, got \"15.50\" (line 3)"
    );
}

#[test]
fn ids_stay_within_a_hundred_characters() {
    assert_eq!(variant_id("belt", &[]), "belt");
    assert_eq!(variant_id("belt", &["Red", "M"]), "belt/Red/M");
    let long = "é".repeat(99);
    assert_eq!(variant_id(&long, &[]).chars().count(), 99);
    assert_eq!(variant_id(&long, &["M"]).len(), 16);
    assert_ne!(variant_id(&long, &["M"]), variant_id(&long, &["L"]));
}

#[test]
fn hostile_files_give_clear_errors() {
    assert!(error(b"").contains("the file is empty"));
    assert!(error(b"\xff\xfeH\0a\0").contains("is UTF-16; save it as"));
    assert!(error(b"Handle,Titel f\xfcr\n").contains("header line is not UTF-8"));
    assert!(error(b"Handle,Title,Title\n").contains("column “title” is there twice; delete or rename one of the two"));
    let others = items(b"Handle,Title,Variant Price,Inventory tracker,Note,Note\nmug,Mug,1,,a,b\n", &[], 2);
    assert_eq!(others[0]["record"]["variants"][0]["price"], 100, "columns that are not read may repeat");
    let latin = items(b"Handle,Title,Variant Price\nmug,Fl\xfcgel,1\n", &[], 2);
    assert!(latin[0]["refused"][0].as_str().is_some_and(|text| text.contains("column 2 is not UTF-8")), "{latin:?}");
    let nul = items(b"Handle,Title,Variant Price,Inventory tracker\nmug,a\0b,1,\n", &[], 2);
    assert!(nul[0]["refused"][0].as_str().is_some_and(|text| text.contains("NUL")), "{nul:?}");
}

#[test]
fn a_row_that_is_not_what_its_writer_meant_is_refused() {
    let head = "Handle,Title,Inventory tracker,Variant SKU,Variant Price\n";
    for (rows, expected) in [
        ("mug,\"Mug,,M,5\ncup,Cup,,C,6\n", "2 cells and the header line 5; it is the last row: is a quote not closed"),
        ("mug,\"Mug,,M,5\ncup,\"Cup\",C,6\n", "4 cells and the header line 5; is a quote not closed"),
        ("mug,Mug,,M,39", ""),
        ("mug,Mug,,M", "4 cells and the header line 5; it is the last row"),
        ("mug,Mug, large,,M,5\n", "6 cells and the header line 5; is a comma in a cell without quotes around it?"),
        ("mug,Mug,,M,5,,,\n", ""),
        ("mug,Mug,,,5\nmug,,\n", ""),
    ] {
        let read = items(format!("{head}{rows}").as_bytes(), &[], 2);
        match expected {
            "" => assert!(read[0].get("record").is_some(), "{rows:?}: {read:?}"),
            _ => assert!(
                read[0]["refused"][0].as_str().is_some_and(|text| text.contains(expected)),
                "{rows:?}: {read:?}"
            ),
        }
    }
    let latin = items(b"Handle,Title,Variant Price,Inventory tracker\na,A,1,\nb,Fl\xfcgel,2,\nb,,3,\n", &[], 2);
    assert!(latin[0].get("record").is_some(), "the product before it is good: {latin:?}");
    assert!(latin[1].get("refused").is_some() && latin.len() == 2, "{latin:?}");
}

#[test]
fn a_handle_of_any_length_is_taken() {
    let handle = "fashion-".repeat(25);
    let read = items(format!("Handle,Title,Variant Price,Inventory tracker\n{handle},Shirt,5,\n").as_bytes(), &[], 2);
    let record = &read[0]["record"];
    assert_eq!((record["id"].as_str().map(str::len), record["slug"].as_str()), (Some(16), Some(&*handle)), "{read:?}");
}

#[test]
fn a_free_sample_is_not_offered_at_its_former_price() {
    let read =
        items(b"Handle,Title,Variant Price,Variant Compare At Price,Inventory tracker\ns,Sample,0.00,20.00,\n", &[], 2);
    let variant = &read[0]["record"]["variants"][0];
    assert_eq!((&variant["price"], &variant["specialPrice"]), (&json!(0), &Value::Null));
}

#[test]
fn an_unclosed_quote_stops_within_the_bound() {
    let head = b"Handle,Title,Variant Price\nmug,\"Mug,1\n".as_slice();
    let file = io::Read::chain(head, io::Read::take(io::repeat(b'x'), 1 << 40));
    let mut source = Shopify::open(io::BufReader::new(file), Names::new(), 2).expect("a header line");
    let error = source.next_item().expect_err("too long").to_string();
    assert!(error.starts_with("the row that begins on line 2: it has more than 8388608 bytes; is a quote"), "{error}");
    assert!(source.bytes_read() < 9 * 1024 * 1024);
}

#[test]
fn a_product_of_too_many_rows_is_refused_and_the_next_is_read() {
    let mut file = String::from("Handle,Title,Variant Price,Variant SKU,Inventory tracker\n");
    let cell = "x".repeat(1_000_000);
    for _ in 0..10 {
        file.push_str(&format!("mug,{cell},1,s,\n"));
    }
    file.push_str("cup,Cup,1,s,\n");
    let read = items(file.as_bytes(), &[], 2);
    assert_eq!(read[0]["refused"][0], "the rows of this handle have more than 8388608 bytes");
    assert_eq!((read.len(), &read[1]["record"]["id"]), (2, &json!("cup")));
}
