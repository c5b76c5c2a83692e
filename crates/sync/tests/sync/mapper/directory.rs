//! Modules that are copied into the watched folder of a running service.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use catalog_sync::admin::mapper::{self, MapperState, Source};
use catalog_sync::mapping::activation::{Found, Standing, found};
use catalog_sync::store::Db;

use testkit::modules::{digest, module};
use testkit::{Engine, Shop};

/// Opens a shop with a watched folder.
async fn watching(engine: Engine) -> (Shop, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let watched = folder.path().join("mappers");
    let directory = watched.clone();
    let shop = Shop::open_with(
        engine,
        |_| std::sync::Arc::new(catalog_sync::clock::SystemClock),
        |config| {
            config.set_mapper_directory(directory);
        },
    )
    .await;
    shop.until("the folder is there", async || watched.is_dir()).await;
    (shop, watched, folder)
}

/// Puts a file into the folder in the recommended way: writes it under another name, then renames it.
fn drop_in(folder: &Path, name: &str, bytes: &[u8]) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, bytes).expect("written");
    fs::rename(hidden, folder.join(name)).expect("renamed");
}

async fn state(shop: &Shop) -> MapperState {
    mapper::state(&shop.service.app).await.expect("a state")
}

async fn becomes_active(shop: &Shop, bytes: &[u8]) -> MapperState {
    let digest = digest(bytes);
    shop.until("the module is active", async || state(shop).await.active.digest == digest).await;
    state(shop).await
}

/// Waits until the actor has completed this many more ticks.
async fn looks(shop: &Shop, more: u64) {
    let ticks = || shop.service.board.get("mapper-directory").expect("an actor").ticks;
    let enough = ticks() + more;
    shop.until("it has looked", async || {
        shop.service.app.wake.mapper_directory.nudge();
        ticks() >= enough
    })
    .await;
}

async fn activations(shop: &Shop) -> i64 {
    let sql = "SELECT COUNT(*) FROM mapper_activation";
    match shop.db() {
        Db::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_one(readers).await.expect("counted"),
        Db::Postgres { pool, .. } => sqlx::query_scalar(sql).fetch_one(pool).await.expect("counted"),
    }
}

async fn a_folder_s_life(engine: Engine) {
    let (shop, folder, _keep) = watching(engine).await;
    let (margin, twin) = (module("margin-label"), module("fixtures/twin"));

    // A renamed module is activated, and other files in the folder are ignored.
    fs::write(folder.join("notes.txt"), "not a module").expect("written");
    fs::create_dir(folder.join("old.wasm")).expect("made");
    fs::write(folder.join("large.wasm"), vec![0; (4 << 20) + 1]).expect("written");
    drop_in(&folder, "margin.wasm", &margin);
    let active = becomes_active(&shop, &margin).await;
    assert_eq!((active.active.source.as_str(), active.refused), ("directory", None));

    // A slow copy is not activated before it is complete, and is not refused meanwhile.
    let mut file = File::create(folder.join("twin.wasm")).expect("made");
    for piece in twin.chunks(4_000) {
        file.write_all(piece).expect("written");
        file.flush().expect("flushed");
        looks(&shop, 1).await;
    }
    drop(file);
    let active = becomes_active(&shop, &twin).await;
    assert_eq!(active.refused, None, "a half-written file was refused");
    assert_eq!(activations(&shop).await, 2);

    // The API's choice stays, whatever files are in the folder, also after a restart and when a file is touched or
    // copied.
    mapper::reset(&shop.service.app, Source::Api, false).await.expect("reset");
    let shop = shop.restart(|_| ()).await;
    fs::copy(folder.join("margin.wasm"), folder.join("again.wasm")).expect("copied");
    drop_in(&folder, "twin.wasm", &twin);
    shop.until("the copies have been looked at", async || {
        // The files must be unchanged for long enough to be considered.
        looks(&shop, 1).await;
        fs::metadata(folder.join("twin.wasm"))
            .and_then(|about| about.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_millis() > 600))
    })
    .await;
    assert_eq!(state(&shop).await.active.name, "builtin");
    assert_eq!(activations(&shop).await, 3);

    // A refused module is reported once, and nothing changes.
    let bad = module("fixtures/always-trap");
    drop_in(&folder, "bad.wasm", &bad);
    shop.until("it is refused", async || state(&shop).await.refused.is_some()).await;
    let refused = state(&shop).await.refused.expect("refused");
    assert_eq!((refused.digest, refused.source.as_str()), (digest(&bad), "directory"));
    assert_eq!(state(&shop).await.active.name, "builtin");

    // A link is replaced to point to another file, as orchestrators do it.
    let (elsewhere, link) = (folder.parent().expect("a folder").join("v2"), folder.join("linked.wasm"));
    symlink(folder.join("nowhere"), &link).expect("linked");
    looks(&shop, 1).await;
    let evil = module("fixtures/evil");
    fs::write(&elsewhere, &evil).expect("written");
    symlink(&elsewhere, folder.join(".linked")).expect("linked");
    fs::rename(folder.join(".linked"), &link).expect("swapped");
    becomes_active(&shop, &evil).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_in_is_activated_once_on_sqlite() {
    a_folder_s_life(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_in_is_activated_once_on_postgres() {
    a_folder_s_life(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_find_a_file_at_once_one_acts() {
    let (shop, _folder, _keep) = watching(Engine::Postgres).await;
    let app = &shop.service.app;
    let twin = module("fixtures/twin");
    let (one, other) = tokio::join!(
        found(&app.active, twin.clone(), Standing::Whole),
        found(&app.active, twin.clone(), Standing::Whole)
    );
    let acted = [one, other].map(|found| matches!(found.expect("found"), Found::Activated(_)));
    assert_eq!(acted.iter().filter(|acted| **acted).count(), 1);
    assert_eq!(activations(&shop).await, 1);
    shop.close().await;
}
