//! Runs `meta-catalog mapper …` as a user does: the real binary, in an empty folder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use testkit::modules::{digest, module};

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meta-catalog"));
    // The developer's environment must not affect a test.
    command.current_dir(folder).args(args).env_clear();
    command
}

/// Runs the command. Returns exit code, stdout and stderr.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(folder, args).stdin(Stdio::null()).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

/// Creates a folder that contains these modules under their own names.
fn folder_with(modules: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    for name in modules {
        let file = Path::new(name).file_name().expect("a name");
        std::fs::write(folder.path().join(file).with_extension("wasm"), module(name)).expect("written");
    }
    let path = folder.path().to_owned();
    (folder, path)
}

fn told(name: &str, text: &str) {
    // The last part of the built-in digest changes with the samples.
    let text = text.replace(catalog_sync::mapping::builtin_digest(), "[builtin]");
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/cli"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn item(id: &str, cost: i64) -> Value {
    json!({
        "now": 1, "settings": {"storefront_base_url": "https://shop.example"},
        "product": {"id": "p", "title": "Belt", "slug": "belt", "status": "active", "visibility": "public"},
        "variant": {"id": id, "price": 10_000, "extra": {"cost": cost}},
    })
}

#[test]
fn map_answers_with_a_module_as_soon_as_it_is_asked() {
    let (_keep, folder) = folder_with(&["margin-label"]);
    let mut child = command(&folder, &["mapper", "map", "--mapper", "margin-label.wasm"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut asking = child.stdin.take().expect("a stdin");
    let mut answers = BufReader::new(child.stdout.take().expect("a stdout")).lines();
    let mut answer = || json_of(&answers.next().expect("an answer").expect("a line"));
    // A single line gets its output line while the pipe is still open.
    writeln!(asking, "{}", item("v-0", 1)).expect("written");
    assert_eq!(answer()["data"]["custom_label_2"], "margin-high");
    // Many lines at once, some of which are not items, keep their order.
    for n in 0..1_500 {
        match n % 3 {
            0 => writeln!(asking, "{}", item(&format!("v-{n}"), 9_000)),
            1 => writeln!(asking, "{{ {n}"),
            _ => writeln!(asking, r#"{{"product":{{"status":"archived"}},"variant":{{"id":"v-{n}"}}}}"#),
        }
        .expect("written");
    }
    drop(asking);
    for n in 0..1_500 {
        let answer = answer();
        match n % 3 {
            0 => assert_eq!(
                (&answer["data"]["id"], &answer["data"]["custom_label_2"]),
                (&json!(format!("v-{n}")), &json!("margin-low"))
            ),
            1 => assert!(answer["error"].is_string(), "{answer}"),
            _ => assert_eq!(answer, json!({"rejected": "product_not_active"})),
        }
    }
    assert!(child.wait().expect("ended").success());
}

#[test]
fn check_shows_where_a_module_differs_and_whether_it_may() {
    let (_keep, folder) = folder_with(&["margin-label", "fixtures/twin", "fixtures/always-trap", "fixtures/truncated"]);
    let (code, shown, _) = run(&folder, &["mapper", "check", "twin.wasm"]);
    assert_eq!(code, 0);
    let head: Vec<&str> = shown.lines().skip(1).take(6).collect();
    let tail: Vec<&str> = shown.lines().rev().take(2).collect();
    told("mapper_check", &format!("{}\n…\n{}\n{}", head.join("\n"), tail[1], tail[0]));

    let (code, json, _) = run(&folder, &["mapper", "check", "margin-label.wasm", "--json", "--out", "answers"]);
    let checked = json_of(&json);
    assert_eq!((code, &checked["canBeActivated"], &checked["failing"]), (0, &json!(true), &json!(0)));
    assert_eq!(checked["module"]["digest"], digest(&module("margin-label")));
    let written: Vec<PathBuf> = std::fs::read_dir(folder.join("answers"))
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .collect();
    assert_eq!(json!(written.len()), checked["samples"]);
    for file in written {
        let answer = json_of(&std::fs::read_to_string(&file).expect("read"));
        assert!(
            answer["purpose"].is_string() && !(answer["data"].is_null() && answer["rejected"].is_null()),
            "{answer}"
        );
    }

    // Every failure is listed, not only the first.
    let (code, json, _) = run(&folder, &["mapper", "check", "always-trap.wasm", "--json"]);
    let checked = json_of(&json);
    assert_eq!((code, &checked["canBeActivated"], &checked["failing"]), (1, &json!(false), &checked["samples"]));
    let (code, shown, _) = run(&folder, &["mapper", "check", "always-trap.wasm"]);
    assert!(code == 1 && shown.ends_with("fix the failures above, and check it again.\n"), "{shown}");

    for (file, expected) in [("truncated.wasm", "truncated.wasm: "), ("missing.wasm", "cannot read missing.wasm: ")] {
        let (code, _, error) = run(&folder, &["mapper", "check", file]);
        assert!(code == 1 && error.starts_with(&format!("meta-catalog: {expected}")), "{error}");
    }
}

#[test]
fn a_module_is_compared_activated_and_taken_back() {
    let (_keep, folder) = folder_with(&["margin-label", "fixtures/twin", "fixtures/always-short"]);
    let mut lines = String::new();
    for n in 0..30 {
        let variant = json!({"id": format!("v-{n:02}"), "price": 10_000, "extra": {"cost": 300 * n}});
        let product = json!({"id": format!("p-{n:02}"), "title": "Belt", "slug": "belt", "status": "active",
            "visibility": "public", "variants": [variant]});
        lines.push_str(&format!("{product}\n"));
    }
    std::fs::write(folder.join("shop.ndjson"), lines).expect("written");
    assert_eq!(run(&folder, &["import", "shop.ndjson"]).0, 0);

    let (code, shown, error) = run(&folder, &["mapper", "diff", "margin-label.wasm"]);
    assert_eq!(code, 0, "{error}");
    told("mapper_diff", &shown);
    let (code, json, _) = run(&folder, &["mapper", "diff", "margin-label.wasm", "--json"]);
    let report = json_of(&json);
    assert_eq!((code, &report["report"]["variants"], &report["report"]["changed"]), (0, &json!(30), &json!(30)));

    let (code, shown, _) = run(&folder, &["mapper", "status"]);
    assert_eq!(code, 0);
    told("mapper_status_builtin", &shown);
    let (code, _, error) = run(&folder, &["mapper", "rollback"]);
    assert!(code == 1 && error.contains("there is no mapper to roll back to"), "{error}");
    let (code, _, error) = run(&folder, &["mapper", "activate", "always-short.wasm"]);
    assert!(code == 1 && error.contains("mapper check"), "{error}");

    let active = |args: &[&str]| {
        let (code, json, error) = run(&folder, &[&["mapper"], args, &["--json"]].concat());
        assert_eq!(code, 0, "{error}");
        json_of(&json)["active"]["name"].as_str().expect("a name").to_owned()
    };
    let (margin, twin) = ("margin-label", active(&["activate", "twin.wasm"]));
    let (code, shown, _) = run(&folder, &["mapper", "activate", "margin-label.wasm", "--remap"]);
    assert!(code == 0 && shown.contains("margin-label") && shown.contains("is now the active mapper"), "{shown}");
    assert!(shown.contains("re-map    running: 0 of 30"), "{shown}");
    let (_, shown, _) = run(&folder, &["mapper", "activate", "margin-label.wasm"]);
    assert!(shown.contains("was already the active mapper; nothing was changed"), "{shown}");
    let (_, shown, _) = run(&folder, &["mapper", "activate", "margin-label.wasm", "--remap"]);
    assert!(shown.contains("was already the active mapper; every variant is asked for again"), "{shown}");
    assert_eq!(active(&["status"]), margin);
    // The suggested next step must not roll back to the previous mapper.
    let (_, shown, _) = run(&folder, &["mapper", "rollback"]);
    assert!(
        shown.contains("`meta-catalog mapper remap` asks for all of them") && !shown.contains("--remap"),
        "{shown}"
    );
    assert_eq!(active(&["remap"]), twin);
    let (code, shown, _) = run(&folder, &["mapper", "remap"]);
    assert!(code == 0 && shown.contains("re-map    running: 0 of 30"), "{shown}");
    assert_eq!(active(&["rollback"]), margin);
    assert_eq!(active(&["reset"]), "builtin");
    assert_eq!(active(&["status"]), "builtin");
}
