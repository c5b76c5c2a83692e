//! A key is changed for another one while the installation lives: `META_CATALOG_KEY=new,old`, `keys rotate`, then `new`.

use std::path::{Path, PathBuf};
use std::process::Output;

use catalog_sync::failpoints::Point;
use catalog_sync::store::{credential, settings};
use secrecy::ExposeSecret as _;
use testkit::{Engine, KEY, Plant, product, variant};

use crate::crash::open;

const NEW: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
/// The names of the two keys: the beginning of their digests.
const KIDS: [&str; 2] = ["630dcd29", "69c55c90"];

/// How often a rotation of everything passes each failpoint: two tokens and the app secret.
const PASSED: [(Point, usize); 5] = [
    (Point::KeysRead, 1),
    (Point::KeysSealing, 3),
    (Point::KeysSealed, 3),
    (Point::KeysRetiring, 1),
    (Point::KeysRetired, 1),
];

/// The failpoints that the tests of this module run into.
pub(crate) fn killed() -> impl Iterator<Item = Point> {
    PASSED.into_iter().map(|(point, _)| point)
}

/// Writes the configuration with these keys into a file of its own.
fn with_keys(plant: &Plant, name: &str, keys: &str) -> PathBuf {
    let file = plant.folder().join(format!("{name}.toml"));
    let text = std::fs::read_to_string(plant.folder().join("meta-catalog.toml")).expect("read");
    std::fs::write(&file, text.replace(KEY, keys)).expect("written");
    file
}

fn said(output: &Output) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for secret in [KEY, NEW, "simulator-app-secret"] {
        assert!(!said.contains(secret), "{said}");
    }
    said
}

async fn run(plant: &Plant, arguments: &[&str], config: &Path, code: i32) -> String {
    let output = plant.program.run(arguments, config).await;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

/// Everything secret, opened.
async fn secrets(plant: &Plant) -> [String; 3] {
    let mut tx = plant.db().read().await.expect("a connection");
    let known = credential::load(&mut tx, &plant.app.keyring).await.expect("opens").expect("connected");
    let secret = settings::app_secret(&mut tx, &plant.app.keyring).await.expect("opens").expect("set");
    [known.access_token, known.user_token.expect("kept"), secret].map(|secret| secret.expose_secret().to_owned())
}

/// A change of the shop goes through.
async fn syncs(plant: &Plant, price: i64) {
    plant.import(&[product("p", &[variant("a", price)])]).await;
    let mut serve = plant.serve().await;
    plant.settle(&serve).await;
    plant.check().await;
    serve.kill().await;
    plant.lease_ends().await;
}

async fn changed(engine: Engine) {
    let mut plant = open(engine).await;
    let [old, both, new] = [("old", KEY.to_owned()), ("both", format!("{NEW},{KEY}")), ("new", NEW.to_owned())]
        .map(|(name, keys)| with_keys(&plant, name, &keys));
    plant.import(&[product("p", &[variant("a", 100)])]).await;
    let mut serve = plant.serve().await;
    plant.settle(&serve).await;
    let refused = run(&plant, &["keys", "rotate"], &both, 1).await;
    assert!(refused.contains("restart every replica with these keys first"), "{refused}");
    let refused = run(&plant, &["keys", "forget", "--yes"], &new, 1).await;
    assert!(refused.contains("stop"), "{refused}");
    serve.kill().await;
    plant.lease_ends().await;

    let refused = run(&plant, &["serve"], &new, 1).await;
    assert!(refused.contains("setting meta.app_secret") && refused.contains("keys rotate"), "{refused}");
    assert!(refused.contains(&format!("sealed with the key {:?}", KIDS[0])), "{refused}");
    let listed = run(&plant, &["keys", "list"], &new, 1).await;
    assert!(listed.contains(&format!("key {:?}, not configured\n  4 values sealed", KIDS[0])), "{listed}");

    plant.use_config(both.clone()).await;
    plant.import(&[product("p", &[variant("a", 200)])]).await;
    let mut serve = plant.serve().await;
    plant.settle(&serve).await;
    let rotated = run(&plant, &["keys", "rotate"], &both, 0).await;
    assert!(rotated.contains(&format!("Sealed again with the key {:?}: 3 values", KIDS[1])), "{rotated}");
    assert!(rotated.contains(&format!("remove [{:?}]", KIDS[0])), "{rotated}");
    // The service that runs reads what was sealed beside it.
    plant.import(&[product("p", &[variant("a", 300)])]).await;
    plant.settle(&serve).await;
    plant.check().await;
    serve.kill().await;
    plant.lease_ends().await;

    plant.use_config(new.clone()).await;
    syncs(&plant, 400).await;
    run(&plant, &["keys", "list"], &new, 0).await;
    let refused = run(&plant, &["serve"], &old, 1).await;
    assert!(refused.contains(&format!("sealed with the key {:?}", KIDS[1])), "{refused}");
}

async fn killed_at_every_point(engine: Engine) {
    let mut plant = open(engine).await;
    let files =
        [("new", format!("{NEW},{KEY}"), NEW), ("old", format!("{KEY},{NEW}"), KEY)].map(|(name, both, alone)| {
            (with_keys(&plant, &format!("{name}-first"), &both), with_keys(&plant, name, alone))
        });
    plant.use_config(files[1].0.clone()).await;
    let before = secrets(&plant).await;
    let places = PASSED.into_iter().flat_map(|(point, times)| (1..=times).map(move |time| (point, time)));
    // Back and forth, so that each rotation has everything to do.
    for ((point, time), (both, alone)) in places.zip(files.iter().cycle()) {
        let place = format!("{}=kill@{time}", point.name());
        let output = plant.program.with("FAILPOINTS", &place).run(&["keys", "rotate"], both).await;
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(6), "{place}: {}", said(&output));
        assert_eq!(secrets(&plant).await, before, "{place}");
        run(&plant, &["keys", "list"], both, 0).await;
        let over = point == Point::KeysRetired;
        run(&plant, &["mapper", "status"], alone, i32::from(!over)).await;
        run(&plant, &["keys", "rotate"], both, 0).await;
        run(&plant, &["mapper", "status"], alone, 0).await;
        assert_eq!(secrets(&plant).await, before, "{place}");
    }
    // The number of places is odd: the last rotation was to the new key.
    plant.use_config(files[0].1.clone()).await;
    syncs(&plant, 100).await;
}

