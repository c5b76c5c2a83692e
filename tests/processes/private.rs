//! What is nobody else's business: the modes of our files, and errors that do not repeat a secret.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::cli::{command, text};

const SECRET: &str = "hunter2-in-the-wrong-place";

/// The same command in a shell that takes no permission away.
fn open_to_all(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_meta-catalog");
    command.args(["-c", "umask 000 && exec \"$0\" \"$@\"", program]).args(args);
    command.current_dir(folder).env_clear().env("META_CATALOG_LISTEN", "127.0.0.1:0");
    command
}

fn mode(path: &Path) -> u32 {
    let found = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    found.permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its own file");
}

/// A running `serve`; killed when dropped, so that WAL and SHM stay.
struct Serve(Child);

impl Serve {
    /// Starts it and waits until it listens.
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = open_to_all(folder, args);
        let child = command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("runs");
        let mut serve = Self(child);
        let mut line = String::new();
        BufReader::new(serve.0.stdout.take().expect("a stdout")).read_line(&mut line).expect("a line");
        assert!(line.starts_with("listening "), "{line}");
        serve
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const FILES: [&str; 5] =
    ["meta-catalog.db", "meta-catalog.db-wal", "meta-catalog.db-shm", "meta-catalog.lock", "meta-catalog.key"];

#[test]
fn what_serve_makes_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("deep/data");
    fs::write(folder.path().join("c.toml"), "data_dir = 'deep/data'\n").expect("written");
    let serve = Serve::start(folder.path(), &["--config", "c.toml"]);
    let modes: Vec<_> = FILES.iter().map(|file| (*file, mode(&data.join(file)))).collect();
    drop(serve);
    assert_eq!(modes, FILES.map(|file| (file, 0o600)));
    assert_eq!(mode(&data), 0o700);
}

#[test]
fn what_is_open_is_tightened_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Serve::start(folder.path(), &[]));
    let data = folder.path().join("data");
    let ours = &FILES[..4];
    for file in ours {
        set_mode(&data.join(file), 0o644);
    }
    let listed = open_to_all(folder.path(), &["token", "list"]).output().expect("ended");
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert!(text(&listed.stderr).contains("meta-catalog.db-wal"), "{}", text(&listed.stderr));
    drop(Serve::start(folder.path(), &[]));
    for file in ours {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let listed = open_to_all(folder.path(), &["token", "list"]).output().expect("ended");
    assert!(!text(&listed.stderr).contains("open to other users"), "once: {}", text(&listed.stderr));
}

#[test]
fn a_key_file_that_is_open_to_others_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Serve::start(folder.path(), &[]));
    let key = folder.path().join("data/meta-catalog.key");
    for open in [0o640, 0o604, 0o660] {
        set_mode(&key, open);
        let refused = command(folder.path(), &["serve"]).output().expect("ended");
        assert_eq!(refused.status.code(), Some(1), "{open:o}");
        assert!(text(&refused.stderr).contains("chmod 600 data/meta-catalog.key"), "{}", text(&refused.stderr));
    }
    set_mode(&key, 0o400);
    drop(Serve::start(folder.path(), &[]));
}

/// Fails when the output has the secret.
fn without_secret(output: &Output, what: &str) -> String {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    for secret in [SECRET, "271828182845904"] {
        assert!(!said.contains(secret), "{what}: {said}");
    }
    assert_eq!(output.status.code(), Some(1), "{what}: {said}");
    said
}

#[test]
fn an_error_in_the_file_says_where_and_not_what() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |line, column| format!("line {line}, column {column}: ");
    for (lines, place, names) in [
        (format!("key = '{SECRET}"), at(3, 34), ""),
        (format!("key = '{SECRET}' and more"), at(3, 36), ""),
        (format!("database_url = ['postgres://u:{SECRET}@h/d']"), at(3, 16), "database_url"),
        ("key = 271828182845904".into(), at(3, 7), "key"),
        (format!("lease_seconds = '{SECRET}'"), at(3, 17), "lease_seconds"),
        (format!("log_format = '{SECRET}'"), at(3, 14), "`text` or `json`"),
        (format!("listen = '{SECRET}'"), at(3, 10), "listen"),
        (format!("[sessions.roles]\ncatalog-admin = ['{SECRET}']"), at(4, 18), "sessions.roles"),
        (format!("databse_url = 'postgres://u:{SECRET}@h/d'"), at(3, 1), "databse_url"),
    ] {
        fs::write(folder.path().join("c.toml"), format!("# a comment\n\n{lines}\n")).expect("written");
        let mut command = command(folder.path(), &["migrate", "--config", "c.toml"]);
        let said = without_secret(&command.env("RUST_LOG", "trace").output().expect("ended"), &lines);
        assert!(said.contains(&place) && said.contains(names), "{lines}: {said}");
    }
}

#[test]
fn an_error_in_a_database_url_names_the_parameter_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let postgres = |query: &str| format!("postgres://u:{SECRET}@127.0.0.1:1/d{query}");
    for (url, names) in [
        (postgres(&format!("?pasword={SECRET}")), "\"pasword\""),
        (postgres(&format!("?sslmode=disable&sslpassword={SECRET}")), "\"sslpassword\""),
        (postgres(&format!("?password=begin&{SECRET}")), "number 2"),
        (postgres(&format!("?sslmode={SECRET}")), "sslmode"),
        (postgres(&format!("?port={SECRET}")), "port"),
        (postgres("?sslmode=disable"), "the database query failed"),
        (format!("sqlite://data/x.db?key={SECRET}"), "\"key\""),
    ] {
        let mut main = command(folder.path(), &["migrate"]);
        let said =
            without_secret(&main.env("DATABASE_URL", &url).env("RUST_LOG", "trace").output().expect("ended"), &url);
        assert!(said.contains(names), "{url}: {said}");
        if url.ends_with("?sslmode=disable") {
            continue;
        }
        let mut sessions = command(folder.path(), &["migrate"]);
        sessions.env("BETTER_AUTH_SECRET", SECRET).env("BETTER_AUTH_DATABASE_URL", &url).env("RUST_LOG", "trace");
        let said = without_secret(&sessions.output().expect("ended"), &url);
        assert!(said.contains("BETTER_AUTH_DATABASE_URL") && said.contains(names), "{url}: {said}");
    }
}
