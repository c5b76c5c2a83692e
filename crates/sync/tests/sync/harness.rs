//! The test server keeps its own promises.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection, Row};

use testkit::PATIENCE;
use testkit::postgres::{Server, database};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the database takes connections")
}

async fn tables(connection: &mut PgConnection) -> i64 {
    let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    connection.fetch_one(count).await.expect("the catalog can be read").get(0)
}

#[tokio::test]
async fn each_test_gets_an_empty_database_of_its_own() {
    let (first, second) = (database().await, database().await);
    assert_ne!(first, second);
    let (mut a, mut b) = (connect(&first).await, connect(&second).await);
    a.execute("CREATE TABLE only_here (id text)").await.expect("a table can be made");
    assert_eq!((tables(&mut a).await, tables(&mut b).await), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tests_may_ask_at_once() {
    let asked: Vec<_> = (0..8).map(|_| tokio::spawn(database())).collect();
    let mut urls = std::collections::HashSet::new();
    for url in asked {
        urls.insert(url.await.expect("no panic"));
    }
    assert_eq!(urls.len(), 8);
    for url in &urls {
        assert_eq!(tables(&mut connect(url).await).await, 0);
    }
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_directory() {
    let server = Server::start().expect("a second server starts beside the shared one");
    let url = server.database().await;
    let mut open = connect(&url).await;
    let directory = server.directory().to_owned();
    assert!(directory.exists());
    let pid: i32 = open.fetch_one("SELECT pg_backend_pid()").await.expect("it answers").get(0);

    drop(server);

    assert!(open.execute("SELECT 1").await.is_err());
    assert!(PgConnection::connect(&url).await.is_err());
    assert!(!directory.exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// Waits until `condition` holds, and fails after [`PATIENCE`].
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_killed_test_process_leaves_no_server_behind() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    // The server's own user makes its directory in here.
    fs::set_permissions(temporary.path(), Permissions::from_mode(0o1777)).expect("it is ours");
    let in_it = || fs::read_dir(temporary.path()).expect("it can be read").flatten();
    let mut tests = Command::new(std::env::current_exe().expect("it is known"))
        .args(["--exact", "harness::each_test_gets_an_empty_database_of_its_own"])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests can run themselves");
    // The worst moment: the server is starting, and its keeper has not reported yet.
    until("the server's process id", || in_it().any(|entry| entry.path().join("data/postmaster.pid").exists()));

    tests.kill().expect("it can be killed");
    tests.wait().expect("it was killed");

    until("the server's directory is gone", || in_it().next().is_none());
}