/// Another token comes in while a rotation has read the one before: it stays, under the new key in the end.
async fn written_meanwhile(engine: Engine) {
    let mut plant = open(engine).await;
    let [both, new] =
        [("both", format!("{NEW},{KEY}")), ("new", NEW.to_owned())].map(|(name, keys)| with_keys(&plant, name, &keys));
    let go = plant.folder().join("go");
    let waits = format!("keys.read=wait:{}", go.display());
    let mut rotation = plant.program.with("FAILPOINTS", waits).start(&["keys", "rotate"], &both);
    rotation.log.until("failpoint keys.read").await;
    let before = secrets(&plant).await;
    plant.connect().await;
    let written = secrets(&plant).await;
    assert_ne!(before, written);
    plant.go_on();
    assert!(rotation.end().await.success(), "{}", rotation.log.text());
    plant.use_config(new).await;
    assert_eq!(secrets(&plant).await, written);
    syncs(&plant, 100).await;
}

/// The old key is lost: what it sealed goes, after a second word, and the service starts.
async fn lost(engine: Engine) {
    let mut plant = open(engine).await;
    let new = with_keys(&plant, "new", NEW);
    let shown = run(&plant, &["keys", "forget"], &new, 1).await;
    assert!(shown.contains("would remove: the app secret") && shown.contains("--yes"), "{shown}");
    run(&plant, &["mapper", "status"], &new, 1).await;
    let before = secrets(&plant).await;
    let gone = run(&plant, &["keys", "forget", "--yes"], &new, 0).await;
    assert!(gone.contains("enter the app secret again and connect to Meta again"), "{gone}");
    for secret in before {
        assert!(!gone.contains(&secret));
    }
    plant.use_config(new.clone()).await;
    plant.set(serde_json::json!({"app_secret": "simulator-app-secret"})).await;
    plant.connect().await;
    syncs(&plant, 100).await;
    assert!(run(&plant, &["keys", "forget", "--yes"], &new, 0).await.contains("nothing has to be removed"));
}

macro_rules! on_both {
    ($($name:ident: $body:ident;)+) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$body(super::Engine::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$body(super::Engine::Postgres).await; })+ }
    };
}

on_both! {
    a_key_is_changed_while_the_service_runs: changed;
    a_rotation_that_was_killed_anywhere_goes_on: killed_at_every_point;
    what_is_written_during_a_rotation_stays: written_meanwhile;
    a_lost_key_costs_what_it_sealed: lost;
}
