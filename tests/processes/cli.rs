//! The command line as its user meets it: the real binary, in an empty folder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meta-catalog"));
    // Nothing of the developer's own environment may decide a test.
    command.current_dir(folder).args(args).env_clear().env("META_CATALOG_LISTEN", "127.0.0.1:0");
    command
}

fn run(folder: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = command(folder, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut pipe = child.stdin.take().expect("a stdin");
    // A command that refuses its arguments does not read.
    let _ = pipe.write_all(stdin);
    drop(pipe);
    child.wait_with_output().expect("ended")
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

struct Serve(Child);

impl Serve {
    /// Starts it and waits until it listens; answers where.
    fn start(folder: &Path) -> (Self, String) {
        let mut child =
            command(folder, &["serve"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a stdout")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening ").unwrap_or_else(|| panic!("said {line:?}")).to_owned();
        (Self(child), url)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn serve_needs_nothing_and_a_second_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, url) = Serve::start(folder.path());

    let second = run(folder.path(), &["serve"], b"");
    assert_eq!(second.status.code(), Some(1));
    let told = text(&second.stderr);
    assert!(told.contains("another meta-catalog process runs on data/meta-catalog.db"), "{told}");

    // A token made beside the running service works at once.
    let made = run(folder.path(), &["token", "create", "--role", "catalog-admin"], b"");
    let token = text(&made.stdout).trim().to_owned();
    let client = reqwest::Client::new();
    let status = client.get(format!("{url}/admin/meta/status")).bearer_auth(&token).send().await.expect("answered");
    assert_eq!(status.status().as_u16(), 200);
    let body: Value = status.json().await.expect("JSON");
    assert_eq!((&body["data"]["connected"], &body["statusCode"]), (&Value::Bool(false), &Value::from(200)));

    // Killed the hard way, the next one starts at once.
    drop(first);
    let (again, url) = Serve::start(folder.path());
    let ready = client.get(format!("{url}/ready")).send().await.expect("answered");
    assert_eq!(ready.status().as_u16(), 200);

    // Also one that begins while the killed one is not quite gone.
    let path = folder.path().to_owned();
    let starting = std::thread::spawn(move || Serve::start(&path));
    drop(again);
    let (_third, url) = starting.join().expect("it listens");
    let ready = client.get(format!("{url}/ready")).send().await.expect("answered");
    assert_eq!(ready.status().as_u16(), 200);
}

#[test]
fn import_tells_line_and_field_and_takes_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = br#"{"id":"p1","title":"Belt","slug":"belt","status":"active","visibility":"public","variants":[{"id":"v1","price":100}]}"#;
    let mut lines: Vec<Vec<u8>> = vec![
        good.to_vec(),
        br#"{"id":"p2","title":"T","status":"active","visibility":"public","variants":[{"id":"v2","price":-1}]}"#
            .to_vec(),
        br#"{"id":"p3","title":"T","status":"active","visibility":"public","variants":[{"id":"v3","price":9.5}]}"#
            .to_vec(),
        br#"{"id":"p4","title":"T","status":"active","visibility":"public","colour":"red"}"#.to_vec(),
        br#"{"id":"p5","title":"#.to_vec(),
        br#"{"id":"p6","title":"T","status":"active","visibility":"public","variants":[{"id":"v1"}]}"#.to_vec(),
        b"{\"id\":\"p7\",\"title\":\"\xff\",\"status\":\"active\",\"visibility\":\"public\"}".to_vec(),
    ];
    let long = "x".repeat(1_000_000);
    lines.push(format!(r#"{{"id":"p8","title":"{long}","status":"active","visibility":"public"}}"#).into_bytes());
    let file = lines.join(&b'\n');

    let lenient = run(folder.path(), &["import", "-"], &file);
    assert_eq!(lenient.status.code(), Some(2));
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/cli");
    insta::with_settings!({ snapshot_path => snapshots, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("import_refusals", text(&lenient.stderr));
    });

    let strict = run(folder.path(), &["--database-url", "sqlite://strict.db", "import", "--strict", "-"], &file);
    assert_eq!(strict.status.code(), Some(1));
    assert!(
        text(&strict.stderr)
            .ends_with("0 products imported (0 products and 0 variants changed, 0 intents queued), 7 lines refused\n")
    );
    let strict = run(folder.path(), &["--database-url", "sqlite://strict.db", "import", "--strict", "-"], good);
    assert_eq!(
        (strict.status.code(), text(&strict.stderr).starts_with("1 products imported (1 products")),
        (Some(0), true)
    );
}

#[test]
fn mapper_map_answers_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = concat!(
        r#"{"now":"2026-01-01T00:00:00Z","settings":{"storefront_base_url":"https://shop.example"},"env":{},"product":{"id":"p","title":"Belt","slug":"belt","status":"active","visibility":"public"},"variant":{"id":"v","price":29900}}"#,
        "\n",
        r#"{"product":{"id":"p","slug":"s","status":"archived","visibility":"public"},"variant":{"id":"v","price":1}}"#,
        "\n{\n"
    );
    let mapped = run(folder.path(), &["mapper", "map"], lines.as_bytes());
    assert_eq!(mapped.status.code(), Some(0));
    let answers: Vec<Value> =
        text(&mapped.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers[0]["data"]["price"], "299.00 INR");
    assert_eq!(answers[1], serde_json::json!({"rejected": "product_not_active"}));
    assert!(answers[2]["error"].is_string() && answers.len() == 3);
}

#[test]
fn a_broken_configuration_names_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = run(folder.path(), &["--database-url", "mysql://x", "migrate"], b"");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("must start with sqlite:// or postgres://"), "{}", text(&refused.stderr));
    let mut listen = command(folder.path(), &["serve"]);
    let refused = listen.env("META_CATALOG_LISTEN", "here").output().expect("ended");
    assert!(text(&refused.stderr).contains("META_CATALOG_LISTEN"), "{}", text(&refused.stderr));
}

/// Asks the running service with this token; answers status and message.
async fn asked(url: &str, token: &str) -> (u16, String) {
    let request = reqwest::Client::new().get(format!("{url}/admin/meta/status")).bearer_auth(token);
    let response = request.send().await.expect("answered");
    let status = response.status().as_u16();
    let body: Value = response.json().await.expect("JSON");
    (status, body["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_token_ends_when_it_was_created_to_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let create = |more: &[&str]| {
        let args = [["token", "create", "--role", "catalog-viewer"].as_slice(), more].concat();
        let made = run(folder.path(), &args, b"");
        (made.status.code(), text(&made.stdout).trim().to_owned(), text(&made.stderr).to_owned())
    };
    for (wrong, word) in [("0d", "longer"), ("-1d", "longer"), ("90", "90d"), ("1 month", "90d"), ("soon", "90d")] {
        let (code, token, told) = create(&[&format!("--expires-in={wrong}")]);
        assert_eq!((code, token.as_str()), (Some(2), ""), "{wrong}: {told}");
        assert!(told.contains("--expires-in") && told.contains(word), "{wrong}: {told}");
    }
    let (_serve, url) = Serve::start(folder.path());
    let (code, for_ever, told) = create(&["--name", "for ever"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, long, told) = create(&["--name", "long", "--expires-in", "90d"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, short, told) = create(&["--name", "short", "--expires-in", "1s"]);
    assert_eq!(code, Some(0), "{told}");
    testkit::until("the token ends", async || asked(&url, &short).await.0 == 401, String::new).await;
    let (status, message) = asked(&url, &short).await;
    assert!(status == 401 && message.contains("expired") && message.contains("token create"), "{message}");
    assert_eq!(asked(&url, &long).await.0, 200);
    assert_eq!(asked(&url, &for_ever).await.0, 200);

    let listed = run(folder.path(), &["token", "list"], b"");
    let listed = text(&listed.stdout);
    let row = |name: &str| listed.lines().find(|line| line.ends_with(name)).expect("it is listed");
    assert!(listed.lines().next().expect("a head").contains("expires"), "{listed}");
    assert!(row("for ever").contains("active") && row("for ever").contains("never"), "{listed}");
    assert!(row("long").contains("active") && !row("long").contains("never"), "{listed}");
    assert!(row("short").contains("expired"), "{listed}");
    let help = run(folder.path(), &["token", "create", "--help"], b"");
    assert!(text(&help.stdout).contains("never expires"), "{}", text(&help.stdout));
}

/// A token made in the wrong folder does not open the service, so the command says where it is valid.
#[test]
fn token_create_says_which_database_it_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let create = || run(folder.path(), &["token", "create", "--role", "catalog-viewer"], b"");
    let first = create();
    let database = folder.path().canonicalize().expect("a path").join("data/meta-catalog.db");
    let used = format!("the token is valid in the database {}", database.display());
    assert!(text(&first.stdout).starts_with("mct_") && text(&first.stdout).lines().count() == 1);
    let told = text(&first.stderr);
    assert!(told.contains(&used) && told.contains("just made") && told.contains("--database-url"), "{told}");
    let second = create();
    let told = text(&second.stderr);
    assert!(told.contains(&used) && !told.contains("just made"), "{told}");
}

/// What a command shows of a name, a file or a module steers no terminal.
#[test]
fn no_command_sends_control_codes_of_others_to_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let evil = "a\u{1b}[31mb\u{9b}0m\u{202e}";
    let shown = r"a\u{1b}[31mb\u{9b}0m\u{202e}";
    run(folder.path(), &["token", "create", "--role", "catalog-viewer", "--name", &format!("{evil}\nforged")], b"");
    std::fs::write(folder.path().join(format!("{evil}.wasm")), "no module").expect("written");
    std::fs::write(folder.path().join(format!("{evil}.toml")), format!("\"{evil}\" = 1")).expect("written");
    let listed = run(folder.path(), &["token", "list"], b"");
    assert!(text(&listed.stdout).contains(&format!("{shown}\\nforged")), "{:?}", text(&listed.stdout));
    for args in [
        ["token", "list", "--config", &format!("{evil}.toml")].as_slice(),
        &["token", "revoke", evil],
        &["mapper", "check", &format!("{evil}.wasm")],
        &["mapper", "check", evil],
        &["mapper", "activate", &format!("{evil}.wasm")],
    ] {
        let Output { status, stdout, stderr } = run(folder.path(), args, b"");
        assert!(!status.success(), "{args:?}");
        let told = format!("{}{}", text(&stdout), text(&stderr));
        let unfit = told.chars().find(|one| one.is_control() && *one != '\n' || *one == '\u{202e}');
        assert_eq!(unfit, None, "{args:?}: {told:?}");
    }
}

/// A shop's export of `variants` variants, five per product.
fn shopify_export(variants: usize) -> String {
    let mut file = String::from(
        "Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Status\n",
    );
    for at in 0..variants {
        let (product, size) = (at / 5, at % 5);
        // The first row of a product has its own cells; every third product has a price that is no price.
        let own = if size == 0 {
            (format!("Shirt {product}"), "<p>Soft, airy</p>", "Size", "active")
        } else {
            Default::default()
        };
        let price = if product % 3 == 2 { "on request" } else { "12.50" };
        file.push_str(&format!(
            "shirt-{product},{},\"{}\",{},S{size},'{at:05},shopify,{size},{price},{}\n",
            own.0, own.1, own.2, own.3
        ));
    }
    file
}

/// Imports a file of products with five variants each, of which every third product has five prices that cannot be read.
/// `META_CATALOG_TEST_IMPORT_VARIANTS=100000` tries large files.
fn any_size(format: &str, export: fn(usize) -> String, example: &str) {
    let variants: usize =
        std::env::var("META_CATALOG_TEST_IMPORT_VARIANTS").map_or(3_000, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("export"), export(variants)).expect("written");
    let child = command(folder.path(), &["import", "--format", format, "export"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let status = format!("/proc/{}/status", child.id());
    let peak = std::thread::spawn(move || {
        let mut peak = 0;
        // The last line that is read before the process is gone, or only its shell is left.
        while let Ok(status) = std::fs::read_to_string(&status)
            && let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        peak
    });
    let output = child.wait_with_output().expect("ended");
    let said = text(&output.stderr);

    let products = variants / 5;
    let refused = products / 3;
    assert_eq!(output.status.code(), Some(2), "{said}");
    let screen: Vec<&str> = said.lines().rev().take(3).collect();
    assert_eq!(
        screen,
        [
            &*format!(
                "{0} products imported ({0} products and {1} variants changed, {1} intents queued), {refused} products refused",
                products - refused,
                (products - refused) * 5
            ),
            &*format!("  {}× such as {example}", refused * 5),
            "What to fix, most frequent first:",
        ]
    );
    let peak = peak.join().expect("a peak");
    assert!((1..256 * 1024).contains(&peak), "{peak} kB");
}

#[test]
fn a_shopify_export_of_any_size_needs_little_memory_and_says_what_to_fix_in_one_screen() {
    let example = "line 12: Variant Price: must be a price such as 12.34, without a sign, currency or blank, got \"on request\" (line 12)";
    any_size("shopify-csv", shopify_export, example);
}

#[test]
fn a_woocommerce_export_of_any_size_needs_little_memory_and_says_what_to_fix_in_one_screen() {
    let example = "line 4: Regular price: must be a price such as 12.34, without a sign, currency or blank, got \"on request\" (line ";
    let lines = std::env::var("META_CATALOG_TEST_IMPORT_VARIANTS").map_or(3_000, |n| n.parse().expect("a number")) / 5;
    // The variations stand behind all products, the first of the third product in its eleventh line.
    any_size("woocommerce-csv", woocommerce_export, &format!("{example}{})", lines + 2 + 10));
}

#[test]
fn a_google_merchant_feed_of_any_size_needs_little_memory_and_says_what_to_fix_in_one_screen() {
    let example =
        "line 12: price: must be an amount with its currency, such as 12.50 EUR, got \"on request\" (line 12)";
    any_size("google-merchant-xml", google_merchant_feed, example);
}

/// All products, then all variations.
fn woocommerce_export(variants: usize) -> String {
    let mut file = String::from(
        "ID,Type,SKU,Name,Published,Description,Stock,Regular price,Parent,Attribute 1 name,Attribute 1 value(s)\n",
    );
    for product in 0..variants / 5 {
        let description = "<p>Warm.</p>\\n".repeat(60);
        file.push_str(&format!("{product},variable,P-{product},Socks,1,{description},,,,Size,\"1, 2, 3, 4, 5\"\n"));
    }
    for product in 0..variants / 5 {
        let price = if product % 3 == 2 { "on request" } else { "\"12,50\"" };
        for size in 1..=5 {
            let id = 1_000_000 + product * 5 + size;
            file.push_str(&format!("{id},variation,P-{product}-{size},Socks,1,,7,{price},P-{product},Size,{size}\n"));
        }
    }
    file
}

/// Five items of each product, one after the other.
fn google_merchant_feed(variants: usize) -> String {
    let mut file = String::from("<rss xmlns:g='http://base.google.com/ns/1.0'><channel>\n");
    for product in 0..variants / 5 {
        let price = if product % 3 == 2 { "on request" } else { "12.50 EUR" };
        let description = "&lt;p&gt;Warm &amp; soft.&lt;/p&gt;".repeat(20);
        for size in 1..=5 {
            file.push_str(&format!(
                "<item><g:id>v-{product}-{size}</g:id><g:item_group_id>p-{product}</g:item_group_id><title>Socks</title>\
                 <description>{description}</description><g:price>{price}</g:price><g:size>{size}</g:size></item>\n"
            ));
        }
    }
    file.push_str("</channel></rss>\n");
    file
}

#[test]
fn an_import_of_a_shop_export_refuses_what_it_cannot_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let shopify = |args: &[&str], file: &[u8]| {
        let args: Vec<&str> = ["import", "--format", "shopify-csv", "-"].iter().chain(args).copied().collect();
        let output = run(folder.path(), &args, file);
        (output.status.code(), text(&output.stderr).to_owned())
    };
    let german = "Handle;Titel;Variant Price;Inventory tracker\nmug;Becher;12,50;\n".as_bytes();
    let (code, said) = shopify(&[], german);
    assert_eq!(code, Some(1));
    assert!(said.contains("nothing was imported: ") && said.contains("--map \"That name=Title\""), "{said}");
    assert_eq!(shopify(&["--map", "Titel=Title"], german).0, Some(0));
    let (code, said) = shopify(&["--map", "Titel"], german);
    assert_eq!(code, Some(2));
    assert!(said.contains("must be two names with = between them"), "{said}");
    let ndjson = run(folder.path(), &["import", "--map", "a=b", "-"], b"");
    assert_eq!(ndjson.status.code(), Some(1));
    assert!(text(&ndjson.stderr).contains("say --format shopify-csv or woocommerce-csv too"));
}

/// A dry run tells in one screen what would become of a file, and writes nothing.
#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let product = |number: usize, status: &str, price: i64| {
        serde_json::json!({
            "id": format!("p{number}"), "title": "Linen shirt", "description": "Soft.", "slug": format!("shirt-{number}"),
            "status": status, "visibility": "public", "brand": {"title": "Salt &amp; Co"}, "thumbnail": "https://cdn.example/1.jpg",
            "variants": [{"id": format!("v{number}"), "price": price, "inventory": {"quantityOnHand": 1}}],
        })
        .to_string()
    };
    let mut lines: Vec<String> = (0..60).map(|n| product(n, "active", if n % 3 == 0 { 0 } else { 500 })).collect();
    lines.extend((60..90).map(|n| product(n, "sold", 500)));
    let file = lines.join("\n");
    let dry = ["import", "--dry-run", "--complete", "-"];
    let output = run(folder.path(), &dry, file.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/cli");
    insta::with_settings!({ snapshot_path => snapshots, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("import_dry_run", text(&output.stderr));
    });

    // Again, the same: nothing was written.
    let again = run(folder.path(), &dry, file.as_bytes());
    assert_eq!(text(&again.stderr), text(&output.stderr));

    // What was written before is told as unchanged, and what the file leaves out as a delete.
    let first = lines[..60].join("\n");
    assert!(run(folder.path(), &["import", "-"], first.as_bytes()).status.success());
    let output = run(folder.path(), &dry, lines[1..60].join("\n").as_bytes());
    let said = text(&output.stderr);
    assert!(said.contains("does not name 1 of 60 variants; they would be deleted"), "{said}");
    assert!(said.contains("59 products would be imported (0 products and 0 variants changed, 0 intents"), "{said}");
}
